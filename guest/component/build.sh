#!/bin/bash
# Builds the session component and writes it to the file that is given: host/embed/lemon_session.wasm is the one that ships.
# The same sources and compiler make the same bytes, in whichever folder they are.
set -euo pipefail
file=$(realpath "${1:?the file to write}")
cd "$(dirname "$0")/../.."
unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS CARGO_BUILD_RUSTFLAGS
# Static: nothing moves the component about in memory, so addresses are numbers.
cargo rustc --quiet --locked -p lemon-session-component --lib --profile component --target wasm32-wasip2 \
    --target-dir target/component -- -Crelocation-model=static
cp target/component/wasm32-wasip2/component/lemon_session_component.wasm "$file"
