package dossier

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"filippo.io/torchwood"
	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/tlog"

	"yidang/domain/attachments"
	"yidang/domain/casework"
	"yidang/domain/commands"
	"yidang/domain/notary"
	"yidang/domain/person"
	"yidang/domain/programs/drugs"
	"yidang/domain/record"
)

// Ensure that explain.html tells the truth: a checker written from its text alone, with nothing of this program, and
// another implementation of C2SP tlog-proof come to the same result.
func TestByHand(t *testing.T) {
	w := start(t)
	w.life()
	o := w.options()
	o.Redact = Redaction{Level: OwnCopy}
	raw, _ := w.build(o)
	_, files := contents(t, raw)
	manifest := sha256.Sum256(files[manifestName])
	if line := strings.Split(string(files[noteName]), "\n")[2]; line != hex.EncodeToString(manifest[:]) {
		t.Errorf("the note has %s for the manifest", line)
	}
	bytesOf := func(s string) []byte {
		b, err := hex.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	checked := 0
	for _, stream := range w.streams {
		for text := range bytes.Lines(files["events/"+stream+".jsonl"]) {
			var l struct {
				Revision   uint64
				Event      string
				Type, Salt string
				Meta       json.RawMessage
				Fields     []struct {
					Salt, Hash string
					Open       json.RawMessage
				}
			}
			if err := json.Unmarshal(text, &l); err != nil {
				t.Fatal(err)
			}
			all := bytesOf(l.Salt)
			for _, f := range l.Fields {
				if f.Hash != "" {
					all = append(all, bytesOf(f.Hash)...)
					continue
				}
				h := sha256.Sum256(append(bytesOf(f.Salt), f.Open[1:len(f.Open)-1]...))
				all = append(all, h[:]...)
			}
			sum := sha256.Sum256(all)
			if !bytes.Contains(l.Meta, []byte(`"commitment":"`+base64.StdEncoding.EncodeToString(sum[:])+`"`)) {
				t.Errorf("%s #%d: the commitment is another one", stream, l.Revision)
			}
			proof := files["proofs/"+l.Event+".tlog-proof"]
			leaf, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(strings.Split(string(proof), "\n")[1], "extra "))
			if err != nil {
				t.Fatal(err)
			}
			id, meta := uuid.MustParse(l.Event), sha256.Sum256(l.Meta)
			want := binary.BigEndian.AppendUint64([]byte("ydleaf1\n"), l.Revision)
			want = append(append(append(want, id[:]...), meta[:]...), leaf[64:96]...)
			for _, name := range []string{stream, l.Type} {
				want = append(binary.BigEndian.AppendUint16(want, uint16(len(name))), name...)
			}
			if !bytes.Equal(leaf, want) {
				t.Errorf("%s #%d: the leaf is another one", stream, l.Revision)
			}
			if err := torchwood.VerifyProof(w.policy, tlog.RecordHash(leaf), proof); err != nil {
				t.Errorf("%s #%d: %v", stream, l.Revision, err)
			}
			checked++
		}
	}
	if checked != 12 {
		t.Errorf("%d entries", checked)
	}
}

// Ensure that a file merged into the person's comes along, and an event from before commitments is shown as what it is.
func TestMergedAndEarly(t *testing.T) {
	p := onPaper(t)
	p.events[1].Meta, _ = json.Marshal(record.Meta{Form: 1, Person: p.person})
	p.events[2].Meta, _ = json.Marshal(record.Meta{Form: 1, Person: p.person})
	p.rehash(t)
	if _, err := p.verify(p.build(t, Redaction{Level: Full}), "v-paper"); err == nil || !strings.Contains(err.Error(), "commit to their content and it does not") {
		t.Errorf("uncommitted events after a committed one: %v", err)
	}
	p.events[0].Meta, _ = json.Marshal(record.Meta{Form: 1, Person: p.person})
	p.rehash(t)
	r, err := p.verify(p.build(t, Redaction{Level: OwnCopy}), "v-paper")
	if err != nil || r.Unproved != 2 || r.Withheld != 1 || !says(r.NotProved, "server's word") {
		t.Errorf("early events: %+v, %v", r, err)
	}

	w := start(t)
	w.life()
	same := w.Person(3)
	w.streams = append(w.streams, person.Stream(same))
	raw, _ := w.build(w.options())
	if r := w.true(raw); r.Events != 13 {
		t.Errorf("with a merged file: %+v", r)
	}
}

