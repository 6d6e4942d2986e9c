package views

import (
	"context"
	"fmt"
	"os"
	osexec "os/exec"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/ncruces/go-sqlite3"
	"pgregory.net/rapid"

	"yidang/domain/casework"
	"yidang/domain/person"
	"yidang/domain/programs/drugs"
	"yidang/domain/record"
	"yidang/domain/staff"
	"yidang/domain/vault/sealed"
	"yidang/projections/follow"
)

// content lists everything a file of views holds, in words that do not depend on how its rows are numbered.
func content(t testing.TB, v *Views) (lines []string) {
	t.Helper()
	s := v.now
	err := s.db.Read(context.Background(), func(c *sealed.Conn) error {
		people, cases := map[int64]string{}, map[int64]string{}
		place := func(n int64) string { return s.places.id(n).String()[:8] }
		where := func(sc int64) string { return fmt.Sprintf("%d:%s", sc>>56, place(sc&(1<<28-1))) }
		add := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
		each := func(sql string, row func(*sqlite3.Stmt) error) error { return query(c, sql, nil, row) }
		return firstError(
			each(`SELECT `+peopleColumns+` FROM people`, func(st *sqlite3.Stmt) error {
				p := scanPerson(st)
				people[p.n] = p.id.String()
				var also []string
				for _, n := range p.also {
					also = append(also, place(n))
				}
				sort.Strings(also)
				add("person %s %s %s %d %d %s %s %v %d %v %d", p.id, p.name, p.citizen, p.sex, p.birth, p.phone, place(p.village), also, p.died, p.erased, p.revision)
				return nil
			}),
			each(`SELECT `+caseColumns+` FROM cases`, func(st *sqlite3.Stmt) error {
				k, err := scanCase(st)
				cases[k.n] = k.id.String()
				var handlers, duties []string
				for _, n := range k.handlers {
					handlers = append(handlers, place(n))
				}
				for _, o := range k.owed {
					duties = append(duties, fmt.Sprintf("%+v %d %s", o.Duty, o.number, place(o.holder)))
				}
				add("case %s %s %s %s %s %v %v %v %s %v %d %d %d %d %v", k.id, k.program, people[k.person], place(k.village), k.tier, k.open, k.sealed, k.erased,
					place(k.lead), handlers, k.opened, k.closed, k.lastMet, k.revision, duties)
				return err
			}),
			each(`SELECT `+endedColumns+` FROM ended`, func(st *sqlite3.Stmt) error {
				e, err := scanEnded(st)
				add("ended %s %d %d %s %+v", cases[e.kase], e.position, e.seq, place(e.holder), e.duty)
				return err
			}),
			each(`SELECT id, body FROM officers`, func(st *sqlite3.Stmt) error { add("officer %s", st.ColumnText(1)); return nil }),
			each(`SELECT id, body FROM units`, func(st *sqlite3.Stmt) error { add("unit %s", st.ColumnText(1)); return nil }),
			each(`SELECT scope, term, n FROM terms`, func(st *sqlite3.Stmt) error {
				add("term %s %s %s", place(st.ColumnInt64(0)), st.ColumnText(1), people[st.ColumnInt64(2)])
				return nil
			}),
			each(`SELECT scope, closed, n FROM listed`, func(st *sqlite3.Stmt) error {
				add("listed %s %d %s", where(st.ColumnInt64(0)), st.ColumnInt64(1), cases[st.ColumnInt64(2)])
				return nil
			}),
			each(`SELECT scope, due, duty, kase, opens, code FROM due`, func(st *sqlite3.Stmt) error {
				add("due %s %d %d %s %d %s", where(st.ColumnInt64(0)), st.ColumnInt64(1), st.ColumnInt64(2), cases[st.ColumnInt64(3)], st.ColumnInt64(4), st.ColumnText(5))
				return nil
			}),
			each(`SELECT scope, position, seq, kase, status FROM past`, func(st *sqlite3.Stmt) error {
				add("past %s %d %d %s %d", where(st.ColumnInt64(0)), st.ColumnInt64(1), st.ColumnInt64(2), cases[st.ColumnInt64(3)], st.ColumnInt64(4))
				return nil
			}),
		)
	})
	if err != nil {
		t.Fatal(err)
	}
	codes := map[uint16]string{}
	for code, number := range s.tallies.codes {
		codes[number] = code
	}
	for sc, keys := range s.tallies.scopes {
		village, n := int64(sc)&(1<<56-1)>>28, int64(sc)&(1<<28-1)
		for key, count := range keys {
			lines = append(lines, fmt.Sprintf("tally %d %s %s %s %d %d %d", sc>>56, s.places.id(village), s.places.id(n), codes[key.code], key.due, key.opens, count))
		}
	}
	slices.Sort(lines)
	return lines
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// wantSame compares two files of views.
func wantSame(t testing.TB, got, want []string) {
	t.Helper()
	if slices.Equal(got, want) {
		return
	}
	show := func(sign string, list, other []string) {
		shown := 0
		for _, l := range list {
			if _, found := slices.BinarySearch(other, l); !found && shown < 12 {
				t.Log(sign, l)
				shown++
			}
		}
	}
	show("+", got, want)
	show("-", want, got)
	t.Fatalf("the content differs: %d lines, want %d", len(got), len(want))
}

// life draws a random but possible history of a few people, with voids, hand-overs, moves and sealed cases.
func (w *world) life(t *rapid.T, steps int) {
	type file struct {
		of, kase uuid.UUID
		events   []record.Event
	}
	var people []uuid.UUID
	var files []*file
	tiers := []drugs.Tier{drugs.Strict, drugs.Priority, drugs.General}
	for range steps {
		w.now = w.now.Add(time.Duration(rapid.IntRange(0, 72).Draw(t, "hours")) * time.Hour)
		village, officer := rapid.IntRange(0, len(w.villages)-1).Draw(t, "village"), rapid.IntRange(0, len(w.officers)-1).Draw(t, "officer")
		do := rapid.IntRange(0, 19).Draw(t, "do")
		switch {
		case len(people) == 0 || do == 0:
			people = append(people, w.person(rapid.SampledFrom([]string{"王小明", "单雄信", "阿不都·热合曼", "吕布", "𠮷田"}).Draw(t, "name"), village))
			continue
		case len(files) == 0 || do == 1:
			of := rapid.SampledFrom(people).Draw(t, "person")
			files = append(files, &file{of: of, kase: w.kase(of, village, officer, rapid.SampledFrom(tiers).Draw(t, "tier"))})
			continue
		case do == 2:
			p := rapid.SampledFrom(people).Draw(t, "person")
			w.add(person.Stream(p), person.ContactChanged{Phone: fmt.Sprintf("1200000%04d", rapid.IntRange(0, 9999).Draw(t, "phone"))})
			continue
		case do == 3:
			p := rapid.SampledFrom(people).Draw(t, "person")
			w.add(person.Stream(p), person.AddressChanged{Village: w.villages[village]})
			continue
		case do == 4:
			w.add(staff.Stream(w.officers[officer]), staff.SignedIn{Session: w.newID(), From: "127.0.0.1"})
			continue
		}
		f := rapid.SampledFrom(files).Draw(t, "file")
		var data any
		switch do {
		case 5, 6:
			if len(f.events) > 0 {
				data = record.Voided{Event: rapid.SampledFrom(f.events).Draw(t, "void").ID, Reason: "录错了"}
			}
		case 7:
			data = casework.VillageChanged{Village: w.villages[village], Reason: "迁居"}
		case 8:
			data = casework.ResponsibleAssigned{Responsibility: casework.Responsibility{Officer: w.officers[officer], Role: record.CommunityPolice, From: w.now}}
		case 9:
			data = casework.HandOverAccepted{HandOver: casework.HandOver{ID: w.newID(), To: w.officers[officer], Role: record.VillageCadre}}
		case 10:
			data = drugs.TierChanged{ID: w.newID(), Tier: rapid.SampledFrom(tiers).Draw(t, "tier")}
		case 11:
			data = drugs.Sealed{}
		case 12:
			data = casework.Closed{Reason: "term-ended"}
		case 13:
			data = casework.ServiceDelivered{Service: "heart-talk"}
		}
		if data == nil {
			data = casework.VisitRecorded{Outcome: rapid.SampledFrom([]casework.VisitOutcome{casework.Met, casework.Absent}).Draw(t, "outcome")}
		}
		f.events = append(f.events, w.inCase(f.kase, f.of, data))
	}
}

// feed applies the journal in batches as drawn, with restarts, to views with hardly any memory.
func (w *world) feed(t *rapid.T, dir string) *Views {
	var events []record.Event
	for s, err := range w.journal.All(context.Background(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		e, known, err := w.codec.Open(context.Background(), s)
		if err != nil || !known {
			t.Fatalf("%v %v", known, err)
		}
		events = append(events, e)
	}
	o := w.options(dir)
	o.CacheStates = rapid.IntRange(1, 4).Draw(t, "cache")
	v, err := Open(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	for len(events) > 0 {
		n := min(rapid.IntRange(1, 20).Draw(t, "batch"), len(events))
		b := follow.Batch{Events: events[:n], UpTo: events[n-1].Position, CaughtUp: n == len(events) || rapid.IntRange(0, 3).Draw(t, "caught up") == 0}
		if err := v.Apply(context.Background(), b); err != nil {
			t.Fatal(err)
		}
		events = events[n:]
		if rapid.IntRange(0, 4).Draw(t, "restart") == 0 {
			if err := v.Close(); err != nil {
				t.Fatal(err)
			}
			if v, err = Open(context.Background(), o); err != nil {
				t.Fatal(err)
			}
		}
	}
	return v
}

// Ensure that views that lived through a history in random batches, with files leaving memory and restarts, hold exactly
// what views built at once hold, row by row, entry by entry, count by count.
func TestLiveEqualsRebuilt(t *testing.T) {
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		if n++; n > 12 { // each is a journal of its own on disk
			return
		}
		w := newWorld(t, 3, 3)
		w.life(rt, rapid.IntRange(5, 60).Draw(rt, "steps"))
		v := w.feed(rt, t.TempDir())
		live := content(t, v)
		if err := v.Rebuild(context.Background(), RebuildOptions{Source: w.journal, Codec: w.codec}); err != nil {
			t.Fatal(err)
		}
		wantSame(t, live, content(t, v))
		if err := v.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// Ensure that a rebuild that is killed again and again goes on where it was and ends with the same content.
func TestKilledRebuild(t *testing.T) {
	if dir := os.Getenv("YIDANG_TEST_REBUILD"); dir != "" { // the process to kill
		w := openWorld(t, os.Getenv("YIDANG_TEST_WORLD"), 4, 4)
		v, err := Open(t.Context(), w.options(dir))
		if err != nil {
			t.Fatal(err)
		}
		if err := v.Rebuild(t.Context(), RebuildOptions{Source: w.journal, Codec: w.codec, EventsPerPart: 100}); err != nil {
			t.Fatal(err)
		}
		if err := v.Close(); err != nil {
			t.Fatal(err)
		}
		return
	}
	w := newWorld(t, 4, 4)
	for i := range 30 {
		p := w.person(benchName(i), i%4)
		for range 2 {
			k := w.kase(p, i%4, i%4, drugs.General)
			for range 40 {
				w.now = w.now.Add(time.Hour)
				w.inCase(k, p, casework.VisitRecorded{Outcome: casework.Met, Note: strings.Repeat("谈", 50)})
			}
		}
	}
	v := w.views()
	_, stop := w.follow(v)
	stop()
	want := content(t, v)
	dir := t.TempDir()
	w.close() // the process opens the record itself
	kills := 0
	for try, patience := 0, 20*time.Millisecond; try < 200; try, patience = try+1, patience*13/10 {
		cmd := osexec.Command(os.Args[0], "-test.run", "^TestKilledRebuild$", "-test.timeout", "60s")
		cmd.Env = append(os.Environ(), "YIDANG_TEST_REBUILD="+dir, "YIDANG_TEST_WORLD="+w.dir)
		var out strings.Builder
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- cmd.Wait() }()
		select {
		case err := <-done:
			if err != nil {
				t.Fatalf("try %d: %v\n%s", try, err, out.String())
			}
		case <-time.After(patience):
			_ = cmd.Process.Signal(syscall.SIGKILL)
			<-done
			kills++
			continue
		}
		break
	}
	if kills == 0 {
		t.Error("it was never killed")
	}
	w = openWorld(t, w.dir, 4, 4)
	got, err := Open(t.Context(), w.options(dir))
	if err != nil {
		t.Fatal(err)
	}
	defer got.Close()
	wantSame(t, content(t, got), want)
	if left, _ := filepath.Glob(filepath.Join(dir, "*rebuild*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}
