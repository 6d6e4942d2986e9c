package embedded

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ncruces/go-sqlite3"
)

// filled makes a journal of some streams and closes it.
func filled(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	b := openBench(t, dir, "")
	for _, stream := range []string{"person-1", "drugs-1", "person-1", "drugs-2", "person-1"} {
		if r := b.writer.append(call(t.Context(), stream, expectAny, 3, 2000)); r.err != nil {
			t.Fatal(r.err)
		}
	}
	b.close()
	return dir
}

func alter(t *testing.T, dir string, statements ...string) error {
	t.Helper()
	conn, err := sqlite3.Open(filepath.Join(dir, "journal.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, sql := range statements {
		if err := conn.Exec(sql); err != nil {
			return err
		}
	}
	return nil
}

// Ensure that the file itself refuses to change or lose a row, whoever opens it.
func TestFileOnlyGrows(t *testing.T) {
	dir := filled(t)
	for _, sql := range []string{
		`UPDATE events SET data = x'00' WHERE position = 3`,
		`DELETE FROM events WHERE position = 15`,
		`DELETE FROM events`,
		`INSERT OR REPLACE INTO events SELECT position, stream, revision, id, type, created, json, meta, x'00' FROM events WHERE position = 3`,
		`REPLACE INTO events SELECT 16, stream, revision, id, type, created, json, meta, x'00' FROM events WHERE position = 3`,
		`INSERT INTO events SELECT 18, stream, revision + 100, id, type, created, json, meta, data FROM events WHERE position = 15`,
		`INSERT INTO events SELECT 16, stream, revision + 100, id, type, created, json, meta, data FROM events WHERE position = 15`,
		`UPDATE streams SET name = 'other' WHERE id = 1`,
		`DELETE FROM streams WHERE id = 3`,
		`REPLACE INTO streams VALUES (1, 'other')`,
		`REPLACE INTO streams VALUES (9, 'person-1')`,
		`UPDATE OR REPLACE streams SET id = 1 WHERE id = 2`,
	} {
		if err := alter(t, dir, sql); err == nil || !errors.Is(err, sqlite3.CONSTRAINT) {
			t.Errorf("%s: %v", sql, err)
		}
	}
	server, err := Start(t.Context(), Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	server.Close()
}

// Ensure that a file that is not what it should be is refused at the start, whatever is wrong with it.
func TestStartRefuses(t *testing.T) {
	drop := `DROP TRIGGER events_stay; DROP TRIGGER events_keep; DROP TRIGGER events_next; DROP TRIGGER streams_stay; DROP TRIGGER streams_keep; DROP TRIGGER streams_next; `
	restore := `; ` + strings.Join(schema[2:], "; ")
	for name, c := range map[string]struct{ sql, want string }{
		"trigger dropped":   {`DROP TRIGGER events_stay`, "tables and triggers"},
		"trigger weakened":  {`DROP TRIGGER events_stay; CREATE TRIGGER events_stay BEFORE DELETE ON events BEGIN SELECT 1; END`, "tables and triggers"},
		"table added":       {`CREATE TABLE notes (x)`, "tables and triggers"},
		"hole":              {drop + `DELETE FROM events WHERE position = 7` + restore, "revision"},
		"hole in positions": {drop + `UPDATE events SET position = position + 1 WHERE position = 15` + restore, "gaps"},
		"first lost":        {drop + `DELETE FROM events WHERE position = 1` + restore, "revision"},
		"revision skipped":  {drop + `UPDATE events SET revision = revision + 1 WHERE position = 15` + restore, "revision"},
		"stream lost":       {drop + `DELETE FROM streams WHERE id = 2` + restore, "no name"},
		"other version":     {`PRAGMA user_version = 2`, "user_version"},
		"other application": {`PRAGMA application_id = 1`, "application_id"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filled(t)
			if err := alter(t, dir, c.sql); err != nil {
				t.Fatal(err)
			}
			refused(t, dir, c.want)
		})
	}
	t.Run("another program's file", func(t *testing.T) {
		dir := t.TempDir()
		if err := alter(t, dir, `CREATE TABLE cats (name)`); err != nil {
			t.Fatal(err)
		}
		refused(t, dir, "application_id")
	})
	t.Run("no SQLite file", func(t *testing.T) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "journal.db"), []byte(strings.Repeat("not a database ", 1000)), 0o600); err != nil {
			t.Fatal(err)
		}
		refused(t, dir, "")
	})
	for name, damage := range map[string]func([]byte){
		"page overwritten": func(b []byte) { clear(b[len(b)-4096:]) },
		"index damaged": func(b []byte) {
			// The index's own pages hold no text of events; turn a byte in the middle of every page without any.
			for at := 4096; at+4096 <= len(b); at += 4096 {
				if b[at] == 0x0a {
					b[at+4090] ^= 0xff
				}
			}
		},
		"cut short": nil,
	} {
		t.Run(name, func(t *testing.T) {
			dir := filled(t)
			path := filepath.Join(dir, "journal.db")
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if damage == nil {
				data = data[:len(data)-3*4096]
			} else {
				damage(data)
			}
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
			refused(t, dir, "")
		})
	}
}

