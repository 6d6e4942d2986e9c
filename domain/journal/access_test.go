package journal_test

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"yidang/domain/journal"
	"yidang/domain/journal/embedded"
	"yidang/domain/record"
)

func proposed(kind string) journal.Proposed {
	return journal.Proposed{ID: uuid.New(), Type: kind, Meta: []byte(`{"v":1}`), Data: []byte(`{"a":1}`)}
}

// accessTest is the part of the conformance suite that goes through package journal.
func accessTest(t *testing.T, j *journal.Journal, stream string) {
	ctx := t.Context()
	if _, ok, err := j.Last(ctx, stream); ok || err != nil {
		t.Fatalf("the last event of no stream: %v, %v", ok, err)
	}
	for range j.Stream(ctx, stream, 0) {
		t.Fatal("a stream that does not exist yields something")
	}
	first := []journal.Proposed{proposed("person.registered"), proposed("person.contact_added")}
	put, err := j.Append(ctx, stream, journal.NoStream, first...)
	if err != nil || put.Revision != 1 || put.Position == 0 {
		t.Fatalf("appended at %+v, %v", put, err)
	}
	if again, err := j.Append(ctx, stream, journal.NoStream, first...); err != nil || again != put {
		t.Errorf("the repeat was answered %+v, %v; first %+v", again, err, put)
	}
	_, err = j.Append(ctx, stream, journal.NoStream, proposed("x"))
	if !errors.Is(err, journal.ErrWrongRevision) || record.KindOf(err) != record.Conflict {
		t.Errorf("a wrong revision is %v", err)
	}
	if _, err := j.Append(ctx, stream, journal.Exactly(1), journal.Proposed{ID: uuid.New(), Type: "sealed", Binary: true, Data: []byte{0xff}}); err != nil {
		t.Fatal(err)
	}
	if _, err := j.Append(ctx, stream, journal.StreamExists, proposed("x")); err != nil {
		t.Fatal(err)
	}
	last, ok, err := j.Last(ctx, stream)
	if err != nil || !ok || last.Revision != 3 || last.Stream != stream || last.Type != "x" || string(last.Meta) != `{"v":1}` || time.Since(last.Created) > time.Hour {
		t.Errorf("last is %+v, %v, %v", last, ok, err)
	}
	var got []uint64
	for e, err := range j.Stream(ctx, stream, 1) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, e.Revision)
	}
	if !slices.Equal(got, []uint64{1, 2, 3}) {
		t.Errorf("from revision 1: %v", got)
	}
	got = nil
	for e, err := range j.All(ctx, put.Position) {
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(e.Stream, "$") {
			t.Errorf("a system stream: %s", e.Stream)
		}
		if e.Stream == stream {
			got = append(got, e.Revision)
		}
	}
	if !slices.Equal(got, []uint64{2, 3}) {
		t.Errorf("after the position of revision 1: %v", got)
	}
	if head, ok, err := j.Head(ctx); err != nil || !ok || head < last.Position {
		t.Errorf("head is %d, %v, %v; the last event is at %d", head, ok, err, last.Position)
	}
	got = nil
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for item, err := range j.Follow(ctx, put.Position) {
		if err != nil {
			t.Fatal(err)
		}
		if item.Kind == journal.Happened && item.Event.Stream == stream {
			got = append(got, item.Event.Revision)
		}
		if item.Kind == journal.CaughtUp && len(got) == 2 {
			if _, err := j.Append(ctx, stream, journal.Exactly(3), proposed("live")); err != nil {
				t.Fatal(err)
			}
		}
		if len(got) == 3 {
			break
		}
	}
	if !slices.Equal(got, []uint64{2, 3, 4}) {
		t.Errorf("followed %v", got)
	}
}

