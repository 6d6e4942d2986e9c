package follow

import (
	"context"
	"encoding/json"
	"iter"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"yidang/domain/record"
)

// shelf is a few streams in memory: what a journal would give.
type shelf map[string][]record.Event

func (s shelf) history(_ context.Context, stream string, from uint64) iter.Seq2[record.Event, error] {
	return func(yield func(record.Event, error) bool) {
		for _, e := range s[stream] {
			if e.Revision >= from && !yield(e, nil) {
				return
			}
		}
	}
}

func (s shelf) add(stream string, position uint64, data any) record.Event {
	row, _ := counting.EventFor(data)
	e := record.Event{ID: uuid.New(), Stream: stream, Revision: uint64(len(s[stream])), Position: position, Type: row.Name, Data: data,
		Meta: record.Meta{RecordedAt: time.Unix(int64(position), 0)}}
	s[stream] = append(s[stream], e)
	return e
}

// Ensure that folding one event after another, with files that leave memory, snapshots, voids and batches applied again,
// gives what folding the whole stream gives.
func TestStatesAgainstFold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := shelf{}
		streams := []string{stream(), stream(), stream()}
		snapshots := map[string][]byte{}
		at := map[string]record.File{}
		states := NewStates(StatesOptions{Categories: categories{}, History: s.history, Folded: rapid.IntRange(1, 3).Draw(t, "folded"), Load: func(_ context.Context, f *record.File) error {
			raw, ok := snapshots[f.Stream]
			if !ok {
				return nil
			}
			f.Exists, f.Revision, f.Position = true, at[f.Stream].Revision, at[f.Stream].Position
			return json.Unmarshal(raw, f.State)
		}})
		save := func(f *record.File) error {
			raw, err := json.Marshal(f.State)
			snapshots[f.Stream], at[f.Stream] = raw, *f
			return err
		}
		var log []record.Event
		for range rapid.IntRange(1, 60).Draw(t, "events") {
			name := rapid.SampledFrom(streams).Draw(t, "stream")
			var data any = counted{N: len(log)}
			if had := s[name]; len(had) > 0 && rapid.IntRange(0, 5).Draw(t, "void") == 0 {
				data = record.Voided{Event: rapid.SampledFrom(had).Draw(t, "voided").ID, Reason: "录错了"}
			}
			log = append(log, s.add(name, uint64(len(log)+1), data))
		}
		batch := 0
		for i := 0; i < len(log); i++ {
			e := log[i]
			folded, err := states.Fold(context.Background(), e)
			if err != nil {
				t.Fatal(err)
			}
			want := record.NewFile(&counting, e.Stream)
			if err := want.Fold(s[e.Stream][:e.Revision+1], record.At{}); err != nil {
				t.Fatal(err)
			}
			if got := folded.File; got.Revision != e.Revision || got.Position != e.Position || !slices.Equal(got.State.(*counter).Seen, want.State.(*counter).Seen) {
				t.Fatalf("after %s at revision %d: %+v, want %+v", e.Type, e.Revision, got.State, want.State)
			}
			if folded.Anew != (e.Type == record.VoidedType) || folded.Anew && len(folded.History) != int(e.Revision)+1 {
				t.Fatalf("anew is %v after %s, with %d events", folded.Anew, e.Type, len(folded.History))
			}
			switch rapid.IntRange(0, 9).Draw(t, "then") {
			case 0: // the batch is stored
				if err := states.Trim(rapid.IntRange(0, 3).Draw(t, "size"), rapid.IntRange(0, 5).Draw(t, "keep"), save); err != nil {
					t.Fatal(err)
				}
				batch = i + 1
			case 1: // a restart
				states.Reset()
				i = batch - 1
			case 2: // the batch comes again, and the files are ahead of it
				i = batch - 1
			}
			if i < batch-1 {
				i = batch - 1
			}
		}
	})
}
