package audit_test

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/note"

	"yidang/domain/access"
	"yidang/domain/attachments"
	"yidang/domain/audit"
	"yidang/domain/casework"
	"yidang/domain/catalog"
	"yidang/domain/commands"
	"yidang/domain/commands/commandstest"
	"yidang/domain/journal"
	"yidang/domain/notary"
	"yidang/domain/notary/keyfile"
	"yidang/domain/person"
	"yidang/domain/policy"
	"yidang/domain/programs/drugs"
	"yidang/domain/record"
	"yidang/domain/staff"
	"yidang/domain/units"
)

const origin = "yidang.example/township"

// world is a township with its attachments and its log.
type world struct {
	*commandstest.Town
	t     testing.TB
	blobs *attachments.Store
	key   keyfile.Key
}

func start(t testing.TB) *world {
	t.Helper()
	w := &world{Town: commandstest.Start(t), t: t}
	var err error
	if w.key, err = keyfile.Load(filepath.Join(w.Dir, "log.key"), origin, keyfile.Log); err != nil {
		t.Fatal(err)
	}
	w.openBlobs()
	return w
}

func (w *world) openBlobs() {
	w.t.Helper()
	var err error
	if w.blobs, err = attachments.Open(w.t.Context(), "file://"+w.blobDir(), w.Vault, attachments.Limits{}); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) blobDir() string    { return filepath.Join(w.Dir, "blobs") }
func (w *world) journalDir() string { return filepath.Join(w.Dir, "journal") }
func (w *world) notaryDir() string  { return filepath.Join(w.Dir, "notary") }

// restart closes and opens the record; between is what is done while the journal is down.
func (w *world) restart(between func()) {
	w.t.Helper()
	if err := w.blobs.Close(); err != nil {
		w.t.Error(err)
	}
	w.Close()
	between()
	w.Open()
	w.openBlobs()
}

func (w *world) policy() *notary.Policy {
	w.t.Helper()
	v, err := note.NewVerifier(w.key.Verifier())
	if err != nil {
		w.t.Fatal(err)
	}
	return (*notary.Policy)(nil).WithLogs(v)
}

// sign lets a notary sign everything there is, in a directory, and gives the checkpoint.
func (w *world) sign(dir string) []byte {
	w.t.Helper()
	signer, err := note.NewSigner(w.key.Signer())
	if err != nil {
		w.t.Fatal(err)
	}
	n, err := notary.Open(w.t.Context(), notary.Options{Journal: w.Journal, Dir: dir, Signer: signer, Keys: w.policy().Logs, Every: 10 * time.Millisecond, Scrub: -1})
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(w.t.Context())
	over := make(chan error, 1)
	go func() { over <- n.Run(ctx) }()
	for {
		s := n.Status()
		if s.CaughtUp && s.SignedSize == s.Size && s.Size > 0 {
			break
		}
		if s.Stopped || ctx.Err() != nil {
			w.t.Fatalf("the notary: %+v", s)
		}
		time.Sleep(5 * time.Millisecond)
	}
	signed, _, _ := n.Checkpoint()
	stop()
	<-over
	if err := n.Close(); err != nil {
		w.t.Error(err)
	}
	return signed
}

func (w *world) options() audit.Options {
	w.t.Helper()
	list, err := catalog.New()
	if err != nil {
		w.t.Fatal(err)
	}
	o := audit.Options{Journal: w.Journal, Catalog: list, Vault: w.Vault, Attachments: w.blobs, Dir: w.t.TempDir()}
	if _, err := os.Stat(w.notaryDir()); err == nil {
		o.Notary = &notary.VerifyOptions{Policy: w.policy(), Dir: w.notaryDir()}
	}
	return o
}

