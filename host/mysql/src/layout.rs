//! The layout of the tables, and upgrades to it.

use std::sync::Arc;

use lemon_session_sql::{attempts::Repeat, layout::other_layout, server::Server};
use lemon_session_store::{
    Error, Result,
    layout::{Parts, differences, parts},
};
use mysql_async::{Conn, Error as ClientError, Row, prelude::Queryable};
use sha2::{Digest as _, Sha256};

use super::{
    MySql,
    rows::{column, text},
    statements::Statements,
};

/// The steps from each layout to the next. The layout of tables is the number of steps that were taken.
pub(super) const LAYOUTS: &[&str] = &[
    include_str!("layout.sql"),
    include_str!("layout_2.sql"),
    include_str!("layout_3.sql"),
    include_str!("layout_4.sql"),
    include_str!("layout_5.sql"),
];

/// The parts of tables of the last layout.
const LAYOUT: &str = include_str!("parts.txt");

impl MySql {
    /// The layout of the tables, 0 if there are none. Fails if they are newer or of another program.
    pub(super) async fn layout(&self) -> Result<i64> {
        let columns =
            self.calls.run(Repeat::Safe, self.sql(), |connection, sql| Box::pin(columns(&mut connection.client, sql)));
        self.server().refuse_foreign(columns.await?)?;
        let layout = self.calls.run(Repeat::Safe, self.sql(), |connection, sql| {
            Box::pin(async move { connection.client.query_first::<i64, _>(&sql.layout).await })
        });
        self.server().known_layout(layout.await.map(Option::unwrap_or_default), LAYOUTS.len() as i64)
    }

    pub(super) async fn migrate(&self, layouts: &'static [&'static str]) -> Result<()> {
        let input = (Arc::clone(self.calls.server()), self.sql(), layouts);
        let migrated = self.calls.set_up(input, |connection, (server, sql, layouts)| {
            Box::pin(async move {
                lock(&mut connection.client, server).await?;
                let migrated = migrate(&mut connection.client, server, sql, layouts).await;
                unlock(&mut connection.client, server).await?;
                migrated
            })
        });
        migrated.await?
    }

    /// The differences between the tables and the last layout.
    pub(super) async fn compare(&self) -> Result<Vec<String>> {
        if let Some(other) = other_layout(self.layout().await?, LAYOUTS.len()) {
            return Ok(vec![other]);
        }
        let found = self.calls.run(Repeat::Safe, self.sql(), |connection, sql| {
            Box::pin(async move {
                let rows: Vec<Row> = connection.client.query(&sql.parts).await?;
                let part = |mut row: Row| Ok((text(column(&mut row, 0)?), text(column(&mut row, 1)?)));
                rows.into_iter().map(part).collect::<Result<Parts, ClientError>>()
            })
        });
        Ok(differences(&parts(&self.server().sql(LAYOUT)), &found.await?))
    }
}

/// Takes the lock under which tables are created, upgraded and dropped.
pub(super) async fn lock(connection: &mut Conn, server: &Server) -> Result<(), ClientError> {
    connection.exec_drop("SELECT GET_LOCK(?, 86400)", (lock_name(server),)).await
}

pub(super) async fn unlock(connection: &mut Conn, server: &Server) -> Result<(), ClientError> {
    connection.exec_drop("SELECT RELEASE_LOCK(?)", (lock_name(server),)).await
}

/// Locks are global to the server, and their names have at most 64 characters.
fn lock_name(server: &Server) -> String {
    let name = format!("{}.{}", server.database, server.table.as_str().to_ascii_lowercase());
    Sha256::digest(name.as_bytes())
        .iter()
        .take(16)
        .fold("lemon-session ".to_owned(), |name, byte| name + &format!("{byte:02x}"))
}

/// The end of a table's name and a column, for each column of the tables that are there.
pub(super) async fn columns(connection: &mut Conn, sql: &Statements) -> Result<Vec<(String, String)>, ClientError> {
    let rows: Vec<Row> = connection.query(&sql.columns).await?;
    rows.into_iter().map(|mut row| Ok((text(column(&mut row, 0)?), text(column(&mut row, 1)?)))).collect()
}

