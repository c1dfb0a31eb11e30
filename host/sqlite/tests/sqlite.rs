//! What SQLite promises beyond the contract of every driver: the file, other processes, the end of a process.

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use lemon_session_sqlite::Sqlite;
use lemon_session_store::{
    Change, CreateOutcome, Digest, LoadOutcome, Record, Rotation, StorageOptions, Store, Stored, TableName,
    UpdateOutcome, Write, Writes,
};
use tempfile::TempDir;

const NOW: u64 = 1_800_000_000;
const RECORD: Record = Record {
    created: NOW,
    accessed: NOW,
    expires: NOW + 1440,
    absolute_expiry: None,
    rotated: NOW,
    owner: None,
    version: 0,
    size: 0,
};

async fn open_with(file: &Path, table: &str, options: &[(&str, &str)]) -> Arc<dyn Store> {
    let options = StorageOptions {
        url: format!("sqlite:{}", file.display()),
        table: TableName::new(table).expect("a table's name"),
        options: options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
    };
    Sqlite::open(options).await.expect("the store opens")
}

async fn open(file: &Path) -> Arc<dyn Store> {
    open_with(file, "Session", &[]).await
}

async fn create(store: &dyn Store, key: &Digest) {
    assert_eq!(store.create(key, &RECORD, &Writes::default()).await.expect("create"), CreateOutcome::Created);
}

/// A new database with the session "a" in it, and the store on it.
async fn with_session_a() -> (TempDir, PathBuf, Arc<dyn Store>) {
    let folder = TempDir::new().expect("a temporary folder");
    let file = folder.path().join("sessions.db");
    let store = open(&file).await;
    store.try_schema().expect("schema").create_tables().await.expect("create_tables");
    create(&*store, &Digest::of("a")).await;
    (folder, file, store)
}

fn put(name: &str, value: &[u8]) -> Write {
    Write { app: "shop".to_owned(), name: name.to_owned(), value: Some(value.to_owned()) }
}

fn writing(writes: impl Into<Writes>) -> Change {
    Change { writes: writes.into(), max_size: u64::MAX, ..Change::default() }
}

/// The names and values of a live session's variables.
async fn variables(store: &dyn Store, key: &Digest) -> Vec<(String, Vec<u8>)> {
    let LoadOutcome::Found(loaded) = store.load(key, "shop", NOW, u32::MAX).await.expect("load") else {
        panic!("the session is live");
    };
    let value = |stored| match stored {
        Stored::Inline(value) => value,
        Stored::Large(bytes) => panic!("{bytes} bytes are less than was asked for"),
    };
    loaded.variables.into_iter().map(|variable| (variable.name, value(variable.value))).collect()
}

#[tokio::test]
async fn a_new_file_is_for_its_owner_alone() {
    let folder = TempDir::new().expect("a temporary folder");
    let store = open(&folder.path().join("sessions.db")).await;
    store.try_schema().expect("schema").create_tables().await.expect("create_tables");
    create(&*store, &Digest::of("a")).await;
    let mut files = 0;
    for file in fs::read_dir(folder.path()).expect("the folder") {
        let file = file.expect("a file");
        let mode = file.metadata().expect("its mode").permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", file.path().display());
        files += 1;
    }
    assert_eq!(files, 3, "the database, its log and the log's index");
}

#[tokio::test]
async fn no_file_is_made_before_its_tables() {
    let folder = TempDir::new().expect("a temporary folder");
    let file = folder.path().join("sessions.db");
    let store = open(&file).await;
    for error in [
        store.load(&Digest::of("a"), "shop", NOW, 0).await.err(),
        store.create(&Digest::of("a"), &RECORD, &Writes::default()).await.err(),
        store.try_inspect().expect("inspect").count(NOW).await.err(),
    ] {
        let error = error.expect("there are no tables");
        assert!(error.is_missing_tables(), "{error}");
        assert!(error.to_string().contains("lemon-session tables create"), "{error}");
    }
    assert!(!store.try_schema().expect("schema").tables_exist().await.expect("tables_exist"));
    store.try_schema().expect("schema").drop_tables().await.expect("there is nothing to drop");
    assert!(!file.exists(), "a mistyped path leaves no file");
    store.try_schema().expect("schema").create_tables().await.expect("create_tables");
    assert!(
        store.try_schema().expect("schema").tables_exist().await.expect("tables_exist"),
        "the same handle sees them"
    );
    create(&*store, &Digest::of("a")).await;
}

