package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"yidang/domain/catalog"
	"yidang/domain/commands"
	"yidang/domain/dossier"
	"yidang/domain/notary"
	"yidang/domain/notary/keyfile"
	"yidang/domain/record"
	"yidang/domain/units"
	"yidang/projections/analytics/embedded"
	"yidang/projections/reports"
)

const rosters = "../../api/imports/testdata/"

// TestMain lets the test binary be the engine's child, as the real binary is.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == engineWord {
		os.Exit(embedded.Main(os.Args[2:]))
	}
	if len(os.Args) > 1 && os.Args[1] == serveWord {
		os.Exit(serveUntilKilled())
	}
	os.Exit(m.Run())
}

// town is an installation in a temp directory, driven through its command line and its HTTP API.
type town struct {
	t       *testing.T
	environ []string
	data    string
	log     *buffer
}

// buffer is a log that may be read while it is written.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) { b.mu.Lock(); defer b.mu.Unlock(); return b.b.Write(p) }
func (b *buffer) String() string              { b.mu.Lock(); defer b.mu.Unlock(); return b.b.String() }

func newTown(t *testing.T) *town {
	t.Helper()
	library, err := embedded.Locate(filepath.Join(root, ".cache", "chdb"))
	if err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(t.TempDir(), "data")
	return &town{t: t, data: data, log: &buffer{}, environ: []string{
		"YIDANG_DATA=" + data, "YIDANG_LISTEN=127.0.0.1:0", "YIDANG_ANALYTICS_LIBRARY=" + library, "YIDANG_LOG_LEVEL=debug"}}
}

// run runs a subcommand that must succeed and gives its output.
func (w *town) run(args ...string) string {
	w.t.Helper()
	var out bytes.Buffer
	if status := runCommand(w.t.Context(), args, w.environ, &out, w.log); status != 0 {
		w.t.Fatalf("yidang %s: status %d\n%s", strings.Join(args, " "), status, w.log)
	}
	return out.String()
}

// serve starts the server; the function it returns stops it and waits.
func (w *town) serve() (address string, stop func()) {
	w.t.Helper()
	config, err := loadConfig("", w.environ)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(w.t.Context())
	p := &program{ctx: ctx, config: config, log: newLog(config.Log, w.log), out: io.Discard, err: w.log}
	started, ended := make(chan string, 1), make(chan error, 1)
	go func() { ended <- withServer(p, func(a string) { started <- a }) }()
	select {
	case address = <-started:
	case err := <-ended:
		w.t.Fatalf("the server did not start: %v\n%s", err, w.log)
	}
	return address, func() {
		w.t.Helper()
		cancel()
		if err := <-ended; err != nil {
			w.t.Errorf("the server ended with %v", err)
		}
	}
}

// user is somebody who is signed in.
type user struct {
	t       *testing.T
	address string
	client  *http.Client
}

func (w *town) signIn(address, login string) *user {
	w.t.Helper()
	raw, err := os.ReadFile(filepath.Join(w.data, "demo-accounts.txt"))
	if err != nil {
		w.t.Fatal(err)
	}
	for line := range strings.Lines(string(raw)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == login {
			jar, _ := cookiejar.New(nil)
			u := &user{w.t, address, &http.Client{Jar: jar}}
			u.must(http.MethodPost, "/v1/session", nil, map[string]string{"login": login, "password": f[1]})
			return u
		}
	}
	w.t.Fatalf("no account %s in %s", login, raw)
	return nil
}

func (u *user) call(method, path string, header map[string]string, body any) (int, []byte) {
	u.t.Helper()
	var in io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			u.t.Fatal(err)
		}
		in = bytes.NewReader(raw)
	}
	r, err := http.NewRequestWithContext(u.t.Context(), method, u.address+path, in)
	if err != nil {
		u.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	for k, v := range header {
		r.Header.Set(k, v)
	}
	resp, err := u.client.Do(r)
	if err != nil {
		u.t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		u.t.Fatal(err)
	}
	return resp.StatusCode, raw
}

