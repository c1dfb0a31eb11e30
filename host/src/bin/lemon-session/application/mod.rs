//! What `serve` and its kin share: one application, the guests that answer for it, and their limits.

pub mod engine;
mod failure;
mod guest;
mod guest_log;
mod load;
mod request_id;
mod workers;

pub use failure::Failure;
pub use request_id::RequestId;

use std::{path::Path, sync::Arc, time::Instant};

use anyhow::{Context as _, Result};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::{Body as _, Incoming};
use lemon_session_host::{SessionCtx, config::Server};
use tokio::{sync::Semaphore, time::timeout};
use wasmtime::{Engine, component::Linker};
use wasmtime_wasi_http::{
    Error, WasiBody,
    handler::{HandlerState as _, ProxyHandler, ProxyPre},
    p2::bindings::ProxyPre as Pre,
};

use crate::compose::Modules;

use guest::Guest;
use workers::Workers;

/// An application, ready to answer requests.
pub struct Application {
    handler: ProxyHandler<Workers>,
    settings: Arc<Server>,
    /// One for each request that may be in flight.
    in_flight: Arc<Semaphore>,
}

impl Application {
    /// Reads, composes where it needs sessions, and compiles the component at `path`.
    pub fn load(
        engine: &Engine,
        path: &Path,
        modules: &Modules,
        session: SessionCtx,
        settings: &Arc<Server>,
        reuse: u32,
    ) -> Result<Self> {
        let component = load::component(engine, path, modules)?;
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
            slots: Arc::new(Semaphore::new(engine::guests(settings) as usize)),
            reuse: reuse as usize,
        });
        let in_flight = Arc::new(Semaphore::new(settings.in_flight as usize));
        Ok(Self { handler, settings: settings.clone(), in_flight })
    }

    /// How many guests are alive.
    pub fn guests(&self) -> usize {
        engine::guests(&self.settings) as usize - self.handler.state().slots.available_permits()
    }

    /// Fails when it cannot be instantiated.
    pub async fn check(&self) -> Result<()> {
        self.handler.state().instantiate().await?;
        Ok(())
    }

    /// Has the application answer a request.
    pub async fn answer(
        &self,
        id: RequestId,
        request: http::Request<Incoming>,
    ) -> Result<http::Response<WasiBody>, Failure> {
        if request.body().size_hint().lower() > u64::from(self.settings.body_bytes) {
            return Err(Failure::BodyTooLarge);
        }
        let permit = timeout(self.settings.queue_time, self.in_flight.clone().acquire_owned()).await;
        let Ok(Ok(permit)) = permit else { return Err(Failure::Overloaded) };

        let request = request.map(|body| limited(body, self.settings.body_bytes as usize));
        let begun = Instant::now();
        let answered = timeout(self.settings.request_time, self.handler.handle(id, request)).await;
        let response = match answered {
            Ok(Ok(response)) => response,
            Ok(Err(error)) if begun.elapsed() < self.settings.request_time => return Err(error.into()),
            // A guest that is stopped for its time may leave first, with an error that does not tell.
            Ok(Err(_)) | Err(_) => return Err(Failure::TimedOut),
        };
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

fn limited(body: Incoming, limit: usize) -> WasiBody {
    Limited::new(body, limit)
        .map_err(move |error| match error.downcast::<hyper::Error>() {
            Ok(error) => Error::Hyper(*error),
            Err(error) if error.is::<LengthLimitError>() => Error::HttpRequestBodySize(Some(limit as u64)),
            Err(_) => Error::ConnectionTerminated,
        })
        .boxed_unsync()
}
