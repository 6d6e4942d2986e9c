package analytics

import (
	"time"

	"github.com/google/uuid"

	"yidang/domain/record"
)

// Fact is one event as analysts see it: who on the staff, when, where, which codes. People and cases are pseudonyms.
//
// A void or a correction changes what earlier events of its file mean. Such an event then gets another word: the same
// Position, with the amendment's position in Known. What was known at a position P is the newest word with Known <= P; see
// the view of facts.
type Fact struct {
	Position uint64 // of the event
	Known    uint64 // from which position on this word holds; Position itself for the first
	Gone     bool   // the event is void: it does not count

	Event       uuid.UUID
	Category    string
	Type        string
	Erased      bool // the file's key was destroyed: metadata is all there is, see skeleton
	Occurred    time.Time
	Day         Day // of Occurred
	Recorded    time.Time
	RecordedDay Day
	Lag         int64  // seconds from Occurred to Recorded
	Late        string // why it was entered late; empty when it was not
	Actor       uuid.UUID
	Role        string
	Unit        uuid.UUID
	Person      uuid.UUID // pseudonym
	Case        uuid.UUID // pseudonym; zero for what belongs to no case

	// Where the case stood after the event, and which of that the event set.
	Place
	PrevTier    string // before the event
	SetsOpen    bool
	SetsVillage bool
	SetsTier    bool
	SetsLead    bool

	// Facets of the event; record.Facets says what they are.
	Ref      uuid.UUID // pseudonym
	Kind     string
	Stage    string
	Result   string
	Outcome  string
	Code     string
	Quantity float64
	Officer  uuid.UUID

	Note Note // of a visit
}

// Place is where a case stands. For an event without a case only Village may be set.
type Place struct {
	Open    bool
	Village uuid.UUID
	Tier    string
	Lead    uuid.UUID
}

// MAC is a keyed hash, such as a vault's.
type MAC func(purpose string, parts ...[]byte) []byte

// pseudonyms names people, cases and things inside cases, the same for ever and linkable by nobody without the key. It
// remembers what it named lately, for a case comes up again and again. It serves one goroutine.
type pseudonyms struct {
	mac   MAC
	seen  map[named]uuid.UUID
	notes *notes
}

type named struct {
	sort string
	id   uuid.UUID
}

// remembered is how many names are kept, about 80 bytes each.
const remembered = 50_000

// of names a uuid; nothing stays nothing.
func (n *pseudonyms) of(sort string, id uuid.UUID) uuid.UUID {
	if id == uuid.Nil {
		return uuid.Nil
	}
	key := named{sort, id}
	u, ok := n.seen[key]
	if !ok {
		if u = n.make(sort, id[:]); len(n.seen) >= remembered {
			clear(n.seen)
		}
		n.seen[key] = u
	}
	return u
}

// make gives a name the form of a UUID of version 8.
func (n *pseudonyms) make(sort string, id []byte) uuid.UUID {
	u := uuid.UUID(n.mac("analytics pseudonym", []byte(sort), id)[:16])
	u[6], u[8] = u[6]&0x0f|0x80, u[8]&0x3f|0x80
	return u
}

// fact makes the first word on an event. It looks at metadata and facets, and into the data only for the hash of a note.
func (n *pseudonyms) fact(e record.Event, category string, s step) Fact {
	m, f := e.Meta, record.FacetsOf(e)
	w := Fact{
		Position: e.Position, Known: e.Position, Event: e.ID, Category: category, Type: e.Type, Erased: e.Erased,
		Occurred: within(m.OccurredAt), Day: dayOf(m.OccurredAt), Recorded: within(m.RecordedAt), RecordedDay: dayOf(m.RecordedAt),
		Lag: int64(m.Lag() / time.Second), Late: code(string(m.Late)), Actor: m.Actor, Role: code(string(m.Role)), Unit: m.Unit,
		Person: n.of("person", m.Person), Case: n.of("case", m.Case),
	}
	if e.Erased {
		return w.skeleton()
	}
	w.Place, w.PrevTier = s.after, code(s.before.Tier)
	w.Tier = code(w.Tier)
	w.SetsOpen, w.SetsVillage = s.before.Open != s.after.Open, s.before.Village != s.after.Village
	w.SetsTier, w.SetsLead = s.before.Tier != s.after.Tier, s.before.Lead != s.after.Lead
	if m.Case == uuid.Nil {
		w.Village = f.Village
	}
	if f.Ref != "" {
		w.Ref = n.make("ref", []byte(f.Ref))
	}
	w.Kind, w.Stage, w.Result, w.Outcome, w.Code = code(f.Kind), code(f.Stage), code(f.Result), code(f.Outcome), code(f.Code)
	w.Quantity, w.Officer, w.Note = f.Quantity, f.Officer, n.notes.of(e)
	return w
}

// The engine knows no earlier and no later moment; a slip of the pen in a year must not stop the loading.
var (
	earliest = time.Date(1901, 1, 1, 0, 0, 0, 0, record.Zone)
	latest   = time.Date(2298, 12, 31, 0, 0, 0, 0, record.Zone)
)

func within(t time.Time) time.Time {
	switch {
	case t.Before(earliest):
		return earliest
	case t.After(latest):
		return latest
	}
	return t
}

// Day is a day in the township, counted from 1970-01-01.
type Day int32

var _, zoneOffset = time.Time{}.In(record.Zone).Zone()

// dayOf is the township's day of a moment.
func dayOf(t time.Time) Day {
	const day = 24 * 60 * 60
	seconds := within(t).Unix() + int64(zoneOffset)
	if seconds < 0 {
		seconds -= day - 1
	}
	return Day(seconds / day)
}

// date is midnight of the day in UTC, which the driver takes for the day.
func (d Day) date() time.Time { return time.Unix(int64(d)*24*60*60, 0).UTC() }

// withheld stands for a facet that is no code. Facets are codes by contract; this is what remains when a program breaks
// it, so that a slip there is a gap in a figure and not a name in a table.
const withheld = "(withheld)"

// code passes what looks like a code and nothing else: lower-case words as this program writes them, also media types and
// dates, but no long number and no other script.
func code(s string) string {
	digits := 0
	for i := range len(s) {
		switch c := s[i]; {
		case c >= '0' && c <= '9':
			if digits++; digits > 6 {
				return withheld
			}
		case c >= 'a' && c <= 'z', c == '-', c == '.', c == '_', c == '/', c == '+':
		default:
			return withheld
		}
	}
	if len(s) > 64 {
		return withheld
	}
	return s
}
