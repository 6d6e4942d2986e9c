package views

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"yidang/domain/casework"
	"yidang/domain/person"
	"yidang/domain/programs/drugs"
	"yidang/domain/record"
	"yidang/domain/vault/sealed/sealedtest"
)

// Ensure that a file as of a day and as known at a day holds exactly the visits that had happened and were recorded, less
// those voided by then, and that the timeline shows the same; against a count done by hand over random entries.
func TestFileAsOfKnownAt(t *testing.T) {
	w := newWorld(t, 1, 1)
	p := w.person("王小明", 0)
	k := w.kase(p, 0, 0, drugs.Strict)
	v := w.views()
	w.follow(v)
	opened := w.now
	type visit struct {
		id                         uuid.UUID
		occurred, recorded, voided time.Time
	}
	var visits []*visit
	recorded := opened
	put := func(occurred, at time.Time, data any) record.Event {
		e := w.event(record.StreamOf("drugs", k), data)
		e.Meta.Person, e.Meta.OccurredAt, e.Meta.RecordedAt = p, occurred, at
		w.write(e.Stream, []record.Event{e})
		return e
	}
	for i := range 120 {
		recorded = recorded.Add(time.Duration(1+w.rand.IntN(20)) * time.Hour)
		if i%6 == 5 {
			if open := slices.DeleteFunc(slices.Clone(visits), func(v *visit) bool { return !v.voided.IsZero() }); len(open) > 0 {
				one := open[w.rand.IntN(len(open))]
				one.voided = recorded
				put(recorded, recorded, record.Voided{Event: one.id, Reason: "录错了人"})
				continue
			}
		}
		occurred := recorded.Add(-time.Duration(w.rand.IntN(200)) * time.Hour)
		if occurred.Before(opened) {
			occurred = opened
		}
		e := put(occurred, recorded, casework.VisitRecorded{Outcome: casework.Met})
		visits = append(visits, &visit{id: e.ID, occurred: occurred, recorded: recorded})
	}
	rapid.Check(t, func(rt *rapid.T) {
		var at record.At
		span := int(recorded.Sub(opened) / time.Hour)
		if rapid.Bool().Draw(rt, "as of a day") {
			at.AsOf = EndOfDay(opened.Add(time.Duration(rapid.IntRange(0, span).Draw(rt, "as of")) * time.Hour))
		}
		if rapid.Bool().Draw(rt, "known at a day") {
			at.KnownAt = EndOfDay(opened.Add(time.Duration(rapid.IntRange(0, span).Draw(rt, "known at")) * time.Hour))
		}
		known := func(when time.Time) bool { return at.KnownAt.IsZero() || !when.After(at.KnownAt) }
		counted, struck := 0, 0
		for _, one := range visits {
			if !known(one.recorded) || !at.AsOf.IsZero() && one.occurred.After(at.AsOf) {
				continue
			}
			if !one.voided.IsZero() && known(one.voided) {
				struck++
			} else {
				counted++
			}
		}
		f, err := v.File(context.Background(), p, at)
		if err != nil {
			rt.Fatal(err)
		}
		if got := f.Cases[0].State.(*drugs.Case).Visits; got != counted {
			rt.Fatalf("%+v: %d visits, want %d", at, got, counted)
		}
		yes := true
		lines, _, err := Lines(f.Timeline(nil), LineQuery{Types: []string{"casework.visit_recorded"}, Limit: 500})
		void, _, _ := Lines(f.Timeline(nil), LineQuery{Types: []string{"casework.visit_recorded"}, Voided: &yes, Limit: 500})
		if err != nil || len(lines) != counted+struck || len(void) != struck {
			rt.Fatalf("%+v: %d lines, %d of them void; want %d and %d", at, len(lines), len(void), counted+struck, struck)
		}
		for i, l := range lines {
			if l.Lag() != l.Event.Meta.RecordedAt.Sub(l.Event.Meta.OccurredAt) || l.Text().Zh == "" || l.Text().En == "" || l.File.Category.Name != "drugs" {
				rt.Fatalf("line %+v", l)
			}
			if i > 0 && l.Event.Meta.OccurredAt.After(lines[i-1].Event.Meta.OccurredAt) {
				rt.Fatal("the latest is not first")
			}
		}
	})
	before, err := v.File(t.Context(), p, record.At{KnownAt: opened.AddDate(-1, 0, 0)})
	if err != nil || len(before.Cases) != 0 || before.Person.Registered || len(before.Timeline(nil)) != 0 {
		t.Errorf("a year before: %+v, %v", before, err)
	}
	if _, err := v.File(t.Context(), uuid.New(), record.At{}); record.KindOf(err) != record.NotFound {
		t.Errorf("nobody: %v", err)
	}
}

