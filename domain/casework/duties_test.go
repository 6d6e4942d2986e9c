package casework_test

import (
	"testing"

	"github.com/google/uuid"

	"yidang/domain/casework"
	"yidang/domain/record"
	"yidang/domain/record/recordtest"
)

// Ensure that a duty begins, is fulfilled and begins anew, and is told to whoever keeps duties, in order.
func TestDutyChanges(t *testing.T) {
	s := story(t)
	s.Given(cadre, "2026-03-10", casework.VisitRecorded{Outcome: casework.Met})
	f := record.NewFile(&category, s.Events()[0].Stream)
	var told []string
	for _, e := range s.Events() {
		if err := f.Apply(e); err != nil {
			t.Fatal(err)
		}
		for _, d := range f.State.(*trial).Duties.TakeChanges() {
			if d.Code == "visit" {
				told = append(told, string(d.Status)+" "+d.Due.Format(record.Day))
				if d.Status == casework.Done && (d.OnTime() || d.Officer != cadre.Officer || d.Ended != e.ID) {
					t.Errorf("done: %+v", d) // due on the 9th, fulfilled on the 10th
				}
			}
		}
	}
	want := []string{"open 2026-03-09", "done 2026-03-09", "open 2026-03-17"}
	if len(told) != 3 || told[0] != want[0] || told[1] != want[1] || told[2] != want[2] {
		t.Errorf("told %v, want %v", told, want)
	}
	if left := f.State.(*trial).Duties.TakeChanges(); len(left) > 0 {
		t.Errorf("told twice: %v", left)
	}
}

// Ensure that a duty stands as upcoming, due, overdue by the day alone.
func TestStanding(t *testing.T) {
	d, ok := duty(story(t), "visit") // due on 9 March, shown from three days before
	if !ok {
		t.Fatal("no visit is owed")
	}
	for day, want := range map[string]string{
		"2026-03-05 23:59": "upcoming", "2026-03-06 00:00": "due", "2026-03-09 23:59": "due", "2026-03-10 00:00": "overdue",
	} {
		if got := d.Standing(recordtest.Time(t, day)); got != want {
			t.Errorf("on %s: %s, want %s", day, got, want)
		}
	}
	d.Status = casework.Excused
	if got := d.Standing(recordtest.Time(t, "2026-03-20")); got != "excused" {
		t.Errorf("excused duty stands as %s", got)
	}
}

// Ensure that an entry of something that happened before a duty began does not fulfil it.
func TestEarlierVisitFulfilsNothing(t *testing.T) {
	s := story(t)
	s.Given(cadre, "2026-03-10", casework.VisitRecorded{Outcome: casework.Met})
	s.Given(cadre, "2026-03-04", casework.VisitRecorded{Outcome: casework.Met}) // entered later
	if d, _ := duty(s, "visit"); d.Due.Format(record.Day) != "2026-03-17" {
		t.Errorf("due %s", d.Due)
	}
}

// Ensure that a duty keeps its id while others come and go, and when the file is folded again.
func TestDutyIDs(t *testing.T) {
	s := story(t)
	before, _ := duty(s, "visit")
	s.Given(cadre, "2026-03-05", casework.VisitRecorded{Outcome: casework.Absent})
	after, _ := duty(s, "visit")
	if before.ID() != after.ID() || before.ID() == uuid.Nil {
		t.Error("the duty has another id")
	}
	s.Given(cadre, "2026-03-06", casework.VisitRecorded{Outcome: casework.Met})
	if next, _ := duty(s, "visit"); next.ID() == before.ID() {
		t.Error("the next duty has the same id")
	}
}

// Ensure that hand-overs are answered one by one, and that closing ends what is owed (D-12).
func TestKeyedDutiesAndClosing(t *testing.T) {
	s := story(t)
	one := casework.HandOver{ID: id("one"), From: cadre.Officer, To: second.Officer, Role: second.Role}
	two := casework.HandOver{ID: id("two"), From: cadre.Officer, To: helper.Officer, Role: helper.Role}
	s.Given(cadre, "2026-03-05", casework.HandOverProposed{HandOver: one, Reason: "调整"})
	s.Given(cadre, "2026-03-09", casework.HandOverProposed{HandOver: two, Reason: "调整"})
	s.Given(second, "2026-03-10", casework.HandOverDeclined{HandOver: one, Reason: "案件太多"})
	d, ok := duty(s, "handover")
	if !ok || d.Key != id("two").String() || d.Due.Format(record.Day) != "2026-03-14" {
		t.Errorf("owed: %+v", d)
	}
	s.Given(office, "2026-03-11", casework.Closed{Reason: "moved-away"})
	if open := core(s).Duties.Open; len(open) != 1 || open[0].Code != "retention-review" {
		t.Errorf("a closed case owes %v, want only the review of its retention", open)
	}
}

// Ensure that an excused duty ends, and a recurring one is owed again from the day it was due (G-08).
func TestExcuseDuty(t *testing.T) {
	s := story(t)
	d, _ := duty(s, "visit")
	excuse := casework.ExcuseDuty{Duty: d.ID(), Reason: "本人住院"}
	s.When(cadre, "2026-03-06", "casework.excuse_duty", excuse).ThenForbidden()
	s.When(office, "2026-03-06", "casework.excuse_duty", excuse).ThenRecorded("casework.duty_excused")
	if next, _ := duty(s, "visit"); next.Due.Format(record.Day) != "2026-03-16" {
		t.Errorf("due %s", next.Due)
	}
	s.When(office, "2026-03-06", "casework.excuse_duty", excuse).ThenRefused(&record.Problem{Kind: record.Refused, Message: "no such duty is open in this case"})
	team, _ := duty(s, "team")
	s.When(office, "2026-03-06", "casework.excuse_duty", casework.ExcuseDuty{Duty: team.ID(), Reason: "本村暂无医务人员"}).ThenRecorded("casework.duty_excused")
	if _, again := duty(s, "team"); again {
		t.Error("a duty that does not recur is owed again")
	}
}

// Ensure that an imported entry begins its duties on the day of the import, however old the fact, and that a late entry of
// any other kind begins them with the fact.
func TestImportedEntriesBeginDutiesWhenTheyAreKnown(t *testing.T) {
	s := story(t)
	e := s.Last("drugs.tier_changed")
	e.Meta.RecordedAt = recordtest.Time(t, "2026-09-28")
	for late, want := range map[record.Late]string{record.LateImport: "2026-10-05", record.LatePaper: "2026-03-09"} {
		f := record.NewFile(&category, e.Stream)
		e.Meta.Late = late
		for _, x := range []record.Event{s.Events()[0], e} {
			if err := f.Apply(x); err != nil {
				t.Fatal(err)
			}
		}
		for _, d := range f.State.(*trial).Duties.Open {
			if got := d.Due.Format(record.Day); d.Code == "visit" && got != want {
				t.Errorf("late=%s: due %s, want %s", late, got, want)
			}
		}
	}
}
