package views

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"yidang/domain/casework"
	"yidang/domain/journal"
	"yidang/domain/person"
	"yidang/domain/programs/drugs"
	"yidang/domain/record"
	"yidang/projections/follow"
)

// The benchmarks build a journal once and keep it in YIDANG_BENCH_DIR when that is set. Sizes: YIDANG_BENCH_PEOPLE,
// YIDANG_BENCH_CASES, YIDANG_BENCH_EVENTS.
func size(name string, small int) int {
	if n, err := strconv.Atoi(os.Getenv("YIDANG_BENCH_" + name)); err == nil {
		return n
	}
	return small
}

var (
	family = []rune("王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘于蒋蔡余杜叶程苏魏吕丁任沈姚卢姜崔钟谭陆汪范金石廖贾夏韦付方白邹孟熊秦邱江尹薛闫段雷侯龙史陶黎贺顾毛郝龚邵万钱严覃武戴莫孔向汤单查仇解")
	given  = []rune("伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英华玉兰红建国文辉力健世广志义兴良海山仁波宁贵福生龙元全国胜学祥才发武新利清飞彬富顺信子杰涛昌成康星光天达安岩中茂进林有坚和彪博诚先敬震振壮会思群豪心邦承乐绍功松善厚庆磊民友裕河哲江超浩亮政谦亨奇固之轮翰朗伯宏言若鸣朋斌梁栋维启克伦翔旭鹏泽晨辰士以建家致树炎德行时泰盛雄琛钧冠策腾楠榕风航弘")
)

func benchName(i int) string {
	n := string(family[i%len(family)]) + string(given[i/7%len(given)])
	if i%4 != 0 {
		n += string(given[i/3%len(given)])
	}
	return n
}

// benchWorld is a world with people, cases and events; opened again from its directory when it was made before.
func benchWorld(b testing.TB, people, cases, events int) *world {
	dir := os.Getenv("YIDANG_BENCH_DIR")
	if dir == "" {
		dir = b.TempDir()
	}
	dir = filepath.Join(dir, fmt.Sprintf("seed-%d-%d-%d", people, cases, events))
	_, err := os.Stat(filepath.Join(dir, "whole"))
	if os.IsNotExist(err) {
		if err := os.RemoveAll(dir); err != nil {
			b.Fatal(err)
		}
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		b.Fatal(err)
	}
	w := openWorld(b, dir, 30, 150)
	if err != nil {
		w.fill(people, cases, events)
		if err := os.WriteFile(filepath.Join(dir, "whole"), nil, 0o600); err != nil {
			b.Fatal(err)
		}
	}
	return w
}

func benchID(kind string, i int) uuid.UUID {
	return uuid.NewSHA1(uuid.NameSpaceOID, fmt.Appendf(nil, "%s %d", kind, i))
}

func (w *world) fill(people, cases, events int) {
	var mu sync.Mutex
	parallel := func(n int, do func(i int)) {
		var wg sync.WaitGroup
		for g := range 16 {
			wg.Go(func() {
				for i := g; i < n; i += 16 {
					do(i)
				}
			})
		}
		wg.Wait()
	}
	put := func(stream string, of uuid.UUID, data ...any) {
		mu.Lock()
		var made []record.Event
		for i, d := range data {
			e := w.event(stream, d)
			e.Revision, e.Meta.Person = e.Revision+uint64(i), of
			made = append(made, e)
		}
		mu.Unlock()
		w.writeParallel(&mu, stream, made)
	}
	parallel(people, func(i int) {
		id := benchID("person", i)
		put(person.Stream(id), id, person.Registered{
			Name: benchName(i), Sex: 1 + i%2, Village: w.villages[i%len(w.villages)], Phone: fmt.Sprintf("120%08d", i*7919%100_000_000),
			Birth: time.Date(1950+i%55, time.Month(1+i%12), 1+i%28, 0, 0, 0, 0, record.Zone), NoCardReason: "补办中",
		})
	})
	parallel(cases, func(i int) {
		of, officer := benchID("person", i%people), w.officers[i%len(w.officers)]
		put(record.StreamOf("drugs", benchID("case", i)), of,
			drugs.Opened{Person: of, Village: w.villages[i%people%len(w.villages)], Sex: 1 + i%2, Kind: drugs.Detox, TermMonths: 36,
				Order: drugs.Document{Number: "示公戒决字〔2026〕1号", Organ: "示范县公安局", Issued: "2026-01-03", Served: "2026-01-04"}},
			casework.ResponsibleAssigned{Responsibility: casework.Responsibility{Officer: officer, Role: record.VillageCadre, Lead: true, From: w.now}},
			drugs.ReportedIn{}, drugs.TierChanged{ID: benchID("tier", i), Tier: []drugs.Tier{drugs.Strict, drugs.Priority, drugs.General}[i%3]})
	})
	left := events - people - 4*cases
	for round := 0; left > 0 && cases > 0; round++ {
		w.now = w.now.AddDate(0, 0, 5)
		parallel(min(cases, left), func(i int) {
			of := benchID("person", i%people)
			var d any = casework.VisitRecorded{Outcome: casework.Met, Place: "家中", Note: "生活稳定，已找到零工，约定下周再谈。"}
			switch (round + i) % 5 {
			case 3:
				d = casework.ContactRecorded{Channel: "phone", Party: "person", Outcome: "reached"}
			case 4:
				d = casework.ServiceDelivered{Service: "heart-talk", Hours: 1}
			}
			put(record.StreamOf("drugs", benchID("case", i)), of, d)
		})
		left -= min(cases, left)
	}
}

