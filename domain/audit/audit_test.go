package audit_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"yidang/domain/access"
	"yidang/domain/audit"
	"yidang/domain/casework"
	"yidang/domain/commands"
	"yidang/domain/record"
	"yidang/domain/staff"
)

// Ensure that a township in which everything went by the rules has nothing wrong, and that everything was looked at.
func TestClean(t *testing.T) {
	w := start(t)
	w.live()
	w.sign(w.notaryDir())
	s, found := w.verify()
	if bad := failures(found); len(bad) > 0 {
		t.Errorf("failures:%s", show(bad))
	}
	if s.Leaves == 0 || s.Checkpoints == 0 || s.Readings != 3 || s.Approvals < 8 || s.Attachments != 2 || s.Erased != 1 || s.Claims < 12 || len(s.Unchecked) != 0 {
		t.Errorf("%+v", s)
	}
	if len(found) != 1 || found[0].Severity != audit.Note || found[0].Check != audit.Clocks {
		t.Errorf("of the clock of the tests there is one note; found:%s", show(found))
	}
}

// Ensure that two busy servers, whose clocks run on and which wait for each other's writes, are accused of nothing.
func TestBusy(t *testing.T) {
	w := start(t)
	who, id := w.openCase(1)
	_, other := w.openCase(3)
	helper := w.Officer("t.helper", 1, record.VillageCadre, w.Here)
	servers := make([]*commands.Executor, 2)
	for i := range servers {
		o := w.Exec.Options
		o.Now = time.Now
		var err error
		if servers[i], err = commands.New(o); err != nil {
			t.Fatal(err)
		}
	}
	var all sync.WaitGroup
	for i := range 6 {
		all.Go(func() {
			x := servers[i%2]
			session := uuid.New()
			for n := range 15 {
				r := commands.Request{Category: "drugs", Command: "casework.record_visit", ID: []uuid.UUID{id, other}[n%2], Officer: helper, Input: casework.RecordVisit{Outcome: casework.Met}}
				switch {
				case i == 0: // a post that comes and goes meanwhile
					o, _, err := x.Officer(t.Context(), helper)
					if err != nil {
						t.Error(err)
						return
					}
					r = commands.Request{Category: "officer", Command: "officer.grant_post", ID: helper, Officer: commands.System, Input: staff.GrantPost{Role: record.CommunityMedic, Unit: w.Here}}
					if n%2 == 1 {
						r.Command, r.Input = "officer.end_post", staff.EndPost{Post: o.Posts[len(o.Posts)-1].ID, Reason: "岗位调整"}
					}
				case n%5 == 4:
					if err := x.RecordRead(t.Context(), commands.Reading{Read: access.Read{What: access.Dossier, Purpose: "supervision", Session: session}, Actor: record.Actor{Officer: helper}, Person: who}); err != nil {
						t.Error(err)
					}
				}
				if _, err := x.Do(t.Context(), r); err != nil && !errors.Is(err, commands.ErrContention) && record.KindOf(err) != record.Forbidden {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	s, found := w.verify()
	if bad := failures(found); len(bad) > 0 {
		t.Errorf("failures:%s", show(bad))
	}
	if s.Readings == 0 || s.Authorised < 80 {
		t.Errorf("%+v", s)
	}
}
