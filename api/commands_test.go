package api_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"yidang/api"
	"yidang/domain/commands"
	"yidang/domain/person"
	"yidang/domain/record"
)

// someone is a valid registration; the citizen ids are of the test range 999999.
func (w *town) someone(name, citizenID, village string) map[string]any {
	return map[string]any{"name": name, "citizenId": citizenID, "village": w.units[village], "phone": phone}
}

// Synthetic citizen ids with a right check digit.
const (
	idWang = "999999198503122216"
	idLi   = "99999919901105002X"
	phone  = "12073618294" // no run of zeros, as a sum of seconds in the metrics may end in
)

// Ensure that every row of the catalog that is not internal has a route of its own, and an internal one none.
func TestRoutesOfCatalog(t *testing.T) {
	w := newTown(t, nil)
	var doc struct {
		Paths map[string]map[string]struct {
			OperationID string `json:"operationId"`
			Description string
		}
	}
	if err := json.Unmarshal(w.server.OpenAPI(), &doc); err != nil {
		t.Fatal(err)
	}
	for _, k := range w.catalog.Categories {
		for i := range k.Commands {
			row := &k.Commands[i]
			op, ok := doc.Paths[api.CommandPath(k, row)]["post"]
			if ok == row.Internal {
				t.Errorf("%s in %s: internal %t, in the document %t", row.Name, k.Name, row.Internal, ok)
			}
			if ok && (!strings.Contains(op.Description, row.Source) || op.OperationID == "") {
				t.Errorf("%s: %+v does not name %q", row.Name, op, row.Source)
			}
		}
	}
}

// Ensure that the files of people who look the same come with the refusal, masked.
func TestLookalikes(t *testing.T) {
	w := newTown(t, nil).build()
	c := w.signIn("cadre")
	alike := person.Lookalike{ID: uuid.New(), CitizenID: person.CitizenID(idWang).Masked(), Birth: true}
	w.x.Precheck = func(context.Context, *record.CommandRow, commands.Request) error {
		return &person.LooksKnown{Files: []person.Lookalike{alike}}
	}
	a := c.post("/v1/person/register?dryRun=true", w.someone("王测试", idLi, "前进村"))
	expect(t, "register", a, 409, "refused")
	if a.text("lookalikes.0.id") != alike.ID.String() || a.text("lookalikes.0.citizenId") != alike.CitizenID || a.text("lookalikes.0.sameBirth") != "true" || a.text("field") != "differentFrom" {
		t.Errorf("answered %s", a)
	}
}

// Ensure that a command is recorded once and answered with its receipt, headers and place.
func TestCommand(t *testing.T) {
	w := newTown(t, nil).build()
	c := w.signIn("cadre")
	a := c.post("/v1/person/register", w.someone("王测试", idWang, "前进村"))
	expect(t, "register", a, 201, "")
	id := a.text("id")
	if a.header.Get("Location") != "/v1/people/"+id || a.header.Get("ETag") != `"0"` || a.header.Get("Yidang-Position") != a.text("position") || a.text("position") == "0" {
		t.Errorf("headers %v of %s", a.header, a)
	}
	if a.text("events.0.type") != "person.registered" || a.text("events.0.line.zh") == "" {
		t.Errorf("receipt %s", a)
	}
	a = c.post("/v1/person/"+id+"/change-contact", map[string]any{"phone": "12000000002"}, "If-Match", `"0"`)
	expect(t, "change", a, 200, "")
	if a.header.Get("ETag") != `"1"` {
		t.Errorf("ETag %s", a.header.Get("ETag"))
	}
	expect(t, "stale", c.post("/v1/person/"+id+"/change-contact", map[string]any{"phone": "12000000003"}, "If-Match", `"0"`), 412, "precondition-failed")
	expect(t, "no ETag", c.post("/v1/person/"+id+"/change-contact", map[string]any{"phone": "12000000003"}, "If-Match", `0`), 422, "invalid")
	expect(t, "nobody", c.post("/v1/person/"+uuid.NewString()+"/change-contact", map[string]any{"phone": "12000000003"}), 403, "forbidden")
	expect(t, "not a uuid", c.post("/v1/person/x/change-contact", map[string]any{"phone": "12000000003"}), 422, "invalid")
}

