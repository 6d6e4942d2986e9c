package oversight

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"yidang/domain/access"
	"yidang/domain/casework"
	"yidang/domain/commands"
	"yidang/domain/commands/commandstest"
	"yidang/domain/person"
	"yidang/domain/programs/drugs"
	"yidang/domain/record"
	"yidang/domain/staff"
)

// watched is a township with an index beside it.
type watched struct {
	*commandstest.Town
	x *Index
}

func watchTown(t *testing.T) *watched {
	w := &watched{Town: commandstest.Start(t)}
	w.x = w.anew()
	return w
}

// anew makes an empty index.
func (w *watched) anew() *Index {
	t := w.T.(*testing.T)
	x := openTest(t, Options{Path: filepath.Join(t.TempDir(), "oversight.db"), Key: w.Vault.Secret("oversight"), Catalog: w.Exec.Catalog, Block: 20})
	t.Cleanup(func() {
		if err := x.Close(); err != nil {
			t.Error(err)
		}
	})
	return x
}

func (w *watched) catchUp(x *Index) {
	w.T.Helper()
	if err := build(w.T.Context(), x, w.Journal, NewOpener(w.Exec.Codec), 0); err != nil {
		w.T.Fatal(err)
	}
}

func (w *watched) entries(x *Index, q Query) (types []string, rows []Entry) {
	w.T.Helper()
	rows, _, err := x.Entries(w.T.Context(), q)
	if err != nil {
		w.T.Fatal(err)
	}
	for _, e := range rows {
		types = append(types, e.Type)
	}
	return types, rows
}

func (w *watched) approve(category string, id, proposal, by uuid.UUID) commands.Receipt {
	w.T.Helper()
	return w.Must(commands.Request{Category: category, Command: "record.approve_proposal", ID: id, Officer: by, Input: record.ApproveProposal{Proposal: proposal}})
}

