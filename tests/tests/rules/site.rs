//! A site for one rule: a separate store, a clock that the test sets, and the shipped session component.

use std::{
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, SystemTime},
};

use lemon_session_host::{
    Session, SessionCtx, Sessions, Settings, Stores,
    engine::{EngineOptions, engine},
    sessions::{Header, Options, PoolOptions},
    store::Store,
};
use wasmtime::Engine;

/// One engine for all rules of a test run.
static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
    engine(&EngineOptions { instances: 400, epochs: false, ..EngineOptions::default() })
        .expect("there is address space")
});

/// In seconds; longer than any rule waits.
const WEEK: u64 = 7 * 24 * 3600;

/// What a rule is tested on.
pub struct Site {
    pub driver: Arc<dyn Store>,
    /// How often each client of the counter rules adds one.
    pub times: i64,
    clock: Arc<AtomicU64>,
}

impl Site {
    /// A site on an empty store. Its clock begins a week ago and stays in the past: a store with a clock of its own goes by
    /// the earlier of the two.
    pub fn new(driver: Arc<dyn Store>) -> Self {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("the clock is set").as_secs();
        Self { driver, times: 100, clock: Arc::new(AtomicU64::new(now - WEEK)) }
    }

    pub fn now(&self) -> u64 {
        self.clock.load(Relaxed)
    }

    pub fn wait(&self, seconds: u64) {
        self.clock.fetch_add(seconds, Relaxed);
    }

    /// The session component with these settings.
    pub fn sessions(&self, change: impl FnOnce(&mut Settings)) -> Sessions {
        self.sessions_on(Arc::clone(&self.driver), change)
    }

    /// The same on another driver, one that fails or counts.
    pub fn sessions_on(&self, driver: Arc<dyn Store>, change: impl FnOnce(&mut Settings)) -> Sessions {
        let mut settings = Settings { cleanup: 0.0, ..Settings::default() };
        change(&mut settings);
        let ctx =
            SessionCtx::builder(Stores::single(driver)).settings(settings).build().expect("the settings are possible");
        let clock = Arc::clone(&self.clock);
        let clock = Arc::new(move || Duration::from_secs(clock.load(Relaxed)));
        let options = PoolOptions { instances: 64, wait: Duration::from_secs(60), clock: Some(clock) };
        Sessions::with(ctx, &ENGINE, options).expect("the engine runs the component")
    }
}

/// The options of a request with the cookie of an id.
pub fn carrying(id: &str) -> Options {
    Options { cookies: vec![format!("session={id}").into_bytes()], ..Options::default() }
}

/// A request with the cookie of an id.
pub async fn resume(sessions: &Sessions, id: &str) -> Session {
    sessions.start(carrying(id)).await.expect("a session can be started")
}

/// A stored session with the variable `a`; its id.
pub async fn visited(sessions: &Sessions) -> String {
    let session = sessions.start(Options::default()).await.expect("a session can be started");
    session.set("a", 1).await.expect("a variable can be set");
    sent_id(&session.save().await.expect("a session can be saved")).expect("a new session sends its cookie")
}

/// The id in a response's `Set-Cookie`.
pub fn sent_id(headers: &[Header]) -> Option<String> {
    let (_, cookie) = headers.iter().find(|(name, _)| name == "set-cookie")?;
    cookie.split(['=', ';']).nth(1).map(str::to_owned)
}
