// Package reports holds what analysts ask: one report is one .sql file and one row of All.
//
//   - A figure is pinned to a position of the log. The answer names it, and the same call at that position gives the same
//     figures for ever, whatever is recorded later. Parameters that are left out get values that follow from the position
//     alone, never from the clock, and the answer names them too. One thing takes from a figure that was given: an erasure
//     (PIPL 47). What rested on the content of the erased file is gone from every position at once; what rests on the
//     types, times and actors of its entries stays. A rebuild changes nothing: tables hold what a fresh load gives.
//   - A percentage never stands alone: it is a Share, with n and N. In a township one case is a large percentage (K-2).
//   - A report reads yidang_facts_at, yidang_duties_at and yidang_amended_at, which know of amendments and of what was
//     loaded twice, and nothing else. Duties are a ledger: they are counted with sum(sign). Parameters go to the engine as parameters; the
//     text of a query is never put together.
//   - What is counted is defined in the row's Description, with the clause that asks for it.
package reports

import (
	"embed"
	"slices"

	"yidang/domain/record"
)

//go:embed *.sql
var files embed.FS

// Report is one row of All. The query is <Name>.sql.
type Report struct {
	Name        string        `json:"name"`
	Title       record.Text   `json:"title"`
	Description record.Text   `json:"description"` // the definition of every figure
	Source      string        `json:"source"`      // clauses
	Parameters  []Parameter   `json:"parameters"`
	Columns     []Column      `json:"columns"`
	Roles       []record.Role `json:"roles"` // who may see it
}

// Parameter is one parameter. The query uses it as {name:Date32}, {name:UUID}, {name:String}, {name:UInt32} or, for a
// position, {name:UInt64}; {position:UInt64} is always there.
type Parameter struct {
	Name     string      `json:"name"`
	Title    record.Text `json:"title"`
	Kind     Kind        `json:"type"`
	Values   []string    `json:"values,omitempty"` // of an enum; the first is the default
	Default  Default     `json:"default,omitempty"`
	Least    int         `json:"least,omitempty"` // of a number
	Most     int         `json:"most,omitempty"`
	Required bool        `json:"required,omitempty"`
	NotAfter string      `json:"notAfter,omitempty"` // another date parameter that must not be earlier
}

// Kind is the type of a parameter.
type Kind string

// The types of parameters.
const (
	Date Kind = "date" // 2006-01-02
	UUID Kind = "uuid" // left out: all
	Enum Kind = "enum"

	Number   Kind = "number"   // whole, from Least to Most
	Position Kind = "position" // of the log, not after the report's own
)

// Default is a date that follows from the position: the day on which its event was recorded, or the first day of that
// day's month or year. Of a position it is the newest one before that day; of a number, the number.
type Default string

// The defaults of dates and positions.
const (
	TheDay     Default = "day"
	MonthStart Default = "month-start"
	YearStart  Default = "year-start"
	EarlierDay Default = "earlier-day" // the day of the earlier position; of dates only, after it in the list
)

// Column is one column of the answer.
type Column struct {
	Name  string                 `json:"name"`
	Title record.Text            `json:"title"`
	Type  Type                   `json:"type"`
	Part  string                 `json:"part,omitempty"`  // n of a share: a column of the query
	Whole string                 `json:"whole,omitempty"` // N of it
	Codes map[string]record.Text `json:"codes,omitempty"` // names of the codes that can stand here
}

// Type says what stands in a column, in JSON and in CSV.
type Type string

// The types of columns.
const (
	Text     Type = "text"     // a code
	Count    Type = "count"    // a whole number
	Share    Type = "share"    // {"n": 3, "of": 4, "percent": "75.0"}; "75.0% (3/4)"; without percent when N is 0
	Duration Type = "duration" // whole seconds; hours with two decimals
	Officer  Type = "officer"  // uuid; "" when there is none
	Village  Type = "village"  // uuid; "" when there is none
	Tier     Type = "tier"     // a code; "" before the first decision
	Month    Type = "month"    // 2006-01; "" where it means nothing
	OneDay   Type = "day"      // 2006-01-02
	Moment   Type = "moment"   // 2006-01-02 15:04:05, in the township's time
	Events   Type = "events"   // ids of events, in log order; the newest of many
)

// Find finds a report by name.
func Find(name string) (*Report, bool) {
	i := slices.IndexFunc(All, func(r Report) bool { return r.Name == name })
	if i < 0 {
		return nil, false
	}
	return &All[i], true
}

// MaySee tells whether a role may see the report.
func (r *Report) MaySee(role record.Role) bool { return slices.Contains(r.Roles, role) }

func (r *Report) query() (string, error) {
	b, err := files.ReadFile(r.Name + ".sql")
	return string(b), err
}
