//! `serve --dev`, for the author of an application: reloads it when its files change, shows failures in the browser, and prints
//! a line for each request.

mod events;
mod line;
mod page;
mod sessions;
mod watch;

use std::sync::{Arc, PoisonError, RwLock};

use http::{HeaderMap, Method, Request, Response, StatusCode, Uri, header};
use lemon_session_host::SessionCtx;
use wasmtime_wasi_http::WasiBody;

use crate::application::{Failure, Printed, Subject};
use events::Events;
use line::Line;
use page::Page;

pub use events::Noted;
pub use watch::Watch;

/// The state of development mode.
pub struct Dev {
    session: SessionCtx,
    /// The names of the stores beside the default one.
    storages: Vec<String>,
    pub events: Arc<Events>,
    loaded: RwLock<Loaded>,
}

/// Whether the application could be loaded.
#[derive(Default)]
struct Loaded {
    /// Whether it ever could.
    is_any: bool,
    /// Why its files cannot be loaded, as they are now.
    failure: Option<Arc<str>>,
}

/// A request, from its head to the last byte of its response.
pub struct Visit {
    dev: Arc<Dev>,
    method: Method,
    target: Uri,
    headers: HeaderMap,
    printed: Arc<Printed>,
    line: Line,
}

impl Dev {
    /// For an application that is not loaded yet, whose sessions are in the stores of `session`: the default one, and those
    /// with the names `storages`.
    pub fn new(session: SessionCtx, storages: Vec<String>, events: Arc<Events>) -> Self {
        Self { session, storages, events, loaded: RwLock::default() }
    }

    /// The application was loaded.
    pub fn loaded(&self) {
        *self.loaded.write().unwrap_or_else(PoisonError::into_inner) = Loaded { is_any: true, failure: None };
    }

    /// The application's files cannot be loaded.
    pub fn not_loaded(&self, why: &str) {
        self.loaded.write().unwrap_or_else(PoisonError::into_inner).failure = Some(why.into());
    }

    /// Fails if a request cannot be passed to the application, because its files cannot be loaded. A version that was loaded
    /// before still answers, but not where a page can say why the new one does not.
    pub fn check<B>(&self, request: &Request<B>) -> Result<(), Failure> {
        let loaded = self.loaded.read().unwrap_or_else(PoisonError::into_inner);
        match &loaded.failure {
            Some(why) if !loaded.is_any || is_for_page(request.method(), request.headers()) => {
                Err(Failure::NotLoaded(why.clone()))
            }
            _ => Ok(()),
        }
    }

    /// A request has arrived. `subject` is about it.
    pub fn visit<B>(self: &Arc<Self>, request: &Request<B>, subject: &mut Subject) -> Visit {
        let printed = Arc::<Printed>::default();
        subject.printed = Some(printed.clone());
        Visit {
            dev: self.clone(),
            method: request.method().clone(),
            target: request.uri().clone(),
            headers: request.headers().clone(),
            printed,
            line: Line::begin(subject, request.uri().path(), self.events.clone()),
        }
    }
}

impl Visit {
    /// The page about a failure of the application, if the client reads pages.
    pub async fn page(&self, failure: &Failure, subject: &Subject) -> Option<Page> {
        if !failure.is_of_application() || !page::is_accepted(&self.headers) {
            return None;
        }
        let cookies = sessions::of(&self.headers, self.dev.session.stores(), &self.dev.storages).await;
        Some(Page::new(failure, subject, self, &cookies))
    }

    /// A response of the application; in its place the page, if the runtime of the application's language made it after an
    /// exception: a 500 that is at most plain text.
    pub async fn explained(&self, mut response: Response<WasiBody>, subject: &Subject) -> Response<WasiBody> {
        let kind = response.headers().get(header::CONTENT_TYPE);
        let is_of_runtime = response.status() == StatusCode::INTERNAL_SERVER_ERROR
            && self.printed.has_report()
            && kind.is_none_or(|kind| kind.as_bytes().starts_with(b"text/plain"));
        let page = if is_of_runtime { self.page(&Failure::Exception, subject).await } else { None };
        if let Some(page) = page {
            page.replace_body(&mut response);
        }
        response
    }

    /// The response, of which the line tells.
    pub fn answered(self, response: Response<WasiBody>) -> Response<WasiBody> {
        self.line.answered(response, &self.method)
    }
}

/// Whether a request is for a page: nothing is lost if it gets another one.
fn is_for_page(method: &Method, headers: &HeaderMap) -> bool {
    matches!(*method, Method::GET | Method::HEAD) && page::is_accepted(headers)
}
