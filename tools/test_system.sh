#!/usr/bin/env bash
# Installs Debian's packages of what some tests start: PostgreSQL and MariaDB, and Chromium with the npm packages that
# its tests need. Starts none of them. Silent if all are there. If some cannot be installed, one line says which tests
# skip.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { echo "farebox: $*"; }

readonly POLICY=/usr/sbin/policy-rc.d # packages run it to ask whether their service may start
PATH=$PATH:/usr/sbin:$(echo /usr/lib/postgresql/*/bin | tr ' ' ':')
export DEBIAN_FRONTEND=noninteractive

# install TESTS PACKAGE...: TESTS skip without the packages.
install() {
    local tests=$1 log
    shift
    [ $# -gt 0 ] || return 0
    if ! type -P apt-get >/dev/null || [ "$(id -u)" != 0 ]; then
        say "tests of $tests will skip: $* must be installed by root with apt-get"
        return
    fi
    log=$(mktemp)
    say "installing $* for the tests"
    if { apt-get update -qq && apt-get install -y -qq --no-install-recommends "$@"; } >"$log" 2>&1; then
        rm -f "$log"
    else
        say "tests of $tests will skip: apt-get could not install $*, see $log"
    fi
}

if [ "$(id -u)" = 0 ] && [ ! -e "$POLICY" ]; then
    trap 'rm -f "$POLICY"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$POLICY"
    chmod 755 "$POLICY"
fi
servers=() browser=()
type -P postgres initdb >/dev/null || servers+=(postgresql)
type -P mariadbd mariadb-install-db >/dev/null || servers+=(mariadb-server)
type -P chromium >/dev/null || type -P google-chrome >/dev/null || browser+=(chromium)
type -P npm >/dev/null || browser+=(npm)
install "metadata on a database" "${servers[@]}"
install "pages in a browser" "${browser[@]}"
tools/litert_js.sh || say "tests of pages in a browser will skip: make explorer failed"
