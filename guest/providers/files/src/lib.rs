//! The provider `files`: sessions in a directory that the host opens for the component.

#![cfg(target_family = "wasm")]

lemon_session_provider::provider!(&lemon_session_files::SCHEMES, Some("files:/sessions"));
