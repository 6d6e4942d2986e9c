package oversight

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/ncruces/go-sqlite3"
	"pgregory.net/rapid"

	"yidang/domain/access"
	"yidang/domain/casework"
	"yidang/domain/catalog"
	"yidang/domain/person"
	"yidang/domain/policy"
	"yidang/domain/programs/drugs"
	"yidang/domain/record"
	"yidang/domain/staff"
	"yidang/domain/vault/sealed"
	"yidang/projections/follow"
)

func testID(kind string, i int) uuid.UUID {
	return uuid.NewSHA1(uuid.NameSpaceOID, fmt.Appendf(nil, "%s %d", kind, i))
}

// life is a random but possible log, as a list: neither journal nor vault is needed for what an index makes of it.
type life struct {
	t       *rapid.T
	catalog *catalog.Catalog
	rules   any
	events  []record.Event
	streams []string // of people and cases
	people  []uuid.UUID
	waiting []record.Event // proposals
	erased  map[string]bool
	now     time.Time
}

func newLife(t *rapid.T) *life {
	l := &life{t: t, erased: map[string]bool{}, now: time.Date(2026, 3, 1, 22, 0, 0, 0, time.UTC)}
	var err error
	if l.catalog, err = catalog.New(); err != nil {
		t.Fatal(err)
	}
	book, err := policy.NewBook(nil)
	if err != nil {
		t.Fatal(err)
	}
	if l.rules, err = book.Version(context.Background(), "2026.1"); err != nil {
		t.Fatal(err)
	}
	return l
}

func (l *life) draw(what string, most int) int { return rapid.IntRange(0, most).Draw(l.t, what) }

func (l *life) officer() uuid.UUID { return testID("officer", l.draw("officer", 3)) }

// add records one event for each data, by one command.
func (l *life) add(stream string, of uuid.UUID, change func(*record.Meta), data ...any) []record.Event {
	k, ok := l.catalog.Of(stream)
	if !ok {
		l.t.Fatalf("no category of %s", stream)
	}
	command := testID("command", len(l.events))
	revision := uint64(0)
	for _, e := range l.events {
		if e.Stream == stream {
			revision++
		}
	}
	first := len(l.events)
	for i, d := range data {
		row, ok := k.EventFor(d)
		if !ok {
			l.t.Fatalf("%T in %s", d, k.Name)
		}
		who := l.draw("officer", 3)
		e := record.Event{
			ID: testID("event", len(l.events)), Stream: stream, Revision: revision + uint64(i), Position: uint64(3*len(l.events) + 5), Type: row.Name, Data: d, Rules: l.rules,
			Meta: record.Meta{Form: row.Form(), Actor: testID("officer", who), Post: testID("post", who), Role: record.VillageCadre, Unit: testID("unit", who%2), Person: of,
				OccurredAt: l.now, RecordedAt: l.now, Command: command, Correlation: command, Causation: command},
		}
		if k.Case {
			_, e.Meta.Case, _ = record.SplitStream(stream)
		}
		if change != nil {
			change(&e.Meta)
		}
		l.events = append(l.events, e)
	}
	return l.events[first:]
}

func (l *life) live(steps int) {
	for range steps {
		l.now = l.now.Add(time.Duration(l.draw("minutes", 600)) * time.Minute)
		switch do := l.draw("do", 19); {
		case len(l.people) < 2 || do == 0:
			id := testID("person", len(l.people))
			l.people, l.streams = append(l.people, id), append(l.streams, person.Stream(id))
			l.add(person.Stream(id), id, nil, person.Registered{Name: "梁平"})
		case do <= 2:
			of := rapid.SampledFrom(l.people).Draw(l.t, "person")
			stream := record.StreamOf("drugs", testID("case", len(l.streams)))
			l.streams = append(l.streams, stream)
			l.add(stream, of, nil, drugs.Opened{Person: of, Kind: drugs.Voluntary}, l.assignment())
		case do <= 5:
			l.reads()
		case do == 6:
			l.add(staff.Stream(l.officer()), uuid.Nil, nil, staff.GlassBroken{
				Glass: staff.Glass{Person: rapid.SampledFrom(l.people).Draw(l.t, "person"), Until: l.now.Add(24 * time.Hour)}, Reason: "紧急"})
		default:
			stream := rapid.SampledFrom(l.streams).Draw(l.t, "stream")
			if !l.erased[stream] {
				l.inFile(stream, do)
			}
		}
	}
}

func (l *life) assignment() casework.ResponsibleAssigned {
	return casework.ResponsibleAssigned{Responsibility: casework.Responsibility{Officer: l.officer(), Role: record.CommunityPolice,
		Lead: rapid.Bool().Draw(l.t, "lead"), From: l.now}}
}

