package journal

import (
	"context"
	"sync"
)

// handoff passes items from a goroutine that receives to one that works, in whatever batches have gathered: no item
// waits for others, and a busy pair pays for one wake-up per batch.
type handoff[T any] struct {
	mu     sync.Mutex
	items  []T
	spare  []T // the batch that take gave out last, for reuse
	bytes  int
	closed bool
	ready  chan struct{}
	room   chan struct{}
}

// What may wait, so that memory stays flat however slow the worker is.
const (
	handoffItems = 512
	handoffBytes = 4 << 20
)

func newHandoff[T any]() *handoff[T] {
	return &handoff[T]{ready: make(chan struct{}, 1), room: make(chan struct{}, 1)}
}

// push adds an item, waiting for room; false when the context ended first.
func (h *handoff[T]) push(ctx context.Context, item T, size int) bool {
	for {
		h.mu.Lock()
		if len(h.items) == 0 || len(h.items) < handoffItems && h.bytes+size <= handoffBytes {
			h.items = append(h.items, item)
			h.bytes += size
			h.mu.Unlock()
			wake(h.ready)
			return true
		}
		h.mu.Unlock()
		select {
		case <-h.room:
		case <-ctx.Done():
			return false
		}
	}
}

// close says that nothing follows.
func (h *handoff[T]) close() {
	h.mu.Lock()
	h.closed = true
	h.mu.Unlock()
	wake(h.ready)
}

// take waits for items and returns them; they are valid until the next take. more is false after the last, and when the
// context ends.
func (h *handoff[T]) take(ctx context.Context) (items []T, more bool) {
	for {
		h.mu.Lock()
		if len(h.items) > 0 {
			items = h.items
			clear(h.spare)
			h.items, h.spare, h.bytes = h.spare[:0], items, 0
			h.mu.Unlock()
			wake(h.room)
			return items, true
		}
		closed := h.closed
		h.mu.Unlock()
		if closed {
			return nil, false
		}
		select {
		case <-h.ready:
		case <-ctx.Done():
			return nil, false
		}
	}
}

func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
