package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"yidang/api"
	"yidang/api/imports"
	"yidang/domain/record"
	"yidang/domain/staff"
)

// list gives the items of a page.
func (a answer) list(name string) []map[string]any {
	var out []map[string]any
	items, _ := a.body[name].([]any)
	for _, i := range items {
		out = append(out, i.(map[string]any))
	}
	return out
}

// Ensure that what was just recorded is found by a read that asks for its position, in every way people search, and that a
// list masks what it need not show.
func TestSearch(t *testing.T) {
	w := newTown(t, nil).build()
	c := w.signIn("cadre")
	a := c.post("/v1/person/register", w.someone("欧阳测试", idWang, "前进村"))
	expect(t, "register", a, 201, "")
	at := "&atLeast=" + a.text("position")
	for _, q := range []string{"欧阳", "测", "ouyang", "oycs", idWang, idWang[14:], phone} {
		found := c.get("/v1/people?q=" + url.QueryEscape(q) + at)
		expect(t, q, found, 200, "")
		people := found.list("people")
		if len(people) != 1 || people[0]["id"] != a.text("id") || people[0]["citizenId"] != strings.Repeat("*", 14)+idWang[14:] || people[0]["phone"] != "120****"+phone[7:] {
			t.Errorf("%s: %s", q, found)
		}
		if found.header.Get("Yidang-Position") != found.text("position") || found.text("position") < a.text("position") {
			t.Errorf("%s: position %s in the body, %s in the header", q, found.text("position"), found.header.Get("Yidang-Position"))
		}
	}
	if people := c.get("/v1/people?q=" + url.QueryEscape("没有") + at).list("people"); len(people) != 0 {
		t.Errorf("found %v", people)
	}
	expect(t, "unknown parameter", c.get("/v1/people?name=x"), 422, "invalid")
	expect(t, "a limit that is none", c.get("/v1/people?limit=0"), 422, "invalid")
	expect(t, "a village that is none", c.get("/v1/people?village=x"), 422, "invalid")
	expect(t, "a cursor that is none", c.get("/v1/people?cursor=%00x"), 422, "invalid")
}

// Ensure that a read which cannot show the position in time says so instead of showing less.
func TestAtLeast(t *testing.T) {
	w := newTown(t, func(o *apiOptions) { o.Limits.Wait = 50 * time.Millisecond }).build()
	a := w.signIn("cadre").get("/v1/units?atLeast=999999999")
	expect(t, "a position that never comes", a, 503, "unavailable")
	if a.header.Get("Retry-After") == "" {
		t.Error("it does not say when to try again")
	}
	if a.text("field") != "atLeast" || a.text("zh") == "" || a.text("remedy") == "" {
		t.Errorf("it does not name the parameter and the remedy: %s", a)
	}
}

