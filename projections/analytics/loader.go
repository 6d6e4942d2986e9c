package analytics

import (
	"context"
	"slices"
	"time"

	"yidang/domain/record"
	"yidang/projections/follow"
)

// rows are what a batch adds.
type rows struct {
	facts     []Fact
	revisions []Fact
	duties    []Duty
	erased    []erased // files whose key is being destroyed
}

// small is the number of events below which a batch waits for its turn.
const small = 1000

// Apply loads a batch: rows first, then the checkpoint with the folded cases. A crash in between leaves rows beyond the
// checkpoint; no report looks there, and the same rows come again in their place.
func (s *Store) Apply(ctx context.Context, batch follow.Batch) error {
	if err := s.apply(ctx, batch); err != nil {
		s.folder.reset() // memory is ahead of what is stored
		return err
	}
	s.position.Store(batch.UpTo)
	return nil
}

func (s *Store) apply(ctx context.Context, batch follow.Batch) error {
	add, err := s.derive(ctx, batch.Events, rows{})
	if err != nil {
		return err
	}
	if err := s.insert(ctx, add); err != nil {
		return err
	}
	if err := s.forget(ctx, add.erased); err != nil {
		return err
	}
	return s.commit(ctx, batch.UpTo)
}

func (s *Store) insert(ctx context.Context, add rows) error {
	if len(add.facts) == 0 {
		return nil
	}
	if wait := time.Until(s.inserted.Add(s.o.Pace)); len(add.facts) < small && wait > 0 {
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	err := s.send(ctx, add)
	s.inserted = time.Now()
	return err
}

// send sends rows, those that reports look for first last.
func (s *Store) send(ctx context.Context, add rows) error {
	if err := insert(ctx, s.conn, dutiesTable, dutyColumns, add.duties); err != nil {
		return err
	}
	if err := insert(ctx, s.conn, revisionsTable, factColumns, add.revisions); err != nil {
		return err
	}
	return insert(ctx, s.conn, factsTable, factColumns, add.facts)
}

// derive makes the rows of a batch, in log order. They take the place of older rows, which nobody needs any more.
func (s *Store) derive(ctx context.Context, events []record.Event, older rows) (rows, error) {
	add := rows{facts: slices.Grow(older.facts[:0], len(events)), revisions: older.revisions[:0], duties: older.duties[:0]}
	for _, e := range events {
		k, ok := s.o.Categories.Of(e.Stream)
		if !ok {
			continue
		}
		var err error
		if k.Case {
			err = s.caseEvent(ctx, k, e, &add)
		} else {
			err = s.plainEvent(ctx, k, e, &add)
		}
		if err != nil {
			return rows{}, err
		}
		if e.Type == record.ErasedType {
			add.erase(s.folder.names.erased(k, e.Stream))
		}
	}
	return add, nil
}

func (s *Store) caseEvent(ctx context.Context, k *record.Category, e record.Event, add *rows) error {
	at, history, err := s.folder.next(ctx, e)
	if err != nil {
		return err
	}
	if history != nil {
		revised, duties, err := s.folder.amendCase(k, history)
		if err != nil {
			return err
		}
		add.revisions, at.duties = append(add.revisions, revised...), duties
	}
	if e.Type == record.ErasedType {
		at = step{} // where the case stood is content
	}
	add.facts = append(add.facts, s.folder.names.fact(e, k.Name, at))
	add.duties = append(add.duties, at.duties...)
	return nil
}

// plainEvent is an event of a stream that is no case: a person, an officer, a unit, the policy.
func (s *Store) plainEvent(ctx context.Context, k *record.Category, e record.Event, add *rows) error {
	add.facts = append(add.facts, s.folder.names.fact(e, k.Name, step{}))
	if !record.Amends(e.Type) {
		return nil
	}
	var history []record.Event
	for past, err := range s.o.History(ctx, e.Stream, 0) {
		if err != nil {
			return err
		}
		if past.Revision >= e.Revision {
			break
		}
		history = append(history, past)
	}
	revised, err := s.folder.amend(k, append(history, e), func(record.Event) (o, n step, ok bool) { return o, n, true })
	add.revisions = append(add.revisions, revised...)
	return err
}
