package views

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"

	"github.com/google/uuid"
	"github.com/ncruces/go-sqlite3"

	"yidang/domain/record"
	"yidang/domain/vault/sealed"
	"yidang/projections/follow"
)

// schemaVersion changes with the schema and with anything that makes rows of the same events differ. A file of another
// version is built again.
const schemaVersion = 4

// n is a small number that stands for an id within one file; 0 stands for no id. People and cases have theirs in their
// row, villages and officers in places. Times are unix milliseconds, days are days since 1970 in record.Zone, both 0 for
// none. Scopes are documented at type scope.
const schema = `
CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE places (n INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, village INTEGER NOT NULL) STRICT;
CREATE TABLE people (
	n INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, name TEXT NOT NULL, citizen TEXT NOT NULL, sex INTEGER NOT NULL,
	birth INTEGER NOT NULL, phone TEXT NOT NULL, village INTEGER NOT NULL,
	also BLOB NOT NULL, -- other villages, where the person has cases
	died INTEGER NOT NULL, erased INTEGER NOT NULL, revision INTEGER NOT NULL
) STRICT;
CREATE TABLE cases (
	n INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, program TEXT NOT NULL, person INTEGER NOT NULL, village INTEGER NOT NULL,
	tier TEXT NOT NULL, open INTEGER NOT NULL, sealed INTEGER NOT NULL, erased INTEGER NOT NULL,
	lead INTEGER NOT NULL, handlers BLOB NOT NULL, opened INTEGER NOT NULL, closed INTEGER NOT NULL,
	last_met INTEGER NOT NULL, revision INTEGER NOT NULL,
	owed BLOB NOT NULL -- open duties
) STRICT;
CREATE TABLE ended ( -- duties that were fulfilled, excused or cancelled, by the position of the event that did it
	kase INTEGER NOT NULL, position INTEGER NOT NULL, seq INTEGER NOT NULL, holder INTEGER NOT NULL,
	duty BLOB NOT NULL, PRIMARY KEY (kase, position, seq)
) STRICT, WITHOUT ROWID;
CREATE TABLE officers (id BLOB PRIMARY KEY, name TEXT NOT NULL, erased INTEGER NOT NULL, body BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE units (id BLOB PRIMARY KEY, body BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE snapshots ( -- folded cases, so that one that is not in memory need not be read from the journal
	n INTEGER PRIMARY KEY, revision INTEGER NOT NULL, position INTEGER NOT NULL, state BLOB NOT NULL, owed BLOB NOT NULL
) STRICT;
-- What follows is made from the rows above when the file has caught up.
CREATE TABLE terms (scope INTEGER NOT NULL, term TEXT NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (scope, term, n)) STRICT, WITHOUT ROWID;
CREATE TABLE listed (scope INTEGER NOT NULL, closed INTEGER NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (scope, closed, n)) STRICT, WITHOUT ROWID;
CREATE TABLE due (
	scope INTEGER NOT NULL, due INTEGER NOT NULL, duty INTEGER NOT NULL, kase INTEGER NOT NULL, opens INTEGER NOT NULL, code TEXT NOT NULL,
	PRIMARY KEY (scope, due, duty, kase)
) STRICT, WITHOUT ROWID;
CREATE TABLE past (
	scope INTEGER NOT NULL, position INTEGER NOT NULL, seq INTEGER NOT NULL, kase INTEGER NOT NULL, status INTEGER NOT NULL,
	PRIMARY KEY (scope, position, seq)
) STRICT, WITHOUT ROWID;
`

// readersCache is what the readers keep of the file's pages in memory, all together, in KiB.
const readersCache = 24 << 10

// errUnusable says that a file cannot serve and may go: it is derived.
var errUnusable = errors.New("the file cannot be used")

// store is one file of views.
type store struct {
	o       Options
	path    string
	db      *sealed.DB
	states  *follow.States
	places  *places
	tallies *tallies
	// villages are the units where people live, by code: what officers reach is worked out from them for every list.
	villages atomic.Pointer[[]uuid.UUID]
	indexed  atomic.Bool // the entries are made; set once
	shown    atomic.Pointer[shown]

	// Of the writer only.
	conn                 *sealed.Conn // during a transaction
	lastPerson, lastCase int64        // highest n given out
	position             uint64
	stored               uint64 // the position as stored, see idleEvents
	started              bool
	indexing             bool // indexed as the open transaction sees it
}

