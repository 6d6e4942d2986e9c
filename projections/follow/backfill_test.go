package follow

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"yidang/domain/journal"
	"yidang/domain/record"
)

// filled is a target in memory.
type filled struct {
	part   Part
	events []uint64
	refuse func(Part) error
}

func (f *filled) Name() string                         { return "filled" }
func (f *filled) Filled(context.Context) (Part, error) { return f.part, nil }

func (f *filled) Fill(_ context.Context, events []record.Event, p Part) error {
	if f.refuse != nil {
		if err := f.refuse(p); err != nil {
			return err
		}
	}
	next := map[string]uint64{}
	for _, e := range events {
		if e.Revision != next[e.Stream] {
			return errors.New("a stream is not whole")
		}
		next[e.Stream]++
		f.events = append(f.events, e.Position)
	}
	f.part = p
	return nil
}

// deals is a journal of many small streams, mixed.
func deals(t *testing.T) (*log, uint64) {
	l := newLog(t)
	var streams []string
	for range 300 {
		streams = append(streams, stream())
	}
	var last uint64
	for range 40 {
		for i := 0; i < len(streams); i += 10 {
			last = l.add(streams[i], 12)
		}
	}
	l.add("other-stream", 3)
	return l, last
}

var errCut = errors.New("cut short")

// Ensure that a backfill gives whole streams and everything once, however often it is cut short: while it deals out, while
// it fills, with a part file that has more than its mark says.
func TestBackfill(t *testing.T) {
	l, until := deals(t)
	dir := filepath.Join(t.TempDir(), "parts")
	target := &filled{}
	o := BackfillOptions{Source: l.journal, Codec: &plainCodec{}, Dir: dir, Until: until}

	cut := o
	ctx, cancel := context.WithCancel(t.Context())
	cut.Codec = codecFunc(func() { cancel() })
	if _, err := Backfill(ctx, target, cut); err == nil {
		t.Fatal("it was not cut short")
	}
	tail, err := os.OpenFile(filepath.Join(dir, "part-000"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = tail.WriteString("half a record that no mark covers")
	_ = tail.Close()
	for i := range 3 {
		target.refuse = func(p Part) error {
			if p.Done == i+1 {
				return errCut
			}
			return nil
		}
		if _, err := Backfill(t.Context(), target, o); i < 2 && !errors.Is(err, errCut) {
			t.Fatal(err)
		}
	}
	target.refuse = nil
	l.add(stream(), 5) // behind the end
	o.Until += 1000    // one that is under way keeps its own
	got, err := Backfill(t.Context(), target, o)
	if err != nil || got != until {
		t.Fatalf("filled up to %d, %v; want %d", got, err, until)
	}
	slices.Sort(target.events)
	want := l.counters()
	want = want[:len(want)-5]
	if !slices.Equal(target.events, want) {
		t.Fatalf("%d events, want %d", len(target.events), len(want))
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the part files are still there: %v", err)
	}
	if got, err := Backfill(t.Context(), target, o); err != nil || got != until {
		t.Errorf("again: %d, %v", got, err)
	}
}

// codecFunc calls a function and fails.
type codecFunc func()

func (f codecFunc) Open(context.Context, journal.Stored) (record.Event, bool, error) {
	f()
	return record.Event{}, false, errCut
}

// Ensure that part files that are lost or damaged are noticed, and that starting anew mends it.
func TestBackfillDamage(t *testing.T) {
	l, until := deals(t)
	for name, harm := range map[string]func(dir string) error{
		"lost": os.RemoveAll,
		"cut": func(dir string) error {
			return os.Truncate(filepath.Join(dir, "part-002"), 100)
		},
		"flipped": func(dir string) error {
			p := filepath.Join(dir, "part-002")
			raw, err := os.ReadFile(p)
			if err == nil {
				raw[len(raw)/2] ^= 1
				err = os.WriteFile(p, raw, 0o600)
			}
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			target := &filled{refuse: func(p Part) error {
				if p.Done == 2 {
					return errCut
				}
				return nil
			}}
			o := BackfillOptions{Source: l.journal, Codec: &plainCodec{}, Dir: filepath.Join(t.TempDir(), "parts"), Until: until}
			if _, err := Backfill(t.Context(), target, o); !errors.Is(err, errCut) {
				t.Fatal(err)
			}
			if err := harm(o.Dir); err != nil {
				t.Fatal(err)
			}
			target.refuse = nil
			_, err := Backfill(t.Context(), target, o)
			if err == nil {
				t.Fatal("nothing was noticed")
			}
			if _, err = Backfill(t.Context(), target, o); !errors.Is(err, ErrSpoolLost) {
				t.Fatalf("the target has a part of files that are gone: %v", err)
			}
			fresh := &filled{}
			if _, err := Backfill(t.Context(), fresh, o); err != nil {
				t.Fatal(err)
			}
			if slices.Sort(fresh.events); !slices.Equal(fresh.events, l.counters()) {
				t.Fatalf("%d events", len(fresh.events))
			}
		})
	}
}

// Ensure that poison is named.
func TestBackfillPoison(t *testing.T) {
	l, _ := deals(t)
	bad := l.add(stream(), 1, poison)
	_, err := Backfill(t.Context(), &filled{}, BackfillOptions{Source: l.journal, Codec: &plainCodec{}, Dir: filepath.Join(t.TempDir(), "parts"), Until: bad})
	var p *Poison
	if !errors.As(err, &p) || p.Position != bad {
		t.Fatalf("got %v", err)
	}
}
