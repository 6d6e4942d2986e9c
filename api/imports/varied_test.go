package imports

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/xuri/excelize/v2"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/unicode"
	"pgregory.net/rapid"

	"yidang/domain/person"
	"yidang/domain/record"
)

// table is a sheet before it is a workbook or text.
type table struct {
	rows   [][]any
	merges [][4]int // row1, col1, row2, col2 from 1
}

func (t *table) add(cells ...any) int {
	t.rows = append(t.rows, cells)
	return len(t.rows)
}

// workbook writes the table with excelize, beside another sheet or two.
func (t *table) workbook(tb rapid.TB, before, date1904 bool) []byte {
	f := excelize.NewFile()
	defer f.Close()
	check := func(err error) {
		if err != nil {
			tb.Fatal(err)
		}
	}
	sheet := "Sheet1"
	if before {
		check(f.SetCellStr(sheet, "B2", "说明：本表由各村填写"))
		sheet = "人员"
		_, err := f.NewSheet(sheet)
		check(err)
	}
	if date1904 {
		check(f.SetWorkbookProps(&excelize.WorkbookPropsOptions{Date1904: &date1904}))
	}
	for i, row := range t.rows {
		for j, v := range row {
			if v == nil || v == "" {
				continue
			}
			at := ref(j+1, i+1)
			if d, ok := v.(time.Time); ok {
				epoch := time.Date(1899, 12, 30, 0, 0, 0, 0, record.Zone)
				if date1904 {
					epoch = time.Date(1904, 1, 1, 0, 0, 0, 0, record.Zone)
				}
				check(f.SetCellInt(sheet, at, int64(d.Sub(epoch).Hours()/24)))
				if d.Day()%2 == 0 { // half of them with a date format, built in or of their own
					code := `yyyy"年"m"月"d"日";@`
					style, err := f.NewStyle(&excelize.Style{NumFmt: 14, CustomNumFmt: map[bool]*string{true: &code}[d.Day()%4 == 0]})
					check(err)
					check(f.SetCellStyle(sheet, at, at, style))
				}
				continue
			}
			check(f.SetCellValue(sheet, at, v))
		}
	}
	for _, m := range t.merges {
		check(f.MergeCell(sheet, ref(m[1], m[0]), ref(m[3], m[2])))
	}
	var b bytes.Buffer
	check(f.Write(&b))
	return b.Bytes()
}

// text writes the table as a spreadsheet would export it: merges are gone, numbers are shown.
func (t *table) text(tb rapid.TB, separator rune) string {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	w.Comma = separator
	w.UseCRLF = true
	for _, row := range t.rows {
		out := make([]string, len(row))
		for j, v := range row {
			switch v := v.(type) {
			case nil:
			case time.Time:
				out[j] = v.Format("2006/1/2")
			case int64:
				out[j] = strconv.FormatInt(v, 10)
				if v >= 1e15 {
					out[j] = strconv.FormatFloat(float64(v), 'E', 5, 64)
				}
			default:
				out[j] = fmt.Sprint(v)
			}
		}
		if err := w.Write(out); err != nil {
			tb.Fatal(err)
		}
	}
	w.Flush()
	return b.String()
}

// layout is everything about a roster that must not change a judgement.
type layout struct {
	t        *rapid.T
	order    []field
	words    map[field][]string // group (or "") and word of each column
	depth    int
	village  string // how the village is written: filled, merged, once, section
	pages    int    // lines on a page, 0 for one page
	subtotal bool
	numbers  bool
}

