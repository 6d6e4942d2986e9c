package drugs

import (
	"slices"
	"time"

	"github.com/google/uuid"

	"yidang/domain/casework"
	"yidang/domain/person"
	"yidang/domain/record"
	"yidang/domain/units"
)

// Kind is on what footing somebody is in the program.
type Kind string

// The kinds of case.
const (
	Detox          Kind = "community-detox"          // 社区戒毒, on an order, three years
	Rehabilitation Kind = "community-rehabilitation" // 社区康复, on an order, up to three years
	Voluntary      Kind = "voluntary"                // 自愿戒毒, without an order
)

// Kinds lists them.
var Kinds = casework.Terms{
	{Code: string(Detox), Title: record.T("社区戒毒", "community detoxification"), Source: "禁毒法 33"},
	{Code: string(Rehabilitation), Title: record.T("社区康复", "community rehabilitation"), Source: "戒毒条例 37"},
	{Code: string(Voluntary), Title: record.T("自愿戒毒", "voluntary treatment"), Source: "戒毒条例 9"},
}

// DetoxMonths is the term of community detoxification and the longest of rehabilitation (戒毒条例 14, 37).
const DetoxMonths = 36

// Document is a paper of another organ. Days are written 2006-01-02.
type Document struct {
	Number string `json:"number,omitempty" maxLength:"80"`
	Organ  string `json:"organ,omitempty" maxLength:"80" doc:"organ that issued it"`
	Issued string `json:"issued,omitempty" format:"date"`
	Served string `json:"served,omitempty" format:"date" doc:"day it was handed to the person"`
	// Transcribed: what an older register says of the paper; number and days may be unknown until the paper is supplied.
	Transcribed bool `json:"transcribed,omitempty" correct:"no" doc:"taken over from an older register; only with late=import"`
}

func (d Document) line() record.Text {
	if d.Number == "" && d.Transcribed {
		return record.T("（据旧台账转录，文书待补）", " (from an older register; paper to be supplied)")
	}
	return record.T("（"+d.Organ+"，"+d.Number+"）", " ("+d.Organ+", "+d.Number+")")
}

// missing tells that the paper itself has still to be supplied.
func (d Document) missing() bool { return d.Transcribed && d.Number == "" }

// ErrTranscribed refuses a paper without its number outside an import.
var ErrTranscribed = refusal("D-13", "only an import from an older register may leave the paper out", "只有从旧台账导入时才可暂缺文书", "give number, organ and day of the paper, or set late to import")

// check wants a whole document, or one transcribed in an import.
func (d Document) check(field string, served bool, g record.Given) error {
	if d.Transcribed {
		if g.Late != record.LateImport {
			return ErrTranscribed.At(field)
		}
		for name, day := range map[string]string{".issued": d.Issued, ".served": d.Served} {
			if day != "" {
				if err := pastDay(field+name, day, g); err != nil {
					return err
				}
			}
		}
		return nil
	}
	err := firstOf(text(field+".number", d.Number, 2, 80), text(field+".organ", d.Organ, 2, 80), pastDay(field+".issued", d.Issued, g))
	if err != nil || !served && d.Served == "" {
		return err
	}
	if err := pastDay(field+".served", d.Served, g); err != nil {
		return err
	}
	if dayOf(d.Served).Before(dayOf(d.Issued)) {
		return invalid(field+".served", "", "was served before it was issued", "送达日期早于作出日期", "check both days")
	}
	return nil
}

// Open starts a case.
type Open struct {
	Person        uuid.UUID `json:"person"`
	Village       uuid.UUID `json:"village" doc:"village or community where it is carried out"`
	Kind          Kind      `json:"kind" enum:"community-detox,community-rehabilitation,voluntary"`
	Order         Document  `json:"order,omitzero" doc:"the order of public security, with its day of service; not for voluntary treatment"`
	Determination Document  `json:"determination,omitzero" doc:"the determination of addiction; not for voluntary treatment"`
	TermMonths    int       `json:"termMonths,omitempty" minimum:"0" maximum:"36" doc:"of community rehabilitation; detoxification is 36"`
	FirstUse      string    `json:"firstUse,omitempty" maxLength:"40" doc:"when drugs were first used, as far as known"`
	Note          string    `json:"note,omitempty" maxLength:"2000"`
}

// VillageID and Subject place a new case for authorisation.
func (in Open) VillageID() uuid.UUID { return in.Village }

