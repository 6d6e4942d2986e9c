package oversight

import (
	"bytes"
	"context"
	"os"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"yidang/domain/access"
	"yidang/domain/casework"
	"yidang/domain/person"
	"yidang/domain/record"
	"yidang/domain/staff"
	"yidang/domain/vault/sealed"
	"yidang/projections/follow"
)

// Ensure that an index that lived through a random log, in random batches of which some fail, with restarts, small blocks
// and pages that examine little, answers every question as a model does that knows nothing of indexes, pages or steps: it
// looks through the whole log and folds the streams themselves. And that it holds the very rows of one that was built at once.
func TestAgainstAModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp("", "oversight")
		if err != nil {
			rt.Fatal(err)
		}
		defer os.RemoveAll(dir)
		l := newLife(rt)
		l.live(rapid.IntRange(5, 90).Draw(rt, "steps"))
		x := l.feed(dir, l.catalog)
		m := &model{life: l, x: x}
		for range 6 {
			m.askEntries()
			m.askReads()
			m.askProposals()
		}
		m.askGlasses()
		m.askPeople()
		m.askPlaces()
		m.checkErased()
		live := content(t, x)
		if err := x.Close(); err != nil {
			rt.Fatal(err)
		}
		if err := Remove(x.o.Path); err != nil {
			rt.Fatal(err)
		}
		again := openTest(rt, x.o)
		defer again.Close()
		if _, _, err := again.Entries(context.Background(), Query{}); err != ErrBuilding {
			rt.Fatalf("a new index answers: %v", err)
		}
		if err := again.Apply(context.Background(), follow.Batch{Events: l.events, UpTo: l.events[len(l.events)-1].Position, CaughtUp: true}); err != nil {
			rt.Fatal(err)
		}
		wantSame(t, live, content(t, again))
	})
}

type model struct {
	*life
	x *Index
}

func (m *model) history(stream string) (out []record.Event) {
	for _, e := range m.events {
		if e.Stream == stream {
			out = append(out, e)
		}
	}
	return out
}

func mark(e *record.Event) *Mark {
	if e == nil {
		return nil
	}
	return &Mark{Position: e.Position, ID: e.ID, Actor: e.Meta.Actor, At: e.Meta.RecordedAt}
}

// entry says of an event what an inspector should see.
func (m *model) entry(e record.Event) Entry {
	kind, file, _ := record.SplitStream(e.Stream)
	out := Entry{
		Position: e.Position, ID: e.ID, Category: kind, File: file, Revision: e.Revision, Type: e.Type, Actor: e.Meta.Actor, Post: e.Meta.Post,
		Role: e.Meta.Role, Unit: e.Meta.Unit, Person: e.Meta.Person, Case: e.Meta.Case, OccurredAt: e.Meta.OccurredAt, RecordedAt: e.Meta.RecordedAt,
		Late: e.Meta.Late, Command: e.Meta.Command, Cause: e.Meta.Causation, Erased: m.erased[e.Stream],
	}
	history := m.history(e.Stream)
	if kind != "access" {
		a := record.Amendments(history, record.At{})[e.ID]
		out.Voided, out.Corrected = mark(a.VoidedBy), mark(a.CorrectedBy())
	}
	switch d := e.Data.(type) {
	case record.Voided:
		out.Target = d.Event
	case record.Corrected:
		out.Target = d.Event
	case record.Approved:
		out.Proposal = d.Proposal
	case record.Rejected:
		out.Proposal = d.Proposal
	default:
		for i := range history {
			a := history[i]
			if d, ok := a.Data.(record.Approved); ok && a.Meta.Command == e.Meta.Command && a.Revision < e.Revision {
				out.Approved, out.Proposal = mark(&a), d.Proposal
			}
		}
	}
	return out
}

// paged reads an answer page by page.
func paged[R any](m *model, p Paging, ask func(Paging) ([]R, Page, error)) (all []R) {
	p.Limit = rapid.IntRange(1, 12).Draw(m.t, "limit")
	for range 10_000 {
		rows, page, err := ask(p)
		if err != nil {
			m.t.Fatal(err)
		}
		if head := m.events[len(m.events)-1].Position; page.Position != head || len(rows) > p.Limit {
			m.t.Fatalf("at position %d of %d: %d rows, %d asked for", page.Position, head, len(rows), p.Limit)
		}
		all = append(all, rows...)
		if p.After = page.Next; page.Next == 0 {
			return all
		}
	}
	m.t.Fatal("the pages never end")
	return nil
}

