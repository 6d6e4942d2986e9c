package analytics

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/google/uuid"
)

// derivation is raised when the same events give other rows: what is there is then dropped and loaded again.
const derivation = 3

// column is one column of a table: how it is declared and where its values come from.
type column[R any] struct {
	name, kind string
	fill       func(driver.BatchColumn, []R) error
}

func col[R, V any](name, kind string, get func(*R) V) column[R] {
	return column[R]{name: name, kind: kind, fill: func(c driver.BatchColumn, rows []R) error {
		values := make([]V, 0, min(len(rows), 1024)) // stays in the processor's cache
		for i := range rows {
			if values = append(values, get(&rows[i])); len(values) == cap(values) {
				if err := c.Append(values); err != nil {
					return err
				}
				values = values[:0]
			}
		}
		return c.Append(values)
	}}
}

// coded is a column of codes. Rows of one case come together, so the code of a row mostly is that of the row before.
func coded[R any](name string, get func(*R) string) column[R] {
	return column[R]{name: name, kind: "LowCardinality(String)", fill: func(c driver.BatchColumn, rows []R) error {
		last, value := "", any("")
		for i := range rows {
			if now := get(&rows[i]); now != last {
				last, value = now, now
			}
			if err := c.AppendRow(value); err != nil {
				return err
			}
		}
		return nil
	}}
}

// The kinds of column.
const (
	kindMoment = "DateTime64(3, 'UTC')"
	kindDay    = "Date32"
)

var factColumns = []column[Fact]{
	col("position", "UInt64", func(f *Fact) uint64 { return f.Position }),
	col("known", "UInt64", func(f *Fact) uint64 { return f.Known }),
	col("gone", "Bool", func(f *Fact) bool { return f.Gone }),
	col("event", "UUID", func(f *Fact) uuid.UUID { return f.Event }),
	coded("category", func(f *Fact) string { return f.Category }),
	coded("type", func(f *Fact) string { return f.Type }),
	col("erased", "Bool", func(f *Fact) bool { return f.Erased }),
	col("occurred", kindMoment, func(f *Fact) time.Time { return f.Occurred }),
	col("day", kindDay, func(f *Fact) time.Time { return f.Day.date() }),
	col("recorded", kindMoment, func(f *Fact) time.Time { return f.Recorded }),
	col("recorded_day", kindDay, func(f *Fact) time.Time { return f.RecordedDay.date() }),
	col("lag", "Int64", func(f *Fact) int64 { return f.Lag }),
	coded("late", func(f *Fact) string { return f.Late }),
	col("actor", "UUID", func(f *Fact) uuid.UUID { return f.Actor }),
	coded("role", func(f *Fact) string { return f.Role }),
	col("unit", "UUID", func(f *Fact) uuid.UUID { return f.Unit }),
	col("person", "UUID", func(f *Fact) uuid.UUID { return f.Person }),
	col("case", "UUID", func(f *Fact) uuid.UUID { return f.Case }),
	col("open", "Bool", func(f *Fact) bool { return f.Open }),
	col("village", "UUID", func(f *Fact) uuid.UUID { return f.Village }),
	coded("tier", func(f *Fact) string { return f.Tier }),
	coded("prev_tier", func(f *Fact) string { return f.PrevTier }),
	col("lead", "UUID", func(f *Fact) uuid.UUID { return f.Lead }),
	col("sets_open", "Bool", func(f *Fact) bool { return f.SetsOpen }),
	col("sets_village", "Bool", func(f *Fact) bool { return f.SetsVillage }),
	col("sets_tier", "Bool", func(f *Fact) bool { return f.SetsTier }),
	col("sets_lead", "Bool", func(f *Fact) bool { return f.SetsLead }),
	col("ref", "UUID", func(f *Fact) uuid.UUID { return f.Ref }),
	coded("kind", func(f *Fact) string { return f.Kind }),
	coded("stage", func(f *Fact) string { return f.Stage }),
	coded("result", func(f *Fact) string { return f.Result }),
	coded("outcome", func(f *Fact) string { return f.Outcome }),
	coded("code", func(f *Fact) string { return f.Code }),
	col("quantity", "Float64", func(f *Fact) float64 { return f.Quantity }),
	col("officer", "UUID", func(f *Fact) uuid.UUID { return f.Officer }),
	col("note", "UInt64", func(f *Fact) uint64 { return f.Note.Hash }),
	col("note_near1", "UInt64", func(f *Fact) uint64 { return f.Note.Near[0] }),
	col("note_near2", "UInt64", func(f *Fact) uint64 { return f.Note.Near[1] }),
	col("note_near3", "UInt64", func(f *Fact) uint64 { return f.Note.Near[2] }),
	col("note_near4", "UInt64", func(f *Fact) uint64 { return f.Note.Near[3] }),
	col("note_length", "UInt16", func(f *Fact) uint16 { return f.Note.Length }),
}

