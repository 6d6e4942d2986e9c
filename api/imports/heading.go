package imports

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxHeading is the most lines that a heading is looked for in: groups, words, sub-words, column numbers.
const maxHeading = 4

// heading is where the heading stands and what its columns are.
type heading struct {
	last    int           // index in grid.lines of its last line
	columns map[field]int // column of each field
	all     []Column
	texts   map[int]string // heading of each column, for reasons
	ticked  map[int]string // tier of each column where one of several is ticked
}

// headingAt says whether a heading begins at a line: the name and the citizen id stand within the next lines, and
// nothing between them looks like data.
func headingAt(g *grid, i int) (*heading, bool) {
	if !namesPeople(g, i) {
		return nil, false
	}
	if g.attempts++; g.attempts > maxAttempts {
		return nil, false
	}
	for depth := 1; depth <= maxHeading-1 && i+depth <= len(g.lines); depth++ {
		l := &g.lines[i+depth-1]
		if !looksLikeHeading(l) || depth > 1 && l.row > g.lines[i+depth-2].row+1 {
			return nil, false
		}
		h := assign(g, i, i+depth-1)
		if h.columns[name] == 0 || h.columns[citizenID] == 0 {
			continue
		}
		last := i + depth - 1
		for last+1 < len(g.lines) && last+1 < i+maxHeading && continuesHeading(g, h, last+1) {
			last++
		}
		return assign(g, i, last), true
	}
	return nil, false
}

// maxAttempts bounds the lines that are read as headings, which is slow. A roster has one on each page.
const maxAttempts = 1500

// namesPeople is a quick look whether a heading over names can begin at a line.
func namesPeople(g *grid, i int) bool {
	for n := i; n < min(i+maxHeading-1, len(g.lines)); n++ {
		if !looksLikeHeading(&g.lines[n]) {
			return false
		}
		for _, c := range g.lines[n].cells {
			if containsAny(c.text, "名", "人员", "人員", "对象", "對象") {
				return true
			}
		}
	}
	return false
}

var (
	manyDigits = regexp.MustCompile(`\d{4}`)
	inYear     = regexp.MustCompile(`^(19|20)\d\d(-\d\d|年度?|年以来)?([^\d年月日]{2,})$`) // 2026年尿检次数
)

// looksLikeHeading tells heading lines from titles, reporting units and data: at least two cells, no number, no subtotal,
// and few cells that are long or hold a colon without being the heading of a column that is known.
func looksLikeHeading(l *line) bool {
	if len(l.cells) < 2 || len(l.cells) > 100 {
		return false
	}
	odd := 0
	for _, c := range l.cells {
		if isYear(&c) {
			continue
		}
		w := word(c.text)
		known, _ := classify([]string{c.text})
		long := strings.ContainsAny(c.text, ":：") || utf8.RuneCountInString(c.text) > 30 || manyDigits.MatchString(w) && !inYear.MatchString(w)
		switch {
		case c.number, subtotal(c.text), isCount(c.text), digits(brackets.ReplaceAllString(w, "")) > 5:
			return false
		case long && !asked(c.text, known):
			odd++
		}
	}
	return 5*odd <= len(l.cells) // such as a note beside the heading
}

// asked says that a text asks for a field and does not tell it (联系电话：12000000001).
func asked(s string, known field) bool {
	_, told, _ := strings.Cut(strings.ReplaceAll(brackets.ReplaceAllString(s, ""), "：", ":"), ":")
	return known != "" && !manyDigits.MatchString(brackets.ReplaceAllString(word(s), "")) && utf8.RuneCountInString(strings.TrimSpace(told)) == 0
}

func isCount(s string) bool {
	_, err := strconv.Atoi(word(s))
	return err == nil
}

// continuesHeading says whether the line below the words still belongs to the heading: sub-words, hints, or the column
// numbers that official forms print.
func continuesHeading(g *grid, h *heading, i int) bool {
	l := &g.lines[i]
	if l.row > g.lines[i-1].row+1 {
		return false
	}
	if numbersColumns(l) {
		return true
	}
	if l.at(h.columns[name]) != nil || l.at(h.columns[citizenID]) != nil {
		return false
	}
	known, years := 0, 0
	for _, c := range l.cells {
		if isYear(&c) { // the tests of 2024, 2025, 2026
			years++
			continue
		}
		if c.number || manyDigits.MatchString(word(c.text)) || strings.ContainsAny(c.text, ":：") {
			return false
		}
		if headingWord(c.text) {
			known++
		}
	}
	return known > 0 && 2*known >= len(l.cells)-years // offices add columns of their own
}

// isYear recognises the years over columns of tests or visits.
func isYear(c *cell) bool {
	n, err := strconv.Atoi(word(c.text))
	return err == nil && n >= 2000 && n < 2100
}

