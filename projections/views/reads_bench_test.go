package views

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"yidang/domain/casework"
	"yidang/domain/record"
)

// callers runs do from 16 callers until the benchmark has had enough, and reports the percentiles of their times.
func callers(b *testing.B, do func(r *rand.Rand) error) {
	b.Helper()
	var mu sync.Mutex
	var times []time.Duration
	next := make(chan struct{}, 1)
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(1, uint64(i)))
			for range next {
				began := time.Now()
				if err := do(r); err != nil {
					b.Error(err)
				}
				took := time.Since(began)
				mu.Lock()
				times = append(times, took)
				mu.Unlock()
			}
		})
	}
	for b.Loop() {
		next <- struct{}{}
	}
	close(next)
	wg.Wait()
	slices.Sort(times)
	b.ReportMetric(float64(times[len(times)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(times[len(times)*99/100].Microseconds())/1000, "p99-ms")
}

// BenchmarkReads opens a file of 500 events as of a day, a page of a worklist and a search, each under 16 callers.
func BenchmarkReads(b *testing.B) {
	people, cases, events := size("PEOPLE", 2000), size("CASES", 1000), size("EVENTS", 10_000)
	w := benchWorld(b, people, cases, events)
	long := benchID("case", 0)
	stream := record.StreamOf("drugs", long)
	for e, err := range w.journal.Stream(context.Background(), stream, 0) {
		if err != nil {
			b.Fatal(err)
		}
		w.next[stream] = e.Revision + 1
	}
	for w.next[stream] < 500 {
		w.now = w.now.Add(time.Hour)
		w.inCase(long, benchID("person", 0), casework.VisitRecorded{Outcome: casework.Met, Note: "生活稳定，已找到零工，约定下周再谈。"})
	}
	v := w.views()
	if err := v.Rebuild(context.Background(), RebuildOptions{Source: w.journal, Codec: w.codec}); err != nil {
		b.Fatal(err)
	}
	today := w.now.AddDate(0, 0, 20)
	office := record.Reach{Villages: w.villages}
	b.Run("File", func(b *testing.B) {
		callers(b, func(*rand.Rand) error {
			f, err := v.File(context.Background(), benchID("person", 0), record.At{AsOf: EndOfDay(w.now)})
			if err == nil {
				var page []Line
				page, _, err = Lines(f.Timeline(nil), LineQuery{Limit: 50})
				for _, l := range page {
					l.Text()
				}
			}
			return err
		})
	})
	b.Run("WorklistOffice", func(b *testing.B) {
		callers(b, func(*rand.Rand) error {
			_, _, _, _, err := v.Worklist(context.Background(), WorklistQuery{Reach: office, Today: today})
			return err
		})
		_, _, counts, _, _ := v.Worklist(context.Background(), WorklistQuery{Reach: office, Today: today})
		b.ReportMetric(float64(counts["overdue"]+counts["due"]+counts["upcoming"]), "duties")
	})
	b.Run("WorklistOfficer", func(b *testing.B) {
		callers(b, func(r *rand.Rand) error {
			_, _, _, _, err := v.Worklist(context.Background(), WorklistQuery{Reach: office, Officer: w.officers[r.IntN(len(w.officers))], Today: today})
			return err
		})
	})
	b.Run("WorklistVillage", func(b *testing.B) {
		callers(b, func(r *rand.Rand) error {
			_, _, _, _, err := v.Worklist(context.Background(), WorklistQuery{Reach: record.Reach{Villages: []uuid.UUID{w.villages[r.IntN(len(w.villages))]}}, Standing: []string{"overdue"}, Today: today})
			return err
		})
	})
	for name, reach := range map[string]record.Reach{"SearchAll": everywhere, "SearchVillage": {Villages: w.villages[:1]}} {
		b.Run(name, func(b *testing.B) {
			texts := []string{"wang", "li", "w", "zhangw", "chenm", "wxm", "xiaoli", "liu", "ming", "zh", "yangjie", "guo", "x"}
			callers(b, func(r *rand.Rand) error {
				_, _, _, err := v.Search(context.Background(), SearchQuery{Text: texts[r.IntN(len(texts))], Reach: reach, Limit: 20})
				return err
			})
		})
	}
}
