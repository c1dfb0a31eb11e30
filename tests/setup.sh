#!/bin/bash
# Installs what the tests need beside Rust, where it is missing: a browser, a load generator, the tools that the pages in
# Python and JavaScript are built with, web servers that run CGI programs or speak HTTPS, the shell of SQLite, what checks
# units of systemd, and the database servers that tests start clusters of.
# Only for Debian and derivatives.
set -euo pipefail

packages=()
command -v chromium >/dev/null && command -v chromedriver >/dev/null || packages+=(chromium chromium-driver)
command -v wrk >/dev/null || packages+=(wrk)
command -v npm >/dev/null || packages+=(npm)
command -v curl >/dev/null || packages+=(curl)
command -v sqlite3 >/dev/null || packages+=(sqlite3)
command -v jq >/dev/null || packages+=(jq)
command -v man >/dev/null || packages+=(man-db)
command -v openssl >/dev/null || packages+=(openssl)
command -v systemd-analyze >/dev/null || packages+=(systemd)
python3 -c 'import ensurepip' 2>/dev/null || packages+=(python3 python3-venv)
# Clusters of the database servers are started by the tests.
postgres=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | tail -n 1 || true)
[ -e /usr/lib/galera/libgalera_smm.so ] || packages+=(galera-4)
command -v rsync >/dev/null || packages+=(rsync)
command -v strace >/dev/null || packages+=(strace)
compgen -G '/usr/lib/*/faketime/libfaketimeMT.so.1' >/dev/null || packages+=(libfaketime)
for server in pg_basebackup:postgresql mariadbd:mariadb-server redis-server:redis-server redis-cli:redis-tools \
    redis-sentinel:redis-sentinel pgbouncer:pgbouncer apache2:apache2-bin lighttpd:lighttpd nginx:nginx-light fcgiwrap:fcgiwrap; do
    PATH=$PATH:/usr/sbin:/sbin:$postgres command -v "${server%%:*}" >/dev/null || packages+=("${server##*:}")
done

if [ ${#packages[@]} = 0 ]; then
    exit 0
fi
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "tests/setup.sh: install ${packages[*]} for all tests to run" >&2
    exit "$([ "${CI:-}" = true ] && echo 1 || echo 0)"
fi
# The servers are started by the tests alone: as services, they would fight for one port, or for that of a server that runs.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
    trap 'rm -f $policy' EXIT
    printf '#!/bin/sh\nexit 101\n' >$policy
    chmod +x $policy
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
