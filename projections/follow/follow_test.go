package follow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"yidang/domain/journal"
	"yidang/domain/journal/embedded"
	"yidang/domain/record"
)

// counted is the one event of the test category.
type counted struct {
	N int `json:"n"`
}

type counter struct{ Seen []int }

var counting = record.Category{
	Name: "counter", Title: record.T("计数", "Counter"), New: func() any { return &counter{} },
	Events: []record.EventRow{
		record.On("counter.counted", record.T("计数", "Counted"), func(c *counter, d counted, _ record.Event) { c.Seen = append(c.Seen, d.N) }, nil),
		record.VoidedRow(),
	},
}

type categories struct{}

func (categories) Of(stream string) (*record.Category, bool) {
	name, _, ok := record.SplitStream(stream)
	return &counting, ok && name == "counter"
}

// plainCodec opens events that nobody sealed. Data "poison" cannot be opened; away makes it answer Unavailable.
type plainCodec struct {
	mu   sync.Mutex
	away int
}

func (c *plainCodec) Open(_ context.Context, s journal.Stored) (e record.Event, known bool, err error) {
	k, ok := categories{}.Of(s.Stream)
	if !ok {
		return e, false, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.away > 0 {
		c.away--
		return e, true, record.Errorf(record.Unavailable, "the vault is away")
	}
	e = record.Event{ID: s.ID, Stream: s.Stream, Revision: s.Revision, Position: s.Position, Type: s.Type}
	if err := json.Unmarshal(s.Meta, &e.Meta); err != nil {
		return e, true, err
	}
	row, ok := k.Event(s.Type)
	if !ok {
		return e, true, errors.New("unknown type")
	}
	e.Data, err = row.Decode(1, s.Data, false)
	return e, true, err
}

// log is a real journal.
type log struct {
	t       *testing.T
	dir     string
	server  *embedded.Server
	journal *journal.Journal
}

func newLog(t *testing.T) *log {
	t.Helper()
	l := &log{t: t, dir: t.TempDir()}
	l.start()
	var err error
	if l.journal, err = journal.Open(t.Context(), l.server.Connection()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(l.journal.Close(), l.server.Close()); err != nil {
			t.Error(err)
		}
	})
	return l
}

func (l *log) start() {
	l.t.Helper()
	var err error
	if l.server, err = embedded.Start(l.t.Context(), embedded.Options{Dir: filepath.Join(l.dir, "journal")}); err != nil {
		l.t.Fatal(err)
	}
}

var poison = []byte(`{"n": "not a number"}`)

// add appends n events to a stream, and gives the position of the last.
func (l *log) add(stream string, n int, data ...[]byte) uint64 {
	l.t.Helper()
	var events []journal.Proposed
	for i := range n {
		raw := fmt.Appendf(nil, `{"n":%d}`, i)
		if i < len(data) {
			raw = data[i]
		}
		events = append(events, journal.Proposed{ID: uuid.New(), Type: "counter.counted", Meta: fmt.Appendf(nil, `{"form":1,"recordedAt":%q}`, time.Now().Format(time.RFC3339Nano)), Data: raw})
	}
	done, err := l.journal.Append(context.Background(), stream, journal.Any, events...)
	if err != nil {
		l.t.Fatal(err)
	}
	return done.Position
}

func stream() string { return record.StreamOf("counter", uuid.New()) }

// kept is a store in memory that keeps output and checkpoint together, as a projection must.
type kept struct {
	mu       sync.Mutex
	events   []uint64 // positions
	upTo     uint64
	batches  []int
	caughtUp int
	refuse   func(Batch) error
}

func (k *kept) Name() string { return "kept" }

func (k *kept) Checkpoint(context.Context) (uint64, bool, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.upTo, k.upTo > 0, nil
}

func (k *kept) Apply(_ context.Context, b Batch) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.refuse != nil {
		if err := k.refuse(b); err != nil {
			return err
		}
	}
	for _, e := range b.Events {
		k.events = append(k.events, e.Position)
	}
	k.upTo = b.UpTo
	k.batches = append(k.batches, len(b.Events))
	if b.CaughtUp {
		k.caughtUp++
	}
	return nil
}

func (k *kept) positions() []uint64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.events)
}

// run runs a follower until the test ends; stop ends it earlier and gives its error.
func run(t *testing.T, f *Follower) (stop func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx) }()
	var once sync.Once
	var err error
	stop = func() error {
		once.Do(func() { cancel(); err = <-done })
		return err
	}
	t.Cleanup(func() { _ = stop() })
	return stop
}

