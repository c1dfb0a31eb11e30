//! Calls that wait for locks and connections, and calls that do not.

use std::{
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use lemon_session_store::{CreateOutcome, LoadOutcome, Record, TableName, UpdateOutcome};

use super::{APP, assert_unavailable, create, found, key, now, own_table, record, with_tables, write, writing};

/// Locks the row of a session, as the transaction of another program would.
pub trait Locking {
    type Lock;
    fn lock(&self, table: &TableName, name: &str) -> impl Future<Output = Self::Lock>;
    fn unlock(lock: Self::Lock) -> impl Future<Output = ()>;
}

pub async fn saves_of_other_sessions_never_wait<L: Locking>(url: &str, other: &L) {
    with_tables(url, &[("pool-size", "4")], |driver, table| async move {
        // Two hours ago. By now, all these sessions have expired.
        let then = now() - 7200;
        let begun = Record { expires: then + 3600, accessed: then, ..record() };
        let begin = async |name: &str| {
            let created = driver.create(&key(name), &begun, &[write("x", b"1")].into()).await.expect("create");
            assert_eq!(created, CreateOutcome::Created);
        };
        begin("a").await;
        begin("b").await;
        let lock = other.lock(&table, "a").await;
        let waiting = tokio::spawn({
            let driver = Arc::clone(&driver);
            async move { driver.update(&key("a"), &writing([write("x", b"2")]), None, then).await }
        });
        for _ in 0..20 {
            for name in ["a", "b"] {
                let loaded = driver.load(&key(name), APP, then, u32::MAX).await.expect("load");
                assert!(matches!(loaded, LoadOutcome::Found(_)), "{loaded:?}");
            }
            let answer = driver.update(&key("b"), &writing([write("x", b"3")]), None, then).await.expect("update");
            assert!(matches!(answer, UpdateOutcome::Committed(_)));
            begin(&own_table().to_string()).await;
            assert_eq!(driver.cleanup(then, 1000).await.expect("cleanup"), 0);
        }
        let removed = driver.cleanup(now(), 1000).await.expect("cleanup");
        assert_eq!(removed, 21, "a cleanup skips the locked row");
        assert!(!waiting.is_finished(), "a save of the locked session waits");
        L::unlock(lock).await;
        let answer = waiting.await.expect("the task ends").expect("update");
        assert_eq!(answer, UpdateOutcome::Committed(2));
    })
    .await;
}

pub async fn pool_that_is_used_up_is_waited_for_and_then_an_error<L: Locking>(url: &str, other: &L) {
    with_tables(url, &[("pool-size", "1"), ("timeout", "1.5")], |driver, table| async move {
        create(&*driver, "a", &[]).await;
        create(&*driver, "b", &[]).await;
        let lock = other.lock(&table, "a").await;
        let started = Instant::now();
        let change = writing([write("x", b"2")]);
        let (held, (a, b)) = (key("a"), (key("a"), key("b")));
        let calls = (driver.update(&held, &change, None, now()), async {
            // Until then the other call has taken the connection.
            tokio::time::sleep(Duration::from_millis(300)).await;
            driver.load(&b, APP, now(), 0).await
        });
        let (update, load) = futures::join!(calls.0, calls.1);
        assert_unavailable(&update.expect_err("the row is locked"));
        if let Err(error) = load {
            assert_unavailable(&error);
        }
        assert!(started.elapsed() < Duration::from_secs(10), "the wait is limited");
        L::unlock(lock).await;
        found(&*driver, "b").await;
        let answer = driver.update(&a, &change, None, now()).await.expect("update");
        assert!(matches!(answer, UpdateOutcome::Committed(_)), "saves work again");
    })
    .await;
}

/// Ends the thousands of sessions of an owner, copies that `fill` makes of one, while two sessions are saved all the
/// time: the first of the owner's sessions, and one without an owner.
pub async fn saves_go_on_while_all_sessions_of_an_owner_are_ended(url: &str, fill: impl AsyncFn(&TableName)) {
    with_tables(url, &[], |driver, table| async move {
        let owned = Record { owner: Some("Ada".to_owned()), ..record() };
        driver.create(&key("a"), &owned, &[write("x", b"1")].into()).await.expect("create");
        fill(&table).await;
        create(&*driver, "without an owner", &[]).await;
        let sessions = driver.try_inspect().expect("inspect").count(now()).await.expect("count") - 1;
        assert!(sessions > 5_000, "{sessions}");
        let first =
            driver.try_inspect().expect("inspect").list(now(), Some("Ada"), None, 1).await.expect("list")[0].digest;
        let ending = tokio::spawn({
            let driver = Arc::clone(&driver);
            async move {
                let started = Instant::now();
                let ended = driver.destroy_owned("Ada", None, now(), 60).await.expect("destroy_owned");
                (ended, started.elapsed())
            }
        });
        let mut longest = Duration::ZERO;
        while !ending.is_finished() {
            for key in [first, key("without an owner")] {
                let started = Instant::now();
                driver.update(&key, &writing([write("x", b"2")]), None, now()).await.expect("update");
                longest = longest.max(started.elapsed());
            }
        }
        let (ended, took) = ending.await.expect("the task ends");
        assert_eq!(ended, sessions);
        assert_eq!(driver.try_inspect().expect("inspect").count(now()).await.expect("count"), 1);
        // A busy machine delays the whole operation by more than it delays one save.
        assert!(longest < Duration::from_millis(50).max(took / 5), "a save waited for {longest:?} of {took:?}");
    })
    .await;
}
