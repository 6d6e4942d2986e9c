package imports

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/xuri/excelize/v2"
)

// idD is a man, idE a woman.
const (
	idD = "999999198901152875"
	idE = "999999199101012908"
)

// Ensure that a column is found under the names that offices give it, and that one roster is not refused for them.
func TestSpellings(t *testing.T) {
	base := []any{"序号", "村（社区）", "姓名", "性别", "公民身份号码", "管理类别", "联系电话", "包保责任人"}
	for column, words := range map[int]string{
		1: "村(居)民委员会 村\\社区 管辖单位（村、社区） 村委 村级 管控村（社区） 单位（村） 镇村（社区） 乡镇（街道）、村（社区） 社区戒毒（康复）所在村 所在村： 村组",
		2: "管控人员姓名 管控对象 管控对象姓名 帮教对象 帮教对象姓名 被帮教人姓名 服务对象姓名 姓名（曾用名） 姓名/绰号 姓名及曾用名 人员 涉毒人员",
		4: "ID号码 身份证号： 身份证号码(18位，与身份证一致) 身份证号码（如有变更请注明：原号码、新号码，并附户籍证明材料复印件一份）",
		5: "吸毒人员管控等级 吸毒人员管理类别 戒毒人员管理等级 吸毒人员风险等级 帮教等级 帮扶等级 包保等级 管理类别： 管理类别（严格管理、重点管理、一般管理，由镇禁毒办按方案第九条认定） 管理类别(严格/重点/一般)由镇综治中心会同派出所于2026年7月评定",
		7: "2026年帮教责任人",
	} {
		for _, w := range strings.Fields(words) {
			head := slices.Clone(base)
			head[column] = w
			row := read(t, workbookOf(t, sheetOf{name: "表", rows: [][]any{head, {1, "前进村", "张三", "男", idD, "严格", "12000000001", "周敏"}}})).Rows[0]
			if row.Outcome != Accepted || row.Name != "张三" || row.Village != "前进村" || row.Tier != TierStrict || row.Responsible != "周敏" {
				t.Errorf("%s: %s %s %+v", w, row.Outcome, why(row), row)
			}
		}
	}
}

// Ensure that columns beside ours change nothing, on whichever side they stand: above all not who the person is, where,
// and in which tier.
func TestColumnsBeside(t *testing.T) {
	for _, w := range strings.Fields("2026年尿检次数 2025年以来检测次数 社工姓名 村干部姓名 联系人姓名 村医姓名 户主姓名 上季度管理类别 原管理类别 上次管控等级 调整前管控等级 户籍所在村 村组 备注： 微信ID号 " +
		"填表说明：1.本表由村（社区）填写，不得涂改；2.身份证号18位，按身份证填写。") {
		for _, at := range []int{0, 6} {
			head := slices.Insert([]any{"村（社区）", "姓名", "性别", "公民身份号码", "管理类别", "联系电话"}, at, any(w))
			cells := slices.Insert([]any{"前进村", "张三", "男", idD, "严格", "12000000001"}, at, any("王五"))
			row := read(t, workbookOf(t, sheetOf{name: "表", rows: [][]any{head, cells}})).Rows[0]
			if row.Outcome != Accepted || row.Name != "张三" || row.Village != "前进村" || row.Tier != TierStrict {
				t.Errorf("%s at %d: %s %s %+v", w, at, row.Outcome, why(row), row)
			}
		}
	}
}

// Ensure that a group over the person's columns does not take them for the officer's, and that years over test counts
// are part of the heading.
func TestGroups(t *testing.T) {
	r := read(t, workbookOf(t, sheetOf{name: "表", rows: [][]any{
		{"序号", "村", "帮教对象基本情况", nil, nil, nil, "联系方式", nil, "帮教责任人", nil, "尿检次数"},
		{nil, nil, "姓名", "性别", "身份证号", "管控等级", "本人", "家属", "姓名", "电话", 2024, 2025},
		{1, "前进村", "张三", "男", idD, "严格", "12000000001", "12000000002", "周敏", "12000000003", 3, 4},
	}, merges: []string{"A1:A2", "B1:B2", "C1:F1", "G1:H1", "I1:J1", "K1:L1"}}))
	row := r.Rows[0]
	if len(r.Rows) != 1 || row.Outcome != Accepted || row.Village != "前进村" || row.Name != "张三" || row.FamilyPhone != "12000000002" || row.Responsible != "周敏" {
		t.Errorf("%+v", r.Rows)
	}
}

