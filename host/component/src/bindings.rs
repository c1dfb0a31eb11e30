//! The types of the WIT package, as wasmtime makes them for a provider.

wasmtime::component::bindgen!({
    path: "wit",
    world: "storage-provider",
    exports: { default: async },
});
