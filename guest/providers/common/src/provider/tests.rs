use std::{
    cell::{Cell, RefCell},
    future::pending,
};

use async_trait::async_trait;
use lemon_session_store::{
    self as store, Inspect, LoadOutcome as Found, Record, Schema, Writes, memory::Memory, registry::Opening,
};

use super::*;

const NOW: u64 = 1000;

thread_local! {
    static LOGGED: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    static OPENED: Cell<u32> = const { Cell::new(0) };
}

fn log(line: &str) {
    LOGGED.with_borrow_mut(|lines| lines.push(line.to_owned()));
}

fn logged() -> Vec<String> {
    LOGGED.take()
}

/// A store in memory that needs tables. A session that is called `wait` is never loaded.
#[derive(Default)]
struct Tables {
    memory: Memory,
    exist: AtomicBool,
}

impl Tables {
    fn open(options: StorageOptions) -> Opening {
        Box::pin(async move {
            OPENED.set(OPENED.get() + 1);
            options.refuse_unknown(&["colour"])?;
            if options.url == "tables:late" && OPENED.get() < 3 {
                return Err(Error::unavailable("the server starts"));
            }
            Ok(Arc::new(Self::default()) as Arc<dyn Store>)
        })
    }

    fn check(&self) -> Result<()> {
        if self.exist.load(Ordering::Relaxed) { Ok(()) } else { Err(Error::missing_tables("there are no tables")) }
    }
}

#[async_trait]
impl Store for Tables {
    fn summary(&self) -> String {
        "a test".to_owned()
    }

    async fn load(&self, digest: &Digest, app: &str, now: u64, inline: u32) -> Result<Found> {
        self.check()?;
        if *digest == Digest::of("wait") {
            pending::<()>().await;
        }
        self.memory.load(digest, app, now, inline).await
    }

    async fn fetch(&self, digest: &Digest, app: &str, name: &str, now: u64) -> Result<Option<Vec<u8>>> {
        self.check()?;
        self.memory.fetch(digest, app, name, now).await
    }

    async fn create(&self, digest: &Digest, record: &Record, writes: &Writes) -> Result<store::CreateOutcome> {
        self.check()?;
        self.memory.create(digest, record, writes).await
    }

    async fn update(
        &self,
        digest: &Digest,
        change: &store::Change,
        expected: Option<u64>,
        now: u64,
    ) -> Result<store::UpdateOutcome> {
        self.check()?;
        self.memory.update(digest, change, expected, now).await
    }

    async fn destroy(&self, digest: &Digest, only: &store::DestroyCondition, now: u64, remember: u32) -> Result<bool> {
        self.check()?;
        self.memory.destroy(digest, only, now, remember).await
    }

    async fn destroy_owned(&self, owner: &str, except: Option<&Digest>, now: u64, remember: u32) -> Result<u64> {
        self.check()?;
        self.memory.destroy_owned(owner, except, now, remember).await
    }

    async fn cleanup(&self, now: u64, limit: u32) -> Result<u32> {
        self.check()?;
        self.memory.cleanup(now, limit).await
    }

    fn inspect(&self) -> Option<&dyn Inspect> {
        self.memory.inspect()
    }

    fn schema(&self) -> Option<&dyn Schema> {
        Some(self)
    }
}

#[async_trait]
impl Schema for Tables {
    async fn create_tables(&self) -> Result<()> {
        self.exist.store(true, Ordering::Relaxed);
        Ok(())
    }

    async fn drop_tables(&self) -> Result<()> {
        self.exist.store(false, Ordering::Relaxed);
        Ok(())
    }

    async fn tables_exist(&self) -> Result<bool> {
        Ok(self.exist.load(Ordering::Relaxed))
    }
}

fn with(variables: &[(&str, &str)]) -> Provider {
    OPENED.set(0);
    logged();
    let mut registry = Registry::new();
    registry.register(&[("tables", Tables::open as Open)]).expect("a new scheme");
    let variables = variables.iter().map(|(name, value)| (format!("LEMON_SESSION_{name}"), (*value).to_owned()));
    Provider::new(registry, Config::read(variables, Some("tables:")), log)
}

fn here() -> Location {
    Location::default()
}