func (l *life) reads() {
	d := access.Read{What: rapid.SampledFrom([]string{access.File, access.Hit}).Draw(l.t, "what"), Session: testID("session", l.draw("session", 2)),
		Own: rapid.Bool().Draw(l.t, "own"), Glass: l.draw("glass", 3) == 0, Reason: "核对"}
	if !d.Own {
		d.Purpose = rapid.SampledFrom([]string{"supervision", "emergency"}).Draw(l.t, "purpose")
	}
	of := rapid.SampledFrom(l.people).Draw(l.t, "person")
	if d.What == access.Hit {
		d.People = l.people[:1+l.draw("listed", len(l.people)-1)]
		of = uuid.Nil
	} else if rapid.Bool().Draw(l.t, "merged") {
		d.People = l.people[:1]
	}
	l.add(record.StreamOf("access", d.Session), of, nil, d)
}

func (l *life) inFile(stream string, do int) {
	var of uuid.UUID
	var earlier []record.Event // that may be amended
	for _, e := range l.events {
		if e.Stream != stream {
			continue
		}
		of = e.Meta.Person
		switch e.Data.(type) {
		case record.Proposed, record.Approved, record.Rejected:
		default:
			if e.Revision > 0 {
				earlier = append(earlier, e)
			}
		}
	}
	kind, _, _ := record.SplitStream(stream)
	isCase := kind == "drugs"
	switch {
	case do <= 9:
		lag := time.Duration(l.draw("lag", 100)) * time.Hour
		var late record.Late
		if l.draw("coded", 4) == 0 {
			late = record.LatePaper
		}
		var d any = person.ContactChanged{Phone: "12000000000"}
		if isCase {
			d = casework.NoteAdded{Text: "家属来访"}
		}
		l.add(stream, of, func(m *record.Meta) { m.OccurredAt, m.Late = l.now.Add(-lag), late }, d)
	case do == 10 && isCase:
		l.add(stream, of, nil, l.assignment())
	case do == 11 && isCase:
		l.add(stream, of, nil, casework.ResponsibleEnded{Officer: l.officer()})
	case do == 12 && isCase:
		l.add(stream, of, nil, casework.HandOverAccepted{HandOver: casework.HandOver{To: l.officer(), Role: record.VillageCadre}})
	case do <= 12:
		var d any = person.Unmerged{Reason: "不是同一人"}
		if do > 10 {
			d = person.Merged{Into: rapid.SampledFrom(l.people).Draw(l.t, "into"), Reason: "同一人"}
		}
		l.add(stream, of, nil, d)
	case do <= 15 && len(earlier) > 0:
		l.amend(stream, of, rapid.SampledFrom(earlier).Draw(l.t, "target"))
	case do == 16:
		l.waiting = append(l.waiting, l.add(stream, of, nil, record.Proposed{Command: "drugs.close_case", Expires: l.now.Add(48 * time.Hour)})...)
	case do == 17 || do == 18:
		l.answer(stream, of, isCase)
	case l.draw("erase", 3) == 0:
		l.add(stream, of, nil, record.FileErased{Basis: "retention-ended"})
		l.erased[stream] = true
	}
}

func (l *life) amend(stream string, of uuid.UUID, target record.Event) {
	about := target.ID
	if e := rapid.SampledFrom(l.events).Draw(l.t, "any"); e.Stream != stream && l.draw("of another stream", 9) == 0 {
		about = e.ID
	}
	if rapid.Bool().Draw(l.t, "void") {
		l.add(stream, of, nil, record.Voided{Event: about, Reason: "录错了"})
		return
	}
	data := target.Data
	switch d := data.(type) {
	case casework.ResponsibleAssigned:
		d.Role, d.Lead, d.From = record.CommunityMedic, !d.Lead, d.From.Add(-time.Hour)
		data = d
	case casework.HandOverAccepted:
		d.Role = record.CommunityMedic
		data = d
	}
	raw, err := json.Marshal(data)
	if err != nil {
		l.t.Fatal(err)
	}
	c := record.Corrected{Event: about, Form: 1, Values: raw, Reason: "写错了"}
	if rapid.Bool().Draw(l.t, "time too") {
		c.OccurredAt = l.now.Add(-50 * time.Hour)
	}
	if about != target.ID { // what it says fits nothing
		c.Values = json.RawMessage(`{}`)
	}
	l.add(stream, of, nil, c)
}

