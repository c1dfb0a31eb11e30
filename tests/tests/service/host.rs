//! One instance of a service that answers several requests, with the sessions of lemon-session-host.

use std::{
    collections::HashSet,
    sync::LazyLock,
    time::{Duration, Instant},
};

use futures::future::join_all;
use http::{HeaderMap, Method};
use http_body_util::{BodyExt as _, Empty};
use lemon_session_host::{
    Caller, SessionCtx, Sessions,
    engine::{EngineOptions, engine},
    sessions::{
        Location, Options, PoolOptions,
        concurrent::{self, ConcurrentCtx, ConcurrentCtxView, ConcurrentView},
        warm::{WarmCtx, WarmCtxView, WarmView},
    },
};
use lemon_session_tests::build;
use tokio::time::{sleep, timeout};
use wasmtime::{
    Engine, Store,
    component::{Accessor, Component, Linker, ResourceTable},
};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{
    Error, FieldMap, RequestOptions, WasiBody, WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks, WasiHttpView,
    p3::{
        self,
        bindings::{Service, ServicePre},
    },
};

use super::slow::Slow;

/// The data of an instance.
struct Guest {
    table: ResourceTable,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    hooks: Hooks,
    sessions: ConcurrentCtx,
    warm: WarmCtx,
}

impl Guest {
    fn new(sessions: &Sessions) -> Self {
        Self {
            table: ResourceTable::new(),
            wasi: WasiCtx::builder().build(),
            http: WasiHttpCtx::new(),
            hooks: Hooks,
            sessions: ConcurrentCtx::new(sessions.clone()),
            warm: WarmCtx::new(sessions.clone()),
        }
    }
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for Guest {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { ctx: &mut self.http, table: &mut self.table, hooks: &mut self.hooks }
    }
}

impl ConcurrentView for Guest {
    fn concurrent_sessions(&mut self) -> ConcurrentCtxView<'_> {
        ConcurrentCtxView { ctx: &mut self.sessions, table: &mut self.table }
    }
}

impl WarmView for Guest {
    fn sessions(&mut self) -> WarmCtxView<'_> {
        WarmCtxView { ctx: &mut self.warm, table: &mut self.table }
    }
}

struct Hooks;

type Sent = (http::Response<WasiBody>, Box<dyn Future<Output = Result<(), Error>> + Send>);

