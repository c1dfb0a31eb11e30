#!/bin/bash
# Builds into the given folder the session component, that of WASI 0.3, and what joins the latter with a store that blocks. Those
# that ship are in host/embed. The same sources and compiler make the same bytes in any folder.
set -euo pipefail
folder=$(realpath "${1:?the folder to write to}")
cd "$(dirname "$0")/../.."
unset RUSTFLAGS CARGO_BUILD_RUSTFLAGS CARGO_ENCODED_RUSTFLAGS CARGO_INCREMENTAL
build=(--quiet --locked --profile component --target wasm32-wasip2 --target-dir target/component)
built=target/component/wasm32-wasip2/component

# Static: a component is never relocated, so its addresses can be constants.
cargo rustc "${build[@]}" -p lemon-session-component --lib -- -Crelocation-model=static
cp $built/lemon_session_component.wasm "$folder/lemon_session.wasm"
cargo rustc "${build[@]}" -p lemon-session-component --lib --features async -- -Crelocation-model=static
cp $built/lemon_session_component.wasm "$folder/lemon_session_async.wasm"

# The text of a panic names a source file: without the folders of this machine.
home=$(realpath "${CARGO_HOME:-$HOME/.cargo}")
cargo rustc "${build[@]}" -p lemon-session-blocking --lib -- -Crelocation-model=static \
    "--remap-path-prefix=$home=cargo" "--remap-path-prefix=$PWD=."
cp $built/lemon_session_blocking.wasm "$folder/blocking.wasm"
