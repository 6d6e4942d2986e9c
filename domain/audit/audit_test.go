package audit_test

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"yidang/domain/access"
	"yidang/domain/audit"
	"yidang/domain/casework"
	"yidang/domain/commands"
	"yidang/domain/programs/drugs"
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
	reader := (&forger{world: w}).actor(helper)
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
					if err := x.RecordRead(t.Context(), commands.Reading{Read: access.Read{What: access.Dossier, Purpose: "data-quality", Session: session}, Actor: reader, Person: who}); err != nil {
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

// Ensure that what reads otherwise than it was proposed, because the file had moved on in between, is noted and accused of
// nothing.
func TestMovedOnSinceProposed(t *testing.T) {
	w := start(t)
	_, id := w.openCase(1)
	w.tier(id, drugs.Priority, "long-use")
	lowering := w.tier(id, drugs.General, "good-conduct")
	w.tier(id, drugs.Strict, "resists-treatment")
	lowered := w.approve("drugs", id, lowering.Proposal, w.Colleague).Events[1].ID
	visit := w.visit(id, w.Officers[record.VillageCadre]).Events[0].ID
	fix := func(values map[string]any) commands.Receipt {
		return w.As(record.VillageCadre, "drugs", "record.correct_event", id, record.CorrectEvent{Event: visit, Values: values, Reason: "备注写错"})
	}
	fix(map[string]any{"note": "不在家", "place": "村委会"})
	w.Clock.Advance(10 * 24 * time.Hour)
	one, two := fix(map[string]any{"outcome": "absent"}), fix(map[string]any{"place": nil})
	w.approve("drugs", id, two.Proposal, w.Colleague)
	w.approve("drugs", id, one.Proposal, w.Colleague)
	s, found := w.verify()
	if bad := failures(found); len(bad) > 0 || s.Approvals != 3 {
		t.Errorf("%d approvals; failures:%s", s.Approvals, show(bad))
	}
	if !slices.ContainsFunc(found, func(f audit.Finding) bool {
		return f.Severity == audit.Note && f.Check == audit.Second && f.Event == lowered
	}) {
		t.Errorf("the lowering from another tier is not noted; found:%s", show(found))
	}
}

// Ensure that of officers who approve, reject and withdraw one proposal at once, on two servers, one is heard, that what is
// recorded is his answer and nothing of the others', and that verify finds two people behind it.
func TestAnswersAtOnce(t *testing.T) {
	w := start(t)
	office, police := w.Officers[record.TownshipOffice], w.Officers[record.CommunityPolice]
	third := w.Officer("t.third", 1, record.TownshipOffice, w.Office)
	servers := []*commands.Executor{w.Exec, w.Another()}
	for round := range 8 {
		_, id := w.openCase(1 + 2*round)
		p := w.As(record.TownshipOffice, "drugs", "drugs.close_case", id, drugs.CloseCase{Reason: "withdrawn"}).Proposal
		var all sync.WaitGroup
		var mu sync.Mutex
		var heard []commands.Receipt
		answer := func(x *commands.Executor, officer uuid.UUID, command string, in any) {
			all.Go(func() {
				r, err := x.Do(t.Context(), commands.Request{Category: "drugs", Command: command, ID: id, Officer: officer, CommandID: uuid.New(), Input: in})
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil:
					heard = append(heard, r)
				case !errors.Is(err, record.ErrNoProposal) && record.KindOf(err) != record.Conflict:
					t.Errorf("%s: %v", command, err)
				}
			})
		}
		for i := range 6 {
			x := servers[(i+round)%2]
			answer(x, []uuid.UUID{police, w.Colleague, third}[i%3], "record.approve_proposal", record.ApproveProposal{Proposal: p})
			answer(x, []uuid.UUID{third, police, w.Colleague}[i%3], "record.reject_proposal", record.RejectProposal{Proposal: p, Reason: "材料不全"})
			answer(x, office, "record.withdraw_proposal", record.WithdrawProposal{Proposal: p, Reason: "暂缓"})
		}
		all.Wait()
		if len(heard) != 1 {
			t.Fatalf("%d answers were heard: %+v", len(heard), heard)
		}
		history, err := servers[1].History(t.Context(), record.StreamOf("drugs", id))
		if err != nil {
			t.Fatal(err)
		}
		rest := history[2:] // after the opening and the proposal
		want := len(heard[0].Events)
		if len(rest) != want || rest[0].ID != heard[0].Events[0].ID || (rest[0].Type == record.ApprovedType) != (len(rest) == 2) {
			t.Errorf("round %d: heard was %+v, recorded is %+v", round, heard[0].Events, rest)
		}
	}
	if _, found := w.verify(); len(failures(found)) > 0 {
		t.Errorf("failures:%s", show(failures(found)))
	}
}

// Ensure that an officer whose part in another case had just ended is accused of nothing when he approves, and that one
// whose part had just begun is noted, since the index that is asked may have been behind.
func TestPartsThatJustChanged(t *testing.T) {
	w := start(t)
	police := w.Officers[record.CommunityPolice]
	who, id := w.openCase(1)
	other := w.As(record.CommunityPolice, "drugs", "drugs.open", uuid.Nil, drugs.Open{Person: who, Village: w.Here, Kind: drugs.Voluntary}).ID
	assign := func(officer uuid.UUID) {
		w.As(record.TownshipOffice, "drugs", "casework.assign_responsible", other, casework.AssignResponsible{Officer: officer, Role: record.CommunityPolice})
	}
	assign(police)
	w.Clock.Advance(time.Hour)
	w.As(record.TownshipOffice, "drugs", "casework.end_responsible", other, casework.EndResponsible{Officer: police, Reason: "工作调整"})
	assign(w.Colleague)
	w.Clock.Advance(10 * time.Second)
	w.tier(id, drugs.Strict, "resists-treatment")
	w.approve("drugs", id, w.tier(id, drugs.Priority, "long-use").Proposal, police)
	noted := w.approve("drugs", id, w.As(record.TownshipOffice, "drugs", "drugs.close_case", id, drugs.CloseCase{Reason: "withdrawn"}).Proposal, w.Colleague).Events[0].ID
	_, found := w.verify()
	if bad := failures(found); len(bad) > 0 {
		t.Errorf("failures:%s", show(bad))
	}
	found = slices.DeleteFunc(found, func(f audit.Finding) bool { return f.Check != audit.Second })
	if len(found) != 1 || found[0].Event != noted {
		t.Errorf("one note is of the approval of who had just begun; found:%s", show(found))
	}
}