// verify runs the audit.
func (w *world) verify(change ...func(*audit.Options)) (audit.Summary, []audit.Finding) {
	w.t.Helper()
	o := w.options()
	for _, f := range change {
		f(&o)
	}
	var found []audit.Finding
	s, err := audit.Verify(w.t.Context(), o, func(f audit.Finding) {
		if f.What.Zh == "" || f.What.En == "" || f.Remedy.Zh == "" || f.Remedy.En == "" {
			w.t.Errorf("a finding says nothing: %+v", f)
		}
		found = append(found, f)
	})
	if err != nil {
		w.t.Fatal(err)
	}
	if s.Failures+s.Notes != len(found) {
		w.t.Errorf("%d failures and %d notes were counted, %d findings told", s.Failures, s.Notes, len(found))
	}
	left, err := os.ReadDir(o.Dir)
	if err != nil || len(left) > 0 {
		w.t.Errorf("it left %v behind (%v)", left, err)
	}
	return s, found
}

// failures leaves out the notes: the town's clock is not the journal's.
func failures(found []audit.Finding) (out []audit.Finding) {
	for _, f := range found {
		if f.Severity == audit.Failure {
			out = append(out, f)
		}
	}
	return out
}

func show(found []audit.Finding) string {
	var b strings.Builder
	for _, f := range found {
		fmt.Fprintf(&b, "\n%s %s at %d, %s@%d %s %s: %s", f.Severity, f.Check, f.Position, f.Stream, f.Revision, f.Type, f.Event, f.What.En)
	}
	return b.String()
}

// named wants a failure of a check that names an event.
func named(t testing.TB, found []audit.Finding, check audit.Check, event uuid.UUID, says string) {
	t.Helper()
	for _, f := range found {
		if f.Severity == audit.Failure && f.Check == check && f.Event == event && strings.Contains(f.What.En, says) {
			return
		}
	}
	t.Errorf("no %s failure of event %s says %q; found:%s", check, event, says, show(found))
}

func (w *world) approve(category string, id uuid.UUID, proposal uuid.UUID, officer uuid.UUID) commands.Receipt {
	w.t.Helper()
	if proposal == uuid.Nil {
		w.t.Fatal("nothing was proposed")
	}
	return w.Must(commands.Request{Category: category, Command: "record.approve_proposal", ID: id, Officer: officer, CommandID: uuid.New(),
		Input: record.ApproveProposal{Proposal: proposal, Note: "材料齐全"}})
}

func (w *world) openCase(serial int) (who, id uuid.UUID) {
	w.t.Helper()
	who = w.Person(serial)
	return who, w.As(record.CommunityPolice, "drugs", "drugs.open", uuid.Nil, drugs.Open{Person: who, Village: w.Here, Kind: drugs.Voluntary}).ID
}

func (w *world) visit(id, officer uuid.UUID) commands.Receipt {
	w.t.Helper()
	return w.Must(commands.Request{Category: "drugs", Command: "casework.record_visit", ID: id, Officer: officer, Input: casework.RecordVisit{Outcome: casework.Met, Note: "在家"}})
}

func (w *world) tier(id uuid.UUID, tier drugs.Tier, criterion string) commands.Receipt {
	w.t.Helper()
	return w.As(record.TownshipOffice, "drugs", "drugs.change_tier", id, drugs.ChangeTier{Tier: tier, Criteria: []string{criterion}, Reasons: "按最近情况确定"})
}

func (w *world) attach(id uuid.UUID, name string, content []byte) (a casework.Attachment, added uuid.UUID) {
	w.t.Helper()
	ref, err := w.blobs.Put(w.t.Context(), record.StreamOf("drugs", id), bytes.NewReader(content), attachments.Info{Name: name})
	if err != nil {
		w.t.Fatal(err)
	}
	a = casework.Attachment{SHA256: ref.SHA256, Size: ref.Size, MediaType: ref.MediaType, Name: name}
	return a, w.As(record.VillageCadre, "drugs", "casework.add_attachment", id, casework.AddAttachment{Attachment: a, Title: name}).Events[0].ID
}

var picture = []byte("\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR and so on, for as long as a picture is")

