package imports

import (
	"archive/zip"
	"bytes"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/xuri/excelize/v2"

	"yidang/domain/record"
)

// sheetOf is one sheet of a workbook under test: rows of cells, and merges by reference.
type sheetOf struct {
	name   string
	rows   [][]any
	merges []string
	hidden bool
}

func workbookOf(t testing.TB, sheets ...sheetOf) []byte {
	t.Helper()
	f := excelize.NewFile()
	defer f.Close()
	check := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	for i, s := range sheets {
		if i == 0 {
			check(f.SetSheetName("Sheet1", s.name))
		} else if _, err := f.NewSheet(s.name); err != nil {
			t.Fatal(err)
		}
		for r, row := range s.rows {
			check(f.SetSheetRow(s.name, ref(1, r+1), &row))
		}
		for _, m := range s.merges {
			from, to, _ := strings.Cut(m, ":")
			check(f.MergeCell(s.name, from, to))
		}
	}
	for _, s := range sheets {
		check(f.SetSheetVisible(s.name, !s.hidden))
	}
	var b bytes.Buffer
	check(f.Write(&b))
	return b.Bytes()
}

var plain = []any{"序号", "村", "姓名", "性别", "身份证号", "管理类别", "最近一次尿检日期", "最近一次尿检结果", "联系电话", "民族"}

const (
	idA = "999999198001010011" // a man
	idB = "99999919800101002X" // a woman
	idC = "999999201206150039" // a man
)

func why(r Row) string {
	var words []string
	for _, reason := range r.Why {
		words = append(words, reason.Cell+" "+reason.Message)
	}
	return strings.Join(words, "; ")
}

