package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"yidang/domain/access"
	"yidang/domain/record"
	"yidang/projections/oversight"
)

// inspectCmd answers inspectors from the data folder. The server must not be running; a running one answers the same
// questions at its API. Each question is a reading, and recorded.
type inspectCmd struct {
	Officer    inspectOfficer    `cmd:"" help:"Everything that an officer recorded, in order, with the lag."`
	Entries    inspectEntries    `cmd:"" help:"What was recorded: late, back-dated, amended, approved."`
	Reads      inspectReads      `cmd:"" help:"Who read what, and what for."`
	File       inspectFile       `cmd:"" help:"What a file said on a day: as of it, and as known at it."`
	Difference inspectDifference `cmd:"" help:"What became known of a file between two moments."`
	Gaps       inspectGaps       `cmd:"" help:"Duties of a file without an event, or with a late one."`
	Proof      inspectProof      `cmd:"" help:"The proof that an entry is in the log."`
}

func (inspectCmd) Help() string {
	return `Each question is asked as an officer, and is in the access log before the answer is printed. Works on the data folder
itself, so the server must not be running.

Examples:
  yidang inspect officer cadre1 --as inspector
  yidang inspect entries --as inspector --late --from 2026-03-01
  yidang inspect reads --as inspector --outside
  yidang inspect file --as inspector --person UUID --known-at 2026-03-01
  yidang inspect difference --as inspector --person UUID --from 2026-03-01
  yidang inspect gaps --as inspector --person UUID
  yidang inspect proof EVENT --as inspector -o event.tlog-proof`
}

// span is a stretch of time of recording.
type span struct {
	From string `help:"Recorded on or after this day or time." placeholder:"DAY"`
	To   string `help:"Recorded on or before this day, or before this time." placeholder:"DAY"`
}

func (s span) times() (from, to time.Time, err error) {
	if from, err = moment("from", s.From, false); err != nil {
		return from, to, err
	}
	to, err = moment("to", s.To, true)
	if err == nil && len(s.To) == len(record.Day) {
		to = to.Add(time.Nanosecond) // the index leaves the end itself out
	}
	return from, to, err
}

// withVisitor opens the record for a reader.
func withVisitor(p *program, who reader, f func(*visitor) error) error {
	if err := hasRecord(p.config); err != nil {
		return err
	}
	return withRecord(p, func(r *records) error {
		v, err := r.visitor(p.ctx, who)
		if err != nil {
			return err
		}
		return f(v)
	})
}

// pageLimit is how many rows are asked for at once; answers are printed page by page.
const pageLimit = 1000

type inspectOfficer struct {
	reader
	span
	printing
	Who string `arg:"" help:"The officer: sign-in name or uuid." placeholder:"OFFICER"`
}

func (inspectOfficer) Help() string {
	return `Entries without their content, in the order of the log; lag is from when it happened to when it was recorded.

Example:
  yidang inspect officer cadre1 --as inspector --from 2026-03-01`
}

// Run lists what an officer recorded.
func (cmd inspectOfficer) Run(p *program) error {
	return withVisitor(p, cmd.reader, func(v *visitor) error {
		id, err := v.r.officerOf(p, cmd.Who)
		if err != nil {
			return err
		}
		q := oversight.Query{Officer: id}
		if q.From, q.To, err = cmd.times(); err != nil {
			return err
		}
		if err := v.ask(p.ctx, q.String()); err != nil {
			return err
		}
		return v.entries(p, cmd.printing, q)
	})
}

// officerOf finds an officer by login or uuid.
func (r *records) officerOf(p *program, who string) (uuid.UUID, error) {
	id, err := uuid.Parse(who)
	if err != nil {
		return r.officer(p.ctx, who)
	}
	_, ok, err := r.exec.Officer(p.ctx, id)
	if err == nil && !ok {
		err = &record.Problem{Kind: record.NotFound, Field: "officer", Message: "there is no such officer", Remedy: "give a sign-in name, or the uuid of an officer"}
	}
	return id, err
}

