// Package access holds the record of reading: who opened whose file, in which post, for what purpose, from where. The
// rules, in plain words:
//
//   - Opening a file, a timeline, an attachment or a dossier is recorded before the answer is given; if it cannot be
//     recorded, the answer is refused. So is finding somebody in a search.
//   - Outside one's own caseload a purpose is required. Within it none is, and one entry stands for everything that one
//     session read in one file within an hour, so that the log stays readable.
//   - A sealed file is read on one of the lawful grounds only, and each reading is recorded (S-16; 治安管理处罚法 136).
//   - Reading the access log is itself recorded.
//
// Each session has a stream of its own, access-<session>. It is sealed: reasons are free text.
package access

import (
	"slices"

	"github.com/google/uuid"

	"yidang/domain/record"
)

// What was read.
const (
	File       = "file"       // a person's file or a case
	Timeline   = "timeline"   // its entries
	Attachment = "attachment" // a paper
	Dossier    = "dossier"    // the whole file, taken away
	Hit        = "search-hit" // shown in a list of search results
	Log        = "access-log" // who read the file
	Entries    = "entries"    // an inspector's question
)

// Purpose is why a file outside one's caseload is read.
type Purpose struct {
	Code   string      `json:"code"`
	Title  record.Text `json:"title"`
	Source string      `json:"source"`
	// Sealed grounds open a sealed file too.
	Sealed bool `json:"sealed,omitempty"`
}

// Purposes are the accepted ones. Those of a person's own request and of other organs' lawful queries open sealed files.
var Purposes = []Purpose{
	{Code: "stand-in", Title: record.T("代同事办理", "standing in for a colleague"), Source: "D-12"},
	{Code: "handover", Title: record.T("移交核对", "checking a hand-over"), Source: "D-12"},
	{Code: "supervision", Title: record.T("指导检查", "supervision of the work"), Source: "G-08"},
	{Code: "approval", Title: record.T("审批提请", "answering a proposal"), Source: "two-person rule"},
	{Code: "data-quality", Title: record.T("核对更正信息", "checking and correcting the record"), Source: "PIPL 8, 46"},
	{Code: "emergency", Title: record.T("紧急情况", "an emergency"), Source: "PIPL 13(4)"},
	{Code: "inspection", Title: record.T("纪检监察检查", "a discipline inspection"), Source: "监察法 18", Sealed: true},
	{Code: "complaint", Title: record.T("处理投诉申诉", "handling a complaint or an appeal"), Source: "S-15", Sealed: true},
	{Code: "subject-request", Title: record.T("本人查阅、复制", "the person's own request"), Source: "PIPL 45", Sealed: true},
	{Code: "judicial", Title: record.T("司法机关依法查询", "a lawful query of a judicial organ"), Source: "治安管理处罚法 136", Sealed: true},
}

// PurposeOf finds a purpose by its code.
func PurposeOf(code string) (Purpose, bool) {
	i := slices.IndexFunc(Purposes, func(p Purpose) bool { return p.Code == code })
	if i < 0 {
		return Purpose{}, false
	}
	return Purposes[i], true
}

// Read is one reading. Whose file and which case is in the metadata; of a list, in People.
type Read struct {
	What    string      `json:"what"`
	Purpose string      `json:"purpose,omitempty"` // empty within the reader's own caseload
	Reason  string      `json:"reason,omitempty"`  // in the reader's words
	Own     bool        `json:"own,omitempty"`     // the reader is responsible in the file
	Glass   bool        `json:"glass,omitempty"`   // an emergency reading
	Sealed  bool        `json:"sealed,omitempty"`  // the file, or a part of it that was shown, is sealed
	From    string      `json:"from,omitempty"`    // network address
	Session uuid.UUID   `json:"session"`
	Item    string      `json:"item,omitempty"`   // which attachment, or which question
	People  []uuid.UUID `json:"people,omitempty"` // whom a list showed
}

// Facets of the reading.
func (d Read) Facets() record.Facets {
	f := record.Facets{Kind: d.What, Code: d.Purpose}
	if d.Own {
		f.Outcome = "own"
	}
	return f
}

// ReadType is the stored name of Read.
const ReadType = "access.read"

// Category is the table of access streams. They have no commands: commands.RecordRead is the one way in.
var Category = record.Category{
	Name: "access", Title: record.T("查阅记录", "Access log"), Sealed: true,
	New:     func() any { return &struct{}{} },
	Readers: []record.Grant{{Roles: []record.Role{record.Inspector}, Scope: record.Anywhere}},
	Events: []record.EventRow{
		record.On(ReadType, record.T("查阅", "Read"), func(*struct{}, Read, record.Event) {}, Read.line),
		record.VoidedRow(),
	},
}

func (d Read) line() record.Text {
	t := record.T("查阅"+whatZh[d.What], "Read "+whatEn[d.What])
	if p, ok := PurposeOf(d.Purpose); ok {
		t.Zh, t.En = t.Zh+"，目的："+p.Title.Zh, t.En+", for "+p.Title.En
	}
	if d.Glass {
		t.Zh, t.En = t.Zh+"（紧急查阅）", t.En+" (emergency reading)"
	}
	if d.Reason != "" {
		t.Zh, t.En = t.Zh+"；"+d.Reason, t.En+"; "+d.Reason
	}
	return t
}

var (
	whatZh = map[string]string{File: "档案", Timeline: "记录", Attachment: "附件", Dossier: "卷宗（导出）", Hit: "（检索结果）", Log: "查阅记录", Entries: "（检查查询）"}
	whatEn = map[string]string{File: "the file", Timeline: "the entries", Attachment: "an attachment", Dossier: "the dossier (taken away)", Hit: "as a search result", Log: "the access log", Entries: "as an inspector's question"}
)
