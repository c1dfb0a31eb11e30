//! Routes of examples/counter as a service of WASI 0.3, and on `/` the page of examples/visits. What they share with these, they
//! do alike: `/set`, `/slow-set`, `/get`, `/add`, `/keys`, `/app`, `/login` and `/destroy`. Many requests share one instance, so that a request which
//! blocked it would be noticed.

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
use wasip3::{clocks::monotonic_clock, http::types::Method};

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
            body: format!("{error:?}"),
        });
        Ok(http::response(answer))
    }
}

async fn respond(request: &Request) -> Result<Answer, Error> {
    let begun = |app| start(options(request, app));
    if request.path == "/" {
        return visits(&begun("visits").await?, request).await;
    }
    let session = begun("counter").await?;
    let body = match request.path.as_str() {
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

async fn visits(session: &Session, request: &Request) -> Result<Answer, Error> {
    let key = || "variable1".to_owned();
    let (headers, body) = if session.created() {
        session.set(key(), Value::Text("Python Rules!".into())).await?;
        (session.save().await?, "This is your first visit".to_owned())
    } else if matches!(request.method, Method::Post) {
        (session.destroy().await?, "Session Deleted".to_owned())
    } else {
        let variable1 = show(session.get(key()).await?.unwrap_or(Value::Null));
        (session.save().await?, format!("Welcome back, variable1: {variable1}"))
    };
    Ok(Answer { status: 200, headers, body })
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

fn options(request: &Request, app: &str) -> Options {
    Options {
        app: Some(app.to_owned()),
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

/// As `lemon_session::Error::status` has them, as far as a test sees them.
fn status(error: &Error) -> u16 {
    match error {
        Error::Gone | Error::Conflict => 409,
        Error::Storage(_) => 503,
        _ => 400,
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
