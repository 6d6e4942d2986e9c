// Package policy holds duties and deadlines as data, so that an officer can read what the system demands of him and where
// it comes from, and a rule can change without touching the past.
//
//   - rules/<version>.json is a rule set with the clause or article beside each rule. A file that was ever in force is
//     never changed: events name the version they were decided under, and folding them again must give the same duties.
//   - What the plan leaves open (visit intervals by tier, "定期") is a setting with a default, marked local. A township
//     changes a setting by a command; the change is an event in the policy stream and has a version of its own.
//   - rules/calendar-<version>.json holds the working-day calendar, year by year, as the State Council publishes it. A rule
//     set names its calendar, so that a deadline that was computed under it is computed the same for ever: a new notice is a
//     new calendar in a new rule set.
//   - A rule set comes with the program and is in force from the day it names; no event in the policy stream says so. What
//     each event was decided under stands in its metadata, and verify compares it with what was in force.
//
// Counting follows 民法典 200–204: the first day is not counted, and a legal period that ends on a day off ends on the next
// working day.
package policy

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"time"

	"yidang/domain/record"
)

//go:embed rules
var files embed.FS

// Rules is one version of the policy: a rule set with the settings in force.
type Rules struct {
	Version   string             `json:"version"`
	From      string             `json:"from"`     // first day in force
	Source    string             `json:"source"`   // of the set as a whole
	CountedBy string             `json:"calendar"` // version of the calendar that days are counted by
	Settings  map[string]Setting `json:"settings"`
	Duties    []Duty             `json:"duties"`
	Calendar  *Calendar          `json:"-"`

	byEvent map[[2]string][]int // duties by program and the event types that concern them
}

// Setting is a number that the plan leaves to the township.
type Setting struct {
	Title  record.Text `json:"title"`
	Days   int         `json:"days"`
	Min    int         `json:"min"`
	Max    int         `json:"max"`
	Source string      `json:"source"` // why it is open, and where the default comes from
}

// Duty is one rule: what starts it, within what time it is owed, and what ends it.
type Duty struct {
	Code    string      `json:"code"`
	Title   record.Text `json:"title"`
	Program string      `json:"program"` // category of the case streams it applies to; empty: every program
	Source  string      `json:"source"`
	Local   bool        `json:"local,omitempty"` // the limit is a local setting, not law or plan
	Owner   record.Role `json:"owner,omitempty"` // role that owes it; empty: the lead of the case
	// Starts begin an instance on the day the event occurred. Done fulfil it, Ends cancel it, Moves compute its date anew.
	Starts []Trigger `json:"starts"`
	Done   []Trigger `json:"done"`
	Ends   []Trigger `json:"ends,omitempty"`
	Moves  []Trigger `json:"moves,omitempty"`
	// Named duties are owed by the officer whom the starting event names, in person.
	Named bool `json:"named,omitempty"`
	// Keyed duties run side by side, one for each Ref facet (a test, a request, a hand-over).
	Keyed bool  `json:"keyed,omitempty"`
	Limit Limit `json:"limit"`
	// Again starts the next instance when one is fulfilled.
	Again bool `json:"again,omitempty"`
	// Closed duties are owed in closed cases, and only there. Lasting ones outlive the closing, unless it is among their Ends.
	// Closing a case ends all others.
	Closed  bool `json:"closed,omitempty"`
	Lasting bool `json:"lasting,omitempty"`
	// Ahead is how many days before the due day the duty shows as due; earlier it is upcoming.
	Ahead int `json:"ahead"`
}

// Trigger names an event type and, when it matters, the facets it must have.
type Trigger struct {
	Event string              `json:"event"`
	When  map[string][]string `json:"when,omitempty"`
}

// Limit is the time allowed. Exactly one of Days, Months, Years, Setting, Tiers is given, or Program when only the program
// itself can tell (a schedule in an agreement, a term with suspensions).
type Limit struct {
	Days    int               `json:"days,omitempty"`
	Months  int               `json:"months,omitempty"`
	Years   int               `json:"years,omitempty"`
	Setting string            `json:"setting,omitempty"`
	Tiers   map[string]string `json:"tiers,omitempty"` // tier → setting; a tier without one owes nothing
	Program bool              `json:"program,omitempty"`
	Working bool              `json:"working,omitempty"` // Days counts working days
	Roll    bool              `json:"roll,omitempty"`    // an end on a day off moves to the next working day
}

// In gives the rules an event was decided under, or nil for an event opened without them.
func In(e record.Event) *Rules { r, _ := e.Rules.(*Rules); return r }

// Of gives the rules in force for a decision.
func Of(g record.Given) *Rules { return g.Rules.(*Rules) }

// Days gives a setting.
func (r *Rules) Days(setting string) int { return r.Settings[setting].Days }

// ForEvent lists the duties that an event type of a program can start, fulfil, end or move.
func (r *Rules) ForEvent(program, event string) []int { return r.byEvent[[2]string{program, event}] }

// Duty finds a duty by code.
func (r *Rules) Duty(code string) (*Duty, bool) {
	for i := range r.Duties {
		if r.Duties[i].Code == code {
			return &r.Duties[i], true
		}
	}
	return nil, false
}

