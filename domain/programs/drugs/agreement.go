package drugs

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"yidang/domain/casework"
	"yidang/domain/policy"
	"yidang/domain/record"
	"yidang/domain/staff"
)

// Agreement is what the person and the township signed (戒毒条例 16), with the table of urine tests it brings.
type Agreement struct {
	Signed      time.Time
	Schedule    []TestStep
	Transcribed bool
}

// TestStep is one line of the table: for so many months, a test every so many days. Lines follow each other.
type TestStep struct {
	Months    int `json:"months" minimum:"1" maximum:"36" doc:"how long this line holds"`
	EveryDays int `json:"everyDays" minimum:"1" maximum:"365" doc:"days from one test to the next"`
}

// next gives the day of the test after from; none without a table, or after its end.
func (a *Agreement) next(from time.Time) (time.Time, bool) {
	if a == nil {
		return time.Time{}, false
	}
	from, ends := record.DayOf(from), record.DayOf(a.Signed)
	every := 0
	for _, s := range a.Schedule {
		ends = policy.AddPeriod(ends, 0, s.Months, 0)
		if every == 0 && from.Before(ends) {
			every = s.EveryDays
		}
	}
	due := from.AddDate(0, 0, every)
	return due, every > 0 && !due.After(ends)
}

// SignAgreement records the agreement, or its renewal with another table.
type SignAgreement struct {
	Number      string               `json:"number,omitempty" maxLength:"80"`
	Schedule    []TestStep           `json:"schedule,omitempty" maxItems:"12" doc:"the table of urine tests, as police require; no law sets their frequency"`
	Attachment  *casework.Attachment `json:"attachment,omitempty" doc:"scan of the signed paper"`
	Transcribed bool                 `json:"transcribed,omitempty" doc:"taken over from an older register, table unknown; only with late=import"`
}

// AgreementSigned is the record.
type AgreementSigned struct {
	Number      string               `json:"number,omitempty" maxLength:"80"`
	Schedule    []TestStep           `json:"schedule,omitempty" maxItems:"12"`
	Attachment  *casework.Attachment `json:"attachment,omitempty"`
	Renewed     bool                 `json:"renewed,omitempty" correct:"no"`
	Transcribed bool                 `json:"transcribed,omitempty" correct:"no"`
}

// Facets of the agreement.
func (d AgreementSigned) Facets() record.Facets {
	f := record.Facets{Kind: "first", Outcome: "table-held"}
	if d.Renewed {
		f.Kind = "renewed"
	}
	if len(d.Schedule) == 0 {
		f.Outcome = "table-missing"
	}
	return f
}

func (d AgreementSigned) line() record.Text {
	t := record.T("签订协议", "Agreement signed")
	if d.Renewed {
		t = record.T("重新签订协议", "Agreement signed anew")
	}
	for i, s := range d.Schedule {
		sep := record.T("；", "; ")
		if i == 0 {
			sep = record.T("，尿检安排：", ", urine tests: ")
		}
		t = say(t, sep, record.T(fmt.Sprintf("%d 个月内每 %d 天一次", s.Months, s.EveryDays), fmt.Sprintf("every %[2]d days for %[1]d months", s.Months, s.EveryDays)))
	}
	if d.Transcribed {
		t = say(t, record.T("（据旧台账转录）", " (from an older register)"))
	}
	return t
}

// RecordReporting records that the person reported in.
type RecordReporting struct {
	Note string `json:"note,omitempty" maxLength:"500"`
}

// ReportedIn starts the term (戒毒条例 14).
type ReportedIn struct {
	DaysAfterService int    `json:"daysAfterService,omitempty" correct:"no"` // 0 when the day of service is unknown
	Note             string `json:"note,omitempty" maxLength:"500"`
}

// Facets of the reporting.
func (d ReportedIn) Facets() record.Facets {
	f := record.Facets{Outcome: "in-time", Quantity: float64(d.DaysAfterService)}
	if d.DaysAfterService > ReportWithin {
		f.Outcome = "late"
	}
	return f
}

// TeamRole is a place in the support team.
type TeamRole string

// TeamRoles are the places of the support team (戒毒条例 17). The plan's village group (D-06) lacks the first and the
// fourth; the regulation wins.
var TeamRoles = casework.Terms{
	{Code: "full-time-worker", Title: record.T("社区戒毒专职工作人员", "full-time worker"), Source: "戒毒条例 17"},
	{Code: "community-police", Title: record.T("社区民警", "community police officer"), Source: "戒毒条例 17; D-06"},
	{Code: "medic", Title: record.T("社区医务人员", "community medic"), Source: "戒毒条例 17; D-06"},
	{Code: "family", Title: record.T("家庭成员", "family member"), Source: "戒毒条例 17"},
	{Code: "volunteer", Title: record.T("禁毒志愿者", "anti-drug volunteer"), Source: "戒毒条例 17; D-06"},
}

