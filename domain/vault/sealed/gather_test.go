package sealed

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// Ensure that what Write returned from is in the files: a copy of them, as kill -9 would leave them, has every transaction
// and none of what was rolled back. Transactions that outgrow the page cache and the gathered piece are among both.
func TestGatheredLogIsWhole(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "view.db")
	d := openTest(t, path, Options{Readers: 1, WriterCache: 40, CheckpointPages: 1 << 20})
	defer d.Close()
	undone := errors.New("undone")
	want := 0
	for i, n := range []int{10, 1, 3000, 1, 1, 700, 5} {
		if err := fill(d, want, n); err != nil {
			t.Fatal(err)
		}
		want += n
		err := d.Write(t.Context(), func(c *Conn) error {
			for range 200 * i {
				if err := exec1(c, `INSERT INTO t (name, body) VALUES (?, hex(randomblob(500)))`, canary); err != nil {
					return err
				}
			}
			return undone
		})
		if !errors.Is(err, undone) {
			t.Fatal(err)
		}
		mustCount(t, d, want)
		copied := filepath.Join(dir, fmt.Sprintf("copy%d.db", i))
		for _, suffix := range []string{"", "-wal"} {
			raw, err := os.ReadFile(path + suffix)
			if err == nil {
				err = os.WriteFile(copied+suffix, raw, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		again := openTest(t, copied, Options{Readers: 1})
		mustCount(t, again, want)
		if err := again.Read(t.Context(), func(c *Conn) error {
			s, err := c.Stmt(`PRAGMA integrity_check`)
			if err == nil && s.Step() && s.ColumnText(0) != "ok" {
				err = errors.New(s.ColumnText(0))
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if err := again.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