func open(t *testing.T, options embedded.Options) (*embedded.Server, *journal.Journal) {
	t.Helper()
	server, err := embedded.Start(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	j, err := journal.Open(t.Context(), server.Connection())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	return server, j
}

// Ensure that a server that is not there is named in the error, and that it comes soon.
func TestOpenNamesTheAddress(t *testing.T) {
	gone := filepath.Join(t.TempDir(), "gone.sock")
	for connection, address := range map[string]string{
		"esdb://127.0.0.1:1?tls=false":             "127.0.0.1:1",
		"esdb://127.0.0.1:1,127.0.0.1:2?tls=false": "127.0.0.1:1,127.0.0.1:2",
		embedded.SocketScheme + gone:               gone,
	} {
		_, err := journal.Open(t.Context(), connection)
		if record.KindOf(err) != record.Unavailable || !strings.Contains(err.Error(), address) {
			t.Errorf("%s: %v", connection, err)
		}
	}
	_, err := journal.Open(t.Context(), "esdb://user:secret%zz@host")
	if record.KindOf(err) != record.Invalid || strings.Contains(err.Error(), "secret") {
		t.Errorf("a bad string: %v", err)
	}
}

// Ensure that what no server would take is refused before it is sent.
func TestAppendRefusesWhatCannotBe(t *testing.T) {
	_, j := open(t, embedded.Options{Dir: t.TempDir()})
	big := proposed("big")
	big.Data = make([]byte, journal.MaxAppend+1)
	for name, try := range map[string]func() error{
		"no id": func() error {
			_, err := j.Append(t.Context(), "s", journal.Any, journal.Proposed{Type: "x"})
			return err
		},
		"no type": func() error {
			_, err := j.Append(t.Context(), "s", journal.Any, journal.Proposed{ID: uuid.New()})
			return err
		},
		"no stream": func() error { _, err := j.Append(t.Context(), "", journal.Any, proposed("x")); return err },
		"no event":  func() error { _, err := j.Append(t.Context(), "s", journal.Any); return err },
		"long stream": func() error {
			_, err := j.Append(t.Context(), strings.Repeat("s", 1025), journal.Any, proposed("x"))
			return err
		},
		"too large": func() error { _, err := j.Append(t.Context(), "s", journal.Any, big); return err },
		"not UTF-8": func() error { _, err := j.Append(t.Context(), "\xff", journal.Any, proposed("x")); return err },
	} {
		if err := try(); record.KindOf(err) != record.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, ok, err := j.Head(t.Context()); ok || err != nil {
		t.Errorf("the journal is not empty: %v", err)
	}
	if _, err := j.Append(t.Context(), "$all", journal.Any, proposed("x")); record.KindOf(err) != record.Forbidden {
		t.Errorf("append to $all: %v", err)
	}
}

// Ensure that a follower goes on after its server was restarted, having missed and repeated nothing, and that appends
// and reads find the server again as well.
func TestFollowSurvivesARestart(t *testing.T) {
	dir := t.TempDir()
	server, j := open(t, embedded.Options{Dir: dir, Socket: filepath.Join(dir, "s")})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	const rounds, each = 3, 20
	seen := make(chan uint64, rounds*each+1)
	lost := make(chan struct{}, 100)
	go func() {
		defer close(seen)
		for item, err := range j.Follow(ctx, 0) {
			if err != nil {
				return
			}
			switch item.Kind {
			case journal.Happened:
				seen <- item.Event.Revision
			case journal.Lost:
				lost <- struct{}{}
			}
		}
	}()
	put := func() {
		e := proposed("x")
		for { // the same id until it is known to be done
			_, err := j.Append(ctx, "person-1", journal.Any, e)
			if err == nil {
				return
			}
			if record.KindOf(err) != record.Unavailable {
				t.Fatal(err)
			}
		}
	}
	want := uint64(0)
	for round := range rounds {
		for range each {
			put()
		}
		for range each {
			if got, ok := <-seen; !ok || got != want {
				t.Fatalf("round %d: followed %d, %v, want %d", round, got, ok, want)
			}
			want++
		}
		server.Close()
		<-lost
		if _, err := j.Append(ctx, "person-1", journal.Any, proposed("while away")); record.KindOf(err) != record.Unavailable {
			t.Fatalf("an append without a server: %v", err)
		}
		var err error
		if server, err = embedded.Start(ctx, embedded.Options{Dir: dir, Socket: filepath.Join(dir, "s")}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { server.Close() })
	}
	put()
	if got := <-seen; got != want {
		t.Errorf("after the last restart came %d, want %d", got, want)
	}
}

// Ensure that a call whose context has ended says so and that its outcome is not known.
func TestUnknownOutcome(t *testing.T) {
	_, j := open(t, embedded.Options{Dir: t.TempDir()})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := j.Append(ctx, "s", journal.Any, proposed("x"))
	if record.KindOf(err) != record.Unavailable {
		t.Errorf("append: %v", err)
	}
	for _, err := range j.All(ctx, 0) {
		if record.KindOf(err) != record.Unavailable || !errors.Is(err, context.Canceled) {
			t.Errorf("read: %v", err)
		}
	}
}

// Ensure that calls after Close, and calls that run during it, end with an error.
func TestClose(t *testing.T) {
	_, j := open(t, embedded.Options{Dir: t.TempDir()})
	ended := make(chan error)
	go func() {
		var last error
		for item, err := range j.Follow(context.Background(), 0) {
			last = err
			if item.Kind == journal.CaughtUp {
				go j.Close()
			}
		}
		ended <- last
	}()
	if err := <-ended; record.KindOf(err) != record.Unavailable {
		t.Errorf("the follower ended with %v", err)
	}
	if _, err := j.Append(t.Context(), "s", journal.Any, proposed("x")); record.KindOf(err) != record.Unavailable {
		t.Errorf("append after Close: %v", err)
	}
}
