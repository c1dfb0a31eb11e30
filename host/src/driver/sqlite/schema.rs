//! The tables, and every statement that is run on them.
//!
//! Four tables, named after the one that is configured (here `Session`):
//!
//! - `Session`: a row for each session, live or expired. Its number, `id`, stays the same when the key changes, so a rename
//!   touches no variable.
//! - `Session_variable`: the variables, clustered by session, application and name, so that a load is one search and one
//!   scan. Values longer than [`INLINE`] lie in `Session_large`, out of the way of that scan.
//! - `Session_former`: the keys that have ended. One within its grace has the number of its session.
//! - `Session_meta`: the version of this layout.
//!
//! A key is in `Session` or in `Session_former`, never in both.

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior};

use crate::driver::TableName;

/// The version of the layout.
const VERSION: i64 = 1;

/// The longest value, in bytes, that is kept beside the names. A row of a table without row ids may fill a quarter of a
/// page; longer ones would be spread over two.
pub const INLINE: usize = 400;

/// The version of the tables in a database.
#[derive(Debug, PartialEq, Eq)]
pub enum Version {
    /// There are no tables.
    None,
    /// The tables are those this version knows.
    Current,
    /// The tables have another version.
    Other(i64),
}

/// Which version of the tables there is.
pub fn version(connection: &Connection, table: &TableName) -> rusqlite::Result<Version> {
    let exists = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1 COLLATE NOCASE";
    if !connection.prepare(exists)?.exists([format!("{table}_meta")])? {
        return Ok(Version::None);
    }
    let version = format!("SELECT version FROM \"{table}_meta\"");
    Ok(match connection.query_row(&version, [], |row| row.get(0)).optional()? {
        Some(VERSION) => Version::Current,
        other => Version::Other(other.unwrap_or(0)),
    })
}

/// Creates the tables unless they are there; returns the version that was there.
pub fn create(connection: &mut Connection, table: &TableName) -> rusqlite::Result<Version> {
    let transaction = Transaction::new(connection, TransactionBehavior::Immediate)?;
    let found = version(&transaction, table)?;
    if found == Version::None {
        transaction.execute_batch(&format!(
            r#"
            CREATE TABLE "{table}" (
                id INTEGER PRIMARY KEY,
                key BLOB NOT NULL UNIQUE,
                created INTEGER NOT NULL,
                accessed INTEGER NOT NULL,
                expires INTEGER NOT NULL,
                ends INTEGER,
                renewed INTEGER NOT NULL,
                owner TEXT,
                version INTEGER NOT NULL,
                size INTEGER NOT NULL
            ) STRICT;
            CREATE INDEX "{table}_expires" ON "{table}" (expires);
            CREATE INDEX "{table}_owner" ON "{table}" (owner, key) WHERE owner IS NOT NULL;

            CREATE TABLE "{table}_variable" (
                session INTEGER NOT NULL,
                app TEXT NOT NULL,
                name TEXT NOT NULL,
                large INTEGER,      -- the row of the value, if it is long,
                bytes INTEGER,      -- and how long it is
                value BLOB,
                PRIMARY KEY (session, app, name)
            ) STRICT, WITHOUT ROWID;
            CREATE TABLE "{table}_large" (
                id INTEGER PRIMARY KEY,
                value BLOB NOT NULL
            ) STRICT;

            CREATE TABLE "{table}_former" (
                key BLOB PRIMARY KEY,
                session INTEGER,    -- the session it leads to,
                until INTEGER,      -- until when,
                nonce BLOB,         -- and the nonce of its grace
                forget INTEGER NOT NULL,
                reused INTEGER NOT NULL DEFAULT 0
            ) STRICT, WITHOUT ROWID;
            CREATE INDEX "{table}_former_forget" ON "{table}_former" (forget);
            CREATE INDEX "{table}_former_session" ON "{table}_former" (session) WHERE session IS NOT NULL;

            CREATE TABLE "{table}_meta" (version INTEGER NOT NULL) STRICT;
            INSERT INTO "{table}_meta" VALUES ({VERSION});
            "#
        ))?;
    }
    transaction.commit()?;
    Ok(found)
}

/// Removes the tables.
pub fn drop(connection: &mut Connection, table: &TableName) -> rusqlite::Result<()> {
    let transaction = Transaction::new(connection, TransactionBehavior::Immediate)?;
    for part in ["", "_variable", "_large", "_former", "_meta"] {
        transaction.execute_batch(&format!("DROP TABLE IF EXISTS \"{table}{part}\""))?;
    }
    transaction.commit()
}

