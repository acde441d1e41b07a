#!/usr/bin/env bash
# Builds the npm package into pkg/: plain ES modules, wasm and types.
#
#   scripts/build-pkg.sh          as published: optimised for size
#   scripts/build-pkg.sh --dev    for development: quick to build
#   scripts/build-pkg.sh --failpoints
#                                 into pkg-failpoints/, one that panics when told to: for the tests of what a panic costs
#
# Does nothing when no source has changed since.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=/dev/null
. target/wasm-env.sh
T=wasm32-unknown-unknown
profile=wasm
out=pkg
features=
case ${1-} in
  --dev) profile=dev ;;
  --failpoints) profile=dev out=pkg-failpoints features=failpoints ;;
esac
td=${CARGO_TARGET_DIR:-target}
dir=$profile
[ $profile != dev ] || dir=debug
say() { printf '==> %s\n' "$*" >&2; }

say "building the wasm module ($profile)"
# As a cdylib alone: beside an rlib it is not optimised when linked, and a keystroke costs a third more.
# The stack pointer is exported so that the glue can put it back after a panic.
cargo rustc --quiet --profile $profile --target $T --lib --crate-type cdylib --features "$features" -- -C link-arg=--export=__stack_pointer
built=$td/$T/$dir/corella.wasm
stamp="$profile $(sha256sum "$built" | cut -d' ' -f1) $(cat pkg-template/*.* LICENSE-MIT scripts/build-pkg.sh scripts/guard-*.mjs | sha256sum | cut -d' ' -f1)"
if [ "$(cat $out/.stamp 2>/dev/null)" = "$stamp" ]; then
  say "$out/ is up to date"
  exit 0
fi

rm -rf $out.new
mkdir $out.new
say "binding it to JavaScript"
wasm-bindgen --target web --no-typescript --remove-name-section --remove-producers-section --out-dir $out.new "$built"
if [ $profile = wasm ]; then
  say "optimising it"
  wasm-opt -O1 $out.new/corella_bg.wasm -o $out.new/corella_bg.wasm
fi
node scripts/guard-glue.mjs $out.new/corella.js
node scripts/guard-strings.mjs $out.new/corella.js
cp pkg-template/*.js pkg-template/*.d.ts pkg-template/package.json pkg-template/README.md LICENSE-MIT LICENSE-APACHE $out.new/
echo "$stamp" >$out.new/.stamp
rm -rf $out
mv $out.new $out
say "$out/ is ready"
