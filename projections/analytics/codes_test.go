package analytics

import (
	"testing"

	"pgregory.net/rapid"

	"yidang/domain/casework"
	"yidang/domain/programs/drugs"
)

// Ensure that every code of the catalogues passes and that what could be a person's does not.
func TestCode(t *testing.T) {
	lists := [][]casework.Term{casework.VisitOutcomes, casework.Channels, casework.Parties, casework.ContactOutcomes, casework.Services,
		casework.Incidents, casework.CloseReasons, drugs.TierNames, drugs.TestKinds, drugs.Stages, drugs.Results, drugs.Kinds}
	for _, list := range lists {
		for _, term := range list {
			if code(term.Code) != term.Code {
				t.Errorf("code %q is withheld", term.Code)
			}
		}
	}
	for _, s := range []string{"", "image/jpeg", "application/vnd.ms-excel", "2026.1"} {
		if code(s) != s {
			t.Errorf("%q is withheld", s)
		}
	}
	for _, s := range []string{"张三", "120 1111", "12011112222", "99999919900101123x", "0000-1234567", "Zhang", "a b", "前进村"} {
		if code(s) != withheld {
			t.Errorf("%q passes", s)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		if s := rapid.StringMatching(`.*[0-9]{7}.*|.*\p{Han}.*`).Draw(t, "text"); code(s) != withheld {
			t.Fatalf("%q passes", s)
		}
	})
}
