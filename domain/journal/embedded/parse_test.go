package embedded

import (
	"bytes"
	"math"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"
)

func marshal(f *testing.F, m proto.Message) []byte {
	f.Helper()
	b, err := proto.Marshal(m)
	if err != nil {
		f.Fatal(err)
	}
	return b
}

// refusal is what a stranger may be told: that it asked wrongly, or may not ask.
func refusal(t *testing.T, err error) {
	t.Helper()
	if code := status.Code(err); code != codes.InvalidArgument && code != codes.PermissionDenied {
		t.Fatalf("refused with %v", err)
	}
}

func FuzzReadRequest(f *testing.F) {
	name := &shared.StreamIdentifier{StreamName: []byte("person-1")}
	for _, o := range []*streams.ReadReq_Options{
		{StreamOption: &streams.ReadReq_Options_Stream{Stream: &streams.ReadReq_Options_StreamOptions{StreamIdentifier: name,
			RevisionOption: &streams.ReadReq_Options_StreamOptions_Revision{Revision: 3}}},
			CountOption: &streams.ReadReq_Options_Count{Count: 7}, ReadDirection: streams.ReadReq_Options_Backwards},
		{StreamOption: &streams.ReadReq_Options_All{All: &streams.ReadReq_Options_AllOptions{
			AllOption: &streams.ReadReq_Options_AllOptions_Position{Position: &streams.ReadReq_Options_Position{CommitPosition: 9, PreparePosition: 9}}}},
			CountOption: &streams.ReadReq_Options_Subscription{},
			FilterOption: &streams.ReadReq_Options_Filter{Filter: &streams.ReadReq_Options_FilterOptions{CheckpointIntervalMultiplier: 2,
				Filter: &streams.ReadReq_Options_FilterOptions_EventType{EventType: &streams.ReadReq_Options_FilterOptions_Expression{Regex: "^[^$]"}},
				Window: &streams.ReadReq_Options_FilterOptions_Max{Max: 32}}}},
	} {
		f.Add(marshal(f, &streams.ReadReq{Options: o}))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var message streams.ReadReq
		if proto.Unmarshal(data, &message) != nil {
			return
		}
		r, err := parseRead(message.GetOptions())
		if err != nil {
			refusal(t, err)
			return
		}
		if r.stream != "" && (!utf8.ValidString(r.stream) || r.filter != nil) || r.subscribe && r.backwards {
			t.Fatalf("accepted %+v", r)
		}
		if r.filter != nil {
			if r.subscribe && r.filter.interval == 0 {
				t.Fatal("accepted a filter that checkpoints at every zero events")
			}
			r.filter.wants(&event{stream: "person-1", kind: []byte("x.y")})
		}
	})
}

func FuzzAppendRequest(f *testing.F) {
	f.Add(marshal(f, &streams.AppendReq{Content: &streams.AppendReq_Options_{Options: &streams.AppendReq_Options{
		StreamIdentifier:       &shared.StreamIdentifier{StreamName: []byte("$$person-1")},
		ExpectedStreamRevision: &streams.AppendReq_Options_Revision{Revision: math.MaxUint64}}}}))
	f.Add(marshal(f, &streams.AppendReq{Content: &streams.AppendReq_ProposedMessage_{ProposedMessage: &streams.AppendReq_ProposedMessage{
		Id:       &shared.UUID{Value: &shared.UUID_String_{String_: uuid.NewString()}},
		Metadata: map[string]string{keyType: "x.y", keyContentType: contentJSON}, Data: []byte(`{"$tb":1}`)}}}))
	f.Fuzz(func(t *testing.T, data []byte) {
		var message streams.AppendReq
		if proto.Unmarshal(data, &message) != nil {
			return
		}
		if header, err := parseAppendHeader(message.GetOptions()); err != nil {
			refusal(t, err)
		} else if header.stream == "" || header.stream == allStream || header.expected < expectStreamExists {
			t.Fatalf("accepted %+v", header)
		}
		e, err := parseProposed(message.GetProposedMessage())
		if err != nil {
			refusal(t, err)
			return
		}
		if e.id == [16]byte{} || e.kind == "" {
			t.Fatalf("accepted %+v", e)
		}
		if err := refuseRetention(&appendCall{stream: "$$s", events: []proposed{e}}); err != nil {
			refusal(t, err)
		} else if strings.Contains(string(e.data), `"$tb"`) && !strings.Contains(string(e.data), `:{`) && !bytes.ContainsAny(e.data, `\[`) && strings.Count(string(e.data), `"`) == 2 {
			t.Fatalf("accepted metadata %s", e.data)
		}
	})
}

