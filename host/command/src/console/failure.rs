//! Why the console does not show a page.

use std::{future::Future, time::Duration};

use http::{Response, StatusCode};
use lemon_session_host::{
    sessions,
    store::{self, Inspect, Store},
};
use minijinja::context;
use tokio::time::timeout;

use super::{
    page::{self, Frame, Place},
    response::{self, Body, SIGN_IN},
};

/// The time limit of a call to the store.
const PATIENCE: Duration = Duration::from_secs(3);

#[derive(Debug)]
pub enum Failure {
    /// The request is at fault. The text says why.
    Refused(StatusCode, String),
    /// The store failed, or did not answer in time.
    Store(String),
    /// The operator has signed out, or the time is over.
    SignedOut,
    Internal(anyhow::Error),
}

pub type Result<T, E = Failure> = std::result::Result<T, E>;

impl Failure {
    pub fn not_found(text: impl Into<String>) -> Self {
        Self::Refused(StatusCode::NOT_FOUND, text.into())
    }

    pub fn into_response(self) -> Response<Body> {
        let (status, title, text) = match self {
            Self::SignedOut => return response::redirect(SIGN_IN),
            Self::Refused(status, text) => (status, status.canonical_reason().unwrap_or("Refused"), text),
            Self::Store(text) => (StatusCode::SERVICE_UNAVAILABLE, "The session store failed", text),
            Self::Internal(error) => {
                tracing::error!("the console failed: {error:#}");
                (StatusCode::INTERNAL_SERVER_ERROR, "The console failed", "The log has the reason.".to_owned())
            }
        };
        let frame = Frame::new(title, Place::Other, None);
        match page::html("failure.html", context! { frame, text }) {
            Ok(mut response) => {
                *response.status_mut() = status;
                response
            }
            // A test renders this page.
            Err(_) => response::text(status, title),
        }
    }
}

impl From<sessions::Error> for Failure {
    fn from(error: sessions::Error) -> Self {
        match error {
            sessions::Error::Gone => Self::SignedOut,
            sessions::Error::TooLarge(text) => Self::Refused(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, text),
            error => Self::Internal(error.into()),
        }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Internal(error)
    }
}

impl From<store::Error> for Failure {
    fn from(error: store::Error) -> Self {
        Self::Store(error.to_string())
    }
}

/// The answer of the store, which has a few seconds for it.
pub async fn ask<T, E: Into<Failure>>(call: impl Future<Output = std::result::Result<T, E>>) -> Result<T> {
    within(PATIENCE, call).await
}

/// The answer of the store, if it takes no longer than `limit`.
pub async fn within<T, E: Into<Failure>>(
    limit: Duration,
    call: impl Future<Output = std::result::Result<T, E>>,
) -> Result<T> {
    match timeout(limit, call).await {
        Ok(answer) => answer.map_err(Into::into),
        Err(_) => Err(Failure::Store(format!("It does not answer within {} seconds.", limit.as_secs()))),
    }
}

/// What lists sessions, if the store can.
pub fn inspect(store: &dyn Store) -> Result<&dyn Inspect> {
    Ok(store.try_inspect()?)
}
