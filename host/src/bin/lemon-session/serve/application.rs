//! One application that is served.

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::{Body as _, Incoming};
use lemon_session_host::{SessionCtx, compose, config::Server};
use tokio::{sync::Semaphore, time::timeout};
use wasmtime::{
    Engine,
    component::{Component, Linker},
};
use wasmtime_wasi_http::{
    Error, WasiBody,
    handler::{ProxyHandler, ProxyPre},
    p2::bindings::ProxyPre as Pre,
};

use super::{failure::Failure, guest::Guest, workers::Workers};

/// An application, ready to answer requests.
pub struct Application {
    handler: ProxyHandler<Workers>,
    settings: Arc<Server>,
    /// One for each request that may be in flight.
    in_flight: Arc<Semaphore>,
}

impl Application {
    /// Reads, composes where it needs sessions, and compiles the component at `path`.
    pub fn load(engine: &Engine, path: &Path, session: SessionCtx, settings: &Arc<Server>, reuse: u32) -> Result<Self> {
        let component = read(path)?;
        let component = Component::new(engine, component)
            .map_err(anyhow::Error::from)
            .with_context(|| format!("cannot compile {}", path.display()))?;
        let mut linker = Linker::<Guest>::new(engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
        wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
        lemon_session_host::add_to_linker(&mut linker)?;
        let pre = linker
            .instantiate_pre(&component)
            .and_then(Pre::new)
            .map_err(anyhow::Error::from)
            .with_context(|| format!("{} is no component of wasi:http that can be served", path.display()))?;

        let name = path.file_stem().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        let handler = ProxyHandler::new(Workers {
            engine: engine.clone(),
            name: name.into(),
            pre: ProxyPre::P2(pre),
            session,
            settings: settings.clone(),
            slots: Arc::new(Semaphore::new(guests(settings) as usize)),
            reuse: reuse as usize,
        });
        let in_flight = Arc::new(Semaphore::new(settings.in_flight as usize));
        Ok(Self { handler, settings: settings.clone(), in_flight })
    }

    /// Has the application answer a request.
    pub async fn answer(&self, request: http::Request<Incoming>) -> Result<http::Response<WasiBody>, Failure> {
        if request.body().size_hint().lower() > u64::from(self.settings.body_bytes) {
            return Err(Failure::BodyTooLarge);
        }
        let permit = timeout(self.settings.queue_time, self.in_flight.clone().acquire_owned()).await;
        let Ok(Ok(permit)) = permit else { return Err(Failure::Overloaded) };

        let request = request.map(|body| limited(body, self.settings.body_bytes as usize));
        // The guest's own time ends it a moment earlier or later; the client is not kept waiting for that.
        let time = self.settings.request_time + Duration::from_millis(100);
        let response = timeout(time, self.handler.handle((), request)).await.map_err(|_| Failure::TimedOut)??;
        // The request is in flight until the last byte of its response is.
        Ok(response.map(|body| {
            body.map_err(move |error| {
                let _ = &permit;
                error
            })
            .boxed_unsync()
        }))
    }
}

/// How many guests may be alive at a time: each request in flight has one, and one whose last bytes are on their way may
/// outlive its request for a moment.
pub fn guests(settings: &Server) -> u32 {
    2 * settings.in_flight
}

/// The component at `path`, joined with the session component if it imports sessions.
fn read(path: &Path) -> Result<Vec<u8>> {
    let application = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let composed = match compose::imports_sessions(&application) {
        Ok(true) => compose::compose(&application),
        Ok(false) => Ok(application),
        Err(error) => Err(error),
    };
    composed.with_context(|| format!("cannot serve {}", path.display()))
}

fn limited(body: Incoming, limit: usize) -> WasiBody {
    Limited::new(body, limit)
        .map_err(move |error| match error.downcast::<hyper::Error>() {
            Ok(error) => Error::Hyper(*error),
            Err(error) if error.is::<LengthLimitError>() => Error::HttpRequestBodySize(Some(limit as u64)),
            Err(_) => Error::ConnectionTerminated,
        })
        .boxed_unsync()
}
