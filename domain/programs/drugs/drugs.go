// Package drugs is the first program: drug-dependent people in community detoxification, community rehabilitation or
// voluntary treatment (D-01…D-19). The rules, in plain words:
//
//   - A case opens on what public security determined, never on what a village thinks: the order and the determination
//     of addiction are named by number, organ and day. Who comes of his own will needs no order and is not referred for
//     it (戒毒条例 9; 禁毒法 62). An order taken over from an older register is marked so until its papers are supplied.
//   - The person reports within 15 days of service; three years run from that day (戒毒条例 14) and stand still in custody
//     (戒毒条例 24). The agreement brings its own table of urine tests: no law sets their frequency.
//   - Three tiers (D-08…D-11). A human decides, ticks criteria, gives reasons; the person is told and may appeal; somebody
//     else decides the appeal (S-15). A tier says who leads the case and how often it is visited, never where the person
//     may go (S-5).
//   - Village and township may ask for a urine test; only police record one: two testers, a woman for a woman, samples A
//     and B sealed when it is positive (S-2). A positive can be contested until it is final, and is ground for nothing
//     before. Pictures show the sealing, the reading or the paper, never the person (S-3).
//   - Three refusals of tests, three absences without leave, or more than thirty days of them are a serious breach
//     (戒毒条例 20). What follows is a referral to the police and nothing else: isolation is ordered by county public
//     security, and their decision is recorded with its document (S-1). No command here orders or restricts anything.
//   - Three years clean end dynamic control (戒毒条例 7): the review is due of itself, also in a case that closed because its
//     term had ended; then the file is sealed (S-16).
package drugs

import (
	"slices"
	"time"

	"github.com/google/uuid"

	"yidang/domain/casework"
	"yidang/domain/policy"
	"yidang/domain/record"
)

// name is the category of the streams and the program of the duties.
const name = "drugs"

// Case is the state of one drug case. It marshals to JSON and back without loss.
type Case struct {
	casework.Case
	Kind          Kind
	Sex           int // GB/T 2261.1, as known when the case was opened
	Order         Document
	Determination Document
	TermMonths    int       // 0: no term, as in voluntary treatment
	Reported      time.Time // the term runs from this day
	Agreement     *Agreement
	Team          []TeamMember
	Tiers         []TierDecision // oldest first; the last one holds
	Appeals       []TierAppeal
	Requests      []TestRequest // awaiting the police
	Tests         []Test        // oldest first
	Misses        []Miss
	Leaves        []Leave
	Absences      []Absence
	Breach        *Breach // reached and not yet answered by a decision
	Referrals     []Referral
	Decisions     []Decision
	Suspensions   []Suspension
	TermEnding    *TermEnding
	ReleaseNotice *Document
	Move          *Move
	Maintenance   string    // medicine of maintenance treatment, "none" after it ended
	Relapsed      time.Time // the latest relapse known other than by a test of this case
	Delisted      time.Time // dynamic control ended
	Sealed        bool      // reads need a basis of their own (S-16)
}

// Category is the program's table.
var Category = record.Category{
	Name: name, Title: record.T("吸毒成瘾人员", "Drug-dependent person"), Sealed: true, Case: true,
	Readers: []record.Grant{village, police, office, volunteer, {Roles: []record.Role{record.Inspector}, Scope: record.Anywhere}},
	New:     func() any { return &Case{} },
	Events: slices.Concat(openingEvents, agreementEvents, tierEvents, testEvents, missEvents, disputeEvents, leaveEvents,
		breachEvents, decisionEvents, termEvents, endingEvents, maintenanceEvents, retentionEvents,
		casework.Events()),
	Commands: slices.Concat(openingCommands, agreementCommands, tierCommands, testCommands, missCommands, disputeCommands,
		leaveCommands, breachCommands, decisionCommands, termCommands, endingCommands, maintenanceCommands, retentionCommands,
		sharedCommands()),
	After: track,
}