impl WasiHttpHooks for Hooks {
    fn send_request(
        &mut self,
        _request: http::Request<WasiBody>,
        _options: Option<RequestOptions>,
        _done: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Result<Sent, Error>> + Send> {
        Box::new(async { Err(Error::HttpRequestDenied) })
    }
}

/// The component `service`, compiled once.
static PRE: LazyLock<ServicePre<Guest>> = LazyLock::new(|| {
    let options = EngineOptions { pool: false, epochs: false, concurrency: true, ..EngineOptions::default() };
    let engine = engine(&options).unwrap();
    let service = Component::from_file(&engine, build::component("service")).unwrap();
    let mut linker = Linker::<Guest>::new(&engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker).unwrap();
    wasmtime_wasi::p3::add_to_linker(&mut linker).unwrap();
    p3::add_to_linker(&mut linker).unwrap();
    concurrent::add_to_linker(&mut linker).unwrap();
    ServicePre::new(linker.instantiate_pre(&service).unwrap()).unwrap()
});

/// Sessions on a slow store, with this many instances of the session component.
fn sessions(latency: Duration, instances: u32) -> Sessions {
    static ENGINE: LazyLock<Engine> = LazyLock::new(|| engine(&EngineOptions::for_sessions(200)).unwrap());
    let pool = PoolOptions { instances, wait: Duration::from_secs(10), ..PoolOptions::default() };
    Sessions::with(SessionCtx::new(Slow::new(latency)), &ENGINE, pool).unwrap()
}

struct Reply {
    body: String,
    cookie: Option<String>,
}

/// A request, and the result of reading its body.
fn request(
    path: &str,
    cookie: Option<&str>,
) -> (p3::Request, impl Future<Output = Result<(), Error>> + Send + 'static + use<>) {
    let mut headers = HeaderMap::new();
    if let Some(cookie) = cookie {
        headers.insert("cookie", cookie.parse().unwrap());
    }
    let headers = FieldMap::new_immutable(&mut Hooks, headers);
    p3::Request::new(Method::GET, None, None, Some(path.parse().unwrap()), headers, None, Empty::new())
}

/// Passes a request to an instance. The number of the request is that of its caller.
async fn get(accessor: &Accessor<Guest>, service: &Service, number: u64, path: &str, cookie: Option<&str>) -> Reply {
    let (request, read) = request(path, cookie);
    let handler = service.wasi_http_handler();
    let call = accessor.with(|mut store| {
        let request = store.data_mut().table.push(request).unwrap();
        let call = handler.func_handle().start_call_concurrent(&mut store, (request,)).unwrap();
        let caller = Caller { request: number, ..Caller::default() };
        store.data_mut().sessions.answer_for(call.task(), caller);
        call
    });
    let (answer,) = handler.func_handle().finish_call_concurrent(accessor, call).await.unwrap();
    let response = accessor.with(|mut store| {
        let response = store.data_mut().table.delete(answer.unwrap()).unwrap();
        response.into_http(&mut store, read).unwrap()
    });
    let cookie = response.headers().get("set-cookie").map(|cookie| cookie.to_str().unwrap());
    let cookie = cookie.map(|cookie| cookie.split(';').next().unwrap().to_owned());
    let body = response.into_body().collect().await.unwrap().to_bytes();
    Reply { body: String::from_utf8(body.to_vec()).unwrap(), cookie }
}

/// Runs requests in one new instance.
async fn in_one_instance<R>(sessions: &Sessions, requests: impl AsyncFnOnce(&Accessor<Guest>, &Service) -> R) -> R {
    let mut store = Store::new(PRE.engine(), Guest::new(sessions));
    let service = PRE.instantiate_async(&mut store).await.unwrap();
    store.run_concurrent(async |accessor| requests(accessor, &service).await).await.unwrap()
}

/// All instances of the session component can be leased: none was left behind.
async fn assert_all_are_free(sessions: &Sessions, instances: u32) {
    let all = join_all((0..instances).map(|_| sessions.start(Options::default())));
    let all = timeout(Duration::from_secs(60), all).await.expect("an instance is not free");
    assert!(all.iter().all(Result::is_ok));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixteen_requests_in_one_instance_wait_for_the_store_at_the_same_time() {
    let sessions = sessions(Duration::from_millis(50), 16);
    let best = in_one_instance(&sessions, async |accessor, service| {
        let mut best = Duration::MAX;
        // The first round makes the instances of the session component; and a busy machine delays some.
        for round in 0..8 {
            let begun = Instant::now();
            let replies = join_all((0..16).map(|n| get(accessor, service, round * 16 + n + 1, "/count", None))).await;
            best = best.min(begun.elapsed());
            let ids: HashSet<_> = replies.iter().map(|reply| reply.cookie.clone().unwrap()).collect();
            assert_eq!(ids.len(), 16, "each visitor has a session");
            assert!(replies.iter().all(|reply| reply.body == "1\n"));
        }
        best
    })
    .await;
    assert!(best <= Duration::from_millis(150), "they took {best:?}; one after the other, they would take 800 ms");
    assert_all_are_free(&sessions, 16).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_share_an_instance_keep_their_sessions_apart() {
    let sessions = sessions(Duration::from_millis(1), 8);
    in_one_instance(&sessions, async |accessor, service| {
        let visitor = async |number: u64| {
            let mut cookie = None;
            for visit in 1..=5 {
                let number = number * 100 + visit;
                let reply = get(accessor, service, number, "/count?ms=2", cookie.as_deref()).await;
                assert_eq!(reply.body, format!("{visit}\n"));
                cookie = reply.cookie.or(cookie);
            }
        };
        join_all((1..=8).map(visitor)).await;
    })
    .await;
    assert_all_are_free(&sessions, 8).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_on_one_session_take_effect_in_the_order_in_which_they_were_made() {
    let sessions = sessions(Duration::from_millis(5), 4);
    let body =
        in_one_instance(&sessions, async |accessor, service| get(accessor, service, 1, "/order", None).await.body);
    assert_eq!(body.await, "[10, 11, 12, 13, 14, 15, 16, 17, 18, 19]\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_starts_of_one_request_are_one_session_where_requests_are_numbered() {
    let sessions = sessions(Duration::from_millis(1), 4);
    in_one_instance(&sessions, async |accessor, service| {
        assert_eq!(get(accessor, service, 7, "/twice", None).await.body, "true\n");
        assert_eq!(get(accessor, service, 0, "/twice", None).await.body, "false\n");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_takes_a_few_instances_however_many_sessions_it_starts() {
    let sessions = sessions(Duration::from_millis(1), 4);
    let body =
        in_one_instance(&sessions, async |accessor, service| get(accessor, service, 1, "/many?n=40", None).await.body);
    assert_eq!(body.await, "40\n");
    assert_all_are_free(&sessions, 4).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_save_that_is_cancelled_is_whole_and_its_session_is_gone_for_the_request() {
    let sessions = sessions(Duration::from_millis(20), 4);
    let body = in_one_instance(&sessions, async |accessor, service| get(accessor, service, 1, "/cut", None).await.body);
    let body = body.await;
    let (id, answer) = body.trim_end().split_once(' ').unwrap();
    assert!(answer.contains("Gone"), "{answer}");
    let stored = sessions.start(Options {
        session_id: Some(id.to_owned()),
        app: Some("service".to_owned()),
        ..Options::default()
    });
    let stored = stored.await.unwrap();
    assert!(!stored.created().await.unwrap(), "it was saved");
    assert_eq!(stored.get("n").await.unwrap(), Some(1.into()));
    drop(stored);
    assert_all_are_free(&sessions, 4).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_that_are_cancelled_release_what_they_held() {
    let sessions = sessions(Duration::from_millis(2), 4);
    let body = in_one_instance(&sessions, async |accessor, service| {
        get(accessor, service, 1, "/cancel?n=200", None).await.body
    });
    assert_eq!(body.await, "cancelled\n");
    assert_all_are_free(&sessions, 4).await;
    // Each save that had begun is whole, and each of the starts that were cancelled stored nothing.
    let count = sessions.manager().count(&Location::default()).await.unwrap();
    assert_eq!(count, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_that_is_dropped_in_the_middle_of_its_requests_releases_everything() {
    let sessions = sessions(Duration::from_millis(5), 8);
    for round in 0..100 {
        let running = in_one_instance(&sessions, async |accessor, service| {
            join_all((1..=8).map(|n| get(accessor, service, n, "/count?ms=3", None))).await;
        });
        // From before the first start to after the last save.
        let _ = timeout(Duration::from_micros(200 * round), running).await;
    }
    assert_all_are_free(&sessions, 8).await;
    sleep(Duration::from_millis(20)).await;
    let manager = sessions.manager();
    let page = manager.list(&Location::default(), None, None, 10_000).await.unwrap();
    assert!(page.entries.iter().all(|entry| entry.size == page.entries[0].size), "each is whole");
}

#[tokio::test]
async fn sessions_on_an_engine_with_concurrency_are_refused_with_the_reason() {
    let options = EngineOptions { pool: false, concurrency: true, epochs: false, ..EngineOptions::default() };
    let ctx = SessionCtx::new(Slow::new(Duration::ZERO));
    let sessions = Sessions::with(ctx, &engine(&options).unwrap(), PoolOptions::default()).unwrap();
    let mut store = Store::new(PRE.engine(), Guest::new(&sessions));
    let service = PRE.instantiate_async(&mut store).await.unwrap();
    let failed = store
        .run_concurrent(async |accessor| {
            let (request, _read) = request("/count", None);
            service.handle(accessor, request).await.map(|_| ())
        })
        .await
        .flatten();
    let why = format!("{:#}", failed.unwrap_err());
    assert!(why.contains("without concurrency support"), "{why}");
}
