//! The native API, on the real session component and the store in memory.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use lemon_session_host::{
    SessionCtx, Sessions, Settings, Stores,
    driver::{Registry, StorageOptions},
    sessions::{Error, Header, Location, Options, PoolOptions, Value},
};

/// A store in memory, and a clock that stands still until it is set.
struct Host {
    sessions: Sessions,
    now: Arc<AtomicU64>,
}

impl Host {
    async fn new() -> Self {
        Self::with(PoolOptions::default(), Settings::default()).await
    }

    async fn with(mut pool: PoolOptions, settings: Settings) -> Self {
        let options = StorageOptions { url: "memory:".to_owned(), ..StorageOptions::default() };
        let driver = Registry::builtin().open(options).await.unwrap();
        driver.create_tables().await.unwrap();
        let ctx = SessionCtx::with(Stores::single(driver), settings).unwrap();
        let now = Arc::new(AtomicU64::new(1_000_000));
        let clock = Arc::clone(&now);
        pool.clock = Some(Arc::new(move || Duration::from_secs(clock.load(Ordering::Relaxed))));
        let engine = lemon_session_host::engine::engine(&Default::default()).unwrap();
        Self { sessions: Sessions::with(ctx, &engine, pool).unwrap(), now }
    }

    async fn start(&self, cookies: &[Vec<u8>]) -> lemon_session_host::Session {
        self.sessions.start(options(cookies)).await.unwrap()
    }
}

fn options(cookies: &[Vec<u8>]) -> Options {
    Options { cookies: cookies.to_vec(), ..Options::default() }
}

/// What a browser sends back.
fn cookies(headers: &[Header]) -> Vec<Vec<u8>> {
    let set = headers.iter().find(|(name, _)| name == "set-cookie").map(|(_, value)| value);
    set.map(|value| value.split(';').next().unwrap().as_bytes().to_vec()).into_iter().collect()
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
    assert_eq!(second.save().await.unwrap(), []);
}
