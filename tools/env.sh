#!/usr/bin/env bash
# Manages the environment of this checkout: tools/env.sh setup | lane | lock [uv options] | packages FOLDER | image FOLDER
#   setup    chooses a lane, creates .venv, installs the lane's lock and farebox (editable); silent if nothing is to do
#   lane   prints the lane and the Python that setup would choose
#   lock   rewrites requirements/*.txt from setup.py
#   packages FOLDER  makes FOLDER an environment of the lane's lock, for the image
#   image    FOLDER  the same, with farebox's wheel: all that the image has, and nothing from this checkout
# LANE=a|b and PYTHON=/path/to/python override the choice.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly NEEDED_GB=6 # 3 GB of packages, and as much for uv's cache
venv=.venv
readonly STAMP=.venv/farebox.stamp # written last: a .venv without it is an interrupted set-up
uv=uv/bin/uv # in the environment, outside site-packages: `uv pip sync` removes packages that the lock does not name

say() { echo "farebox: $*" >&2; }
die() { say "$*"; exit 1; }

# --- which Python ----------------------------------------------------------------------------------------------------

version_of() { "$1" -c 'import platform; print(platform.python_version())' 2>/dev/null </dev/null || true; }

# Lane B's ml-metadata and TFDV wheels need glibc 2.39; lane A's tflite-micro wheel needs 2.28.
lanes_here() {
    local glibc
    glibc=$(getconf GNU_LIBC_VERSION 2>/dev/null | awk '{ print $2 }')
    [ "$(uname -sm) ${glibc:+glibc}" = "Linux x86_64 glibc" ] ||
        die "needs Linux x86_64 with glibc (TFX has no other wheels), got $(uname -sm): use such a machine or container"
    if [ "$(printf '%s\n' 2.39 "$glibc" | sort -V | head -n 1)" = 2.39 ]; then echo b a; else echo a; fi
}

versions_of_lane() { if [ "$1" = b ]; then echo 3.13 3.12 3.11; else echo 3.10; fi; }

# Prints every file that may be Python $1: only PYTHON if set; otherwise on PATH, in pyenv's versions, among uv's own.
candidates() {
    if [ -n "${PYTHON:-}" ]; then type -P "$PYTHON" || true; return; fi
    type -aP "python$1" python3 python || true
    compgen -G "${PYENV_ROOT:-$HOME/.pyenv}/versions/$1.*/bin/python" || true
    compgen -G "${UV_PYTHON_INSTALL_DIR:-$HOME/.local/share/uv/python}/cpython-$1.*/bin/python" || true
}

# Prints what Python $1 lacks for an environment; nothing if it is complete.
lacks() {
    local header='import os, sysconfig; os.stat(sysconfig.get_path("include") + "/Python.h")'
    if ! "$1" -c 'import ensurepip, venv' &>/dev/null </dev/null; then
        echo "its venv module (Debian: python3-venv)"
    elif ! "$1" -c "$header" &>/dev/null </dev/null; then
        echo "its C headers (Debian: python3-dev)"
    fi
}

