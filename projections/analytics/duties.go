package analytics

import (
	"time"

	"github.com/google/uuid"

	"yidang/domain/casework"
	"yidang/domain/record"
)

// Void is the status of a duty that a void took away: the event it began with does not count.
const Void = "void"

// Duty is one word on a duty: it began, moved, passed to another officer, village or tier, or ended. What was known of it at
// a position P is the newest word with Position <= P; see the view of duties.
type Duty struct {
	Position uint64 // of the event that it follows from
	Seq      uint32 // among the words of one event
	Case     uuid.UUID
	Person   uuid.UUID
	Duty     uuid.UUID // the instance
	Program  string
	Code     string
	Owner    string    // role that owes it; empty: the lead
	Officer  uuid.UUID // who owes it, or owed it when it ended
	Village  uuid.UUID
	Tier     string
	Began    time.Time // day
	Opens    time.Time // day from which it showed as due
	Due      time.Time // last day
	Status   string    // open, done, excused, cancelled, void
	Ended    time.Time // day; never while open
	OnTime   bool      // done by its day
	Policy   string
}

// never is the day of what has not happened: the engine's dates have no better nothing.
var never = time.Date(1970, 1, 1, 0, 0, 0, 0, record.Zone)

// duty makes a word on an instance as it stands after an event.
func (n *pseudonyms) duty(d casework.Duty, c *casework.Case, tier string, e record.Event, seq int) Duty {
	w := Duty{
		Position: e.Position, Seq: uint32(seq), Case: n.of("case", c.ID), Person: n.of("person", c.Person), Duty: d.ID(),
		Program: code(c.Program), Code: code(d.Code), Owner: code(string(d.Owner)), Officer: d.Officer, Village: c.Village,
		Tier: code(tier), Began: day(d.From), Opens: day(d.Opens), Due: day(d.Due), Status: code(string(d.Status)), Ended: never,
		OnTime: d.OnTime(), Policy: d.Policy,
	}
	if d.Status == casework.Open {
		w.Officer = c.Holder(d)
	} else {
		w.Ended = day(d.EndedOn)
	}
	return w
}

// words turns what an event did to the duties of a case into rows: each change in order, then every other open duty when
// the case passed to other hands.
func (n *pseudonyms) words(p casework.Program, changes []casework.Duty, passed bool, e record.Event) []Duty {
	if len(changes) == 0 && !passed {
		return nil
	}
	c, tier := p.Core(), p.Tier()
	rows := make([]Duty, 0, len(changes))
	changed := map[uuid.UUID]bool{}
	for _, d := range changes {
		changed[d.ID()] = true
		rows = append(rows, n.duty(d, c, tier, e, len(rows)))
	}
	if passed {
		for _, d := range c.Duties.Open {
			if !changed[d.ID()] {
				rows = append(rows, n.duty(d, c, tier, e, len(rows)))
			}
		}
	}
	return rows
}

// corrections are the words that lead from one history of a case to another: what a void at position at makes of the
// duties that had been derived before it.
func corrections(before, after []step, at uint64) []Duty {
	order, last := lastWords(before)
	again, now := lastWords(after)
	var rows []Duty
	say := func(d Duty) {
		d.Position, d.Seq = at, uint32(len(rows))
		rows = append(rows, d)
	}
	for _, id := range again {
		if was, ok := last[id]; !ok || was.bare() != now[id].bare() {
			say(now[id])
		}
	}
	for _, id := range order {
		if _, ok := now[id]; !ok {
			d := last[id]
			d.Status, d.Ended, d.OnTime = Void, never, false
			say(d)
		}
	}
	return rows
}

// lastWords gives the newest word on each duty, and the duties in the order they began.
func lastWords(steps []step) (order []uuid.UUID, last map[uuid.UUID]Duty) {
	last = map[uuid.UUID]Duty{}
	for _, s := range steps {
		for _, d := range s.duties {
			if _, ok := last[d.Duty]; !ok {
				order = append(order, d.Duty)
			}
			last[d.Duty] = d
		}
	}
	return order, last
}

// bare leaves out where the word was said.
func (d Duty) bare() Duty {
	d.Position, d.Seq = 0, 0
	return d
}
