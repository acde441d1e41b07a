#!/usr/bin/env bash
# Builds the npm package: plain ES modules, wasm and types.
#
#   scripts/build-pkg.sh          into pkg/, as published: optimised for size
#   scripts/build-pkg.sh --dev    into pkg/, for development: quick to build
#   scripts/build-pkg.sh --core   into pkg-core/, smaller: without JSON updates, JSONPath, diagnostic members, records and backups; also with --dev
#   scripts/build-pkg.sh --failpoints
#                                 into pkg-failpoints/, one that panics when told to: for the tests of what a panic costs
#
# Does nothing when no source has changed since.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=/dev/null
. target/wasm-env.sh
T=wasm32-unknown-unknown
build=full profile=wasm out=pkg features=()
for arg; do
  case $arg in
    --dev) profile=dev ;;
    --core) build=core out=pkg-core features=(--no-default-features) ;;
    --failpoints) build=failpoints out=pkg-failpoints features=(--features failpoints) ;;
    *) echo "build-pkg: $arg: --dev, --core or --failpoints" >&2; exit 2 ;;
  esac
done
td=${CARGO_TARGET_DIR:-target}
dir=$profile
[ $profile != dev ] || dir=debug
say() { printf '==> %s\n' "$*" >&2; }

cargo=(cargo) settings=() flags=() std=stock
if [ $profile = wasm ]; then
  # Small functions are not copied into each place that calls them. Results of several values are passed in memory: with less code on both sides.
  flags+=(-Cllvm-args=-inline-threshold=10 -Ctarget-feature=-multivalue)
  # Messages name source files: the same on every machine.
  sources=${CARGO_HOME:-$HOME/.cargo}/registry/src
  [[ $sources == *\ * ]] || flags+=("--remap-path-prefix=$sources=")
  if [ -n "${WASM_SIZED-}" ]; then
    # A panic is a bare trap here: what it says is in the development build.
    read -ra cargo <<<"$WASM_SIZED cargo"
    std=sized
    settings+=(-Zbuild-std=std,panic_abort -Zbuild-std-features=optimize_for_size,backtrace-trace-only -Zpanic-immediate-abort --config 'profile.wasm.panic="immediate-abort"')
    flags+=(-Zlocation-detail=none)
  elif RUSTC_BOOTSTRAP=1 "${RUSTC:-rustc}" -Zlocation-detail=none --print cfg >/dev/null 2>&1; then
    cargo=(env RUSTC_BOOTSTRAP=1 cargo)
    flags+=(-Zlocation-detail=none)
  fi
  export CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS="${CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS-} ${flags[*]}"
fi

say "building the wasm module ($build, $profile)"
# As a cdylib alone: beside an rlib it is not optimised when linked, and a keystroke costs a third more.
# The stack pointer is exported so that the glue can put it back after a panic.
"${cargo[@]}" rustc --quiet --profile $profile --target $T --lib --crate-type cdylib "${features[@]}" "${settings[@]}" -- -C link-arg=--export=__stack_pointer
built=$td/$T/$dir/corella.wasm
stamp="$build $profile $std $(sha256sum "$built" | cut -d' ' -f1) $(cat pkg-template/*.* pkg-template/core/* LICENSE-MIT scripts/build-pkg.sh scripts/*.mjs tools/package-lock.json | sha256sum | cut -d' ' -f1)"
if [ "$(cat $out/.stamp 2>/dev/null)" = "$stamp" ]; then
  say "$out/ is up to date"
  exit 0
fi

rm -rf $out.new
mkdir $out.new
say "binding it to JavaScript"
names=(--remove-name-section)
[ $profile != wasm ] || names=()
wasm-bindgen --target web --no-typescript "${names[@]}" --remove-producers-section --out-dir $out.new "$built"
if [ $profile = wasm ]; then
  say "optimising it"
  module=$out.new/corella_bg.wasm
  node scripts/stub-backtraces.mjs $module
  # Locals as the compiler left them compress better than fewer of them.
  wasm-opt -O1 --skip-pass=simplify-locals --debuginfo $module -o $module
  node scripts/even-accesses.mjs $module
  node scripts/order-functions.mjs $module
  wasm-opt --reorder-functions-by-name --strip-debug $module -o $module
fi
node scripts/guard-glue.mjs $out.new/corella.js
node scripts/guard-strings.mjs $out.new/corella.js
if [ $profile = wasm ]; then
  node scripts/shorten-names.mjs $out.new/corella.js $out.new/corella_bg.wasm
  # What it does is documented in the types; the names of classes show in errors.
  tools/node_modules/.bin/terser $out.new/corella.js --module --compress passes=2 --mangle --keep-classnames --output $out.new/corella.js
fi
cp pkg-template/*.js pkg-template/*.d.ts pkg-template/package.json pkg-template/README.md LICENSE-MIT LICENSE-APACHE $out.new/
if [ $build = core ]; then
  rm $out.new/{jsonpath,catalogue,collection,backup}.js
  cp pkg-template/core/*.js $out.new/
  node scripts/core-types.mjs $out.new
fi
echo "$stamp" >$out.new/.stamp
rm -rf $out
mv $out.new $out
say "$out/ is ready"
