package analytics

import (
	"fmt"

	"github.com/google/uuid"

	"yidang/domain/record"
)

// An amendment, which is a void or a correction, changes what earlier events of its file mean: the event that it names is
// gone or says something else, and what came after it may have happened in another tier, village or hand.

// amendCase gives the words and lines that the last event of a case's history, an amendment, adds.
func (f *folder) amendCase(k *record.Category, history []record.Event) (revised []Fact, duties []Duty, err error) {
	last := history[len(history)-1]
	before, err := f.whole(last.Stream, history[:len(history)-1])
	if err != nil {
		return nil, nil, err
	}
	after, err := f.whole(last.Stream, history)
	if err != nil {
		return nil, nil, err
	}
	l := ledger{position: last.Position}
	l.correct(before, after)
	was, is := byRevision(before), byRevision(after)
	revised, err = f.amend(k, history, func(e record.Event) (o, n step, ok bool) {
		o, had := was[e.Revision]
		n, has := is[e.Revision]
		return o, n, had && has
	})
	return revised, l.lines, err
}

// amend gives another word on each event whose first word, or the last one on it, does not hold any more since the last
// event of the history. steps tells what an event did, before that one and since; ok is false for what did nothing.
func (f *folder) amend(k *record.Category, history []record.Event, steps func(record.Event) (o, n step, ok bool)) (revised []Fact, err error) {
	earlier, last := history[:len(history)-1], history[len(history)-1]
	was, is := record.Amendments(earlier, record.At{}), record.Amendments(history, record.At{})
	for _, e := range earlier {
		o, n, ok := steps(e)
		switch {
		case was[e.ID].VoidedBy != nil: // for ever: a void is not voided
			continue
		case is[e.ID].VoidedBy != nil:
			revised = append(revised, f.gone(e, k.Name, last.Position))
			continue
		case !ok:
			continue
		}
		old, err := f.word(k, e, was, o)
		if err != nil {
			return nil, err
		}
		now, err := f.word(k, e, is, n)
		if err != nil {
			return nil, err
		}
		if now != old {
			now.Known = last.Position
			revised = append(revised, now)
		}
	}
	return revised, nil
}

// word is what is said of an event as it was amended.
func (f *folder) word(k *record.Category, e record.Event, amended map[uuid.UUID]record.Amendment, s step) (Fact, error) {
	e, err := amended[e.ID].Effective(k, e)
	if err != nil {
		return Fact{}, fmt.Errorf("event %s as it was amended: %w", e.ID, err)
	}
	return f.names.fact(e, k.Name, s), nil
}

func byRevision(steps []step) map[uint64]step {
	m := make(map[uint64]step, len(steps))
	for _, s := range steps {
		m[s.revision] = s
	}
	return m
}

// gone is the last word on a voided event. It names its file, so that it goes with it.
func (f *folder) gone(e record.Event, category string, at uint64) Fact {
	return Fact{
		Position: e.Position, Known: at, Gone: true, Event: e.ID, Category: category, Type: e.Type,
		Person: f.names.of("person", e.Meta.Person), Case: f.names.of("case", e.Meta.Case),
		Occurred: within(e.Meta.OccurredAt), Day: dayOf(e.Meta.OccurredAt), Recorded: within(e.Meta.RecordedAt), RecordedDay: dayOf(e.Meta.RecordedAt),
	}
}
