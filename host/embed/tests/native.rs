//! The native API, with the shipped session component and the memory store.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use lemon_session_host::{
    SessionCtx, Sessions, Settings, Stores,
    sessions::{Error, Header, Lifetime, Location, Options, PoolOptions, Value},
    store::{StorageOptions, Store, memory::Memory},
};
use lemon_session_sqlite::Sqlite;

#[path = "../../store/tests/plain/mod.rs"]
mod plain;

/// A memory store, and a clock that stands still until it is set.
struct Host {
    sessions: Sessions,
    now: Arc<AtomicU64>,
}

impl Host {
    async fn new() -> Self {
        Self::with(PoolOptions::default(), Settings::default()).await
    }

    async fn with(pool: PoolOptions, settings: Settings) -> Self {
        Self::on(Arc::new(Memory::new()), pool, settings)
    }

    fn on(driver: Arc<dyn Store>, mut pool: PoolOptions, settings: Settings) -> Self {
        let ctx = SessionCtx::builder(Stores::single(driver)).settings(settings).build().unwrap();
        let now = Arc::new(AtomicU64::new(1_000_000));
        let clock = Arc::clone(&now);
        pool.clock = Some(Arc::new(move || Duration::from_secs(clock.load(Ordering::Relaxed))));
        let engine = lemon_session_host::engine::engine(&Default::default()).unwrap();
        Self { sessions: Sessions::with(ctx, &engine, pool).unwrap(), now }
    }

    fn now(&self) -> u64 {
        self.now.load(Ordering::Relaxed)
    }

    fn pass(&self, seconds: u64) {
        self.now.fetch_add(seconds, Ordering::Relaxed);
    }

    async fn start(&self, cookies: &[Vec<u8>]) -> lemon_session_host::Session {
        self.sessions.start(options(cookies)).await.unwrap()
    }
}

fn options(cookies: &[Vec<u8>]) -> Options {
    Options { cookies: cookies.to_vec(), ..Options::default() }
}

/// The `Cookie` fields that a browser sends after these response headers.
fn cookies(headers: &[Header]) -> Vec<Vec<u8>> {
    let set = headers.iter().find(|(name, _)| name == "set-cookie").map(|(_, value)| value);
    set.map(|value| value.split(';').next().unwrap().as_bytes().to_vec()).into_iter().collect()
}

#[tokio::test]
async fn a_login_is_stored_with_its_lifetime_and_told_to_its_owner() {
    let host = Host::new().await;
    let session = host.start(&[]).await;
    session.authenticate("ann", "password").await.unwrap();
    session.remember(100_000).await.unwrap();
    session.set_label(Some("phone")).await.unwrap();
    let headers = session.save().await.unwrap();
    assert!(headers.iter().any(|(_, value)| value.contains("; Max-Age=105000")), "{headers:?}");
    drop(session);

    host.pass(100_000);
    let session = host.start(&cookies(&headers)).await;
    assert!(!session.created().await.unwrap());
    assert!(session.fresh_within(100_000).await.unwrap());
    assert!(!session.fresh_within(99_999).await.unwrap());
    let metadata = session.metadata().await.unwrap();
    assert_eq!((metadata.created, metadata.authenticated_at), (1_000_000, Some(1_000_000)));
    assert_eq!((metadata.method.as_deref(), metadata.label.as_deref()), (Some("password"), Some("phone")));
    let (manager, here) = (host.sessions.manager(), Location::default());
    let digest = session.digest().await.unwrap();
    let entry = manager.get(&here, &digest, Some("ann")).await.unwrap().expect("it is live");
    assert_eq!((entry.label.as_deref(), entry.authenticated_at), (Some("phone"), Some(1_000_000)));
    assert_eq!(manager.list(&here, Some("ann"), None, 10).await.unwrap().entries[0].label.as_deref(), Some("phone"));
    assert!(manager.get(&here, &digest, Some("bob")).await.unwrap().is_none());

    session.set_lifetime(Lifetime { expires: Some(60), cookie: Some(0), ..Lifetime::default() }).await.unwrap();
    let headers = session.save().await.unwrap();
    assert!(headers.iter().all(|(_, value)| !value.contains("Max-Age")), "{headers:?}");
    drop(session);
    host.pass(63);
    assert!(host.start(&cookies(&headers)).await.created().await.unwrap());
}

