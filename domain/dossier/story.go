package dossier

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"yidang/domain/catalog"
	"yidang/domain/person"
	"yidang/domain/record"
)

// chapter is a stream as the dossier shows it.
type chapter struct {
	category *record.Category
	name     string
	lines    []*line
	events   []record.Event // of the lines, decoded from what they show; Data is nil where nothing is shown
	index    []int64        // of the lines' leaves in the log
}

// read decodes what the lines show. It is the same for whoever builds a dossier and for whoever checks it, so that no
// sentence can come from anything but the lines.
func (c *chapter) read(list *catalog.Catalog, l *line) (record.Event, error) {
	e := record.Event{ID: l.Event, Stream: c.name, Revision: l.Revision, Type: l.Type, Erased: l.Erased}
	if err := json.Unmarshal(l.Meta, &e.Meta); err != nil {
		return e, fmt.Errorf("metadata: %w", err)
	}
	row, ok := list.Event(c.category.Name, l.Type)
	if !ok {
		return e, fmt.Errorf("the event type %q is not known to this version", l.Type)
	}
	raw := l.opened()
	if raw == nil || l.Type == record.CorrectedType && !hasField(l, "values") {
		return e, nil
	}
	var err error
	e.Data, err = row.Decode(e.Meta.Form, raw, false)
	return e, err
}

// hasField says whether a field is shown.
func hasField(l *line, name string) bool {
	fields, err := catalog.Fields(l.opened())
	return err == nil && slices.ContainsFunc(fields, func(f []byte) bool { return fieldName(f) == name })
}

// add adds a line with its event.
func (c *chapter) add(l *line, e record.Event) {
	c.lines, c.events = append(c.lines, l), append(c.events, e)
}

// target finds the type of the event that a correction is about, among those of the stream so far, and the values that it
// gives; data is what is known of the correction.
func target(kind string, kinds map[uuid.UUID]string, data []byte) (about string, values []byte) {
	if kind != record.CorrectedType {
		return "", nil
	}
	var c struct {
		Event  uuid.UUID       `json:"event"`
		Values json.RawMessage `json:"values"`
	}
	if json.Unmarshal(data, &c) != nil {
		return "", nil
	}
	return kinds[c.Event], c.Values
}

// Told is a line of the timeline as it is printed.
type Told struct {
	Index    int64
	Event    uuid.UUID
	Revision uint64
	Stream   string
	Category record.Text
	Text     record.Text
	Who      string
	Role     record.Text
	Unit     string
	Occurred time.Time
	Recorded time.Time
	Lag      record.Text
	Late     string
	Basis    string
	State    string // "", "partly", "withheld", "erased", "unproved"
	Why      record.Text
	Voided   *Beside
	Corrects []Beside // what it should have said, oldest first: the last one holds
	Approved *Beside  // by whom, when it was recorded by two people
	Papers   []Paper
	Fields   []Shown
}

// Beside is what a later event says about this one.
type Beside struct {
	Who  string
	When time.Time
	Text record.Text
}

// Paper is an attachment: File is its place in the dossier, empty when it is not in it.
type Paper struct {
	Title, SHA256, File string
	Why                 record.Text
}

// Shown is a field as it was recorded.
type Shown struct{ Name, Value string }

// book is everything that a page is made of.
type book struct {
	manifest *Manifest // without Files
	chapters []*chapter
	names    map[string]string
}

func (b *book) name(id uuid.UUID) string {
	if n := b.names[id.String()]; n != "" {
		return n
	}
	return id.String()[:8] + "…"
}

// timeline puts the events of all streams in the order in which they happened.
func (b *book) timeline() []Told {
	left := map[string]string{}
	for _, l := range b.manifest.Left {
		left[l.SHA256+l.Event.String()] = l.Why
	}
	var out []Told
	for _, c := range b.chapters {
		amended := record.Amendments(c.events, record.At{})
		approved := map[uuid.UUID]*Beside{}
		for _, e := range c.events {
			if e.Type == record.ApprovedType {
				approved[e.Meta.Command] = &Beside{Who: b.name(e.Meta.Actor), When: e.Meta.RecordedAt}
			}
		}
		for i, e := range c.events {
			t := b.told(c, i)
			a := amended[e.ID]
			if v := a.VoidedBy; v != nil {
				t.Voided = &Beside{Who: b.name(v.Meta.Actor), When: v.Meta.RecordedAt, Text: reason(v.Data.(record.Voided).Reason)}
			}
			t.Corrects = b.corrections(c, e, a)
			if by := approved[e.Meta.Command]; by != nil && e.Type != record.ApprovedType {
				t.Approved = by
			}
			for _, a := range b.papersOf(c, i) {
				p := Paper{Title: a.title, SHA256: a.SHA256, File: attachmentName(a.Attachment)}
				if why, out := left[a.SHA256+e.ID.String()]; out {
					p.File, p.Why = "", whys[why]
				}
				t.Papers = append(t.Papers, p)
			}
			out = append(out, t)
		}
	}
	slices.SortStableFunc(out, func(x, y Told) int {
		if c := x.Occurred.Compare(y.Occurred); c != 0 {
			return c
		}
		return int(min(max(x.Index-y.Index, -1), 1))
	})
	return out
}

