//! One session, with the names and sizes of its variables. Values are never shown, and not even read.

use http::Response;
use lemon_session_host::store::{Digest, Record};
use serde::Serialize;

use super::{
    Console,
    failure::{Failure, Result, ask, inspect},
    page::{self, Frame, Place},
    response::{Body, link},
    sessions::Link,
};
use crate::{digest::before, output};

#[derive(Serialize)]
struct Page {
    frame: Frame,
    digest: String,
    owner: Option<Link>,
    /// Name and value.
    facts: [(&'static str, String); 7],
    /// `None` if the store cannot tell.
    variables: Option<Vec<Variable>>,
    /// Where it is ended.
    end: String,
}

#[derive(Serialize)]
struct Variable {
    app: Link,
    name: String,
    size: String,
}

type Described = (Record, Option<Vec<(String, String, u64)>>);

pub async fn show(console: &Console, digest: &Digest, message: Option<String>) -> Result<Response<Body>> {
    let now = output::now();
    let (record, variables) = describe(console, digest, now).await?;
    let variables = variables.map(|variables| {
        let variables = variables.into_iter();
        let variable = |(app, name, bytes): (String, String, u64)| Variable {
            app: Link::to_app(&app),
            name: output::name(&name),
            size: output::bytes(bytes),
        };
        variables.map(variable).collect()
    });
    let ends = record.absolute_expiry.map_or("no such limit".to_owned(), |ends| output::ahead(ends, now));
    page::html(
        "session.html",
        Page {
            frame: Frame::new("Session", Place::Sessions, message),
            digest: digest.to_hex(),
            owner: record.owner.as_deref().map(Link::to_owner),
            facts: [
                ("Created", output::ago(record.created, now)),
                ("Last used", output::ago(record.accessed, now)),
                ("Id renewed", output::ago(record.rotated, now)),
                ("Expires", output::ahead(record.expires, now)),
                ("Ends, however it is used", ends),
                ("Version", record.version.to_string()),
                ("Size", output::bytes(record.size)),
            ],
            variables,
            end: link(&format!("sessions/{}/end", digest.to_hex()), &[]),
        },
    )
}

/// A live session with its variables, as far as the store can tell.
pub async fn describe(console: &Console, digest: &Digest, now: u64) -> Result<Described> {
    let inspect = inspect(&*console.admin.store)?;
    let described = ask(async {
        match inspect.describe(digest, now).await {
            Ok(found) => Ok(found.map(|(record, variables)| (record, Some(variables)))),
            Err(error) if error.is_unsupported() => {
                // The session that follows the digest before this one.
                let listed = inspect.list(now, None, before(digest).as_ref(), 1).await?;
                let found = listed.into_iter().find(|listed| listed.digest == *digest);
                Ok(found.map(|listed| (listed.record, None)))
            }
            Err(error) => Err(error),
        }
    });
    let gone = || Failure::not_found("There is no live session with this digest. It may have ended or expired.");
    described.await?.ok_or_else(gone)
}
