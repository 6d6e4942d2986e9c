// Package oversight keeps the index from which an inspector's questions are answered: what an officer recorded and how
// late, what was amended and by whom, what two people approved, who read a file, which files are one person's and who is
// responsible for that person. It is derived: delete the file and it is built again from the journal.
//
//   - It is built from metadata. Opener opens the data of the few types that say something about other events or about
//     reading; everything else stays sealed. What is kept is uuids, codes and times, never a text: reasons are read from
//     the journal when they are shown.
//   - Every row is written once, at the end of its table. What finds rows by officer, person, file, unit or type are
//     lists of positions: those of the newest events are kept in memory, and when there are enough of them they are
//     written together as one block, which never changes. So an event costs one row at the end of a file, not a page in
//     each of several indexes. A start reads the newest rows again.
//   - Questions are answered in pages by position in the log. A page examines a bounded number of rows: one that found
//     little may be short, and says where to go on. Each answer says which position of the log it shows.
//   - When the key of a file is destroyed its entries stay, as its events do. What only their data said cannot be told
//     again by an index that is built later: which entry an amendment names, and how a proposal was answered other than by
//     an approval. Of a destroyed file nobody is responsible and nothing is merged, and its open proposals have lapsed: who
//     was, and with whom, is deleted.
//   - An amendment names an earlier event of its own stream; one that names anything else changes nothing here.
package oversight

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/ncruces/go-sqlite3"

	"yidang/domain/record"
	"yidang/domain/vault/sealed"
	"yidang/projections/follow"
)

// Options of an Index. Path, Key and Catalog are required.
type Options struct {
	Path    string // of the SQLite file
	Key     []byte // 32 bytes, vault.Secret("oversight")
	Catalog Catalog
	Log     *slog.Logger
	Readers int // questions that are answered at once; by default as many as there are processors, between 2 and 8

	// Block is how many events share a block of lists, and at most how many are indexed in memory; 65,536 by default. It
	// belongs to the file: another number than it was built with makes it be built again.
	Block int
	// Examine bounds the rows that are looked at for a page; 50,000 by default.
	Examine int
}

// Catalog finds categories; *catalog.Catalog is one.
type Catalog interface {
	Category(name string) (*record.Category, bool)
}

// Index is safe for concurrent use. Apply is for one follower. It is fed with what an Opener opened, or with whole events.
type Index struct {
	o     Options
	db    *sealed.DB
	names *names
	ready atomic.Bool // it has caught up once, now or in an earlier life

	// mu is held by a reader while it begins to read, and by the writer while it commits a block: so the lists in memory
	// begin where the blocks of the snapshot end.
	mu     sync.RWMutex
	blocks []span // in log order; replaced or appended to, never changed
	tail   *tail

	applying sync.Mutex
	position uint64 // of the last batch stored; of the writer
	purge    bool   // something was deleted; of the writer
}

// ErrBuilding is the answer to every question while the index is built for the first time.
var ErrBuilding = &record.Problem{Kind: record.Unavailable, Message: "the index of the record is being built", Zh: "监督索引正在重建", Remedy: "ask again in a while; /readyz says how far it is"}

// errUnusable says that a file cannot serve and may go: it is derived.
var errUnusable = errors.New("the file cannot be used")

// Open opens the index, or starts a new one. A file of another schema, of another key or that cannot be read is deleted:
// the follower then builds it again.
func Open(ctx context.Context, o Options) (*Index, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Readers <= 0 {
		o.Readers = min(max(runtime.GOMAXPROCS(0), 2), 8)
	}
	if o.Block <= 0 {
		o.Block = 1 << 16
	}
	if o.Examine <= 0 {
		o.Examine = 50_000
	}
	x, err := openFile(ctx, o)
	if errors.Is(err, errUnusable) {
		o.Log.WarnContext(ctx, "the index is deleted and built again", "reason", err)
		if err := Remove(o.Path); err != nil {
			return nil, err
		}
		x, err = openFile(ctx, o)
	}
	if err != nil {
		return nil, fmt.Errorf("open oversight: %w", err)
	}
	return x, nil
}