macro_rules! statements {
    ($($(#[$doc:meta])* $name:ident: $sql:literal;)+) => {
        /// The statements, with the names of the tables in them.
        pub struct Statements {
            $($(#[$doc])* pub $name: String,)+
        }

        impl Statements {
            /// The statements on a table.
            pub fn new(table: &TableName) -> Self {
                Self { $($name: $sql.replace("{t}", table.as_str()),)+ }
            }
        }
    };
}

statements! {
    load: r#"SELECT s.created, s.accessed, s.expires, s.ends, s.renewed, s.owner, s.version, s.size, v.name, v.bytes,
        CASE WHEN v.large IS NULL THEN v.value
             WHEN v.bytes <= ?3 THEN (SELECT l.value FROM "{t}_large" l WHERE l.id = v.large) END
        FROM "{t}" s LEFT JOIN "{t}_variable" v ON v.session = s.id AND v.app = ?2
        WHERE s.key = ?1 ORDER BY v.name"#;
    key_of: r#"SELECT key FROM "{t}" WHERE id = ?1"#;
    fetch: r#"SELECT coalesce(v.value, (SELECT l.value FROM "{t}_large" l WHERE l.id = v.large))
        FROM "{t}" s JOIN "{t}_variable" v ON v.session = s.id AND v.app = ?2 AND v.name = ?3
        WHERE s.key = ?1 AND s.expires > ?4"#;
    former: r#"SELECT session, until, nonce, forget FROM "{t}_former" WHERE key = ?1"#;
    count: r#"SELECT count(*) FROM "{t}" WHERE expires > ?1"#;
    reused: r#"SELECT coalesce(sum(reused), 0) FROM "{t}_former" WHERE forget > ?1"#;
    list: r#"SELECT created, accessed, expires, ends, renewed, owner, version, size, key FROM "{t}"
        WHERE key > ?1 AND expires > ?2 ORDER BY key LIMIT ?3"#;
    list_owned: r#"SELECT created, accessed, expires, ends, renewed, owner, version, size, key FROM "{t}"
        WHERE owner = ?4 AND key > ?1 AND expires > ?2 ORDER BY key LIMIT ?3"#;
    describe: r#"SELECT s.created, s.accessed, s.expires, s.ends, s.renewed, s.owner, s.version, s.size, v.app, v.name,
        coalesce(v.bytes, length(v.value))
        FROM "{t}" s LEFT JOIN "{t}_variable" v ON v.session = s.id
        WHERE s.key = ?1 AND s.expires > ?2 ORDER BY v.app, v.name"#;
    export: r#"SELECT s.created, s.accessed, s.expires, s.ends, s.renewed, s.owner, s.version, s.size, v.app, v.name,
        coalesce(v.value, (SELECT l.value FROM "{t}_large" l WHERE l.id = v.large))
        FROM "{t}" s LEFT JOIN "{t}_variable" v ON v.session = s.id
        WHERE s.key = ?1 AND s.expires > ?2 ORDER BY v.app, v.name"#;

    find: r#"SELECT id, accessed, expires, ends, version, size FROM "{t}" WHERE key = ?1"#;
    create: r#"INSERT INTO "{t}" (key, created, accessed, expires, ends, renewed, owner, version, size)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 0) ON CONFLICT DO NOTHING"#;
    replace: r#"UPDATE "{t}" SET created = ?2, accessed = max(accessed, ?3), expires = max(expires, ?4), ends = ?5,
        renewed = ?6, owner = ?7, version = ?8, size = 0 WHERE id = ?1"#;
    resize: r#"UPDATE "{t}" SET size = ?2 WHERE id = ?1"#;
    change: r#"UPDATE "{t}" SET accessed = ?2, version = ?3, size = ?4 WHERE id = ?1"#;
    change_expires: r#"UPDATE "{t}" SET accessed = ?2, version = ?3, size = ?4, expires = ?5 WHERE id = ?1"#;
    set_owner: r#"UPDATE "{t}" SET owner = ?2 WHERE id = ?1"#;
    rename: r#"UPDATE "{t}" SET key = ?2, renewed = ?3 WHERE id = ?1"#;
    remove: r#"DELETE FROM "{t}" WHERE id = ?1"#;

    old_value: r#"SELECT coalesce(bytes, length(value)), large FROM "{t}_variable"
        WHERE session = ?1 AND app = ?2 AND name = ?3"#;
    write: r#"INSERT INTO "{t}_variable" (session, app, name, value, large, bytes) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
        ON CONFLICT DO UPDATE SET value = excluded.value, large = excluded.large, bytes = excluded.bytes"#;
    delete: r#"DELETE FROM "{t}_variable" WHERE session = ?1 AND app = ?2 AND name = ?3"#;
    insert_large: r#"INSERT INTO "{t}_large" (value) VALUES (?1)"#;
    replace_large: r#"UPDATE "{t}_large" SET value = ?2 WHERE id = ?1"#;
    delete_large: r#"DELETE FROM "{t}_large" WHERE id = ?1"#;
    app_size: r#"SELECT coalesce(sum(octet_length(name) + coalesce(bytes, length(value))), 0) FROM "{t}_variable"
        WHERE session = ?1 AND app = ?2"#;
    clear_large: r#"DELETE FROM "{t}_large" WHERE id IN
        (SELECT large FROM "{t}_variable" WHERE session = ?1 AND app = ?2 AND large IS NOT NULL)"#;
    clear: r#"DELETE FROM "{t}_variable" WHERE session = ?1 AND app = ?2"#;
    remove_large: r#"DELETE FROM "{t}_large" WHERE id IN
        (SELECT large FROM "{t}_variable" WHERE session = ?1 AND large IS NOT NULL)"#;
    remove_variables: r#"DELETE FROM "{t}_variable" WHERE session = ?1"#;

    seal: r#"UPDATE "{t}_former" SET session = NULL WHERE session = ?1"#;
    remember: r#"INSERT INTO "{t}_former" (key, session, until, nonce, forget) VALUES (?1, ?2, ?3, ?4, ?5)"#;
    forget: r#"DELETE FROM "{t}_former" WHERE key = ?1 AND forget <= ?2"#;
    is_former: r#"SELECT 1 FROM "{t}_former" WHERE key = ?1"#;
    count_reuse: r#"UPDATE "{t}_former" SET reused = reused + 1 WHERE key = ?1"#;
    owned: r#"SELECT id, key FROM "{t}" WHERE owner = ?1 AND expires > ?2"#;
    expired: r#"SELECT id FROM "{t}" WHERE expires <= ?1 LIMIT ?2"#;
    forget_some: r#"DELETE FROM "{t}_former" WHERE key IN
        (SELECT key FROM "{t}_former" WHERE forget <= ?1 LIMIT ?2)"#;
}
