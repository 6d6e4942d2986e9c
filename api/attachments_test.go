package api_test

import (
	"bytes"
	"cmp"
	"context"
	"mime"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/note"

	"yidang/domain/access"
	"yidang/domain/attachments"
	"yidang/domain/casework"
	"yidang/domain/dossier"
	"yidang/domain/notary"
	"yidang/domain/notary/keyfile"
)

var (
	jpegBytes = []byte("\xff\xd8\xff\xe0\x00\x10JFIF\x00 and so on, for as long as a picture is")
	mp4Bytes  = []byte("\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom and so on, for as long as a film is")
	pdfBytes  = []byte("%PDF-1.4\nsynthetic\n%%EOF\n")
)

// named is an uploaded file as a command names it.
func named(uploaded answer) map[string]any {
	return map[string]any{"sha256": uploaded.text("sha256"), "size": uploaded.body["size"], "mediaType": uploaded.text("mediaType")}
}

func with(m map[string]any, name string, value any) map[string]any {
	out := map[string]any{name: value}
	for k, v := range m {
		if k != name {
			out[k] = v
		}
	}
	return out
}

// S-1, S-3, D-13: given a picture that was uploaded, when an entry says that it is a PDF, is of another size, or names a file
// that is not in this case's store, then it is refused with the field, the rule and the remedy, also in a correction.
func TestAttachmentsAreWhatWasUploaded(t *testing.T) {
	w := newTown(t, nil).build()
	_, path := w.openCase("cadre")
	at := "/v1/attachments/drugs/" + strings.TrimPrefix(path, "/v1/drugs/")
	cadre, office, police := w.signIn("cadre"), w.signIn("office"), w.signIn("police")
	up := cadre.upload(at, "封存.jpg", "image/jpeg", jpegBytes)
	expect(t, "upload", up, 201, "")
	empty := cadre.upload(at, "空.jpg", "image/jpeg", nil)
	if expect(t, "empty", empty, 422, "invalid"); empty.text("field") != "file" || empty.text("remedy") == "" {
		t.Errorf("of an empty file: %s", empty)
	}
	slash := cadre.post("/v1/attachments/drugs/a%2Fb", "{}")
	if expect(t, "a slash in the id", slash, 422, "invalid"); slash.text("field") != "id" {
		t.Errorf("of a slash in the id: %s", slash)
	}
	picture := named(up)
	refused := func(what string, a answer, field, remedy string) {
		t.Helper()
		expect(t, what, a, 409, "refused")
		if a.text("field") != field || a.text("rule") == "" || !strings.Contains(a.text("remedy"), remedy) {
			t.Errorf("%s: %s", what, a)
		}
	}
	add := func(m map[string]any) answer {
		return cadre.post(path+"/add-attachment", with(m, "title", "样本封存"))
	}
	refused("as a PDF", add(with(picture, "mediaType", "application/pdf")), "mediaType", "upload answered")
	refused("of another size", add(with(picture, "size", 1)), "size", "upload answered")
	nothing := with(with(picture, "sha256", strings.Repeat("ab", 32)), "mediaType", "application/pdf")
	refused("not there", add(nothing), "sha256", "POST /v1/attachments/")
	refused("not there, in a dry run", cadre.post(path+"/add-attachment?dryRun=true", with(nothing, "title", "纸")), "sha256", "POST /v1/attachments/")
	refused("paper in hand", police.post(path+"/record-external-decision", map[string]any{"kind": "warning", "level": "county", "remedies": "可申请复议", "attachment": nothing,
		"document": map[string]any{"number": "清公字1号", "organ": "清溪分局", "issued": "2026-09-20", "served": "2026-09-20"}}), "attachment.sha256", "POST /v1/attachments/")
	agreement := map[string]any{"number": "1", "schedule": []any{map[string]any{"months": 12, "everyDays": 30}}}
	refused("an agreement", office.post(path+"/sign-agreement", with(agreement, "attachment", nothing)), "attachment.sha256", "POST /v1/attachments/")
	signed := office.post(path+"/sign-agreement", agreement)
	expect(t, "an agreement without a scan", signed, 200, "")
	correct := func(a map[string]any) answer {
		return office.post(path+"/correct-event", map[string]any{"event": signed.text("events.0.id"), "values": map[string]any{"attachment": a}, "reason": "补交扫描件"})
	}
	refused("in a correction", correct(nothing), "attachment.sha256", "POST /v1/attachments/")
	expect(t, "a true correction", correct(picture), 200, "")
	w.settle()
	if c := office.get("/v1/cases/" + strings.TrimPrefix(path, "/v1/drugs/")); c.text("case.attachments.0.sha256") != picture["sha256"] {
		t.Errorf("the case: %s", c)
	}

	in := w.someone("钱测试", idLi, "前进村")
	a := police.post("/v1/person/register", in)
	expect(t, "another person", a, 201, "")
	a = police.post("/v1/drugs/open", map[string]any{"person": a.text("id"), "village": w.units["前进村"], "kind": "voluntary"})
	expect(t, "another case", a, 201, "")
	refused("another case's", office.post("/v1/drugs/"+a.text("id")+"/add-attachment", with(picture, "title", "样本封存")), "sha256", "to this same case")
}

