package commands_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"yidang/domain/casework"
	"yidang/domain/commands"
	"yidang/domain/commands/commandstest"
	"yidang/domain/person"
	"yidang/domain/programs/drugs"
	"yidang/domain/record"
	"yidang/domain/staff"
)

// closing proposes to close a case, and gives the proposal.
func closing(town *commandstest.Town, id uuid.UUID) commands.Receipt {
	town.T.Helper()
	r := town.As(record.TownshipOffice, "drugs", "drugs.close_case", id, drugs.CloseCase{Reason: "withdrawn"})
	if r.Proposal == uuid.Nil || len(r.Events) != 1 || r.Events[0].Type != record.ProposedType {
		town.T.Fatalf("closing by one person: %+v", r)
	}
	return r
}

func approval(town *commandstest.Town, category string, id, proposal, officer uuid.UUID) commands.Request {
	return commands.Request{Category: category, Command: "record.approve_proposal", ID: id, Officer: officer, CommandID: uuid.New(),
		Input: record.ApproveProposal{Proposal: proposal, Note: "材料齐全"}}
}

// Ensure that a guarded command takes two people: nothing but the proposal is recorded by the first, not he and not a
// responsible officer approves it, and what is then recorded is his, beside the other's approval, at once and only once.
func TestTwoPeople(t *testing.T) {
	town := commandstest.Start(t)
	_, id := openCase(town, 1)
	proposed := closing(town, id)
	state := func() (*drugs.Case, []record.Event) {
		f := record.NewFile(&drugs.Category, record.StreamOf("drugs", id))
		history, err := town.Exec.History(t.Context(), f.Stream)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Fold(history, record.At{}); err != nil {
			t.Fatal(err)
		}
		return f.State.(*drugs.Case), history
	}
	if c, _ := state(); !c.IsOpen() {
		t.Fatal("the case is closed by one person")
	}
	office, police := town.Officers[record.TownshipOffice], town.Officers[record.CommunityPolice]
	if _, err := town.Exec.Do(t.Context(), approval(town, "drugs", id, proposed.Proposal, office)); !errors.Is(err, record.ErrOwnProposal) {
		t.Errorf("approved by the proposer: %v", err)
	}
	wantForbidden := approval(town, "drugs", id, proposed.Proposal, town.Officers[record.VillageCadre])
	if _, err := town.Exec.Do(t.Context(), wantForbidden); record.KindOf(err) != record.Forbidden {
		t.Errorf("approved by a village cadre: %v", err)
	}
	town.As(record.TownshipOffice, "drugs", "casework.assign_responsible", id, casework.AssignResponsible{Officer: police, Role: record.CommunityPolice})
	if _, err := town.Exec.Do(t.Context(), approval(town, "drugs", id, proposed.Proposal, police)); !errors.Is(err, record.ErrInvolved) {
		t.Errorf("approved by a responsible officer: %v", err)
	}
	yes := approval(town, "drugs", id, proposed.Proposal, town.Colleague)
	receipt := town.Must(yes)
	c, history := state()
	if c.IsOpen() {
		t.Fatal("the case is still open")
	}
	last := history[len(history)-2:]
	if last[0].Type != record.ApprovedType || last[0].Meta.Actor != town.Colleague || last[1].Type != "casework.closed" || last[1].Meta.Actor != office ||
		last[0].Meta.Command != last[1].Meta.Command || last[1].Meta.Causation != proposed.Proposal {
		t.Errorf("recorded %+v", last)
	}
	if again := town.Must(yes); !again.Repeated || again.Revision != receipt.Revision {
		t.Errorf("the repeat: %+v", again)
	}
	if _, err := town.Exec.Do(t.Context(), approval(town, "drugs", id, proposed.Proposal, town.Colleague)); !errors.Is(err, record.ErrNoProposal) {
		t.Errorf("approved twice: %v", err)
	}
}