func openFile(ctx context.Context, o Options) (*Index, error) {
	db, err := sealed.Open(o.Path, o.Key, sealed.Options{Readers: o.Readers, WriterCache: 8 << 10, ReaderCache: 2 << 10})
	if err != nil {
		if record.KindOf(err) == record.Invalid {
			return nil, fmt.Errorf("%w: %w", errUnusable, err)
		}
		return nil, corrupt(err)
	}
	x := &Index{o: o, db: db}
	if err := x.start(ctx); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return x, nil
}

func corrupt(err error) error {
	if errors.Is(err, sqlite3.CORRUPT) || errors.Is(err, sqlite3.NOTADB) {
		return fmt.Errorf("%w: %w", errUnusable, err)
	}
	return err
}

// Remove deletes the files of an index that is not open: the next Open begins anew.
func Remove(path string) error {
	var errs []error
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(path + suffix); err != nil && !os.IsNotExist(err) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// Close waits for questions in hand and closes the file.
func (x *Index) Close() error {
	x.applying.Lock()
	defer x.applying.Unlock()
	return x.db.Close()
}

// Name, Checkpoint and Apply make an Index a follow.Projection.
func (x *Index) Name() string { return "oversight" }

// Checkpoint is documented at follow.Projection.
func (x *Index) Checkpoint(ctx context.Context) (position uint64, started bool, err error) {
	err = x.db.Read(ctx, func(c *sealed.Conn) error {
		position, started, err = checkpoint(c)
		return err
	})
	return position, started, storeError(err)
}

// Position is the log position that answers show now.
func (x *Index) Position(ctx context.Context) (uint64, error) {
	position, _, err := x.Checkpoint(ctx)
	return position, err
}

// Ready tells whether questions are answered: not while the index is built for the first time.
func (x *Index) Ready() bool { return x.ready.Load() }

// Apply is documented at follow.Projection.
func (x *Index) Apply(ctx context.Context, b follow.Batch) error {
	x.applying.Lock()
	defer x.applying.Unlock()
	w := &writer{x: x, tail: x.tail, position: x.position}
	committing := false
	err := x.db.Write(ctx, func(c *sealed.Conn) error {
		w.c = c
		if err := w.batch(b); err != nil {
			return err
		}
		if len(w.blocks) > 0 { // from here to the exchange nobody begins to read
			x.mu.Lock()
			committing = true
		}
		return nil
	})
	if committing {
		if err == nil {
			x.blocks, x.tail = append(x.blocks, w.blocks...), w.tail
		}
		x.mu.Unlock()
	}
	if err == nil {
		x.position, x.purge = w.position, x.purge || w.erases
		if b.CaughtUp {
			x.ready.Store(true)
		}
		if x.purge {
			if err := x.db.Purge(ctx); err != nil {
				return storeError(err)
			}
			x.purge = false
		}
		return nil
	}
	if again := x.load(context.WithoutCancel(ctx)); again != nil {
		return fmt.Errorf("%w (and then: %w)", storeError(err), again)
	}
	return storeError(err)
}

// reader is one question on one snapshot.
type reader struct {
	x        *Index
	c        *sealed.Conn
	position uint64
	blocks   []span
	tail     *tail
}

// read runs f on one snapshot and gives the position of it.
func (x *Index) read(ctx context.Context, f func(r *reader) error) (position uint64, err error) {
	if !x.ready.Load() {
		return 0, ErrBuilding
	}
	err = x.db.Read(ctx, func(c *sealed.Conn) error {
		r := &reader{x: x, c: c}
		if err := r.begin(); err != nil {
			return err
		}
		position = r.position
		return f(r)
	})
	return position, storeError(err)
}

// begin takes the snapshot, with its first query, and the lists that go with it.
func (r *reader) begin() (err error) {
	r.x.mu.RLock()
	defer r.x.mu.RUnlock()
	r.blocks, r.tail = r.x.blocks, r.x.tail
	r.position, _, err = checkpoint(r.c)
	return err
}

// storeError marks what may pass by itself: the caller waits and tries again.
func storeError(err error) error {
	for _, code := range []sqlite3.ErrorCode{sqlite3.FULL, sqlite3.IOERR, sqlite3.BUSY, sqlite3.LOCKED, sqlite3.CANTOPEN, sqlite3.NOMEM, sqlite3.INTERRUPT} {
		if errors.Is(err, code) {
			return record.Errorf(record.Unavailable, "oversight: %w", err)
		}
	}
	return err
}
