//! A native server on axum whose handlers have sessions: the page of `examples/visits` without WebAssembly.
//!
//! ```sh
//! cargo run -p axum-sessions -- 127.0.0.1:8080 sqlite:sessions.db
//! ```

use std::env;

use anyhow::{Context as _, Result};
use axum::{
    Router, middleware,
    response::Html,
    routing::{get, post},
};
use axum_sessions::session::{self, Failure, Site, Visitor};
use lemon_session_host::{SessionCtx, Sessions, sessions::Value, store::StorageOptions};
use lemon_session_sqlite::Sqlite;
use tokio::{net::TcpListener, signal};

async fn page(visitor: Visitor) -> Result<Html<String>, Failure> {
    let html = if visitor.created().await? {
        visitor.set("variable1", "Python Rules!").await?;
        "<h1>This is your first visit</h1>\n<p>Refresh this page…</p>".to_owned()
    } else {
        let variable1 = match visitor.get("variable1").await? {
            Some(Value::Text(text)) => text,
            _ => "not set".to_owned(),
        };
        format!(
            "<h1>Welcome back</h1>\n<p>variable1: {}</p>\n<form method=\"post\"><button>Destroy session</button></form>",
            html_escape::encode_text(&variable1)
        )
    };
    Ok(Html(html))
}

/// Other sites cannot send a visitor's session along: its cookie is `SameSite=Lax`.
async fn destroy(visitor: Visitor) -> Result<Html<&'static str>, Failure> {
    visitor.destroy().await?;
    Ok(Html("<h1>Session Deleted</h1>"))
}

/// Counts, whatever other requests of the session do meanwhile.
async fn count(visitor: Visitor) -> Result<String, Failure> {
    Ok(visitor.add("count", 1).await?.to_string())
}

fn routes(site: Site) -> Router {
    Router::new()
        .route("/", get(page).post(destroy))
        .route("/count", post(count))
        .route_layer(middleware::from_fn_with_state(site, session::layer))
}

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = env::args().skip(1);
    let address = arguments.next().unwrap_or("127.0.0.1:8080".to_owned());
    let storage = arguments.next().unwrap_or("sqlite:sessions.db".to_owned());

    let driver = Sqlite::open(StorageOptions::new(storage)).await?;
    driver.set_up().await?;
    let ctx = SessionCtx::new(driver);
    let site = Site { sessions: Sessions::new(ctx.clone())?, app: "visits", https: false };

    let listener = TcpListener::bind(&address).await.with_context(|| format!("cannot listen on {address}"))?;
    println!("Serving on http://{}", listener.local_addr()?);
    let stop = async {
        let _ = signal::ctrl_c().await;
    };
    axum::serve(listener, routes(site)).with_graceful_shutdown(stop).await?;
    ctx.close().await?;
    Ok(())
}
