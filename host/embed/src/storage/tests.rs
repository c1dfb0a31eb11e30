use std::{
    io,
    sync::{Arc, Mutex},
};

use super::*;
use crate::{
    Caller, SessionCtx, Settings, Stores,
    observer::Observer,
    store::{Registry, memory::Memory},
    stores::{Storage, tests::Clocked},
};

const NOW: u64 = 1000;

fn ctx() -> SessionCtx {
    SessionCtx::new(Arc::new(Memory::new()))
}

fn at(url: &str) -> SessionCtx {
    let mut drivers = Registry::new();
    drivers.register(&lemon_session_sqlite::SCHEMES).unwrap();
    let stores = Stores::new(Storage::new(url), Default::default(), &drivers);
    SessionCtx::builder(stores).build().unwrap()
}

fn here() -> Location {
    Location::default()
}

fn key(id: &str) -> Vec<u8> {
    Digest::of(id).as_bytes().to_vec()
}

fn record() -> SessionRecord {
    let owner = Some("lemon".to_owned());
    SessionRecord {
        created: NOW,
        accessed: NOW,
        expires: 2000,
        absolute_expiry: None,
        rotated: NOW,
        owner,
        version: 1,
        size: 0,
    }
}

fn write(name: &str, value: &[u8]) -> Write {
    Write { app: "shop".to_owned(), name: name.to_owned(), value: Some(value.to_vec()) }
}

fn change() -> Change {
    Change {
        clears: Vec::new(),
        writes: vec![write("b", b"2")],
        owner: None,
        expires: Some(2500),
        max_owned: None,
        lifetime: None,
        rotation: None,
        max_size: 1 << 20,
        remember: 60,
    }
}

#[tokio::test]
async fn what_was_written_is_read() {
    let mut ctx = ctx();
    let mut store = SessionCtxView { ctx: &mut ctx };
    let created = store.create(here(), key("a"), record(), vec![write("a", b"1")]).await.unwrap();
    assert!(matches!(created, CreateOutcome::Created));
    let created = store.create(here(), key("a"), record(), Vec::new()).await.unwrap();
    assert!(matches!(created, CreateOutcome::Exists));
    let outcome = store.update(here(), key("a"), change(), Some(1), NOW).await.unwrap();
    assert!(matches!(outcome, UpdateOutcome::Committed(2)), "{outcome:?}");
    let outcome = store.update(here(), key("a"), change(), Some(1), NOW).await.unwrap();
    assert!(matches!(outcome, UpdateOutcome::Conflict(2)), "{outcome:?}");
    let outcome = store.update(here(), key("a"), Change { max_size: 1, ..change() }, None, NOW).await.unwrap();
    assert!(!matches!(outcome, UpdateOutcome::Gone), "{outcome:?}");

    let LoadOutcome::Found(loaded) = store.load(here(), key("a"), "shop".into(), NOW, 100).await.unwrap() else {
        panic!()
    };
    assert_eq!((loaded.record.expires, loaded.record.owner.as_deref()), (2500, Some("lemon")));
    let variables: Vec<_> = loaded.variables.iter().map(|variable| (&*variable.name, &variable.value)).collect();
    assert!(
        matches!(&variables[..], [("a", Stored::Inline(a)), ("b", Stored::Inline(b))] if a == b"1" && b == b"2"),
        "{variables:?}"
    );
    let fetched = store.fetch(here(), key("a"), "shop".into(), "b".into(), NOW).await.unwrap();
    assert_eq!(fetched.as_deref(), Some(&b"2"[..]));
    assert_eq!(store.count(here(), NOW).await.unwrap(), 1);
    let listed = store.list(here(), NOW, Some("lemon".into()), None, 10).await.unwrap();
    assert_eq!(listed.iter().map(|listed| &listed.digest).collect::<Vec<_>>(), [&key("a")]);
    assert!(store.list(here(), NOW, None, Some(key("a")), 10).await.unwrap().is_empty());
    assert_eq!(store.destroy_owned(here(), "lemon".into(), Some(key("a")), NOW, 60).await.unwrap(), 0);
    assert_eq!(store.destroy_owned(here(), "lemon".into(), None, NOW, 60).await.unwrap(), 1);
    let outcome = store.update(here(), key("a"), change(), None, NOW).await.unwrap();
    assert!(matches!(outcome, UpdateOutcome::Gone), "{outcome:?}");
}

