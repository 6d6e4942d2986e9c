package views

import (
	"slices"
	"testing"

	"yidang/domain/casework"
	"yidang/domain/programs/drugs"
	"yidang/domain/record"
	"yidang/domain/vault/sealed"
	"yidang/projections/follow"
)

// Ensure that what is recorded shows in every list, live.
func TestLive(t *testing.T) {
	w := newWorld(t, 2, 2)
	v := w.views()
	f, _ := w.follow(v)
	p := w.person("王小明", 0)
	k := w.kase(p, 0, 1, drugs.Strict)
	w.await(f)

	people, next, _, err := v.Search(t.Context(), SearchQuery{Text: "xiaom", Reach: everywhere})
	if err != nil || next != "" || !slices.Equal(names(people), []string{"王小明"}) {
		t.Fatalf("found %v, %q, %v", names(people), next, err)
	}
	if len(people[0].Cases) != 1 || people[0].Cases[0].ID != k || people[0].Cases[0].Tier != "strict" || people[0].Cases[0].Lead != w.officers[1] {
		t.Fatalf("got %+v", people[0].Cases)
	}
	rows, _, counts, position, err := v.Worklist(t.Context(), WorklistQuery{Reach: everywhere, Officer: w.officers[1], Today: w.now.AddDate(0, 0, 8)})
	if err != nil {
		t.Fatal(err)
	}
	head, _, _ := w.journal.Head(t.Context())
	if position != head {
		t.Errorf("position %d, head %d", position, head)
	}
	var codes []string
	for _, r := range rows {
		codes = append(codes, r.Code+" "+r.Standing)
		if r.Case != k || r.PersonName != "王小明" || r.Holder != w.officers[1] {
			t.Errorf("row %+v", r)
		}
	}
	t.Log(codes, counts)
	if !slices.Contains(codes, "visit overdue") || counts["overdue"] == 0 || counts["overdue"]+counts["due"]+counts["upcoming"] != len(rows) {
		t.Fatal("the visit is not overdue")
	}

	visit := w.inCase(k, p, casework.VisitRecorded{Outcome: casework.Met})
	w.await(f)
	done, _, counts, _, err := v.Worklist(t.Context(), WorklistQuery{Reach: everywhere, Standing: []string{"done"}, Code: "visit", Today: w.now})
	if err != nil || len(done) != 1 || done[0].Ended != visit.ID || counts["done"] == 0 {
		t.Fatalf("done: %+v %v %v", done, counts, err)
	}
	w.inCase(k, p, record.Voided{Event: visit.ID, Reason: "录错了人"})
	w.await(f)
	done, _, _, _, err = v.Worklist(t.Context(), WorklistQuery{Reach: everywhere, Standing: []string{"done"}, Code: "visit", Today: w.now})
	if err != nil || len(done) != 0 {
		t.Fatalf("after the void: %+v %v", done, err)
	}
	again, _, _, _, err := v.Worklist(t.Context(), WorklistQuery{Reach: everywhere, Code: "visit", Today: w.now.AddDate(0, 0, 8)})
	if err != nil || len(again) != 1 || again[0].Standing != "overdue" {
		t.Fatalf("after the void: %+v %v", again, err)
	}
}