// Ensure that the index says of what real commands record what an inspector asks: who, how late, amended and approved by
// whom, read by whom, who is responsible, which files are one person's.
func TestTown(t *testing.T) {
	w := watchTown(t)
	ctx := t.Context()
	cadre, office, police := w.Officers[record.VillageCadre], w.Officers[record.TownshipOffice], w.Officers[record.CommunityPolice]
	who, other := w.Person(1), w.Person(3)
	id := w.As(record.CommunityPolice, "drugs", "drugs.open", uuid.Nil, drugs.Open{Person: who, Village: w.Here, Kind: drugs.Voluntary}).ID
	w.As(record.TownshipOffice, "drugs", "casework.assign_responsible", id, casework.AssignResponsible{Officer: police, Role: record.CommunityPolice})
	w.Clock.Advance(20 * 24 * time.Hour)
	visit := w.Must(commands.Request{Category: "drugs", Command: "casework.record_visit", ID: id, Officer: cadre, Occurred: w.Clock.Now().Add(-9 * 24 * time.Hour),
		Late: record.LatePaper, Input: casework.RecordVisit{Outcome: casework.Met, Note: "在家"}}).Events[0].ID
	w.As(record.VillageCadre, "drugs", "record.correct_event", id, record.CorrectEvent{Event: visit, Values: map[string]any{"note": "不在家"}, Reason: "备注写错"})
	merging := w.As(record.TownshipOffice, "person", "person.merge", other, person.Merge{Into: who, Reason: "同一人两份档案"}).Proposal
	if merging == uuid.Nil {
		t.Fatal("files are merged by one person")
	}
	w.catchUp(w.x)

	types, rows := w.entries(w.x, Query{Officer: cadre})
	if !slices.Equal(types, []string{"casework.visit_recorded", record.CorrectedType}) || rows[0].Lag() != 9*24*time.Hour || rows[0].Corrected == nil ||
		rows[0].Corrected.ID != rows[1].ID || rows[0].Corrected.Actor != cadre || rows[1].Target != visit || rows[0].Voided != nil {
		t.Errorf("what the cadre recorded: %+v", rows)
	}
	for name, q := range map[string]Query{
		"late": {Late: true, Person: who}, "nine days behind": {Late: true, Lag: 8 * 24 * time.Hour}, "back-dated": {BackDated: true, BackDays: 8}, "amended": {Amended: true},
	} {
		if _, rows := w.entries(w.x, q); len(rows) != 1 || rows[0].ID != visit {
			t.Errorf("%s: %+v", name, rows)
		}
	}
	waiting, _, err := w.x.Proposals(ctx, ProposalQuery{Status: Waiting, Now: w.Clock.Now(), NotBy: w.Colleague})
	if err != nil || len(waiting) != 1 || waiting[0].ID != merging || waiting[0].Command != "person.merge" || waiting[0].Person != other || waiting[0].Proposer != office {
		t.Errorf("waiting: %+v, %v", waiting, err)
	}
	for officer, want := range map[uuid.UUID]bool{police: true, cadre: false} {
		if yes, err := w.x.Responsible(ctx, who, officer); yes != want || err != nil {
			t.Errorf("%s is responsible: %v, %v", officer, yes, err)
		}
	}
	if yes, _ := w.x.Responsible(ctx, other, police); yes {
		t.Error("responsible for a file that is not merged yet")
	}

	w.approve("person", other, merging, w.Colleague)
	w.As(record.CommunityMedic, "officer", "officer.break_glass", w.Officers[record.CommunityMedic], staff.BreakGlass{Person: other, Reason: "吸毒过量送医，须知病史"})
	medic := record.Actor{Officer: w.Officers[record.CommunityMedic], Role: record.CommunityMedic, Unit: w.Here}
	for _, d := range []access.Read{{What: access.Hit, People: []uuid.UUID{who, other}, Purpose: "stand-in"}, {What: access.File, Glass: true, Purpose: "emergency", Reason: "抢救"}} {
		r := commands.Reading{Read: d, Actor: medic}
		r.Session = testID("session", 1)
		if d.What == access.File {
			r.Person = other
		}
		if err := w.Exec.RecordRead(ctx, r); err != nil {
			t.Fatal(err)
		}
	}
	w.catchUp(w.x)
	if _, rows := w.entries(w.x, Query{Approved: true}); len(rows) != 1 || rows[0].Type != "person.merged" || rows[0].Actor != office || rows[0].Approved == nil ||
		rows[0].Approved.Actor != w.Colleague || rows[0].Proposal != merging {
		t.Errorf("approved: %+v", rows)
	}
	if answered, _, err := w.x.Proposals(ctx, ProposalQuery{Now: w.Clock.Now(), Answerer: w.Colleague}); err != nil || len(answered) != 1 || answered[0].Status != Approved {
		t.Errorf("answered: %+v, %v", answered, err)
	}
	if root, err := w.x.Root(ctx, other); root != who || err != nil {
		t.Errorf("the root is %s: %v", root, err)
	}
	if all, err := w.x.Members(ctx, who); !slices.Equal(all, []uuid.UUID{who, other}) || err != nil {
		t.Errorf("the files are %v: %v", all, err)
	}
	if yes, err := w.x.Responsible(ctx, other, police); !yes || err != nil {
		t.Errorf("responsible for a merged file: %v, %v", yes, err)
	}
	if glasses, _, err := w.x.Glasses(ctx, GlassQuery{Units: []uuid.UUID{w.Here}, InForce: w.Clock.Now()}); err != nil || len(glasses) != 1 || glasses[0].Person != other {
		t.Errorf("emergency readings: %+v, %v", glasses, err)
	}
	reads, _, err := w.x.Reads(ctx, ReadQuery{Person: other})
	if err != nil || len(reads) != 2 || reads[0].Listed != 2 || reads[0].People != nil || reads[1].Purpose != "emergency" || !reads[1].Glass {
		t.Errorf("reads: %+v, %v", reads, err)
	}
	if reads, _, err := w.x.Reads(ctx, ReadQuery{Person: who, Glass: true}); err != nil || len(reads) != 0 {
		t.Errorf("emergency reads of another file: %+v, %v", reads, err)
	}
	if e, ok, err := w.x.Lookup(ctx, reads[1].ID); !ok || err != nil || e.Position != reads[1].Position || e.Stream() != record.StreamOf("access", reads[1].Session) {
		t.Errorf("a reading is found as %+v, %v, %v", e, ok, err)
	}
}