type inspectEntries struct {
	reader
	span
	printing
	Person     uuid.UUID `help:"Of this person's file." placeholder:"UUID"`
	Case       uuid.UUID `help:"Of this case." placeholder:"UUID"`
	Officer    string    `help:"Recorded by this officer: sign-in name or uuid."`
	Unit       string    `help:"Recorded in a post of this unit: its name or uuid."`
	Type       []string  `help:"Of these types, such as casework.visit_recorded."`
	Late       bool      `help:"Entered late: with a reason for it, or more than --lag after the fact."`
	Lag        string    `help:"With --late: such as 72h." placeholder:"DURATION"`
	BackDated  bool      `help:"Said to have happened on an earlier day, more than --back-days before."`
	BackDays   int       `help:"With --back-dated."`
	Amended    bool      `help:"Voided or corrected since."`
	Amendments bool      `help:"The voids and corrections themselves."`
	Approved   bool      `help:"Recorded with a second person's approval."`
}

func (inspectEntries) Help() string {
	return `Entries without their content, in the order of the log; those that meet all that is asked for.

Examples:
  yidang inspect entries --as inspector --late --lag 72h --unit 前进村
  yidang inspect entries --as inspector --amended --from 2026-03-01 --format json
  yidang inspect entries --as inspector --approved --person UUID`
}

// Run lists entries.
func (cmd inspectEntries) Run(p *program) error {
	return withVisitor(p, cmd.reader, func(v *visitor) error {
		q, err := cmd.query(p, v.r)
		if err != nil {
			return err
		}
		if err := v.ask(p.ctx, q.String()); err != nil {
			return err
		}
		return v.entries(p, cmd.printing, q)
	})
}

func (cmd inspectEntries) query(p *program, r *records) (q oversight.Query, err error) {
	q = oversight.Query{Person: cmd.Person, Case: cmd.Case, Types: cmd.Type, Late: cmd.Late, BackDated: cmd.BackDated, BackDays: cmd.BackDays,
		Amended: cmd.Amended, Amendments: cmd.Amendments, Approved: cmd.Approved}
	if cmd.Lag != "" {
		if q.Lag, err = time.ParseDuration(cmd.Lag); err != nil || q.Lag <= 0 || !cmd.Late {
			return q, &record.Problem{Kind: record.Invalid, Field: "lag", Message: "must be a duration, and go with --late", Remedy: "--late --lag 72h"}
		}
	}
	if cmd.Officer != "" {
		if q.Officer, err = r.officerOf(p, cmd.Officer); err != nil {
			return q, err
		}
	}
	if cmd.Unit != "" {
		if q.Unit, err = r.unitFor(p.ctx, cmd.Unit, "", true); err != nil {
			return q, err
		}
	}
	q.From, q.To, err = cmd.times()
	return q, err
}

// entries prints the answer to a question that was recorded.
func (v *visitor) entries(p *program, how printing, q oversight.Query) error {
	names, err := v.r.directory(p.ctx)
	if err != nil {
		return err
	}
	out := how.table(p, "position", "recorded", "happened", "lag", "officer", "role", "person", "event", "marks", "what")
	q.Limit = pageLimit
	for {
		rows, page, err := v.r.oversight.Entries(p.ctx, q)
		if err != nil {
			return err
		}
		for _, e := range rows {
			title := record.Text{}
			if row, ok := v.r.catalog.Event(e.Category, e.Type); ok {
				title = row.Title
			}
			out.row(entryItem{e, title, names.logins[e.Actor], int64(e.Lag().Seconds())},
				fmt.Sprint(e.Position), timeText(e.RecordedAt), timeText(e.OccurredAt), lagText(e.Lag()), names.login(e.Actor), string(e.Role), idText(e.Person), e.ID.String(), marks(e, names), title.Zh+" "+title.En)
		}
		if err := out.flush(); err != nil || page.Next == 0 {
			return out.end(err)
		}
		q.After = page.Next
	}
}

// entryItem is an entry as JSON, in the words of the API.
type entryItem struct {
	oversight.Entry
	Title      record.Text `json:"title"`
	Login      string      `json:"login,omitempty"`
	LagSeconds int64       `json:"lagSeconds"`
}

func marks(e oversight.Entry, names *directory) string {
	var out []string
	if e.Late != "" {
		out = append(out, "late:"+string(e.Late))
	}
	for _, m := range []struct {
		what string
		mark *oversight.Mark
	}{{"voided", e.Voided}, {"corrected", e.Corrected}, {"approved", e.Approved}} {
		if m.mark != nil {
			out = append(out, m.what+":"+names.login(m.mark.Actor))
		}
	}
	if e.Erased {
		out = append(out, "erased")
	}
	if len(out) == 0 {
		return "-"
	}
	return strings.Join(out, ",")
}

