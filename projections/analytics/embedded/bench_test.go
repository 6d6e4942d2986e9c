package embedded

import (
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/google/uuid"
)

const factRows = 1_000_000

// facts fills a table of nine columns such as the loader's, in batches of 100,000, and returns the time it took.
func facts(b *testing.B, c driver.Conn) time.Duration {
	b.Helper()
	execute(b, c, "DROP TABLE IF EXISTS facts SYNC")
	execute(b, c, `CREATE TABLE facts (
		position UInt64, kind LowCardinality(String), person UUID, village LowCardinality(String), officer LowCardinality(String),
		occurred DateTime64(3, 'UTC'), recorded DateTime64(3, 'UTC'), day Date, n Int64
	) ENGINE = ReplacingMergeTree ORDER BY position`)
	kinds := []string{"drugs.urine_test_recorded", "casework.visit_recorded", "drugs.tier_changed", "casework.contact_recorded"}
	villages, officers, people := make([]string, 40), make([]string, 200), make([]uuid.UUID, 5000)
	for _, names := range [][]string{villages, officers} {
		for i := range names {
			names[i] = uuid.NewString()
		}
	}
	for i := range people {
		people[i] = uuid.New()
	}
	began := time.Now()
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for from := 0; from < factRows; from += 100_000 {
		batch, err := c.PrepareBatch(b.Context(), "INSERT INTO facts")
		if err != nil {
			b.Fatal(err)
		}
		for i := from; i < from+100_000; i++ {
			t := at.Add(time.Duration(i) * 20 * time.Second)
			err := batch.Append(uint64(i), kinds[i%4], people[i*7919%5000], villages[i%40], officers[i%200], t, t.Add(time.Hour), t, int64(i))
			if err != nil {
				b.Fatal(err)
			}
		}
		if err := batch.Send(); err != nil {
			b.Fatal(err)
		}
	}
	return time.Since(began)
}

func BenchmarkInsert(b *testing.B) {
	c := open(b, start(b, b.TempDir()))
	var took time.Duration
	n := 0
	for b.Loop() {
		took += facts(b, c)
		n++
	}
	b.ReportMetric(float64(n*factRows)/took.Seconds(), "rows/s")
}

func BenchmarkQuery(b *testing.B) {
	c := open(b, start(b, b.TempDir()))
	facts(b, c)
	for _, q := range []struct{ name, sql string }{
		{"Nothing", "SELECT 1::UInt64"},
		{"GroupBy", "SELECT village, officer, count(), uniqExact(person) FROM facts GROUP BY village, officer"},
		{"GroupByFinal", "SELECT village, kind, count() FROM facts FINAL GROUP BY village, kind"},
		{"Quantiles", "SELECT officer, quantiles(0.5, 0.9)(dateDiff('second', occurred, recorded)) FROM facts GROUP BY officer"},
	} {
		b.Run(q.name, func(b *testing.B) {
			for b.Loop() {
				rows, err := c.Query(b.Context(), q.sql)
				if err != nil {
					b.Fatal(err)
				}
				for rows.Next() {
				}
				if err := rows.Err(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
