package vault

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/util/vfsutil"
	"github.com/ncruces/go-sqlite3/vfs"

	"yidang/domain/record"
)

// faultVFS is the real file system until it is told to fail.
type faultVFS struct {
	vfs.VFS
	full    atomic.Bool // writes fail as on a full disk, after half of what they were to write
	noSync  atomic.Bool // fsync fails
	noTrunc atomic.Bool // the log cannot be emptied
}

func newFaultVFS(t *testing.T) (*faultVFS, string) {
	f := &faultVFS{VFS: vfs.Find("")}
	name := fmt.Sprintf("fault-%p", f)
	vfs.Register(name, f)
	t.Cleanup(func() { vfs.Unregister(name) })
	return f, name
}

func (f *faultVFS) OpenFilename(name *vfs.Filename, flags vfs.OpenFlag) (vfs.File, vfs.OpenFlag, error) {
	file, flags, err := vfsutil.WrapOpenFilename(f.VFS, name, flags)
	if err != nil {
		return file, flags, err
	}
	return &faultFile{File: file, f: f}, flags, nil
}

type faultFile struct {
	vfs.File
	f *faultVFS
}

func (f *faultFile) SharedMemory() vfs.SharedMemory { return vfsutil.WrapSharedMemory(f.File) }

func (f *faultFile) WriteAt(p []byte, off int64) (int, error) {
	if f.f.full.Load() {
		n, _ := f.File.WriteAt(p[:len(p)/2], off)
		return n, sqlite3.FULL
	}
	return f.File.WriteAt(p, off)
}

func (f *faultFile) Sync(flags vfs.SyncFlag) error {
	if f.f.noSync.Load() {
		return sqlite3.IOERR_FSYNC
	}
	return f.File.Sync(flags)
}

func (f *faultFile) Truncate(size int64) error {
	if f.f.noTrunc.Load() {
		return sqlite3.IOERR_TRUNCATE
	}
	return f.File.Truncate(size)
}

func openFaulty(t *testing.T) (*Vault, *faultVFS, Options) {
	t.Helper()
	o := testOptions(t, t.TempDir())
	var fault *faultVFS
	fault, o.vfs = newFaultVFS(t)
	v, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { v.Close() })
	return v, fault, o
}

