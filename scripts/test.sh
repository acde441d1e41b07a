#!/usr/bin/env bash
# Every test there is, and a summary. A suite that fails does not keep the others from running.
set -uo pipefail
cd "$(dirname "$0")/.."
scripts/setup-wasm.sh --test || exit 1
td=${CARGO_TARGET_DIR:-target}
logs=$(mktemp -d "${TMPDIR:-/tmp}/corella-test.XXXXXX")
servers=()
trap 'kill "${servers[@]}" 2>/dev/null; rm -rf "$logs"' EXIT
say() { printf '==> %s\n' "$*" >&2; }

names=() passes=() failures=() states=()

# suite NAME COMMAND…: runs it, shows its end when it fails, counts its tests
suite() {
  local name=$1 log="$logs/log" start=$SECONDS status=0 passed failed
  shift
  say "$name"
  "$@" >"$log" 2>&1 </dev/null || status=$?
  passed=$(count "$log" passed)
  failed=$(count "$log" failed)
  if [ $status != 0 ]; then
    [ "$failed" -gt 0 ] || failed=1
    # Of TAP the failures, which may stand anywhere; of all others the end.
    grep -A 40 '^ *not ok' "$log" | head -n 200 >&2 || tail -n 80 "$log" >&2
  elif [ "$passed" = 0 ]; then
    # A command without tests of its own is one check.
    passed=1
  fi
  names+=("$name") passes+=("$passed") failures+=("$failed") states+=("$((SECONDS - start)) s")
}

# Sums what the runners print: nextest's summary, cargo test, node's, Playwright's.
count() {
  awk -v want="$2" '
    /Summary \[/ { while (match($0, /[0-9]+ (passed|failed)/)) { split(substr($0, RSTART, RLENGTH), w, " "); if (w[2] == want) n += w[1]; $0 = substr($0, RSTART + RLENGTH) } next }
    /^test result:/ { while (match($0, /[0-9]+ (passed|failed)/)) { split(substr($0, RSTART, RLENGTH), w, " "); if (w[2] == want) n += w[1]; $0 = substr($0, RSTART + RLENGTH) } next }
    /^# pass / && want == "passed" { n += $3 }
    /^# fail / && want == "failed" { n += $3 }
    /^ +[0-9]+ passed/ && want == "passed" { n += $1 }
    /^ +[0-9]+ failed/ && want == "failed" { n += $1 }
    END { print n + 0 }' "$1"
}

wasm() { (. target/wasm-env.sh && "$@"); }

suite "native (unit, wire, simulator, channels, hub)" cargo nextest run --features hub --no-fail-fast
suite "documentation examples" cargo test --doc --features hub
suite "fuzz targets type-check" cargo check --manifest-path fuzz/Cargo.toml

say "servers for the browser tests"
cargo build --quiet --features hub --bin corella-hub --example relay || exit 1
relay_port=18799 hub_port=18798
"$td/debug/examples/relay" "127.0.0.1:$relay_port" >"$logs/relay" 2>&1 & servers+=($!)
"$td/debug/corella-hub" --in-memory --listen "127.0.0.1:$hub_port" --log warn >"$logs/hub" 2>&1 & servers+=($!)
export CORELLA_TEST_RELAY=ws://127.0.0.1:$relay_port CORELLA_TEST_WS=ws://127.0.0.1:$hub_port/ws
export WASM_BINDGEN_TEST_TIMEOUT=180
suite "headless Chromium, window" wasm cargo test --target wasm32-unknown-unknown --test browser
suite "headless Chromium, worker" wasm cargo test --target wasm32-unknown-unknown --test worker

if scripts/build-pkg.sh && scripts/build-pkg.sh --failpoints; then
  suite "size of the package" node scripts/size.mjs --check
  suite "package in Node" node --test --test-reporter=tap pkg-template/tests/
  if scripts/build-pkg.sh --core --dev; then
    suite "core build in Node" node --test --test-reporter=tap tests/core/
  else
    names+=("building the core package") passes+=(0) failures+=(1) states+=("")
  fi
  suite "package types" tools/node_modules/.bin/tsc -p tests/api/tsconfig.json
  if [ -f www/package.json ]; then
    if scripts/build-www.sh && cargo build --quiet --release --features hub --bin corella-hub; then
      suite "Playwright, the page and the real hub" env CORELLA_HUB="$(cd "$(dirname "$td/release/x")" && pwd)/corella-hub" npm run --silent --prefix www e2e
    else
      names+=("building the page and the hub") passes+=(0) failures+=(1) states+=("")
    fi
  fi
else
  names+=("building the package") passes+=(0) failures+=(1) states+=("")
fi

total_passed=0 total_failed=0
printf '\n%-50s %8s %8s %8s\n' suite passed failed time
for i in "${!names[@]}"; do
  printf '%-50s %8s %8s %8s\n' "${names[$i]}" "${passes[$i]}" "${failures[$i]}" "${states[$i]}"
  total_passed=$((total_passed + passes[i]))
  total_failed=$((total_failed + failures[i]))
done
printf '\n%d passed, %d failed\n' $total_passed $total_failed
[ $total_failed = 0 ]
