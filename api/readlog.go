package api

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"

	"yidang/domain/access"
	"yidang/domain/casework"
	"yidang/domain/commands"
	"yidang/domain/record"
	"yidang/projections/views"
)

// This file is how reading becomes part of the record: the reading is appended before the answer is given, and when it
// cannot be, there is no answer. Outside one's own caseload the caller says why, in two headers.

const (
	purposeHeader = "Yidang-Purpose"
	reasonHeader  = "Yidang-Reason"
	maxReason     = 300 // characters
)

// Refusals of reading.
var (
	errNoPurpose = &record.Problem{Kind: record.Invalid, Field: purposeHeader, Rule: "PIPL 6, 28, 51", Message: "this file is outside your own caseload: say what it is read for", Zh: "该档案不在本人负责范围内，须说明查阅目的",
		Remedy: "send the header " + purposeHeader + " with one of: " + purposeCodes()}
	errPurpose = &record.Problem{Kind: record.Invalid, Field: purposeHeader, Rule: "PIPL 6, 28, 51", Message: "is not a purpose of the list", Zh: "不在查阅目的目录中",
		Remedy: "use one of: " + purposeCodes()}
	errReason = &record.Problem{Kind: record.Invalid, Field: reasonHeader, Rule: "PIPL 51, 55", Message: "must be at most 300 characters of UTF-8, percent-encoded", Zh: "须为不超过 300 字的 UTF-8 文本（百分号编码）", Remedy: "shorten it"}
)

// recorded marks an operation whose readings are recorded.
const recorded = "recorded"

// purposeParams describes the two headers, for the API document.
func purposeParams() []*huma.Param {
	code := &huma.Schema{Type: huma.TypeString}
	var whose []string
	for _, p := range access.Purposes {
		code.Enum = append(code.Enum, p.Code)
		var roles []string
		for _, r := range p.Roles {
			roles = append(roles, string(r))
		}
		whose = append(whose, p.Code+" ("+strings.Join(roles, ", ")+")")
	}
	return []*huma.Param{
		{Name: purposeHeader, In: "header", Schema: code, Description: "what the file is read for; required outside the caller's own caseload, and kept in the record. Each is for some roles: " + strings.Join(whose, "; ")},
		{Name: reasonHeader, In: "header", Schema: &huma.Schema{Type: huma.TypeString}, Description: "the reason in the caller's words, UTF-8, percent-encoded; kept in the record, also when the file is erased, for it is about your reading: name nobody. Required for what is sealed"},
	}
}

func purposeCodes() string {
	var codes []string
	for _, p := range access.Purposes {
		codes = append(codes, p.Code)
	}
	return strings.Join(codes, ", ")
}

// why is what the caller says about the purpose.
type why struct {
	purpose access.Purpose // empty: nothing was said
	reason  string
	err     error
}

func whyOf(h http.Header) (w why) {
	if code := h.Get(purposeHeader); code != "" {
		var ok bool
		if w.purpose, ok = access.PurposeOf(code); !ok {
			w.err = errPurpose
		}
	}
	text, err := url.PathUnescape(h.Get(reasonHeader))
	if err != nil || !utf8.ValidString(text) || utf8.RuneCountInString(text) > maxReason {
		w.err = errReason
	}
	w.reason = strings.TrimSpace(text)
	return w
}

// looked is what a reading shows.
type looked struct {
	what, item   string
	person, kase uuid.UUID
	actor        record.Actor
	own, sealed  bool
	people       []uuid.UUID // of a list; of a file, the others that are merged with it
}

// recordRead records a reading, or refuses it. Lists need no purpose: searching comes before registering, and they show
// numbers masked.
func (s *Server) recordRead(ctx context.Context, l looked) error {
	v := visitOf(ctx)
	if v.why.err != nil {
		return v.why.err
	}
	o, _, err := s.options.Executor.Officer(ctx, l.actor.Officer)
	if err != nil {
		return err
	}
	purpose := v.why.purpose.Code
	glass := l.person != uuid.Nil && !l.own && o.BrokeGlass(l.person, s.options.Now())
	switch {
	case purpose != "" || l.own || l.person == uuid.Nil:
	case glass:
		purpose = "emergency"
	default:
		return errNoPurpose
	}
	return inHeader(s.options.Executor.RecordRead(ctx, commands.Reading{Actor: l.actor, Person: l.person, Case: l.kase, Read: access.Read{
		What: l.what, Purpose: purpose, Reason: v.why.reason, Own: l.own, Glass: glass, Sealed: l.sealed, From: v.from.String(), Session: v.who.Credential(),
		Item: l.item, People: l.people,
	}}))
}

// inHeader names the header in which what was refused came.
func inHeader(err error) error {
	for _, p := range []*record.Problem{access.ErrPurpose, access.ErrSealed} {
		if errors.Is(err, p) {
			return p.At(map[string]string{"purpose": purposeHeader, "reason": reasonHeader}[p.Field])
		}
	}
	return err
}

// ownCaseload tells whether an officer is responsible in one of the cases.
func ownCaseload(cases []*record.File, officer uuid.UUID) bool {
	for _, c := range cases {
		if p, ok := c.State.(casework.Program); ok && p.Core().Handles(officer) {
			return true
		}
	}
	return false
}

// recordHits records whom a list showed outside the caller's own caseload, once for the answer; nothing when it is all his.
func (s *Server) recordHits(ctx context.Context, people []uuid.UUID, actor record.Actor) error {
	if len(people) == 0 {
		return nil
	}
	slices.SortFunc(people, func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) })
	return s.recordRead(ctx, looked{what: access.Hit, actor: actor, people: slices.Compact(people)})
}

// peopleShown lists whom a list of people shows outside an officer's own caseload.
func peopleShown(rows []views.PersonRow, officer uuid.UUID) (people []uuid.UUID) {
	for _, row := range rows {
		if !slices.ContainsFunc(row.Cases, func(c views.CaseRow) bool { return slices.Contains(c.Handlers, officer) }) {
			people = append(people, row.ID)
		}
	}
	return people
}
