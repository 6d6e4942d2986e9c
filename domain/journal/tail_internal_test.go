package journal

import (
	"context"
	"errors"
	"testing"
	"time"
)

// Ensure that the shared tail gives every event after a place once, and says so when it no longer has it.
func TestTail(t *testing.T) {
	tl := &tail{after: 10, grown: make(chan struct{}), stop: func() {}}
	if _, ok := tl.place(9); ok {
		t.Error("a place before the tail began was found")
	}
	number, ok := tl.place(10)
	if !ok {
		t.Fatal("the place where the tail began was not found")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for p := uint64(11); p <= 10+tailItems; p++ {
		tl.push(ctx, Item{Kind: Happened, Position: p}, 0)
	}
	items, err := tl.next(ctx, number, nil)
	if err != nil || len(items) != tailItems || items[0].Position != 11 {
		t.Fatalf("%d items, %v", len(items), err)
	}
	big := Item{Kind: Happened, Position: 11 + tailItems, Event: Stored{Data: make([]byte, tailBytes+1)}}
	tl.push(ctx, big, big.size())
	if _, err := tl.next(ctx, number, nil); !errors.Is(err, errFellBehind) {
		t.Errorf("what is no longer kept: %v", err)
	}
	if _, ok := tl.place(10 + tailItems - 1); ok {
		t.Error("a place that is no longer kept was found")
	}
	if number, ok = tl.place(10 + tailItems); !ok {
		t.Fatal("the place before the newest was not found")
	}
	if items, err = tl.next(ctx, number, items); err != nil || len(items) != 1 || items[0].Position != big.Position {
		t.Errorf("the newest: %d items, %v", len(items), err)
	}
	over := errors.New("over")
	go tl.close(over)
	if _, err := tl.next(ctx, number+1, items); !errors.Is(err, over) {
		t.Errorf("the end: %v", err)
	}
	if tl.push(ctx, Item{Kind: Happened, Position: big.Position + 1}, 0) { // of a subscription that opened too late
		t.Error("it goes on after its end")
	}
	if _, err := tl.next(ctx, number+1, items); !errors.Is(err, over) {
		t.Errorf("after the end: %v", err)
	}
}
