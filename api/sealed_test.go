package api_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"yidang/domain/access"
	"yidang/domain/record"
)

// sealedCase opens a case in the caseload of the cadre and the police officer, has the cadre visit, closes and seals it.
func (w *town) sealedCase() (who uuid.UUID, kase string, before time.Time) {
	w.t.Helper()
	who, path := w.openCase("cadre")
	w.settle()
	kase = path[strings.LastIndex(path, "/")+1:]
	office, police, cadre := w.signIn("office"), w.signIn("police"), w.signIn("cadre")
	must := func(what string, a answer) answer {
		w.t.Helper()
		if a.status != http.StatusOK {
			w.t.Fatalf("%s: %s", what, a)
		}
		return a
	}
	must("assign", office.post(path+"/assign-responsible", map[string]any{"officer": w.officers["police"], "role": "community-police"}))
	must("visit", cadre.post(path+"/record-visit", map[string]any{"outcome": "met", "note": "在家"}))
	proposal := must("close", office.post(path+"/close-case", map[string]any{"reason": "withdrawn"})).text("proposal")
	must("approve", w.signIn("second").post(path+"/approve-proposal", map[string]any{"proposal": proposal}))
	w.clock.move(time.Hour)
	before = w.clock.now()
	w.clock.move(time.Hour)
	must("seal", police.post(path+"/seal-file", map[string]any{"basis": "治安管理处罚法 136"}))
	w.settle()
	return who, kase, before
}

func newSealedTown(t *testing.T) *town {
	w := newTown(t, nil).build()
	w.officer("second", record.CommunityPolice, "清溪派出所", 2)
	w.officer("inspector", record.Inspector, "清溪镇", 1)
	w.officer("medic", record.CommunityMedic, "前进村", 2)
	return w
}

// telling are the words of a sealed case's content, none of which may show to whoever has no lawful ground.
var telling = []string{"drugs", "withdrawn", "voluntary", "met", "在家", "village-cadre", "community-police"}

func tells(a answer) string {
	raw := string(a.raw)
	for _, meta := range []string{`"role":"community-police"`, `"actor"`} { // of the person's own entries, which are not sealed
		raw = strings.ReplaceAll(raw, meta, "")
	}
	for _, word := range telling {
		if strings.Contains(raw, word) {
			return word
		}
	}
	return ""
}

// Ensure that a sealed case is hidden from every role, whoever is responsible in it too, but that there is one; on the day
// before it was sealed as well (S-16; 治安管理处罚法 136).
func TestSealedIsHidden(t *testing.T) {
	w := newSealedTown(t)
	who, kase, before := w.sealedCase()
	file := "/v1/people/" + who.String()
	past := "?knownAt=" + url.QueryEscape(before.Format(time.RFC3339))
	for _, login := range []string{"cadre", "police", "second", "office", "medic", "inspector"} {
		c := w.signIn(login)
		for _, path := range []string{file, file + past, file + "?asOf=" + before.Format(record.Day), file + "/timeline", file + "/timeline" + past, file + "/difference?from=2020-01-01", file + "/gaps", "/v1/cases/" + kase, "/v1/cases/" + kase + past} {
			a := c.get(path)
			expect(t, login+" "+path, a, 200, "")
			if word := tells(a); word != "" {
				t.Errorf("%s: %s tells %q: %s", login, path, word, a)
			}
			for _, at := range []string{"cases.0", "case"} {
				if a.text(at) != "" && (a.text(at+".id") != kase || a.text(at+".sealed") != "true") {
					t.Errorf("%s: %s does not say that there is a sealed case: %s", login, path, a)
				}
			}
		}
		expect(t, "attachment", c.get("/v1/attachments/drugs/"+kase+"/"+strings.Repeat("0", 64)), 404, "not-found")
		for _, path := range []string{"/v1/people", "/v1/people?program=drugs", "/v1/cases", "/v1/cases?program=drugs", "/v1/worklist?whose=unit&standing=upcoming,due,overdue,done,excused,cancelled", "/v1/worklist?whose=unit&case=" + kase} {
			a := c.get(path)
			expect(t, login+" "+path, a, 200, "")
			if word := tells(a); word != "" {
				t.Errorf("%s: %s tells %q: %s", login, path, word, a)
			}
			if strings.Contains(path, "program=") && (strings.Contains(string(a.raw), kase) || strings.Contains(string(a.raw), who.String())) {
				t.Errorf("%s: %s tells what is sealed: %s", login, path, a)
			}
			if strings.HasPrefix(path, "/v1/worklist") && strings.Contains(string(a.raw), who.String()) {
				t.Errorf("%s: %s tells whose case is sealed: %s", login, path, a)
			}
		}
	}
	inspector := w.signIn("inspector")
	if a := inspector.get("/v1/cases"); a.text("cases.0.id") != kase || a.text("cases.0.sealed") != "true" || a.text("cases.0.name")+a.text("cases.0.person")+a.text("cases.0.opened") != "" {
		t.Errorf("%s", a)
	}
}

