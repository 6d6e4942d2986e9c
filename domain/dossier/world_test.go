package dossier

import (
	"bytes"
	"context"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/note"

	"yidang/domain/attachments"
	"yidang/domain/casework"
	"yidang/domain/catalog"
	"yidang/domain/commands"
	"yidang/domain/commands/commandstest"
	"yidang/domain/notary"
	"yidang/domain/notary/keyfile"
	"yidang/domain/person"
	"yidang/domain/programs/drugs"
	"yidang/domain/record"
)

const origin = "yidang.example/township"

// fontPath is where ops/fonts/fetch.sh puts the font.
var fontPath = filepath.Join("..", "..", ".cache", "fonts", "NotoSansSC-Regular.ttf")

// world is a real record with a notary and papers, and one person with a case.
type world struct {
	*commandstest.Town
	notary *notary.Notary
	store  *attachments.Store
	signer note.Signer
	policy *notary.Policy

	person, file uuid.UUID // file is the case
	streams      []string
}

func start(t testing.TB) *world {
	t.Helper()
	w := &world{Town: commandstest.Start(t)}
	key, err := keyfile.Load(filepath.Join(t.TempDir(), "log.key"), origin, keyfile.Log)
	if err != nil {
		t.Fatal(err)
	}
	if w.signer, err = note.NewSigner(key.Signer()); err != nil {
		t.Fatal(err)
	}
	verifier, err := note.NewVerifier(key.Verifier())
	if err != nil {
		t.Fatal(err)
	}
	w.policy = (*notary.Policy)(nil).WithLogs(verifier)
	if w.notary, err = notary.Open(t.Context(), notary.Options{Journal: w.Journal, Dir: t.TempDir(), Signer: w.signer,
		Keys: []note.Verifier{verifier}, Every: 20 * time.Millisecond, Scrub: -1}); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = w.notary.Run(ctx) }()
	if w.store, err = attachments.Open(t.Context(), "file://"+t.TempDir(), w.Vault, attachments.Limits{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stop()
		<-done
		if err := errors.Join(w.notary.Close(), w.store.Close()); err != nil {
			t.Error(err)
		}
	})
	return w
}

// life gives the person a file with everything in it that a dossier treats in its own way.
func (w *world) life() {
	w.T.Helper()
	in := w.NewPerson(1)
	in.Name = "𠮷㐂䶮" // two that fonts have seldom, one that ours has not
	w.person = w.As(record.CommunityPolice, "person", "person.register", uuid.Nil, in).ID
	w.As(record.CommunityPolice, "person", "person.add_family_member", w.person, person.AddFamilyMember{Name: "梁母", Relation: "parent", Phone: "12011400002"})
	w.file = w.As(record.CommunityPolice, "drugs", "drugs.open", uuid.Nil, drugs.Open{Person: w.person, Village: w.Here, Kind: drugs.Voluntary}).ID
	w.streams = []string{person.Stream(w.person), record.StreamOf("drugs", w.file)}
	w.Clock.Advance(30 * time.Hour)
	wrong := w.visit("敲门无人<应答>")
	again := w.visit("在家，精神良好")
	w.As(record.VillageCadre, "drugs", "record.void_event", w.file, record.VoidEvent{Event: wrong, Reason: "记错了人"})
	w.As(record.VillageCadre, "drugs", "record.correct_event", w.file, record.CorrectEvent{Event: again, Values: map[string]any{"note": "在家，情绪低落"}, Reason: "笔误更正"})
	w.attach("application/pdf", "协议书", []byte("%PDF-1.4\nsynthetic\n%%EOF\n"))
	w.attach("image/png", "封样照片", append([]byte("\x89PNG\r\n\x1a\n"), make([]byte, 64)...))
	p := w.As(record.TownshipOffice, "drugs", "drugs.close_case", w.file, drugs.CloseCase{Reason: "withdrawn"})
	w.Must(commands.Request{Category: "drugs", Command: "record.approve_proposal", ID: w.file, Officer: w.Colleague, CommandID: uuid.New(),
		Input: record.ApproveProposal{Proposal: p.Proposal, Note: "材料齐全"}})
}

func (w *world) visit(note string) uuid.UUID {
	w.T.Helper()
	return w.As(record.VillageCadre, "drugs", "casework.record_visit", w.file, casework.RecordVisit{Outcome: casework.Met, Place: "院坝", With: "邻居老王", Note: note}).Events[0].ID
}

func (w *world) attach(media, title string, content []byte) {
	w.T.Helper()
	ref, err := w.store.Put(w.T.Context(), record.StreamOf("drugs", w.file), bytes.NewReader(content), attachments.Info{MediaType: media})
	if err != nil {
		w.T.Fatal(err)
	}
	w.As(record.TownshipOffice, "drugs", "casework.add_attachment", w.file, casework.AddAttachment{
		Attachment: casework.Attachment{SHA256: ref.SHA256, Size: ref.Size, MediaType: ref.MediaType}, Title: title})
}

func (w *world) options() Options {
	return Options{
		Person: w.person, Streams: w.streams, Journal: w.Journal, Codec: w.Exec.Codec, Attachments: w.store, Prover: w.notary, Signer: w.signer,
		Officer: func(id uuid.UUID) string {
			for role, o := range w.Officers {
				if o == id {
					return "甲某" + string(role)
				}
			}
			return ""
		},
		Unit: func(id uuid.UUID) string {
			return map[uuid.UUID]string{w.Here: "前进村", w.Station: "派出所", w.Office: "综治办"}[id]
		},
		Redact: Redaction{Level: Full}, By: w.Officers[record.Inspector], Purpose: "inspection", Reason: "例行检查",
		Version: "v-test", Now: w.Clock.Now,
	}
}

func (w *world) build(o Options) ([]byte, *Manifest) {
	w.T.Helper()
	var out bytes.Buffer
	m, err := Build(w.T.Context(), &out, o)
	if err != nil {
		w.T.Fatal(err)
	}
	return out.Bytes(), m
}

func (w *world) trust() Trust {
	return Trust{Policy: w.policy, Version: "v-test", Catalog: w.Exec.Catalog}
}

func (w *world) verify(zip []byte) (*Report, error) {
	return Verify(bytes.NewReader(zip), int64(len(zip)), w.trust())
}

func (w *world) true(zip []byte) *Report {
	w.T.Helper()
	r, err := w.verify(zip)
	if err != nil {
		w.T.Fatal(err)
	}
	return r
}

// list is the catalog.
func list(t testing.TB) *catalog.Catalog {
	t.Helper()
	c, err := catalog.New()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// contents reads a true dossier's files.
func contents(t testing.TB, zip []byte) (names []string, files map[string][]byte) {
	t.Helper()
	entries, f := readArchive(bytes.NewReader(zip), int64(len(zip)))
	if f != nil {
		t.Fatal(f)
	}
	files = map[string][]byte{}
	for _, e := range entries {
		names = append(names, e.name)
		files[e.name] = zip[e.at : e.at+e.size]
	}
	return names, files
}

func says(texts []record.Text, part string) bool {
	for _, t := range texts {
		if strings.Contains(t.En, part) || strings.Contains(t.Zh, part) {
			return true
		}
	}
	return false
}

// openAgain opens a second case.
func openAgain(w *world) drugs.Open {
	return drugs.Open{Person: w.person, Village: w.Here, Kind: drugs.Voluntary}
}

// broken is a store that fails.
type broken struct {
	*attachments.Store
	err error
}

func (b broken) Get(context.Context, string, attachments.Ref) (io.ReadCloser, attachments.Ref, error) {
	return nil, attachments.Ref{}, b.err
}
