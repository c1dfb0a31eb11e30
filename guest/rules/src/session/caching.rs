//! What a response tells caches.

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};

use super::{Core, Parameters, State};
use crate::{
    Env,
    types::{CacheLimiter, Header},
};

/// What the returned headers tell caches.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Caching {
    /// Nothing was returned yet.
    Due,
    /// The directives of the cache limiter.
    Limited,
    /// Not to store the response.
    NoStore,
}

impl<E: Env> Core<E> {
    /// The headers to return: the cookie if there is one, and what caches have not been told yet. No cache may store a response
    /// that sets a cookie, whatever the limiter (OWASP Session Management Cheat Sheet).
    pub(super) fn headers(&self, state: &mut State, set_cookie: Option<String>) -> Vec<Header> {
        let Parameters { cache_limiter, has_cookie, .. } = self.parameters;
        let mut headers = Vec::new();
        let mut add = |name: &str, value: String| headers.push((name.to_string(), value));
        let is_first = state.caching == Caching::Due;
        let sets_cookie = set_cookie.is_some();
        if let Some(cookie) = set_cookie {
            add("set-cookie", cookie);
        }
        let max_age = self.world.settings().cache_expire;
        let cache_control = match cache_limiter {
            _ if sets_cookie => Some("no-store".to_string()),
            CacheLimiter::Nocache => Some("no-store".to_string()),
            CacheLimiter::Private => Some(format!("private, max-age={max_age}")),
            CacheLimiter::Public => Some(format!("public, max-age={max_age}")),
            CacheLimiter::None => None,
        };
        if let Some(cache_control) = cache_control
            && (is_first || sets_cookie && state.caching != Caching::NoStore)
        {
            add("cache-control", cache_control);
        }
        if is_first && has_cookie && cache_limiter != CacheLimiter::None {
            add("vary", "Cookie".to_string());
        }
        if sets_cookie || is_first && cache_limiter == CacheLimiter::Nocache {
            state.caching = Caching::NoStore;
        } else if is_first {
            state.caching = Caching::Limited;
        }
        headers
    }
}