#[tokio::test]
async fn details_are_read_and_lifetimes_are_set() {
    let mut ctx = ctx();
    let mut store = SessionCtxView { ctx: &mut ctx };
    let detail = Write { app: String::new(), ..write("label", b"phone") };
    store.create(here(), key("a"), record(), vec![detail, write("a", b"1")]).await.unwrap();
    let lifetime = Some(Lifetime { expires: 1500, absolute_expiry: Some(1800) });
    let outcome = store.update(here(), key("a"), Change { lifetime, ..change() }, None, NOW).await.unwrap();
    assert!(matches!(outcome, UpdateOutcome::Committed(2)), "{outcome:?}");
    let LoadOutcome::Found(loaded) = store.load(here(), key("a"), "shop".into(), NOW, 0).await.unwrap() else {
        panic!()
    };
    assert_eq!((loaded.record.expires, loaded.record.absolute_expiry), (1500, Some(1800)));
    assert!(
        matches!(&loaded.details[..], [Variable { name, value: Stored::Inline(value) }] if name == "label" && value == b"phone"),
        "{:?}",
        loaded.details
    );
}

#[tokio::test]
async fn a_renamed_session_is_found_under_its_new_key_and_with_grace_under_the_old() {
    let mut ctx = ctx();
    let mut store = SessionCtxView { ctx: &mut ctx };
    store.create(here(), key("a"), record(), Vec::new()).await.unwrap();
    let rotation = Rotation { to: key("b"), grace: Some(Grace { until: NOW + 10, nonce: vec![7] }) };
    let renamed = Change { rotation: Some(rotation), ..change() };
    store.update(here(), key("a"), renamed, None, NOW).await.unwrap();
    for (id, now, nonce) in [("b", NOW, None), ("a", NOW, Some(vec![7]))] {
        let outcome = store.load(here(), key(id), "shop".into(), now, 100).await.unwrap();
        assert!(matches!(outcome, LoadOutcome::Found(loaded) if loaded.renewal == nonce), "{id}");
    }
    let outcome = store.load(here(), key("a"), "shop".into(), NOW + 10, 100).await.unwrap();
    assert!(matches!(outcome, LoadOutcome::Ended));
}

#[derive(Default)]
struct Notes(Mutex<Vec<(Operation, Outcome)>>);

impl Observer for Notes {
    fn observe(&self, operation: Operation, outcome: Outcome, _: std::time::Duration) {
        self.0.lock().unwrap().push((operation, outcome));
    }
}

