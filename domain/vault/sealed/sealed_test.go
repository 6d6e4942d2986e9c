package sealed

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/ncruces/go-sqlite3"

	"yidang/domain/record"
)

func testKey(s string) []byte {
	sum := sha256.Sum256([]byte(s))
	return sum[:]
}

func openTest(t testing.TB, path string, o Options) *DB {
	t.Helper()
	d, err := Open(path, testKey("key"), o)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func exec1(c *Conn, sql string, args ...any) error {
	s, err := c.Stmt(sql)
	if err != nil {
		return err
	}
	for i, a := range args {
		switch a := a.(type) {
		case string:
			err = s.BindText(i+1, a)
		case int:
			err = s.BindInt(i+1, a)
		}
		if err != nil {
			return err
		}
	}
	return s.Exec()
}

func count(c *Conn, sql string) (int, error) {
	s, err := c.Stmt(sql)
	if err != nil {
		return 0, err
	}
	if !s.Step() {
		return 0, s.Err()
	}
	return s.ColumnInt(0), nil // left in the middle on purpose: the transaction's end resets it
}

func mustCount(t testing.TB, d *DB, want int) {
	t.Helper()
	var got int
	err := d.Read(t.Context(), func(c *Conn) (err error) {
		got, err = count(c, `SELECT count(*) FROM t`)
		return err
	})
	if err != nil || got != want {
		t.Fatalf("count is %d, %v; want %d", got, err, want)
	}
}

// canary is what must never be legible in a file.
const canary = "CANARY-999999199001011234-王某某"

func fill(d *DB, from, n int) error {
	return d.Write(context.Background(), func(c *Conn) error {
		if err := c.Exec(`CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, name TEXT, body TEXT)`); err != nil {
			return err
		}
		for i := range n {
			err := exec1(c, `INSERT INTO t VALUES (?, ?, ?)`, from+i, canary, strings.Repeat(canary, 30))
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// wantNoCanary reads every file in the directory; all are there while the database is open.
func wantNoCanary(t *testing.T, dir string) {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		content, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		for _, legible := range []string{"CANARY", "999999199001", "王某", "CREATE TABLE", "SQLite format"} {
			if bytes.Contains(content, []byte(legible)) {
				t.Errorf("%s contains %q", f.Name(), legible)
			}
		}
	}
}

// Ensure that nothing is legible in the database, its log or its shared memory, while it is open with a full log and once it
// is closed; and that WAL is really on.
func TestCanaries(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "view.db")
	d := openTest(t, path, Options{WriterCache: 100})
	if err := fill(d, 0, 500); err != nil {
		t.Fatal(err)
	}
	wal, err := os.Stat(path + "-wal")
	if err != nil || wal.Size() < 500*1000 {
		t.Fatalf("the write-ahead log is not in use: %v, %v", wal, err)
	}
	wantNoCanary(t, dir)
	// Sorts and temporary tables stay in memory on every connection.
	inMemory := func(c *Conn) error {
		n, err := count(c, `PRAGMA temp_store`)
		if n != 2 {
			t.Errorf("temp_store is %d", n)
		}
		return err
	}
	if err := errors.Join(d.Write(t.Context(), inMemory), d.Read(t.Context(), inMemory)); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	wantNoCanary(t, dir)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("mode of the file: %v, %v", info, err)
	}
	d = openTest(t, path, Options{})
	defer d.Close()
	mustCount(t, d, 500)
}

// Ensure that a wrong key is refused in plain words and harms nothing, least of all what a crash left in the log.
func TestWrongKey(t *testing.T) {
	if os.Getenv("SEALED_TEST_CRASH") != "" {
		crashWithFullLog(os.Getenv("SEALED_TEST_CRASH"))
	}
	path := filepath.Join(t.TempDir(), "view.db")
	child := exec.Command(os.Args[0], "-test.run=^TestWrongKey$")
	child.Env = append(os.Environ(), "SEALED_TEST_CRASH="+path)
	if out, err := child.CombinedOutput(); err == nil || !strings.Contains(string(out), "filled") {
		t.Fatalf("the child did not crash as it should: %v\n%s", err, out)
	}
	for range 2 {
		_, err := Open(path, testKey("another"), Options{})
		if record.KindOf(err) != record.Invalid || !strings.Contains(err.Error(), "key does not open") {
			t.Fatalf("got %v", err)
		}
		if _, err := OpenSQL(path, testKey("another"), Options{}); record.KindOf(err) != record.Invalid {
			t.Fatalf("got %v", err)
		}
	}
	if _, err := Open(path, []byte("short"), Options{}); record.KindOf(err) != record.Invalid {
		t.Fatalf("got %v", err)
	}
	d := openTest(t, path, Options{})
	defer d.Close()
	mustCount(t, d, 300)
}

func crashWithFullLog(path string) {
	d, err := Open(path, testKey("key"), Options{CheckpointPages: 1 << 20})
	if err == nil {
		err = fill(d, 0, 300)
	}
	if err == nil {
		fmt.Println("filled")
	}
	p, _ := os.FindProcess(os.Getpid())
	_ = p.Kill()
	select {}
}

// Ensure that a failed or panicking write leaves nothing, a reader keeps its snapshot while the writer commits, a reader
// cannot write, and a cancelled call gives its connection back in working order.
func TestTransactions(t *testing.T) {
	d := openTest(t, filepath.Join(t.TempDir(), "view.db"), Options{Readers: 2})
	if err := fill(d, 0, 10); err != nil {
		t.Fatal(err)
	}
	failed := errors.New("failed")
	if err := d.Write(t.Context(), func(c *Conn) error {
		return errors.Join(exec1(c, `DELETE FROM t`), failed)
	}); !errors.Is(err, failed) {
		t.Fatalf("got %v", err)
	}
	func() {
		defer func() { recover() }()
		_ = d.Write(t.Context(), func(c *Conn) error {
			_ = exec1(c, `DELETE FROM t`)
			panic("in a projection")
		})
	}()
	mustCount(t, d, 10)
	err := d.Read(t.Context(), func(c *Conn) error {
		before, err := count(c, `SELECT count(*) FROM t`)
		if err != nil {
			return err
		}
		if err := fill(d, 10, 5); err != nil {
			return err
		}
		after, err := count(c, `SELECT count(*) FROM t`)
		if before != 10 || after != 10 {
			t.Errorf("the snapshot went from %d to %d", before, after)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	mustCount(t, d, 15)
	if err := d.Read(t.Context(), func(c *Conn) error { return exec1(c, `DELETE FROM t`) }); !errors.Is(err, sqlite3.READONLY) {
		t.Fatalf("a reader wrote: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if err := d.Write(ctx, func(c *Conn) error {
		cancel()
		return exec1(c, `DELETE FROM t`)
	}); !errors.Is(err, sqlite3.INTERRUPT) {
		t.Fatalf("got %v", err)
	}
	if err := d.Write(ctx, func(c *Conn) error { return nil }); err == nil {
		t.Fatal("a write ran for a caller that had left")
	}
	if err := fill(d, 15, 1); err != nil {
		t.Fatal(err)
	}
	mustCount(t, d, 16)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	err = d.Read(t.Context(), func(*Conn) error { return nil })
	if record.KindOf(err) != record.Unavailable {
		t.Fatalf("got %v", err)
	}
}

// Ensure that readers see whole transactions only while a writer is at work, with the log being copied back all the time.
func TestReadersAgainstWriter(t *testing.T) {
	d := openTest(t, filepath.Join(t.TempDir(), "view.db"), Options{Readers: 3, ReaderCache: 50, CheckpointPages: 20})
	defer d.Close()
	if err := fill(d, 0, 100); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				err := d.Read(context.Background(), func(c *Conn) error {
					n, err := count(c, `SELECT count(*) FROM t WHERE length(body) > 0`)
					if n%100 != 0 {
						return fmt.Errorf("saw %d rows", n)
					}
					return err
				})
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for i := 1; i <= 30; i++ {
		if err := fill(d, i*100, 100); err != nil {
			t.Error(err)
			break
		}
	}
	close(stop)
	wg.Wait()
	err := d.Read(t.Context(), func(c *Conn) error {
		s, err := c.Stmt(`PRAGMA integrity_check`)
		if err == nil && s.Step() && s.ColumnText(0) != "ok" {
			err = errors.New(s.ColumnText(0))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Ensure that every connection of the database/sql pool has the key and the pragmas.
func TestOpenSQL(t *testing.T) {
	dir := t.TempDir()
	db, err := OpenSQL(filepath.Join(dir, "view.db"), testKey("key"), Options{Readers: 3, Durable: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(`CREATE TABLE t (name TEXT)`); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(`INSERT INTO t VALUES (?)`, canary); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		conn, err := db.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		var synchronous, busy, keys int
		var name string
		for pragma, to := range map[string]any{
			`PRAGMA synchronous`: &synchronous, `PRAGMA busy_timeout`: &busy, `PRAGMA foreign_keys`: &keys, `SELECT name FROM t`: &name,
		} {
			if err := conn.QueryRowContext(t.Context(), pragma).Scan(to); err != nil {
				t.Fatal(err)
			}
		}
		if synchronous != 2 || busy != 10000 || keys != 1 || name != canary {
			t.Fatalf("synchronous %d, busy_timeout %d, foreign_keys %d, name %q", synchronous, busy, keys, name)
		}
	}
	wantNoCanary(t, dir)
}
