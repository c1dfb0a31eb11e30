//! The console: a site for operators at the admin address.
//!
//! Pages are made here and work without scripts; only the charts need one. Each page asks the store for as much as it shows, with a
//! time limit, so that a store that is large or dead costs a page a few seconds at most.

mod assets;
mod doctor;
mod ending;
mod events;
mod failure;
mod history;
mod overview;
mod owners;
mod page;
mod reading;
mod response;
mod servers;
mod session;
mod sessions;
mod sign_in;

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use lemon_session::check_same_origin;
use lemon_session_host::store::Digest;
use minijinja::context;
use tokio::{
    sync::{Semaphore, watch},
    time::{MissedTickBehavior, interval, timeout},
};
use url::form_urlencoded;

use doctor::Doctor;
use failure::{Failure, Result};
use history::History;
use owners::Tally;
use page::{Frame, Place};
use response::{ROOT, SIGN_IN, link};
use servers::Servers;
use sign_in::{Access, Entered, Visit};

pub use response::Body;
pub use sign_in::{IsNew, TOKEN, Token, random};

use crate::{config::Server, output, serve::admin::Admin, storage};

/// The time between two points of the charts.
const TICK: Duration = Duration::from_secs(5);
/// Sessions per request to the store, where many are read.
const LISTED: u32 = 10_000;
/// The maximum size of a form, in bytes, and the time limit for receiving it.
const FORM: usize = 4096;
const FORM_TIME: Duration = Duration::from_secs(10);

/// The console of one server.
pub struct Console {
    admin: Arc<Admin>,
    access: Access,
    servers: Servers,
    history: History,
    /// Changes with each point of the history.
    ticked: watch::Sender<()>,
    /// A permit for each stream of events.
    streams: Arc<Semaphore>,
    tally: Tally,
    doctor: Doctor,
    /// How long the tombstones of ended sessions are kept, in seconds.
    remember: u32,
}

/// What a console is made with.
pub struct Parts<'a> {
    pub admin: Arc<Admin>,
    /// Where the console is.
    pub addr: SocketAddr,
    pub token: Token,
    pub settings: &'a Server,
    pub storage: storage::Args,
    /// How long the tombstones of ended sessions are kept, in seconds.
    pub remember: u32,
}

