//! What the peers on axum share.

use std::net::SocketAddr;

use axum::{Router, response::Html};

/// What `variable1` is set to.
pub const VARIABLE1: &str = "Python Rules!";

/// The page.
pub fn page(variable1: &str, count: i64) -> Html<String> {
    Html(format!("<!DOCTYPE html>\n<title>Counter</title>\n<p>variable1: {variable1}</p>\n<p>count: {count}</p>\n"))
}

/// The page without a session.
pub async fn none() -> Html<String> {
    page("nobody", 0)
}

/// The port and the database file, as the command line has them.
pub fn arguments() -> (u16, String, Vec<String>) {
    let mut arguments = std::env::args().skip(1);
    let port = arguments.next().and_then(|port| port.parse().ok()).expect("the first argument is the port");
    let file = arguments.next().expect("the second argument is the database file");
    (port, file, arguments.collect())
}

/// Serves until the process is ended.
pub async fn serve(port: u16, router: Router) {
    use axum::serve::ListenerExt as _;
    let listener = tokio::net::TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], port))).await.expect("the port is free");
    let listener = listener.tap_io(|stream| stream.set_nodelay(true).expect("a socket has this option"));
    axum::serve(listener, router).await.expect("the server runs");
}
