//! The functions that the component imports and exports, as wit-bindgen generates them for the types of the rules.

/// The bindings of a world, with the types that it alone has.
macro_rules! bindings {
    ($world:tt $(, $name:literal: $type:path)*) => {
        wit_bindgen::generate!({
            world: $world,
            path: "wit",
            generate_all,
            with: {
                "lemon:session/types@0.1.0": lemon_session_rules::types,
                "lemon:session/settings@0.1.0/cookie-settings": lemon_session_rules::settings::CookieSettings,
                "lemon:session/settings@0.1.0/limits": lemon_session_rules::settings::Limits,
                "lemon:session/settings@0.1.0/reservation": lemon_session_rules::settings::Reservation,
                "lemon:session/settings@0.1.0/defaults": lemon_session_rules::settings::Settings,
                "lemon:session/settings@0.1.0/max-sessions-reached": lemon_session_rules::settings::MaxSessionsReached,
                "lemon:session/settings@0.1.0/grant": lemon_session_rules::settings::Grant,
                "lemon:session/settings@0.1.0/caller": lemon_session_rules::settings::Caller,
                "lemon:session/settings@0.1.0/client": lemon_session_rules::settings::Client,
                "lemon:session/settings@0.1.0/client-address": lemon_session_rules::settings::ClientAddress,
                "lemon:session/settings@0.1.0/notice": lemon_session_rules::settings::Notice,
                "lemon:session/storage@0.1.0/failure": lemon_session_rules::storage::Failure,
                "lemon:session/storage@0.1.0/session-record": lemon_session_rules::storage::SessionRecord,
                "lemon:session/storage@0.1.0/stored": lemon_session_rules::storage::Stored,
                "lemon:session/storage@0.1.0/variable": lemon_session_rules::storage::Variable,
                "lemon:session/storage@0.1.0/loaded": lemon_session_rules::storage::Loaded,
                "lemon:session/storage@0.1.0/load-outcome": lemon_session_rules::storage::LoadOutcome,
                "lemon:session/storage@0.1.0/write": lemon_session_rules::storage::Write,
                "lemon:session/storage@0.1.0/lifetime": lemon_session_rules::storage::Lifetime,
                "lemon:session/storage@0.1.0/rotation": lemon_session_rules::storage::Rotation,
                "lemon:session/storage@0.1.0/grace": lemon_session_rules::storage::Grace,
                "lemon:session/storage@0.1.0/change": lemon_session_rules::storage::Change,
                "lemon:session/storage@0.1.0/create-outcome": lemon_session_rules::storage::CreateOutcome,
                "lemon:session/storage@0.1.0/update-outcome": lemon_session_rules::storage::UpdateOutcome,
                "lemon:session/storage@0.1.0/destroy-condition": lemon_session_rules::storage::DestroyCondition,
                "lemon:session/storage@0.1.0/listed": lemon_session_rules::storage::Listed,
                "lemon:session/sessions@0.1.0/cookie": lemon_session_rules::options::Cookie,
                "lemon:session/sessions@0.1.0/options": lemon_session_rules::options::Options,
                "lemon:session/sessions@0.1.0/lifetime": lemon_session_rules::types::Lifetime,
                "lemon:session/sessions@0.1.0/metadata": lemon_session_rules::types::Metadata,
                "lemon:session/manager@0.1.0/entry": lemon_session_rules::manager::Entry,
                "lemon:session/manager@0.1.0/page": lemon_session_rules::manager::Page,
                $($name: $type,)*
            },
        });
    };
}
