#!/bin/sh
# make bench: every figure that was promised, beside a baseline of the same run. About ten minutes on two cores.
#
#	YIDANG_BENCH_EVENTS=100000 sh ops/bench/run.sh [WORK]
#
# WORK holds everything and is kept when it is given; otherwise it is a folder in .cache, on the disk of the project, and is
# removed. PostgreSQL is only the baseline: it is installed when it is missing and this is root on a machine with apt, runs
# as a cluster of its own on a unix socket, and is removed with WORK. Without it the row says so and is not met.
set -eu
cd "$(dirname -- "$0")/../.."
events=${YIDANG_BENCH_EVENTS:-1000000}
seconds=${YIDANG_BENCH_SECONDS:-10}

keep=${1:-}
if [ -n "$keep" ]; then
	mkdir -p "$keep"
	work=$(cd "$keep" && pwd)
else
	mkdir -p .cache
	work=$(mktemp -d "$PWD/.cache/bench.XXXXXX")
fi
chmod 711 "$work" # PostgreSQL does not run as root and must reach its folder
cluster= bin= as=

as_owner() { if [ -n "$as" ]; then runuser -u "$as" -- "$@"; else "$@"; fi; }

stop_postgres() {
	if [ -n "$cluster" ]; then
		as_owner "$bin/pg_ctl" -D "$cluster/data" -m immediate -s stop 2>/dev/null || true
		rm -rf "$cluster"
		cluster=
	fi
}

clean() {
	stop_postgres
	[ -n "$keep" ] || rm -rf "$work"
}
trap clean EXIT
trap 'exit 1' HUP INT TERM

step() { "$work/bench" -dir "$work" -events "$events" -lasting "${seconds}s" "$@"; }

# find_postgres sets bin, the folder of its programs.
find_postgres() {
	for d in "$(dirname -- "$(command -v initdb 2>/dev/null || echo /nowhere/x)")" $(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -Vr); do
		if [ -x "$d/initdb" ] && [ -x "$d/pgbench" ]; then
			bin=$d
			return 0
		fi
	done
	return 1
}

# postgres prints the inserts per second at 64 clients, or why there are none; always one line.
postgres() {
	if ! find_postgres && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
		{ apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq postgresql; } >"$work/apt.log" 2>&1 || true
	fi
	find_postgres || { echo "PostgreSQL is not installed and could not be"; return; }
	if [ "$(id -u)" = 0 ]; then as=postgres; fi
	cluster=$(mktemp -d "$work/pg.XXXXXX")
	chmod 700 "$cluster"
	if [ -n "$as" ]; then
		chown "$as" "$cluster"
		if ! as_owner test -w "$cluster"; then # a folder above is closed to it
			rm -rf "$cluster"
			cluster=$(mktemp -d)
			chown "$as" "$cluster"
			if [ "$(stat -c %d "$cluster")" != "$(stat -c %d "$work")" ]; then
				echo "PostgreSQL cannot reach the disk of the project"
				return
			fi
		fi
	fi
	socket=$(mktemp -d) # a path that is short enough
	[ -z "$as" ] || chown "$as" "$socket"
	log=$work/postgres.log
	( # where any user may be
		cd / &&
		as_owner "$bin/initdb" -D "$cluster/data" -U bench -A trust --no-instructions &&
			as_owner "$bin/pg_ctl" -D "$cluster/data" -l "$cluster/log" -w -s \
				-o "-c listen_addresses= -c unix_socket_directories=$socket -c synchronous_commit=on -c fsync=on -c max_wal_size=4GB" start &&
			"$bin/psql" -q -h "$socket" -U bench -d postgres -v ON_ERROR_STOP=1 -f "$work/schema.sql" &&
			"$bin/pgbench" -h "$socket" -U bench -d postgres -n -M prepared -c 64 -j 2 -T "$seconds" -f "$work/insert.sql"
	) >"$log" 2>&1 || true
	rate=$(sed -n 's/^tps = \([0-9.]*\).*/\1/p' "$log")
	stop_postgres
	rm -rf "$socket"
	if [ -z "$rate" ]; then echo "PostgreSQL failed: $(tail -n 1 "$log")"; else echo "$rate"; fi
}

go build -o "$work/bench" ./ops/bench
step seed
failed=
for s in disk journal verify views analytics; do step "$s" || failed="$failed $s"; done
step postgres-script
postgres >"$work/postgres.rate" # not in a subshell, so that clean knows of the cluster
step "postgres.rate=$(cat "$work/postgres.rate")"
step serve || failed="$failed serve"
step table
[ -z "$failed" ] || { echo "these steps failed:$failed" >&2; exit 1; }