// numbersColumns recognises 1 2 3 4 …, (1) (2) …, 甲 乙 1 2 … under a heading.
func numbersColumns(l *line) bool {
	if len(l.cells) < 4 {
		return false
	}
	last := 0
	for _, c := range l.cells {
		w := strings.Trim(word(c.text), "()栏列")
		if n, err := strconv.Atoi(w); err == nil && n == last+1 {
			last = n
		} else if !slices.Contains([]string{"甲", "乙", "丙", "丁", "戊"}, w) || last > 0 {
			return false
		}
	}
	return last >= 3
}

// headingWord recognises the words under which a column may be divided.
func headingWord(s string) bool {
	w := word(s)
	if manyDigits.MatchString(w) || utf8.RuneCountInString(w) > 14 {
		return false
	}
	if strings.TrimSpace(brackets.ReplaceAllString(w, "")) == "" {
		return true
	}
	if f, score := classify([]string{s}); f != "" && score > 0 && f != number {
		return true
	}
	if _, isTier := readTier(s); isTier || oneOfMany.MatchString(w) {
		return true
	}
	switch w {
	case "本人", "家属", "姓名", "职务", "单位", "关系", "年月日", "年", "月", "日":
		return true
	}
	for _, suffix := range []string{"日期", "时间", "结果", "电话", "号码", "情况", "方式"} {
		if strings.HasSuffix(w, suffix) {
			return true
		}
	}
	return false
}

// assign reads lines first to last as a heading.
func assign(g *grid, first, last int) *heading {
	h := &heading{last: last, columns: map[field]int{}, texts: map[int]string{}, ticked: map[int]string{}}
	columns := map[int]bool{}
	for i := first; i <= last; i++ {
		if i > first && numbersColumns(&g.lines[i]) {
			continue
		}
		for _, c := range g.lines[i].cells {
			columns[c.col] = true
		}
		for _, m := range g.wide[g.lines[i].row] {
			for col := m.col1; col <= min(m.col2, maxColumn); col++ {
				columns[col] = true
			}
		}
	}
	ordered := make([]int, 0, len(columns))
	for col := range columns {
		ordered = append(ordered, col)
	}
	slices.Sort(ordered)

	scores := map[field]int{}
	reads := map[int]field{}
	for _, col := range ordered {
		path := headingPath(g, first, last, col)
		if len(path) == 0 {
			continue
		}
		h.texts[col] = strings.Join(path, "/")
		f, score := classify(path)
		if t, ok := tickedTier(path); ok {
			f, score, h.ticked[col] = tier, 3, t
		}
		if score > scores[f] {
			delete(reads, h.columns[f])
			scores[f], h.columns[f], reads[col] = score, col, f
		}
	}
	for _, col := range ordered {
		if text := h.texts[col]; text != "" {
			h.all = append(h.all, Column{Letter: letters(col), Heading: text, Field: string(reads[col])})
		}
	}
	return h
}

// tickedTier is the tier of a column that is one of several under 管理类别, in which the right one is ticked.
func tickedTier(path []string) (string, bool) {
	last := len(path) - 1
	if last < 1 {
		return "", false
	}
	f, _ := classify(path[:last])
	t, ok := readTier(path[last])
	return t, ok && f == tier
}

// headingPath is the texts over a column from top to bottom, each once.
func headingPath(g *grid, first, last, col int) []string {
	var path []string
	group := ""
	for i := first; i <= last; i++ {
		l := &g.lines[i]
		if i > first && numbersColumns(l) {
			continue
		}
		text := strings.Join(strings.FieldsFunc(g.headingText(l, col), blank), "")
		if text == "" && i == first && last > first {
			group = groupBefore(g, i, last, col)
			text = group
		}
		if text != "" && (len(path) == 0 || path[len(path)-1] != text) {
			path = append(path, text)
		}
	}
	if len(path) == 1 && path[0] == group {
		return nil // nothing of its own stands over this column
	}
	if group != "" && len(path) > 1 && path[0] == group {
		if f, _ := classify(path[1:]); f != "" {
			return path[1:] // clear without the group, which was only a guess
		}
	}
	return path
}

// groupBefore finds the group of a divided column where the sheet is without merges (CSV): the nearest text to the left
// in the first line, if the column under that text is divided too.
func groupBefore(g *grid, first, last, col int) string {
	for c := col - 1; c > 0; c-- {
		text := g.headingText(&g.lines[first], c)
		below := false
		for i := first + 1; i <= last; i++ {
			below = below || !numbersColumns(&g.lines[i]) && g.lines[i].at(c) != nil
		}
		switch {
		case !below:
			return ""
		case text != "":
			return strings.Join(strings.FieldsFunc(text, blank), "")
		}
	}
	return ""
}
