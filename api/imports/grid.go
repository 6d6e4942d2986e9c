package imports

import (
	"slices"
	"sort"
	"strconv"
	"strings"
)

// maxColumn bounds the columns that are looked at; a roster has twenty. Cells to the right of it are not read.
const maxColumn = 256

// cell is one cell with anything in it.
type cell struct {
	col    int // from 1
	text   string
	number bool    // stored as a number: a citizen id among these has lost its last digits
	value  float64 // when number
	date   bool    // when number: the number format shows a date
	struck bool    // shown with a line through it
}

// line is one row with anything in it; cells ascend by column.
type line struct {
	row   int // from 1
	cells []cell
}

func (l *line) at(col int) *cell {
	i, found := slices.BinarySearchFunc(l.cells, col, func(c cell, col int) int { return c.col - col })
	if !found {
		return nil
	}
	return &l.cells[i]
}

// merge is a merged range; its value stands in its first cell.
type merge struct{ row1, col1, row2, col2 int }

// grid is one sheet: lines ascend by row.
type grid struct {
	sheet    string
	date1904 bool // serial numbers count from 1904 (workbooks of old Macs)
	lines    []line
	down     map[int][]merge // by first column: merges that cover more than one row, ascending
	wide     map[int][]merge // by row: merges that cover more than one column, for the first rows of each
	attempts int             // lines that were tried as headings
}

// finish puts lines, cells and merges in order; files by other programs than Excel need not keep it.
func (g *grid) finish(merges []merge) {
	sort.SliceStable(g.lines, func(i, j int) bool { return g.lines[i].row < g.lines[j].row })
	for i := range g.lines {
		cells := g.lines[i].cells
		byColumn := func(a, b cell) int { return a.col - b.col }
		if !slices.IsSortedFunc(cells, byColumn) {
			slices.SortStableFunc(cells, byColumn)
		}
	}
	g.down, g.wide = map[int][]merge{}, map[int][]merge{}
	for _, m := range merges {
		if m.row2 > m.row1 {
			g.down[m.col1] = append(g.down[m.col1], m)
		}
		if m.col2 > m.col1 {
			for row := m.row1; row <= min(m.row2, m.row1+maxHeading); row++ {
				if len(g.wide[row]) < maxColumn { // more could only overlap
					g.wide[row] = append(g.wide[row], m)
				}
			}
		}
	}
	for _, ms := range g.down {
		sort.Slice(ms, func(i, j int) bool { return ms[i].row1 < ms[j].row1 })
	}
}

// find is the line of a row, or nil.
func (g *grid) find(row int) *line {
	i := sort.Search(len(g.lines), func(i int) bool { return g.lines[i].row >= row })
	if i == len(g.lines) || g.lines[i].row != row {
		return nil
	}
	return &g.lines[i]
}

// covering is the merge that reaches down into a cell from a row above it.
func (g *grid) covering(row, col int) (merge, bool) {
	ms := g.down[col]
	// Merges of a sound sheet do not overlap, so the last one that begins above is the only one that can reach here.
	i := sort.Search(len(ms), func(i int) bool { return ms[i].row1 >= row }) - 1
	if i < 0 || ms[i].row2 < row {
		return merge{}, false
	}
	return ms[i], true
}

// filled is the cell, or the one that was merged down over it.
func (g *grid) filled(l *line, col int) *cell {
	if c := l.at(col); c != nil {
		return c
	}
	m, ok := g.covering(l.row, col)
	if !ok {
		return nil
	}
	if origin := g.find(m.row1); origin != nil {
		return origin.at(col)
	}
	return nil
}

// headingText is the text over a column in a row of a heading, where merges spread sideways as well as down.
func (g *grid) headingText(l *line, col int) string {
	if c := g.filled(l, col); c != nil {
		return c.text
	}
	for _, m := range g.wide[l.row] {
		if m.col1 <= col && col <= m.col2 {
			if origin := g.find(m.row1); origin != nil {
				if c := origin.at(m.col1); c != nil {
					return c.text
				}
			}
		}
	}
	return ""
}

// letters names a column as spreadsheets do: 1 is A, 27 is AA.
func letters(col int) string {
	var b []byte
	for ; col > 0; col = (col - 1) / 26 {
		b = append(b, byte('A'+(col-1)%26))
	}
	slices.Reverse(b)
	return string(b)
}

func ref(col, row int) string { return letters(col) + strconv.Itoa(row) }

// parseRef reads a reference such as E10 or $E$10; ok is false for anything else.
func parseRef(s string) (col, row int, ok bool) {
	s = strings.ReplaceAll(s, "$", "")
	i := 0
	for ; i < len(s) && i < 4; i++ {
		c := s[i] &^ 0x20
		if c < 'A' || c > 'Z' {
			break
		}
		col = col*26 + int(c-'A') + 1
	}
	row, err := strconv.Atoi(s[i:])
	return col, row, err == nil && col > 0 && row > 0 && row <= maxRow
}

// maxRow is the last row of a sheet by the file format.
const maxRow = 1 << 20