// Ensure that the review of a sealed file's retention shows to the township office that owes it, and to nobody else who does
// not see everything, until it is done (S-16; PIPL 19).
func TestSealedRetentionIsOwed(t *testing.T) {
	w := newWorld(t, 2, 2)
	v := w.views()
	f, _ := w.follow(v)
	p := w.person("王小明", 0)
	w.person("李小红", 1) // so that the office reaches every village of several
	k := w.kase(p, 0, 1, drugs.Strict)
	w.inCase(k, p, casework.Closed{Reason: "delisted"})
	w.inCase(k, p, drugs.Sealed{Basis: "戒毒条例 7"})
	w.await(f)
	here, there := w.villages[:1], w.villages[1:2]
	for name, c := range map[string]struct {
		q    WorklistQuery
		want int
	}{
		"the office":                {WorklistQuery{Reach: record.Reach{Villages: w.villages}, Office: w.villages}, 1},
		"the office, of a village":  {WorklistQuery{Reach: record.Reach{Villages: w.villages}, Office: w.villages, Village: here[0]}, 1},
		"the office, of the case":   {WorklistQuery{Reach: record.Reach{Villages: w.villages}, Office: w.villages, Case: k}, 1},
		"another office":            {WorklistQuery{Reach: record.Reach{Villages: there}, Office: there}, 0},
		"the village":               {WorklistQuery{Reach: record.Reach{Villages: here}}, 0},
		"the village, of the case":  {WorklistQuery{Reach: record.Reach{Villages: here}, Case: k}, 0},
		"who led it":                {WorklistQuery{Reach: record.Reach{Officer: w.officers[1]}, Officer: w.officers[1]}, 0},
		"who led it, of the office": {WorklistQuery{Reach: record.Reach{Villages: here, Officer: w.officers[1]}, Office: here, Officer: w.officers[1]}, 1},
		"whoever sees everything":   {WorklistQuery{Reach: everywhere}, 1},
		"the office, another's own": {WorklistQuery{Reach: record.Reach{Villages: w.villages}, Office: w.villages, Officer: w.officers[1]}, 0},
	} {
		c.q.Today = w.now.AddDate(4, 0, 0)
		rows, _, counts, _, err := v.Worklist(t.Context(), c.q)
		if err != nil {
			t.Fatal(err)
		}
		if len(rows) != c.want || counts["overdue"] != c.want || c.want > 0 && (rows[0].Code != "retention-review" || !rows[0].Sealed) {
			t.Errorf("%s sees %+v, counts %v", name, rows, counts)
		}
	}
	cases, _, _, err := v.Cases(t.Context(), CaseQuery{Reach: record.Reach{Villages: w.villages}})
	if err != nil || len(cases) != 0 {
		t.Errorf("the sealed case itself shows: %+v %v", cases, err)
	}
	w.inCase(k, p, drugs.RetentionReviewed{Outcome: "keep", Reasons: "保管期限表规定十年"})
	w.await(f)
	_, _, counts, _, err := v.Worklist(t.Context(), WorklistQuery{Reach: record.Reach{Villages: w.villages}, Office: w.villages, Today: w.now})
	if err != nil || counts["upcoming"] != 1 {
		t.Errorf("once reviewed it comes up again later: %v %v", counts, err)
	}
}

// Ensure that what changes nothing in the views moves the position they show without a commit, unless it is much; and that
// a clean end stores the position, while after a crash the views are behind but right.
func TestIdle(t *testing.T) {
	w := newWorld(t, 1, 1)
	o := w.options(t.TempDir())
	v, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	w.kase(w.person("王小明", 0), 0, 0, drugs.Strict)
	head, _, _ := w.journal.Head(t.Context())
	_, stop := w.follow(v)
	stop()
	check := func(v *Views, shows, stored uint64) {
		t.Helper()
		at, err := v.Position(t.Context())
		if err != nil || at != shows {
			t.Fatalf("position %d, want %d; %v", at, shows, err)
		}
		if _, _, counts, at, err := v.Worklist(t.Context(), WorklistQuery{Reach: everywhere, Today: w.now}); err != nil || at != shows || len(counts) == 0 {
			t.Fatalf("a worklist of %d, want %d; %v", at, shows, err)
		}
		err = v.now.db.Read(t.Context(), func(c *sealed.Conn) error {
			n, err := single(c, `SELECT value FROM meta WHERE key = 'position'`)
			if uint64(n) != stored {
				t.Fatalf("stored %d, want %d", n, stored)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	idle := func(upTo uint64) {
		t.Helper()
		if err := v.Apply(t.Context(), follow.Batch{UpTo: upTo}); err != nil {
			t.Fatal(err)
		}
	}
	check(v, head, head)
	idle(head + 10)
	check(v, head+10, head)
	crashed, err := openStore(t.Context(), v.o, o.Path) // what another process would find now
	if err != nil || crashed.position != head {
		t.Fatalf("after a crash at %d: %v", crashed.position, err)
	}
	if err := crashed.db.Close(); err != nil {
		t.Fatal(err)
	}
	idle(head + idleEvents)
	check(v, head+idleEvents, head+idleEvents)
	idle(head + idleEvents + 1)
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	if v, err = Open(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	check(v, head+idleEvents+1, head+idleEvents+1)
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
}
