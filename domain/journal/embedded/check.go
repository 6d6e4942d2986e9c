package embedded

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/ncruces/go-sqlite3"
)

// checkFile proves what a start can prove within a second or so on a million events: that the library is sound, that
// this is our file with all its triggers, that positions are 1..head without a gap and every stream's revisions 0..n
// without a gap. It returns head. checkDeeply reads every page.
func checkFile(ctx context.Context, conn *sqlite3.Conn) (uint64, error) {
	defer conn.SetInterrupt(conn.SetInterrupt(ctx))
	version, err := queryText(conn, `SELECT sqlite_version()`)
	if err != nil {
		return 0, err
	}
	// Before 3.51.3 a reset of the write-ahead log could corrupt the file.
	if !atLeast(version, 3, 51, 3) {
		return 0, fmt.Errorf("SQLite is %s, at least 3.51.3 is needed", version)
	}
	if err := checkSchema(conn); err != nil {
		return 0, err
	}
	head, err := queryInt(conn, `SELECT coalesce(max(position), 0) FROM events`)
	if err != nil {
		return 0, err
	}
	// The index on (stream, revision) is a fraction of the table and holds every position, so one walk over it counts
	// the positions and checks the revisions. That index and table agree is for checkDeeply to prove.
	count, next, stream := int64(0), int64(0), int64(-1)
	err = queryRows(conn, `SELECT stream, revision, position FROM events INDEXED BY sqlite_autoindex_events_1 ORDER BY stream, revision`,
		func(st *sqlite3.Stmt) error {
			if s := st.ColumnInt64(0); s != stream {
				stream, next = s, 0
			}
			if r := st.ColumnInt64(1); r != next {
				return fmt.Errorf("stream %d has revision %d where %d belongs", stream, r, next)
			}
			if p := st.ColumnInt64(2); p < 1 || p > head {
				return fmt.Errorf("position %d is not between 1 and %d", p, head)
			}
			next++
			count++
			return nil
		})
	if err != nil {
		return 0, err
	}
	if count != head {
		return 0, fmt.Errorf("the position sequence has gaps: %d events, the last at %d", count, head)
	}
	if orphans, err := queryInt(conn, `SELECT count(*) FROM (SELECT DISTINCT stream FROM events) e WHERE NOT EXISTS (SELECT 1 FROM streams s WHERE s.id = e.stream)`); err != nil || orphans != 0 {
		return 0, errors.Join(err, fmt.Errorf("%d streams have events but no name", orphans))
	}
	return uint64(head), nil
}

func checkSchema(conn *sqlite3.Conn) error {
	for _, p := range []struct { // whose file it is comes before which version of it
		pragma string
		want   int64
	}{{"application_id", applicationID}, {"user_version", fileVersion}} {
		got, err := queryInt(conn, `PRAGMA `+p.pragma)
		if err != nil {
			return err
		}
		if got != p.want {
			return fmt.Errorf("%s is %d, not %d: not a journal of this version", p.pragma, got, p.want)
		}
	}
	var found []string
	err := queryRows(conn, `SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL`, func(st *sqlite3.Stmt) error {
		found = append(found, st.ColumnText(0))
		return nil
	})
	if err != nil {
		return err
	}
	want := slices.Clone(schema)
	slices.Sort(want)
	slices.Sort(found)
	if !slices.Equal(found, want) {
		return errors.New("its tables and triggers are not those of a journal")
	}
	return nil
}

// checkDeeply runs SQLite's integrity_check, which reads every page and so takes seconds on a big file. It runs beside
// the server: starting would otherwise take longer with every year of the record.
func (s *store) checkDeeply(ctx context.Context) error {
	conn, err := s.connect(`PRAGMA query_only=ON`)
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetInterrupt(ctx)
	var found []string
	err = queryRows(conn, `PRAGMA integrity_check(10)`, func(st *sqlite3.Stmt) error {
		found = append(found, st.ColumnText(0))
		return nil
	})
	if err != nil {
		return fmt.Errorf("checking the journal file: %w", err)
	}
	if !slices.Equal(found, []string{"ok"}) {
		return fmt.Errorf("integrity check of %s: %s", s.path, strings.Join(found, "; "))
	}
	return nil
}

func atLeast(version string, want ...int) bool {
	parts := strings.Split(version, ".")
	for i, w := range want {
		if i >= len(parts) {
			return false
		}
		n, err := strconv.Atoi(parts[i])
		if err != nil {
			return false
		}
		if n != w {
			return n > w
		}
	}
	return true
}
