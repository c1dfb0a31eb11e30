//! Applications and their guests, for `serve` and `cgi`.

#[macro_use]
mod subject;

mod body;
mod budget;
mod cache;
pub mod cgi;
mod concurrent;
pub mod device_bound;
pub mod engine;
mod failure;
pub mod forwarded;
mod guest;
mod guest_log;
mod http;
mod kind;
mod load;
mod memory;
mod metered;
mod platform;
mod printed;
mod remedy;
mod report;
mod request_id;
pub mod same_origin;

use std::{net::IpAddr, path::Path, sync::Arc};

use ::http::{Request, Response, StatusCode, header, request::Parts};
use anyhow::{Context as _, Result};
use http_body_util::BodyExt as _;
use lemon_session_host::{Caller, settings::Grant};
use tokio::time::timeout;
use wasmtime::component::{Component, types::ComponentItem};
use wasmtime_wasi_http::{WasiBody, p2::bindings::ProxyPre, p3::bindings::ServicePre};

use crate::compose::{Modules, Source, Unused};
use cgi::{Command, Program, Variables};
use http::Service;
use kind::{Kind, Wasi};
use load::Way;

pub use cache::Cache;
pub use failure::Failure;
pub use platform::Platform;
pub use printed::Printed;
pub use request_id::RequestId;
pub use subject::Subject;

/// An application, ready to answer requests.
pub struct Application {
    name: Arc<str>,
    handler: Handler,
    platform: Arc<Platform>,
    uses_sessions: bool,
    manager: Grant,
}

/// What passes requests to an application.
enum Handler {
    /// For a component of wasi:http 0.2.
    Http(Service),
    /// For a component of wasi:http 0.3.
    Concurrent(concurrent::Service),
    /// For a component of wasi:cli, as a CGI program (RFC 3875).
    Program(Program),
}

impl Application {
    /// Reads the component at `path`, joins it with its modules, and compiles it.
    pub fn load(platform: &Arc<Platform>, path: &Path, modules: &Modules, unused: Unused, reuse: u32) -> Result<Self> {
        let source = Source::read(path)?;
        let kind = Kind::of(&source.bytes);
        let wasi = kind.map_or(Wasi::P2, Kind::wasi);
        let way = Way::new(wasi, reuse);
        let component = load::application(platform, wasi, &source, &modules.read()?, unused, way)?;
        let kind = kind.with_context(|| {
            format!(
                "{} is not an application: it exports neither wasi:http/handler@0.3, wasi:http/incoming-handler@0.2 nor \
                 wasi:cli/run of either version; {}",
                path.display(),
                kind::foreign(&source.bytes)
            )
        })?;
        let pre = platform.linker(component.engine(), wasi, way)?.instantiate_pre(&component);
        let cannot_run = || format!("{} has imports that this server does not provide", path.display());
        let pre = pre.map_err(anyhow::Error::from).with_context(cannot_run)?;
        let application: Arc<str> = path.file_stem().unwrap_or_default().to_string_lossy().into();
        let name = application.clone();
        let platform = platform.clone();
        let handler = match kind {
            Kind::Http(Wasi::P2) => Handler::Http(Service::new(platform.clone(), name, ProxyPre::new(pre)?, reuse)),
            Kind::Http(Wasi::P3) => {
                let concurrency = if is_blocking(&component) { 1 } else { platform.settings.concurrency };
                let pre = ServicePre::new(pre)?;
                Handler::Concurrent(concurrent::Service::new(platform.clone(), name, pre, reuse, concurrency))
            }
            Kind::Program(wasi) => {
                Handler::Program(Program { platform: platform.clone(), name, command: Command::new(wasi, pre)? })
            }
        };
        let uses_sessions =
            component.component_type().imports(component.engine()).any(|(name, _)| name.starts_with("lemon:session/"));
        Ok(Self { name: application, handler, platform, uses_sessions, manager: Caller::default().manager })
    }

    /// Grants it functions of `lemon:session/manager`.
    pub fn granted(self, manager: Grant) -> Self {
        Self { manager, ..self }
    }