// Ensure that a file shows the person, the case with its duties and the timeline with both clocks; that it can be shown as
// of a day and as known at a day; and that a void leaves the entry in sight.
func TestFile(t *testing.T) {
	w := newTown(t, nil).build()
	person, path := w.openCase("cadre")
	w.settle()
	var c *client
	earlier := w.clock.now()
	w.clock.move(48 * time.Hour)
	c = w.signIn("cadre")
	visit := c.post(path+"/record-visit", map[string]any{"outcome": "met", "occurredAt": earlier.Add(time.Hour).Format(time.RFC3339), "note": "情况正常"})
	expect(t, "visit", visit, 200, "")
	w.settle()
	a := c.get("/v1/people/" + person.String())
	expect(t, "file", a, 200, "")
	if a.text("person.citizenId") != idWang || a.text("cases.0.visits") != "1" || a.text("cases.0.responsible.0.officer") != w.officers["cadre"].String() || a.text("cases.0.state.kind") != "voluntary" {
		t.Errorf("file: %s", a)
	}
	if a.text("timeline.lines.0.type") != "casework.visit_recorded" || !strings.HasPrefix(a.text("timeline.lines.0.lagSeconds"), "1692") {
		t.Errorf("timeline: %s", a.text("timeline.lines.0"))
	}
	if a.text("timeline.lines.0.data.note") != "情况正常" || !strings.Contains(a.text("timeline.lines.0.text.zh"), "走访") || !strings.Contains(a.text("timeline.lines.0.text.en"), "Home visit") {
		t.Errorf("line: %s", a.text("timeline.lines.0"))
	}
	day := earlier.Format("2006-01-02")
	as := c.get("/v1/people/" + person.String() + "?asOf=" + day)
	if as.text("cases.0.visits") != "1" || as.text("asOf") != day {
		t.Errorf("as of the day of the visit: %s", as)
	}
	known := c.get("/v1/people/" + person.String() + "?knownAt=" + day)
	if known.text("cases.0.visits") != "0" || strings.Contains(string(known.raw), "visit_recorded") {
		t.Errorf("as known on the day of the visit: %s", known)
	}
	expect(t, "before there was anything", c.get("/v1/people/"+person.String()+"?asOf=2020-01-01"), 404, "not-found")
	expect(t, "a day that is none", c.get("/v1/people/"+person.String()+"?asOf=2026-13-01"), 422, "invalid")

	id := strings.TrimPrefix(path, "/v1/drugs/")
	one := c.get("/v1/cases/" + id)
	expect(t, "case", one, 200, "")
	if one.header.Get("ETag") != visit.header.Get("ETag") || one.text("case.revision") != visit.text("revision") {
		t.Errorf("ETag %s, of the command %s", one.header.Get("ETag"), visit.header.Get("ETag"))
	}
	expect(t, "If-Match with it", c.post(path+"/void-event", map[string]any{"event": visit.text("events.0.id"), "reason": "记错了人"}, "If-Match", one.header.Get("ETag")), 200, "")
	w.settle()
	a = c.get("/v1/people/" + person.String() + "/timeline?type=casework.visit_recorded")
	if a.text("lines.0.voidedBy.reason") != "记错了人" || c.get("/v1/cases/"+id).text("case.visits") != "0" {
		t.Errorf("voided: %s", a)
	}
}

// Ensure that a timeline is filtered and paged without a gap or a repeat, and that a cursor of nowhere is refused.
func TestTimeline(t *testing.T) {
	w := newTown(t, nil).build()
	person, path := w.openCase("cadre")
	c := w.signIn("cadre")
	for range 7 {
		expect(t, "visit", c.post(path+"/record-visit", map[string]any{"outcome": "absent"}), 200, "")
		w.clock.move(time.Minute)
	}
	w.settle()
	at := "/v1/people/" + person.String() + "/timeline"
	seen := map[any]bool{}
	next, pages := "", 0
	for first := true; first || next != ""; first = false {
		a := c.get(at + "?limit=3&type=casework.visit_recorded&cursor=" + url.QueryEscape(next))
		expect(t, "page", a, 200, "")
		for _, l := range a.list("lines") {
			if seen[l["id"]] || l["type"] != "casework.visit_recorded" {
				t.Errorf("again or of another type: %v", l)
			}
			seen[l["id"]] = true
		}
		next = a.text("next")
		pages++
	}
	if len(seen) != 7 || pages != 3 {
		t.Errorf("%d lines on %d pages", len(seen), pages)
	}
	if n := len(c.get(at + "?actor=" + w.officers["police"].String()).list("lines")); n != 2 {
		t.Errorf("%d lines of the police officer, not the registration and the opening", n)
	}
	if n := len(c.get(at + "?voided=only").list("lines")); n != 0 {
		t.Errorf("%d voided lines", n)
	}
	if n := len(c.get(at + "?to=2020-01-01").list("lines")); n != 0 {
		t.Errorf("%d lines before 2020", n)
	}
	if n := len(c.get(at + "?from=" + w.clock.now().Format("2006-01-02")).list("lines")); n < 7 {
		t.Errorf("%d lines of today", n)
	}
	expect(t, "cursor of nowhere", c.get(at+"?cursor="+uuid.NewString()), 422, "invalid")
}

