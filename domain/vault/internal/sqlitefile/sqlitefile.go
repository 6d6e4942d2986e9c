// Package sqlitefile opens SQLite files that only their owner may read, on an engine new enough to be trusted.
package sqlitefile

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/ncruces/go-sqlite3"
)

// Resetting a write-ahead log could corrupt the file before this version.
var oldest = [3]int{3, 51, 3}

// Open opens a connection, creating the file when there is none. params are URI parameters such as vfs and _pragma; setUp
// is called, unless nil, before anything is read, for an encrypted file needs its key first.
func Open(path string, params url.Values, setUp func(*sqlite3.Conn) error) (*sqlite3.Conn, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	// SQLite would create the file readable by everybody. modeof gives its log the mode of the file.
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := f.Close(); err != nil {
		return nil, err
	}
	db, err := sqlite3.Open(URI(path, params))
	if err != nil {
		return nil, err
	}
	if setUp != nil {
		err = setUp(db)
	}
	if err == nil {
		err = checkVersion(db)
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// URI names the file of an absolute path for SQLite.
func URI(path string, params url.Values) string {
	q := url.Values{"modeof": {path}}
	for k, v := range params {
		q[k] = v
	}
	raw := strings.ReplaceAll(q.Encode(), "+", "%20") // SQLite takes a plus for a plus
	return (&url.URL{Scheme: "file", Path: path, RawQuery: raw}).String()
}

func checkVersion(db *sqlite3.Conn) error {
	var version string
	if err := Query(db, `SELECT sqlite_version()`, func(s *sqlite3.Stmt) { version = s.ColumnText(0) }); err != nil {
		return err
	}
	if !atLeast(version, oldest) {
		return fmt.Errorf("SQLite %s is too old: %d.%d.%d is needed", version, oldest[0], oldest[1], oldest[2])
	}
	return nil
}

func atLeast(version string, want [3]int) bool {
	var have [3]int
	if n, _ := fmt.Sscanf(version, "%d.%d.%d", &have[0], &have[1], &have[2]); n != 3 {
		return false
	}
	for i, w := range want {
		if have[i] != w {
			return have[i] > w
		}
	}
	return true
}

// Query runs a statement once and calls row for each row of its result.
func Query(db *sqlite3.Conn, sql string, row func(*sqlite3.Stmt)) error {
	s, _, err := db.Prepare(sql)
	if err != nil {
		return err
	}
	for s.Step() {
		row(s)
	}
	return errors.Join(s.Err(), s.Close())
}
