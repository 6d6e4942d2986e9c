package reports

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/google/uuid"

	"yidang/domain/record"
	"yidang/projections/analytics"
)

// Result is an answer. It marshals to JSON as it is; CSV writes it as a table.
type Result struct {
	Name       string            `json:"name"`
	Title      record.Text       `json:"title"`
	Columns    []Column          `json:"columns"`
	Rows       []Row             `json:"rows"`
	Position   uint64            `json:"position" doc:"of the log; the same call with it gives the same figures"`
	Parameters map[string]string `json:"parameters" doc:"as used, those left out included"`
}

// Row holds a value for each column: string, int64 (Count, Duration) or Ratio (Share).
type Row map[string]any

// Ratio is n of N.
type Ratio struct {
	N       int64  `json:"n"`
	Of      int64  `json:"of"`
	Percent string `json:"percent,omitempty"` // one decimal, half up; empty when Of is 0
}

// Run runs a report at a position; 0 is the newest that can be answered for. db may be nil: there is no engine then.
// Errors: NotFound for an unknown report, Invalid for a parameter (named, with what would be right), Unavailable when the
// engine is away or has not loaded the position yet.
func Run(ctx context.Context, db *analytics.Store, name string, parameters map[string]string, position uint64) (*Result, error) {
	r, ok := Find(name)
	if !ok {
		return nil, &record.Problem{Kind: record.NotFound, Message: "there is no such report", Zh: "没有这个报表", Remedy: "GET /v1/reports lists them"}
	}
	loaded, err := db.Position()
	if err != nil {
		return nil, err
	}
	switch {
	case position == 0:
		position = loaded
	case position > loaded:
		p := record.Errorf(record.Unavailable, "reports have not loaded position %d yet, only %d", position, loaded)
		p.Field, p.Zh, p.Remedy = "position", "统计数据尚未装载到该位置", "try again in a moment, or ask for an earlier position"
		return nil, p
	}
	used, err := r.resolve(parameters, func() (time.Time, error) { return dayOf(ctx, db, position) })
	if err != nil {
		return nil, err
	}
	result := &Result{Name: r.Name, Title: r.Title, Columns: r.Columns, Rows: []Row{}, Position: position, Parameters: used}
	if result.Rows, err = r.rows(ctx, db, used, position); err != nil {
		return nil, fmt.Errorf("report %s: %w", r.Name, err)
	}
	return result, nil
}

// resolve checks what was given and fills in what was not.
func (r *Report) resolve(given map[string]string, day func() (time.Time, error)) (map[string]string, error) {
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if !slices.ContainsFunc(r.Parameters, func(p Parameter) bool { return p.Name == name }) {
			return nil, invalid(name, "this report has no such parameter", "本报表没有这个参数", "use: "+strings.Join(r.names(), ", "))
		}
	}
	used := map[string]string{}
	for _, p := range r.Parameters {
		v, err := p.value(given[p.Name], day)
		if err != nil {
			return nil, err
		}
		used[p.Name] = v
	}
	for _, p := range r.Parameters {
		if p.NotAfter != "" && used[p.Name] > used[p.NotAfter] { // days of four-digit years sort as text
			return nil, invalid(p.Name, "is after "+p.NotAfter, "晚于截止日期", "give a day that is not after "+used[p.NotAfter])
		}
	}
	return used, nil
}

func (r *Report) names() []string {
	names := make([]string, len(r.Parameters))
	for i, p := range r.Parameters {
		names[i] = p.Name
	}
	return names
}

// The days the engine knows.
const firstDay, lastDay = "1901-01-01", "2298-12-31"

// value checks one value, or finds the default.
func (p *Parameter) value(v string, day func() (time.Time, error)) (string, error) {
	if v == "" && p.Required {
		return "", invalid(p.Name, "is required", "必填", "give it")
	}
	switch p.Kind {
	case Date:
		if v == "" {
			return p.Default.from(day)
		}
		if t, err := time.Parse(record.Day, v); err != nil || t.Format(record.Day) != v || v < firstDay || v > lastDay {
			return "", invalid(p.Name, "is not a day", "不是有效日期", "write it as 2006-01-02")
		}
	case UUID:
		if v == "" {
			return "", nil
		}
		id, err := uuid.Parse(v)
		if err != nil || len(v) != 36 {
			return "", invalid(p.Name, "is not a uuid", "不是有效的 UUID", "give a uuid, or leave it out for all")
		}
		return id.String(), nil
	case Enum:
		if v == "" {
			return p.Values[0], nil
		}
		if !slices.Contains(p.Values, v) {
			return "", invalid(p.Name, "is not one of the accepted values", "不是可用的取值", "use one of: "+strings.Join(p.Values, ", "))
		}
	}
	return v, nil
}

