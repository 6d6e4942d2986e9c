package journal

import (
	"context"
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
// the last position it yielded. An error ends it: the context's, or one that trying again does not mend (Forbidden,
// Invalid).
func (j *Journal) Follow(ctx context.Context, after uint64) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		pause := time.Duration(0)
		for {
			heard, left, err := j.follow(ctx, &after, yield)
			if left {
				return
			}
			if ctx.Err() != nil {
				yield(Item{}, record.Errorf(record.Unavailable, "following the journal: %w", context.Cause(ctx)))
				return
			}
			if kind := record.KindOf(err); kind == record.Forbidden || kind == record.Invalid {
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

// follow runs one subscription until it drops. heard says that the server sent something, left that the caller's loop
// ended.
func (j *Journal) follow(ctx context.Context, after *uint64, yield func(Item, error) bool) (heard, left bool, err error) {
	client, err := j.use()
	if err != nil {
		return false, false, err
	}
	from := esdb.AllPosition(esdb.Start{})
	if *after > 0 {
		from = esdb.Position{Commit: *after, Prepare: *after}
	}
	subscription, err := client.SubscribeToAll(ctx, esdb.SubscribeToAllOptions{
		From:               from,
		Filter:             &esdb.SubscriptionFilter{Type: esdb.StreamFilterType, Regex: `^[^$]`},
		MaxSearchWindow:    followWindow,
		CheckpointInterval: 1,
	})
	if err != nil {
		return false, false, j.readError(ctx, client, "$all", err)
	}
	defer subscription.Close()
	for {
		item := Item{Position: *after}
		switch e := subscription.Recv(); {
		case e.SubscriptionDropped != nil:
			return heard, false, j.readError(ctx, client, "$all", e.SubscriptionDropped.Error)
		case e.EventAppeared != nil:
			if e.EventAppeared.Event == nil || e.EventAppeared.Event.Position.Commit <= *after {
				continue
			}
			item.Kind, item.Event = Happened, toStored(e.EventAppeared.Event)
			item.Position = item.Event.Position
		case e.CheckPointReached != nil:
			if e.CheckPointReached.Commit <= *after {
				continue
			}
			item.Kind, item.Position = Checkpoint, e.CheckPointReached.Commit
		case e.CaughtUp != nil:
			item.Kind = CaughtUp
		default:
			continue
		}
		heard = true
		*after = item.Position
		if !yield(item, nil) {
			return heard, true, nil
		}
	}
}

// followWindow is how many events a server passes over before it says where it is.
const followWindow = 1000