// Ensure that a volunteer sees his own caseload alone, and of it what he needs to know (S-14): no citizen id, no tests, no
// tier, nothing of others.
func TestVolunteerNeedsToKnow(t *testing.T) {
	m := newMatrix(t)
	c := m.own[3]
	expect(t, "visit", c.post("/v1/drugs/"+m.case_.String()+"/record-visit", map[string]any{"outcome": "met"}), 200, "")
	m.settle()
	for _, path := range []string{"/v1/people", "/v1/people/" + m.person.String(), "/v1/people/" + m.person.String() + "/timeline", "/v1/cases", "/v1/cases/" + m.case_.String(), "/v1/worklist?whose=unit"} {
		a := c.get(path)
		expect(t, path, a, 200, "")
		for _, secret := range []string{idWang, idWang[14:], "1985-03-12", `"tier"`, "priority", "urine", "tier_changed", m.sha256, "determination"} {
			if strings.Contains(string(a.raw), secret) {
				t.Errorf("%s shows a volunteer %q: %s", path, secret, a)
			}
		}
	}
	a := c.get("/v1/people/" + m.person.String())
	if a.text("person.name") != "王测试" || a.text("person.phone") != phone || a.text("cases.0.visits") != "1" {
		t.Errorf("what he needs to know is missing: %s", a)
	}
	lines := a.body["timeline"].(map[string]any)["lines"].([]any)
	if len(lines) != 1 || lines[0].(map[string]any)["type"] != "casework.visit_recorded" {
		t.Errorf("not only his own entries: %v", lines)
	}
	// Who is a volunteer here and a cadre there sees here what the cadre may see.
	m.do(commandsSystem, "officer", "officer.grant_post", m.officers["role3.own"], staff.GrantPost{Role: record.VillageCadre, Unit: m.units["清溪镇村"]})
	if a := c.get("/v1/people/" + m.person.String()); a.text("person.citizenId") != idWang {
		t.Errorf("as a cadre: %s", a)
	}
}

// Ensure that a declared recusal closes the file to the officer.
func TestRecusal(t *testing.T) {
	w := newTown(t, nil).build()
	person, path := w.openCase("cadre")
	w.settle()
	c := w.signIn("cadre")
	expect(t, "before", c.get("/v1/people/"+person.String()), 200, "")
	expect(t, "declare", c.post("/v1/officer/"+w.officers["cadre"].String()+"/declare-recusal", map[string]any{"person": person, "reason": "近亲属"}), 200, "")
	for _, a := range []answer{c.get("/v1/people/" + person.String()), c.get(strings.Replace(path, "/v1/drugs/", "/v1/cases/", 1)), c.post(path+"/record-visit", map[string]any{"outcome": "met"})} {
		expect(t, "after", a, 403, "forbidden")
		if a.text("rule") != "回避" {
			t.Errorf("answered %s", a)
		}
	}
}