// Ensure that a sealed file is opened by those whose task it is, for a lawful purpose and with a reason, and that each such
// reading is in the record, also of whoever is responsible and has just looked at the file.
func TestSealedIsReadLawfully(t *testing.T) {
	w := newSealedTown(t)
	who, kase, before := w.sealedCase()
	file := "/v1/people/" + who.String()
	past := "?knownAt=" + url.QueryEscape(before.Format(time.RFC3339))
	reason := url.PathEscape("法院调阅〔2026〕1号")
	police := w.signIn("police")
	expect(t, "the own caseload", police.get(file, "Yidang-Purpose", ""), 200, "")
	count := len(w.readings())
	for _, login := range []string{"cadre", "medic"} {
		for _, purpose := range []string{"inspection", "judicial", "complaint", "subject-request"} {
			for _, path := range []string{file, "/v1/cases/" + kase, file + "/timeline"} {
				a := w.signIn(login).get(path, "Yidang-Purpose", purpose, "Yidang-Reason", reason)
				expect(t, login+" for "+purpose, a, 403, "forbidden")
				if a.text("field") != "Yidang-Purpose" || tells(a) != "" {
					t.Errorf("%s", a)
				}
			}
		}
	}
	a := police.get(file, "Yidang-Purpose", "judicial")
	expect(t, "without a reason", a, 422, "invalid")
	if a.text("field") != "Yidang-Reason" || tells(a) != "" {
		t.Errorf("%s", a)
	}
	if all := w.readings(); len(all) != count {
		t.Fatalf("%d refused readings are recorded", len(all)-count)
	}
	for _, path := range []string{file, file, file + past, file + "/timeline", file + "/timeline" + past, "/v1/cases/" + kase} {
		a := police.get(path, "Yidang-Purpose", "judicial", "Yidang-Reason", reason)
		expect(t, path, a, 200, "")
		if tells(a) == "" {
			t.Errorf("%s does not show what is sealed: %s", path, a)
		}
		all := w.readings()
		if count++; len(all) != count {
			t.Fatalf("%s: %d readings, want %d", path, len(all), count)
		}
		d := all[count-1].Data.(access.Read)
		if !d.Sealed || !d.Own || d.Purpose != "judicial" || d.Reason != "法院调阅〔2026〕1号" || all[count-1].Meta.Person != who {
			t.Errorf("%s is recorded as %+v", path, d)
		}
	}
	inspector := w.signIn("inspector")
	a = inspector.get("/v1/cases/"+kase, "Yidang-Purpose", "inspection", "Yidang-Reason", url.PathEscape("专项检查"))
	if a.status != 200 || a.text("case.closeReason") != "withdrawn" || a.text("case.sealed") != "true" {
		t.Errorf("%s", a)
	}
	w.settle()
	log := inspector.get("/v1/inspect/readings?person="+who.String()+"&newest=true&limit=10", "Yidang-Purpose", "inspection")
	if n := len(slices.DeleteFunc(log.list("readings"), func(r map[string]any) bool { return r["sealed"] != true })); n != 7 {
		t.Errorf("the inspector finds %d sealed readings: %s", n, log)
	}
}

// Ensure that whoever must review whether a sealed file is kept finds that in the worklist, without whose it is.
func TestSealedRetentionInTheWorklist(t *testing.T) {
	w := newSealedTown(t)
	_, kase, _ := w.sealedCase()
	office := w.signIn("office")
	a := office.get("/v1/worklist?whose=unit")
	if len(a.list("duties")) != 1 || a.text("duties.0.code") != "retention-review" || a.text("duties.0.case") != kase || a.text("duties.0.sealed") != "true" ||
		a.text("duties.0.name")+a.text("duties.0.person")+a.text("duties.0.program") != "" {
		t.Errorf("%s", a)
	}
	if a := w.signIn("cadre").get("/v1/worklist?whose=unit"); len(a.list("duties")) != 0 {
		t.Errorf("the village: %s", a)
	}
	expect(t, "the review", office.post("/v1/drugs/"+kase+"/review-retention", map[string]any{"outcome": "keep", "reasons": "保管期限表规定十年"}), 200, "")
}
