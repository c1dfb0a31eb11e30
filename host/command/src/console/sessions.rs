//! The list of live sessions, a page at a time: all, those of an owner, or those with variables of an application.

use std::collections::HashMap;

use futures::{StreamExt as _, stream};
use http::{Response, StatusCode};
use lemon_session_host::store::{Digest, Inspect, Listed};
use serde::Serialize;

use super::{
    Console,
    failure::{Failure, Result, ask, inspect},
    page::{self, Frame, Place},
    response::{self, Body, link},
};
use crate::{digest::DigestPrefix, output};

/// Sessions on a page.
const PAGE: usize = 50;
/// Sessions to look at for a page of one application's, which the store cannot select.
const SEARCHED: usize = 1000;
/// Sessions whose variables are asked for at the same time.
const AT_ONCE: usize = 8;

#[derive(Serialize)]
struct Page {
    frame: Frame,
    owner: String,
    app: String,
    digest: String,
    error: Option<String>,
    rows: Vec<Row>,
    /// Where the next page is.
    next: Option<String>,
    /// Where all sessions of the owner are ended.
    end: Option<String>,
    /// How many sessions were looked at for those of an application: `1000 sessions`.
    searched: Option<String>,
}

#[derive(Serialize)]
struct Row {
    href: String,
    digest: String,
    owner: Option<Link>,
    apps: Vec<Link>,
    size: String,
    used: String,
    expires: String,
}

/// A name, and where its sessions are listed.
#[derive(Serialize)]
pub struct Link {
    pub name: String,
    pub href: String,
}

impl Link {
    pub fn to_owner(name: &str) -> Self {
        Self { name: output::name(name), href: link("sessions", &[("owner", name)]) }
    }

    pub fn to_app(name: &str) -> Self {
        Self { name: output::application(name), href: link("sessions", &[("app", name)]) }
    }
}

/// Where the page of a session is.
pub fn href(digest: &Digest) -> String {
    link(&format!("sessions/{}", digest.to_hex()), &[])
}

pub async fn show(
    console: &Console,
    query: &HashMap<String, String>,
    message: Option<String>,
) -> Result<Response<Body>> {
    let get = |name| query.get(name).map(|value| value.trim()).unwrap_or_default().to_owned();
    let mut page = Page {
        frame: Frame::new("Sessions", Place::Sessions, message),
        owner: get("owner"),
        app: get("app"),
        digest: get("digest"),
        error: None,
        rows: Vec::new(),
        next: None,
        end: None,
        searched: None,
    };
    let store = &*console.admin.store;
    let now = output::now();
    if !page.digest.is_empty() {
        match find(&page.digest, console, now).await {
            Ok(digest) => return Ok(response::redirect(&href(&digest))),
            Err(Failure::Refused(status, text)) => {
                page.error = Some(text);
                let mut response = page::html("sessions.html", &page)?;
                *response.status_mut() = status;
                return Ok(response);
            }
            Err(failure) => return Err(failure),
        }
    }
    let after = match get("after") {
        after if after.is_empty() => None,
        after => Some(Digest::from_hex(&after).ok_or_else(|| bad(format!("{after:?} is not a digest")))?),
    };
    let inspect = inspect(store)?;
    let owner = Some(&*page.owner).filter(|owner| !owner.is_empty());
    let Found { sessions, next, searched } = match &*page.app {
        "" => all(inspect, owner, after, now).await?,
        app => of_app(inspect, owner, app, after, now).await?,
    };
    page.rows = sessions.iter().map(|(listed, apps)| Row::new(listed, apps, now)).collect();
    let next = next.map(|next| next.to_hex());
    page.next = next.map(|next| link("sessions", &[("owner", &page.owner), ("app", &page.app), ("after", &next)]));
    page.searched = searched.map(|searched| output::sessions(searched as u64));
    page.end = owner.filter(|_| !page.rows.is_empty()).map(|owner| link("owners/end", &[("owner", owner)]));
    page::html("sessions.html", &page)
}