// Ensure that the order of the checks is: who is it, do we have them, what is to be recorded.
func TestPrecedence(t *testing.T) {
	for name, c := range map[string]struct {
		rows    [][]any
		outcome Outcome // of the last row
		why     string
	}{
		"accepted":                     {[][]any{{1, "甲村", "张三", "男", idA, "严格"}}, Accepted, ""},
		"all that is wrong":            {[][]any{{1, "甲村", "", "女", "12", "一级"}}, Rejected, "C2 name is missing; E2 citizen id has neither 18 nor 15 characters; F2 management tier is unknown"},
		"no id":                        {[][]any{{1, "甲村", "张三", "男", "不详", "严格"}}, Rejected, "E2 citizen id is missing"},
		"no tier":                      {[][]any{{1, "甲村", "张三", "男", idA, ""}}, Rejected, "F2 management tier is missing"},
		"neither name nor id":          {[][]any{{1, "甲村", "", "男", "", "严格", "", "", "12000000001"}}, Rejected, "C2 name is missing; E2 citizen id is missing"},
		"no village":                   {[][]any{{1, "甲村", "张三", "男", idA, "严格"}, {2, "甲村", "李四", "女", idB, "严格"}, {3, "", "王五", "男", idC, "严格"}}, Accepted, ""},
		"no village where all have it": {[][]any{{1, "甲村", "张三", "男", idA, "严格"}, {2, "甲村", "李四", "女", idB, "严格"}, {3, "甲村", "李四", "女", idB, "严格"}, {4, "", "王五", "男", idC, "严格"}}, AcceptedWithWarning, "B5 village is missing"},
		"no village at all":            {[][]any{{1, "", "张三", "男", idA, "严格"}}, AcceptedWithWarning, "B2 village is missing"},
		"two warnings":                 {[][]any{{1, "甲村", "张三", "女", "999999800101001", "严格"}}, AcceptedWithWarning, "E2 15-digit id was extended to 18 digits; D2 sex differs from the citizen id"},
		"duplicate with mistakes":      {[][]any{{1, "甲村", "张三", "男", idA, "严格"}, {2, "乙村", "张　三", "女", "999999800101001", "一级", "2026-13-40"}}, Duplicate, "E3 same person as an earlier row (row 2)"},
		"duplicate of a rejected row":  {[][]any{{1, "甲村", "张三", "男", idA, "一级"}, {2, "甲村", "张三", "男", idA, "严格"}}, Accepted, ""},
		"other name than rejected row": {[][]any{{1, "甲村", "张三", "男", idA, "一级"}, {2, "甲村", "李四", "男", idA, "严格"}}, Rejected, "C3 citizen id belongs to a person with another name"},
		"same name, other id":          {[][]any{{1, "甲村", "张三", "男", idA, "严格"}, {2, "甲村", "张三", "男", idC, "严格"}}, Accepted, ""},
		"after a conflict":             {[][]any{{1, "甲村", "张三", "男", idA, "严格"}, {2, "甲村", "李四", "男", idA, "严格"}, {3, "甲村", "张三", "男", idA, "严格"}}, Duplicate, "E4 same person as an earlier row (row 2)"},
		"number":                       {[][]any{{1, "甲村", "张三", "男", int64(999999198001010011), "严格"}}, Rejected, "E2 citizen id was typed as a number, so its last digits are lost"},
		"exponent":                     {[][]any{{1, "甲村", "张三", "男", "9.99999E+17", "严格"}}, Rejected, "E2 citizen id was typed as a number, so its last digits are lost"},
		"15-digit number":              {[][]any{{1, "甲村", "张三", "男", int64(999999800101001), "严格"}}, AcceptedWithWarning, "E2 15-digit id was extended to 18 digits"},
		"lost digits in text":          {[][]any{{1, "甲村", "张三", "男", "999999198001010000", "严格"}}, Rejected, "E2 check digit is wrong; the last digits seem to be lost, as when a citizen id is typed as a number"},
		"remark in the name":           {[][]any{{1, "甲村", "张三（已故）", "男", idA, "严格"}}, Rejected, "C2 name holds characters that no name has"},
		"number for a name":            {[][]any{{1, "甲村", 12000000001, "男", idA, "严格"}}, Rejected, "C2 name holds characters that no name has"},
		"nothing worth a warning":      {[][]any{{1, "甲村", "张三", "", idA, "严格", "未检", "未检", "无", ""}}, Accepted, ""},
		"struck out":                   {[][]any{{1, "甲村", "张三", "/", idA, "严格", "—", "-", "——", "不详"}}, Accepted, ""},
		"unreadable codes":             {[][]any{{1, "甲村", "张三", "?", idA, "严格", "", "拒检", "", "火星族"}}, AcceptedWithWarning, "D2 sex is not readable; taken from the citizen id; J2 ethnic group is unknown; left out; H2 result of the last test is not readable; left out"},
		"a month will do":              {[][]any{{1, "甲村", "张三", "男", idA, "严格", "2026.5"}}, Accepted, ""},
		"tier like above":              {[][]any{{1, "甲村", "张三", "男", idA, "严格"}, {2, "同上", "李四", "女", idB, "〃"}}, Accepted, ""},
		"ditto without a line above":   {[][]any{{1, "甲村", "李四", "女", idB, "〃"}}, Rejected, "F2 management tier is missing"},
		"office without an id":         {[][]any{{1, "甲村", "张三", "男", "", "严格", "", "", "家属电话：12000000001"}}, Rejected, "E2 citizen id is missing"},
	} {
		r := read(t, workbookOf(t, sheetOf{name: "表", rows: append([][]any{plain}, c.rows...)}))
		last := r.Rows[len(r.Rows)-1]
		if last.Outcome != c.outcome || why(last) != c.why || len(r.Rows) != len(c.rows) {
			t.Errorf("%s: %s %q, want %s %q", name, last.Outcome, why(last), c.outcome, c.why)
		}
	}
}

// Ensure that several rosters are read, one person is known across them, and what is left out is said.
func TestSheets(t *testing.T) {
	r := read(t, workbookOf(t,
		sheetOf{name: "封面", rows: [][]any{{"示范镇"}, {"花名册"}}},
		sheetOf{name: "干部", rows: [][]any{{"姓名", "身份证号", "职务"}, {"周敏", idC, "民警"}}},
		sheetOf{name: "前进村", rows: [][]any{{"姓名", "身份证号", "管控级别"}, {"张三", idA, "严管"}}},
		sheetOf{name: "去年", hidden: true, rows: [][]any{{"姓名", "身份证号", "管控级别"}, {"王五", idC, "一般"}}},
		sheetOf{name: "双河村", rows: [][]any{{"姓名", "身份证号", "管控级别"}, {"张三", idA, "一般"}, {"李四", idB, "重点"}, {"示例", idC, "一般"}}},
	))
	want := []Judgement{
		{Row: 2, Sheet: "前进村", Outcome: Accepted, Name: "张三", CitizenID: idA, Tier: TierStrict, Village: "前进村"},
		{Row: 2, Sheet: "双河村", Outcome: Duplicate, Name: "张三", CitizenID: idA, Why: `same person as an earlier row (row 2 of sheet "前进村")`},
		{Row: 3, Sheet: "双河村", Outcome: Accepted, Name: "李四", CitizenID: idB, Tier: TierPriority, Village: "双河村"},
	}
	if got := r.Judgements(); !slices.Equal(got, want) {
		t.Errorf("got %+v", got)
	}
	for _, part := range []string{`"封面": no heading`, `"干部": no column for the management tier`, `"去年": hidden`, `sheet "双河村" row 4: example`} {
		if !strings.Contains(strings.Join(r.Ignored, "\n"), part) {
			t.Errorf("%q is not among %q", part, r.Ignored)
		}
	}
}

