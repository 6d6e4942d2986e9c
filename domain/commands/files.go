package commands

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"

	lru "github.com/hashicorp/golang-lru/v2"

	"yidang/domain/casework"
	"yidang/domain/record"
)

// files keeps files in memory, those used last folded and the others packed. It only ever saves reading: every write is
// checked against the journal's revision.
type files struct {
	x      *Executor
	packer *record.Packer
	cache  *lru.Cache[string, *entry]
	folded *lru.Cache[string, *entry] // the part of cache that is not packed
	size   atomic.Int64               // of what is packed, in bytes
	limit  int64
}

const (
	maxFolded = 1024 // of 6 to 10 KB; never fewer than commands look at together
	usualSize = 2048 // of a packed file, which Options.Cache counts in
)

// entry is one stream's place in the cache.
//
// turn is held by the one command that may append. mu guards file and what it points to: whoever looks at a state holds it
// for reading, and the holder of the turn takes it for writing while it applies what it appended. The holder of the turn
// may read its own file without mu, because only it changes that file.
type entry struct {
	turn   sync.Mutex
	mu     sync.RWMutex
	file   *record.File  // nil when it must be loaded
	packed record.Packed // when file is nil, and it Exists
	gone   bool          // from the cache: what it holds counts no more
	seen   uint64        // highest revision the journal is known to hold; a file behind it is read again
}

func newFiles(size int, x *Executor) *files {
	fs := &files{x: x, packer: x.Packer, limit: int64(size) * usualSize}
	var err, err2 error
	fs.cache, err = lru.NewWithEvict(size, func(_ string, e *entry) { fs.forget(e) })
	fs.folded, err2 = lru.NewWithEvict(maxFolded, func(_ string, e *entry) { fs.pack(e) })
	if err := errors.Join(err, err2); err != nil {
		panic(err) // only for a size below one, which Options excludes
	}
	return fs
}

// pack makes the file of an entry small.
func (fs *files) pack(e *entry) {
	e.mu.Lock()
	if e.file != nil && e.file.Exists && !e.gone {
		if p, ok := fs.packer.Pack(e.file); ok {
			e.packed = p
			fs.size.Add(int64(p.Size()))
		}
	}
	e.file = nil
	e.mu.Unlock()
	for fs.size.Load() > fs.limit {
		if _, _, some := fs.cache.RemoveOldest(); !some {
			return
		}
	}
}

// forget counts out an entry that has left the cache. Whoever holds it goes on with it.
func (fs *files) forget(e *entry) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.gone = true
	fs.unpacked(e)
}

// unpacked drops the packed file. It is called with mu held.
func (fs *files) unpacked(e *entry) {
	fs.size.Add(-int64(e.packed.Size()))
	e.packed = record.Packed{}
}

func (fs *files) entry(stream string) *entry {
	if e, ok := fs.cache.Get(stream); ok {
		return e
	}
	fresh := &entry{}
	if had, ok, _ := fs.cache.PeekOrAdd(stream, fresh); ok {
		return had
	}
	return fresh
}

// load gives the stream's file, reading what is missing.
func (fs *files) load(ctx context.Context, stream string, e *entry) (*record.File, error) {
	e.mu.RLock()
	f, ok := e.file, e.fresh()
	e.mu.RUnlock()
	if !ok {
		var err error
		if f, err = fs.read(ctx, stream, e); err != nil {
			return nil, err
		}
	}
	fs.folded.Add(stream, e)
	return f, nil
}

func (fs *files) read(ctx context.Context, stream string, e *entry) (*record.File, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.fresh() {
		return e.file, nil
	}
	k, known := fs.x.Catalog.Of(stream)
	if !known {
		return nil, ErrNoFile
	}
	if e.packed.Exists {
		e.file = fs.packer.Unpack(k, stream, e.packed)
		fs.unpacked(e)
		if e.fresh() {
			return e.file, nil
		}
	}
	history, err := fs.x.History(ctx, stream)
	if err != nil {
		return nil, err
	}
	f := record.NewFile(k, stream).Remembering()
	if err := f.Fold(history, record.At{}); err != nil {
		return nil, err
	}
	settle(f)
	e.file = f
	return f, nil
}

// settle drops what a folded file holds only for those who keep duties: nobody here does, and it would grow for ever.
func settle(f *record.File) {
	if p, ok := f.State.(casework.Program); ok {
		p.Core().Duties.TakeChanges()
	}
}

// look loads several files, keeps them still while see runs, and hands them over by stream. Locks are taken in one order,
// so that two who look at the same files cannot wait for each other.
func (fs *files) look(ctx context.Context, streams []string, see func(map[string]*record.File) error) error {
	slices.Sort(streams)
	streams = slices.Compact(streams)
	for {
		entries := make([]*entry, len(streams))
		for i, s := range streams {
			entries[i] = fs.entry(s)
			if _, err := fs.load(ctx, s, entries[i]); err != nil {
				return err
			}
		}
		out := make(map[string]*record.File, len(streams)+1)
		for i, e := range entries {
			e.mu.RLock()
			if e.file != nil {
				out[streams[i]] = e.file
			}
		}
		whole := len(out) == len(streams)
		var err error
		if whole {
			err = see(out)
		}
		for _, e := range entries {
			e.mu.RUnlock()
		}
		if whole {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

// apply takes in what the holder of the turn appended to f.
func (fs *files) apply(e *entry, f *record.File, events []record.Event) {
	if fs.applied(e, f, events) {
		fs.folded.Add(f.Stream, e)
	}
}

func (fs *files) applied(e *entry, f *record.File, events []record.Event) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.file == nil && e.packed.Exists && e.packed.Revision == f.Revision { // packed meanwhile, as f still is
		e.file = f
	}
	fs.unpacked(e)
	if e.file != f { // somebody loaded it meanwhile, with or without these events
		if e.file != nil && e.file.Revision < events[len(events)-1].Revision {
			e.file = nil
		}
		return false
	}
	for _, ev := range events {
		if err := f.Apply(ev); err != nil { // it amends an earlier one: the next command folds from the start
			e.file = nil
			return false
		}
	}
	settle(f)
	return true
}

// drop forgets a file whose place in the journal is in doubt.
func (fs *files) drop(e *entry) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.file = nil
	fs.unpacked(e)
}

// Observe tells that the journal holds a revision of a stream, so that a file changed by another server is read again.
// Whoever follows the log calls it for every event.
func (x *Executor) Observe(stream string, revision uint64) {
	defer x.unitChanged(stream) // after the file is known to be behind
	e, ok := x.files.cache.Peek(stream)
	if !ok {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.seen = max(e.seen, revision+1)
}

// fresh is called with mu held.
func (e *entry) fresh() bool {
	if e.file == nil {
		return false
	}
	held := uint64(0)
	if e.file.Exists {
		held = e.file.Revision + 1
	}
	return held >= e.seen
}
