package commands

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"

	"yidang/domain/access"
	"yidang/domain/journal"
	"yidang/domain/record"
)

// Reading asks for a reading to be recorded.
type Reading struct {
	access.Read
	Actor  record.Actor
	Person uuid.UUID // whose file; zero for a list
	Case   uuid.UUID // which case of it; zero: the whole file
}

// RecordRead appends the record of a reading, durably, before the answer is given; on an error the answer must be refused.
// It refuses a reading that access.Read.Check refuses: every reading passes here.
// Within one's own caseload one entry stands for an hour of one session's reading in one file, but of what is sealed and of
// what a purpose was named for each reading has its own.
func (x *Executor) RecordRead(ctx context.Context, r Reading) error {
	if err := r.Check(r.Actor.Role); err != nil {
		return err
	}
	now := x.Now().UTC().Truncate(time.Millisecond)
	whom := append([]uuid.UUID{r.Person}, r.People...)
	// An hour's entry covers looking at the file. What is taken away is recorded each time, and so is a reading for a purpose
	// that was named and what was sealed: the entry that stands for the hour says neither (治安管理处罚法 136).
	grouped := r.Own && !r.Sealed && r.Purpose == "" && (r.What == access.File || r.What == access.Timeline)
	key := func(person uuid.UUID) ownRead { return ownRead{r.Session, person, now.Truncate(time.Hour)} }
	if grouped && !slices.ContainsFunc(whom, func(p uuid.UUID) bool { return !x.reads.Contains(key(p)) }) {
		return nil
	}
	id := uuid.New()
	e := record.Event{
		ID: id, Stream: record.StreamOf(access.Category.Name, r.Session), Type: access.ReadType, Data: r.Read,
		Meta: record.Meta{
			Form: 1, Actor: r.Actor.Officer, Post: r.Actor.Post, Role: r.Actor.Role, Unit: r.Actor.Unit, Person: r.Person, Case: r.Case,
			OccurredAt: now, RecordedAt: now, Basis: "PIPL 51, 55", Command: id, Correlation: id, Causation: id,
		},
	}
	p, err := x.Codec.Seal(ctx, e)
	if err != nil {
		return err
	}
	began := time.Now()
	// Readings do not depend on each other, so the stream's revision is not asked for.
	_, err = x.Journal.Append(ctx, e.Stream, journal.Any, p)
	x.Metrics.appended(began)
	if err == nil && grouped {
		for _, p := range whom { // each member of a merge has its own, for it may be read alone again
			x.reads.Add(key(p), struct{}{})
		}
	}
	return err
}

// ownRead is what one entry of an own caseload stands for.
type ownRead struct {
	session, person uuid.UUID
	hour            time.Time
}

// Read gives what a reading says, by its place in the session's stream; nothing when the session's key is destroyed.
func (x *Executor) Read(ctx context.Context, session uuid.UUID, revision uint64) (d access.Read, err error) {
	for s, err := range x.Journal.Stream(ctx, record.StreamOf(access.Category.Name, session), revision) {
		if err != nil {
			return d, err
		}
		e, _, err := x.Codec.Open(ctx, s)
		d, _ = e.Data.(access.Read)
		return d, err
	}
	return d, nil
}
