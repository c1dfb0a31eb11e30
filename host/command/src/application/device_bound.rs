//! The requests of browsers that bind a session to their device: they are answered before an application runs.

use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use lemon_session_host::{Caller, device_bound::is_endpoint};
use wasmtime_wasi_http::WasiBody;

use super::{Failure, Platform, Subject, same_origin};

/// The head of a request that may be one of these, by its path.
pub fn head<B>(request: &Request<B>) -> Option<Request<()>> {
    is_endpoint(request.uri().path()).then(|| {
        let mut head = Request::new(());
        *head.method_mut() = request.method().clone();
        *head.uri_mut() = request.uri().clone();
        *head.headers_mut() = request.headers().clone();
        head
    })
}

/// The response, if it is such a request. One of another site is refused whatever the setting `same-origin`: a browser makes these
/// requests of its own accord, and no page has to.
pub async fn answer(
    platform: &Platform,
    head: &Request<()>,
    subject: &Subject,
) -> Result<Option<Response<WasiBody>>, Failure> {
    if platform.session().settings().device_bound == 0 {
        return Ok(None);
    }
    same_origin::refuse_other(head, subject)?;
    let sessions = platform.sessions.for_caller(Caller { request: subject.id.number(), ..Caller::default() });
    let response = sessions.answer_device_bound(head).await;
    Ok(response.map(|response| response.map(|body| Full::from(body).map_err(|never| match never {}).boxed_unsync())))
}