// Ensure that a village is one village however a list writes it.
func TestVillageName(t *testing.T) {
	for in, want := range map[string]string{
		"前进村": "前进村", " 前 进 村 ": "前进村", "前进村村委会": "前进村", "前进村委会": "前进村", "前进村民委员会": "前进村", "前进村村民委员会": "前进村",
		"灯塔社区居委会": "灯塔社区", "灯塔社区居民委员会": "灯塔社区", "示范镇前进村": "前进村", "示范县示范镇前进村村委会": "前进村", "河东街道灯塔社区": "灯塔社区",
		"前进村（12人）": "前进村", "前进村\n(12人)": "前进村", "前进村12人": "前进村", "前进村3组": "前进村", "前进村第三村民小组": "前进村", "一、前进村": "前进村",
		"（二）前进村（共5人）": "前进村", "1.前进村": "前进村", "所属村：前进村": "前进村",
		// These are names of their own, or none.
		"古镇村": "古镇村", "石桥镇村": "石桥镇村", "三里村": "三里村", "新村": "新村", "灯塔居委会": "灯塔居委会", "前进": "前进", "示范镇": "示范镇", "派出所": "派出所",
	} {
		if got := VillageName(in); got != want || VillageName(got) != got {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// Ensure that a title names the village of a list, and nothing that only looks like one.
func TestTitleVillage(t *testing.T) {
	for in, want := range map[string]string{
		"示范镇前进村吸毒人员花名册": "前进村", "前进村吸毒人员花名册": "前进村", "2026年第三季度前进村 吸毒人员 花名册": "前进村", "2026年示范县示范镇前进村村委会社区戒毒（康复）人员台账": "前进村",
		"灯塔社区社区戒毒人员名单": "灯塔社区", "河东街道灯塔社区吸毒人员登记表": "灯塔社区", "示范区前进村吸毒人员一览表": "前进村", "2026年9月前进村村民委员会吸毒人员统计表": "前进村",
		"示范镇吸毒人员花名册": "", "示范镇社区戒毒人员花名册": "", "社区戒毒社区康复人员花名册": "", "示范镇各村吸毒人员花名册": "", "示范县农村吸毒人员花名册": "", "全镇各村（社区）吸毒人员台账": "",
		"示范镇前进村、双河村吸毒人员花名册": "", "示范镇村（社区）吸毒人员花名册": "", "吸毒人员花名册": "", "前进村": "", "河东街道社区康复人员花名册": "", "示范区社区戒毒人员花名册": "", "": "",
		"注：前进村名单已核实": "", "1张三男前进村2组在家名单": "", "张三，前进村，名单外": "",
	} {
		if got := titleVillage(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	head := []any{"序号", "姓名", "公民身份号码", "管控级别"}
	r := read(t, workbookOf(t,
		sheetOf{name: "Sheet1", rows: [][]any{{"示范镇前进村吸毒人员花名册", nil, nil, "2026年9月28日"}, head, {1, "张三", idA, "严格"}, {"双河村吸毒人员花名册"}, head, {1, "李四", idB, "重点"}}},
		sheetOf{name: "灯塔社区人员台账", rows: [][]any{head, {1, "王五", idC, "一般"}}},
		sheetOf{name: "Sheet3", rows: [][]any{{"前进村吸毒人员花名册"}, {"序号", "村", "姓名", "公民身份号码", "管控级别"}, {1, nil, "赵六", idD, "一般"}}}))
	var got []string
	for _, row := range r.Rows {
		got = append(got, row.Village)
	}
	if want := []string{"前进村", "双河村", "灯塔社区", ""}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q; %q", got, want, r.Ignored)
	}
}

// Ensure that of several lists below each other in one sheet each speaks for its own village, that sections and sheets
// name theirs in any of the usual ways, and that nobody gets the village of the list above.
func TestVillageOfList(t *testing.T) {
	head := []any{"序号", "姓名", "公民身份号码", "管控级别"}
	r := read(t, workbookOf(t,
		sheetOf{name: "1.石桥村（1人）", rows: [][]any{head, {1, "张三", idA, "严格"}}},
		sheetOf{name: "全镇", rows: [][]any{
			{"花名册"}, {"填报单位：前进村"}, head, {1, "李四", idB, "重点"}, {"合计", "1人"}, nil,
			{"花名册"}, {"填报单位：双河村村委会（盖章）"}, head, {1, "王五", idC, "一般"}, nil,
			{"单位：示范镇灯塔社区", nil, nil, "2026年9月28日"}, head, {1, "赵六", idD, "一般"}, nil,
			{"村（社区）：青龙村", nil, "填报时间：2026年9月28日"}, {"三、光明村", "共1人"}, {1, "钱七", idE, "一般"},
		}}))
	want := []string{"石桥村", "前进村", "双河村", "灯塔社区", "光明村"}
	var got []string
	for _, row := range r.Rows {
		got = append(got, row.Village)
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q; %q", got, want, r.Ignored)
	}
}

// Ensure that a tier is read with the other endings and scales that offices write beside it, and no other scale for it.
func TestTierWords(t *testing.T) {
	for in, want := range map[string]string{
		"重点（二级）": TierPriority, "严格管理（一级）": TierStrict, "一级（严格）": TierStrict, "一般性管理": TierGeneral, "重点人": TierPriority, "严格管理类别": TierStrict,
		"严格。": TierStrict, "一般级别": TierGeneral, "1.严格": TierStrict, "一般（原重点）": TierGeneral, "重点管理级": TierPriority,
		"一级": "", "高风险": "", "重点/严格": "", "非重点": "", "高风险（拟严格）": "", "待定": "", "管理": "",
	} {
		if got, ok := readTier(in); got != want || ok != (want != "") {
			t.Errorf("%q: %q", in, got)
		}
	}
}

// Ensure that what stands below a list is nobody, and that a person of whom little is known stays one.
func TestFoot(t *testing.T) {
	head := []any{"序号", "村", "姓名", "性别", "身份证号", "管控等级", "电话", "备注"}
	for _, foot := range [][]any{
		{nil, nil, "以上情况属实"}, {nil, nil, "村委会（盖章）"}, {"填表人", "王海燕", "审核人", "李建国"}, {"备注", nil, "本表一式两份"}, {"制表：王海燕", nil, nil, nil, "审核：李建国"},
		{"其中", nil, "男1人", nil, "女1人"}, {"其中：男", 1, "女", 1}, {"前进村", nil, "2人"}, {"…", "…", "…", "…", "…", "…"}, {"单位主要领导", nil, "王海燕", "分管领导", nil, "李建国"},
		{nil, nil, nil, nil, nil, nil, nil, "合计：2人"}, {"人数", nil, 2}, {"总人数", nil, "2人"},
	} {
		r := read(t, workbookOf(t, sheetOf{name: "表", rows: [][]any{head, {1, "前进村", "张三", "男", idA, "严格"}, foot}}))
		if len(r.Rows) != 1 || len(r.Ignored) != 1 {
			t.Errorf("%q: %+v", foot, r.Rows)
		}
	}
	for _, person := range [][]any{{2, nil, "李四（已故）"}, {nil, nil, "李四"}, {nil, nil, "李四（女）", nil, nil, "一般"}, {nil, nil, "？", nil, idB}, {nil, nil, "阿依古丽·买买提", "女"}} {
		r := read(t, workbookOf(t, sheetOf{name: "表", rows: [][]any{head, {1, "前进村", "张三", "男", idA, "严格"}, person}}))
		if len(r.Rows) != 2 || r.Rows[1].Outcome != Rejected {
			t.Errorf("%q: %+v", person, r.Ignored)
		}
	}
}

// Ensure that a citizen id typed with a Chinese keyboard's quotation mark before it is read.
func TestAroundCitizenID(t *testing.T) {
	for _, before := range []string{"’", "‘", "`", "＇", "“", "身份证号：", "公民身份号码:"} {
		r := read(t, workbookOf(t, sheetOf{name: "表", rows: [][]any{plain, {1, "甲村", "张三", "男", before + idA, "严格"}}}))
		if r.Rows[0].Outcome != Accepted || r.Rows[0].CitizenID != idA {
			t.Errorf("%s: %s", before, why(r.Rows[0]))
		}
	}
}

// Ensure that the date of a test is read beside its result and other remarks, in whichever column they stand.
func TestDateOfTest(t *testing.T) {
	for in, want := range map[string]string{
		"2026.3.5阴性": "2026-03-05", "阴性（2026.3.5）": "2026-03-05", "2026年3月5日，阴性": "2026-03-05", "2026.3.5（-）": "2026-03-05", "2026年3月5日尿检阴性": "2026-03-05",
		"2026年3月5日（现场）": "2026-03-05", "2026年3月5日上午": "2026-03-05", "2026年03月05日 星期四": "2026-03-05", "2026年3月上旬": "2026-03", "2026\\3\\5": "2026-03-05",
		"2026·3·5": "2026-03-05", "二0二六年三月五日": "2026-03-05",
	} {
		both := read(t, workbookOf(t, sheetOf{name: "表", rows: [][]any{plain, {1, "甲村", "张三", "男", idA, "严格", in, "阴性"}}})).Rows[0]
		one := read(t, workbookOf(t, sheetOf{name: "表", rows: [][]any{{"村", "姓名", "身份证号", "等级", "最近一次尿检情况"}, {"甲村", "张三", idA, "严格", in}}})).Rows[0]
		if both.Outcome != Accepted || both.LastTestDate != want || one.Outcome != Accepted || one.LastTestDate != want {
			t.Errorf("%s: %s %s, %s %s", in, both.LastTestDate, why(both), one.LastTestDate, why(one))
		}
	}
	for _, in := range []string{"2026.13.40", "2026.3.5.1.2", "2026年3月5日、2026年6月5日", "阴性", "3/5/2026"} {
		if r := read(t, workbookOf(t, sheetOf{name: "表", rows: [][]any{plain, {1, "甲村", "张三", "男", idA, "严格", in, "阴性"}}})); r.Rows[0].Outcome != AcceptedWithWarning {
			t.Errorf("%s: %s", in, r.Rows[0].LastTestDate)
		}
	}
	r := read(t, workbookOf(t, sheetOf{name: "表", rows: [][]any{{"村", "姓名", "身份证号", "等级", "尿检情况"}, {nil, nil, nil, nil, "一季度", "二季度"}, {"甲村", "张三", idA, "严格", "阴性", "未检"}}, merges: []string{"E1:F1"}}))
	if len(r.Rows) != 1 || r.Rows[0].Outcome != Accepted {
		t.Errorf("by quarter: %+v", r.Rows)
	}
}

// Ensure that a tier that is ticked in one of three columns is read, and of two ticks neither.
func TestTickedTier(t *testing.T) {
	for want, ticks := range map[string][]any{TierStrict: {"√"}, TierPriority: {nil, "✓", "×"}, TierGeneral: {"/", nil, "是"}, "several": {"√", "√"}, "none": {nil}, "unclear": {"?"}} {
		r := read(t, workbookOf(t, sheetOf{name: "表", rows: [][]any{{"村", "姓名", "身份证号", "管理类别"}, {nil, nil, nil, "严格", "重点", "一般"},
			append([]any{"甲村", "张三", idA}, ticks...)}, merges: []string{"A1:A2", "B1:B2", "C1:C2", "D1:F1"}}))
		row := r.Rows[len(r.Rows)-1]
		if len(r.Rows) != 1 || row.Tier != want && (row.Tier != "" || row.Outcome != Rejected) {
			t.Errorf("%s: %+v", want, r.Rows)
		}
	}
}

// Ensure that who is crossed off the list is not registered, and that a line that a filter hides is read.
func TestStruckOut(t *testing.T) {
	f, err := excelize.OpenReader(bytes.NewReader(workbookOf(t, sheetOf{name: "表", rows: [][]any{{"村", "姓名", "身份证号", "管理类别"}, {"甲村", "张三", idA, "严格"}, {"甲村", "李四", idB, "严格"}}})))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	style, err := f.NewStyle(&excelize.Style{Font: &excelize.Font{Strike: true}})
	var b bytes.Buffer
	if err := errors.Join(err, f.SetCellStyle("表", "A2", "D2", style), f.SetRowVisible("表", 3, false), f.Write(&b)); err != nil {
		t.Fatal(err)
	}
	r := read(t, b.Bytes())
	if len(r.Rows) != 2 || r.Rows[0].Outcome != Rejected || r.Rows[0].Why[0].Cell != "B2" || r.Rows[1].Outcome != Accepted {
		t.Errorf("%+v", r.Rows)
	}
}
