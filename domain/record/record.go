// Package record says what a fact is. Everything that is ever known in Yidang is an Event in a stream; everything that
// is ever done is a Command that was decided on the state folded from such events. The rules, in plain words:
//
//   - An event is never changed and never removed. A mistake is voided by a later event that names it and says why; a
//     fold then leaves the voided event out, and the timeline shows both.
//   - An event carries two clocks: OccurredAt is what the officer says, RecordedAt is the server's. A file can be folded
//     as of a day (what had happened) and as known at a day (what had been recorded).
//   - Metadata is readable by whoever runs the machine, so it holds codes and uuids only, never personal data. Data is
//     sealed with the key of its stream.
//   - A kind of stream is a table: its events and its commands are rows holding data and pure functions. Route,
//     validation, API description, codec, idempotency, timeline line and analytics fact all come from the row.
package record

import (
	"strings"
	"time"

	"github.com/google/uuid"
)

// Text is one short text in the two languages of the interface.
type Text struct {
	Zh string `json:"zh"`
	En string `json:"en"`
}

// T makes a Text.
func T(zh, en string) Text { return Text{Zh: zh, En: en} }

// Event is one recorded fact, opened and decoded.
type Event struct {
	ID       uuid.UUID
	Stream   string
	Revision uint64 // place in the stream, from 0
	Position uint64 // place in the whole log; grows, is never reused
	Type     string // the stored name, such as "drugs.urine_test_recorded"
	Meta     Meta
	Data     any  // the row's data type, by value; nil when Erased
	Erased   bool // the stream's key was destroyed: only Type and Meta remain

	// Rules is the policy version that Meta.Policy names, resolved when the event is opened; see package policy.
	Rules any
}

// Meta is stored beside the data as plain JSON. No personal data: codes, uuids and times only.
type Meta struct {
	Form        int       `json:"form"` // version of the stored form of the data, from 1
	Actor       uuid.UUID `json:"actor"`
	Post        uuid.UUID `json:"post,omitzero"`
	Role        Role      `json:"role,omitempty"`
	Unit        uuid.UUID `json:"unit,omitzero"`
	Person      uuid.UUID `json:"person,omitzero"` // whose file this belongs to
	Case        uuid.UUID `json:"case,omitzero"`
	OccurredAt  time.Time `json:"occurredAt"`
	RecordedAt  time.Time `json:"recordedAt"`
	Late        Late      `json:"late,omitempty"`  // why it was entered later than the policy allows
	Basis       string    `json:"basis,omitempty"` // plan clause or article of law
	Command     uuid.UUID `json:"command"`
	Request     []byte    `json:"request,omitempty"` // keyed hash of the request, to tell a repeat from a re-used key
	Correlation uuid.UUID `json:"$correlationId"`
	Causation   uuid.UUID `json:"$causationId"`
	Policy      string    `json:"policy,omitempty"`
}

// Lag is how long after the fact it was recorded.
func (m Meta) Lag() time.Duration { return m.RecordedAt.Sub(m.OccurredAt) }

// Late is the coded reason of an entry made after the policy's limit. It is a code because metadata is not sealed.
type Late string

const (
	LateNoNetwork Late = "no-network"
	LatePaper     Late = "paper-first" // taken down on paper in the field
	LateAbsent    Late = "officer-absent"
	LateReceived  Late = "received-late" // the document came late from another organ
	LateImport    Late = "import"        // taken over from an older register
)

// Lates lists the accepted codes.
var Lates = []Late{LateNoNetwork, LatePaper, LateAbsent, LateReceived, LateImport}

// Role is what a post entitles to. Grants are made per post: a role, in a unit, from a day.
type Role string

const (
	VillageCadre    Role = "village-cadre"
	CommunityPolice Role = "community-police"
	CommunityMedic  Role = "community-medic"
	Volunteer       Role = "volunteer"
	TownshipOffice  Role = "township-office"
	Inspector       Role = "inspector"     // reads all, changes nothing
	Analyst         Role = "analyst"       // reports only
	Administrator   Role = "administrator" // accounts, no files
)

// Roles lists every role with its name.
var Roles = []struct {
	Role  Role
	Title Text
}{
	{VillageCadre, T("村（社区）干部", "village cadre")},
	{CommunityPolice, T("社区民警", "community police officer")},
	{CommunityMedic, T("社区医务人员", "community medic")},
	{Volunteer, T("禁毒志愿者", "anti-drug volunteer")},
	{TownshipOffice, T("镇综治（禁毒）办", "township office")},
	{Inspector, T("纪检监察人员", "discipline inspector")},
	{Analyst, T("统计分析人员", "analyst")},
	{Administrator, T("系统管理员", "administrator")},
}

// Actor is who acts, in which post, for which unit.
type Actor struct {
	Officer uuid.UUID
	Post    uuid.UUID
	Role    Role
	Unit    uuid.UUID
}

// Facets are the codes of an event that may leave the vault: they drive the duty rules, the timeline's filters and the
// analytics facts. Never free text, a name, an address or a number that belongs to a person.
type Facets struct {
	Ref      string // what the event is about inside its case, such as a test: keys duties that can run side by side
	Kind     string
	Stage    string
	Result   string
	Outcome  string
	Tier     string
	PrevTier string
	Code     string
	Quantity float64
	Officer  uuid.UUID // another officer concerned, such as the one made responsible
	Village  uuid.UUID
}

// Get gives a facet by the name that policy rules use.
func (f *Facets) Get(name string) string {
	switch name {
	case "kind":
		return f.Kind
	case "stage":
		return f.Stage
	case "result":
		return f.Result
	case "outcome":
		return f.Outcome
	case "tier":
		return f.Tier
	case "code":
		return f.Code
	}
	return ""
}

// Faceted is implemented by event data that has facets.
type Faceted interface{ Facets() Facets }

// FacetsOf gives an event's facets; empty for an erased event or data without any.
func FacetsOf(e Event) Facets {
	if f, ok := e.Data.(Faceted); ok {
		return f.Facets()
	}
	return Facets{}
}

// StreamOf names a stream of a kind.
func StreamOf(kind string, id uuid.UUID) string { return kind + "-" + id.String() }

// SplitStream gives the kind and the uuid of a stream name; ok is false for reservation and system streams.
func SplitStream(stream string) (kind string, id uuid.UUID, ok bool) {
	kind, rest, found := strings.Cut(stream, "-")
	if !found || strings.HasPrefix(stream, "$") {
		return "", uuid.Nil, false
	}
	id, err := uuid.Parse(rest)
	return kind, id, err == nil && len(rest) == 36
}

// Day is a calendar day in the township's time zone, as officers write it: 2006-01-02. Use Zone for arithmetic.
const Day = "2006-01-02"

// Zone is the legal time of the whole country (UTC+8, no summer time).
var Zone = time.FixedZone("CST", 8*3600)

// DayOf cuts a time to its day in Zone.
func DayOf(t time.Time) time.Time {
	y, m, d := t.In(Zone).Date()
	return time.Date(y, m, d, 0, 0, 0, 0, Zone)
}
