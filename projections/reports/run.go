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

// Row holds a value for each column: string, int64 (Count, Duration), Ratio (Share) or []string (Events).
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
	used, err := r.resolve(parameters, pinned{ctx: ctx, db: db, position: position})
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
func (r *Report) resolve(given map[string]string, log pinned) (map[string]string, error) {
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if !slices.ContainsFunc(r.Parameters, func(p Parameter) bool { return p.Name == name }) {
			return nil, invalid(name, "this report has no such parameter", "本报表没有这个参数", "use: "+strings.Join(r.names(), ", "))
		}
	}
	used := map[string]string{}
	for _, p := range r.Parameters {
		v, err := p.value(given[p.Name], log)
		if err != nil {
			return nil, err
		}
		if used[p.Name] = v; p.Kind == Position {
			log.earlier, _ = strconv.ParseUint(v, 10, 64)
		}
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
func (p *Parameter) value(v string, log pinned) (string, error) {
	if v == "" && p.Required {
		return "", invalid(p.Name, "is required", "必填", "give it")
	}
	switch p.Kind {
	case Date:
		if v == "" {
			day, err := p.Default.day(log)
			return day.Format(record.Day), err
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
	case Number:
		if v == "" {
			return string(p.Default), nil
		}
		if n, err := strconv.Atoi(v); err != nil || strconv.Itoa(n) != v || n < p.Least || n > p.Most {
			return "", invalid(p.Name, "is not a number that can be used here", "不是可用的数值", fmt.Sprintf("give a whole number from %d to %d", p.Least, p.Most))
		}
	case Position:
		if v == "" {
			return p.Default.position(log)
		}
		if n, err := strconv.ParseUint(v, 10, 63); err != nil || strconv.FormatUint(n, 10) != v || n > log.position {
			return "", invalid(p.Name, "is not a position up to the report's own", "不是不晚于报表位置的日志位置", fmt.Sprintf("give a log position up to %d", log.position))
		}
	}
	return v, nil
}

// day is the date that is meant.
func (d Default) day(log pinned) (time.Time, error) {
	of := log.position
	if d == EarlierDay {
		of = log.earlier
	}
	t, err := log.day(of)
	switch d {
	case MonthStart:
		t = time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, t.Location())
	case YearStart:
		t = time.Date(t.Year(), 1, 1, 0, 0, 0, 0, t.Location())
	}
	return t, err
}

func (d Default) position(log pinned) (string, error) {
	day, err := d.day(log)
	if err != nil {
		return "", err
	}
	n, err := log.before(day)
	return strconv.FormatUint(n, 10), err
}

// pinned is the log up to the position of a report. The clock has no say in what is read from it: the same call must mean
// the same tomorrow.
type pinned struct {
	ctx      context.Context
	db       *analytics.Store
	position uint64
	earlier  uint64 // position of another parameter
}

// day is the day on which the newest event up to a position was recorded.
func (l pinned) day(position uint64) (day time.Time, err error) {
	day = time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC)
	err = l.one(&day, "SELECT recorded_day FROM yidang_facts WHERE position <= {position:UInt64} ORDER BY position DESC LIMIT 1", at(position))
	return day, err
}

// before is the newest position that was recorded before a day, 0 when there is none.
func (l pinned) before(day time.Time) (position uint64, err error) {
	parameters := at(l.position)
	parameters["day"] = day.Format(record.Day)
	err = l.one(&position, "SELECT max(position) FROM yidang_facts WHERE position <= {position:UInt64} AND recorded_day < {day:Date32}", parameters)
	return position, err
}

// one reads one value; it stays what it was when there is none.
func (l pinned) one(value any, sql string, parameters map[string]string) error {
	rows, err := l.db.Query(l.ctx, sql, parameters)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := rows.Scan(value); err != nil {
			return err
		}
	}
	return analytics.Unavailable(rows.Err())
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
		switch c.Type {
		case Month:
			return x.Format("2006-01"), nil
		case Moment:
			return x.In(record.Zone).Format(time.DateTime), nil
		}
		return x.Format(record.Day), nil
	case []uuid.UUID:
		ids := make([]string, len(x))
		for i, id := range x {
			ids[i] = id.String()
		}
		return ids, nil
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
