package embedded

import (
	"context"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
)

// subscribe sends what is there and then what comes, in one and the same loop: each round reads from where the last
// one ended, so there is no hand-over between history and live events in which one could be lost or repeated.
func (s *service) subscribe(ctx context.Context, r readRequest, call streams.Streams_ReadServer) error {
	sub := subscription{service: s, request: r}
	if err := sub.begin(ctx); err != nil {
		return err
	}
	if err := call.Send(confirmation()); err != nil {
		return err
	}
	for live := false; ; {
		// Taken before the read: an append after it closes this channel, one before it is seen by the read.
		grown := s.store.growth()
		ended, err := sub.round(ctx, call)
		if err != nil {
			return err
		}
		if !ended {
			continue
		}
		if !live {
			if err := call.Send(caughtUp()); err != nil {
				return err
			}
			live = true
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

type subscription struct {
	service    *service
	request    readRequest
	span       span
	considered uint64 // events passed since the last checkpoint
	expected   int    // bytes of the next page
}

// begin fixes the place where the subscription starts: after the revision or position named, or after what is there
// now.
func (s *subscription) begin(ctx context.Context) error {
	r := s.request
	switch {
	case r.start == startAt:
		s.span.from = r.at + 1
	case r.start == startEnd && r.stream == "":
		s.span.from = s.service.store.head.Load() + 1
	case r.start == startEnd:
		return s.service.store.lend(ctx, func(rd *reader) error {
			id, err := rd.streamID(r.stream)
			if err != nil || id == 0 {
				return err
			}
			last, err := rd.lastRevision(id)
			s.span.stream, s.span.from = id, uint64(last+1)
			return err
		})
	}
	return nil
}

// round sends one page; ended says that it reached the end of what is there.
func (s *subscription) round(ctx context.Context, call streams.Streams_ReadServer) (ended bool, err error) {
	store := s.service.store
	if s.request.stream == "" && s.span.from > store.head.Load() {
		return true, nil
	}
	if s.request.stream != "" && s.span.stream == 0 {
		err := store.lend(ctx, func(rd *reader) error {
			s.span.stream, err = rd.streamID(s.request.stream)
			return err
		})
		if err != nil || s.span.stream == 0 {
			return true, err
		}
	}
	p := newPage(s.request.idText, s.expected)
	marks := []mark(nil)
	ended, err = s.fill(ctx, p, &marks)
	if err != nil {
		return false, err
	}
	s.expected = p.another(ended)
	sent := 0
	for f := range p.frames {
		if marks, err = sendMarks(call, marks, sent); err != nil {
			return false, err
		}
		if err := call.SendMsg(f); err != nil {
			return false, err
		}
		sent++
	}
	_, err = sendMarks(call, marks, sent)
	return ended, err
}

// mark is a checkpoint that belongs after so many events of the page.
type mark struct {
	after    int
	position uint64
}

func sendMarks(call streams.Streams_ReadServer, marks []mark, sent int) ([]mark, error) {
	for len(marks) > 0 && marks[0].after == sent {
		if err := call.Send(checkpoint(marks[0].position)); err != nil {
			return nil, err
		}
		marks = marks[1:]
	}
	return marks, nil
}

// fill reads one page and notes the checkpoints of a filtered subscription: one after each interval of events
// considered, wanted or not, so that a client that wants few events need not look at the others again.
func (s *subscription) fill(ctx context.Context, p *page, marks *[]mark) (ended bool, err error) {
	r := s.request
	err = s.service.store.lend(ctx, func(rd *reader) error {
		rows := 0
		ended, err = rd.each(s.span, func(e *event) (bool, error) {
			rows++
			s.span.from = e.position + 1
			if s.span.stream != 0 {
				s.span.from = e.revision + 1
			}
			if r.filter.wants(e) {
				if err := rd.follow(p, e, r.resolve); err != nil {
					return false, err
				}
			}
			if r.filter != nil {
				if s.considered++; s.considered >= r.filter.interval {
					s.considered = 0
					*marks = append(*marks, mark{after: len(p.ends), position: e.position})
				}
			}
			return rows < pageEvents && len(p.arena) < pageBytes, nil
		})
		return err
	})
	return ended, err
}
