package drugs_test

import (
	"testing"

	"yidang/domain/casework"
	"yidang/domain/programs/drugs"
	"yidang/domain/record"
)

// Ensure that a closed file comes up for review after its years, again after each review, and that an open one does not (S-16).
func TestRetention(t *testing.T) {
	s := story(t)
	s.Given(policeman, "2026-03-01", drugs.Opened{Person: id("man"), Village: id("village"), Kind: drugs.Voluntary})
	s.When(office, "2026-03-02", "drugs.review_retention", drugs.ReviewRetention{Outcome: "keep", Reasons: "尚在办理"}).ThenRefused(drugs.ErrKeptOpen)
	owed := func() (out []string) {
		for _, d := range s.File(record.At{}).State.(*drugs.Case).Duties.Open {
			out = append(out, d.Code+" "+d.Due.Format(record.Day))
		}
		return out
	}
	s.Given(office, "2026-03-03", casework.Closed{Reason: "withdrawn"})
	if got := owed(); len(got) != 1 || got[0] != "retention-review 2029-03-03" {
		t.Errorf("a closed file owes %v", got)
	}
	s.When(office, "2029-03-01", "drugs.review_retention", drugs.ReviewRetention{Outcome: "keep", Reasons: "保管期限表规定十年"}).ThenRecorded("drugs.retention_reviewed")
	if got := owed(); len(got) != 1 || got[0] != "retention-review 2032-03-01" {
		t.Errorf("after the review it owes %v", got)
	}
}