fn key(id: &str) -> Vec<u8> {
    Digest::of(id).as_bytes().to_vec()
}

fn record(expires: u64) -> SessionRecord {
    SessionRecord {
        created: NOW,
        accessed: NOW,
        expires,
        absolute_expiry: None,
        rotated: NOW,
        owner: Some("Ada".to_owned()),
        version: 0,
        size: 0,
    }
}

fn create(provider: &Provider, id: &str, expires: u64) -> Result<CreateOutcome, Failure> {
    let write = Write { app: "shop".to_owned(), name: "a".to_owned(), value: Some(b"1".to_vec()) };
    provider.create(&here(), &key(id), record(expires), vec![write])
}

fn load(provider: &Provider, id: &str) -> Result<LoadOutcome, Failure> {
    provider.load(&here(), &key(id), "shop", NOW, 100)
}

#[test]
fn what_was_written_is_read() {
    let provider = with(&[]);
    assert_eq!(create(&provider, "a", NOW + 9), Ok(CreateOutcome::Created));
    assert_eq!(create(&provider, "a", NOW + 9), Ok(CreateOutcome::Exists));
    let Ok(LoadOutcome::Found(loaded)) = load(&provider, "a") else { panic!("the session is live") };
    assert_eq!((loaded.record.version, loaded.record.size, loaded.variables.len()), (1, 2, 1));
    assert_eq!(provider.fetch(&here(), &key("a"), "shop", "a", NOW), Ok(Some(b"1".to_vec())));
    assert_eq!(provider.count(&here(), NOW), Ok(1));
    let listed = provider.list(&here(), NOW, Some("Ada"), None, 9).expect("a list");
    assert_eq!(listed[0].digest, key("a"));
    assert_eq!(provider.destroy(&here(), &key("a"), DestroyCondition::Any, NOW, 60), Ok(true));
    assert_eq!(load(&provider, "a"), Ok(LoadOutcome::Ended));
    assert_eq!(logged(), [""; 0]);
}

#[test]
fn store_is_opened_at_the_first_call_and_once() {
    let provider = with(&[]);
    provider.defaults();
    assert_eq!(OPENED.get(), 0);
    for _ in 0..3 {
        assert_eq!(load(&provider, "a"), Ok(LoadOutcome::Absent));
    }
    assert_eq!(OPENED.get(), 1);
}

#[test]
fn store_that_cannot_be_opened_is_tried_again_at_the_next_call() {
    let provider = with(&[("STORAGE", "tables:late")]);
    for _ in 0..2 {
        assert_eq!(load(&provider, "a"), Err(Failure::Unavailable("the server starts".to_owned())));
    }
    assert_eq!(load(&provider, "a"), Ok(LoadOutcome::Absent));
    assert_eq!(logged(), ["the session store failed: the server starts"; 2]);
}

#[test]
fn tables_that_are_missing_are_created_unless_they_were_dropped_or_the_settings_forbid_it() {
    let provider = with(&[]);
    assert_eq!(provider.tables_exist(&here()), Ok(false));
    assert_eq!(load(&provider, "a"), Ok(LoadOutcome::Absent));
    assert_eq!(provider.tables_exist(&here()), Ok(true));
    provider.drop_tables(&here()).expect("they are dropped");
    let missing = || Failure::MissingTables("there are no tables".to_owned());
    assert_eq!(load(&provider, "a"), Err(missing()));
    provider.create_tables(&here()).expect("they are created");
    assert_eq!(load(&provider, "a"), Ok(LoadOutcome::Absent));

    let provider = with(&[("CREATE_TABLES", "no")]);
    assert_eq!(load(&provider, "a"), Err(missing()));
}

#[test]
fn with_a_wrong_setting_every_call_fails_and_says_which() {
    let provider = with(&[("EXPIRES", "0"), ("LAZY", "true"), ("MANAGER", "all")]);
    assert_eq!(provider.defaults(), Settings::default(), "no setting is used when one is wrong");
    assert_eq!(provider.caller().manager, Grant::None);
    let why = "LEMON_SESSION_EXPIRES: a session lasts at least 1 second";
    for failure in [
        load(&provider, "a").expect_err("it fails"),
        create(&provider, "a", NOW + 9).expect_err("it fails"),
        provider.count(&here(), NOW).expect_err("it fails"),
        provider.create_tables(&here()).expect_err("it fails"),
    ] {
        assert_eq!(failure, Failure::Unavailable(why.to_owned()));
    }
    assert_eq!((OPENED.get(), logged()[0].as_str()), (0, why));
}