var spellings = map[field][]string{
	number:      {"序号", "编号", "序 号", "No."},
	village:     {"村（社区）", "所在村", "村居", "所属社区", "行政村", "村\n（居）", "所在村(社区)", "村名", "社区"},
	name:        {"姓名", "姓　名", "人员姓名", "吸毒人员姓名", "姓名*", "姓名（必填）"},
	sex:         {"性别", "性 别", "性別"},
	citizenID:   {"公民身份号码", "身份证号", "身份证号码", "证件号码", "身份證號碼", "居民身份证号码", "ID号码", "身份证\n号码", "公民身份号码（18位）"},
	ethnicity:   {"民族", "族别"},
	household:   {"户籍地址", "户籍地", "户籍所在地", "户口所在地", "戶籍地址"},
	residence:   {"现住址", "居住地", "现居住地", "现住地址", "家庭住址", "现居地", "住址"},
	phone:       {"联系电话", "手机", "本人电话", "联系方式", "手机号码", "聯繫電話"},
	familyPhone: {"家属电话", "家属联系方式", "家属联系电话"},
	tier:        {"管理类别", "管控类别", "类别", "管理级别", "等级", "管控等级", "管理類別", "管理类别\n（严格/重点/一般）"},
	responsible: {"包保责任人", "责任人", "帮教责任人", "包保責任人", "责任民警"},
	firstUse:    {"首次吸毒时间", "初次吸毒时间", "首次吸食毒品时间", "首次吸毒时间（年月）"},
	agreement:   {"社区戒毒协议日期", "协议签订日期", "社区戒毒协议签订时间", "签订协议时间"},
	testDate:    {"最近一次尿检日期", "尿检日期", "最近尿检时间", "末次检测日期"},
	testResult:  {"最近一次尿检结果", "尿检结果", "检测结果"},
	note:        {"备注", "備註", "备  注"},
}

// distractors are columns that look like ours and are not.
var distractors = []string{"曾用名", "户籍性质", "戒毒类别", "毒品种类", "责任人电话", "帮教小组成员单位", "首次吸毒年龄", "尿检次数", "文化程度", "出生日期", "家属姓名", "家属身份证号", "婚姻状况", "户籍地派出所", "是否签订协议"}

// varied is a person with the lines that can be written of them.
type varied struct {
	cells map[field]any
	want  Judgement
	row   Row // the other fields, when accepted
}

// people draws people by the kinds of the sample and of this test.
func people(t *rapid.T, villages []string) []varied {
	m := &maker{rand: rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1)), o: GenerateOptions{Clean: true}.withDefaults(), used: map[person.CitizenID]bool{}}
	var out []varied
	for _, place := range villages {
		for range rapid.IntRange(1, 6).Draw(t, "people") {
			i := len(out)
			if m.last.want.CitizenID == "" {
				i = 0
			}
			m.o.Clean = rapid.Bool().Draw(t, "clean")
			if m.o.Clean {
				i = 0
			} else if i > 0 {
				i = rapid.IntRange(0, 19).Draw(t, "kind")
			}
			l := m.line(i, place)
			out = append(out, vary(t, l, m.o.Clean))
		}
	}
	return out
}

