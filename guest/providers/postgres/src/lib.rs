//! The provider `postgres`: sessions in PostgreSQL, which the component reaches through the host's network.

#![cfg(target_family = "wasm")]

lemon_session_provider::provider!(&lemon_session_postgres::SCHEMES, None);