func reason(s string) record.Text { return record.T("理由："+s, "reason: "+s) }

func (b *book) told(c *chapter, i int) Told {
	e, l := c.events[i], c.lines[i]
	t := Told{
		Index: c.index[i], Event: e.ID, Revision: e.Revision, Stream: c.name, Category: c.category.Title, Who: b.name(e.Meta.Actor),
		Occurred: e.Meta.OccurredAt, Recorded: e.Meta.RecordedAt, Lag: lag(e.Meta.Lag()), Late: string(e.Meta.Late), Basis: e.Meta.Basis,
	}
	if e.Meta.Unit != uuid.Nil {
		t.Unit = b.name(e.Meta.Unit)
	}
	for _, r := range record.Roles {
		if r.Role == e.Meta.Role {
			t.Role = r.Title
		}
	}
	row, ok := c.category.Event(e.Type)
	switch {
	case !ok:
		t.Text = record.T(e.Type, e.Type)
	case e.Data == nil:
		t.Text = row.Title
	default:
		t.Text = row.Line(e)
	}
	switch {
	case l.Erased:
		t.State, t.Why = "erased", whys[WhyErased]
	case l.whole():
		t.State, t.Why = "withheld", whys[l.Withheld]
	case l.Withheld != "":
		t.State, t.Why = "partly", whys[l.Withheld]
	case l.Unproved != nil:
		t.State, t.Why = "unproved", record.T("早期记录，内容仅由服务器签名担保", "an early entry: that this is its content is the server's word")
	}
	t.Fields = b.fields(l)
	return t
}

// corrections tells what the event should have said.
func (b *book) corrections(c *chapter, e record.Event, a record.Amendment) (out []Beside) {
	for i, by := range a.Corrections {
		d := by.Data.(record.Corrected)
		until := record.Amendment{Corrections: a.Corrections[:i+1]}
		text := record.T("更正内容未出示", "the correction is not shown")
		if right, err := until.Effective(c.category, e); err == nil && e.Data != nil {
			if row, ok := c.category.Event(e.Type); ok {
				text = row.Line(right)
			}
			if !right.Meta.OccurredAt.Equal(e.Meta.OccurredAt) {
				when := clock(right.Meta.OccurredAt)
				text.Zh, text.En = text.Zh+"（发生于 "+when+"）", text.En+" (happened "+when+")"
			}
		}
		what := strings.Join(d.Fields, ", ")
		text.Zh, text.En = text.Zh+"；更正项："+what+"；理由："+d.Reason, text.En+"; corrected: "+what+"; reason: "+d.Reason
		out = append(out, Beside{Who: b.name(by.Meta.Actor), When: by.Meta.RecordedAt, Text: text})
	}
	return out
}

// fields lists what the line shows, as it was recorded.
func (b *book) fields(l *line) (out []Shown) {
	raw := l.opened()
	if raw == nil {
		return nil
	}
	fields, err := catalog.Fields(raw)
	if err != nil {
		return []Shown{{Value: string(raw)}}
	}
	for _, f := range fields {
		name := fieldName(f)
		var value any
		dec := json.NewDecoder(bytes.NewReader(append(append([]byte{'{'}, f...), '}')))
		dec.UseNumber()
		var object map[string]any
		if dec.Decode(&object) == nil {
			value = object[name]
		}
		out = append(out, Shown{name, b.value(value)})
	}
	return out
}

// value is a value without JSON's quotes; what is a uuid with a known name has the name.
func (b *book) value(v any) string {
	if s, ok := v.(string); ok {
		if n := b.names[s]; n != "" {
			return n
		}
		return s
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if enc.Encode(v) != nil {
		return ""
	}
	return strings.TrimSuffix(buf.String(), "\n")
}

// head is the person as the shown entries describe them, corrections counted; nil when they do not.
func (b *book) head() *person.Person {
	for _, c := range b.chapters {
		if c.name != person.Stream(b.manifest.Person) {
			continue
		}
		f := record.NewFile(&person.Category, c.name)
		if f.Fold(c.events, record.At{}) != nil {
			return nil
		}
		if p, ok := f.State.(*person.Person); ok && p.Registered {
			return p
		}
	}
	return nil
}

// clock writes a time as the country's officers read it.
func clock(t time.Time) string {
	if t.IsZero() {
		return "—"
	}
	return t.In(record.Zone).Format("2006-01-02 15:04")
}

// lag tells how long after the fact an entry was made.
func lag(d time.Duration) record.Text {
	switch {
	case d < 0:
		return record.T("早于所述时间", "before the time it names")
	case d < time.Hour:
		return record.T(fmt.Sprintf("%d 分钟", int(d.Minutes())), fmt.Sprintf("%d min", int(d.Minutes())))
	case d < 48*time.Hour:
		return record.T(fmt.Sprintf("%d 小时", int(d.Hours())), fmt.Sprintf("%d h", int(d.Hours())))
	}
	days := int(d.Hours() / 24)
	return record.T(fmt.Sprintf("%d 天", days), fmt.Sprintf("%d days", days))
}
