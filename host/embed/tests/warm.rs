//! Applications that share pooled instances of the session component: the tests call what a guest would call.

use std::{sync::Arc, time::Duration};

use lemon_session_host::{
    Caller, SessionCtx, Sessions,
    bindings::{
        application::lemon::session::{
            manager::Host as _,
            sessions::{Host as _, HostSession, Options},
        },
        lemon::session::types::{Error, Location, Value},
    },
    engine::{EngineOptions, engine},
    sessions::{
        PoolOptions,
        warm::{WarmCtx, WarmCtxView},
    },
    settings::Grant,
    store::memory::Memory,
};
use wasmtime::component::ResourceTable;

/// A host with one instance, where a start without a free instance fails immediately.
fn host() -> Sessions {
    let options = EngineOptions::for_sessions(1);
    let pool = PoolOptions { instances: 1, wait: Duration::ZERO, ..PoolOptions::default() };
    Sessions::with(SessionCtx::new(Arc::new(Memory::new())), &engine(&options).unwrap(), pool).unwrap()
}

/// The data of one request.
struct Request {
    ctx: WarmCtx,
    table: ResourceTable,
}

impl Request {
    fn of(sessions: &Sessions) -> Self {
        Self { ctx: WarmCtx::new(sessions.clone()), table: ResourceTable::new() }
    }

    fn view(&mut self) -> WarmCtxView<'_> {
        WarmCtxView { ctx: &mut self.ctx, table: &mut self.table }
    }
}

fn options(cookie: Option<&str>) -> Options {
    Options {
        app: Some("shop".to_owned()),
        cookies: cookie.map(|cookie| cookie.as_bytes().to_vec()).into_iter().collect(),
        https: false,
        session_id: None,
        location: Location::default(),
        expires: None,
        cookie: None,
        seed: None,
        cleanup: None,
        strict: None,
        cache_limiter: None,
    }
}

macro_rules! handle {
    ($session:ident) => {
        wasmtime::component::Resource::new_borrow($session.rep())
    };
}

#[tokio::test]
async fn what_one_request_sets_is_there_for_the_next() {
    let sessions = host();
    let mut first = Request::of(&sessions);
    let session = first.view().start(options(None)).await.unwrap().unwrap();
    assert!(first.view().created(handle!(session)).await.unwrap());
    let value = Value::Text("full".to_owned());
    first.view().set(handle!(session), "cart".to_owned(), value).await.unwrap().unwrap();
    let headers = first.view().save(handle!(session)).await.unwrap().unwrap();
    drop(first);

    let cookie = headers[0].1.split(';').next();
    let mut second = Request::of(&sessions);
    let session = second.view().start(options(cookie)).await.unwrap().unwrap();
    assert!(!second.view().created(handle!(session)).await.unwrap());
    let value = HostSession::get(&mut second.view(), handle!(session), "cart".to_owned()).await.unwrap().unwrap();
    assert!(matches!(value, Some(Value::Text(text)) if text == "full"));
}

#[tokio::test]
async fn the_manager_does_what_the_caller_is_granted() {
    let sessions = host();
    let count = async |request: &mut Request| request.view().count(Location::default()).await.unwrap();
    let mut request = Request::of(&sessions);
    let denied = count(&mut request).await.unwrap_err();
    assert!(matches!(&denied, Error::Denied(why) if why.contains("count") && why.contains("'owners'")), "{denied:?}");
    let caller = Caller { manager: Grant::All, ..Caller::default() };
    request.ctx = WarmCtx::new(sessions.clone()).for_caller(caller);
    assert_eq!(count(&mut request).await.unwrap(), 0);
    // The grant goes with the lease, not with the instance.
    assert!(matches!(count(&mut Request::of(&sessions)).await, Err(Error::Denied(_))));
    assert_eq!(sessions.manager().count(&Location::default()).await.unwrap(), 0, "a native server does everything");
}