func await(t *testing.T, f *Follower, position uint64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := f.Wait(ctx, position); err != nil {
		t.Fatal(err)
	}
}

// counters lists the positions of the events of the test category.
func (l *log) counters() (list []uint64) {
	l.t.Helper()
	for e, err := range l.journal.All(context.Background(), 0) {
		if err != nil {
			l.t.Fatal(err)
		}
		if strings.HasPrefix(e.Stream, "counter-") {
			list = append(list, e.Position)
		}
	}
	return list
}

// Ensure that a projection gets every event once and in order, while others write, across restarts, in batches that are
// large at first and of what there is later.
func TestNoGapNoRepeat(t *testing.T) {
	l := newLog(t)
	l.add("other-stream", 10) // first, for those who are told of it stop before they are through
	l.add(stream(), 3000)
	k := &kept{}
	var observed sync.Map
	stopWriting := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for s := stream(); ; {
				select {
				case <-stopWriting:
					return
				default:
					l.add(s, 2)
				}
			}
		})
	}
	for range 4 {
		f := New(Options{Source: l.journal, Codec: &plainCodec{}, Projection: k, MaxEvents: 700, OnEvent: func(s string, r uint64) { observed.Store(s, r) }})
		from, _, _ := k.Checkpoint(t.Context())
		stop := run(t, f)
		for f.Status().Position < from+200 {
			time.Sleep(time.Millisecond)
		}
		if err := stop(); err != nil {
			t.Fatal(err)
		}
	}
	close(stopWriting)
	wg.Wait()
	f := New(Options{Source: l.journal, Codec: &plainCodec{}, Projection: k})
	run(t, f)
	await(t, f, l.add(stream(), 1))
	if got, want := k.positions(), l.counters(); !slices.Equal(got, want) {
		t.Fatalf("applied %d events, there are %d", len(got), len(want))
	}
	if slices.Max(k.batches) > 700+chunkSize {
		t.Errorf("a batch of %d events", slices.Max(k.batches))
	}
	if _, ok := observed.Load("other-stream"); !ok {
		t.Error("OnEvent was not told of an event of another kind")
	}
	s := f.Status()
	if !s.CaughtUp || s.Lag != 0 || s.Position != s.Head || s.Err != nil {
		t.Errorf("status %+v", s)
	}
	last := single(t, f, l, k)
	if len(last) == 0 || slices.Max(last) > 1 {
		t.Errorf("live batches: %v", last)
	}
}

// single adds single events to a live follower, and gives the sizes of the batches they came in.
func single(t *testing.T, f *Follower, l *log, k *kept) []int {
	t.Helper()
	k.mu.Lock()
	from := len(k.batches)
	k.mu.Unlock()
	for range 5 {
		await(t, f, l.add(stream(), 1))
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.batches[from:]
}

// Ensure that catching up ends with a batch that says so, even when there is nothing.
func TestCaughtUpWhenEmpty(t *testing.T) {
	l := newLog(t)
	k := &kept{}
	f := New(Options{Source: l.journal, Codec: &plainCodec{}, Projection: k})
	run(t, f)
	for !f.Status().CaughtUp {
		time.Sleep(time.Millisecond)
	}
	if k.caughtUp != 1 || len(k.positions()) != 0 {
		t.Fatalf("%d batches caught up, %d events", k.caughtUp, len(k.positions()))
	}
}

// Ensure that an event that cannot be opened stops the projection loudly, after all that came before it.
func TestPoison(t *testing.T) {
	l := newLog(t)
	l.add(stream(), 500)
	bad := l.add(stream(), 1, poison)
	l.add(stream(), 500)
	reg := prometheus.NewRegistry()
	k := &kept{}
	f := New(Options{Source: l.journal, Codec: &plainCodec{}, Projection: k, Metrics: NewMetrics(reg)})
	err := f.Run(t.Context())
	var p *Poison
	if !errors.As(err, &p) || p.Position != bad || p.Type != "counter.counted" || p.ID == uuid.Nil || !strings.Contains(err.Error(), fmt.Sprint(bad)) {
		t.Fatalf("got %v", err)
	}
	if got := k.positions(); len(got) != 500 || k.upTo != bad-1 {
		t.Fatalf("%d events applied, up to %d", len(got), k.upTo)
	}
	if s := f.Status(); !s.Stopped || s.Err == nil {
		t.Errorf("status %+v", s)
	}
	if err := f.Wait(t.Context(), bad); record.KindOf(err) != record.Unavailable {
		t.Errorf("waiting: %v", err)
	}
	if err := f.Wait(t.Context(), bad-1); err != nil {
		t.Errorf("waiting for what is there: %v", err)
	}
	want := map[string]float64{"yidang_projection_stopped": 1, "yidang_projection_position": float64(bad - 1), "yidang_projection_events_total": 500}
	got := metrics(t, reg)
	for name, v := range want {
		if got[name] != v {
			t.Errorf("%s is %v, not %v", name, got[name], v)
		}
	}
}

// metrics reads every gauge and counter.
func metrics(t *testing.T, reg *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			switch {
			case m.GetGauge() != nil:
				out[f.GetName()] = m.GetGauge().GetValue()
			case m.GetCounter() != nil:
				out[f.GetName()] = m.GetCounter().GetValue()
			}
		}
	}
	return out
}

