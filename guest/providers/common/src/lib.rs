//! Makes a provider of a driver: a component that exports `lemon:session/storage` and `lemon:session/settings`, and imports
//! `wasi:*` alone.
//!
//! Joined with the session component (`lemon-session component --provider FILE`), it makes one component that exports sessions
//! and runs on any host. A provider is a crate of a few lines, built for `wasm32-wasip2`:
//!
//! ```ignore
//! lemon_session_provider::provider!(&lemon_session_files::SCHEMES, Some("files:/sessions"));
//! ```
//!
//! The driver is any [`Store`](lemon_session_store::Store). A component has one thread, so the driver's futures may give way but
//! not wait: its input and output has to block, as that of `std::fs` and `std::net` does.
//!
//! The settings are in the environment, one variable for each key of `lemon.ini`: see [`environment`]. While one of them is
//! wrong, every call to the store fails. The store is opened when it is first used; one that cannot be opened is tried again at
//! the next call. Tables that are missing are created. What a host logs goes to stderr, a line each.

#![deny(missing_docs)]

pub mod bindings;
mod component;
mod convert;
pub mod environment;
mod provider;
mod run;

pub use component::Component;
pub use lemon_session_store as store;
pub use provider::Provider;

/// Makes the crate, a `cdylib`, a provider with the schemes of a driver. The second argument is the URL of the store if the
/// environment has none, or `None`.
#[macro_export]
macro_rules! provider {
    ($schemes:expr, $storage:expr) => {
        struct Component;

        impl $crate::Component for Component {
            fn provider() -> &'static $crate::Provider {
                static PROVIDER: ::std::sync::OnceLock<$crate::Provider> = ::std::sync::OnceLock::new();
                PROVIDER.get_or_init(|| $crate::Provider::from_environment($schemes, $storage))
            }
        }

        $crate::bindings::export_provider!(Component with_types_in $crate::bindings);
    };
}
