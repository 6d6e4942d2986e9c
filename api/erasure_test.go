package api_test

import (
	"strings"
	"testing"

	"github.com/google/uuid"
)

// Ensure that an erased file is gone from every answer: search, the file, its timeline, its papers; that what happened, when
// and by whom stays; and that it is so after a restart with rebuilt lists too. That it is gone from what lies on disk, and
// that the program sees to it, is drilled in cmd/yidang.
func TestErasedAnswers(t *testing.T) {
	w := newTown(t, nil).build()
	const canary, note = "欧阳金丝雀", "只在这条备注里的一句话"
	office, police, cadre := w.signIn("office"), w.signIn("police"), w.signIn("cadre")
	in := w.someone(canary, idWang, "前进村")
	a := police.post("/v1/person/register", in)
	expect(t, "register", a, 201, "")
	who := uuid.MustParse(a.text("id"))
	a = police.post("/v1/drugs/open", map[string]any{"person": who, "village": w.units["前进村"], "kind": "voluntary"})
	expect(t, "open", a, 201, "")
	kase := "/v1/drugs/" + a.text("id")
	expect(t, "note", cadre.post(kase+"/add-note", map[string]any{"text": note}), 200, "")
	paper := cadre.upload("/v1/attachments/drugs/"+a.text("id"), "a.txt", "text/plain", []byte(note))
	expect(t, "upload", paper, 201, "")
	expect(t, "attach", cadre.post(kase+"/add-attachment", map[string]any{"sha256": paper.text("sha256"), "size": paper.body["size"], "mediaType": paper.text("mediaType"), "title": "说明"}), 200, "")
	w.settle()
	if found := office.get("/v1/people?q=欧阳"); len(found.list("people")) != 1 {
		t.Fatalf("before the erasure: %s", found)
	}
	two := func(file string, body map[string]any, command string) {
		proposed := office.post(file+"/"+command, body)
		expect(t, command, proposed, 200, "")
		expect(t, "approve "+command, police.post(file+"/approve-proposal", map[string]any{"proposal": proposed.text("proposal")}), 200, "")
		w.settle()
	}
	two(kase, map[string]any{"reason": "withdrawn"}, "close-case")
	ground := map[string]any{"basis": "consent-withdrawn", "reason": "本人书面撤回同意"}
	two(kase, ground, "erase-file")
	two("/v1/person/"+who.String(), ground, "erase-file")
	w.settle()
	for _, stream := range []string{"drugs-" + kase[len("/v1/drugs/"):], "person-" + who.String()} {
		if !w.vault.Erased(stream) {
			t.Errorf("the key of %s is there", stream)
		}
		if err := w.views.Forget(t.Context(), stream); err != nil { // the program does it when it sees the erasure
			t.Fatal(err)
		}
	}
	inspector := func() {
		t.Helper()
		for _, q := range []string{"欧阳", "oyjsq", idWang, "12055500001"} {
			if found := office.get("/v1/people?q=" + q); len(found.list("people")) != 0 {
				t.Errorf("%s still finds: %s", q, found)
			}
		}
		expect(t, "the paper", office.get("/v1/attachments/drugs/"+kase[len("/v1/drugs/"):]+"/"+paper.text("sha256")), 403, "forbidden")
		for path, out := range map[string]answer{"case": office.get("/v1/cases/" + kase[len("/v1/drugs/"):]), "file": office.get("/v1/people/" + who.String()),
			"timeline": office.get("/v1/people/" + who.String() + "/timeline?limit=200")} {
			for _, secret := range []string{canary, note, idWang, "撤回同意"} {
				if strings.Contains(string(out.raw), secret) {
					t.Errorf("%s shows %q: %s", path, secret, out)
				}
			}
		}
	}
	inspector()
	skeleton := 0
	for s, err := range w.journal.Stream(t.Context(), "drugs-"+kase[len("/v1/drugs/"):], 0) {
		if err != nil {
			t.Fatal(err)
		}
		e, _, err := w.x.Codec.Open(t.Context(), s)
		if err != nil || e.Meta.Actor == uuid.Nil || e.Meta.RecordedAt.IsZero() {
			t.Errorf("%s: %v", s.Type, err)
		}
		skeleton++
	}
	if skeleton < 8 {
		t.Errorf("%d entries are left of the case", skeleton)
	}
	w.restart()
	w.settle()
	office, police = w.signIn("office"), w.signIn("police")
	inspector()
}