var dutyColumns = []column[Duty]{
	col("position", "UInt64", func(d *Duty) uint64 { return d.Position }),
	col("seq", "UInt32", func(d *Duty) uint32 { return d.Seq }),
	col("sign", "Int8", func(d *Duty) int8 { return d.Sign }),
	col("case", "UUID", func(d *Duty) uuid.UUID { return d.Case }),
	col("person", "UUID", func(d *Duty) uuid.UUID { return d.Person }),
	col("duty", "UUID", func(d *Duty) uuid.UUID { return d.Duty }),
	coded("program", func(d *Duty) string { return d.Program }),
	coded("code", func(d *Duty) string { return d.Code }),
	coded("owner", func(d *Duty) string { return d.Owner }),
	col("officer", "UUID", func(d *Duty) uuid.UUID { return d.Officer }),
	col("village", "UUID", func(d *Duty) uuid.UUID { return d.Village }),
	coded("tier", func(d *Duty) string { return d.Tier }),
	col("began", kindDay, func(d *Duty) time.Time { return d.Began.date() }),
	col("opens", kindDay, func(d *Duty) time.Time { return d.Opens.date() }),
	col("due", kindDay, func(d *Duty) time.Time { return d.Due.date() }),
	coded("status", func(d *Duty) string { return d.Status }),
	col("ended", kindDay, func(d *Duty) time.Time { return d.Ended.date() }),
	col("on_time", "Bool", func(d *Duty) bool { return d.OnTime }),
	coded("policy", func(d *Duty) string { return d.Policy }),
}

// The tables. Rows that are inserted a second time, after a crash, have the same key and the same content, and FINAL counts
// them once. Keys grow with the log, so parts hardly overlap, and FINAL costs next to nothing.
//
// Reports read the three views and nothing else. A view says what was known at a position, so a report over it gives the same
// figures for ever, whatever is loaded, amended or merged later. Only an erasure takes from them, at every position; see
// forget.go.
const (
	factsTable     = "yidang_facts"
	revisionsTable = "yidang_revisions" // later words on events, through amendments
	dutiesTable    = "yidang_duties"
	loaderTable    = "yidang_loader" // what loaded the tables, in which schema
)

func statements() []string {
	facts, duties := names(factColumns), names(dutyColumns)
	return []string{
		table(factsTable, factColumns, "ORDER BY position"),
		table(revisionsTable, factColumns, "ORDER BY (known, position)"),
		// A filter runs before FINAL only on columns of the key. Copies of a row are equal in all columns, so those that
		// reports of duties filter by may follow those that make it unique. Lines are short: merging them column by column,
		// which spares memory, takes a third longer.
		table(dutiesTable, dutyColumns, "PRIMARY KEY (position, seq) ORDER BY (position, seq, due, code, began) SETTINGS enable_vertical_merge_algorithm = 0"),
		`CREATE VIEW yidang_facts_at AS
SELECT ` + facts + ` FROM yidang_facts FINAL
WHERE position <= {at:UInt64} AND position NOT IN (SELECT position FROM yidang_revisions WHERE known <= {at:UInt64})
UNION ALL
SELECT ` + facts + ` FROM (SELECT ` + facts + ` FROM yidang_revisions WHERE known <= {at:UInt64} ORDER BY known DESC LIMIT 1 BY position) WHERE NOT gone`,
		// Which events were amended, and by the newest word from which position; of the word itself the view of facts tells.
		`CREATE VIEW yidang_amended_at AS
SELECT position, known FROM yidang_revisions WHERE known <= {at:UInt64} ORDER BY known DESC LIMIT 1 BY position`,
		`CREATE VIEW yidang_duties_at AS
SELECT ` + duties + ` FROM yidang_duties FINAL WHERE position <= {at:UInt64}`,
	}
}