#[tokio::test]
async fn several_tables_live_in_one_file() {
    let folder = TempDir::new().expect("a temporary folder");
    let file = folder.path().join("sessions.db");
    let stores = [open_with(&file, "Session", &[]).await, open_with(&file, "select", &[]).await];
    for store in &stores {
        store.try_schema().expect("schema").create_tables().await.expect("create_tables");
        create(&**store, &Digest::of("a")).await;
    }
    stores[0].update(&Digest::of("a"), &writing([put("x", b"1")]), None, NOW).await.expect("update");
    assert_eq!(variables(&*stores[1], &Digest::of("a")).await, []);
    stores[0].try_schema().expect("schema").drop_tables().await.expect("drop_tables");
    assert_eq!(stores[1].try_inspect().expect("inspect").count(NOW).await.expect("count"), 1, "the other table stays");
    assert!(!stores[0].try_schema().expect("schema").tables_exist().await.expect("tables_exist"));
}

#[tokio::test]
async fn tables_of_another_version_are_refused_and_left_as_they_are() {
    let (_folder, file, store) = with_session_a().await;
    store.close().await.expect("close");
    let database = rusqlite::Connection::open(&file).expect("the database");
    let set_version = |version: i64| {
        database.execute("UPDATE Session_meta SET version = ?1", [version]).expect("the version is there");
    };
    let version = database.query_row("SELECT version FROM Session_meta", [], |row| row.get(0)).expect("a version");
    set_version(99);

    let store = open(&file).await;
    for error in [
        store.load(&Digest::of("a"), "shop", NOW, 0).await.err(),
        store.update(&Digest::of("a"), &writing([]), None, NOW).await.err(),
        store.try_schema().expect("schema").create_tables().await.err(),
    ] {
        let error = error.expect("the tables are unknown");
        assert!(error.to_string().contains("layout 99"), "{error}");
        assert!(!error.is_missing_tables(), "creating them would not help");
    }
    set_version(version);
    assert_eq!(variables(&*store, &Digest::of("a")).await, [], "the session is still there");
}

#[tokio::test]
async fn tables_of_other_programs_are_left_as_they_are() {
    let folder = TempDir::new().expect("a temporary folder");
    let file = folder.path().join("shop.db");
    let database = rusqlite::Connection::open(&file).expect("the database");
    let refused = async |says: &str| {
        let before = fs::read(&file).expect("the database");
        let store = open(&file).await;
        let schema = store.try_schema().expect("schema");
        for error in [
            schema.tables_exist().await.err(),
            schema.create_tables().await.err(),
            schema.drop_tables().await.err(),
            schema.differences().await.err(),
        ] {
            let error = error.expect("the table is not ours");
            assert!(error.is_invalid() && error.to_string().contains(says), "{error}");
        }
        store.load(&Digest::of("a"), "shop", NOW, 0).await.expect_err("there are no sessions");
        store.close().await.expect("close");
        assert!(fs::read(&file).expect("the database") == before, "the file is as it was");
    };
    for (theirs, says) in [
        ("TABLE Session (sid TEXT, sess TEXT)", "a table Session that another program made: it has no column id"),
        ("VIEW session AS SELECT 1 AS id", "a table Session that another program made: it has no column created"),
        // It looks like ours.
        (
            "TABLE Session (id INTEGER, created INTEGER, expires INTEGER, owner TEXT)",
            "a table Session that another program made: there is no table Session_meta beside it",
        ),
        ("TABLE Session_meta (name TEXT)", "a table Session_meta that another program made: it has no column version"),
    ] {
        database.execute_batch(&format!("CREATE {theirs}")).expect("their table");
        refused(says).await;
        let [kind, name, ..] = &*theirs.split(' ').collect::<Vec<_>>() else { panic!("{theirs}") };
        database.execute_batch(&format!("DROP {kind} {name}")).expect("it is still there");
    }

    // Ours was replaced.
    let store = open(&file).await;
    store.try_schema().expect("schema").create_tables().await.expect("there is nothing in the way");
    store.close().await.expect("close");
    database.execute_batch("DROP TABLE Session_large; CREATE TABLE Session_large (x)").expect("another table");
    database.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).expect("all of it is in the file");
    refused("a table Session_large that another program made: it has no column id").await;
}