#[tokio::test]
async fn all_sessions_of_a_request_are_in_one_instance_which_the_last_gives_back() {
    let sessions = host();
    let (mut one, mut other) = (Request::of(&sessions), Request::of(&sessions));
    let first = one.view().start(options(None)).await.unwrap().unwrap();
    let second = one.view().start(options(None)).await.unwrap().unwrap();
    let blog = one.view().application(handle!(second), "blog".to_owned()).await.unwrap().unwrap();

    for dropped in [first, second, blog] {
        let refused = other.view().start(options(None)).await.unwrap().unwrap_err();
        assert!(matches!(&refused, Error::Storage(why) if why.contains("too many sessions")), "{refused:?}");
        one.view().drop(dropped).await.unwrap();
    }
    other.view().start(options(None)).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_request_that_ends_with_sessions_open_gives_the_instance_back() {
    let sessions = host();
    for _ in 0..3 {
        let mut request = Request::of(&sessions);
        let session = request.view().start(options(None)).await.unwrap().unwrap();
        request.view().set(handle!(session), "cart".to_owned(), Value::Null).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn sessions_that_were_dropped_leave_nothing_in_the_instance() {
    let sessions = host();
    let mut request = Request::of(&sessions);
    let kept = request.view().start(options(None)).await.unwrap().unwrap();
    let value = Value::Bytes(vec![7; 500_000]);
    // Fifty times the memory of an instance.
    for _ in 0..3_000 {
        let session = request.view().start(options(None)).await.unwrap().unwrap();
        request.view().set(handle!(session), "cart".to_owned(), value.clone()).await.unwrap().unwrap();
        request.view().drop(session).await.unwrap();
    }
    assert!(request.view().created(handle!(kept)).await.unwrap());
}

#[tokio::test]
async fn a_handle_that_is_none_stops_the_application_and_nothing_else() {
    let sessions = host();
    let mut request = Request::of(&sessions);
    let session = request.view().start(options(None)).await.unwrap().unwrap();
    let unknown = wasmtime::component::Resource::new_borrow(session.rep() + 1);
    request.view().id(unknown).await.unwrap_err();
    request.view().id(handle!(session)).await.unwrap();
}

#[tokio::test]
async fn a_value_of_any_size_is_too_large_and_stops_nobody() {
    let sessions = host();
    let mut request = Request::of(&sessions);
    let session = request.view().start(options(None)).await.unwrap().unwrap();
    for bytes in [(1 << 20) + 1, 16 << 20, 64 << 20] {
        for value in [Value::Bytes(vec![7; bytes]), Value::Text("x".repeat(bytes)), Value::Json("1".repeat(bytes))] {
            let refused = request.view().set(handle!(session), "cart".to_owned(), value).await.unwrap().unwrap_err();
            assert!(matches!(&refused, Error::TooLarge(why) if why.contains("value-bytes")), "{refused:?}");
        }
    }
    request.view().set(handle!(session), "cart".to_owned(), Value::Null).await.unwrap().unwrap();
    request.view().save(handle!(session)).await.unwrap().unwrap();
    let native = sessions.clone();
    drop(request);
    let session = native.start(Default::default()).await.unwrap();
    let refused = session.set("cart", vec![7; 64 << 20]).await.unwrap_err();
    assert!(matches!(&refused, lemon_session_host::sessions::Error::TooLarge(_)), "{refused:?}");
    session.save().await.unwrap();
}

#[tokio::test]
async fn two_starts_of_one_request_are_one_session_and_of_two_requests_are_two() {
    let sessions = host();
    let id = async |request: &mut Request| {
        let session = request.view().start(options(None)).await.unwrap().unwrap();
        (request.view().id(handle!(session)).await.unwrap(), session)
    };
    let of = |number: u64| {
        let mut request = Request::of(&sessions);
        request.ctx = WarmCtx::new(sessions.clone()).for_caller(Caller { request: number, ..Caller::default() });
        request
    };
    let mut request = of(1);
    let (first, _open) = id(&mut request).await;
    let (second, _open) = id(&mut request).await;
    assert_eq!(first, second);
    drop(request);
    let (third, _open) = id(&mut of(2)).await;
    assert_ne!(first, third, "the same instance, for another request");
}
