package analytics_test

import (
	"context"
	"errors"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"yidang/domain/journal"
	"yidang/domain/record"
	"yidang/projections/analytics"
	"yidang/projections/analytics/analyticstest"
	"yidang/projections/follow"
)

// Ensure that tables filled file by file hold exactly the rows of tables loaded in the order of the log, also when the
// filling was cut short and went on, and that the loader goes on from there.
func TestBackfillGivesTheSameRows(t *testing.T) {
	ctx, w := t.Context(), analyticstest.New(t)
	must(t, w.Fill(ctx, 1500, 40, "a"))
	until, _, err := w.Journal.Head(ctx)
	must(t, err)
	s := w.Store(t)
	cut, cancel := context.WithCancel(ctx)
	o := follow.BackfillOptions{Source: w.Journal, Codec: &canceller{Opener: w.Codec, after: 900, cancel: cancel}, Until: until, Dir: filepath.Join(t.TempDir(), "spool"), EventsPerPart: 100}
	if err := s.Backfill(cut, o); !errors.Is(err, context.Canceled) {
		t.Fatalf("the backfill that is cut short ended with %v", err)
	}
	if p, err := s.Filled(ctx); err != nil || p.Done == 0 || p.Whole() {
		t.Fatalf("it stands at %+v, %v: it was to end in the middle", p, err)
	}
	o.Codec = w.Codec
	must(t, s.Backfill(ctx, o))
	if at, started, err := s.Checkpoint(ctx); err != nil || !started || at != until {
		t.Fatalf("the checkpoint is %d, started %v, %v; want %d", at, started, err, until)
	}
	merged := func() bool {
		for _, n := range parts(t, s) {
			if n > 1 {
				return false
			}
		}
		return true
	}
	for !merged() { // or the test ends by its own limit
		time.Sleep(10 * time.Millisecond)
	}
	must(t, w.Fill(ctx, 300, 40, "b"))
	must(t, w.Load(ctx, s, 50))
	must(t, s.Backfill(ctx, o)) // it has begun long ago: nothing happens
	whole := w.Store(t)
	must(t, w.Load(ctx, whole, 20_000))
	sameRows(t, s, whole)
}

// parts counts the parts of each table that has rows.
func parts(t *testing.T, s *analytics.Store) map[string]uint64 {
	rows, err := s.Query(t.Context(), "SELECT table, count() FROM system.parts WHERE active AND database = currentDatabase() GROUP BY table", nil)
	must(t, err)
	defer rows.Close()
	found := map[string]uint64{}
	for rows.Next() {
		var table string
		var n uint64
		must(t, rows.Scan(&table, &n))
		found[table] = n
	}
	must(t, rows.Err())
	if found["yidang_facts"] == 0 || found["yidang_duties"] == 0 {
		t.Fatalf("the tables are empty: %v", found)
	}
	return found
}

// canceller cancels once it has opened so many events.
type canceller struct {
	follow.Opener
	opened atomic.Int64
	after  int64
	cancel context.CancelFunc
}

func (c *canceller) Open(ctx context.Context, s journal.Stored) (record.Event, bool, error) {
	if c.opened.Add(1) == c.after {
		c.cancel()
	}
	return c.Opener.Open(ctx, s)
}
