#!/bin/bash
# Makes the packages of the command for PyPI and npm: packaging/packages.sh target/release/lemon-session dist
#
# A wheel that installs the command as a script, and two packages for npm: lemon-session-cli with a launcher, and the built
# command for this platform, which the first one depends on where the platform matches.
set -euo pipefail

binary=${1:?usage: packaging/packages.sh BINARY FOLDER}
mkdir -p "${2:?usage: packaging/packages.sh BINARY FOLDER}"
out=$(cd "$2" && pwd)
binary=$(realpath "$binary")
cd "$(dirname "$0")/.."

version=$("$binary" --version | cut -d' ' -f2)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
umask 022
# Shows what a command says only if it fails.
quietly() {
    "$@" &>"$work/log" || { cat "$work/log" >&2; return 1; }
}
install -m 755 "$binary" "$work/lemon-session"
strip "$work/lemon-session"

# The wheel. auditwheel reads from the command which libraries and which glibc it needs, and names the platform by that.
tools=target/packages/$(sha256sum packaging/cli/requirements.txt | cut -c1-16)
if [ ! -e "$tools/installed" ]; then
    python3 -m venv "$tools"
    "$tools/bin/pip" install --quiet --disable-pip-version-check -r packaging/cli/requirements.txt
    touch "$tools/installed"
fi
tools=$(realpath "$tools")
mkdir "$work/pypi"
cp packaging/cli/{pyproject.toml,hatch_build.py,README.md} LICENSE "$work/lemon-session" "$work/pypi"
(
    cd "$work/pypi"
    export LEMON_SESSION_VERSION=$version
    quietly "$tools/bin/hatchling" build --target wheel --directory "$work/wheel"
)
quietly "$tools/bin/auditwheel" repair --patcher none --wheel-dir "$work/repaired" "$work"/wheel/*.whl

# The packages for npm.
platform=$(node -p '`${process.platform}-${process.arch}`')
fill() {
    mkdir -p "$2"
    sed -e "s/VERSION/$version/; s/PLATFORM/$platform/; s/OS/${platform%-*}/; s/CPU/${platform#*-}/" "$1" >"$2/package.json"
}
fill packaging/cli/package.json "$work/npm"
cp packaging/cli/{lemon-session.js,README.md} LICENSE "$work/npm"
fill packaging/cli/package.platform.json "$work/platform"
cp LICENSE "$work/lemon-session" "$work/platform"
mkdir "$work/packed"
(cd "$work/packed" && quietly npm pack ../npm ../platform)

for made in "$work"/repaired/*.whl "$work"/packed/*.tgz; do
    mv "$made" "$out"
    echo "made $out/$(basename "$made")"
done