    /// Fails when it cannot be instantiated.
    pub async fn check(&self) -> Result<()> {
        match &self.handler {
            Handler::Http(service) => service.check().await?,
            Handler::Concurrent(service) => service.check().await?,
            Handler::Program(program) => program.check().await?,
        }
        Ok(())
    }

    /// Whether it imports `lemon:session/sessions` or another interface of this package.
    pub fn uses_sessions(&self) -> bool {
        self.uses_sessions
    }

    /// Its name in the log: that of its file.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Whether it is a CGI program.
    pub fn is_program(&self) -> bool {
        matches!(self.handler, Handler::Program(_))
    }

    /// The response to a request with which a browser registers or proves the key of a session, before an application runs.
    pub async fn device_bound(
        &self,
        head: &Request<()>,
        subject: &Subject,
    ) -> Result<Option<Response<WasiBody>>, Failure> {
        device_bound::answer(&self.platform, head, subject).await
    }

    /// Passes a request of `client` to the application. A CGI program gets the request's `variables`.
    pub async fn answer(
        &self,
        subject: Subject,
        client: Option<IpAddr>,
        request: Request<WasiBody>,
        variables: impl FnOnce(&Parts) -> Result<Variables, Failure>,
    ) -> Result<Response<WasiBody>, Failure> {
        let Platform { settings, in_flight, .. } = &*self.platform;
        let (parts, body) = request.into_parts();
        let (body, fault) = body::limited(body, settings)?;
        // Before the request takes its turn, so that a slow client occupies only its own connection.
        let body = body::read_ahead(body, settings.body_buffer as usize).await;
        let incomplete = |_| fault.failure().unwrap_or(Failure::BadRequest("The body of the request is incomplete."));
        let request = Request::from_parts(parts, body.map_err(incomplete)?);

        let permit = match in_flight.clone().try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => match timeout(settings.queue_time, in_flight.clone().acquire_owned()).await {
                Ok(Ok(permit)) => permit,
                _ => return Err(Failure::Overloaded),
            },
        };
        let user_agent = self.user_agent(&request);
        let caller = Caller { request: subject.id.number(), client, user_agent, manager: self.manager };
        let answered = match &self.handler {
            Handler::Http(service) => service.answer(subject, caller, request).await,
            Handler::Concurrent(service) => service.answer(subject, caller, request).await,
            Handler::Program(program) => {
                let answered = timeout(settings.request_time, program.answer(subject, caller, request, variables));
                answered.await.unwrap_or(Err(Failure::TimedOut))
            }
        };
        let mut response = fault.failure().map_or(answered, Err)?;
        // A response whose status allows no body must not have a length either (RFC 9110, section 8.6).
        if matches!(response.status(), StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
            response.headers_mut().remove(header::CONTENT_LENGTH);
        }
        // The request stays in flight until the last byte of its response is sent.
        Ok(response.map(|body| {
            body.map_err(move |error| {
                let _ = &permit;
                error
            })
            .boxed_unsync()
        }))
    }

    /// The `User-Agent` of a request, if the settings keep it with sessions.
    fn user_agent(&self, request: &Request<WasiBody>) -> Option<Arc<str>> {
        if self.platform.session().settings().client_user_agent == 0 {
            return None;
        }
        let agent = request.headers().get(header::USER_AGENT)?;
        Some(String::from_utf8_lossy(agent.as_bytes()).into())
    }
}

/// The interfaces whose calls block an application's instance until the store has answered.
const BLOCKING: [&str; 2] = ["lemon:session/sessions@", "lemon:session/manager@"];

/// Whether an application calls an interface whose calls block its instance. It also imports one whose types it uses.
fn is_blocking(component: &Component) -> bool {
    let engine = component.engine();
    component.component_type().imports(engine).any(|(name, import)| match import.ty {
        ComponentItem::ComponentInstance(interface) if BLOCKING.iter().any(|blocking| name.starts_with(blocking)) => {
            interface.exports(engine).any(|(_, export)| matches!(export.ty, ComponentItem::ComponentFunc(_)))
        }
        _ => false,
    })
}