// Ensure that a dry run says what would be recorded and records nothing.
func TestDryRun(t *testing.T) {
	w := newTown(t, nil).build()
	c := w.signIn("cadre")
	a := c.post("/v1/person/register?dryRun=true", w.someone("王测试", idWang, "前进村"))
	expect(t, "dry run", a, 200, "")
	if a.text("dryRun") != "true" || a.text("events.0.type") != "person.registered" || a.header.Get("Location") != "" {
		t.Errorf("answered %s", a)
	}
	expect(t, "nothing was recorded", c.post("/v1/person/register", w.someone("王测试", idWang, "前进村")), 201, "")
	a = c.post("/v1/person/register?dryRun=true", w.someone("王测试", idWang, "前进村"))
	expect(t, "or why not", a, 409, "refused")
	if a.text("field") != "citizenId" || a.text("rule") == "" || a.text("remedy") == "" || a.text("zh") == "" {
		t.Errorf("answered %s", a)
	}
	expect(t, "neither true nor false", c.post("/v1/person/register?dryRun=maybe", w.someone("王测试", idWang, "前进村")), 422, "invalid")
}

// Ensure that a repeat under the same key is answered with the first result, after a restart too, and that a key cannot be
// used for something else.
func TestIdempotency(t *testing.T) {
	w := newTown(t, nil).build()
	c := w.signIn("cadre")
	key := []string{"Idempotency-Key", uuid.NewString()}
	first := c.post("/v1/person/register", w.someone("王测试", idWang, "前进村"), key...)
	expect(t, "first", first, 201, "")
	for _, what := range []string{"repeat", "repeat after a restart"} {
		again := c.post("/v1/person/register", w.someone("王测试", idWang, "前进村"), key...)
		expect(t, what, again, 201, "")
		if again.text("repeated") != "true" || again.text("id") != first.text("id") || again.text("events.0.id") != first.text("events.0.id") || again.text("position") != first.text("position") {
			t.Errorf("%s: %s, first %s", what, again, first)
		}
		w.restart()
	}
	at := "/v1/person/" + first.text("id") + "/change-contact"
	key = []string{"Idempotency-Key", "once"}
	expect(t, "use", c.post(at, map[string]any{"phone": "12000000002"}, key...), 200, "")
	a := c.post(at, map[string]any{"phone": "12000000003"}, key...)
	expect(t, "use for something else", a, 409, "conflict")
	if a.text("field") != "Idempotency-Key" {
		t.Errorf("answered %s", a)
	}
	expect(t, "a key with a space", c.post(at, map[string]any{"phone": "12000000003"}, "Idempotency-Key", "a b"), 422, "invalid")
	second := c.post("/v1/person/register", w.someone("李测试", idLi, "前进村"), "Idempotency-Key", "shared")
	expect(t, "second person", second, 201, "")
	one := c.post(at, map[string]any{"phone": "12000000004"}, "Idempotency-Key", "two files")
	two := c.post("/v1/person/"+second.text("id")+"/change-contact", map[string]any{"phone": "12000000004"}, "Idempotency-Key", "two-files")
	_ = one
	expect(t, "the same key for another file", two, 200, "")
}

