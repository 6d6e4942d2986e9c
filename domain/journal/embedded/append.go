package embedded

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"math"
	"strings"
	"unicode/utf8"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"google.golang.org/grpc"
)

// service answers the Streams protocol.
type service struct {
	streams.UnimplementedStreamsServer
	store  *store
	writer *writer
	life   context.Context // ends when the server closes, and with it every subscription
}

// Expectations that are not a revision; the numbers are EventStoreDB's own.
const (
	expectNoStream     int64 = -1
	expectAny          int64 = -2
	expectStreamExists int64 = -4
)

const (
	maxAppend  = 16 << 20 // what one append may hold, and so what one record may
	maxName    = 1024     // bytes of a stream name or an event type
	metaPrefix = "$$"
	allStream  = "$all"

	typeTombstone = "$streamDeleted"
	typeLink      = "$>"

	keyType        = "type"
	keyContentType = "content-type"
	keyCreated     = "created"
	contentJSON    = "application/json"
	contentBinary  = "application/octet-stream"
)

// Append takes a header and any number of events, and answers when they are durable, all or none.
func (s *service) Append(call streams.Streams_AppendServer) error {
	request, err := readAppend(call)
	if err != nil {
		// The client looks for the answer only after it has sent everything; an early end would reach it as a bare EOF.
		drain(call, 4*maxAppend)
		return err
	}
	if request.events != nil {
		if err := refuseRetention(request); err != nil {
			return err
		}
	}
	request.ctx = call.Context()
	result := s.writer.append(request)
	if result.err != nil {
		return appendStatus(result.err)
	}
	if result.conflict {
		return call.SendAndClose(conflictResponse(request.expected, result.current))
	}
	return call.SendAndClose(successResponse(result))
}

func readAppend(call streams.Streams_AppendServer) (*appendCall, error) {
	message, err := call.Recv()
	if err != nil {
		return nil, err
	}
	request, err := parseAppendHeader(message.GetOptions())
	if err != nil {
		return nil, err
	}
	for {
		message, err := call.Recv()
		if errors.Is(err, io.EOF) {
			return request, nil
		}
		if err != nil {
			return nil, err
		}
		event, err := parseProposed(message.GetProposedMessage())
		if err != nil {
			return nil, err
		}
		request.size += len(event.kind) + len(event.meta) + len(event.data)
		if request.size > maxAppend {
			return nil, statusTooLarge(maxAppend)
		}
		request.events = append(request.events, event)
	}
}

// drain reads what the client still sends, up to a limit, so that it stays there to hear the answer.
func drain(call grpc.ServerStream, limit int) {
	for n := 0; n < limit; {
		var message streams.AppendReq
		if call.RecvMsg(&message) != nil {
			return
		}
		n += len(message.GetProposedMessage().GetData()) + len(message.GetProposedMessage().GetCustomMetadata()) + 64
	}
}

func parseAppendHeader(o *streams.AppendReq_Options) (*appendCall, error) {
	if o == nil {
		return nil, statusInvalid("an append begins with its options")
	}
	name, err := parseStreamName(o.GetStreamIdentifier())
	if err != nil {
		return nil, err
	}
	// $all is not a stream, and $$$ would be the metadata of metadata.
	if name == allStream || name == metaPrefix || strings.HasPrefix(name, "$$$") || name == metaPrefix+allStream {
		return nil, statusDenied()
	}
	call := &appendCall{stream: name}
	switch e := o.GetExpectedStreamRevision().(type) {
	case *streams.AppendReq_Options_Any:
		call.expected = expectAny
	case *streams.AppendReq_Options_NoStream:
		call.expected = expectNoStream
	case *streams.AppendReq_Options_StreamExists:
		call.expected = expectStreamExists
	case *streams.AppendReq_Options_Revision:
		switch {
		case e.Revision == math.MaxUint64: // EventStoreDB reads this as "before the first"
			call.expected = expectNoStream
		case e.Revision > math.MaxInt64:
			return nil, statusInvalid("the expected revision is out of range")
		default:
			call.expected = int64(e.Revision)
		}
	default:
		return nil, statusInvalid("an append names the revision it expects")
	}
	return call, nil
}

func parseStreamName(id *shared.StreamIdentifier) (string, error) {
	name := id.GetStreamName()
	if len(name) == 0 || len(name) > maxName || !utf8.Valid(name) || strings.ContainsRune(string(name), 0) {
		return "", statusInvalid("a stream name is 1 to 1024 bytes of UTF-8")
	}
	return string(name), nil
}

func parseProposed(m *streams.AppendReq_ProposedMessage) (proposed, error) {
	if m == nil {
		return proposed{}, statusInvalid("after its options an append holds events only")
	}
	id, err := parseID(m.GetId())
	if err != nil {
		return proposed{}, err
	}
	kind, ok := m.GetMetadata()[keyType]
	if !ok {
		return proposed{}, statusMissing(keyType)
	}
	content, ok := m.GetMetadata()[keyContentType]
	if !ok {
		return proposed{}, statusMissing(keyContentType)
	}
	if kind == "" || len(kind) > maxName || strings.ContainsRune(kind, 0) {
		return proposed{}, statusInvalid("an event type is 1 to 1024 bytes of UTF-8")
	}
	if kind == typeTombstone {
		return proposed{}, statusDenied()
	}
	return proposed{id: id, kind: kind, json: content == contentJSON, meta: m.GetCustomMetadata(), data: m.GetData()}, nil
}

