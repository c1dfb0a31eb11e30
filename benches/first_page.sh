#!/bin/bash
# Measures the minutes from a clone of this repository to a page of one's own: benches/first_page.sh [FOLDER]
#
# It clones what is committed, does what the README's "Try it" does until the page is served, then makes a project with
# `lemon-session new`, builds it and fetches its page. The goal is 8 minutes on 2 cores.
# What cargo has downloaded before counts as downloaded: crates are fetched first, and that is not measured.
set -euo pipefail

repository=$(cd "$(dirname "$0")/.." && pwd)
folder=${1:-$(mktemp -d)}
goal=8
mkdir -p "$folder"
cd "$folder"
unset CARGO_TARGET_DIR
server=
trap '[ -z "$server" ] || kill -- "-$server" 2>/dev/null || true' EXIT

git clone --quiet "$repository" checkout
cargo fetch --quiet --manifest-path checkout/Cargo.toml
began=$SECONDS
minutes() { awk -v seconds="$((SECONDS - began))" 'BEGIN { printf "%.1f", seconds / 60 }'; }

# Starts a server in the background, and waits until the page at its address has this text.
serve() {
    local text=$1
    shift
    # A group of its own, because make is the parent of the server.
    setsid "$@" >serve.log 2>&1 &
    server=$!
    until address=$(grep -om1 'http://[0-9.:]*' serve.log) && curl --silent --fail "$address/" >page.html; do
        kill -0 "$server" || { cat serve.log >&2; exit 1; }
        sleep 0.2
    done
    grep -q "$text" page.html || { echo "the page does not say \"$text\":" >&2; cat page.html >&2; exit 1; }
}

stop() {
    kill -- "-$server"
    wait "$server" 2>/dev/null || true
    server=
}

# The page of `make run`.
serve "first visit" make --silent -C checkout run ADDR=127.0.0.1:0
echo "$(minutes) minutes: the page of \`make run\`"
stop

# A page of one's own.
command=$PWD/checkout/target/quick/lemon-session
"$command" new visits --language rust >new.log
serve "<title>visits</title>" make --silent -C visits LEMON_SESSION="$command" ADDR=127.0.0.1:0
stop
taken=$(minutes)
echo "$taken minutes: a page of one's own, on $(nproc) cores"
awk -v taken="$taken" -v goal="$goal" 'BEGIN { exit taken >= goal }' || { echo "the goal is $goal minutes" >&2; exit 1; }