func compare[R any](m *model, what string, newest bool, got, want []R) {
	if newest {
		slices.Reverse(want)
	}
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || !reflect.DeepEqual(got[i], want[i]) {
			var g, w any = "nothing", "nothing"
			if i < len(got) {
				g = got[i]
			}
			if i < len(want) {
				w = want[i]
			}
			m.t.Fatalf("%s: %d answers, want %d; number %d is\n%+v, want\n%+v", what, len(got), len(want), i, g, w)
		}
	}
}

// maybe draws one of a few ids, or none.
func (m *model) maybe(what string, n int) uuid.UUID {
	if i := m.draw(what, 3*n); i < n+1 {
		return testID(what, i) // the last one is in no event
	}
	return uuid.Nil
}

func (m *model) flag(what string) bool { return m.draw(what, 4) == 0 }

func (m *model) window() (from, to time.Time) {
	at := func() time.Time {
		if len(m.events) == 0 || m.draw("open", 2) > 0 {
			return time.Time{}
		}
		return rapid.SampledFrom(m.events).Draw(m.t, "edge").Meta.RecordedAt
	}
	return at(), at()
}

func within(t, from, to time.Time) bool {
	return (from.IsZero() || !t.Before(from)) && (to.IsZero() || t.Before(to))
}

func is(asked, has uuid.UUID) bool { return asked == uuid.Nil || asked == has }

func (m *model) askEntries() {
	q := Query{
		Officer: m.maybe("officer", 4), Unit: m.maybe("unit", 2), Person: m.maybe("person", len(m.people)), Late: m.flag("late"),
		Lag: time.Duration(m.draw("lag", 3)) * 10 * time.Hour, BackDated: m.flag("back-dated"), BackDays: m.draw("days", 3), Amended: m.flag("amended"),
		Amendments: m.flag("amendments"), Approved: m.flag("approved"),
	}
	q.Newest = rapid.Bool().Draw(m.t, "newest")
	q.From, q.To = m.window()
	q.OccurredFrom, q.OccurredTo = m.window()
	if m.flag("one file") {
		kind, id, _ := record.SplitStream(rapid.SampledFrom(m.streams).Draw(m.t, "file"))
		if q.File = id; kind == "drugs" {
			q.Case = id
		}
	}
	if m.flag("types") {
		q.Types = []string{"casework.note_added", record.VoidedType, "person.merged", "unheard.of"}[:1+m.draw("how many", 3)]
	}
	want := []Entry{}
	for _, e := range m.events {
		s := m.entry(e)
		days := int(record.DayOf(s.RecordedAt).Sub(record.DayOf(s.OccurredAt)) / (24 * time.Hour))
		if e.Type != access.ReadType && is(q.Officer, s.Actor) && is(q.Unit, s.Unit) && is(q.Person, s.Person) && is(q.Case, s.Case) && is(q.File, s.File) &&
			within(s.RecordedAt, q.From, q.To) && within(s.OccurredAt, q.OccurredFrom, q.OccurredTo) &&
			(len(q.Types) == 0 || slices.Contains(q.Types, s.Type)) && (!q.Late || s.Late != "" || q.Lag > 0 && s.Lag() > q.Lag) &&
			(!q.BackDated || days > q.BackDays) && (!q.Amended || s.Voided != nil || s.Corrected != nil) && (!q.Amendments || record.Amends(s.Type)) &&
			(!q.Approved || s.Approved != nil) {
			want = append(want, s)
		}
	}
	got := paged(m, q.Paging, func(p Paging) ([]Entry, Page, error) { q.Paging = p; return m.x.Entries(context.Background(), q) })
	compare(m, "entries", q.Newest, got, want)
}

func (m *model) askReads() {
	q := ReadQuery{Person: m.maybe("person", len(m.people)), Officer: m.maybe("officer", 4), Unit: m.maybe("unit", 2), Outside: m.flag("outside"), Glass: m.flag("glass")}
	q.Newest = rapid.Bool().Draw(m.t, "newest")
	q.From, q.To = m.window()
	if m.flag("purpose") {
		q.Purpose = rapid.SampledFrom([]string{"supervision", "emergency", "curiosity"}).Draw(m.t, "purpose")
	}
	if m.flag("what") {
		q.What = []string{access.Hit}
	}
	if q.Person != uuid.Nil && m.flag("also") {
		q.Also = m.people[:1]
	}
	asked := append([]uuid.UUID{q.Person}, q.Also...)
	want := []Reading{}
	for _, e := range m.events {
		d, ok := e.Data.(access.Read)
		shown := slices.ContainsFunc(append([]uuid.UUID{e.Meta.Person}, d.People...), func(p uuid.UUID) bool { return slices.Contains(asked, p) })
		if !ok || q.Person != uuid.Nil && !shown || !is(q.Officer, e.Meta.Actor) || !is(q.Unit, e.Meta.Unit) ||
			!within(e.Meta.RecordedAt, q.From, q.To) || q.Purpose != "" && d.Purpose != q.Purpose || len(q.What) > 0 && d.What != q.What[0] ||
			q.Outside && d.Own || q.Glass && !d.Glass {
			continue
		}
		r := Reading{Position: e.Position, ID: e.ID, Session: d.Session, Revision: e.Revision, Officer: e.Meta.Actor, Post: e.Meta.Post, Role: e.Meta.Role, Unit: e.Meta.Unit,
			Person: e.Meta.Person, RecordedAt: e.Meta.RecordedAt, What: d.What, Purpose: d.Purpose, Own: d.Own, Glass: d.Glass, People: d.People, Listed: len(d.People)}
		if q.Person != uuid.Nil {
			r.People = nil
			if r.Person != uuid.Nil && !slices.Contains(asked, r.Person) { // read through another file, with which it was merged
				r.Person = q.Person
			}
		}
		want = append(want, r)
	}
	got := paged(m, q.Paging, func(p Paging) ([]Reading, Page, error) { q.Paging = p; return m.x.Reads(context.Background(), q) })
	compare(m, "readings", q.Newest, got, want)
}

