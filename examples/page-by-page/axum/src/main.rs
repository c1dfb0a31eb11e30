//! The page on axum, with the layer of `examples/axum`.

#[path = "../../values.rs"]
mod values;

use std::{env, fmt::Write as _};

use anyhow::{Error, Result};
use axum::{
    Router, middleware,
    routing::{get, post},
};
use axum_sessions::session::{self, Failure, Site, Visitor};
use lemon_session_host::{
    SessionCtx, Sessions, Settings, Stores,
    sessions::{self, Value},
    settings::CookieSettings,
    store::{StorageOptions, TableName},
};
use lemon_session_redis::Redis;
use tokio::net::TcpListener;

async fn page(visitor: Visitor) -> Result<String, Failure> {
    if visitor.created().await? {
        return Ok("no session\n".to_owned());
    }
    let mut lines = String::new();
    for (name, value) in visitor.entries().await? {
        let _ = match value {
            Value::Text(text) => writeln!(lines, "{name}: {text}"),
            other => writeln!(lines, "{name}: {other:?}"),
        };
    }
    Ok(lines)
}

/// A field of a form.
fn field(form: &str, name: &str) -> Result<String, Failure> {
    let found = form_urlencoded::parse(form.as_bytes()).find(|(field, _)| field == name);
    let value = found.ok_or_else(|| sessions::Error::InvalidOption(format!("the form has no field {name}")))?.1;
    Ok(value.into_owned())
}

/// Other sites cannot send a visitor's session along: its cookie is `SameSite=Lax`.
async fn set(visitor: Visitor, form: String) -> Result<&'static str, Failure> {
    visitor.set(&field(&form, "name")?, field(&form, "value")?).await?;
    Ok("set\n")
}

async fn login(visitor: Visitor, form: String) -> Result<String, Failure> {
    let user = field(&form, "user")?;
    visitor.regenerate_id().await?;
    visitor.set_owner(Some(&user)).await?;
    visitor.set("user", user.as_str()).await?;
    Ok(format!("welcome, {user}\n"))
}

async fn logout(visitor: Visitor) -> Result<&'static str, Failure> {
    visitor.destroy().await?;
    Ok("goodbye\n")
}

async fn set_values(visitor: Visitor) -> Result<&'static str, Failure> {
    for (name, value) in values::values() {
        visitor.set(name, value).await?;
    }
    Ok("set\n")
}

async fn compare_values(visitor: Visitor) -> Result<String, Failure> {
    let mut different = Vec::new();
    for (name, value) in values::values() {
        if visitor.get(name).await? != Some(value) {
            different.push(name);
        }
    }
    Ok(format!("different: {}\n", if different.is_empty() { "none".to_owned() } else { different.join(" ") }))
}

#[tokio::main]
async fn main() -> Result<()> {
    let variable = |name, default: &str| env::var(name).unwrap_or_else(|_| default.to_owned());
    let table = TableName::new(&variable("TABLE", "Session")).map_err(Error::msg)?;
    let url = variable("STORAGE", "redis://127.0.0.1:6379");
    let driver = Redis::open(StorageOptions { table, ..StorageOptions::new(url) }).await?;
    driver.set_up().await?;
    let settings = Settings {
        app: "shop".to_owned(),
        expires: 60 * 60,
        lazy: true,
        cookie: CookieSettings { name: Some("visitor".to_owned()), ..CookieSettings::default() },
        ..Settings::default()
    };
    let ctx = SessionCtx::builder(Stores::single(driver)).settings(settings).build()?;
    let site = Site { sessions: Sessions::new(ctx)?, app: "shop", https: false };

    let routes = Router::new()
        .route("/", get(page))
        .route("/set", post(set))
        .route("/login", post(login))
        .route("/logout", post(logout))
        .route("/values", get(compare_values).post(set_values))
        .route_layer(middleware::from_fn_with_state(site, session::layer));
    let listener = TcpListener::bind(format!("127.0.0.1:{}", variable("PORT", "8003"))).await?;
    println!("axum on http://{}", listener.local_addr()?);
    axum::serve(listener, routes).await?;
    Ok(())
}
