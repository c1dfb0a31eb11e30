//! The tables.
//!
//! Their names begin with the configured one, here `Session`:
//!
//! - `Session`: one row for each session, live or expired. Its number, `id`, stays the same when its digest changes, so an id
//!   rotation touches no variable.
//! - `Session_variable`: the variables, clustered by session, application and name, so that a load is one search and one
//!   scan. Values longer than [`INLINE`] are in `Session_large`, out of the way of that scan.
//! - `Session_tombstone`: the digests that have ended. During the grace of an id rotation, `session` is the session's number.
//! - `Session_meta`: the number of this layout.
//!
//! A digest is in `Session` or in `Session_tombstone`, never in both.

use lemon_session_store::{
    TableName,
    layout::{self, Columns, Foreign, Parts},
};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior};

/// Each script upgrades the tables by one layout. The number of a layout is how many scripts have run.
const LAYOUTS: &[&str] = &[include_str!("layout_1.sql"), include_str!("layout_2.sql"), include_str!("layout_3.sql")];

/// What the names of the tables end with, and columns that they have in every layout. The table of tombstones was `_former`
/// before layout 3.
const TABLES: [(&str, &[&str]); 6] = [
    ("", &["id", "created", "expires", "owner"]),
    ("_variable", &["session", "app", "name", "value"]),
    ("_large", &["id", "value"]),
    ("_tombstone", &["session", "nonce", "forget", "reused"]),
    ("_former", &["session", "nonce", "forget", "reused"]),
    ("_meta", &["version"]),
];

/// The longest value, in bytes, that is kept beside the names. A longer row of a table
/// WITHOUT ROWID, one that fills more than a quarter of a page, would overflow to a second page.
pub const INLINE: usize = 400;

/// The layout of the tables in a database.
#[derive(Debug, PartialEq, Eq)]
pub enum Layout {
    /// There are no tables.
    Missing,
    /// The tables are of an older version of this program.
    Older,
    /// The tables are those this version knows.
    Current,
    /// The tables are of a newer version.
    Newer(i64),
    /// A table with one of the names is of another program.
    Foreign(Foreign),
}

impl Layout {
    fn new(layout: i64, known: usize) -> Self {
        match usize::try_from(layout) {
            Ok(0) => Self::Missing,
            Ok(layout) if layout == known => Self::Current,
            Ok(layout) if layout > known => Self::Newer(layout as i64),
            _ => Self::Older,
        }
    }
}

/// Which layout the tables have; 0 where there are none.
fn number(connection: &Connection, table: &TableName) -> rusqlite::Result<i64> {
    let exists = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1 COLLATE NOCASE";
    if !connection.prepare(exists)?.exists([format!("{table}_meta")])? {
        return Ok(0);
    }
    let version = format!("SELECT version FROM \"{table}_meta\"");
    Ok(connection.query_row(&version, [], |row| row.get(0)).optional()?.unwrap_or(0))
}

/// Which layout the tables have by their number, which is quick: other programs' tables are not noticed.
pub fn layout(connection: &Connection, table: &TableName) -> rusqlite::Result<Layout> {
    number(connection, table).map(|number| Layout::new(number, LAYOUTS.len()))
}

/// Which layout the tables have, or whose they are.
pub fn examine(connection: &Connection, table: &TableName) -> rusqlite::Result<Layout> {
    match foreign(connection, table)? {
        Some(foreign) => Ok(Layout::Foreign(foreign)),
        None => layout(connection, table),
    }
}

/// A table, view or index with one of the names that is not of this program.
fn foreign(connection: &Connection, table: &TableName) -> rusqlite::Result<Option<Foreign>> {
    let named =
        "SELECT c.name FROM sqlite_schema t LEFT JOIN pragma_table_xinfo(t.name) c WHERE t.name = ?1 COLLATE NOCASE";
    let mut named = connection.prepare(named)?;
    let mut found = Columns::new();
    for (end, _) in TABLES {
        let columns = named.query_map([format!("{table}{end}")], |row| row.get::<_, Option<String>>(0))?;
        let columns = columns.collect::<rusqlite::Result<Vec<_>>>()?;
        if !columns.is_empty() {
            found.insert(end.to_owned(), columns.into_iter().flatten().collect());
        }
    }
    let foreign = Foreign::without_column(table, &TABLES, &found);
    Ok(foreign.or_else(|| Foreign::without_meta(table, "_meta", &found)))
}

/// Creates the tables, or brings those of an older layout up to date; returns which layout they have then. Changes nothing if
/// they are newer or of another program.
pub fn create(connection: &mut Connection, table: &TableName) -> rusqlite::Result<Layout> {
    migrate(connection, table, LAYOUTS)
}