#[tokio::test]
async fn a_file_that_is_no_database_is_a_clear_error() {
    let folder = TempDir::new().expect("a temporary folder");
    let file = folder.path().join("notes.txt");
    fs::write(&file, "Dear diary, ".repeat(1000)).expect("a file");
    let store = open(&file).await;
    let error = store.load(&Digest::of("a"), "shop", NOW, 0).await.expect_err("it is no database");
    assert!(error.to_string().ends_with("notes.txt is not an SQLite database"), "{error}");
    store.try_schema().expect("schema").create_tables().await.expect_err("it is no database");
    assert!(fs::read_to_string(&file).expect("the file").starts_with("Dear diary"), "it is left as it is");
}

#[tokio::test]
async fn session_with_the_digest_of_an_expired_one_has_nothing_of_it() {
    for is_renamed in [true, false] {
        let (_folder, file, store) = with_session_a().await;
        let key = Digest::of("b");
        let old = [put("old", b"1"), Write { app: "blog".to_owned(), ..put("old", b"1") }];
        store.create(&key, &RECORD, &old.into()).await.expect("create");
        let load = async |store: &dyn Store, app: &str, now| store.load(&key, app, now, 100).await.expect("load");
        for app in ["shop", "blog", "shop", "blog"] {
            load(&*store, app, NOW).await;
        }
        store.update(&key, &writing([put("old", b"2")]), None, NOW).await.expect("update");
        let now = RECORD.expires;
        let change = Change { expires: Some(now + 1000), ..writing([]) };
        store.update(&Digest::of("a"), &change, None, NOW).await.expect("update");
        assert_eq!(store.cleanup(now, 10).await.expect("cleanup"), 1);

        if is_renamed {
            let rotation = Some(Rotation { to: key, grace: None });
            store.update(&Digest::of("a"), &Change { rotation, ..writing([]) }, None, now).await.expect("update");
        } else {
            let snapshot = store
                .try_transfer()
                .expect("transfer")
                .export(&Digest::of("a"), now)
                .await
                .expect("export")
                .expect("it is live");
            assert!(store.try_transfer().expect("transfer").import(&key, &snapshot, None, now).await.expect("import"));
        }
        for round in 0..3 {
            let saved = writing([put("new", &[round])]);
            store.update(&key, &saved, None, now).await.expect("update");
            for app in ["shop", "blog"] {
                let stored = load(&*open(&file).await, app, now).await;
                assert_eq!(load(&*store, app, now).await, stored, "renamed: {is_renamed}, {app}, round {round}");
                let LoadOutcome::Found(stored) = stored else { panic!("the session is live") };
                let names: Vec<_> = stored.variables.iter().map(|variable| &*variable.name).collect();
                assert_eq!(names, if app == "shop" { &["new"][..] } else { &[] }, "the save is in the file");
            }
        }
    }
}

/// Has the database to write, as another process would, until it is dropped.
struct Occupied(rusqlite::Connection);

impl Occupied {
    fn new(file: &Path) -> Self {
        let connection = rusqlite::Connection::open(file).expect("the database");
        connection.execute_batch("BEGIN IMMEDIATE").expect("the lock");
        Self(connection)
    }
}

impl Drop for Occupied {
    fn drop(&mut self) {
        self.0.execute_batch("ROLLBACK").expect("the lock is given back");
    }
}

