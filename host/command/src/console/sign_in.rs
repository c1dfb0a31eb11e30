//! Who may use the console: those who know its token. After that a session identifies them, one of our own, in memory.

use std::{
    env,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use http::Request;
use lemon_session::Request as _;
use lemon_session_host::{
    LogLimit, SessionCtx, Sessions, Stores,
    sessions::{self, Header, Options, Session, Value},
    settings::{CookieSettings, SameSite, Secure, Settings},
    store::memory::Memory,
};
use rand::{TryRng as _, rngs::SysRng};
use subtle::ConstantTimeEq as _;

use crate::application::Platform;

/// The environment variable with a token to use instead of a random one.
pub const TOKEN: &str = "LEMON_SESSION_CONSOLE_TOKEN";
/// The least number of characters of that token.
const SHORTEST: usize = 20;
/// Tokens that may be tried in a minute. After that, none is accepted for the rest of it.
const ATTEMPTS: u32 = 10;
const MINUTE: Duration = Duration::from_secs(60);
/// In seconds: how long somebody stays signed in without using the console, and at all.
const IDLE: u32 = 30 * 60;
const LONGEST: u32 = 12 * 60 * 60;

/// The secret that opens the console.
pub struct Token(String);

impl Token {
    /// A random token, or the one in the environment, which is not printed.
    pub fn new() -> Result<(Self, IsNew)> {
        match env::var(TOKEN) {
            Ok(token) => {
                let length = token.chars().count();
                ensure!(length >= SHORTEST, "{TOKEN} has {length} characters; a token has at least {SHORTEST}");
                Ok((Self(token), IsNew(false)))
            }
            Err(_) => Ok((Self(random()?), IsNew(true))),
        }
    }

    /// The text to print.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    fn is(&self, entered: &str) -> bool {
        self.0.as_bytes().ct_eq(entered.as_bytes()).into()
    }
}

/// Whether nobody knows the token yet.
pub struct IsNew(pub bool);

/// 128 random bits in hexadecimal.
pub fn random() -> Result<String> {
    let mut bytes = [0; 16];
    SysRng.try_fill_bytes(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Signs operators in, and tells who is.
pub struct Access {
    token: Token,
    sessions: Sessions,
    attempts: Attempts,
    /// Limits the log lines about wrong tokens.
    wrong: LogLimit,
}

/// The answer to a token.
pub enum Entered {
    /// It is right. The headers set the cookie.
    Right(Vec<Header>),
    Wrong,
    /// There were too many wrong ones.
    TooMany,
}

impl Access {
    /// `port` is part of the cookie's name, because browsers send a cookie to all ports of a host.
    pub fn new(platform: &Platform, token: Token, port: u16) -> Result<Self> {
        let settings = Settings {
            app: "console".to_owned(),
            expires: IDLE,
            max_lifetime: LONGEST,
            cleanup: 1.0,
            cookie: CookieSettings {
                name: Some(format!("__Host-lemon-console-{port}")),
                secure: Secure::On,
                same_site: SameSite::Strict,
                lifetime: Some(0),
                ..Settings::default().cookie
            },
            ..Settings::default()
        };
        let ctx = SessionCtx::builder(Stores::single(Arc::new(Memory::new()))).settings(settings).build()?;
        let sessions = platform.own_sessions(ctx)?;
        Ok(Self { token, sessions, attempts: Attempts::default(), wrong: LogLimit::default() })
    }

    /// Begins a session for who knows the token. A session that the browser has already gets a new id.
    pub async fn sign_in<B>(&self, request: &Request<B>, client: IpAddr, entered: &str) -> sessions::Result<Entered> {
        let now = Instant::now();
        if !self.attempts.take(now) {
            return Ok(Entered::TooMany);
        }
        if !self.token.is(entered.trim()) {
            self.wrong.limit(now, |left_out| tracing::warn!(left_out, "a wrong token for the console, from {client}"));
            return Ok(Entered::Wrong);
        }
        self.attempts.forget();
        let session = self.start(request).await?;
        session.regenerate_id().await?;
        session.set("signed-in", true).await?;
        tracing::info!("somebody signed in to the console, from {client}");
        Ok(Entered::Right(session.save().await?))
    }

    /// The session of who is signed in.
    pub async fn visit<B>(&self, request: &Request<B>) -> sessions::Result<Option<Visit>> {
        let session = self.start(request).await?;
        Ok((!session.created().await?).then_some(Visit(session)))
    }

    /// Whether the session with this id still exists. This counts as a use.
    pub async fn is_live(&self, id: &str) -> sessions::Result<bool> {
        let session = self.sessions.start(Options { session_id: Some(id.to_owned()), ..Options::default() }).await?;
        let is_live = !session.created().await?;
        if is_live {
            session.save().await?;
        }
        Ok(is_live)
    }

    async fn start<B>(&self, request: &Request<B>) -> sessions::Result<Session> {
        self.sessions.start(Options { cookies: request.cookies(), https: true, ..Options::default() }).await
    }
}

/// A request of somebody who is signed in.
pub struct Visit(Session);

impl Visit {
    /// The id of the session.
    pub async fn id(&self) -> sessions::Result<String> {
        self.0.id().await
    }

    /// Keeps a message for the next page.
    pub async fn say(&self, message: &str) -> sessions::Result<()> {
        self.0.set("message", message).await
    }

    /// The message for this page.
    pub async fn message(&self) -> sessions::Result<Option<String>> {
        Ok(self.0.take("message").await?.and_then(|message| match message {
            Value::Text(message) => Some(message),
            _ => None,
        }))
    }

    /// Saves the session.
    pub async fn save(&self) -> sessions::Result<Vec<Header>> {
        self.0.save().await
    }

    /// Signs out.
    pub async fn end(self) -> sessions::Result<Vec<Header>> {
        self.0.destroy().await
    }
}

/// Limits how many tokens are tried in a minute.
#[derive(Default)]
struct Attempts(Mutex<Option<(Instant, u32)>>);

impl Attempts {
    /// Whether one more may be tried now.
    fn take(&self, now: Instant) -> bool {
        let mut minute = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let current = minute.filter(|(begun, _)| now.saturating_duration_since(*begun) < MINUTE);
        let (begun, tried) = current.unwrap_or((now, 0));
        *minute = Some((begun, tried.saturating_add(1)));
        tried < ATTEMPTS
    }

    /// The last one was right: those before it do not count any more.
    fn forget(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_that_are_tried_are_limited_in_each_minute() {
        let (attempts, begun) = (Attempts::default(), Instant::now());
        for i in 0..ATTEMPTS {
            assert!(attempts.take(begun + Duration::from_secs(i.into())), "{i}");
        }
        assert!(!attempts.take(begun + Duration::from_secs(59)));
        assert!(attempts.take(begun + MINUTE));
        attempts.forget();
        assert!((0..ATTEMPTS).all(|_| attempts.take(begun + MINUTE)));
        assert!(!attempts.take(begun + MINUTE));
    }

    #[test]
    fn a_token_is_the_whole_text() {
        let token = Token("0123456789".to_owned());
        assert!(token.is("0123456789"));
        for wrong in ["", "012345678", "01234567890", "0123456788"] {
            assert!(!token.is(wrong), "{wrong}");
        }
        assert_ne!(random().unwrap(), random().unwrap());
        assert_eq!(random().unwrap().len(), 32);
    }
}
