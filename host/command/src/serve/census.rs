//! Counts the sessions of the default store for /metrics.
//!
//! A scrape only reads the last numbers: counting reads an index of the store, or all of it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use lemon_session_host::store::{self, Store};
use tokio::time::{sleep, timeout};

use super::metrics::Metrics;
use crate::output;

/// The pause between two counts.
const PAUSE: Duration = Duration::from_secs(60);
/// The time limit of one number. A store that needs longer has none.
const LIMIT: Duration = Duration::from_secs(10);
/// The pause is at least this many times as long as the counting took.
const SHARE: u32 = 20;

/// Counts again and again, and never returns.
pub async fn run(store: Arc<dyn Store>, metrics: Arc<Metrics>) {
    loop {
        let begun = Instant::now();
        count(&*store, &metrics).await;
        sleep(PAUSE.max(SHARE * begun.elapsed())).await;
    }
}

/// Counts once. A number that the store does not tell, or not in time, is absent from the metrics.
async fn count(store: &dyn Store, metrics: &Metrics) {
    let Some(inspect) = store.inspect() else { return };
    let now = output::now();
    let live = answered(inspect.count(now), LIMIT).await;
    let backlog = answered(inspect.backlog(now), LIMIT).await;
    metrics.counted(live, backlog);
}

async fn answered(count: impl Future<Output = store::Result<u64>>, limit: Duration) -> Option<u64> {
    match timeout(limit, count).await {
        Ok(Ok(count)) => Some(count),
        Ok(Err(error)) => {
            tracing::debug!(%error, "the sessions of the store cannot be counted");
            None
        }
        Err(_) => {
            tracing::debug!("the sessions of the store were not counted within {limit:?}");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use lemon_session_host::store::StorageOptions;

    use super::*;
    use crate::drivers;

    fn numbers(metrics: &Metrics) -> Vec<String> {
        let text = metrics.text(0).unwrap();
        let names = ["lemon_session_sessions_live ", "lemon_session_cleanup_backlog "];
        text.lines().filter(|line| names.iter().any(|name| line.starts_with(name))).map(str::to_owned).collect()
    }

    #[tokio::test]
    async fn a_number_that_the_store_does_not_tell_is_absent() {
        let metrics = Metrics::new().unwrap();
        assert!(numbers(&metrics).is_empty(), "before the first count");

        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("sessions.db").display());
        let store = drivers::registry().open(StorageOptions::new(url)).await.unwrap();
        store.set_up().await.unwrap();
        count(&*store, &metrics).await;
        assert_eq!(numbers(&metrics), ["lemon_session_cleanup_backlog 0", "lemon_session_sessions_live 0"]);

        store.try_schema().unwrap().drop_tables().await.unwrap();
        count(&*store, &metrics).await;
        assert!(numbers(&metrics).is_empty(), "the store fails");
        store.close().await.unwrap();
    }

    #[tokio::test]
    async fn a_store_that_does_not_answer_holds_nothing_up() {
        assert_eq!(answered(std::future::pending(), Duration::from_millis(1)).await, None);
        assert_eq!(answered(async { Ok(3) }, LIMIT).await, Some(3));
    }
}