// must calls and decodes an answer that must be a success.
func (u *user) must(method, path string, header map[string]string, body any) map[string]any {
	u.t.Helper()
	status, raw := u.call(method, path, header, body)
	if status/100 != 2 {
		u.t.Fatalf("%s %s: %d %s", method, path, status, raw)
	}
	out := map[string]any{}
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &out); err != nil {
			u.t.Fatalf("%s %s: %v in %s", method, path, err, raw)
		}
	}
	return out
}

func at(v any, path ...any) any {
	for _, p := range path {
		switch p := p.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[p]
		case int:
			l, _ := v.([]any)
			if p >= len(l) {
				return nil
			}
			v = l[p]
		}
	}
	return v
}

// Ensure that the README's tour holds: a case officer's day, an inspector's as-of question and the reports, on the
// demo, over a restart.
func TestTour(t *testing.T) {
	w := newTown(t)
	w.run("demo", "--months", "2", "--people", "24")
	if strings.Contains(w.log.String(), "demo: 0 accepted") {
		t.Errorf("no row of the demo's roster is taken in whole:\n%s", w.log)
	}
	address, stop := w.serve()

	officer := w.signIn(address, "cadre1")
	duties := officer.must("GET", "/v1/worklist?limit=1", nil, nil)
	kase, who := at(duties, "duties", 0, "case"), at(duties, "duties", 0, "person")
	if kase == nil {
		t.Fatalf("the case officer's worklist is empty: %v", duties)
	}
	visit := fmt.Sprintf("/v1/drugs/%s/record-visit", kase)
	before := time.Now().UTC()
	receipt := officer.must("POST", visit, map[string]string{"Idempotency-Key": "tour"}, map[string]any{"outcome": "met", "note": "在家"})
	file := officer.must("GET", fmt.Sprintf("/v1/people/%s?atLeast=%.0f", who, at(receipt, "position")), nil, nil)
	if line := at(file, "timeline", "lines", 0, "text", "zh"); line == nil || !strings.Contains(line.(string), "见到本人") {
		t.Errorf("the newest line of the file is %v", line)
	}

	w.approves(address)

	inspector := w.signIn(address, "inspector")
	then := inspector.must("GET", fmt.Sprintf("/v1/people/%s/timeline?limit=1&knownAt=%s", who, before.Format("2006-01-02T15:04:05Z")), inspecting, nil)
	if at(then, "lines", 0, "id") == at(receipt, "events", 0, "id") {
		t.Error("what was recorded later shows in the file as it was known before")
	}
	inspector.must("GET", fmt.Sprintf("/v1/people/%s?asOf=%s", who, before.AddDate(0, -1, 0).Format("2006-01-02")), inspecting, nil)
	w.proves(inspector, at(receipt, "events", 0, "id").(string))
	w.takesAway(inspector, who.(string), at(receipt, "events", 0, "id").(string))
	if status, _ := inspector.call("POST", visit, nil, map[string]any{"outcome": "met"}); status != http.StatusForbidden {
		t.Errorf("an inspector recorded a visit: %d", status)
	}
	analyst := w.signIn(address, "analyst")
	figures := w.reports(analyst, receipt)
	stop()

	address, stop = w.serve()
	defer stop()
	officer = w.signIn(address, "cadre1")
	again := officer.must("POST", visit, map[string]string{"Idempotency-Key": "tour"}, map[string]any{"outcome": "met", "note": "在家"})
	if at(again, "repeated") != true || at(again, "events", 0, "id") != at(receipt, "events", 0, "id") {
		t.Errorf("after a restart the repeat was answered with %v", again)
	}
	officer.must("POST", visit, nil, map[string]any{"outcome": "absent"})
	if later := w.reports(w.signIn(address, "analyst"), receipt); !reflect.DeepEqual(later, figures) {
		t.Errorf("reports at one position gave other figures later:\n%v\n%v", figures, later)
	}
}

