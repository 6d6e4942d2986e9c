package main

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Ensure that what is refused because a server has the record has removed nothing under that server.
func TestRebuildWhileServing(t *testing.T) {
	w := newTown(t)
	w.environ = append(w.environ, "YIDANG_ANALYTICS_OFF=true")
	w.run("officer", "create", "--login", "admin", "--name", "钱管理", "--sex", "1", "--role", "administrator", "--township", "示范镇")
	_, stop := w.serve()
	defer stop()
	index := filepath.Join(w.data, "projections", "oversight.db")
	before, err := os.Stat(index)
	if err != nil {
		t.Fatal(err)
	}
	w.refuses("in use", "rebuild")
	w.refuses("in use", "rebuild", "--oversight")
	if after, err := os.Stat(index); err != nil || !os.SameFile(before, after) {
		t.Errorf("the index of the running server is gone: %v", err)
	}
}

// Ensure that a mistyped data folder is said to hold no record, and not filled with a new one that has a new key.
func TestCommandsBeginNoRecord(t *testing.T) {
	w := newTown(t)
	for _, args := range [][]string{
		{"rebuild"}, {"journal", "--listen", "127.0.0.1:0", "--insecure"}, {"officer", "reset", "--login", "admin"},
		{"officer", "grant", "--login", "admin", "--role", "inspector", "--unit", "示范镇"}, {"import", "--as", "zhou.min", rosters + "drugs-2026q3.xlsx"},
	} {
		if args[0] == "journal" { // it would serve until it is stopped
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			var log buffer
			if status := runCommand(ctx, args, w.environ, io.Discard, &log); status != 1 || !strings.Contains(log.String(), "no journal here") {
				t.Errorf("yidang journal: status %d, %s", status, &log)
			}
		} else {
			w.refuses("no record here", args...)
		}
		if _, err := os.Stat(w.data); !errors.Is(err, fs.ErrNotExist) {
			t.Fatalf("yidang %v made %s: %v", args, w.data, err)
		}
	}
}

// Ensure that an account that cannot be made whole is not begun: the same command, mended, works.
func TestOfficerCreateIsWhole(t *testing.T) {
	w := newTown(t)
	w.environ = append(w.environ, "YIDANG_ANALYTICS_OFF=true")
	create := func(login, role string, unit ...string) []string {
		return append([]string{"officer", "create", "--login", login, "--name", "钱管理", "--sex", "1", "--role", role}, unit...)
	}
	w.refuses("login", create("管理", "administrator", "--township", "示范镇")...)
	w.refuses("no such role", create("admin", "king", "--township", "示范镇")...)
	w.run(create("admin", "administrator", "--township", "示范镇")...)
	w.refuses("no such role", create("second", "king", "--unit", "示范镇")...)
	w.run(create("second", "inspector", "--unit", "示范镇")...)
}
