package embedded

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/golang-lru/v2"
	"github.com/ncruces/go-sqlite3"
	"golang.org/x/sys/unix"
)

// store is the SQLite file: who holds it, its connections, and what is known about it in memory.
type store struct {
	path string
	vfs  string
	lock *os.File // flock on the data directory, held until close

	readers chan *reader // idle read connections; nil entries stand for connections not opened yet
	names   *lru.Cache[int64, string]

	head    atomic.Uint64 // position of the newest durable event
	mu      sync.Mutex
	changed chan struct{} // closed and replaced when head moves
}

// The file's first page carries these, so that a foreign SQLite file is told apart from a damaged one.
const (
	applicationID = 0x59444a4c // "YDJL"
	fileVersion   = 1
)

// schema is compared with the file's own word for word: a file whose triggers were dropped is refused.
//
// The rowid of events is the position. created counts 100 ns ticks since 1970, as the protocol does.
var schema = []string{
	`CREATE TABLE streams (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT`,
	`CREATE TABLE events (position INTEGER PRIMARY KEY, stream INTEGER NOT NULL, revision INTEGER NOT NULL,` +
		` id BLOB NOT NULL CHECK (length(id) = 16), type TEXT NOT NULL, created INTEGER NOT NULL,` +
		` json INTEGER NOT NULL CHECK (json IN (0, 1)), meta BLOB NOT NULL, data BLOB NOT NULL,` +
		` UNIQUE (stream, revision)) STRICT`,
	`CREATE TRIGGER events_keep BEFORE UPDATE ON events BEGIN SELECT RAISE(ABORT, 'the journal only grows'); END`,
	`CREATE TRIGGER events_stay BEFORE DELETE ON events BEGIN SELECT RAISE(ABORT, 'the journal only grows'); END`,
	`CREATE TRIGGER streams_keep BEFORE UPDATE ON streams BEGIN SELECT RAISE(ABORT, 'the journal only grows'); END`,
	`CREATE TRIGGER streams_stay BEFORE DELETE ON streams BEGIN SELECT RAISE(ABORT, 'the journal only grows'); END`,
	// INSERT OR REPLACE removes rows without firing delete triggers, so an insert must be the next of its sequence.
	`CREATE TRIGGER events_next BEFORE INSERT ON events WHEN` +
		` NEW.position <> (SELECT coalesce(max(position), 0) + 1 FROM events) OR` +
		` NEW.revision <> (SELECT coalesce(max(revision), -1) + 1 FROM events WHERE stream = NEW.stream)` +
		` BEGIN SELECT RAISE(ABORT, 'not the next event'); END`,
	`CREATE TRIGGER streams_next BEFORE INSERT ON streams WHEN` +
		` NEW.id <= (SELECT coalesce(max(id), 0) FROM streams) OR EXISTS (SELECT 1 FROM streams WHERE name = NEW.name)` +
		` BEGIN SELECT RAISE(ABORT, 'not the next stream'); END`,
}

// openStore takes the directory's lock, opens the file (making it if there is none) and checks it.
func openStore(ctx context.Context, dir, vfs string) (_ *store, err error) {
	if err := privateDir(dir); err != nil {
		return nil, err
	}
	lock, err := lockDir(dir)
	if err != nil {
		return nil, err
	}
	names, err := lru.New[int64, string](cachedStreams)
	if err != nil {
		return nil, err
	}
	s := &store{path: filepath.Join(dir, "journal.db"), vfs: vfs, lock: lock, names: names,
		readers: make(chan *reader, maxReaders), changed: make(chan struct{})}
	for range maxReaders {
		s.readers <- nil
	}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	conn, err := s.connect("")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, closeConn(conn)) }()
	if err := s.prepareFile(conn); err != nil {
		return nil, err
	}
	head, err := checkFile(ctx, conn)
	if err != nil {
		return nil, fmt.Errorf("journal file %s is refused: %w", s.path, err)
	}
	s.head.Store(head)
	return s, nil
}

const (
	cachedStreams = 1 << 16 // names and heads kept in memory; a miss costs two look-ups
	maxReaders    = 4       // each is lent for one page; a connection takes some MB
)

// privateDir makes the directory if it is missing and closes it to others.
func privateDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("journal: making the data directory: %w", err)
	}
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("journal: data directory: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		if err := os.Chmod(dir, 0o700); err != nil {
			return fmt.Errorf("journal: closing the data directory to others: %w", err)
		}
	}
	return nil
}

