// Package imports reads the rosters that township offices really keep, XLSX or CSV, and judges each line. It changes
// nothing: the rows are turned into commands elsewhere. Its rules, in plain words:
//
//   - The heading is found by its words, wherever it stands, in one to four lines; the columns may come in any order and
//     under many spellings. A heading that comes again on a later page is read again.
//   - A merged cell speaks for every row it covers. A village written once speaks for the blank lines below it.
//   - Titles, subtotals, notes, blank lines and other sheets are left out, and the roster says which and why.
//   - A person without a name, a citizen id that holds, or a tier of the plan (D-08) is rejected; so is a citizen id that
//     an earlier row gives to another name, since nobody can tell here which of the two is right.
//   - What is contradictory or unreadable beside that is left out with a warning; what is merely absent ("不详", "未检", an
//     empty cell) is not worth one. A missing village is, and Check rejects the row: no officer would be responsible.
//   - Who is struck out is rejected, to be told by the office; lines that a filter hides are read, hidden sheets are not.
//   - Nothing depends on the day on which a roster is read, except that nobody is born in the future.
package imports

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"yidang/domain/person"
	"yidang/domain/record"
)

// Limits bound what one upload may cost.
type Limits struct {
	Bytes    int64 // the file
	Unzipped int64 // its parts unpacked, and the text of all cells: one shared text counts wherever it is used
	Rows     int   // lines with anything on them, over all sheets
}

// DefaultLimits fit a whole county (the largest roster known to us has some thousand lines).
func DefaultLimits() Limits {
	return Limits{Bytes: 10 << 20, Unzipped: 100 << 20, Rows: 50_000}
}

// Outcome is what becomes of a row. The commit step may turn Accepted into Duplicate when there is a file already.
type Outcome string

const (
	Accepted            Outcome = "accepted"
	AcceptedWithWarning Outcome = "accepted-with-warning"
	Duplicate           Outcome = "duplicate"
	Rejected            Outcome = "rejected"
)

// The tiers of D-09 to D-11.
const (
	TierStrict   = "strict"
	TierPriority = "priority"
	TierGeneral  = "general"
)

// Results of a urine test. None is a test not done, or not on the roster.
const (
	TestNegative = "negative"
	TestPositive = "positive"
	TestNone     = "none"
)

// Roster is one file, read and judged. It holds personal data: never log it.
type Roster struct {
	SHA256  string   // of the file, in hex: a repeat of the same file has the same
	Title   string   // first line above the heading
	Unit    string   // reporting unit (填报单位), when the file names one
	Sheets  []string // the sheets that held rosters; one, nameless, for CSV
	Columns []Column // of the first roster sheet, in order
	Rows    []Row
	Ignored []string // what was left out and why, without personal data
}

// Column says how one column of the file was understood.
type Column struct {
	Letter  string
	Heading string // the lines of the heading joined by "/"
	Field   string // what it was read as; empty when it was not read
}

// Row is one person's line. The fields of a rejected row hold what could be read, to show it; only rows that were
// accepted may be acted upon.
type Row struct {
	Row     int // sheet row, from 1
	Sheet   string
	Outcome Outcome
	Why     []Reason

	Name           string // person.NormalizeName
	CitizenID      person.CitizenID
	Sex            person.Sex // of the citizen id, never of the sex column
	Ethnicity      string     // GB/T 3304, two digits, or empty
	Village        string
	Household      string // registered address
	Residence      string
	Phone          string // digits and hyphens as written; several are separated by 、
	FamilyPhone    string
	Tier           string // strict, priority, general
	Responsible    string // names as written; several are separated by 、
	FirstUse       string // 2015 or 2015-03
	AgreementDate  string // 2025-08-02; 2025-08 or 2025 when the roster says no more
	LastTestDate   string // likewise
	LastTestResult string // negative, positive, none
	Note           string

	Line map[string]string // every cell of the line as written, by column letter
}

// Reason is one thing said about a row. It quotes nothing that was typed.
type Reason struct {
	Cell    string // such as E10; empty when no cell is concerned
	Column  string // heading
	Message string // English
	Zh      string
}

// Judgement is a row in the shape of `yidang import --dry-run --format json`.
type Judgement struct {
	Row       int              `json:"row"`
	Sheet     string           `json:"sheet,omitempty"` // only when the file has several rosters
	Outcome   Outcome          `json:"outcome"`
	Name      string           `json:"name,omitempty"`
	CitizenID person.CitizenID `json:"citizenId,omitempty"`
	Tier      string           `json:"tier,omitempty"`
	Village   string           `json:"village,omitempty"`
	Why       string           `json:"why,omitempty"`
}

