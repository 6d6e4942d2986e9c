#!/bin/sh
# Checks the API document with an independent OpenAPI linter. Any error, and any warning that redocly.yaml does not turn off
# with a reason, fails. The linter comes from npm at exactly this version; nothing of it is kept in the repository.
set -eu
cd "$(dirname "$0")/.."
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
YIDANG_OPENAPI="$dir/openapi.json" go test ./api -count=1 -run '^TestDocument$' >"$dir/test.txt" 2>&1 || { cat "$dir/test.txt" >&2; exit 1; }
REDOCLY_TELEMETRY=off npx --yes @redocly/cli@2.77.0 lint --config api/redocly.yaml --max-problems 200 "$dir/openapi.json"
