//! New sessions, and sessions that are moved here from another store.

use lemon_session_sql::attempts::Repeat;
use lemon_session_store::{Digest, Record, Result, Writes};

use super::{
    Postgres,
    rows::{Columns, stored},
};

impl Postgres {
    /// Stores a session at a digest that is free at `now`. Returns false if it is not free.
    pub(super) async fn insert(&self, digest: &Digest, record: &Record, writes: &Writes, now: u64) -> Result<bool> {
        let columns = Columns::of(record, writes)?;
        let record = Record { size: writes.size(), ..record.clone() };
        let input = (self.sql(), *digest, record, columns, stored(now));
        let insert = self.calls.run(Repeat::Never, input, |client, (sql, digest, record, columns, now)| {
            Box::pin(async move {
                let create = client.prepare_cached(&sql.create).await?;
                let row = client
                    .query_opt(
                        &create,
                        &[
                            &&digest.as_bytes()[..],
                            &stored(record.created),
                            &stored(record.accessed),
                            &stored(record.expires),
                            &record.absolute_expiry.map(stored),
                            &stored(record.rotated),
                            &record.owner.as_deref().map(str::as_bytes),
                            &stored(record.size),
                            &columns.apps,
                            &columns.names,
                            &columns.values,
                            &stored(record.version),
                            now,
                        ],
                    )
                    .await?;
                Ok(row.is_some())
            })
        });
        insert.await
    }

    /// Replaces a live session that has the version `over`. Returns false if there is none.
    pub(super) async fn replace(
        &self,
        digest: &Digest,
        record: &Record,
        writes: &Writes,
        over: u64,
        now: u64,
    ) -> Result<bool> {
        let columns = Columns::of(record, writes)?;
        let record = Record { size: writes.size(), ..record.clone() };
        let input = (self.sql(), *digest, record, columns, stored(over), stored(now));
        let replace = self.calls.run(Repeat::Never, input, |client, (sql, digest, record, columns, over, now)| {
            Box::pin(async move {
                // Rolled back if it is dropped.
                let transaction = client.transaction().await?;
                let found = transaction.query_opt(&sql.find, &[&&digest.as_bytes()[..], now, over]).await?;
                let Some(session) = found.map(|row| row.try_get::<_, i64>(0)).transpose()? else {
                    return Ok(false);
                };
                transaction.execute(&sql.clear, &[&session]).await?;
                transaction
                    .execute(
                        &sql.replace,
                        &[
                            &session,
                            &stored(record.created),
                            &stored(record.accessed),
                            &stored(record.expires),
                            &record.absolute_expiry.map(stored),
                            &stored(record.rotated),
                            &record.owner.as_deref().map(str::as_bytes),
                            &stored(record.version),
                            &stored(record.size),
                        ],
                    )
                    .await?;
                transaction.execute(&sql.write, &[&session, &columns.apps, &columns.names, &columns.values]).await?;
                transaction.commit().await?;
                Ok(true)
            })
        });
        replace.await
    }
}
