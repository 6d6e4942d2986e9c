package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/google/uuid"

	"yidang/domain/record"
)

// printing is how rows are printed. Columns in Chinese come last: a terminal draws them wider than they count.
type printing struct {
	Format string `help:"How to print: table, or json with one object a line." enum:"table,json" default:"table"`
}

// table prints rows; nothing is held but the rows since the last flush.
type table struct {
	json *json.Encoder
	text *tabwriter.Writer
	rows int
	err  error // the first one
	note func(rows int)
}

func (how printing) table(p *program, columns ...string) *table {
	t := &table{note: func(rows int) { fmt.Fprintf(p.err, "%d rows\n", rows) }}
	if how.Format == "json" {
		t.json = json.NewEncoder(p.out)
		return t
	}
	t.text = tabwriter.NewWriter(p.out, 2, 8, 2, ' ', 0)
	t.cells(columns)
	return t
}

// row prints a row: item as JSON, or its cells.
func (t *table) row(item any, cells ...string) {
	t.rows++
	if t.json == nil {
		t.cells(cells)
	} else if err := t.json.Encode(item); t.err == nil {
		t.err = err
	}
}

func (t *table) cells(cells []string) {
	clean := strings.NewReplacer("\t", " ", "\n", " ", "\r", " ", "\v", " ", "\f", " ")
	for i := range cells {
		cells[i] = clean.Replace(cells[i])
	}
	if _, err := fmt.Fprintln(t.text, strings.Join(cells, "\t")); t.err == nil {
		t.err = err
	}
}

func (t *table) flush() error {
	if t.text != nil {
		if err := t.text.Flush(); t.err == nil {
			t.err = err
		}
	}
	return t.err
}

// end flushes and says how many rows there were, unless something failed.
func (t *table) end(err error) error {
	if e := t.flush(); err == nil {
		err = e
	}
	if err == nil {
		t.note(t.rows)
	}
	return err
}

func timeText(t time.Time) string { return t.In(record.Zone).Format("2006-01-02 15:04:05") }

func dayText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.In(record.Zone).Format(record.Day)
}

// lagText is a duration as people say it.
func lagText(d time.Duration) string {
	switch {
	case d < time.Hour:
		return fmt.Sprintf("%dm", d/time.Minute)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%02dm", d/time.Hour, d%time.Hour/time.Minute)
	}
	return fmt.Sprintf("%dd%02dh", d/(24*time.Hour), d%(24*time.Hour)/time.Hour)
}

func idText(id uuid.UUID) string {
	if id == uuid.Nil {
		return "-"
	}
	return id.String()
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// holder names who owes a duty; nobody may.
func (d *directory) holder(id uuid.UUID) string {
	if id == uuid.Nil {
		return "-"
	}
	return d.login(id)
}
