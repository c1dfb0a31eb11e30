//! A test of the upgrade of tables to a newer layout, on a real server.

use std::time::SystemTime;

use futures::future::join_all;
use lemon_session_store::{
    Digest, Record, Result, Schema, Snapshot, StorageOptions, Store, TableName, Transfer, Write,
};

const SESSIONS: usize = 50;

/// Upgrades tables of the current layout to a newer one: `next` succeeds, and the last statement of `fails` fails.
pub async fn older_layout_is_upgraded<D: Store + Transfer + Schema>(
    url: &str,
    open: impl AsyncFn(&StorageOptions) -> Result<D>,
    migrate: impl AsyncFn(&D, &'static [&'static str]) -> Result<()>,
    next: &'static [&'static str],
    fails: &'static [&'static str],
) {
    // The variable that names the server may name no database.
    let url = if url.trim_end_matches('/').matches('/').count() > 2 {
        url.to_owned()
    } else {
        let database = if url.starts_with("mysql") { "test" } else { "postgres" };
        format!("{}/{database}", url.trim_end_matches('/'))
    };
    let now = SystemTime::UNIX_EPOCH.elapsed().expect("a clock").as_secs();
    let table = TableName::new(&format!("Layout_{:x}_{}", now, std::process::id())).expect("a table name");
    let options = StorageOptions { url, table, ..StorageOptions::default() };
    let first = match open(&options).await {
        Ok(first) => first,
        Err(error) => {
            let line = "=".repeat(80);
            eprintln!("{line}\nSKIPPED: {error}\n{line}");
            assert!(std::env::var("CI").as_deref() != Ok("true"), "with CI=true every server is needed");
            return;
        }
    };
    assert!(!first.tables_exist().await.expect("tables_exist"));
    assert_eq!(first.differences().await.expect("differences"), ["the tables are not there"]);
    first.create_tables().await.expect("create_tables");
    assert_eq!(first.differences().await.expect("differences"), [""; 0]);
    let expires = now + 3600;
    let record = Record {
        created: now,
        accessed: now,
        expires,
        absolute_expiry: None,
        rotated: now,
        owner: None,
        version: 0,
        size: 0,
    };
    let keys: Vec<_> = (0..SESSIONS).map(|n| Digest::of(&n.to_string())).collect();
    for key in &keys {
        let value = Some(key.as_bytes().to_vec());
        let write = Write { app: "shop".to_owned(), name: "x".to_owned(), value };
        first.create(key, &record, &[write].into()).await.expect("create");
    }
    let all = async || -> Vec<Option<Snapshot>> {
        join_all(keys.iter().map(async |key| first.export(key, now).await.expect("export"))).await
    };
    let before = all().await;
    assert!(before.iter().all(Option::is_some));

    migrate(&first, fails).await.expect_err("its last statement fails");
    assert!(first.tables_exist().await.expect("tables_exist"), "the layout is still the old one");
    assert_eq!(all().await, before, "a failed upgrade loses nothing");

    let mut hosts = Vec::new();
    for _ in 0..6 {
        hosts.push(open(&options).await.expect("the store opens"));
    }
    let used = async { join_all((0..20).map(|_| all())).await };
    let (upgrades, seen) = futures::join!(join_all(hosts.iter().map(|host| migrate(host, next))), used);
    for upgraded in upgrades {
        upgraded.expect("one host upgrades the tables; the others have nothing to do");
    }
    assert!(seen.iter().all(|seen| *seen == before), "sessions can be read all the time");
    assert_eq!(all().await, before, "no session is lost");
    let newer = first.tables_exist().await.expect_err("the layout is newer than this program");
    assert!(newer.to_string().contains("layout 3"), "{newer}");
    first.create_tables().await.expect_err("an older program does not change them");
    first.drop_tables().await.expect("drop_tables");
    for driver in hosts.iter().chain([&first]) {
        driver.close().await.expect("close");
    }
}
