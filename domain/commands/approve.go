package commands

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"yidang/domain/policy"
	"yidang/domain/record"
)

// This file carries out the two-person rule (record/approve.go): what a guarded command decided is held back as a proposal,
// and recorded together with a second person's approval. And it destroys the key of a file when that was approved.

// errNoRow refuses a proposal of a command that has changed since.
var errNoRow = &record.Problem{Kind: record.Refused, Field: "proposal", Rule: "two-person rule", Message: "this version no longer knows the command that was proposed",
	Zh: "当前版本已无所提请的操作", Remedy: "reject the proposal and make a new one"}

// second gives what is to be recorded: the decided events, or the proposal of the command when they take two people.
func (x *Executor) second(row *record.CommandRow, r Request, g record.Given, f *record.File, decided []record.Event) ([]record.Event, error) {
	if !slices.ContainsFunc(decided, func(e record.Event) bool { return f.Category.NeedsSecond(e, g.Event) }) {
		return decided, nil
	}
	input, err := json.Marshal(r.Input)
	if err != nil {
		return nil, err
	}
	p := record.Proposed{
		Command: row.Name, Title: row.Title, Input: input, OccurredAt: g.Occurred.UTC().Truncate(time.Millisecond), Late: g.Late,
		Expires: g.Now.UTC().Truncate(time.Millisecond).AddDate(0, 0, g.Rules.(*policy.Rules).Days("proposal")),
	}
	for _, e := range decided {
		er, _ := f.Category.Event(e.Type)
		p.Would, p.Types = append(p.Would, er.Line(e)), append(p.Types, e.Type)
	}
	g.Occurred, g.Late = g.Now, "" // proposing happens now; what is proposed keeps its own time
	return x.events(row, r, g, f, []any{p}, decided[0].Meta.Request)
}

// approve carries out what was proposed, for whoever proposed it, together with the approval.
func (x *Executor) approve(ctx context.Context, target *entry, row *record.CommandRow, r Request, g record.Given, f *record.File, request []byte) (Receipt, error) {
	id, note := row.Approves(r.Input)
	i := slices.IndexFunc(g.Proposals, func(p record.Event) bool { return p.ID == id })
	if i < 0 {
		return Receipt{}, record.ErrNoProposal
	}
	proposal := g.Proposals[i]
	p := proposal.Data.(record.Proposed)
	if !g.Now.Before(p.Expires) {
		return Receipt{}, record.ErrExpired
	}
	proposed, ok := x.Catalog.Command(f.Category.Name, p.Command)
	if !ok {
		return Receipt{}, errNoRow
	}
	input, err := proposed.Parse(p.Input)
	if err != nil {
		return Receipt{}, errNoRow.Because(err)
	}
	if err := x.independent(ctx, proposal, input, g.Actor.Officer, f); err != nil {
		return Receipt{}, err
	}
	approved, err := x.events(row, r, g, f, []any{record.Approved{Proposal: id, Note: note}}, request)
	if err != nil {
		return Receipt{}, err
	}
	// From here on it is the proposer's command: his post must still allow it, and it is decided on the file as it is now.
	theirs := r
	theirs.Officer, theirs.Post, theirs.Input, theirs.Occurred, theirs.Late, theirs.Cause = proposal.Meta.Actor, proposal.Meta.Post, input, p.OccurredAt, p.Late, proposal.ID
	actor := record.Actor{Officer: proposal.Meta.Actor, Role: proposal.Meta.Role, Unit: proposal.Meta.Unit, Post: proposal.Meta.Post}
	if actor.Officer != System {
		if actor, err = x.authorise(ctx, proposed, theirs, f); err != nil {
			return Receipt{}, err
		}
	}
	if err := x.precheck(ctx, proposed, theirs); err != nil {
		return Receipt{}, err
	}
	g.Actor, g.Occurred, g.Late = actor, p.OccurredAt, p.Late
	facts, err := x.decide(ctx, proposed, theirs, &g, f)
	if err != nil {
		return Receipt{}, err
	}
	decided, err := x.events(proposed, theirs, g, f, facts, request)
	if err != nil {
		return Receipt{}, err
	}
	for i := range decided {
		decided[i].ID = eventID(r.CommandID, i+1)
		decided[i].Revision++
	}
	events := append(approved, decided...)
	if r.DryRun {
		if err := x.claimable(ctx, proposed, theirs, f.Stream); err != nil {
			return Receipt{}, err
		}
		return x.receipt(r, f, events, g.Now), nil
	}
	if err := x.claim(ctx, proposed, theirs, f.Stream, g.Now); err != nil {
		return Receipt{}, err
	}
	return x.append(ctx, target, f, r, events)
}

// Concerned lists the people whom a command concerns beside the one in whose file it is given: whoever is responsible for
// one of them has a part in it.
func Concerned(input any) []uuid.UUID {
	if c, ok := input.(interface{ Concerned() []uuid.UUID }); ok {
		return c.Concerned()
	}
	return nil
}

// independent refuses whoever proposed it himself, or is responsible for a person whom it concerns.
func (x *Executor) independent(ctx context.Context, proposal record.Event, input any, officer uuid.UUID, f *record.File) error {
	if proposal.Meta.Actor == officer {
		return record.ErrOwnProposal
	}
	place := PlaceOf(f, nil)
	if place.Handles != nil && place.Handles(officer) {
		return record.ErrInvolved
	}
	if x.Responsible == nil || place.Subject == uuid.Nil {
		return nil
	}
	for _, person := range append(Concerned(input), place.Subject) {
		involved, err := x.Responsible(ctx, person, officer)
		if err != nil {
			return err
		}
		if involved {
			return record.ErrInvolved
		}
	}
	return nil
}

// erase destroys the key of a file whose erasure was just recorded. When that fails, or the process dies before it,
// FinishErasures does it at the next start.
func (x *Executor) erase(ctx context.Context, events []record.Event) error {
	for _, e := range events {
		if e.Type != record.ErasedType {
			continue
		}
		if err := x.Vault.Destroy(context.WithoutCancel(ctx), e.Stream, e.Data.(record.FileErased).Basis); err != nil {
			return fmt.Errorf("the erasure of %s is recorded, but its key is not destroyed yet: %w", e.Stream, err)
		}
	}
	return nil
}

// FinishErasure destroys the key of a stream whose erasure the journal holds, if that is still to be done. Whoever follows
// the log calls it for every record.erased, so that a crash between the record and the act, or another server's act,
// leaves no key behind.
func (x *Executor) FinishErasure(ctx context.Context, stream, basis string) error {
	if x.Vault.Erased(stream) {
		return nil
	}
	return x.Vault.Destroy(ctx, stream, basis)
}
