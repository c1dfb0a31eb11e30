//! The layout of the tables, and upgrades to it.

use std::sync::Arc;

use lemon_session_sql::{attempts::Repeat, layout::other_layout, server::Server};
use lemon_session_store::{
    Result,
    layout::{Parts, differences, parts},
};
use tokio_postgres::Row;

use super::Postgres;

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

impl Postgres {
    /// The layout of the tables, 0 if there are none. Fails if they are newer or of another program.
    pub(super) async fn layout(&self) -> Result<i64> {
        let found = self.calls.run(Repeat::Safe, self.sql(), |client, sql| {
            Box::pin(async move {
                let found = client.prepare_cached(&sql.columns).await?;
                columns(&client.query(&found, &[]).await?)
            })
        });
        self.server().refuse_foreign(found.await?)?;
        let layout = self.calls.run(Repeat::Safe, self.sql(), |client, sql| {
            Box::pin(async move {
                let layout = client.prepare_cached(&sql.layout).await?;
                client.query_one(&layout, &[]).await?.try_get::<_, i64>(0)
            })
        });
        self.server().known_layout(layout.await, LAYOUTS.len() as i64)
    }

    pub(super) async fn migrate(&self, layouts: &'static [&'static str]) -> Result<()> {
        let input = (Arc::clone(self.calls.server()), self.sql(), layouts);
        let migrated = self.calls.set_up(input, |client, (server, sql, layouts)| {
            Box::pin(async move {
                let transaction = client.transaction().await?;
                transaction.batch_execute(&set_up(server)).await?;
                if let Err(foreign) = server.refuse_foreign(columns(&transaction.query(&sql.columns, &[]).await?)?) {
                    return Ok(Err(foreign));
                }
                let meta = server.sql(r#""{table}_meta""#);
                let mut layout = 0;
                if transaction.query_one("SELECT to_regclass($1) IS NOT NULL", &[&meta]).await?.try_get(0)? {
                    layout = transaction.query_one(&format!("SELECT layout FROM {meta}"), &[]).await?.try_get(0)?;
                } else {
                    let create = format!("CREATE TABLE {meta} (layout bigint NOT NULL); INSERT INTO {meta} VALUES (0)");
                    transaction.batch_execute(&create).await?;
                }
                let steps = match server.missing_steps(layout, layouts) {
                    Ok(steps) => steps,
                    Err(newer) => return Ok(Err(newer)),
                };
                for step in steps {
                    transaction.batch_execute(&server.sql(step)).await?;
                }
                transaction.execute(&format!("UPDATE {meta} SET layout = $1"), &[&(layouts.len() as i64)]).await?;
                transaction.commit().await?;
                Ok(Ok(()))
            })
        });
        migrated.await?
    }

    /// The differences between the tables and the last layout.
    pub(super) async fn compare(&self) -> Result<Vec<String>> {
        if let Some(other) = other_layout(self.layout().await?, LAYOUTS.len()) {
            return Ok(vec![other]);
        }
        let found = self.calls.run(Repeat::Safe, self.sql(), |client, sql| {
            Box::pin(async move {
                let parts = client.prepare_cached(&sql.parts).await?;
                let rows = client.query(&parts, &[]).await?;
                rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect::<Result<Parts, _>>()
            })
        });
        Ok(differences(&parts(&self.server().sql(LAYOUT)), &found.await?))
    }
}

/// The beginning of a transaction that creates, upgrades or drops tables: no time limit, and one such transaction at a
/// time.
pub(super) fn set_up(server: &Server) -> String {
    server.sql(
        "SET LOCAL statement_timeout = 0;
        SELECT pg_advisory_xact_lock(hashtextextended('lemon-session {table}', 0))",
    )
}

/// The end of a table's name and a column, for each column of the tables that are there.
pub(super) fn columns(rows: &[Row]) -> Result<Vec<(String, String)>, tokio_postgres::Error> {
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
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
        r#"ALTER TABLE "{table}" ADD COLUMN device bytea"#,
    ];
    const FAILS: &[&str] = &[
        LAYOUTS[0],
        LAYOUTS[1],
        LAYOUTS[2],
        LAYOUTS[3],
        LAYOUTS[4],
        r#"DELETE FROM "{table}"; DROP TABLE "{table}_no""#,
    ];

    fn url() -> String {
        let given = std::env::var("LEMON_TEST_POSTGRES");
        given.unwrap_or_else(|_| "postgres://postgres@127.0.0.1:5432/postgres".to_owned())
    }

    #[tokio::test]
    async fn older_layout_is_upgraded_by_one_of_many_hosts_and_loses_no_session() {
        older_layout_is_upgraded(&url(), Postgres::connect, Postgres::migrate, NEXT, FAILS).await;
    }

    #[tokio::test]
    async fn sessions_of_every_older_layout_are_kept_also_if_the_upgrade_is_interrupted() {
        let run = async |store: &Postgres, sql: String| {
            let run = store.calls.set_up(sql, |client, sql| Box::pin(async move { client.batch_execute(sql).await }));
            run.await
        };
        let fails = [format!(r#"{} DROP TABLE "{{table}}_no""#, LAYOUTS[LAYOUTS.len() - 1])];
        let (connect, migrate) = (Postgres::connect, Postgres::migrate);
        sessions_of_every_older_layout_are_kept(&url(), connect, migrate, run, LAYOUTS, fails).await;
    }
}
