#!/bin/sh
# fetch.sh [DIRECTORY]: puts the pinned ClickHouse engine (libchdb.so) into DIRECTORY, by default .cache/chdb of the
# repository. The package comes from npm's configured registry; it is used only when its SHA-256 and that of the library
# in it are those in the file checksums beside this script. Run again, it does nothing.
set -eu

version=26.7.3-stable.1
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
cache=${1:-$here/../../.cache/chdb}

say() { printf 'engine: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

case "$(uname -s)/$(uname -m)" in
Linux/x86_64) platform=linux-x64-gnu ;;
Linux/aarch64 | Linux/arm64) platform=linux-arm64-gnu ;;
Darwin/arm64) platform=darwin-arm64 ;;
Darwin/x86_64) platform=darwin-x64 ;;
*) fail "there is no engine for $(uname -s) on $(uname -m); use a ClickHouse server by connection string" ;;
esac
name=chdb-lib-$platform-$version

# pinned FILE: the SHA-256 it must have.
pinned() {
	awk -v f="$1" '$2 == f { print $1; found = 1 } END { exit !found }' "$here/checksums" ||
		fail "no SHA-256 is pinned for $1 in ops/engine/checksums; use a ClickHouse server by connection string, or pin it"
}

sha256() {
	if command -v sha256sum >/dev/null 2>&1; then
		sha256sum "$1"
	else
		shasum -a 256 "$1"
	fi | cut -d ' ' -f 1
}

# check FILE WANTED
check() {
	got=$(sha256 "$1")
	[ "$got" = "$2" ] || fail "SHA-256 of $(basename "$1") is $got, but $2 is pinned: it is not used"
}

want_package=$(pinned "$name.tgz")
want_library=$(pinned "$name/libchdb.so")

# The stamp is written after the check and names what was checked; a library changed since is newer than it.
stamp=$cache/checked
if [ -f "$cache/libchdb.so" ] && [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$want_library" ] &&
	[ -z "$(find "$cache/libchdb.so" -newer "$stamp")" ]; then
	say "$version is there"
	exit 0
fi

command -v npm >/dev/null 2>&1 ||
	fail "npm is needed to fetch @chdb/lib-$platform and is not installed; install npm, or set CHDB_LIB_PATH to a libchdb.so"

mkdir -p "$cache"
cache=$(cd "$cache" && pwd)
work=$(mktemp -d "$cache/fetch.XXXXXX") # in the same file system, so that the last step is one rename
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

say "fetching @chdb/lib-$platform $version (about 180 MB) …"
npm pack --silent --pack-destination "$work" "@chdb/lib-$platform@$version" >/dev/null ||
	fail "npm could not fetch @chdb/lib-$platform $version"
check "$work/$name.tgz" "$want_package"
say "unpacking (about 570 MB) …"
tar -xzf "$work/$name.tgz" -C "$work" package/libchdb.so
check "$work/package/libchdb.so" "$want_library"
touch "$work/package/libchdb.so"
mv -f "$work/package/libchdb.so" "$cache/libchdb.so"
printf '%s\n' "$want_library" >"$stamp"
say "$version is in $cache"