// Who may do what. Volunteers need to know only what they do themselves (S-14).
var (
	police    = record.Grant{Roles: []record.Role{record.CommunityPolice}, Scope: record.InUnit}
	office    = record.Grant{Roles: []record.Role{record.TownshipOffice}, Scope: record.InUnit}
	village   = record.Grant{Roles: []record.Role{record.VillageCadre, record.CommunityMedic}, Scope: record.InUnit}
	volunteer = record.Grant{Roles: []record.Role{record.Volunteer}, Scope: record.Caseload}
)

// sharedCommands are the rows of casework with the posts of this program. A volunteer visits, talks, helps and notes; he
// answers a hand-over although he is not in the case yet, which the decision allows only to the one who was asked.
func sharedCommands() []record.CommandRow {
	rows := casework.Commands(casework.Posts{
		Workers: []record.Grant{village, police},
		Leaders: []record.Grant{office}, Approvers: []record.Grant{office, police},
	})
	asked := record.Grant{Roles: volunteer.Roles, Scope: record.InUnit}
	for i, r := range rows {
		switch r.Name {
		case "casework.record_visit", "casework.record_contact", "casework.deliver_service":
			rows[i].Grants = append(slices.Clone(r.Grants), office, volunteer)
		case "casework.add_note":
			rows[i].Grants = append(slices.Clone(r.Grants), volunteer)
		case "casework.accept_handover", "casework.decline_handover":
			rows[i].Grants = append(slices.Clone(r.Grants), asked)
		}
	}
	return rows
}

// Tier is the tier that holds, "" while none was decided.
func (c *Case) Tier() string {
	if d := c.tiering(); d != nil {
		return string(d.Tier)
	}
	return ""
}

func (c *Case) tiering() *TierDecision {
	if len(c.Tiers) == 0 {
		return nil
	}
	return &c.Tiers[len(c.Tiers)-1]
}

// MayLead tells whether a role may lead the case in its present tier (D-09…D-11).
func (c *Case) MayLead(role record.Role) error { return mayLead(Tier(c.Tier()), role) }

// LeadUnsuitable tells that the lead was right for another tier and must be replaced.
func (c *Case) LeadUnsuitable() bool { return c.leadFor(Tier(c.Tier())) == leadUnsuitable }

// leadFor tells whether the present lead's role may lead in a tier; empty without a lead.
func (c *Case) leadFor(tier Tier) string {
	for _, r := range c.Responsible {
		switch {
		case !r.Lead:
		case mayLead(tier, r.Role) == nil:
			return leadSuits
		default:
			return leadUnsuitable
		}
	}
	return ""
}

// DutyDate answers for the duties whose limit is in the case itself.
func (c *Case) DutyDate(d *policy.Duty, from time.Time) (time.Time, bool) {
	switch d.Code {
	case "report-in":
		served := dayOf(c.Order.Served)
		return served.AddDate(0, 0, ReportWithin), !served.IsZero() && c.Reported.IsZero()
	case "scheduled-test":
		if !c.paused() {
			return c.Agreement.next(from)
		}
	case "term-end":
		return c.TermEnd()
	case "delisting-review":
		return c.delistingDue(), c.Delisted.IsZero()
	case "leave-return":
		for _, l := range slices.Backward(c.Leaves) {
			if l.Answer == "granted" && l.Returned.IsZero() {
				return l.Until, true
			}
		}
	}
	return time.Time{}, false
}

// DutyFrom is the day from which a duty can be fulfilled, when that is not the day of what began it: the person may have
// reported between the service and the entry here.
func (c *Case) DutyFrom(d *policy.Duty, from time.Time) time.Time {
	if served := dayOf(c.Order.Served); d.Code == "report-in" && !served.IsZero() && served.Before(from) {
		return served
	}
	return from
}

// ReportWithin is the days from service to reporting (DL-D1; 戒毒条例 14).
const ReportWithin = 15

func find[T any](list []T, id uuid.UUID, key func(*T) uuid.UUID) *T {
	for i := range list {
		if key(&list[i]) == id {
			return &list[i]
		}
	}
	return nil
}
