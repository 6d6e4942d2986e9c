package api

import (
	"context"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"

	"yidang/domain/record"
	"yidang/projections/oversight"
)

// This file lists what waits for a second person.

type proposalsQuery struct {
	Paging
	Status string    `query:"status" enum:"open,approved,rejected,withdrawn,expired,lapsed" default:"open"`
	Person uuid.UUID `query:"person"`
	Case   uuid.UUID `query:"case"`
	Mine   bool      `query:"mine" doc:"only the caller's own; those of others when left out"`
}

// Proposals is a page of proposals.
type Proposals struct {
	oversight.Page
	Proposals []ProposalItem `json:"proposals" nullable:"false"`
}

// ProposalItem is one proposal. What it would record is in the file's timeline.
type ProposalItem struct {
	oversight.Proposal
	Title record.Text `json:"title" doc:"of the command that was proposed"`
	Next  string      `json:"next,omitempty" doc:"where to approve it; reject-proposal and withdraw-proposal are beside it"`
}

func (s *Server) proposalRoutes() {
	read(s, huma.Operation{OperationID: "proposals", Path: "/v1/proposals", Tags: []string{"read"}, Summary: "What waits for a second person (待审批提请)",
		Description: "Proposals in files that the caller may read. Closing, lowering a tier, moving away, merging, seeing a picture, erasing and late amendments take two people; neither the proposer nor a responsible officer approves.\n\nWho may: " + grantText(s.readersOf("")) + "."}, s.proposals)
}

func (s *Server) proposals(ctx context.Context, in *proposalsQuery) (*shown[Proposals], error) {
	if s.options.Oversight == nil {
		return nil, errNoIndex
	}
	if _, err := s.reach(ctx, s.readersOf("")); err != nil { // who may read no file learns of no proposal
		return nil, err
	}
	if err := s.watch(ctx, in.AtLeast); err != nil {
		return nil, err
	}
	q := oversight.ProposalQuery{Paging: in.paging(), Now: s.options.Now(), Status: in.Status, Person: in.Person, Case: in.Case, NotBy: visitOf(ctx).who.Officer}
	if in.Mine {
		q.Proposer, q.NotBy = q.NotBy, uuid.Nil
	}
	rows, page, err := s.options.Oversight.Proposals(ctx, q)
	if err != nil {
		return nil, err
	}
	out := Proposals{Page: page, Proposals: []ProposalItem{}}
	for _, p := range rows {
		ok, err := s.seesProposal(ctx, p)
		if err != nil {
			return nil, err
		}
		if !ok {
			continue
		}
		item := ProposalItem{Proposal: p}
		if row, ok := s.options.Catalog.Command(p.Category, p.Command); ok {
			item.Title = row.Title
		}
		if p.Status == oversight.Waiting {
			item.Next = "/v1/" + p.Category + "/" + p.File.String() + "/approve-proposal"
		}
		out.Proposals = append(out.Proposals, item)
	}
	return show(page.Position, out), nil
}

func (s *Server) seesProposal(ctx context.Context, p oversight.Proposal) (bool, error) {
	k, ok := s.options.Catalog.Category(p.Category)
	if !ok {
		return false, nil
	}
	place := placeOf{Subject: p.Person}
	if k.Case {
		row, _, err := s.options.Views.Case(ctx, p.File)
		if err != nil {
			return false, err
		}
		place.Village = row.Village
		place.Handles = func(officer uuid.UUID) bool {
			for _, h := range row.Handlers {
				if h == officer {
					return true
				}
			}
			return false
		}
	} else if f, err := s.options.Views.File(ctx, p.File, record.At{}); err == nil {
		place.Village = f.Person.Village
	}
	_, err := s.mayRead(ctx, k, place)
	if record.KindOf(err) == record.Forbidden {
		return false, nil
	}
	return err == nil, err
}
