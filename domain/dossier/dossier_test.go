package dossier

import (
	"archive/zip"
	"bytes"
	"io"
	"os"
	"strings"
	"testing"

	"yidang/domain/record"
)

// Ensure that a whole file can be taken away and checked, that ordinary programs can open the zip, and that the page tells
// what happened: what was voided, corrected, approved, attached and left out.
func TestFullDossier(t *testing.T) {
	w := start(t)
	w.life()
	o := w.options()
	o.Font = fontPath
	raw, m := w.build(o)
	r := w.true(raw)
	if r.Events != 12 || r.Open != 12 || r.Attachments != 1 || !r.PageChecked || len(r.NotProved) != 5 || !says(r.NotProved, "why 1 attachments are left out") {
		t.Errorf("the report: %+v", r)
	}
	if len(m.Left) != 1 || m.Left[0].Why != WhyPicture {
		t.Errorf("left out: %+v", m.Left)
	}
	raw, m = w.build(o) // the checkpoint was appended to the journal after the first one: it has a later position
	if again, _ := w.build(o); !bytes.Equal(again, raw) {
		_, a := contents(t, raw)
		_, b := contents(t, again)
		for n := range a {
			if !bytes.Equal(a[n], b[n]) {
				t.Errorf("%s was built a second time as other bytes", n)
			}
		}
	}

	z, err := zip.NewReader(bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range z.File {
		c, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, c); err != nil {
			t.Errorf("%s: %v", f.Name, err)
		}
	}
	_, files := contents(t, raw)
	page := string(files["index.html"])
	for _, want := range []string{"𠮷㐂䶮", "敲门无人&lt;应答&gt;", `class="void"`, "已作废", "记错了人", "更正为", "在家，情绪低落", "经第二人批准", "协议书",
		"attachments/", "影像资料不得导出", "前进村", "甲某village-cadre", "例行检查", "𠮷 U&#43;20BB7"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not have %q", want)
		}
	}
	if dir := os.Getenv("DOSSIER_KEEP"); dir != "" {
		for n, b := range files {
			_ = os.WriteFile(dir+"/"+strings.ReplaceAll(n, "/", "_"), b, 0o600)
		}
	}
	if !bytes.HasPrefix(files["dossier.pdf"], []byte("%PDF-")) {
		t.Error("there is no PDF")
	}
	if len(m.Undrawn) != 1 || m.Undrawn[0] != "𠮷 U+20BB7" {
		t.Errorf("characters that the PDF's font does not have: %q", m.Undrawn)
	}
}

// Ensure that without a font there is no PDF, and the page says why.
func TestNoFont(t *testing.T) {
	w := start(t)
	w.life()
	raw, m := w.build(w.options())
	w.true(raw)
	_, files := contents(t, raw)
	if _, there := files["dossier.pdf"]; there || m.PDF == pdfThere || !bytes.Contains(files["index.html"], []byte("ops/fonts/fetch.sh")) {
		t.Errorf("without a font: %q", m.PDF)
	}
}

// Ensure that each level shows what it says, that what it withholds is in no file of the zip, and that it verifies.
func TestRedaction(t *testing.T) {
	w := start(t)
	w.life()
	personal := []string{"12011406879", "999999195", "𠮷㐂䶮"}
	thirds := []string{"梁母", "12011400002", "邻居老王", "甲某"}
	casework := []string{"院坝", "在家，精神良好", "情绪低落", "协议书", "材料齐全"}
	for _, c := range []struct {
		name        string
		redact      Redaction
		shown, gone []string
	}{
		{"full", Redaction{Level: Full}, append(append(personal, thirds...), casework...), nil},
		{"person only", Redaction{Level: Groups, Groups: []string{"person"}}, personal, casework},
		{"case only", Redaction{Level: Groups, Groups: []string{"drugs"}}, casework, personal},
		{"own copy", Redaction{Level: OwnCopy}, append(personal, casework[0], casework[1], casework[3]), append(thirds, casework[2])},
		{"notes hidden", Redaction{Level: Full, Hidden: map[string][]string{"casework.visit_recorded": {"note"}}}, []string{"院坝"}, []string{"精神良好", "应答", "情绪低落"}},
		{"skeleton", Redaction{Level: Skeleton}, nil, append(append(personal, thirds[:3]...), casework...)},
	} {
		t.Run(c.name, func(t *testing.T) {
			w.T = t
			o := w.options()
			o.Redact = c.redact
			raw, _ := w.build(o)
			r := w.true(raw)
			for _, s := range c.shown {
				if !bytes.Contains(raw, []byte(s)) {
					t.Errorf("%q is not shown", s)
				}
			}
			for _, s := range c.gone {
				if bytes.Contains(raw, []byte(s)) {
					t.Errorf("%q is shown", s)
				}
			}
			if c.redact.Level == Skeleton && (r.Withheld != r.Events || !says(r.NotProved, "withheld")) {
				t.Errorf("the report: %+v", r)
			}
			if c.redact.Level == OwnCopy && r.Partly == 0 {
				t.Error("nothing is shown in part")
			}
		})
	}
	w.T = t
}

// Ensure that an erased file still gives a dossier that proves what was there, when and by whom.
func TestErased(t *testing.T) {
	w := start(t)
	w.life()
	if err := w.Vault.Destroy(t.Context(), record.StreamOf("drugs", w.file), "court-order"); err != nil {
		t.Fatal(err)
	}
	raw, _ := w.build(w.options())
	r := w.true(raw)
	if r.Erased != 10 || len(r.ErasedUnrecorded) != 1 || !says(r.NotProved, "destroyed") {
		t.Errorf("the report: %+v", r)
	}
	if bytes.Contains(raw, []byte("在家")) {
		t.Error("content of an erased file is shown")
	}
}
