// Package intake records that a roster was taken in: which file, by whom, and what became of each of its rows. The stream
// is named by the content of the file, so the same file is one intake, however often it is sent.
package intake

import (
	"fmt"
	"time"

	"github.com/google/uuid"

	"yidang/domain/record"
)

// Intake is the state of an intake stream.
type Intake struct {
	SHA256   string    `json:"sha256"`
	Title    string    `json:"title,omitempty"`
	Rows     int       `json:"rows"`
	Begun    time.Time `json:"begun"`
	Finished time.Time `json:"finished,omitzero"`
	Results  []Result  `json:"results,omitempty"`
}

// Result is what became of a row.
type Result struct {
	Row     int       `json:"row"`
	Sheet   string    `json:"sheet,omitempty"`
	Outcome string    `json:"outcome"`
	Person  uuid.UUID `json:"person,omitzero"`
	Case    uuid.UUID `json:"case,omitzero"`
}

// Begun records that work on a roster began.
type Begun struct {
	SHA256 string `json:"sha256"`
	Title  string `json:"title,omitempty"`
	Rows   int    `json:"rows"`
}

// Facets of the beginning.
func (d Begun) Facets() record.Facets { return record.Facets{Quantity: float64(d.Rows)} }

// Finished records what became of the rows.
type Finished struct {
	Results []Result `json:"results"`
}

// Facets of the end.
func (d Finished) Facets() record.Facets { return record.Facets{Quantity: float64(len(d.Results))} }

// ErrFinished refuses to finish twice with another result.
var ErrFinished = &record.Problem{Kind: record.Refused, Message: "this roster was taken in before", Zh: "该花名册已导入", Remedy: "read the result of the import"}

var keepers = record.Grant{Roles: []record.Role{record.CommunityPolice, record.TownshipOffice}, Scope: record.Anywhere}

// CommandFor is the command id that begins the intake of a file; its stream follows from it.
func CommandFor(sha256 string) uuid.UUID {
	return uuid.NewSHA1(uuid.NameSpaceOID, []byte("intake "+sha256))
}

// IDFor is the uuid of a file's intake.
func IDFor(sha256 string) uuid.UUID { return uuid.NewSHA1(CommandFor(sha256), []byte("stream")) }

// Category is the table of intake streams.
var Category = record.Category{
	Name: "intake", Title: record.T("导入", "Intake"), Sealed: true,
	Readers: []record.Grant{keepers, {Roles: []record.Role{record.Inspector}, Scope: record.Anywhere}},
	New:     func() any { return &Intake{} },
	Events: []record.EventRow{
		record.On("intake.begun", record.T("开始导入花名册", "Roster intake begun"), func(i *Intake, d Begun, e record.Event) {
			i.SHA256, i.Title, i.Rows, i.Begun = d.SHA256, d.Title, d.Rows, e.Meta.RecordedAt
		}, func(d Begun) record.Text {
			return record.T(fmt.Sprintf("开始导入花名册《%s》，%d 行", d.Title, d.Rows), fmt.Sprintf("Began to take in “%s”, %d rows", d.Title, d.Rows))
		}),
		record.On("intake.finished", record.T("花名册导入完成", "Roster intake finished"), func(i *Intake, d Finished, e record.Event) {
			i.Results, i.Finished = d.Results, e.Meta.RecordedAt
		}, func(d Finished) record.Text {
			return record.T(fmt.Sprintf("花名册导入完成，处理 %d 行", len(d.Results)), fmt.Sprintf("Took in %d rows", len(d.Results)))
		}),
		record.VoidedRow(),
	},
	Commands: []record.CommandRow{
		record.Do("intake.begin", record.T("开始导入花名册", "Begin the intake of a roster"), "D-12; D-13",
			func(_ *Intake, in Begun, _ record.Given) ([]any, error) { return []any{in}, nil }, keepers).Starting().Timeless().Within(),
		record.Do("intake.finish", record.T("完成导入", "Finish the intake of a roster"), "D-12; D-13",
			func(i *Intake, in Finished, _ record.Given) ([]any, error) {
				if !i.Finished.IsZero() {
					return nil, ErrFinished
				}
				return []any{in}, nil
			}, keepers).Timeless().Within(),
	},
}
