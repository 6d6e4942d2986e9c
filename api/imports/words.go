package imports

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// cleanCell takes off what is around a value and not part of it: spaces, and the tricks by which people keep Excel from
// turning a citizen id into a number ('9999…, ="9999…").
func cleanCell(s string) string {
	s = strings.TrimFunc(s, blank)
	if strings.HasPrefix(s, `="`) && strings.HasSuffix(s, `"`) && len(s) > 3 {
		s = s[2 : len(s)-1]
	}
	return strings.TrimFunc(strings.TrimPrefix(s, "'"), blank)
}

// blank is a space of any width, or a character that is not seen.
func blank(r rune) bool { return unicode.IsSpace(r) || unicode.Is(unicode.Cf, r) || r == 0 }

// word gives the words of forms one form: half-width, simplified, without spaces, stars and colons. It is for headings and
// codes only, never for names and places.
func word(s string) string {
	return strings.Map(func(r rune) rune {
		if blank(r) || r == '*' || r == ':' || r == '★' {
			return -1
		}
		if i := strings.IndexRune(traditional, r); i >= 0 {
			return simplifiedRunes[len([]rune(traditional[:i]))]
		}
		return unicode.ToLower(r)
	}, norm.NFKC.String(s))
}

// The characters in which the traditional and the simplified spelling of our words differ, in pairs by position.
const (
	traditional = "號類別級嚴點對聯係繫絡電話機戶現責備註協議簽訂時間結檢陰陽鄉鎮區莊屬證碼報單計總說審覈製監護親幫員險檔會約較詳無記錄維爾滿壯納東達錫烏羅溫獨龍倫門諾過從離還發測驗髮臺帳冊組長隊導開"
	simplified  = "号类别级严点对联系系络电话机户现责备注协议签订时间结检阴阳乡镇区庄属证码报单计总说审核制监护亲帮员险档会约较详无记录维尔满壮纳东达锡乌罗温独龙伦门诺过从离还发测验发台账册组长队导开"
)

var simplifiedRunes = []rune(simplified)

// tidy is free text on one line, with half-width digits and letters.
func tidy(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r >= '０' && r <= '９', r >= 'Ａ' && r <= 'Ｚ', r >= 'ａ' && r <= 'ｚ', r == '－':
			return r - 0xFEE0
		case unicode.Is(unicode.Cf, r), r == 0:
			return -1
		}
		return r
	}, s)
	return strings.Join(strings.Fields(s), " ")
}

// unknown says that a cell holds nothing, in words.
func unknown(s string) bool {
	switch strings.Trim(word(s), "。.-—－_/\\、,()") {
	case "", "不详", "不祥", "未知", "不明", "不清", "不清楚", "不知", "无", "没有", "暂无", "空", "略", "待查", "待定", "待核实", "未登记",
		"无记录", "未签", "未签订", "未签协议", "未检", "未尿检", "未检测", "未做", "记不清", "n/a", "na", "#n/a", "#ref!", "#value!", "#name?", "null":
		return true
	}
	return false
}

func containsAny(s string, parts ...string) bool {
	for _, p := range parts {
		if strings.Contains(s, p) {
			return true
		}
	}
	return false
}

// digits counts the digits of any width.
func digits(s string) int {
	n := 0
	for _, r := range s {
		if unicode.IsDigit(r) {
			n++
		}
	}
	return n
}