// approves lets the demo's second person decide what waits: not whoever proposed it, nor the officer responsible.
func (w *town) approves(address string) {
	w.t.Helper()
	second := w.signIn(address, "yang.xue")
	waiting := second.must("GET", "/v1/proposals", nil, nil)
	next, id := at(waiting, "proposals", 0, "next"), at(waiting, "proposals", 0, "id")
	if next == nil {
		w.t.Fatalf("nothing waits for a second person: %v", waiting)
	}
	yes := map[string]any{"proposal": id, "note": "经核实，同意"}
	for _, login := range []string{"xu.zhen", "zhou.min"} { // who proposed it, and who is responsible
		if status, raw := w.signIn(address, login).call("POST", next.(string), nil, yes); status != http.StatusForbidden {
			w.t.Errorf("%s approves: %d %s", login, status, raw)
		}
	}
	receipt := second.must("POST", next.(string), nil, yes)
	if line := fmt.Sprint(at(receipt, "events", 1, "line", "en")); !strings.Contains(line, "Tier changed") {
		w.t.Errorf("approved: %v", receipt)
	}
}

// inspecting is why an inspector reads a file.
var inspecting = map[string]string{"Yidang-Purpose": "inspection"}

// takesAway gets a dossier from the server and checks it with nothing but the log's public key.
func (w *town) takesAway(u *user, who, event string) {
	w.t.Helper()
	if status, raw := u.call("GET", "/v1/people/"+who+"/dossier", nil, nil); status != http.StatusUnprocessableEntity {
		w.t.Errorf("a dossier without a purpose: %d %.200s", status, raw)
	}
	status, raw := u.call("GET", "/v1/people/"+who+"/dossier", inspecting, nil)
	if status != http.StatusOK {
		w.t.Fatalf("dossier: %d %.300s", status, raw)
	}
	line, err := os.ReadFile(filepath.Join(w.data, "domain", "notary.key"))
	if err != nil {
		w.t.Fatal(err)
	}
	key, err := keyfile.Load(filepath.Join(w.data, "domain", "notary.key"), strings.Split(string(line), "+")[2], keyfile.Log)
	if err != nil {
		w.t.Fatal(err)
	}
	keys, err := verifiers(key.Verifier())
	if err != nil {
		w.t.Fatal(err)
	}
	list, err := catalog.New()
	if err != nil {
		w.t.Fatal(err)
	}
	report, err := dossier.Verify(bytes.NewReader(raw), int64(len(raw)), dossier.Trust{Policy: (*notary.Policy)(nil).WithLogs(keys...), Version: tool(), Catalog: list})
	if err != nil {
		w.t.Fatal(err)
	}
	if !slices.ContainsFunc(report.Timeline, func(l dossier.Told) bool { return l.Event.String() == event }) {
		w.t.Errorf("the dossier does not have %s", event)
	}
}

// proves gets the proof of an event, as soon as there is one, and checks it with nothing but the log's public key.
func (w *town) proves(u *user, event string) {
	w.t.Helper()
	status, raw := 0, []byte(nil)
	for status != http.StatusOK { // a checkpoint comes within a second; the test's own deadline bounds the wait
		if status, raw = u.call("GET", "/v1/proofs/"+event, nil, nil); status != http.StatusOK && status != http.StatusServiceUnavailable {
			w.t.Fatalf("proof: %d %s", status, raw)
		}
		time.Sleep(50 * time.Millisecond)
	}
	var answer struct{ Proof string }
	if err := json.Unmarshal(raw, &answer); err != nil {
		w.t.Fatal(err)
	}
	line, err := os.ReadFile(filepath.Join(w.data, "domain", "notary.key"))
	if err != nil {
		w.t.Fatal(err)
	}
	key, err := keyfile.Load(filepath.Join(w.data, "domain", "notary.key"), strings.Split(string(line), "+")[2], keyfile.Log)
	if err != nil {
		w.t.Fatal(err)
	}
	keys, err := verifiers(key.Verifier())
	if err != nil {
		w.t.Fatal(err)
	}
	proof, err := notary.ParseProof([]byte(answer.Proof))
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := proof.Verify((*notary.Policy)(nil).WithLogs(keys...)); err != nil {
		w.t.Errorf("the proof of %s: %v", event, err)
	}
	if header, err := notary.ParseLeaf(proof.Leaf); err != nil || header.Event.String() != event {
		w.t.Errorf("the proof is one of %v (%v)", header.Event, err)
	}
}