#[test]
fn wrong_option_of_the_driver_is_told_by_its_variable() {
    for (variable, value, why) in [
        ("STORAGE_COLOR", "red", "LEMON_SESSION_STORAGE_COLOR: \"color\" is not an option of tables: stores"),
        ("STORAGE", "oracle:x", "LEMON_SESSION_STORAGE: \"oracle\" is not the scheme of a storage URL"),
    ] {
        let failure = load(&with(&[(variable, value)]), "a").expect_err("it is refused");
        assert!(matches!(&failure, Failure::Unavailable(text) if text.starts_with(why)), "{failure:?}");
    }
    assert!(load(&with(&[("STORAGE_COLOUR", "red")]), "a").is_ok());
}

#[test]
fn impossible_argument_is_a_failure() {
    let provider = with(&[("STORAGE_TABLES", "Forum")]);
    for key in [&[][..], &[1; 31], &[1; 33]] {
        let failure = provider.load(&here(), key, "shop", NOW, 0).expect_err("no digest");
        assert_eq!(failure, Failure::Unavailable(format!("a session's key has 32 bytes, not {}", key.len())));
    }
    assert!(provider.list(&here(), NOW, None, None, guest::LIST_LIMIT + 1).is_err());
    assert!(provider.list(&here(), NOW, None, None, guest::LIST_LIMIT).is_ok());

    let at = |storage: Option<&str>, table: Option<&str>| {
        let location = Location { storage: storage.map(str::to_owned), table: table.map(str::to_owned) };
        provider.count(&location, NOW)
    };
    assert!(at(None, Some("Session")).is_ok() && at(None, Some("Forum")).is_ok());
    for (storage, table, configured) in
        [(Some("archive"), None, "the default one"), (None, Some("Other"), "Forum, Session")]
    {
        let failure = at(storage, table).expect_err("not configured");
        assert!(matches!(&failure, Failure::UnknownLocation(text) if text.ends_with(configured)), "{failure:?}");
    }
}

#[test]
fn tables_are_stores_of_their_own() {
    let provider = with(&[("STORAGE_TABLES", "Forum")]);
    create(&provider, "a", NOW + 9).expect("created");
    let forum = Location { storage: None, table: Some("Forum".to_owned()) };
    assert_eq!(provider.load(&forum, &key("a"), "shop", NOW, 0), Ok(LoadOutcome::Absent));
}

#[test]
fn driver_that_waits_is_a_failure_and_no_hang() {
    let provider = with(&[]);
    let failure = load(&provider, "wait").expect_err("it would wait for ever");
    assert!(matches!(&failure, Failure::Unavailable(text) if text.contains("blocking")), "{failure:?}");
    assert_eq!(load(&provider, "a"), Ok(LoadOutcome::Absent), "the next call is answered");
}

#[test]
fn cleanup_of_a_start_removes_what_the_starts_before_it_can_have_left() {
    let provider = with(&[("CLEANUP", "0.1")]);
    for id in 0..30 {
        create(&provider, &id.to_string(), NOW + 1).expect("created");
    }
    provider.cleanup_later(&here(), NOW + 1);
    assert_eq!(provider.cleanup(&here(), NOW + 1, 100), Ok(10), "20 were removed before");
}

#[test]
fn cleanup_step_follows_its_probability_within_bounds() {
    for (probability, step) in [(1.0, 2), (0.1, 20), (0.01, 200), (0.0001, 500), (0.0, 500)] {
        assert_eq!(cleanup_step(probability), step, "{probability}");
    }
}

#[test]
fn probable_mistake_of_the_application_is_one_line() {
    let provider = with(&[]);
    provider.notify(&Notice::Unsaved("sh\nop".to_owned()));
    assert_eq!(logged(), ["app=\"sh\\nop\": a session was changed and never saved: the changes are lost"]);
}
