//! A route for each thing a session does: for tests and measurements.
//!
//! | route | what it does |
//! | --- | --- |
//! | `/` | adds one to `count`; shows `variable1` and `count` |
//! | `/read` | shows `variable1` |
//! | `/none` | starts no session |
//! | `/set?key=K&value=V` | sets a variable; `kind=` `text`, `integer`, `real`, `boolean`, `bytes`, `json` or `null` |
//! | `/set?key=K&bytes=N` | sets a text of N bytes |
//! | `/set?…&also=A` | sets the same variable of another application in the same save |
//! | `/get?key=K` | shows a variable |
//! | `/delete?key=K` | removes a variable |
//! | `/keys` | the names of all variables, a line each |
//! | `/add?key=K&delta=N` | adds to an integer |
//! | `/increment?key=K` | reads an integer and sets it to one more: loses updates unless `strict=1` |
//! | `/slow-set?key=K&value=V&ms=N` | starts, waits, then sets and saves |
//! | `/slow-set?…&begun=B` | saves the variable B before it waits: who reads it knows that the request has its session |
//! | `/login?user=U` | gives the session a new id and an owner |
//! | `/login?user=U&method=M` | notes a login by this method |
//! | `/regenerate` | gives the session a new id |
//! | `/destroy` | ends the session |
//! | `/owner/end?user=U` | ends all sessions of an owner; `except=current`: all but this one |
//! | `/app?name=A&key=K&value=V` | sets another application's variable; without a value shows it |
//!
//! Every route that starts a session takes `strict=1`.

mod values;

use std::{borrow::Cow, fmt::Display};

use lemon_session::{
    Error, Headers, Location, Options, Result, Session, manager,
    wasi_http::{Request, Response},
};
use wasip2::{
    clocks::monotonic_clock,
    http::types::{IncomingRequest, ResponseOutparam},
};

struct Counter;

wasip2::http::proxy::export!(Counter);

impl wasip2::exports::http::incoming_handler::Guest for Counter {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let refuse = |error: Error| {
            let status = status(&error);
            Response::from(error).status(status)
        };
        respond(&Request::new(&request)).unwrap_or_else(refuse).send(out);
    }
}

/// Names and values come from the client here, and are not checked: what is wrong with them is the client's mistake.
fn status(error: &Error) -> u16 {
    match error {
        Error::InvalidName(_) | Error::InvalidValue(_) | Error::InvalidOption(_) => 400,
        error => error.status(),
    }
}

fn line(headers: Headers, text: impl Display) -> Response {
    Response::text(format!("{text}\n")).headers(headers)
}

fn respond(request: &Request) -> Result<Response> {
    match request.path() {
        "/" => count(request),
        "/read" => read(request),
        "/none" => Ok(Response::html(html("nobody", 0))),
        "/set" => set(&start(request)?, request),
        "/slow-set" => slow_set(request),
        "/get" => get(request),
        "/delete" => delete(request),
        "/keys" => keys(request),
        "/add" => add(request),
        "/increment" => increment(request),
        "/login" => login(request),
        "/regenerate" => regenerate(request),
        "/destroy" => Ok(line(start(request)?.destroy()?, "destroyed")),
        "/owner/end" => end_owned(request),
        "/app" => application(request),
        path => Ok(Response::text(format!("there is no route {path}\n")).status(404)),
    }
}

fn start(request: &Request) -> Result<Session> {
    let options = Options::new().app("counter");
    match request.parameter("strict") {
        Some(strict) => options.strict(strict == "1").start(request),
        None => options.start(request),
    }
}

fn count(request: &Request) -> Result<Response> {
    let session = start(request)?;
    if session.created() {
        session.set("variable1", "Python Rules!")?;
    }
    let count = session.add("count", 1)?;
    let variable1 = text(&session, "variable1")?;
    Ok(Response::html(html(&variable1, count)).headers(session.save()?))
}

fn read(request: &Request) -> Result<Response> {
    let session = start(request)?;
    let variable1 = text(&session, "variable1")?;
    Ok(Response::html(html(&variable1, 0)).headers(session.save()?))
}

fn set(session: &Session, request: &Request) -> Result<Response> {
    let key = parameter(request, "key")?;
    session.set_value(&key, &values::parse(request)?)?;
    if let Some(other) = request.parameter("also") {
        session.application(&other)?.set_value(&key, &values::parse(request)?)?;
    }
    Ok(line(session.save()?, "set"))
}

