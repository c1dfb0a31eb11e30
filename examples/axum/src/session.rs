//! Sessions for handlers: a layer that starts and saves them, and what a handler takes as its argument.

use std::{
    ops::Deref,
    sync::{Arc, OnceLock},
};

use axum::{
    extract::{FromRequestParts, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header::COOKIE, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use lemon_session_host::{
    Session, Sessions,
    sessions::{Error, Header, Options},
};

/// The state that all requests share.
#[derive(Clone)]
pub struct Site {
    pub sessions: Sessions,
    /// The application whose variables the sessions read and write.
    pub app: &'static str,
    /// Whether visitors come over HTTPS: of a server behind a proxy, its operator knows.
    pub https: bool,
}

/// Starts the session of a request, and saves it before the response begins. What a handler changed is discarded when
/// it fails.
pub async fn layer(State(site): State<Site>, mut request: Request, next: Next) -> Result<Response, Failure> {
    let cookies = request.headers().get_all(COOKIE).iter().map(|cookie| cookie.as_bytes().to_vec()).collect();
    let options = Options { app: Some(site.app.to_owned()), cookies, https: site.https, ..Options::default() };
    let session = site.sessions.start(options).await?;
    let visitor = Visitor(Arc::new(Started { session, ended: OnceLock::new() }));
    request.extensions_mut().insert(visitor.clone());

    let mut response = next.run(request).await;
    if !response.status().is_client_error() && !response.status().is_server_error() {
        add(response.headers_mut(), visitor.finish().await?);
    }
    Ok(response)
}

fn add(response: &mut HeaderMap, headers: Vec<Header>) {
    for (name, value) in headers {
        // The session component makes none that HTTP forbids.
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.append(name, value);
        }
    }
}

/// The session of a request: all that [`Session`] can do.
#[derive(Clone)]
pub struct Visitor(Arc<Started>);

struct Started {
    session: Session,
    /// The headers that delete the cookie, once the session has ended.
    ended: OnceLock<Vec<Header>>,
}

impl Visitor {
    /// Ends the session; the layer sends what deletes the cookie.
    pub async fn destroy(&self) -> Result<(), Failure> {
        let headers = self.0.session.destroy().await?;
        // A second time it is gone, and does not get here.
        let _ = self.0.ended.set(headers);
        Ok(())
    }

    async fn finish(&self) -> Result<Vec<Header>, Failure> {
        match self.0.ended.get() {
            Some(headers) => Ok(headers.clone()),
            None => Ok(self.0.session.save().await?),
        }
    }
}

impl Deref for Visitor {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.0.session
    }
}

impl<S: Sync> FromRequestParts<S> for Visitor {
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, StatusCode> {
        // Without the layer there is no session.
        parts.extensions.get().cloned().ok_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

/// An error of a session as a response, which shows the visitor only the status.
#[derive(Debug)]
pub struct Failure(Error);

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status = match &self.0 {
            Error::Conflict | Error::Gone => StatusCode::CONFLICT,
            Error::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Error::TooMany(_) => StatusCode::TOO_MANY_REQUESTS,
            Error::Storage(_) | Error::Busy => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        if status.is_server_error() {
            eprintln!("{status}: {}", self.0);
        }
        status.into_response()
    }
}
