package imports

import (
	"regexp"
	"strings"
	"unicode/utf8"
)

var (
	numbering   = regexp.MustCompile(`^[(（]?第?[一二三四五六七八九十\d]+[)）、.．]`)
	label       = regexp.MustCompile(`^(?:所在|所属|管辖|行政)?(?:村居|村|社区|单位)(?:名称|名)?(?:[（(][^）)]*[）)])?[:：]`)
	inBrackets  = regexp.MustCompile(`[（(【\[][^（(【\[]*[）)】\]][:：]?$`)
	headcount   = regexp.MustCompile(`(?:共计?)?\d+(?:人|名|户)$`)
	group       = regexp.MustCompile(`(村|社区)第?[\d一二三四五六七八九十]+(?:村民|居民)?小?(?:组|社|队)$`)
	committee   = regexp.MustCompile(`(?:(社区)居?(?:民)?委(?:员)?会|(社区)居委|村?(村)(?:民)?委(?:员)?会|(村)村委)$`)
	township    = regexp.MustCompile(`^\S{2,8}?(?:镇|乡|街道办事处|街道)(\S+(?:村|社区))$`)
	residential = regexp.MustCompile(`^[^\s:：()（）]{1,12}(?:村|社区|居委会)$`)
)

// VillageName is the name of a village or community out of what lists write for it: 前进村村委会, 示范镇前进村 and
// 前进村（12人） are all 前进村. What is no such name stays as written.
func VillageName(s string) string {
	written := strings.ReplaceAll(tidy(s), " ", "")
	bare := numbering.ReplaceAllString(written, "")
	bare = label.ReplaceAllString(bare, "")
	bare = strings.TrimRight(inBrackets.ReplaceAllString(bare, ""), ":：")
	bare = headcount.ReplaceAllString(bare, "")
	bare = group.ReplaceAllString(bare, "$1")
	bare = committee.ReplaceAllString(bare, "$1$2$3$4")
	if m := township.FindStringSubmatch(bare); m != nil && utf8.RuneCountInString(m[1]) > 1 && m[1] != "社区" {
		bare = m[1]
	}
	if !residential.MatchString(bare) {
		return written
	}
	return bare
}

func isVillage(s string) bool { return residential.MatchString(VillageName(s)) }

var (
	reportingUnit = regexp.MustCompile(`(?:填报|填表|上报|报送|编制|制表|填報|上報)?(?:单位|單位)(?:[（(][^）)]*[）)])?\s*[:：]\s*([^\s:：（(]+)`)
	unitVillage   = regexp.MustCompile(`(?:^|\s)(?:所在|所属|管辖|行政)?(?:村居|村|社区)(?:名称|名)?(?:[（(][^）)]*[）)])?\s*[:：]\s*([^\s:：（(]+)`)
	mereCount     = regexp.MustCompile(`^(?:共计?|合计)?\d+(?:人|名|户)?$|^[一二三四五六七八九十]+$`)
)

// joined is a line as one text.
func (l *line) joined() string {
	texts := make([]string, len(l.cells))
	for i, c := range l.cells {
		texts[i] = tidy(c.text)
	}
	return strings.Join(texts, " ")
}

// unit is the village or office for which the lines below were written (填报单位：前进村), as far as the line says.
func (l *line) unit() (unit, village string) {
	text := l.joined()
	if m := reportingUnit.FindStringSubmatch(text); m != nil {
		unit = m[1]
	}
	if m := unitVillage.FindStringSubmatch(text); m != nil && isVillage(m[1]) {
		return unit, VillageName(m[1])
	}
	if isVillage(unit) {
		return unit, VillageName(unit)
	}
	return unit, ""
}

var (
	legalTerms = strings.NewReplacer("社区戒毒", "", "社区康复", "", "社区矫正", "", " ", "")
	titled     = regexp.MustCompile(`^(?:\d{2,4}年)?(?:度|\d{1,2}月份?|第?[一二三四1-4]季度|[上下]半年)?(?:[^\s\d\pP]{2,10}?(?:[县市区镇乡]|街道|街道办事处)){0,3}` +
		`([^\s\d\pP]{2,8}?(?:村|社区))(?:[村居]?民?委(?:员?会)?)?[^村区]*(?:名册|台[账帐]|登记[表册]|名单|统计表|一览表|情况表|信息表|明细表|摸底表)`)
	noVillage = regexp.MustCompile(`[县市镇乡各全]|街道|农村|本村|戒毒|人员`)
)

// titleVillage is the village of a list that only its title names (2026年示范镇前进村吸毒人员花名册). 社区戒毒 in a title is
// the measure and names no community.
func titleVillage(title string) string {
	m := titled.FindStringSubmatch(legalTerms.Replace(tidy(title)))
	if m == nil || noVillage.MatchString(m[1]) {
		return ""
	}
	return VillageName(m[1])
}

// section is the village that a line names for those below it, with nothing else on it than numbers (二、双河村 | 共5人).
func (l *line) section() (village string) {
	for _, c := range l.cells {
		switch {
		case mereCount.MatchString(tidy(c.text)):
		case village == "" && isVillage(c.text):
			village = VillageName(c.text)
		default:
			return ""
		}
	}
	return village
}
