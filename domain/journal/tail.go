package journal

import (
	"context"
	"errors"
	"sync"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
)

// tail is the newest stretch of the journal, heard once for all who follow it in this process. A follower first reads what
// is there by a subscription of its own; once that has caught up it goes on here, if all that came since is still here. One
// that falls behind the stretch goes back to a subscription of its own, so nobody waits for a slow one.
type tail struct {
	stop context.CancelFunc

	mu    sync.Mutex
	items []Item // the newest last
	bytes int
	first uint64        // the number of items[0]: items are numbered as they come
	after uint64        // the position after which items[0] comes without gap
	end   error         // why there will be no more; nil while there may be
	grown chan struct{} // closed and replaced when there is more

	listeners int // guarded by Journal.tails
}

// How much of the newest is kept: some seconds of a busy server.
const (
	tailItems = 4096
	tailBytes = 4 << 20
)

// errFellBehind ends following the tail where what comes next is no longer kept.
var errFellBehind = errors.New("fell behind the newest events that are kept")

// join finds the shared tail, and begins it for the first that asks. Every join is followed by leaveTail.
func (j *Journal) join(after uint64) *tail {
	j.tails.Lock()
	defer j.tails.Unlock()
	t := j.tail
	if t == nil {
		ctx, stop := context.WithCancel(j.life)
		t = &tail{stop: stop, after: after, grown: make(chan struct{})}
		j.tail = t
		go j.fillTail(ctx, t, after)
	}
	t.listeners++
	return t
}

// leaveTail lets go of the tail; the last one ends it, and so does the first who finds that it has ended.
func (j *Journal) leaveTail(t *tail) {
	j.tails.Lock()
	defer j.tails.Unlock()
	t.listeners--
	t.mu.Lock()
	ended := t.end != nil
	t.mu.Unlock()
	if t.listeners == 0 || ended {
		t.stop()
		if j.tail == t {
			j.tail = nil
		}
	}
}

func (j *Journal) fillTail(ctx context.Context, t *tail, after uint64) {
	err := j.start(ctx, func(ctx context.Context, client *esdb.Client) (func() error, error) {
		subscription, err := subscribe(ctx, client, after)
		if err != nil {
			return nil, err
		}
		return func() error {
			defer t.stop()
			defer subscription.Close()
			err := hear(ctx, subscription, after, t.push)
			t.close(err)
			return err
		}, nil
	})
	if err != nil {
		t.close(err)
		t.stop()
	}
}

func (t *tail) close(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.end == nil {
		t.end = err
		close(t.grown)
	}
}

// push adds what was heard and drops what is too old. A tail that was closed takes no more: start gives up on a subscription
// as soon as nobody listens, and it may yet open.
func (t *tail) push(_ context.Context, item Item, size int) bool {
	if item.Kind == CaughtUp { // of the subscription; each follower has said so for itself
		return true
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.end != nil {
		return false
	}
	t.items = append(t.items, item)
	t.bytes += size
	drop := 0
	for len(t.items)-drop > tailItems || t.bytes > tailBytes && drop < len(t.items)-1 {
		t.after, t.bytes = t.items[drop].Position, t.bytes-t.items[drop].size()
		drop++
	}
	if drop > 0 { // append moves what is left when it runs out of room: the old array goes with its events
		clear(t.items[:drop])
		t.items, t.first = t.items[drop:], t.first+uint64(drop)
	}
	close(t.grown)
	t.grown = make(chan struct{})
	return true
}

func (i Item) size() int { return len(i.Event.Data) + len(i.Event.Meta) }

// place finds where to go on after a position.
func (t *tail) place(after uint64) (number uint64, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if after < t.after {
		return 0, false
	}
	for i, item := range t.items {
		if item.Position > after {
			return t.first + uint64(i), true
		}
	}
	return t.first + uint64(len(t.items)), true
}

// next waits for the items from a number on. They belong to all: change nothing.
func (t *tail) next(ctx context.Context, number uint64, into []Item) ([]Item, error) {
	for {
		t.mu.Lock()
		if number < t.first {
			t.mu.Unlock()
			return nil, errFellBehind
		}
		if i := number - t.first; i < uint64(len(t.items)) {
			into = append(into[:0], t.items[i:]...)
			t.mu.Unlock()
			return into, nil
		}
		end, grown := t.end, t.grown
		t.mu.Unlock()
		if end != nil {
			return nil, end
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// followTail goes on where a subscription of the follower's own has caught up. left says that the caller's loop ended; an
// error says why there is no more here, errFellBehind and what ended the tail alike.
func (j *Journal) followTail(ctx context.Context, after *uint64, yield func(Item, error) bool) (left bool, err error) {
	t := j.join(*after)
	defer j.leaveTail(t)
	number, ok := t.place(*after)
	if !ok {
		return false, errFellBehind
	}
	var batch []Item
	for {
		if batch, err = t.next(ctx, number, batch); err != nil {
			return false, err
		}
		for _, item := range batch {
			if item.Position <= *after { // the tail may have begun earlier
				continue
			}
			*after = item.Position
			if !yield(item, nil) {
				return true, nil
			}
		}
		number += uint64(len(batch))
	}
}