// vary writes the same line in one of many ways.
func vary(t *rapid.T, l made, clean bool) varied {
	v := varied{want: l.want, cells: map[field]any{name: l.name, sex: l.sex, citizenID: l.id, ethnicity: l.people, household: l.household, residence: l.residence,
		phone: l.phone, familyPhone: l.family, tier: l.tier, responsible: l.officer, firstUse: l.first, agreement: l.agreement, testDate: l.tested, testResult: l.result}}
	if n, ok := l.agreement.(int); ok {
		v.cells[agreement] = time.Date(1899, 12, 30+n, 0, 0, 0, 0, record.Zone)
	}
	if !clean {
		return v
	}
	choose := func(label string, from ...any) any { return rapid.SampledFrom(from).Draw(t, label) }
	id := string(l.want.CitizenID)
	wide := strings.Map(func(r rune) rune { return r + 0xFEE0 }, id)
	v.cells[citizenID] = choose("id", id, wide, id[:6]+" "+id[6:14]+" "+id[14:], id[:6]+"-"+id[6:14]+"-"+id[14:], "　"+id+"　", strings.ToLower(id), "'"+id, "\t"+id)
	if id[6:8] == "19" && rapid.IntRange(0, 3).Draw(t, "old id") == 0 {
		v.want.Outcome, v.want.Why = AcceptedWithWarning, "15-digit id was extended"
		short, _ := strconv.ParseInt(id[:6]+id[8:17], 10, 64)
		v.cells[citizenID] = choose("short id", short, id[:6]+id[8:17])
	}
	n := []rune(l.want.Name)
	v.cells[name] = choose("name", l.want.Name, string(n[:1])+"　"+string(n[1:]), " "+l.want.Name+" ")
	v.cells[tier] = choose("tier", map[string][]any{
		TierStrict:   {"严格", "严管", "严格管理对象", "嚴格管理對象", "严格管理", "严格 管理", "严格类"},
		TierPriority: {"重点", "重点管理对象", "重點", "重点管控", "重点人员"},
		TierGeneral:  {"一般", "一般管理对象", "一般類", "一般管理"},
	}[l.want.Tier]...)
	day := time.Date(2025, time.Month(rapid.IntRange(1, 12).Draw(t, "month")), rapid.IntRange(1, 28).Draw(t, "day"), 0, 0, 0, 0, record.Zone)
	eight, _ := strconv.ParseInt(day.Format("20060102"), 10, 64)
	han := strings.NewReplacer("0", "〇", "1", "一", "2", "二", "3", "三", "4", "四", "5", "五", "6", "六", "7", "七", "8", "八", "9", "九")
	v.cells[agreement] = choose("date", day, eight, day.Format("2006年1月2日"), day.Format("2006.1.2"), day.Format("2006/01/02"), day.Format("2006-01-02 15:04:05"),
		day.Format("06.1.2"), day.Format("2006年01月02号"), "２０２５．"+day.Format("1.2"), day.Format("20060102"),
		han.Replace(day.Format("2006"))+"年"+hanCount(int(day.Month()))+"月"+hanCount(day.Day())+"日", day.Format("2006.1.2")+"至2028.8.1")
	first := choose("first", "2015年", "2015", "不详", "2009/3", "2009年3月", "2009.3", "200903", "二〇〇九年三月", "", "约2015年", int64(2015), int64(200903), 2009.3, "/")
	v.cells[firstUse] = first
	phoneNumber, _ := strconv.ParseInt(l.phone, 10, 64)
	v.cells[phone] = choose("phone", l.phone, phoneNumber, l.phone[:3]+" "+l.phone[3:7]+" "+l.phone[7:], strings.Map(func(r rune) rune { return r + 0xFEE0 }, l.phone))
	v.row = Row{AgreementDate: day.Format(record.Day), Phone: l.phone, Responsible: l.officer}
	switch s := fmt.Sprint(first); {
	case strings.Contains(s, "2015"):
		v.row.FirstUse = "2015"
	case strings.ContainsAny(s, "9九"):
		v.row.FirstUse = "2009-03"
	}
	return v
}

// hanCount writes 1 to 99 in words.
func hanCount(n int) string {
	han := []rune("〇一二三四五六七八九")
	s := ""
	if n >= 20 {
		s = string(han[n/10])
	}
	if n >= 10 {
		s += "十"
	}
	if n%10 > 0 {
		s += string(han[n%10])
	}
	return s
}