// Ensure that a timeline comes in pages without gap or repeat, and without the lines of a case that may not be seen.
func TestTimelinePages(t *testing.T) {
	w := newWorld(t, 1, 2)
	p := w.person("王小明", 0)
	mine, other := w.kase(p, 0, 0, drugs.Strict), w.kase(p, 0, 1, drugs.Strict)
	for i := range 30 {
		w.now = w.now.Add(time.Hour)
		w.inCase([]uuid.UUID{mine, other}[i%2], p, casework.NoteAdded{Text: "备注"})
	}
	v := w.views()
	w.follow(v)
	f, err := v.File(t.Context(), p, record.At{})
	if err != nil || len(f.Cases) != 2 || len(f.Timeline(nil)) != 1+8+30 {
		t.Fatalf("%d cases, %d lines, %v", len(f.Cases), len(f.Timeline(nil)), err)
	}
	seen := f.Timeline(func(k *record.File) bool { return k.ID != other })
	q := LineQuery{Limit: 4}
	var all []Line
	for {
		page, next, err := Lines(seen, q)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, page...)
		if q.Cursor = next; next == "" {
			break
		}
	}
	if len(all) != 1+4+15 || slices.ContainsFunc(all, func(l Line) bool { return l.Event.Meta.Case == other }) {
		t.Fatalf("%d lines", len(all))
	}
}

// Ensure that a file is current although no follower runs, also when it was read before, and also when memory for files is
// short.
func TestFileIsCurrent(t *testing.T) {
	for _, size := range []int{3, 1000} {
		w := newWorld(t, 1, 1)
		p := w.person("王小明", 0)
		k := w.kase(p, 0, 0, drugs.Strict)
		v := w.views(func(o *Options) { o.CacheEvents = size })
		_, stop := w.follow(v)
		stop()
		for n := range 5 {
			for _, at := range []record.At{{}, {AsOf: EndOfDay(w.now)}} {
				f, err := v.File(t.Context(), p, at)
				if err != nil || f.Cases[0].State.(*drugs.Case).Visits != n || len(f.Timeline(nil)) != 1+4+n {
					t.Fatalf("%+v, %v", f, err)
				}
			}
			w.inCase(k, p, casework.VisitRecorded{Outcome: casework.Met})
		}
	}
}

