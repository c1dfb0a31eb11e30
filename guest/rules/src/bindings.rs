//! The types of the WIT package, as wit-bindgen makes them.

#[expect(missing_docs, reason = "generated; the documentation is in the WIT")]
pub mod generated {
    wit_bindgen::generate!({
        world: "session-component",
        path: "wit",
        generate_all,
        pub_export_macro: true,
        additional_derives: [PartialEq],
    });
}

pub use generated::exports::lemon::session::{manager, sessions};
pub use generated::lemon::session::{settings, storage, types};
