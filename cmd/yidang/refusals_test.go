package main

import (
	"os"
	"path/filepath"
	"testing"
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