// Ensure that an event that cannot be applied is named, and that what came before it in its batch is applied.
func TestRefusedEvent(t *testing.T) {
	l := newLog(t)
	l.add(stream(), 90)
	bad := l.add(stream(), 1)
	l.add(stream(), 90)
	k := &kept{refuse: func(b Batch) error {
		if slices.ContainsFunc(b.Events, func(e record.Event) bool { return e.Position == bad }) {
			return errors.New("cannot be")
		}
		return nil
	}}
	err := New(Options{Source: l.journal, Codec: &plainCodec{}, Projection: k}).Run(t.Context())
	var p *Poison
	if !errors.As(err, &p) || p.Position != bad {
		t.Fatalf("got %v", err)
	}
	if len(k.positions()) != 90 || k.upTo != bad-1 {
		t.Fatalf("%d events applied, up to %d", len(k.positions()), k.upTo)
	}
}

// Ensure that a store or a vault that is away is waited for, and that nothing is lost or doubled by it.
func TestAway(t *testing.T) {
	l := newLog(t)
	last := l.add(stream(), 600)
	failures := 2
	k := &kept{refuse: func(b Batch) error {
		if len(b.Events) > 0 && failures > 0 {
			failures--
			return record.Errorf(record.Unavailable, "away")
		}
		return nil
	}}
	f := New(Options{Source: l.journal, Codec: &plainCodec{away: 3}, Projection: k})
	run(t, f)
	await(t, f, last)
	if got, want := k.positions(), l.counters(); !slices.Equal(got, want) {
		t.Fatalf("applied %d events, there are %d", len(got), len(want))
	}
	if f.Status().Err != nil {
		t.Errorf("status %+v", f.Status())
	}
}

// Ensure that a journal that goes away and comes back is followed on.
func TestJournalRestarts(t *testing.T) {
	l := newLog(t)
	k := &kept{}
	f := New(Options{Source: l.journal, Codec: &plainCodec{}, Projection: k})
	run(t, f)
	await(t, f, l.add(stream(), 10))
	if err := l.server.Close(); err != nil {
		t.Fatal(err)
	}
	l.start()
	var last uint64
	for try := 0; last == 0; try++ { // the client may have to find its server first
		done, err := l.journal.Append(t.Context(), stream(), journal.Any, journal.Proposed{ID: uuid.New(), Type: "counter.counted", Meta: []byte(`{"form":1}`), Data: []byte(`{"n":1}`)})
		if last = done.Position; err != nil && try == 100 {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(try) * time.Millisecond)
	}
	await(t, f, last)
	if got, want := k.positions(), l.counters(); !slices.Equal(got, want) {
		t.Fatalf("applied %d events, there are %d", len(got), len(want))
	}
}

// Ensure that a run with an end applies everything up to it and nothing behind it.
func TestUntil(t *testing.T) {
	l := newLog(t)
	l.add(stream(), 300)
	until := l.add(stream(), 1)
	l.add(stream(), 300)
	k := &kept{}
	for range 2 { // the second has nothing to do
		if err := New(Options{Source: l.journal, Codec: &plainCodec{}, Projection: k, Until: until}).Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(k.positions()) != 301 || k.upTo != until {
			t.Fatalf("%d events applied, up to %d", len(k.positions()), k.upTo)
		}
	}
}

// Ensure that whoever waits for what does not come is told so in time.
func TestWait(t *testing.T) {
	l := newLog(t)
	f := New(Options{Source: l.journal, Codec: &plainCodec{}, Projection: &kept{}})
	stop := run(t, f)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := f.Wait(ctx, 1000); record.KindOf(err) != record.Unavailable {
		t.Fatalf("got %v", err)
	}
	waited := make(chan error, 1)
	go func() { waited <- f.Wait(context.Background(), 1000) }()
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if err := <-waited; record.KindOf(err) != record.Unavailable {
		t.Fatalf("got %v", err)
	}
}
