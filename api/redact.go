package api

import (
	"strings"

	"github.com/google/uuid"

	"yidang/domain/access"
	"yidang/domain/record"
	"yidang/projections/views"
)

// This file is the one place that says how much of what a role may read it gets to see (S-14: need to know; S-13). Who may
// read at all is decided in domain/commands.

// sight is what is shown. What is not named here, a name, a village, a way to reach the person, one's own duties and
// entries, is shown to whoever may read the file.
type sight struct {
	Identity bool // citizen id, birth day, ethnicity, registered address, death
	Family   bool // relatives
	Rulings  bool // tier, tests, appeals, referrals, decisions: the state of the program
	Others   bool // duties and timeline entries of others
	Papers   bool // attachments
}

var (
	everything = sight{Identity: true, Family: true, Rulings: true, Others: true, Papers: true}
	needToKnow = sight{}
)

// sights by role; a role that is not listed sees everything it may read.
var sights = map[record.Role]sight{record.Volunteer: needToKnow}

func sightOf(role record.Role) sight {
	if v, ok := sights[role]; ok {
		return v
	}
	return everything
}

func (v sight) all() bool { return v == everything }

// wholeOnly is what nobody gets who sees a part of a file, and why.
var wholeOnly = map[string]*record.Problem{access.Log: errPartLog, access.Dossier: errPartly}

// maskID keeps the last four characters of a citizen id: enough to tell two people of one name apart. Lists show no more.
func maskID(id string) string {
	if len(id) <= 4 {
		return strings.Repeat("*", len(id))
	}
	return strings.Repeat("*", len(id)-4) + id[len(id)-4:]
}

// person leaves out of a file's head what the sight does not cover.
func (v sight) person(p *Person) {
	if !v.Identity {
		p.CitizenID, p.NoCardReason, p.Birth, p.Ethnicity, p.Household, p.Died = "", "", "", "", "", ""
	}
	if !v.Family {
		p.Family = nil
	}
}

// personRow does the same for a row of a list.
func (v sight) personRow(p *PersonItem) {
	p.CitizenID, p.Phone = maskID(p.CitizenID), maskPhone(p.Phone)
	if !v.Identity {
		p.CitizenID, p.Birth = "", ""
	}
}

func maskPhone(phone string) string {
	if len(phone) < 8 {
		return strings.Repeat("*", len(phone))
	}
	return phone[:3] + strings.Repeat("*", len(phone)-7) + phone[len(phone)-4:]
}

func (v sight) caseHead(c *CaseHead) {
	if !v.Rulings {
		c.Tier = ""
	}
}

// caseFile leaves the caller's own duties of the duties.
func (v sight) caseFile(c *Case, officer uuid.UUID) {
	v.caseHead(&c.CaseHead)
	if !v.Rulings {
		c.State = nil
	}
	if !v.Papers {
		c.Attachments = nil
	}
	if v.Others {
		return
	}
	own := []Duty{}
	for _, d := range c.Duties {
		if d.Officer == officer {
			own = append(own, d)
		}
	}
	c.Duties = own
}

// line tells whether an entry of the timeline shows.
func (v sight) line(l *views.Line, officer uuid.UUID) bool {
	return v.Others || l.Event.Meta.Actor == officer
}

// duty tells whether a duty of the worklist shows, and without what.
func (v sight) duty(d *WorklistDuty, officer uuid.UUID) bool {
	if !v.Rulings {
		d.Tier = ""
	}
	return v.Others || d.Officer == officer
}

// sealedDuty leaves of a sealed case's open duty what whoever owes it must know: what is due, when, in which case. What
// ended does not show (S-16).
func sealedDuty(d *WorklistDuty) bool {
	*d = WorklistDuty{ID: d.ID, Code: d.Code, Title: d.Title, Source: d.Source, Standing: d.Standing, From: d.From, Opens: d.Opens, Due: d.Due, Case: d.Case, Sealed: true}
	return d.Standing == "upcoming" || d.Standing == "due" || d.Standing == "overdue"
}