// Ensure that a merge is approved by nobody who is responsible for either of the two, whichever file is merged into which.
func TestMergeTakesWhoHasNoPart(t *testing.T) {
	town := commandstest.Start(t)
	police := town.Officers[record.CommunityPolice]
	mine := map[uuid.UUID]bool{}
	town.Exec.Responsible = func(_ context.Context, person, officer uuid.UUID) (bool, error) {
		return mine[person] && officer == police, nil
	}
	one, other := town.Person(1), town.Person(3)
	for i, files := range [][2]uuid.UUID{{one, other}, {other, one}} {
		mine = map[uuid.UUID]bool{other: true}
		r := town.As(record.TownshipOffice, "person", "person.merge", files[0], person.Merge{Into: files[1], Reason: "经核实为同一人"})
		if _, err := town.Exec.Do(t.Context(), approval(town, "person", files[0], r.Proposal, police)); !errors.Is(err, record.ErrInvolved) {
			t.Errorf("%d: approved by who is responsible for one of them: %v", i, err)
		}
		mine = nil
		town.Must(approval(town, "person", files[0], r.Proposal, police))
		r = town.As(record.TownshipOffice, "person", "person.unmerge", files[0], person.Unmerge{Reason: "经复核并非同一人"})
		town.Must(approval(town, "person", files[0], r.Proposal, police))
	}
}

// Ensure that a proposal is refused, withdrawn or expires without effect, and is decided on the file as it is then.
func TestProposalsEnd(t *testing.T) {
	town := commandstest.Start(t)
	_, id := openCase(town, 1)
	p := closing(town, id)
	withdraw := commands.Request{Category: "drugs", Command: "record.withdraw_proposal", ID: id, Officer: town.Colleague, Input: record.WithdrawProposal{Proposal: p.Proposal, Reason: "暂缓"}}
	if _, err := town.Exec.Do(t.Context(), withdraw); !errors.Is(err, record.ErrNotOwn) {
		t.Errorf("withdrawn by another: %v", err)
	}
	withdraw.Officer = town.Officers[record.TownshipOffice]
	town.Must(withdraw)
	p = closing(town, id)
	town.Must(commands.Request{Category: "drugs", Command: "record.reject_proposal", ID: id, Officer: town.Colleague, Input: record.RejectProposal{Proposal: p.Proposal, Reason: "材料不全"}})
	if _, err := town.Exec.Do(t.Context(), approval(town, "drugs", id, p.Proposal, town.Colleague)); !errors.Is(err, record.ErrNoProposal) {
		t.Errorf("approved after it was rejected: %v", err)
	}
	p = closing(town, id)
	second := closing(town, id)
	town.Must(approval(town, "drugs", id, second.Proposal, town.Colleague))
	if _, err := town.Exec.Do(t.Context(), approval(town, "drugs", id, p.Proposal, town.Colleague)); !errors.Is(err, casework.ErrClosed) {
		t.Errorf("a case that was closed meanwhile is closed again: %v", err)
	}
	_, other := openCase(town, 3)
	p = closing(town, other)
	town.Clock.Advance(16 * 24 * time.Hour)
	if _, err := town.Exec.Do(t.Context(), approval(town, "drugs", other, p.Proposal, town.Colleague)); !errors.Is(err, record.ErrExpired) {
		t.Errorf("approved after it expired: %v", err)
	}
}