// Read reads and judges a roster. The name serves only to tell the kind of file in messages; the bytes decide. Errors
// are problems that say what is wrong with the file and what to do.
func Read(r io.ReaderAt, size int64, name string, limits Limits) (*Roster, error) {
	if size > limits.Bytes {
		return nil, fileProblem(fmt.Sprintf("the file is larger than %d MiB", limits.Bytes>>20), "文件过大",
			"split the roster by village, and remove pictures")
	}
	hash := sha256.New()
	if _, err := io.Copy(hash, io.NewSectionReader(r, 0, size)); err != nil {
		return nil, fmt.Errorf("read %d bytes of the upload: %w", size, err)
	}
	out := &Roster{SHA256: hex.EncodeToString(hash.Sum(nil))}

	head := make([]byte, 8)
	n, err := r.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read the upload: %w", err)
	}
	head = head[:n]
	allowance := &budget{unzipped: limits.Unzipped, rows: limits.Rows, limits: limits}
	switch {
	case bytes.HasPrefix(head, []byte("PK")):
		err = readWorkbook(r, size, allowance, out)
	case bytes.HasPrefix(head, []byte{0xD0, 0xCF, 0x11, 0xE0}):
		err = fileProblem("the file is an old .xls workbook or is protected by a password", "文件为旧版.xls或已加密",
			"open it, remove the password and save it as .xlsx")
	case bytes.HasPrefix(head, []byte("%PDF")), bytes.HasPrefix(head, []byte(`{\rtf`)):
		err = errDocument
	case bytes.HasPrefix(bytes.TrimLeft(bytes.TrimPrefix(head, []byte("\xEF\xBB\xBF")), " \t\r\n"), []byte("<")):
		err = fileProblem("the file is a web page or XML under the name of a workbook, as some systems export", "文件实为网页或XML，不是.xlsx格式",
			"open it in a spreadsheet program and save it as .xlsx")
	case size == 0:
		err = fileProblem("the file is empty", "文件为空", "choose the roster")
	default:
		err = readText(r, size, allowance, out)
	}
	if err != nil {
		return nil, err
	}
	if len(out.Rows) == 0 {
		return nil, fileProblem("the roster has a heading but no person", "花名册中没有人员", "choose a roster with at least one person")
	}
	return out, nil
}

// Judgements gives the rows in the shape of the dry run: a rejected row says only why, a duplicate only who.
func (r *Roster) Judgements() []Judgement {
	out := make([]Judgement, 0, len(r.Rows))
	for _, row := range r.Rows {
		j := Judgement{Row: row.Row, Outcome: row.Outcome}
		if len(r.Sheets) > 1 {
			j.Sheet = row.Sheet
		}
		if row.Outcome != Rejected {
			j.Name, j.CitizenID = row.Name, row.CitizenID
		}
		if row.Outcome == Accepted || row.Outcome == AcceptedWithWarning {
			j.Tier, j.Village = row.Tier, row.Village
		}
		why := make([]string, len(row.Why))
		for i, reason := range row.Why {
			why[i] = reason.Message
		}
		j.Why = strings.Join(why, "; ")
		out = append(out, j)
	}
	return out
}

// JSON is the array of judgements, indented, in UTF-8.
func (r *Roster) JSON() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	if err := e.Encode(r.Judgements()); err != nil {
		return nil, fmt.Errorf("write the judgements: %w", err)
	}
	return b.Bytes(), nil
}

func fileProblem(en, zh, remedy string) *record.Problem {
	return &record.Problem{Kind: record.Invalid, Field: "file", Message: en, Zh: zh, Remedy: remedy}
}

var errDocument = fileProblem("the file is a document and no workbook", "文件是文档，不是表格", "copy the table into a workbook and save it as .xlsx")

func damaged(err error) error {
	return fileProblem("the workbook is damaged", "文件已损坏", "open it in a spreadsheet program and save it again as .xlsx").Because(err)
}

// budget is what is left of the limits while a file is read.
type budget struct {
	unzipped int64
	rows     int
	limits   Limits
}

func (b *budget) spend(n int) error {
	if b.unzipped -= int64(n); b.unzipped < 0 {
		return fileProblem(fmt.Sprintf("the file holds more than %d MiB when unpacked", b.limits.Unzipped>>20), "文件解压后过大",
			"copy the roster alone into a new workbook")
	}
	return nil
}

func (b *budget) line() error {
	if b.rows--; b.rows < 0 {
		return fileProblem(fmt.Sprintf("the file has more than %d lines", b.limits.Rows), "行数过多", "split the roster by village")
	}
	return nil
}