#[tokio::test]
async fn a_visitor_is_recognised() {
    let host = Host::new().await;
    let first = host.start(&[]).await;
    assert!(first.created().await.unwrap());
    first.set("variable1", "Python Rules!").await.unwrap();
    let headers = first.save().await.unwrap();
    assert!(headers.contains(&("cache-control".to_owned(), "no-store".to_owned())), "{headers:?}");
    drop(first);

    let second = host.start(&cookies(&headers)).await;
    assert!(!second.created().await.unwrap());
    assert_eq!(second.get("variable1").await.unwrap(), Some(Value::from("Python Rules!")));
    let caching =
        [("cache-control", "no-store"), ("vary", "Cookie")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(second.save().await.unwrap(), caching, "the visitor has the cookie");
}

#[tokio::test]
async fn every_kind_of_value_comes_back_as_it_was() {
    let host = Host::new().await;
    let values = [
        ("null", Value::Null),
        ("boolean", true.into()),
        ("integer", i64::MIN.into()),
        ("real", 1.0.into()),
        ("text", "€".into()),
        ("bytes", vec![0, 255].into()),
        ("json", serde_json::json!({"a": [1, 2.5, null]}).into()),
    ];
    let first = host.start(&[]).await;
    for (key, value) in &values {
        first.set(key, value.clone()).await.unwrap();
    }
    let headers = first.save().await.unwrap();
    let second = host.start(&cookies(&headers)).await;
    for (key, value) in &values {
        assert_eq!(second.get(key).await.unwrap().as_ref(), Some(value));
    }
    let mut names: Vec<_> = values.iter().map(|(key, _)| (*key).to_owned()).collect();
    names.sort();
    assert_eq!(second.keys().await.unwrap(), names);
    assert_eq!(second.entries().await.unwrap().len(), values.len());
}

#[tokio::test]
async fn every_method_does_what_it_says() {
    let host = Host::new().await;
    let session = host.start(&[]).await;
    assert_eq!(session.app().await.unwrap(), "session");
    assert_eq!(session.digest().await.unwrap().len(), 64);
    assert_eq!(session.expires_at().await.unwrap(), host.now() + 1440 + 72);
    assert_eq!(session.add("count", 2).await.unwrap(), 2);
    assert_eq!(session.add("count", 3).await.unwrap(), 5);
    assert!(session.has_key("count").await.unwrap());
    assert_eq!(session.take("count").await.unwrap(), Some(Value::Integer(5)));
    assert!(!session.has_key("count").await.unwrap());
    session.set("a", 1).await.unwrap();
    assert!(session.delete("a").await.unwrap() && !session.delete("a").await.unwrap());
    session.set("a", 1).await.unwrap();
    session.clear().await.unwrap();
    assert!(session.keys().await.unwrap().is_empty());
    session.set_owner(Some("lemon")).await.unwrap();
    assert_eq!(session.owner().await.unwrap().as_deref(), Some("lemon"));

    let forum = session.application("forum").await.unwrap();
    assert_eq!(forum.app().await.unwrap(), "forum");
    forum.set("a", "forum's").await.unwrap();
    assert_eq!(session.get("a").await.unwrap(), None);

    let auth = session.reserve("auth", None).await.unwrap();
    auth.set("user", "lemon").await.unwrap();
    assert!(matches!(session.application("auth").await, Err(Error::Reserved(_))));
    assert!(matches!(session.release("auth").await, Err(Error::Reserved(_))));
    auth.release("auth").await.unwrap();

    let id = session.id().await.unwrap();
    let cookie = cookies(&session.save().await.unwrap());
    session.regenerate_id().await.unwrap();
    session.save().await.unwrap();
    assert_ne!(session.id().await.unwrap(), id);
    let stranger = host.start(&cookie).await;
    assert!(stranger.created().await.unwrap(), "the old id no longer works");
    let headers = session.destroy().await.unwrap();
    assert!(headers.iter().any(|(name, value)| name == "set-cookie" && value.contains("Max-Age=0")), "{headers:?}");
    assert_eq!(session.get("a").await, Err(Error::Gone));
}

#[tokio::test]
async fn each_error_has_its_case() {
    let host = Host::new().await;
    let session = host.start(&[]).await;
    assert!(matches!(session.set("", 1).await, Err(Error::InvalidName(_))));
    assert!(matches!(session.set("a", Value::Json("{".into())).await, Err(Error::InvalidValue(_))));
    assert!(matches!(session.set("a", vec![0; 2 << 20]).await, Err(Error::TooLarge(_))));
    let impossible = Options { expires: Some(0), ..Options::default() };
    assert!(matches!(host.sessions.start(impossible).await, Err(Error::InvalidOption(_))));
    let elsewhere = Location { storage: Some("elsewhere".into()), table: None };
    let cookie = vec![format!("session={}", session.id().await.unwrap()).into_bytes()];
    let started = host.sessions.start(Options { location: elsewhere, ..options(&cookie) }).await;
    assert!(matches!(started, Err(Error::InvalidOption(text)) if text.contains("elsewhere")));

    let cookie = cookies(&session.save().await.unwrap());
    let strict = Options { strict: Some(true), ..options(&cookie) };
    let loser = host.sessions.start(strict).await.unwrap();
    let winner = host.start(&cookie).await;
    winner.set("a", 1).await.unwrap();
    winner.save().await.unwrap();
    loser.set("a", 2).await.unwrap();
    assert_eq!(loser.save().await, Err(Error::Conflict));
}

#[tokio::test]
async fn an_expired_session_is_not_found_again() {
    let host = Host::new().await;
    let session = host.start(&[]).await;
    session.set("a", 1).await.unwrap();
    let cookie = cookies(&session.save().await.unwrap());
    host.pass(1440);
    assert!(!host.start(&cookie).await.created().await.unwrap());
    host.pass(72);
    assert!(host.start(&cookie).await.created().await.unwrap());
}

#[tokio::test]
async fn the_manager_lists_and_ends_sessions() {
    let host = Host::new().await;
    let manager = host.sessions.manager();
    let here = Location::default();
    manager.create_tables(&here).await.unwrap();
    assert!(manager.tables_exist(&here).await.unwrap());
    let mut digests = Vec::new();
    for _ in 0..3 {
        let session = host.start(&[]).await;
        session.set_owner(Some("lemon")).await.unwrap();
        session.save().await.unwrap();
        digests.push(session.digest().await.unwrap());
    }
    digests.sort();
    assert_eq!(manager.count(&here).await.unwrap(), 3);
    let page = manager.list(&here, Some("lemon"), None, 2).await.unwrap();
    let rest = manager.list(&here, None, page.next.as_deref(), 2).await.unwrap();
    let listed: Vec<_> = page.entries.into_iter().chain(rest.entries).map(|entry| entry.digest).collect();
    assert_eq!(listed, digests);
    assert!(manager.destroy(&here, &digests[0], None).await.unwrap());
    assert_eq!(manager.destroy_owned(&here, "lemon", Some(&digests[1])).await.unwrap(), 1);
    assert_eq!(manager.count(&here).await.unwrap(), 1);
    host.pass(10_000);
    assert_eq!(manager.cleanup(&here, 100).await.unwrap(), 1);
    assert!(matches!(manager.destroy(&here, "x", None).await, Err(Error::InvalidName(_))));
    let elsewhere = Location { storage: None, table: Some("Elsewhere".into()) };
    assert!(matches!(&manager.create_tables(&elsewhere).await.unwrap_err()[..], [Error::InvalidOption(_)]));
    manager.drop_tables(&here).await.unwrap();
}

#[tokio::test]
async fn a_driver_for_requests_alone_serves_them() {
    let host = Host::on(Arc::new(plain::Plain::default()), PoolOptions::default(), Settings::default());
    let session = host.start(&[]).await;
    session.set("a", 1).await.unwrap();
    session.set_owner(Some("lemon")).await.unwrap();
    let cookie = cookies(&session.save().await.unwrap());
    let session = host.start(&cookie).await;
    assert_eq!(session.get("a").await.unwrap(), Some(Value::Integer(1)));
    session.regenerate_id().await.unwrap();
    let cookie = cookies(&session.save().await.unwrap());
    host.start(&cookie).await.destroy().await.unwrap();
    assert!(host.start(&cookie).await.created().await.unwrap());

    let (manager, here) = (host.sessions.manager(), Location::default());
    assert_eq!(manager.destroy_owned(&here, "lemon", None).await.unwrap(), 0);
    assert!(manager.tables_exist(&here).await.unwrap(), "it needs none");
    manager.create_tables(&here).await.unwrap();
    assert!(matches!(manager.count(&here).await, Err(Error::Storage(_))));
    assert!(matches!(manager.list(&here, None, None, 2).await, Err(Error::Storage(_))));
    assert!(matches!(&manager.drop_tables(&here).await.unwrap_err()[..], [Error::Storage(_)]));
}

#[tokio::test]
async fn instances_are_bounded_and_come_back() {
    let pool = PoolOptions { instances: 2, wait: Duration::ZERO, ..PoolOptions::default() };
    let host = Host::with(pool, Settings::default()).await;
    for _ in 0..10 {
        let first = host.start(&[]).await;
        let second = host.start(&[]).await;
        let other = second.application("forum").await.unwrap();
        drop(second);
        assert!(matches!(host.sessions.start(Options::default()).await, Err(Error::Busy)));
        other.set("a", 1).await.unwrap();
        drop((first, other));
    }
}

#[tokio::test]
async fn what_was_not_saved_is_discarded_and_seen_by_nobody() {
    let pool = PoolOptions { instances: 1, ..PoolOptions::default() };
    let host = Host::with(pool, Settings::default()).await;
    let session = host.start(&[]).await;
    let cookie = cookies(&session.save().await.unwrap());
    session.set("secret", 1).await.unwrap();
    let _reservation = session.reserve("auth", None).await.unwrap();
    drop((session, _reservation));
    for cookies in [&cookie[..], &[]] {
        let session = host.start(cookies).await;
        assert_eq!(session.get("secret").await.unwrap(), None);
        session.application("auth").await.unwrap();
    }
}

#[tokio::test]
async fn a_session_in_sqlite_outlives_the_host() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("sessions.db").display());
    let mut cookie = Vec::new();
    for visit in 1..=3 {
        let driver = Sqlite::open(StorageOptions::new(&url)).await.unwrap();
        driver.set_up().await.unwrap();
        let host = Host::on(driver, PoolOptions::default(), Settings::default());
        let session = host.start(&cookie).await;
        assert_eq!(session.created().await.unwrap(), visit == 1);
        assert_eq!(session.add("visits", 1).await.unwrap(), visit);
        let headers = session.save().await.unwrap();
        if visit == 1 {
            cookie = cookies(&headers);
        }
        drop(session);
        host.sessions.ctx().close().await.unwrap();
    }
}

