package analytics

import (
	"github.com/google/uuid"

	"yidang/domain/casework"
	"yidang/domain/record"
)

// Duty is a line in the ledger of duties. When a duty begins, moves, passes to another officer, village or tier, or ends,
// a line with the sign 1 says how it stands now, and the line that said so before is taken back: it comes once more, with
// the sign -1. Up to every position of the log the signs of the lines add up to the duties as they stood there, however
// they are filtered and grouped, and no report has to look for the newest line of each duty.
type Duty struct {
	Position uint64 // of the event that it follows from
	Seq      uint32 // among the lines of one event
	Sign     int8
	Case     uuid.UUID
	Person   uuid.UUID
	Duty     uuid.UUID // the instance
	Program  string
	Code     string
	Owner    string    // role that owes it; empty: the lead
	Officer  uuid.UUID // who owes it, or owed it when it ended
	Village  uuid.UUID
	Tier     string
	Began    Day
	Opens    Day    // from which it showed as due
	Due      Day    // the last one
	Status   string // open, done, excused, cancelled
	Ended    Day    // never while open
	OnTime   bool   // done by its day
	Policy   string
}

// never is the day of what has not happened: the engine's dates have no better nothing.
const never Day = 0

// owed is an open duty with the line that counts; that one is without its place in the ledger.
type owed struct {
	code, key      string
	started, named uuid.UUID
	owner          record.Role
	line           Duty
}

// owe makes an open duty of a case. The line that counts always is the duty as it stands, so it can be had from a file
// without its history.
func (n *pseudonyms) owe(d *casework.Duty, c *casework.Case, tier string) owed {
	return owed{code: d.Code, key: d.Key, started: d.Started, named: d.Named, owner: d.Owner, line: n.line(d, d.ID(), c, tier)}
}

// line says how a duty stands.
func (n *pseudonyms) line(d *casework.Duty, id uuid.UUID, c *casework.Case, tier string) Duty {
	l := Duty{
		Case: n.of("case", c.ID), Person: n.of("person", c.Person), Duty: id, Program: code(c.Program), Code: code(d.Code),
		Owner: code(string(d.Owner)), Officer: d.Officer, Village: c.Village, Tier: code(tier), Began: dayOf(d.From),
		Opens: dayOf(d.Opens), Due: dayOf(d.Due), Status: code(string(d.Status)), Ended: never, OnTime: d.OnTime(), Policy: d.Policy,
	}
	if d.Status == casework.Open {
		l.Officer = c.Holder(*d)
	} else {
		l.Ended = dayOf(d.EndedOn)
	}
	return l
}

// ledger takes the lines that follow from one event.
type ledger struct {
	lines    []Duty
	position uint64
}

func (l *ledger) add(sign int8, d Duty) {
	d.Position, d.Seq, d.Sign = l.position, uint32(len(l.lines)), sign
	l.lines = append(l.lines, d)
}

// change enters what an event did to the duties of a case, in order, and keeps up what is owed.
func (l *ledger) change(n *pseudonyms, open []owed, p casework.Program, changes []casework.Duty) []owed {
	c, tier := p.Core(), p.Tier()
	for i := range changes {
		d, at := &changes[i], 0
		for at < len(open) && (open[at].code != d.Code || open[at].key != d.Key || open[at].started != d.Started) {
			at++
		}
		if at == len(open) {
			open = append(open, n.owe(d, c, tier))
		} else {
			l.add(-1, open[at].line)
			open[at].line = n.line(d, open[at].line.Duty, c, tier)
		}
		l.add(1, open[at].line)
		if d.Status != casework.Open {
			open = append(open[:at], open[at+1:]...)
		}
	}
	return open
}

// pass enters what it makes of the open duties that their case passed to other hands, another village or another tier.
func (l *ledger) pass(open []owed, p casework.Program) {
	c, tier := p.Core(), code(p.Tier())
	for i := range open {
		o := &open[i]
		now := o.line
		now.Officer = c.Holder(casework.Duty{Named: o.named, Owner: o.owner})
		now.Village, now.Tier = c.Village, tier
		if now != o.line {
			l.add(-1, o.line)
			l.add(1, now)
			o.line = now
		}
	}
}

// correct enters what leads from one history of a case to another: what an amendment makes of the duties that had been
// derived before it.
func (l *ledger) correct(before, after []step) {
	order, last := lastLines(before)
	again, now := lastLines(after)
	for _, id := range again {
		was, had := last[id]
		if had && was == now[id] {
			continue
		}
		if had {
			l.add(-1, was)
		}
		l.add(1, now[id])
	}
	for _, id := range order {
		if _, still := now[id]; !still {
			l.add(-1, last[id])
		}
	}
}

// lastLines gives the line that counts of each duty, without its place in the ledger, and the duties in the order they
// began.
func lastLines(steps []step) (order []uuid.UUID, last map[uuid.UUID]Duty) {
	last = map[uuid.UUID]Duty{}
	for _, s := range steps {
		for _, d := range s.duties {
			if _, ok := last[d.Duty]; !ok {
				order = append(order, d.Duty)
			}
			d.Position, d.Seq, d.Sign = 0, 0, 0
			last[d.Duty] = d // a line that is taken back is followed by the one in its place
		}
	}
	return order, last
}