// Ensure that a worklist shows duties with the clause they come from, most overdue first, and that fulfilling one moves it.
func TestWorklist(t *testing.T) {
	w := newTown(t, nil).build()
	_, path := w.openCase("cadre")
	office := w.signIn("office")
	expect(t, "tier", office.post(path+"/change-tier", map[string]any{"tier": "strict", "criteria": []string{"may-relapse-any-time"}, "reasons": "随时可能复吸，无人照管"}), 200, "")
	expect(t, "lead", office.post(path+"/assign-responsible", map[string]any{"officer": w.officers["cadre"], "role": "village-cadre", "lead": true}), 200, "")
	w.settle()
	c := w.signIn("office")
	a := c.get("/v1/worklist?whose=unit")
	expect(t, "worklist", a, 200, "")
	duties := a.list("duties")
	if len(duties) == 0 || duties[0]["title"].(map[string]any)["zh"] == "" || duties[0]["source"] == "" || a.text("today") != w.clock.now().Format("2006-01-02") {
		t.Fatalf("worklist: %s", a)
	}
	w.clock.move(400 * 24 * time.Hour)
	a = w.signIn("office").get("/v1/worklist?whose=unit&standing=overdue")
	if len(a.list("duties")) < 2 || a.list("duties")[0]["due"].(string) > a.list("duties")[1]["due"].(string) {
		t.Errorf("a year later: %s", a)
	}
	mine := w.signIn("cadre").get("/v1/worklist")
	for _, d := range mine.list("duties") {
		if d["officer"] != w.officers["cadre"].String() {
			t.Errorf("somebody else's duty: %v", d)
		}
	}
	if len(mine.list("duties")) == 0 {
		t.Errorf("mine: %s", mine)
	}
	expect(t, "a standing that is none", w.signIn("office").get("/v1/worklist?standing=lazy"), 422, "invalid")
}

// Ensure that a whole caseload is handed over in one call with a result for each case, and that a repeat under the same
// key changes nothing.
func TestHandOvers(t *testing.T) {
	w := newTown(t, nil).build()
	w.officer("newcomer", record.CommunityPolice, "清溪派出所", 2)
	var cases []string
	office, police := w.signIn("office"), w.signIn("police")
	for _, name := range []string{"赵测试", "钱测试", "孙测试"} {
		a := police.post("/v1/person/register", map[string]any{"name": name, "noCardReason": "无证", "village": w.units["前进村"]})
		a = police.post("/v1/drugs/open", map[string]any{"person": a.text("id"), "village": w.units["前进村"], "kind": "voluntary"})
		expect(t, "open", a, 201, "")
		cases = append(cases, a.text("id"))
		expect(t, "lead", office.post("/v1/drugs/"+a.text("id")+"/assign-responsible", map[string]any{"officer": w.officers["police"], "role": "community-police", "lead": true}), 200, "")
	}
	w.settle()
	body := map[string]any{"to": w.officers["newcomer"], "role": "community-police", "reason": "调离"}
	dry := police.post("/v1/handovers/propose?dryRun=true", body)
	if expect(t, "dry run", dry, 200, ""); dry.text("recorded") != "3" || dry.text("rows.0.receipt.dryRun") != "true" {
		t.Errorf("dry run: %s", dry)
	}
	key := []string{"Idempotency-Key", "all-of-them"}
	a := police.post("/v1/handovers/propose", body, key...)
	if expect(t, "propose", a, 200, ""); a.text("recorded") != "3" || a.text("refused") != "0" || len(a.list("rows")) != 3 {
		t.Fatalf("propose: %s", a)
	}
	again := police.post("/v1/handovers/propose", body, key...)
	if again.text("rows.0.receipt.repeated") != "true" || again.text("position") != a.text("position") {
		t.Errorf("repeat: %s", again)
	}
	other := police.post("/v1/handovers/propose", body)
	if other.text("refused") != "3" || other.text("rows.0.problem.type") != "/problems/refused" || other.text("rows.0.problem.remedy") == "" {
		t.Errorf("twice: %s", other)
	}
	w.settle()
	newcomer := w.signIn("newcomer")
	expect(t, "nothing chosen", newcomer.post("/v1/handovers/accept", nil), 422, "invalid")
	a = newcomer.post("/v1/handovers/decline", map[string]any{"cases": cases[:1], "reason": "案件太多"})
	if a.text("recorded") != "1" {
		t.Errorf("decline: %s", a)
	}
	accept := map[string]any{"from": w.officers["police"]}
	a = newcomer.post("/v1/handovers/accept", accept, key...)
	if a.text("recorded") != "2" || len(a.list("rows")) != 2 {
		t.Errorf("accept: %s", a)
	}
	w.settle()
	again = newcomer.post("/v1/handovers/accept", accept, key...)
	if len(again.list("rows")) != 2 || again.text("recorded") != "2" || again.text("rows.1.receipt.repeated") != "true" || again.text("position") != a.text("position") {
		t.Errorf("accepted again: %s", again)
	}
	if again = newcomer.post("/v1/handovers/accept", accept, "Idempotency-Key", "another"); len(again.list("rows")) != 0 {
		t.Errorf("accepted under another key: %s", again)
	}
	if again = police.post("/v1/handovers/propose", body, key...); len(again.list("rows")) != 3 || again.text("rows.2.receipt.repeated") != "true" {
		t.Errorf("proposed again, when they are taken: %s", again)
	}
	unknown := newcomer.get("/v1/cases?program=cats")
	if expect(t, "unknown program", unknown, 422, "invalid"); unknown.text("field") != "program" || !strings.Contains(unknown.text("remedy"), "drugs") {
		t.Errorf("of an unknown program: %s", unknown)
	}
	leads := 0
	for _, c := range newcomer.get("/v1/cases?officer=" + w.officers["newcomer"].String()).list("cases") {
		if c["lead"] == w.officers["newcomer"].String() {
			leads++
		}
	}
	if leads != 2 {
		t.Errorf("leads %d cases", leads)
	}
}