// Subject is the person.
func (in Open) Subject() uuid.UUID { return in.Person }

// Opened starts the case.
type Opened struct {
	Person        uuid.UUID `json:"person"`
	Village       uuid.UUID `json:"village"`
	Sex           int       `json:"sex" enum:"0,1,2,9"`
	Kind          Kind      `json:"kind" enum:"community-detox,community-rehabilitation,voluntary"`
	Order         Document  `json:"order,omitzero"`
	Determination Document  `json:"determination,omitzero"`
	TermMonths    int       `json:"termMonths,omitempty" minimum:"0" maximum:"36"`
	FirstUse      string    `json:"firstUse,omitempty" maxLength:"40"`
	Note          string    `json:"note,omitempty" maxLength:"2000"`
}

// Facets of the opening.
func (d Opened) Facets() record.Facets {
	f := record.Facets{Kind: string(d.Kind), Village: d.Village, Outcome: "papers-held", Quantity: float64(d.TermMonths)}
	if d.Order.missing() || d.Determination.missing() {
		f.Outcome = "papers-missing"
	}
	switch d.Sex {
	case 1:
		f.Code = "male"
	case 2:
		f.Code = "female"
	}
	return f
}

func (d Opened) line() record.Text {
	k := Kinds.Title(string(d.Kind))
	t := record.T("立案："+k.Zh, "Case opened: "+k.En)
	if d.Kind != Voluntary {
		t = say(t, d.Order.line())
	}
	return say(t, also("首次吸毒：", "first use: ", d.FirstUse), also("", "", d.Note))
}

// SupplyDocument brings the papers of a case that was taken over from an older register.
type SupplyDocument struct {
	Order         Document             `json:"order,omitzero" doc:"the order, with its day of service; leave out what is here already"`
	Determination Document             `json:"determination,omitzero"`
	Attachment    *casework.Attachment `json:"attachment,omitempty" doc:"scan of the paper"`
}

// DocumentSupplied brings the papers.
type DocumentSupplied struct {
	Order         Document             `json:"order,omitzero"`
	Determination Document             `json:"determination,omitzero"`
	Attachment    *casework.Attachment `json:"attachment,omitempty"`
	Complete      bool                 `json:"complete,omitempty" correct:"no"` // nothing is missing any more
}

// Facets of the papers.
func (d DocumentSupplied) Facets() record.Facets {
	if d.Complete {
		return record.Facets{Outcome: "papers-held"}
	}
	return record.Facets{Outcome: "papers-missing"}
}

func (d DocumentSupplied) line() record.Text {
	t := record.T("补录文书", "Papers supplied")
	for _, paper := range []Document{d.Order, d.Determination} {
		if paper != (Document{}) {
			t = say(t, paper.line())
		}
	}
	return t
}

// Refusals by rule.
var (
	ErrMergedPerson = refusal("D-12", "this file is merged into another one of the same person", "本档已并入同一人的另一份档案", "open the case in that file").At("person")
	ErrNoPerson     = invalid("person", "D-12", "there is no file of this person", "没有此人的档案", "register the person first")
	ErrDead         = refusal("D-12", "the person's death is recorded", "该人员已登记死亡", "check the person")
	ErrNoVillage    = invalid("village", "D-06", "is not a village or community", "不是村或社区", "give the uuid of a village or community")
	ErrOrdered      = invalid("order", "戒毒条例 9", "voluntary treatment has no order", "自愿戒毒没有责令决定书", "leave order and determination out, or choose another kind")
	ErrTerm         = invalid("termMonths", "戒毒条例 14, 37", "detoxification is 36 months, rehabilitation 1 to 36", "社区戒毒为 36 个月，社区康复为 1 至 36 个月", "take it from the order")
	ErrPapersThere  = refusal("D-13", "the papers are here already", "文书已齐全", "void the entry if it is wrong")
)

var openingEvents = []record.EventRow{
	record.On("drugs.opened", record.T("立案", "Case opened"), opened, Opened.line),
	record.On("drugs.document_supplied", record.T("补录文书", "Papers supplied"),
		func(c *Case, d DocumentSupplied, _ record.Event) {
			if d.Order != (Document{}) {
				c.Order = d.Order
				c.backTo(dayOf(d.Order.Served))
			}
			if d.Determination != (Document{}) {
				c.Determination = d.Determination
			}
		}, DocumentSupplied.line),
}

