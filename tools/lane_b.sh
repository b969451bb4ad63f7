#!/usr/bin/env bash
# Runs `make test-fast` on lane B: directly if this machine can run lane B, otherwise (as root) inside a Debian 13 root
# in .lanes/trixie, on a copy of the working tree. The root keeps its own .venv and package cache between calls.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly ROOT=$PWD/.lanes/trixie
readonly TREE=/farebox # path of the working tree's copy inside the root
readonly PACKAGES=python3,python3-venv,python3-dev,g++,make,git,ca-certificates
readonly BUNDLE=/etc/ssl/certs/ca-certificates.crt
# Mounts in their own namespace disappear with its last process, however that process ends.
readonly NAMESPACE=(unshare --mount --propagation private)

say() { echo "farebox: $*" >&2; }
die() { say "$*"; exit 1; }

need_debootstrap() {
    if type -P debootstrap >/dev/null; then return; fi
    type -P apt-get >/dev/null || die "needs debootstrap, and apt-get to install it, found neither: install debootstrap"
    say "installing debootstrap"
    apt-get install -y -qq debootstrap debian-archive-keyring >/dev/null
}

# Prints this system's own Debian mirror; nothing if it has none (debootstrap then uses its default).
mirror() { { apt-get indextargets --format '$(REPO_URI)' 2>/dev/null || true; } | grep -E -m 1 '/debian/?$' || true; }

build_root() {
    if [ -d "$ROOT" ]; then return; fi
    need_debootstrap
    say "building a Debian 13 root in .lanes/trixie (a minute or two)"
    rm -rf --one-file-system "$ROOT.part"
    mkdir -p "$ROOT.part"
    # shellcheck disable=SC2046 # without a mirror there must be no argument
    "${NAMESPACE[@]}" debootstrap --variant=minbase --include="$PACKAGES" trixie "$ROOT.part" $(mirror) \
        >.lanes/debootstrap.log 2>&1 ||
        die "debootstrap failed: $(tail -n 1 .lanes/debootstrap.log) (all of it in .lanes/debootstrap.log)"
    mv "$ROOT.part" "$ROOT"
}

# Copies the files that git tracks or does not ignore; removes everything else in the copy except .venv.
copy_tree() {
    mkdir -p "$ROOT$TREE"
    find "$ROOT$TREE" -mindepth 1 -maxdepth 1 ! -name .venv -exec rm -rf {} +
    git ls-files -z --cached --others --exclude-standard |
        while IFS= read -r -d '' file; do if [ -e "$file" ]; then printf '%s\0' "$file"; fi; done |
        tar --create --null --files-from=- | tar --extract --directory="$ROOT$TREE"
}

# Copies the settings of name resolution, certificates and package index.
copy_network_settings() {
    local file
    for file in /etc/resolv.conf /etc/hosts /etc/pip.conf; do
        if [ -e "$file" ]; then cp -L "$file" "$ROOT$file"; fi
    done
    file=${PIP_CERT:-${SSL_CERT_FILE:-$BUNDLE}}
    if [ -f "$file" ]; then cp -L "$file" "$ROOT$BUNDLE"; fi
}

passed_environment() {
    env | grep -E '^(PIP|UV)_[A-Z_]+=|^(https?|no|all)_proxy=|^(HTTPS?|NO|ALL)_PROXY=|^TERM=' || true
}

run_inside() {
    local environment
    mapfile -t environment < <(passed_environment)
    # shellcheck disable=SC2016 # $0 and $@ belong to the inner shell
    "${NAMESPACE[@]}" bash -euc '
        mount -t proc proc "$0/proc"
        mount --rbind /sys "$0/sys"
        mount --rbind /dev "$0/dev"
        exec chroot "$0" "$@"' "$ROOT" \
        env -i HOME=/root PATH=/usr/local/bin:/usr/bin:/bin LANG=C.UTF-8 "${environment[@]}" \
        PIP_CERT="$BUNDLE" SSL_CERT_FILE="$BUNDLE" "$@"
}

if [[ $(LANE="" PYTHON="" tools/env.sh lane 2>/dev/null) == b\ * ]]; then exec make test-fast LANE=b; fi
[ "$(id -u)" = 0 ] ||
    die "lane B needs glibc 2.39 and Python 3.11-3.13; without them only root can build a Debian 13 root for it"
"${NAMESPACE[@]}" true 2>/dev/null ||
    die "lane B needs a Debian 13 root with mounts, which root may not make here (in Docker: --privileged)"
build_root
copy_tree
copy_network_settings
run_inside make -C "$TREE" test-fast ARGS="${ARGS:-}"