// Ensure that merged cells speak for their rows and only for those: a person over two lines is one person, a merge over
// a subtotal makes nobody, and merges that overlap in a broken file give nobody another village.
func TestMerges(t *testing.T) {
	heading := []any{"村", "姓名", "身份证号", "管理类别", "包保责任人", "联系电话"}
	r := read(t, workbookOf(t, sheetOf{name: "表", rows: [][]any{heading,
		{"甲村", "张三", idA, "严格", "周敏", "12000000001"},
		{nil, nil, nil, nil, nil, "12000000002"},
		{nil, "李四", idB, nil, nil, "12000000003"},
		{nil, "小计", 2},
		{nil, "王五", idC, "一般", "李　明", "12000000004"},
	}, merges: []string{"A2:A6", "B2:B3", "C2:C3", "D2:D4", "E2:E4"}}))
	if len(r.Rows) != 3 || r.Rows[1].Tier != TierStrict || r.Rows[1].Responsible != "周敏" || r.Rows[2].Village != "甲村" || r.Rows[2].Responsible != "李明" {
		t.Errorf("%+v", r.Rows)
	}
	if !slices.Contains(r.Ignored, "row 3: continues the person above") || !slices.Contains(r.Ignored, "row 5: subtotal") {
		t.Errorf("ignored %q", r.Ignored)
	}
}

// Ensure that text files of all kinds keep the row numbers that the office sees, with blank lines and breaks in cells.
func TestText(t *testing.T) {
	text := "sep=;\r\n示范镇花名册\r\n\r\n村;姓名;身份证号;管理类别;备注\r\n甲村;张三;=\"" + idA + "\";严格;\"第一行\n第二行; \"\"完\"\"\"\r\n\r\n;李四;'" + idB + ";重点;\r\n"
	r := read(t, []byte(text))
	if len(r.Rows) != 2 || r.Rows[0].Row != 4 || r.Rows[0].Note != `第一行 第二行; "完"` || r.Rows[1].Row != 6 || r.Rows[1].CitizenID != idB || r.Rows[1].Village != "甲村" || r.Title != "示范镇花名册" {
		t.Errorf("%+v", r.Rows)
	}
}

// Ensure that the workbook is found where the package says that it is.
func TestReadWorkbookOfAnotherName(t *testing.T) {
	raw, _ := generate(t, GenerateOptions{Rows: 30})
	want := read(t, raw)
	from, err := zip.NewReader(bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		t.Fatal(err)
	}
	parts := map[string]string{}
	for _, f := range from.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		parts[strings.ReplaceAll(f.Name, "workbook.xml", "workbook22.xml")] = strings.ReplaceAll(string(content), "workbook.xml", "workbook22.xml")
	}
	if parts["xl/workbook22.xml"] == "" {
		t.Fatal("nothing was renamed")
	}
	if got := read(t, zipOf(t, parts)); !slices.Equal(got.Judgements(), want.Judgements()) {
		t.Errorf("got %+v, want %+v", got.Judgements(), want.Judgements())
	}
}