// Ensure that papers go in and out by whoever may, that what the record does not name cannot be had, and that the wrong
// type, size or form is refused with a reason.
func TestAttachments(t *testing.T) {
	w := newTown(t, func(o *apiOptions) { o.Limits.Upload = 100 << 10 }).build()
	_, path := w.openCase("cadre")
	id := strings.TrimPrefix(path, "/v1/drugs/")
	c := w.signIn("cadre")
	at := "/v1/attachments/drugs/" + id
	content := []byte("戒毒协议书（测试）")
	a := c.upload(at, "协议.txt", "text/plain", content)
	expect(t, "upload", a, 201, "")
	sha := a.text("sha256")
	expect(t, "not yet in the record", c.get(at+"/"+sha), 404, "not-found")
	expect(t, "add", c.post(a.text("next"), map[string]any{"sha256": sha, "size": json.Number(a.text("size")), "mediaType": "text/plain", "title": "协议", "name": "协议.txt"}), 200, "")
	got := c.get(at + "/" + sha)
	expect(t, "download", got, 200, "")
	if string(got.raw) != string(content) || got.header.Get("Content-Disposition") == "" || got.header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("downloaded %q with %v", got.raw, got.header)
	}
	expect(t, "a program", c.upload(at, "x.exe", "application/x-msdownload", []byte("MZ\x90\x00")), 415, "unsupported-media-type")
	expect(t, "said to be a picture", c.upload(at, "x.png", "image/png", content), 415, "unsupported-media-type")
	expect(t, "too large", c.upload(at, "x.txt", "text/plain", []byte(strings.Repeat("文", 100<<10))), 413, "too-large")
	expect(t, "no form", c.post(at, nil), 415, "unsupported-media-type")
	expect(t, "no file", c.call(http.MethodPost, at, strings.NewReader("--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nb\r\n--x--\r\n"), "Content-Type", "multipart/form-data; boundary=x"), 422, "invalid")
	expect(t, "no program", c.upload("/v1/attachments/person/"+id, "x.txt", "text/plain", content), 404, "not-found")
	expect(t, "no case", c.upload("/v1/attachments/drugs/"+uuid.NewString(), "x.txt", "text/plain", content), 403, "forbidden")
}