// Due computes the due day from the day the duty began. ok is false when nothing is owed (a tier without a setting, or a
// limit that only the program can tell).
func (r *Rules) Due(d *Duty, from time.Time, tier string) (due time.Time, ok bool) {
	from, l := record.DayOf(from), d.Limit
	switch {
	case l.Program:
		return time.Time{}, false
	case l.Tiers != nil:
		s, found := l.Tiers[tier]
		if !found {
			return time.Time{}, false
		}
		due = from.AddDate(0, 0, r.Days(s))
	case l.Setting != "":
		due = from.AddDate(0, 0, r.Days(l.Setting))
	case l.Working:
		due = r.Calendar.AddWorkingDays(from, l.Days)
	default:
		due = AddPeriod(from, l.Years, l.Months, l.Days)
	}
	if l.Roll {
		due = r.Calendar.Roll(due)
	}
	return due, true
}

// AddPeriod adds years, months and days. A month that lacks the day ends on its last day (民法典 202), where
// time.AddDate would run into the next month.
func AddPeriod(from time.Time, years, months, days int) time.Time {
	t := from.AddDate(years, months, 0)
	if t.Day() != from.Day() {
		t = t.AddDate(0, 0, -t.Day())
	}
	return t.AddDate(0, 0, days)
}

// Matches tells whether an event fires one of the triggers.
func Matches(ts []Trigger, event string, f *record.Facets) bool {
	for i := range ts {
		if ts[i].Event == event && ts[i].fits(f) {
			return true
		}
	}
	return false
}

func (t *Trigger) fits(f *record.Facets) bool {
	for name, values := range t.When {
		if !slices.Contains(values, f.Get(name)) {
			return false
		}
	}
	return true
}

// builtIn reads every rule set of the binary, oldest first.
func builtIn() ([]*Rules, error) {
	calendars, err := builtInCalendars()
	if err != nil {
		return nil, err
	}
	names, err := fs.Glob(files, "rules/2*.json")
	if err != nil {
		return nil, err
	}
	var sets []*Rules
	for _, name := range names {
		r := &Rules{}
		if err := strict(name, r); err != nil {
			return nil, err
		}
		if r.Calendar = calendars[r.CountedBy]; r.Calendar == nil {
			return nil, fmt.Errorf("%s: there is no calendar %q", name, r.CountedBy)
		}
		if err := r.check(); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		sets = append(sets, r)
	}
	slices.SortFunc(sets, func(a, b *Rules) int { return strings.Compare(a.From, b.From) })
	return sets, nil
}

// builtInCalendars reads every calendar of the binary, by version.
func builtInCalendars() (map[string]*Calendar, error) {
	names, err := fs.Glob(files, "rules/calendar-*.json")
	if err != nil {
		return nil, err
	}
	calendars := map[string]*Calendar{}
	for _, name := range names {
		c := &Calendar{}
		if err := strict(name, c); err != nil {
			return nil, err
		}
		if err := c.index(); err != nil {
			return nil, err
		}
		if name != "rules/calendar-"+c.Version+".json" {
			return nil, fmt.Errorf("%s: holds version %q", name, c.Version)
		}
		calendars[c.Version] = c
	}
	return calendars, nil
}

func strict(name string, into any) error {
	raw, err := files.ReadFile(name)
	if err != nil {
		return err
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// check finds what a typing error in a rule file would leave silent, and builds the index.
func (r *Rules) check() error {
	r.byEvent = map[[2]string][]int{}
	seen := map[string]bool{}
	for i, d := range r.Duties {
		l := d.Limit
		given := 0
		for _, is := range []bool{l.Days > 0, l.Months > 0, l.Years > 0, l.Setting != "", l.Tiers != nil, l.Program} {
			if is {
				given++
			}
		}
		switch {
		case d.Code == "" || seen[d.Code]:
			return fmt.Errorf("duty %d: code %q is empty or used twice", i, d.Code)
		case d.Source == "" || d.Title.Zh == "" || d.Title.En == "":
			return fmt.Errorf("duty %s: source and title are required", d.Code)
		case given != 1:
			return fmt.Errorf("duty %s: limit must give exactly one measure", d.Code)
		case len(d.Starts) == 0 || len(d.Done) == 0:
			return fmt.Errorf("duty %s: starts and done are required", d.Code)
		case d.Program == "":
			return fmt.Errorf("duty %s: program is required", d.Code)
		}
		seen[d.Code] = true
		names := []string{l.Setting}
		for _, s := range l.Tiers {
			names = append(names, s)
		}
		for _, s := range names {
			if _, ok := r.Settings[s]; s != "" && !ok {
				return fmt.Errorf("duty %s: setting %q is not defined", d.Code, s)
			}
		}
		for _, t := range slices.Concat(d.Starts, d.Done, d.Ends, d.Moves) {
			key := [2]string{d.Program, t.Event}
			if !slices.Contains(r.byEvent[key], i) {
				r.byEvent[key] = append(r.byEvent[key], i)
			}
		}
	}
	return nil
}

// splitVersion parts "2026.1+3" into the rule set and how many changes of settings are in force.
func splitVersion(v string) (set string, changes int, err error) {
	set, n, found := strings.Cut(v, "+")
	if !found {
		return set, 0, nil
	}
	changes, err = strconv.Atoi(n)
	return set, changes, err
}