#[tokio::test]
async fn an_observer_is_told_of_every_operation_and_its_outcome() {
    let notes = Arc::new(Notes::default());
    let stores = Stores::single(Arc::new(Memory::new()));
    let mut ctx = SessionCtx::builder(stores).observer(notes.clone()).build().unwrap();
    let mut store = SessionCtxView { ctx: &mut ctx };
    let expired = SessionRecord { expires: NOW + 1, ..record() };
    let owned = |owner: &str| SessionRecord { owner: Some(owner.to_owned()), ..record() };
    store.create_tables(here()).await.unwrap();
    store.tables_exist(here()).await.unwrap();
    store.load(here(), key("a"), "shop".into(), NOW, 0).await.unwrap();
    for _ in 0..2 {
        store.create(here(), key("a"), record(), Vec::new()).await.unwrap();
    }
    store.load(here(), key("a"), "shop".into(), NOW, 0).await.unwrap();
    store.fetch(here(), key("a"), "shop".into(), "a".into(), NOW).await.unwrap();
    store.update(here(), key("a"), change(), None, NOW).await.unwrap();
    store.update(here(), key("a"), change(), Some(1), NOW).await.unwrap();
    let large = Change { writes: vec![write("c", b"3")], max_size: 0, ..change() };
    store.update(here(), key("a"), large, None, NOW).await.unwrap();
    store.count(here(), NOW).await.unwrap();
    store.list(here(), NOW, None, None, 1).await.unwrap();
    for _ in 0..2 {
        store.destroy(here(), key("a"), DestroyCondition::Any, NOW, 60).await.unwrap();
    }
    store.load(here(), key("a"), "shop".into(), NOW, 0).await.unwrap();
    store.update(here(), key("a"), change(), None, NOW).await.unwrap();
    store.create(here(), key("b"), expired, Vec::new()).await.unwrap();
    store.load(here(), key("b"), "shop".into(), NOW + 1, 0).await.unwrap();
    for id in ["c", "d"] {
        store.create(here(), key(id), owned("alice"), Vec::new()).await.unwrap();
    }
    store.destroy_owned(here(), "alice".into(), None, NOW, 60).await.unwrap();
    store.cleanup(here(), NOW + 1, 10).await.unwrap();
    store.cleanup_later(here(), NOW + 1000);
    store.ctx.stores().finish_cleanup(std::time::Duration::from_secs(60)).await;

    let expected = [
        (Operation::CreateTables, Outcome::Done),
        (Operation::TablesExist, Outcome::Done),
        (Operation::Load, Outcome::Absent),
        (Operation::Create, Outcome::Created),
        (Operation::Create, Outcome::Exists),
        (Operation::Load, Outcome::Found),
        (Operation::Fetch, Outcome::Done),
        (Operation::Update, Outcome::Committed),
        (Operation::Update, Outcome::Conflict),
        (Operation::Update, Outcome::TooLarge),
        (Operation::Count, Outcome::Done),
        (Operation::List, Outcome::Done),
        (Operation::Destroy, Outcome::Removed(1)),
        (Operation::Destroy, Outcome::Removed(0)),
        (Operation::Load, Outcome::Ended),
        (Operation::Update, Outcome::Gone),
        (Operation::Create, Outcome::Created),
        (Operation::Load, Outcome::Expired),
        (Operation::Create, Outcome::Created),
        (Operation::Create, Outcome::Created),
        (Operation::DestroyOwned, Outcome::Removed(2)),
        (Operation::Cleanup, Outcome::Removed(1)),
        (Operation::Cleanup, Outcome::Removed(3)),
    ];
    assert_eq!(*notes.0.lock().unwrap(), expected);
}

#[tokio::test]
async fn settings_can_be_changed_for_the_same_stores() {
    let old = ctx();
    let settings = Settings { expires: 7, ..Settings::default() };
    let mut new = old.with_settings(settings).unwrap();
    assert_eq!((old.settings().expires, new.settings().expires), (Settings::default().expires, 7));
    let mut old = old;
    SessionCtxView { ctx: &mut old }.create(here(), key("a"), record(), Vec::new()).await.unwrap();
    assert_eq!(SessionCtxView { ctx: &mut new }.count(here(), NOW).await.unwrap(), 1);
    assert!(new.with_settings(Settings { expires: 0, ..Settings::default() }).is_err());
}

#[tokio::test]
async fn a_large_value_is_answered_by_its_size() {
    let folder = tempfile::tempdir().unwrap();
    let mut ctx = at(&format!("sqlite:{}", folder.path().join("sessions.db").display()));
    let mut store = SessionCtxView { ctx: &mut ctx };
    store.create_tables(here()).await.unwrap();
    store.create(here(), key("a"), record(), vec![write("a", &[0; 100_000])]).await.unwrap();
    let LoadOutcome::Found(loaded) = store.load(here(), key("a"), "shop".into(), NOW, 100).await.unwrap() else {
        panic!()
    };
    assert!(matches!(loaded.variables[0].value, Stored::Large(100_000)));
}