// Ensure that a roster is judged without a record, taken in in the background, and changes nothing when it comes again.
func TestImport(t *testing.T) {
	w := newTown(t, nil).build()
	c := w.signIn("office")
	roster := []byte("姓名,身份证号码,所在村,类别\n赵测试,999999197802140014,前进村,一般\n钱测试,999999196508080037,前进村,一般\n")
	a := c.upload("/v1/imports", "花名册.csv", "text/csv", roster)
	expect(t, "dry run", a, 200, "")
	if a.text("counts.accepted") != "1" || a.text("rows.1.outcome") != "rejected" || a.text("rows.1.reasons.0.zh") == "" || a.text("rows.1.reasons.0.cell") != "B3" || a.text("columns.1.field") != "citizenId" {
		t.Errorf("judged: %s", a)
	}
	unknown := c.upload("/v1/imports", "x.csv", "text/csv", bytes.ReplaceAll(roster, []byte("前进村"), []byte("没有的村")))
	if unknown.text("unregisteredVillages.0") != "没有的村" {
		t.Errorf("unknown village: %s", unknown)
	}
	w.settle()
	if n := len(c.get("/v1/people").list("people")); n != 0 {
		t.Errorf("a dry run registered %d people", n)
	}
	for _, want := range []string{"first", "again"} {
		a = c.upload("/v1/imports?commit=true", "花名册.csv", "text/csv", roster)
		expect(t, want, a, 202, "")
		where := a.header.Get("Location")
		for a = c.get(where); a.text("state") != "finished"; a = c.get(where) {
			if a.text("state") == "failed" || a.status != 200 {
				t.Fatalf("%s: %s", want, a)
			}
		}
		if a.text("results.0.outcome") != "accepted" || a.text("results.1.outcome") != "rejected" || a.text("done") != "2" || (a.text("repeated") == "true") != (want == "again") {
			t.Errorf("%s: %s", want, a)
		}
		w.settle()
		if n := len(c.get("/v1/people").list("people")); n != 1 {
			t.Errorf("%s: %d people", want, n)
		}
	}
	if len(c.get("/v1/imports").list("imports")) != 1 {
		t.Error("the list of imports does not show it")
	}
	w.restart()
	if a = c.get("/v1/imports/" + a.text("id")); a.text("state") != "finished" || a.text("results.0.person") == "" {
		t.Errorf("after a restart: %s", a)
	}
	expect(t, "no roster", c.upload("/v1/imports", "x.csv", "text/csv", []byte("a,b\n1,2\n")), 422, "invalid")
}

// held is an importer whose imports do not end before they are let go.
type held struct {
	api.Importer
	letGo chan struct{}
}

func (h held) Commit(ctx context.Context, r *imports.Roster, as imports.As, progress func(done, total int)) (imports.Summary, error) {
	select {
	case <-h.letGo:
		return h.Importer.Commit(ctx, r, as, progress)
	case <-ctx.Done():
		return imports.Summary{}, ctx.Err()
	}
}

// Ensure that only a few rosters wait in memory, that whoever is refused may send his again, and that imports which ended
// are not kept for ever but stay in the record.
func TestImportsWaiting(t *testing.T) {
	letGo := make(chan struct{})
	w := newTown(t, func(o *api.Options) { o.Importer = held{o.Importer, letGo} }).build()
	c := w.signIn("office")
	send := func(i int) answer {
		return c.upload("/v1/imports?commit=true", "花名册.csv", "text/csv", fmt.Appendf(nil, "花名册第%d版\n姓名,身份证号码,所在村,类别\n赵测试,999999197802140014,前进村,一般\n", i))
	}
	var first, last string
	taken := 0
	for ; taken < 20; taken++ {
		a := send(taken)
		if a.status != 202 {
			expect(t, "one too many", a, 503, "unavailable")
			break
		}
		if last = a.header.Get("Location"); first == "" {
			first = last
		}
	}
	if taken < 2 || taken > 10 {
		t.Fatalf("%d rosters wait", taken)
	}
	expect(t, "one that waits already", send(taken-1), 202, "")
	close(letGo)
	ended := func(where string) {
		t.Helper()
		for a := c.get(where); a.text("state") != "finished"; a = c.get(where) {
			if a.text("state") == "failed" || a.status != 200 {
				t.Fatalf("%s: %s", where, a)
			}
		}
	}
	ended(first)
	for ; taken < 70; taken++ {
		a := send(taken)
		expect(t, "later", a, 202, "")
		ended(a.header.Get("Location"))
	}
	if n := len(c.get("/v1/imports").list("imports")); n > 60 {
		t.Errorf("%d imports are kept", n)
	}
	ended(first)
}

