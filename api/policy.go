package api

import (
	"context"
	"maps"
	"slices"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"

	"yidang/domain/casework"
	"yidang/domain/policy"
	"yidang/domain/programs/drugs"
	"yidang/domain/record"
)

// Policy is what the system demands of an officer, and where it comes from.
type Policy struct {
	Position uint64        `json:"position"`
	ID       uuid.UUID     `json:"id" doc:"for the command policy.change_setting"`
	Version  string        `json:"version"`
	From     string        `json:"from" doc:"first day in force"`
	Source   string        `json:"source"`
	Calendar string        `json:"calendar" doc:"version of the working-day calendar"`
	Duties   []policy.Duty `json:"duties" nullable:"false"`
	Settings []Setting     `json:"settings" nullable:"false" doc:"what the plan leaves to the township"`
}

// Setting is a number that the township may choose.
type Setting struct {
	Name string `json:"name"`
	policy.Setting
}

// Codes is the catalogue of codes.
type Codes struct {
	Roles []Code     `json:"roles" nullable:"false"`
	Late  []string   `json:"late" nullable:"false" doc:"reasons for a late entry"`
	Lists []CodeList `json:"lists" nullable:"false"`
}

// CodeList is the accepted codes of one field.
type CodeList struct {
	Name  string `json:"name" doc:"of the list, such as casework.visit-outcomes"`
	Codes []Code `json:"codes" nullable:"false"`
}

// Code is a code with its names and source.
type Code struct {
	Code   string      `json:"code"`
	Title  record.Text `json:"title"`
	Source string      `json:"source,omitempty"`
}

// codeLists names the lists of terms.
var codeLists = map[string][]casework.Term{
	"casework.visit-outcomes": casework.VisitOutcomes, "casework.channels": casework.Channels, "casework.parties": casework.Parties,
	"casework.contact-outcomes": casework.ContactOutcomes, "casework.services": casework.Services, "casework.incidents": casework.Incidents,
	"casework.close-reasons": casework.CloseReasons,
	"drugs.kinds":            drugs.Kinds, "drugs.tiers": drugs.TierNames, "drugs.criteria": drugs.Criteria, "drugs.test-kinds": drugs.TestKinds, "drugs.stages": drugs.Stages,
	"drugs.results": drugs.Results, "drugs.substances": drugs.Substances, "drugs.shows": drugs.Shows, "drugs.signatures": drugs.Signatures, "drugs.missed-how": drugs.MissedHow,
	"drugs.decision-kinds": drugs.DecisionKinds, "drugs.levels": drugs.Levels, "drugs.delisting-outcomes": drugs.DelistingOutcomes, "drugs.breach-grounds": drugs.BreachGrounds,
	"drugs.referral-grounds": drugs.ReferralGrounds, "drugs.term-endings": drugs.TermEndings, "drugs.suspension-reasons": drugs.SuspensionReasons, "drugs.team-roles": drugs.TeamRoles,
	"drugs.appeal-outcomes": drugs.AppealOutcomes, "drugs.tellings": drugs.Tellings, "drugs.appellants": drugs.Appellants, "drugs.dispute-outcomes": drugs.DisputeOutcomes,
	"drugs.confirmations": drugs.Confirmations,
}

func (s *Server) policyRoutes() {
	who := "\n\nWho may: " + grantText(policy.Category.Readers) + "."
	read(s, huma.Operation{OperationID: "policy", Path: "/v1/policy", Tags: []string{"read"}, Summary: "Duties and settings (职责与设置)",
		Description: "The policy in force: each duty with the clause it comes from, and the settings of the township." + who}, s.policy)
	read(s, huma.Operation{OperationID: "codes", Path: "/v1/codes", Tags: []string{"read"}, Summary: "Catalogue of codes (代码目录)",
		Description: "Every coded field with its codes, names and sources." + who}, s.codes)
}

func (s *Server) policy(ctx context.Context, in *onlyAt) (*shown[Policy], error) {
	if _, err := s.mayRead(ctx, &policy.Category, placeOf{}); err != nil {
		return nil, err
	}
	if err := s.wait(ctx, in.AtLeast); err != nil {
		return nil, err
	}
	rules, err := s.options.Executor.Rules(ctx)
	if err != nil {
		return nil, err
	}
	history, err := s.options.Executor.History(ctx, policy.Stream)
	if err != nil {
		return nil, err
	}
	out := Policy{ID: policy.ID, Version: rules.Version, From: rules.From, Source: rules.Source, Calendar: rules.Calendar.Version, Duties: rules.Duties, Settings: []Setting{}}
	if len(history) > 0 {
		out.Position = history[len(history)-1].Position
	}
	for _, name := range slices.Sorted(maps.Keys(rules.Settings)) {
		out.Settings = append(out.Settings, Setting{Name: name, Setting: rules.Settings[name]})
	}
	return show(out.Position, out), nil
}

type codesAnswer struct{ Body Codes }

func (s *Server) codes(ctx context.Context, _ *meInput) (*codesAnswer, error) {
	if _, err := s.mayRead(ctx, &policy.Category, placeOf{}); err != nil {
		return nil, err
	}
	var out Codes
	for _, r := range record.Roles {
		out.Roles = append(out.Roles, Code{Code: string(r.Role), Title: r.Title})
	}
	for _, l := range record.Lates {
		out.Late = append(out.Late, string(l))
	}
	for _, name := range slices.Sorted(maps.Keys(codeLists)) {
		list := CodeList{Name: name}
		for _, t := range codeLists[name] {
			list.Codes = append(list.Codes, Code(t))
		}
		out.Lists = append(out.Lists, list)
	}
	return &codesAnswer{out}, nil
}
