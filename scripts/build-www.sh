#!/usr/bin/env bash
# Builds the demo page into www/dist. Needs pkg/.
set -euo pipefail
cd "$(dirname "$0")/../www"
say() { printf '==> %s\n' "$*" >&2; }
stamp=$(cat ../pkg/.stamp package-lock.json | sha256sum | cut -d' ' -f1)
if [ "$(cat node_modules/.stamp 2>/dev/null)" != "$stamp" ]; then
  say "installing the page's packages (npm)"
  npm ci --silent --no-fund --no-audit
  echo "$stamp" >node_modules/.stamp
fi
if [ -f dist/index.html ] && [ -z "$(find . -path ./node_modules -prune -o -path ./dist -prune -o -path ./test-results -prune -o -newer dist/index.html -type f -print -quit)" ] &&
  [ ../pkg/.stamp -ot dist/index.html ]; then
  say "www/dist is up to date"
  exit 0
fi
say "building the page"
npm run --silent build