// lives is what became of the people of the township.
type lives struct {
	person, case_     uuid.UUID // an open case, in the strict tier
	closed            uuid.UUID
	erased            uuid.UUID // a case whose key is destroyed
	paper, image      casework.Attachment
	added             uuid.UUID        // entry of the paper
	lowering          commands.Receipt // approved
	proposal, visited uuid.UUID        // of it; a visit in the open case
	former            uuid.UUID        // an officer whose post has ended
}

// live lets the township do everything that the audit judges.
func (w *world) live() (l lives) {
	w.t.Helper()
	day := func() { w.Clock.Advance(24 * time.Hour) }
	office, police, cadre, volunteer := w.Officers[record.TownshipOffice], w.Officers[record.CommunityPolice], w.Officers[record.VillageCadre], w.Officers[record.Volunteer]
	l.person, l.case_ = w.openCase(1)
	w.As(record.TownshipOffice, "drugs", "casework.assign_responsible", l.case_, casework.AssignResponsible{Officer: cadre, Role: record.VillageCadre, Lead: true})
	w.tier(l.case_, drugs.Priority, "long-use")
	day()
	w.As(record.TownshipOffice, "drugs", "casework.assign_responsible", l.case_, casework.AssignResponsible{Officer: volunteer, Role: record.Volunteer})
	w.visit(l.case_, volunteer) // by his caseload
	lowered := w.tier(l.case_, drugs.General, "good-conduct")
	l.proposal = lowered.Proposal
	day()
	l.lowering = w.approve("drugs", l.case_, lowered.Proposal, w.Colleague)
	w.tier(l.case_, drugs.Strict, "resists-treatment")
	w.As(record.TownshipOffice, "drugs", "casework.propose_handover", l.case_, casework.ProposeHandOver{To: w.Officers[record.CommunityMedic], Role: record.CommunityMedic, Reason: "工作调整"})
	w.As(record.CommunityMedic, "drugs", "casework.accept_handover", l.case_, struct{}{})

	l.visited = w.visit(l.case_, cadre).Events[0].ID
	w.As(record.VillageCadre, "drugs", "record.correct_event", l.case_, record.CorrectEvent{Event: l.visited, Values: map[string]any{"note": "不在家"}, Reason: "备注写错"})
	w.As(record.VillageCadre, "drugs", "record.void_event", l.case_, record.VoidEvent{Event: w.visit(l.case_, cadre).Events[0].ID, Reason: "记错了人"})
	for range 8 {
		day()
	}
	late := w.As(record.VillageCadre, "drugs", "record.correct_event", l.case_, record.CorrectEvent{Event: l.visited, Values: map[string]any{"note": "本人在家"}, Reason: "备注写错"})
	w.approve("drugs", l.case_, late.Proposal, w.Colleague)
	w.Must(commands.Request{Category: "drugs", Command: "casework.record_visit", ID: l.case_, Officer: cadre, Occurred: w.Clock.Now().AddDate(0, 0, -6), Late: record.LatePaper,
		Input: casework.RecordVisit{Outcome: casework.Absent}})

	l.paper, l.added = w.attach(l.case_, "协议.txt", []byte("社区戒毒协议，测试文本。"))
	l.image, _ = w.attach(l.case_, "封存.png", picture)
	view := w.As(record.CommunityPolice, "drugs", "casework.request_view", l.case_, casework.RequestView{SHA256: l.image.SHA256, Reason: "核对封存情况"})
	w.approve("drugs", l.case_, view.Proposal, w.Colleague)

	_, l.closed = w.openCase(3)
	reject := w.As(record.TownshipOffice, "drugs", "drugs.close_case", l.closed, drugs.CloseCase{Reason: "withdrawn"})
	w.Must(commands.Request{Category: "drugs", Command: "record.reject_proposal", ID: l.closed, Officer: police, Input: record.RejectProposal{Proposal: reject.Proposal, Reason: "材料不全"}})
	mine := w.As(record.TownshipOffice, "drugs", "drugs.close_case", l.closed, drugs.CloseCase{Reason: "withdrawn"})
	w.Must(commands.Request{Category: "drugs", Command: "record.withdraw_proposal", ID: l.closed, Officer: office, Input: record.WithdrawProposal{Proposal: mine.Proposal, Reason: "暂缓"}})
	again := w.As(record.TownshipOffice, "drugs", "drugs.close_case", l.closed, drugs.CloseCase{Reason: "withdrawn"})
	w.approve("drugs", l.closed, again.Proposal, police)

	_, l.erased = w.openCase(5)
	w.attach(l.erased, "旧材料.txt", []byte("将被销毁的材料。"))
	w.approve("drugs", l.erased, w.As(record.TownshipOffice, "drugs", "drugs.close_case", l.erased, drugs.CloseCase{Reason: "withdrawn"}).Proposal, police)
	erase := w.As(record.TownshipOffice, "drugs", "record.erase_file", l.erased, record.EraseFile{Basis: "retention-ended", Reason: "保存期限届满"})
	w.approve("drugs", l.erased, erase.Proposal, police)

	same := w.As(record.CommunityPolice, "person", "person.register", uuid.Nil, person.Register{Name: "梁平", NoCardReason: "证件遗失", Village: w.Here}).ID
	w.approve("person", same, w.As(record.TownshipOffice, "person", "person.merge", same, person.Merge{Into: l.person, Reason: "经核实为同一人"}).Proposal, police)
	w.approve("person", same, w.As(record.TownshipOffice, "person", "person.unmerge", same, person.Unmerge{Reason: "经复核并非同一人"}).Proposal, police)

	l.former = w.Officer("t.former", 1, record.VillageCadre, w.Here)
	w.visit(l.case_, l.former)
	o, _, err := w.Exec.Officer(w.t.Context(), l.former)
	if err != nil {
		w.t.Fatal(err)
	}
	day()
	w.System("officer", "officer.end_post", l.former, staff.EndPost{Post: o.Posts[0].ID, Reason: "岗位调整"})
	w.Must(commands.Request{Category: "officer", Command: "officer.declare_recusal", ID: w.Colleague, Officer: w.Colleague, Input: staff.DeclareRecusal{Person: l.person, Reason: "近亲属"}})
	elsewhere := w.Officer("t.elsewhere", 1, record.VillageCadre, w.There)
	w.Must(commands.Request{Category: "officer", Command: "officer.break_glass", ID: elsewhere, Officer: elsewhere, Input: staff.BreakGlass{Person: l.person, Reason: "突发昏迷需核实用药"}})
	w.Clock.Advance(time.Second)
	w.System("officer", "officer.disable", elsewhere, staff.Disable{Closed: true, Reason: "离职"})
	day()
	w.As(record.TownshipOffice, "policy", "policy.change_setting", policy.ID, policy.ChangeSetting{Setting: "correct-alone", Days: 5, Reason: "从严管理"})
	w.As(record.Administrator, "unit", "unit.change_coverage", w.Station, units.ChangeCoverage{Covers: []uuid.UUID{w.Here}})
	w.visit(l.case_, police)
	session := uuid.New()
	for range 3 {
		if err := w.Exec.RecordRead(w.t.Context(), commands.Reading{Read: access.Read{What: access.Dossier, Purpose: "inspection", Session: session},
			Actor: (&forger{world: w}).actor(w.Officers[record.Inspector]), Person: l.person}); err != nil {
			w.t.Fatal(err)
		}
	}
	return l
}

// stored reads a stream.
func (w *world) stored(stream string) (out []journal.Stored) {
	w.t.Helper()
	for s, err := range w.Journal.Stream(w.t.Context(), stream, 0) {
		if err != nil {
			w.t.Fatal(err)
		}
		out = append(out, s)
	}
	return out
}

// objects lists the files of the attachment store.
func (w *world) objects() (paths []string) {
	w.t.Helper()
	err := filepath.WalkDir(w.blobDir(), func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			paths = append(paths, path)
		}
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return paths
}
