package journal

import (
	"context"
	"errors"
	"iter"
	"math/rand/v2"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"yidang/domain/record"
)

// Item is what a subscription yields.
type Item struct {
	Kind     ItemKind
	Event    Stored // when Kind is Happened
	Position uint64 // everything up to here has been yielded; 0 when nothing has
	Cause    error  // when Kind is Lost
}

// ItemKind says what an Item tells.
type ItemKind int

const (
	Happened   ItemKind = iota + 1 // an event
	Checkpoint                     // no event for us up to Position; worth storing so as not to pass over them again
	CaughtUp                       // what was there has been yielded; what follows is new
	Lost                           // the connection is gone and is being made again; events follow without gap or repeat
)

// Follow yields every event after a position (0 for all), except those of system streams, first what is there and then
// what comes, until the context ends or the loop is left. It survives outages of the server: it subscribes again after
// the last position it yielded. An error ends it: the context's, that of a journal that was closed, or one that trying
// again does not mend (Forbidden, Invalid).
func (j *Journal) Follow(ctx context.Context, after uint64) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		pause := time.Duration(0)
		for {
			heard, left, err := j.follow(ctx, &after, yield)
			if left {
				return
			}
			if errors.Is(err, errFellBehind) && ctx.Err() == nil {
				continue // what was missed is read by the next subscription
			}
			if ctx.Err() != nil {
				yield(Item{}, record.Errorf(record.Unavailable, "following the journal: %w", context.Cause(ctx)))
				return
			}
			if kind := record.KindOf(err); kind == record.Forbidden || kind == record.Invalid || j.life.Err() != nil {
				yield(Item{}, err)
				return
			}
			if !yield(Item{Kind: Lost, Position: after, Cause: err}, nil) {
				return
			}
			if heard {
				pause = 0
			}
			pause = min(max(2*pause, firstPause), longestPause)
			select {
			case <-time.After(pause/2 + rand.N(pause)): // apart, so that a server that returns is not met by all at once
			case <-ctx.Done():
			}
		}
	}
}

const (
	firstPause   = 50 * time.Millisecond
	longestPause = 5 * time.Second
)

// follow runs one subscription until it has caught up, and goes on at the shared tail until that drops. heard says that the
// server sent something, left that the caller's loop ended.
func (j *Journal) follow(ctx context.Context, after *uint64, yield func(Item, error) bool) (heard, left bool, err error) {
	outer := ctx
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ahead := newHandoff[Item]()
	var end error // set before the handoff is closed
	from := *after
	err = j.start(ctx, func(ctx context.Context, client *esdb.Client) (func() error, error) {
		subscription, err := subscribe(ctx, client, from)
		if err != nil {
			return nil, err
		}
		return func() error {
			defer ahead.close()
			defer subscription.Close()
			end = hear(ctx, subscription, from, ahead.push)
			return end
		}, nil
	})
	if err != nil {
		return false, false, j.readError(ctx, "$all", err)
	}
	for {
		batch, more := ahead.take(ctx)
		for _, item := range batch {
			heard, *after = true, item.Position
			if !yield(item, nil) {
				return heard, true, nil
			}
			if item.Kind == CaughtUp {
				cancel() // this subscription has done its part
				left, err := j.followTail(outer, after, yield)
				if err != nil && !errors.Is(err, errFellBehind) {
					err = j.readError(outer, "$all", err)
				}
				return heard, left, err
			}
		}
		if more {
			continue
		}
		if err := ctx.Err(); err != nil {
			return heard, false, j.readError(ctx, "$all", err) // the receiver may still be at it
		}
		return heard, false, j.readError(ctx, "$all", end)
	}
}

func subscribe(ctx context.Context, client *esdb.Client, after uint64) (*esdb.Subscription, error) {
	from := esdb.AllPosition(esdb.Start{})
	if after > 0 {
		from = esdb.Position{Commit: after, Prepare: after}
	}
	return client.SubscribeToAll(ctx, esdb.SubscribeToAllOptions{
		From:               from,
		Filter:             &esdb.SubscriptionFilter{Type: esdb.StreamFilterType, Regex: `^[^$]`},
		MaxSearchWindow:    followWindow,
		CheckpointInterval: 1,
	})
}

// hear passes on what the subscription sends until it drops, and says why it did.
func hear(ctx context.Context, subscription *esdb.Subscription, after uint64, push func(context.Context, Item, int) bool) error {
	for {
		item := Item{Position: after}
		switch e := subscription.Recv(); {
		case e.SubscriptionDropped != nil:
			return e.SubscriptionDropped.Error
		case e.EventAppeared != nil:
			event := e.EventAppeared.Event
			if event == nil || event.Position.Commit <= after {
				continue
			}
			item = Item{Kind: Happened, Event: toStored(event), Position: event.Position.Commit}
		case e.CheckPointReached != nil:
			if e.CheckPointReached.Commit <= after {
				continue
			}
			item.Kind, item.Position = Checkpoint, e.CheckPointReached.Commit
		case e.CaughtUp != nil:
			item.Kind = CaughtUp
		default:
			continue
		}
		after = item.Position
		if !push(ctx, item, item.size()) {
			return ctx.Err()
		}
	}
}

// followWindow is how many events a server passes over before it says where it is.
const followWindow = 1000
