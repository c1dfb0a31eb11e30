//! Requests and responses of wasi:http 0.2, for pages: with the feature `wasi-http`.
//!
//! ```no_run
//! use lemon_session::{
//!     Options, Result,
//!     wasi_http::{Request, Response},
//! };
//! use wasip2::http::types::{IncomingRequest, ResponseOutparam};
//!
//! struct Shop;
//!
//! wasip2::http::proxy::export!(Shop);
//!
//! impl wasip2::exports::http::incoming_handler::Guest for Shop {
//!     fn handle(request: IncomingRequest, out: ResponseOutparam) {
//!         page(&Request::new(&request)).unwrap_or_else(Response::from).send(out);
//!     }
//! }
//!
//! fn page(request: &Request) -> Result<Response> {
//!     lemon_session::check_same_origin(request)?;
//!     let session = Options::new().app("shop").start(request)?;
//!     if request.is_post() {
//!         let item = request.form()?.get("item").unwrap_or("lemon").to_owned();
//!         session.set("item", &item)?;
//!     }
//!     let item: Option<String> = session.get("item")?;
//!     let text = format!("You have chosen {}.\n", item.as_deref().unwrap_or("nothing"));
//!     Ok(Response::text(text).headers(session.save()?))
//! }
//! ```

mod form;
mod request;
mod response;

pub use form::Form;
pub use request::Request;
pub use response::Response;