func openStore(ctx context.Context, o Options, path string) (*store, error) {
	db, err := sealed.Open(path, o.Key, sealed.Options{Readers: o.Readers, WriterCache: 16 << 10, ReaderCache: readersCache / o.Readers})
	if err != nil {
		if record.KindOf(err) == record.Invalid || errors.Is(err, sqlite3.NOTADB) || errors.Is(err, sqlite3.CORRUPT) {
			return nil, fmt.Errorf("%w: %w", errUnusable, err)
		}
		return nil, err
	}
	s := &store{o: o, path: path, db: db, places: newPlaces(), tallies: newTallies()}
	s.states = follow.NewStates(follow.StatesOptions{Categories: o.Catalog, History: o.History, Load: s.loadSnapshot, Packer: o.Packer})
	if err := s.start(ctx); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return s, nil
}

// start makes the tables of a new file, and reads what an old one says of itself.
func (s *store) start(ctx context.Context) error {
	return s.db.Write(ctx, func(c *sealed.Conn) error {
		version, err := single(c, `PRAGMA user_version`)
		if err != nil {
			return corrupt(err)
		}
		if version == 0 {
			if err := c.Exec(schema + fmt.Sprintf(`PRAGMA user_version = %d`, schemaVersion)); err != nil {
				return corrupt(err)
			}
		} else if version != schemaVersion {
			return fmt.Errorf("%w: schema %d, this program has %d", errUnusable, version, schemaVersion)
		}
		return corrupt(s.reload(c))
	})
}

// reload reads what the writer keeps in memory, at the start and after a transaction that failed.
func (s *store) reload(c *sealed.Conn) error {
	s.position, s.stored, s.started, s.indexing = 0, 0, false, false
	err := query(c, `SELECT key, value FROM meta`, nil, func(st *sqlite3.Stmt) error {
		switch st.ColumnText(0) {
		case "position":
			s.position, s.started = uint64(st.ColumnInt64(1)), true
			s.stored = s.position
		case "indexed":
			s.indexing = st.ColumnInt64(1) != 0
		}
		return nil
	})
	if err == nil {
		s.lastPerson, err = single(c, `SELECT coalesce(max(n), 0) FROM people`)
	}
	if err == nil {
		s.lastCase, err = single(c, `SELECT coalesce(max(n), 0) FROM cases`)
	}
	if err == nil {
		err = s.places.load(c)
	}
	if err == nil {
		err = s.loadVillages(c)
	}
	if err == nil && s.indexing && !s.indexed.Load() {
		if err = s.tallies.load(c, s.position); err == nil {
			s.indexed.Store(true)
		}
	}
	return err
}

func corrupt(err error) error {
	if errors.Is(err, sqlite3.CORRUPT) || errors.Is(err, sqlite3.NOTADB) {
		return fmt.Errorf("%w: %w", errUnusable, err)
	}
	return err
}

func (s *store) close() error {
	return errors.Join(s.settle(context.Background()), s.db.Close())
}

// Name, Checkpoint and Apply make a store a follow.Projection: a rebuild feeds one that nobody reads yet.
func (s *store) Name() string { return "views-rebuild" }

func (s *store) Checkpoint(ctx context.Context) (position uint64, started bool, err error) {
	err = s.db.Read(ctx, func(c *sealed.Conn) error {
		return query(c, `SELECT value FROM meta WHERE key = 'position'`, nil, func(st *sqlite3.Stmt) error {
			position, started = s.showing(uint64(st.ColumnInt64(0))), true
			return nil
		})
	})
	return position, started, storeError(err)
}

// showing is the position that a snapshot shows in which another is stored.
func (s *store) showing(stored uint64) uint64 {
	if sh := s.shown.Load(); sh != nil && sh.stored == stored {
		return sh.position
	}
	return stored
}

// The words of the connection, short: they are on every line.
func exec(c *sealed.Conn, sql string, args ...any) error { return c.Do(sql, args...) }

func query(c *sealed.Conn, sql string, args []any, row func(*sqlite3.Stmt) error) error {
	return c.Each(sql, args, row)
}

func single(c *sealed.Conn, sql string, args ...any) (int64, error) { return c.Number(sql, args...) }

func fileExists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
