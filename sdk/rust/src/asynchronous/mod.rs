//! Asynchronous sessions, for guests of WASI 0.3: while one request waits for the store, the instance can answer others.
//!
//! It is the synchronous API with `await` added: to every method but [`id`](Session::id), [`digest`](Session::digest),
//! [`app`](Session::app), [`created`](Session::created) and [`expires_at`](Session::expires_at), which never wait. Everything
//! else is the same: options, values, errors, headers and [`check_same_origin`](crate::check_same_origin).
//!
//! ```no_run
//! use lemon_session::{Headers, Options, Request, Result};
//!
//! async fn page(request: &impl Request) -> Result<(Headers, String)> {
//!     let session = Options::new().app("visits").start_async(request).await?;
//!     let visits = session.add("visits", 1).await?;
//!     Ok((session.save().await?, format!("This is your visit no. {visits}")))
//! }
//! ```
//!
//! The application has to be a component of WASI 0.3, built with the crate `wasip3`, whose requests and fields are
//! accepted. A guest of WASI 0.3 can use the synchronous [`Session`](crate::Session) too, but its calls block the
//! instance with all requests in it.
//!
//! # Streaming bodies
//!
//! Headers are sent before the body, and [`save`](Session::save) returns headers. So a page saves its session before it
//! returns its response, also one whose body is written later by a spawned task. A task that changes the session while it
//! writes the body has to save it again. Nothing can be sent of what that save returns, so it must not rotate the id.
//!
//! # Requests that end early
//!
//! When a visitor goes away, the runtime may cancel the request: its future is dropped, and the session with it. What was
//! not saved by then is discarded. A save that is cancelled takes effect entirely or not at all.
//!
//! An application that drops the future of a call itself, as a timeout does, cancels the call alone. If the call was
//! writing, every method answers [`Gone`](crate::Error::Gone) from then on: start the session again to see what is stored.

pub mod bindings;
pub mod manager;
mod session;

pub use session::Session;
