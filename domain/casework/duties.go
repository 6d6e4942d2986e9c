package casework

import (
	"slices"
	"time"

	"github.com/google/uuid"

	"yidang/domain/policy"
	"yidang/domain/record"
)

// Duty is one thing owed in a case by a day. It follows from the events and the policy alone, so it can be derived again
// at any time; the version of the policy it was computed under is kept with it.
type Duty struct {
	Code     string      `json:"code"`
	Key      string      `json:"key,omitempty"` // which test, request, …; empty for duties that do not run side by side
	Status   Status      `json:"status"`
	Owner    record.Role `json:"owner,omitempty"`
	Named    uuid.UUID   `json:"named,omitzero"`   // the officer who owes it in person, such as one who was asked
	Officer  uuid.UUID   `json:"officer,omitzero"` // who owed it when it ended
	From     time.Time   `json:"from"`             // day it began
	Opens    time.Time   `json:"opens"`            // day from which it shows as due
	Due      time.Time   `json:"due"`              // last day
	Policy   string      `json:"policy"`
	Calendar string      `json:"calendar"`
	Started  uuid.UUID   `json:"started"`          // event that began it
	Ended    uuid.UUID   `json:"ended,omitzero"`   // event that fulfilled, excused or cancelled it
	EndedOn  time.Time   `json:"endedOn,omitzero"` // when that happened
}

// Status of a duty. Upcoming, due and overdue are a matter of today's date: see Standing.
type Status string

const (
	Open      Status = "open"
	Done      Status = "done"
	Excused   Status = "excused"
	Cancelled Status = "cancelled" // no longer owed, such as after closing
)

// Standing is how a duty shows on a day: upcoming, due, overdue, done, excused or cancelled.
func (d Duty) Standing(today time.Time) string {
	switch today = record.DayOf(today); {
	case d.Status != Open:
		return string(d.Status)
	case today.Before(d.Opens):
		return "upcoming"
	case today.After(d.Due):
		return "overdue"
	}
	return "due"
}

// OnTime tells whether a fulfilled duty was fulfilled by its day.
func (d Duty) OnTime() bool { return d.Status == Done && !record.DayOf(d.EndedOn).After(d.Due) }

// ID names an instance within its case, for ever: the rule, the key and the event that began it.
func (d Duty) ID() uuid.UUID { return uuid.NewSHA1(d.Started, []byte(d.Code+"|"+d.Key)) }

// Duties are the open duties of a case and the changes since they were last taken.
type Duties struct {
	Open    []Duty `json:"open,omitempty"`
	changes []Duty
	quiet   bool
}

// Quiet is for whoever only looks at a file: changes are not kept.
func (ds *Duties) Quiet() { ds.quiet, ds.changes = true, nil }

func (ds *Duties) changed(d Duty) {
	if !ds.quiet {
		ds.changes = append(ds.changes, d)
	}
}

// TakeChanges hands over each duty that was begun, moved or ended since the last call, in order. Whoever keeps duties
// (worklist, analytics) calls it after each event.
func (ds *Duties) TakeChanges() []Duty {
	c := ds.changes
	ds.changes = nil
	return c
}

func (ds *Duties) find(code, key string) int {
	return slices.IndexFunc(ds.Open, func(d Duty) bool { return d.Code == code && d.Key == key })
}

func (ds *Duties) begin(d Duty) {
	ds.Open = append(ds.Open, d)
	ds.changed(d)
}

// end ends an open duty; who owes it then is who owed it.
func (c *Case) end(i int, status Status, e *record.Event) Duty {
	ds := &c.Duties
	d := ds.Open[i]
	d.Status, d.Officer, d.Ended, d.EndedOn = status, c.Holder(d), e.ID, e.Meta.OccurredAt
	ds.Open = slices.Delete(ds.Open, i, i+1)
	ds.changed(d)
	return d
}

// Track takes in the attachments that an event names and derives the duties that follow from it. It is the After of every
// program's category.
func Track(state any, e record.Event) {
	p, rules := state.(Program), policy.In(e)
	p.Core().attach(e)
	if rules == nil {
		return
	}
	c, facets := p.Core(), record.FacetsOf(e)
	for _, i := range rules.ForEvent(c.Program, e.Type) {
		track(p, rules, &rules.Duties[i], &e, &facets)
	}
	if x, ok := e.Data.(DutyExcused); ok {
		excuse(p, rules, x, &e)
	}
	if c.IsOpen() {
		return
	}
	for i := 0; i < len(c.Duties.Open); {
		if d, ok := rules.Duty(c.Duties.Open[i].Code); ok && (d.Closed || d.Lasting) {
			i++
			continue
		}
		c.end(i, Cancelled, &e)
	}
}