// On one thread: a save that slept on it would hold up everything else.
#[tokio::test]
async fn loads_go_on_while_another_process_writes_and_saves_wait_for_it() {
    let folder = TempDir::new().expect("a temporary folder");
    let file = folder.path().join("sessions.db");
    let store = open_with(&file, "Session", &[("busy-timeout", "60s")]).await;
    store.try_schema().expect("schema").create_tables().await.expect("create_tables");
    let key = Digest::of("a");
    create(&*store, &key).await;

    let occupied = Occupied::new(&file);
    let saves: Vec<_> = (0..20)
        .map(|number| {
            let store = Arc::clone(&store);
            tokio::spawn(
                async move { store.update(&key, &writing([put(&format!("{number:02}"), b"1")]), None, NOW).await },
            )
        })
        .collect();
    for _ in 0..100 {
        assert_eq!(variables(&*store, &key).await, []);
        tokio::task::yield_now().await;
    }
    assert!(saves.iter().all(|save| !save.is_finished()), "saves wait");
    drop(occupied);
    for save in saves {
        let saved = save.await.expect("the save ends").expect("update");
        assert!(matches!(saved, UpdateOutcome::Committed(_)), "{saved:?}");
    }
    assert_eq!(variables(&*store, &key).await.len(), 20);
}

#[tokio::test]
async fn saves_give_up_after_busy_timeout_however_many_wait() {
    let folder = TempDir::new().expect("a temporary folder");
    let file = folder.path().join("sessions.db");
    for synchronous in ["NORMAL", "FULL"] {
        let store = open_with(&file, "Session", &[("busy-timeout", "200ms"), ("synchronous", synchronous)]).await;
        store.try_schema().expect("schema").create_tables().await.expect("create_tables");
        let key = Digest::of(synchronous);
        create(&*store, &key).await;

        let occupied = Occupied::new(&file);
        let started = Instant::now();
        let saves: Vec<_> = (0..3000)
            .map(|number| {
                let store = Arc::clone(&store);
                tokio::spawn(
                    async move { store.update(&key, &writing([put(&format!("{number}"), b"1")]), None, NOW).await },
                )
            })
            .collect();
        for save in saves {
            let error = save.await.expect("the save ends").expect_err("nothing can be written");
            assert!(!error.is_missing_tables() && !error.is_invalid(), "{error}");
        }
        // The first of them, those that waited for room behind them, and a slow machine.
        assert!(started.elapsed() < Duration::from_secs(20), "they waited for {:?}", started.elapsed());
        drop(occupied);
        let saved = store.update(&key, &writing([put("x", b"1")]), None, NOW).await.expect("update");
        assert_eq!(saved, UpdateOutcome::Committed(2), "nothing of those that failed was written");
    }
}