func (m *model) askProposals() {
	q := ProposalQuery{Now: m.now.Add(-time.Duration(m.draw("ago", 72)) * time.Hour), Person: m.maybe("person", len(m.people)), Proposer: m.maybe("officer", 4), NotBy: m.maybe("officer", 4)}
	q.Newest = rapid.Bool().Draw(m.t, "newest")
	if m.flag("units") {
		q.Units = []uuid.UUID{testID("unit", 1)}
	}
	if rapid.Bool().Draw(m.t, "one status") {
		q.Status = rapid.SampledFrom([]string{Waiting, Approved, Rejected, Withdrawn, Lapsed, Expired}).Draw(m.t, "status")
	}
	want := []Proposal{}
	for _, e := range m.events {
		d, ok := e.Data.(record.Proposed)
		if !ok {
			continue
		}
		kind, file, _ := record.SplitStream(e.Stream)
		p := Proposal{Position: e.Position, ID: e.ID, Category: kind, File: file, Person: e.Meta.Person, Case: e.Meta.Case, Command: d.Command, Proposer: e.Meta.Actor,
			Post: e.Meta.Post, Role: e.Meta.Role, Unit: e.Meta.Unit, ProposedAt: e.Meta.RecordedAt, Expires: d.Expires, Status: Waiting}
		for _, a := range m.history(e.Stream) {
			status := ""
			switch d := a.Data.(type) {
			case record.Approved:
				if d.Proposal == e.ID {
					status = Approved
				}
			case record.Rejected:
				if d.Proposal == e.ID {
					status = Rejected
					if d.Withdrawn {
						status = Withdrawn
					}
				}
			case record.FileErased:
				status = Lapsed
			}
			if status != "" && p.Status == Waiting {
				p.Status, p.Answer, p.Answerer, p.AnsweredAt = status, a.Position, a.Meta.Actor, a.Meta.RecordedAt
			}
		}
		if p.Status == Waiting && !q.Now.Before(p.Expires) {
			p.Status = Expired
		}
		if is(q.Person, p.Person) && is(q.Proposer, p.Proposer) && (q.NotBy == uuid.Nil || q.NotBy != p.Proposer) && (q.Status == "" || q.Status == p.Status) &&
			(q.Units == nil || q.Units[0] == p.Unit) {
			want = append(want, p)
		}
	}
	got := paged(m, q.Paging, func(p Paging) ([]Proposal, Page, error) { q.Paging = p; return m.x.Proposals(context.Background(), q) })
	compare(m, "proposals", q.Newest, got, want)
}

func (m *model) askGlasses() {
	q := GlassQuery{Officer: m.maybe("officer", 4), InForce: m.now.Add(-time.Duration(m.draw("ago", 72)) * time.Hour)}
	q.Since, _ = m.window()
	if m.flag("units") {
		q.Units = []uuid.UUID{testID("unit", 1)}
	}
	want := []Glass{}
	for _, e := range m.events {
		d, ok := e.Data.(staff.GlassBroken)
		if ok && is(q.Officer, e.Meta.Actor) && (q.Units == nil || q.Units[0] == e.Meta.Unit) && within(e.Meta.RecordedAt, q.Since, time.Time{}) && q.InForce.Before(d.Until) {
			want = append(want, Glass{Position: e.Position, ID: e.ID, Officer: e.Meta.Actor, Post: e.Meta.Post, Role: e.Meta.Role, Unit: e.Meta.Unit, Person: d.Person, Until: d.Until, RecordedAt: e.Meta.RecordedAt})
		}
	}
	got := paged(m, q.Paging, func(p Paging) ([]Glass, Page, error) { q.Paging = p; return m.x.Glasses(context.Background(), q) })
	compare(m, "emergency readings", false, got, want)
}

