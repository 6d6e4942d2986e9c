package imports

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"yidang/domain/person"
	"yidang/domain/record"
)

// cell is the cell of a field on a line, or the one merged down over it, or that of the line above if it says ditto.
func (s *scan) cell(l *line, f field) *cell {
	col := s.h.columns[f]
	if col == 0 {
		return nil
	}
	c := s.g.filled(l, col)
	if c != nil && f != name && f != citizenID {
		switch word(c.text) {
		case "同上", "〃", "″", "\"", "''", "′′":
			return s.ditto[f]
		}
	}
	return c
}

// judgement gathers what is said about one row.
type judgement struct {
	*scan
	l          *line
	row        Row
	rejections int // how many of the reasons, from the first, reject the row
}

// judge reads one person's line. The order of the checks is that of the questions an officer would ask: who is it, do we
// have them already, and only then what is to be recorded.
func (s *scan) judge(l *line) Row {
	j := &judgement{scan: s, l: l, row: Row{Row: l.row, Sheet: s.g.sheet, Line: make(map[string]string, len(l.cells))}}
	for _, c := range l.cells {
		j.row.Line[letters(c.col)] = c.text
	}
	j.name()
	j.citizenID()
	j.village()
	j.tier()
	duplicate, first := j.meetEarlier()
	j.codes()
	j.dates()
	j.texts()

	ditto := map[field]*cell{}
	for f := range s.h.columns {
		ditto[f] = s.cell(l, f)
	}
	s.ditto = ditto

	switch {
	case duplicate:
		// The earlier row is what counts, so nothing else about this one is worth a word.
		j.row.Outcome = Duplicate
		j.row.Why = nil
		where := fmt.Sprintf("row %d", first.row)
		if len(s.out.Sheets) > 1 && first.sheet != s.g.sheet {
			where += fmt.Sprintf(" of sheet %q", first.sheet)
		}
		j.say(citizenID, "same person as an earlier row ("+where+")", fmt.Sprintf("与第%d行为同一人", first.row))
	case j.rejections > 0:
		j.row.Outcome = Rejected
	case len(j.row.Why) > 0:
		j.row.Outcome = AcceptedWithWarning
	default:
		j.row.Outcome = Accepted
	}
	return j.row
}

func (j *judgement) say(f field, en, zh string) {
	r := Reason{Message: en, Zh: zh}
	if col := j.h.columns[f]; col != 0 {
		r.Cell, r.Column = ref(col, j.l.row), j.h.texts[col]
	}
	j.row.Why = append(j.row.Why, r)
}

// reject gives a reason why the row is not taken. Reasons to reject come before warnings.
func (j *judgement) reject(f field, en, zh string) {
	warnings := j.row.Why[j.rejections:]
	j.row.Why = slices.Clone(j.row.Why[:j.rejections])
	j.say(f, en, zh)
	j.row.Why = append(j.row.Why, warnings...)
	j.rejections++
}

// refuse rejects with the words of a problem.
func (j *judgement) refuse(f field, err error) {
	var p *record.Problem
	if errors.As(err, &p) {
		j.reject(f, p.Message, p.Zh)
		return
	}
	j.reject(f, err.Error(), "")
}

func (j *judgement) text(f field) string {
	if c := j.cell(j.l, f); c != nil {
		return c.text
	}
	return ""
}

func (j *judgement) name() {
	text := j.text(name)
	if unknown(text) {
		text = ""
	}
	var err error
	if j.row.Name, err = person.NormalizeName(text); err != nil {
		j.refuse(name, err)
	}
	if c := j.l.at(j.h.columns[name]); c != nil && c.struck { // who is crossed off is no longer on the list, and a record cannot be taken back
		j.reject(name, "the name is struck out; delete the line, or take the line through it away", "姓名已用删除线划去，请删除该行或取消删除线")
	}
}

// exactDigits is how many decimal digits a number in a spreadsheet keeps.
const exactDigits = 15

