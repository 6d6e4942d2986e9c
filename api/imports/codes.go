package imports

import (
	"strings"

	"yidang/domain/person"
)

// readTier knows the words of D-09 to D-11 with and without their endings, and with another scale beside them in brackets:
// 严格管理（一级）, 一级（严格）. Other scales alone (一级, A类, 高风险) are not translated: who decides about a person's tier
// must have meant one of ours (S-15).
func readTier(s string) (string, bool) {
	w := strings.Trim(numbering.ReplaceAllString(word(s), ""), "。.,;")
	if t, ok := tierWord(brackets.ReplaceAllString(w, "")); ok {
		return t, true
	}
	return tierWord(strings.Trim(strings.Join(brackets.FindAllString(w, -1), ""), "()[]【】〔〕"))
}

var tierEndings = []string{"人员", "对象", "管理", "管控", "关注", "类别", "级别", "类", "级", "型", "性", "人"}

func tierWord(w string) (string, bool) {
	for before := ""; before != w; { // 重点管理类, 一般性管理
		before = w
		for _, ending := range tierEndings {
			w = strings.TrimSuffix(w, ending)
		}
	}
	switch w {
	case "严格", "严管", "严控", "从严":
		return TierStrict, true
	case "重点":
		return TierPriority, true
	case "一般", "普通":
		return TierGeneral, true
	}
	return "", false
}

func readSex(s string) (person.Sex, bool) {
	switch word(s) {
	case "男", "男性", "1", "m":
		return person.Male, true
	case "女", "女性", "2", "f":
		return person.Female, true
	}
	return "", false
}

// readResult reads a test result. 拒检 is no result: a refusal has consequences (戒毒条例 19) and its own record. A bare
// dash is how an empty cell is struck out; in brackets it is the sign of the test.
func readResult(s string) (string, bool) {
	w := word(s)
	doubtful := containsAny(w, "未", "非", "否", "疑", "待", "拒")
	negative := containsAny(w, "阴", "negative", "(-)") || w == "正常"
	positive := containsAny(w, "阳", "positive", "(+)") || w == "+"
	switch {
	case doubtful || negative == positive:
		return TestNone, unknown(s)
	case negative:
		return TestNegative, true
	}
	return TestPositive, true
}

// peoples are the codes of GB/T 3304 by position: 01 Han to 56 Jino.
const peoples = "汉 蒙古 回 藏 维吾尔 苗 彝 壮 布依 朝鲜 满 侗 瑶 白 土家 哈尼 哈萨克 傣 黎 傈僳 佤 畲 高山 拉祜 水 东乡 纳西 景颇 柯尔克孜 土 达斡尔 " +
	"仫佬 羌 布朗 撒拉 毛南 仡佬 锡伯 阿昌 普米 塔吉克 怒 乌孜别克 俄罗斯 鄂温克 德昂 保安 裕固 京 塔塔尔 独龙 鄂伦春 赫哲 门巴 珞巴 基诺"

func readEthnicity(s string) (string, bool) {
	w := word(s)
	if w == "维族" {
		w = "维吾尔"
	}
	for i, p := range strings.Fields(peoples) {
		code := string([]byte{byte('0' + (i+1)/10), byte('0' + (i+1)%10)})
		if w == p || w == p+"族" || w == code {
			return code, true
		}
	}
	return "", false
}
