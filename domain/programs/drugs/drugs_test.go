package drugs_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"yidang/domain/casework"
	"yidang/domain/person"
	"yidang/domain/policy"
	"yidang/domain/programs/drugs"
	"yidang/domain/record"
	"yidang/domain/record/recordtest"
	"yidang/domain/staff"
	"yidang/domain/units"
)

func id(name string) uuid.UUID { return uuid.NewSHA1(uuid.NameSpaceOID, []byte(name)) }

func actor(name string, role record.Role) record.Actor {
	return record.Actor{Officer: id(name), Post: id(name + " post"), Role: role, Unit: id("unit")}
}

// The people of the stories.
var (
	cadre     = actor("cadre", record.VillageCadre)
	policeman = actor("policeman", record.CommunityPolice)
	policewom = actor("policewoman", record.CommunityPolice)
	medic     = actor("medic", record.CommunityMedic) // a man
	volunteer = actor("volunteer", record.Volunteer)
	office    = actor("office", record.TownshipOffice)
	chief     = actor("chief", record.TownshipOffice)

	sexes = map[uuid.UUID]int{policewom.Officer: 2, office.Officer: 2}
)

func rules(t testing.TB) *policy.Rules {
	t.Helper()
	b, err := policy.NewBook(nil)
	if err != nil {
		t.Fatal(err)
	}
	r, err := b.InForce(context.Background(), time.Date(2026, 3, 1, 0, 0, 0, 0, record.Zone), 0)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// story knows two people, a man and a woman, one village and the officers above.
func story(t testing.TB) *recordtest.Story {
	t.Helper()
	s := recordtest.New(t, &drugs.Category, rules(t))
	s.Knowing(person.Stream(id("man")), &person.Person{ID: id("man"), Registered: true, Name: "赵强", Sex: 1, Village: id("village")})
	s.Knowing(person.Stream(id("woman")), &person.Person{ID: id("woman"), Registered: true, Name: "林秀兰", Sex: 2, Village: id("village")})
	s.Knowing(person.Stream(id("stranger")), &person.Person{ID: id("stranger"), Registered: true, Name: "无名氏"})
	s.Knowing(person.Stream(id("dead")), &person.Person{ID: id("dead"), Registered: true, Name: "孙涛", Sex: 1, Died: time.Date(2025, 1, 1, 0, 0, 0, 0, record.Zone)})
	s.Knowing(record.StreamOf("unit", id("village")), &units.Unit{ID: id("village"), Name: "前进村", Sort: units.Village})
	s.Knowing(record.StreamOf("unit", id("station")), &units.Unit{ID: id("station"), Name: "派出所", Sort: units.Station})
	for _, a := range []record.Actor{cadre, policeman, policewom, medic, volunteer, office, chief} {
		sex := max(1, sexes[a.Officer])
		s.Knowing(staff.Stream(a.Officer), &staff.Officer{ID: a.Officer, Sex: sex, Posts: []staff.Post{{ID: a.Post, Role: a.Role, Unit: a.Unit}}})
	}
	return s
}

func order(served string) drugs.Document {
	return drugs.Document{Number: "宜公（禁）责社戒决字〔2026〕12号", Organ: "示范县公安局", Issued: served, Served: served}
}

func determination() drugs.Document {
	return drugs.Document{Number: "宜公（禁）吸成认字〔2026〕9号", Organ: "示范县公安局", Issued: "2026-01-05"}
}

func paper(name string) casework.Attachment {
	return casework.Attachment{SHA256: strings.Repeat("0", 64-len(name)) + name, Size: 20480, MediaType: "application/pdf", Name: "扫描件.pdf"}
}

func attach(name string) *casework.Attachment { a := paper(name); return &a }

func open(who, served string) drugs.Open {
	return drugs.Open{Person: id(who), Village: id("village"), Kind: drugs.Detox, Order: order(served), Determination: determination(), FirstUse: "2015年"}
}

// opened is a man's case of community detoxification, served on 2 March 2026, a Monday.
func opened(t testing.TB) *recordtest.Story {
	t.Helper()
	return story(t).When(policeman, "2026-03-02", "drugs.open", open("man", "2026-03-02")).ThenRecorded("drugs.opened")
}

// reported is the same, with the person reported in on 5 March.
func reported(t testing.TB) *recordtest.Story {
	t.Helper()
	return opened(t).When(cadre, "2026-03-05", "drugs.record_reporting", drugs.RecordReporting{}).ThenRecorded("drugs.reported_in")
}

func state(s *recordtest.Story) *drugs.Case { return s.File(record.At{}).State.(*drugs.Case) }

// due finds an open duty and its day; "" when nothing is owed.
func due(s *recordtest.Story, code string) string {
	for _, d := range state(s).Duties.Open {
		if d.Code == code {
			return d.Due.Format(record.Day)
		}
	}
	return ""
}

func wantDue(t testing.TB, s *recordtest.Story, code, day string) {
	t.Helper()
	if got := due(s, code); got != day {
		t.Errorf("duty %s is due %q, want %q", code, got, day)
	}
}

// Ensure that any events in any order fold, read, and survive a snapshot.
func TestAnyEventsFold(t *testing.T) { recordtest.Total(t, &drugs.Category, rules(t)) }

// Ensure that no command here can order isolation or limit where somebody goes (S-1, S-5): what other organs decide is
// recorded by police alone, with its paper.
func TestOnlyPoliceRecordWhatTheLawReservesForThem(t *testing.T) {
	reserved := map[string]string{
		"drugs.record_external_decision": "S-1", "drugs.record_urine_test": "S-2", "drugs.record_missed_test": "S-2", "drugs.record_retest": "S-2",
		"drugs.tell_urine_result": "S-2", "drugs.decide_dispute": "S-2", "drugs.send_sample": "S-2", "drugs.dispose_sample": "S-2",
		"drugs.decline_test_request": "S-2", "drugs.start_suspension": "戒毒条例 24", "drugs.end_suspension": "戒毒条例 24", "drugs.end_term": "戒毒条例 23",
		"drugs.record_release_notice": "戒毒条例 23", "drugs.refuse_leave": "S-5", "drugs.review_delisting": "戒毒条例 7",
	}
	for _, c := range drugs.Category.Commands {
		for _, g := range c.Grants {
			for _, r := range g.Roles {
				if clause, only := reserved[c.Name]; only && r != record.CommunityPolice {
					t.Errorf("%s is granted to %s against %s", c.Name, r, clause)
				}
				if r == record.Inspector || r == record.Analyst || r == record.Administrator {
					t.Errorf("%s is granted to %s, who changes no files", c.Name, r)
				}
			}
		}
		delete(reserved, c.Name)
	}
	if len(reserved) > 0 {
		t.Errorf("these commands are gone: %v", reserved)
	}
}

// Ensure that every post whose commands can need a second person may take its own proposals back: an amendment does after
// some days, whoever makes it.
func TestWhoeverProposesMayWithdraw(t *testing.T) {
	roles := func(name string) (all []record.Role) {
		for _, c := range drugs.Category.Commands {
			if c.Name == name {
				for _, g := range c.Grants {
					all = append(all, g.Roles...)
				}
			}
		}
		return all
	}
	for _, name := range []string{"record.correct_event", "record.void_event", "drugs.change_tier", "drugs.close_case", "drugs.record_move", "casework.request_view", "record.erase_file"} {
		for _, r := range roles(name) {
			if !slices.Contains(roles("record.withdraw_proposal"), r) {
				t.Errorf("%s may propose %s, and may not withdraw it", r, name)
			}
		}
	}
}

// Ensure that a volunteer needs to know only what he does himself: visits, contacts, services and notes in his own
// caseload, and an answer to a hand-over made to him (S-14).
func TestVolunteerCommands(t *testing.T) {
	want := map[string]record.Scope{
		"casework.record_visit": record.Caseload, "casework.record_contact": record.Caseload, "casework.deliver_service": record.Caseload,
		"casework.add_note": record.Caseload, "casework.accept_handover": record.InUnit, "casework.decline_handover": record.InUnit,
	}
	got := map[string]record.Scope{}
	for _, c := range drugs.Category.Commands {
		for _, g := range c.Grants {
			for _, r := range g.Roles {
				if r == record.Volunteer {
					got[c.Name] = g.Scope
				}
			}
		}
	}
	for name, scope := range got {
		if want[name] != scope {
			t.Errorf("a volunteer may use %s within %s", name, scope)
		}
	}
	for name := range want {
		if got[name] == "" {
			t.Errorf("a volunteer may not use %s", name)
		}
	}
}