// aroundID is what keeps a spreadsheet from making a number of a citizen id when it is typed with a Chinese keyboard, and
// the word for what it is.
var aroundID = regexp.MustCompile(`^[\s’‘＇′\x60´'"“”]+|^(公民)?身份(证|证号|证号码|号码)[:：]`)

func (j *judgement) citizenID() {
	c := j.cell(j.l, citizenID)
	text := ""
	if c != nil && !unknown(c.text) {
		text = aroundID.ReplaceAllString(c.text, "")
	}
	if digitsLost(c, text) {
		j.reject(citizenID, "citizen id was typed as a number, so its last digits are lost", "公民身份号码以数字格式录入，末几位已丢失")
		return
	}
	id, warnings, err := person.ParseCitizenID(text)
	if errors.Is(err, person.ErrCheckDigit) && strings.HasSuffix(text, "000") {
		j.reject(citizenID, "check digit is wrong; the last digits seem to be lost, as when a citizen id is typed as a number", "公民身份号码校验码错误，疑似以数字格式录入")
		return
	}
	if err != nil {
		j.refuse(citizenID, err)
		return
	}
	j.row.CitizenID, j.row.Sex = id, id.Sex()
	for _, w := range warnings {
		j.say(citizenID, w.En, w.Zh)
	}
}

// digitsLost recognises a citizen id that a spreadsheet took for a number, also when it has since been through CSV.
func digitsLost(c *cell, text string) bool {
	if c == nil {
		return false
	}
	if c.number {
		return c.value >= 1e15 && len(c.text) > exactDigits
	}
	w := strings.ToLower(tidy(text))
	if !strings.Contains(w, "e+") {
		return false
	}
	v, err := strconv.ParseFloat(w, 64)
	return err == nil && v >= 1e14
}

// village also carries the village of the line above down to blank lines, where the roster writes it once.
func (j *judgement) village() {
	if c := j.cell(j.l, village); c != nil && !unknown(c.text) {
		j.row.Village = VillageName(c.text)
	} else if j.h.columns[village] == 0 {
		j.row.Village = j.section
	} else if !j.repeats && c == nil {
		j.row.Village = j.above
	}
	if j.row.Village != "" {
		j.above = j.row.Village
	} else if j.section != "" {
		j.row.Village = j.section
	}
	if j.row.Village == "" {
		j.say(village, "village is missing", "缺少所在村（社区）")
	}
}

func (j *judgement) tier() {
	text := j.text(tier)
	t, ok := readTier(text)
	if len(j.h.ticked) > 1 {
		t, text = j.ticked()
		ok = t != ""
	}
	switch {
	case ok:
		j.row.Tier = t
	case unknown(text):
		j.reject(tier, "management tier is missing", "缺少管理类别")
	default:
		j.reject(tier, "management tier is unknown", "管理类别无法识别")
	}
}

// ticked is the one tier that is ticked. Of two nobody can tell which was meant.
func (j *judgement) ticked() (t, text string) {
	for col, of := range j.h.ticked {
		c := j.g.filled(j.l, col)
		switch {
		case c == nil || unknown(c.text) || isTick(c.text, "×", "✗", "✘", "x", "否", "0"):
		case t != "" || text != "" || !isTick(c.text, "√", "✓", "✔", "☑", "v", "是", "1", "●", "○", "◎", "★", "*", "对"):
			return "", "several"
		default:
			t, text = of, c.text
		}
	}
	return t, text
}

func isTick(s string, marks ...string) bool { return slices.Contains(marks, strings.ToLower(tidy(s))) }

// meetEarlier compares with the rows above by citizen id: the same person again is a duplicate, another name under the
// same number is a contradiction that only the office can resolve. A row that was rejected keeps nobody from being
// accepted further down, but it is a witness of the name.
func (j *judgement) meetEarlier() (duplicate bool, first firstSeen) {
	id := string(j.row.CitizenID)
	if id == "" || j.row.Name == "" {
		return false, firstSeen{}
	}
	first, met := j.seen[id]
	if met && first.name != j.row.Name {
		j.reject(name, "citizen id belongs to a person with another name", fmt.Sprintf("该公民身份号码在第%d行属于另一姓名", first.row))
		return false, firstSeen{}
	}
	if met && first.kept {
		return true, first
	}
	j.seen[id] = firstSeen{name: j.row.Name, sheet: j.g.sheet, row: j.l.row, kept: j.rejections == 0}
	return false, firstSeen{}
}