func refused(t *testing.T, dir, want string) {
	t.Helper()
	server, err := Start(t.Context(), Options{Dir: dir})
	if err == nil {
		server.Close()
		t.Fatal("the file was opened")
	}
	if !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "journal") {
		t.Errorf("refused with %v, want something about %q", err, want)
	}
	// The directory is free again.
	if lock, err := lockDir(dir); err != nil {
		t.Error(err)
	} else {
		lock.Close()
	}
}

// Ensure that damage found while serving ends appending with a clear error and leaves reading.
func TestDamageFoundLater(t *testing.T) {
	told := make(chan error, 1)
	server, err := Start(t.Context(), Options{Dir: t.TempDir(), OnBroken: func(err error) { told <- err }})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	if r := server.writer.append(call(t.Context(), "s", expectAny, 1, 1)); r.err != nil {
		t.Fatal(r.err)
	}
	server.broken(errors.New("page 7 is wrong"))
	<-told
	r := server.writer.append(call(t.Context(), "s", expectAny, 1, 1))
	if r.err == nil || !strings.Contains(appendStatus(r.err).Error(), "page 7") {
		t.Errorf("an append to a damaged file: %v", r.err)
	}
}

// Ensure that a second server on a directory is told who holds it, and may have it afterwards.
func TestDirectoryInUse(t *testing.T) {
	dir := t.TempDir()
	first, err := Start(t.Context(), Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Start(t.Context(), Options{Dir: dir}); !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), dir) {
		t.Errorf("the second start: %v", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	second, err := Start(t.Context(), Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	second.Close()
}

// Ensure that nobody else on the machine can reach the journal.
func TestPermissions(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "journal")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	server, err := Start(t.Context(), Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	for path, want := range map[string]os.FileMode{dir: 0o700, filepath.Join(dir, "journal.db"): 0o600,
		filepath.Join(dir, "journal.lock"): 0o600, strings.TrimPrefix(server.Connection(), SocketScheme): 0o600} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s has mode %o, want %o", path, got, want)
		}
	}
}

// Ensure that a data directory with a long path is served all the same, from a private place.
func TestLongSocketPath(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("long", 30))
	server, err := Start(t.Context(), Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	socket := strings.TrimPrefix(server.Connection(), SocketScheme)
	conn, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	info, err := os.Stat(filepath.Dir(socket))
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("its directory: %v, %v", info, err)
	}
	server.Close()
	if _, err := os.Stat(filepath.Dir(socket)); !errors.Is(err, os.ErrNotExist) {
		t.Error("the directory was left behind")
	}
	_, err = Start(context.Background(), Options{Dir: t.TempDir(), Socket: filepath.Join(dir, "s")})
	if err == nil || !strings.Contains(err.Error(), "longer") {
		t.Errorf("a socket path that is too long: %v", err)
	}
}

// Ensure that a listener that would let strangers in does not start.
func TestListenerOptions(t *testing.T) {
	for _, o := range []Options{
		{Listen: "127.0.0.1:0"},
		{Listen: "0.0.0.0:0", Insecure: true},
		{Listen: ":0", Insecure: true},
		{Listen: "example.org:2113", Insecure: true},
		{Listen: "nonsense", Insecure: true},
		{},
	} {
		if o.Listen != "" {
			o.Dir = t.TempDir()
		}
		if server, err := Start(t.Context(), o); err == nil {
			server.Close()
			t.Errorf("%+v started", o)
		}
	}
}
