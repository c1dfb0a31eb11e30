//! A CGI program that answers one request, with the least that makes a session, and ends: a cookie, and one statement of SQLite
//! by hand.

use std::time::{SystemTime, UNIX_EPOCH};

use peers::{VARIABLE1, page};
use rand::RngExt as _;
use rusqlite::{Connection, OptionalExtension as _, params};
use sha2::{Digest as _, Sha256};

const EXPIRES: i64 = 1440;

fn main() {
    let file = std::env::args().nth(1).expect("the first argument is the database file");
    let connection = Connection::open(file).expect("the file can be opened");
    connection.pragma_update(None, "journal_mode", "WAL").expect("SQLite knows this pragma");
    connection.pragma_update(None, "synchronous", "NORMAL").expect("SQLite knows this pragma");
    // As with lemon-session, the next request finds the log, and does not begin it anew.
    connection.set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).expect("SQLite knows it");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later than 1970").as_secs() as i64;
    let key = |id: &str| -> [u8; 32] { Sha256::digest(id).into() };

    let cookies = std::env::var("HTTP_COOKIE").unwrap_or_default();
    let found = cookies.split(';').find_map(|cookie| cookie.trim().strip_prefix("id=")).and_then(|id| {
        connection
            .prepare("UPDATE session SET count = count + 1, expires = ?2 WHERE key = ?1 AND expires > ?3 RETURNING variable1, count")
            .expect("the statement is right")
            .query_row(params![key(id), now + EXPIRES, now], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()
            .expect("SQLite answers")
    });
    print!("Content-Type: text/html; charset=utf-8\r\n");
    let (variable1, count): (String, i64) = found.unwrap_or_else(|| {
        let id = hex::encode(rand::rng().random::<[u8; 32]>());
        connection
            .execute_batch(
                "CREATE TABLE IF NOT EXISTS session
                    (key BLOB PRIMARY KEY, expires INTEGER NOT NULL, variable1 TEXT NOT NULL, count INTEGER NOT NULL)
                    WITHOUT ROWID, STRICT",
            )
            .expect("the table can be created");
        connection
            .execute("INSERT INTO session VALUES (?1, ?2, ?3, 1)", params![key(&id), now + EXPIRES, VARIABLE1])
            .expect("SQLite answers");
        print!("Set-Cookie: id={id}; Path=/; HttpOnly; SameSite=Lax; Max-Age={EXPIRES}\r\n");
        (VARIABLE1.to_owned(), 1)
    });
    print!("\r\n{}", page(&variable1, count).0);
}