func drawLayout(t *rapid.T) *layout {
	y := &layout{t: t, words: map[field][]string{}, depth: rapid.IntRange(1, 3).Draw(t, "heading lines"),
		village: rapid.SampledFrom([]string{"filled", "merged", "once", "section"}).Draw(t, "village"),
		pages:   rapid.SampledFrom([]int{0, 0, 3, 5}).Draw(t, "page"), subtotal: rapid.Bool().Draw(t, "subtotals"), numbers: rapid.Bool().Draw(t, "column numbers")}
	fields := []field{village, name, sex, citizenID, tier, ethnicity, household, residence, responsible, firstUse, agreement, note}
	if y.village == "section" {
		fields = fields[1:]
	}
	var columns []field
	for _, f := range rapid.Permutation(fields).Draw(t, "order") {
		columns = append(columns, f)
		if rapid.IntRange(0, 9).Draw(t, "distractor") == 0 {
			columns = append(columns, field(rapid.SampledFrom(distractors).Draw(t, "which")))
		}
	}
	// The columns of a group stand together.
	for _, group := range [][]field{{phone, familyPhone}, {testDate, testResult}} {
		columns = slices.Insert(columns, rapid.IntRange(0, len(columns)).Draw(t, "place"), group...)
		columns = columns[:len(columns):len(columns)]
	}
	if i, j := slices.Index(columns, phone), slices.Index(columns, familyPhone); j != i+1 { // the tests went in between
		columns = slices.Delete(columns, j, j+1)
		columns = slices.Insert(columns, slices.Index(columns, phone)+1, familyPhone)
	}
	y.order = append([]field{number}, columns...)
	for _, f := range y.order {
		word := string(f)
		if s := spellings[f]; s != nil {
			word = rapid.SampledFrom(s).Draw(t, "spelling")
		}
		y.words[f] = []string{"", word}
	}
	if y.depth > 1 {
		y.words[phone], y.words[familyPhone] = []string{"联系方式", "本人电话"}, []string{"联系方式", "家属电话"}
		y.words[testDate], y.words[testResult] = []string{"最近一次尿检", "日期"}, []string{"最近一次尿检", "结果"}
	}
	return y
}

// heading writes the heading, merged as people merge it or not at all.
func (y *layout) heading(tb *table) {
	if y.depth == 1 {
		row := make([]any, len(y.order))
		for j, f := range y.order {
			row[j] = y.words[f][1]
		}
		tb.add(row...)
	} else {
		if y.depth == 3 { // a line of groups above all
			row := make([]any, len(y.order))
			row[0], row[len(row)/2] = "基本情况", "管控情况"
			r := tb.add(row...)
			tb.merges = append(tb.merges, [4]int{r, 1, r, len(row) / 2}, [4]int{r, len(row)/2 + 1, r, len(row)})
		}
		upper, lower := make([]any, len(y.order)), make([]any, len(y.order))
		low := rapid.Bool().Draw(y.t, "words below")
		top := len(tb.rows) + 1
		for j, f := range y.order {
			w := y.words[f]
			switch {
			case w[0] == "" && low && y.depth == 2 && f != name && f != citizenID:
				lower[j] = w[1]
			case w[0] == "":
				upper[j] = w[1]
				if !low {
					tb.merges = append(tb.merges, [4]int{top, j + 1, top + 1, j + 1})
				}
			default:
				lower[j] = w[1]
				if upper[j] = w[0]; f == familyPhone || f == testResult {
					upper[j] = nil
					tb.merges = append(tb.merges, [4]int{top, j, top, j + 1})
				}
			}
		}
		tb.add(upper...)
		tb.add(lower...)
	}
	if y.numbers {
		row := make([]any, len(y.order))
		for j := range row {
			row[j] = int64(j + 1)
		}
		tb.add(row...)
	}
}

// pageEnds writes what stands between two pages, if anything does.
func (y *layout) pageEnds(tb *table, people int, merge func()) bool {
	gap, again := rapid.Bool().Draw(y.t, "gap"), rapid.Bool().Draw(y.t, "again")
	if !y.subtotal && !gap && !again {
		return false
	}
	merge()
	if y.subtotal {
		tb.add(rapid.SampledFrom([]any{"小计", "本页合计", "小  计", "小計"}).Draw(y.t, "sum"), nil, int64(people))
	}
	if gap {
		tb.add()
	}
	if again {
		y.heading(tb)
	}
	return true
}