// codes reads the columns with few possible words.
func (j *judgement) codes() {
	if text := j.text(sex); !unknown(text) {
		switch s, ok := readSex(text); {
		case !ok:
			j.say(sex, "sex is not readable; taken from the citizen id", "性别无法识别，以公民身份号码为准")
		case j.row.Sex != "" && s != j.row.Sex:
			j.say(sex, "sex differs from the citizen id", "性别与公民身份号码不符")
		}
	}
	if text := j.text(ethnicity); !unknown(text) {
		code, ok := readEthnicity(text)
		j.row.Ethnicity = code
		if !ok {
			j.say(ethnicity, "ethnic group is unknown; left out", "民族无法识别，未采用")
		}
	}
	text := j.text(testResult)
	if j.h.columns[testResult] == 0 && containsAny(text+j.text(testDate), "阴", "陰", "阳", "陽") {
		text = j.text(testDate) // date and result in one cell
	}
	result, ok := readResult(text)
	j.row.LastTestResult = result
	if !ok {
		j.say(testResult, "result of the last test is not readable; left out", "最近一次尿检结果无法识别，未采用")
	}
}

// dates reads the three dates of a row.
func (j *judgement) dates() {
	if d, ok := j.date(firstUse, "date of first use is not a date; left out", "首次吸毒时间不是日期，未采用"); ok {
		j.row.FirstUse = d.monthly()
	}
	if d, ok := j.date(agreement, "date of the agreement is not a date; left out", "社区戒毒协议日期不是日期，未采用"); ok {
		j.row.AgreementDate = d.String()
	}
	if d, ok := j.date(testDate, "date of the last test is not a date; left out", "最近一次尿检日期不是日期，未采用"); ok {
		j.row.LastTestDate = d.String()
	}
}

func (j *judgement) date(f field, en, zh string) (date, bool) {
	c := j.cell(j.l, f)
	if c == nil || unknown(c.text) {
		return date{}, false
	}
	if f == testDate && !c.number {
		text := withoutResult(c.text)
		if unknown(text) && j.h.columns[testResult] == 0 {
			return date{}, false // the result alone
		}
		c = &cell{text: text}
	}
	d, ok := readDate(c, j.g.date1904)
	if !ok {
		j.say(f, en, zh)
	}
	return d, ok
}

// texts reads what is kept as written.
func (j *judgement) texts() {
	j.row.Household = known(j.text(household))
	j.row.Residence = known(j.text(residence))
	j.row.Phone = phones(j.text(phone))
	j.row.FamilyPhone = phones(j.text(familyPhone))
	j.row.Responsible = names(j.text(responsible))
	j.row.Note = tidy(j.text(note))
}

func known(s string) string {
	if unknown(s) {
		return ""
	}
	return tidy(s)
}

// phones keeps numbers as they were written but for width and spaces; words in place of a number are no phone.
func phones(s string) string {
	if digits(s) == 0 {
		return ""
	}
	return strings.Join(strings.FieldsFunc(tidy(s), func(r rune) bool { return strings.ContainsRune("、,，;；/ ", r) }), "、")
}

// names parts several names; a space inside a short one is padding (李　明).
func names(s string) string {
	if unknown(s) {
		return ""
	}
	var out []string
	for _, part := range strings.FieldsFunc(tidy(s), func(r rune) bool { return strings.ContainsRune("、,，;；/", r) }) {
		words := strings.Fields(part)
		if joined := strings.Join(words, ""); utf8.RuneCountInString(joined) <= 3 {
			words = []string{joined}
		}
		out = append(out, words...)
	}
	return strings.Join(out, "、")
}
