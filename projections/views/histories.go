package views

import (
	"container/list"
	"context"
	"sync"

	"yidang/domain/record"
	"yidang/projections/follow"
)

// histories keeps the opened events of the streams read last, and the files they fold to. A stream only grows, so of one
// that is kept only what came after is read from the journal.
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
	now    *record.File   // folded from events; replaced when there are more, never changed; nil: not folded yet
	erased bool
	size   int // as counted in histories.events
}

// foldedSize is what a folded file takes in memory, in events.
const foldedSize = 5

func newHistories(o Options) *histories {
	return &histories{from: o.History, erased: o.Erased, size: o.CacheEvents, kept: map[string]*list.Element{}, used: list.New()}
}

// read gives the whole of a stream as the journal has it now. The caller must not change the events.
func (hs *histories) read(ctx context.Context, k *record.Category, name string) (s stream, err error) {
	h := hs.get(name)
	h.mu.Lock()
	defer h.mu.Unlock()
	if gone := hs.erased(name); gone != h.erased { // the key was destroyed since: what was opened must go
		h.events, h.now, h.erased = nil, nil, gone
	}
	for e, err := range hs.from(ctx, name, uint64(len(h.events))) {
		if err != nil {
			return s, err
		}
		h.events, h.now = append(h.events, e), nil
	}
	hs.grew(h)
	if h.now == nil {
		if h.now, err = fold(k, name, h.events, record.At{}); err != nil {
			return s, err
		}
	}
	return stream{events: h.events, now: h.now}, nil
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
	hs.events += len(h.events) + foldedSize - h.size
	h.size = len(h.events) + foldedSize
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
