package commands

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"yidang/domain/journal"
	"yidang/domain/policy"
	"yidang/domain/record"
)

// This file is one attempt at a command: decide on the state, make the events, append them.

// attempt tries once. It holds the stream's turn from loading to applying, so that in one process commands on a stream
// queue up instead of conflicting.
func (x *Executor) attempt(ctx context.Context, row *record.CommandRow, r Request, stream string, now time.Time, request []byte) (Receipt, error) {
	target := x.files.entry(stream)
	target.turn.Lock()
	defer target.turn.Unlock()
	f, err := x.files.load(ctx, stream, target)
	if err != nil {
		return Receipt{}, err
	}
	if done, ok := f.Command(r.CommandID); ok {
		return x.repeat(ctx, f, r, done, request)
	}
	actor, err := x.authorise(ctx, row, r, f)
	if err != nil {
		return Receipt{}, err
	}
	if err := precondition(row, r, f); err != nil {
		return Receipt{}, err
	}
	rules, err := x.rules(ctx, now)
	if err != nil {
		return Receipt{}, err
	}
	if err := checkClocks(row, &r, now, rules); err != nil {
		return Receipt{}, err
	}
	if err := x.precheck(ctx, row, r); err != nil {
		return Receipt{}, err
	}
	g := record.Given{
		Now: now, Occurred: r.Occurred, Late: r.Late, Actor: actor, Stream: stream, ID: r.ID, Revision: f.Revision,
		Exists: f.Exists, Command: r.CommandID, Rules: rules, Category: f.Category, Proposals: f.Proposals(),
	}
	if row.Approves != nil {
		return x.approve(ctx, target, row, r, g, f, request)
	}
	facts, err := x.decide(ctx, row, r, &g, f)
	if err != nil {
		return Receipt{}, err
	}
	events, err := x.events(row, r, g, f, facts, request)
	if err != nil {
		return Receipt{}, err
	}
	if events, err = x.second(row, r, g, f, events); err != nil {
		return Receipt{}, err
	}
	if r.DryRun && len(events) > 0 {
		if err := x.claimable(ctx, row, r, stream); err != nil {
			return Receipt{}, err
		}
	}
	if r.DryRun || len(events) == 0 {
		return x.receipt(r, f, events, now), nil
	}
	if err := x.claim(ctx, row, r, stream, now); err != nil {
		return Receipt{}, err
	}
	return x.append(ctx, target, f, r, events)
}

func (x *Executor) precheck(ctx context.Context, row *record.CommandRow, r Request) error {
	if x.Precheck == nil {
		return nil
	}
	return x.Precheck(ctx, row, r)
}

func precondition(row *record.CommandRow, r Request, f *record.File) error {
	switch {
	case f.Erased:
		return ErrErased
	case row.Creates && f.Exists:
		if claims := row.Claims(r.Input); len(claims) > 0 {
			return claims[0].Taken
		}
		return ErrStale
	case r.IfRevision != nil && (!f.Exists || *r.IfRevision != f.Revision):
		return ErrStale
	case !row.Creates && !f.Exists && f.Stream != policy.Stream:
		return ErrNoFile
	}
	return nil
}

// decide loads what the row needs, keeps it still, and runs the pure decision.
func (x *Executor) decide(ctx context.Context, row *record.CommandRow, r Request, g *record.Given, f *record.File) (facts []any, err error) {
	if row.History {
		if err := x.giveHistory(ctx, g); err != nil {
			return nil, err
		}
	}
	needs := slices.DeleteFunc(row.Needs(r.Input, *g), func(s string) bool {
		_, ok := x.Catalog.Of(s)
		return !ok || s == g.Stream
	})
	if g.Serves, err = x.serving(ctx, needs, PlaceOf(f, r.Input).Village); err != nil {
		return nil, err
	}
	err = x.files.look(ctx, needs, func(files map[string]*record.File) error {
		files[g.Stream] = f
		g.Other = func(stream string) any {
			if o := files[stream]; o != nil && o.Exists && !o.Erased {
				return o.State
			}
			return nil
		}
		facts, err = row.Decide(f.State, r.Input, *g)
		return err
	})
	if err == nil && x.Vouch != nil {
		err = x.vouch(ctx, g, facts)
	}
	return facts, err
}

func (x *Executor) vouch(ctx context.Context, g *record.Given, facts []any) error {
	said := slices.Clone(facts)
	for i, d := range facts {
		c, ok := d.(record.Corrected)
		if !ok {
			continue
		}
		about, ok := g.Event(c.Event)
		if !ok {
			return record.ErrNoEntry
		}
		right, err := record.Amendment{Corrections: []record.Event{{Data: c}}}.Effective(g.Category, about)
		if err != nil {
			return err
		}
		said[i] = right.Data
	}
	return x.Vouch(ctx, g.Stream, said)
}