func FuzzSmallParsers(f *testing.F) {
	f.Add("7@person-1")
	f.Add("@")
	f.Add("-1@x")
	f.Add("Basic YTpi")
	f.Add("$argon2id$v=19$m=64,t=1,p=1$MDEyMzQ1Njc4OWFiY2RlZg$MDEyMzQ1Njc4OWFiY2RlZg")
	f.Fuzz(func(t *testing.T, s string) {
		if revision, stream, err := parseLink([]byte(s)); err == nil && (stream == "" || revision > math.MaxInt64) {
			t.Fatalf("link %q is %d of %q", s, revision, stream)
		}
		if name, _, ok := parseBasic(s); ok && strings.Contains(name, ":") {
			t.Fatalf("header %q names %q", s, name)
		}
		if h, err := parseArgon(s); err == nil && (h.memory > 1<<20 || h.threads == 0 || h.time == 0) {
			t.Fatalf("hash %q costs %+v", s, h)
		}
		atLeast(s, 3, 51, 3)
	})
}

// Ensure that what is encoded by hand is what the generated code reads.
func TestEncoding(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string) event {
			return event{
				position: rapid.Uint64Range(1, math.MaxInt64).Draw(t, name+" position"),
				revision: rapid.Uint64Range(0, math.MaxInt64).Draw(t, name+" revision"),
				stream:   rapid.StringN(1, 50, 200).Draw(t, name+" stream"),
				id:       [16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, name+" id")),
				kind:     []byte(rapid.StringN(1, 50, 200).Draw(t, name+" type")),
				created:  rapid.Int64().Draw(t, name+" created"),
				json:     rapid.Bool().Draw(t, name+" json"),
				meta:     rapid.SliceOf(rapid.Byte()).Draw(t, name+" meta"),
				data:     rapid.SliceOf(rapid.Byte()).Draw(t, name+" data"),
			}
		}
		e, link := draw("event"), draw("link")
		p := newPage(rapid.Bool().Draw(t, "ids as text"), 0)
		p.add(&e, nil)
		p.add(nil, &link)
		p.add(&e, &link)
		var got []*streams.ReadResp_ReadEvent
		for f := range p.frames {
			var m streams.ReadResp
			if err := proto.Unmarshal(f, &m); err != nil {
				t.Fatal(err)
			}
			if len(m.ProtoReflect().GetUnknown()) > 0 || m.GetEvent() == nil {
				t.Fatalf("read as %v", &m)
			}
			got = append(got, m.GetEvent())
		}
		same(t, got[0], &e, nil)
		same(t, got[1], nil, &link)
		same(t, got[2], &e, &link)
	})
}

func same(t *rapid.T, got *streams.ReadResp_ReadEvent, e, link *event) {
	original := e
	if link != nil {
		original = link
	}
	if got.GetCommitPosition() != original.position {
		t.Fatalf("position %d, want %d", got.GetCommitPosition(), original.position)
	}
	for _, c := range []struct {
		got  *streams.ReadResp_ReadEvent_RecordedEvent
		want *event
	}{{got.Event, e}, {got.Link, link}} {
		if (c.got == nil) != (c.want == nil) {
			t.Fatalf("%v, want %v", c.got, c.want)
		}
		if c.got == nil {
			continue
		}
		id, err := parseID(c.got.Id)
		if c.want.id != [16]byte{} && (err != nil || id != c.want.id) {
			t.Fatalf("id %x, want %x", id, c.want.id)
		}
		if string(c.got.StreamIdentifier.StreamName) != c.want.stream || c.got.StreamRevision != c.want.revision ||
			c.got.CommitPosition != original.position || c.got.PreparePosition != original.position ||
			c.got.Metadata[keyType] != string(c.want.kind) || !bytes.Equal(c.got.Data, c.want.data) ||
			!bytes.Equal(c.got.CustomMetadata, c.want.meta) || (c.got.Metadata[keyContentType] == contentJSON) != c.want.json {
			t.Fatalf("%v, want %+v", c.got, c.want)
		}
	}
}
