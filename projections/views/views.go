// Package views keeps the current state of everything in one encrypted SQLite file: people and how to find them, cases,
// duties, officers and units. It is derived: delete the file and it is built again from the journal.
//
//   - A row is a function of a folded file, and every index entry (search terms, worklist, lists) is a function of a row.
//     While a file is built only rows are written; once it has caught up the entries are made in one go, and from then on
//     each commit changes the entries of the rows it changes. Built live or built at once, the content is the same.
//   - How far an officer sees is part of the index: a list walks the entries of the villages and officers it may show, and
//     never drops rows one by one that the officer may not see.
//   - A sealed case shows nowhere but to a reach of All, and what the township office owes in it to the office. An erased one shows its dates and nothing else.
//   - Upcoming, due and overdue are questions about today, answered when asked, from the days stored.
//   - A person's file is not in the views at all: it is folded from the streams when it is opened, so it is always current
//     and can be shown as of any day and as known at any day.
package views

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"sync"

	"github.com/google/uuid"
	"github.com/ncruces/go-sqlite3"

	"yidang/domain/record"
	"yidang/domain/vault/sealed"
	"yidang/projections/follow"
)

// Options of Views. Path, Key, Catalog and History are required.
type Options struct {
	Path    string // of the SQLite file
	Key     []byte // 32 bytes, vault.Secret("views")
	Catalog Catalog
	History follow.History // follow.HistoryOf(journal, codec)
	// Erased tells whether a stream's key is destroyed, vault.Erased; nil: none is.
	Erased func(stream string) bool
	Log    *slog.Logger
	Packer *record.Packer // as in follow.StatesOptions

	CacheStates int // files that the projection keeps in memory, packed, about 2 KB each; 20,000 by default
	CacheEvents int // opened events kept for reading files; 20,000 by default, about 1 KB each
	Readers     int // lists that are read at once; by default as many as there are processors, between 2 and 8
}

// Catalog finds categories; *catalog.Catalog is one.
type Catalog interface {
	follow.Categories
	Category(name string) (*record.Category, bool)
}

// Views is safe for concurrent use. Apply is for one follower.
type Views struct {
	o Options

	applying  sync.Mutex   // held while a batch is applied and while a rebuilt file takes the place of the old one
	mu        sync.RWMutex // held for reading by every read; for writing only while files are exchanged
	now       *store
	histories *histories
}

// ErrBuilding is the answer to every list while the views are built for the first time.
var ErrBuilding = &record.Problem{Kind: record.Unavailable, Message: "the views are being built", Zh: "视图正在重建", Remedy: "ask again in a while; /readyz says how far it is"}

// Open opens the views, or starts new ones. A file of another schema, of another key or that cannot be read is deleted:
// the follower then builds it again.
func Open(ctx context.Context, o Options) (*Views, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Erased == nil {
		o.Erased = func(string) bool { return false }
	}
	if o.CacheStates <= 0 {
		o.CacheStates = 20_000
	}
	if o.CacheEvents <= 0 {
		o.CacheEvents = 20_000
	}
	if o.Readers <= 0 {
		o.Readers = min(max(runtime.GOMAXPROCS(0), 2), 8)
	}
	v := &Views{o: o}
	v.histories = newHistories(o)
	if err := adopt(ctx, o); err != nil {
		return nil, fmt.Errorf("open views: %w", err)
	}
	s, err := openStore(ctx, o, o.Path)
	if errors.Is(err, errUnusable) {
		o.Log.WarnContext(ctx, "views are deleted and built again", "reason", err)
		if err := remove(o.Path); err != nil {
			return nil, err
		}
		s, err = openStore(ctx, o, o.Path)
	}
	if err != nil {
		return nil, fmt.Errorf("open views: %w", err)
	}
	v.now = s
	if err := v.eraseForgotten(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open views: %w", err), s.close())
	}
	return v, nil
}

// Close waits for reads in hand and closes the file.
func (v *Views) Close() error {
	v.applying.Lock()
	defer v.applying.Unlock()
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.now.close()
}

// Name, Checkpoint and Apply make Views a follow.Projection.
func (v *Views) Name() string { return "views" }

// Checkpoint is documented at follow.Projection.
func (v *Views) Checkpoint(ctx context.Context) (uint64, bool, error) {
	v.applying.Lock()
	defer v.applying.Unlock()
	return v.now.Checkpoint(ctx)
}

// Apply is documented at follow.Projection.
func (v *Views) Apply(ctx context.Context, b follow.Batch) error {
	v.applying.Lock()
	defer v.applying.Unlock()
	return v.now.Apply(ctx, b)
}

// Position is the log position that lists show now.
func (v *Views) Position(ctx context.Context) (position uint64, err error) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	position, _, err = v.now.Checkpoint(ctx)
	return position, err
}

// Ready tells whether lists can be read: not while views are built for the first time.
func (v *Views) Ready() bool {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.now.indexed.Load()
}

// read runs f on one snapshot and gives the position of it.
func (v *Views) read(ctx context.Context, f func(r *reader) error) (position uint64, err error) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	s := v.now
	if !s.indexed.Load() {
		return 0, ErrBuilding
	}
	err = s.db.Read(ctx, func(c *sealed.Conn) error {
		r := &reader{c: c, s: s}
		if r.stored, err = r.position(); err != nil {
			return err
		}
		position = s.showing(r.stored)
		return f(r)
	})
	return position, storeError(err)
}

// Forget blanks what the views hold of streams whose keys were destroyed. Whoever destroys a key calls it afterwards; a
// crash between the two is mended by the next Open.
func (v *Views) Forget(ctx context.Context, streams ...string) error {
	v.applying.Lock()
	defer v.applying.Unlock()
	for _, stream := range streams {
		v.histories.drop(stream)
	}
	return v.now.forget(ctx, streams)
}

func (v *Views) eraseForgotten(ctx context.Context) error {
	var gone []string
	err := v.now.db.Read(ctx, func(c *sealed.Conn) error {
		for sql, category := range map[string]string{
			`SELECT id, '' FROM people WHERE erased = 0`: "person", `SELECT id, '' FROM officers WHERE erased = 0`: "officer",
			`SELECT id, program FROM cases WHERE erased = 0`: "",
		} {
			err := query(c, sql, nil, func(st *sqlite3.Stmt) error {
				k := category
				if k == "" {
					k = st.ColumnText(1)
				}
				if stream := record.StreamOf(k, columnID(st, 0)); v.o.Erased(stream) {
					gone = append(gone, stream)
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil || len(gone) == 0 {
		return err
	}
	return v.now.forget(ctx, gone)
}

// storeError gives errors of the file system their kind, so that a follower waits and callers are told to try again.
func storeError(err error) error {
	for _, code := range []sqlite3.ErrorCode{sqlite3.FULL, sqlite3.IOERR, sqlite3.BUSY, sqlite3.LOCKED, sqlite3.CANTOPEN, sqlite3.NOMEM, sqlite3.INTERRUPT} {
		if errors.Is(err, code) {
			return record.Errorf(record.Unavailable, "views: %w", err)
		}
	}
	return err
}

// remove deletes a database with the files that SQLite keeps beside it.
func remove(path string) error {
	for _, suffix := range []string{"-wal", "-shm", "-journal", ""} {
		if err := os.Remove(path + suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

func columnID(st *sqlite3.Stmt, i int) (id uuid.UUID) {
	copy(id[:], st.ColumnRawBlob(i))
	return id
}
