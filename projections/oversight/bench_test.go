package oversight

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
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

// BenchmarkBuild builds the index from a whole journal: read, decode, unseal what must be, write encrypted. The journal's
// server runs in the same process: its processor time counts too.
func BenchmarkBuild(b *testing.B) {
	w := benchWorld(b, 30_000)
	head, _, err := w.journal.Head(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		x := openTest(b, w.options(b.TempDir()))
		before := resident()
		var peak uint64
		stop := make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(50 * time.Millisecond):
					peak = max(peak, resident())
				}
			}
		})
		began, used := time.Now(), cpu()
		if err := build(b.Context(), x, w.journal, w.codec, 0); err != nil {
			b.Fatal(err)
		}
		took, used := time.Since(began), cpu()-used
		close(stop)
		wg.Wait()
		b.ReportMetric(float64(head)/took.Seconds(), "events/s")
		b.ReportMetric(float64(used.Nanoseconds())/float64(head)/1000, "cpu-µs/event")
		b.ReportMetric(float64(peak)/(1<<20), "peakMB")
		b.ReportMetric(float64(before)/(1<<20), "beforeMB")
		if info, err := os.Stat(x.o.Path); err == nil {
			b.ReportMetric(float64(info.Size())/float64(head), "bytes/event")
		}
		if err := x.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkLive applies events as they come: alone, and as many at once as come under load.
func BenchmarkLive(b *testing.B) {
	w := benchWorld(b, 10_000)
	x := openTest(b, w.options(b.TempDir()))
	defer x.Close()
	if err := build(b.Context(), x, w.journal, w.codec, 0); err != nil {
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
	if err := build(b.Context(), x, w.journal, w.codec, 0); err != nil {
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
