package imports

import (
	"regexp"
	"strings"
	"unicode/utf8"
)

// field is what a column may be read as. The names are those shown in Roster.Columns.
type field string

const (
	number      field = "number" // running number
	village     field = "village"
	name        field = "name"
	sex         field = "sex"
	citizenID   field = "citizenId"
	ethnicity   field = "ethnicity"
	household   field = "household"
	residence   field = "residence"
	phone       field = "phone"
	familyPhone field = "familyPhone"
	tier        field = "tier"
	responsible field = "responsible"
	firstUse    field = "firstUse"
	agreement   field = "agreementDate"
	testDate    field = "lastTestDate"
	testResult  field = "lastTestResult"
	note        field = "note"
)

var (
	brackets     = regexp.MustCompile(`[(（\[【〔][^)）\]】〕]*[)）\]】〕]`)
	punctuation  = regexp.MustCompile(`[()（）\[\]【】〔〕/\\、,，.。"“”·]`)
	villageWords = regexp.MustCompile(`^(乡镇|镇|街道|单位)*(所在|所属|管辖|管控|管理|居住|现居住|辖区|户籍|责任|常住|现住|户籍所在|社区戒毒(康复)?所在)?(单位)?(行政|自然)?` +
		`(村|社区|居|居委会|村委会|委会|村民委员会|居民委员会|民委员会)+(名称|名|别|级|委|组)?$`)
	// helped are the people whom a heading names by what is done for them; the same words name those who do it.
	helped = regexp.MustCompile(`(被?(帮教|帮扶|包保|包联|管控|监管|服务)对象|被(帮教|帮扶|管控)人员?|管控人员)`)
	// others are people of whom a roster may give the name beside that of its own.
	others = regexp.MustCompile(`社工|社会工作者|志愿者|干部|书记|支书|主任|医生|医师|村医|联系人|填表|填报|经办|审核|户主|成员|领导|所长|警|签字`)
	// oneOfMany are the columns of a table of tests by year, quarter or month.
	oneOfMany = regexp.MustCompile(`^(20\d\d年?|(20\d\d年)?(第?[一二三四1-4]季度|[上下]半年)|\d{1,2}月份?|[一二三四五六七八九十]+月份?)$`)
	// former tiers are those that are no longer in force.
	former = regexp.MustCompile(`上[一个]*(次|季|期|年|半年|月)|原|此前|之前|以前|调整前|变更前|历史|往年|去年`)
)

// aliases are other names of a person, which a heading may ask for in the same column (姓名（曾用名）).
var aliases = []string{"曾用名", "别名", "绰号", "小名", "化名"}

// classify says what a column is from the lines of its heading, top to bottom, and how well it fits: of two columns that
// fit one field the better is read, and of equals the left one.
func classify(lines []string) (field, int) {
	path := make([]string, 0, len(lines))
	for _, l := range lines {
		// A line that is only a hint, such as （年月日）, says nothing of itself.
		if w := word(l); strings.TrimSpace(brackets.ReplaceAllString(w, "")) != "" {
			path = append(path, helped.ReplaceAllString(w, "人员"))
		}
	}
	if len(path) == 0 {
		return "", 0
	}
	full, leaf := strings.Join(path, "/"), path[len(path)-1]
	base := brackets.ReplaceAllString(leaf, "")
	unaliased := strings.Join(append(path[:len(path)-1:len(path)-1], base), "/")
	isDate := containsAny(base, "日期", "时间", "年月")
	isPhone := containsAny(full, "电话", "手机", "联系方式", "联系号码", "通讯", "联络") && !containsAny(leaf, "型号", "微信", "qq", "姓名", "关系")

	switch {
	case utf8.RuneCountInString(base) > 30, containsAny(base, "填表说明", "填报说明", "填写说明"): // a note beside the heading
		return "", 0
	case containsAny(unaliased, aliases...) && !strings.HasPrefix(base, "姓名"), strings.Contains(full, "紧急联系人"):
		return "", 0
	case containsAny(base, "备注", "备考"):
		return note, 2
	case base == "说明" || base == "其他说明":
		return note, 1
	case base == "序号" || len(path) == 1 && base == "编号" || base == "序" || base == "no" || base == "no." || base == "号" || base == "#":
		return number, 1
	case containsAny(full, "家属", "亲属", "监护人", "配偶", "父母", "家庭成员", "家人", "家庭电话"):
		if isPhone && !strings.Contains(leaf, "本人") {
			return familyPhone, 2
		} else if isPhone {
			return phone, 2
		}
		return "", 0
	case villageWords.MatchString(punctuation.ReplaceAllString(leaf, "")), villageWords.MatchString(base):
		if strings.Contains(leaf, "户籍") || strings.HasSuffix(base, "组") {
			return village, 1
		}
		return village, 2
	case containsAny(full, "责任人", "责任民警", "包保", "包联", "包靠", "帮教", "帮扶", "管控人", "网格员", "专干", "民警"):
		if containsAny(base, "等级", "级别") {
			return classifyTier(full, base)
		}
		return classifyOfficer(leaf, base)
	case containsAny(full, "尿检", "检测", "毛检", "毛发", "检验"):
		return classifyTest(full, base, isDate)
	case strings.Contains(full, "协议"):
		if isDate || containsAny(base, "签订", "签署") && !containsAny(base, "编号", "文号", "是否", "情况", "份") {
			return agreement, 2
		}
		return "", 0
	}
	return classifyPerson(full, base, isDate, isPhone)
}

