//! The tables, and every statement that is run on them.
//!
//! Four tables, named after the one that is configured (here `Session`):
//!
//! - `Session`: a row for each session, live or expired. Its number, `id`, stays the same when the key changes, so a rename
//!   touches no variable.
//! - `Session_variable`: the variables, clustered by session, application and name, so that a load is one search and one
//!   scan. Values longer than [`INLINE`] lie in `Session_large`, out of the way of that scan. Before a session's variables
//!   stands its head, without application and name: what every save changes lies on the page that the save writes anyway.
//! - `Session_former`: the keys that have ended. One within its grace has the number of its session.
//! - `Session_meta`: the version of this layout.
//!
//! A key is in `Session` or in `Session_former`, never in both.

use lemon_session_store::{
    TableName,
    layout::{self, Parts},
};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior};

/// What brings the tables from one layout to the next. Their layout is how many of these they went through.
const LAYOUTS: &[&str] = &[include_str!("layout_1.sql"), include_str!("layout_2.sql")];

/// The longest value, in bytes, that is kept beside the names. A row of a table without row ids may fill a quarter of a
/// page; longer ones would be spread over two.
pub const INLINE: usize = 400;

/// The layout of the tables in a database.
#[derive(Debug, PartialEq, Eq)]
pub enum Layout {
    /// There are no tables, or some of an older version of this program.
    Older,
    /// The tables are those this version knows.
    Current,
    /// The tables are of a newer version.
    Newer(i64),
}

impl Layout {
    fn new(layout: i64, known: usize) -> Self {
        match usize::try_from(layout) {
            Ok(layout) if layout == known => Self::Current,
            Ok(layout) if layout > known => Self::Newer(layout as i64),
            _ => Self::Older,
        }
    }
}

/// Which layout the tables have; 0 where there are none.
pub fn number(connection: &Connection, table: &TableName) -> rusqlite::Result<i64> {
    let exists = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1 COLLATE NOCASE";
    if !connection.prepare(exists)?.exists([format!("{table}_meta")])? {
        return Ok(0);
    }
    let version = format!("SELECT version FROM \"{table}_meta\"");
    Ok(connection.query_row(&version, [], |row| row.get(0)).optional()?.unwrap_or(0))
}

/// Which layout the tables have.
pub fn layout(connection: &Connection, table: &TableName) -> rusqlite::Result<Layout> {
    number(connection, table).map(|number| Layout::new(number, LAYOUTS.len()))
}

/// Creates the tables, or brings those of an older layout up to date; returns which layout they have then.
pub fn create(connection: &mut Connection, table: &TableName) -> rusqlite::Result<Layout> {
    migrate(connection, table, LAYOUTS)
}

fn migrate(connection: &mut Connection, table: &TableName, layouts: &[&str]) -> rusqlite::Result<Layout> {
    let transaction = Transaction::new(connection, TransactionBehavior::Immediate)?;
    let found = number(&transaction, table)?;
    let Some(steps) = usize::try_from(found).ok().and_then(|found| layouts.get(found..)) else {
        return Ok(Layout::new(found, layouts.len()));
    };
    if !steps.is_empty() {
        for step in steps {
            transaction.execute_batch(&step.replace("{table}", table.as_str()))?;
        }
        transaction.execute_batch(&format!(
            "CREATE TABLE IF NOT EXISTS \"{table}_meta\" (version INTEGER NOT NULL) STRICT;
            DELETE FROM \"{table}_meta\"; INSERT INTO \"{table}_meta\" VALUES ({})",
            layouts.len()
        ))?;
    }
    transaction.commit()?;
    Ok(Layout::Current)
}

/// What differs between the tables that are there and those that are created.
pub fn differences(connection: &Connection, table: &TableName) -> rusqlite::Result<Vec<String>> {
    let mut expected = Connection::open_in_memory()?;
    create(&mut expected, table)?;
    Ok(layout::differences(&parts(&expected, table)?, &parts(connection, table)?))
}

