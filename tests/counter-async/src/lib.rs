//! Routes of examples/counter as a service of WASI 0.3, which answer alike: `/`, `/read`, `/none`, `/set`, `/slow-set`, `/get`, `/add`,
//! `/keys`, `/app`, `/login` and `/destroy`. Many requests share one instance, so that a request which blocked it would be noticed.

#![cfg(target_family = "wasm")]

mod http;

wit_bindgen::generate!({
    inline: "package test:counter-async;
             world page { include lemon:session/application-async@0.1.0; }",
    path: "wit",
    generate_all,
});

use std::{borrow::Cow, str::FromStr};

use lemon::session::{
    sessions::Options,
    sessions_async::{Session, start},
    types::{Error, Header, Location, Value},
};
use wasip3::clocks::monotonic_clock;

use http::{Answer, Request};

struct Counter;

wasip3::http::service::export!(Counter);

impl wasip3::exports::http::handler::Guest for Counter {
    async fn handle(
        request: wasip3::http::types::Request,
    ) -> Result<wasip3::http::types::Response, wasip3::http::types::ErrorCode> {
        let answer = respond(&Request::new(&request)).await.unwrap_or_else(|error| Answer {
            status: status(&error),
            headers: Vec::new(),
            body: text(&error),
        });
        Ok(http::response(answer))
    }
}

async fn respond(request: &Request) -> Result<Answer, Error> {
    if request.path == "/none" {
        return Ok(Answer { status: 200, headers: Vec::new(), body: html("nobody", 0) });
    }
    let session = start(options(request)).await?;
    let body = match request.path.as_str() {
        "/" => {
            if session.created() {
                session.set("variable1".to_owned(), Value::Text("Python Rules!".into())).await?;
            }
            let count = session.add("count".to_owned(), 1).await?;
            html(&variable1(&session).await?, count)
        }
        "/read" => html(&variable1(&session).await?, 0),
        "/set" => set(&session, request).await?,
        "/slow-set" => {
            if let Some(key) = request.parameter("begun") {
                session.set(key.into(), Value::Boolean(true)).await?;
                // Who watches for it has the cookie already.
                session.save().await?;
            }
            let milliseconds: u64 = number(request, "ms")?;
            monotonic_clock::wait_for(milliseconds * 1_000_000).await;
            set(&session, request).await?
        }
        "/get" => match get(&session, request).await? {
            Some(text) => text,
            None => return missing(session.save().await?),
        },
        "/add" => {
            session.add(parameter(request, "key")?, number(request, "delta")?).await?;
            "added".to_owned()
        }
        "/login" => {
            session.regenerate_id().await?;
            session.set_owner(Some(parameter(request, "user")?)).await?;
            "logged in".to_owned()
        }
        "/app" => match get(&session.application(parameter(request, "name")?).await?, request).await? {
            Some(text) => text,
            None => return missing(session.save().await?),
        },
        "/keys" => session.keys().await?.join("\n"),
        "/destroy" => return Ok(Answer { status: 200, headers: session.destroy().await?, body: "destroyed".into() }),
        path => return Ok(Answer { status: 404, headers: Vec::new(), body: format!("there is no route {path}") }),
    };
    Ok(Answer { status: 200, headers: session.save().await?, body })
}

async fn variable1(session: &Session) -> Result<String, Error> {
    Ok(session.get("variable1".to_owned()).await?.map(show).unwrap_or_default())
}

fn html(variable1: &str, count: i64) -> String {
    let variable1 = html_escape::encode_text(variable1);
    format!("<!DOCTYPE html>\n<title>Counter</title>\n<p>variable1: {variable1}</p>\n<p>count: {count}</p>")
}

async fn set(session: &Session, request: &Request) -> Result<String, Error> {
    let value = || Ok(Value::Text(parameter(request, "value")?));
    session.set(parameter(request, "key")?, value()?).await?;
    if let Some(other) = request.parameter("also") {
        let other = session.application(other.into()).await?;
        other.set(parameter(request, "key")?, value()?).await?;
    }
    Ok("set".to_owned())
}

async fn get(session: &Session, request: &Request) -> Result<Option<String>, Error> {
    Ok(session.get(parameter(request, "key")?).await?.map(show))
}

fn missing(headers: Vec<Header>) -> Result<Answer, Error> {
    Ok(Answer { status: 404, headers, body: "no such variable".to_owned() })
}

fn options(request: &Request) -> Options {
    Options {
        app: Some("counter".to_owned()),
        cookies: request.cookies.clone(),
        https: false,
        session_id: None,
        location: Location { storage: None, table: None },
        expires: None,
        cookie: None,
        seed: None,
        cleanup: None,
        strict: None,
        cache_limiter: None,
    }
}

/// As examples/counter has them, as far as a test sees them.
fn status(error: &Error) -> u16 {
    match error {
        Error::Gone | Error::Conflict => 409,
        Error::Storage(_) => 503,
        _ => 400,
    }
}

/// As `lemon_session::Error` shows it, as far as a test reads it.
fn text(error: &Error) -> String {
    match error {
        Error::Gone => "the session has ended".to_owned(),
        other => format!("{other:?}"),
    }
}

fn parameter(request: &Request, name: &str) -> Result<String, Error> {
    let value = request.parameter(name).map(Cow::into_owned);
    value.ok_or_else(|| Error::InvalidOption(format!("the parameter {name} is missing")))
}

fn number<N: FromStr>(request: &Request, name: &str) -> Result<N, Error> {
    parameter(request, name)?.parse().map_err(|_| Error::InvalidValue(format!("{name} is no number")))
}

fn show(value: Value) -> String {
    match value {
        Value::Text(text) => text,
        Value::Integer(number) => number.to_string(),
        other => format!("{other:?}"),
    }
}
