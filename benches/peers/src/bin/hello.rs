//! hyper, and the page without a session: what a server costs before anything runs on it.

use std::{convert::Infallible, net::SocketAddr};

use axum::http::{HeaderValue, Request, Response, header};
use http_body_util::Full;
use hyper::{
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use peers::{arguments, page};
use tokio::net::TcpListener;

async fn hello(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut response = Response::new(Full::from(page("nobody", 0).0));
    let html = HeaderValue::from_static("text/html; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, html);
    Ok(response)
}

#[tokio::main]
async fn main() {
    let (port, ..) = arguments();
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], port))).await.expect("the port is free");
    loop {
        let (stream, _) = listener.accept().await.expect("a connection can be accepted");
        stream.set_nodelay(true).expect("a socket has this option");
        tokio::spawn(async move {
            // A client that closes its connection is no failure.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(hello)).await;
        });
    }
}
