use alloc::{format, rc::Rc, string::String};
use core::cell::OnceCell;

use crate::{
    Env, Error, Result, Session,
    begun::{Begun, Joined, Visit},
    cookie::{self, Candidate, Cookie, Presented},
    details, device_bound,
    expiry::Expiry,
    id::{self, Digest},
    name,
    options::Options,
    reservation::Reservations,
    session::{Core, Parameters, State},
    settings::{self, Notice, Settings},
    storage::{DestroyCondition, LoadOutcome, Loaded, Location},
};

/// Values of more bytes than this are loaded when the application first reads them.
pub(crate) const INLINE_BYTES: u32 = 8192;

/// What all sessions of one instance of the component share.
pub struct World<E: Env> {
    pub(crate) env: E,
    pub(crate) begun: Begun<E>,
    settings: OnceCell<(Settings, Reservations)>,
}

impl<E: Env> World<E> {
    /// A new instance. It reads the settings at the first start.
    pub const fn new(env: E) -> Self {
        Self { env, begun: Begun::new(), settings: OnceCell::new() }
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.shared().0
    }

    pub(crate) fn reservations(&self) -> &Reservations {
        &self.shared().1
    }

    fn shared(&self) -> &(Settings, Reservations) {
        self.settings.get_or_init(|| {
            let settings = self.env.defaults();
            let reservations = Reservations::new(&settings.reserved);
            (settings, reservations)
        })
    }

    /// Loads a session of which the caller knows no more than its digest. Absent too is one that has expired by its details alone:
    /// the store does not know that yet.
    pub(crate) async fn load(
        &self,
        location: &Location,
        digest: &[u8],
        app: &str,
        now: u64,
        inline: u32,
    ) -> Result<LoadOutcome> {
        let mut outcome = self.env.load(location, digest, app, now, inline).await?;
        if let LoadOutcome::Found(loaded) = &mut outcome
            && !details::limit(loaded, self.settings(), now)
        {
            return Ok(LoadOutcome::Absent);
        }
        Ok(outcome)
    }

    pub(crate) fn new_id(&self, seed: &str) -> String {
        let mut random = [0; 32];
        self.env.random(&mut random);
        id::new(random, seed)
    }
}

/// Begins a session, or resumes the one that the request presents: `lemon:session/sessions.start`.
pub async fn start<E: Env>(world: &Rc<World<E>>, options: Options) -> Result<Session<E>> {
    let settings = world.settings();
    let app = options.app.as_deref().unwrap_or(&settings.app);
    name::check("the application's name", app, settings.limits.app_length)?;
    let idle = options.expires.unwrap_or(settings.expires);
    let impossible = |option: &str, message| Error::InvalidOption(format!("{option}: {message}"));
    settings::expires(idle, settings.max_lifetime, settings.max_expires)
        .map_err(|message| impossible("expires", message))?;
    let cleanup = options.cleanup.unwrap_or(settings.cleanup);
    settings::cleanup(cleanup).map_err(|message| impossible("cleanup", message))?;
    let cookie = match options.session_id {
        Some(_) => None,
        None => Some(Cookie::new(options.cookie.as_ref(), options.https, &settings.cookie, app)),
    };
    let presented = match (&cookie, &options.session_id) {
        (Some(cookie), _) => {
            cookie.check()?;
            cookie::read(&options.cookies, cookie.name(), cookie.mark(), settings.limits.header_bytes)?
        }
        (None, id) => Presented::id(id.as_deref().unwrap_or_default()),
    };

    let clock = world.env.clock();
    if is_due(world, cleanup) {
        world.env.cleanup_later(&options.location, clock.as_secs());
    }
    let request = world.env.caller().request;
    let visit = cookie.filter(|_| request != 0).map(|cookie| Visit {
        request,
        location: options.location.clone(),
        cookie: cookie.name().into(),
        ids: presented.candidates.iter().map(|candidate| candidate.id.clone()).collect(),
    });
    let begun = || visit.as_ref().and_then(|visit| world.begun.find(visit));
    let mut joined = begun();
    let (found, is_joined) = loop {
        let saved;
        let (candidates, is_joined) = match joined {
            Some(Joined::Open(core)) => match join(core, app).await {
                Some(session) => return session,
                None => (&presented.candidates, false),
            },
            // Its cookie is in a response that the browser had not received when it sent this request.
            Some(Joined::Saved(id)) => {
                saved = Presented::id(&id).candidates;
                (&saved, true)
            }
            None => (&presented.candidates, false),
        };
        let found = find_one(world, &options.location, candidates, app, clock.as_secs()).await?;
        // Another start of this request may have begun the session while this one waited for the store.
        joined = begun();
        if is_joined || joined.is_none() {
            break (found, is_joined);
        }
    };

    if let Some(Found { loaded, .. }) = found.as_ref().filter(|_| settings.device_bound != 0 && !is_joined) {
        let cookie = Cookie::new(options.cookie.as_ref(), options.https, &settings.cookie, app);
        if !device_bound::admits(&loaded.details, &options.cookies, &cookie, clock.as_secs()) {
            return Err(Error::Denied(format!(
                "the session is bound to a device, and the request has no valid cookie {}: the browser has to refresh it",
                cookie.bound_name()
            )));
        }
    }

    let parameters = Parameters {
        strict: options.strict.unwrap_or(settings.strict),
        seed: options.seed.unwrap_or_else(|| settings.seed.clone()),
        expiry: Expiry::new(idle, settings),
        location: options.location,
        has_cookie: options.session_id.is_none(),
        brought_cookie: presented.any,
        cookie: options.cookie,
        https: options.https,
        cache_limiter: options.cache_limiter.unwrap_or(settings.cache_limiter),
    };
    let app = options.app.as_deref().unwrap_or(&settings.app);
    if visit.as_ref().is_some_and(|visit| world.begun.is_open_apart(visit, app)) {
        world.env.notify(&Notice::StartedTwice(app.into()));
    }
    let state = match found {
        Some(Found { id, is_current, digest, loaded }) => {
            State::resumed(id, digest, loaded, app, is_current && !is_joined, is_joined)
        }
        None => State::begun(world.new_id(&parameters.seed), parameters.expiry, app, clock),
    };
    Session::open(world, parameters, state, visit)
}