// Ensure that a key that could not be written or synced is not acknowledged, that nothing is sealed with it, that keys
// made before go on, and that the vault works again once the disk does, without being reopened.
func TestDiskFaults(t *testing.T) {
	for what, set := range map[string]func(*faultVFS, bool){
		"full":    func(f *faultVFS, on bool) { f.full.Store(on) },
		"no sync": func(f *faultVFS, on bool) { f.noSync.Store(on) },
	} {
		v, fault, o := openFaulty(t)
		old := mustSeal(t, v, "person-old", "old", "")
		set(fault, true)
		for i := range 5 {
			_, err := v.Seal(t.Context(), fmt.Sprintf("person-%d", i), []byte("x"), nil)
			if record.KindOf(err) != record.Unavailable {
				t.Fatalf("%s: got %v", what, err)
			}
		}
		if err := v.Destroy(t.Context(), "person-old", "S-16"); record.KindOf(err) != record.Unavailable {
			t.Fatalf("%s: got %v", what, err)
		}
		if got, err := v.Open(t.Context(), "person-old", old, nil); err != nil || string(got) != "old" {
			t.Fatalf("%s: got %q, %v", what, got, err)
		}
		set(fault, false)
		sealed := mustSeal(t, v, "person-0", "new", "")
		if err := v.Close(); err != nil {
			t.Fatal(err)
		}
		o.vfs = ""
		v, err := Open(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		for stream, s := range map[string][]byte{"person-old": old, "person-0": sealed} {
			if _, err := v.Open(t.Context(), stream, s, nil); err != nil {
				t.Fatalf("%s: %s: %v", what, stream, err)
			}
		}
		v.Close()
	}
}

// Ensure that Destroy fails while the key's bytes are still in the log, that the key is unusable all the same, and that a
// repeat, or the next Open, finishes the work.
func TestDestroyUnfinished(t *testing.T) {
	for _, reopen := range []bool{false, true} {
		v, fault, o := openFaulty(t)
		mustSeal(t, v, stream, "x", "")
		wrapped, err := v.writer.readKey(stream)
		if err != nil {
			t.Fatal(err)
		}
		fault.noTrunc.Store(true)
		wantKind(t, v.Destroy(t.Context(), stream, "S-16"), record.Unavailable)
		_, err = v.Seal(t.Context(), stream, nil, nil)
		wantKind(t, err, record.Erased)
		dir := filepath.Dir(o.Path)
		if countInFiles(t, dir, wrapped) == 0 {
			t.Fatal("the key is gone already: the fault had no effect")
		}
		if reopen { // as after a crash: from a copy of the files, for closing would empty the log in the regular way
			o.Path = filepath.Join(t.TempDir(), "vault.db")
			for _, suffix := range []string{"", "-wal"} {
				b, err := os.ReadFile(filepath.Join(dir, "vault.db"+suffix))
				if err == nil {
					err = os.WriteFile(o.Path+suffix, b, 0o600)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			dir, o.vfs = filepath.Dir(o.Path), ""
			again, err := Open(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			defer again.Close()
			if !again.Erased(stream) {
				t.Fatal("the erasure was lost")
			}
		} else {
			fault.noTrunc.Store(false)
			if err := v.Destroy(t.Context(), stream, "S-16"); err != nil {
				t.Fatal(err)
			}
		}
		if countInFiles(t, dir, wrapped) != 0 {
			t.Fatal("the key is still in a file")
		}
	}
}

// Ensure that after kill -9 in the middle of concurrent Seals, every key that was acknowledged opens what it sealed, and
// every erasure that was acknowledged holds.
func TestKill(t *testing.T) {
	if dir := os.Getenv("VAULT_TEST_CHILD"); dir != "" {
		sealUntilKilled(t, dir, os.Getenv("VAULT_TEST_ROUND"))
	}
	dir := t.TempDir()
	sealed, destroyed := map[string][]byte{}, map[string]bool{}
	for round := range 5 {
		child := exec.Command(os.Args[0], "-test.run=^TestKill$")
		child.Env = append(os.Environ(), "VAULT_TEST_CHILD="+dir, fmt.Sprintf("VAULT_TEST_ROUND=%d", round))
		out, err := child.StdoutPipe()
		if err == nil {
			err = child.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		var seen bytes.Buffer
		buf := make([]byte, 4096)
		for want := 100 + 37*round; bytes.Count(seen.Bytes(), []byte("\n")) < want; {
			n, err := out.Read(buf)
			seen.Write(buf[:n])
			if err != nil {
				t.Fatalf("the child ended: %v\n%s", err, seen.String())
			}
		}
		child.Process.Kill()
		rest, _ := io.ReadAll(out)
		seen.Write(rest)
		child.Wait()
		for line := range strings.Lines(seen.String()) {
			var stream string
			var s []byte
			if strings.HasSuffix(line, ";\n") {
				if n, _ := fmt.Sscanf(line, "sealed %s %x;", &stream, &s); n == 2 {
					sealed[stream] = s
				} else if n, _ := fmt.Sscanf(line, "destroyed %s ;", &stream); n == 1 {
					destroyed[stream] = true
				}
			}
		}
		v := openTest(t, dir)
		for stream, s := range sealed {
			got, err := v.Open(t.Context(), stream, s, nil)
			switch {
			case destroyed[stream] && !errors.Is(err, ErrErased):
				t.Fatalf("%s came back: %v", stream, err)
			case err == nil && string(got) != stream, err != nil && !errors.Is(err, ErrErased):
				t.Fatalf("%s: got %q, %v", stream, got, err)
			case err != nil && !destroyed[stream] && !strings.HasSuffix(stream, "0"):
				t.Fatalf("%s: nobody destroyed it: %v", stream, err)
			}
		}
		v.Close()
	}
	if len(sealed) < 500 || len(destroyed) < 10 {
		t.Fatalf("only %d sealed and %d destroyed", len(sealed), len(destroyed))
	}
}

// sealUntilKilled reports each acknowledged Seal and Destroy in a line of its own, written at once.
func sealUntilKilled(t *testing.T, dir, round string) {
	v := openTest(t, dir)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := 0; ; i++ {
				stream := fmt.Sprintf("person-%s-%d-%d", round, g, i)
				sealed, err := v.Seal(context.Background(), stream, []byte(stream), nil)
				line := fmt.Sprintf("sealed %s %x;\n", stream, sealed)
				if err == nil && i%10 == 0 {
					err = v.Destroy(context.Background(), stream, "test")
					line += fmt.Sprintf("destroyed %s ;\n", stream)
				}
				if err == nil {
					_, err = syscall.Write(1, []byte(line))
				}
				if err != nil {
					fmt.Println(err)
					os.Exit(1)
				}
			}
		})
	}
	wg.Wait()
}
