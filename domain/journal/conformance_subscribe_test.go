package journal_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"
)

// listen passes on what a subscription says, until the test ends.
func (s *subject) listen(subscription *esdb.Subscription, err error) <-chan *esdb.SubscriptionEvent {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
	said := make(chan *esdb.SubscriptionEvent, 1<<16)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			e := subscription.Recv()
			said <- e
			if e.SubscriptionDropped != nil {
				return
			}
		}
	}()
	s.Cleanup(func() { subscription.Close(); <-done })
	return said
}

// next returns the next event, passing over notices; caughtUp says that one of them was it.
func (s *subject) next(said <-chan *esdb.SubscriptionEvent) (e *esdb.RecordedEvent, caughtUp bool) {
	s.Helper()
	ctx := s.ctx()
	for {
		select {
		case n := <-said:
			switch {
			case n.SubscriptionDropped != nil:
				s.Fatalf("the subscription dropped: %v", n.SubscriptionDropped.Error)
			case n.CaughtUp != nil:
				caughtUp = true
			case n.EventAppeared != nil:
				return n.EventAppeared.OriginalEvent(), caughtUp
			}
		case <-ctx.Done():
			s.Fatal("the subscription says nothing")
		}
	}
}

// untilCaughtUp waits for the notice and returns the revisions that came before it.
func (s *subject) untilCaughtUp(said <-chan *esdb.SubscriptionEvent) (before []uint64) {
	s.Helper()
	ctx := s.ctx()
	for {
		select {
		case n := <-said:
			switch {
			case n.SubscriptionDropped != nil:
				s.Fatalf("the subscription dropped: %v", n.SubscriptionDropped.Error)
			case n.CaughtUp != nil:
				return before
			case n.EventAppeared != nil:
				before = append(before, n.EventAppeared.OriginalEvent().EventNumber)
			}
		case <-ctx.Done():
			s.Fatal("the subscription does not catch up")
		}
	}
}

// Ensure that a stream subscription begins where it is told (a revision is the last one seen) and goes on live.
func streamSubscriptions(s *subject) {
	for _, c := range []struct {
		name string
		from esdb.StreamPosition
		want []uint64
	}{
		{"start", esdb.Start{}, []uint64{0, 1, 2, 3, 4}},
		{"revision", esdb.Revision(2), []uint64{3, 4}},
		{"end", esdb.End{}, nil},
	} {
		s.Run(c.name, func(t *testing.T) {
			s := &subject{T: t, client: s.client}
			stream := s.name()
			s.append(stream, esdb.NoStream{}, events(5)...)
			said := s.listen(s.client.SubscribeToStream(s.ctx(), stream, esdb.SubscribeToStreamOptions{From: c.from}))
			if got := s.untilCaughtUp(said); !slices.Equal(got, c.want) {
				t.Errorf("before the notice came %v, want %v", got, c.want)
			}
			s.append(stream, esdb.Revision(4), events(2)...)
			for want := uint64(5); want < 7; want++ {
				if e, _ := s.next(said); e.EventNumber != want {
					t.Errorf("live came %d, want %d", e.EventNumber, want)
				}
			}
		})
	}
	s.Run("stream that comes later", func(t *testing.T) {
		s := &subject{T: t, client: s.client}
		stream := s.name()
		said := s.listen(s.client.SubscribeToStream(s.ctx(), stream, esdb.SubscribeToStreamOptions{From: esdb.Start{}}))
		s.append(s.name(), esdb.NoStream{}, event("another stream"))
		s.append(stream, esdb.NoStream{}, events(2)...)
		for want := range uint64(2) {
			if e, _ := s.next(said); e.StreamID != stream || e.EventNumber != want {
				t.Errorf("came %s %d, want %s %d", e.StreamID, e.EventNumber, stream, want)
			}
		}
	})
}

// Ensure that a subscription to $all begins after the position it is given, or at the end.
func allSubscriptions(s *subject) {
	stream := s.name()
	s.append(stream, esdb.NoStream{}, events(4)...)
	stored := s.readStream(stream, esdb.Start{}, esdb.Forwards, 10)
	atEnd := s.listen(s.client.SubscribeToAll(s.ctx(), esdb.SubscribeToAllOptions{From: esdb.End{}}))
	after := s.listen(s.client.SubscribeToAll(s.ctx(), esdb.SubscribeToAllOptions{From: stored[1].Event.Position}))
	s.append(stream, esdb.Revision(3), event("later"))
	mine := func(said <-chan *esdb.SubscriptionEvent) uint64 {
		for {
			if e, _ := s.next(said); e.StreamID == stream {
				return e.EventNumber
			}
		}
	}
	for want := uint64(2); want < 5; want++ {
		if got := mine(after); got != want {
			s.Errorf("after the position came %d, want %d", got, want)
		}
	}
	if got := mine(atEnd); got != 4 {
		s.Errorf("from the end came %d, want 4", got)
	}
}