// Ensure that each file that cannot be read is refused by a problem that says what to do, and that limits hold.
func TestReadRefuses(t *testing.T) {
	good, _ := generate(t, GenerateOptions{Rows: 30})
	small := DefaultLimits()
	for name, c := range map[string]struct {
		raw    []byte
		limits Limits
		want   string
	}{
		"empty":             {nil, small, "is empty"},
		"too large":         {good, Limits{Bytes: 100, Unzipped: 1 << 20, Rows: 100}, "larger than"},
		"unpacks too large": {good, Limits{Bytes: 1 << 20, Unzipped: 10_000, Rows: 100}, "when unpacked"},
		"too many lines":    {good, Limits{Bytes: 1 << 20, Unzipped: 1 << 20, Rows: 20}, "more than 20 lines"},
		"too many in text":  {[]byte("姓名,身份证号,管理类别\n" + strings.Repeat("张三,1,严格\n", 30)), Limits{Bytes: 1 << 20, Unzipped: 1 << 20, Rows: 20}, "more than 20 lines"},
		"xls":               {[]byte("\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1rest"), small, ".xls"},
		"cut":               {good[:len(good)/2], small, "damaged"},
		"picture":           {[]byte("\x89PNG\r\n\x1a\n\x00\x00"), small, "neither a workbook nor text"},
		"web page":          {[]byte("\xEF\xBB\xBF\r\n<html><table><tr><td>姓名</td></tr></table></html>"), small, "web page"},
		"pdf":               {[]byte("%PDF-1.4\n1 0 obj"), small, "document"},
		"latin":             {[]byte("name;id\nM\xffller;1\n"), small, "neither UTF-8 nor GB18030"},
		"other text":        {[]byte("Dear office,\nplease find attached\n"), small, "no heading"},
		"no tier":           {[]byte("姓名,身份证号\n张三,1\n"), small, "management tier"},
		"nobody":            {[]byte("姓名,身份证号,管理类别\n合计,0\n"), small, "no person"},
		"open quote":        {[]byte("姓名,身份证号,管理类别\n\"张三,1,严格\n"), small, "quotation mark"},
		"other workbook":    {workbookOf(t, sheetOf{name: "a", rows: [][]any{{"x", "y"}, {1, 2}}}), small, "no heading"},
		"ods":               {zipOf(t, map[string]string{"mimetype": "application/vnd.oasis.opendocument.spreadsheet"}), small, "another format"},
		"docx":              {zipOf(t, map[string]string{"[Content_Types].xml": "<Types/>", "word/document.xml": "<a/>"}), small, "document"},
		"archive":           {zipOf(t, map[string]string{"花名册.xlsx": "x"}), small, "archive"},
		"no workbook in it": {zipOf(t, map[string]string{"[Content_Types].xml": "<Types/>", "_rels/.rels": "<a/>"}), small, "damaged"},
		"bomb":              {zipOf(t, map[string]string{"xl/_rels/workbook.xml.rels": "<a/>", "xl/workbook.xml": strings.Repeat(" ", 20<<20)}), Limits{Bytes: 1 << 20, Unzipped: 10 << 20, Rows: 100}, "when unpacked"},
	} {
		_, err := Read(bytes.NewReader(c.raw), int64(len(c.raw)), name, c.limits)
		var p *record.Problem
		if !errors.As(err, &p) || p.Kind != record.Invalid || p.Remedy == "" || p.Zh == "" || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func zipOf(t testing.TB, parts map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for name, content := range parts {
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, content); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// handMade is a workbook with the given sheet, shared texts and formats, as other programs than excelize write them.
func handMade(t testing.TB, sheet string) []byte {
	return zipOf(t, map[string]string{
		"XL\\Workbook.xml":           `<x:workbook xmlns:x="s" xmlns:rel="r"><x:sheets><x:sheet name="表" sheetId="1" rel:id="rId9"/></x:sheets></x:workbook>`,
		"xl/_rels/workbook.xml.rels": `<Relationships><Relationship Id="rId9" Type="t/worksheet" Target="/xl/worksheets/other.xml"/><Relationship Id="rId2" Type="t/sharedStrings" Target="SharedStrings.xml"/><Relationship Id="rId3" Type="t/styles" Target="styles.xml"/></Relationships>`,
		"xl/sharedStrings.xml":       `<sst><si><r><t>姓</t></r><r><t>名</t></r><rPh><t>xing</t></rPh></si><si><t>张_x000D_三</t></si></sst>`,
		"xl/styles.xml":              `<styleSheet><numFmts><numFmt numFmtId="200" formatCode="[$-804]yyyy\-m\-d;@"/><numFmt numFmtId="201" formatCode="0&quot;day&quot;"/></numFmts><cellStyleXfs><xf numFmtId="14"/></cellStyleXfs><cellXfs><xf numFmtId="0"/><xf numFmtId="200"/><xf numFmtId="201"/></cellXfs></styleSheet>`,
		"xl/worksheets/other.xml":    sheet,
	})
}

// Ensure that what other programs write is read: prefixes, rich and inline texts, cells without references, cached
// values of formulas, dates as text, and sheets that name their last cell.
func TestForeignWorkbook(t *testing.T) {
	r := read(t, handMade(t, `<x:worksheet><x:sheetData><x:row><x:c t="s"><x:v>0</x:v></x:c><x:c t="inlineStr"><x:is><x:t>身份证号</x:t></x:is></x:c><x:c t="str"><x:f>A9</x:f><x:v>管理类别</x:v></x:c><x:c t="inlineStr"><x:is><x:t>最近尿检日期</x:t></x:is></x:c><x:c t="inlineStr"><x:is><x:t>签订协议日期</x:t></x:is></x:c></x:row>
		<x:row r="5"><x:c r="A5" t="s"><x:v>1</x:v></x:c><x:c r="B5" t="str"><x:f>"9"</x:f><x:v>`+idA+`</x:v></x:c><x:c r="C5" t="inlineStr"><x:is><x:r><x:t>严</x:t></x:r><x:r><x:t>格</x:t></x:r></x:is></x:c><x:c r="D5" s="1"><x:v>1.5E1</x:v></x:c><x:c r="E5" t="d"><x:v>2026-05-04T00:00:00</x:v></x:c></x:row>
		<x:row r="1048576"><x:c r="XFD1048576"><x:v>7</x:v></x:c></x:row></x:sheetData></x:worksheet>`))
	if len(r.Rows) != 1 {
		t.Fatalf("%+v", r.Rows)
	}
	row := r.Rows[0]
	if row.Row != 5 || row.Name != "张三" || row.CitizenID != idA || row.Tier != TierStrict || row.AgreementDate != "2026-05-04" {
		t.Errorf("%+v", row)
	}
	if got := why(row); got != "D5 date of the last test is not a date; left out; village is missing" && got != " village is missing; D5 date of the last test is not a date; left out" {
		t.Errorf("why %q", got)
	}
}

// Ensure that cells are read as excelize reads them.
func TestAgainstExcelize(t *testing.T) {
	raw, err := os.ReadFile("testdata/drugs-2026q3.xlsx")
	if err != nil {
		t.Fatal(err)
	}
	f, err := excelize.OpenReader(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := f.GetRows("花名册", excelize.Options{RawCellValue: true})
	if err != nil {
		t.Fatal(err)
	}
	cells := 0
	for _, row := range read(t, raw).Rows {
		for j, want := range rows[row.Row-1] {
			got := row.Line[letters(j+1)]
			if got != cleanCell(want) {
				t.Errorf("%s: %q, want %q", ref(j+1, row.Row), got, want)
			}
			cells++
		}
	}
	if cells < 900 {
		t.Errorf("only %d cells compared", cells)
	}
}

// Ensure that no file makes the reader panic, loop or lie: what it accepts has a name, a number and a tier.
func FuzzRead(f *testing.F) {
	good, _ := generate(f, GenerateOptions{Rows: 12})
	f.Add(good)
	f.Add(handMade(f, `<worksheet><sheetData><row><c t="s"><v>0</v></c></row></sheetData><mergeCells><mergeCell ref="A1:XFD1048576"/></mergeCells></worksheet>`))
	f.Add([]byte("村,姓名,身份证号,管理类别\n甲村,张三," + idA + ",严格\n小计,1\n"))
	f.Add([]byte("\xff\xfe\x00\x00"))
	f.Add([]byte("姓名\t身份证号\t等级\n\"张\n三\"\t" + idB + "\t一般"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := Read(bytes.NewReader(raw), int64(len(raw)), "f", Limits{Bytes: 1 << 20, Unzipped: 4 << 20, Rows: 500})
		checkRead(t, r, err)
	})
}

// FuzzSheet gets past the zip's checksums to the XML of the sheet.
func FuzzSheet(f *testing.F) {
	f.Add(`<worksheet><sheetData><row r="3"><c r="A3" t="s"><v>0</v></c><c t="inlineStr"><is><t>身份证号</t></is></c></row></sheetData><mergeCells><mergeCell ref="A1:XFD1048576"/></mergeCells></worksheet>`)
	f.Add(`<worksheet><sheetData><row r="1"><c r="XFD1" t="str"><v>姓名</v></c></row><row r="0"/></sheetData>`)
	f.Fuzz(func(t *testing.T, sheet string) {
		raw := handMade(t, sheet)
		r, err := Read(bytes.NewReader(raw), int64(len(raw)), "f", Limits{Bytes: 1 << 20, Unzipped: 4 << 20, Rows: 500})
		checkRead(t, r, err)
	})
}

func checkRead(t *testing.T, r *Roster, err error) {
	t.Helper()
	if err != nil {
		if record.KindOf(err) != record.Invalid || r != nil {
			t.Fatalf("%v", err)
		}
		return
	}
	for _, row := range r.Rows {
		if row.Row < 1 || row.Outcome == "" || row.Outcome != Rejected && (row.Name == "" || len(row.CitizenID) != 18) ||
			(row.Outcome == Accepted || row.Outcome == AcceptedWithWarning) && row.Tier == "" || (row.Outcome == Accepted) != (len(row.Why) == 0) {
			t.Fatalf("%+v", row)
		}
	}
	if _, err := r.JSON(); err != nil {
		t.Fatal(err)
	}
}
