package journal_test

import (
	"context"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"yidang/domain/journal"
	"yidang/domain/journal/embedded"
)

// Ensure that many who follow one journal, quick and slow, begun early and late, through restarts of the server and past
// the newest events that are kept for all, each see every event once and in order.
func TestManyFollowOneJournal(t *testing.T) {
	dir := t.TempDir()
	server, j := open(t, embedded.Options{Dir: dir, Socket: filepath.Join(dir, "s")})
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	const rounds, appends, each = 3, 30, 100 // 9,000 events: more than are kept
	const total = rounds * appends * each
	var followers sync.WaitGroup
	var lost atomic.Int64
	follow := func(name string, slow time.Duration) {
		followers.Go(func() {
			want := uint64(0)
			for item, err := range j.Follow(ctx, 0) {
				switch {
				case err != nil:
					t.Errorf("follower %s stopped before event %d: %v", name, want, err)
					return
				case item.Kind == journal.Lost:
					lost.Add(1)
				case item.Kind != journal.Happened:
				case item.Event.Revision != want:
					t.Errorf("follower %s: event %d came, want %d", name, item.Event.Revision, want)
					return
				default:
					if want++; want == total {
						return
					}
					if slow > 0 && want%500 == 0 {
						time.Sleep(slow)
					}
				}
			}
		})
	}
	for range 3 {
		follow("early", 0)
	}
	follow("slow", 50*time.Millisecond)
	for round := range rounds {
		for range appends {
			batch := make([]journal.Proposed, each)
			for i := range batch {
				batch[i] = journal.Proposed{ID: uuid.New(), Type: "x", Data: []byte(`{"a":1}`)}
			}
			for { // the same ids until it is known to be done
				if _, err := j.Append(ctx, "person-1", journal.Any, batch...); err == nil {
					break
				} else if ctx.Err() != nil {
					t.Fatal(err)
				}
			}
		}
		follow("late", time.Duration(round)*20*time.Millisecond)
		if round < rounds-1 {
			server.Close()
			var err error
			if server, err = embedded.Start(ctx, embedded.Options{Dir: dir, Socket: filepath.Join(dir, "s")}); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { server.Close() })
		}
	}
	followers.Wait()
	// Each follower hears of each of the two outages, and perhaps of an attempt to connect that came too early.
	if n := lost.Load(); n < rounds-1 || n > 30 {
		t.Errorf("the server was away twice; followers were told %d times", n)
	}
}

// Ensure that a follower who leaves as soon as it has caught up, again and again while events come, ends nothing but itself:
// the shared subscription may open when nobody is left.
func TestFollowersComeAndGo(t *testing.T) {
	dir := t.TempDir()
	_, j := open(t, embedded.Options{Dir: dir, Socket: filepath.Join(dir, "s")})
	over := make(chan struct{})
	var busy sync.WaitGroup
	busy.Go(func() {
		for {
			select {
			case <-over:
				return
			default:
			}
			if _, err := j.Append(t.Context(), "person-1", journal.Any, journal.Proposed{ID: uuid.New(), Type: "x", Data: []byte(`{}`)}); err != nil {
				t.Error(err)
				return
			}
		}
	})
	newest := uint64(0)
	for i := range 400 {
		ctx, cancel := context.WithCancel(t.Context())
		for item, err := range j.Follow(ctx, newest) {
			if err != nil {
				break
			}
			newest = item.Position
			if item.Kind == journal.CaughtUp {
				time.AfterFunc(time.Duration(i%40)*50*time.Microsecond, cancel)
			}
		}
		cancel()
	}
	close(over)
	busy.Wait()
}
