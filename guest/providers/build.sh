#!/bin/bash
# Builds the providers files.wasm, redis.wasm and postgres.wasm into the given folder. Those that ship are in host/command/providers.
# The same sources and compiler make the same bytes in any folder.
set -euo pipefail
folder=$(realpath "${1:?the folder to write to}")
cd "$(dirname "$0")/../.."
unset RUSTFLAGS CARGO_BUILD_RUSTFLAGS CARGO_ENCODED_RUSTFLAGS CARGO_INCREMENTAL
# The text of a panic names a source file: without the folders of this machine.
home=$(realpath "${CARGO_HOME:-$HOME/.cargo}")
CARGO_ENCODED_RUSTFLAGS=$(printf '%s\x1f' "--remap-path-prefix=$home=cargo" "--remap-path-prefix=$PWD=.")
export CARGO_ENCODED_RUSTFLAGS="${CARGO_ENCODED_RUSTFLAGS%$'\x1f'}"
build() {
    cargo build --quiet --locked --profile component --target wasm32-wasip2 --target-dir target/component "$@"
}
build -p lemon-session-provider-files -p lemon-session-provider-redis
# By itself: built together, the others would get the features that its client needs of common dependencies.
build -p lemon-session-provider-postgres
for provider in files redis postgres; do
    cp "target/component/wasm32-wasip2/component/lemon_session_provider_$provider.wasm" "$folder/$provider.wasm"
done
