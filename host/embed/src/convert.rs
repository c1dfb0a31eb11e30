//! The same record or enum in another module: the rules define it, and wasmtime generates it for each world.

use lemon_session_rules::{options, settings, types as types_of};

use crate::{
    bindings::{
        application::lemon::session::{manager as imported_manager, sessions as imported},
        exports::lemon::session::{manager as exported_manager, sessions as exported},
        lemon::session::{settings as wit, types},
    },
    sessions::Options,
};

/// Converts records with the same fields. A field whose type differs is followed by its conversion.
macro_rules! record {
    (@ $from:ty => $to:ty: { $($field:ident $(: $convert:expr)?),+ $(,)? }) => {
        impl From<$from> for $to {
            fn from(from: $from) -> Self {
                Self { $($field: field!(from.$field $(, $convert)?)),+ }
            }
        }
    };
    ($($from:ty),+ => $to:ty: $fields:tt) => {
        $(record! { @ $from => $to: $fields })+
    };
}

macro_rules! field {
    ($value:expr) => {
        $value
    };
    ($value:expr, $convert:expr) => {
        $convert($value)
    };
}

/// Converts enums with the same cases.
macro_rules! cases {
    ($from:ty => $to:ty { $($case:ident),+ }) => {
        impl From<$from> for $to {
            fn from(from: $from) -> Self {
                match from {
                    $(<$from>::$case => Self::$case),+
                }
            }
        }
    };
}

fn option<A, B: From<A>>(from: Option<A>) -> Option<B> {
    from.map(B::from)
}

fn list<A, B: From<A>>(from: Vec<A>) -> Vec<B> {
    from.into_iter().map(B::from).collect()
}

record! {
    settings::Settings => wit::Defaults: {
        app, expires, max_lifetime, max_expires, login_lifetime, max_sessions, max_sessions_reached: Into::into, rolling,
        touch_after, renew_after, renew_grace, remember_ended, lazy, strict, seal, client_address: Into::into,
        client_user_agent, device_bound, cleanup, seed, cache_limiter: Into::into, cache_expire, cookie: Into::into,
        limits: Into::into, reserved: list,
    }
}

record! {
    settings::CookieSettings => wit::CookieSettings: {
        name, path, domain, secure: Into::into, http_only, same_site: Into::into, partitioned, lifetime, comment,
    }
}

record! {
    settings::Limits => wit::Limits: { key_length, app_length, variables, value_bytes, session_bytes, header_bytes }
}

record! {
    settings::Reservation => wit::Reservation: { name, secret_hash }
}

cases! {
    settings::ClientAddress => wit::ClientAddress { None, Network, Full }
}

cases! {
    settings::Grant => wit::Grant { None, Owners, All }
}

cases! {
    settings::MaxSessionsReached => wit::MaxSessionsReached { EndOldest, Refuse }
}

cases! {
    settings::CacheLimiter => types::CacheLimiter { Nocache, Private, Public, None }
}

cases! {
    settings::SameSite => types::SameSite { Strict, Lax, None }
}

cases! {
    settings::Secure => types::Secure { Auto, On, Off }
}

record! {
    Options, imported::Options => exported::Options: {
        app, cookies, https, session_id, location, expires, cookie: option, seed, cleanup, strict, cache_limiter: option,
    }
}

record! {
    options::Cookie, imported::Cookie => exported::Cookie: {
        name, path, domain, secure: option, http_only, same_site: option, partitioned, lifetime, comment,
    }
}

record! {
    types_of::Lifetime, imported::Lifetime => exported::Lifetime: { expires, max_lifetime, cookie }
}

record! {
    exported::Metadata => imported::Metadata: { created, accessed, absolute_expiry, authenticated_at, method, label, address, user_agent }
}

record! {
    exported_manager::Page => imported_manager::Page: { entries: list, next }
}

record! {
    exported_manager::Entry => imported_manager::Entry: {
        digest, created, accessed, expires, owner, size, authenticated_at, method, label, address, user_agent,
    }
}
