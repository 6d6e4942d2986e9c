package reports_test

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"yidang/projections/analytics/analyticstest"
	"yidang/projections/follow"
	"yidang/projections/reports"
)

// BenchmarkReports times each report over YIDANG_BENCH_FACTS events (1,000,000), made in ClickHouse itself, at the newest
// position. The baseline is one plain count by officer over the same table, without a position, in the same run.
func BenchmarkReports(b *testing.B) {
	facts := 1_000_000
	if v := os.Getenv("YIDANG_BENCH_FACTS"); v != "" {
		facts, _ = strconv.Atoi(v)
	}
	w := analyticstest.New(b)
	s := w.Store(b)
	must(b, w.Fill(b.Context(), 10, 2, "x"))
	must(b, w.Load(b.Context(), s, 100))
	run := func(sql string) {
		rows, err := s.Query(b.Context(), sql, nil)
		must(b, err)
		for rows.Next() {
		}
		must(b, rows.Err())
		must(b, rows.Close())
	}
	for from := 1000; from < facts+1000; from += 100_000 { // in parts, as the loader makes them
		n := min(100_000, facts+1000-from)
		run(fmt.Sprintf(makeFacts, from, n))
		run(fmt.Sprintf(makeDuties, from, n))
	}
	run(makeRevisions)
	must(b, s.Apply(b.Context(), follow.Batch{UpTo: uint64(facts + 1000)}))

	baseline := median(func() { run("SELECT actor, count() FROM yidang_facts GROUP BY actor") })
	for _, r := range reports.All {
		b.Run(r.Name, func(b *testing.B) {
			rows := 0
			for b.Loop() {
				d := median(func() {
					answer, err := reports.Run(b.Context(), s, r.Name, everything(r), 0)
					must(b, err)
					rows = len(answer.Rows)
				})
				b.ReportMetric(float64(d.Microseconds())/1000, "p50-ms")
				b.ReportMetric(float64(d)/float64(baseline), "×baseline")
				b.ReportMetric(float64(rows), "rows")
			}
		})
	}
}

// everything asks for the whole time, so that no row is left out.
func everything(r reports.Report) map[string]string {
	given := map[string]string{}
	for _, p := range r.Parameters {
		switch p.Name {
		case "from":
			given["from"] = "2000-01-01"
		case "to", "on", "date":
			given[p.Name] = "2040-01-01"
		}
	}
	return given
}

// Twenty thousand cases in thirty villages, two hundred officers, three years; 55 % visits, 20 % tests, 5 % tier decisions,
// 2 % openings, 1 % moves, some late; one note in ten is one of fifty phrases; a void for each two thousand events; one duty begun and one done for every other event:
// three lines in the ledger, the last two of them, which the end of the duty makes, at the same position.
const (
	makeFacts = `INSERT INTO yidang_facts SELECT
	number AS position, position AS known, false, reinterpretAsUUID(toUInt128(cityHash64(number, 1))), 'drugs',
	multiIf(p < 2, 'drugs.opened', p < 7, 'drugs.tier_changed', p < 8, 'casework.village_changed', p < 28, 'drugs.urine_test_recorded', p < 29, 'drugs.urine_test_retested', 'casework.visit_recorded'),
	false, toDateTime64('2023-01-01 00:00:00', 3, 'UTC') + intDiv(number * 94, 1) AS occurred, toDate32(occurred),
	occurred + lag, toDate32(occurred + lag), if(h %% 10 = 0, 400000, h %% 3600)::Int64 AS lag,
	if(h %% 10 = 0, ['no-network', 'paper-first', 'officer-absent', 'received-late', 'import'][1 + h %% 5], ''),
	reinterpretAsUUID(toUInt128(1 + h %% 200)), 'community-police', toUUIDOrZero(''), who, who,
	true, reinterpretAsUUID(toUInt128(1 + c %% 30)), ['strict', 'priority', 'general'][1 + h %% 3], ['', 'strict', 'priority', 'general'][1 + h %% 4],
	reinterpretAsUUID(toUInt128(1 + c %% 200)), p < 2, p < 2 OR p = 7, p < 7, p < 2,
	reinterpretAsUUID(toUInt128(if(p = 28, intDiv(number, 100) * 100, number))), ['scheduled', 'unscheduled', 'immediate'][1 + h %% 3], 'on-site',
	['negative', 'negative', 'negative', 'positive'][1 + h %% 4], '', '', 0, toUUIDOrZero(''),
	if(p < 29, 0, text), if(p < 29, 0, cityHash64(text, if(h %% 3 = 0, h, 1))), if(p < 29, 0, cityHash64(text, if(h %% 5 = 0, h, 2))),
	if(p < 29, 0, cityHash64(text, if(h %% 7 = 0, h, 3))), if(p < 29, 0, cityHash64(text, 4)), if(p < 29, 0, [8, 16, 16, 32][1 + h %% 4])
	FROM (SELECT if(intDiv(h, 100) %% 10 = 0, cityHash64(intDiv(h, 1000) %% 50), h) AS text, number, cityHash64(number) AS h, h %% 100 AS p, cityHash64(number, 7) %% 20000 AS c, reinterpretAsUUID(toUInt128(cityHash64(c))) AS who FROM numbers(%d, %d))`
	makeDuties = `INSERT INTO yidang_duties SELECT
	number, seq, if(seq = 1, -1, 1), who, who, reinterpretAsUUID(toUInt128(cityHash64(intDiv(number, 2)))), 'drugs', 'visit', '',
	reinterpretAsUUID(toUInt128(1 + h %% 200)), reinterpretAsUUID(toUInt128(1 + h %% 200 %% 30)), 'strict', began, began + 4, began + 7,
	if(seq < 2, 'open', 'done'), if(seq < 2, toDate32('1970-01-01'), began + 5 + h %% 4), seq = 2 AND h %% 4 < 3, '2026.1'
	FROM (SELECT number, cityHash64(intDiv(number, 2)) AS h, reinterpretAsUUID(toUInt128(h %% 20000)) AS who, toDate32('2023-01-01') + intDiv(intDiv(number, 2), 500) AS began FROM numbers(%d, %d))
	ARRAY JOIN if(number %% 2 = 0, [0], [1, 2]) AS seq`
	makeRevisions = `INSERT INTO yidang_revisions SELECT * REPLACE (position + 100 AS known, position % 4000 = 0 AS gone) FROM yidang_facts WHERE position % 2000 = 0`
)

func median(f func()) time.Duration {
	var all []time.Duration
	for range 11 {
		start := time.Now()
		f()
		all = append(all, time.Since(start))
	}
	slices.Sort(all)
	return all[len(all)/2]
}