// posts are the posts that fit a place in the team; family holds none.
func (r TeamRole) posts() []record.Role {
	switch r {
	case "full-time-worker":
		return []record.Role{record.TownshipOffice, record.VillageCadre}
	case "community-police":
		return []record.Role{record.CommunityPolice}
	case "medic":
		return []record.Role{record.CommunityMedic}
	case "volunteer":
		return []record.Role{record.Volunteer}
	}
	return nil
}

// TeamMember fills a place: an officer, or a relative by the id he has in the person's file, so that nothing of relatives
// is kept twice (S-13).
type TeamMember struct {
	Role   TeamRole  `json:"role" enum:"full-time-worker,community-police,medic,family,volunteer"`
	Member uuid.UUID `json:"member" doc:"officer, or for family the relative's id in the person's file"`
}

// FormTeam records the support team as it is now, whole.
type FormTeam struct {
	Members []TeamMember `json:"members" minItems:"1" maxItems:"20"`
}

// TeamFormed is the record.
type TeamFormed struct {
	Members []TeamMember `json:"members"`
}

// Facets of the team.
func (d TeamFormed) Facets() record.Facets {
	f := record.Facets{Outcome: "complete", Quantity: float64(len(d.Members))}
	if len(missingRoles(d.Members)) > 0 {
		f.Outcome = "incomplete"
	}
	return f
}

func (d TeamFormed) line() record.Text {
	t := record.T(fmt.Sprintf("组成帮教小组（%d 人）", len(d.Members)), fmt.Sprintf("Support team formed (%d members)", len(d.Members)))
	if missing := missingRoles(d.Members); len(missing) > 0 {
		names := TeamRoles.Titles(missing)
		t = say(t, record.T("，缺："+names.Zh, ", missing: "+names.En))
	}
	return t
}

func missingRoles(members []TeamMember) (missing []string) {
	for _, r := range TeamRoles {
		if !slices.ContainsFunc(members, func(m TeamMember) bool { return string(m.Role) == r.Code }) {
			missing = append(missing, r.Code)
		}
	}
	return missing
}

// MissingRoles lists the places of the support team that nobody fills (戒毒条例 17).
func (c *Case) MissingRoles() []string { return missingRoles(c.Team) }

// Refusals by rule.
var (
	ErrNoTerm      = refusal("戒毒条例 9", "voluntary treatment has no term", "自愿戒毒没有期限", "record a contact or a note instead")
	ErrReported    = refusal("戒毒条例 14", "the person has reported in already", "该人员已报到", "void the earlier entry if its day is wrong")
	ErrNotReported = refusal("戒毒条例 14, 16", "the person has not reported in yet", "该人员尚未报到", "record the reporting first")
	ErrNoSchedule  = invalid("schedule", "禁毒法 35; 戒毒条例 19", "the agreement brings its own table of urine tests", "协议应附尿检安排表", "give at least one line of months and days")
	ErrTeamPost    = refusal("戒毒条例 17", "the officer has no post here that fits this place in the team", "该人员在本村（社区）没有与该位置相符的岗位", "choose an officer with such a post, or have it granted")
	ErrSchedule    = invalid("schedule", "戒毒条例 14", "the table is longer than the term", "尿检安排超过期限", "let its months add up to the term at most")
)

var agreementEvents = []record.EventRow{
	record.On("drugs.reported_in", record.T("报到", "Reported in"),
		func(c *Case, _ ReportedIn, e record.Event) {
			c.Reported = record.DayOf(e.Meta.OccurredAt)
			c.backTo(c.Reported)
		},
		func(d ReportedIn) record.Text {
			t := record.T("报到，期限开始计算", "Reported in; the term begins")
			if d.DaysAfterService > 0 {
				t = record.T(fmt.Sprintf("报到（送达后第 %d 天），期限开始计算", d.DaysAfterService), fmt.Sprintf("Reported in on day %d after service; the term begins", d.DaysAfterService))
			}
			return say(t, also("", "", d.Note))
		}),
	record.On("drugs.agreement_signed", record.T("签订协议", "Agreement signed"),
		func(c *Case, d AgreementSigned, e record.Event) {
			c.Agreement = &Agreement{Signed: record.DayOf(e.Meta.OccurredAt), Schedule: d.Schedule, Transcribed: d.Transcribed}
		}, AgreementSigned.line),
	record.On("drugs.team_formed", record.T("组成帮教小组", "Support team formed"),
		func(c *Case, d TeamFormed, _ record.Event) { c.Team = d.Members }, TeamFormed.line),
}

