package follow

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"sync"
	"time"

	"yidang/domain/journal"
	"yidang/domain/record"
)

// A store that folds files wants each file's events together: in log order, events of tens of thousands of files are mixed,
// and what does not fit into memory is read and written again for each of them. Backfill puts the log in that order once:
// it deals the stored events, still sealed, out to part files by their stream, and then gives the parts to the target one
// after another. Memory is what one part takes, however long the log is.

// Target is a projection that can be filled by parts while it is new.
type Target interface {
	Name() string
	// Filled is the Part stored last; zero when there is none.
	Filled(ctx context.Context) (Part, error)
	// Fill stores the output of a part's events and the Part, in one transaction. When it is the last one, Until becomes
	// the target's checkpoint with it. events are all events up to Until of some streams, in log order.
	Fill(ctx context.Context, events []record.Event, p Part) error
}

// Part says how far a backfill is: Done of Of parts hold everything up to Until.
type Part struct {
	Until    uint64
	Done, Of int
}

// Whole tells that nothing is left to fill.
func (p Part) Whole() bool { return p.Of > 0 && p.Done == p.Of }

// ErrSpoolLost says that a target was filled in part from part files that are no longer there: empty it and begin anew.
var ErrSpoolLost = errors.New("the part files of this backfill are gone")

// BackfillOptions of Backfill. Source, Codec, Dir and Until are required.
type BackfillOptions struct {
	Source  Source
	Codec   Opener
	Dir     string // for the part files; made, and removed at the end
	Until   uint64 // position to fill up to; one that is under way keeps its own
	Log     *slog.Logger
	Workers int // that open events; GOMAXPROCS by default
	// EventsPerPart is about how many events are opened at once; 4,000 by default.
	EventsPerPart int
	Progress      func(BackfillStatus) // called about once a second; may be nil
}

// BackfillStatus tells how far a backfill is.
type BackfillStatus struct {
	Read, Until uint64 // position up to which events were dealt out
	Part        Part
}

// Backfill fills a target with everything up to a position, and says which: after a crash it goes on where it was, with
// the position it had.
func Backfill(ctx context.Context, t Target, o BackfillOptions) (until uint64, err error) {
	if o.Workers <= 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	if o.EventsPerPart <= 0 {
		o.EventsPerPart = 4000
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Progress == nil {
		o.Progress = func(BackfillStatus) {}
	}
	p, err := t.Filled(ctx)
	if err != nil {
		return 0, err
	}
	if p.Whole() {
		return p.Until, os.RemoveAll(o.Dir)
	}
	s, err := openSpool(o.Dir)
	if err != nil {
		return 0, err
	}
	defer s.close()
	if p.Done > 0 && (s.Until != p.Until || s.Of != p.Of || s.Position < s.Until) {
		return 0, ErrSpoolLost
	}
	if s.Until == 0 {
		if err := s.begin(o.Until, o.EventsPerPart); err != nil {
			return 0, err
		}
	}
	if err := s.deal(ctx, o); err != nil {
		return 0, fmt.Errorf("backfill of %s: dealing out the log: %w", t.Name(), err)
	}
	p.Until, p.Of = s.Until, s.Of
	if err := fill(ctx, t, s, p, o); err != nil {
		return 0, fmt.Errorf("backfill of %s: %w", t.Name(), err)
	}
	s.close()
	return s.Until, os.RemoveAll(o.Dir)
}

// fill opens the parts in parallel and stores them one after another.
func fill(ctx context.Context, t Target, s *spool, p Part, o BackfillOptions) error {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	opened := make(chan []record.Event) // one part waits while another is stored
	failed := make(chan error, 1)
	wg.Go(func() {
		for i := p.Done; i < p.Of; i++ {
			events, err := openPart(ctx, t.Name(), s, i, o)
			if err != nil {
				failed <- err
				return
			}
			select {
			case opened <- events:
			case <-ctx.Done():
				return
			}
		}
	})
	told := time.Now()
	for p.Done < p.Of {
		select {
		case err := <-failed:
			return err
		case <-ctx.Done():
			return ctx.Err()
		case events := <-opened:
			p.Done++
			if err := t.Fill(ctx, events, p); err != nil {
				return fmt.Errorf("part %d of %d: %w", p.Done, p.Of, err)
			}
		}
		if time.Since(told) > time.Second {
			told = time.Now()
			o.Progress(BackfillStatus{Read: s.Until, Until: s.Until, Part: p})
		}
	}
	return nil
}

func openPart(ctx context.Context, name string, s *spool, i int, o BackfillOptions) ([]record.Event, error) {
	stored, err := s.part(i)
	if err != nil {
		return nil, err
	}
	events, known := make([]record.Event, len(stored)), make([]bool, len(stored))
	var wg sync.WaitGroup
	var mu sync.Mutex
	var poison *Poison
	each := (len(stored) + o.Workers - 1) / o.Workers
	for from := 0; from < len(stored); from += each {
		wg.Go(func() {
			for j := from; j < min(from+each, len(stored)); j++ {
				var err error
				events[j], known[j], err = openPatiently(ctx, o.Codec, stored[j], func(err error) {
					o.Log.WarnContext(ctx, "backfill waits", "projection", name, "error", err)
				})
				if err != nil {
					mu.Lock()
					if s := stored[j]; poison == nil || s.Position < poison.Position {
						poison = &Poison{Projection: name, Position: s.Position, ID: s.ID, Stream: s.Stream, Type: s.Type, Err: err}
					}
					mu.Unlock()
					return
				}
			}
		})
	}
	wg.Wait()
	if poison != nil {
		return nil, poison
	}
	n := 0
	for j := range events {
		if known[j] {
			if n < j {
				events[n] = events[j]
			}
			n++
		}
	}
	return events[:n], nil
}

// openPatiently waits while what it needs to open an event is away.
func openPatiently(ctx context.Context, codec Opener, s journal.Stored, waits func(error)) (record.Event, bool, error) {
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		e, known, err := codec.Open(ctx, s)
		if record.KindOf(err) != record.Unavailable || ctx.Err() != nil {
			return e, known, err
		}
		waits(err)
		if !sleep(ctx, pause) {
			return e, known, err
		}
	}
}