/// Whether a path belongs to the console.
pub fn has(path: &str) -> bool {
    path.strip_prefix(ROOT).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

impl Console {
    pub fn new(parts: Parts<'_>) -> anyhow::Result<Arc<Self>> {
        let Parts { admin, addr, token, settings, storage, remember } = parts;
        Ok(Arc::new(Self {
            access: Access::new(&admin.platform, token, addr.port())?,
            servers: Servers::new(admin.clone(), format!("{addr} (this server)"), settings.console_peers.clone()),
            admin,
            history: History::default(),
            ticked: watch::Sender::new(()),
            streams: Arc::new(Semaphore::new(events::STREAMS)),
            tally: Tally::default(),
            doctor: Doctor::new(storage),
            remember,
        }))
    }

    /// Asks the servers at each tick, and never returns.
    pub async fn watch(self: Arc<Self>) {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let servers = self.servers.ask().await;
            self.history.add(servers, Instant::now(), output::now());
            self.ticked.send_replace(());
        }
    }

    /// Becomes ready at each point of the history from now on.
    fn ticks(&self) -> watch::Receiver<()> {
        self.ticked.subscribe()
    }

    /// Answers a request whose path [is the console's](has).
    pub async fn answer(self: &Arc<Self>, request: Request<Incoming>, client: IpAddr) -> Response<Body> {
        let mut response = self.route(request, client).await.unwrap_or_else(Failure::into_response);
        response::protect(response.headers_mut());
        response
    }

    async fn route(self: &Arc<Self>, request: Request<Incoming>, client: IpAddr) -> Result<Response<Body>> {
        check_same_origin(&request).map_err(|error| Failure::Refused(StatusCode::FORBIDDEN, error.to_string()))?;
        let path = request.uri().path().strip_prefix(ROOT).unwrap_or_default().to_owned();
        let is_get = matches!(*request.method(), Method::GET | Method::HEAD);
        match &*path {
            "" => return Ok(response::redirect(&link("", &[]))),
            "/sign-in" if request.method() == Method::POST => return self.sign_in(request, client).await,
            _ => {}
        }
        if is_get && let Some(asset) = assets::find(&path) {
            return Ok(asset);
        }
        let visit = self.access.visit(&request).await?;
        let query = pairs(request.uri().query().unwrap_or_default().as_bytes());
        let Some(visit) = visit else {
            return match &*path {
                "/sign-in" if is_get => sign_in_page(StatusCode::OK, None),
                // Somebody who has just signed in comes back without a cookie.
                "/" if query.contains_key("welcome") => sign_in_page(StatusCode::OK, Some(NO_COOKIE)),
                "/events" => Err(Failure::Refused(StatusCode::UNAUTHORIZED, "Sign in again.".to_owned())),
                _ => Err(Failure::SignedOut),
            };
        };
        if path == "/sign-out" && request.method() == Method::POST {
            let mut response = response::redirect(SIGN_IN);
            response::add(response.headers_mut(), visit.end().await?);
            return Ok(response);
        }
        let page = self.page(&visit, request.method(), &path, &query).await;
        let mut response = page.unwrap_or_else(Failure::into_response);
        response::add(response.headers_mut(), visit.save().await?);
        Ok(response)
    }

    /// A page for somebody who is signed in.
    async fn page(
        self: &Arc<Self>,
        visit: &Visit,
        method: &Method,
        path: &str,
        query: &HashMap<String, String>,
    ) -> Result<Response<Body>> {
        let is_post = match *method {
            Method::GET | Method::HEAD => false,
            Method::POST => true,
            _ => return Err(not_allowed()),
        };
        let path: Vec<_> = path.split('/').skip(1).collect();
        match (is_post, &path[..]) {
            (false, [""]) => overview::show(self, visit.message().await?),
            (false, ["sign-in"]) => Ok(response::redirect(&link("", &[]))),
            (false, ["events"]) => events::show(self, visit.id().await?),
            (false, ["sessions"]) => sessions::show(self, query, visit.message().await?).await,
            (false, ["sessions", digest]) => session::show(self, &parse(digest)?, visit.message().await?).await,
            (false, ["sessions", digest, "end"]) => ending::ask_for_one(self, &parse(digest)?).await,
            (true, ["sessions", digest, "end"]) => ending::end_one(self, &parse(digest)?, visit).await,
            (false, ["owners"]) => owners::show(self, visit.message().await?).await,
            (false, ["owners", "end"]) => ending::ask_for_all(self, owner(query)?).await,
            (true, ["owners", "end"]) => ending::end_all(self, owner(query)?, visit).await,
            (false, ["doctor"]) => doctor::show(self, visit.message().await?),
            (true, ["doctor"]) => doctor::run(self).await,
            (true, [""] | ["sign-in" | "events" | "sessions" | "owners"] | ["sessions", _]) | (false, ["sign-out"]) => {
                Err(not_allowed())
            }
            _ => Err(Failure::not_found("There is no such page.")),
        }
    }

    async fn sign_in(&self, request: Request<Incoming>, client: IpAddr) -> Result<Response<Body>> {
        let (parts, body) = request.into_parts();
        let form = timeout(FORM_TIME, Limited::new(body, FORM).collect()).await;
        let too_slow = || Failure::Refused(StatusCode::REQUEST_TIMEOUT, "The form did not arrive in time.".to_owned());
        let too_large = |_| Failure::Refused(StatusCode::PAYLOAD_TOO_LARGE, "The form is too large.".to_owned());
        let form = pairs(&form.map_err(|_| too_slow())?.map_err(too_large)?.to_bytes());
        let entered = form.get("token").map_or("", String::as_str);
        match self.access.sign_in(&Request::from_parts(parts, ()), client, entered).await? {
            Entered::Right(headers) => {
                let mut response = response::redirect(&link("", &[("welcome", "1")]));
                response::add(response.headers_mut(), headers);
                Ok(response)
            }
            Entered::Wrong => sign_in_page(StatusCode::FORBIDDEN, Some("This is not the token.")),
            Entered::TooMany => {
                let text = "There were too many wrong tokens: wait a minute.";
                let mut response = sign_in_page(StatusCode::TOO_MANY_REQUESTS, Some(text))?;
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("60"));
                Ok(response)
            }
        }
    }
}

const NO_COOKIE: &str = "The token was right, but the browser did not keep the cookie. It keeps it only over HTTPS, or at \
                         localhost and 127.0.0.1: use a tunnel, or a proxy with HTTPS.";

fn sign_in_page(status: StatusCode, error: Option<&'static str>) -> Result<Response<Body>> {
    let frame = Frame::new("Sign in", Place::SignIn, None);
    let mut response = page::html("sign_in.html", context! { frame, error })?;
    *response.status_mut() = status;
    Ok(response)
}

/// The pairs of a query or a form. Of several with one name the last counts.
fn pairs(text: &[u8]) -> HashMap<String, String> {
    form_urlencoded::parse(text).into_owned().collect()
}

fn parse(digest: &str) -> Result<Digest> {
    Digest::from_hex(digest).ok_or_else(|| Failure::not_found("A session is named by the 64 digits of its digest."))
}

fn owner(query: &HashMap<String, String>) -> Result<&str> {
    let owner = query.get("owner").filter(|owner| !owner.is_empty());
    let missing = || Failure::Refused(StatusCode::BAD_REQUEST, "The owner is missing.".to_owned());
    owner.map(String::as_str).ok_or_else(missing)
}

fn not_allowed() -> Failure {
    Failure::Refused(StatusCode::METHOD_NOT_ALLOWED, "This page does not do that.".to_owned())
}
