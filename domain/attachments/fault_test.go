package attachments

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"yidang/domain/record"
)

// Ensure that a sender who breaks off leaves nothing, and neither does a bucket without room.
func TestFailures(t *testing.T) {
	f := open(t, t.TempDir(), Limits{})
	broken := errors.New("connection reset")
	for _, n := range []int{5, 5000, 2 * spoolInMemory} {
		_, err := f.Put(t.Context(), caseA, io.MultiReader(bytes.NewReader(report(10, n)), failing{broken}), Info{})
		if !errors.Is(err, broken) {
			t.Fatalf("got %v", err)
		}
	}
	f.limits.SpoolDir = filepath.Join(f.root, "no such directory")
	_, err := f.Put(t.Context(), caseA, bytes.NewReader(report(11, 2*spoolInMemory)), Info{})
	if record.KindOf(err) != record.Unavailable {
		t.Fatalf("got %v", err)
	}
	f.limits.SpoolDir = ""
	sp := newSpool("")
	if _, err := sp.fill(bytes.NewReader(report(11, 2*spoolInMemory))); err != nil {
		t.Fatal(err)
	}
	sp.close() // so that copying it fails halfway
	if err := f.write(t.Context(), "aa/bb", []byte("head"), sp); !errors.Is(err, os.ErrClosed) {
		t.Fatalf("got %v", err)
	}
	content := report(12, 5000)
	sum := sha256.Sum256(content)
	inTheWay := filepath.Join(f.files(), filepath.Dir(f.objectName(caseA, hex.EncodeToString(sum[:]))))
	if err := os.WriteFile(inTheWay, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = f.Put(t.Context(), caseA, bytes.NewReader(content), Info{})
	if record.KindOf(err) != record.Unavailable {
		t.Fatalf("got %v", err)
	}
	if err := os.Remove(inTheWay); err != nil {
		t.Fatal(err)
	}
	if left := objects(t, f.files()); len(left) != 0 {
		t.Fatalf("left: %v", left)
	}
	mustGet(t, f.Store, caseA, mustPut(t, f.Store, caseA, content), content)
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// Ensure that opening the store removes the temporary files of a crash, and only those that no put can still be writing.
func TestSweep(t *testing.T) {
	f := open(t, t.TempDir(), Limits{})
	ref := mustPut(t, f.Store, caseA, report(13, 100))
	dir := filepath.Dir(objects(t, f.files())[0])
	for name, age := range map[string]time.Duration{"old.1a2b.tmp": 25 * time.Hour, "young.1a2b.tmp": time.Hour} {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.WriteFile(path, []byte("x"), 0o600), os.Chtimes(path, time.Time{}, time.Now().Add(-age))); err != nil {
			t.Fatal(err)
		}
	}
	again, err := Open(t.Context(), "file://"+f.files(), f.vault, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	all := objects(t, f.files())
	if len(all) != 2 || !strings.HasSuffix(all[0]+all[1], "young.1a2b.tmp") {
		t.Fatalf("left: %v", all)
	}
	mustGet(t, again, caseA, ref, report(13, 100))
}

// Ensure that after kill -9 every acknowledged attachment is there and whole.
func TestKill(t *testing.T) {
	if root := os.Getenv("ATTACHMENTS_TEST_CHILD"); root != "" {
		f := open(t, root, Limits{})
		for i := 0; ; i++ {
			fmt.Println("put", mustPut(t, f.Store, caseA, report(uint64(i), 70_000)).SHA256)
		}
	}
	root := t.TempDir()
	acknowledged := 0
	for range 3 {
		child := exec.Command(os.Args[0], "-test.run=^TestKill$")
		child.Env = append(os.Environ(), "ATTACHMENTS_TEST_CHILD="+root)
		out, err := child.StdoutPipe()
		if err == nil {
			err = child.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		var seen bytes.Buffer
		buf := make([]byte, 4096)
		for bytes.Count(seen.Bytes(), []byte("\n")) < 20 {
			n, err := out.Read(buf)
			seen.Write(buf[:n])
			if err != nil {
				break
			}
		}
		child.Process.Kill()
		rest, _ := io.ReadAll(out)
		seen.Write(rest)
		child.Wait()
		f := open(t, root, Limits{})
		for line := range strings.Lines(seen.String()) {
			sha, ok := strings.CutPrefix(strings.TrimSpace(line), "put ")
			if !ok || len(sha) != 64 { // the line that was cut off
				continue
			}
			if content, _, err := get(f.Store, caseA, Ref{SHA256: sha}); err != nil || len(content) != 70_000 {
				t.Fatalf("%s: %d bytes, %v", sha, len(content), err)
			}
			acknowledged++
		}
		f.vault.Close()
	}
	if acknowledged < 60 {
		t.Fatalf("only %d were acknowledged", acknowledged)
	}
}

func BenchmarkPut(b *testing.B) {
	f := open(b, b.TempDir(), Limits{})
	content := report(1, 1<<20)
	b.SetBytes(int64(len(content)))
	for i := 0; b.Loop(); i++ {
		copy(content[100:], fmt.Sprint(i))
		mustPut(b, f.Store, caseA, content)
	}
}

func BenchmarkGet(b *testing.B) {
	f := open(b, b.TempDir(), Limits{})
	content := report(1, 1<<20)
	ref := mustPut(b, f.Store, caseA, content)
	b.SetBytes(int64(len(content)))
	for b.Loop() {
		if _, _, err := get(f.Store, caseA, ref); err != nil {
			b.Fatal(err)
		}
	}
}
