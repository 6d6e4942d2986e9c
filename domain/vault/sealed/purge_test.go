package sealed

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/ncruces/go-sqlite3"

	"yidang/domain/vault/sealed/sealedtest"
)

// Ensure that what was deleted is in neither file any more after Purge, for whoever has the key: not in freed cells, not in
// freed pages, not in the log; that it waits for a reader and gives up on one that does not end; and that what is left works.
func TestPurge(t *testing.T) {
	path := filepath.Join(t.TempDir(), "view.db")
	d := openTest(t, path, Options{})
	defer d.Close()
	holds := func() (file, log bool) {
		t.Helper()
		f, l, err := sealedtest.Plain(path, testKey("key"))
		if err != nil {
			t.Fatal(err)
		}
		return bytes.Contains(f, []byte(canary)), bytes.Contains(l, []byte(canary))
	}
	if err := fill(d, 0, 500); err != nil {
		t.Fatal(err)
	}
	if err := d.Purge(t.Context()); err != nil {
		t.Fatal(err)
	}
	if file, log := holds(); !file || log {
		t.Fatalf("what is there: in the file %v, in the log %v", file, log)
	}
	// A row of a page that stays, whole pages, and a row that was written and deleted within the log.
	err := d.Write(t.Context(), func(c *Conn) error {
		return c.Exec(`UPDATE t SET name = 'x', body = 'x' WHERE id = 7; DELETE FROM t WHERE id > 7; DELETE FROM t WHERE id < 7`)
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := fill(d, 1000, 1); err != nil {
		t.Fatal(err)
	}
	if err := d.Write(t.Context(), func(c *Conn) error { return c.Exec(`DELETE FROM t WHERE id = 1000`) }); err != nil {
		t.Fatal(err)
	}
	if _, log := holds(); !log {
		t.Fatal("the log is empty before")
	}
	reading, read := make(chan struct{}), make(chan error)
	go func() {
		read <- d.Read(context.Background(), func(c *Conn) error {
			_, err := count(c, `SELECT count(*) FROM t`)
			close(reading)
			time.Sleep(300 * time.Millisecond)
			return err
		})
	}()
	<-reading
	soon, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := d.Purge(soon); !errors.Is(err, sqlite3.BUSY) && !errors.Is(err, sqlite3.INTERRUPT) {
		t.Errorf("while somebody reads: %v", err)
	}
	if err := d.Purge(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-read; err != nil {
		t.Fatal(err)
	}
	if file, log := holds(); file || log {
		t.Errorf("what was deleted: in the file %v, in the log %v", file, log)
	}
	mustCount(t, d, 1)
}
