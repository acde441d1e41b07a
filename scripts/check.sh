#!/usr/bin/env bash
# Formatting, lints, documentation, API snapshot. Changes nothing.
set -euo pipefail
cd "$(dirname "$0")/.."
say() { printf '==> %s\n' "$*" >&2; }
scripts/setup-wasm.sh
say "formatting"
cargo fmt --check
say "lints, native"
cargo clippy --quiet --features hub --all-targets -- -D warnings
say "lints, wasm"
(. target/wasm-env.sh && cargo clippy --quiet --target wasm32-unknown-unknown --lib -- -D warnings)
say "documentation"
RUSTDOCFLAGS="-D warnings" cargo doc --quiet --no-deps --features hub --lib
say "types of the package"
tools/node_modules/.bin/tsc -p tests/api/tsconfig.json
say "API snapshot"
if ! cat pkg-template/index.d.ts pkg-template/loro.d.ts | diff -u tests/api/corella.d.ts - >&2; then
  echo "the public types have changed: if that is meant, cat pkg-template/index.d.ts pkg-template/loro.d.ts > tests/api/corella.d.ts" >&2
  exit 1
fi
say "all checks passed"
