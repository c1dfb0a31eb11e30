//! The types that wit-bindgen generates from the WIT.
//!
//! They are for modules built on sessions, whose interfaces pass a session from one component to another: map the
//! interfaces to these types with the parameter `with` of `wit_bindgen::generate!`. `as_ref` returns the handle of a
//! [`Session`](crate::Session), and `from` turns a handle into a session.

#![expect(
    missing_docs,
    reason = "the generator copies the WIT's comments, but writes none for the modules around them"
)]

wit_bindgen::generate!({
    path: "wit",
    world: "lemon:session/application",
    additional_derives: [Default, PartialEq],
    additional_derives_ignore: ["value", "error", "secure", "same-site", "cache-limiter"],
});