#[tokio::test]
async fn a_key_that_is_no_digest_is_a_failure_everywhere() {
    let mut ctx = ctx();
    let mut store = SessionCtxView { ctx: &mut ctx };
    for key in [vec![], vec![0; 31], vec![0; 33], vec![0; 1 << 20]] {
        assert!(store.load(here(), key.clone(), "a".into(), NOW, 0).await.is_err());
        assert!(store.fetch(here(), key.clone(), "a".into(), "b".into(), NOW).await.is_err());
        assert!(store.create(here(), key.clone(), record(), Vec::new()).await.is_err());
        assert!(store.update(here(), key.clone(), change(), None, NOW).await.is_err());
        assert!(store.destroy(here(), key.clone(), DestroyCondition::Any, NOW, 0).await.is_err());
        assert!(store.destroy_owned(here(), "a".into(), Some(key.clone()), NOW, 0).await.is_err());
        assert!(store.list(here(), NOW, None, Some(key.clone()), 1).await.is_err());
        let rotation = Some(Rotation { to: key, grace: None });
        assert!(
            store.update(here(), super::tests::key("a"), Change { rotation, ..change() }, None, NOW).await.is_err()
        );
    }
}

#[tokio::test]
async fn a_list_without_bound_is_a_failure() {
    let mut ctx = ctx();
    let mut store = SessionCtxView { ctx: &mut ctx };
    assert!(store.list(here(), NOW, None, None, lemon_session_store::guest::LIST_LIMIT).await.is_ok());
    let failure = store.list(here(), NOW, None, None, u32::MAX).await;
    assert!(matches!(failure, Err(Failure::Unavailable(text)) if text.contains("10000")));
}

#[tokio::test]
async fn cleanup_removes_at_most_the_limit() {
    let mut ctx = ctx();
    let mut store = SessionCtxView { ctx: &mut ctx };
    for n in 0..CLEANUP_BATCH + 20 {
        store.create(here(), key(&n.to_string()), record(), Vec::new()).await.unwrap();
    }
    assert_eq!(store.cleanup(here(), 3000, 0).await.unwrap(), 0);
    assert_eq!(store.cleanup(here(), 3000, CLEANUP_BATCH + 10).await.unwrap(), CLEANUP_BATCH + 10);
    assert_eq!(store.cleanup(here(), 3000, u32::MAX).await.unwrap(), 10);
}

#[tokio::test]
async fn each_kind_of_trouble_has_its_case() {
    let folder = tempfile::tempdir().unwrap();
    let mut ctx = at(&format!("sqlite:{}", folder.path().join("sessions.db").display()));
    let mut store = SessionCtxView { ctx: &mut ctx };
    let failure = store.load(here(), key("a"), "shop".into(), NOW, 100).await;
    assert!(matches!(failure, Err(Failure::MissingTables(_))), "{failure:?}");
    let elsewhere = Location { storage: Some("archive".to_owned()), table: None };
    let failure = store.count(elsewhere, NOW).await;
    assert!(matches!(failure, Err(Failure::UnknownLocation(_))), "{failure:?}");
    let mut ctx = at("sqlite:no/such/folder/sessions.db");
    let mut store = SessionCtxView { ctx: &mut ctx };
    let failure = store.tables_exist(here()).await;
    assert!(matches!(failure, Err(Failure::Unavailable(_))), "{failure:?}");
}

