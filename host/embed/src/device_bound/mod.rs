//! Sessions that are bound to a device: the requests with which browsers register and prove a key, as [Device Bound Session
//! Credentials] has them.
//!
//! [`Sessions::answer_device_bound`] answers them. A host passes it each request before an application sees it. What a browser has
//! to prove, and when, are rules of sessions; the signatures are verified here, with ring.
//!
//! [Device Bound Session Credentials]: https://w3c.github.io/webappsec-dbsc/

mod proof;

use std::{sync::LazyLock, time::Instant};

use form_urlencoded::{Serializer, parse};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use serde_json::json;

use self::proof::Signed;
use crate::{
    LogLimit, Sessions,
    bindings::exports::lemon::session::device_bound::{Answer, Bound, Request as FromBrowser},
    sessions::{Error, Location, Result},
};

/// The proof of a browser that signs with RSA and 4096 bits has 1,800 bytes.
const MAX_PROOF: usize = 8192;
/// An identifier of ours has 22 bytes.
const MAX_IDENTIFIER: usize = 64;

/// Clients decide how many proofs are refused.
static REFUSED: LazyLock<LogLimit> = LazyLock::new(LogLimit::default);

/// What a browser asks for.
#[derive(Clone, Copy, PartialEq)]
enum Endpoint {
    Register,
    Refresh,
}

impl Endpoint {
    /// The endpoint at a path: below the path of the session's cookie, which an application may choose.
    fn at(path: &str) -> Option<Self> {
        match path.rsplit_once("/.lemon-session/")?.1 {
            "register" => Some(Self::Register),
            "refresh" => Some(Self::Refresh),
            _ => None,
        }
    }
}

/// Whether a path is one of those that [`Sessions::answer_device_bound`] answers.
pub fn is_endpoint(path: &str) -> bool {
    Endpoint::at(path).is_some()
}

impl Sessions {
    /// The response to a request with which a browser registers or proves the key of a session. `None` if it is not such a
    /// request, or the setting `device-bound` is off.
    ///
    /// The body of the request is not read. Refuse requests of other sites before.
    pub async fn answer_device_bound<B>(&self, request: &Request<B>) -> Option<Response<String>> {
        let endpoint = Endpoint::at(request.uri().path())?;
        if self.ctx().settings().device_bound == 0 {
            return None;
        }
        if request.method() != Method::POST {
            let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "Browsers send POST here.");
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
            return Some(response);
        }
        let query = request.uri().query().unwrap_or_default();
        let mut response = match self.device_bound(endpoint, query, request.headers()).await {
            Ok(Ok(response)) => response,
            Ok(Err(why)) => plain(StatusCode::BAD_REQUEST, why),
            Err(Error::Storage(_) | Error::Busy | Error::Conflict) => {
                plain(StatusCode::SERVICE_UNAVAILABLE, "The session cannot be read or written now.")
            }
            Err(Error::Failed(_)) => plain(StatusCode::INTERNAL_SERVER_ERROR, "The session component failed."),
            Err(error) => plain(StatusCode::BAD_REQUEST, &error.to_string()),
        };
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Some(response)
    }

    /// The inner error says what is wrong with the request.
    async fn device_bound(
        &self,
        endpoint: Endpoint,
        query: &str,
        headers: &HeaderMap,
    ) -> Result<std::result::Result<Response<String>, &'static str>> {
        let Some(place) = Place::new(query) else { return Ok(Err("The cookie's name is missing in the query.")) };
        let signed = match text(headers, "secure-session-response", MAX_PROOF).map(|text| text.map(Signed::parse)) {
            Ok(None) => None,
            Ok(Some(Ok(signed))) => Some(signed),
            Ok(Some(Err(why))) | Err(why) => return Ok(Err(why)),
        };
        let request = place.request(headers);
        if endpoint == Endpoint::Register {
            let Some(signed) = signed else { return Ok(Err("The header Secure-Session-Response is missing.")) };
            let proof = match signed.by_own_key() {
                Ok(proof) => proof,
                Err(why) => return Ok(Err(why)),
            };
            let answer = self.call_register(&request, &proof).await?;
            return Ok(answered(answer, &place, ""));
        }

        let identifier = match text(headers, "sec-secure-session-id", MAX_IDENTIFIER) {
            Ok(Some(identifier)) => identifier,
            Ok(None) => return Ok(Err("The header Sec-Secure-Session-Id is missing.")),
            Err(why) => return Ok(Err(why)),
        };
        let proof = match signed {
            None => None,
            Some(signed) => {
                let Some(key) = self.call_key(&request, identifier).await? else {
                    return Ok(answered(Answer::Ended, &place, identifier));
                };
                match signed.by(key) {
                    Ok(proof) => Some(proof),
                    Err(why) => {
                        log_refused();
                        return Ok(Err(why));
                    }
                }
            }
        };
        let answer = self.call_refresh(&request, identifier, proof.as_ref()).await?;
        if matches!(answer, Answer::Refused) {
            log_refused();
        }
        Ok(answered(answer, &place, identifier))
    }
}

