package api

import (
	"context"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"

	"yidang/domain/access"
	"yidang/domain/record"
	"yidang/projections/views"
)

// This file answers: what did this file say on that day, and what do we know now that we did not know then?

// Difference is what became known of a file between two moments.
type Difference struct {
	Position uint64   `json:"position"`
	From     string   `json:"from"`
	To       string   `json:"to,omitempty"`
	Changes  []Change `json:"changes" nullable:"false" doc:"in the order they were recorded"`
}

// Change is one thing that became known.
type Change struct {
	Kind string      `json:"kind" enum:"recorded,voided,corrected" doc:"an entry that was not there; one that was there and was voided or corrected since"`
	Text record.Text `json:"text" doc:"what changed, as a sentence"`
	Line Line        `json:"line" doc:"the entry as it stands at the later moment"`
}

type differenceQuery struct {
	AtLeast
	ID   uuid.UUID `path:"id" doc:"of the person"`
	From string    `query:"from" required:"true" maxLength:"40" doc:"what was known at this time, or at the end of this day"`
	To   string    `query:"to" maxLength:"40" doc:"and what was known at this later one; now when left out"`
}

func (s *Server) differenceRoutes() {
	read(s, huma.Operation{OperationID: "difference", Path: "/v1/people/{id}/difference", Tags: []string{"read"}, Summary: "What became known between two moments (两个时点之间新获知的内容)",
		Metadata: map[string]any{recorded: true}, Description: "Compares the file as known at one moment with the file as known at a later one: entries recorded in between, and entries that were voided or corrected in between.\n\nWho may: " + grantText(s.readersOf("")) + "."}, s.difference)
}

func (s *Server) difference(ctx context.Context, in *differenceQuery) (*shown[Difference], error) {
	from, err := moment("from", in.From)
	if err != nil {
		return nil, err
	}
	to, err := moment("to", in.To)
	if err != nil {
		return nil, err
	}
	if !to.IsZero() && to.Before(from) {
		return nil, errWhen.At("to")
	}
	if err := s.wait(ctx, in.AtLeast); err != nil {
		return nil, err
	}
	later, err := s.open(ctx, access.Timeline, in.ID, uuid.Nil, record.At{KnownAt: to})
	if err != nil {
		return nil, err
	}
	then, err := later.File.At(record.At{KnownAt: from})
	if err != nil {
		return nil, err
	}
	earlier := *later
	earlier.File = then
	out := Difference{Position: later.Position, From: in.From, To: in.To, Changes: []Change{}}
	for _, c := range views.Difference(earlier.seen(uuid.Nil), later.seen(uuid.Nil)) {
		out.Changes = append(out.Changes, Change{Kind: string(c.Kind), Text: c.Text(), Line: newLine(c.Line)})
	}
	return show(later.Position, out), nil
}