# Sets lane and python. PATH may have pyenv shims of versions that do not run: a candidate counts only if it answers.
choose() {
    local lanes version path missing incomplete="" tried=""
    lanes=$(lanes_here)
    [[ " $lanes " == *" ${LANE:-a} "* ]] || die "LANE=$LANE must be one of: $lanes (b needs glibc 2.39)"
    for lane in ${LANE:-$lanes}; do
        for version in $(versions_of_lane "$lane"); do
            tried="${tried:+$tried, }$version"
            while IFS= read -r path; do
                [[ $(version_of "$path") == "$version".* ]] || continue
                missing=$(lacks "$path")
                if [ -z "$missing" ]; then python=$path; return; fi
                incomplete=${incomplete:-$path lacks $missing}
            done < <(candidates "$version")
        done
    done
    [ -z "$incomplete" ] || die "$incomplete: install that, then run make again"
    [ -z "${PYTHON:-}" ] || die "PYTHON=$PYTHON must be Python $tried, got ${PYTHON:+$(version_of "$PYTHON")}"
    version=${tried##*, }
    die "needs Python $tried, found none on PATH, in pyenv or in uv:" \
        "\`pyenv install $version\` or \`uv python install $version\`"
}

# --- other needs of a set-up ----------------------------------------------------------------------------------------

# pyfarmhash comes as source. A Python built elsewhere names that machine's compiler, so CC and CXX override it.
need_compiler() {
    local compiler
    for compiler in c++ g++ clang++; do
        if "$compiler" -x c++ -fsyntax-only - <<<'#include <string>' 2>/dev/null; then
            export CC="${CC:-$compiler}" CXX="${CXX:-$compiler}"
            return
        fi
    done
    die "needs a C++ compiler (c++, g++ or clang++), found none that works (Debian: g++, Fedora: gcc-c++)"
}

need_disk() {
    local free_gb
    free_gb=$(df -Pk . | awk 'NR == 2 { print int($4 / 1048576) }')
    [ "$free_gb" -ge "$NEEDED_GB" ] || die "needs $NEEDED_GB GB of free disk, got $free_gb GB in $PWD"
}

# uv reads neither pip's settings nor its environment: pass it pip's index, certificates and timeout.
uv_like_pip() {
    local index
    index=${PIP_INDEX_URL:-$("$venv/bin/python" -m pip config get global.index-url 2>/dev/null || true)}
    if [ -n "$index" ]; then export UV_DEFAULT_INDEX="${UV_DEFAULT_INDEX:-$index}"; fi
    if [ -n "${PIP_CERT:-}" ]; then export SSL_CERT_FILE="${SSL_CERT_FILE:-$PIP_CERT}"; fi
    export UV_HTTP_TIMEOUT="${UV_HTTP_TIMEOUT:-${PIP_DEFAULT_TIMEOUT:-60}}"
    "$venv/$uv" "$@"
}

# --- the environment -------------------------------------------------------------------------------------------------

# Prints what a .venv of lane $1 is made from. The folder is part of it because a .venv cannot be moved.
fingerprint() {
    echo "$1 $PWD $(cat setup.py requirements/uv.txt "requirements/lane-$1.txt" | sha256sum | cut -c 1-16)"
}

is_current() {
    local lane
    [ -f "$STAMP" ] || return 1
    lane=${LANE:-$(cut -d ' ' -f 1 "$STAMP")}
    [ "$(cat "$STAMP")" = "$(fingerprint "$lane")" ] && is_of_python "${PYTHON:-.venv/bin/python}"
}

# Succeeds if .venv runs on the same Python as $1.
is_of_python() {
    local version
    version=$(version_of .venv/bin/python)
    [ -n "$version" ] && [ "$version" = "$(version_of "$1")" ]
}

new_venv() {
    need_disk
    rm -rf "$venv"
    "$python" -m venv "$venv"
}

install_uv() {
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --upgrade --require-hashes \
        --target "$venv/uv" -r requirements/uv.txt
}

install_packages() {
    local lock="requirements/lane-$lane.txt" count
    count=$(grep -c '^[a-z0-9].*==' "$lock")
    say "lane ${lane^^}, Python $(version_of "$python") at $python; installing $count packages (about 3 GB)"
    install_uv
    # A process that may not write bytecode would compile TensorFlow and all other packages again: 10 CPU s.
    if [ -n "${PYTHONDONTWRITEBYTECODE:-}" ]; then export UV_COMPILE_BYTECODE=1; fi
    uv_like_pip pip sync --python "$venv/bin/python" --require-hashes "$lock" 2>&1 |
        sed -u '/^ [-+~] /d; /^ Downloaded /d' >&2
}

install_farebox() {
    uv_like_pip pip install --quiet --python "$venv/bin/python" --no-deps --no-build-isolation "$@"
}

setup() {
    exec 9<Makefile
    flock 9 # if two makes run at once, the second waits and has nothing to do
    if is_current; then return; fi
    choose
    need_compiler
    if ! [[ -f $STAMP && $(cat "$STAMP") == "$lane $PWD "* ]] || ! is_of_python "$python"; then
        if [ -e .venv ]; then say ".venv is unfinished or was made for something else: making it anew"; fi
        new_venv
    fi
    rm -f "$STAMP"
    install_packages
    install_farebox --editable .
    fingerprint "$lane" >"$STAMP"
    say "ready in .venv after $SECONDS s"
}

packages() {
    venv=$1
    [ ! -e "$venv" ] || [ -f "$venv/pyvenv.cfg" ] ||
        die "FOLDER=$venv must be new, or an environment that is made anew"
    choose
    need_compiler
    new_venv
    install_packages
}

# build/ is removed first: setuptools would also pack the files that an earlier build left there.
image() {
    packages "$1"
    rm -rf build
    "$venv/bin/python" -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir "$venv/wheel" .
    install_farebox "$venv"/wheel/farebox-*.whl
    rm -rf build
    finish_image
}

finish_image() {
    rm -rf "$venv/uv"
    say "ready in $venv after $SECONDS s"
}

compile() {
    uv_like_pip pip compile --quiet --no-header --no-emit-index-url --generate-hashes --python .venv/bin/python "$@"
}

lock() {
    if ! [ -x "$venv/$uv" ]; then
        choose
        if [ -z "$(version_of .venv/bin/python)" ]; then new_venv; fi
        install_uv
    fi
    local linux="--python-platform x86_64-manylinux_2_28" # tflite-micro has no older wheels
    # shellcheck disable=SC2086 # two words
    compile setup.py --extra dev --python-version 3.10 $linux -o requirements/lane-a.txt "$@"
    compile setup.py --extra dev --python-version 3.11 --universal -o requirements/lane-b.txt "$@"
    compile - --python-version 3.10 --universal -o requirements/uv.txt "$@" <<<uv
}

case ${1:-setup} in
    setup) setup ;;
    lane) choose; echo "$lane $python" ;;
    lock) shift; lock "$@" ;;
    packages) packages "${2:?FOLDER must be given}"; finish_image ;;
    image) image "${2:?FOLDER must be given}" ;;
    *) die "command=$1 must be setup, lane, lock, packages or image" ;;
esac