// Ensure that a bad input is refused with the field, the rule and the remedy, in the language asked for.
func TestBadInput(t *testing.T) {
	w := newTown(t, nil).build()
	c := w.signIn("cadre")
	valid := func(change func(map[string]any)) map[string]any {
		m := w.someone("王测试", idWang, "前进村")
		change(m)
		return m
	}
	for _, tc := range []struct {
		name, path string
		body       any
		status     int
		kind       string
		field      string
	}{
		{"no JSON", "/v1/person/register", "{", 400, "malformed", "body"},
		{"a list", "/v1/person/register", "[]", 400, "malformed", "body"},
		{"null", "/v1/person/register", "null", 400, "malformed", "body"},
		{"trailing", "/v1/person/register", "{}{}", 400, "malformed", "body"},
		{"nothing", "/v1/person/register", "{}", 422, "invalid", "name"},
		{"unknown field", "/v1/person/register", valid(func(m map[string]any) { m["nickname"] = "x" }), 422, "invalid", "nickname"},
		{"field in capitals", "/v1/person/register", valid(func(m map[string]any) { m["NAME"] = "x" }), 422, "invalid", "NAME"},
		{"wrong type", "/v1/person/register", valid(func(m map[string]any) { m["name"] = 5 }), 422, "invalid", "name"},
		{"too long", "/v1/person/register", valid(func(m map[string]any) { m["name"] = strings.Repeat("王", 51) }), 422, "invalid", "name"},
		{"no uuid", "/v1/person/register", valid(func(m map[string]any) { m["village"] = "前进村" }), 422, "invalid", "village"},
		{"uuid in a list", "/v1/person/register", valid(func(m map[string]any) { m["differentFrom"] = []string{"x"} }), 422, "invalid", "differentFrom[0]"},
		{"check digit", "/v1/person/register", valid(func(m map[string]any) { m["citizenId"] = "999999198503122217" }), 422, "invalid", "citizenId"},
		{"an undated command with a date", "/v1/person/register", valid(func(m map[string]any) { m["occurredAt"] = "2026-01-01" }), 422, "invalid", "occurredAt"},
		{"no such route", "/v1/person/explode", "{}", 404, "not-found", ""},
	} {
		a := c.post(tc.path, tc.body)
		expect(t, tc.name, a, tc.status, tc.kind)
		if a.text("field") != tc.field || a.text("remedy") == "" || a.text("zh") == "" || a.text("rule") == "" && tc.field != "" && tc.field != "citizenId" {
			t.Errorf("%s: answered %s", tc.name, a)
		}
	}
	a := c.post("/v1/person/register", "{}", "Accept-Language", "zh-CN,zh;q=0.9,en;q=0.5")
	if a.text("title") != "输入有误" || a.text("detail") != "缺少必填字段" || a.header.Get("Content-Language") != "zh" {
		t.Errorf("in Chinese: %s", a)
	}
	if n := len(a.body["errors"].([]any)); n != 2 {
		t.Errorf("%d fields are named, not name and village: %s", n, a)
	}
	expect(t, "content type", c.call(http.MethodPost, "/v1/person/register", strings.NewReader("name=x"), "Content-Type", "application/x-www-form-urlencoded"), 415, "unsupported-media-type")
	expect(t, "method", c.get("/v1/person/register"), 405, "method-not-allowed")
	expect(t, "too large", c.post("/v1/person/register", `{"name":"`+strings.Repeat("a", 300<<10)+`"}`), 413, "too-large")
}

// Ensure that a person who has no right to a command learns who has.
func TestForbidden(t *testing.T) {
	w := newTown(t, nil).build()
	a := w.signIn("cadre").post("/v1/person/register", w.someone("王测试", idWang, "石桥村"))
	expect(t, "another village", a, 403, "forbidden")
	if a.text("rule") == "" || a.text("remedy") == "" {
		t.Errorf("a refusal does not name the clause that the command carries out, and the remedy: %s", a)
	}
	if !strings.Contains(a.text("remedy"), "township office") {
		t.Errorf("remedy %q", a.text("remedy"))
	}
}

// Ensure that a command takes the moment it speaks of: a time, a day, with a reason when late, never the future.
func TestOccurredAt(t *testing.T) {
	w := newTown(t, nil).build()
	_, at := w.openCase("cadre")
	c := w.signIn("cadre")
	visit := func(more map[string]any) answer {
		m := map[string]any{"outcome": "met", "note": "情况正常"}
		for k, v := range more {
			m[k] = v
		}
		return c.post(at+"/record-visit", m)
	}
	day := w.clock.now().Format("2006-01-02")
	expect(t, "now", visit(nil), 200, "")
	expect(t, "a day", visit(map[string]any{"occurredAt": day}), 200, "")
	expect(t, "a time", visit(map[string]any{"occurredAt": w.clock.now().Add(-time.Hour).Format(time.RFC3339)}), 200, "")
	for what, tc := range map[string]struct{ when, late, field string }{
		"the future": {"2027-01-01", "", "occurredAt"}, "no day": {"2026-02-30", "", "occurredAt"}, "no time": {"yesterday", "", "occurredAt"},
		"a code that is none": {day, "tired", "late"}, "half a time": {day + "T25:00:00Z", "", "occurredAt"},
	} {
		m := map[string]any{"occurredAt": tc.when}
		if tc.late != "" {
			m["late"] = tc.late
		}
		a := visit(m)
		expect(t, what, a, 422, "invalid")
		if a.text("field") != tc.field {
			t.Errorf("%s: %s", what, a)
		}
	}
	expect(t, "a post of one's own", visit(map[string]any{"post": c.get("/v1/me").text("posts.0.id")}), 200, "")
	expect(t, "a post of nobody", visit(map[string]any{"post": uuid.New()}), 403, "forbidden")
}