var agreementCommands = []record.CommandRow{
	record.Do("drugs.record_reporting", record.T("记录报到", "Record that the person reported in"), "DL-D1; 戒毒条例 14, 38", recordReporting, village, police, office),
	record.Do("drugs.sign_agreement", record.T("签订协议", "Sign the agreement"), "戒毒条例 16, 38", signAgreement, village, police, office),
	record.Needing(record.Do("drugs.form_team", record.T("组成帮教小组", "Form the support team"), "D-06; 戒毒条例 17", formTeam, village, office),
		func(in FormTeam, _ record.Given) (streams []string) {
			for _, m := range in.Members {
				if m.Role.posts() != nil {
					streams = append(streams, staff.Stream(m.Member))
				}
			}
			return streams
		}),
}

// recordReporting takes a day before the opening when the case was taken over from an older register without its order: the
// person reported years before the file was here, and the day of service is not known yet.
func recordReporting(c *Case, in RecordReporting, g record.Given) ([]any, error) {
	err := casework.MustBeOpen(c, g)
	if errors.Is(err, casework.ErrBeforeOpen) && c.Order.Transcribed && c.Order.Served == "" {
		err = nil
	}
	if err := firstOf(err, text("note", in.Note, 0, 500)); err != nil {
		return nil, err
	}
	switch {
	case !c.hasOrder():
		return nil, ErrNoTerm
	case !c.Reported.IsZero():
		return nil, ErrReported
	}
	d := ReportedIn{Note: in.Note}
	if s := dayOf(c.Order.Served); !s.IsZero() {
		d.DaysAfterService = days(s, g.Occurred)
	}
	return []any{d}, nil
}

// days counts calendar days; the first is not counted.
func days(from, to time.Time) int {
	return int(record.DayOf(to).Sub(record.DayOf(from)) / (24 * time.Hour))
}

func signAgreement(c *Case, in SignAgreement, g record.Given) ([]any, error) {
	if err := firstOf(casework.MustBeOpen(c, g), text("number", in.Number, 0, 80), optional("attachment", in.Attachment)); err != nil {
		return nil, err
	}
	switch {
	case in.Transcribed && g.Late != record.LateImport:
		return nil, ErrTranscribed.At("transcribed")
	case !in.Transcribed && c.hasOrder() && c.Reported.IsZero() && !c.Order.Transcribed:
		return nil, ErrNotReported
	case !in.Transcribed && len(in.Schedule) == 0:
		return nil, ErrNoSchedule
	}
	if err := checkSchedule(in.Schedule, max(c.TermMonths, DetoxMonths)); err != nil {
		return nil, err
	}
	return []any{AgreementSigned{Number: in.Number, Schedule: in.Schedule, Attachment: in.Attachment, Renewed: c.Agreement != nil, Transcribed: in.Transcribed}}, nil
}

// checkSchedule holds a table within the term.
func checkSchedule(schedule []TestStep, most int) error {
	months := 0
	for i, s := range schedule {
		if err := firstOf(number(fmt.Sprintf("schedule[%d].months", i), s.Months, 1, DetoxMonths), number(fmt.Sprintf("schedule[%d].everyDays", i), s.EveryDays, 1, 365)); err != nil {
			return err
		}
		months += s.Months
	}
	if months > most || len(schedule) > 12 {
		return ErrSchedule
	}
	return nil
}

func formTeam(c *Case, in FormTeam, g record.Given) ([]any, error) {
	if err := firstOf(casework.MustBeOpen(c, g), number("members", len(in.Members), 1, 20)); err != nil {
		return nil, err
	}
	for i, m := range in.Members {
		at := fmt.Sprintf("members[%d]", i)
		if err := TeamRoles.Check(at+".role", string(m.Role)); err != nil {
			return nil, err
		}
		if m.Member == uuid.Nil {
			return nil, invalid(at+".member", "", "is missing", "未填写", "give the id of the officer or relative")
		}
		if slices.ContainsFunc(in.Members[:i], func(o TeamMember) bool { return o.Member == m.Member }) {
			return nil, invalid(at, "", "is named twice", "重复", "leave one out")
		}
		if posts := m.Role.posts(); posts != nil && !serves(staff.Of(g, m.Member), posts, g) {
			return nil, ErrTeamPost.At(at + ".member")
		}
	}
	if slices.Equal(in.Members, c.Team) {
		return nil, nil
	}
	return []any{TeamFormed(in)}, nil
}

// serves tells whether an officer holds one of the posts for the village of the file.
func serves(o *staff.Officer, posts []record.Role, g record.Given) bool {
	return o != nil && slices.ContainsFunc(o.Active(g.Now), func(p staff.Post) bool { return slices.Contains(posts, p.Role) && g.Serves(p.Unit) })
}
