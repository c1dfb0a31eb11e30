#!/bin/bash
# Makes a Debian package and a tarball of the command: packaging/package.sh target/release/lemon-session dist/welcome.wasm dist
#
# Both contain the command, its manual pages, shell completions, the systemd units, lemon.ini with its comments, the guides and
# a sample application.
set -euo pipefail

usage="usage: packaging/package.sh BINARY SAMPLE FOLDER"
binary=$(realpath "${1:?$usage}")
sample=$(realpath "${2:?$usage}")
mkdir -p "${3:?$usage}"
out=$(cd "$3" && pwd)
cd "$(dirname "$0")/.."

version=$("$binary" --version | cut -d' ' -f2)
machine=$(uname -m)
maintainer="The lemon:session project <lemon-session@users.noreply.github.com>"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
umask 022

root=$work/root
install -D -m 755 "$binary" "$root/usr/bin/lemon-session"
strip "$root/usr/bin/lemon-session"
install -D -m 644 packaging/lemon-session*.service packaging/lemon-session*.timer -t "$root/lib/systemd/system"
install -D -m 644 "$sample" packaging/monitoring/* -t "$root/usr/share/lemon-session"
install -D -m 644 packaging/sysusers.conf "$root/usr/lib/sysusers.d/lemon-session.conf"
install -D -m 644 examples/lemon.ini "$root/etc/lemon-session/lemon.ini"
"$binary" man --output "$root/usr/share/man/man1" >/dev/null
install -d "$root/usr/share/man/man5"
"$binary" man lemon.ini >"$root/usr/share/man/man5/lemon.ini.5"
gzip -9n "$root"/usr/share/man/man[15]/*
completions() {
    mkdir -p "$root/$2"
    "$binary" completions "$1" >"$root/$2/$3"
}
completions bash usr/share/bash-completion/completions lemon-session
completions zsh usr/share/zsh/vendor-completions _lemon-session
completions fish usr/share/fish/vendor_completions.d lemon-session.fish
doc=$root/usr/share/doc/lemon-session
install -D -m 644 docs/*.md docs/defaults.json -t "$doc"
# The guides link to each other; what else they link to is not in the package.
sed -i 's|](\.\./|](https://github.com/lemon-session/lemon-session/blob/main/|g' "$doc"/*.md
gzip -9nc CHANGELOG.md >"$doc/CHANGELOG.md.gz"
made=$(date -R -d "@${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date +%s)}")
gzip -9nc >"$doc/changelog.gz" <<EOF
lemon-session ($version) unstable; urgency=medium

  * See CHANGELOG.md for the changes.

 -- $maintainer  $made
EOF
{
    echo "Source: https://github.com/lemon-session/lemon-session"
    echo "Copyright: those who contributed to lemon:session"
    echo "Licence: Apache-2.0, on Debian in /usr/share/common-licenses/Apache-2.0"
    echo
    echo "The console has charts by uPlot 1.6.32, https://github.com/leeoniya/uPlot:"
    echo
    cat host/command/src/console/assets/uplot.LICENSE
} >"$doc/copyright"

# The tarball: one folder, which can be unpacked anywhere.
name=lemon-session-$version-$machine-linux
cp -r "$root" "$work/$name"
cp LICENSE README.md "$work/$name"
tar -C "$work" --owner=0 --group=0 --numeric-owner --sort=name -czf "$out/$name.tar.gz" "$name"
echo "made $out/$name.tar.gz"

if ! command -v dpkg-deb >/dev/null; then
    echo "dpkg-deb is not installed: no Debian package was made" >&2
    exit 0
fi
architecture=$(dpkg --print-architecture)
# The command needs the C library whose version is that of the newest symbol it uses.
glibc=$(objdump -T "$root/usr/bin/lemon-session" | grep -o 'GLIBC_[0-9.]*' | sort -Vu | tail -1 | cut -d_ -f2)
chmod 750 "$root/etc/lemon-session"
chmod 640 "$root/etc/lemon-session/lemon.ini"
mkdir "$root/DEBIAN"
cat >"$root/DEBIAN/control" <<EOF
Package: lemon-session
Version: $version
Architecture: $architecture
Maintainer: $maintainer
Installed-Size: $(du -ks "$root" | cut -f1)
Depends: libc6 (>= $glibc), libgcc-s1, systemd
Suggests: nginx, postgresql
Section: web
Priority: optional
Homepage: https://github.com/lemon-session/lemon-session
Description: sessions for WebAssembly applications
 Serves WebAssembly components over HTTP with PHP-style sessions, which are
 stored in SQLite, MySQL, PostgreSQL or Redis. Each application runs as a
 systemd unit of its own.
EOF
echo /etc/lemon-session/lemon.ini >"$root/DEBIAN/conffiles"
# The group must exist before lemon.ini can belong to it.
cat >"$root/DEBIAN/postinst" <<'EOF'
#!/bin/sh
set -e
if [ "$1" = configure ]; then
    systemd-sysusers lemon-session.conf
    mkdir -p /usr/local/lib/lemon-session
    if ! dpkg-statoverride --list /etc/lemon-session >/dev/null; then
        chgrp lemon-session /etc/lemon-session /etc/lemon-session/lemon.ini
    fi
    if [ -d /run/systemd/system ]; then
        systemctl daemon-reload
    fi
fi
EOF
cat >"$root/DEBIAN/prerm" <<'EOF'
#!/bin/sh
set -e
if [ "$1" = remove ] && [ -d /run/systemd/system ]; then
    systemctl stop 'lemon-session@*.service' 'lemon-session-cleanup@*.timer'
fi
EOF
cat >"$root/DEBIAN/postrm" <<'EOF'
#!/bin/sh
set -e
if [ -d /run/systemd/system ]; then
    systemctl daemon-reload
fi
EOF
chmod 755 "$root"/DEBIAN/post* "$root/DEBIAN/prerm"
dpkg-deb --root-owner-group --build "$root" "$out/lemon-session_${version}_$architecture.deb" >/dev/null
echo "made $out/lemon-session_${version}_$architecture.deb"
