package access_test

import (
	"errors"
	"slices"
	"testing"

	"yidang/domain/access"
	"yidang/domain/record"
)

// Ensure that each purpose is named by those whose task it is, and that what is sealed is read on a lawful ground, by them,
// and with a reason (S-16; 治安管理处罚法 136).
func TestWhoNamesWhichPurpose(t *testing.T) {
	opens := map[record.Role][]string{
		record.CommunityPolice: {"complaint", "subject-request", "judicial"},
		record.TownshipOffice:  {"complaint", "subject-request", "judicial"},
		record.Inspector:       {"inspection", "complaint"},
	}
	for _, r := range record.Roles {
		for _, p := range access.Purposes {
			if want := slices.Contains(opens[r.Role], p.Code); p.Opens(r.Role) != want {
				t.Errorf("%s opens what is sealed to %s: %v", p.Code, r.Role, !want)
			}
			if p.Sealed != (slices.Contains(opens[record.Inspector], p.Code) || slices.Contains(opens[record.CommunityPolice], p.Code)) {
				t.Errorf("%s opens what is sealed to nobody, or is not said to", p.Code)
			}
			for _, reason := range []string{"", "法院调阅"} {
				for _, sealed := range []bool{false, true} {
					var want error
					switch {
					case !p.For(r.Role):
						want = access.ErrPurpose
					case sealed && (!p.Sealed || reason == ""):
						want = access.ErrSealed
					}
					d := access.Read{What: access.File, Purpose: p.Code, Reason: reason, Sealed: sealed}
					if err := d.Check(r.Role); !errors.Is(err, want) {
						t.Errorf("%s for %s (%q, sealed %v): %v, want %v", r.Role, p.Code, reason, sealed, err, want)
					}
				}
			}
		}
		if err := (access.Read{Own: true, Sealed: true, Reason: "法院调阅"}).Check(r.Role); !errors.Is(err, access.ErrSealed) {
			t.Errorf("%s reads what is sealed without a purpose: %v", r.Role, err)
		}
	}
	for _, p := range access.Purposes {
		if p.For(record.Analyst) || p.For(record.Administrator) {
			t.Errorf("%s is for somebody who reads no files", p.Code)
		}
	}
	if err := (access.Read{Purpose: "curiosity"}).Check(record.Inspector); !errors.Is(err, access.ErrPurpose) {
		t.Errorf("an unknown purpose: %v", err)
	}
}
