package audit

import (
	"context"
	"reflect"
	"slices"
	"sort"
	"time"

	"github.com/google/uuid"

	"yidang/domain/casework"
	"yidang/domain/catalog"
	"yidang/domain/journal"
	"yidang/domain/policy"
	"yidang/domain/record"
	"yidang/domain/staff"
	"yidang/domain/units"
)

// past is what the township was at any moment: who was in which post, which unit covered which village, which policy was in
// force. It is built once, from the events alone, and then only read.
type past struct {
	officers map[uuid.UUID]timeline[officer]
	units    map[uuid.UUID]timeline[*units.Unit]
	changes  []time.Time // of the policy
}

// officer is what of an officer's state authority depends on.
type officer struct {
	staff.Officer // posts, recusals, emergency readings and whether the account is closed; nothing else is kept
}

// timeline is a state and since when it holds, oldest first.
type timeline[T any] []since[T]

type since[T any] struct {
	at    time.Time
	state T
}

// at is the state at a moment; ok is false before the first.
func (t timeline[T]) at(moment time.Time) (state T, ok bool) {
	i := sort.Search(len(t), func(i int) bool { return t[i].at.After(moment) })
	if i == 0 {
		return state, false
	}
	return t[i-1].state, true
}

func (p *past) unitAt(moment time.Time) func(uuid.UUID) *units.Unit {
	return func(id uuid.UUID) *units.Unit {
		u, _ := p.units[id].at(moment)
		return u
	}
}

// changesBy is how many changes the policy had seen by a moment.
func (p *past) changesBy(moment time.Time) int {
	return sort.Search(len(p.changes), func(i int) bool { return p.changes[i].After(moment) })
}

// prepare makes the codec. Its policy comes from the events that were dealt out, not from another reading.
func (a *audit) prepare() error {
	var settings []record.Event
	book, err := policy.NewBook(func(context.Context) ([]record.Event, error) { return settings, nil })
	if err != nil {
		return err
	}
	a.codec = &catalog.Codec{Catalog: a.Catalog, Vault: a.Vault, Policy: book, Strict: true}
	a.settings = func(events []record.Event) { settings = events }
	a.who = &past{officers: map[uuid.UUID]timeline[officer]{}, units: map[uuid.UUID]timeline[*units.Unit]{}}
	a.readers = a.fileReaders()
	a.slim, a.naming = map[string]*record.Category{}, map[reflect.Type]bool{}
	for _, k := range a.Catalog.Categories {
		for _, row := range k.Events {
			a.naming[row.Type] = casework.MayName(row.Type) || row.Name == record.CorrectedType
		}
		slim := *k
		slim.After = nil // duties decide nothing here, and take longer than all the rest
		a.slim[k.Name] = &slim
	}
	return nil
}

// remember builds the past. What cannot be read is left out here and reported when its stream is checked.
func (a *audit) remember(ctx context.Context) error {
	streams, err := a.spool.take(townPart)
	if err != nil {
		return err
	}
	for _, s := range streams {
		if s.name != policy.Stream {
			continue
		}
		events := a.opened(ctx, s.events)
		a.settings(events)
		for _, e := range events {
			a.who.changes = append(a.who.changes, e.Meta.RecordedAt)
		}
		slices.SortFunc(a.who.changes, time.Time.Compare)
	}
	for _, s := range streams {
		kind, id, ok := record.SplitStream(s.name)
		switch {
		case !ok:
		case kind == units.Category.Name:
			a.who.units[id] = remembered(a, ctx, s, func(u *units.Unit) *units.Unit { c := *u; return &c })
		case kind == staff.Category.Name:
			a.who.officers[id] = remembered(a, ctx, s, func(o *staff.Officer) officer {
				return officer{staff.Officer{Posts: slices.Clone(o.Posts), Recused: o.Recused, Disabled: o.Disabled, Glass: o.Glass}}
			})
		}
	}
	return ctx.Err()
}

// opened opens those events that can be.
func (a *audit) opened(ctx context.Context, stored []journal.Stored) []record.Event {
	events := make([]record.Event, 0, len(stored))
	for _, s := range stored {
		if e, known, err := a.codec.Open(ctx, s); err == nil && known {
			events = append(events, e)
		}
	}
	return events
}

// remembered folds a stream and keeps what it was after each event that changed what is kept.
func remembered[S, T any](a *audit, ctx context.Context, s *stream, keep func(S) T) timeline[T] {
	k, ok := a.Catalog.Of(s.name)
	if !ok {
		return nil
	}
	var line timeline[T]
	var history []record.Event
	f := record.NewFile(a.slim[k.Name], s.name)
	for _, e := range a.opened(ctx, s.events) {
		e.Revision = uint64(len(history)) // those that change nothing here were left out; gaps are for the check of the stream
		history = append(history, e)
		var err error
		if f, err = apply(f, history); err != nil {
			return line
		}
		moment := e.Meta.RecordedAt
		if len(line) > 0 && moment.Before(line[len(line)-1].at) {
			moment = line[len(line)-1].at
		}
		line = append(line, since[T]{moment, keep(f.State.(S))})
	}
	return line
}

// apply takes in the last event of a history, folding anew when it amends an earlier one.
func apply(f *record.File, history []record.Event) (*record.File, error) {
	err := f.Apply(history[len(history)-1])
	if err != record.ErrRefold {
		return f, err
	}
	again := record.NewFile(f.Category, f.Stream)
	return again, again.Fold(history, record.At{})
}