fn log_refused() {
    REFUSED.limit(Instant::now(), |left_out| {
        tracing::warn!(left_out, "a request with the cookie of a bound session did not prove the key of its device");
    });
}

/// Which cookie has the session's id, and where the session is: the query, which the rules of sessions wrote.
struct Place {
    cookie: String,
    location: Location,
}

impl Place {
    fn new(query: &str) -> Option<Self> {
        let mut cookie = None;
        let mut location = Location::default();
        for (key, value) in parse(query.as_bytes()) {
            match &*key {
                "cookie" => cookie = Some(value.into_owned()),
                "storage" => location.storage = Some(value.into_owned()),
                "table" => location.table = Some(value.into_owned()),
                _ => {}
            }
        }
        Some(Self { cookie: cookie.filter(|name| !name.is_empty())?, location })
    }

    fn request(&self, headers: &HeaderMap) -> FromBrowser {
        FromBrowser {
            cookies: headers.get_all(header::COOKIE).iter().map(|field| field.as_bytes().to_vec()).collect(),
            cookie: self.cookie.clone(),
            location: self.location.clone(),
        }
    }

    /// Where the browser refreshes the bound cookie, relative to where it registered the key.
    fn refresh_url(&self) -> String {
        let mut query = Serializer::new(String::from("refresh?"));
        query.append_pair("cookie", &self.cookie);
        for (key, value) in [("storage", &self.location.storage), ("table", &self.location.table)] {
            if let Some(value) = value {
                query.append_pair(key, value);
            }
        }
        query.finish()
    }
}

fn answered(answer: Answer, place: &Place, identifier: &str) -> std::result::Result<Response<String>, &'static str> {
    match answer {
        Answer::Bound(bound) => Ok(instructions(bound, place)),
        Answer::Challenge((name, value)) => {
            let mut response = plain(StatusCode::FORBIDDEN, "Sign the challenge.");
            insert(&mut response, &name, &value);
            Ok(response)
        }
        Answer::Ended => Ok(json(&json!({ "session_identifier": identifier, "continue": false }))),
        Answer::Refused => Err("The proof is not the expected one."),
    }
}

/// What a browser has to know of a session that is bound.
fn instructions(bound: Bound, place: &Place) -> Response<String> {
    let Bound { identifier, cookie, attributes, headers } = bound;
    let mut response = json(&json!({
        "session_identifier": identifier,
        "refresh_url": place.refresh_url(),
        "scope": { "include_site": false },
        "credentials": [{ "type": "cookie", "name": cookie, "attributes": attributes }],
    }));
    for (name, value) in &headers {
        insert(&mut response, name, value);
    }
    response
}

/// The one value of a header, without the quotation marks that a string of a structured field has (RFC 9651, section 3.3.3); what is
/// in it needs no escapes.
fn text<'a>(headers: &'a HeaderMap, name: &str, limit: usize) -> std::result::Result<Option<&'a str>, &'static str> {
    let mut values = headers.get_all(name).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return if headers.contains_key(name) { Err("A header is there twice.") } else { Ok(None) };
    };
    if value.len() > limit {
        return Err("A header is too long.");
    }
    let text = value.to_str().map_err(|_| "A header is not ASCII.")?.trim();
    let Some(rest) = text.strip_prefix('"') else { return Ok(Some(text)) };
    match rest.split_once('"') {
        Some((string, parameters)) if parameters.is_empty() || parameters.starts_with(';') => Ok(Some(string)),
        _ => Err("A header is not a string of a structured field."),
    }
}

fn json(value: &serde_json::Value) -> Response<String> {
    response(StatusCode::OK, "application/json", value.to_string())
}

fn plain(status: StatusCode, text: &str) -> Response<String> {
    response(status, "text/plain; charset=utf-8", format!("{text}\n"))
}

fn response(status: StatusCode, content_type: &'static str, body: String) -> Response<String> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// Adds a header of the session component, which returns none that is not valid.
fn insert(response: &mut Response<String>, name: &str, value: &str) {
    if let (Ok(name), Ok(value)) = (header::HeaderName::try_from(name), HeaderValue::try_from(value)) {
        response.headers_mut().append(name, value);
    }
}

#[cfg(test)]
mod tests;
