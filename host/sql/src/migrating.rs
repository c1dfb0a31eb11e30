//! Tests of the upgrade of tables to a newer layout, on a real server.

use std::time::SystemTime;

use futures::future::join_all;
use lemon_session_store::{
    Change, CreateOutcome, Digest, Inspect, Lifetime, LoadOutcome, Loaded, Record, Result, Schema, Snapshot,
    StorageOptions, Store, Stored, TableName, Transfer, UpdateOutcome, Variable, Write, Writes,
};

const SESSIONS: usize = 50;

/// A store whose tables, with names that begin with `prefix`, no other test uses. None if the server does not answer.
async fn own_store<D>(
    url: &str,
    prefix: &str,
    open: &impl AsyncFn(&StorageOptions) -> Result<D>,
    now: u64,
) -> Option<(StorageOptions, D)> {
    // The variable that names the server may name no database.
    let url = if url.trim_end_matches('/').matches('/').count() > 2 {
        url.to_owned()
    } else {
        let database = if url.starts_with("mysql") { "test" } else { "postgres" };
        format!("{}/{database}", url.trim_end_matches('/'))
    };
    let table = TableName::new(&format!("{prefix}_{:x}_{}", now, std::process::id())).expect("a table name");
    let options = StorageOptions { url, table, ..StorageOptions::default() };
    match open(&options).await {
        Ok(store) => Some((options, store)),
        Err(error) => {
            let line = "=".repeat(80);
            eprintln!("{line}\nSKIPPED: {error}\n{line}");
            assert!(std::env::var("CI").as_deref() != Ok("true"), "with CI=true every server is needed");
            None
        }
    }
}

fn now() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().expect("a clock").as_secs()
}

/// Upgrades tables of the current layout to a newer one: `next` succeeds, and the last statement of `fails` fails.
pub async fn older_layout_is_upgraded<D: Store + Transfer + Schema>(
    url: &str,
    open: impl AsyncFn(&StorageOptions) -> Result<D>,
    migrate: impl AsyncFn(&D, &'static [&'static str]) -> Result<()>,
    next: &'static [&'static str],
    fails: &'static [&'static str],
) {
    let now = now();
    let Some((options, first)) = own_store(url, "Layout", &open, now).await else { return };
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
    assert!(newer.to_string().contains(&format!("layout {}", next.len())), "{newer}");
    first.create_tables().await.expect_err("an older program does not change them");
    first.drop_tables().await.expect("drop_tables");
    for driver in hosts.iter().chain([&first]) {
        driver.close().await.expect("close");
    }
}