var openingCommands = []record.CommandRow{
	record.Needing(record.Do("drugs.open", record.T("立案", "Open a case"), "D-01; 禁毒法 31–33; 戒毒条例 9, 13, 37", open, police, office),
		func(in Open, _ record.Given) []string {
			return []string{person.Stream(in.Person), record.StreamOf("unit", in.Village)}
		}).Starting(),
	record.Do("drugs.supply_document", record.T("补录文书", "Supply the papers"), "D-13", supplyDocument, police, office),
}

func open(_ *Case, in Open, g record.Given) ([]any, error) {
	p := person.Of(g, in.Person)
	if p == nil || !p.Registered {
		return nil, ErrNoPerson
	}
	if !p.Died.IsZero() {
		return nil, ErrDead
	}
	if p.MergedInto != uuid.Nil {
		return nil, ErrMergedPerson
	}
	if u, _ := g.Other(record.StreamOf("unit", in.Village)).(*units.Unit); u == nil || !u.Sort.Residential() {
		return nil, ErrNoVillage
	}
	if err := firstOf(Kinds.Check("kind", string(in.Kind)), text("firstUse", in.FirstUse, 0, 40), text("note", in.Note, 0, 2000)); err != nil {
		return nil, err
	}
	if in.Kind == Voluntary {
		if in.Order != (Document{}) || in.Determination != (Document{}) {
			return nil, ErrOrdered
		}
	} else if err := firstOf(in.Order.check("order", true, g), in.Determination.check("determination", false, g)); err != nil {
		return nil, err
	}
	switch {
	case in.Kind == Detox && (in.TermMonths == 0 || in.TermMonths == DetoxMonths):
		in.TermMonths = DetoxMonths
	case in.Kind == Rehabilitation && in.TermMonths >= 1 && in.TermMonths <= DetoxMonths:
	case in.Kind == Voluntary && in.TermMonths == 0:
	default:
		return nil, ErrTerm
	}
	return []any{Opened{
		Person: in.Person, Village: in.Village, Sex: p.Sex, Kind: in.Kind, Order: in.Order, Determination: in.Determination,
		TermMonths: in.TermMonths, FirstUse: in.FirstUse, Note: in.Note,
	}}, nil
}

// opened counts the case from the day of service when that is earlier than the day of the entry: reporting, visits and
// tests may lie between the two.
func opened(c *Case, d Opened, e record.Event) {
	c.Open(name, d.Person, d.Village, e)
	c.backTo(dayOf(d.Order.Served))
	c.Kind, c.Sex, c.Order, c.Determination, c.TermMonths = d.Kind, d.Sex, d.Order, d.Determination, d.TermMonths
}

// backTo lets the case count from an earlier day.
func (c *Case) backTo(day time.Time) {
	if !day.IsZero() && day.Before(c.Opened) {
		c.Opened = day
	}
}

func supplyDocument(c *Case, in SupplyDocument, g record.Given) ([]any, error) {
	if err := firstOf(casework.MustBeOpen(c, g), optional("attachment", in.Attachment)); err != nil {
		return nil, err
	}
	if !c.Order.Transcribed && !c.Determination.Transcribed {
		return nil, ErrPapersThere
	}
	in.Order.Transcribed, in.Determination.Transcribed = false, false
	if in.Order == (Document{}) && (in.Determination == (Document{}) || c.Order.Transcribed && !c.Determination.Transcribed) {
		return nil, invalid("order", "D-13", "is the paper that is missing", "应补录缺少的文书", "give number, organ and days")
	}
	complete := true
	for _, p := range []struct {
		field     string
		had, now  Document
		mustServe bool
	}{{"order", c.Order, in.Order, true}, {"determination", c.Determination, in.Determination, false}} {
		if p.now == (Document{}) {
			complete = complete && !p.had.missing()
			continue
		}
		if err := p.now.check(p.field, p.mustServe, g); err != nil {
			return nil, err
		}
	}
	return []any{DocumentSupplied{Order: in.Order, Determination: in.Determination, Attachment: in.Attachment, Complete: complete}}, nil
}

// hasOrder tells whether the case rests on an order, so that its duties and consequences apply.
func (c *Case) hasOrder() bool { return c.Kind != Voluntary }

// MissingPapers lists what was taken over from an older register without its paper.
func (c *Case) MissingPapers() (missing []string) {
	for name, d := range map[string]Document{"order": c.Order, "determination": c.Determination} {
		if d.missing() {
			missing = append(missing, name)
		}
	}
	slices.Sort(missing)
	return missing
}