// owes tells whether a duty is owed in the case as it stands: open, or closed.
func (c *Case) owes(d *policy.Duty) bool { return d.Lasting || c.IsOpen() != d.Closed }

func track(p Program, rules *policy.Rules, d *policy.Duty, e *record.Event, f *record.Facets) {
	c, key := p.Core(), ""
	if d.Keyed {
		key = f.Ref
	}
	ds := &c.Duties
	if i := ds.find(d.Code, key); i >= 0 {
		fulfils := policy.Matches(d.Done, e.Type, f) && !record.DayOf(e.Meta.OccurredAt).Before(ds.Open[i].From)
		switch {
		case fulfils:
			c.end(i, Done, e)
			if d.Again && c.owes(d) {
				start(p, rules, d, key, began(e), e)
			}
			return
		case policy.Matches(d.Ends, e.Type, f):
			c.end(i, Cancelled, e)
			return
		case policy.Matches(d.Moves, e.Type, f):
			move(p, rules, d, i, e)
			return
		}
	}
	if c.owes(d) && ds.find(d.Code, key) < 0 && policy.Matches(d.Starts, e.Type, f) {
		start(p, rules, d, key, began(e), e)
	}
}

// began is when a duty that an event begins is owed from. What was taken over from an older register binds from the day it
// was taken over: nobody was late here before the file was.
func began(e *record.Event) time.Time {
	if e.Meta.Late == record.LateImport {
		return e.Meta.RecordedAt
	}
	return e.Meta.OccurredAt
}

// anchored is a program some of whose duties can be fulfilled from an earlier day than that of the event that began them.
type anchored interface {
	DutyFrom(d *policy.Duty, from time.Time) time.Time
}

func start(p Program, rules *policy.Rules, d *policy.Duty, key string, from time.Time, e *record.Event) {
	due, ok := dueDay(p, rules, d, from)
	if !ok {
		return
	}
	if a, ok := p.(anchored); ok {
		from = a.DutyFrom(d, from)
	}
	named := uuid.Nil
	if d.Named {
		named = record.FacetsOf(*e).Officer
	}
	p.Core().Duties.begin(Duty{
		Named: named, Code: d.Code, Key: key, Status: Open, Owner: d.Owner, From: record.DayOf(from), Opens: due.AddDate(0, 0, -d.Ahead), Due: due,
		Policy: rules.Version, Calendar: rules.Calendar.Version, Started: e.ID,
	})
}

func move(p Program, rules *policy.Rules, d *policy.Duty, i int, e *record.Event) {
	ds := &p.Core().Duties
	due, ok := dueDay(p, rules, d, ds.Open[i].From)
	if !ok {
		p.Core().end(i, Cancelled, e)
		return
	}
	// A rule that became stricter never makes a duty late from before the day it became so.
	if day := record.DayOf(e.Meta.OccurredAt); due.Before(day) && !ds.Open[i].Due.Before(day) {
		due = day
	}
	if o := &ds.Open[i]; !o.Due.Equal(due) {
		o.Due, o.Opens, o.Policy, o.Calendar = due, due.AddDate(0, 0, -d.Ahead), rules.Version, rules.Calendar.Version
		ds.changed(*o)
	}
}

func dueDay(p Program, rules *policy.Rules, d *policy.Duty, from time.Time) (time.Time, bool) {
	if d.Limit.Program {
		due, ok := p.DutyDate(d, record.DayOf(from))
		if due = record.DayOf(due); ok && d.Limit.Roll {
			due = rules.Calendar.Roll(due)
		}
		return due, ok
	}
	return rules.Due(d, from, p.Tier())
}

func excuse(p Program, rules *policy.Rules, x DutyExcused, e *record.Event) {
	c := p.Core()
	i := slices.IndexFunc(c.Duties.Open, func(d Duty) bool { return d.ID() == x.Duty })
	if i < 0 {
		return
	}
	ended := c.end(i, Excused, e)
	if d, ok := rules.Duty(ended.Code); ok && d.Again && c.owes(d) {
		start(p, rules, d, ended.Key, ended.Due, e)
	}
}
