//! axum, and the least that makes a session: a cookie, and two statements of SQLite by hand. With the argument `FULL` a
//! save survives a power failure.

use std::{
    cell::OnceCell,
    sync::{Arc, Mutex},
    time::{SystemTime, UNIX_EPOCH},
};

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, header},
    response::{Html, IntoResponse, Response},
    routing::get,
};
use peers::{VARIABLE1, arguments, none, page, serve};
use rand::RngExt as _;
use rusqlite::{Connection, OptionalExtension as _, params};
use sha2::{Digest as _, Sha256};

const EXPIRES: i64 = 1440;

struct Site {
    file: String,
    writer: Mutex<Connection>,
}

thread_local! {
    static READER: OnceCell<Connection> = const { OnceCell::new() };
}

impl Site {
    /// `variable1` and `count` of a live session.
    fn load(&self, key: &[u8]) -> Option<(String, i64)> {
        READER.with(|reader| {
            let reader = reader.get_or_init(|| Connection::open(&self.file).expect("the file can be opened"));
            reader
                .prepare_cached("SELECT variable1, count FROM session WHERE key = ?1 AND expires > ?2")
                .expect("the statement is right")
                .query_row(params![key, now()], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()
                .expect("SQLite answers")
        })
    }
}

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later than 1970").as_secs() as i64
}

fn key(headers: &HeaderMap) -> Option<[u8; 32]> {
    let cookies = headers.get(header::COOKIE)?.to_str().ok()?;
    let id = cookies.split(';').find_map(|cookie| cookie.trim().strip_prefix("id="))?;
    Some(Sha256::digest(id).into())
}

async fn count(State(site): State<Arc<Site>>, headers: HeaderMap) -> Response {
    if let Some(key) = key(&headers)
        && let Some((variable1, _)) = site.load(&key)
    {
        let writer = site.writer.lock().expect("no writer panics");
        let count = writer
            .prepare_cached("UPDATE session SET count = count + 1, expires = ?2 WHERE key = ?1 RETURNING count")
            .expect("the statement is right")
            .query_row(params![key, now() + EXPIRES], |row| row.get(0))
            .expect("SQLite answers");
        return page(&variable1, count).into_response();
    }
    let id = hex::encode(rand::rng().random::<[u8; 32]>());
    let key: [u8; 32] = Sha256::digest(&id).into();
    site.writer
        .lock()
        .expect("no writer panics")
        .prepare_cached("INSERT INTO session (key, expires, variable1, count) VALUES (?1, ?2, ?3, 1)")
        .expect("the statement is right")
        .execute(params![key, now() + EXPIRES, VARIABLE1])
        .expect("SQLite answers");
    let cookie = format!("id={id}; Path=/; HttpOnly; SameSite=Lax; Max-Age={EXPIRES}");
    ([(header::SET_COOKIE, cookie)], page(VARIABLE1, 1)).into_response()
}

async fn read(State(site): State<Arc<Site>>, headers: HeaderMap) -> Html<String> {
    let variable1 = key(&headers).and_then(|key| site.load(&key)).map(|(variable1, _)| variable1);
    page(variable1.as_deref().unwrap_or("not set"), 0)
}

#[tokio::main]
async fn main() {
    let (port, file, rest) = arguments();
    let writer = Connection::open(&file).expect("the file can be opened");
    writer.pragma_update(None, "journal_mode", "WAL").expect("SQLite knows this pragma");
    let synchronous = rest.first().map_or("NORMAL", String::as_str);
    writer.pragma_update(None, "synchronous", synchronous).expect("SQLite knows this pragma");
    writer
        .execute_batch(
            "CREATE TABLE IF NOT EXISTS session
                (key BLOB PRIMARY KEY, expires INTEGER NOT NULL, variable1 TEXT NOT NULL, count INTEGER NOT NULL)
                WITHOUT ROWID, STRICT",
        )
        .expect("the table can be created");
    let site = Arc::new(Site { file, writer: Mutex::new(writer) });
    let router = Router::new().route("/", get(count)).route("/read", get(read)).route("/none", get(none));
    serve(port, router.with_state(site)).await;
}
