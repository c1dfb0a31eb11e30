//! What a move may do to either store, on stores in memory, with a clock that is set.

use std::{
    cell::Cell,
    os::unix::fs::PermissionsExt as _,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use lemon_session_host::store::{
    Change, CreateOutcome, DestroyCondition, Digest, Error, Grace, Inspect, LoadOutcome, Record, Result, Rotation,
    Schema, Snapshot, Store, Transfer, UpdateOutcome, Write, Writes, memory::Memory,
};
use tempfile::TempDir;

use super::{
    journal::{Counts, Journal},
    mover::{Moved, Mover},
};

const START: u64 = 1_800_000_000;

thread_local! {
    static NOW: Cell<u64> = const { Cell::new(START) };
}

fn now() -> u64 {
    NOW.get()
}

fn wait(seconds: u64) {
    NOW.set(now() + seconds);
}

/// Two stores, and the journal of the move between them.
struct Site {
    from: Arc<dyn Store>,
    to: Arc<dyn Store>,
    folder: TempDir,
}

impl Site {
    fn new() -> Self {
        NOW.set(START);
        let folder = TempDir::new().expect("a folder");
        Self { from: Arc::new(Memory::new()), to: Arc::new(Memory::new()), folder }
    }

    async fn run(&self, passes: u64) -> anyhow::Result<Moved> {
        let journal = Journal::open(&self.folder.path().join("journal"), "here", "there")?;
        let (from, to) = (Arc::clone(&self.from), Arc::clone(&self.to));
        Mover { from, to, journal, clock: now, remember: 3600 }.run(passes, |_, _| ()).await
    }

    async fn move_all(&self) -> Moved {
        let moved = self.run(10).await.expect("the move ends");
        let Counts { found, copied, present, kept, ended, failed } = moved.counts;
        assert_eq!(found, copied + present + kept + ended + failed, "the count adds up: {:?}", moved.counts);
        moved
    }
}

async fn create(store: &dyn Store, name: &str) {
    let record = Record {
        created: now(),
        accessed: now(),
        expires: now() + 1440,
        absolute_expiry: None,
        rotated: now(),
        owner: Some("Ada".to_owned()),
        version: 0,
        size: 0,
    };
    let created =
        store.create(&Digest::of(name), &record, &[write("a", b"1"), write("b", b"2")].into()).await.expect("create");
    assert_eq!(created, CreateOutcome::Created);
}

fn write(app: &str, value: &[u8]) -> Write {
    Write { app: app.to_owned(), name: "x".to_owned(), value: Some(value.to_owned()) }
}

async fn save(store: &dyn Store, name: &str, value: &[u8]) {
    let expires = Some(now() + 1440);
    let change = Change { writes: [write("a", value)].into(), expires, max_size: u64::MAX, ..Change::default() };
    let saved = store.update(&Digest::of(name), &change, None, now()).await.expect("update");
    assert!(matches!(saved, UpdateOutcome::Committed(_)), "{saved:?}");
}

async fn get(store: &dyn Store, name: &str) -> Option<Snapshot> {
    store.transfer().expect("transfer").export(&Digest::of(name), now()).await.expect("export")
}

async fn value(store: &dyn Store, name: &str) -> Option<Vec<u8>> {
    get(store, name).await.and_then(|snapshot| snapshot.variables[0].value.clone())
}

async fn destroy(store: &dyn Store, name: &str, remember: u32) {
    assert!(store.destroy(&Digest::of(name), &DestroyCondition::Any, now(), remember).await.expect("destroy"));
}

#[tokio::test]
async fn copies_are_what_they_are_copies_of() {
    let site = Site::new();
    for n in 0..300 {
        create(&*site.from, &n.to_string()).await;
    }
    save(&*site.from, "7", b"saved").await;
    let moved = site.move_all().await;
    assert_eq!(moved.counts, Counts { found: 300, copied: 300, ..Counts::default() });
    assert_eq!((moved.passes, moved.changed, moved.removed), (2, 0, 0));
    for n in 0..300 {
        assert_eq!(get(&*site.to, &n.to_string()).await, get(&*site.from, &n.to_string()).await);
    }
}

#[tokio::test]
async fn second_run_copies_what_has_changed_alone() {
    let site = Site::new();
    for name in ["same", "saved", "used"] {
        create(&*site.from, name).await;
    }
    site.move_all().await;
    wait(60);
    create(&*site.from, "new").await;
    save(&*site.from, "saved", b"later").await;
    let used = Change { expires: Some(now() + 1440), max_size: u64::MAX, ..Change::default() };
    site.from.update(&Digest::of("used"), &used, None, now()).await.expect("update");
    let moved = site.move_all().await;
    assert_eq!(moved.counts, Counts { found: 4, copied: 3, present: 1, ..Counts::default() });
    for name in ["same", "saved", "used", "new"] {
        assert_eq!(get(&*site.to, name).await, get(&*site.from, name).await, "{name}");
    }
}

#[tokio::test]
async fn what_is_newer_at_the_target_is_kept() {
    let site = Site::new();
    create(&*site.from, "a").await;
    site.move_all().await;
    wait(5);
    save(&*site.to, "a", b"there").await;
    for (round, at_source) in [&b"1"[..], b"here", b"here again"].into_iter().enumerate() {
        if round > 0 {
            wait(5);
            save(&*site.from, "a", at_source).await;
        }
        let moved = site.move_all().await;
        assert_eq!(value(&*site.to, "a").await.as_deref(), Some(&b"there"[..]), "round {round}");
        assert_eq!((moved.counts.found, moved.counts.copied), (1, 0), "round {round}: {:?}", moved.counts);
    }

    // Without a journal too.
    let site = Site { folder: TempDir::new().expect("a folder"), ..site };
    save(&*site.to, "a", b"newest").await;
    wait(5);
    save(&*site.to, "a", b"newest").await;
    let moved = site.move_all().await;
    assert_eq!(moved.counts, Counts { found: 1, kept: 1, ..Counts::default() });
    assert_eq!(value(&*site.to, "a").await.as_deref(), Some(&b"newest"[..]));
}

#[tokio::test]
async fn save_at_the_target_is_kept_though_the_source_saved_in_the_same_second() {
    for has_journal in [true, false] {
        let mut site = Site::new();
        create(&*site.from, "a").await;
        site.move_all().await;
        wait(5);
        save(&*site.from, "a", b"here").await;
        save(&*site.to, "a", b"there").await;
        for round in 0..3 {
            if !has_journal {
                site = Site { folder: TempDir::new().expect("a folder"), ..site };
            }
            let moved = site.move_all().await;
            assert_eq!(value(&*site.to, "a").await.as_deref(), Some(&b"there"[..]), "{has_journal}, round {round}");
            assert_eq!(moved.counts, Counts { found: 1, kept: 1, ..Counts::default() }, "round {round}");
            // Also a later save at the source, in the same second as the target's or, by the journal, at any time.
            wait(if has_journal { 5 } else { 0 });
            save(&*site.from, "a", b"here again").await;
            if !has_journal {
                save(&*site.to, "a", b"there").await;
            }
        }
        destroy(&*site.from, "a", 3600).await;
        site.move_all().await;
        assert_eq!(value(&*site.to, "a").await.as_deref(), Some(&b"there"[..]), "nor does it end");
    }
}

#[tokio::test]
async fn save_at_the_target_is_kept_where_a_copy_of_its_version_was_begun() {
    for ends in [false, true] {
        let to = Arc::new(Troubled { inner: Memory::new(), fails: AtomicBool::new(false), makes: false });
        let site = Site { to: Arc::clone(&to) as Arc<dyn Store>, ..Site::new() };
        create(&*site.from, "a").await;
        site.move_all().await;
        wait(5);
        save(&*site.from, "a", b"here").await;
        to.fails.store(true, Ordering::Relaxed);
        assert_eq!(site.move_all().await.counts.failed, 1);
        save(&*site.to, "a", b"there").await;
        to.fails.store(false, Ordering::Relaxed);
        if ends {
            destroy(&*site.from, "a", 3600).await;
        }
        site.move_all().await;
        assert_eq!(value(&*site.to, "a").await.as_deref(), Some(&b"there"[..]), "ended at the source: {ends}");
    }
}

#[tokio::test]
async fn without_its_journal_a_move_tells_equal_copies_from_older_ones() {
    let site = Site::new();
    for name in ["same", "older"] {
        create(&*site.from, name).await;
    }
    site.move_all().await;
    wait(5);
    save(&*site.from, "older", b"later").await;
    let site = Site { folder: TempDir::new().expect("a folder"), ..site };
    let moved = site.move_all().await;
    assert_eq!(moved.counts, Counts { found: 2, copied: 1, present: 1, ..Counts::default() });
    assert_eq!(value(&*site.to, "older").await.as_deref(), Some(&b"later"[..]));
}

#[tokio::test]
async fn session_that_ended_at_the_source_ends_at_the_target() {
    for remember in [0, 3600] {
        let site = Site::new();
        for name in ["logged out", "live"] {
            create(&*site.from, name).await;
        }
        site.move_all().await;
        wait(5);
        destroy(&*site.from, "logged out", remember).await;
        let moved = site.move_all().await;
        assert_eq!((moved.counts.found, moved.removed), (1, 1), "{moved:?}");
        let load = site.to.load(&Digest::of("logged out"), "a", now(), 0).await.expect("load");
        assert_eq!(load, LoadOutcome::Ended, "a later use of it is noticed there");
        assert!(get(&*site.to, "live").await.is_some());
    }
}

#[tokio::test]
async fn session_that_the_target_made_or_saved_is_never_ended() {
    let site = Site::new();
    create(&*site.from, "a").await;
    create(&*site.to, "its own").await;
    site.move_all().await;
    wait(5);
    save(&*site.to, "a", b"there").await;
    destroy(&*site.from, "a", 3600).await;
    let moved = site.move_all().await;
    assert_eq!(moved.removed, 0);
    assert_eq!(value(&*site.to, "a").await.as_deref(), Some(&b"there"[..]));
    assert!(get(&*site.to, "its own").await.is_some());
}

#[tokio::test]
async fn session_that_ended_at_the_target_is_not_brought_back() {
    for remember in [0, 3600] {
        let site = Site::new();
        create(&*site.from, "a").await;
        site.move_all().await;
        destroy(&*site.to, "a", remember).await;
        for round in 0..3 {
            if round > 0 {
                wait(5);
                save(&*site.from, "a", b"here").await;
            }
            let moved = site.move_all().await;
            assert_eq!(moved.counts, Counts { found: 1, kept: 1, ..Counts::default() }, "round {round}");
            assert_eq!(get(&*site.to, "a").await, None, "round {round}");
        }
    }
}

#[tokio::test]
async fn copy_that_expired_between_two_runs_is_made_again() {
    for cleaned in [false, true] {
        let site = Site::new();
        create(&*site.from, "a").await;
        create(&*site.from, "b").await;
        site.move_all().await;
        wait(1000);
        save(&*site.from, "a", b"later").await;
        wait(1000);
        if cleaned {
            assert_eq!(site.to.cleanup(now(), 9).await.expect("cleanup"), 2);
        }
        let moved = site.move_all().await;
        assert_eq!(moved.counts, Counts { found: 1, copied: 1, ..Counts::default() });
        assert_eq!(get(&*site.to, "a").await, get(&*site.from, "a").await);
        assert_eq!(get(&*site.to, "b").await, None);
    }
}

#[tokio::test]
async fn session_with_a_new_id_moves_and_its_old_id_ends() {
    let site = Site::new();
    create(&*site.from, "old").await;
    site.move_all().await;
    wait(5);
    let grace = Some(Grace { until: now() + 60, nonce: b"n".to_vec() });
    let renewal =
        Change { rotation: Some(Rotation { to: Digest::of("new"), grace }), max_size: u64::MAX, ..Change::default() };
    site.from.update(&Digest::of("old"), &renewal, None, now()).await.expect("update");
    let moved = site.move_all().await;
    assert_eq!((moved.counts.copied, moved.removed), (1, 1), "{moved:?}");
    assert_eq!(get(&*site.to, "old").await, None);
    assert_eq!(get(&*site.to, "new").await, get(&*site.from, "new").await);
}

/// A store of which calls fail, or that changes another one, in the middle of a move.
struct Troubled {
    inner: Memory,
    /// Imports fail after they were made, and before.
    fails: AtomicBool,
    makes: bool,
}

#[async_trait]
impl Store for Troubled {
    fn summary(&self) -> String {
        self.inner.summary()
    }
    async fn load(&self, key: &Digest, app: &str, now: u64, inline_bytes: u32) -> Result<LoadOutcome> {
        self.inner.load(key, app, now, inline_bytes).await
    }
    async fn fetch(&self, key: &Digest, app: &str, name: &str, now: u64) -> Result<Option<Vec<u8>>> {
        self.inner.fetch(key, app, name, now).await
    }
    async fn create(&self, key: &Digest, record: &Record, writes: &Writes) -> Result<CreateOutcome> {
        self.inner.create(key, record, writes).await
    }
    async fn update(&self, key: &Digest, change: &Change, expected: Option<u64>, now: u64) -> Result<UpdateOutcome> {
        self.inner.update(key, change, expected, now).await
    }
    async fn destroy(&self, key: &Digest, only: &DestroyCondition, now: u64, remember: u32) -> Result<bool> {
        self.inner.destroy(key, only, now, remember).await
    }
    async fn destroy_owned(&self, owner: &str, except: Option<&Digest>, now: u64, remember: u32) -> Result<u64> {
        self.inner.destroy_owned(owner, except, now, remember).await
    }
    async fn cleanup(&self, now: u64, limit: u32) -> Result<u32> {
        self.inner.cleanup(now, limit).await
    }
    fn inspect(&self) -> Option<&dyn Inspect> {
        self.inner.inspect()
    }
    fn transfer(&self) -> Option<&dyn Transfer> {
        Some(self)
    }
    fn schema(&self) -> Option<&dyn Schema> {
        self.inner.schema()
    }
}

#[async_trait]
impl Transfer for Troubled {
    async fn export(&self, key: &Digest, now: u64) -> Result<Option<Snapshot>> {
        self.inner.export(key, now).await
    }
    async fn import(&self, key: &Digest, snapshot: &Snapshot, over: Option<u64>, now: u64) -> Result<bool> {
        if !self.fails.load(Ordering::Relaxed) {
            return self.inner.import(key, snapshot, over, now).await;
        }
        if self.makes {
            self.inner.import(key, snapshot, over, now).await?;
        }
        Err(Error::unavailable("the connection was cut"))
    }
}

#[tokio::test]
async fn import_of_which_nothing_is_known_is_made_once_or_ended() {
    for makes in [false, true] {
        let to = Arc::new(Troubled { inner: Memory::new(), fails: AtomicBool::new(true), makes });
        let site = Site { to: Arc::clone(&to) as Arc<dyn Store>, ..Site::new() };
        for name in ["live", "saved", "logged out"] {
            create(&*site.from, name).await;
        }
        let moved = site.move_all().await;
        assert_eq!(moved.counts, Counts { found: 3, failed: 3, ..Counts::default() });
        to.fails.store(false, Ordering::Relaxed);
        destroy(&*site.from, "logged out", 0).await;
        wait(5);
        save(&*site.from, "saved", b"later").await;
        let moved = site.move_all().await;
        assert_eq!(moved.counts.found, 2);
        assert_eq!(moved.counts.copied + moved.counts.present, 2, "{:?}", moved.counts);
        assert_eq!(get(&*site.to, "live").await, get(&*site.from, "live").await);
        assert_eq!(get(&*site.to, "saved").await, get(&*site.from, "saved").await);
        assert_eq!(get(&*site.to, "logged out").await, None, "a logout is for good");
    }
}

#[tokio::test]
async fn move_to_a_store_that_fails_is_broken_off_and_goes_on_later() {
    let to = Arc::new(Troubled { inner: Memory::new(), fails: AtomicBool::new(true), makes: false });
    let site = Site { to: Arc::clone(&to) as Arc<dyn Store>, ..Site::new() };
    for n in 0..1000 {
        create(&*site.from, &n.to_string()).await;
    }
    let error = site.run(10).await.expect_err("nothing can be stored");
    assert!(format!("{error:#}").contains("run it again"), "{error:#}");
    to.fails.store(false, Ordering::Relaxed);
    assert_eq!(site.move_all().await.counts, Counts { found: 1000, copied: 1000, ..Counts::default() });
}

#[tokio::test]
async fn the_journal_is_closed_to_other_users() {
    use std::os::unix::fs::MetadataExt as _;

    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("journal");
    let mut journal = Journal::open(&file, "here", "there").expect("a new journal");
    journal.begin_pass().expect("it can be written");
    let files: Vec<_> =
        std::fs::read_dir(folder.path()).expect("the folder").map(|file| file.expect("a file")).collect();
    assert!(files.len() > 1, "the journal has a log: {files:?}");
    for file in files {
        assert_eq!(file.metadata().expect("it is there").mode() & 0o777, 0o600, "{file:?}");
    }
}

#[tokio::test]
async fn journal_is_of_one_move_and_one_run_at_a_time() {
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("journal");
    let journal = Journal::open(&file, "here", "there").expect("a new journal");
    let busy = Journal::open(&file, "here", "there").err().expect("it is in use");
    assert!(busy.to_string().contains("another move"), "{busy:#}");
    drop(journal);
    let other = Journal::open(&file, "there", "here").err().expect("it is that of another move");
    assert!(other.to_string().contains("from here to there"), "{other:#}");
    let mode = std::fs::metadata(&file).expect("the journal").permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "it is for its owner alone");
    let text = folder.path().join("text");
    std::fs::write(&text, "Dear diary, ".repeat(1000)).expect("a file");
    let error = Journal::open(&text, "here", "there").err().expect("it is no journal");
    assert!(error.to_string().contains("is not the journal of a move"), "{error:#}");
    assert!(std::fs::read_to_string(&text).expect("the file").starts_with("Dear diary"));
}
