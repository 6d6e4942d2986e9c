package imports

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"yidang/domain/person"
	"yidang/domain/record"
)

// errNoHeading is returned when no sheet has a heading with the columns that a person needs.
var errNoHeading = &record.Problem{Kind: record.Invalid, Field: "file", Message: "no heading with a name and a citizen id was found",
	Zh: "未找到含姓名和公民身份号码的表头", Remedy: "name the columns 姓名, 公民身份号码 and 管理类别 in one heading"}

// errNoTier is a list of people that is no roster: nobody could be given a tier (D-08).
var errNoTier = &record.Problem{Kind: record.Invalid, Field: "file", Message: "no column for the management tier was found",
	Zh: "未找到管理类别列", Rule: "D-08", Remedy: "add a column 管理类别 with 严格, 重点 or 一般 for each person"}

// readGrids finds the rosters among the sheets and judges their lines into out, which stays as it is on an error.
func readGrids(grids []*grid, out *Roster) error {
	s := &scan{out: *out, seen: map[string]firstSeen{}}
	problem := error(errNoHeading)
	for _, g := range grids {
		first, h := firstHeading(g)
		switch {
		case h == nil:
			s.out.Ignored = append(s.out.Ignored, fmt.Sprintf("sheet %q: no heading with a name and a citizen id", g.sheet))
		case h.columns[tier] == 0:
			problem = errNoTier
			s.out.Ignored = append(s.out.Ignored, fmt.Sprintf("sheet %q: no column for the management tier", g.sheet))
		default:
			s.out.Sheets = append(s.out.Sheets, g.sheet)
			s.grid(g, first, h)
		}
	}
	if len(s.out.Sheets) == 0 {
		return problem
	}
	*out = s.out
	return nil
}

// firstHeading looks for the heading with the tier first: a table of contacts may stand above the roster.
func firstHeading(g *grid) (int, *heading) {
	var first *heading
	at := 0
	for i := range g.lines {
		h, ok := headingAt(g, i)
		if ok && h.columns[tier] != 0 {
			return i, h
		}
		if ok && first == nil {
			first, at = h, i
		}
	}
	return at, first
}

// scan walks over the lines of all rosters of a file.
type scan struct {
	out  Roster
	seen map[string]firstSeen // citizen id → the row that had it first

	g       *grid
	h       *heading
	section string          // village named by a line of its own, or by the sheet
	above   string          // village of the row above
	ditto   map[field]*cell // cells of the row above, for 同上
	repeats bool            // every line names its village, so a blank one is a village that is missing
}

// firstSeen is the first row with a citizen id and a name that hold.
type firstSeen struct {
	name, sheet string
	row         int
	kept        bool // accepted; a later row of the same person is needed otherwise
}

func (s *scan) leaveOut(l *line, why string) {
	where := fmt.Sprintf("row %d", l.row)
	if len(s.out.Sheets) > 1 {
		where = fmt.Sprintf("sheet %q row %d", s.g.sheet, l.row)
	}
	s.out.Ignored = append(s.out.Ignored, where+": "+why)
}

// grid judges one sheet from its heading on.
func (s *scan) grid(g *grid, first int, h *heading) {
	s.g, s.h, s.section, s.above, s.ditto = g, h, "", "", nil
	if isVillage(g.sheet) {
		s.section = VillageName(g.sheet)
	}
	s.preamble(g.lines[:first])
	if s.section == "" && h.columns[village] == 0 {
		for _, l := range g.lines[:first] {
			s.section = cmp.Or(s.section, titleVillage(l.cells[0].text))
		}
		s.section = cmp.Or(s.section, titleVillage(g.sheet))
	}
	if s.out.Columns == nil {
		s.out.Columns = h.all
	}
	s.repeats = repeatsVillage(g, h)
	for i := h.last + 1; i < len(g.lines); i++ {
		if again, ok := headingAt(g, i); ok {
			for ; i < again.last; i++ {
				s.leaveOut(&g.lines[i], "heading again")
			}
			s.leaveOut(&g.lines[i], "heading again")
			if again.columns[tier] == 0 {
				again = nil // another table follows; its people have no tier, so they are not of this roster
			}
			s.h = again
			continue
		}
		s.line(&g.lines[i])
	}
}

// preamble reads what stands above the heading.
func (s *scan) preamble(lines []line) {
	for i := range lines {
		l := &lines[i]
		unit, place := l.unit()
		switch {
		case unit != "" && s.out.Unit == "":
			s.out.Unit = unit
		case unit == "" && s.out.Title == "":
			s.out.Title = l.joined()
		default:
			s.leaveOut(l, "above the heading")
		}
		if place != "" && s.section == "" {
			s.section = place
		}
	}
}

// line judges a line below the heading, or says why it is none of a person.
func (s *scan) line(l *line) {
	if s.h == nil {
		s.leaveOut(l, "part of a table without tiers")
		return
	}
	if model.MatchString(word(l.cells[0].text)) {
		s.leaveOut(l, "example")
		return
	}
	id := l.at(s.h.columns[citizenID])
	hasID := id != nil && (digits(id.text) >= 12 || id.number && id.value > 1e12)
	filledName, filledID := s.cell(l, name), s.cell(l, citizenID)
	if l.at(s.h.columns[name]) == nil && id == nil && filledName != nil && filledID != nil {
		s.leaveOut(l, "continues the person above")
		return
	}
	if s.namesVillage(l, hasID) {
		s.leaveOut(l, "names the village of the lines below")
		return
	}
	if why := notPerson(l, s.h); why != "" && !hasID {
		s.leaveOut(l, why)
		return
	}
	if filledName == nil && filledID == nil && s.otherFields(l) < 2 {
		if v := l.at(s.h.columns[village]); v != nil {
			s.above = VillageName(v.text) // the village stands alone on the first line of its block
		}
		s.leaveOut(l, "no person on it")
		return
	}
	if !hasID && s.nobody(l, filledName, filledID) {
		s.leaveOut(l, "no person on it")
		return
	}
	s.out.Rows = append(s.out.Rows, s.judge(l))
}

