// Package journal reads and writes events through the official EventStoreDB client. It is the only package, with its
// embedded server, that knows that client.
//
// A server is named by a connection string: "esdb://…" and "esdb+discover://…" as EventStoreDB documents them (single
// node, gossip seeds, TLS, credentials), or the string that embedded.Server.Connection returns.
//
// Errors carry a kind of package record: Conflict for a wrong revision (ErrWrongRevision), Unavailable for a server
// that is away or too slow (ErrUnknownOutcome when the append may have been done all the same), Invalid for an append
// that no server would take, Forbidden when the credentials do not allow it.
//
// The tests run one conformance suite against the embedded server, and against a real server or cluster when the
// environment variable YIDANG_TEST_EVENTSTORE holds its connection string: EventStoreDB 23.10 or later, or KurrentDB, one
// node or several, with credentials that may read $all. All stream names in it are random, so the server may be shared;
// nothing is deleted from it.
package journal

import (
	"context"
	"iter"
	"strings"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"

	"yidang/domain/record"
)

// Stored is an event as the journal holds it.
type Stored struct {
	ID       uuid.UUID
	Stream   string
	Revision uint64 // 0, 1, 2, … within the stream
	Position uint64 // commit position in the whole journal: unique and growing, never 0
	Type     string
	Created  time.Time // by the server's clock, to 100 ns, UTC
	Meta     []byte
	Data     []byte
}

// Proposed is an event to append. Its ID must be set and be the same in every retry: it is how the server knows that it
// has the event already.
type Proposed struct {
	ID     uuid.UUID
	Type   string
	Meta   []byte
	Data   []byte
	Binary bool // content type application/octet-stream; otherwise JSON
}

// Expected is what an append demands of the stream. The zero value is Any.
type Expected struct{ revision esdb.ExpectedRevision }

var (
	NoStream     = Expected{esdb.NoStream{}}     // the stream has no event yet
	Any          = Expected{esdb.Any{}}          // nothing; a retry is recognised only as long as the server remembers
	StreamExists = Expected{esdb.StreamExists{}} // the stream has an event or metadata
)

// Exactly demands that the stream's last event has this revision.
func Exactly(revision uint64) Expected { return Expected{esdb.Revision(revision)} }

// Appended is where an append put its last event.
type Appended struct {
	Revision uint64
	Position uint64
}

// Limits that every server we speak to shares, checked before anything is sent.
const (
	MaxAppend = 16 << 20 // bytes of types, metadata and data in one append
	MaxName   = 1024     // bytes of a stream name or an event type
)

// Append stores the events at the end of the stream, all or none, and returns when they are durable. An append whose
// events are the stream's already, at the expected place, is answered with the result of the first one.
//
// When the error is ErrUnknownOutcome, repeat the same append (same ids, same expectation) or read the stream.
func (j *Journal) Append(ctx context.Context, stream string, expected Expected, events ...Proposed) (Appended, error) {
	data, err := toEventData(stream, events)
	if err != nil {
		return Appended{}, err
	}
	for attempt := 0; ; attempt++ {
		result, err := call(ctx, j, func(going context.Context, client *esdb.Client) (*esdb.WriteResult, error) {
			options := esdb.AppendToStreamOptions{ExpectedRevision: expected.revision}
			// The client ends a call after ten seconds when its options name no deadline, even if the context allows more.
			if deadline, ok := ctx.Deadline(); ok {
				left := time.Until(deadline) + grace
				options.Deadline = &left
			}
			if err := ctx.Err(); err != nil {
				return nil, err // the caller is gone, and nothing was sent
			}
			return client.AppendToStream(going, stream, options, data...)
		})
		if err == nil {
			return Appended{Revision: result.NextExpectedVersion, Position: result.CommitPosition}, nil
		}
		if notTaken(err) && attempt < notTakenRetries {
			continue
		}
		return Appended{}, j.appendError(ctx, stream, err)
	}
}

const (
	notTakenRetries = 3
	grace           = 2 * time.Second // for an append whose caller has given up
)

func toEventData(stream string, events []Proposed) ([]esdb.EventData, error) {
	if stream == "" || len(stream) > MaxName {
		return nil, record.Errorf(record.Invalid, "journal: a stream name has 1 to %d bytes", MaxName)
	}
	if len(events) == 0 {
		return nil, record.Errorf(record.Invalid, "journal: an append to %s has no event", stream)
	}
	size := 0
	data := make([]esdb.EventData, len(events))
	for i, e := range events {
		switch {
		case e.ID == uuid.Nil:
			return nil, record.Errorf(record.Invalid, "journal: event %d for %s has no id", i, stream)
		case e.Type == "" || len(e.Type) > MaxName:
			return nil, record.Errorf(record.Invalid, "journal: event %d for %s needs a type of 1 to %d bytes", i, stream, MaxName)
		}
		if size += len(e.Type) + len(e.Meta) + len(e.Data); size > MaxAppend {
			return nil, record.Errorf(record.Invalid, "journal: the append to %s is larger than %d bytes", stream, MaxAppend)
		}
		data[i] = esdb.EventData{EventID: e.ID, EventType: e.Type, ContentType: esdb.ContentTypeJson, Data: e.Data, Metadata: e.Meta}
		if e.Binary {
			data[i].ContentType = esdb.ContentTypeBinary
		}
	}
	return data, nil
}