func (d Default) from(day func() (time.Time, error)) (string, error) {
	t, err := day()
	if err != nil {
		return "", err
	}
	switch d {
	case MonthStart:
		t = time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, t.Location())
	case YearStart:
		t = time.Date(t.Year(), 1, 1, 0, 0, 0, 0, t.Location())
	}
	return t.Format(record.Day), nil
}

// dayOf is the day on which the newest event up to the position was recorded. The clock has no say in it: the same call
// must mean the same tomorrow.
func dayOf(ctx context.Context, db *analytics.Store, position uint64) (day time.Time, err error) {
	day = time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC)
	rows, err := db.Query(ctx, "SELECT recorded_day FROM yidang_facts WHERE position <= {position:UInt64} ORDER BY position DESC LIMIT 1", at(position))
	if err != nil {
		return day, err
	}
	defer rows.Close()
	for rows.Next() {
		if err := rows.Scan(&day); err != nil {
			return day, err
		}
	}
	return day, analytics.Unavailable(rows.Err())
}

func at(position uint64) map[string]string {
	return map[string]string{"position": strconv.FormatUint(position, 10)}
}

// rows asks the engine.
func (r *Report) rows(ctx context.Context, db *analytics.Store, used map[string]string, position uint64) ([]Row, error) {
	sql, err := r.query()
	if err != nil {
		return nil, err
	}
	parameters := at(position)
	for _, p := range r.Parameters {
		parameters[p.Name] = used[p.Name]
		if p.Kind == UUID && used[p.Name] == "" {
			parameters[p.Name] = uuid.Nil.String()
		}
	}
	found, err := db.Query(ctx, sql, parameters)
	if err != nil {
		return nil, err
	}
	defer found.Close()
	values, scan := scanner(found)
	rows := []Row{}
	for found.Next() {
		if err := found.Scan(scan...); err != nil {
			return nil, err
		}
		row := Row{}
		for _, c := range r.Columns {
			if row[c.Name], err = c.cell(values); err != nil {
				return nil, fmt.Errorf("column %s: %w", c.Name, err)
			}
		}
		rows = append(rows, row)
	}
	return rows, analytics.Unavailable(found.Err())
}

// scanner makes places for the columns of a query, by name and in order.
func scanner(rows driver.Rows) (byName map[string]reflect.Value, inOrder []any) {
	byName = map[string]reflect.Value{}
	for _, t := range rows.ColumnTypes() {
		v := reflect.New(t.ScanType())
		byName[t.Name()] = v.Elem()
		inOrder = append(inOrder, v.Interface())
	}
	return byName, inOrder
}

// cell makes the value of a column from those of the query.
func (c *Column) cell(values map[string]reflect.Value) (any, error) {
	switch c.Type {
	case Count, Duration:
		return number(values[c.Name])
	case Share:
		n, err := number(values[c.Part])
		if err != nil {
			return nil, err
		}
		of, err := number(values[c.Whole])
		return ratio(n, of), err
	}
	v, ok := values[c.Name]
	if !ok {
		return nil, errNoColumn
	}
	switch x := v.Interface().(type) {
	case string:
		return x, nil
	case uuid.UUID:
		if x == uuid.Nil {
			return "", nil
		}
		return x.String(), nil
	case time.Time:
		if c.Type == Month {
			return x.Format("2006-01"), nil
		}
		return x.Format(record.Day), nil
	}
	return nil, fmt.Errorf("the query gives %s", v.Type())
}

var errNoColumn = fmt.Errorf("the query does not give it")

func number(v reflect.Value) (int64, error) {
	switch {
	case !v.IsValid():
		return 0, errNoColumn
	case v.CanInt():
		return v.Int(), nil
	case v.CanUint():
		return int64(v.Uint()), nil
	}
	return 0, fmt.Errorf("the query gives %s", v.Type())
}

// ratio computes the percentage in whole numbers, half up: it must be the same on every machine.
func ratio(n, of int64) Ratio {
	r := Ratio{N: n, Of: of}
	if of > 0 {
		tenths := (n*2000 + of) / (2 * of)
		r.Percent = fmt.Sprintf("%d.%d", tenths/10, tenths%10)
	}
	return r
}

func invalid(field, message, zh, remedy string) error {
	return &record.Problem{Kind: record.Invalid, Field: field, Message: message, Zh: zh, Remedy: remedy}
}
