package analytics

import (
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"

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
	duties   []Duty
}

// stand is what is kept of a case between two events, beside its folded state.
type stand struct {
	Place       Place
	Responsible []casework.Responsibility
}

// folder derives steps. Every way a case is folded (the next event, a gap read again, a whole history) passes through the
// After of its category, so that is where a step is taken: the same history gives the same steps whichever way it came.
type folder struct {
	names      *pseudonyms
	catalog    follow.Categories
	categories map[*record.Category]*record.Category
	states     *follow.States
	// stands holds what each file in states stood at. A file that states has and stands has not is read again.
	stands map[string]stand
	size   int // files in memory between two batches
	last   step
	keep   *[]step // collects every step while a whole history is folded; else nil
}

func newFolder(mac MAC, size int, o follow.StatesOptions) *folder {
	f := &folder{names: &pseudonyms{mac: mac, seen: map[named]uuid.UUID{}}, size: size, catalog: o.Categories, categories: map[*record.Category]*record.Category{}, stands: map[string]stand{}}
	o.Categories = f
	f.states = follow.NewStates(o)
	return f
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
	had := f.stands[e.Stream]
	if e.Revision == 0 {
		had = stand{}
	}
	now := standOf(p)
	passed := had.Place.Village != now.Place.Village || had.Place.Tier != now.Place.Tier || !slices.EqualFunc(had.Responsible, now.Responsible, same)
	f.stands[e.Stream] = now
	f.last = step{
		stream: e.Stream, revision: e.Revision, before: had.Place, after: now.Place,
		duties: f.names.words(p, p.Core().Duties.TakeChanges(), passed, e),
	}
	if f.keep != nil {
		*f.keep = append(*f.keep, f.last)
	}
}

// same compares moments, not their time zones: one of the two may come from a snapshot.
func same(a, b casework.Responsibility) bool {
	return a.Officer == b.Officer && a.Role == b.Role && a.Lead == b.Lead && a.From.Equal(b.From)
}

func standOf(p casework.Program) stand {
	c := p.Core()
	return stand{
		Place:       Place{Open: c.IsOpen(), Village: c.Village, Tier: p.Tier(), Lead: c.Lead()},
		Responsible: slices.Clone(c.Responsible),
	}
}

// next takes in the next event of a case. history is set when the event voids another: the stream up to it.
func (f *folder) next(ctx context.Context, e record.Event) (s step, history []record.Event, err error) {
	if _, ok := f.stands[e.Stream]; !ok {
		f.states.Drop(e.Stream)
	}
	folded, err := f.states.Fold(ctx, e)
	if err != nil {
		return step{}, nil, err
	}
	if f.last.stream == e.Stream && f.last.revision == e.Revision {
		return f.last, nil, nil
	}
	// The event changed nothing by itself: it is a void, or erased.
	at := f.stands[e.Stream]
	f.stands[e.Stream] = at
	if folded.Anew {
		history = folded.History
	}
	return step{stream: e.Stream, revision: e.Revision, before: at.Place, after: at.Place}, history, nil
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

// void gives what a void changes in words said earlier: the voided event is gone, and later events of the file may have
// happened in another tier, village or hand.
func (f *folder) void(stream, category string, history []record.Event) (revised []Fact, duties []Duty, err error) {
	last := history[len(history)-1]
	target, ok := last.Data.(record.Voided)
	if !ok || voids(history[:len(history)-1], target.Event) {
		return nil, nil, nil
	}
	before, err := f.whole(stream, history[:len(history)-1])
	if err != nil {
		return nil, nil, err
	}
	after, err := f.whole(stream, history)
	if err != nil {
		return nil, nil, err
	}
	was, is := byRevision(before), byRevision(after)
	for _, e := range history {
		if e.ID == target.Event {
			revised = append(revised, gone(e, last.Position))
			continue
		}
		o, had := was[e.Revision]
		n, has := is[e.Revision]
		if !had || !has || o.before == n.before && o.after == n.after {
			continue
		}
		w := f.names.fact(e, category, n)
		w.Known = last.Position
		revised = append(revised, w)
	}
	return revised, corrections(before, after, last.Position), nil
}

func voids(history []record.Event, id uuid.UUID) bool {
	_, ok := record.VoidedIn(history, record.At{})[id]
	return ok
}

func byRevision(steps []step) map[uint64]step {
	m := make(map[uint64]step, len(steps))
	for _, s := range steps {
		m[s.revision] = s
	}
	return m
}

// gone is the last word on a voided event.
func gone(e record.Event, at uint64) Fact {
	return Fact{
		Position: e.Position, Known: at, Gone: true, Event: e.ID, Type: e.Type,
		Occurred: within(e.Meta.OccurredAt), Day: day(e.Meta.OccurredAt), Recorded: within(e.Meta.RecordedAt), RecordedDay: day(e.Meta.RecordedAt),
	}
}

// reset forgets everything in memory.
func (f *folder) reset() {
	f.states.Reset()
	clear(f.stands)
	f.last = step{}
}

// trim lets go of files that were not used lately; save stores their snapshots.
func (f *folder) trim(save func(*record.File, stand) error) error {
	err := f.states.Trim(f.size, snapshotEvery, func(file *record.File) error { return save(file, f.stands[file.Stream]) })
	if err == nil && len(f.stands) > 4*f.size {
		f.reset() // what was not saved is read from the journal again
	}
	return err
}

// snapshotEvery is after how many events a file gets a new snapshot, and so how many are read again after a restart.
const snapshotEvery = 64
