package vault

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/ncruces/go-sqlite3"
	"pgregory.net/rapid"

	"yidang/domain/record"
	"yidang/domain/vault/internal/sqlitefile"
)

const stream = "drugs-5f0c3d5e-8f7a-4a51-9a3c-2a1d8a0e7b11"

func openTest(t testing.TB, dir string) *Vault {
	t.Helper()
	v, err := Open(t.Context(), testOptions(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := v.Close(); err != nil {
			t.Error(err)
		}
	})
	return v
}

func testOptions(t testing.TB, dir string) Options {
	t.Helper()
	w, err := KeyFile(filepath.Join(dir, "kek"))
	if err != nil {
		t.Fatal(err)
	}
	return Options{Path: filepath.Join(dir, "vault.db"), Wrapper: w}
}

func mustSeal(t testing.TB, v *Vault, stream, plaintext, aad string) []byte {
	t.Helper()
	sealed, err := v.Seal(t.Context(), stream, []byte(plaintext), []byte(aad))
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

// wantKind fails unless err is of the kind.
func wantKind(t testing.TB, err error, kind record.Kind) {
	t.Helper()
	if got := record.KindOf(err); err == nil || got != kind {
		t.Fatalf("got error %v of kind %q, want kind %q", err, got, kind)
	}
}

// Ensure that what was sealed opens again after the vault was closed and reopened, and under nothing but its own AAD.
func TestSealOpen(t *testing.T) {
	dir := t.TempDir()
	v := openTest(t, dir)
	sealed := mustSeal(t, v, stream, "尿检阴性", "aad")
	if sealed[0] != 1 {
		t.Fatalf("form byte is %d", sealed[0])
	}
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	v = openTest(t, dir)
	got, err := v.Open(t.Context(), stream, sealed, []byte("aad"))
	if err != nil || string(got) != "尿检阴性" {
		t.Fatalf("got %q, %v", got, err)
	}
	_, err = v.Open(t.Context(), stream, sealed, []byte("another"))
	wantKind(t, err, record.Invalid)
	_, err = v.Open(t.Context(), "drugs-never", sealed, []byte("aad"))
	wantKind(t, err, record.NotFound)
}

// Ensure that open after seal is the identity, and that any flipped bit, cut, other AAD or other stream is an error.
func TestSealProperties(t *testing.T) {
	v := openTest(t, t.TempDir())
	ctx := context.Background()
	rapid.Check(t, func(t *rapid.T) {
		a := rapid.SampledFrom([]string{"person-a", "person-b", "drugs-c"}).Draw(t, "stream")
		plaintext := rapid.SliceOf(rapid.Byte()).Draw(t, "plaintext")
		aad := rapid.SliceOf(rapid.Byte()).Draw(t, "aad")
		sealed, err := v.Seal(ctx, a, plaintext, aad)
		if err != nil {
			t.Fatal(err)
		}
		got, err := v.Open(ctx, a, sealed, aad)
		if err != nil || !bytes.Equal(got, plaintext) {
			t.Fatalf("got %x, %v", got, err)
		}
		bad := bytes.Clone(sealed)
		bit := rapid.IntRange(0, len(bad)*8-1).Draw(t, "bit")
		bad[bit/8] ^= 1 << (bit % 8)
		cut := sealed[:rapid.IntRange(0, len(sealed)-1).Draw(t, "cut")]
		other := map[string]string{"person-a": "person-b", "person-b": "drugs-c", "drugs-c": "person-a"}[a]
		if err := v.Ensure(ctx, other); err != nil {
			t.Fatal(err)
		}
		for what, err := range map[string]error{
			"bit":    second(v.Open(ctx, a, bad, aad)),
			"cut":    second(v.Open(ctx, a, cut, aad)),
			"aad":    second(v.Open(ctx, a, sealed, append(bytes.Clone(aad), 0))),
			"stream": second(v.Open(ctx, other, sealed, aad)),
		} {
			if !errors.Is(err, ErrAltered) {
				t.Fatalf("%s: got %v", what, err)
			}
		}
	})
}

func second[T any](_ T, err error) error { return err }

func FuzzOpen(f *testing.F) {
	v := openTest(f, f.TempDir())
	sealed := mustSeal(f, v, stream, "content", "aad")
	f.Add(sealed, []byte("aad"))
	f.Add(sealed[:33], []byte("aad"))
	f.Add([]byte{1, 0, 0, 0, 1}, []byte(nil))
	f.Fuzz(func(t *testing.T, sealed, aad []byte) {
		got, err := v.Open(t.Context(), stream, sealed, aad)
		if err == nil && string(got) != "content" {
			t.Fatalf("opened %x to %q", sealed, got)
		}
		if err != nil && !errors.Is(err, ErrAltered) {
			t.Fatal(err)
		}
	})
}

// Ensure that a destroyed key answers Erased to everything, now and after reopening, that its time and reason stay, that
// other streams go on, and that its bytes are in no file of the vault.
func TestDestroy(t *testing.T) {
	dir := t.TempDir()
	v := openTest(t, dir)
	const streams = 2000 // many pages, so that rows would have moved if SQLite ever moved them
	names := make([]string, streams)
	for i := range names {
		names[i] = fmt.Sprintf("person-%04d", i)
	}
	if err := v.Ensure(t.Context(), names...); err != nil {
		t.Fatal(err)
	}
	var gone [][]byte
	sealed := mustSeal(t, v, names[100], "x", "")
	for i := 0; i < streams; i += 100 {
		wrapped, err := v.writer.readKey(names[i])
		if err != nil {
			t.Fatal(err)
		}
		gone = append(gone, wrapped)
		if countInFiles(t, dir, wrapped) == 0 {
			t.Fatal("the wrapped key is not in the files before it is destroyed: the search proves nothing")
		}
		// Rows added in between give SQLite every occasion to rebalance pages.
		mustSeal(t, v, fmt.Sprintf("person-late-%04d", i), "y", "")
		for range 2 { // the second time changes nothing
			if err := v.Destroy(t.Context(), names[i], "S-16"); err != nil {
				t.Fatal(err)
			}
		}
	}
	for reopened := range 2 {
		for i, wrapped := range gone {
			if countInFiles(t, dir, wrapped) != 0 {
				t.Fatalf("key %d is still in a file", i)
			}
		}
		_, err := v.Open(t.Context(), names[100], sealed, nil)
		if !errors.Is(err, ErrErased) || !v.Erased(names[100]) || v.Erased(names[101]) {
			t.Fatalf("open gives %v", err)
		}
		_, err = v.Seal(t.Context(), names[100], []byte("again"), nil)
		wantKind(t, err, record.Erased)
		wantKind(t, v.Ensure(t.Context(), "person-new", names[100]), record.Erased)
		// A request that waited for the writer while the stream was being erased.
		late := &job{ctx: t.Context(), ensure: []string{"person-new", names[100]}, done: make(chan error, 1)}
		wantKind(t, v.submit(t.Context(), late), record.Erased)
		mustSeal(t, v, names[101], "goes on", "")
		if reopened == 0 {
			if err := v.Close(); err != nil {
				t.Fatal(err)
			}
			v = openTest(t, dir)
		}
	}
	_, err := v.key(t.Context(), "person-new")
	wantKind(t, err, record.NotFound)
	wantKind(t, v.Destroy(t.Context(), "person-typo", "S-16"), record.NotFound)
	at, reason := int64(0), ""
	err = sqlitefile.Query(v.writer.Conn, `SELECT at, reason FROM erased WHERE stream = 'person-0100'`, func(s *sqlite3.Stmt) {
		at, reason = s.ColumnInt64(0), s.ColumnText(1)
	})
	if err != nil || at == 0 || reason != "S-16" {
		t.Fatalf("tombstone has %d, %q, %v", at, reason, err)
	}
}

// Ensure that many callers who want the same and different keys at once all get keys, one per stream.
func TestEnsureConcurrently(t *testing.T) {
	dir := t.TempDir()
	v := openTest(t, dir)
	var wg sync.WaitGroup
	sealed := make([][]byte, 64)
	for i := range sealed {
		wg.Go(func() {
			var err error
			if sealed[i], err = v.Seal(t.Context(), fmt.Sprintf("person-%d", i%8), []byte("x"), nil); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	v.Close()
	v = openTest(t, dir)
	for i := range sealed {
		if _, err := v.Open(t.Context(), fmt.Sprintf("person-%d", i%8), sealed[i], nil); err != nil {
			t.Fatal(err)
		}
	}
}

// Ensure that a key read from the file while its stream is being destroyed does not stay usable in the cache.
func TestDestroyAgainstReaders(t *testing.T) {
	v := openTest(t, t.TempDir())
	for round := range 50 {
		name := fmt.Sprintf("person-%d", round)
		sealed := mustSeal(t, v, name, "x", "")
		v.cache.remove(name)
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				if _, err := v.Open(context.Background(), name, sealed, nil); err != nil && !errors.Is(err, ErrErased) {
					t.Error(err)
				}
			})
		}
		if err := v.Destroy(t.Context(), name, "S-16"); err != nil {
			t.Fatal(err)
		}
		_, err := v.Open(t.Context(), name, sealed, nil)
		wantKind(t, err, record.Erased)
		wg.Wait()
		_, err = v.Open(t.Context(), name, sealed, nil)
		wantKind(t, err, record.Erased)
	}
}

// Ensure that a cache smaller than the number of streams only costs time.
func TestSmallCache(t *testing.T) {
	o := testOptions(t, t.TempDir())
	o.CacheKeys = 1
	v, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	sealed := map[string][]byte{}
	for i := range 100 {
		name := fmt.Sprintf("person-%d", i)
		sealed[name] = mustSeal(t, v, name, name, "")
	}
	for name, s := range sealed {
		if got, err := v.Open(t.Context(), name, s, nil); err != nil || string(got) != name {
			t.Fatalf("got %q, %v", got, err)
		}
	}
}

// Ensure that after Rewrap the old key file opens nothing, and that content, secrets and erasures are as they were.
func TestRewrap(t *testing.T) {
	dir := t.TempDir()
	v := openTest(t, dir)
	sealed := mustSeal(t, v, stream, "content", "")
	mustSeal(t, v, "person-gone", "content", "")
	if err := v.Destroy(t.Context(), "person-gone", "S-16"); err != nil {
		t.Fatal(err)
	}
	wrapped, err := v.writer.readKey(stream)
	if err != nil {
		t.Fatal(err)
	}
	mac, secret := v.MAC("test", []byte("x")), v.Secret("test")
	w, err := KeyFile(filepath.Join(dir, "kek2"))
	if err != nil {
		t.Fatal(err)
	}
	if err := v.Rewrap(t.Context(), w); err != nil {
		t.Fatal(err)
	}
	if countInFiles(t, dir, wrapped) != 0 {
		t.Fatal("a key under the old root is still in a file")
	}
	check := func() {
		t.Helper()
		v.cache.remove(stream)
		if got, err := v.Open(t.Context(), stream, sealed, nil); err != nil || string(got) != "content" {
			t.Fatalf("got %q, %v", got, err)
		}
		if !bytes.Equal(mac, v.MAC("test", []byte("x"))) || !bytes.Equal(secret, v.Secret("test")) {
			t.Fatal("derived secrets changed")
		}
		if !v.Erased("person-gone") {
			t.Fatal("an erased stream came back")
		}
		mustSeal(t, v, "person-later", "x", "")
	}
	check()
	v.Close()
	_, err = Open(t.Context(), testOptions(t, dir))
	wantKind(t, err, record.Invalid)
	if !strings.Contains(err.Error(), "keyfile:") {
		t.Fatalf("the error does not name the wrapper: %v", err)
	}
	o := testOptions(t, dir)
	o.Wrapper = w
	if v, err = Open(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	check()
}

// downWrapper is a KMS that can be switched off.
type downWrapper struct {
	Wrapper
	down bool
}

var errDown = errors.New("kms: connection refused")

func (d *downWrapper) Wrap(ctx context.Context, key, aad []byte) ([]byte, error) {
	if d.down {
		return nil, errDown
	}
	return d.Wrapper.Wrap(ctx, key, aad)
}

func (d *downWrapper) Unwrap(ctx context.Context, wrapped, aad []byte) ([]byte, error) {
	if d.down {
		return nil, errDown
	}
	return d.Wrapper.Unwrap(ctx, wrapped, aad)
}

// Ensure that an absent KMS stops opening and rewrapping, in plain words and without harm, and nothing else.
func TestWrapperDown(t *testing.T) {
	o := testOptions(t, t.TempDir())
	w := &downWrapper{Wrapper: o.Wrapper}
	o.Wrapper = w
	v, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	w.down = true
	sealed := mustSeal(t, v, stream, "x", "")
	for range 2 {
		if err := v.Rewrap(t.Context(), w); !errors.Is(err, errDown) || record.KindOf(err) != record.Unavailable {
			t.Fatalf("got %v", err)
		}
		mustSeal(t, v, "person-later", "x", "")
	}
	v.Close()
	if _, err = Open(t.Context(), o); !errors.Is(err, errDown) || record.KindOf(err) != record.Unavailable {
		t.Fatalf("got %v", err)
	}
	w.down = false
	if v, err = Open(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	if _, err := v.Open(t.Context(), stream, sealed, nil); err != nil {
		t.Fatal(err)
	}
}

// Ensure that MAC distinguishes lists of parts that read the same when joined, and purposes, and vaults.
func TestMAC(t *testing.T) {
	v, other := openTest(t, t.TempDir()), openTest(t, t.TempDir())
	b := func(s string) []byte { return []byte(s) }
	macs := map[string]string{}
	for name, mac := range map[string][]byte{
		"ab":            v.MAC("citizenid", b("ab")),
		"a|b":           v.MAC("citizenid", b("a"), b("b")),
		"ab|":           v.MAC("citizenid", b("ab"), nil),
		"|ab":           v.MAC("citizenid", nil, b("ab")),
		"none":          v.MAC("citizenid"),
		"empty":         v.MAC("citizenid", nil),
		"purpose":       v.MAC("pseudonym", b("ab")),
		"secret":        v.Secret("citizenid"),
		"secret2":       v.Secret("session"),
		"another vault": other.MAC("citizenid", b("ab")),
	} {
		if len(mac) != 32 {
			t.Fatalf("%s has %d bytes", name, len(mac))
		}
		if before, ok := macs[string(mac)]; ok {
			t.Fatalf("%s equals %s", name, before)
		}
		macs[string(mac)] = name
	}
	v.Secret("session")[0] ^= 1
	if _, ok := macs[string(v.Secret("session"))]; !ok {
		t.Fatal("a caller can change the vault's secret")
	}
}

// Ensure that no plaintext, stream key, root or master secret lies in any file of the vault's directory.
func TestCanaries(t *testing.T) {
	dir := t.TempDir()
	v := openTest(t, dir)
	mustSeal(t, v, stream, "canary 999999199001011234", "canary-aad")
	for what, secret := range map[string][]byte{
		"plaintext": []byte("999999199001011234"),
		"aad":       []byte("canary-aad"),
		"master":    v.master,
		"secret":    v.Secret("session"),
		"stream key": func() []byte {
			wrapped, err := v.writer.readKey(stream)
			if err != nil {
				t.Fatal(err)
			}
			raw, err := v.root.Decrypt(wrapped, keyAAD(stream))
			if err != nil {
				t.Fatal(err)
			}
			return raw
		}(),
	} {
		if countInFiles(t, dir, secret) != 0 {
			t.Errorf("%s found in a file", what)
		}
	}
}

// Ensure that a second opener is refused, and that a closed vault says so.
func TestOneAtATime(t *testing.T) {
	dir := t.TempDir()
	v := openTest(t, dir)
	_, err := Open(t.Context(), testOptions(t, dir))
	wantKind(t, err, record.Unavailable)
	v.Close()
	_, err = v.Seal(t.Context(), stream, nil, nil)
	wantKind(t, err, record.Unavailable)
	wantKind(t, v.Ensure(t.Context(), stream), record.Unavailable)
	wantKind(t, v.Destroy(t.Context(), stream, ""), record.Unavailable)
	openTest(t, dir)
}

// Ensure that the key file is made with mode 0600, kept, and refused when others may read it or when it is damaged.
func TestKeyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kek")
	var ids [8]string
	var wg sync.WaitGroup
	for i := range ids { // all at once: one makes the file, all use it
		wg.Go(func() {
			w, err := KeyFile(path)
			if err != nil {
				t.Error(err)
				return
			}
			ids[i] = w.ID()
		})
	}
	wg.Wait()
	for _, id := range ids {
		if id != ids[0] || id == "" {
			t.Fatalf("ids differ: %v", ids)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v, %v", info.Mode(), err)
	}
	if entries, _ := os.ReadDir(filepath.Dir(path)); len(entries) != 1 {
		t.Fatalf("%d files were left", len(entries))
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	_, err := KeyFile(path)
	var p *record.Problem
	if !errors.As(err, &p) || p.Kind != record.Refused || p.Remedy != "chmod 600 "+path {
		t.Fatalf("got %v", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("yidang-key-1 AAAA\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = KeyFile(path)
	wantKind(t, err, record.Invalid)
}

// countInFiles counts the files under dir that contain the bytes.
func countInFiles(t testing.TB, dir string, want []byte) int {
	t.Helper()
	n := 0
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if bytes.Contains(content, want) {
			n++
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}
