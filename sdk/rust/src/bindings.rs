//! The contract, as wit-bindgen renders it.
//!
//! For modules built on sessions, whose interfaces pass a session from one component to another: name these types in
//! `wit_bindgen::generate!` by its parameter `with`. A [`Session`](crate::Session) lends its handle by `as_ref`, and is made
//! of one by `from`.

#![expect(missing_docs, reason = "the generator documents what the contract does, and not the modules around it")]

wit_bindgen::generate!({
    path: "wit",
    world: "lemon:session/application",
    additional_derives: [Default, PartialEq],
    additional_derives_ignore: ["value", "error", "secure", "same-site", "cache-limiter"],
});
