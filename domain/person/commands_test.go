package person_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"

	"yidang/domain/person"
	"yidang/domain/policy"
	"yidang/domain/record"
	"yidang/domain/record/recordtest"
	"yidang/domain/units"
)

var (
	here   = uuid.NewSHA1(uuid.NameSpaceOID, []byte("village"))
	cadre  = record.Actor{Officer: uuid.NewSHA1(uuid.NameSpaceOID, []byte("cadre")), Role: record.VillageCadre}
	office = record.Actor{Officer: uuid.NewSHA1(uuid.NameSpaceOID, []byte("office")), Role: record.TownshipOffice}
)

func story(t testing.TB) *recordtest.Story {
	t.Helper()
	b, err := policy.NewBook(nil)
	if err != nil {
		t.Fatal(err)
	}
	rules, err := b.InForce(context.Background(), time.Date(2026, 3, 1, 0, 0, 0, 0, record.Zone), 0)
	if err != nil {
		t.Fatal(err)
	}
	return recordtest.New(t, &person.Category, rules).Knowing(record.StreamOf("unit", here), &units.Unit{ID: here, Name: "前进村", Sort: units.Village})
}

// Ensure that what the remedy for a wrong citizen id says can be done: the person is registered anew under the right one and
// the wrong file is merged into that; the true holder of the wrong number is registered without it (D-12).
func TestWrongCitizenID(t *testing.T) {
	into := uuid.NewSHA1(uuid.NameSpaceOID, []byte("right"))
	s := story(t).Knowing(person.Stream(into), &person.Person{ID: into, Registered: true})
	s.When(cadre, "2026-03-02", "person.register", person.Register{Name: "赵强", CitizenID: "11010519491231002X", Village: here}).ThenRecorded("person.registered")
	other := &record.Problem{Kind: record.Refused, Rule: "GB 11643", Message: "the person has another citizen id already"}
	s.When(office, "2026-03-03", "person.identify", person.Identify{CitizenID: "440308199901101512"}).ThenRefused(other)
	s.When(office, "2026-03-03", "record.void_event", record.VoidEvent{Event: s.Events()[0].ID, Reason: "号码录错"}).ThenRefused(record.ErrVoidFirst)
	s.When(office, "2026-03-03", "person.merge", person.Merge{Into: into, Reason: "号码录错，已按正确号码重新建档"}).ThenRecorded("person.merged")
	story(t).When(cadre, "2026-03-04", "person.register", person.Register{Name: "钱某", NoCardReason: "号码被他人档案误占用", Village: here}).ThenRecorded("person.registered")
}

// Ensure that a correction of a registration keeps to the citizen id: sex and birth day follow from it (GB 11643).
func TestCorrectionFollowsTheCitizenID(t *testing.T) {
	s := story(t).When(cadre, "2026-03-02", "person.register", person.Register{Name: "赵强", CitizenID: "11010519491231002X", Village: here}).ThenRecorded("person.registered")
	fix := func(values map[string]any) record.CorrectEvent {
		return record.CorrectEvent{Event: s.Events()[0].ID, Values: values, Reason: "笔误更正"}
	}
	s.When(office, "2026-03-03", "record.correct_event", fix(map[string]any{"sex": 1})).ThenInvalid("values.sex")
	s.When(office, "2026-03-03", "record.correct_event", fix(map[string]any{"birth": "1980-01-01T00:00:00+08:00"})).ThenInvalid("values.sex")
	s.When(office, "2026-03-03", "record.correct_event", fix(map[string]any{"phone": "12"})).ThenInvalid("values.phone")
	s.When(office, "2026-03-03", "record.correct_event", fix(map[string]any{"name": "赵刚"})).ThenRecorded("record.corrected")
}