fn slow_set(request: &Request) -> Result<Response> {
    let session = start(request)?;
    if let Some(begun) = request.parameter("begun") {
        session.set(&begun, &true)?;
        // Who watches for it has the cookie already.
        let _ = session.save()?;
    }
    let milliseconds = number(request, "ms")?;
    let wait = u64::try_from(milliseconds).ok().and_then(|ms| ms.checked_mul(1_000_000));
    let wait = wait.ok_or_else(|| Error::InvalidValue("ms is a number of milliseconds, 0 or more".to_owned()))?;
    monotonic_clock::subscribe_duration(wait).block();
    set(&session, request)
}

fn get(request: &Request) -> Result<Response> {
    let session = start(request)?;
    let value = session.get_value(&parameter(request, "key")?)?;
    let headers = session.save()?;
    Ok(match value {
        Some(value) => line(headers, values::show(&value)),
        None => line(headers, "no such variable").status(404),
    })
}

fn delete(request: &Request) -> Result<Response> {
    let session = start(request)?;
    let deleted = session.delete(&parameter(request, "key")?)?;
    Ok(line(session.save()?, deleted))
}

fn keys(request: &Request) -> Result<Response> {
    let session = start(request)?;
    let keys = session.keys()?.join("\n");
    Ok(line(session.save()?, keys))
}

fn add(request: &Request) -> Result<Response> {
    let session = start(request)?;
    let sum = session.add(&parameter(request, "key")?, number(request, "delta")?)?;
    Ok(line(session.save()?, sum))
}

fn increment(request: &Request) -> Result<Response> {
    let session = start(request)?;
    let key = parameter(request, "key")?;
    let old: Option<i64> = session.get(&key)?;
    let new =
        old.unwrap_or(0).checked_add(1).ok_or_else(|| Error::InvalidValue(format!("{key} is as large as can be")))?;
    session.set(&key, &new)?;
    Ok(line(session.save()?, new))
}

fn login(request: &Request) -> Result<Response> {
    let session = start(request)?;
    let user = parameter(request, "user")?;
    match request.parameter("method") {
        Some(method) => session.authenticate(&user, &method)?,
        None => {
            session.regenerate_id()?;
            session.set_owner(Some(&user))?;
        }
    }
    Ok(line(session.save()?, format!("welcome, {user}")))
}

fn regenerate(request: &Request) -> Result<Response> {
    let session = start(request)?;
    session.regenerate_id()?;
    Ok(line(session.save()?, "a new id"))
}

fn end_owned(request: &Request) -> Result<Response> {
    let session = start(request)?;
    let current = request.parameter("except").filter(|except| except == "current").map(|_| session.digest());
    let ended = manager::destroy_owned(&Location::default(), &parameter(request, "user")?, current.as_deref())?;
    // Without `except` this session may be one of those that were ended, and then has nothing to save.
    let headers = if current.is_some() { session.save()? } else { Headers::default() };
    Ok(line(headers, ended))
}

fn application(request: &Request) -> Result<Response> {
    let session = start(request)?;
    let other = session.application(&parameter(request, "name")?)?;
    if request.parameter("value").is_some() {
        return set(&other, request);
    }
    let value = other.get_value(&parameter(request, "key")?)?;
    let headers = session.save()?;
    Ok(match value {
        Some(value) => line(headers, values::show(&value)),
        None => line(headers, "no such variable").status(404),
    })
}

fn parameter<'a>(request: &'a Request, name: &str) -> Result<Cow<'a, str>> {
    request.parameter(name).ok_or_else(|| Error::InvalidOption(format!("the parameter {name} is missing")))
}

fn number(request: &Request, name: &str) -> Result<i64> {
    parameter(request, name)?.parse().map_err(|_| Error::InvalidValue(format!("{name} is no integer")))
}

fn text(session: &Session, key: &str) -> Result<String> {
    Ok(session.get_value(key)?.map_or_else(|| "not set".to_owned(), |value| values::show(&value)))
}

fn html(variable1: &str, count: i64) -> String {
    let variable1 = html_escape::encode_text(variable1);
    format!("<!DOCTYPE html>\n<title>Counter</title>\n<p>variable1: {variable1}</p>\n<p>count: {count}</p>\n")
}
