package oversight

import (
	"context"
	"slices"
	"sync"
	"testing"

	"github.com/google/uuid"

	"yidang/domain/casework"
	"yidang/domain/record"
	"yidang/projections/follow"
)

// Ensure that whoever asks while events come in sees exactly what was recorded up to the position of the answer, also when
// the newest events are just being made a block.
func TestAnswersBesideTheWriter(t *testing.T) {
	w := openWorld(t, t.TempDir())
	o := w.options(t.TempDir())
	o.Block, o.Readers = 25, 4
	x := openTest(t, o)
	defer x.Close()
	const events = 3000
	officer := testID("the officer", 0)
	position := func(i int) uint64 { return uint64(2*i + 1) }
	apply := func(from, to int) {
		b := follow.Batch{CaughtUp: true, UpTo: position(to - 1)}
		for i := from; i < to; i++ {
			e := w.event(record.StreamOf("drugs", testID("case", i%9)), testID("person", i%9), casework.VisitRecorded{Outcome: casework.Met})
			e.Position, e.Meta.Actor = position(i), officer
			b.Events = append(b.Events, e)
		}
		if err := x.Apply(context.Background(), b); err != nil {
			t.Error(err)
		}
	}
	apply(0, 10)
	done := make(chan struct{})
	var wg sync.WaitGroup
	for reader := range 3 {
		wg.Go(func() {
			for asked := 0; ; asked++ {
				select {
				case <-done:
					if asked == 0 {
						t.Error("nothing was asked")
					}
					return
				default:
				}
				q := Query{Officer: officer, Paging: Paging{Newest: true, Limit: 60}}
				if reader == 0 {
					q.Officer = uuid.Nil // without lists
				}
				got, page, err := x.Entries(context.Background(), q)
				if err != nil {
					t.Error(err)
					return
				}
				newest := int(page.Position-1) / 2
				if len(got) != min(newest+1, 60) || slices.ContainsFunc(got, func(e Entry) bool { newest--; return e.Position != position(newest+1) }) {
					t.Errorf("at position %d: %d entries, the first at %d", page.Position, len(got), got[0].Position)
					return
				}
			}
		})
	}
	for i := 10; i < events; i += 7 {
		apply(i, min(i+7, events))
	}
	close(done)
	wg.Wait()
}