func table[R any](name string, columns []column[R], key string) string {
	lines := make([]string, len(columns))
	for i, c := range columns {
		lines[i] = "`" + c.name + "` " + c.kind
	}
	return "CREATE TABLE " + name + " (" + strings.Join(lines, ", ") + ") ENGINE = ReplacingMergeTree " + key
}

func names[R any](columns []column[R]) string {
	list := make([]string, len(columns))
	for i, c := range columns {
		list[i] = "`" + c.name + "`"
	}
	return strings.Join(list, ", ")
}

// schema identifies the tables and how rows are derived.
func schema() string {
	h := sha256.Sum256(fmt.Appendf(nil, "%d\n%s", derivation, strings.Join(statements(), "\n")))
	return hex.EncodeToString(h[:8])
}

// insert sends rows as one block: it is there whole or not at all.
func insert[R any](ctx context.Context, conn driver.Conn, table string, columns []column[R], rows []R) error {
	if len(rows) == 0 {
		return nil
	}
	// The driver need not ask what the columns are.
	described := make([]clickhouse.ColumnNameAndType, len(columns))
	for i, c := range columns {
		described[i] = clickhouse.ColumnNameAndType{Name: c.name, Type: c.kind}
	}
	batch, err := conn.PrepareBatch(clickhouse.Context(ctx, clickhouse.WithColumnNamesAndTypes(described)), "INSERT INTO "+table+" ("+names(columns)+")")
	if err != nil {
		return unavailable(fmt.Errorf("insert into %s: %w", table, err))
	}
	for i, c := range columns {
		if err := c.fill(batch.Column(i), rows); err != nil {
			_ = batch.Abort()
			return fmt.Errorf("column %s of %s: %w", c.name, table, err)
		}
	}
	if err := batch.Send(); err != nil {
		return unavailable(fmt.Errorf("insert into %s: %w", table, err))
	}
	return nil
}

// rebuild drops what is there and makes empty tables. Until the loader's own row is in, the last step, nothing in them
// counts: a crash before that begins again.
func rebuild(ctx context.Context, conn driver.Conn, epoch uuid.UUID) error {
	run := []string{"DROP TABLE IF EXISTS " + loaderTable + " SYNC"}
	for _, view := range []string{"yidang_facts_at", "yidang_amended_at", "yidang_duties_at"} {
		run = append(run, "DROP VIEW IF EXISTS "+view+" SYNC")
	}
	for _, t := range []string{factsTable, revisionsTable, dutiesTable} {
		run = append(run, "DROP TABLE IF EXISTS "+t+" SYNC")
	}
	run = append(run, statements()...)
	run = append(run,
		"CREATE TABLE "+loaderTable+" (epoch UUID, schema String) ENGINE = ReplacingMergeTree ORDER BY epoch",
		"INSERT INTO "+loaderTable+" VALUES ('"+epoch.String()+"', '"+schema()+"')")
	for _, sql := range run {
		if err := conn.Exec(ctx, sql); err != nil {
			return unavailable(fmt.Errorf("make the tables: %w", err))
		}
	}
	return nil
}

// loadedBy says whether the tables are there, as this epoch and schema left them.
func loadedBy(ctx context.Context, conn driver.Conn, epoch uuid.UUID) (bool, error) {
	var there uint64
	if err := conn.QueryRow(ctx, "SELECT count() FROM system.tables WHERE database = currentDatabase() AND name = '"+loaderTable+"'").Scan(&there); err != nil {
		return false, unavailable(fmt.Errorf("look for the tables: %w", err))
	}
	if there == 0 {
		return false, nil
	}
	var n uint64
	err := conn.QueryRow(ctx, "SELECT count() FROM "+loaderTable+" WHERE epoch = '"+epoch.String()+"' AND schema = '"+schema()+"'").Scan(&n)
	if err != nil {
		return false, unavailable(fmt.Errorf("look for the tables: %w", err))
	}
	return n > 0, nil
}
