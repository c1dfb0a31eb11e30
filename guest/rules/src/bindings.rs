//! The types of the WIT package, as wit-bindgen makes them.

#[expect(missing_docs, reason = "generated; the documentation is in the WIT")]
pub(crate) mod generated {
    wit_bindgen::generate!({
        world: "session-component",
        path: "wit",
        generate_all,
        pub_export_macro: true,
        additional_derives: [PartialEq],
    });
}

#[cfg(target_family = "wasm")]
pub(crate) use generated::{export, lemon::session::settings as settings_import, wasi};

pub use generated::exports::lemon::session::{manager, sessions};
pub use generated::lemon::session::{settings, storage, types};