/// The only live session whose digest begins with these digits.
async fn find(digits: &str, console: &Console, now: u64) -> Result<Digest> {
    let prefix: DigestPrefix = digits.parse().map_err(bad)?;
    let found = ask(async { Ok::<_, Failure>(prefix.resolve(&*console.admin.store, now).await) }).await?;
    match found {
        Ok(Some(digest)) => Ok(digest),
        Ok(None) => Err(Failure::not_found(format!("No live session has a digest that begins with {prefix}."))),
        Err(error) if error.is::<lemon_session_host::store::Error>() => Err(Failure::Store(output::causes(&error))),
        // There are several.
        Err(error) => Err(bad(error.to_string())),
    }
}

fn bad(text: String) -> Failure {
    Failure::Refused(StatusCode::BAD_REQUEST, text)
}

struct Found {
    /// With the names of their applications.
    sessions: Vec<(Listed, Vec<String>)>,
    /// The last one of this page, if there are more.
    next: Option<Digest>,
    searched: Option<usize>,
}

async fn all(inspect: &dyn Inspect, owner: Option<&str>, after: Option<Digest>, now: u64) -> Result<Found> {
    let mut listed = ask(inspect.list(now, owner, after.as_ref(), PAGE as u32 + 1)).await?;
    let more = listed.len() > PAGE;
    listed.truncate(PAGE);
    let next = listed.last().filter(|_| more).map(|last| last.digest);
    Ok(Found { sessions: ask(with_apps(inspect, listed, now)).await?, next, searched: None })
}

/// Those with variables of an application. A session may also have variables of others.
async fn of_app(
    inspect: &dyn Inspect,
    owner: Option<&str>,
    app: &str,
    after: Option<Digest>,
    now: u64,
) -> Result<Found> {
    let listed = ask(inspect.list(now, owner, after.as_ref(), SEARCHED as u32 + 1)).await?;
    let (mut sessions, mut searched, mut next) = (Vec::new(), 0, None);
    let is_all = listed.len() <= SEARCHED;
    let batches: Vec<_> = listed.chunks(PAGE).take(SEARCHED / PAGE).map(<[Listed]>::to_vec).collect();
    let count = batches.len();
    for (i, batch) in batches.into_iter().enumerate() {
        searched += batch.len();
        next = batch.last().map(|last| last.digest).filter(|_| i + 1 < count || !is_all);
        let batch = ask(with_apps(inspect, batch, now)).await?;
        sessions.extend(batch.into_iter().filter(|(_, apps)| apps.iter().any(|own| own == app)));
        // A batch is not split, so a page can be almost twice as long.
        if sessions.len() >= PAGE {
            break;
        }
    }
    Ok(Found { sessions, next, searched: Some(searched) })
}

/// Sessions with the names of their applications; none where the store cannot tell.
async fn with_apps(inspect: &dyn Inspect, listed: Vec<Listed>, now: u64) -> Result<Vec<(Listed, Vec<String>)>> {
    let described = stream::iter(listed).map(|listed| async move {
        let mut apps: Vec<_> = match inspect.describe(&listed.digest, now).await {
            Ok(Some((_, variables))) => variables.into_iter().map(|(app, ..)| app).collect(),
            // It has ended meanwhile.
            Ok(None) => Vec::new(),
            Err(error) if error.is_unsupported() => Vec::new(),
            Err(error) => return Err(Failure::from(error)),
        };
        apps.dedup();
        Ok((listed, apps))
    });
    let described: Vec<_> = described.buffered(AT_ONCE).collect().await;
    described.into_iter().collect()
}

impl Row {
    fn new(Listed { digest, record }: &Listed, apps: &[String], now: u64) -> Self {
        Self {
            href: href(digest),
            digest: digest.to_hex()[..16].to_owned(),
            owner: record.owner.as_deref().map(Link::to_owner),
            apps: apps.iter().map(|app| Link::to_app(app)).collect(),
            size: output::bytes(record.size),
            used: output::ago(record.accessed, now),
            expires: output::ahead(record.expires, now),
        }
    }
}
