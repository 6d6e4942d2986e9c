package api_test

import (
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"testing"
)

// Ensure that the document is served as it is, says what it is, and leaves nothing of an operation undescribed. With
// YIDANG_OPENAPI set, it is written there for the linter.
func TestDocument(t *testing.T) {
	w := newTown(t, nil)
	if to := os.Getenv("YIDANG_OPENAPI"); to != "" {
		if err := os.WriteFile(to, w.server.OpenAPI(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	a := w.anonymous().get("/openapi.json")
	expect(t, "document", a, 200, "")
	if string(a.raw) != string(w.server.OpenAPI()) {
		t.Error("the document served is another one")
	}
	if a.text("openapi") != "3.1.0" {
		t.Errorf("OpenAPI %s", a.text("openapi"))
	}
	var doc struct {
		Paths map[string]map[string]struct {
			OperationID, Summary, Description string
			Tags                              []string
			Responses                         map[string]struct{ Description string }
		}
	}
	if err := json.Unmarshal(a.raw, &doc); err != nil {
		t.Fatal(err)
	}
	for path, methods := range doc.Paths {
		for method, op := range methods {
			if op.OperationID == "" || op.Summary == "" || op.Description == "" || len(op.Tags) != 1 {
				t.Errorf("%s %s is not described: %+v", method, path, op)
			}
			if method == http.MethodPost && op.Responses["422"].Description == "" {
				t.Errorf("%s %s does not say what is refused", method, path)
			}
		}
	}
	for _, leak := range []string{"ErrorModel", "ErrorDetail"} {
		if strings.Contains(string(a.raw), leak) {
			t.Errorf("the document speaks of %s", leak)
		}
	}
}

// Ensure that the pages are served without scripts, find what is searched for, and are closed to injected markup.
func TestPages(t *testing.T) {
	w := newTown(t, nil)
	c := w.anonymous()
	a := c.get("/docs")
	expect(t, "docs", a, 200, "")
	page := string(a.raw)
	if strings.Contains(page, "<script") || !strings.Contains(page, `id="drugs-record-visit"`) || !strings.Contains(page, "occurredAt") {
		t.Error("the page lacks a command, or has a script")
	}
	if csp := a.header.Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
		t.Errorf("CSP %q", csp)
	}
	page = string(c.get("/docs?lang=zh&q=%E8%B5%B0%E8%AE%BF").raw) // 走访
	if !strings.Contains(page, `id="drugs-record-visit"`) || strings.Contains(page, `id="person-register"`) || !strings.Contains(page, `lang="zh"`) {
		t.Error("the search for 走访 does not find visits alone")
	}
	if page = string(c.get("/docs?q=%22%3E%3Cscript%3E").raw); strings.Contains(page, "<script>") {
		t.Error("a query gets into the page as markup")
	}
	expect(t, "style", c.get("/docs/style.css"), 200, "")
	for _, kind := range []string{"invalid", "refused", "internal", "too-many-requests"} {
		if a := c.get("/problems/" + kind); a.status != 200 || !strings.Contains(string(a.raw), kind) {
			t.Errorf("/problems/%s: %s", kind, a)
		}
	}
	expect(t, "no such kind", c.get("/problems/boredom"), 404, "not-found")
	if !strings.Contains(string(c.get("/problems", "Accept-Language", "zh").raw), "规则不允许") {
		t.Error("problems are not described in Chinese")
	}
}

// Ensure that whoever watches the service sees it alive and ready, that metrics name routes and not people, and that they
// are not for everybody.
func TestHealth(t *testing.T) {
	w := newTown(t, nil).build()
	c := w.signIn("cadre")
	expect(t, "register", c.post("/v1/person/register", w.someone("王测试", idWang, "前进村")), 201, "")
	expect(t, "healthz", c.get("/healthz"), 200, "")
	expect(t, "readyz", c.get("/readyz"), 200, "")
	m := string(c.get("/metrics").raw)
	for _, line := range []string{`yidang_http_seconds_count{method="POST",route="/v1/person/register",status="201"} 1`, `yidang_sign_ins_total{outcome="signed-in"} 1`,
		`yidang_build_info{go="go",revision="test",version="0.1.0"} 1`, `yidang_command_seconds_count{command="person.register",outcome="recorded"} 1`} {
		if !strings.Contains(m, line) {
			t.Errorf("metrics lack %s", line)
		}
	}
	logged := w.log.String()
	for _, personal := range []string{"王测试", idWang, phone, password, "cadre"} {
		for _, line := range strings.Split(m+"\n"+logged, "\n") {
			if strings.Contains(line, personal) {
				t.Errorf("metrics or log hold %q: %s", personal, line)
			}
		}
	}
	if !strings.Contains(logged, `"route":"/v1/person/register"`) || !strings.Contains(logged, w.officers["cadre"].String()) {
		t.Error("the log does not name route and officer")
	}
}
