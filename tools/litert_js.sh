#!/usr/bin/env bash
# Puts LiteRT.js beside the page of `farebox explore`: the versions and SHA-512 of tools/litert_js/package-lock.json.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly LOCK=tools/litert_js VENDOR=pipeline/commands/explorer/vendor
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
chmod -R u+rwX,go+rX,a-x+X "$aside/vendor"
rm -rf "$VENDOR"
mv "$aside/vendor" "$VENDOR"
du -sh "$VENDOR"
