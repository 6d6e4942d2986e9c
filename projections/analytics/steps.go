package analytics

import (
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"
	lru "github.com/hashicorp/golang-lru/v2"

	"yidang/domain/casework"
	"yidang/domain/record"
	"yidang/projections/follow"
)

// step is what one event did to its case.
type step struct {
	stream   string
	revision uint64
	before   Place
	after    Place
	duties   []Duty // of the last step only until the next
}

// stand is where a case stands between two events. All of it follows from the folded state.
type stand struct {
	place       Place
	responsible []casework.Responsibility
	owed        []owed
}

// folder derives steps. Every way a case is folded (the next event, a gap read again, a whole history) passes through the
// After of its category, so that is where a step is taken: the same history gives the same steps whichever way it came.
type folder struct {
	names      *pseudonyms
	catalog    follow.Categories
	categories map[*record.Category]*record.Category
	states     *follow.States
	// stands holds where the files used last stand: as many as states keeps folded, and some. For the others it is worked out
	// from the file when their next event comes.
	stands *lru.Cache[string, *stand]
	size   int // files in memory between two batches
	last   step
	keep   *[]step // collects every step while a whole history is folded; else nil
}

const maxStands = 1024 // of 1 to 2 KB

func newFolder(mac MAC, size int, o follow.StatesOptions) (*folder, error) {
	stands, err := lru.New[string, *stand](maxStands)
	if err != nil {
		return nil, err
	}
	f := &folder{names: &pseudonyms{mac: mac, seen: map[named]uuid.UUID{}, notes: newNotes(mac)}, size: size, catalog: o.Categories, categories: map[*record.Category]*record.Category{}, stands: stands}
	o.Categories = f
	f.states = follow.NewStates(o)
	return f, nil
}

// Of gives the category of a stream, watched.
func (f *folder) Of(stream string) (*record.Category, bool) {
	k, ok := f.catalog.Of(stream)
	if !ok {
		return nil, false
	}
	w, ok := f.categories[k]
	if !ok {
		c := *k
		c.After = func(state any, e record.Event) {
			if k.After != nil {
				k.After(state, e)
			}
			f.saw(state, e)
		}
		w = &c
		f.categories[k] = w
	}
	return w, true
}

func (f *folder) saw(state any, e record.Event) {
	p, ok := state.(casework.Program)
	if !ok {
		return
	}
	at, ok := f.stands.Get(e.Stream)
	if !ok || e.Revision == 0 {
		at = &stand{}
		f.stands.Add(e.Stream, at)
	}
	before, c := at.place, p.Core()
	at.place = placeOf(p)
	l := ledger{f.last.duties[:0], e.Position}
	at.owed = l.change(f.names, at.owed, p, c.Duties.TakeChanges())
	passed := before.Village != at.place.Village || before.Tier != at.place.Tier
	if !slices.EqualFunc(at.responsible, c.Responsible, same) {
		at.responsible, passed = slices.Clone(c.Responsible), true
	}
	if passed {
		l.pass(at.owed, p)
	}
	f.last = step{stream: e.Stream, revision: e.Revision, before: before, after: at.place, duties: l.lines}
	if f.keep != nil {
		kept := f.last
		kept.duties = slices.Clone(kept.duties)
		*f.keep = append(*f.keep, kept)
	}
}

// same compares moments, not their time zones: one of the two may come from a snapshot.
func same(a, b casework.Responsibility) bool {
	return a.Officer == b.Officer && a.Role == b.Role && a.Lead == b.Lead && a.From.Equal(b.From)
}

func placeOf(p casework.Program) Place {
	c := p.Core()
	return Place{Open: c.IsOpen(), Village: c.Village, Tier: p.Tier(), Lead: c.Lead()}
}

// resume takes in a file as its snapshot left it.
func (f *folder) resume(file *record.File) {
	p, ok := file.State.(casework.Program)
	if !ok {
		return
	}
	c, tier := p.Core(), p.Tier()
	at := &stand{place: placeOf(p), responsible: slices.Clone(c.Responsible)}
	for i := range c.Duties.Open {
		at.owed = append(at.owed, f.names.owe(&c.Duties.Open[i], c, tier))
	}
	f.stands.Add(file.Stream, at)
}

// next takes in the next event of a case. history is set when the event amends another: the stream up to it.
func (f *folder) next(ctx context.Context, e record.Event) (s step, history []record.Event, err error) {
	if !f.stands.Contains(e.Stream) {
		if file, ok := f.states.Held(e.Stream); ok {
			f.resume(file)
		}
	}
	folded, err := f.states.Fold(ctx, e)
	if err != nil {
		return step{}, nil, err
	}
	if f.last.stream == e.Stream && f.last.revision == e.Revision {
		return f.last, nil, nil
	}
	// The event changed nothing by itself: it is an amendment, or erased.
	at, ok := f.stands.Get(e.Stream)
	if !ok {
		at = &stand{}
		f.stands.Add(e.Stream, at)
	}
	if folded.Anew {
		history = folded.History
	}
	return step{stream: e.Stream, revision: e.Revision, before: at.place, after: at.place}, history, nil
}

// whole folds a history from its start. It leaves stands at the history's end.
func (f *folder) whole(stream string, history []record.Event) (steps []step, err error) {
	k, ok := f.Of(stream)
	if !ok {
		return nil, fmt.Errorf("stream %s is of no category", stream)
	}
	f.keep = &steps
	defer func() { f.keep = nil }()
	return steps, record.NewFile(k, stream).Fold(history, record.At{})
}

// reset forgets everything in memory.
func (f *folder) reset() {
	f.states.Reset()
	f.stands.Purge()
	f.last.stream = ""
}

// drop forgets one file.
func (f *folder) drop(stream string) {
	f.states.Drop(stream)
	f.stands.Remove(stream)
}

// trim lets go of files that were not used lately; save stores their snapshots.
func (f *folder) trim(save func(*record.File) error) error {
	return f.states.Trim(f.size, snapshotEvery, save)
}

// snapshotEvery is after how many events a file gets a new snapshot, and so how many are read again after a restart.
const snapshotEvery = 64
