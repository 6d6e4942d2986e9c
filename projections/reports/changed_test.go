package reports_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"yidang/domain/record"
	"yidang/projections/analytics/analyticstest"
	"yidang/projections/reports"
)

// Ensure that what a void changed is told with the void itself, by hand; see newTown.
func TestChangedByHand(t *testing.T) {
	w := newTown(t)
	late := w.write(an, at{on: day(3, 19), late: 20, by: chen}, visit("met"))
	must(t, w.Load(t.Context(), w.store, 10))
	voids := map[string]string{late[0].ID.String(): "late"}
	for e, err := range w.Journal.All(t.Context(), 0) {
		must(t, err)
		if e.Type == record.VoidedType && e.Position == w.beforeVoid+1 {
			voids[e.ID.String()] = "void1"
		} else if e.Type == record.VoidedType {
			voids[e.ID.String()] = "void2"
		}
	}
	told := func(position uint64) string {
		var lines []string
		for _, row := range w.run("changed_figures", position, "from_position", fmt.Sprint(w.beforeVoid), "on", "2026-03-31").Rows {
			var because []string
			for _, id := range row["entries"].([]string) {
				because = append(because, voids[id])
			}
			lines = append(lines, names.Replace(fmt.Sprintf("%s %s %s %s %s %d>%d %d %d %d %d %s", row["measure"], row["village"], row["tier"], row["month"], row["result"],
				row["was"], row["became"], row["entered_since"], row["voided"], row["corrected"], row["happened_since"], strings.Join(because, "+"))))
		}
		return strings.Join(lines, "\n")
	}
	// Bai counts as general again; the late visit did An's second duty of the month.
	if got := told(w.beforeVoid + 1); !strings.Contains(got, "open_cases Qianjin general   0>1 0 1 0 0 void1\nopen_cases Qianjin strict   1>0 0 1 0 0 void1") || strings.Contains(got, "visits") {
		t.Errorf("after the first void:\n%s", got)
	}
	got := told(w.beforeVoid + 2)
	if !strings.Contains(got, "visits   2026-03  2>1 0 1 0 0 void2") || !strings.Contains(got, "duties_overdue   2026-03  ") || !strings.Contains(got, "void2") {
		t.Errorf("after the second void:\n%s", got)
	}
	// One visit less and one more: the figure is what it was. The late one comes too late for the duty of 15 March only.
	if got = told(0); strings.Contains(got, "visits") || strings.Contains(got, "urine") || !strings.Contains(got, "late") {
		t.Errorf("after the late visit:\n%s", got)
	}
}

// Ensure that the figures that changed between two positions are those in which the other reports differ there, and that
// each has an explanation; at random positions, over late entries, voids and corrections.
func TestChangedFigures(t *testing.T) {
	w := &town{Township: analyticstest.New(t), t: t}
	must(t, w.Fill(t.Context(), 900, 12, "x"))
	w.store = w.Store(t)
	must(t, w.Load(t.Context(), w.store, 200))
	head, err := w.store.Position()
	must(t, err)
	changed := 0
	for _, c := range []struct {
		earlier, position uint64
		on                string
	}{{100, head, "2024-03-31"}, {head / 2, head, "2024-05-31"}, {head / 2, head - 100, "2024-04-15"}, {head - 60, head, "2024-12-31"}, {head, head, "2030-01-01"}} {
		before, after := w.measures(c.earlier, c.on), w.measures(c.position, c.on)
		want := map[string]string{}
		for _, figure := range slices.Concat(slices.Collect(maps.Keys(before)), slices.Collect(maps.Keys(after))) {
			if before[figure] != after[figure] {
				want[figure] = fmt.Sprintf("%d>%d", before[figure], after[figure])
			}
		}
		got := map[string]string{}
		for _, row := range w.run("changed_figures", c.position, "from_position", fmt.Sprint(c.earlier), "on", c.on).Rows {
			figure := fmt.Sprintf("%s %s %s %s %s", row["measure"], row["village"], row["tier"], row["month"], row["result"])
			got[figure] = fmt.Sprintf("%d>%d", row["was"], row["became"])
			n := row["entered_since"].(int64) + row["voided"].(int64) + row["corrected"].(int64) + row["happened_since"].(int64)
			if ids := row["entries"].([]string); n == 0 || len(ids) != min(int(n), 100) {
				t.Errorf("%s is explained by %d entries: %v", figure, n, ids)
			}
		}
		if !maps.Equal(want, got) {
			t.Errorf("from %d to %d, %s: got\n%v\nwant\n%v", c.earlier, c.position, c.on, got, want)
		}
		changed += len(want)
	}
	if changed < 40 {
		t.Errorf("only %d figures changed", changed)
	}
}