// parseID reads an event id. The nil id is refused: it would make every event without an id the same event.
func parseID(u *shared.UUID) (id [16]byte, err error) {
	switch v := u.GetValue().(type) {
	case *shared.UUID_Structured_:
		binary.BigEndian.PutUint64(id[:8], uint64(v.Structured.GetMostSignificantBits()))
		binary.BigEndian.PutUint64(id[8:], uint64(v.Structured.GetLeastSignificantBits()))
	case *shared.UUID_String_:
		parsed, err := uuid.Parse(v.String_)
		if err != nil {
			return id, statusInvalid("the event id is not a UUID")
		}
		id = parsed
	}
	if id == [16]byte{} {
		return id, statusInvalid("an event needs an id")
	}
	return id, nil
}

// retentionKeys are the metadata that would make EventStoreDB remove events, and $acl, which we do not enforce.
var retentionKeys = []string{"$maxAge", "$maxCount", "$tb", "$acl"}

// refuseRetention keeps metadata streams free of anything that could ever remove an event of ours, here or in a server
// that the journal is moved to.
func refuseRetention(call *appendCall) error {
	if !strings.HasPrefix(call.stream, metaPrefix) {
		return nil
	}
	for _, e := range call.events {
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(e.data, &fields); err != nil || fields == nil {
			return statusInvalid("stream metadata is a JSON object")
		}
		for key := range fields {
			for _, refused := range retentionKeys {
				if strings.EqualFold(key, refused) {
					return statusDenied()
				}
			}
		}
	}
	return nil
}

func successResponse(r appendResult) *streams.AppendResp {
	success := &streams.AppendResp_Success{
		CurrentRevisionOption: &streams.AppendResp_Success_NoStream{NoStream: &shared.Empty{}},
		PositionOption:        &streams.AppendResp_Success_NoPosition{NoPosition: &shared.Empty{}},
	}
	if r.current >= 0 {
		success.CurrentRevisionOption = &streams.AppendResp_Success_CurrentRevision{CurrentRevision: uint64(r.current)}
	}
	if r.havePosition {
		success.PositionOption = &streams.AppendResp_Success_Position{
			Position: &streams.AppendResp_Position{CommitPosition: r.position, PreparePosition: r.position}}
	}
	return &streams.AppendResp{Result: &streams.AppendResp_Success_{Success: success}}
}

// conflictResponse fills both generations of fields: clients before 20.6.1 read the first.
func conflictResponse(expected, current int64) *streams.AppendResp {
	w := &streams.AppendResp_WrongExpectedVersion{}
	if current < 0 {
		w.CurrentRevisionOption_20_6_0 = &streams.AppendResp_WrongExpectedVersion_NoStream_20_6_0{NoStream_20_6_0: &shared.Empty{}}
		w.CurrentRevisionOption = &streams.AppendResp_WrongExpectedVersion_CurrentNoStream{CurrentNoStream: &shared.Empty{}}
	} else {
		w.CurrentRevisionOption_20_6_0 = &streams.AppendResp_WrongExpectedVersion_CurrentRevision_20_6_0{CurrentRevision_20_6_0: uint64(current)}
		w.CurrentRevisionOption = &streams.AppendResp_WrongExpectedVersion_CurrentRevision{CurrentRevision: uint64(current)}
	}
	switch expected {
	case expectAny:
		w.ExpectedRevisionOption_20_6_0 = &streams.AppendResp_WrongExpectedVersion_Any_20_6_0{Any_20_6_0: &shared.Empty{}}
		w.ExpectedRevisionOption = &streams.AppendResp_WrongExpectedVersion_ExpectedAny{ExpectedAny: &shared.Empty{}}
	case expectStreamExists:
		w.ExpectedRevisionOption_20_6_0 = &streams.AppendResp_WrongExpectedVersion_StreamExists_20_6_0{StreamExists_20_6_0: &shared.Empty{}}
		w.ExpectedRevisionOption = &streams.AppendResp_WrongExpectedVersion_ExpectedStreamExists{ExpectedStreamExists: &shared.Empty{}}
	case expectNoStream:
		w.ExpectedRevisionOption_20_6_0 = &streams.AppendResp_WrongExpectedVersion_ExpectedRevision_20_6_0{ExpectedRevision_20_6_0: math.MaxUint64}
		w.ExpectedRevisionOption = &streams.AppendResp_WrongExpectedVersion_ExpectedNoStream{ExpectedNoStream: &shared.Empty{}}
	default:
		w.ExpectedRevisionOption_20_6_0 = &streams.AppendResp_WrongExpectedVersion_ExpectedRevision_20_6_0{ExpectedRevision_20_6_0: uint64(expected)}
		w.ExpectedRevisionOption = &streams.AppendResp_WrongExpectedVersion_ExpectedRevision{ExpectedRevision: uint64(expected)}
	}
	return &streams.AppendResp{Result: &streams.AppendResp_WrongExpectedVersion_{WrongExpectedVersion: w}}
}

// Delete is refused: this journal only grows.
func (s *service) Delete(context.Context, *streams.DeleteReq) (*streams.DeleteResp, error) {
	return nil, statusDenied()
}

// Tombstone is refused: this journal only grows.
func (s *service) Tombstone(context.Context, *streams.TombstoneReq) (*streams.TombstoneResp, error) {
	return nil, statusDenied()
}
