use super::{APP, HOUR, Outcome, Subject, change, key, pairs, put, subject::machine_time};
use crate::{DestroyCondition, Error, LoadOutcome, Record, Snapshot, Writes};

pub async fn create_tables_keeps_what_is_there(store: &Subject) -> Result<(), Outcome> {
    let schema = store.schema()?;
    assert!(schema.tables_exist().await.expect("tables_exist"));
    assert_eq!(schema.differences().await.expect("differences"), [""; 0], "they are as they should be");
    store.create(&key("a"), &[put("x", b"1")]).await;
    for handle in store.handles() {
        handle.schema().expect("schema").create_tables().await.expect("creating tables again is no error");
    }
    assert_eq!(store.variables(&key("a"), APP, store.now).await, pairs(&[("x", b"1")]));
    store.driver.update(&key("a"), &super::writing([put("y", b"2")]), None, store.now).await.expect("update");
    assert_eq!(store.variables(&key("a"), APP, store.now).await, pairs(&[("x", b"1"), ("y", b"2")]));
    Ok(())
}

pub async fn drop_tables_removes_everything(store: &Subject) -> Result<(), Outcome> {
    let schema = store.schema()?;
    let owned = Record { owner: Some("Ada".to_owned()), ..store.record() };
    store.create_as(&key("a"), &owned, &[put("x", b"1"), put("large", &[1; 50_000])]).await;
    store.create(&key("ended"), &[]).await;
    store.driver.destroy(&key("ended"), &DestroyCondition::Any, store.now, HOUR as u32).await.expect("destroy");
    schema.drop_tables().await.expect("drop_tables");
    schema.drop_tables().await.expect("dropping tables that are not there is no error");
    assert_eq!(schema.tables_exist().await.expect("tables_exist"), !store.tables);
    assert_eq!(schema.differences().await.expect("differences").is_empty(), !store.tables, "it is told");
    schema.create_tables().await.expect("create_tables");
    let other = store.other().schema().expect("schema");
    assert!(other.tables_exist().await.expect("tables_exist"));
    for handle in store.handles() {
        assert_eq!(handle.load(&key("a"), APP, store.now, 0).await.expect("load"), LoadOutcome::Absent);
        assert_eq!(handle.load(&key("ended"), APP, store.now, 0).await.expect("load"), LoadOutcome::Absent);
        if let Some(inspect) = handle.inspect() {
            assert_eq!(inspect.count(store.now).await.expect("count"), 0);
            assert_eq!(inspect.list(store.now, Some("Ada"), None, 9).await.expect("list"), []);
        }
    }
    store.create(&key("a"), &[]).await;
    assert_eq!(store.variables(&key("a"), APP, store.now).await, [], "no variable was left behind");
    Ok(())
}

pub async fn operations_without_tables_say_that_they_are_missing(store: &Subject) -> Result<(), Outcome> {
    store.needs_tables()?.drop_tables().await.expect("drop_tables");
    let (k, now) = (key("a"), store.now);
    for handle in store.handles() {
        assert!(!handle.schema().expect("schema").tables_exist().await.expect("tables_exist"));
        missing("load", handle.load(&k, APP, now, 0).await);
        missing("fetch", handle.fetch(&k, APP, "x", now).await);
        missing("create", handle.create(&k, &store.record(), &Writes::default()).await);
        missing("update", handle.update(&k, &change(), None, now).await);
        missing("destroy", handle.destroy(&k, &DestroyCondition::Any, now, 9).await);
        missing("destroy_owned", handle.destroy_owned("Ada", None, now, 9).await);
        missing("cleanup", handle.cleanup(now, 9).await);
        if let Some(inspect) = handle.inspect() {
            missing("count", inspect.count(now).await);
            missing("list", inspect.list(now, None, None, 9).await);
            missing_or_unsupported("reused", inspect.reused(now).await);
            missing_or_unsupported("backlog", inspect.backlog(now).await);
            missing_or_unsupported("describe", inspect.describe(&k, now).await);
        }
        if let Some(transfer) = handle.transfer() {
            let snapshot = Snapshot { record: store.record(), variables: Writes::default() };
            missing("export", transfer.export(&k, now).await);
            missing("import", transfer.import(&k, &snapshot, None, now).await);
            missing("import over a version", transfer.import(&k, &snapshot, Some(1), now).await);
        }
    }
    Ok(())
}

fn missing<T: std::fmt::Debug>(operation: &str, answer: Result<T, Error>) {
    let error = answer.expect_err("an operation without tables is an error");
    assert!(error.is_missing_tables(), "{operation} says that the tables are missing, not: {error}");
}

fn missing_or_unsupported<T: std::fmt::Debug>(operation: &str, answer: Result<T, Error>) {
    match answer {
        Err(error) if error.is_unsupported() => {}
        answer => missing(operation, answer),
    }
}

pub async fn concurrent_create_tables_all_succeed(store: &Subject) -> Result<(), Outcome> {
    store.schema()?.drop_tables().await.expect("drop_tables");
    let tasks: Vec<_> = (0..8)
        .map(|number| {
            let handle = store.handle(number);
            tokio::spawn(async move { handle.schema().expect("schema").create_tables().await })
        })
        .collect();
    for task in tasks {
        task.await.expect("the task ends").expect("create_tables beside others is no error");
    }
    store.create(&key("a"), &[put("x", b"1")]).await;
    assert_eq!(store.variables(&key("a"), APP, store.now).await, pairs(&[("x", b"1")]));
    Ok(())
}

pub async fn summary_says_something(store: &Subject) {
    for handle in store.handles() {
        assert!(!handle.summary().trim().is_empty(), "a store has a name for people");
        assert!(!handle.summary().contains('\n'), "on one line");
    }
}

pub async fn clock_tells_the_time_or_nothing(store: &Subject) -> Result<(), Outcome> {
    store.inspect()?;
    for handle in store.handles() {
        // The clock of a store under test is not set to another day.
        let clock = handle.inspect().expect("inspect").clock().await.expect("clock");
        assert!(clock.is_none_or(|clock| clock.abs_diff(machine_time()) < 24 * HOUR), "{clock:?}");
    }
    Ok(())
}
