//! Sessions for WebAssembly applications: variables that belong to one visitor and are available again on the visitor's
//! next request.
//!
//! A request starts its session once, reads and sets variables, and saves the session before it sends the response:
//! [`Session::save`] returns headers that the response must include.
//!
//! ```no_run
//! use lemon_session::{Headers, Request, Result, Session};
//!
//! fn page(request: &impl Request) -> Result<(Headers, String)> {
//!     let session = Session::start(request)?;
//!     let visits: u32 = session.get("visits")?.unwrap_or(0) + 1;
//!     session.set("visits", &visits)?;
//!     Ok((session.save()?, format!("This is your visit no. {visits}")))
//! }
//! ```
//!
//! [`Request`] is implemented for the requests of wasi:http, of the crate `http` (with the feature `http`), and for
//! [`Cgi`]. The module `wasi_http` sends a response of wasi:http 0.2 with the headers. An application without it
//! [appends them](Headers::append_to) to the fields of its response, and a CGI program prints them:
//!
//! ```no_run
//! use lemon_session::{Cgi, Options};
//!
//! fn main() -> lemon_session::Result<()> {
//!     let session = Options::new().app("visits").start(&Cgi)?;
//!     let visits = session.add("visits", 1)?;
//!     print!("Content-Type: text/plain\r\n{}\r\nThis is your visit no. {visits}\n", session.save()?);
//!     Ok(())
//! }
//! ```
//!
//! # Values
//!
//! Every type that serde can serialize can be stored, and is read back unchanged:
//!
//! | in Rust | stored as |
//! | --- | --- |
//! | `bool` | boolean |
//! | `i8` to `i64`, `u8` to `u64`, `i128`, `u128` | integer, if it fits `i64` |
//! | `f32`, `f64`, also infinite and NaN | real |
//! | `char`, `str`, `String`, a variant without data | text |
//! | [`Bytes`], or a field with `serde_bytes` | bytes |
//! | `()`, `None` | null |
//! | lists, tuples, maps, structs, variants with data | JSON |
//!
//! Lists, maps and structs can only contain what JSON can express. Bytes, infinities, NaN and integers beyond `i64`
//! inside them are refused with [`Error::InvalidValue`], never altered.

#![deny(missing_docs)]

#[cfg(feature = "async")]
pub mod asynchronous;
pub mod bindings;
mod bytes;
mod de;
mod error;
#[cfg(any(feature = "wasi-http", feature = "async"))]
mod fields;
mod headers;
pub mod manager;
mod options;
mod request;
mod same_origin;
mod ser;
mod session;
mod value;
#[cfg(feature = "wasi-http")]
pub mod wasi_http;

pub use bindings::lemon::session::{
    sessions::{Cookie, Lifetime, Metadata},
    types::{CacheLimiter, Location, SameSite, Secure, Value},
};
pub use bytes::Bytes;
pub use de::from_value;
pub use error::{Error, Result};
#[cfg(any(feature = "wasi-http", feature = "async"))]
pub use fields::Fields;
pub use headers::Headers;
pub use options::Options;
pub use request::{Cgi, Request};
pub use same_origin::check_same_origin;
pub use ser::to_value;
pub use session::Session;
