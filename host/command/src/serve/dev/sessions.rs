//! The sessions that a request's cookies lead to: the names and sizes of their variables. Values are never read.

use std::time::Duration;

use http::{HeaderMap, header};
use lemon_session_host::{Stores, bindings::lemon::session::types::Location, store};
use lemon_session_rules::{cookie::Presented, id};
use serde::Serialize;
use tokio::time::{Instant, timeout_at};

use crate::output;

/// The time limit of the stores, which may be why the request failed.
const PATIENCE: Duration = Duration::from_secs(2);
/// The maximum number of cookies that are looked up.
const COOKIES: usize = 16;

/// The most variables of one session that are shown.
pub const VARIABLES: usize = 200;

/// A cookie whose value has the form of a session's id.
#[derive(Serialize)]
pub struct Cookie {
    pub name: String,
    pub session: Session,
}

/// What a cookie leads to.
#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Session {
    /// A live session.
    Live {
        /// The first digits of its digest, as the log and `lemon-session show` have them.
        digest: String,
        /// The name of its store; `None` for the default one.
        storage: Option<String>,
        /// The first ones by application and name, with their sizes.
        variables: Vec<(String, String, String)>,
        /// How many there are.
        count: usize,
    },
    /// No store has a live session with this id.
    Absent,
    /// The stores could not be asked, for this reason.
    Unknown(String),
}

/// The cookies of a request that have the form of a session's id, with what they lead to in the default store or those with
/// these names.
pub async fn of(headers: &HeaderMap, stores: &Stores, storages: &[String]) -> Vec<Cookie> {
    let until = Instant::now() + PATIENCE;
    let mut found = Vec::new();
    for (name, id) in ids(headers) {
        let looked = timeout_at(until, look_up(&id::digest(&id).into(), stores, storages)).await;
        let session = match looked {
            Ok(Ok(session)) => session,
            Ok(Err(error)) => Session::Unknown(error.to_string()),
            Err(_) => Session::Unknown("the store does not answer".to_owned()),
        };
        found.push(Cookie { name, session });
    }
    found
}

/// The names and ids of the cookies that have the form of a session's id.
fn ids(headers: &HeaderMap) -> Vec<(String, String)> {
    let fields = headers.get_all(header::COOKIE).iter().filter_map(|field| field.to_str().ok());
    let cookies = fields.flat_map(|field| field.split(';')).filter_map(|cookie| cookie.split_once('='));
    let ids = cookies.filter_map(|(name, value)| {
        let id = Presented::id(value.trim()).candidates.pop()?.id;
        Some((name.trim().to_owned(), id))
    });
    ids.take(COOKIES).collect()
}

async fn look_up(digest: &store::Digest, stores: &Stores, storages: &[String]) -> store::Result<Session> {
    for storage in std::iter::once(None).chain(storages.iter().cloned().map(Some)) {
        let driver = stores.driver(&Location { storage: storage.clone(), table: None }).await?;
        if let Some((_, variables)) = driver.try_inspect()?.describe(digest, output::now()).await? {
            let (digest, count) = (digest.to_hex()[..8].to_owned(), variables.len());
            let shown = variables.into_iter().take(VARIABLES);
            let variables =
                shown.map(|(app, name, bytes)| (output::application(&app), output::name(&name), output::bytes(bytes)));
            return Ok(Session::Live { digest, storage, variables: variables.collect(), count });
        }
    }
    Ok(Session::Absent)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn only_cookies_in_the_form_of_an_id_are_looked_up() {
        let id = id::new([7; 32], "");
        let fields = [format!("theme=dark; sid={id}; shop={id}.abcd; {id}"), format!("other = {id} ;=;{id}=x")];
        let headers = fields.iter().map(|field| (header::COOKIE, HeaderValue::from_str(field).unwrap())).collect();
        let names: Vec<_> = ids(&headers).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["sid", "shop", "other"]);
    }

    #[test]
    fn the_number_of_cookies_that_are_looked_up_is_limited() {
        let many = format!("a={};", id::new([7; 32], "")).repeat(100);
        let headers = HeaderMap::from_iter([(header::COOKIE, HeaderValue::from_str(&many).unwrap())]);
        assert_eq!(ids(&headers).len(), COOKIES);
    }
}
