package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// stopping ends a context once a word was written to it.
type stopping struct {
	io.Writer
	at   string
	stop context.CancelFunc
}

func (s stopping) Write(p []byte) (int, error) {
	n, err := s.Writer.Write(p)
	if bytes.Contains(p, []byte(s.at)) {
		s.stop()
	}
	return n, err
}

// Ensure that a demo whose filling was interrupted is neither served nor taken for a full one, that the error says what to
// do, that the passwords that were set are known by then, and that the remedy helps.
func TestInterruptedDemo(t *testing.T) {
	for _, step := range []string{"a township", "a roster", "months of visits"} {
		t.Run(step, func(t *testing.T) {
			data := filepath.Join(t.TempDir(), "data")
			environ := []string{"YIDANG_DATA=" + data, "YIDANG_ANALYTICS_OFF=true", "YIDANG_LISTEN=127.0.0.1:0"}
			ctx, cancel := context.WithCancel(t.Context())
			var log buffer
			if status := runCommand(ctx, []string{"demo", "--months", "1", "--people", "5"}, environ, io.Discard, stopping{&log, step, cancel}); status == 0 {
				t.Fatalf("it was not interrupted: %s", &log)
			}
			raw, err := os.ReadFile(filepath.Join(data, "demo-accounts.txt"))
			if step != "a township" && (err != nil || !strings.Contains(string(raw), "cadre1")) {
				t.Errorf("the passwords: %q %v", raw, err)
			}
			for _, args := range [][]string{{"serve"}, {"serve", "--demo"}, {"demo"}} {
				var out buffer
				ctx, cancel := context.WithCancel(t.Context())
				if status := runCommand(ctx, args, environ, stopping{io.Discard, "is at", cancel}, &out); status != 1 || !strings.Contains(out.String(), "remove "+data) {
					t.Errorf("yidang %s: status %d, %s", strings.Join(args, " "), status, &out)
				}
				cancel()
			}
			if err := os.RemoveAll(data); err != nil {
				t.Fatal(err)
			}
			ctx, cancel = context.WithCancel(t.Context())
			defer cancel()
			args := []string{"demo", "--months", "1", "--people", "5"}
			if status := runCommand(ctx, args, environ, io.Discard, &log); status != 0 {
				t.Fatalf("once more: status %d, %s", status, &log)
			}
			if status := runCommand(ctx, []string{"serve"}, environ, stopping{io.Discard, "is at", cancel}, &log); status != 0 {
				t.Errorf("a full demo is not served: status %d, %s", status, &log)
			}
		})
	}
}
