#!/bin/bash
# Installs what the tests need beside Rust, where it is missing: a browser. Debian and its kin only.
set -euo pipefail

if command -v chromium >/dev/null && command -v chromedriver >/dev/null; then
    exit 0
fi
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "tests/setup.sh: install chromium and chromedriver for the tests in a browser" >&2
    exit "$([ "${CI:-}" = true ] && echo 1 || echo 0)"
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends chromium chromium-driver >/dev/null
