#!/usr/bin/env bash
# Puts the packages of tools/litert_js/package-lock.json, checked by its SHA-512, into .node, and LiteRT.js beside the
# page of `farebox explore`. Silent if both are there.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly LOCK=tools/litert_js VENDOR=pipeline/commands/explorer/vendor PACKAGES=.node
! cmp -s "$LOCK/package-lock.json" "$VENDOR/lock.json" || [ ! -d "$PACKAGES/node_modules" ] || exit 0
command -v npm >/dev/null || { echo "farebox: make explorer needs npm (Debian: npm), which checks the hashes" >&2; exit 1; }

aside=$(mktemp -d .litert-js.XXXX)
trap 'rm -rf "$aside"' EXIT
cp "$LOCK"/package*.json "$aside"
npm ci --prefix "$aside" --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null
from=$aside/node_modules/@litertjs
mkdir "$aside/vendor"
cp "$from/core/dist/index.js" "$aside/vendor/core.js"
cp "$from/wasm-utils/dist/index.js" "$aside/vendor/wasm-utils.js"
cp "$from/core/package.json" "$aside/vendor/package.json"
# The page asks for one thread and no WebGPU: these two builds, for browsers with relaxed SIMD and for the others.
cp "$from"/core/wasm/litert_wasm{,_compat}_internal.{js,wasm} "$aside/vendor"
cp "$LOCK/package-lock.json" "$aside/vendor/lock.json"
chmod -R u+rwX,go+rX,a-x+X "$aside/vendor"
rm -rf "$VENDOR" "$PACKAGES"
mkdir "$PACKAGES"
mv "$aside/node_modules" "$PACKAGES"
mv "$aside/vendor" "$VENDOR"
du -sh "$VENDOR"
