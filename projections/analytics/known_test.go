package analytics_test

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/uuid"

	"yidang/domain/casework"
	"yidang/domain/record"
	"yidang/projections/analytics"
	"yidang/projections/analytics/analyticstest"
)

// Ensure that at any position of the log the views say what follows from the files as they were known there: from each
// history up to it, folded from the start. Files are few in memory, so that they come from snapshots too.
func TestWhatWasKnown(t *testing.T) {
	ctx, w := t.Context(), analyticstest.New(t)
	must(t, w.Fill(ctx, 1500, 25, "x"))
	o := w.Options(filepath.Join(t.TempDir(), "analytics.db"), analyticstest.Database(t))
	o.Files = 6
	s, err := analytics.Open(ctx, o)
	must(t, err)
	defer s.Close()
	must(t, w.Load(ctx, s, 40))

	histories := map[string][]record.Event{}
	var amendments []uint64
	for stored, err := range w.Journal.All(ctx, 0) {
		must(t, err)
		e, _, err := w.Codec.Open(ctx, stored)
		must(t, err)
		histories[e.Stream] = append(histories[e.Stream], e)
		if record.Amends(e.Type) {
			amendments = append(amendments, e.Position)
		}
	}
	head, err := s.Position()
	must(t, err)
	if len(amendments) < 10 {
		t.Fatalf("there are %d amendments", len(amendments))
	}
	at := []uint64{1, 50, head / 3, head}
	for _, a := range amendments {
		at = append(at, a-1, a)
	}
	for _, position := range at {
		facts, duties := map[string]int64{}, map[string]int64{}
		for stream, history := range histories {
			known, _ := slices.BinarySearchFunc(history, position+1, func(e record.Event, p uint64) int { return int(int64(e.Position) - int64(p)) })
			fold(t, w, stream, history[:known], facts, duties)
		}
		same(t, fmt.Sprintf("facts at %d", position), facts, counted(t, s, position,
			"SELECT concat(toString(event), ' ', type, ' ', kind, ' ', result, ' ', outcome, ' ', toString(day), if(startsWith(type, 'record.'), '  ', concat(' ', tier, ' ', toString(village)))), toInt64(count()) FROM yidang_facts_at(at = {at:UInt64}) GROUP BY 1"))
		same(t, fmt.Sprintf("duties at %d", position), duties, counted(t, s, position,
			"SELECT concat(toString(duty), ' ', code, ' ', status, ' ', toString(officer), ' ', toString(due)), toInt64(sum(sign)) FROM yidang_duties_at(at = {at:UInt64}) GROUP BY 1 HAVING sum(sign) != 0"))
	}
}

// fold counts the entries and duties of one file.
func fold(t *testing.T, w *analyticstest.Township, stream string, history []record.Event, facts, duties map[string]int64) {
	k, ok := w.Codec.Catalog.Of(stream)
	if !ok || len(history) == 0 {
		return
	}
	amended := record.Amendments(history, record.At{})
	state := k.New()
	p, isCase := state.(casework.Program)
	for _, e := range history {
		if amended[e.ID].VoidedBy != nil {
			continue
		}
		e, err := amended[e.ID].Effective(k, e)
		must(t, err)
		f, tier, village := record.FacetsOf(e), "", ""
		if !record.Amends(e.Type) {
			file := record.File{Category: k, Stream: stream, State: state, Exists: e.Revision > 0, Revision: e.Revision - 1}
			must(t, file.Apply(e))
			if isCase {
				tier, village = p.Tier(), p.Core().Village.String()
			}
		}
		facts[fmt.Sprintf("%s %s %s %s %s %s %s %s", e.ID, e.Type, f.Kind, f.Result, f.Outcome, record.DayOf(e.Meta.OccurredAt).Format(record.Day), tier, village)]++
	}
	if !isCase {
		return
	}
	c := p.Core()
	last := map[uuid.UUID]casework.Duty{}
	for _, d := range c.Duties.TakeChanges() {
		last[d.ID()] = d
	}
	for id, d := range last {
		if d.Status == casework.Open {
			d.Officer = c.Holder(d)
		}
		duties[fmt.Sprintf("%s %s %s %s %s", id, d.Code, d.Status, d.Officer, d.Due.Format(record.Day))]++
	}
}

func counted(t *testing.T, s *analytics.Store, at uint64, sql string) map[string]int64 {
	rows, err := s.Query(context.WithoutCancel(t.Context()), sql, map[string]string{"at": fmt.Sprint(at)})
	must(t, err)
	defer rows.Close()
	found := map[string]int64{}
	for rows.Next() {
		var what string
		var n int64
		must(t, rows.Scan(&what, &n))
		found[what] = n
	}
	must(t, rows.Err())
	return found
}

func same(t *testing.T, what string, want, got map[string]int64) {
	t.Helper()
	if maps.Equal(want, got) {
		return
	}
	for k, n := range want {
		if got[k] != n {
			t.Errorf("%s: %q is there %d times, want %d", what, k, got[k], n)
		}
	}
	for k, n := range got {
		if want[k] == 0 {
			t.Errorf("%s: %q is there %d times, want none", what, k, n)
		}
	}
	t.FailNow()
}