type inspectReads struct {
	reader
	span
	printing
	Person  uuid.UUID `help:"Of this person's file, and lists that showed the person." placeholder:"UUID"`
	Officer string    `help:"By this officer: sign-in name or uuid."`
	Unit    string    `help:"In a post of this unit: its name or uuid."`
	For     string    `help:"With this purpose." placeholder:"CODE"`
	Outside bool      `help:"Outside the reader's own caseload."`
	Glass   bool      `help:"In an emergency."`
}

func (inspectReads) Help() string {
	return `The access log, in order. The question itself is in it.

Examples:
  yidang inspect reads --as inspector --person UUID
  yidang inspect reads --as inspector --outside --from 2026-03-01
  yidang inspect reads --as inspector --glass`
}

// Run lists readings. The question itself is among them.
func (cmd inspectReads) Run(p *program) error {
	return withVisitor(p, cmd.reader, func(v *visitor) (err error) {
		q := oversight.ReadQuery{Person: cmd.Person, Purpose: cmd.For, Outside: cmd.Outside, Glass: cmd.Glass}
		if cmd.Officer != "" {
			if q.Officer, err = v.r.officerOf(p, cmd.Officer); err != nil {
				return err
			}
		}
		if cmd.Unit != "" {
			if q.Unit, err = v.r.unitFor(p.ctx, cmd.Unit, "", true); err != nil {
				return err
			}
		}
		if q.From, q.To, err = cmd.times(); err != nil {
			return err
		}
		if err := v.ask(p.ctx, q.String()); err != nil {
			return err
		}
		return v.readings(p, cmd.printing, q)
	})
}

func (v *visitor) readings(p *program, how printing, q oversight.ReadQuery) error {
	names, err := v.r.directory(p.ctx)
	if err != nil {
		return err
	}
	out := how.table(p, "position", "recorded", "officer", "role", "what", "purpose", "marks", "person", "item", "from", "reason")
	said := sayings{r: v.r}
	q.Limit = pageLimit
	for {
		rows, page, err := v.r.oversight.Reads(p.ctx, q)
		if err != nil {
			return err
		}
		for _, x := range rows {
			d, err := said.of(p, x)
			if err != nil {
				return err
			}
			out.row(readItem{x, names.logins[x.Officer], d.Item, d.Reason, d.From}, fmt.Sprint(x.Position), timeText(x.RecordedAt), names.login(x.Officer), string(x.Role), x.What, dash(x.Purpose), readMarks(x), idText(x.Person), dash(d.Item), dash(d.From), d.Reason)
		}
		if err := out.flush(); err != nil || page.Next == 0 {
			return out.end(err)
		}
		q.After = page.Next
	}
}

// readItem is a reading as JSON.
type readItem struct {
	oversight.Reading
	Login  string `json:"login,omitempty"`
	Item   string `json:"item,omitempty"` // which attachment, or which question
	Reason string `json:"reason,omitempty"`
	From   string `json:"from,omitempty"` // network address; none at the command line
}

func readMarks(x oversight.Reading) string {
	var out []string
	for _, m := range []struct {
		is   bool
		what string
	}{{x.Own, "own"}, {x.Glass, "emergency"}, {x.Sealed, "sealed"}, {x.Listed > 0 && x.Person == uuid.Nil, fmt.Sprintf("list:%d", x.Listed)}, {x.Listed > 0 && x.Person != uuid.Nil, "merged"}} {
		if m.is {
			out = append(out, m.what)
		}
	}
	return dash(strings.Join(out, ","))
}

// sayings opens what readings say beyond what the index holds. Those of a session lie together, mostly.
type sayings struct {
	r       *records
	session uuid.UUID
	said    map[uuid.UUID]access.Read
}

func (c *sayings) of(p *program, x oversight.Reading) (access.Read, error) {
	if c.said == nil || c.session != x.Session {
		c.session, c.said = x.Session, map[uuid.UUID]access.Read{}
		history, err := c.r.exec.History(p.ctx, record.StreamOf(access.Category.Name, x.Session))
		if err != nil {
			return access.Read{}, err
		}
		for _, e := range history {
			if d, ok := e.Data.(access.Read); ok {
				c.said[e.ID] = d
			}
		}
	}
	return c.said[x.ID], nil
}
