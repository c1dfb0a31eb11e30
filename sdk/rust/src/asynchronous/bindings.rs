//! The types that wit-bindgen generates from the WIT of the asynchronous interfaces. All others are those of
//! [`crate::bindings`].

#![expect(
    missing_docs,
    reason = "the generator copies the WIT's comments, but writes none for the modules around them"
)]

wit_bindgen::generate!({
    path: "wit",
    world: "lemon:session/application-async",
    with: {
        "lemon:session/types@0.1.0": crate::bindings::lemon::session::types,
        "lemon:session/sessions@0.1.0": crate::bindings::lemon::session::sessions,
        "lemon:session/manager@0.1.0": crate::bindings::lemon::session::manager,
    },
});
