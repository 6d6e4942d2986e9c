package follow

import (
	"context"
	"sync"

	"yidang/domain/journal"
	"yidang/domain/record"
)

// chunk is a stretch of the log on its way through the workers. Chunks are put into ordered in log order and opened in any.
type chunk struct {
	stored   []journal.Stored
	events   []record.Event // set once opened is closed
	upTo     uint64
	bytes    int
	caughtUp bool  // the source had no more
	err      error // ends the run after events: poison, or the source's end
	opened   chan struct{}
}

// chunkSize is how many events a worker opens in one go: enough to make channels cheap, few enough to spread.
const chunkSize = 256

// pipeline is the reader and the workers of one run.
type pipeline struct {
	ordered chan *chunk
	tasks   chan *chunk
	items   chan journal.Item
	failed  chan error
	wg      sync.WaitGroup
}

func (p *pipeline) wait() { p.wg.Wait() }

// openEvents reads the source after a position and opens what comes, in parallel. It ends with the context. What is in
// flight is bounded by the channels.
func (f *Follower) openEvents(ctx context.Context, after uint64) *pipeline {
	p := &pipeline{
		ordered: make(chan *chunk, 2*f.Workers+2), tasks: make(chan *chunk, 2*f.Workers+2),
		items: make(chan journal.Item, chunkSize), failed: make(chan error, 1),
	}
	p.wg.Go(func() { f.read(ctx, p, after) })
	p.wg.Go(func() { gather(ctx, p) })
	for range f.Workers {
		p.wg.Go(func() {
			for {
				select {
				case c := <-p.tasks:
					f.open(ctx, c)
					close(c.opened)
				case <-ctx.Done():
					return
				}
			}
		})
	}
	return p
}

func (f *Follower) read(ctx context.Context, p *pipeline, after uint64) {
	defer close(p.items)
	for item, err := range f.Source.Follow(ctx, after) {
		if err != nil {
			p.failed <- err
			return
		}
		switch item.Kind {
		case journal.Lost:
			f.Log.WarnContext(ctx, "projection lost the journal", "projection", f.status.Name, "error", item.Cause)
			f.fault(item.Cause)
			continue
		case journal.Happened:
			if f.OnEvent != nil {
				f.OnEvent(item.Event.Stream, item.Event.Revision)
			}
			f.received(item.Position, true)
		}
		select {
		case p.items <- item:
		case <-ctx.Done():
			return
		}
	}
}

// gather makes chunks of whatever has come: many events while catching up, one when one comes.
func gather(ctx context.Context, p *pipeline) {
	for {
		c := &chunk{opened: make(chan struct{})}
		item, ok := <-p.items
		for ok {
			c.take(item)
			if len(c.stored) == chunkSize || c.caughtUp {
				break
			}
			select {
			case item, ok = <-p.items:
				continue
			default:
			}
			break
		}
		if !ok {
			select {
			case c.err = <-p.failed:
			default: // the context ended
			}
		}
		for _, to := range []chan *chunk{p.ordered, p.tasks} {
			select {
			case to <- c:
			case <-ctx.Done():
				return
			}
		}
		if !ok {
			return
		}
	}
}

func (c *chunk) take(item journal.Item) {
	c.upTo = item.Position
	switch item.Kind {
	case journal.Happened:
		c.stored = append(c.stored, item.Event)
		c.bytes += len(item.Event.Data) + len(item.Event.Meta)
	case journal.CaughtUp:
		c.caughtUp = true
	}
}

// open opens a chunk's events. On poison what came before it stays.
func (f *Follower) open(ctx context.Context, c *chunk) {
	c.events = make([]record.Event, 0, len(c.stored))
	for _, s := range c.stored {
		e, known, err := openPatiently(ctx, f.Codec, s, f.fault)
		if err != nil {
			c.err = &Poison{Projection: f.status.Name, Position: s.Position, ID: s.ID, Stream: s.Stream, Type: s.Type, Err: err}
			c.upTo, c.caughtUp = s.Position-1, false
			break
		}
		if known {
			c.events = append(c.events, e)
		}
	}
	c.stored = nil
}
