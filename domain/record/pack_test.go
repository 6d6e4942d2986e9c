package record_test

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/google/uuid"

	"yidang/domain/record"
)

type grade string

type inner struct {
	At    time.Time
	Words []string
	ID    uuid.UUID
}

type shape struct {
	Inner  inner
	On     bool
	N      int32
	U      uint64
	F      float64
	Grade  grade
	Grades []grade
	Raw    []byte
	Next   *inner
	Pairs  [2]inner
	ByID   map[uuid.UUID]inner
	hidden int //lint:ignore U1000 packing must leave it alone
}

// packing is a category whose new state is not empty, as one that makes its maps.
var packing = record.Category{Name: "packing", New: func() any { return &shape{N: 7, ByID: map[uuid.UUID]inner{}} }}

func full() shape {
	id := uuid.MustParse("5f0c2f38-6b0e-4a52-9a39-3f3a3f2f9d11")
	in := inner{At: time.Date(2026, 3, 1, 9, 30, 0, 123456789, record.Zone), Words: []string{"", "在家"}, ID: id}
	east := in
	east.At = in.At.In(time.FixedZone("", 3600))
	return shape{Inner: in, On: true, N: -5, U: 1 << 63, F: 0.1, Grade: "priority", Grades: []grade{"", "priority", "low"}, Raw: []byte{0, 255},
		Next: &east, Pairs: [2]inner{{}, {At: in.At.UTC()}}, ByID: map[uuid.UUID]inner{id: in, {}: {Words: []string{}}}}
}

// Ensure that a file comes out of a packed one as it went in: every kind of field, nothing and emptiness apart, moments with
// the clock that told them.
func TestPack(t *testing.T) {
	some := full()
	some.Grades, some.Raw, some.ByID = []grade{}, []byte{}, map[uuid.UUID]inner{}
	p := record.NewPacker()
	for _, state := range []shape{{}, {N: 7}, full(), some, {Next: &inner{}}} {
		f := record.NewFile(&packing, "packing-5f0c2f38-6b0e-4a52-9a39-3f3a3f2f9d11")
		*f.State.(*shape) = state
		f.Exists, f.Revision, f.Position, f.Erased = true, 41, 977, true
		packed, ok := p.Pack(f)
		if !ok {
			t.Fatal("it cannot be packed")
		}
		for range 20 { // equal states share their memory, so they must be packed alike, whatever the order of a map
			if again, _ := p.Pack(f); !reflect.DeepEqual(again, packed) {
				t.Fatalf("%+v is packed in two ways", state)
			}
		}
		f.State.(*shape).N++ // what is packed does not follow
		got := p.Unpack(&packing, f.Stream, packed)
		if got.Stream != f.Stream || got.ID != f.ID || !got.Exists || got.Revision != 41 || got.Position != 977 || !got.Erased {
			t.Errorf("%+v", got)
		}
		want, _ := json.Marshal(state)
		if raw, _ := json.Marshal(got.State); string(raw) != string(want) {
			t.Errorf("packed\n%s\nunpacked\n%s", want, raw)
		}
		if out := got.State.(*shape); (out.Raw == nil) != (state.Raw == nil) || (out.ByID == nil) != (state.ByID == nil) || (out.Grades == nil) != (state.Grades == nil) {
			t.Errorf("%+v became %+v", state, out)
		}
	}
}

// Ensure that states that are more than their exported fields are not packed.
func TestPackRefuses(t *testing.T) {
	type cycle struct{ Next []*cycle }
	for _, state := range []any{&struct{ Any any }{}, &struct{ inner }{}, &struct{ Do func() }{}, &cycle{}, new(json.Decoder), shape{}, (*shape)(nil)} {
		k := record.Category{Name: "packing", New: func() any { return state }}
		if _, ok := record.NewPacker().Pack(record.NewFile(&k, "packing-x")); ok {
			t.Errorf("%v was packed", reflect.TypeOf(state))
		}
	}
}

// Ensure that a file finds what a command recorded in it, one event or several, also after it was packed.
func TestCommands(t *testing.T) {
	k := record.Category{Name: "packing", New: func() any { return &shape{} }, Events: []record.EventRow{
		record.On("packing.noted", record.T("记", "noted"), func(s *shape, _ inner, _ record.Event) { s.N++ }, func(inner) record.Text { return record.Text{} })}}
	f := record.NewFile(&k, "packing-5f0c2f38-6b0e-4a52-9a39-3f3a3f2f9d11").Remembering()
	commands := []uuid.UUID{uuid.New(), uuid.New(), uuid.New(), uuid.New()}
	for i, c := range []int{0, 1, 1, 1, 2, 3, 3} {
		if err := f.Apply(record.Event{Type: "packing.noted", Revision: uint64(i), Data: inner{}, Meta: record.Meta{Command: commands[c]}}); err != nil {
			t.Fatal(err)
		}
	}
	p := record.NewPacker()
	packed, _ := p.Pack(f)
	for _, f := range []*record.File{f, p.Unpack(&k, f.Stream, packed)} {
		for i, want := range []record.Done{{First: 0, Last: 0}, {First: 1, Last: 3}, {First: 4, Last: 4}, {First: 5, Last: 6}} {
			if got, ok := f.Command(commands[i]); !ok || got != want {
				t.Errorf("command %d: %+v, %t", i, got, ok)
			}
		}
		if _, ok := f.Command(uuid.New()); ok {
			t.Error("it knows a command that never was")
		}
	}
}