// Ensure that reports without an engine say what to do, and are for those whom their row names.
func TestReportsWithoutEngine(t *testing.T) {
	w := newTown(t, nil).build()
	a := w.signIn("office").get("/v1/reports")
	expect(t, "list", a, 200, "")
	name, _ := a.list("reports")[0]["name"].(string)
	a = w.signIn("office").get("/v1/reports/" + name)
	expect(t, "run", a, 503, "unavailable")
	if a.text("remedy") == "" {
		t.Errorf("answered %s", a)
	}
	expect(t, "not for a cadre", w.signIn("cadre").get("/v1/reports/"+name), 403, "forbidden")
	expect(t, "no such report", w.signIn("office").get("/v1/reports/everything"), 404, "not-found")
}

// Ensure that officers, units, policy and codes are there for whoever works, with account details only for those who keep
// accounts.
func TestStaffing(t *testing.T) {
	w := newTown(t, nil).build()
	c := w.signIn("cadre")
	a := c.get("/v1/officers?role=community-police")
	expect(t, "officers", a, 200, "")
	if o := a.list("officers"); len(o) != 1 || o[0]["login"] != nil || o[0]["name"] != "测试police" {
		t.Errorf("officers: %s", a)
	}
	if o := w.signIn("admin").get("/v1/officers?role=community-police").list("officers"); len(o) != 1 || o[0]["login"] != "police" {
		t.Errorf("for the administrator: %v", o)
	}
	if o := c.get("/v1/officers/" + w.officers["cadre"].String()); o.text("officer.login") != "cadre" {
		t.Errorf("oneself: %s", o)
	}
	expect(t, "nobody", c.get("/v1/officers/"+uuid.NewString()), 404, "not-found")
	if n := len(c.get("/v1/units").list("units")); n != 5 {
		t.Errorf("%d units", n)
	}
	if u := c.get("/v1/units/" + w.units["前进村"].String()); u.text("unit.name") != "前进村" {
		t.Errorf("unit: %s", u)
	}
	p := c.get("/v1/policy")
	if expect(t, "policy", p, 200, ""); p.text("duties.0.source") == "" || len(p.list("settings")) == 0 {
		t.Errorf("policy: %s", p)
	}
	if codes := c.get("/v1/codes"); !strings.Contains(string(codes.raw), "casework.services") || !strings.Contains(string(codes.raw), "谈心鼓励") {
		t.Errorf("codes: %s", codes)
	}
}

// Ensure that a read of one file says up to which position of the log it is whole, also when the newest event is of another
// file, and never less than the caller asked for.
func TestFilesShowThePositionAskedFor(t *testing.T) {
	w := newTown(t, nil).build()
	who, path := w.openCase("cadre")
	c := w.signIn("cadre")
	other := c.post("/v1/person/register", w.someone("李测试", idLi, "前进村"))
	expect(t, "a later event of another file", other, 201, "")
	asked, _ := strconv.ParseUint(other.text("position"), 10, 64)
	file := "/v1/people/" + who.String()
	for _, read := range []string{file + "?", file + "/timeline?", file + "/gaps?", file + "/difference?from=2020-01-01&", "/v1/cases/" + path[strings.LastIndex(path, "/")+1:] + "?", file + "?asOf=2026-09-21&"} {
		a := c.get(read + "atLeast=" + other.text("position"))
		expect(t, read, a, 200, "")
		if shown, err := strconv.ParseUint(a.header.Get("Yidang-Position"), 10, 64); err != nil || shown < asked || a.text("position") != a.header.Get("Yidang-Position") {
			t.Errorf("%s shows position %s, asked for %d", read, a.header.Get("Yidang-Position"), asked)
		}
	}
}
