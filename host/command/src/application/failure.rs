//! Why the application did not answer a request, and the response to the client.

use std::{borrow::Cow, fmt, sync::Arc};

use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use wasmtime::{Trap, component::ResourceTableError};
use wasmtime_wasi_http::WasiBody;

use super::{Subject, budget::OverBudget, report::Report};
use crate::log;

/// Why a request was not answered by the application.
#[derive(Debug)]
pub enum Failure {
    /// The request is not valid HTTP/1.1.
    BadRequest(&'static str),
    /// It is for a host that is not configured.
    Misdirected,
    /// Another site made the visitor's browser send it.
    CrossSite,
    /// Its method is not passed to applications.
    NotImplemented,
    /// Its body exceeds the size limit.
    BodyTooLarge,
    /// Its body is slower than the minimum rate.
    BodyTooSlow,
    /// No application is mounted at its path.
    NotFound,
    /// The maximum number of requests is in flight, and none of them ended in time.
    Overloaded,
    /// The application did not answer in time.
    TimedOut,
    /// The application trapped, or returned without a response.
    Failed(wasmtime::Error),
    /// The application was stopped because another request failed that it was answering at the same time.
    Stopped,
    /// The application returned an invalid response. The reason contains nothing of the response itself.
    BadAnswer(Cow<'static, str>),
    /// The runtime of the application's language answered 500, as that of JavaScript does after an exception. Only development mode
    /// takes this for a failure.
    Exception,
    /// The application's files cannot be loaded. The log had the reason when they were read.
    NotLoaded(Arc<str>),
}

impl Failure {
    pub fn status(&self) -> StatusCode {
        match self {
            Self::BadRequest(_) => StatusCode::BAD_REQUEST,
            Self::Misdirected => StatusCode::MISDIRECTED_REQUEST,
            Self::CrossSite => StatusCode::FORBIDDEN,
            Self::NotImplemented => StatusCode::NOT_IMPLEMENTED,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BodyTooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
            Self::TimedOut => StatusCode::GATEWAY_TIMEOUT,
            Self::Failed(_) | Self::Stopped | Self::Exception | Self::NotLoaded(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::BadAnswer(_) => StatusCode::BAD_GATEWAY,
        }
    }

    /// Whether the connection must be closed, because the bytes that follow are not the next request.
    pub fn is_last(&self) -> bool {
        matches!(self, Self::NotImplemented | Self::BodyTooLarge | Self::BodyTooSlow)
    }

    /// Whether the application is at fault, or its settings, and not the request.
    pub fn is_of_application(&self) -> bool {
        match self {
            Self::Overloaded
            | Self::TimedOut
            | Self::Failed(_)
            | Self::Stopped
            | Self::BadAnswer(_)
            | Self::Exception
            | Self::NotLoaded(_) => true,
            Self::BadRequest(_)
            | Self::Misdirected
            | Self::CrossSite
            | Self::NotImplemented
            | Self::BodyTooLarge
            | Self::BodyTooSlow
            | Self::NotFound => false,
        }
    }

    /// What happened, without internal details.
    pub fn explanation(&self) -> &'static str {
        match self {
            Self::BadRequest(why) => why,
            Self::Misdirected => "This server does not serve the host that the request names.",
            Self::CrossSite => "The request comes from another site, and this server takes it only from its own pages.",
            Self::NotImplemented => "This server does not implement the method of the request.",
            Self::BodyTooLarge => "The body of the request is larger than this server accepts.",
            Self::BodyTooSlow => "The body of the request arrived too slowly.",
            Self::NotFound => "There is no application at this path.",
            Self::Overloaded => "The server is busy. Please try again in a moment.",
            Self::TimedOut => "The application did not answer in time.",
            Self::Failed(_) | Self::Stopped => "The application failed.",
            Self::BadAnswer(_) => "The application returned an invalid response.",
            Self::Exception => "The application failed and answered 500 without a page.",
            Self::NotLoaded(_) => "The application cannot be loaded.",
        }
    }

    /// Why it happened, if more is known than [`explanation`](Self::explanation) says.
    pub fn cause(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Failed(error) => Some(causes(error).into()),
            Self::BadAnswer(why) => Some(why.as_ref().into()),
            Self::NotLoaded(why) => Some((**why).into()),
            _ => None,
        }
    }

    /// The frames of the application's WebAssembly code in which it failed.
    pub fn frames(&self) -> Option<String> {
        let Self::Failed(error) = self else { return None };
        let mut causes = error.chain().map(ToString::to_string);
        causes.find_map(|cause| Some(cause.strip_prefix(BACKTRACE)?.trim_matches('\n').to_owned()))
    }

    /// Logs the failure.
    pub fn log(&self, subject: &Subject) {
        match self {
            Self::Failed(error) => about!(error, subject, "the application failed: {}", cause(error)),
            Self::BadAnswer(why) => about!(error, subject, "the application returned an invalid response: {why}"),
            Self::Overloaded | Self::TimedOut => about!(warn, subject, "{}", self.explanation()),
            Self::BadRequest(_)
            | Self::Misdirected
            | Self::NotImplemented
            | Self::BodyTooLarge
            | Self::BodyTooSlow
            | Self::NotFound
            // These have entries of their own.
            | Self::CrossSite
            | Self::Stopped
            | Self::Exception
            | Self::NotLoaded(_) => about!(debug, subject, "{}", self.explanation()),
        }
    }

    /// Logs that the guest was stopped after its response had begun.
    pub fn log_stopped(&self, subject: &Subject) {
        match self {
            Self::Failed(error) => about!(error, subject, "the application was stopped: {}", cause(error)),
            failure => failure.log(subject),
        }
    }

    /// Logs the failure and creates the client's response, which contains no internal details.
    pub fn to_response(&self, subject: &Subject) -> Response<WasiBody> {
        self.log(subject);
        let (status, id) = (self.status(), subject.id);
        let text = format!("{status}\n\n{}\nRequest {id}\n", self.explanation());
        let mut response = Response::new(Full::from(text).map_err(|never| match never {}).boxed_unsync());
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if matches!(self, Self::Overloaded) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

impl From<OverBudget> for Failure {
    fn from(error: OverBudget) -> Self {
        Self::Failed(error.into())
    }
}

impl From<wasmtime::Error> for Failure {
    fn from(error: wasmtime::Error) -> Self {
        if error.is::<NoSlot>() {
            Self::Overloaded
        } else if let Some(ResourceTableError::Full) = error.downcast_ref() {
            Self::Failed(error.context(OverBudget))
        } else if error.root_cause().to_string().contains("fuel allocated for hostcalls") {
            // wasmtime has no type for this error.
            Self::Failed(error.context(Reason::HandedOver))
        } else {
            Self::Failed(error)
        }
    }
}

/// Why a guest failed, in one line unless backtraces are logged.
pub fn cause(error: &wasmtime::Error) -> String {
    if log::backtraces() {
        return format!("{error:?}");
    }
    causes(error)
}

/// Why a guest failed, in one line.
fn causes(error: &wasmtime::Error) -> String {
    // What the guest printed before it gave up says more than how it gave up.
    let gave_up = error.is::<Report>().then(|| Trap::UnreachableCodeReached.to_string());
    let causes = error.chain().map(ToString::to_string);
    let causes = causes.filter(|cause| !cause.starts_with(BACKTRACE) && Some(cause) != gave_up.as_ref());
    causes.collect::<Vec<_>>().join(": ")
}

/// How wasmtime's text of a backtrace begins, which is one of the causes of a trap.
const BACKTRACE: &str = "error while executing at wasm backtrace:";

/// Why an application failed, where the host knows it better than WebAssembly.
#[derive(Clone, Copy, Debug)]
pub enum Reason {
    /// It reached the limit of its memory.
    Memory,
    /// It returned, and had not begun a response.
    NoResponse,
    /// It passed too much data in one call.
    HandedOver,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Memory => "it reached [server] memory",
            Self::NoResponse => "it returned without a response",
            Self::HandedOver => {
                "it passed more data in one call than [server] request-memory and [session.limits] session-bytes allow \
                 together"
            }
        })
    }
}

impl std::error::Error for Reason {}

/// The maximum number of guests is alive, and none of them ended in time.
#[derive(Debug)]
pub struct NoSlot;

impl fmt::Display for NoSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no guest ended in time to make room for another")
    }
}

impl std::error::Error for NoSlot {}
