//! What the layer makes of a handler's session.

use std::{net::Ipv4Addr, sync::Arc};

use axum::{
    Router,
    body::Body,
    http::{Request, StatusCode, header::SET_COOKIE},
    middleware,
    response::Response,
    routing::get,
};
use lemon_session_host::{
    Caller, SessionCtx, Sessions, Settings, Stores,
    sessions::{Location, Options},
    store::{Inspect as _, memory::Memory},
};
use tower::ServiceExt as _;

use crate::session::{self, Failure, Site, Visitor};

fn site(settings: Settings) -> (Site, Arc<Memory>) {
    let store = Arc::new(Memory::new());
    let ctx = SessionCtx::builder(Stores::single(store.clone())).settings(settings).build().unwrap();
    (Site { sessions: Sessions::new(ctx).unwrap(), app: "test", https: true }, store)
}

/// The answer of a handler, behind the layer.
async fn answer<H, T>(site: Site, handler: H) -> Response
where
    H: axum::handler::Handler<T, ()>,
    T: 'static,
{
    let routes = Router::new().route("/", get(handler)).layer(middleware::from_fn_with_state(site, session::layer));
    routes.oneshot(Request::get("/").body(Body::empty()).unwrap()).await.unwrap()
}

#[tokio::test]
async fn a_session_is_saved_and_its_headers_are_sent() {
    let (site, store) = site(Settings::default());
    let response = answer(site, async |visitor: Visitor| Ok::<_, Failure>(visitor.set("a", 1).await?)).await;
    assert_eq!(response.status(), StatusCode::OK);
    let cookie = response.headers()[SET_COOKIE].to_str().unwrap();
    assert!(cookie.starts_with("test=") && cookie.contains("Secure"), "the visitor came over HTTPS: {cookie}");
    assert_eq!(response.headers()["cache-control"], "no-store");
    assert_eq!(store.count(0).await.unwrap(), 1);
}

#[tokio::test]
async fn what_a_handler_changed_is_discarded_when_it_fails() {
    let (site, store) = site(Settings::default());
    let handler = async |visitor: Visitor| {
        visitor.set("a", 1).await?;
        Ok::<_, Failure>(StatusCode::INTERNAL_SERVER_ERROR)
    };
    let response = answer(site, handler).await;
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert!(!response.headers().contains_key(SET_COOKIE));
    assert_eq!(store.count(0).await.unwrap(), 0);
}

#[tokio::test]
async fn a_session_that_ended_meanwhile_is_a_conflict() {
    let (site, _) = site(Settings::default());
    let sessions = site.sessions.clone();
    let session = sessions.start(Options { app: Some("test".to_owned()), ..Options::default() }).await.unwrap();
    session.save().await.unwrap();
    let (id, digest) = (session.id().await.unwrap(), session.digest().await.unwrap());
    let manager = sessions.clone();
    let handler = async move |visitor: Visitor| {
        visitor.set("a", 1).await?;
        assert!(manager.manager().destroy(&Location::default(), &digest, None).await?);
        Ok::<_, Failure>("never seen")
    };
    let routes = Router::new().route("/", get(handler)).layer(middleware::from_fn_with_state(site, session::layer));
    let request = Request::get("/").header("cookie", format!("test={id}")).body(Body::empty()).unwrap();
    let response = routes.oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::CONFLICT);
    assert!(!response.headers().contains_key(SET_COOKIE));
}

#[tokio::test]
async fn a_strict_session_that_another_request_saved_is_a_conflict() {
    let (site, _) = site(Settings { strict: true, ..Settings::default() });
    let sessions = site.sessions.clone();
    let session = sessions.start(Options { app: Some("test".to_owned()), ..Options::default() }).await.unwrap();
    session.save().await.unwrap();
    let id = session.id().await.unwrap();
    let (cookie, session) = (format!("test={id}"), Arc::new(session));
    let handler = async move |visitor: Visitor| {
        visitor.set("a", 1).await?;
        session.set("a", 2).await?;
        session.save().await?;
        Ok::<_, Failure>("never seen")
    };
    let routes = Router::new().route("/", get(handler)).layer(middleware::from_fn_with_state(site, session::layer));
    let request = Request::get("/").header("cookie", cookie).body(Body::empty()).unwrap();
    assert_eq!(routes.oneshot(request).await.unwrap().status(), StatusCode::CONFLICT);
}

#[tokio::test]
async fn what_the_caller_is_not_granted_is_a_mistake_of_the_site() {
    let (site, _) = site(Settings::default());
    let sessions = site.sessions.for_caller(Caller::default());
    let handler = async move |_: Visitor| {
        sessions.manager().count(&Location::default()).await?;
        Ok::<_, Failure>("never seen")
    };
    assert_eq!(answer(site, handler).await.status(), StatusCode::INTERNAL_SERVER_ERROR);
}

#[tokio::test]
async fn a_client_that_begins_too_many_sessions_is_told_so() {
    let (mut site, store) = site(Settings::default());
    let caller = Caller { client: Some(Ipv4Addr::LOCALHOST.into()), ..Caller::default() };
    site.sessions = Sessions::new(site.sessions.ctx().limit_new_sessions(1)).unwrap().for_caller(caller);
    let visit = async || answer(site.clone(), async |_: Visitor| "seen").await.status();
    assert_eq!(visit().await, StatusCode::OK);
    assert_eq!(visit().await, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(store.count(0).await.unwrap(), 1);
}

#[tokio::test]
async fn a_handler_without_the_layer_fails() {
    let routes = Router::new().route("/", get(async |_: Visitor| "never seen"));
    let response = routes.oneshot(Request::get("/").body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
}
