package analytics_test

import (
	"os"
	"strconv"
	"syscall"
	"testing"
	"time"

	"yidang/projections/analytics/analyticstest"
)

// BenchmarkLoad loads YIDANG_BENCH_EVENTS events (60,000) of a thirtieth as many cases from the journal: read, unseal,
// decode, fold, map, insert, checkpoint. The baseline is reading and opening the same events and doing nothing with them,
// in the same run.
func BenchmarkLoad(b *testing.B) {
	n := 60_000
	if v := os.Getenv("YIDANG_BENCH_EVENTS"); v != "" {
		n, _ = strconv.Atoi(v)
	}
	w := analyticstest.New(b)
	must(b, w.Fill(b.Context(), n, n/30, "一些写下来的话，长短和平常的备注差不多"))
	head, _, err := w.Journal.Head(b.Context())
	must(b, err)
	for b.Loop() {
		start, used := time.Now(), processor(b)
		for e, err := range w.Journal.All(b.Context(), 0) {
			must(b, err)
			_, _, err = w.Codec.Open(b.Context(), e)
			must(b, err)
		}
		read := time.Since(start)
		b.ReportMetric(float64((processor(b)-used).Microseconds())/float64(head), "processor-µs/read")
		s := w.Store(b)
		start, used = time.Now(), processor(b)
		must(b, w.Load(b.Context(), s, 20_000))
		took := time.Since(start)
		b.ReportMetric(float64((processor(b)-used).Microseconds())/float64(head), "processor-µs/event")
		b.ReportMetric(float64(head)/took.Seconds(), "events/s")
		b.ReportMetric(float64(head)/read.Seconds(), "read-and-open/s")
		b.ReportMetric(took.Seconds()/read.Seconds(), "×baseline")
	}
}

// processor is the time this process had on processors, the journal's server included and the engine not: it says what the
// work costs on a machine that others use too.
func processor(b *testing.B) time.Duration {
	var u syscall.Rusage
	must(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
