//! The provider `files`: sessions in a directory that the host opens for the component.

#![cfg(target_family = "wasm")]

lemon_session_provider::provider!(&[], Some("memory:"));
