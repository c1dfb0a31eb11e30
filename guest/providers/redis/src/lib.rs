//! The provider `redis`: sessions in Redis or Valkey, which the component reaches through the host's network.

#![cfg(target_family = "wasm")]

lemon_session_provider::provider!(&lemon_session_redis::SCHEMES, None);
