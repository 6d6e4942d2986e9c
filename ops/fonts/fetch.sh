#!/bin/sh
# fetch.sh [DIRECTORY]: puts the pinned font for printed dossiers (NotoSansSC-Regular.ttf, SIL Open Font License) into
# DIRECTORY, by default .cache/fonts of the repository. The package comes from npm's configured registry; it is used only
# when its SHA-256 and that of the font in it are those in the file checksums beside this script. Run again, it does
# nothing. Without the font dossiers have no PDF, and say so; everything else is the same.
set -eu

package=@expo-google-fonts/noto-sans-sc
version=0.4.3
file=NotoSansSC-Regular.ttf
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
cache=${1:-$here/../../.cache/fonts}

say() { printf 'fonts: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

# pinned FILE: the SHA-256 it must have.
pinned() {
	awk -v f="$1" '$2 == f { print $1; found = 1 } END { exit !found }' "$here/checksums" ||
		fail "no SHA-256 is pinned for $1 in ops/fonts/checksums"
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

name=expo-google-fonts-noto-sans-sc-$version.tgz
want_package=$(pinned "$name")
want_font=$(pinned "$file")

if [ -f "$cache/$file" ] && [ "$(sha256 "$cache/$file")" = "$want_font" ]; then
	say "$file is there"
	exit 0
fi

command -v npm >/dev/null 2>&1 ||
	fail "npm is needed to fetch $package and is not installed; install npm, or name a TrueType font with Chinese characters in the configuration"

mkdir -p "$cache"
cache=$(cd "$cache" && pwd)
work=$(mktemp -d "$cache/fetch.XXXXXX") # in the same file system, so that the last step is one rename
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

say "fetching $package $version (about 57 MB) …"
npm pack --silent --pack-destination "$work" "$package@$version" >/dev/null || fail "npm could not fetch $package $version"
check "$work/$name" "$want_package"
tar -xzf "$work/$name" -C "$work" package/400Regular/NotoSansSC_400Regular.ttf package/LICENSE_FONT
check "$work/package/400Regular/NotoSansSC_400Regular.ttf" "$want_font"
mv -f "$work/package/LICENSE_FONT" "$cache/LICENSE_FONT"
mv -f "$work/package/400Regular/NotoSansSC_400Regular.ttf" "$cache/$file"
say "$file is in $cache"
