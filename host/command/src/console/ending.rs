//! Ends one session, or all of an owner, after the operator has confirmed it.

use std::time::Duration;

use http::Response;
use lemon_session_host::store::{DestroyCondition, Digest};
use serde::Serialize;

use super::{
    Console, LISTED,
    failure::{Result, ask, inspect, within},
    page::{self, Frame, Place},
    response::{self, Body, link},
    session,
    sessions::{Link, href},
    sign_in::Visit,
};
use crate::output;

/// Sessions to count at most for a confirmation.
const COUNTED: u64 = 100_000;
/// The time limit for ending all sessions of an owner. After that, those that were ended stay so.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Serialize)]
struct Page {
    frame: Frame,
    /// How many sessions would be ended: `3 sessions`.
    what: String,
    owner: Option<Link>,
    /// Of the one session.
    digest: Option<String>,
    /// Where the form goes.
    action: String,
    /// Where nothing is done.
    back: String,
    is_any: bool,
}

/// Asks whether to end a session.
pub async fn ask_for_one(console: &Console, digest: &Digest) -> Result<Response<Body>> {
    let (record, _) = session::describe(console, digest, output::now()).await?;
    page::html(
        "ending.html",
        Page {
            frame: Frame::new("End a session", Place::Sessions, None),
            what: output::sessions(1),
            owner: record.owner.as_deref().map(Link::to_owner),
            digest: Some(digest.to_hex()),
            action: link(&format!("sessions/{}/end", digest.to_hex()), &[]),
            back: href(digest),
            is_any: true,
        },
    )
}

/// Ends it.
pub async fn end_one(console: &Console, digest: &Digest, visit: &Visit) -> Result<Response<Body>> {
    let store = &console.admin.store;
    let ended = ask(store.destroy(digest, &DestroyCondition::Any, output::now(), console.remember)).await?;
    let short = &digest.to_hex()[..16];
    let message = if ended {
        tracing::info!("ended the session {} from the console", &short[..8]);
        format!("The session {short} has ended.")
    } else {
        format!("The session {short} had ended already.")
    };
    console.tally.forget().await;
    visit.say(&message).await?;
    Ok(response::redirect(&link("sessions", &[])))
}

/// Asks whether to end all sessions of an owner.
pub async fn ask_for_all(console: &Console, owner: &str) -> Result<Response<Body>> {
    let (count, is_all) = count(console, owner).await?;
    page::html(
        "ending.html",
        Page {
            frame: Frame::new("End all sessions of an owner", Place::Sessions, None),
            what: format!("{}{}", if is_all { "" } else { "at least " }, output::sessions(count)),
            owner: Some(Link::to_owner(owner)),
            digest: None,
            action: link("owners/end", &[("owner", owner)]),
            back: link("sessions", &[("owner", owner)]),
            is_any: count > 0,
        },
    )
}

/// How many sessions an owner has, and whether all were counted.
async fn count(console: &Console, owner: &str) -> Result<(u64, bool)> {
    let (inspect, now) = (inspect(&*console.admin.store)?, output::now());
    let (mut count, mut after) = (0, None);
    while count < COUNTED {
        let page = ask(inspect.list(now, Some(owner), after.as_ref(), LISTED)).await?;
        count += page.len() as u64;
        match page.last() {
            Some(last) if page.len() == LISTED as usize => after = Some(last.digest),
            _ => return Ok((count, true)),
        }
    }
    Ok((count, false))
}

/// Ends them.
pub async fn end_all(console: &Console, owner: &str, visit: &Visit) -> Result<Response<Body>> {
    let ended = console.admin.store.destroy_owned(owner, None, output::now(), console.remember);
    let ended = within(PATIENCE, ended).await?;
    tracing::info!("ended {} of an owner from the console", output::sessions(ended));
    console.tally.forget().await;
    visit.say(&format!("Ended {} of {}.", output::sessions(ended), output::name(owner))).await?;
    Ok(response::redirect(&link("sessions", &[])))
}