// Stream reads a stream forwards from a revision, that one included. A stream that does not exist has no events.
func (j *Journal) Stream(ctx context.Context, stream string, from uint64) iter.Seq2[Stored, error] {
	return j.read(ctx, stream, func(ctx context.Context, client *esdb.Client) (*esdb.ReadStream, error) {
		return client.ReadStream(ctx, stream, esdb.ReadStreamOptions{From: esdb.Revision(from)}, everything)
	})
}

// Last returns the newest event of a stream; false when there is none.
func (j *Journal) Last(ctx context.Context, stream string) (Stored, bool, error) {
	for e, err := range j.read(ctx, stream, func(ctx context.Context, client *esdb.Client) (*esdb.ReadStream, error) {
		return client.ReadStream(ctx, stream, esdb.ReadStreamOptions{Direction: esdb.Backwards, From: esdb.End{}}, 1)
	}) {
		return e, err == nil, err
	}
	return Stored{}, false, nil
}

// All reads the whole journal forwards, after a position, up to what is there. Position 0 stands for the beginning: no
// event has it. Events of system streams (names beginning with $) are left out.
func (j *Journal) All(ctx context.Context, after uint64) iter.Seq2[Stored, error] {
	from := esdb.AllPosition(esdb.Start{})
	if after > 0 {
		from = esdb.Position{Commit: after, Prepare: after}
	}
	return func(yield func(Stored, error) bool) {
		for e, err := range j.read(ctx, "$all", func(ctx context.Context, client *esdb.Client) (*esdb.ReadStream, error) {
			return client.ReadAll(ctx, esdb.ReadAllOptions{From: from}, everything)
		}) {
			// A read begins with the event at the position, a subscription after it.
			if err == nil && (e.Position <= after || strings.HasPrefix(e.Stream, "$")) {
				continue
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

// Head returns the position of the newest event, system streams left out; false when the journal is empty.
func (j *Journal) Head(ctx context.Context) (position uint64, ok bool, err error) {
	// Mostly the newest event is it; only behind system streams does it take a look further back.
	for _, count := range []uint64{1, everything} {
		for e, err := range j.read(ctx, "$all", func(ctx context.Context, client *esdb.Client) (*esdb.ReadStream, error) {
			return client.ReadAll(ctx, esdb.ReadAllOptions{Direction: esdb.Backwards, From: esdb.End{}}, count)
		}) {
			if err != nil {
				return 0, false, err
			}
			if !strings.HasPrefix(e.Stream, "$") {
				return e.Position, true, nil
			}
		}
	}
	return 0, false, nil
}

// everything is a count that no stream reaches; servers keep counts in signed integers.
const everything = 1<<63 - 1

type opener func(context.Context, *esdb.Client) (*esdb.ReadStream, error)

// read yields what the opened read yields, then at most one error. It receives ahead of its caller.
func (j *Journal) read(ctx context.Context, stream string, open opener) iter.Seq2[Stored, error] {
	return func(yield func(Stored, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		ahead := newHandoff[Stored]()
		var end error // set before the handoff is closed
		err := j.start(ctx, func(ctx context.Context, client *esdb.Client) (func() error, error) {
			events, err := open(ctx, client)
			if err != nil {
				return nil, err
			}
			return func() error {
				defer ahead.close()
				defer events.Close()
				end = receive(ctx, events, ahead)
				return end
			}, nil
		})
		if err != nil {
			yield(Stored{}, j.readError(ctx, stream, err))
			return
		}
		for {
			batch, more := ahead.take(ctx)
			for _, e := range batch {
				if !yield(e, nil) {
					return
				}
			}
			if more {
				continue
			}
			if err := ctx.Err(); err != nil { // the receiver may still be at it
				yield(Stored{}, j.readError(ctx, stream, err))
			} else if !ended(end) {
				yield(Stored{}, j.readError(ctx, stream, end))
			}
			return
		}
	}
}

// receive passes on what the read sends until it ends, and says why it did.
func receive(ctx context.Context, events *esdb.ReadStream, ahead *handoff[Stored]) error {
	for {
		e, err := events.Recv()
		if err != nil {
			return err
		}
		if e.Event == nil {
			continue // a link that leads nowhere
		}
		if !ahead.push(ctx, toStored(e.Event), len(e.Event.Data)+len(e.Event.UserMetadata)) {
			return ctx.Err()
		}
	}
}

func toStored(e *esdb.RecordedEvent) Stored {
	return Stored{ID: e.EventID, Stream: e.StreamID, Revision: e.EventNumber, Position: e.Position.Commit,
		Type: e.EventType, Created: e.CreatedDate, Meta: e.UserMetadata, Data: e.Data}
}