func (p *paper) rehash(t testing.TB) {
	p.hashes = nil
	for i, s := range p.events {
		h, err := tlog.StoredHashes(int64(i), notary.Leaf(s), p)
		if err != nil {
			t.Fatal(err)
		}
		p.hashes = append(p.hashes, h...)
	}
}

// Ensure that papers which are gone or altered are left out with the reason, that a store which fails fails the dossier,
// and that large ones pass through whole.
func TestPapers(t *testing.T) {
	w := start(t)
	w.life()
	w.file = w.As(record.CommunityPolice, "drugs", "drugs.open", uuid.Nil, openAgain(w)).ID
	w.streams = append(w.streams, record.StreamOf("drugs", w.file))
	large := append([]byte("%PDF-1.4\n"), bytes.Repeat([]byte("0123456789abcdef"), 1<<18)...)
	w.attach("application/pdf", "长卷", large)
	raw, m := w.build(w.options())
	if r := w.true(raw); r.Attachments != 2 || len(m.Left) != 1 {
		t.Errorf("%d papers, left out %+v", r.Attachments, m.Left)
	}
	for _, c := range []struct {
		err  error
		why  string
		fail bool
	}{{attachments.ErrMissing, WhyMissing, false}, {attachments.ErrAltered, WhyAltered, false},
		{record.Errorf(record.Erased, "gone"), WhyErased, false}, {errors.New("disk"), "", true}} {
		o := w.options()
		o.Attachments = broken{w.store, c.err}
		var out bytes.Buffer
		m, err := Build(t.Context(), &out, o)
		if (err != nil) != c.fail {
			t.Errorf("%v: %v", c.err, err)
		}
		if err != nil {
			continue
		}
		w.true(out.Bytes())
		if len(m.Left) != 3 || m.Left[0].Why != c.why {
			t.Errorf("%v: left out %+v", c.err, m.Left)
		}
	}
}

// Ensure that the papers of a test, an agreement and a correction come along like those that were added by themselves; that
// a size which an entry has wrong does not make a true dossier a forgery; and that what the store has as a picture is never
// taken out, whatever an entry calls it (S-3).
func TestPapersOfOtherEntries(t *testing.T) {
	w := start(t)
	w.life()
	w.file = w.As(record.CommunityPolice, "drugs", "drugs.open", uuid.Nil, openAgain(w)).ID
	w.streams = append(w.streams, record.StreamOf("drugs", w.file))
	put := func(content string) casework.Attachment {
		t.Helper()
		ref, err := w.store.Put(t.Context(), record.StreamOf("drugs", w.file), strings.NewReader(content), attachments.Info{})
		if err != nil {
			t.Fatal(err)
		}
		return casework.Attachment{SHA256: ref.SHA256, Size: ref.Size, MediaType: ref.MediaType, Name: "扫描件"}
	}
	const png = "\x89PNG\r\n\x1a\n and so on"
	report, scan, later, photo, body := put("%PDF-1.4\nreport"), put("%PDF-1.4\nscan"), put("%PDF-1.4\nlater"), put(png), put(png+"!")
	second := w.Officer("p.second", 1, record.CommunityPolice, w.Station)
	w.As(record.CommunityPolice, "drugs", "drugs.record_urine_test", w.file, drugs.RecordUrineTest{Stage: "on-site", Kind: "unscheduled", Testers: []uuid.UUID{w.Officers[record.CommunityPolice], second}, Collector: second,
		Result: "negative", ReportNumber: "清测1号", ReportIssuer: "派出所", Told: true, Signature: "signed", Report: &report, Media: []drugs.Media{{Attachment: photo, Shows: "sealing"}}})
	scan.Size++ // before the store was asked, whatever was sent was recorded
	signed := w.As(record.TownshipOffice, "drugs", "drugs.sign_agreement", w.file, drugs.SignAgreement{Schedule: []drugs.TestStep{{Months: 12, EveryDays: 30}}, Attachment: &scan})
	w.As(record.TownshipOffice, "drugs", "record.correct_event", w.file, record.CorrectEvent{Event: signed.Events[0].ID, Values: map[string]any{"number": "补1号"}, Reason: "漏填编号"})
	w.As(record.TownshipOffice, "drugs", "drugs.sign_agreement", w.file, drugs.SignAgreement{Schedule: []drugs.TestStep{{Months: 6, EveryDays: 60}}})
	body.MediaType = "application/pdf"
	w.As(record.TownshipOffice, "drugs", "casework.add_attachment", w.file, casework.AddAttachment{Attachment: body, Title: "所谓文件"})
	w.As(record.TownshipOffice, "drugs", "casework.add_attachment", w.file, casework.AddAttachment{Attachment: later, Title: "补充"})
	raw, m := w.build(w.options())
	r := w.true(raw)
	_, files := contents(t, raw)
	for _, a := range []casework.Attachment{report, scan, later} {
		if files[attachmentName(a)] == nil || !bytes.Contains(files["index.html"], []byte(`href="`+attachmentName(a))) {
			t.Errorf("%s did not come along, or the page does not lead to it", a.SHA256)
		}
	}
	whys := map[string]string{}
	for _, l := range m.Left {
		whys[l.SHA256] = l.Why
	}
	if len(m.Left) != 3 || whys[photo.SHA256] != WhyPicture || whys[body.SHA256] != WhyOtherwise {
		t.Errorf("left out: %+v", m.Left)
	}
	if r.Attachments != 5 { // the scan by the agreement and by its correction, and that of the first case
		t.Errorf("%d papers", r.Attachments)
	}
	if bytes.Contains(raw, []byte(png)) {
		t.Error("a picture was taken out")
	}
	f := takeApart(t, raw)
	f.drop(attachmentName(report))
	if _, err := w.verify(f.sign(t, w.signer)); err == nil || !strings.Contains(err.Error(), "the attachment is missing") {
		t.Errorf("without the report: %v", err)
	}
}

