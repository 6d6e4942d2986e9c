package journal_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sys/unix"

	"yidang/domain/journal"
	"yidang/domain/journal/embedded"
)

// The benchmarks measure one raw fsync of the same disk in the same run: appends are to be read against it.
//
//	go test -run '^$' -bench . -benchtime 3s ./domain/journal

func startBench(b *testing.B) *journal.Journal {
	b.Helper()
	server, err := embedded.Start(b.Context(), embedded.Options{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { server.Close() })
	j, err := journal.Open(b.Context(), server.Connection())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { j.Close() })
	return j
}

// visit has the size of a recorded visit: sealed data of some 300 bytes beside plain metadata.
func visit() journal.Proposed {
	return journal.Proposed{ID: uuid.New(), Type: "casework.visit_recorded", Binary: true, Meta: make([]byte, 250), Data: make([]byte, 300)}
}

// rawSync returns the median time of writing 4 KiB over old bytes and syncing it.
func rawSync(b *testing.B) time.Duration {
	b.Helper()
	f, err := os.Create(filepath.Join(b.TempDir(), "raw"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	block := make([]byte, 4096)
	took := make([]time.Duration, 300)
	for i := range took {
		start := time.Now()
		if _, err := f.WriteAt(block, int64(i%16)*4096); err != nil {
			b.Fatal(err)
		}
		if err := unix.Fdatasync(int(f.Fd())); err != nil {
			b.Fatal(err)
		}
		took[i] = time.Since(start)
	}
	slices.Sort(took)
	return took[len(took)/2]
}

func BenchmarkAppendOneCaller(b *testing.B) {
	j := startBench(b)
	raw := rawSync(b)
	var took []time.Duration
	stream := "person-" + uuid.NewString()
	for b.Loop() {
		start := time.Now()
		if _, err := j.Append(b.Context(), stream, journal.Any, visit()); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	b.ReportMetric(float64(raw.Microseconds()), "fsync-p50-µs")
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
	b.ReportMetric(float64(len(took))/b.Elapsed().Seconds(), "events/s")
}

func BenchmarkAppend64Callers(b *testing.B) {
	j := startBench(b)
	raw := rawSync(b)
	var left, done atomic.Int64
	left.Store(int64(b.N))
	b.ResetTimer()
	var all sync.WaitGroup
	for range 64 {
		all.Go(func() {
			stream := "person-" + uuid.NewString()
			for left.Add(-1) >= 0 {
				if _, err := j.Append(b.Context(), stream, journal.Any, visit()); err != nil {
					b.Error(err)
					return
				}
				done.Add(1)
			}
		})
	}
	all.Wait()
	b.ReportMetric(float64(raw.Microseconds()), "fsync-p50-µs")
	b.ReportMetric(float64(done.Load())/b.Elapsed().Seconds(), "events/s")
}

func BenchmarkAppendBulk(b *testing.B) {
	j := startBench(b)
	raw := rawSync(b)
	n := 0
	for b.Loop() {
		fill(b, j, 500)
		n += 500
	}
	b.ReportMetric(float64(raw.Microseconds()), "fsync-p50-µs")
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "events/s")
}

// fill appends n events to a new stream in one append.
func fill(b *testing.B, j *journal.Journal, n int) {
	b.Helper()
	events := make([]journal.Proposed, n)
	for i := range events {
		events[i] = visit()
	}
	if _, err := j.Append(b.Context(), "drugs-"+uuid.NewString(), journal.NoStream, events...); err != nil {
		b.Fatal(err)
	}
}

const benchEvents = 200_000

func BenchmarkReadAll(b *testing.B) {
	j := startBench(b)
	for range benchEvents / 20 {
		fill(b, j, 20)
	}
	n := 0
	for b.Loop() {
		for _, err := range j.All(b.Context(), 0) {
			if err != nil {
				b.Fatal(err)
			}
			n++
		}
	}
	if n%benchEvents != 0 {
		b.Fatal(fmt.Errorf("read %d events", n))
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "events/s")
}

func BenchmarkFollow(b *testing.B) {
	j := startBench(b)
	for range benchEvents / 20 {
		fill(b, j, 20)
	}
	n := 0
	for b.Loop() {
		ctx, cancel := context.WithCancel(b.Context())
		for item, err := range j.Follow(ctx, 0) {
			if err != nil {
				b.Fatal(err)
			}
			if item.Kind == journal.Happened {
				n++
			}
			if item.Kind == journal.CaughtUp {
				break
			}
		}
		cancel()
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "events/s")
}
