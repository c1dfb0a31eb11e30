//! The types of the WIT package, as wasmtime makes them.

#![expect(missing_docs, reason = "generated; the documentation is in the WIT")]

wasmtime::component::bindgen!({
    path: "wit",
    world: "session-component",
    imports: {
        "lemon:session/storage.cleanup-later": exact,
        "lemon:session/storage": async,
    },
    exports: { default: async },
    with: {
        "wasi:clocks": wasmtime_wasi::p2::bindings::clocks,
        "wasi:random": wasmtime_wasi::p2::bindings::random,
    },
});

/// What applications import.
pub mod application {
    wasmtime::component::bindgen!({
        path: "wit",
        world: "application",
        imports: { default: async | trappable },
        with: {
            "lemon:session/types": super::lemon::session::types,
            "lemon:session/sessions.session": crate::sessions::warm::Handle,
        },
    });
}

/// What applications of WASI 0.3 import, in addition.
#[cfg(feature = "concurrent")]
pub mod application_async {
    wasmtime::component::bindgen!({
        path: "wit",
        world: "application-async",
        imports: {
            "lemon:session/sessions-async.[drop]session": trappable,
            default: async | trappable,
        },
        with: {
            "lemon:session/types": super::lemon::session::types,
            "lemon:session/sessions": super::application::lemon::session::sessions,
            "lemon:session/manager": super::application::lemon::session::manager,
            "lemon:session/sessions-async.session": crate::sessions::concurrent::Handle,
        },
    });
}