#[tokio::test]
async fn a_component_that_fails_ends_its_session_and_not_the_pool() {
    let pool = PoolOptions { instances: 1, ..PoolOptions::default() };
    let host = Host::with(pool, Settings::default()).await;
    let session = host.start(&[]).await;
    // More than the limit of an instance's memory.
    assert!(matches!(session.set(&"a".repeat(100 << 20), 1).await, Err(Error::Failed(_))));
    assert!(matches!(session.set("a", 1).await, Err(Error::Failed(_))));
    drop(session);
    let session = host.start(&[]).await;
    session.set("a", 1).await.unwrap();
    session.save().await.unwrap();
}

#[tokio::test]
async fn a_call_that_was_given_up_ends_the_session_and_not_the_pool() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("sessions.db").display());
    let driver = Sqlite::open(StorageOptions::new(url)).await.unwrap();
    driver.set_up().await.unwrap();
    let pool = PoolOptions { instances: 1, ..PoolOptions::default() };
    let host = Host::on(driver, pool, Settings::default());
    let mut given_up = false;
    while !given_up {
        let session = host.start(&[]).await;
        // Without tokio's budget the save can only wait for the writer's thread, and then the component is inside a
        // call.
        let mut save = Box::pin(tokio::task::unconstrained(session.save()));
        given_up = futures::poll!(&mut save).is_pending();
        drop(save);
        if given_up {
            assert!(matches!(session.get("a").await, Err(Error::Failed(_))));
        }
    }
    host.start(&[]).await.save().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sessions_of_many_tasks_do_not_meet() {
    let host = Arc::new(Host::new().await);
    let first = host.start(&[]).await;
    let cookie = cookies(&first.save().await.unwrap());
    let tasks = (0..50).map(|n: i64| {
        let (host, cookie) = (Arc::clone(&host), cookie.clone());
        tokio::spawn(async move {
            let session = host.start(&cookie).await;
            session.set(&format!("key{n}"), n).await.unwrap();
            session.add("count", 1).await.unwrap();
            session.save().await.unwrap();
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    let session = host.start(&cookie).await;
    assert_eq!(session.keys().await.unwrap().len(), 51);
    assert_eq!(session.get("count").await.unwrap(), Some(Value::Integer(50)));
}

#[tokio::test]
async fn messages_defaults_tokens_and_other_sessions_are_there_natively_too() {
    let host = Host::new().await;
    let first = host.start(&[]).await;
    assert!(!first.modified().await.unwrap() && !first.accessed().await.unwrap());
    assert_eq!(first.set_default("a", 1).await.unwrap(), Value::from(1));
    assert_eq!(first.set_default("a", 2).await.unwrap(), Value::from(1));
    assert!(first.modified().await.unwrap() && first.accessed().await.unwrap());
    first.flash("saved").await.unwrap();
    first.set_owner(Some("ann")).await.unwrap();
    let token = first.csrf_token().await.unwrap();
    let headers = first.save().await.unwrap();
    let digest = first.digest().await.unwrap();
    drop(first);

    let second = host.start(&cookies(&headers)).await;
    assert_eq!(second.flashes().await.unwrap(), [Value::from("saved")]);
    assert!(second.check_csrf(&token).await.unwrap() && !second.check_csrf("x").await.unwrap());
    let other = host.start(&[]).await;
    assert!(!other.check_csrf(&token).await.unwrap());
    other.set_owner(Some("ann")).await.unwrap();
    assert_eq!(other.entries_of(&digest).await.unwrap(), [("a".to_owned(), Value::from(1))]);
    let large = "x".repeat((Settings::default().limits.value_bytes + 1) as usize);
    assert!(matches!(other.flash(large.as_str()).await, Err(Error::TooLarge(_))));
    assert!(matches!(other.set_default("large", large).await, Err(Error::TooLarge(_))));
}
