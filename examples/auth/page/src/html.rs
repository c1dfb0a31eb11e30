//! What the pages look like.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use html_escape::{encode_double_quoted_attribute as quoted, encode_text as text};
use lemon_session::manager::Entry;

use crate::Visitor;

const STYLE: &str = include_str!("../style.css");

pub fn page(title: &str, messages: &[String], body: &str) -> String {
    let messages: String = messages.iter().map(|message| format!("<p role=status>{}</p>\n", text(message))).collect();
    format!(
        "<!DOCTYPE html>\n<html lang=en>\n<meta name=viewport content=\"width=device-width\">\n<title>{title}</title>\n\
         <link rel=icon href=data:,>\n<style>{STYLE}</style>\n<main>\n<h1>{title}</h1>\n{messages}{body}\n</main>\n"
    )
}

/// The form, for a user who is known if the password has to be entered again.
pub fn sign_in(user: Option<&str>) -> String {
    let user = user.map_or(String::new(), |user| format!(" value=\"{}\"", quoted(user)));
    format!(
        "<form method=post action=/sign-in>\n<label>Name <input name=user autocomplete=username{user}></label>\n\
         <label>Password <input name=password type=password autocomplete=current-password></label>\n\
         <label><input name=remember type=checkbox value=yes> Remember me on this device</label>\n\
         <button>Sign in</button>\n</form>"
    )
}

pub fn home(visits: i64, visitor: &Visitor) -> String {
    format!(
        "<p>Visit {visits} of {}, signed in {}, last seen {}.</p>\n<p><a href=/devices>Your devices</a></p>\n\
         <form method=post action=/sign-out><button>Sign out</button></form>",
        text(&visitor.user),
        ago(visitor.signed_in),
        ago(visitor.last_seen)
    )
}

/// The sessions of a user, with the one of this `digest` first.
pub fn devices(entries: &[Entry], digest: &str) -> String {
    let (here, others): (Vec<_>, Vec<_>) = entries.iter().partition(|entry| entry.digest == digest);
    let here: String = here.into_iter().map(|entry| device(entry, LABEL)).collect();
    let end = |entry: &Entry| {
        format!(
            "<form method=post action=/devices/end><button name=digest value={}>End this one</button></form>",
            entry.digest
        )
    };
    let rest: String = others.iter().map(|entry| device(entry, &end(entry))).collect();
    let all = if others.is_empty() { "" } else { END_OTHERS };
    format!("<h2>This device</h2>\n{here}<h2>Other devices</h2>\n{rest}{all}<p><a href=/>Back</a></p>")
}

const LABEL: &str = "<form method=post action=/devices/label><label>Its name <input name=label maxlength=60></label>\n\
                     <button>Save</button></form>";
const END_OTHERS: &str = "<form method=post action=/devices/end-others><button>End all others</button></form>\n";

fn device(entry: &Entry, action: &str) -> String {
    let or = |part: &Option<String>, other: &str| text(part.as_deref().unwrap_or(other)).into_owned();
    let signed_in = entry.authenticated_at.map_or(String::new(), |at| format!("signed in {}, ", ago(at)));
    let (label, agent) = (or(&entry.label, "No name"), or(&entry.user_agent, "unknown browser"));
    let address = or(&entry.address, "an unknown address");
    format!(
        "<section><b>{label}</b><br>{agent}, from {address}<br>{signed_in}last used {}\n{action}</section>\n",
        ago(entry.accessed)
    )
}

fn ago(time: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
    match now.saturating_sub(time) / 60 {
        0 => "just now".to_owned(),
        minutes @ 1..60 => format!("{minutes} min ago"),
        minutes @ 60..2880 => format!("{} h ago", minutes / 60),
        minutes => format!("{} days ago", minutes / 1440),
    }
}