// writeParallel is write for several goroutines; next is guarded by mu.
func (w *world) writeParallel(mu *sync.Mutex, stream string, events []record.Event) {
	var proposed []journal.Proposed
	for _, e := range events {
		p, err := w.codec.Seal(context.Background(), e)
		if err != nil {
			panic(err)
		}
		proposed = append(proposed, p)
	}
	if _, err := w.journal.Append(context.Background(), stream, expectedAt(events[0].Revision), proposed...); err != nil {
		panic(err)
	}
	mu.Lock()
	w.next[stream] = events[len(events)-1].Revision + 1
	mu.Unlock()
}

func expectedAt(revision uint64) journal.Expected {
	if revision == 0 {
		return journal.NoStream
	}
	return journal.Exactly(revision - 1)
}

// BenchmarkRebuild builds the views from the whole journal: read, unseal, fold, write encrypted.
func BenchmarkRebuild(b *testing.B) {
	people, cases, events := size("PEOPLE", 2000), size("CASES", 1000), size("EVENTS", 30_000)
	w := benchWorld(b, people, cases, events)
	for b.Loop() {
		v := w.views()
		began := time.Now()
		var peak uint64
		stop := make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(100 * time.Millisecond):
					peak = max(peak, resident())
				}
			}
		})
		err := v.Rebuild(context.Background(), RebuildOptions{Source: w.journal, Codec: w.codec, Progress: func(s follow.BackfillStatus) {
			if os.Getenv("YIDANG_BENCH_VERBOSE") != "" {
				fmt.Printf("%v: %+v, %d MB\n", time.Since(began).Round(time.Second), s, resident()>>20)
			}
		}})
		close(stop)
		wg.Wait()
		if err != nil {
			b.Fatal(err)
		}
		head, _, _ := w.journal.Head(context.Background())
		b.ReportMetric(float64(head)/time.Since(began).Seconds(), "events/s")
		b.ReportMetric(float64(peak)/(1<<20), "peakMB")
	}
}

// resident is the memory of the process in bytes.
func resident() uint64 {
	raw, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.Sys
	}
	var total, rss uint64
	fmt.Sscan(string(raw), &total, &rss)
	return rss * uint64(os.Getpagesize())
}

// BenchmarkLive applies visits to built views as they come, each in another case than the one before.
func BenchmarkLive(b *testing.B) {
	people, cases, events := size("PEOPLE", 2000), size("CASES", 1000), size("EVENTS", 10_000)
	w := benchWorld(b, people, cases, events)
	v := w.views()
	if err := v.Rebuild(context.Background(), RebuildOptions{Source: w.journal, Codec: w.codec}); err != nil {
		b.Fatal(err)
	}
	revisions := map[string]uint64{}
	for i := range cases {
		stream := record.StreamOf("drugs", benchID("case", i))
		last, _, err := w.journal.Last(context.Background(), stream)
		if err != nil {
			b.Fatal(err)
		}
		revisions[stream] = last.Revision
	}
	position, err := v.Position(context.Background())
	if err != nil {
		b.Fatal(err)
	}
	rules, err := w.codec.Policy.Version(context.Background(), "2026.1")
	if err != nil {
		b.Fatal(err)
	}
	n := 0
	for _, size := range []int{1, 10, 50} { // alone; under load, see follow's pace
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			began := n
			for b.Loop() {
				var batch follow.Batch
				for range size {
					stream := record.StreamOf("drugs", benchID("case", n*7919%cases))
					n++
					position++
					revisions[stream]++
					e := w.event(stream, casework.VisitRecorded{Outcome: casework.Met})
					e.Revision, e.Position, e.Rules = revisions[stream], position, rules
					e.Meta.OccurredAt = w.now.Add(time.Duration(n) * time.Second)
					batch.Events = append(batch.Events, e)
				}
				batch.UpTo, batch.CaughtUp = position, true
				if err := v.Apply(context.Background(), batch); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(n-began), "µs/event")
			memory(b)
		})
	}
}

// memory reports what is live and what the process holds.
func memory(b *testing.B) {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	b.ReportMetric(float64(m.HeapAlloc)/(1<<20), "heapMB")
	b.ReportMetric(float64(resident())/(1<<20), "residentMB")
}
