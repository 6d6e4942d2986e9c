// Package follow feeds derived stores from the journal: subscription → opened events → batch → output and checkpoint in one
// transaction.
//
//   - A projection is fed every event of a known category once, in log order, from the position it says it has reached. It
//     stores its output and that position together, so a crash at any moment repeats nothing and leaves nothing out.
//   - Catching up and staying live are one loop. While catching up batches are large, because that is what makes a rebuild
//     fast; once live a batch is whatever has come since the last one, mostly a single event, at once.
//   - An event that cannot be opened or applied stops the projection loudly: Run returns an error that names it, the
//     metric says stopped, readiness fails. Nothing is skipped. Everything before it has been applied.
//   - An engine that is away (kind Unavailable) is waited for; nothing is lost meanwhile, for the journal has it.
package follow

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"runtime"
	"sync"
	"time"

	"github.com/google/uuid"

	"yidang/domain/journal"
	"yidang/domain/record"
)

// Source is what is followed; *journal.Journal is one.
type Source interface {
	// Follow yields every event after a position, for ever, without gap or repeat.
	Follow(ctx context.Context, after uint64) iter.Seq2[journal.Item, error]
	// Head is the position of the newest event; ok is false when there is none.
	Head(ctx context.Context) (position uint64, ok bool, err error)
}

// Opener opens stored events; *catalog.Codec is one. known is false for what is of no category.
type Opener interface {
	Open(ctx context.Context, s journal.Stored) (e record.Event, known bool, err error)
}

// Projection is one derived store.
type Projection interface {
	Name() string
	// Checkpoint is the UpTo of the last batch stored; started is false when nothing was.
	Checkpoint(ctx context.Context) (position uint64, started bool, err error)
	// Apply stores the output of a batch and its UpTo in one transaction; a remote store that cannot stores the rows
	// first, idempotently, and UpTo after them. An error of kind Unavailable means: the same batch again, later.
	// Any other error is taken for the fault of an event. In both cases nothing of the batch may remain.
	Apply(ctx context.Context, batch Batch) error
}

// Batch is a stretch of the log.
type Batch struct {
	Events []record.Event // opened, of known categories, in log order; only valid during Apply; may be empty
	UpTo   uint64         // everything up to here is in this batch or an earlier one
	// CaughtUp says that nothing more was there when the batch was made. The first such batch ends catching up; it comes
	// even when there is no event.
	CaughtUp bool
}

// Options of a Follower. Source, Codec and Projection are required.
type Options struct {
	Source     Source
	Codec      Opener
	Projection Projection
	Metrics    *Metrics // may be nil
	Log        *slog.Logger
	// OnEvent is told of every event as soon as it is received, before it is opened; it must be quick.
	OnEvent func(stream string, revision uint64)
	Workers int // that open events; GOMAXPROCS by default
	// MaxEvents and MaxBytes bound a batch; 20,000 and 24 MiB of stored data by default. They are what memory use while
	// catching up depends on.
	MaxEvents, MaxBytes int
	// Until ends Run, without error, once everything up to this position is applied; zero: never.
	Until uint64
	Now   func() time.Time
}

// Follower feeds one projection. Run is called once.
type Follower struct {
	Options
	mu      sync.Mutex
	status  Status
	newest  time.Time     // RecordedAt of the newest applied event
	waiting time.Time     // since when received events await being applied; zero: none do
	moved   chan struct{} // closed at the next change of status; nil when nobody waits
	ended   bool
}

// Status is how far a projection is.
type Status struct {
	Name     string
	Position uint64 // everything up to here shows in the projection
	Head     uint64 // newest position known of
	// Lag is the age of what the projection shows while it is behind; zero when it shows everything received.
	Lag      time.Duration
	CaughtUp bool
	Err      error // why it stopped, or what it is waiting for
	Stopped  bool
}

// Poison is the error of an event that stopped a projection.
type Poison struct {
	Projection string
	Position   uint64
	ID         uuid.UUID
	Stream     string
	Type       string
	Err        error
}

func (p *Poison) Error() string {
	return fmt.Sprintf("projection %s stopped at position %d: event %s (%s, %s): %v", p.Projection, p.Position, p.ID, p.Type, p.Stream, p.Err)
}

func (p *Poison) Unwrap() error { return p.Err }