/// Upgrades tables of each older layout, which contain a session, its variable and two tombstones. Before that, each of
/// `fails` takes the place of the last layout, and its last statement fails. `run` executes a statement.
pub async fn sessions_of_every_older_layout_are_kept<D: Store + Inspect + Transfer + Schema>(
    url: &str,
    open: impl AsyncFn(&StorageOptions) -> Result<D>,
    migrate: impl AsyncFn(&D, &'static [&'static str]) -> Result<()>,
    run: impl AsyncFn(&D, String) -> Result<()>,
    layouts: &'static [&'static str],
    fails: impl IntoIterator<Item = String>,
) {
    let now = now();
    // A name in lower case needs no quotes, which differ between servers.
    let Some((options, store)) = own_store(url, "kept", &open, now).await else { return };
    let mut hosts = Vec::new();
    for _ in 0..4 {
        hosts.push(open(&options).await.expect("the store opens"));
    }
    let fails: Vec<&'static [&'static str]> =
        fails.into_iter().map(|step| &*[&layouts[..layouts.len() - 1], &[&*step.leak()]].concat().leak()).collect();
    let [live, rotated, destroyed, new] = ["a", "b", "c", "d"].map(|letter| letter.repeat(32));
    let table = &options.table;
    let fill = [
        format!(
            "INSERT INTO {table} (id, digest, created, accessed, expires, ends, renewed, owner, version, size, era)
            VALUES (7, '{live}', {}, {}, {}, {}, {}, 'Ada', 6, 3, 2)",
            now - 5,
            now - 4,
            now + 60,
            now + 90,
            now - 3
        ),
        format!("INSERT INTO {table}_variable (session, app, name, value) VALUES (7, 'shop', 'x', 'yz')"),
        format!(
            "INSERT INTO {table} (id, digest, ended, expires, leads_to, leads_era, leads_until, nonce, reused)
            VALUES (8, '{rotated}', true, {0}, 7, 2, {0}, 'nonce', 0),
                (9, '{destroyed}', true, {0}, NULL, NULL, NULL, NULL, 4)",
            now + 30
        ),
    ];
    let [live, rotated, destroyed, new] =
        [live, rotated, destroyed, new].map(|digest| digest.as_bytes().try_into().expect("a digest"));
    let record = Record {
        created: now - 5,
        accessed: now - 4,
        expires: now + 60,
        absolute_expiry: Some(now + 90),
        rotated: now - 3,
        owner: Some("Ada".to_owned()),
        version: 6,
        size: 3,
    };
    let write = Write { app: "shop".to_owned(), name: "x".to_owned(), value: Some(b"yz".to_vec()) };
    let snapshot = Snapshot { record: record.clone(), variables: [write].into() };
    let variables = vec![Variable { name: "x".to_owned(), value: Stored::Inline(b"yz".to_vec()) }];
    let loaded = Loaded { record: record.clone(), details: Vec::new(), variables, renewal: Some(b"nonce".to_vec()) };

    for older in 1..layouts.len() {
        // The second filling fails if anything is left by `drop_tables`.
        for is_dropped in [true, false] {
            migrate(&store, &layouts[..older]).await.expect("the older layout");
            for statement in &fill {
                // Layout 3 gave two columns other names.
                let statement = match older {
                    1..3 => statement.clone(),
                    _ => statement.replace(" ends,", " absolute_expiry,").replace(" renewed,", " rotated,"),
                };
                run(&store, statement).await.expect("rows");
            }
            if is_dropped {
                store.drop_tables().await.expect("drop_tables");
            }
        }
        assert!(!store.tables_exist().await.expect("tables_exist"), "layout {older} is not the current one");
        for fails in &fails {
            migrate(&store, fails).await.expect_err("its last statement fails");
            assert!(!store.tables_exist().await.expect("tables_exist"), "the upgrade is not complete");
        }
        for upgraded in join_all(hosts.iter().map(Schema::create_tables)).await {
            upgraded.expect("one host upgrades the tables; the others have nothing to do");
        }
        assert_eq!(store.differences().await.expect("differences"), [""; 0]);

        assert_eq!(store.export(&live, now).await.expect("export"), Some(snapshot.clone()), "from layout {older}");
        assert_eq!(store.reused(now).await.expect("reused"), 4);
        let load = async |digest| store.load(digest, "shop", now, u32::MAX).await.expect("load");
        assert_eq!(load(&rotated).await, LoadOutcome::Found(loaded.clone()));
        assert_eq!(load(&destroyed).await, LoadOutcome::Ended);
        let change = Change { expires: Some(now + 100), max_size: u64::MAX, ..Change::default() };
        let saved = store.update(&live, &change, Some(6), now).await.expect("update");
        assert_eq!(saved, UpdateOutcome::Committed(6));
        let expires = async || {
            let saved = store.export(&live, now).await.expect("export").expect("the session is live");
            (saved.record.expires, saved.record.absolute_expiry)
        };
        assert_eq!(expires().await, (now + 90, Some(now + 90)), "no later than the absolute expiry");
        let lifetime = Some(Lifetime { expires: now + 20, absolute_expiry: None });
        let change = Change { lifetime, max_size: u64::MAX, ..Change::default() };
        let saved = store.update(&live, &change, Some(6), now).await.expect("update");
        assert_eq!((saved, expires().await), (UpdateOutcome::Committed(7), (now + 20, None)));
        let created = store.create(&new, &record, &Writes::default()).await.expect("create");
        assert_eq!(created, CreateOutcome::Created);
        store.drop_tables().await.expect("drop_tables");
    }
    for driver in hosts.iter().chain([&store]) {
        driver.close().await.expect("close");
    }
}