fn migrate(connection: &mut Connection, table: &TableName, layouts: &[&str]) -> rusqlite::Result<Layout> {
    let transaction = Transaction::new(connection, TransactionBehavior::Immediate)?;
    if let Some(foreign) = foreign(&transaction, table)? {
        return Ok(Layout::Foreign(foreign));
    }
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
        WHERE t.type = 'table' AND t.name COLLATE NOCASE IN (?1, ?1 || '_variable', ?1 || '_large', ?1 || '_tombstone')";
    let indexes = "SELECT 'index ' || t.name || ' (' || coalesce(i.name, '') || ')',
            (SELECT group_concat(c.name, ', ') FROM pragma_index_info(i.name) c) || iif(i.\"unique\", ', unique', '')
        FROM sqlite_schema t JOIN pragma_index_list(t.name) i
        WHERE t.type = 'table' AND t.name COLLATE NOCASE IN (?1, ?1 || '_variable', ?1 || '_large', ?1 || '_tombstone')";
    let mut parts = Parts::new();
    for sql in [columns, indexes] {
        let mut rows = connection.prepare(sql)?;
        let rows = rows.query_map([table.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))?;
        parts.extend(rows.collect::<rusqlite::Result<Vec<_>>>()?);
    }
    Ok(parts)
}

/// Removes the tables. Returns a table of another program if there is one: nothing is removed then.
pub fn drop(connection: &mut Connection, table: &TableName) -> rusqlite::Result<Option<Foreign>> {
    let transaction = Transaction::new(connection, TransactionBehavior::Immediate)?;
    if let Some(foreign) = foreign(&transaction, table)? {
        return Ok(Some(foreign));
    }
    for (end, _) in TABLES {
        transaction.execute_batch(&format!("DROP TABLE IF EXISTS \"{table}{end}\""))?;
    }
    transaction.commit().map(|()| None)
}

#[cfg(test)]
mod tests {
    use std::thread;

    use rusqlite::{Row, types::Value};

    use super::*;

    const NEXT: &[&str] = &[LAYOUTS[0], LAYOUTS[1], LAYOUTS[2], r#"ALTER TABLE "{table}" ADD COLUMN device TEXT"#];

    fn fill(connection: &Connection) {
        let session =
            r#"INSERT INTO "Session" (digest, created, expires, rotated, owner) VALUES (x'01', 1, 3, 5, 'Ada')"#;
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
        assert_eq!(layout(&first, &table), Ok(Layout::Missing), "no tables");
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
        assert_eq!(layout(&first, &table), Ok(Layout::Newer(4)));
        assert_eq!(create(&mut first, &table), Ok(Layout::Newer(4)), "an older program leaves it alone");
        assert_eq!(
            differences(&first, &table).expect("differences"),
            ["column Session.device is not of this layout: TEXT"]
        );
    }

    #[test]
    fn sessions_of_every_older_layout_are_kept() {
        for layout in 1..LAYOUTS.len() {
            let (table, mut connection) = (TableName::default(), Connection::open_in_memory().expect("a database"));
            migrate(&mut connection, &table, &LAYOUTS[..1]).expect("layout 1");
            connection
                .execute_batch(
                    r#"INSERT INTO "Session" VALUES (1, x'01', 1, 2, 3, 4, 5, 'Ada', 6, 7);
                    INSERT INTO "Session_variable" (session, app, name, value) VALUES (1, 'shop', 'x', x'00');
                    INSERT INTO "Session_former" VALUES (x'02', 1, 8, x'03', 9, 10);"#,
                )
                .expect("a session");
            migrate(&mut connection, &table, &LAYOUTS[..layout]).expect("the older layout");
            assert_eq!(create(&mut connection, &table), Ok(Layout::Current));
            let read = |sql: &str| {
                let mut rows = connection.prepare(sql).expect("a statement");
                let columns = rows.column_count();
                let row = |row: &Row<'_>| (0..columns).map(|column| row.get(column)).collect();
                rows.query_map([], row).expect("rows").collect::<rusqlite::Result<Vec<Vec<Value>>>>().expect("rows")
            };
            let (number, text) = (Value::Integer, |text: &str| Value::Text(text.to_owned()));
            let session = r#"SELECT created, accessed, expires, absolute_expiry, rotated, owner, version, size, digest
                FROM "Session""#;
            let mut expected: Vec<_> = (1..=5).map(number).collect();
            expected.extend([text("Ada"), number(6), number(7), Value::Blob(vec![1])]);
            assert_eq!(read(session), [expected], "from layout {layout}");
            let variable = [number(1), text("shop"), text("x"), Value::Blob(vec![0])];
            assert_eq!(read(r#"SELECT session, app, name, value FROM "Session_variable""#), [variable]);
            let tombstone = [Value::Blob(vec![2]), number(1), number(8), Value::Blob(vec![3]), number(9), number(10)];
            assert_eq!(read(r#"SELECT * FROM "Session_tombstone""#), [tombstone]);
            assert_eq!(differences(&connection, &table).expect("differences"), [""; 0]);
        }
    }

    #[test]
    fn tables_of_every_layout_are_dropped() {
        for layout in 1..=LAYOUTS.len() {
            let (table, mut connection) = (TableName::default(), Connection::open_in_memory().expect("a database"));
            migrate(&mut connection, &table, &LAYOUTS[..layout]).expect("the layout");
            assert_eq!(drop(&mut connection, &table).expect("dropped"), None);
            let left = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0));
            assert_eq!(left, Ok(0), "of layout {layout}");
        }
    }

    #[test]
    fn upgrade_that_fails_changes_nothing() {
        let (table, mut connection) = (TableName::default(), Connection::open_in_memory().expect("a database"));
        create(&mut connection, &table).expect("create");
        fill(&connection);
        let fails = [LAYOUTS[0], LAYOUTS[1], LAYOUTS[2], r#"DELETE FROM "{table}"; CREATE TABLE "{table}" (x)"#];
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
                r#"DROP INDEX "Session_owner"; ALTER TABLE "Session_tombstone" DROP COLUMN reused;
                DROP TABLE "Session_large"; CREATE TABLE "Session_large" (id INTEGER PRIMARY KEY, value TEXT);"#,
            )
            .expect("changes");
        assert_eq!(
            differences(&connection, &table).expect("differences"),
            [
                "column Session_large.value is TEXT, and should be BLOB not null",
                "column Session_tombstone.reused is missing: INTEGER not null",
                "index Session (Session_owner) is missing: owner, digest",
            ]
        );
    }
}
