package oversight

import (
	"bytes"
	"os"
	osexec "os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Ensure that a build that is killed again and again goes on where it was, and ends with the very content of one that was
// left alone.
func TestKilledBuild(t *testing.T) {
	const block = 300
	if dir := os.Getenv("YIDANG_TEST_BUILD"); dir != "" { // the process to kill
		w := openWorld(t, os.Getenv("YIDANG_TEST_WORLD"))
		o := w.options(dir)
		o.Block = block
		x := openTest(t, o)
		if err := build(t.Context(), x, w.journal, NewOpener(w.codec), 50); err != nil {
			t.Fatal(err)
		}
		if err := x.Close(); err != nil {
			t.Fatal(err)
		}
		return
	}
	w := openWorld(t, t.TempDir())
	w.fill(40, 4000)
	o := w.options(t.TempDir())
	o.Block = block
	whole := openTest(t, o)
	if err := build(t.Context(), whole, w.journal, NewOpener(w.codec), 0); err != nil {
		t.Fatal(err)
	}
	want := content(t, whole)
	if err := whole.Close(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	w.close() // the process opens the record itself
	kills := 0
	for try, patience := 0, 20*time.Millisecond; try < 200; try, patience = try+1, patience*12/10 {
		cmd := osexec.Command(os.Args[0], "-test.run", "^TestKilledBuild$", "-test.timeout", "60s")
		cmd.Env = append(os.Environ(), "YIDANG_TEST_BUILD="+dir, "YIDANG_TEST_WORLD="+w.dir)
		var out strings.Builder
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- cmd.Wait() }()
		select {
		case err := <-done:
			if err != nil {
				t.Fatalf("try %d: %v\n%s", try, err, out.String())
			}
		case <-time.After(patience):
			_ = cmd.Process.Signal(syscall.SIGKILL)
			<-done
			kills++
			continue
		}
		break
	}
	if kills == 0 {
		t.Error("it was never killed")
	}
	o.Path = filepath.Join(dir, "oversight.db")
	got := openTest(t, o)
	defer got.Close()
	wantSame(t, content(t, got), want)
}

// Ensure that a file that cannot serve is found out when it is opened, and makes way for a new one.
func TestUnusableFiles(t *testing.T) {
	w := openWorld(t, t.TempDir())
	w.fill(10, 300)
	fresh := func() Options {
		o := w.options(t.TempDir())
		x := openTest(t, o)
		if err := build(t.Context(), x, w.journal, NewOpener(w.codec), 0); err != nil {
			t.Fatal(err)
		}
		if err := x.Close(); err != nil {
			t.Fatal(err)
		}
		return o
	}
	for name, spoil := range map[string]func(o *Options) error{
		"another key":     func(o *Options) error { o.Key = bytes.Repeat([]byte{7}, 32); return nil },
		"another block":   func(o *Options) error { o.Block = 9; return nil },
		"no database":     func(o *Options) error { return os.WriteFile(o.Path, bytes.Repeat([]byte("x"), 8192), 0o600) },
		"a garbled file":  func(o *Options) error { return garble(o.Path) },
		"a shortened one": func(o *Options) error { return os.Truncate(o.Path, 5000) },
	} {
		t.Run(name, func(t *testing.T) {
			o := fresh()
			if err := spoil(&o); err != nil {
				t.Fatal(err)
			}
			x := openTest(t, o)
			defer x.Close()
			if at, started, err := x.Checkpoint(t.Context()); at != 0 || started || err != nil || x.Ready() {
				t.Fatalf("at %d, %v, ready %v: %v", at, started, x.Ready(), err)
			}
			if err := build(t.Context(), x, w.journal, NewOpener(w.codec), 0); err != nil {
				t.Fatal(err)
			}
			if all, _, err := x.Entries(t.Context(), Query{Paging: Paging{Limit: 1000}}); err != nil || len(all) < 200 {
				t.Errorf("%d entries: %v", len(all), err)
			}
		})
	}
	o := fresh()
	x := openTest(t, o)
	defer x.Close()
	if !x.Ready() {
		t.Error("a file that was whole is not ready when it is opened again")
	}
}

func garble(path string) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	for i := 4096; i < len(raw); i += 512 {
		raw[i] ^= 0x55
	}
	return os.WriteFile(path, raw, 0o600)
}