// S-3: given a picture or a film, whatever entry names it and whatever that says of it, when somebody downloads it without a
// view that a second person approved, then it is refused; with one it is handed out for a day, and the reading is recorded.
func TestPicturesAreSeenByTwo(t *testing.T) {
	w := newTown(t, nil).build()
	person, path := w.openCase("cadre")
	id := strings.TrimPrefix(path, "/v1/drugs/")
	at := "/v1/attachments/drugs/" + id
	cadre, office, police := w.signIn("cadre"), w.signIn("office"), w.signIn("police")
	upload := func(name, media string, content []byte) map[string]any {
		t.Helper()
		up := police.upload(at, name, media, content)
		expect(t, "upload of "+name, up, 201, "")
		return named(up)
	}
	film, picture, report := upload("判读.mp4", "video/mp4", mp4Bytes), upload("封存.jpg", "image/jpeg", jpegBytes), upload("报告.pdf", "application/pdf", pdfBytes)
	second := w.officer("police2", "community-police", "清溪派出所", 1)
	expect(t, "a test", police.post(path+"/record-urine-test", map[string]any{"stage": "on-site", "kind": "unscheduled", "testers": []any{w.officers["police"], second}, "collector": second,
		"result": "negative", "reportNumber": "清测1号", "reportIssuer": "清溪派出所", "told": true, "signature": "signed", "report": report,
		"media": []any{with(film, "shows", "reading"), with(picture, "shows", "sealing")}}), 200, "")
	w.settle()
	get := func(m map[string]any) answer { return cadre.get(at + "/" + m["sha256"].(string)) }
	got := get(report)
	expect(t, "the report, named by the test alone", got, 200, "")
	if string(got.raw) != string(pdfBytes) || got.header.Get("Content-Type") != "application/pdf" {
		t.Errorf("downloaded %q with %v", got.raw, got.header)
	}
	before := len(w.readings())
	for name, m := range map[string]map[string]any{"film": film, "picture": picture} {
		a := get(m)
		if expect(t, "the "+name+" without a view", a, 403, "forbidden"); !strings.Contains(a.text("remedy"), "request-view") {
			t.Errorf("%s", a)
		}
	}
	w.x.Vouch = nil // an entry that was never compared with the store
	other := upload("伤情.jpg", "image/jpeg", append(jpegBytes, '2'))
	for _, m := range []map[string]any{picture, other} {
		w.do(w.officers["cadre"], "drugs", "casework.add_attachment", uuid.MustParse(id), casework.AddAttachment{Title: "说是文件",
			Attachment: casework.Attachment{SHA256: m["sha256"].(string), Size: 50, MediaType: "application/pdf", Name: "文件.pdf"}})
		w.settle()
		expect(t, "a picture that is said to be a PDF", get(m), 403, "forbidden")
	}
	if n := len(w.readings()); n != before {
		t.Errorf("%d readings were recorded of what was not handed out", n-before)
	}

	asked := cadre.post(path+"/request-view", map[string]any{"sha256": picture["sha256"], "reason": "核对样本封存"})
	expect(t, "request", asked, 200, "")
	w.settle()
	expect(t, "not approved yet", get(picture), 403, "forbidden")
	expect(t, "approved", office.post(path+"/approve-proposal", map[string]any{"proposal": asked.text("proposal")}), 200, "")
	w.settle()
	got = get(picture)
	expect(t, "approved view", got, 200, "")
	want := map[string]string{"Content-Type": "image/jpeg", "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Content-Length": "50"}
	for name, value := range want {
		if got.header.Get(name) != value {
			t.Errorf("%s is %q", name, got.header.Get(name))
		}
	}
	if string(got.raw) != string(jpegBytes) || !strings.HasPrefix(got.header.Get("Content-Disposition"), "attachment;") {
		t.Errorf("downloaded %q with %v", got.raw, got.header)
	}
	all := w.readings()
	if read, ok := all[len(all)-1].Data.(access.Read); !ok || len(all) != before+1 || read.What != access.Attachment || read.Item != picture["sha256"] || all[len(all)-1].Meta.Person != person {
		t.Errorf("the reading: %+v", all[before:])
	}
	expect(t, "another officer", office.get(at+"/"+picture["sha256"].(string)), 403, "forbidden")
	expect(t, "another picture", get(film), 403, "forbidden")
	w.clock.move(25 * 3600 * 1e9)
	expect(t, "a day later", w.signIn("cadre").get(at+"/"+picture["sha256"].(string)), 403, "forbidden")
}

