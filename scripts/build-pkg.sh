#!/usr/bin/env bash
# Builds the npm package into pkg/: plain ES modules, wasm and types.
#
#   scripts/build-pkg.sh          as published: optimised for size
#   scripts/build-pkg.sh --dev    for development: quick to build
#
# Does nothing when no source has changed since.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=/dev/null
. target/wasm-env.sh
T=wasm32-unknown-unknown
profile=wasm
[ "${1-}" != --dev ] || profile=dev
td=${CARGO_TARGET_DIR:-target}
dir=$profile
[ $profile != dev ] || dir=debug
say() { printf '==> %s\n' "$*" >&2; }

say "building the wasm module ($profile)"
cargo build --quiet --profile $profile --target $T --lib
built=$td/$T/$dir/corella.wasm
stamp="$profile $(sha256sum "$built" | cut -d' ' -f1) $(cat pkg-template/*.* LICENSE-MIT scripts/build-pkg.sh | sha256sum | cut -d' ' -f1)"
if [ "$(cat pkg/.stamp 2>/dev/null)" = "$stamp" ]; then
  say "pkg/ is up to date"
  exit 0
fi

rm -rf pkg.new
mkdir pkg.new
say "binding it to JavaScript"
wasm-bindgen --target web --no-typescript --remove-name-section --remove-producers-section --out-dir pkg.new "$built"
if [ $profile = wasm ]; then
  say "optimising it"
  wasm-opt -O1 pkg.new/corella_bg.wasm -o pkg.new/corella_bg.wasm
fi
node scripts/guard-glue.mjs pkg.new/corella.js
node scripts/guard-strings.mjs pkg.new/corella.js
cp pkg-template/*.js pkg-template/*.d.ts pkg-template/package.json pkg-template/README.md LICENSE-MIT LICENSE-APACHE pkg.new/
echo "$stamp" >pkg.new/.stamp
rm -rf pkg
mv pkg.new pkg
say "pkg/ is ready"
