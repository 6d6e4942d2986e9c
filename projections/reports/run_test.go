package reports_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"yidang/domain/catalog"
	"yidang/domain/record"
	"yidang/projections/analytics/analyticstest"
	"yidang/projections/reports"
)

// Ensure that parameters are strict: each refusal names the field and says what would be right.
func TestParameters(t *testing.T) {
	w := newTown(t)
	for _, c := range []struct{ report, name, value, field string }{
		{"register", "day", "2026-03-01", "day"},
		{"register", "position", "1", "position"},
		{"register", "on", "1 March", "on"},
		{"register", "on", "2026-02-30", "on"},
		{"register", "on", "2026-3-1", "on"},
		{"register", "on", "20260301", "on"},
		{"register", "on", "0001-01-01", "on"},
		{"register", "on", "9999-01-01", "on"},
		{"register", "village", "前进村", "village"},
		{"register", "village", "' OR 1 = 1 --", "village"},
		{"register", "village", "{" + qianjin.String() + "}", "village"},
		{"duties", "from", "2030-01-01", "from"},
	} {
		_, err := reports.Run(t.Context(), w.store, c.report, map[string]string{c.name: c.value}, 0)
		var p *record.Problem
		if !errors.As(err, &p) || p.Kind != record.Invalid || p.Field != c.field || p.Remedy == "" || p.Zh == "" {
			t.Errorf("%s with %s=%s: %v", c.report, c.name, c.value, err)
		}
	}
	if _, err := reports.Run(t.Context(), w.store, "nothing", nil, 0); record.KindOf(err) != record.NotFound {
		t.Error("an unknown report: ", err)
	}
	if _, err := reports.Run(t.Context(), w.store, "register", nil, w.whole+1); record.KindOf(err) != record.Unavailable {
		t.Error("a position that is not loaded: ", err)
	}
	if _, err := reports.Run(t.Context(), nil, "register", nil, 0); record.KindOf(err) != record.Unavailable || !strings.Contains(remedy(err), "make engine") {
		t.Error("without an engine: ", err)
	}
	// What is left out follows from the position: its event was recorded on 3 April.
	r := w.run("duties", 0)
	want := map[string]string{"from": "2026-04-01", "to": "2026-04-03", "on": "2026-04-03", "officer": "", "village": ""}
	for name, v := range want {
		if r.Parameters[name] != v {
			t.Errorf("%s is %q, want %q", name, r.Parameters[name], v)
		}
	}
}

func remedy(err error) string {
	var p *record.Problem
	errors.As(err, &p)
	return p.Remedy
}

// Ensure that every report answers over an empty journal.
func TestEmptyJournal(t *testing.T) {
	w := analyticstest.New(t)
	s := w.Store(t)
	if _, err := reports.Run(t.Context(), s, "register", nil, 0); record.KindOf(err) != record.Unavailable {
		t.Error("before loading began: ", err)
	}
	_, _, err := s.Checkpoint(t.Context())
	must(t, err)
	for _, r := range reports.All {
		answer, err := reports.Run(t.Context(), s, r.Name, nil, 0)
		must(t, err)
		b, err := json.Marshal(answer)
		must(t, err)
		if !bytes.Contains(b, []byte(`"rows":[]`)) {
			t.Errorf("%s over nothing: %s", r.Name, b)
		}
	}
}

// Ensure that the rows are whole, and that every event type that a query names is in the catalog.
func TestRowsOfAll(t *testing.T) {
	k, err := catalog.New()
	must(t, err)
	types := map[string]bool{}
	for _, c := range k.Categories {
		for _, e := range c.Events {
			types[e.Name] = true
		}
	}
	for _, r := range reports.All {
		if r.Title.Zh == "" || r.Title.En == "" || r.Description.Zh == "" || r.Description.En == "" || r.Source == "" || len(r.Roles) == 0 {
			t.Errorf("%s lacks a title, a definition, a source or a role", r.Name)
		}
		if !r.MaySee(record.Analyst) || r.MaySee(record.Volunteer) || r.MaySee(record.Administrator) {
			t.Errorf("%s is shown to the wrong roles", r.Name)
		}
		for _, c := range r.Columns {
			if c.Title.Zh == "" || c.Title.En == "" || (c.Type == reports.Share) != (c.Part != "" && c.Whole != "") {
				t.Errorf("%s: column %s is not whole", r.Name, c.Name)
			}
		}
		sql, err := os.ReadFile(r.Name + ".sql")
		must(t, err)
		for _, p := range r.Parameters {
			if !strings.Contains(string(sql), "{"+p.Name+":") {
				t.Errorf("%s does not use its parameter %s", r.Name, p.Name)
			}
		}
		for _, word := range strings.Split(string(sql), "'") {
			if strings.Contains(word, ".") && !strings.ContainsAny(word, " \n") && !types[word] {
				t.Errorf("%s names %q, which is no event type", r.Name, word)
			}
		}
		if strings.Contains(string(sql), "yidang_facts ") || strings.Contains(string(sql), "yidang_duties ") {
			t.Errorf("%s reads a table, not a view at a position", r.Name)
		}
	}
	entries, err := os.ReadDir(".")
	must(t, err)
	for _, e := range entries {
		name, isQuery := strings.CutSuffix(e.Name(), ".sql")
		if isQuery && !slices.ContainsFunc(reports.All, func(r reports.Report) bool { return r.Name == name }) {
			t.Errorf("%s has no row", e.Name())
		}
	}
}

// Ensure that the CSV opens in a spreadsheet as it should, with nothing in it taken for a formula.
func TestCSV(t *testing.T) {
	w := newTown(t)
	r := w.run("duties", w.beforeVoid, "from", "2026-03-08", "to", "2026-03-15", "on", "2026-03-31")
	var b bytes.Buffer
	must(t, r.CSV(&b, true, func(_ reports.Type, id string) string {
		return map[string]string{chen.String(): `=HYPERLINK("x")`, qianjin.String(): "前进村, 一组"}[id]
	}))
	text, bom := strings.CutPrefix(b.String(), "\ufeff")
	if !bom || !strings.Contains(text, "\r\n") {
		t.Fatalf("no byte order mark or line ends: %q", b.String())
	}
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	must(t, err)
	if len(rows) != 3 || rows[0][0] != "责任人" || rows[0][8] != "日志位置" {
		t.Fatalf("%q", rows)
	}
	if got := rows[2]; got[0] != `'=HYPERLINK("x")` || got[1] != "前进村, 一组" || got[2] != "6" || got[4] != "83.3% (5/6)" || got[5] != "1" {
		t.Errorf("%q", got)
	}
	if got := rows[1]; got[0] != "" || got[1] != hongqi.String() || got[3] != "0.0% (0/1)" {
		t.Errorf("%q", got)
	}
	b.Reset()
	must(t, w.run("urine_tests", 0).CSV(&b, true, nil))
	if !strings.Contains(b.String(), ",即时,阳性,1,100.0% (1/1),0,") {
		t.Errorf("codes have no names: %s", b.String())
	}
}
