//! What an entry of the log is about.

use std::sync::Arc;

use ::http::Method;

use super::{Printed, RequestId};

/// A request, as its entries in the log name it.
#[derive(Clone)]
pub struct Subject {
    pub id: RequestId,
    /// `None` before an application was found for it.
    application: Option<Arc<str>>,
    /// One of the standard ones, or `other`: a client can send any text as its method.
    pub method: &'static str,
    /// Where what its guests print is kept besides the log, if it is.
    pub printed: Option<Arc<Printed>>,
}

impl Subject {
    pub fn new(id: RequestId, method: &Method) -> Self {
        let method = match *method {
            Method::GET => "GET",
            Method::HEAD => "HEAD",
            Method::POST => "POST",
            Method::PUT => "PUT",
            Method::DELETE => "DELETE",
            Method::OPTIONS => "OPTIONS",
            Method::PATCH => "PATCH",
            Method::TRACE => "TRACE",
            Method::CONNECT => "CONNECT",
            _ => "other",
        };
        Self { id, application: None, method, printed: None }
    }

    /// The same request, which this application answers.
    pub fn of(&self, application: &Arc<str>) -> Self {
        Self { application: Some(application.clone()), ..self.clone() }
    }

    pub fn application(&self) -> Option<&str> {
        self.application.as_deref()
    }
}

/// Logs an entry about a request.
macro_rules! about {
    ($level:ident, $subject:expr, $($message:tt)+) => {{
        let subject: &$crate::application::Subject = &$subject;
        tracing::$level!(
            request = %subject.id,
            application = subject.application(),
            method = subject.method,
            $($message)+
        )
    }};
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_that_a_client_made_up_is_not_logged() {
        let method = |method: &[u8]| Subject::new(RequestId::next(), &Method::from_bytes(method).unwrap()).method;
        assert_eq!(method(b"POST"), "POST");
        assert_eq!(method(b"a-secret"), "other");
        assert_eq!(method(b"get"), "other");
    }
}