// Ensure that what is asked for wrongly is refused with its kind, and that a writer that fails is not passed over.
func TestBuildRefuses(t *testing.T) {
	w := start(t)
	w.life()
	for name, c := range map[string]struct {
		change func(*Options)
		kind   record.Kind
	}{
		"no level":        {func(o *Options) { o.Redact.Level = "" }, record.Invalid},
		"no groups":       {func(o *Options) { o.Redact.Level = Groups }, record.Invalid},
		"other's streams": {func(o *Options) { o.Person = uuid.New() }, record.Invalid},
		"no such stream":  {func(o *Options) { o.Streams = append(o.Streams, record.StreamOf("drugs", uuid.New())) }, record.NotFound},
		"no category":     {func(o *Options) { o.Streams = append(o.Streams, "citizenid-00") }, record.Invalid},
	} {
		o := w.options()
		c.change(&o)
		if _, err := Build(t.Context(), io.Discard, o); record.KindOf(err) != c.kind {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Build(t.Context(), failing{}, w.options()); !errors.Is(err, os.ErrClosed) {
		t.Errorf("a failing writer: %v", err)
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, os.ErrClosed }

// BenchmarkDossier makes and checks the dossier of a file of 500 events.
func BenchmarkDossier(b *testing.B) {
	w := start(b)
	w.life()
	w.file = w.As(record.CommunityPolice, "drugs", "drugs.open", uuid.Nil, openAgain(w)).ID
	w.streams = append(w.streams, record.StreamOf("drugs", w.file))
	for i := range 486 {
		w.Must(commands.Request{Category: "drugs", Command: "casework.record_visit", ID: w.file, Officer: w.Officers[record.VillageCadre],
			Input: casework.RecordVisit{Outcome: casework.Met, Place: "院坝", Note: fmt.Sprintf("第 %d 次走访，在家，精神状态良好，无异常情况。", i)}})
	}
	for _, c := range []struct{ name, font string }{{"build", ""}, {"build with PDF", fontPath}} {
		b.Run(c.name, func(b *testing.B) {
			o := w.options()
			o.Font = c.font
			for b.Loop() {
				raw, m := w.build(o)
				b.ReportMetric(float64(len(raw)), "bytes")
				b.ReportMetric(float64(m.Streams[0].Events+m.Streams[1].Events+m.Streams[2].Events), "events")
			}
		})
	}
	raw, _ := w.build(w.options())
	b.Run("verify", func(b *testing.B) {
		for b.Loop() {
			w.true(raw)
		}
	})
}