// reports asks all reports at the position of a receipt, once it is loaded.
func (w *town) reports(u *user, receipt map[string]any) map[string]any {
	w.t.Helper()
	out := map[string]any{}
	list := u.must("GET", "/v1/reports", nil, nil)
	all, _ := at(list, "reports").([]any)
	if len(all) != len(reports.All) {
		w.t.Errorf("there are %d reports, not %d", len(all), len(reports.All))
	}
	for _, r := range all {
		path := fmt.Sprintf("/v1/reports/%s?position=%.0f", at(r, "name"), at(receipt, "position"))
		answer := u.untilLoaded(path)
		rows, _ := at(answer, "rows").([]any)
		r, _ := reports.Find(at(r, "name").(string))
		if len(rows) == 0 && r.MaySee(record.TownshipOffice) { // what is for examiners only may find nothing amiss
			w.t.Errorf("%s has no rows: %v", path, answer)
		}
		out[r.Name] = rows
	}
	return out
}

// untilLoaded asks again while ClickHouse is behind the log; the test's own deadline bounds it.
func (u *user) untilLoaded(path string) map[string]any {
	u.t.Helper()
	for {
		status, raw := u.call("GET", path, nil, nil)
		if status == http.StatusOK {
			out := map[string]any{}
			if err := json.Unmarshal(raw, &out); err != nil {
				u.t.Fatal(err)
			}
			return out
		}
		if status != http.StatusServiceUnavailable && status != http.StatusUnprocessableEntity || u.t.Context().Err() != nil {
			u.t.Fatalf("%s: %d %s", path, status, raw)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// Ensure that a roster becomes what was expected of it, that it goes in once, that an import that was interrupted is
// completed by a repeat, and that nothing of it is readable in any file, log or metric.
func TestRoster(t *testing.T) {
	w := newTown(t)
	expected, err := os.ReadFile(rosters + "drugs-2026q3.expected.json")
	if err != nil {
		t.Fatal(err)
	}
	dry := w.run("import", "--dry-run", "--format", "json", rosters+"drugs-2026q3.xlsx")
	wantSame(t, dry, string(expected))
	if _, err := os.Stat(w.data); err == nil {
		t.Error("a dry run made a data folder")
	}

	w.run("demo", "--months", "1", "--people", "12")
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(150*time.Millisecond, cancel) // somewhere in the middle
	runCommand(ctx, []string{"import", "--as", "zhou.min", rosters + "drugs-2026q3.xlsx"}, w.environ, io.Discard, w.log)
	cancel()
	w.run("import", "--as", "zhou.min", "--format", "json", rosters+"drugs-2026q3.xlsx")
	head := w.head()
	w.run("import", "--as", "zhou.min", rosters+"drugs-2026q3.xlsx")
	if now := w.head(); now != head {
		t.Errorf("the same file again moved the journal from %d to %d", head, now)
	}
	var rows []struct{ Outcome, Name, CitizenID string }
	if err := json.Unmarshal(expected, &rows); err != nil {
		t.Fatal(err)
	}
	address, stop := w.serve()
	officer := w.signIn(address, "zhou.min")
	var canaries []string
	for _, row := range rows {
		if !strings.HasPrefix(row.Outcome, "accepted") {
			continue
		}
		canaries = append(canaries, row.Name, row.CitizenID)
		found := officer.must("GET", "/v1/people?q="+row.CitizenID, nil, nil)
		if n, _ := at(found, "people").([]any); len(n) != 1 {
			t.Errorf("%d files under one citizen id of the roster", len(n))
		}
	}
	_, metrics := officer.call("GET", "/metrics", nil, nil)
	stop()
	w.wantNone(append(canaries, "12022706930"), metrics)
}

func (w *town) head() uint64 {
	w.t.Helper()
	config, err := loadConfig("", w.environ)
	if err != nil {
		w.t.Fatal(err)
	}
	c, err := openCore(&program{ctx: w.t.Context(), config: config, log: newLog(config.Log, w.log)}, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	defer c.close()
	head, _, err := c.journal.Head(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return head
}

// wantNone fails for each word that is readable in a file below the data folder, in the log or in the metrics.
func (w *town) wantNone(words []string, metrics []byte) {
	w.t.Helper()
	places := map[string][]byte{"the log": []byte(w.log.String()), "the metrics": metrics}
	err := filepath.Walk(w.data, func(path string, info os.FileInfo, err error) error {
		if err != nil || !info.Mode().IsRegular() {
			return err
		}
		places[path], err = os.ReadFile(path)
		return err
	})
	if err != nil || len(places) < 8 || len(metrics) == 0 {
		w.t.Fatalf("%d places were read: %v", len(places), err)
	}
	for place, raw := range places {
		for _, word := range words {
			if len(word) >= 6 && bytes.Contains(raw, []byte(word)) {
				w.t.Errorf("%q is readable in %s", word, place)
			}
		}
	}
}

// wantSame compares the parts of two lists of judgements that are not our own words.
func wantSame(t *testing.T, got, want string) {
	t.Helper()
	var a, b []map[string]any
	if err := json.Unmarshal([]byte(got), &a); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(want), &b); err != nil {
		t.Fatal(err)
	}
	for _, rows := range [][]map[string]any{a, b} {
		for _, r := range rows {
			delete(r, "why")
		}
	}
	if !reflect.DeepEqual(a, b) {
		t.Errorf("the rows became\n%v\nwant\n%v", a, b)
	}
}

// Ensure that a new installation begins with its first administrator, and that the commands say what is wrong.
func TestFirstAdministrator(t *testing.T) {
	w := newTown(t)
	out := w.run("officer", "create", "--login", "admin", "--name", "钱管理", "--sex", "1", "--role", "administrator", "--township", "示范镇")
	if !strings.Contains(out, "password:") {
		t.Errorf("no password was printed: %s", out)
	}
	w.run("officer", "create", "--login", "second", "--name", "李管理", "--sex", "2", "--role", "administrator", "--unit", "示范镇")
	w.run("officer", "reset", "--login", "admin")
	w.twoVillages("前进村")
	w.run("rebuild")
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"officer", "create", "--login", "admin", "--name", "钱管理", "--sex", "1"}, "taken"},
		{[]string{"officer", "grant", "--login", "admin", "--role", "inspector", "--unit", "无此村"}, "no such unit"},
		{[]string{"officer", "grant", "--login", "admin", "--role", "inspector", "--unit", "前进村"}, "several units"},
		{[]string{"officer", "grant", "--login", "admin", "--role", "king", "--unit", "示范镇"}, "must be one of"},
		{[]string{"officer", "reset", "--login", "nobody"}, "no such officer"},
		{[]string{"demo"}, "not empty"},
		{[]string{"import", rosters + "drugs-2026q3.xlsx"}, "must be named"},
		{[]string{"import", "--as", "admin", rosters + "drugs-2026q3.xlsx"}, "not registered"},
	} {
		var log buffer
		if status := runCommand(t.Context(), c.args, w.environ, io.Discard, &log); status != 1 || !strings.Contains(log.String(), c.want) {
			t.Errorf("yidang %s: status %d, %s; want %q", strings.Join(c.args, " "), status, &log, c.want)
		}
	}
}

// twoVillages registers two villages of one name.
func (w *town) twoVillages(name string) {
	w.t.Helper()
	config, err := loadConfig("", w.environ)
	if err != nil {
		w.t.Fatal(err)
	}
	p := &program{ctx: w.t.Context(), config: config, log: newLog(config.Log, w.log), out: io.Discard, err: w.log}
	err = withRecord(p, func(r *records) error {
		all, _, err := r.views.Units(p.ctx)
		if err != nil {
			return err
		}
		for range 2 {
			if _, err := r.do(p.ctx, commands.Request{Category: "unit", Command: "unit.register", Input: units.Register{Name: name, Sort: units.Village, Parent: all[0].ID}}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// Ensure that without the ClickHouse library the service runs and a report says what to do.
func TestWithoutEngine(t *testing.T) {
	w := newTown(t)
	w.environ = append(w.environ, "YIDANG_ANALYTICS_LIBRARY=", "YIDANG_ANALYTICS_OFF=true")
	w.run("demo", "--months", "1", "--people", "5")
	all := w.environ
	for name, environ := range map[string][]string{
		"switched off":                     {"YIDANG_ANALYTICS_OFF=true"},
		"not installed":                    {"YIDANG_ANALYTICS_OFF=false"},
		"not where the configuration says": {"YIDANG_ANALYTICS_OFF=false", "YIDANG_ANALYTICS_LIBRARY=" + filepath.Join(w.data, "libchdb.so")},
	} {
		t.Run(name, func(t *testing.T) {
			w.t, w.environ = t, slices.Concat(all, environ)
			address, stop := w.serve()
			defer stop()
			status, raw := w.signIn(address, "analyst").call("GET", "/v1/reports/register", nil, nil)
			if status != http.StatusServiceUnavailable || !strings.Contains(string(raw), "make engine") || !strings.Contains(string(raw), "analytics.connection") {
				t.Errorf("a report without an engine: %d %s", status, raw)
			}
			officer := w.signIn(address, "cadre1")
			officer.must("GET", "/v1/worklist", nil, nil)
			if _, raw := officer.call("GET", "/readyz", nil, nil); !strings.Contains(string(raw), `"name":"reports","ready":false`) {
				t.Errorf("readiness: %s", raw)
			}
		})
	}
}

// Ensure that a second process on the same data is told so, and that an EventStoreDB that cannot be reached is an error
// that names it.
func TestRefusesToStart(t *testing.T) {
	w := newTown(t)
	_, stop := w.serve()
	var log buffer
	if status := runCommand(t.Context(), []string{"officer", "reset", "--login", "x"}, w.environ, io.Discard, &log); status != 1 || !strings.Contains(log.String(), "in use") {
		t.Errorf("a second process: status %d, %s", status, &log)
	}
	stop()
	log = buffer{}
	environ := append(w.environ, "YIDANG_JOURNAL_CONNECTION=esdb://127.0.0.1:1?tls=false")
	if status := runCommand(t.Context(), []string{"serve"}, environ, io.Discard, &log); status != 1 || !strings.Contains(log.String(), "127.0.0.1:1") {
		t.Errorf("an unreachable journal: status %d, %s", status, &log)
	}
}

// Ensure that casework goes on when the notary's own file cannot be used, and that the server says so.
func TestDamagedNotary(t *testing.T) {
	w := newTown(t)
	w.run("demo", "--months", "1", "--people", "5")
	_, stop := w.serve()
	stop()
	files, err := filepath.Glob(filepath.Join(w.data, "domain", "notary", "*.db"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%v %v", files, err)
	}
	for _, f := range files {
		if err := os.WriteFile(f, []byte(strings.Repeat("no database", 1000)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	address, stop := w.serve()
	defer stop()
	u := w.signIn(address, "cadre1")
	u.must("GET", "/v1/worklist", nil, nil)
	if status, raw := u.call("GET", "/v1/proofs/00000000-0000-4000-8000-000000000000", nil, nil); status != http.StatusServiceUnavailable {
		t.Errorf("a proof: %d %s", status, raw)
	}
	_, raw := u.call("GET", "/readyz", nil, nil)
	if !strings.Contains(string(raw), `"name":"notary","ready":false`) {
		t.Errorf("readiness: %s", raw)
	}
}