func (l *life) answer(stream string, of uuid.UUID, isCase bool) {
	i := slices.IndexFunc(l.waiting, func(p record.Event) bool { return p.Stream == stream })
	if i < 0 {
		return
	}
	p := l.waiting[i]
	l.waiting = slices.Delete(l.waiting, i, i+1)
	switch l.draw("answer", 3) {
	case 0:
		l.add(stream, of, nil, record.Rejected{Proposal: p.ID, Reason: "材料不全", Withdrawn: rapid.Bool().Draw(l.t, "withdrawn")})
	default:
		data := []any{record.Approved{Proposal: p.ID}}
		if isCase {
			data = append(data, casework.Closed{Reason: "withdrawn"})
		} else {
			data = append(data, person.Merged{Into: rapid.SampledFrom(l.people).Draw(l.t, "into"), Reason: "同一人"})
		}
		made := l.add(stream, of, nil, data...)
		for i := range made[1:] {
			made[i+1].Meta.Actor, made[i+1].Meta.Causation = p.Meta.Actor, p.ID
		}
	}
}

// feed applies the log in batches as drawn, with batches that fail and restarts, to an index with small blocks.
func (l *life) feed(dir string, catalog Catalog) *Index {
	o := Options{Path: filepath.Join(dir, "oversight.db"), Key: make([]byte, 32), Catalog: catalog, Readers: 2, Block: 7, Examine: 9}
	x := openTest(l.t, o)
	for i := 0; i < len(l.events) || i == 0; {
		n := min(1+l.draw("batch", 20), len(l.events)-i)
		b := follow.Batch{Events: l.events[i : i+n], CaughtUp: i+n == len(l.events) || l.draw("caught up", 3) == 0}
		if n > 0 {
			b.UpTo = b.Events[n-1].Position
		}
		switch l.draw("trouble", 5) {
		case 0:
			bad := follow.Batch{Events: append(slices.Clone(b.Events), l.poison()...), UpTo: b.UpTo + 2, CaughtUp: true}
			if err := x.Apply(context.Background(), bad); err == nil {
				l.t.Fatal("an event that cannot be taken in was taken in")
			}
		case 1:
			if err := x.Close(); err != nil {
				l.t.Fatal(err)
			}
			x = openTest(l.t, o)
		}
		if err := x.Apply(context.Background(), b); err != nil {
			l.t.Fatal(err)
		}
		if l.draw("again", 5) == 0 { // what was taken in already changes nothing
			if err := x.Apply(context.Background(), b); err != nil {
				l.t.Fatal(err)
			}
		}
		i = max(i+n, 1)
	}
	return x
}

// poison is two events of which the second corrects the first with values that are none.
func (l *life) poison() []record.Event {
	last := l.events[len(l.events)-1].Position
	stream := record.StreamOf("drugs", testID("poisoned", 0))
	part := record.Event{ID: testID("poison", 0), Stream: stream, Position: last + 1, Type: "casework.responsible_assigned",
		Data: casework.ResponsibleAssigned{Responsibility: casework.Responsibility{Officer: testID("stranger", 0)}}, Meta: record.Meta{Person: testID("stranger", 1), Actor: testID("stranger", 2)}}
	bad := record.Event{ID: testID("poison", 1), Stream: stream, Revision: 1, Position: last + 2, Type: record.CorrectedType,
		Data: record.Corrected{Event: part.ID, Form: 1, Values: json.RawMessage(`{"officer":7}`)}}
	return []record.Event{part, bad}
}

func openTest(t interface{ Fatal(...any) }, o Options) *Index {
	x, err := Open(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// content lists everything an index holds, row by row and list by list.
func content(t testing.TB, x *Index) (lines []string) {
	t.Helper()
	err := x.db.Read(context.Background(), func(c *sealed.Conn) error {
		for _, table := range []string{"names", "entries", "reads", "blocks", "lists", "amendments", "amended", "approvals", "proposals", "glasses", "links", "parts", "erasures"} {
			if err := query(c, `SELECT * FROM `+table, nil, func(st *sqlite3.Stmt) error {
				line := table
				for i := range st.ColumnCount() {
					line += fmt.Sprintf(" %v:%x", st.ColumnType(i), st.ColumnText(i))
				}
				lines = append(lines, line)
				return nil
			}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for k, list := range x.tail.lists {
		lines = append(lines, fmt.Sprintf("tail %x %v", k, list))
	}
	for id, p := range x.tail.ids {
		lines = append(lines, fmt.Sprintf("tail %s %d", id, p))
	}
	lines = append(lines, fmt.Sprintf("tail %+v of %+v", x.tail.span, x.blocks))
	slices.Sort(lines)
	return lines
}

func wantSame(t testing.TB, got, want []string) {
	t.Helper()
	if slices.Equal(got, want) {
		return
	}
	for _, d := range []struct {
		sign        string
		list, other []string
	}{{"+", got, want}, {"-", want, got}} {
		shown := 0
		for _, l := range d.list {
			if _, found := slices.BinarySearch(d.other, l); !found && shown < 8 {
				t.Log(d.sign, l)
				shown++
			}
		}
	}
	t.Fatalf("the content differs: %d lines, want %d", len(got), len(want))
}
