//! The settings: defaults and limits of all sessions of a host.
//!
//! Their defaults and checks are rules of sessions, so they are defined where the session component has them too.

use crate::{
    bindings::lemon::session::settings::{self, Notice},
    context::{Caller, SessionCtxView},
    store::guest::shown,
};

pub use lemon_session_rules::{
    cookie::MAX_LIFETIME as MAX_COOKIE_LIFETIME,
    settings::{
        CacheLimiter, ClientAddress, CookieSettings, Grant, InvalidSettings, Limits, MAX_SESSION_BYTES, MAX_SESSIONS,
        MaxSessionsReached, Problem, Reservation, SameSite, Secure, Settings,
    },
};

impl settings::Host for SessionCtxView<'_> {
    fn get_defaults(&mut self) -> settings::Defaults {
        self.ctx.settings().clone().into()
    }

    fn get_caller(&mut self) -> settings::Caller {
        let caller = self.ctx.caller();
        settings::Caller { request: caller.request, manager: caller.manager.into() }
    }

    fn get_client(&mut self) -> settings::Client {
        let Caller { client, user_agent, .. } = self.ctx.caller();
        settings::Client {
            address: client.map(|address| address.to_string()),
            user_agent: user_agent.as_deref().map(str::to_owned),
        }
    }

    fn notify(&mut self, notice: Notice) {
        let request = self.ctx.caller().request;
        match notice {
            Notice::Unsaved(app) => {
                tracing::warn!(request, app = %shown(&app), "a session was changed and never saved: the changes are lost");
            }
            Notice::ChangedAfterSave(app) => tracing::warn!(
                request, app = %shown(&app), "a session was changed after it was saved: these changes are lost"
            ),
            Notice::StartedTwice(app) => tracing::warn!(
                request, app = %shown(&app),
                "a session was started twice in one request: neither handle sees what the other changes; start it once"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, net::Ipv4Addr};

    use super::*;
    use crate::{SessionCtx, Stores, store::Registry, stores::Storage};

    #[test]
    fn the_component_is_given_the_settings_and_the_caller_of_its_context() {
        let stores = Stores::new(Storage::new("memory:"), BTreeMap::new(), &Registry::new());
        let ctx = SessionCtx::builder(stores)
            .settings(Settings { app: "shop".to_owned(), ..Settings::default() })
            .build()
            .unwrap();
        let mut ctx = ctx.for_caller(Caller {
            request: 7,
            client: Some(Ipv4Addr::LOCALHOST.into()),
            user_agent: Some("lynx".into()),
            manager: Grant::All,
        });
        let mut view = SessionCtxView { ctx: &mut ctx };
        assert_eq!(settings::Host::get_defaults(&mut view).app, "shop");
        let caller = settings::Host::get_caller(&mut view);
        assert_eq!((caller.request, caller.manager), (7, settings::Grant::All));
        let client = settings::Host::get_client(&mut view);
        assert_eq!((client.address.as_deref(), client.user_agent.as_deref()), (Some("127.0.0.1"), Some("lynx")));
    }
}