#[tokio::test]
async fn tables_are_created_and_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let mut ctx = at(&format!("sqlite:{}", folder.path().join("sessions.db").display()));
    let mut store = SessionCtxView { ctx: &mut ctx };
    assert!(!store.tables_exist(here()).await.unwrap());
    store.create_tables(here()).await.unwrap();
    assert!(store.tables_exist(here()).await.unwrap());
    store.drop_tables(here()).await.unwrap();
    assert!(!store.tables_exist(here()).await.unwrap());
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Has what this thread logs written here.
    fn listen(&self) -> tracing::subscriber::DefaultGuard {
        let writer = self.clone();
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
        tracing::subscriber::set_default(subscriber)
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn the_reuse_of_an_ended_id_is_logged_by_the_beginning_of_its_digest() {
    let log = Log::default();
    let _guard = log.listen();
    let mut ctx = ctx();
    let mut store = SessionCtxView { ctx: &mut ctx };
    store.create(here(), key("a"), record(), Vec::new()).await.unwrap();
    assert!(store.destroy(here(), key("a"), DestroyCondition::Any, NOW, 60).await.unwrap());
    let outcome = store.load(here(), key("a"), "shop".into(), NOW, 100).await.unwrap();
    assert!(matches!(outcome, LoadOutcome::Ended));
    let text = log.text();
    let digest = Digest::of("a").to_hex();
    assert!(text.contains("WARN") && text.contains(&digest[..8]) && !text.contains(&digest[..9]), "{text}");
    for _ in 0..100 {
        store.load(here(), key("a"), "shop".into(), NOW, 100).await.unwrap();
    }
    assert_eq!(log.text().lines().count(), 1, "one line a minute");
}

#[tokio::test]
async fn a_store_in_trouble_is_logged_once_a_minute_for_each_kind_of_trouble() {
    let log = Log::default();
    let _guard = log.listen();
    let mut ctx = at("sqlite:no/such/folder/sessions.db");
    for _ in 0..100 {
        // Whichever clone of the context a request has.
        let mut ctx = ctx.for_caller(Caller::default());
        let mut store = SessionCtxView { ctx: &mut ctx };
        assert!(store.tables_exist(here()).await.is_err());
    }
    let mut store = SessionCtxView { ctx: &mut ctx };
    let elsewhere = Location { storage: Some("archive".to_owned()), table: None };
    assert!(store.count(elsewhere, NOW).await.is_err());
    let text = log.text();
    assert_eq!(text.matches("the session store failed").count(), 1, "{text}");
    assert_eq!(text.matches("a place that is not configured").count(), 1, "{text}");
}

#[tokio::test]
async fn a_store_that_is_back_is_logged_once() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing");
    let log = Log::default();
    let _guard = log.listen();
    let mut ctx = at(&format!("sqlite:{}", missing.join("sessions.db").display()));
    let mut store = SessionCtxView { ctx: &mut ctx };
    assert!(store.tables_exist(here()).await.is_err());
    std::fs::create_dir(&missing).unwrap();
    for _ in 0..3 {
        store.tables_exist(here()).await.unwrap();
    }
    let text = log.text();
    let back: Vec<_> = text.lines().filter(|line| line.contains("the session store answers again")).collect();
    assert!(back.len() == 1 && back[0].contains("INFO") && back[0].contains("SQLite in "), "{text}");
}

#[tokio::test]
async fn a_cleanup_that_is_refused_for_the_clock_is_no_failure_of_the_store() {
    let log = Log::default();
    let _guard = log.listen();
    let mut ctx = SessionCtx::new(Arc::new(Clocked { memory: Memory::new(), clock: NOW }));
    let mut store = SessionCtxView { ctx: &mut ctx };
    for _ in 0..3 {
        let refused = store.cleanup(here(), NOW + 3600, 10).await;
        assert!(
            matches!(&refused, Err(Failure::Unavailable(why)) if why.contains("3600 seconds ahead")),
            "{refused:?}"
        );
    }
    assert_eq!(store.cleanup(here(), NOW, 10).await.unwrap(), 0);
    let text = log.text();
    assert!(text.lines().count() == 1 && text.contains("WARN") && text.contains("3600 seconds ahead"), "{text}");
}

#[tokio::test]
async fn lost_changes_are_logged_with_the_application_and_the_request() {
    use crate::{
        Caller,
        bindings::lemon::session::settings::{Host as _, Notice},
    };
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let mut ctx = ctx().for_caller(Caller { request: 4711, ..Caller::default() });
    let mut view = SessionCtxView { ctx: &mut ctx };
    assert_eq!(view.get_caller().request, 4711);
    view.notify(Notice::Unsaved("shop".to_owned()));
    view.notify(Notice::ChangedAfterSave("line\nbreak".repeat(1000)));
    view.notify(Notice::StartedTwice("shop".to_owned()));
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 3, "{text}");
    assert!(lines.iter().all(|line| line.contains("WARN") && line.contains("request=4711")), "{text}");
    assert!(lines[0].contains("shop") && lines[0].contains("never saved"), "{text}");
    assert!(lines[1].contains("after it was saved") && lines[1].len() < 400, "{text}");
    assert!(lines[2].contains("started twice in one request"), "{text}");
}