// write lays the people out and says on which row each stands.
func (y *layout) write(people []varied, villages []string) (*table, []Judgement) {
	tb := &table{}
	for range rapid.IntRange(0, 2).Draw(y.t, "titles") {
		tb.add(rapid.SampledFrom([]any{"示范镇吸毒人员花名册", "填报单位：示范镇派出所　填报日期：2026.9.28", "（2026年第三季度）", nil}).Draw(y.t, "title"))
	}
	y.heading(tb)
	var want []Judgement
	place, began := "", 0
	column := slices.Index(y.order, village)
	merge := func() {
		if y.village == "merged" && began > 0 && len(tb.rows) > began {
			tb.merges = append(tb.merges, [4]int{began, column + 1, len(tb.rows), column + 1})
		}
		began = 0
	}
	at := 0
	for i, p := range people {
		if y.pages > 0 && i > 0 && i%y.pages == 0 && y.pageEnds(tb, i, merge) {
			place = ""
		}
		row := make([]any, len(y.order))
		row[0] = int64(i + 1)
		for j, f := range y.order[1:] {
			row[j+1] = p.cells[f]
		}
		home := villages[at]
		for p.cells[household].(string)[:len(home)] != home {
			at++
			home = villages[at]
		}
		if home != place {
			merge()
			if y.village == "section" {
				tb.add(rapid.SampledFrom([]string{"%s", "一、%s", "%s（3人）"}).Draw(y.t, "section"))
				tb.rows[len(tb.rows)-1][0] = fmt.Sprintf(tb.rows[len(tb.rows)-1][0].(string), home)
			}
			began = len(tb.rows) + 1
		}
		if column > 0 && (home != place || y.village == "filled") {
			row[column] = home
		}
		place = home
		p.want.Row = tb.add(row...)
		want = append(want, p.want)
	}
	merge()
	if y.subtotal {
		tb.add("合计", nil, fmt.Sprintf("%d人", len(people)))
	}
	for range rapid.IntRange(0, 2).Draw(y.t, "notes") {
		tb.add(rapid.SampledFrom([]any{"注：1.管理类别按《方案》填写；2.本表一式两份。", "填表人：周敏　　审核人：李建国", "2.身份证号码按身份证填写，不得为空。", "以下空白"}).Draw(y.t, "note"))
	}
	return tb, want
}

// Ensure that any layout of the same people gives the same judgements, as a workbook and as text in any encoding.
func TestVariedRosters(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		villages := []string{"前进村", "双河村", "灯塔社区", "青龙村"}[:rapid.IntRange(1, 4).Draw(t, "villages")]
		people := people(t, villages)
		y := drawLayout(t)
		tb, want := y.write(people, villages)
		var raw []byte
		switch form := rapid.SampledFrom([]string{"xlsx", "xlsx", "utf8", "bom", "gb18030", "utf16"}).Draw(t, "form"); form {
		case "xlsx":
			raw = tb.workbook(t, rapid.Bool().Draw(t, "sheet before"), rapid.Bool().Draw(t, "1904"))
		default:
			text := tb.text(t, rapid.SampledFrom([]rune{',', '\t', ';'}).Draw(t, "separator"))
			raw = []byte(text)
			var err error
			switch form {
			case "bom":
				raw = append([]byte("\xEF\xBB\xBF"), raw...)
			case "gb18030":
				raw, err = simplifiedchinese.GB18030.NewEncoder().Bytes(raw)
			case "utf16":
				raw, err = unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewEncoder().Bytes(raw)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		r, err := Read(bytes.NewReader(raw), int64(len(raw)), "roster", DefaultLimits())
		if err != nil {
			t.Fatalf("%v\n%v", err, tb.rows)
		}
		defer func() {
			if t.Failed() {
				for i, row := range tb.rows {
					t.Logf("%d %q", i+1, fmt.Sprint(row...))
				}
				t.Logf("columns %+v\nignored %q", r.Columns, r.Ignored)
			}
		}()
		sameJudgements(t, r.Judgements(), want)
		for i, p := range people {
			got := r.Rows[i]
			if p.row.Phone != "" && (got.AgreementDate != p.row.AgreementDate || got.FirstUse != p.row.FirstUse || strings.NewReplacer("、", "").Replace(got.Phone) != p.row.Phone || got.Responsible != p.row.Responsible) {
				t.Fatalf("row %d: agreed %q, first use %q, phone %q, officer %q; want %+v from %v", got.Row, got.AgreementDate, got.FirstUse, got.Phone, got.Responsible, p.row, p.cells)
			}
		}
	})
}
