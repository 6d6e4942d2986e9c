package embedded

import (
	"encoding/binary"
	"fmt"
	"strconv"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
)

// codec is gRPC's own, except that a frame goes out as it is: reads encode each event once, from SQLite's memory into
// the page that the transport sends, which is what lets $all keep pace on two cores.
type codec struct{}

// frame is one encoded ReadResp. The transport keeps it after SendMsg returns: never reuse its bytes.
type frame []byte

func (codec) Marshal(v any) (mem.BufferSlice, error) {
	if f, ok := v.(frame); ok {
		return mem.BufferSlice{mem.SliceBuffer(f)}, nil
	}
	return protoCodec().Marshal(v)
}

func (codec) Unmarshal(data mem.BufferSlice, v any) error { return protoCodec().Unmarshal(data, v) }

func (codec) Name() string { return proto.Name }

func protoCodec() encoding.CodecV2 { return encoding.GetCodecV2(proto.Name) }

// event is one row. Its slices belong to SQLite and are valid until the statement's next step.
type event struct {
	position, revision uint64
	stream             string
	id                 [16]byte
	kind               []byte
	created            int64 // 100 ns ticks since 1970
	json               bool
	meta, data         []byte
}

// page collects encoded events in one block of memory.
type page struct {
	idText  bool // event ids as text, where the request asks for it
	arena   []byte
	ends    []int
	scratch []byte
}

// newPage makes an empty page. expected is how many bytes it will take, as far as is known: subscriptions mostly read the few
// events that have just come.
func newPage(idText bool, expected int) *page {
	return &page{idText: idText, arena: make([]byte, 0, max(expected, 4<<10))}
}

// another is how long the page after this one may be: as long, where one ended because it was full.
func (p *page) another(ended bool) (expected int) {
	if ended {
		return 0
	}
	return len(p.arena) + len(p.arena)/8
}

// add encodes a ReadResp that holds the event, or an event found through a link. event may be nil when the link leads
// nowhere; link is nil when the event was not reached through one.
func (p *page) add(e, link *event) {
	original := e
	if link != nil {
		original = link
	}
	s := p.scratch[:0]
	var lengths [2]int
	if e != nil {
		s = p.record(s, e, original.position)
		lengths[0] = len(s)
	}
	if link != nil {
		s = p.record(s, link, original.position)
		lengths[1] = len(s) - lengths[0]
	}
	p.scratch = s
	size := protowire.SizeTag(3) + protowire.SizeVarint(original.position)
	for i, n := range lengths {
		if n > 0 {
			size += protowire.SizeTag(protowire.Number(i+1)) + protowire.SizeBytes(n)
		}
	}
	b := protowire.AppendTag(p.arena, 1, protowire.BytesType) // ReadResp.event
	b = protowire.AppendVarint(b, uint64(size))
	if lengths[0] > 0 {
		b = protowire.AppendTag(b, 1, protowire.BytesType)
		b = protowire.AppendBytes(b, s[:lengths[0]])
	}
	if lengths[1] > 0 {
		b = protowire.AppendTag(b, 2, protowire.BytesType)
		b = protowire.AppendBytes(b, s[lengths[0]:])
	}
	b = protowire.AppendTag(b, 3, protowire.VarintType) // commit_position
	b = protowire.AppendVarint(b, original.position)
	p.arena = b
	p.ends = append(p.ends, len(b))
}

// record appends a ReadResp.ReadEvent.RecordedEvent.
func (p *page) record(b []byte, e *event, position uint64) []byte {
	b = p.recordID(b, e.id)
	b = protowire.AppendTag(b, 2, protowire.BytesType) // stream_identifier { stream_name = 3 }
	b = protowire.AppendVarint(b, uint64(protowire.SizeTag(3)+protowire.SizeBytes(len(e.stream))))
	b = protowire.AppendTag(b, 3, protowire.BytesType)
	b = protowire.AppendString(b, e.stream)
	b = appendUint(b, 3, e.revision)
	b = appendUint(b, 4, position) // prepare
	b = appendUint(b, 5, position) // commit
	b = appendEntry(b, keyType, e.kind)
	content := contentBinary
	if e.json {
		content = contentJSON
	}
	b = appendEntry(b, keyContentType, content)
	var ticks [20]byte
	b = appendEntry(b, keyCreated, strconv.AppendInt(ticks[:0], e.created, 10))
	if len(e.meta) > 0 {
		b = protowire.AppendTag(b, 7, protowire.BytesType)
		b = protowire.AppendBytes(b, e.meta)
	}
	if len(e.data) > 0 {
		b = protowire.AppendTag(b, 8, protowire.BytesType)
		b = protowire.AppendBytes(b, e.data)
	}
	return b
}

