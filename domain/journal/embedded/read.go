package embedded

import (
	"context"
	"math"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
)

// readRequest is what a Read asks for, checked.
type readRequest struct {
	stream    string // empty for $all
	backwards bool
	start     start
	at        uint64 // revision or position, when start is startAt
	count     uint64
	subscribe bool
	filter    *filter
	resolve   bool // hand out what link events point to
	idText    bool
}

type start int

const (
	startBeginning start = iota
	startEnd
	startAt
)

// Read answers reads and subscriptions.
func (s *service) Read(message *streams.ReadReq, call streams.Streams_ReadServer) error {
	request, err := parseRead(message.GetOptions())
	if err != nil {
		return err
	}
	// The end of the server ends the call, or a reader that waits would hold up Close.
	ctx, cancel := context.WithCancelCause(call.Context())
	defer cancel(nil)
	defer context.AfterFunc(s.life, func() { cancel(errClosing) })()
	if request.subscribe {
		err = s.subscribe(ctx, request, call)
	} else {
		err = s.read(ctx, request, call)
	}
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return readStatus(err)
}

func parseRead(o *streams.ReadReq_Options) (readRequest, error) {
	r := readRequest{resolve: o.GetResolveLinks(), backwards: o.GetReadDirection() == streams.ReadReq_Options_Backwards}
	if d := o.GetReadDirection(); d != streams.ReadReq_Options_Forwards && d != streams.ReadReq_Options_Backwards {
		return r, statusInvalid("there is no such direction")
	}
	_, r.idText = o.GetUuidOption().GetContent().(*streams.ReadReq_Options_UUIDOption_String_)
	var err error
	switch v := o.GetStreamOption().(type) {
	case *streams.ReadReq_Options_Stream:
		err = r.parseStream(v.Stream)
	case *streams.ReadReq_Options_All:
		err = r.parseAll(v.All)
	default:
		err = statusInvalid("a read names a stream or $all")
	}
	if err != nil {
		return r, err
	}
	switch v := o.GetCountOption().(type) {
	case *streams.ReadReq_Options_Count:
		r.count = v.Count
	case *streams.ReadReq_Options_Subscription:
		r.subscribe = true
	default:
		return r, statusInvalid("a read has a count or is a subscription")
	}
	if v, ok := o.GetFilterOption().(*streams.ReadReq_Options_Filter); ok {
		if r.filter, err = parseFilter(v.Filter); err != nil {
			return r, err
		}
	}
	switch {
	case r.filter != nil && r.stream != "":
		return r, statusInvalid("a filter is for $all only")
	case r.subscribe && r.backwards:
		return r, statusInvalid("a subscription runs forwards")
	case r.subscribe && r.filter != nil && r.filter.interval == 0:
		return r, statusInvalid("the checkpoint interval is at least 1")
	}
	return r, nil
}

func (r *readRequest) parseStream(o *streams.ReadReq_Options_StreamOptions) error {
	name, err := parseStreamName(o.GetStreamIdentifier())
	if err != nil {
		return err
	}
	r.stream = name
	switch v := o.GetRevisionOption().(type) {
	case *streams.ReadReq_Options_StreamOptions_Start:
		r.start = startBeginning
	case *streams.ReadReq_Options_StreamOptions_End:
		r.start = startEnd
	case *streams.ReadReq_Options_StreamOptions_Revision:
		r.start, r.at = startAt, v.Revision
		if v.Revision == math.MaxUint64 {
			r.start = startEnd
		}
	default:
		return statusInvalid("a read says where it starts")
	}
	return nil
}

func (r *readRequest) parseAll(o *streams.ReadReq_Options_AllOptions) error {
	switch v := o.GetAllOption().(type) {
	case *streams.ReadReq_Options_AllOptions_Start:
		r.start = startBeginning
	case *streams.ReadReq_Options_AllOptions_End:
		r.start = startEnd
	case *streams.ReadReq_Options_AllOptions_Position:
		p := v.Position
		if p.GetPreparePosition() > p.GetCommitPosition() {
			return statusInvalid("the commit position is not before the prepare position")
		}
		r.start, r.at = startAt, p.GetCommitPosition()
		if r.at == math.MaxUint64 {
			r.start = startEnd
		}
	default:
		return statusInvalid("a read says where it starts")
	}
	return nil
}

const (
	pageEvents = 1024    // considered in one lending of a read connection
	pageBytes  = 1 << 20 // encoded in one lending

	usualEvents = 64 // of a file, at 1 KB or less
)

// read sends up to count events and ends.
func (s *service) read(ctx context.Context, r readRequest, call streams.Streams_ReadServer) error {
	sp, some, err := s.firstSpan(ctx, r)
	if err != nil {
		return err
	}
	if r.stream != "" && sp.stream == 0 {
		return call.Send(notFound(r.stream))
	}
	expected := int(min(r.count, usualEvents)) << 10
	for left := r.count; some && left > 0; {
		p := newPage(r.idText, expected)
		next, ended, err := s.fill(ctx, r, sp, left, p)
		if err != nil {
			return err
		}
		left -= uint64(len(p.ends))
		for f := range p.frames {
			if err := call.SendMsg(f); err != nil {
				return err
			}
		}
		some, expected = !ended, p.another(ended)
		sp.from = next
	}
	return nil
}

// firstSpan finds the stream and where the read begins; some is false when that is past the end.
func (s *service) firstSpan(ctx context.Context, r readRequest) (sp span, some bool, err error) {
	sp.backwards = r.backwards
	if r.stream == "" {
		head := s.store.head.Load()
		switch {
		case r.start == startEnd:
			return span{from: head, backwards: true}, r.backwards && head > 0, nil
		case r.backwards && (r.start == startBeginning || r.at == 0):
			return sp, false, nil
		case r.backwards: // what stands before the position
			sp.from = r.at - 1
		case r.start == startAt:
			sp.from = r.at
		}
		return sp, true, nil
	}
	err = s.store.lend(ctx, func(rd *reader) error {
		sp.stream, err = rd.streamID(r.stream)
		return err
	})
	switch {
	case err != nil || r.start == startBeginning:
	case r.start == startAt:
		sp.from = r.at
	case r.backwards:
		sp.from = math.MaxInt64
	default:
		return sp, false, nil
	}
	return sp, true, err
}

// fill reads one page from the span and says where the next one begins.
func (s *service) fill(ctx context.Context, r readRequest, sp span, limit uint64, p *page) (next uint64, ended bool, err error) {
	considered := 0
	var at uint64
	err = s.store.lend(ctx, func(rd *reader) error {
		ended, err = rd.each(sp, func(e *event) (bool, error) {
			considered++
			at = e.position
			if sp.stream != 0 {
				at = e.revision
			}
			if r.filter.wants(e) {
				if err := rd.follow(p, e, r.resolve); err != nil {
					return false, err
				}
			}
			return considered < pageEvents && uint64(len(p.ends)) < limit && len(p.arena) < pageBytes, nil
		})
		return err
	})
	switch {
	case err != nil || considered == 0:
		return sp.from, ended, err
	case !sp.backwards:
		return at + 1, ended, nil
	case at == 0: // revision 0 is the last one backwards
		return 0, true, nil
	}
	return at - 1, ended, nil
}
