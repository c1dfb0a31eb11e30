#!/bin/sh
# Sets the peers up, from crates.io, npm, PyPI and Debian. What is there already stays; nothing outside this folder changes
# but for Debian's packages, which need root.
set -eu
cd "$(dirname "$0")"

missing=
command -v wrk >/dev/null || missing="$missing wrk"
command -v nginx >/dev/null || [ -x /usr/sbin/nginx ] || missing="$missing nginx-light"
command -v redis-server >/dev/null || missing="$missing redis-server"
[ -x /usr/sbin/php-fpm8.2 ] || missing="$missing php8.2-fpm"
command -v npm >/dev/null || missing="$missing npm"
if [ -n "$missing" ]; then
    # shellcheck disable=SC2086
    apt-get install -y --no-install-recommends $missing
fi

cargo build --release --quiet --locked

if [ ! -d express/node_modules ]; then
    # better-sqlite3 is compiled where its authors' binary cannot be had.
    (cd express && npm ci --no-audit --no-fund)
fi

if [ ! -x django/venv/bin/gunicorn ]; then
    python3 -m venv django/venv
    django/venv/bin/pip install --quiet --requirement django/requirements.txt
fi
