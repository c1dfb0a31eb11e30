#!/bin/bash
# Builds the providers files.wasm and redis.wasm into the given folder. Those that ship are in host/command/providers.
# The same sources and compiler make the same bytes in any folder.
set -euo pipefail
folder=$(realpath "${1:?the folder to write to}")
cd "$(dirname "$0")/../.."
unset RUSTFLAGS CARGO_BUILD_RUSTFLAGS
# The text of a panic names a source file: without the folders of this machine.
home=$(realpath "${CARGO_HOME:-$HOME/.cargo}")
CARGO_ENCODED_RUSTFLAGS=$(printf '%s\x1f' "--remap-path-prefix=$home=cargo" "--remap-path-prefix=$PWD=.")
export CARGO_ENCODED_RUSTFLAGS="${CARGO_ENCODED_RUSTFLAGS%$'\x1f'}"
cargo build --quiet --locked -p lemon-session-provider-files -p lemon-session-provider-redis \
    --profile component --target wasm32-wasip2 --target-dir target/component
for provider in files redis; do
    cp "target/component/wasm32-wasip2/component/lemon_session_provider_$provider.wasm" "$folder/$provider.wasm"
done