#[tokio::test]
async fn each_save_waits_for_other_processes_until_its_own_deadline() {
    let waits = async |synchronous: &str| {
        let folder = TempDir::new().expect("a temporary folder");
        let file = folder.path().join("sessions.db");
        let store = open_with(&file, "Session", &[("busy-timeout", "2s"), ("synchronous", synchronous)]).await;
        store.try_schema().expect("schema").create_tables().await.expect("create_tables");
        let key = Digest::of("a");
        create(&*store, &key).await;
        let occupied = Occupied::new(&file);
        let started = Instant::now();
        let save = |name: &'static str| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { store.update(&key, &writing([put(name, b"1")]), None, NOW).await })
        };
        let apart = Duration::from_millis(700);
        let first = save("1");
        tokio::time::sleep(apart).await;
        let second = save("2");
        tokio::time::sleep(apart).await;
        // The second and the third are tried together when the first has given up.
        let third = save("3");
        tokio::time::sleep(apart).await;
        for (early, given_up_at) in [(first, 2000), (second, 2700)] {
            early.await.expect("no panic").expect_err("it has waited for two seconds");
            assert!(started.elapsed() >= Duration::from_millis(given_up_at - 20), "{:?}", started.elapsed());
        }
        assert!(!third.is_finished(), "this one has more time");
        drop(occupied);
        let saved = third.await.expect("no panic").expect("it was in time");
        assert_eq!(saved, UpdateOutcome::Committed(2));
    };
    futures::join!(waits("NORMAL"), waits("FULL"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn saves_that_are_given_up_are_done_whole_or_not_at_all() {
    let folder = TempDir::new().expect("a temporary folder");
    let file = folder.path().join("sessions.db");
    for synchronous in ["NORMAL", "FULL"] {
        let store = open_with(&file, "Session", &[("synchronous", synchronous)]).await;
        store.try_schema().expect("schema").create_tables().await.expect("create_tables");
        let key = Digest::of(synchronous);
        create(&*store, &key).await;
        let saves: Vec<_> = (0..300)
            .map(|number: u32| {
                let store = Arc::clone(&store);
                tokio::spawn(async move {
                    let value = number.to_be_bytes();
                    store
                        .update(
                            &key,
                            &writing([put(&format!("a{number}"), &value), put(&format!("b{number}"), &value)]),
                            None,
                            NOW,
                        )
                        .await
                })
            })
            .collect();
        for save in saves.iter().step_by(2) {
            save.abort();
        }
        let mut kept = 0;
        for save in saves {
            if let Ok(saved) = save.await {
                assert!(matches!(saved.expect("update"), UpdateOutcome::Committed(_)));
                kept += 1;
            }
        }
        // A save behind all others: what was queued before it is done.
        store.update(&key, &writing([]), None, NOW).await.expect("update");
        let variables = variables(&*store, &key).await;
        let (a, b): (Vec<_>, Vec<_>) = variables.into_iter().partition(|(name, _)| name.starts_with('a'));
        assert!(a.len() >= kept, "those that were answered are there");
        assert_eq!(a.len(), b.len(), "both variables of a save or neither");
        let record = store
            .try_inspect()
            .expect("inspect")
            .describe(&key, NOW)
            .await
            .expect("describe")
            .expect("a live session")
            .0;
        assert_eq!(record.version, 1 + a.len() as u64, "the version counts those that are there");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn saves_go_on_while_a_backlog_is_cleaned_up() {
    let folder = TempDir::new().expect("a temporary folder");
    let store = open(&folder.path().join("sessions.db")).await;
    store.try_schema().expect("schema").create_tables().await.expect("create_tables");
    for n in 0..3000 {
        create(&*store, &Digest::of(&n.to_string())).await;
    }
    let live = Record { expires: NOW + 100_000, ..RECORD };
    store.create(&Digest::of("live"), &live, &Writes::default()).await.expect("create");
    let cleanup = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.cleanup(NOW + 1440, u32::MAX).await }
    });
    let mut saves = 0_u64;
    while !cleanup.is_finished() {
        store.update(&Digest::of("live"), &writing([put("x", b"1")]), None, NOW).await.expect("update");
        saves += 1;
    }
    assert_eq!(cleanup.await.expect("the task ends").expect("cleanup"), 3000);
    // One transaction removes 16.
    assert!(saves > 3000 / 16, "a cleanup leaves the writer to saves between its transactions: {saves}");
}

#[tokio::test]
async fn file_that_is_replaced_by_a_backup_is_noticed_within_seconds() {
    let (folder, file, store) = with_session_a().await;
    let backup = folder.path().join("backup.db");
    let database = rusqlite::Connection::open(&file).expect("the database");
    database.execute("VACUUM INTO ?1", [backup.to_str()]).expect("a backup");
    drop(database);
    store.update(&Digest::of("a"), &writing([put("x", b"1")]), None, NOW).await.expect("update");
    fs::rename(&backup, &file).expect("the backup is restored");
    let restored = Instant::now();
    while !variables(&*store, &Digest::of("a")).await.is_empty() {
        assert!(restored.elapsed() < Duration::from_secs(10), "loads still answer what the old file has");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    store.update(&Digest::of("a"), &writing([put("y", b"2")]), None, NOW).await.expect("update");
    assert_eq!(variables(&*open(&file).await, &Digest::of("a")).await, [("y".to_owned(), b"2".to_vec())]);
}

/// A small disk: a file system of its own in memory, which goes with this value. None where this user may not mount one.
struct SmallDisk(TempDir);

impl SmallDisk {
    fn new() -> Option<Self> {
        let folder = TempDir::new().expect("a temporary folder");
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", "size=4m", "tmpfs"]).arg(folder.path()).output();
        if !mount.is_ok_and(|mounted| mounted.status.success()) {
            eprintln!("\n*** SKIPPED: only root can mount a file system ***\n");
            return None;
        }
        Some(Self(folder))
    }

    /// Fills it up; returns the file that does.
    fn fill(&self) -> PathBuf {
        use std::io::Write as _;
        let ballast = self.0.path().join("ballast");
        let mut file = fs::File::create(&ballast).expect("a file");
        while file.write_all(&[1; 4096]).is_ok() {}
        ballast
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a store may still have files open.
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn saves_on_a_full_disk_use_the_room_of_the_log_and_recover_by_themselves() {
    let Some(disk) = SmallDisk::new() else { return };
    for synchronous in ["NORMAL", "FULL"] {
        let file = disk.0.path().join(format!("{synchronous}.db"));
        let store = open_with(&file, "Session", &[("synchronous", synchronous)]).await;
        store.try_schema().expect("schema").create_tables().await.expect("create_tables");
        let key = Digest::of("a");
        create(&*store, &key).await;
        let save = async |name: &str, value: &[u8]| store.update(&key, &writing([put(name, value)]), None, NOW).await;
        // The log is short: nothing has been copied back yet.
        for number in 0..20 {
            save("x", &[number; 3000]).await.expect("there is room");
        }
        let ballast = disk.fill();
        for number in 0..200 {
            save("x", &[number; 3000]).await.expect("the log begins anew");
        }
        let error = save("large", &[1; 500_000]).await.expect_err("there is no room for it");
        assert!(error.to_string().contains("the disk is full"), "{error}");
        save("x", b"1").await.expect("what fits is saved");
        fs::remove_file(ballast).expect("it is there");
        save("large", &[1; 500_000]).await.expect("there is room again");
        store.close().await.expect("closed");
        assert_eq!(check_integrity(&file), "ok");
        fs::remove_file(&file).expect("it is there");
    }
}

#[tokio::test]
async fn close_copies_the_log_back_into_the_database() {
    let (folder, file, store) = with_session_a().await;
    store.update(&Digest::of("a"), &writing([put("x", b"1")]), None, NOW).await.expect("update");
    store.close().await.expect("close");
    assert!(!folder.path().join("sessions.db-wal").exists(), "there is no log any more");
    let moved = folder.path().join("moved.db");
    fs::rename(&file, &moved).expect("the file alone holds everything");
    assert_eq!(variables(&*open(&moved).await, &Digest::of("a")).await, [("x".to_owned(), b"1".to_vec())]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_does_not_grow_without_bound() {
    let (folder, _, store) = with_session_a().await;
    let mut longest = 0;
    for number in 0..1500 {
        store
            .update(&Digest::of("a"), &writing([put("x", &[number as u8; 100_000])]), None, NOW)
            .await
            .expect("update");
        longest = longest.max(fs::metadata(folder.path().join("sessions.db-wal")).expect("the log").len());
    }
    assert!(longest > 1 << 20, "the log is in use");
    assert!(longest < 60 << 20, "the log grew to {longest} bytes while 150 MB were written");
}

/// A process of its own that saves to the database, the same two variables in each save, and writes a line for each save
/// that was acknowledged.
fn process(file: &Path, name: &str, saves: u32) -> Child {
    saving(Command::new(std::env::current_exe().expect("this program")), file, name, saves)
}

fn saving(mut program: Command, file: &Path, name: &str, saves: u32) -> Child {
    program
        .args(["--ignored", "--exact", "saving_process", "--nocapture"])
        .env("SAVES_TO", file)
        .env("SAVES_AS", name)
        .env("SAVES", saves.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .expect("this program starts again")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the process that other tests start"]
async fn saving_process() {
    let variable = |name: &str| std::env::var(name).expect("it is started by a test");
    let (file, name) = (variable("SAVES_TO"), variable("SAVES_AS"));
    let saves: u32 = variable("SAVES").parse().expect("a number");
    let store = open(Path::new(&file)).await;
    let tasks: Vec<_> = (0..4)
        .map(|task| {
            let (store, name) = (Arc::clone(&store), name.clone());
            tokio::spawn(async move {
                for number in 0..saves {
                    let name = format!("{name} {task} {number:06}");
                    let value = number.to_be_bytes().repeat(1 + 300 * (number as usize % 3));
                    let change = writing([put(&format!("a {name}"), &value), put(&format!("b {name}"), &value)]);
                    let saved = store.update(&Digest::of("a"), &change, None, NOW).await.expect("update");
                    assert!(matches!(saved, UpdateOutcome::Committed(_)), "{saved:?}");
                    println!("saved {name}");
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("the task ends");
    }
}

fn acknowledged(child: &mut Child) -> impl Iterator<Item = String> + use<> {
    let lines = BufReader::new(child.stdout.take().expect("its output")).lines();
    lines.map_while(Result::ok).filter_map(|line| line.strip_prefix("saved ").map(str::to_owned))
}

/// Checks that exactly whole saves are there, and among them the given ones; returns how many.
async fn check(file: &Path, acknowledged: &[String]) -> usize {
    let variables = variables(&*open(file).await, &Digest::of("a")).await;
    let (a, b): (Vec<_>, Vec<_>) = variables.into_iter().partition(|(name, _)| name.starts_with('a'));
    let whole = a.len() == b.len() && a.iter().zip(&b).all(|(a, b)| a.0[1..] == b.0[1..] && a.1 == b.1);
    assert!(whole, "both variables of a save or neither");
    for name in acknowledged {
        assert!(a.binary_search_by(|(held, _)| held[2..].cmp(name)).is_ok(), "{name} was acknowledged");
    }
    assert_eq!(check_integrity(file), "ok");
    a.len()
}

fn check_integrity(file: &Path) -> String {
    let database = rusqlite::Connection::open(file).expect("the database");
    database.query_row("PRAGMA integrity_check", [], |row| row.get(0)).expect("integrity_check")
}

#[tokio::test]
async fn acknowledged_saves_survive_kill_9() {
    let (_folder, file, store) = with_session_a().await;
    store.close().await.expect("close");
    let mut all = Vec::new();
    for round in 0..20 {
        let mut child = process(&file, &format!("{round:02}"), 1_000_000);
        let mut saved = acknowledged(&mut child);
        all.extend(saved.by_ref().take(5 + 17 * round));
        child.kill().expect("SIGKILL");
        // Those that it still wrote before it died.
        all.extend(saved);
        child.wait().expect("it is dead");
    }
    assert!(check(&file, &all).await >= all.len());
}

#[tokio::test]
async fn saves_that_find_no_room_fail_and_undo_no_other() {
    let (_folder, file, store) = with_session_a().await;
    store.close().await.expect("close");
    // A process whose files may not grow past a megabyte or two, and that is told instead of ended.
    let mut limited = Command::new("sh");
    limited.args(["-c", r#"trap "" XFSZ; ulimit -f 2048; exec "$0" "$@""#]);
    limited.arg(std::env::current_exe().expect("this program")).env("RUST_BACKTRACE", "0").stderr(Stdio::null());
    let mut child = saving(limited, &file, "limited", 1_000_000);
    let saved: Vec<_> = acknowledged(&mut child).collect();
    assert!(!child.wait().expect("it ends").success(), "there was room for a million saves");
    assert!(saved.len() > 100, "there was room for {} saves", saved.len());
    // Of the four that save, the others may have been served when the first one gave up.
    let stored = check(&file, &saved).await;
    assert!((saved.len()..saved.len() + 4).contains(&stored), "{stored}, and {} were acknowledged", saved.len());
    let mut others = process(&file, "others", 50);
    assert_eq!(acknowledged(&mut others).count(), 4 * 50);
    assert_eq!(check(&file, &saved).await, stored + 4 * 50);
}

#[tokio::test]
async fn saves_of_several_processes_all_survive() {
    let (_folder, file, _store) = with_session_a().await;
    let mut children = ["x", "y", "z"].map(|name| process(&file, name, 50));
    for child in &mut children {
        assert_eq!(acknowledged(child).count(), 4 * 50);
        assert!(child.wait().expect("it ends").success());
    }
    assert_eq!(check(&file, &[]).await, 3 * 4 * 50);
}
