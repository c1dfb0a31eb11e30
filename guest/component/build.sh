#!/bin/bash
# Builds the session component into the given file. The one that ships is host/embed/lemon_session.wasm.
# The same sources and compiler make the same bytes in any folder.
set -euo pipefail
file=$(realpath "${1:?the file to write}")
cd "$(dirname "$0")/../.."
unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS CARGO_BUILD_RUSTFLAGS
# Static: a component is never relocated, so its addresses can be constants.
cargo rustc --quiet --locked -p lemon-session-component --lib --profile component --target wasm32-wasip2 \
    --target-dir target/component -- -Crelocation-model=static
cp target/component/wasm32-wasip2/component/lemon_session_component.wasm "$file"
