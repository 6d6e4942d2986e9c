package drugs_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"yidang/domain/casework"
	"yidang/domain/programs/drugs"
	"yidang/domain/record"
)

// Ensure that what only police record, only police amend (S-1, S-2): the township office can neither void a test nor change
// what it says, and a colleague in the police needs a second person.
func TestPoliceEntriesAreAmendedByPolice(t *testing.T) {
	s := agreed(t)
	s.When(policeman, "2026-04-01", "drugs.record_urine_test", positive("1")).ThenRecorded("drugs.urine_test_recorded")
	tested := s.Last("drugs.urine_test_recorded")
	fix := record.CorrectEvent{Event: tested.ID, Values: map[string]any{"note": "补记地点"}, Reason: "备注有误"}
	for _, in := range []struct {
		command string
		input   any
	}{{"record.void_event", record.VoidEvent{Event: tested.ID, Reason: "结果有误"}}, {"record.correct_event", fix}} {
		s.When(office, "2026-04-02", in.command, in.input).ThenRefused(record.ErrReserved)
		s.When(medic, "2026-04-02", in.command, in.input).ThenRefused(record.ErrVoidOther)
	}
	s.When(policeman, "2026-04-02", "record.correct_event", fix).ThenRecorded("record.corrected")
	corrected := s.Last("record.corrected")
	find := func(id uuid.UUID) (record.Event, bool) {
		i := slices.IndexFunc(s.Events(), func(e record.Event) bool { return e.ID == id })
		return s.Events()[max(i, 0)], i >= 0
	}
	if drugs.Category.NeedsSecond(corrected, find) {
		t.Error("on the next day the author needs a second person")
	}
	// To void the correction of a police entry is to change that entry.
	s.When(office, "2026-04-02", "record.void_event", record.VoidEvent{Event: corrected.ID, Reason: "更正有误"}).ThenRefused(record.ErrReserved)
	s.When(policewom, "2026-04-02", "record.correct_event", fix).Then() // says so already
	fix.Values = map[string]any{"note": "在派出所"}
	s.When(policewom, "2026-04-02", "record.correct_event", fix).ThenRecorded("record.corrected")
	if !drugs.Category.NeedsSecond(s.Last("record.corrected"), find) {
		t.Error("a colleague changes a test alone")
	}
	decided := s.When(policeman, "2026-05-06", "drugs.record_external_decision", decision("warning")).ThenRecorded("drugs.external_decision_recorded").Last("drugs.external_decision_recorded")
	s.When(office, "2026-05-06", "record.correct_event", record.CorrectEvent{Event: decided.ID, Values: map[string]any{"kind": "no-action"}, Reason: "类别有误"}).ThenRefused(record.ErrReserved)

	// What the office could have recorded itself, it amends.
	s.When(cadre, "2026-05-06", "casework.record_visit", casework.RecordVisit{Outcome: casework.Met}).ThenRecorded("casework.visit_recorded")
	s.When(office, "2026-05-06", "record.void_event", record.VoidEvent{Event: s.Last("casework.visit_recorded").ID, Reason: "记错了人"}).ThenRecorded("record.voided")
}

// Ensure that a correction keeps to the codes and rules of what it corrects, and that what follows from a day is worked out
// and not typed in (S-2; DL-D7, DL-D8).
func TestCorrectionsKeepToTheRules(t *testing.T) {
	s := agreed(t)
	s.When(policeman, "2026-04-01", "drugs.record_urine_test", positive("1")).ThenRecorded("drugs.urine_test_recorded")
	tested := s.Last("drugs.urine_test_recorded").ID
	fix := func(event uuid.UUID, field string, v any) record.CorrectEvent {
		return record.CorrectEvent{Event: event, Values: map[string]any{field: v}, Reason: "笔误更正"}
	}
	for _, field := range []string{"result", "stage", "told", "disputeUntil", "keepUntil"} {
		v := any("banana")
		if field == "told" {
			v = false
		}
		s.When(policeman, "2026-04-02", "record.correct_event", fix(tested, field, v)).ThenRefused(record.ErrReference)
	}
	s.When(policeman, "2026-04-02", "record.correct_event", fix(tested, "kind", "banana")).ThenInvalid("values.kind")
	s.When(policeman, "2026-04-02", "record.correct_event", fix(tested, "substances", []string{"banana"})).ThenInvalid("values.substances")
	s.When(policeman, "2026-04-02", "record.correct_event", fix(tested, "sampleB", nil)).ThenInvalid("values.sampleA")
	s.When(policeman, "2026-04-02", "record.correct_event", record.CorrectEvent{Event: tested, HappenedAt: time.Date(2026, 3, 30, 10, 0, 0, 0, record.Zone), Reason: "日期有误"}).ThenRecorded("record.corrected")
	if x := state(s).Tests[0]; x.DisputeUntil.Format(record.Day) != "2026-04-02" || x.KeepUntil.Format(record.Day) != "2026-05-31" {
		t.Errorf("disputed until %v, kept until %v", x.DisputeUntil, x.KeepUntil)
	}

	s.When(policeman, "2026-04-10", "drugs.record_absence", drugs.RecordAbsence{From: "2026-04-03", Until: "2026-04-06", Note: "邻居反映"}).ThenRecorded("drugs.absence_recorded")
	away := s.Last("drugs.absence_recorded").ID
	s.When(policeman, "2026-04-10", "record.correct_event", fix(away, "days", 99)).ThenRefused(record.ErrReference)
	s.When(policeman, "2026-04-10", "record.correct_event", fix(away, "until", "2026-04-04")).ThenRefused(drugs.ErrShortAbsence)
	s.When(policeman, "2026-04-10", "record.correct_event", fix(away, "until", "2026-04-07")).ThenRecorded("record.corrected")
	if n := state(s).Counts(); n.DaysAway != 5 {
		t.Errorf("counts %+v", n)
	}
}

// Ensure that the commands of one source are the township's all or none, for an entry is known to be reserved by the source
// that it names.
func TestSourcesTellWhatIsReserved(t *testing.T) {
	offices := map[string]map[bool]string{}
	for _, c := range drugs.Category.Commands {
		yes := slices.ContainsFunc(c.Grants, func(g record.Grant) bool { return slices.Contains(g.Roles, record.TownshipOffice) })
		if offices[c.Source] == nil {
			offices[c.Source] = map[bool]string{}
		}
		offices[c.Source][yes] = c.Name
	}
	for source, by := range offices {
		if len(by) > 1 {
			t.Errorf("%s is the source of %s, which the township office may use, and of %s, which it may not", source, by[true], by[false])
		}
	}
}
