// Package person holds who somebody is: identity, contact, address, family, death.
//
//   - Registration is search-first: people with the same name and birth day, or the same name and phone, are shown before
//     a new file is opened, and whoever opens it all the same names the ones it is not.
//   - A citizen id (GB 11643) is one person's for ever. A reservation stream, named by a keyed hash of the id, enforces it;
//     a crash between the reservation and the registration is completed by whoever registers the id next.
//   - Somebody without a card is registered with a reason, and identified later.
//   - Of relatives only what the duty needs is kept: name, relation, phone (S-13). There are no profiles of relatives.
//   - Two files of one person are merged by a link, which two officers make and two may undo. Nothing is copied.
//   - What groups a person belongs to is never part of this stream: each program's case is a stream of its own, with its
//     own key, access rules and end of retention.
package person

import (
	"time"

	"github.com/google/uuid"

	"yidang/domain/record"
)

// Person is the state of a person stream.
type Person struct {
	ID           uuid.UUID
	Registered   bool
	Name         string
	CitizenID    string // 18 characters, or empty
	NoCardReason string
	Sex          int       // GB/T 2261.1: 0 unknown, 1 male, 2 female, 9 unstated
	Birth        time.Time // day
	Ethnicity    string    // GB/T 3304, two digits
	Phone        string
	Village      uuid.UUID
	Household    string // registered address
	Residence    string
	Family       []FamilyMember
	Died         time.Time
	// MergedInto is the file of the same person that is worked in; zero when this is it. Nothing is copied: whoever reads
	// that file reads this one with it, and undoing the link gives back exactly what was.
	MergedInto uuid.UUID
}

// FamilyMember is a relative, as far as the duty needs to know (S-13).
type FamilyMember struct {
	ID       uuid.UUID `json:"id"`
	Name     string    `json:"name" minLength:"1" maxLength:"50"`
	Relation string    `json:"relation" enum:"spouse,parent,child,sibling,grandparent,guardian,other"`
	Phone    string    `json:"phone,omitempty" maxLength:"20"`
}

// VillageID and Subject place the file for authorisation.
func (p *Person) VillageID() uuid.UUID { return p.Village }

// Subject is the person.
func (p *Person) Subject() uuid.UUID { return p.ID }

// Stream names a person's stream.
func Stream(id uuid.UUID) string { return record.StreamOf("person", id) }

// Of gives a person's state within a decision, nil when there is none. The row must have named Stream(id) as needed.
func Of(g record.Given, id uuid.UUID) *Person {
	p, _ := g.Other(Stream(id)).(*Person)
	return p
}