// classifyOfficer reads headings about the officer and not the person: 责任人, 包保责任人/姓名, but not 责任人/电话.
func classifyOfficer(leaf, base string) (field, int) {
	both := containsAny(leaf, "人及", "人和", "人、", "人/")
	if !both && containsAny(leaf, "电话", "手机", "联系", "身份证", "单位", "职务", "日期", "时间", "措施", "情况", "协议", "记录", "内容", "次数", "派出所") {
		return "", 0
	}
	switch {
	case containsAny(base, "责任人", "责任民警"), base == "姓名":
		return responsible, 3
	case containsAny(base, "包保人", "帮教人", "包保干部", "包联干部", "管控人", "民警"):
		return responsible, 2
	}
	return responsible, 1
}

// classifyTest reads headings about urine tests: 最近一次尿检 over 日期 and 结果, or in one cell.
func classifyTest(full, base string, isDate bool) (field, int) {
	score := 1
	if containsAny(full, "最近", "末次", "最后", "近一次", "上次") {
		score = 3
	}
	switch {
	case strings.Contains(base, "结果"):
		return testResult, score + 1
	case isDate:
		return testDate, score + 1
	case strings.Contains(full, "次数"), oneOfMany.MatchString(base), containsAny(base, "应检", "编号", "单位", "机构", "方式", "类型", "人员", "地点", "报告"):
		return "", 0
	}
	return testDate, score
}

// classifyPerson reads headings about the person.
func classifyPerson(full, base string, isDate, isPhone bool) (field, int) {
	switch {
	case containsAny(full, "吸毒", "吸食") && (isDate || strings.HasSuffix(base, "年份") || containsAny(base, "首次吸", "初次吸", "第一次吸")):
		if containsAny(base, "年龄", "种类", "类型", "名称", "地点", "原因", "查获", "发现") {
			return "", 0
		}
		if containsAny(full, "首次", "初次", "第一次", "开始", "始") {
			return firstUse, 3
		}
		return firstUse, 1
	case containsAny(base, "身份证地址", "身份证住址"):
		return household, 1
	case containsAny(base, "身份证", "身份号码", "身份号", "证件号", "公民身份", "身份证件") || strings.HasPrefix(base, "id号"):
		if containsAny(base, "类型", "种类", "地址", "发证", "有效", "复印", "照片") {
			return "", 0
		}
		if strings.Contains(base, "号") {
			return citizenID, 3
		}
		return citizenID, 2
	case strings.HasSuffix(base, "姓名") || strings.HasPrefix(base, "姓名") && containsAny(base, aliases...):
		if others.MatchString(full) {
			return "", 0
		}
		return name, 3
	case base == "名字" || base == "人员" || base == "吸毒人员" || base == "戒毒人员" || base == "涉毒人员" || base == "人员名称":
		return name, 1
	case base == "性别" || base == "男/女":
		return sex, 2
	case base == "民族" || base == "族别":
		return ethnicity, 2
	case isPhone:
		if containsAny(full, "本人", "联系", "手机") {
			return phone, 3
		}
		return phone, 2
	case containsAny(base, "户籍", "户口") && !containsAny(base, "性质", "类型", "派出所", "类别", "号"):
		return household, 2
	case containsAny(base, "现住", "现居", "居住", "常住") && !containsAny(base, "派出所", "状况", "情况", "时间", "类型"):
		return residence, 3
	case containsAny(base, "住址", "住所", "地址", "住地"):
		return residence, 2
	}
	return classifyTier(full, base)
}

func classifyTier(full, base string) (field, int) {
	ofPeople := containsAny(base, "管理", "管控", "风险") // 吸毒人员管控等级, not 吸毒人员类型
	if former.MatchString(full) || containsAny(base, "毒品", "证件", "户") || containsAny(base, "戒毒", "吸毒") && !ofPeople || !containsAny(base, "类别", "类型", "级别", "等级", "分类", "分级", "档次", "层级", "管理对象", "管控类") {
		return "", 0
	}
	switch {
	case containsAny(base, "管理", "管控"):
		return tier, 3
	case containsAny(base, "风险", "人员", "对象"):
		return tier, 1
	}
	return tier, 2
}