async fn migrate(
    connection: &mut Conn,
    server: &Server,
    sql: &Statements,
    layouts: &[&str],
) -> Result<Result<()>, ClientError> {
    if let Err(foreign) = server.refuse_foreign(columns(connection, sql).await?) {
        return Ok(Err(foreign));
    }
    let similar = "SELECT table_name FROM information_schema.tables
        WHERE @@lower_case_table_names = 0 AND table_schema = DATABASE()
        AND LOWER(table_name) = LOWER(?) AND BINARY table_name <> ?";
    let meta = server.sql("{table}_meta");
    if let Some(taken) = connection.exec_first::<String, _, _>(similar, (&meta, &meta)).await? {
        return Ok(Err(Error::invalid(format!(
            "there is a table {} already, and names of procedures are not case-sensitive: choose another name for {}, or \
             another database",
            taken.trim_end_matches("_meta"),
            server.table
        ))));
    }
    let version: String = connection.query_first("SELECT VERSION()").await?.unwrap_or_default();
    let skip_locked = if skips_locked(&version) { "SKIP LOCKED" } else { "" };

    let create = "CREATE TABLE IF NOT EXISTS `{table}_meta` (layout BIGINT NOT NULL) ENGINE = InnoDB";
    connection.query_drop(server.sql(create)).await?;
    let layout = match connection.query_first(server.sql("SELECT layout FROM `{table}_meta`")).await? {
        Some(layout) => layout,
        None => {
            connection.query_drop(server.sql("INSERT INTO `{table}_meta` VALUES (0)")).await?;
            0
        }
    };
    let steps = match server.missing_steps(layout, layouts) {
        Ok(steps) => steps,
        Err(newer) => return Ok(Err(newer)),
    };
    for (step, reached) in steps.iter().zip(layout + 1..) {
        // Each of these statements commits. A step that was interrupted is repeated from its beginning: statements
        // whose work is done have no effect.
        for statement in step.split("\n//\n") {
            connection.query_drop(server.sql(statement).replace("{skip locked}", skip_locked)).await?;
        }
        connection.exec_drop(server.sql("UPDATE `{table}_meta` SET layout = ?"), (reached,)).await?;
    }
    Ok(Ok(()))
}

/// Whether a server of this version knows `SKIP LOCKED`: MySQL from 8.0 on, MariaDB from 10.6 on.
fn skips_locked(version: &str) -> bool {
    let version_number = version.strip_prefix("5.5.5-").unwrap_or(version);
    let mut numbers = version_number.split(['.', '-']).map(|number| number.parse::<u32>().unwrap_or(0));
    let version_number = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if version.contains("MariaDB") { version_number >= (10, 6) } else { version_number >= (8, 0) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lemon_session_sql::migrating::{older_layout_is_upgraded, sessions_of_every_older_layout_are_kept};

    /// `ADD COLUMN` fails if it runs twice.
    const NEXT: &[&str] = &[
        LAYOUTS[0],
        LAYOUTS[1],
        LAYOUTS[2],
        LAYOUTS[3],
        LAYOUTS[4],
        "ALTER TABLE `{table}` ADD COLUMN device VARBINARY(255)",
    ];
    const FAILS: &[&str] = &[LAYOUTS[0], LAYOUTS[1], LAYOUTS[2], LAYOUTS[3], LAYOUTS[4], "DROP TABLE `{table}_no`"];

    fn url() -> String {
        std::env::var("LEMON_TEST_MYSQL").unwrap_or_else(|_| "mysql://root@127.0.0.1:3306/test".to_owned())
    }

    #[tokio::test]
    async fn older_layout_is_upgraded_by_one_of_many_hosts_and_loses_no_session() {
        older_layout_is_upgraded(&url(), MySql::connect, MySql::migrate, NEXT, FAILS).await;
    }

    /// The upgrade is interrupted after each of its statements.
    #[tokio::test]
    async fn sessions_of_every_older_layout_are_kept_also_if_the_upgrade_is_interrupted() {
        let run = async |store: &MySql, sql: String| {
            let run = store.calls.set_up(sql, |connection, sql| Box::pin(connection.client.query_drop(sql)));
            run.await
        };
        let last = LAYOUTS[LAYOUTS.len() - 1];
        let ends = last.match_indices("\n//\n").map(|(end, _)| end).chain([last.len()]);
        let fails = ends.map(|end| format!("{}\n//\nDROP TABLE `{{table}}_no`", &last[..end]));
        sessions_of_every_older_layout_are_kept(&url(), MySql::connect, MySql::migrate, run, LAYOUTS, fails).await;
    }
}