func (x *Executor) giveHistory(ctx context.Context, g *record.Given) error {
	history, err := x.History(ctx, g.Stream)
	if err != nil {
		return err
	}
	amended := record.Amendments(history, record.At{})
	byID := make(map[uuid.UUID]record.Event, len(history))
	for _, e := range history {
		byID[e.ID] = e
	}
	g.Event = func(id uuid.UUID) (record.Event, bool) { e, ok := byID[id]; return e, ok }
	g.Voided = func(id uuid.UUID) bool { return amended[id].VoidedBy != nil }
	g.Amended = func(id uuid.UUID) record.Amendment { return amended[id] }
	return nil
}

// events wraps the decided facts in their envelopes.
func (x *Executor) events(row *record.CommandRow, r Request, g record.Given, f *record.File, facts []any, request []byte) ([]record.Event, error) {
	next := uint64(0)
	if f.Exists {
		next = f.Revision + 1
	}
	events := make([]record.Event, len(facts))
	for i, data := range facts {
		er, ok := f.Category.EventFor(data)
		if !ok {
			return nil, fmt.Errorf("%s decided %T, which is no event of %s", row.Name, data, f.Category.Name)
		}
		cause := r.Cause
		if cause == uuid.Nil {
			cause = r.CommandID
		}
		events[i] = record.Event{
			ID: eventID(r.CommandID, i), Stream: f.Stream, Revision: next + uint64(i), Type: er.Name, Data: data, Rules: g.Rules,
			Meta: record.Meta{
				Form: er.Form(), Actor: g.Actor.Officer, Post: g.Actor.Post, Role: g.Actor.Role, Unit: g.Actor.Unit,
				OccurredAt: g.Occurred.UTC().Truncate(time.Millisecond), RecordedAt: g.Now.UTC().Truncate(time.Millisecond), Late: g.Late,
				Basis: row.Source, Command: r.CommandID, Request: request, Correlation: r.CommandID, Causation: cause,
				Policy: g.Rules.(*policy.Rules).Version,
			},
		}
		if f.Category.Name == policy.Category.Name {
			events[i].Meta.Policy, events[i].Rules = "", nil // a policy's own history must be readable without a policy
		}
		place(&events[i].Meta, f, r)
	}
	return events, nil
}

// eventID derives from the command, so that a repeat stores nothing twice.
func eventID(command uuid.UUID, i int) uuid.UUID {
	return uuid.NewSHA1(command, []byte{byte(i >> 8), byte(i)})
}

type subject interface{ Subject() uuid.UUID }

// place names the person and the case in the metadata, so that whole files can be found without opening events.
func place(m *record.Meta, f *record.File, r Request) {
	if f.Category.Name == "person" {
		m.Person = r.ID
		return
	}
	if !f.Category.Case {
		return
	}
	m.Case = r.ID
	if s, ok := f.State.(subject); ok && f.Exists {
		m.Person = s.Subject()
	} else if s, ok := r.Input.(subject); ok {
		m.Person = s.Subject()
	}
}

// append seals, appends and applies.
func (x *Executor) append(ctx context.Context, target *entry, f *record.File, r Request, events []record.Event) (Receipt, error) {
	proposed := make([]journal.Proposed, len(events))
	for i, e := range events {
		p, err := x.Codec.Seal(ctx, e)
		if err != nil {
			return Receipt{}, err
		}
		proposed[i] = p
	}
	expected := journal.NoStream
	if f.Exists {
		expected = journal.Exactly(f.Revision)
	}
	began := time.Now()
	done, err := x.Journal.Append(ctx, f.Stream, expected, proposed...)
	x.Metrics.appended(began)
	if errors.Is(err, journal.ErrUnknownOutcome) && ctx.Err() == nil {
		// The same event ids at the same place: the store answers a repeat with the first result.
		done, err = x.Journal.Append(ctx, f.Stream, expected, proposed...)
	}
	if err != nil {
		x.files.drop(target)
		return Receipt{}, err
	}
	receipt := x.receipt(r, f, events, events[0].Meta.RecordedAt)
	receipt.Revision, receipt.Position = done.Revision, done.Position
	for i := range events {
		events[i].Position = done.Position
	}
	x.files.apply(target, f, events)
	x.unitChanged(f.Stream)
	return receipt, x.erase(ctx, events)
}

func (x *Executor) receipt(r Request, f *record.File, events []record.Event, at time.Time) Receipt {
	out := Receipt{Command: r.CommandID, Category: r.Category, ID: r.ID, DryRun: r.DryRun, At: at.UTC(), Events: []Recorded{}}
	if f.Exists {
		out.Revision, out.Position = f.Revision, f.Position
	}
	for _, e := range events {
		row, _ := f.Category.Event(e.Type)
		if e.Type == record.ProposedType {
			out.Proposal = e.ID
		}
		out.Events = append(out.Events, Recorded{ID: e.ID, Type: e.Type, Revision: e.Revision, Line: row.Line(e)})
		out.Data = append(out.Data, e.Data)
		out.Revision, out.Position = e.Revision, e.Position
	}
	return out
}
