//! The pages on axum and tower-sessions, with its store in Redis. fred finds the primary through the sentinels.

use std::{env, fmt::Write as _, time::Duration};

use axum::{Router, extract::Query, http::StatusCode, routing::get};
use serde::Deserialize;
use tower_sessions::{Expiry, Session, SessionManagerLayer, cookie::time};
use tower_sessions_redis_store::{
    RedisStore,
    fred::prelude::{Builder, ClientLike as _, Config, ReconnectPolicy, ServerConfig},
};

/// How long a command and a connection may take.
const TIMEOUT: Duration = Duration::from_secs(1);

#[derive(Deserialize)]
struct Asked {
    #[serde(default)]
    name: String,
    #[serde(default)]
    value: i64,
    /// How long the page works between reading the session and saving it, in milliseconds.
    #[serde(default)]
    wait: u64,
}

type Answer = Result<String, (StatusCode, String)>;

fn failed(error: impl ToString) -> (StatusCode, String) {
    (StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
}

/// The variables, one a line.
async fn variables(session: &Session) -> Answer {
    let mut text = String::new();
    for name in ["a", "b", "count", "user"] {
        if let Some(value) = session.get::<i64>(name).await.map_err(failed)? {
            writeln!(text, "{name}={value}").expect("a string takes text");
        }
    }
    Ok(text)
}

async fn login(session: Session) -> Answer {
    session.insert("user", 1).await.map_err(failed)?;
    variables(&session).await
}

async fn add(session: Session, Query(asked): Query<Asked>) -> Answer {
    let count = session.get::<i64>("count").await.map_err(failed)?.unwrap_or(0);
    tokio::time::sleep(Duration::from_millis(asked.wait)).await;
    session.insert("count", count + 1).await.map_err(failed)?;
    variables(&session).await
}

/// Answers with what it found.
async fn set(session: Session, Query(asked): Query<Asked>) -> Answer {
    let found = variables(&session).await?;
    tokio::time::sleep(Duration::from_millis(asked.wait)).await;
    session.insert(&asked.name, asked.value).await.map_err(failed)?;
    Ok(found)
}

async fn read(session: Session) -> Answer {
    variables(&session).await
}

async fn logout(session: Session) -> Answer {
    session.flush().await.map_err(failed)?;
    Ok(String::new())
}

#[tokio::main]
async fn main() {
    let mut arguments = env::args().skip(1);
    let port: u16 = arguments.next().and_then(|port| port.parse().ok()).expect("the first argument is the port");
    let sentinels: Vec<(String, u16)> = arguments
        .map(|port| ("127.0.0.1".to_owned(), port.parse().expect("further arguments are the ports of sentinels")))
        .collect();
    let config = Config { server: ServerConfig::new_sentinel(sentinels, "main"), ..Config::default() };
    let pool = Builder::from_config(config)
        .with_performance_config(|performance| performance.default_command_timeout = TIMEOUT)
        .with_connection_config(|connection| {
            connection.connection_timeout = TIMEOUT;
            connection.internal_command_timeout = TIMEOUT;
            connection.unresponsive.max_timeout = Some(TIMEOUT);
            connection.unresponsive.interval = TIMEOUT / 4;
        })
        .set_policy(ReconnectPolicy::new_constant(0, 100))
        .build_pool(6)
        .expect("the configuration is right");
    let _connection = pool.connect();
    pool.wait_for_connect().await.expect("the primary answers");
    let layer = SessionManagerLayer::new(RedisStore::new(pool))
        .with_secure(false)
        .with_expiry(Expiry::OnInactivity(time::Duration::seconds(1440)));
    let router = Router::new()
        .route("/login", get(login))
        .route("/add", get(add))
        .route("/set", get(set))
        .route("/read", get(read))
        .route("/logout", get(logout))
        .layer(layer);
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.expect("the port is free");
    axum::serve(listener, router).await.expect("the server runs");
}
