// Package access holds the record of reading: who opened whose file, in which post, for what purpose, from where. The
// rules, in plain words:
//
//   - Opening a file, a timeline, an attachment or a dossier is recorded before the answer is given; if it cannot be
//     recorded, the answer is refused. So is finding somebody of another caseload in a search or a list, once for the answer.
//   - Outside one's own caseload a purpose is required. Within it none is, and one entry stands for everything that one
//     session read in one file within an hour, so that the log stays readable.
//   - A purpose is named by those whose task it is. A sealed file is read on one of the lawful grounds only, by those roles,
//     with a reason, and each reading is recorded (S-16; 治安管理处罚法 136).
//   - Reading the access log is itself recorded.
//
// Each session has a stream of its own, access-<session>. It is sealed: reasons are free text.
//
// A reading and its reason outlive the erasure of the file that was read, as an emergency reading in the officer's stream
// does. They are evidence about the reader, whom they are sealed for, and the person's means of asking who looked (PIPL 45):
// access to sensitive data is logged, and records of its handling are kept three years at least (PIPL 51, 55, 56;
// 网络数据安全管理条例 12; 未成年人网络保护条例 36). Of the person they hold a uuid that nothing else resolves any more. So a reason
// names nobody, which is said wherever one is asked for.
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
	// Emergencies is the list of emergency readings down to the newest: whoever opened it has seen them.
	Emergencies = "emergencies"
)

// Purpose is why a file outside one's caseload is read.
type Purpose struct {
	Code   string        `json:"code"`
	Title  record.Text   `json:"title"`
	Source string        `json:"source"`
	Roles  []record.Role `json:"roles"` // who reads for it
	// Sealed grounds open a sealed file too, with a reason.
	Sealed bool `json:"sealed,omitempty"`
}

// For tells whether a role reads for this purpose.
func (p Purpose) For(role record.Role) bool { return slices.Contains(p.Roles, role) }

// Opens tells whether the purpose opens a sealed file to a role (S-16).
func (p Purpose) Opens(role record.Role) bool { return p.Sealed && p.For(role) }

var (
	// casework is who works in files.
	casework = []record.Role{record.VillageCadre, record.CommunityPolice, record.CommunityMedic, record.Volunteer, record.TownshipOffice}
	// organs are those that approve, and that answer the person and other organs: the township office and the police.
	organs = []record.Role{record.TownshipOffice, record.CommunityPolice}
)

func with(roles []record.Role, more ...record.Role) []record.Role { return slices.Concat(roles, more) }

// Purposes are the accepted ones. Those of a person's own request, of other organs' lawful queries, of complaints and of
// inspections open sealed files; they are for the organs that the law lets answer, not for whoever works in the village
// (S-16; 治安管理处罚法 136).
var Purposes = []Purpose{
	{Code: "stand-in", Title: record.T("代同事办理", "standing in for a colleague"), Source: "D-12", Roles: casework},
	{Code: "handover", Title: record.T("移交核对", "checking a hand-over"), Source: "D-12", Roles: casework},
	{Code: "supervision", Title: record.T("指导检查", "supervision of the work"), Source: "G-08", Roles: with(organs, record.Inspector)},
	{Code: "approval", Title: record.T("审批提请", "answering a proposal"), Source: "two-person rule", Roles: organs},
	{Code: "data-quality", Title: record.T("核对更正信息", "checking and correcting the record"), Source: "PIPL 8, 46", Roles: with(casework, record.Inspector)},
	{Code: "emergency", Title: record.T("紧急情况", "an emergency"), Source: "PIPL 13(4)", Roles: with(casework, record.Inspector)},
	{Code: "inspection", Title: record.T("纪检监察检查", "a discipline inspection"), Source: "监察法 18", Roles: []record.Role{record.Inspector}, Sealed: true},
	{Code: "complaint", Title: record.T("处理投诉申诉", "handling a complaint or an appeal"), Source: "S-15", Roles: with(organs, record.Inspector), Sealed: true},
	{Code: "subject-request", Title: record.T("本人查阅、复制", "the person's own request"), Source: "PIPL 45", Roles: organs, Sealed: true},
	{Code: "judicial", Title: record.T("司法机关依法查询", "a lawful query of a judicial organ"), Source: "治安管理处罚法 136", Roles: organs, Sealed: true},
}

// Refusals of a reading.
var (
	ErrPurpose = &record.Problem{Kind: record.Forbidden, Field: "purpose", Rule: "PIPL 6, 51; 治安管理处罚法 136", Message: "this purpose is not for your post", Zh: "该岗位不得以此目的查阅",
		Remedy: "name what you read for in your post, or leave it to whom the purpose is for"}
	ErrSealed = &record.Problem{Kind: record.Invalid, Field: "reason", Rule: "S-16; 治安管理处罚法 136", Message: "a sealed file is read on a lawful ground and with a reason", Zh: "查阅已封存的档案，须有法定事由并说明理由",
		Remedy: "say why: who asks, and on which document"}
)

// Check refuses a reading for a purpose that is not the reader's, and one of what is sealed without a lawful ground and a
// reason. commands.RecordRead, which every reading passes before anything is shown, is where it is asked.
func (d Read) Check(role record.Role) error {
	p, ok := PurposeOf(d.Purpose)
	switch {
	case d.Purpose != "" && (!ok || !p.For(role)):
		return ErrPurpose
	case d.Sealed && (!p.Sealed || d.Reason == ""):
		return ErrSealed
	}
	return nil
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
	People  []uuid.UUID `json:"people,omitempty"` // whom a list showed; of a file, the other members of a merge that were shown as one with it
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
	whatZh = map[string]string{File: "档案", Timeline: "记录", Attachment: "附件", Dossier: "卷宗（导出）", Hit: "（检索结果）", Log: "查阅记录", Entries: "（检查查询）", Emergencies: "紧急查阅清单"}
	whatEn = map[string]string{File: "the file", Timeline: "the entries", Attachment: "an attachment", Dossier: "the dossier (taken away)", Hit: "as a search result", Log: "the access log", Entries: "as an inspector's question", Emergencies: "the list of emergency readings"}
)
