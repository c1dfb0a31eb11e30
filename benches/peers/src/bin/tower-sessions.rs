//! axum and tower-sessions, on SQLite through its rusqlite store.

use axum::{Router, response::Html, routing::get};
use peers::{VARIABLE1, arguments, none, page, serve};
use tower_sessions::{Expiry, Session, SessionManagerLayer, cookie::time::Duration};
use tower_sessions_rusqlite_store::{RusqliteStore, tokio_rusqlite::Connection};

async fn count(session: Session) -> Html<String> {
    let count = session.get::<i64>("count").await.expect("the store answers").unwrap_or(0) + 1;
    let variable1 = match session.get::<String>("variable1").await.expect("the store answers") {
        Some(variable1) => variable1,
        None => {
            session.insert("variable1", VARIABLE1).await.expect("the store answers");
            VARIABLE1.to_owned()
        }
    };
    session.insert("count", count).await.expect("the store answers");
    page(&variable1, count)
}

async fn read(session: Session) -> Html<String> {
    let variable1 = session.get::<String>("variable1").await.expect("the store answers");
    page(variable1.as_deref().unwrap_or("not set"), 0)
}

#[tokio::main]
async fn main() {
    let (port, file, _) = arguments();
    let connection = Connection::open(file).await.expect("the file can be opened");
    connection
        .call(|connection| {
            connection.pragma_update(None, "journal_mode", "WAL")?;
            connection.pragma_update(None, "synchronous", "NORMAL")
        })
        .await
        .expect("SQLite knows these pragmas");
    let store = RusqliteStore::new(connection);
    store.migrate().await.expect("the table can be created");
    let layer = SessionManagerLayer::new(store)
        .with_secure(false)
        .with_expiry(Expiry::OnInactivity(Duration::seconds(1440)));
    let sessions = Router::new().route("/", get(count)).route("/read", get(read)).layer(layer);
    serve(port, sessions.route("/none", get(none))).await;
}
