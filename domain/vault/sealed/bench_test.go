package sealed

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/url"
	"path/filepath"
	"testing"

	"github.com/ncruces/go-sqlite3"

	"yidang/domain/vault/internal/sqlitefile"
)

const benchSchema = `CREATE TABLE IF NOT EXISTS v (id TEXT PRIMARY KEY, unit TEXT, due INTEGER, body BLOB) WITHOUT ROWID;
	CREATE INDEX IF NOT EXISTS v_due ON v (unit, due)`

// BenchmarkUpsert changes random rows of a table of 200,000, one index on it, 5,000 rows in a transaction.
func BenchmarkUpsert(b *testing.B) {
	benchBoth(b, func(b *testing.B, d *DB) {
		body, r := make([]byte, 200), rand.New(rand.NewPCG(1, 2))
		for done := 0; done < b.N; {
			n := min(5000, b.N-done)
			err := d.Write(context.Background(), func(c *Conn) error {
				s, err := c.Stmt(`INSERT INTO v VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET due = excluded.due`)
				for range n {
					_ = s.BindText(1, fmt.Sprintf("person-%08d", r.IntN(200_000)))
					_ = s.BindText(2, fmt.Sprintf("unit-%d", r.IntN(50)))
					_ = s.BindInt(3, r.IntN(100_000))
					_ = s.BindBlob(4, body)
					if err == nil {
						err = s.Exec()
					}
				}
				return err
			})
			if err != nil {
				b.Fatal(err)
			}
			done += n
		}
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "rows/s")
	})
}

// BenchmarkRead reads single random rows, each in its own snapshot.
func BenchmarkRead(b *testing.B) {
	benchBoth(b, func(b *testing.B, d *DB) {
		err := d.Write(b.Context(), func(c *Conn) error {
			return c.Exec(`WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i+1 FROM n WHERE i < 99999)
				INSERT OR IGNORE INTO v SELECT printf('person-%08d', i), 'unit', i, randomblob(200) FROM n`)
		})
		if err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			err := d.Read(context.Background(), func(c *Conn) error {
				s, err := c.Stmt(`SELECT body FROM v WHERE id = ?`)
				if err == nil {
					_ = s.BindText(1, fmt.Sprintf("person-%08d", rand.IntN(100_000)))
					s.Step()
				}
				return err
			})
			if err != nil {
				b.Fatal(err)
			}
		}
	})
}

// benchBoth runs f on an encrypted database and, as the baseline of the same run, on a plain one with the same settings.
func benchBoth(b *testing.B, f func(*testing.B, *DB)) {
	for _, name := range []string{"plain", "sealed"} {
		b.Run(name, func(b *testing.B) {
			path := filepath.Join(b.TempDir(), "view.db")
			d := openBench(b, path, name == "sealed")
			defer d.Close()
			if err := d.Write(b.Context(), func(c *Conn) error { return c.Exec(benchSchema) }); err != nil {
				b.Fatal(err)
			}
			b.ResetTimer()
			f(b, d)
		})
	}
}

func openBench(b *testing.B, path string, encrypted bool) *DB {
	o := Options{Readers: 1}.withDefaults()
	if encrypted {
		return openTest(b, path, o)
	}
	d := &DB{writer: make(chan *Conn, 1), readers: make(chan *Conn, 1), closed: make(chan struct{})}
	for i, pool := range []chan *Conn{d.writer, d.readers} {
		db, err := sqlitefile.Open(path, url.Values{}, func(c *sqlite3.Conn) error { return pragmas(c, o, i > 0) })
		if err != nil {
			b.Fatal(err)
		}
		pool <- &Conn{Conn: db, stmts: map[string]*sqlite3.Stmt{}}
	}
	return d
}