// Ensure that a destroyed key leaves dates and types in the file and in lists, and content nowhere; that everything else
// works on; and that views built afterwards hold the same. A crash between the destruction and Forget is mended at the start.
func TestErased(t *testing.T) {
	for _, crash := range []bool{false, true} {
		w := newWorld(t, 1, 1)
		gone := w.person("金丝雀", 0, func(d *person.Registered) { d.Phone = "12099999999" })
		kase := w.kase(gone, 0, 0, drugs.Strict)
		w.inCase(kase, gone, casework.VisitRecorded{Outcome: casework.Met, Note: "canary"})
		stays := w.person("王小明", 0)
		other := w.kase(stays, 0, 0, drugs.Strict)
		o := w.options(t.TempDir())
		v, err := Open(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		_, stop := w.follow(v)
		if f, err := v.File(t.Context(), gone, record.At{}); err != nil || f.Person.Name != "金丝雀" {
			t.Fatal(err)
		}
		stop()
		if file, log := w.legible(o, "金丝雀"); !file && !log {
			t.Fatal("the name is not in the files before")
		}
		streams := []string{person.Stream(gone), record.StreamOf("drugs", kase)}
		for _, s := range streams {
			if err := w.vault.Destroy(t.Context(), s, "retention ended"); err != nil {
				t.Fatal(err)
			}
		}
		if crash {
			if err := v.Close(); err != nil {
				t.Fatal(err)
			}
			if v, err = Open(t.Context(), o); err != nil {
				t.Fatal(err)
			}
		} else if err := v.Forget(t.Context(), streams...); err != nil {
			t.Fatal(err)
		}
		for _, canary := range []string{"金丝雀", "12099999999", "jinsi", "99999999021"} { // also what was deleted, for the views' key lives on
			if file, log := w.legible(o, canary); file || log {
				t.Errorf("%q is left: in the file %v, in its log %v", canary, file, log)
			}
		}
		lines := content(t, v)
		for _, l := range lines {
			if strings.Contains(l, "金丝雀") || strings.Contains(l, "12099999999") || strings.Contains(l, "jinsi") || strings.Contains(l, "99999999021") {
				t.Errorf("left: %s", l)
			}
		}
		row, ok, err := v.Case(t.Context(), kase)
		if err != nil || !ok || !row.Erased || row.Opened.IsZero() || row.Open || row.Person != gone || row.PersonName != "" {
			t.Errorf("case %+v, %v", row, err)
		}
		f, err := v.File(t.Context(), gone, record.At{})
		if err != nil || len(f.Timeline(nil)) != 6 || f.Person.Name != "" || len(f.Cases) != 1 || !f.Cases[0].Erased {
			t.Fatalf("file %+v, %v", f, err)
		}
		for _, l := range f.Timeline(nil) {
			if l.Event.Data != nil || !strings.Contains(l.Text().Zh, "已销毁") || l.Event.Meta.OccurredAt.IsZero() {
				t.Errorf("line %+v", l)
			}
		}
		if rows, _, _, err := v.Search(t.Context(), SearchQuery{Text: "王", Reach: everywhere}); err != nil || len(rows) != 1 {
			t.Errorf("others: %v, %v", rows, err)
		}
		if rows, _, _, _, err := v.Worklist(t.Context(), WorklistQuery{Reach: everywhere, Today: w.now, Limit: 500}); err != nil || slices.ContainsFunc(rows, func(r DutyRow) bool { return r.Case != other }) {
			t.Errorf("worklist: %v, %v", rows, err)
		}
		if err := v.Rebuild(t.Context(), RebuildOptions{Source: w.journal, Codec: w.codec}); err != nil {
			t.Fatal(err)
		}
		wantSame(t, lines, content(t, v))
		if err := v.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// legible tells whether whoever has the key of the views finds a text in their files.
func (w *world) legible(o Options, text string) (file, log bool) {
	w.t.Helper()
	f, l, err := sealedtest.Plain(o.Path, o.Key)
	if err != nil {
		w.t.Fatal(err)
	}
	return bytes.Contains(f, []byte(text)), bytes.Contains(l, []byte(text))
}

// Ensure that no name, id or phone number is legible in any file of the views, the files of a rebuild among them.
func TestNothingLegible(t *testing.T) {
	w := newWorld(t, 1, 1)
	for i := range 200 {
		p := w.person("金丝雀", 0, func(d *person.Registered) { d.Phone, d.CitizenID = "12099999999", "999999198003047119" })
		if k := w.kase(p, 0, 0, drugs.Strict); i%2 == 0 {
			w.inCase(k, p, casework.VisitRecorded{Outcome: casework.Met, Note: "canary-note"})
		}
	}
	dir := t.TempDir()
	o := w.options(dir)
	v, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	_, stop := w.follow(v)
	stop()
	check := func() {
		t.Helper()
		seen := 0
		err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return err
			}
			raw, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			seen += len(raw)
			for _, canary := range []string{"金丝雀", "jinsique", "12099999999", "99999999021", "999999198003047119", "canary-note"} {
				if bytes.Contains(raw, []byte(canary)) {
					t.Errorf("%s holds %q", filepath.Base(path), canary)
				}
			}
			if info, err := e.Info(); !strings.HasSuffix(path, "-shm") && (err != nil || info.Mode().Perm()&0o077 != 0) {
				t.Errorf("%s can be read by others", filepath.Base(path))
			}
			return nil
		})
		if err != nil || seen == 0 {
			t.Fatalf("%d bytes, %v", seen, err)
		}
	}
	check()
	ctx, cancel := context.WithCancel(t.Context())
	err = v.Rebuild(ctx, RebuildOptions{Source: w.journal, Codec: cutAfter{w.codec, 600, cancel}, EventsPerPart: 100})
	if err == nil {
		t.Fatal("the rebuild was not cut short")
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "views.db.rebuild.parts", "*")); len(left) == 0 {
		t.Error("no part files to look at")
	}
	check()
}
