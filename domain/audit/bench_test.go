package audit_test

import (
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"yidang/domain/audit"
	"yidang/domain/journal"
	"yidang/domain/record"
)

// BenchmarkVerify measures the log's part, and the whole, over the official client and the embedded server. Both share the
// processors with what is measured. The baseline reads the same journal and does nothing with it.
func BenchmarkVerify(b *testing.B) {
	const files, each = 1000, 120
	w := start(b)
	w.work(files, each)
	w.sign(w.notaryDir())
	count := len(w.everything())
	rate := func(b *testing.B, f func()) {
		began := processorTime(b)
		for b.Loop() {
			f()
		}
		events := float64(count) * float64(b.N)
		b.ReportMetric(events/b.Elapsed().Seconds(), "events/s")
		// On a machine that others use too, this is the fairer figure: what two processors of its own would do.
		b.ReportMetric(2*events/(processorTime(b)-began).Seconds(), "events/s/2-cores")
	}
	b.Run("baseline: reading", func(b *testing.B) {
		rate(b, func() {
			for _, err := range w.Journal.All(b.Context(), 0) {
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	})
	for _, c := range []struct {
		name    string
		journal audit.Journal
		only    []audit.Check
		dir     bool
	}{
		{"log, journal in memory", nil, []audit.Check{audit.Log}, false},
		{"log", w.Journal, []audit.Check{audit.Log}, false},
		{"log with the notary's directory", w.Journal, []audit.Check{audit.Log}, true},
		{"whole", w.Journal, nil, true},
	} {
		b.Run(c.name, func(b *testing.B) {
			o := w.options()
			o.Only, o.Journal = c.only, c.journal
			if c.journal == nil {
				o.Journal = memory(w.everything())
			}
			if !c.dir {
				o.Notary.Dir = ""
			}
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			peak := uint64(0)
			o.Progress = func(audit.Progress) {
				runtime.ReadMemStats(&after)
				peak = max(peak, after.HeapInuse)
			}
			rate(b, func() {
				s, err := audit.Verify(b.Context(), o, func(f audit.Finding) {
					if f.Severity == audit.Failure {
						b.Errorf("%+v", f)
					}
				})
				if err != nil || s.Events != count {
					b.Fatal(s, err)
				}
			})
			b.ReportMetric(float64(peak)/(1<<20), "heap-MB")
		})
	}
}

// processorTime is what this process has used of all processors.
func processorTime(t testing.TB) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// work lets a village cadre visit people, many times each; the visits of a file are appended in few appends.
func (w *world) work(files, each int) {
	w.t.Helper()
	f := &forger{world: w}
	cadre := f.actor(w.Officers[record.VillageCadre])
	rules, err := w.Exec.Rules(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	for i := range files {
		who, id := w.openCase(1001 + 2*i)
		w.Clock.Advance(time.Second)
		stream := record.StreamOf("drugs", id)
		var batch []journal.Proposed
		for n := range each {
			at := w.Clock.Now().UTC().Truncate(time.Millisecond).Add(time.Duration(n) * time.Millisecond)
			command := uuid.New()
			data := met
			data.Note = "在家，精神状态良好，第 " + strconv.Itoa(n) + " 次走访"
			p, err := w.Exec.Codec.Seal(w.t.Context(), record.Event{ID: uuid.New(), Stream: stream, Type: "casework.visit_recorded", Data: data, Meta: record.Meta{
				Form: 1, Actor: cadre.Officer, Post: cadre.Post, Role: cadre.Role, Unit: cadre.Unit, Person: who, Case: id, OccurredAt: at, RecordedAt: at,
				Basis: "D-09; D-10; D-11", Command: command, Request: make([]byte, 12), Correlation: command, Causation: command, Policy: rules.Version}})
			if err != nil {
				w.t.Fatal(err)
			}
			batch = append(batch, p)
		}
		if _, err := w.Journal.Append(w.t.Context(), stream, journal.Any, batch...); err != nil {
			w.t.Fatal(err)
		}
		w.Clock.Advance(time.Second)
	}
}
