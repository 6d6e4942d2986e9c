package imports

import (
	"encoding/xml"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// maxMerges is far beyond what a roster merges.
const maxMerges = 50_000

// read reads one sheet as a stream of cells.
func (w *workbook) read(s sheet) (*grid, error) {
	p := &sheetReader{w: w, g: &grid{sheet: s.name, date1904: w.date1904}}
	if err := w.tokens(s.part, p.token); err != nil {
		return nil, err
	}
	if p.inRow {
		return nil, errors.New("the sheet ends in the middle of a row")
	}
	p.g.finish(p.merges)
	return p.g, nil
}

// sheetReader holds where in the sheet the stream is.
type sheetReader struct {
	w      *workbook
	g      *grid
	merges []merge
	line   line
	inRow  bool
	col    int
	kind   string // attribute t of the cell
	style  string // attribute s
	value  strings.Builder
	inV    bool
	inCell bool
	inline textReader
}

func (p *sheetReader) token(t xml.Token) error {
	switch e := t.(type) {
	case xml.StartElement:
		return p.start(e)
	case xml.EndElement:
		return p.end(e.Name.Local)
	case xml.CharData:
		if p.inV {
			p.value.Write(e)
		}
	}
	if p.inCell {
		p.inline.token(t)
	}
	return nil
}

func (p *sheetReader) start(e xml.StartElement) error {
	switch e.Name.Local {
	case "row":
		row := p.line.row + 1
		if r := attr(e, "r"); r != "" {
			var err error
			if row, err = strconv.Atoi(r); err != nil {
				return fmt.Errorf("row number: %w", err)
			}
		}
		if row < 1 || row > maxRow {
			return errors.New("a row number is out of range")
		}
		p.line, p.col, p.inRow = line{row: row}, 0, true
	case "c":
		p.col++
		if r := attr(e, "r"); r != "" {
			col, _, ok := parseRef(r)
			if !ok {
				return errors.New("a cell has no valid reference")
			}
			p.col = col
		}
		p.kind, p.style, p.inCell = attr(e, "t"), attr(e, "s"), true
		p.value.Reset()
		p.inline = textReader{}
	case "v":
		p.inV = p.inCell
	case "mergeCell":
		return p.merge(attr(e, "ref"))
	default:
		if p.inCell {
			p.inline.token(e)
		}
	}
	return nil
}

func (p *sheetReader) end(name string) error {
	switch name {
	case "v":
		p.inV = false
	case "c":
		p.inCell = false
		return p.cell()
	case "row":
		p.inRow = false
		if len(p.line.cells) > 0 {
			p.g.lines = append(p.g.lines, p.line)
			return p.w.allowance.line()
		}
	default:
		if p.inCell {
			p.inline.token(xml.EndElement{Name: xml.Name{Local: name}})
		}
	}
	return nil
}

// styled says whether the format of the cell is one of those.
func (p *sheetReader) styled(formats []bool) bool {
	s, err := strconv.Atoi(p.style)
	return err == nil && s >= 0 && s < len(formats) && formats[s]
}

// cell ends a cell: its value is the cached one where there is a formula.
func (p *sheetReader) cell() error {
	c := cell{col: p.col, text: p.value.String()}
	switch p.kind {
	case "s":
		i, err := strconv.Atoi(strings.TrimSpace(c.text))
		if err != nil || i < 0 || i >= len(p.w.shared) {
			if c.text == "" {
				return nil
			}
			return errors.New("a cell refers to a text that is not there")
		}
		c.text = p.w.shared[i]
	case "inlineStr":
		c.text = p.inline.take()
	case "str", "e", "d", "b":
		c.text = unescape(c.text)
	default:
		if v, err := strconv.ParseFloat(strings.TrimSpace(c.text), 64); err == nil && !math.IsInf(v, 0) && !math.IsNaN(v) {
			c.number, c.value = true, v
			c.text = strconv.FormatFloat(v, 'f', -1, 64)
			c.date = p.styled(p.w.dates)
		}
	}
	c.struck = p.styled(p.w.struck)
	c.text = cleanCell(c.text)
	if c.text == "" || c.col > maxColumn {
		return nil
	}
	p.line.cells = append(p.line.cells, c)
	return p.w.allowance.spend(len(c.text))
}

func (p *sheetReader) merge(s string) error {
	from, to, found := strings.Cut(s, ":")
	col1, row1, ok1 := parseRef(from)
	col2, row2, ok2 := parseRef(to)
	if !found || !ok1 || !ok2 || col2 < col1 || row2 < row1 {
		return nil // a merge of nothing; Excel repairs such a file silently too
	}
	if len(p.merges) == maxMerges {
		return fileProblem(fmt.Sprintf("the sheet has more than %d merged cells", maxMerges), "合并单元格过多", "undo the merges and write every cell")
	}
	p.merges = append(p.merges, merge{row1: row1, col1: col1, row2: row2, col2: col2})
	return nil
}
