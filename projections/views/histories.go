package views

import (
	"container/list"
	"context"
	"sync"

	"yidang/domain/record"
	"yidang/projections/follow"
)

// histories keeps the opened events of the streams read last. A stream only grows, so of one that is kept only what came
// after is read from the journal.
type histories struct {
	from   follow.History
	erased func(stream string) bool
	size   int

	mu     sync.Mutex
	kept   map[string]*list.Element
	used   *list.List // of *history, the one used last in front
	events int
}

type history struct {
	stream string
	mu     sync.Mutex     // held while the stream is read
	events []record.Event // only appended to: a reader may keep a shorter one
	erased bool
	size   int // as counted in histories.events
}

func newHistories(o Options) *histories {
	return &histories{from: o.History, erased: o.Erased, size: o.CacheEvents, kept: map[string]*list.Element{}, used: list.New()}
}

// read gives the whole of a stream as the journal has it now. The caller must not change the events.
func (hs *histories) read(ctx context.Context, stream string) ([]record.Event, error) {
	h := hs.get(stream)
	h.mu.Lock()
	defer h.mu.Unlock()
	if gone := hs.erased(stream); gone != h.erased { // the key was destroyed since: what was opened must go
		h.events, h.erased = nil, gone
	}
	for e, err := range hs.from(ctx, stream, uint64(len(h.events))) {
		if err != nil {
			return nil, err
		}
		h.events = append(h.events, e)
	}
	hs.grew(h)
	return h.events, nil
}

func (hs *histories) get(stream string) *history {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	if el, ok := hs.kept[stream]; ok {
		hs.used.MoveToFront(el)
		return el.Value.(*history)
	}
	h := &history{stream: stream}
	hs.kept[stream] = hs.used.PushFront(h)
	return h
}

// grew counts what a history holds now, and lets go of those used least recently.
func (hs *histories) grew(h *history) {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	if el, ok := hs.kept[h.stream]; !ok || el.Value.(*history) != h {
		return // let go meanwhile
	}
	hs.events += len(h.events) + 1 - h.size
	h.size = len(h.events) + 1
	for hs.events > hs.size && hs.used.Len() > 1 {
		hs.remove(hs.used.Back())
	}
}

func (hs *histories) drop(stream string) {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	if el, ok := hs.kept[stream]; ok {
		hs.remove(el)
	}
}

func (hs *histories) remove(el *list.Element) {
	h := el.Value.(*history)
	hs.used.Remove(el)
	delete(hs.kept, h.stream)
	hs.events -= h.size
}
