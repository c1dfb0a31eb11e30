//! What tests/tests/languages.rs asks of the Rust side: the page of docs/languages.md, where a request comes from, setting a
//! variable of each kind, and reading them.

use std::{collections::BTreeMap, fmt::Write as _};

use lemon_session::{
    Bytes, Error, Options, Request as _, Result, Session, check_same_origin, from_value,
    wasi_http::{Request, Response},
};
use serde::{Deserialize, Serialize};
use wasip2::http::types::{IncomingRequest, ResponseOutparam};

struct Values;

wasip2::http::proxy::export!(Values);

impl wasip2::exports::http::incoming_handler::Guest for Values {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        respond(&Request::new(&request)).unwrap_or_else(Response::from).send(out);
    }
}

fn page(request: &Request) -> Result<Response> {
    let session = Options::new().app("visits").start(request)?;
    let visits: i64 = session.get("visits")?.unwrap_or(0) + 1;
    session.set("visits", &visits)?;
    Ok(Response::text(format!("This is your visit no. {visits}\n")).headers(session.save()?))
}

fn respond(request: &Request) -> Result<Response> {
    if request.path() == "/page" {
        return page(request);
    }
    if request.path() == "/handy" {
        return handy(request);
    }
    if request.path() == "/form" {
        return form(request);
    }
    if request.path() == "/same-origin" {
        return check_same_origin(request).map(|()| Response::text("from here\n"));
    }
    let session = Options::new().app("values").start(request)?;
    let body = match request.path() {
        "/set" => set(&session)?,
        _ => read(&session)?,
    };
    Ok(Response::text(body).headers(session.save()?))
}

/// Defaults, flash messages, changes and the variables of another session.
fn handy(request: &Request) -> Result<Response> {
    let session = Options::new().app("handy").start(request)?;
    let mut body = format!("{} {}\n", session.modified(), session.accessed());
    let mut say = |line: String| body.extend([line.as_str(), "\n"]);
    say(format!("default {} {}", session.set_default("a", &1)?, session.set_default("a", &2)?));
    session.flash("saved")?;
    session.flash(&BTreeMap::from([("level", "error")]))?;
    say(format!("keys {}, {} {}", session.keys()?.len(), session.modified(), session.accessed()));
    session.set_owner(Some("me"))?;
    let headers = session.save()?;
    say(format!("saved {}", session.modified()));
    let messages: Vec<Message> = session.flashes()?;
    let [Message::Text(first), Message::Level { level }] = &messages[..] else {
        return Err(Error::WrongType(format!("{messages:?}")));
    };
    say(format!("flashes {first} {level}, then {}", session.flashes::<String>()?.len()));
    let again = Options::new().app("handy").session_id("").start(&())?;
    again.set_owner(Some("me"))?;
    let other: BTreeMap<_, _> = again.entries_of(&session.digest())?.into_iter().collect();
    say(format!("of the other {}", from_value::<i64>(other["a"].clone())?));
    say(format!("of none {}", again.entries_of(&"0".repeat(64))?.len()));
    if let Err(Error::InvalidName(_)) = again.entries_of("none") {
        say("InvalidName".to_owned());
    }
    Ok(Response::text(body).headers(headers))
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Message {
    Text(String),
    Level { level: String },
}

/// A form, which needs a token if the request does not tell where it comes from.
fn form(request: &Request) -> Result<Response> {
    let session = Options::new().app("form").start(request)?;
    let body = if request.method() == "POST" {
        let tokens = request.header("x-token");
        session.check_csrf(request, tokens.first().and_then(|token| str::from_utf8(token).ok()))?;
        "accepted".to_owned()
    } else {
        session.csrf_token()?
    };
    Ok(Response::text(format!("{body}\n")).headers(session.save()?))
}

#[derive(Serialize)]
struct Dictionary {
    whole: i64,
    large: i64,
    fraction: f64,
    none: Option<bool>,
    names: Vec<&'static str>,
    inner: BTreeMap<&'static str, [bool; 2]>,
}

fn set(session: &Session) -> Result<String> {
    session.set("null", &())?;
    session.set("boolean", &true)?;
    session.set("integer", &1)?;
    session.set("large", &9_007_199_254_740_993i64)?;
    session.set("smallest", &i64::MIN)?;
    session.set("real", &1.0)?;
    session.set("fraction", &1.5)?;
    session.set("infinity", &f64::INFINITY)?;
    session.set("nan", &f64::NAN)?;
    session.set("minus-zero", &-0.0)?;
    session.set("text", "€ \u{1f600} \0 \"")?;
    session.set("bytes", &Bytes(vec![0, 255, 128]))?;
    session.set("list", &(1, 0.1 + 0.2, "a", None::<u8>, [[false]]))?;
    session.set(
        "dictionary",
        &Dictionary {
            whole: 1,
            large: -9_007_199_254_740_993,
            fraction: 2.5,
            none: None,
            names: vec!["é", "__proto__"],
            inner: BTreeMap::from([("__proto__", [true, false])]),
        },
    )?;
    Ok("set\n".to_owned())
}

fn read(session: &Session) -> Result<String> {
    Ok(session.entries()?.into_iter().fold(String::new(), |mut lines, (key, value)| {
        let _ = writeln!(lines, "{key}: {value:?}");
        lines
    }))
}