// Ensure that of many approvals at once, on two servers, one counts.
func TestApprovalsAtOnce(t *testing.T) {
	town := commandstest.Start(t)
	_, id := openCase(town, 1)
	p := closing(town, id)
	servers := []*commands.Executor{town.Exec, town.Another()}
	var wg sync.WaitGroup
	var mu sync.Mutex
	recorded := 0
	for i := range 12 {
		wg.Go(func() {
			_, err := servers[i%2].Do(t.Context(), approval(town, "drugs", id, p.Proposal, town.Colleague))
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				recorded++
			case !errors.Is(err, record.ErrNoProposal) && record.KindOf(err) != record.Conflict:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if recorded != 1 {
		t.Errorf("%d approvals counted", recorded)
	}
}

// Ensure that an entry is amended by one person for some days, by two afterwards, and by two at once when two recorded it.
func TestAmendingTakesTwoLater(t *testing.T) {
	town := commandstest.Start(t)
	_, id := openCase(town, 1)
	visited := town.Must(visit(town, id)).Events[0].ID
	fix := func(note string) commands.Receipt {
		return town.As(record.VillageCadre, "drugs", "record.correct_event", id, record.CorrectEvent{Event: visited, Values: map[string]any{"note": note}, Reason: "备注写错"})
	}
	if r := fix("本人在家"); r.Proposal != uuid.Nil || r.Events[0].Type != record.CorrectedType {
		t.Errorf("on the same day: %+v", r)
	}
	town.Clock.Advance(8 * 24 * time.Hour)
	r := fix("本人不在家")
	if r.Proposal == uuid.Nil {
		t.Fatalf("after eight days: %+v", r)
	}
	// Whoever proposes may take it back, whatever his post.
	town.As(record.VillageCadre, "drugs", "record.withdraw_proposal", id, record.WithdrawProposal{Proposal: r.Proposal, Reason: "暂缓"})
	r = fix("本人不在家")
	town.Must(approval(town, "drugs", id, r.Proposal, town.Colleague))
	closed := closing(town, id)
	done := town.Must(approval(town, "drugs", id, closed.Proposal, town.Colleague))
	void := town.As(record.TownshipOffice, "drugs", "record.void_event", id, record.VoidEvent{Event: done.Events[1].ID, Reason: "结案有误"})
	if void.Proposal == uuid.Nil {
		t.Error("what two people recorded was undone by one")
	}
}

// Ensure that the tier is not lowered by one person through a void or a correction of the decision that raised it.
func TestNoWayRoundTheSecond(t *testing.T) {
	town := commandstest.Start(t)
	_, id := openCase(town, 1)
	town.As(record.CommunityPolice, "drugs", "drugs.change_tier", id, drugs.ChangeTier{Tier: drugs.General, Criteria: []string{"good-conduct"}, Reasons: "表现较好"})
	raised := town.As(record.CommunityPolice, "drugs", "drugs.change_tier", id, drugs.ChangeTier{Tier: drugs.Strict, Criteria: []string{"no-proper-job"}, Reasons: "无正当职业"})
	if raised.Proposal != uuid.Nil {
		t.Fatalf("a raise waits for a second person: %+v", raised)
	}
	void := town.As(record.CommunityPolice, "drugs", "record.void_event", id, record.VoidEvent{Event: raised.Events[0].ID, Reason: "决定有误"})
	right := town.As(record.CommunityPolice, "drugs", "record.correct_event", id, record.CorrectEvent{Event: raised.Events[0].ID, Values: map[string]any{"tier": "general", "criteria": []string{"good-conduct"}}, Reason: "决定有误"})
	if void.Proposal == uuid.Nil || right.Proposal == uuid.Nil {
		t.Errorf("the raise is undone by one person: %+v %+v", void, right)
	}
}

// Ensure that an approved erasure destroys the key, that the skeleton and the record of it stay, and that a crash between
// the record and the destruction is made good.
func TestErasure(t *testing.T) {
	town := commandstest.Start(t)
	_, id := openCase(town, 1)
	stream := record.StreamOf("drugs", id)
	erase := commands.Request{Category: "drugs", Command: "record.erase_file", ID: id, Officer: town.Officers[record.TownshipOffice],
		Input: record.EraseFile{Basis: "retention-ended", Reason: "保存期限届满"}}
	if _, err := town.Exec.Do(t.Context(), erase); !errors.Is(err, record.ErrEraseOpen) {
		t.Fatalf("an open case: %v", err)
	}
	town.Must(approval(town, "drugs", id, closing(town, id).Proposal, town.Colleague))
	town.Must(approval(town, "drugs", id, town.Must(erase).Proposal, town.Colleague))
	if !town.Vault.Erased(stream) {
		t.Fatal("the key is still there")
	}
	history, err := town.Exec.History(t.Context(), stream)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range history[:len(history)-1] {
		if !e.Erased || e.Data != nil || e.Meta.Actor == uuid.Nil || e.Meta.RecordedAt.IsZero() {
			t.Errorf("%s after the erasure: %+v", e.Type, e)
		}
	}
	if last := history[len(history)-1]; last.Type != record.ErasedType || last.Data.(record.FileErased).Basis != "retention-ended" {
		t.Errorf("the record of the erasure: %+v", last)
	}
	if _, err := town.Exec.Do(t.Context(), visit(town, id)); record.KindOf(err) != record.Erased && record.KindOf(err) != record.Forbidden {
		t.Errorf("a visit in an erased file: %v", err)
	}
}

// Ensure that what is approved is asked of the projections again: a case may have been opened since the proposal (PIPL 47).
func TestApprovalIsPrechecked(t *testing.T) {
	town := commandstest.Start(t)
	_, id := openCase(town, 1)
	town.Must(approval(town, "drugs", id, closing(town, id).Proposal, town.Colleague))
	erase := town.Must(commands.Request{Category: "drugs", Command: "record.erase_file", ID: id, Officer: town.Officers[record.TownshipOffice],
		Input: record.EraseFile{Basis: "retention-ended", Reason: "保存期限届满"}})
	kept := &record.Problem{Kind: record.Refused, Message: "it is still needed"}
	town.Exec.Precheck = func(_ context.Context, row *record.CommandRow, r commands.Request) error {
		if _, ok := r.Input.(record.EraseFile); ok && row.Name == "record.erase_file" && r.ID == id {
			return kept
		}
		return nil
	}
	if _, err := town.Exec.Do(t.Context(), approval(town, "drugs", id, erase.Proposal, town.Colleague)); !errors.Is(err, kept) {
		t.Errorf("the approval: %v", err)
	}
	if town.Vault.Erased(record.StreamOf("drugs", id)) {
		t.Error("the key was destroyed")
	}
}

// Ensure that a picture is seen only by whoever gave a reason that a second person approved, and for a limited time (S-3).
func TestPicturesTakeTwo(t *testing.T) {
	town := commandstest.Start(t)
	_, id := openCase(town, 1)
	picture := casework.Attachment{SHA256: strings.Repeat("ab", 32), Size: 9, MediaType: "image/png"}
	town.As(record.VillageCadre, "drugs", "casework.add_attachment", id, casework.AddAttachment{Attachment: picture, Title: "样本封存"})
	cadre := town.Officers[record.VillageCadre]
	sees := func() bool {
		history, err := town.Exec.History(t.Context(), record.StreamOf("drugs", id))
		if err != nil {
			t.Fatal(err)
		}
		f := record.NewFile(&drugs.Category, record.StreamOf("drugs", id))
		if err := f.Fold(history, record.At{}); err != nil {
			t.Fatal(err)
		}
		return f.State.(*drugs.Case).MaySee(picture, cadre, town.Clock.Now())
	}
	asked := town.As(record.VillageCadre, "drugs", "casework.request_view", id, casework.RequestView{SHA256: picture.SHA256, Reason: "核对样本封存"})
	if asked.Proposal == uuid.Nil || sees() {
		t.Fatalf("seen before a second person approved: %+v", asked)
	}
	town.Must(approval(town, "drugs", id, asked.Proposal, town.Colleague))
	if !sees() {
		t.Error("not seen after the approval")
	}
	town.Clock.Advance(25 * time.Hour)
	if sees() {
		t.Error("still seen a day later")
	}
}

// Ensure that an emergency reading opens one file, for a time, to an officer who may not read it otherwise.
func TestBreakGlass(t *testing.T) {
	town := commandstest.Start(t)
	who, id := openCase(town, 1)
	elsewhere := town.Officer("t.elsewhere", 1, record.VillageCadre, town.There)
	place := commands.Place{Village: town.Here, Subject: who}
	if _, err := town.Exec.MayRead(t.Context(), elsewhere, uuid.Nil, &drugs.Category, place); record.KindOf(err) != record.Forbidden {
		t.Fatal(err)
	}
	town.Must(commands.Request{Category: "officer", Command: "officer.break_glass", ID: elsewhere, Officer: elsewhere, Input: staff.BreakGlass{Person: who, Reason: "突发昏迷需核实用药"}})
	actor, err := town.Exec.MayRead(t.Context(), elsewhere, uuid.Nil, &drugs.Category, place)
	if err != nil || actor.Role != record.VillageCadre {
		t.Fatal(actor, err)
	}
	if _, err := town.Exec.MayRead(t.Context(), elsewhere, uuid.Nil, &drugs.Category, commands.Place{Village: town.Here, Subject: uuid.New()}); record.KindOf(err) != record.Forbidden {
		t.Errorf("another file: %v", err)
	}
	if _, err := town.Exec.Do(t.Context(), commands.Request{Category: "drugs", Command: "casework.record_visit", ID: id, Officer: elsewhere, Input: casework.RecordVisit{Outcome: casework.Met}}); record.KindOf(err) != record.Forbidden {
		t.Errorf("it lets him write: %v", err)
	}
	town.Clock.Advance(25 * time.Hour)
	if _, err := town.Exec.MayRead(t.Context(), elsewhere, uuid.Nil, &drugs.Category, place); record.KindOf(err) != record.Forbidden {
		t.Errorf("a day later: %v", err)
	}
}

// Ensure that one officer seals a closed file, and that it takes two to amend the entry, which would open the file again:
// by a void or by a correction, on the day itself and of a seal that followed from a closing (S-16; 治安管理处罚法 136).
func TestUnsealingTakesTwo(t *testing.T) {
	town := commandstest.Start(t)
	_, id := openCase(town, 1)
	town.Must(approval(town, "drugs", id, closing(town, id).Proposal, town.Colleague))
	police := town.Officers[record.CommunityPolice]
	seal := town.As(record.CommunityPolice, "drugs", "drugs.seal_file", id, drugs.SealFile{Basis: "治安管理处罚法 136"})
	if seal.Proposal != uuid.Nil || len(seal.Events) != 1 || seal.Events[0].Type != "drugs.sealed" {
		t.Fatalf("sealing by one: %+v", seal)
	}
	sealed := func() bool {
		f := record.NewFile(&drugs.Category, record.StreamOf("drugs", id))
		history, err := town.Exec.History(t.Context(), f.Stream)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Fold(history, record.At{}); err != nil {
			t.Fatal(err)
		}
		return f.State.(*drugs.Case).Sealed
	}
	void := commands.Request{Category: "drugs", Command: "record.void_event", ID: id, Officer: police, Input: record.VoidEvent{Event: seal.Events[0].ID, Reason: "封存有误"}}
	correct := void
	correct.Command, correct.Input = "record.correct_event", record.CorrectEvent{Event: seal.Events[0].ID, Values: map[string]any{"basis": "戒毒条例 7"}, Reason: "依据写错"}
	for _, r := range []commands.Request{correct, void} {
		r := town.Must(r)
		if r.Proposal == uuid.Nil {
			t.Fatalf("amended by one: %+v", r)
		}
		if !sealed() {
			t.Fatal("a proposal opened the file")
		}
		if _, err := town.Exec.Do(t.Context(), approval(town, "drugs", id, r.Proposal, police)); !errors.Is(err, record.ErrOwnProposal) {
			t.Errorf("approved by the proposer: %v", err)
		}
		town.Must(approval(town, "drugs", id, r.Proposal, town.Colleague))
	}
	if sealed() {
		t.Error("two people voided the seal, and the file is sealed")
	}
}