// New makes a follower.
func New(o Options) *Follower {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Workers <= 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	if o.MaxEvents <= 0 {
		o.MaxEvents = 20_000
	}
	if o.MaxBytes <= 0 {
		o.MaxBytes = 24 << 20
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	f := &Follower{Options: o}
	f.status.Name = o.Projection.Name()
	o.Metrics.add(f)
	return f
}

// Run feeds the projection until the context ends, which is no error, or an event or the journal stops it.
func (f *Follower) Run(ctx context.Context) error {
	err := f.run(ctx)
	if ctx.Err() != nil {
		err = nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.status.Stopped, f.status.Err, f.ended = err != nil, err, true
	f.wake()
	if err != nil {
		f.Log.ErrorContext(ctx, "projection stopped", "projection", f.status.Name, "position", f.status.Position, "error", err)
	}
	return err
}

func (f *Follower) run(ctx context.Context) error {
	position, started, err := f.Projection.Checkpoint(ctx)
	if err != nil {
		return fmt.Errorf("projection %s: reading its checkpoint: %w", f.Projection.Name(), err)
	}
	f.advance(Batch{UpTo: position}, false)
	if head, ok, err := f.Source.Head(ctx); err == nil && ok { // only for showing progress
		f.received(head, false)
	}
	f.Log.InfoContext(ctx, "projection follows", "projection", f.Projection.Name(), "after", position, "new", !started)
	if f.Until > 0 && position >= f.Until {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	p := f.openEvents(ctx, position)
	defer p.wait() // after cancel: nothing of this run outlives it
	defer cancel()
	return f.feed(ctx, p.ordered)
}

// linger is how long a batch that is not full waits while catching up: some servers never say that all was sent.
const linger = 250 * time.Millisecond

// A live batch is stored no sooner than some time after the one before it began, the longer the more events that one had:
// under load events are stored some hundreds at a time, at a fraction of the cost, while an event that comes alone is
// stored at once.
const (
	leastPace    = 15 * time.Millisecond
	longestPace  = 250 * time.Millisecond
	pacePerEvent = time.Millisecond
)

// paceAfter is how long after a live batch began the next one is stored.
func paceAfter(events int) time.Duration {
	return min(max(leastPace, time.Duration(events)*pacePerEvent), longestPace)
}

// feed makes batches of what the workers opened, and has them applied.
func (f *Follower) feed(ctx context.Context, ordered <-chan *chunk) error {
	var due time.Time // a live batch is filled until then, or with what is there when it is past
	for live := false; ; {
		var b Batch
		var stop error
		bytes, got := 0, false
		timer := time.NewTimer(time.Hour)
		for stop == nil && !b.CaughtUp && len(b.Events) < f.MaxEvents && bytes < f.MaxBytes && (f.Until == 0 || b.UpTo < f.Until) {
			c, ok := next(ctx, ordered, timer.C, live && got && !time.Now().Before(due))
			if !ok {
				break
			}
			if !got {
				got = true
				if live {
					timer.Reset(max(0, time.Until(due)))
				} else {
					timer.Reset(linger)
				}
			}
			if b.Events == nil {
				b.Events = c.events
			} else {
				b.Events = append(b.Events, c.events...)
			}
			b.UpTo, bytes, stop = max(b.UpTo, c.upTo), bytes+c.bytes, c.err
			b.CaughtUp = c.caughtUp
		}
		timer.Stop()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		due = time.Now().Add(paceAfter(len(b.Events)))
		f.cut(&b)
		first := b.CaughtUp && !live
		if b.UpTo > f.Status().Position || first {
			b.UpTo = max(b.UpTo, f.Status().Position)
			if err := f.apply(ctx, b); err != nil {
				return err
			}
		}
		if stop != nil {
			return stop
		}
		if f.Until > 0 && b.UpTo >= f.Until {
			return nil
		}
		live = live || b.CaughtUp
	}
}

// next takes the next chunk, opened. With only, it does not wait for one that has not come.
func next(ctx context.Context, ordered <-chan *chunk, tired <-chan time.Time, only bool) (*chunk, bool) {
	var c *chunk
	if only {
		select {
		case c = <-ordered:
		default:
			return nil, false
		}
	} else {
		select {
		case c = <-ordered:
		case <-tired:
			return nil, false
		case <-ctx.Done():
			return nil, false
		}
	}
	select {
	case <-c.opened:
		return c, true
	case <-ctx.Done():
		return nil, false
	}
}

// cut drops what lies beyond Until, so that a rebuild ends exactly there.
func (f *Follower) cut(b *Batch) {
	if f.Until == 0 || b.UpTo <= f.Until {
		return
	}
	n := len(b.Events)
	for n > 0 && b.Events[n-1].Position > f.Until {
		n--
	}
	b.Events, b.UpTo = b.Events[:n], f.Until
}

// apply hands a batch over, again and again while the store is away.
func (f *Follower) apply(ctx context.Context, b Batch) error {
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, 5*time.Second) {
		began := f.Now()
		err := f.Projection.Apply(ctx, b)
		if err == nil {
			f.Metrics.applied(f.status.Name, len(b.Events), f.Now().Sub(began))
			f.advance(b, b.CaughtUp)
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if record.KindOf(err) != record.Unavailable {
			return f.isolate(ctx, b, err)
		}
		f.Log.WarnContext(ctx, "projection waits for its store", "projection", f.status.Name, "error", err)
		f.fault(err)
		if !sleep(ctx, pause) {
			return ctx.Err()
		}
	}
}

// isolate applies a batch that was refused one event at a time, so that what is good is in and the poison is named.
func (f *Follower) isolate(ctx context.Context, b Batch, refused error) error {
	if len(b.Events) == 0 {
		return fmt.Errorf("projection %s at position %d: %w", f.status.Name, b.UpTo, refused)
	}
	if len(b.Events) == 1 {
		return f.poison(b.Events[0], refused)
	}
	for i, e := range b.Events {
		one := Batch{Events: b.Events[i : i+1], UpTo: e.Position}
		if i == len(b.Events)-1 {
			one.UpTo, one.CaughtUp = b.UpTo, b.CaughtUp
		}
		if err := f.apply(ctx, one); err != nil {
			return err
		}
	}
	return nil
}

func (f *Follower) poison(e record.Event, err error) error {
	var known *Poison
	if errors.As(err, &known) {
		return err
	}
	return &Poison{Projection: f.status.Name, Position: e.Position, ID: e.ID, Stream: e.Stream, Type: e.Type, Err: err}
}

func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}
