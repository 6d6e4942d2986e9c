package oversight

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"yidang/domain/casework"
	"yidang/domain/record"
	"yidang/projections/follow"
)

// The benchmarks write a journal once and keep it in YIDANG_BENCH_DIR when that is set; YIDANG_BENCH_EVENTS is its size.
func benchWorld(b *testing.B, small int) *world {
	events := small
	if n, err := strconv.Atoi(os.Getenv("YIDANG_BENCH_EVENTS")); err == nil {
		events = n
	}
	dir := os.Getenv("YIDANG_BENCH_DIR")
	if dir == "" {
		dir = b.TempDir()
	}
	dir = filepath.Join(dir, fmt.Sprintf("oversight-%d", events))
	_, err := os.Stat(filepath.Join(dir, "whole"))
	if err != nil {
		if err := os.RemoveAll(dir); err != nil {
			b.Fatal(err)
		}
		if err := os.MkdirAll(dir, 0o700); err != nil {
			b.Fatal(err)
		}
	}
	w := openWorld(b, dir)
	if err != nil {
		w.fill(max(events/50, 10), events)
		if err := os.WriteFile(filepath.Join(dir, "whole"), nil, 0o600); err != nil {
			b.Fatal(err)
		}
	}
	return w
}

// cpu is the processor time of the process.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func resident() uint64 {
	raw, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	var total, pages uint64
	fmt.Sscan(string(raw), &total, &pages)
	return pages * uint64(os.Getpagesize())
}

// nowhere is a projection that keeps nothing: what following the journal costs by itself.
type nowhere struct{ events []record.Event }

func (*nowhere) Name() string                                     { return "nowhere" }
func (*nowhere) Checkpoint(context.Context) (uint64, bool, error) { return 0, false, nil }
func (*nowhere) Apply(context.Context, follow.Batch) error        { return nil }

// all keeps what it is given.
type all struct{ nowhere }

func (a *all) Apply(_ context.Context, b follow.Batch) error {
	a.events = append(a.events, b.Events...)
	return nil
}

// BenchmarkBuild builds the index from a whole journal: read, decode, unseal what must be, write encrypted. The journal's
// server runs in the same process: its processor time counts too. Beside it, what reading the journal takes alone, and
// what the index takes of events that were read.
func BenchmarkBuild(b *testing.B) {
	w := benchWorld(b, 30_000)
	head, _, err := w.journal.Head(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	into := func(p follow.Projection) {
		if err := follow.New(follow.Options{Source: w.journal, Codec: NewOpener(w.codec), Projection: p, Until: head}).Run(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	fresh := func(use func(x *Index)) {
		x := openTest(b, w.options(b.TempDir()))
		use(x)
		if err := x.Close(); err != nil {
			b.Fatal(err)
		}
	}
	measure := func(name string, run func()) {
		b.Run(name, func(b *testing.B) {
			began, used, peak := time.Now(), cpu(), watch()
			for b.Loop() {
				run()
			}
			events := float64(head) * float64(b.N)
			b.ReportMetric(events/time.Since(began).Seconds(), "events/s")
			b.ReportMetric(float64((cpu()-used).Nanoseconds())/events/1000, "cpu-µs/event")
			b.ReportMetric(float64(peak())/(1<<20), "peakMB")
		})
	}
	measure("journal", func() { into(&nowhere{}) })
	measure("whole", func() { fresh(func(x *Index) { into(x) }) })
	var read all
	into(&read)
	measure("index", func() {
		fresh(func(x *Index) {
			for events := range slices.Chunk(read.events, 20_000) {
				if err := x.Apply(b.Context(), follow.Batch{Events: events, UpTo: events[len(events)-1].Position}); err != nil {
					b.Fatal(err)
				}
			}
		})
	})
}

// watch looks at the memory of the process until it is asked for the most.
func watch() (most func() uint64) {
	var peak uint64
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			peak = max(peak, resident())
			select {
			case <-stop:
				return
			case <-time.After(50 * time.Millisecond):
			}
		}
	})
	return func() uint64 { close(stop); wg.Wait(); return peak }
}

// BenchmarkLive applies events as they come: alone, and as many at once as come under load.
func BenchmarkLive(b *testing.B) {
	w := benchWorld(b, 10_000)
	x := openTest(b, w.options(b.TempDir()))
	defer x.Close()
	if err := build(b.Context(), x, w.journal, NewOpener(w.codec), 0); err != nil {
		b.Fatal(err)
	}
	position, err := x.Position(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	for _, size := range []int{1, 10, 100} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			n := 0
			began := cpu()
			for b.Loop() {
				batch := follow.Batch{CaughtUp: true}
				for range size {
					n++
					position++
					e := w.event(record.StreamOf("drugs", testID("case", n*7919%1000)), testID("person", n%1000), casework.VisitRecorded{Outcome: casework.Met})
					e.Position, e.ID = position, uuid.New()
					batch.Events = append(batch.Events, e)
				}
				batch.UpTo = position
				if err := x.Apply(context.Background(), batch); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64((cpu()-began).Nanoseconds())/float64(n)/1000, "cpu-µs/event")
		})
	}
}

// BenchmarkQuestions asks on a whole index.
func BenchmarkQuestions(b *testing.B) {
	w := benchWorld(b, 30_000)
	x := openTest(b, w.options(b.TempDir()))
	defer x.Close()
	if err := build(b.Context(), x, w.journal, NewOpener(w.codec), 0); err != nil {
		b.Fatal(err)
	}
	ctx := context.Background()
	newest := Paging{Newest: true}
	for name, ask := range map[string]func(i int) error{
		"officer": func(i int) error {
			_, _, err := x.Entries(ctx, Query{Paging: newest, Officer: testID("officer", i%150)})
			return err
		},
		"late":    func(int) error { _, _, err := x.Entries(ctx, Query{Paging: newest, Late: true}); return err },
		"amended": func(int) error { _, _, err := x.Entries(ctx, Query{Paging: newest, Amended: true}); return err },
		"scan": func(int) error {
			_, _, err := x.Entries(ctx, Query{Late: true, Lag: 23 * time.Hour, BackDated: true, BackDays: 0, Unit: testID("unit", 3)})
			return err
		},
		"reads": func(i int) error {
			_, _, err := x.Reads(ctx, ReadQuery{Paging: newest, Person: testID("person", i%200)})
			return err
		},
		"responsible": func(i int) error {
			_, err := x.Responsible(ctx, testID("person", i%200), testID("officer", i%150))
			return err
		},
		"root": func(i int) error { _, err := x.Root(ctx, testID("person", i%200)); return err },
		"lookup": func(i int) error {
			_, ok, err := x.Lookup(ctx, testID("event", 1+i*7919%20_000))
			if err == nil && !ok {
				err = fmt.Errorf("event %d is not found", i)
			}
			return err
		},
	} {
		b.Run(name, func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				if err := ask(i); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
