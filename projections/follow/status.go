package follow

import (
	"context"
	"time"

	"yidang/domain/record"
)

const (
	firstPause   = 100 * time.Millisecond
	longestPause = 5 * time.Second
)

// Status tells how far the projection is.
func (f *Follower) Status() Status {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.status
	switch {
	case s.Position >= s.Head && s.CaughtUp:
	case !s.CaughtUp && !f.newest.IsZero():
		s.Lag = f.Now().Sub(f.newest)
	case !f.waiting.IsZero():
		s.Lag = f.Now().Sub(f.waiting)
	}
	return s
}

// Wait returns once the projection shows everything up to a position. It answers Unavailable when the projection stopped
// short of it or the context ended first.
func (f *Follower) Wait(ctx context.Context, position uint64) error {
	for {
		f.mu.Lock()
		if f.status.Position >= position {
			f.mu.Unlock()
			return nil
		}
		if f.ended {
			err := f.status.Err
			f.mu.Unlock()
			if err == nil {
				return record.Errorf(record.Unavailable, "%s: not running", f.status.Name)
			}
			return record.Errorf(record.Unavailable, "%s: stopped before position %d: %w", f.status.Name, position, err)
		}
		if f.moved == nil {
			f.moved = make(chan struct{})
		}
		moved, at := f.moved, f.status.Position
		f.mu.Unlock()
		select {
		case <-moved:
		case <-ctx.Done():
			p := record.Errorf(record.Unavailable, "%s: at position %d, not yet at %d: %w", f.status.Name, at, position, context.Cause(ctx))
			p.Zh, p.Remedy = "尚未处理到该日志位置", "ask again in a moment, for a position that the log has reached"
			return p
		}
	}
}

func (f *Follower) advance(b Batch, caughtUp bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.status.Position = b.UpTo
	f.status.Head = max(f.status.Head, b.UpTo)
	f.status.CaughtUp = f.status.CaughtUp || caughtUp
	f.status.Err = nil
	if n := len(b.Events); n > 0 {
		f.newest = b.Events[n-1].Meta.RecordedAt
	}
	if f.status.Position >= f.status.Head {
		f.waiting = time.Time{}
	} else if !f.waiting.IsZero() {
		f.waiting = f.Now() // what waits now came after what was just applied
	}
	f.wake()
}

func (f *Follower) received(position uint64, event bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.status.Head = max(f.status.Head, position)
	if event && f.waiting.IsZero() {
		f.waiting = f.Now()
	}
}

// fault shows what the projection waits for; the next batch applied clears it.
func (f *Follower) fault(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.status.Err = err
}

// wake is called with mu held.
func (f *Follower) wake() {
	if f.moved != nil {
		close(f.moved)
		f.moved = nil
	}
}