/// Whether a random draw with this probability succeeds. 0 and 1 draw nothing.
fn is_due<E: Env>(world: &World<E>, probability: f64) -> bool {
    if probability <= 0.0 || probability >= 1.0 {
        return probability >= 1.0;
    }
    let mut random = [0; 8];
    world.env.random(&mut random);
    // A real has 53 bits of precision.
    ((u64::from_le_bytes(random) >> 11) as f64) < probability * (1_u64 << 53) as f64
}

/// A live session that a request presents.
pub(crate) struct Found {
    pub id: String,
    pub is_current: bool,
    pub digest: Digest,
    pub loaded: Loaded,
}

/// Another handle on a session that the request has begun, when the calls on it have ended; none if they ended it.
async fn join<E: Env>(core: Rc<Core<E>>, app: &str) -> Option<Result<Session<E>>> {
    let session = Session::of(core);
    let turn = session.turn().await;
    if !turn.has_id_of_its_own() {
        return None;
    }
    Some(turn.application_named(app).await)
}

/// The one live session that the request presents.
pub(crate) async fn find_one<E: Env>(
    world: &World<E>,
    location: &Location,
    candidates: &[Candidate],
    app: &str,
    now: u64,
) -> Result<Option<Found>> {
    let mut found = None;
    for Candidate { id, is_current } in candidates {
        let digest = id::digest(id);
        if let Some(loaded) = find(world, location, &digest, app, now).await? {
            // Of two live sessions under one name, one may have been planted. It is unknown which, so neither is used.
            if found.is_some() {
                return Ok(None);
            }
            found = Some(Found { id: id.clone(), is_current: *is_current, digest, loaded });
        }
    }
    Ok(found)
}

/// The live session of a digest. An expired session is destroyed at once, unless another host has extended it meanwhile.
async fn find<E: Env>(
    world: &World<E>,
    location: &Location,
    digest: &Digest,
    app: &str,
    now: u64,
) -> Result<Option<Loaded>> {
    match world.load(location, digest, app, now, INLINE_BYTES).await? {
        LoadOutcome::Found(loaded) => Ok(Some(loaded)),
        LoadOutcome::Absent | LoadOutcome::Ended => Ok(None),
        LoadOutcome::Expired => {
            world.env.destroy(location, digest, &DestroyCondition::Expired, now, 0).await?;
            Ok(None)
        }
    }
}
