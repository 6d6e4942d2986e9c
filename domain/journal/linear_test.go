package journal_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/google/uuid"

	"yidang/domain/journal"
	"yidang/domain/journal/embedded"
	"yidang/domain/record"
)

// The model of one stream: how many events it has and which is the last.
type streamState struct {
	length int64
	last   uuid.UUID
}

type streamOp struct {
	stream   string
	read     bool
	expected int64 // of an append: revision, -1 for no stream, anyRevision
	id       uuid.UUID
}

type streamAnswer struct {
	revision int64 // of the append, or of the last event read; -1 for none
	last     uuid.UUID
	conflict bool
	unknown  bool // maybe done
}

const anyRevision = -2

// model says which answers a stream may give. An append whose outcome is unknown may have been done or not, and done at
// any time later.
var model = porcupine.NondeterministicModel{
	Init: func() []any { return []any{streamState{}} },
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		byStream := map[string][]porcupine.Operation{}
		for _, o := range history {
			stream := o.Input.(streamOp).stream
			byStream[stream] = append(byStream[stream], o)
		}
		var parts [][]porcupine.Operation
		for _, part := range byStream {
			parts = append(parts, part)
		}
		return parts
	},
	Step: func(state, input, output any) []any {
		s, op, out := state.(streamState), input.(streamOp), output.(streamAnswer)
		if op.read {
			if out.revision == s.length-1 && out.last == s.last {
				return []any{s}
			}
			return nil
		}
		fits := op.expected == anyRevision || op.expected == s.length-1
		done := streamState{s.length + 1, op.id}
		switch {
		case out.unknown && fits:
			return []any{s, done}
		case out.unknown:
			return []any{s}
		case out.conflict && !fits:
			return []any{s}
		case !out.conflict && fits && out.revision == s.length:
			return []any{done}
		}
		return nil
	},
	Equal: func(a, b any) bool { return a == b },
}

// Ensure that concurrent appends and reads, some of them given up by their callers, are linearizable for each stream.
func TestLinearizable(t *testing.T) {
	_, j := open(t, embedded.Options{Dir: t.TempDir()})
	const clients, each, streams = 6, 60, 3
	var mu sync.Mutex
	var history []porcupine.Operation
	unknown := 0
	begin := time.Now()
	var all sync.WaitGroup
	for client := range clients {
		all.Go(func() {
			known := map[string]int64{}
			for range each {
				stream := fmt.Sprintf("drugs-%d", rand.IntN(streams))
				op := streamOp{stream: stream, read: rand.IntN(3) == 0, id: uuid.New(), expected: anyRevision}
				if last, ok := known[stream]; !op.read && rand.IntN(3) > 0 {
					op.expected = last
					if !ok {
						op.expected = -1
					}
				}
				called := time.Since(begin).Nanoseconds()
				out, err := perform(t.Context(), j, op)
				returned := time.Since(begin).Nanoseconds()
				if err != nil {
					t.Error(err)
					return
				}
				if !out.unknown && !out.conflict {
					known[stream] = out.revision
				}
				mu.Lock()
				if out.unknown {
					unknown++
					returned = math.MaxInt64
				}
				history = append(history, porcupine.Operation{ClientId: client, Input: op, Call: called, Output: out, Return: returned})
				mu.Unlock()
			}
		})
	}
	all.Wait()
	if unknown == 0 {
		t.Error("no append was given up: the test does not test it")
	}
	if result := porcupine.CheckOperationsTimeout(model.ToModel(), history, 30*time.Second); result != porcupine.Ok {
		t.Fatalf("the history of %d operations (%d unknown) is %s", len(history), unknown, result)
	}
}

// perform does the operation, giving up on every tenth append very soon.
func perform(ctx context.Context, j *journal.Journal, op streamOp) (streamAnswer, error) {
	if op.read {
		e, ok, err := j.Last(ctx, op.stream)
		if !ok {
			return streamAnswer{revision: -1}, err
		}
		return streamAnswer{revision: int64(e.Revision), last: e.ID}, err
	}
	expected := journal.Any
	switch {
	case op.expected == -1:
		expected = journal.NoStream
	case op.expected >= 0:
		expected = journal.Exactly(uint64(op.expected))
	}
	if rand.IntN(10) == 0 {
		short, cancel := context.WithTimeout(ctx, rand.N(time.Millisecond))
		defer cancel()
		ctx = short
	}
	put, err := j.Append(ctx, op.stream, expected, journal.Proposed{ID: op.id, Type: "x", Data: []byte("{}")})
	switch {
	case err == nil:
		return streamAnswer{revision: int64(put.Revision)}, nil
	case errors.Is(err, journal.ErrWrongRevision):
		return streamAnswer{conflict: true}, nil
	case record.KindOf(err) == record.Unavailable:
		return streamAnswer{unknown: true}, nil
	}
	return streamAnswer{}, err
}
