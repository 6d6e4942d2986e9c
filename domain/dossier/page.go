package dossier

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"slices"
	"strings"

	"yidang/domain/access"
	"yidang/domain/record"
)

//go:embed page.html
var pageSource string

//go:embed explain.html
var explainSource []byte

// pageData is what page.html prints.
type pageData struct {
	M        *Manifest
	Name     string // of the person; empty when it is not shown
	ID       string // citizen id
	By       string
	Purpose  record.Text
	Level    record.Text
	Lines    []Told
	Events   int
	Withheld int
	Erased   int
	Unproved int
	Hidden   []string
	Left     []Left
	NoPDF    string
}

var levels = map[Level]record.Text{
	Full:     record.T("全部出示", "everything is shown"),
	Groups:   record.T("仅出示部分业务类别", "some groups are shown, of others only which entries there are"),
	OwnCopy:  record.T("本人副本：隐去第三人信息和工作人员姓名", "the person's own copy: what is of third parties, and officers' names, are left out"),
	Skeleton: record.T("仅出示记录目录", "only which entries there are"),
}

// page makes index.html. The same dossier always gives the same bytes.
func (b *book) page() ([]byte, error) {
	t, err := template.New("page").Funcs(template.FuncMap{
		"clock": clock,
		"why":   func(code string) record.Text { return whys[code] },
	}).Parse(pageSource)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := t.Execute(&out, b.data()); err != nil {
		return nil, fmt.Errorf("make the page: %w", err)
	}
	return out.Bytes(), nil
}

func (b *book) data() pageData {
	m := b.manifest
	d := pageData{M: m, By: b.name(m.By), Level: levels[m.Redaction.Level], Lines: b.timeline(), Left: m.Left, Purpose: record.T(m.Purpose, m.Purpose)}
	if p, ok := access.PurposeOf(m.Purpose); ok {
		d.Purpose = p.Title
	}
	if p := b.head(); p != nil {
		d.Name, d.ID = p.Name, p.CitizenID
	}
	for _, s := range m.Streams {
		d.Events, d.Withheld, d.Erased, d.Unproved = d.Events+s.Events, d.Withheld+s.Withheld+s.Partly, d.Erased+s.Erased, d.Unproved+s.Unproved
	}
	for event, fields := range m.Redaction.Hidden {
		d.Hidden = append(d.Hidden, event+": "+strings.Join(fields, ", "))
	}
	slices.Sort(d.Hidden)
	if m.PDF != pdfThere {
		d.NoPDF = m.PDF
	}
	return d
}