// Ensure that the server sends only what the filter wants, and says where it is when it passes over the rest.
func filters(s *subject) {
	tag := strings.ReplaceAll(uuid.NewString(), "-", "")
	wanted, other := "wanted"+tag+"-1", "other"+tag+"-1"
	for i := range 40 {
		e := event("noise" + tag)
		if i%10 == 3 {
			e = event("tier" + tag + "_changed")
		}
		s.append(other, esdb.Any{}, e)
		if i%8 == 0 {
			s.append(wanted, esdb.Any{}, event("plain"+tag))
		}
	}
	from := s.readStream(other, esdb.Start{}, esdb.Forwards, 1)[0].Event.Position
	for _, c := range []struct {
		name   string
		filter esdb.SubscriptionFilter
		want   func(*esdb.RecordedEvent) bool
		count  int
	}{
		{"stream prefix", esdb.SubscriptionFilter{Type: esdb.StreamFilterType, Prefixes: []string{"nothing", "wanted" + tag}},
			func(e *esdb.RecordedEvent) bool { return e.StreamID == wanted }, 5},
		{"stream regex", esdb.SubscriptionFilter{Type: esdb.StreamFilterType, Regex: "^wan.*" + tag + "-[0-9]$"},
			func(e *esdb.RecordedEvent) bool { return e.StreamID == wanted }, 5},
		{"type prefix", esdb.SubscriptionFilter{Type: esdb.EventFilterType, Prefixes: []string{"tier" + tag}},
			func(e *esdb.RecordedEvent) bool { return e.EventType == "tier"+tag+"_changed" }, 4},
		{"type regex", esdb.SubscriptionFilter{Type: esdb.EventFilterType, Regex: tag + "_ch"},
			func(e *esdb.RecordedEvent) bool { return e.EventType == "tier"+tag+"_changed" }, 4},
	} {
		s.Run(c.name, func(t *testing.T) {
			s := &subject{T: t, client: s.client}
			said := s.listen(s.client.SubscribeToAll(s.ctx(), esdb.SubscribeToAllOptions{
				From: from, Filter: &c.filter, MaxSearchWindow: 4, CheckpointInterval: 2}))
			for range c.count {
				if e, _ := s.next(said); !c.want(e) {
					t.Errorf("%s of %s passed the filter", e.EventType, e.StreamID)
				}
			}
		})
	}
	s.Run("checkpoints", func(t *testing.T) {
		s := &subject{T: t, client: s.client}
		said := s.listen(s.client.SubscribeToAll(s.ctx(), esdb.SubscribeToAllOptions{From: from, MaxSearchWindow: 4, CheckpointInterval: 2,
			Filter: &esdb.SubscriptionFilter{Type: esdb.EventFilterType, Prefixes: []string{"never" + tag}}}))
		last, n := uint64(0), 0
		for n < 3 {
			select {
			case e := <-said:
				switch {
				case e.EventAppeared != nil:
					t.Fatalf("%s passed the filter", e.EventAppeared.OriginalEvent().EventType)
				case e.CheckPointReached != nil:
					if n++; e.CheckPointReached.Commit <= last || e.CheckPointReached.Commit <= from.Commit {
						t.Errorf("checkpoint %d after %d", e.CheckPointReached.Commit, max(last, from.Commit))
					}
					last = e.CheckPointReached.Commit
				}
			case <-s.ctx().Done():
				t.Fatal("no checkpoint")
			}
		}
	})
	s.Run("bad expression", func(t *testing.T) {
		_, err := s.client.SubscribeToAll(s.ctx(), esdb.SubscribeToAllOptions{From: from,
			Filter: &esdb.SubscriptionFilter{Type: esdb.EventFilterType, Regex: "(["}})
		(&subject{T: t}).code(esdb.ErrorCodeUnknown, err)
	})
}

// Ensure that subscriptions begun in the middle of heavy appending see every event once and in order.
func liveWithoutGap(s *subject) {
	stream := s.name()
	const callers, each, total = 4, 50, 4 * 50
	ctx, cancel := context.WithCancel(s.ctx())
	defer cancel()
	s.append(stream, esdb.NoStream{}, event("first"))
	begin := s.readStream(stream, esdb.Start{}, esdb.Forwards, 1)[0].Event.Position
	var writers, readers sync.WaitGroup
	for range callers {
		writers.Go(func() {
			for range each {
				if _, err := s.client.AppendToStream(ctx, stream, esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, event("x")); err != nil {
					s.Error(err)
					return
				}
			}
		})
	}
	for i := range 6 {
		var said <-chan *esdb.SubscriptionEvent
		switch i % 3 {
		case 0:
			said = s.listen(s.client.SubscribeToStream(ctx, stream, esdb.SubscribeToStreamOptions{From: esdb.Revision(0)}))
		case 1:
			said = s.listen(s.client.SubscribeToAll(ctx, esdb.SubscribeToAllOptions{From: begin}))
		case 2:
			said = s.listen(s.client.SubscribeToAll(ctx, esdb.SubscribeToAllOptions{From: begin, MaxSearchWindow: 8,
				Filter: &esdb.SubscriptionFilter{Type: esdb.StreamFilterType, Prefixes: []string{stream}}}))
		}
		readers.Go(func() {
			for want := uint64(1); want <= total; {
				var n *esdb.SubscriptionEvent
				select {
				case n = <-said:
				case <-ctx.Done():
					s.Errorf("subscription %d stopped before event %d", i, want)
					return
				}
				if n.SubscriptionDropped != nil {
					s.Errorf("subscription %d dropped: %v", i, n.SubscriptionDropped.Error)
					return
				}
				if n.EventAppeared == nil || n.EventAppeared.OriginalEvent().StreamID != stream {
					continue
				}
				if got := n.EventAppeared.OriginalEvent().EventNumber; got != want {
					s.Errorf("subscription %d: event %d came, want %d", i, got, want)
					return
				}
				want++
			}
		})
	}
	writers.Wait()
	readers.Wait()
}
