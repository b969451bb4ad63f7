#!/usr/bin/env bash
# Installs Debian's PostgreSQL and MariaDB, which tests start themselves; starts neither. Silent if both are installed.
# If they cannot be installed, one line says so, and the tests skip.
set -euo pipefail

say() { echo "farebox: $*"; }

PATH=$PATH:/usr/sbin:$(echo /usr/lib/postgresql/*/bin | tr ' ' ':')
packages=()
type -P postgres initdb >/dev/null || packages+=(postgresql)
type -P mariadbd mariadb-install-db >/dev/null || packages+=(mariadb-server)
[ ${#packages[@]} -gt 0 ] || exit 0

if ! type -P apt-get >/dev/null || [ "$(id -u)" != 0 ]; then
    say "tests of metadata on a database will skip: ${packages[*]} must be installed by root with apt-get"
    exit 0
fi

policy=/usr/sbin/policy-rc.d # packages run it to ask whether their service may start
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
fi
log=$(mktemp)
say "installing ${packages[*]} for the tests"
export DEBIAN_FRONTEND=noninteractive
{ apt-get update -qq && apt-get install -y -qq --no-install-recommends "${packages[@]}"; } >"$log" 2>&1 ||
    { say "tests of metadata on a database will skip: apt-get could not install ${packages[*]}, see $log" && exit 0; }
rm -f "$log"