// Ensure that after the erasure of a file an index that lived on and one that is built anew tell the same of it as far as
// the metadata goes: its entries, who approved what, who read it; and that nobody is responsible for it.
func TestErasure(t *testing.T) {
	w := watchTown(t)
	ctx := t.Context()
	office, police := w.Officers[record.TownshipOffice], w.Officers[record.CommunityPolice]
	who := w.Person(1)
	id := w.As(record.CommunityPolice, "drugs", "drugs.open", uuid.Nil, drugs.Open{Person: who, Village: w.Here, Kind: drugs.Voluntary}).ID
	w.As(record.TownshipOffice, "drugs", "casework.assign_responsible", id, casework.AssignResponsible{Officer: police, Role: record.CommunityPolice})
	visit := w.As(record.VillageCadre, "drugs", "casework.record_visit", id, casework.RecordVisit{Outcome: casework.Met}).Events[0].ID
	w.As(record.VillageCadre, "drugs", "record.void_event", id, record.VoidEvent{Event: visit, Reason: "记错了人"})
	propose := func(in drugs.CloseCase) uuid.UUID {
		return w.As(record.TownshipOffice, "drugs", "drugs.close_case", id, in).Proposal
	}
	closing, left := propose(drugs.CloseCase{Reason: "withdrawn"}), propose(drugs.CloseCase{Reason: "withdrawn"})
	w.approve("drugs", id, closing, w.Colleague)
	erasing := w.As(record.TownshipOffice, "drugs", "record.erase_file", id, record.EraseFile{Basis: "retention-ended", Reason: "保存期限届满"}).Proposal
	w.catchUp(w.x)
	w.approve("drugs", id, erasing, w.Colleague)
	w.catchUp(w.x)
	anew := w.anew()
	w.catchUp(anew)
	whole := w.anew()
	if err := build(ctx, whole, w.Journal, w.Exec.Codec, 0); err != nil {
		t.Fatal(err)
	}
	wantSame(t, content(t, whole), content(t, anew)) // fed with whole events it is the same

	lived, before := w.entries(w.x, Query{Case: id})
	built, after := w.entries(anew, Query{Case: id})
	if !slices.Equal(lived, built) || len(lived) < 10 {
		t.Fatalf("one has %v, the other %v", lived, built)
	}
	for i, e := range after {
		if had := before[i]; !e.Erased || !had.Erased || e.ID != had.ID || e.Actor != had.Actor || !e.RecordedAt.Equal(had.RecordedAt) {
			t.Errorf("%s: %+v, was %+v", e.Type, e, had)
		}
		if e.Approved == nil != (before[i].Approved == nil) || e.Approved != nil && *e.Approved != *before[i].Approved {
			t.Errorf("%s: approved %+v, was %+v", e.Type, e.Approved, before[i].Approved)
		}
		if e.Voided != nil || e.Target != uuid.Nil {
			t.Errorf("%s tells what only data could: %+v", e.Type, e)
		}
	}
	if n := slices.IndexFunc(before, func(e Entry) bool { return e.ID == visit && e.Voided != nil }); n < 0 {
		t.Error("the index that lived on forgot the void")
	}
	for _, x := range []*Index{w.x, anew} {
		all, _, err := x.Proposals(ctx, ProposalQuery{Now: w.Clock.Now(), Case: id})
		if err != nil || len(all) != 3 {
			t.Fatalf("proposals: %+v, %v", all, err)
		}
		for i, want := range []struct {
			id     uuid.UUID
			status string
			by     uuid.UUID
		}{{closing, Approved, w.Colleague}, {left, Lapsed, office}, {erasing, Approved, w.Colleague}} {
			if p := all[i]; p.ID != want.id || p.Status != want.status || p.Answerer != want.by || p.Proposer != office {
				t.Errorf("proposal %d: %+v", i, p)
			}
		}
		if parts, err := x.ResponsibleFor(ctx, who); err != nil || len(parts) > 0 {
			t.Errorf("responsible: %+v, %v", parts, err)
		}
	}
}

// Ensure that no text of the record is in the index's file, nor are ids of people readable in it.
func TestNoText(t *testing.T) {
	w := watchTown(t)
	who := w.Person(1)
	id := w.As(record.CommunityPolice, "drugs", "drugs.open", uuid.Nil, drugs.Open{Person: who, Village: w.Here, Kind: drugs.Voluntary}).ID
	for range 30 {
		visit := w.As(record.VillageCadre, "drugs", "casework.record_visit", id, casework.RecordVisit{Outcome: casework.Met, Note: "金丝雀笔记"}).Events[0].ID
		w.As(record.VillageCadre, "drugs", "record.void_event", id, record.VoidEvent{Event: visit, Reason: "金丝雀理由"})
	}
	w.catchUp(w.x)
	for _, line := range content(t, w.x) {
		if bytes.Contains([]byte(line), []byte("e98791e4b89d")) { // 金丝, as content writes it
			t.Errorf("the index holds %s", line)
		}
	}
	for _, suffix := range []string{"", "-wal"} {
		raw, err := os.ReadFile(w.x.o.Path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(raw, who[:]) || bytes.Contains(raw, []byte("casework")) {
			t.Errorf("the file oversight.db%s can be read without the key", suffix)
		}
	}
}