fn parts(connection: &Connection, table: &TableName) -> rusqlite::Result<Parts> {
    let columns = "SELECT 'column ' || t.name || '.' || c.name, c.type || iif(c.\"notnull\", ' not null', '')
        FROM sqlite_schema t JOIN pragma_table_xinfo(t.name) c
        WHERE t.type = 'table' AND t.name COLLATE NOCASE IN (?1, ?1 || '_variable', ?1 || '_large', ?1 || '_former')";
    let indexes = "SELECT 'index ' || t.name || ' (' || coalesce(i.name, '') || ')',
            (SELECT group_concat(c.name, ', ') FROM pragma_index_info(i.name) c) || iif(i.\"unique\", ', unique', '')
        FROM sqlite_schema t JOIN pragma_index_list(t.name) i
        WHERE t.type = 'table' AND t.name COLLATE NOCASE IN (?1, ?1 || '_variable', ?1 || '_large', ?1 || '_former')";
    let mut parts = Parts::new();
    for sql in [columns, indexes] {
        let mut rows = connection.prepare(sql)?;
        let rows = rows.query_map([table.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))?;
        parts.extend(rows.collect::<rusqlite::Result<Vec<_>>>()?);
    }
    Ok(parts)
}

/// Removes the tables.
pub fn drop(connection: &mut Connection, table: &TableName) -> rusqlite::Result<()> {
    let transaction = Transaction::new(connection, TransactionBehavior::Immediate)?;
    for part in ["", "_variable", "_large", "_former", "_meta"] {
        transaction.execute_batch(&format!("DROP TABLE IF EXISTS \"{table}{part}\""))?;
    }
    transaction.commit()
}

/// Joins a session `s` with its head `h`.
const HEAD: &str = r#"JOIN "{t}_variable" h ON h.session = s.id AND h.app = '' AND h.name = ''"#;

macro_rules! statements {
    ($($(#[$doc:meta])* $name:ident: $sql:literal;)+) => {
        /// The statements, with the names of the tables in them.
        pub struct Statements {
            $($(#[$doc])* pub $name: String,)+
        }

        impl Statements {
            /// The statements on a table.
            pub fn new(table: &TableName) -> Self {
                Self { $($name: $sql.replace("{head}", HEAD).replace("{t}", table.as_str()),)+ }
            }
        }
    };
}

statements! {
    load: r#"SELECT s.created, h.accessed, s.expires, s.ends, s.renewed, s.owner, h.version, h.size, v.name, v.bytes,
        CASE WHEN v.large IS NULL THEN v.value
             WHEN v.bytes <= ?3 THEN (SELECT l.value FROM "{t}_large" l WHERE l.id = v.large) END
        FROM "{t}" s {head}
        LEFT JOIN "{t}_variable" v ON v.session = s.id AND v.app = ?2
        WHERE s.key = ?1 ORDER BY v.name"#;
    key_of: r#"SELECT key FROM "{t}" WHERE id = ?1"#;
    leads_to: r#"SELECT id FROM "{t}" WHERE key = ?1
        UNION ALL SELECT session FROM "{t}_former" WHERE key = ?1 AND session IS NOT NULL AND until > ?2"#;
    owned: r#"SELECT id FROM "{t}" WHERE owner = ?1 AND expires > ?2"#;
    fetch: r#"SELECT coalesce(v.value, (SELECT l.value FROM "{t}_large" l WHERE l.id = v.large))
        FROM "{t}" s JOIN "{t}_variable" v ON v.session = s.id AND v.app = ?2 AND v.name = ?3
        WHERE s.key = ?1 AND s.expires > ?4"#;
    former: r#"SELECT session, until, nonce, forget FROM "{t}_former" WHERE key = ?1"#;
    count: r#"SELECT count(*) FROM "{t}" WHERE expires > ?1"#;
    reused: r#"SELECT coalesce(sum(reused), 0) FROM "{t}_former" WHERE forget > ?1"#;
    list: r#"SELECT s.created, h.accessed, s.expires, s.ends, s.renewed, s.owner, h.version, h.size, s.key
        FROM "{t}" s {head}
        WHERE s.key > ?1 AND s.expires > ?2 ORDER BY s.key LIMIT ?3"#;
    list_owned: r#"SELECT s.created, h.accessed, s.expires, s.ends, s.renewed, s.owner, h.version, h.size, s.key
        FROM "{t}" s {head}
        WHERE s.owner = ?4 AND s.key > ?1 AND s.expires > ?2 ORDER BY s.key LIMIT ?3"#;
    describe: r#"SELECT s.created, h.accessed, s.expires, s.ends, s.renewed, s.owner, h.version, h.size, v.app, v.name,
        coalesce(v.bytes, length(v.value))
        FROM "{t}" s {head}
        LEFT JOIN "{t}_variable" v ON v.session = s.id AND v.app > ''
        WHERE s.key = ?1 AND s.expires > ?2 ORDER BY v.app, v.name"#;
    export: r#"SELECT s.created, h.accessed, s.expires, s.ends, s.renewed, s.owner, h.version, h.size, v.app, v.name,
        coalesce(v.value, (SELECT l.value FROM "{t}_large" l WHERE l.id = v.large))
        FROM "{t}" s {head}
        LEFT JOIN "{t}_variable" v ON v.session = s.id AND v.app > ''
        WHERE s.key = ?1 AND s.expires > ?2 ORDER BY v.app, v.name"#;

    find: r#"SELECT s.id, h.accessed, s.expires, s.ends, h.version, h.size
        FROM "{t}" s {head} WHERE s.key = ?1"#;
    create: r#"INSERT INTO "{t}" (key, created, expires, ends, renewed, owner)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING"#;
    create_head: r#"INSERT INTO "{t}_variable" (session, app, name, accessed, version, size)
        VALUES (?1, '', '', ?2, ?3, ?4)"#;
    replace: r#"UPDATE "{t}" SET created = ?2, expires = max(expires, ?3), ends = ?4, renewed = ?5, owner = ?6
        WHERE id = ?1"#;
    change: r#"UPDATE "{t}_variable" SET accessed = ?2, version = ?3, size = ?4
        WHERE session = ?1 AND app = '' AND name = ''"#;
    set_expires: r#"UPDATE "{t}" SET expires = ?2 WHERE id = ?1"#;
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
    clear: r#"DELETE FROM "{t}_variable" WHERE session = ?1 AND app = ?2 AND app > ''"#;
    remove_large: r#"DELETE FROM "{t}_large" WHERE id IN
        (SELECT large FROM "{t}_variable" WHERE session = ?1 AND large IS NOT NULL)"#;
    remove_variables: r#"DELETE FROM "{t}_variable" WHERE session = ?1"#;

    seal: r#"UPDATE "{t}_former" SET session = NULL WHERE session = ?1"#;
    remember: r#"INSERT INTO "{t}_former" (key, session, until, nonce, forget) VALUES (?1, ?2, ?3, ?4, ?5)"#;
    forget: r#"DELETE FROM "{t}_former" WHERE key = ?1 AND forget <= ?2"#;
    is_former: r#"SELECT 1 FROM "{t}_former" WHERE key = ?1"#;
    count_reuse: r#"UPDATE "{t}_former" SET reused = reused + 1 WHERE key = ?1"#;
    is_owned: r#"SELECT 1 FROM "{t}" WHERE id = ?1 AND owner = ?2"#;
    key_of_owned: r#"SELECT key FROM "{t}" WHERE id = ?1 AND owner = ?2 AND expires > ?3"#;
    expired: r#"SELECT id, key FROM "{t}" WHERE expires <= ?1 LIMIT ?2"#;
    forget_some: r#"DELETE FROM "{t}_former" WHERE key IN
        (SELECT key FROM "{t}_former" WHERE forget <= ?1 LIMIT ?2)"#;
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    const NEXT: &[&str] = &[LAYOUTS[0], LAYOUTS[1], r#"ALTER TABLE "{table}" ADD COLUMN device TEXT"#];

    fn fill(connection: &Connection) {
        let session = r#"INSERT INTO "Session" VALUES (1, x'01', 1, 3, 4, 5, 'Ada')"#;
        connection.execute(session, []).expect("a session");
        let variable = r#"INSERT INTO "Session_variable" (session, app, name, value) VALUES (1, 'shop', 'x', x'00')"#;
        connection.execute(variable, []).expect("a variable");
    }

    #[test]
    fn older_layout_is_upgraded_by_one_of_many_hosts_and_loses_no_session() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("sessions.db");
        let (table, open) = (TableName::default(), || Connection::open(&file).expect("the database"));
        let mut first = open();
        assert_eq!(layout(&first, &table), Ok(Layout::Older), "no tables");
        assert_eq!(create(&mut first, &table), Ok(Layout::Current));
        fill(&first);
        thread::scope(|scope| {
            for _ in 0..8 {
                // A second ALTER TABLE would fail.
                scope.spawn(|| assert_eq!(migrate(&mut open(), &table, NEXT), Ok(Layout::Current)));
            }
        });
        let kept =
            r#"SELECT owner || name || hex(value) FROM "Session" s JOIN "Session_variable" v ON v.session = s.id"#;
        assert_eq!(first.query_row(kept, [], |row| row.get::<_, String>(0)).expect("the session"), "Adax00");
        assert_eq!(layout(&first, &table), Ok(Layout::Newer(3)));
        assert_eq!(create(&mut first, &table), Ok(Layout::Newer(3)), "an older program leaves it alone");
        assert_eq!(
            differences(&first, &table).expect("differences"),
            ["column Session.device is not of this layout: TEXT"]
        );
    }

    #[test]
    fn sessions_of_layout_1_have_heads_in_layout_2() {
        let (table, mut connection) = (TableName::default(), Connection::open_in_memory().expect("a database"));
        migrate(&mut connection, &table, &LAYOUTS[..1]).expect("layout 1");
        let session = r#"INSERT INTO "Session" VALUES (1, x'01', 1, 2, 3, 4, 5, 'Ada', 6, 7)"#;
        connection.execute(session, []).expect("a session");
        assert_eq!(create(&mut connection, &table), Ok(Layout::Current));
        let statements = Statements::new(&table);
        let found = connection.query_row(&statements.find, [&b"\x01"[..]], |row| {
            (0..6).map(|column| row.get(column)).collect::<rusqlite::Result<Vec<i64>>>()
        });
        assert_eq!(found, Ok(vec![1, 2, 3, 4, 6, 7]));
        assert_eq!(differences(&connection, &table).expect("differences"), [""; 0]);
    }

    #[test]
    fn upgrade_that_fails_changes_nothing() {
        let (table, mut connection) = (TableName::default(), Connection::open_in_memory().expect("a database"));
        create(&mut connection, &table).expect("create");
        fill(&connection);
        let fails = [LAYOUTS[0], LAYOUTS[1], r#"DELETE FROM "{table}"; CREATE TABLE "{table}" (x)"#];
        migrate(&mut connection, &table, &fails).expect_err("the table is there");
        assert_eq!(layout(&connection, &table), Ok(Layout::Current));
        assert_eq!(connection.query_row(r#"SELECT count(*) FROM "Session""#, [], |row| row.get(0)), Ok(1));
    }

    #[test]
    fn every_difference_is_named() {
        let (table, mut connection) = (TableName::default(), Connection::open_in_memory().expect("a database"));
        create(&mut connection, &table).expect("create");
        assert_eq!(differences(&connection, &table).expect("differences"), [""; 0]);
        connection
            .execute_batch(
                r#"DROP INDEX "Session_owner"; ALTER TABLE "Session_former" DROP COLUMN reused;
                DROP TABLE "Session_large"; CREATE TABLE "Session_large" (id INTEGER PRIMARY KEY, value TEXT);"#,
            )
            .expect("changes");
        assert_eq!(
            differences(&connection, &table).expect("differences"),
            [
                "column Session_former.reused is missing: INTEGER not null",
                "column Session_large.value is TEXT, and should be BLOB not null",
                "index Session (Session_owner) is missing: owner, key",
            ]
        );
    }
}