func (m *model) fold(stream string) *record.File {
	k, _ := m.catalog.Of(stream)
	f := record.NewFile(k, stream)
	if err := f.Fold(m.history(stream), record.At{}); err != nil {
		m.t.Fatal(err)
	}
	return f
}

// people asks who is whom and who is responsible, and compares with the folded files.
func (m *model) askPeople() {
	into := map[uuid.UUID]uuid.UUID{}
	for _, id := range m.people {
		into[id] = m.fold(person.Stream(id)).State.(*person.Person).MergedInto
	}
	root := func(id uuid.UUID) uuid.UUID {
		for range len(m.people) + 1 { // into the circle, if there is one
			if into[id] == uuid.Nil {
				return id
			}
			id = into[id]
		}
		least := id
		for next := into[id]; next != id; next = into[next] {
			if bytes.Compare(next[:], least[:]) < 0 {
				least = next
			}
		}
		return least
	}
	for _, id := range m.people {
		got, err := m.x.Root(context.Background(), id)
		if err != nil || got != root(id) {
			m.t.Fatalf("the root of %s is %s, want %s (%v)", id, got, root(id), err)
		}
		want := []uuid.UUID{root(id)}
		for _, other := range m.people {
			if root(other) == root(id) && other != root(id) {
				want = append(want, other)
			}
		}
		slices.SortFunc(want[1:], func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) })
		members, err := m.x.Members(context.Background(), id)
		if err != nil || !slices.Equal(members, want) {
			m.t.Fatalf("the files of %s are %v, want %v (%v)", id, members, want, err)
		}
		m.askResponsible(id, members)
	}
}

func (m *model) askResponsible(id uuid.UUID, members []uuid.UUID) {
	want := []Part{}
	for _, member := range members {
		var cases []Part
		for _, stream := range m.streams {
			k, _ := m.catalog.Of(stream)
			if !k.Case {
				continue
			}
			c := m.fold(stream).State.(casework.Program).Core()
			if c.Person != member || !c.IsOpen() {
				continue
			}
			for _, r := range c.Responsible {
				cases = append(cases, Part{Person: member, Case: c.ID, Officer: r.Officer, Role: r.Role, Lead: r.Lead, From: r.From})
			}
		}
		slices.SortStableFunc(cases, func(a, b Part) int { return bytes.Compare(a.Case[:], b.Case[:]) })
		want = append(want, cases...)
	}
	got, err := m.x.ResponsibleFor(context.Background(), id)
	if err != nil {
		m.t.Fatal(err)
	}
	compare(m, "responsible", false, got, want)
	for i := range 4 {
		officer := testID("officer", i)
		yes, err := m.x.Responsible(context.Background(), id, officer)
		if err != nil || yes != slices.ContainsFunc(want, func(p Part) bool { return p.Officer == officer }) {
			m.t.Fatalf("%s is responsible for %s: %v (%v)", officer, id, yes, err)
		}
	}
}

// places asks for every event by its id.
func (m *model) askPlaces() {
	for _, e := range m.events {
		got, ok, err := m.x.Lookup(context.Background(), e.ID)
		if err != nil || !ok || got.Position != e.Position || got.Stream() != e.Stream || got.Revision != e.Revision || got.Type != e.Type || got.Actor != e.Meta.Actor {
			m.t.Fatalf("event %s is found as %+v (%v, %v), want %+v", e.ID, got, ok, err, e)
		}
	}
	for _, id := range []uuid.UUID{uuid.Nil, testID("poison", 0), testID("event", len(m.events))} {
		if _, ok, err := m.x.Lookup(context.Background(), id); ok || err != nil {
			m.t.Fatalf("event %s, which is not there, is found (%v)", id, err)
		}
	}
}

// checkErased looks for who was responsible in a file whose key was destroyed, and what it was merged with.
func (m *model) checkErased() {
	err := m.x.db.Read(context.Background(), func(c *sealed.Conn) error {
		for stream := range m.erased {
			_, id, _ := record.SplitStream(stream)
			n, err := single(c, `SELECT (SELECT count(*) FROM parts WHERE kase = ? AND step != 4) + (SELECT count(*) FROM links WHERE file = ? AND into_ IS NOT NULL)`, id[:], id[:])
			if err != nil || n != 0 {
				m.t.Fatalf("%d rows tell of the erased %s, %v", n, stream, err)
			}
		}
		return nil
	})
	if err != nil {
		m.t.Fatal(err)
	}
}
