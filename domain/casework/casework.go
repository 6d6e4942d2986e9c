// Package casework holds what every case of every program shares: who is responsible, visits, contacts, services,
// incidents, notes, hand-over, closing, and the duties that follow from them.
//
// A program embeds Case in its state and implements Program; it then takes Events and Commands of this package into its
// category and adds its own. The rules, in plain words:
//
//   - A case has one lead and any number of other responsible people, each with a role and from a day (包保). Which role
//     may lead is the program's to say (D-09…D-11).
//   - A visit says what came of it: met, absent, refused, moved, wrong address. Only a visit that met the person fulfils
//     the duty to visit.
//   - A hand-over is proposed, then accepted or declined by the one who takes over; until then the old lead is
//     responsible.
//   - Nothing is recorded in a closed case except attachments, notes, voids, and what the program still owes there.
//   - Whatever event names an attachment, it is one of the case: it must lie in the case's store when the event is recorded,
//     and be what the event says.
//   - A picture is seen by whoever gave a reason that a second person approved, for a limited time (S-3).
//   - An officer who declared a recusal does not act in that person's cases.
package casework

import (
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"yidang/domain/policy"
	"yidang/domain/record"
)

// Case is the shared part of a case's state. It marshals to JSON and back without loss: projections keep it so.
type Case struct {
	ID          uuid.UUID
	Program     string
	Person      uuid.UUID
	Village     uuid.UUID
	Opened      time.Time
	Closed      time.Time // zero while open
	CloseReason string
	Responsible []Responsibility // in force, lead first
	HandOver    *HandOver        // awaiting an answer
	LastVisit   time.Time
	LastMet     time.Time
	Visits      int
	Services    int
	Attachments []Attachment // all that events name, each once
	Views       []View       // permitted views of pictures
	Duties      Duties
}

// Responsibility is one officer's part in a case.
type Responsibility struct {
	Officer uuid.UUID   `json:"officer"`
	Role    record.Role `json:"role" correct:"no"`
	Lead    bool        `json:"lead,omitempty" correct:"no"`
	From    time.Time   `json:"from" correct:"no"`
}

// HandOver is a proposal to pass the lead on.
type HandOver struct {
	ID   uuid.UUID   `json:"id"`
	From uuid.UUID   `json:"from"`
	To   uuid.UUID   `json:"to"`
	Role record.Role `json:"role" correct:"no"`
}

// Attachment is a sealed blob of the case.
type Attachment struct {
	SHA256    string `json:"sha256" pattern:"^[0-9a-f]{64}$" doc:"of the content" correct:"no"`
	Size      int64  `json:"size" minimum:"1" correct:"no"`
	MediaType string `json:"mediaType" correct:"no"`
	Name      string `json:"name,omitempty" maxLength:"120"`
}

// Sensitive tells that an attachment is a picture or a film (影像资料, D-13): it may show a body, an injury or a home (S-3;
// PIPL 28), so it is seen only with a reason and a second person's approval, for a time.
func (a Attachment) Sensitive() bool {
	return strings.HasPrefix(a.MediaType, "image/") || strings.HasPrefix(a.MediaType, "video/")
}

// View is a permission to see one picture.
type View struct {
	SHA256  string    `json:"sha256" correct:"no"`
	Officer uuid.UUID `json:"officer"`
	Until   time.Time `json:"until" correct:"no"`
}

// MaySee tells whether an officer may see an attachment's content now.
func (c *Case) MaySee(a Attachment, officer uuid.UUID, now time.Time) bool {
	return !a.Sensitive() || slices.ContainsFunc(c.Views, func(v View) bool {
		return v.SHA256 == a.SHA256 && v.Officer == officer && now.Before(v.Until)
	})
}

// Program is what the shared rules need of a program's state.
type Program interface {
	Core() *Case
	// Tier is the tier of management, "" while none was decided.
	Tier() string
	// DutyDate gives the due day of a duty whose limit only the program can tell; ok is false when nothing is owed.
	DutyDate(d *policy.Duty, from time.Time) (due time.Time, ok bool)
	// MayLead tells whether a role may lead the case as it stands; the problem cites the clause.
	MayLead(role record.Role) error
}

// Core makes an embedded Case answer for itself.
func (c *Case) Core() *Case { return c }

// IsOpen tells whether work goes on.
func (c *Case) IsOpen() bool { return !c.Opened.IsZero() && c.Closed.IsZero() }

// Lead is the officer responsible in the first place, zero when there is none.
func (c *Case) Lead() uuid.UUID {
	for _, r := range c.Responsible {
		if r.Lead {
			return r.Officer
		}
	}
	return uuid.Nil
}

// ResponsibleFor gives the officer who owes duties of a role; without such a one, the lead.
func (c *Case) ResponsibleFor(role record.Role) uuid.UUID {
	if role != "" {
		for _, r := range c.Responsible {
			if r.Role == role {
				return r.Officer
			}
		}
	}
	return c.Lead()
}

// Holder is the officer who owes a duty now: the one the duty names, else the one of its role, else the lead.
func (c *Case) Holder(d Duty) uuid.UUID {
	if d.Named != uuid.Nil {
		return d.Named
	}
	return c.ResponsibleFor(d.Owner)
}

// Handles tells whether the officer is responsible here, in any part.
func (c *Case) Handles(officer uuid.UUID) bool {
	return slices.ContainsFunc(c.Responsible, func(r Responsibility) bool { return r.Officer == officer })
}

// VillageID and Subject place the case for authorisation.
func (c *Case) VillageID() uuid.UUID { return c.Village }

// Subject is the person of the case.
func (c *Case) Subject() uuid.UUID { return c.Person }

// Open starts the case; programs call it when applying their own opening event.
func (c *Case) Open(program string, person, village uuid.UUID, e record.Event) {
	_, c.ID, _ = record.SplitStream(e.Stream)
	c.Program, c.Person, c.Village, c.Opened = program, person, village, e.Meta.OccurredAt
}

func (c *Case) assign(r Responsibility) {
	c.Responsible = slices.DeleteFunc(c.Responsible, func(o Responsibility) bool {
		return o.Officer == r.Officer || r.Lead && o.Lead
	})
	if r.Lead {
		c.Responsible = slices.Insert(c.Responsible, 0, r)
		return
	}
	c.Responsible = append(c.Responsible, r)
}
