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
	opened *stream        // of these events; replaced when there are more; nil: not folded yet
	erased bool
	size   int // as counted in histories.events
}

// foldedSize is what the folded files of a history take in memory, in events.
const foldedSize = 10

func newHistories(o Options) *histories {
	return &histories{from: o.History, erased: o.Erased, size: o.CacheEvents, kept: map[string]*list.Element{}, used: list.New()}
}

// read gives the whole of a stream as the journal has it now.
func (hs *histories) read(ctx context.Context, k *record.Category, name string) (*stream, error) {
	h := hs.get(name)
	h.mu.Lock()
	defer h.mu.Unlock()
	if gone := hs.erased(name); gone != h.erased { // the key was destroyed since: what was opened must go
		h.events, h.opened, h.erased = nil, nil, gone
	}
	for e, err := range hs.from(ctx, name, uint64(len(h.events))) {
		if err != nil {
			return nil, err
		}
		h.events, h.opened = append(h.events, e), nil
	}
	hs.grew(h)
	if h.opened == nil {
		now, err := fold(k, name, h.events, record.At{})
		if err != nil {
			return nil, err
		}
		h.opened = &stream{events: h.events, now: now}
	}
	return h.opened, nil
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