func (p *page) recordID(b []byte, id [16]byte) []byte {
	b = protowire.AppendTag(b, 1, protowire.BytesType)
	if p.idText {
		text := uuid.UUID(id).String()
		b = protowire.AppendVarint(b, uint64(protowire.SizeTag(2)+protowire.SizeBytes(len(text))))
		b = protowire.AppendTag(b, 2, protowire.BytesType)
		return protowire.AppendString(b, text)
	}
	most, least := binary.BigEndian.Uint64(id[:8]), binary.BigEndian.Uint64(id[8:])
	size := protowire.SizeTag(1) + protowire.SizeVarint(most) + protowire.SizeTag(2) + protowire.SizeVarint(least)
	b = protowire.AppendVarint(b, uint64(protowire.SizeTag(1)+protowire.SizeBytes(size)))
	b = protowire.AppendTag(b, 1, protowire.BytesType) // structured
	b = protowire.AppendVarint(b, uint64(size))
	b = protowire.AppendTag(b, 1, protowire.VarintType)
	b = protowire.AppendVarint(b, most)
	b = protowire.AppendTag(b, 2, protowire.VarintType)
	return protowire.AppendVarint(b, least)
}

func appendUint(b []byte, field protowire.Number, v uint64) []byte {
	if v == 0 {
		return b
	}
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), v)
}

// appendEntry appends one entry of RecordedEvent.metadata.
func appendEntry[T string | []byte](b []byte, key string, value T) []byte {
	b = protowire.AppendTag(b, 6, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(protowire.SizeTag(1)+protowire.SizeBytes(len(key))+protowire.SizeTag(2)+protowire.SizeBytes(len(value))))
	b = protowire.AppendTag(b, 1, protowire.BytesType)
	b = protowire.AppendString(b, key)
	b = protowire.AppendTag(b, 2, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(len(value)))
	return append(b, value...)
}

// frames returns what was added, in order.
func (p *page) frames(yield func(frame) bool) {
	from := 0
	for _, end := range p.ends {
		if !yield(frame(p.arena[from:end:end])) {
			return
		}
		from = end
	}
}

func confirmation() *streams.ReadResp {
	return &streams.ReadResp{Content: &streams.ReadResp_Confirmation{
		Confirmation: &streams.ReadResp_SubscriptionConfirmation{SubscriptionId: uuid.NewString()}}}
}

func checkpoint(position uint64) *streams.ReadResp {
	return &streams.ReadResp{Content: &streams.ReadResp_Checkpoint_{
		Checkpoint: &streams.ReadResp_Checkpoint{CommitPosition: position, PreparePosition: position}}}
}

func caughtUp() *streams.ReadResp {
	return &streams.ReadResp{Content: &streams.ReadResp_CaughtUp_{CaughtUp: &streams.ReadResp_CaughtUp{}}}
}

func notFound(stream string) *streams.ReadResp {
	return &streams.ReadResp{Content: &streams.ReadResp_StreamNotFound_{StreamNotFound: &streams.ReadResp_StreamNotFound{
		StreamIdentifier: &shared.StreamIdentifier{StreamName: []byte(stream)}}}}
}

// parseLink reads the body of a link event, "revision@stream".
func parseLink(data []byte) (revision uint64, stream string, err error) {
	for i, c := range data {
		if c != '@' {
			continue
		}
		revision, err = strconv.ParseUint(string(data[:i]), 10, 63)
		if err != nil || i+1 == len(data) {
			break
		}
		return revision, string(data[i+1:]), nil
	}
	return 0, "", fmt.Errorf("a link reads revision@stream, not %q", data)
}