// Ensure that a download is kept under its name, whatever that is, and never shown in a page.
func TestDownloadsAreKept(t *testing.T) {
	w := newTown(t, nil).build()
	_, path := w.openCase("cadre")
	at := "/v1/attachments/drugs/" + strings.TrimPrefix(path, "/v1/drugs/")
	cadre := w.signIn("cadre")
	for _, name := range []string{`表"一"=复印件.pdf`, "a b;c=d.pdf", ""} {
		paper := named(cadre.upload(at, "x", "application/pdf", []byte("%PDF-1.4\n"+name)))
		expect(t, "add", cadre.post(path+"/add-attachment", with(with(paper, "name", name), "title", "复印件")), 200, "")
		w.settle()
		got := cadre.get(at + "/" + paper["sha256"].(string))
		kind, params, err := mime.ParseMediaType(got.header.Get("Content-Disposition"))
		if want := cmp.Or(name, paper["sha256"].(string)); err != nil || kind != "attachment" || params["filename"] != want {
			t.Errorf("%q is kept as %s %v, %v", name, kind, params, err)
		}
		if got.header.Get("Cache-Control") != "no-store" || got.header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%q: %v", name, got.header)
		}
	}
}

// Ensure that a dossier comes as a file that is kept nowhere on its way, and is a true one: with the papers that any entry
// names, without pictures.
func TestDossierOverHTTP(t *testing.T) {
	key := must(keyfile.Load(filepath.Join(t.TempDir(), "log.key"), "yidang.example/api", keyfile.Log))(t)
	signer, verifier := must(note.NewSigner(key.Signer()))(t), must(note.NewVerifier(key.Verifier()))(t)
	var w *town
	var log *notary.Notary
	w = newTown(t, func(o *apiOptions) {
		store := o.Attachments.(*attachments.Store)
		o.Dossier = func(_ context.Context, d dossier.Options) (dossier.Options, error) {
			d.Journal, d.Codec, d.Attachments, d.Prover, d.Signer, d.Version, d.Now = w.journal, w.x.Codec, store, log, signer, "v-test", w.clock.now
			return d, nil
		}
	}).build()
	log = must(notary.Open(t.Context(), notary.Options{Journal: w.journal, Dir: t.TempDir(), Signer: signer, Keys: []note.Verifier{verifier}, Every: 20 * time.Millisecond, Scrub: -1}))(t)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = log.Run(ctx) }()
	t.Cleanup(func() { stop(); <-ended; _ = log.Close() })

	person, path := w.openCase("cadre")
	at := "/v1/attachments/drugs/" + strings.TrimPrefix(path, "/v1/drugs/")
	office := w.signIn("office")
	scan, photo := named(office.upload(at, "协议.pdf", "application/pdf", pdfBytes)), named(office.upload(at, "签署.jpg", "image/jpeg", jpegBytes))
	expect(t, "an agreement", office.post(path+"/sign-agreement", map[string]any{"schedule": []any{map[string]any{"months": 12, "everyDays": 30}}, "attachment": scan}), 200, "")
	expect(t, "a picture", office.post(path+"/add-attachment", with(photo, "title", "签署现场")), 200, "")
	w.settle()
	got := office.get("/v1/people/" + person.String() + "/dossier")
	expect(t, "dossier", got, 200, "")
	for name, value := range map[string]string{"Content-Type": "application/zip", "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store",
		"Content-Length": strconv.Itoa(len(got.raw)), "Content-Disposition": "attachment; filename=dossier-" + person.String() + ".zip"} {
		if got.header.Get(name) != value {
			t.Errorf("%s is %q", name, got.header.Get(name))
		}
	}
	r, err := dossier.Verify(bytes.NewReader(got.raw), int64(len(got.raw)), dossier.Trust{Policy: (*notary.Policy)(nil).WithLogs(verifier), Version: "v-test", Catalog: w.catalog})
	if err != nil || r.Attachments != 1 || len(r.Manifest.Left) != 1 || r.Manifest.Left[0].Why != dossier.WhyPicture {
		t.Fatalf("%+v, %v", r, err)
	}
	if bytes.Contains(got.raw, jpegBytes) || !bytes.Contains(got.raw, pdfBytes) {
		t.Error("the picture was taken out, or the paper was not")
	}
}
