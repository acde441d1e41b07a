#!/usr/bin/env bash
# Serves the demo: scripts/demo.sh HUB PORT DATA. Ends with Ctrl-C.
set -euo pipefail
cd "$(dirname "$0")/.."
hub=$1 port=$2 data=$3
"$hub" --listen "127.0.0.1:$port" --data "$data" --www www/dist --log warn &
pid=$!
trap 'kill -TERM $pid 2>/dev/null; wait $pid 2>/dev/null || true' EXIT
trap 'exit 0' INT TERM
for _ in $(seq 100); do
  kill -0 $pid 2>/dev/null || { wait $pid; exit $?; }
  if curl -fsS -o /dev/null "http://127.0.0.1:$port/healthz" 2>/dev/null; then
    echo "Corella demo: http://127.0.0.1:$port/"
    wait $pid
    exit $?
  fi
  sleep 0.1
done
echo "the hub did not answer on port $port" >&2
exit 1