// lockDir holds the directory for this process. The kernel lets go of it when the process ends, however it ends.
func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "journal.lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("journal: opening the lock file: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		holder := make([]byte, 20)
		n, _ := f.ReadAt(holder, 0)
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("%w: %s is held by process %s; stop it first, or attach to it as a client",
				ErrInUse, dir, strings.TrimSpace(string(holder[:n])))
		}
		return nil, fmt.Errorf("journal: locking %s: %w", dir, err)
	}
	// The number helps whoever meets the lock; the lock does not depend on it.
	if err := f.Truncate(0); err == nil {
		f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	return f, nil
}

// ErrInUse is returned by Start when another process serves the data directory.
var ErrInUse = errors.New("journal: the data directory is in use")

// connect opens a connection with the pragmas that every connection needs, and those in more.
func (s *store) connect(more string) (*sqlite3.Conn, error) {
	name := "file:" + (&url.URL{Path: s.path}).EscapedPath()
	if s.vfs != "" {
		name += "?vfs=" + url.QueryEscape(s.vfs)
	}
	conn, err := sqlite3.OpenFlags(name, sqlite3.OPEN_READWRITE|sqlite3.OPEN_CREATE|sqlite3.OPEN_URI)
	if err != nil {
		return nil, fmt.Errorf("journal: opening %s: %w", s.path, err)
	}
	err = conn.Exec(`PRAGMA busy_timeout=10000; PRAGMA trusted_schema=OFF; PRAGMA synchronous=FULL; ` + more)
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("journal: preparing a connection to %s: %w", s.path, err)
	}
	return conn, nil
}

// closeConn closes a connection and its statements. SQLite keeps a connection open that has any left.
func closeConn(conn *sqlite3.Conn) error {
	var errs []error
	for _, st := range slices.Collect(conn.Stmts()) {
		errs = append(errs, st.Close())
	}
	return errors.Join(append(errs, conn.Close())...)
}

// syncDir makes the names of the files and of their directory durable: a synced log that has no name after a power cut
// is lost all the same.
func (s *store) syncDir() error {
	own := filepath.Dir(s.path)
	for _, path := range []string{own, filepath.Dir(own)} {
		dir, err := os.Open(path)
		if err != nil {
			return err
		}
		if err := errors.Join(dir.Sync(), dir.Close()); err != nil {
			return err
		}
	}
	return nil
}

// prepareFile makes the tables of a new file and leaves an old one as it is.
func (s *store) prepareFile(conn *sqlite3.Conn) error {
	if err := os.Chmod(s.path, 0o600); err != nil {
		return fmt.Errorf("journal: closing the file to others: %w", err)
	}
	if mode, err := queryText(conn, `PRAGMA journal_mode=WAL`); err != nil || mode != "wal" {
		return fmt.Errorf("journal: %s cannot be put into WAL mode (%q): %w", s.path, mode, err)
	}
	tables, err := queryInt(conn, `SELECT count(*) FROM sqlite_schema`)
	if err != nil {
		return fmt.Errorf("journal: reading %s: %w", s.path, err)
	}
	if tables != 0 {
		return nil
	}
	// One transaction: a crash leaves an empty file, which the next start takes for a new one.
	return conn.Exec(fmt.Sprintf(`BEGIN IMMEDIATE; PRAGMA application_id=%d; PRAGMA user_version=%d; %s; COMMIT`,
		applicationID, fileVersion, strings.Join(schema, "; ")))
}

// announce tells the waiting subscriptions that the journal has grown up to head.
func (s *store) announce(head uint64) {
	s.head.Store(head)
	s.mu.Lock()
	close(s.changed)
	s.changed = make(chan struct{})
	s.mu.Unlock()
}

// growth returns a channel that is closed when head moves. Take it before reading head, or a change may be missed.
func (s *store) growth() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

func (s *store) close() error {
	var errs []error
	for range maxReaders {
		if r := <-s.readers; r != nil {
			errs = append(errs, r.close())
		}
	}
	// The lock goes last: whoever comes next finds the file closed.
	return errors.Join(append(errs, s.lock.Close())...)
}

func queryInt(conn *sqlite3.Conn, sql string) (int64, error) {
	var n int64
	err := queryRows(conn, sql, func(st *sqlite3.Stmt) error { n = st.ColumnInt64(0); return nil })
	return n, err
}

func queryText(conn *sqlite3.Conn, sql string) (string, error) {
	var t string
	err := queryRows(conn, sql, func(st *sqlite3.Stmt) error { t = st.ColumnText(0); return nil })
	return t, err
}

func queryRows(conn *sqlite3.Conn, sql string, row func(*sqlite3.Stmt) error) error {
	st, _, err := conn.Prepare(sql)
	if err != nil {
		return err
	}
	defer st.Close()
	for st.Step() {
		if err := row(st); err != nil {
			return err
		}
	}
	return st.Err()
}