// measures gives the figures at a position: from other reports, and visits from the journal.
func (w *town) measures(position uint64, on string) map[string]int64 {
	m := map[string]int64{}
	for _, row := range w.run("register", position, "on", on).Rows {
		tier := row["tier"]
		if tier == "" {
			tier = "none"
		}
		m[fmt.Sprintf("open_cases %s %s  ", row["village"], tier)] = row["cases"].(int64)
	}
	for _, row := range w.run("urine_tests", position, "from", "2020-01-01", "to", on).Rows {
		m[fmt.Sprintf("urine_tests   %s %s", row["month"], row["result"])] += row["tests"].(int64)
	}
	for from := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC); from.Year() < 2026; from = from.AddDate(0, 1, 0) {
		for _, row := range w.run("duties", position, "from", from.Format(record.Day), "to", from.AddDate(0, 1, -1).Format(record.Day), "on", on).Rows {
			m[fmt.Sprintf("duties_done   %s ", from.Format("2006-01"))] += row["done"].(reports.Ratio).N
			m[fmt.Sprintf("duties_overdue   %s ", from.Format("2006-01"))] += row["overdue"].(reports.Ratio).N
		}
	}
	histories := map[string][]record.Event{}
	for stored, err := range w.Journal.All(w.t.Context(), 0) {
		must(w.t, err)
		if e, _, err := w.Codec.Open(w.t.Context(), stored); err == nil && e.Position <= position {
			histories[e.Stream] = append(histories[e.Stream], e)
		}
	}
	for stream, history := range histories {
		k, _ := w.Codec.Catalog.Of(stream)
		amended := record.Amendments(history, record.At{})
		for _, e := range history {
			now, err := amended[e.ID].Effective(k, e)
			must(w.t, err)
			if day := now.Meta.OccurredAt.In(record.Zone).Format(record.Day); amended[e.ID].VoidedBy == nil && e.Type == "casework.visit_recorded" && day <= on {
				m[fmt.Sprintf("visits   %s ", day[:7])]++
			}
		}
	}
	return m
}

// Ensure that numbers, positions and what follows from them are checked and filled in.
func TestIntegrityParameters(t *testing.T) {
	w := newTown(t)
	for _, c := range [][3]string{
		{"entry_bursts", "minutes", "0"}, {"entry_bursts", "minutes", "07"}, {"entry_bursts", "minutes", "ten"}, {"entry_bursts", "at_least", "1"},
		{"same_notes", "likeness", "equal"}, {"same_notes", "length", "1"}, {"before_deadline", "hours", "99999"},
		{"changed_figures", "from_position", "-1"}, {"changed_figures", "from_position", fmt.Sprint(w.whole + 1)}, {"changed_figures", "from_position", "x"},
	} {
		if _, err := reports.Run(t.Context(), w.store, c[0], map[string]string{c[1]: c[2]}, 0); record.KindOf(err) != record.Invalid {
			t.Errorf("%v: %v", c, err)
		}
	}
	// The last event before April was recorded on 28 March, two before the first void.
	if p := w.run("changed_figures", 0).Parameters; p["from_position"] != fmt.Sprint(w.beforeVoid-1) || p["on"] != "2026-03-28" {
		t.Errorf("%v", p)
	}
	for _, name := range []string{"entry_bursts", "same_notes", "impossible_visits", "before_deadline", "changed_figures"} {
		r, ok := reports.Find(name)
		if !ok || !r.MaySee(record.Inspector) || !r.MaySee(record.Analyst) || r.MaySee(record.TownshipOffice) {
			t.Errorf("%s is shown to the wrong roles", name)
		}
		if r, err := reports.Run(t.Context(), w.store, name, map[string]string{"officer": uuid.NewString()}, 0); name != "changed_figures" && (err != nil || len(r.Rows) != 0) {
			t.Errorf("%s of somebody unknown: %v", name, err)
		}
	}
}
