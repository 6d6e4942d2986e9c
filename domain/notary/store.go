package notary

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/google/uuid"
	"github.com/ncruces/go-sqlite3"
	"golang.org/x/mod/sumdb/tlog"

	"yidang/domain/record"
)

// store is the notary's file. A tree like it can be built again from the journal as that is then; what cannot is the
// memory of what the journal was.
type store struct {
	lock    *os.File // held until close: two processes would not know of each other's signatures
	mu      sync.Mutex
	writer  *conn // guarded by mu
	readers chan *conn
}

// Positions and revisions are kept in SQLite's signed 64 bits; a journal that counted further would be older than the sun.
//
// The hash of a leaf is not kept: it is computed from the leaf whenever it is needed. nodes holds the roots of complete
// subtrees of 256, 65,536, … leaves. key is the first half of the event id.
const (
	applicationID = 0x59444e54 // "YDNT"
	fileVersion   = 1
	schema        = `
CREATE TABLE state (
	one       INTEGER PRIMARY KEY CHECK (one = 1),
	origin    TEXT NOT NULL,
	size      INTEGER NOT NULL,
	position  INTEGER NOT NULL,
	revision  INTEGER NOT NULL,
	signed    BLOB NOT NULL,
	cosigned  BLOB NOT NULL
) STRICT;
CREATE TABLE leaves (i INTEGER PRIMARY KEY, position INTEGER NOT NULL, leaf BLOB NOT NULL) STRICT;
CREATE TABLE nodes (level INTEGER, n INTEGER, hash BLOB NOT NULL, PRIMARY KEY (level, n)) STRICT, WITHOUT ROWID;
CREATE TABLE ids (key INTEGER, i INTEGER, PRIMARY KEY (key, i)) STRICT, WITHOUT ROWID;`
)

// state is the one row of table state.
type state struct {
	size     int64  // leaves stored
	position uint64 // everything in the journal up to here has been read
	revision int64  // of the newest event of the checkpoint stream that is known; -1 for none
	signed   []byte // the newest checkpoint of the stream, as it stands there; empty for none
	cosigned []byte // the newest one that had a quorum of cosignatures; empty for none
}

const readerConns = 2

func openStore(dir, origin string) (*store, state, error) {
	s, st, err := openFiles(dir, origin)
	if err != nil {
		if s != nil {
			err = errors.Join(err, s.close())
		}
		return nil, st, fmt.Errorf("open the notary's file in %s: %w", dir, err)
	}
	return s, st, nil
}

func openFiles(dir, origin string) (s *store, st state, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, st, err
	}
	s = &store{readers: make(chan *conn, readerConns)}
	if s.lock, err = lockFile(filepath.Join(dir, "notary.lock")); err != nil {
		return s, st, err
	}
	path := filepath.Join(dir, "notary.db")
	if s.writer, err = connect(path, false); err != nil {
		return s, st, err
	}
	if err = s.writer.prepareFile(origin); err != nil {
		return s, st, err
	}
	if err = syncDir(dir); err != nil { // a file without a name after a power cut is no memory
		return s, st, err
	}
	for range readerConns {
		r, err := connect(path, true)
		if err != nil {
			return s, st, err
		}
		s.readers <- r
	}
	st, err = s.writer.readState(origin)
	return s, st, err
}

func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			p := record.Errorf(record.Unavailable, "another process holds %s", path)
			p.Remedy = "stop it first; each server keeps a directory of its own"
			return nil, p
		}
		return nil, err
	}
	return f, nil
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func (s *store) close() error {
	var errs []error
	for range len(s.readers) {
		errs = append(errs, (<-s.readers).Close())
	}
	if s.writer != nil {
		errs = append(errs, s.writer.Close()) // last, for it empties the write-ahead log
	}
	if s.lock != nil {
		errs = append(errs, s.lock.Close())
	}
	return errors.Join(errs...)
}

// conn is a connection with its prepared statements. It serves one goroutine at a time.
type conn struct {
	*sqlite3.Conn
	stmts map[string]*sqlite3.Stmt
}

func connect(path string, reader bool) (*conn, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600) // SQLite would let others read it
	if err != nil {
		return nil, err
	}
	if err := errors.Join(f.Chmod(0o600), f.Close()); err != nil {
		return nil, err
	}
	q := url.Values{"modeof": {path}, "_pragma": {"busy_timeout(10000)", "journal_mode(wal)", "synchronous(full)",
		"trusted_schema(off)", "temp_store(memory)", "cache_size(-16000)"}}
	if reader {
		q["_pragma"] = append(q["_pragma"][:len(q["_pragma"])-1], "query_only(on)", "cache_size(-4000)")
	}
	raw := strings.ReplaceAll(q.Encode(), "+", "%20") // SQLite takes a plus for a plus
	db, err := sqlite3.Open((&url.URL{Scheme: "file", Path: path, RawQuery: raw}).String())
	if err != nil {
		return nil, err
	}
	return &conn{db, map[string]*sqlite3.Stmt{}}, nil
}

func (c *conn) Close() error {
	var errs []error
	for _, s := range c.stmts {
		errs = append(errs, s.Close())
	}
	return errors.Join(append(errs, c.Conn.Close())...)
}