// nobody recognises what else stands below a list (以上情况属实, 村委会（盖章）, a row of dots): a line without a running number,
// a citizen id or a tier, and with hardly anything else, on which the name is none.
func (s *scan) nobody(l *line, filledName, filledID *cell) bool {
	if filledID != nil && !unknown(filledID.text) && digits(filledID.text) > 5 || s.otherFields(l) > 3 {
		return false
	}
	if n := l.at(s.h.columns[number]); n != nil && isCount(n.text) {
		return false
	}
	if c := s.cell(l, tier); c != nil {
		if _, ok := readTier(c.text); ok {
			return false
		}
	}
	if filledName == nil {
		return true
	}
	n, err := person.NormalizeName(filledName.text)
	return err != nil || utf8.RuneCountInString(n) > 4 && !strings.Contains(n, "·")
}

// namesVillage takes the village from a line that is there to name it: in a list without a column for it, or over the next
// of several lists in one sheet.
func (s *scan) namesVillage(l *line, hasID bool) bool {
	if hasID {
		return false
	}
	_, place := l.unit()
	if place == "" && s.h.columns[village] == 0 {
		place = cmp.Or(l.section(), titleVillage(l.cells[0].text))
	}
	if place != "" {
		s.section = place
	}
	return place != ""
}

// otherFields counts the cells on a line itself that say something of a person.
func (s *scan) otherFields(l *line) int {
	n := 0
	for f, col := range s.h.columns {
		if c := l.at(col); f != number && f != village && f != note && f != "" && c != nil && !unknown(c.text) {
			n++
		}
	}
	return n
}

var (
	sums    = regexp.MustCompile(`^(.*[村区镇乡]|本页|本村|本组|全村|全镇|全部|人员|以上)?(小计|合计|总计|累计|共计|总数|汇总)`)
	figures = regexp.MustCompile(`^(总|全镇|全村|人员)?人数$|^其中`)
	count   = regexp.MustCompile(`^共\d+(人|名|条|户)`)
	notes   = regexp.MustCompile(`^(注|附注|备注|说明|填表说明|填报说明|填写说明)[:：;；、.．\d一(（]|^(注|附注|备注|说明|填表说明|填报说明)$|^以下空白|^以下无|^第\d+页|^共\d+页|^打印`)
	signs   = regexp.MustCompile(`^\S{0,8}(人|长|员|领导|日期|时间|电话|单位|签字|签名|盖章|所|制表|填表|审核|复核|审批|经办)([(（][^)）]*[)）])?[:：]`)
	// signers are those words in a cell of their own (填表人 | 王海燕 | 审核人 | 李建国).
	signers = regexp.MustCompile(`^(单位|部门)?(填表|填报|制表|审核|审批|复核|负责|经办|主管|分管|主要|联系|校对|统计)(人|人员|领导|单位|日期|时间)?(签字|签名|盖章)?([(（][^)）]*[)）])?$`)
	model   = regexp.MustCompile(`^(填写)?(示例|样例|范例|例)$`)
)

func subtotal(s string) bool {
	w := word(s)
	return utf8.RuneCountInString(w) <= 24 && sums.MatchString(w) || count.MatchString(w)
}

// notPerson recognises the lines between and below the people: subtotals, notes, signatures, examples.
func notPerson(l *line, h *heading) string {
	for i, c := range l.cells {
		w := strings.ReplaceAll(tidy(c.text), " ", "")
		// A person's own remarks may begin in any way; the line itself is named in its first cells.
		early := i == 0 || len(l.cells) == 1 || c.col == h.columns[name] || c.col == h.columns[village]
		switch {
		case early && (subtotal(c.text) || figures.MatchString(w)):
			return "subtotal"
		case i == 0 && (notes.MatchString(w) || signers.MatchString(w)):
			return "note"
		case (i == 0 || l.at(h.columns[name]) == nil) && c.col != h.columns[note] && signs.MatchString(w):
			return "note"
		}
	}
	if len(l.cells) == 1 && (utf8.RuneCountInString(l.cells[0].text) > 12 && strings.ContainsAny(l.cells[0].text, "，。；：、,;:") || digits(l.cells[0].text) > 0) {
		return "note"
	}
	return ""
}

// repeatsVillage says whether each line names its village, so that a blank one is a village that is missing, or a village
// is written once for the lines below it. Text exported from merged cells is of the second kind, and names a village
// again where a page began.
func repeatsVillage(g *grid, h *heading) bool {
	col := h.columns[village]
	if col == 0 {
		return false
	}
	for _, m := range g.down[col] {
		origin := g.find(m.row1)
		if origin == nil || origin.at(col) == nil {
			continue
		}
		if f, _ := classify([]string{origin.at(col).text}); f == "" { // headings are merged too
			return true // here merges say which lines a village speaks for
		}
	}
	above, repeated, blank := "", 0, 0
	for i := h.last + 1; i < len(g.lines); i++ {
		l := &g.lines[i]
		c := l.at(col)
		switch {
		case l.at(h.columns[name]) == nil && l.at(h.columns[citizenID]) == nil:
			above = ""
		case c == nil:
			blank++
		case c.text == above:
			repeated++
		default:
			above = c.text
		}
	}
	return repeated > blank
}

// noHeading lets the readers of text try the next separator.
func noHeading(err error) bool { return errors.Is(err, errNoHeading) }
