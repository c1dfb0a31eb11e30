#!/bin/sh
# Sets up what the schedule of peers compares, from crates.io, npm and Debian. What is there already stays; nothing outside
# this folder changes but for Debian's packages, which need root.
set -eu
cd "$(dirname "$0")"

missing=
[ -x /usr/sbin/php-fpm8.2 ] || missing="$missing php8.2-fpm"
dpkg -s php-redis >/dev/null 2>&1 || missing="$missing php-redis"
command -v nginx >/dev/null || [ -x /usr/sbin/nginx ] || missing="$missing nginx-light"
command -v npm >/dev/null || missing="$missing npm"
if [ -n "$missing" ]; then
    # shellcheck disable=SC2086
    apt-get install -y --no-install-recommends $missing
fi

cargo build --quiet --locked --target-dir target

if [ ! -d express/node_modules ]; then
    (cd express && npm ci --no-audit --no-fund)
fi
