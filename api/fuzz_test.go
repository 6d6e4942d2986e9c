package api_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/uuid"
)

// fuzzTown is one township for a whole fuzz run.
func fuzzTown(f *testing.F) (*town, *client, string) {
	w := newTown(f, nil).build()
	_, path := w.openCase("cadre")
	w.settle()
	return w, w.signIn("cadre"), path
}

// in makes the client report to the test at hand.
func (c *client) in(t *testing.T) *client {
	w := *c.w
	w.t = t
	return &client{w: &w, cookie: c.cookie, bearer: c.bearer}
}

// answered fails when an answer is a defect: a 500, or a refusal that does not say what is wrong.
func answered(t *testing.T, a answer) {
	t.Helper()
	if a.status >= 500 {
		t.Fatalf("a defect: %s", a)
	}
	if a.status >= 400 && (a.text("type") == "" || a.text("title") == "" || a.text("remedy") == "") {
		t.Fatalf("a refusal without a problem: %s", a)
	}
}

// FuzzBody sends anything as the body of a command and of other operations.
func FuzzBody(f *testing.F) {
	w, c, path := fuzzTown(f)
	for _, s := range []string{`{}`, `null`, `[]`, `{"outcome":"met"}`, `{"outcome":"met","occurredAt":"2026-09-01"}`, `{"outcome":"met","OUTCOME":"absent"}`,
		`{"criteria":[{}],"tier":1}`, `{"hours":1e999}`, `{"name":"\ud800","village":"` + uuid.NewString() + `"}`, `{"size":9007199254740993.5}`,
		`{"testers":[[],{}],"collector":null}`, "\x00", `{"a":` + strings.Repeat("[", 10_000), `{"name":"王测试","citizenId":"１２３","sex":1.5}`, `{"late":"import","transcribed":true}`} {
		f.Add([]byte(s))
	}
	paths := []string{path + "/record-visit", path + "/record-urine-test", path + "/deliver-service", path + "/change-tier", path + "/add-attachment", path + "/sign-agreement",
		"/v1/person/register", "/v1/drugs/open", "/v1/handovers/propose", "/v1/me/tokens"}
	f.Fuzz(func(t *testing.T, body []byte) {
		c, nobody := c.in(t), w.anonymous().in(t)
		for _, p := range paths {
			answered(t, c.call(http.MethodPost, p+"?dryRun=true", strings.NewReader(string(body)), "Content-Type", "application/json"))
		}
		answered(t, nobody.call(http.MethodPost, "/v1/session", strings.NewReader(string(body)), "Content-Type", "application/json"))
	})
}

// FuzzQuery sends anything as parameters of reads: cursors, days, ids, numbers.
func FuzzQuery(f *testing.F) {
	_, c, _ := fuzzTown(f)
	for _, s := range []string{"", "x", "o.1.2", "e.1.2", uuid.NewString(), "2026-09-01", "2026-02-30T99:99:99Z", "-1", "18446744073709551616", "%00", "overdue,overdue", strings.Repeat("王", 30), "\xff", "e.9223372036854775807.9223372036854775807"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, v := c.in(t), url.QueryEscape(text)
		for _, p := range []string{"/v1/people?cursor=", "/v1/people?q=", "/v1/cases?cursor=", "/v1/worklist?whose=unit&cursor=", "/v1/worklist?standing=", "/v1/worklist?case=",
			"/v1/people?limit=", "/v1/reports/register?from=", "/v1/policy?atLeast=", "/v1/units?", "/v1/officers?q="} {
			if strings.HasSuffix(p, "atLeast=") && len(text) > 0 && text[0] >= '0' && text[0] <= '9' {
				continue // a position that never comes is a wait
			}
			answered(t, c.get(p+v))
		}
		for _, p := range []string{"/v1/people/", "/v1/cases/", "/v1/officers/", "/v1/imports/", "/v1/attachments/drugs/"} {
			answered(t, c.get(p+url.PathEscape(text)))
		}
	})
}

// FuzzCredentials sends anything as a session or a token: nobody gets in by chance.
func FuzzCredentials(f *testing.F) {
	w, c, _ := fuzzTown(f)
	issued := c.post("/v1/me/tokens", map[string]any{"name": "x", "days": 1}).text("token")
	for _, s := range []string{"", "yd_", c.cookie.Value, issued, issued[:40], strings.Repeat("A", 95)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if text == c.cookie.Value || text == issued || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r >= 127 }) {
			return
		}
		nobody := w.anonymous().in(t)
		a := nobody.call(http.MethodGet, "/v1/me", nil, "Authorization", "Bearer "+text)
		if a.status != http.StatusUnauthorized {
			t.Fatalf("as a token: %s", a)
		}
		if a = nobody.call(http.MethodGet, "/v1/me", nil, "Cookie", "yidang="+text); a.status != http.StatusUnauthorized {
			t.Fatalf("as a session: %s", a)
		}
	})
}
