package attachments

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"yidang/domain/record"
	"yidang/domain/vault"
)

const (
	caseA = "drugs-5f0c3d5e-8f7a-4a51-9a3c-2a1d8a0e7b11"
	caseB = "drugs-0b7d6d0c-5a3e-4b0e-8a43-7d7a6f1f2c22"
)

type fixture struct {
	*Store
	vault *vault.Vault
	root  string // holds vault/ and files/
}

func (f fixture) files() string { return filepath.Join(f.root, "files") }

func open(t testing.TB, root string, limits Limits) fixture {
	t.Helper()
	return openURL(t, root, "file://"+filepath.Join(root, "files"), limits)
}

func openURL(t testing.TB, root, url string, limits Limits) fixture {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(root, "vault"), 0o700); err != nil {
		t.Fatal(err)
	}
	w, err := vault.KeyFile(filepath.Join(root, "kek"))
	if err != nil {
		t.Fatal(err)
	}
	v, err := vault.Open(t.Context(), vault.Options{Path: filepath.Join(root, "vault", "vault.db"), Wrapper: w})
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), url, v, limits)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(s.Close(), v.Close()); err != nil {
			t.Error(err)
		}
	})
	return fixture{Store: s, vault: v, root: root}
}

// report is a PDF as far as its type can be told, of the size given.
func report(seed uint64, size int) []byte {
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
	b := make([]byte, size)
	r.Read(b)
	copy(b, "%PDF-1.7\n")
	return b
}

