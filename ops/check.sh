#!/bin/sh
# make check: what a reviewer should not have to look for.
set -eu
fail=0

unformatted=$(git ls-files '*.go' | xargs gofmt -l)
if [ -n "$unformatted" ]; then
	echo "not gofmt-ed:" >&2
	echo "$unformatted" >&2
	fail=1
fi
go mod tidy -diff >/dev/null || { echo "go.mod: run go mod tidy" >&2; fail=1; }
go vet ./... || fail=1
go tool staticcheck ./... || fail=1 # its default checks, none left out
go test ./cmd/yidang -count=1 -run '^(TestImports|TestTopLevel)$' || fail=1
# govulncheck asks a database on the network. Without it the check says so and does not count.
if out=$(timeout 120 go tool govulncheck ./cmd/yidang 2>&1); then
	echo "govulncheck: none known"
elif echo "$out" | grep -q 'Vulnerability #'; then
	echo "$out" >&2
	fail=1
else
	echo "govulncheck: its database cannot be reached; not checked"
fi
sh api/lint.sh || fail=1
exit $fail