// stmt returns a prepared statement with its parameters bound: int64, uint64, string or []byte.
func (c *conn) stmt(sql string, args ...any) (*sqlite3.Stmt, error) {
	s := c.stmts[sql]
	if s == nil {
		var err error
		if s, _, err = c.Prepare(sql); err != nil {
			return nil, err
		}
		c.stmts[sql] = s
	}
	for i, a := range args {
		var err error
		switch a := a.(type) {
		case int64:
			err = s.BindInt64(i+1, a)
		case uint64:
			err = s.BindInt64(i+1, int64(a))
		case string:
			err = s.BindText(i+1, a)
		case []byte:
			if a == nil {
				a = []byte{} // nil would be NULL
			}
			err = s.BindBlob(i+1, a)
		}
		if err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (c *conn) exec(sql string, args ...any) error {
	s, err := c.stmt(sql, args...)
	if err != nil {
		return err
	}
	return s.Exec()
}

// query calls row for each row of the answer. The columns are valid during the call.
func (c *conn) query(row func(*sqlite3.Stmt) error, sql string, args ...any) error {
	s, err := c.stmt(sql, args...)
	if err != nil {
		return err
	}
	for err == nil && s.Step() {
		err = row(s)
	}
	return errors.Join(err, s.Reset())
}

func (c *conn) number(sql string) (n int64, err error) {
	err = c.query(func(s *sqlite3.Stmt) error { n = s.ColumnInt64(0); return nil }, sql)
	return n, err
}

func (c *conn) prepareFile(origin string) (err error) {
	tx, err := c.BeginImmediate()
	if err != nil {
		return err
	}
	defer tx.End(&err)
	version, err := c.number(`PRAGMA user_version`)
	if err != nil {
		return err
	}
	id, err := c.number(`PRAGMA application_id`)
	if err != nil {
		return err
	}
	switch {
	case version == fileVersion && id == applicationID:
		return nil
	case version != 0 || id != 0:
		return record.Errorf(record.Invalid, "it is not a notary's file of form %d, but %d of %x", fileVersion, version, id)
	}
	if err := c.Conn.Exec(schema); err != nil {
		return err
	}
	if err := c.exec(`INSERT INTO state VALUES (1, ?, 0, 0, -1, x'', x'')`, origin); err != nil {
		return err
	}
	return c.Conn.Exec(fmt.Sprintf(`PRAGMA user_version = %d; PRAGMA application_id = %d`, fileVersion, applicationID))
}

func (c *conn) readState(origin string) (state, error) {
	st, own := state{}, ""
	err := c.query(func(s *sqlite3.Stmt) error {
		own, st.size, st.position, st.revision = s.ColumnText(0), s.ColumnInt64(1), uint64(s.ColumnInt64(2)), s.ColumnInt64(3)
		st.signed, st.cosigned = s.ColumnBlob(4, nil), s.ColumnBlob(5, nil)
		return nil
	}, `SELECT origin, size, position, revision, signed, cosigned FROM state`)
	if err == nil && own != origin {
		p := record.Errorf(record.Invalid, "it belongs to the log %q, not to %q", own, origin)
		p.Remedy = "an origin is for ever: set it back, or give the new log a new directory"
		err = p
	}
	return st, err
}

func (c *conn) writeState(st state) error {
	return c.exec(`UPDATE state SET size = ?, position = ?, revision = ?, signed = ?, cosigned = ?`,
		st.size, st.position, st.revision, st.signed, st.cosigned)
}

// leafRow is a leaf with its place in the journal.
type leafRow struct {
	position uint64
	leaf     []byte
}

// write stores leaves that follow those that are there, the subtrees they complete, and the state after them, together.
// A crash before it returns leaves everything as it was, and the same events are read again.
func (s *store) write(st state, leaves []leafRow, nodes []node) (err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.writer
	tx, err := c.BeginImmediate()
	if err != nil {
		return err
	}
	defer tx.End(&err)
	first := st.size - int64(len(leaves))
	for i, l := range leaves {
		if err := c.exec(`INSERT INTO leaves (i, position, leaf) VALUES (?, ?, ?)`, first+int64(i), l.position, l.leaf); err != nil {
			return err
		}
	}
	// In the order of the index, so that a page is written once.
	order := make([]int64, len(leaves))
	for i := range order {
		order[i] = int64(i)
	}
	slices.SortFunc(order, func(a, b int64) int {
		x, y := leafEvent(leaves[a].leaf), leafEvent(leaves[b].leaf)
		return slices.Compare(x[:8], y[:8])
	})
	for _, i := range order {
		if err := c.exec(`INSERT INTO ids (key, i) VALUES (?, ?)`, idKey(leafEvent(leaves[i].leaf)), first+i); err != nil {
			return err
		}
	}
	for _, n := range nodes {
		if err := c.exec(`INSERT INTO nodes (level, n, hash) VALUES (?, ?, ?)`, int64(n.level), n.n, n.hash[:]); err != nil {
			return err
		}
	}
	return c.writeState(st)
}

// node is the root of a complete subtree of height level*tileHeight.
type node struct {
	level int
	n     int64
	hash  tlog.Hash
}

func idKey(id uuid.UUID) int64 {
	var k uint64
	for _, b := range id[:8] {
		k = k<<8 | uint64(b)
	}
	return int64(k)
}