func mustPut(t testing.TB, s *Store, stream string, content []byte) Ref {
	t.Helper()
	ref, err := s.Put(t.Context(), stream, bytes.NewReader(content), Info{Name: "检测报告.pdf", MediaType: "application/pdf"})
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

func get(s *Store, stream string, ref Ref) ([]byte, Ref, error) {
	r, got, err := s.Get(context.Background(), stream, ref)
	if err != nil {
		return nil, got, err
	}
	defer r.Close()
	content, err := io.ReadAll(r)
	return content, got, err
}

func mustGet(t testing.TB, s *Store, stream string, ref Ref, want []byte) {
	t.Helper()
	content, got, err := get(s, stream, ref)
	if err != nil || got != ref || !bytes.Equal(content, want) {
		t.Fatalf("got %d bytes as %+v, %v; want %d as %+v", len(content), got, err, len(want), ref)
	}
}

func objects(t testing.TB, dir string) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			all = append(all, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// Ensure that what was put is got again, byte for byte, at every size where segments or the spool change, also by a store
// opened anew.
func TestPutGet(t *testing.T) {
	root := t.TempDir()
	f := open(t, root, Limits{})
	refs, contents := map[int]Ref{}, map[int][]byte{}
	for _, size := range []int{9, 4000, segmentSize - 57, segmentSize - 56, segmentSize - 55, segmentSize, 2*segmentSize - 72,
		2 * segmentSize, spoolInMemory, 3*spoolInMemory + 7} {
		contents[size] = report(uint64(size), size)
		refs[size] = mustPut(t, f.Store, caseA, contents[size])
		sum := sha256.Sum256(contents[size])
		if want := (Ref{hex.EncodeToString(sum[:]), int64(size), "application/pdf"}); refs[size] != want {
			t.Fatalf("got %+v, want %+v", refs[size], want)
		}
	}
	again, err := Open(t.Context(), "file://"+f.files(), f.vault, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	for size, ref := range refs {
		mustGet(t, again, caseA, ref, contents[size])
	}
}

// Ensure that what a blob is can be told without its content, for its own case alone (S-3).
func TestStat(t *testing.T) {
	f := open(t, t.TempDir(), Limits{})
	ref := mustPut(t, f.Store, caseA, report(3, 9000))
	if got, err := f.Stat(t.Context(), caseA, ref.SHA256); err != nil || got != ref {
		t.Errorf("got %+v, %v; want %+v", got, err, ref)
	}
	if _, err := f.Stat(t.Context(), caseB, ref.SHA256); !errors.Is(err, ErrMissing) {
		t.Errorf("of another case: %v", err)
	}
	if err := f.vault.Destroy(t.Context(), caseA, "court-order"); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Stat(t.Context(), caseA, ref.SHA256); record.KindOf(err) != record.Erased {
		t.Errorf("of an erased case: %v", err)
	}
}

// film is an MP4 file of a brand as far as its type can be told.
func film(brand string) string {
	return "\x00\x00\x00\x18ftyp" + brand + "\x00\x00\x00\x00" + brand + "isom and so on"
}

// Ensure that a case stores the same bytes once, that another case's copy is another object under another name, and that
// no name tells the content's hash.
func TestOncePerCase(t *testing.T) {
	f := open(t, t.TempDir(), Limits{SpoolDir: t.TempDir()})
	t.Setenv("TMPDIR", "/nonexistent") // the bucket's temporary files must be on the bucket's file system
	content := report(1, 5000)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if _, err := f.Put(context.Background(), caseA, bytes.NewReader(content), Info{}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	ref := mustPut(t, f.Store, caseA, content)
	if n := len(objects(t, f.files())); n != 1 {
		t.Fatalf("%d objects for one content of one case", n)
	}
	if _, _, err := get(f.Store, caseB, ref); !errors.Is(err, ErrMissing) {
		t.Fatalf("another case got it: %v", err)
	}
	if other := mustPut(t, f.Store, caseB, content); other != ref {
		t.Fatalf("got %+v, want %+v", other, ref)
	}
	all := objects(t, f.files())
	if len(all) != 2 {
		t.Fatalf("%d objects for one content of two cases", len(all))
	}
	for _, path := range all {
		if strings.Contains(strings.ReplaceAll(path, "/", ""), ref.SHA256[:16]) {
			t.Errorf("%s tells the hash", path)
		}
	}
}

// Ensure that neither content, nor name, type or hash is legible in any file.
func TestCanaries(t *testing.T) {
	root := t.TempDir()
	f := open(t, root, Limits{})
	content := append(report(2, 100), bytes.Repeat([]byte("CANARY-999999199001011234"), 100)...)
	ref := mustPut(t, f.Store, caseA, content)
	for _, path := range objects(t, root) {
		stored, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, canary := range []string{"CANARY", "检测报告", "application/pdf", "%PDF", ref.SHA256} {
			if bytes.Contains(stored, []byte(canary)) {
				t.Errorf("%s contains %q", path, canary)
			}
		}
	}
}

// Ensure that any change to a stored blob ends in ErrAltered, after nothing but true content and without its end.
func TestAltered(t *testing.T) {
	f := open(t, t.TempDir(), Limits{})
	content := report(3, 3*segmentSize+100)
	ref := mustPut(t, f.Store, caseA, content)
	path := objects(t, f.files())[0]
	stored, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	check := func(t interface{ Fatalf(string, ...any) }, what string, bad []byte) {
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatalf("%v", err)
		}
		got, _, err := get(f.Store, caseA, ref)
		if !errors.Is(err, ErrAltered) || !bytes.HasPrefix(content, got) || len(got) == len(content) {
			t.Fatalf("%s: got %d bytes and %v", what, len(got), err)
		}
	}
	head := len(stored) - (len(content) + 40 + 4*16)
	for i := range 4 { // at the end of each segment: what is left are whole, true segments
		check(t, "cut", stored[:head+i*segmentSize])
	}
	check(t, "longer", append(bytes.Clone(stored), 0))
	check(t, "empty", nil)
	second, third := stored[head+segmentSize:head+2*segmentSize], stored[head+2*segmentSize:head+3*segmentSize]
	check(t, "swapped", bytes.Join([][]byte{stored[:head+segmentSize], third, second, stored[head+3*segmentSize:]}, nil))
	rapid.Check(t, func(t *rapid.T) {
		bad := bytes.Clone(stored)
		bit := rapid.IntRange(0, len(bad)*8-1).Draw(t, "bit")
		bad[bit/8] ^= 1 << (bit % 8)
		check(t, "bit", bad)
		check(t, "cut", stored[:rapid.IntRange(0, len(stored)-1).Draw(t, "cut")])
	})

	// The same bytes put again repair it.
	if got := mustPut(t, f.Store, caseA, content); got != ref {
		t.Fatalf("got %+v", got)
	}
	mustGet(t, f.Store, caseA, ref, content)
}

// Ensure that a blob moved to the place of another, of the same case or of another case, is not taken for it.
func TestMoved(t *testing.T) {
	f := open(t, t.TempDir(), Limits{})
	content := [3][]byte{report(4, 500), report(5, 500), report(4, 500)}
	ref, at := [3]Ref{}, [3]string{}
	for i, stream := range []string{caseA, caseA, caseB} {
		ref[i] = mustPut(t, f.Store, stream, content[i])
		at[i] = filepath.Join(f.files(), f.objectName(stream, ref[i].SHA256))
	}
	for _, to := range []int{1, 2} {
		b, err := os.ReadFile(at[0])
		if err == nil {
			err = os.WriteFile(at[to], b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for i, stream := range map[int]string{1: caseA, 2: caseB} {
		if got, _, err := get(f.Store, stream, ref[i]); !errors.Is(err, ErrAltered) || len(got) > 0 {
			t.Fatalf("%d: got %d bytes, %v", i, len(got), err)
		}
	}
}

// Ensure that a header which promises other content than there is, rightly sealed all the same, is found out.
func TestWrongPromise(t *testing.T) {
	f := open(t, t.TempDir(), Limits{})
	content := report(6, 2*segmentSize)
	sum := sha256.Sum256(content)
	right := Ref{hex.EncodeToString(sum[:]), int64(len(content)), "application/pdf"}
	for what, promise := range map[string]Ref{
		"hash": {strings.Repeat("ab", 32), right.Size, right.MediaType},
		"size": {right.SHA256, right.Size + 1, right.MediaType},
	} {
		sp := newSpool("")
		if _, err := sp.fill(bytes.NewReader(content)); err != nil {
			t.Fatal(err)
		}
		name := f.objectName(caseA, promise.SHA256)
		if err := f.vault.Ensure(t.Context(), caseA); err != nil {
			t.Fatal(err)
		}
		head, err := f.sealHeader(t.Context(), caseA, name, header{Ref: promise, Key: sp.key})
		if err == nil {
			err = f.write(t.Context(), name, head, sp)
		}
		if err != nil {
			t.Fatal(err)
		}
		if got, _, err := get(f.Store, caseA, promise); !errors.Is(err, ErrAltered) || len(got) == len(content) {
			t.Fatalf("%s: got %d bytes, %v", what, len(got), err)
		}
	}
}

// Ensure that once the case's key is destroyed nothing can be got or put, while other cases go on.
func TestErased(t *testing.T) {
	f := open(t, t.TempDir(), Limits{})
	content := report(7, 1000)
	ref := mustPut(t, f.Store, caseA, content)
	mustPut(t, f.Store, caseB, content)
	if err := f.vault.Destroy(t.Context(), caseA, "S-16"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := get(f.Store, caseA, ref); !errors.Is(err, vault.ErrErased) {
		t.Fatalf("got %v", err)
	}
	if _, err := f.Put(t.Context(), caseA, bytes.NewReader(content), Info{}); !errors.Is(err, vault.ErrErased) {
		t.Fatalf("got %v", err)
	}
	mustGet(t, f.Store, caseB, ref, content)
}

// Ensure that the blobs of an erased case are removed, again and again without harm, those of other cases stay, and nothing is
// removed while there is a key (S-16; PIPL 47).
func TestForget(t *testing.T) {
	f := open(t, t.TempDir(), Limits{})
	keep := mustPut(t, f.Store, caseB, report(8, 1000))
	mustPut(t, f.Store, caseA, report(8, 1000))
	mustPut(t, f.Store, caseA, report(9, 1000))
	if err := f.Forget(t.Context(), caseA); record.KindOf(err) != record.Refused || len(objects(t, f.files())) != 3 {
		t.Fatalf("while the key is there: %v", err)
	}
	if err := f.vault.Destroy(t.Context(), caseA, "S-16"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := f.Forget(t.Context(), caseA); err != nil {
			t.Fatal(err)
		}
		if left, err := os.ReadDir(f.files()); err != nil || len(left) != 1 || len(objects(t, f.files())) != 1 {
			t.Fatalf("left: %v, %v", left, err)
		}
	}
	mustGet(t, f.Store, caseB, keep, report(8, 1000))
}

// Ensure that size and type limits hold by the content, whatever the sender says, and that a refusal stores nothing.
func TestLimits(t *testing.T) {
	f := open(t, t.TempDir(), Limits{MaxBytes: 1000})
	png := "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
	for _, c := range []struct {
		content, mediaType, name string
		want                     error
		field                    string
	}{
		{"", "application/pdf", "", ErrEmpty, ""},
		{string(report(8, 1001)), "application/pdf", "", ErrTooLarge, ""},
		{png, "application/pdf", "", ErrMismatch, "mediaType"},
		{"MZ\x90\x00\x03\x00\x00\x00\x04\x00", "image/png", "", ErrMismatch, "mediaType"},
		{"MZ\x90\x00\x03\x00\x00\x00\x04\x00", "", "", ErrType, "mediaType"},
		{"<html><script>alert(1)</script></html>", "text/html", "", ErrType, "mediaType"},
		{"<html><script>alert(1)</script></html>", "text/plain", "", ErrMismatch, "mediaType"},
		{png, "image/", "", nil, "mediaType"},
		{film("mp42"), "application/pdf", "", ErrMismatch, "mediaType"},
		{film("M4B "), "", "", ErrType, "mediaType"}, // sound alone
		{film("avif"), "video/mp4", "", ErrMismatch, "mediaType"},
		{png, "image/png", strings.Repeat("x", 256), nil, "name"},
	} {
		_, err := f.Put(t.Context(), caseA, strings.NewReader(c.content), Info{Name: c.name, MediaType: c.mediaType})
		var p *record.Problem
		if !errors.As(err, &p) || p.Kind != record.Invalid || p.Field != c.field || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%.10q as %q: got %v", c.content, c.mediaType, err)
		}
	}
	if n := len(objects(t, f.files())); n != 0 {
		t.Fatalf("%d objects were stored", n)
	}
	docx := zipOf(t, "[Content_Types].xml", "_rels/.rels", "word/document.xml")
	_, err := f.Put(t.Context(), caseA, strings.NewReader(zipOf(t, "run.exe")), Info{MediaType: wordType})
	if !errors.Is(err, ErrMismatch) {
		t.Errorf("any zip passes for a document: %v", err)
	}
	for content, want := range map[string]string{docx: wordType, png: "image/png", film("mp42"): "video/mp4", film("isom"): "video/mp4", film("qt  "): "video/quicktime", film("3gp5"): "video/3gpp", "住址变更说明": "text/plain", string(report(9, 1000)): "application/pdf"} {
		for _, said := range []string{"", want, want + "; charset=utf-8"} {
			ref, err := f.Put(t.Context(), caseA, strings.NewReader(content), Info{MediaType: said})
			if err != nil || ref.MediaType != want {
				t.Errorf("%.10q as %q: got %+v, %v", content, said, ref, err)
			}
		}
	}
	if _, _, err := f.Get(t.Context(), caseA, Ref{SHA256: "../../etc/passwd"}); record.KindOf(err) != record.Invalid {
		t.Errorf("got %v", err)
	}
}

const wordType = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"

func zipOf(t *testing.T, names ...string) string {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, name := range names {
		if _, err := w.Create(name); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// Ensure that memory does not grow with the size of a blob: 64 MiB pass through with less than 8 MiB allocated in all.
func TestMemory(t *testing.T) {
	f := open(t, t.TempDir(), Limits{MaxBytes: 100 << 20})
	const size = 64 << 20
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	ref, err := f.Put(t.Context(), caseA, io.MultiReader(strings.NewReader("%PDF-1.7\n"), io.LimitReader(zeros{}, size)), Info{})
	if err != nil {
		t.Fatal(err)
	}
	r, _, err := f.Get(t.Context(), caseA, ref)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if n, err := io.Copy(io.Discard, r); err != nil || n != ref.Size {
		t.Fatalf("got %d, %v", n, err)
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 8<<20 {
		t.Fatalf("%d bytes allocated", n)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }
