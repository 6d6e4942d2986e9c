package views

import (
	"slices"
	"strings"
	"unicode"

	"github.com/mozillazg/go-pinyin"
	"golang.org/x/text/unicode/norm"
)

// How people are found. Each person has a few dozen short terms, and a search is a walk along the terms that begin with
// what was typed:
//
//	a  the name from its beginning: in characters, in pinyin, in initials, and the first syllable with initials
//	b  the same from a later character, so that 小明 and xiaoming find 王小明
//	d  the phone number
//	r  the citizen id and the phone number backwards, so that their last digits find them
//	s  the name in its one order in lists
//
// A character with several readings gives terms for each, the readings of surnames first: 单 is found by shan, dan and
// chan. What is not a letter or a digit (the interpunct of 阿不都·热合曼, spaces, hyphens) is left out of terms and queries.

// Bounds on the terms of one name: readings of a character, and combinations of readings from one character on.
const (
	maxReadings     = 3
	maxCombinations = 12
)

// surnames lists characters that are read in a way of their own in surnames.
var surnames = map[rune]string{
	'单': "shan", '查': "zha", '仇': "qiu", '解': "xie", '郭': "guo", '曾': "zeng", '区': "ou", '盖': "ge", '朴': "piao", '任': "ren",
	'翟': "zhai", '尉': "wei", '万': "wan", '黑': "he", '缪': "miao", '召': "shao", '覃': "qin", '繁': "po", '员': "yun", '贠': "yun",
	'乜': "nie", '冼': "xian", '洗': "xian", '秘': "bi", '折': "she", '种': "chong", '逄': "pang", '宓': "mi", '长': "zhang", '祭': "zhai",
	'宿': "su", '隗': "wei", '燕': "yan", '应': "ying", '宁': "ning", '瞿': "qu", '贾': "jia", '葛': "ge", '訾': "zi", '幺': "yao",
	'车': "che", '郇': "xun", '呙': "guo", '乐': "yue", '令': "ling", '句': "gou", '褚': "chu", '柏': "bai", '卜': "bu", '那': "na",
	'余': "yu", '俞': "yu", '纪': "ji", '过': "guo", '华': "hua", '薄': "bo", '晁': "chao", '厘': "xi", '佴': "nai", '阚': "kan",
	'宋': "song", '石': "shi", '都': "du", '谌': "chen", '沈': "shen", '占': "zhan", '哈': "ha", '叶': "ye", '祝': "zhu", '相': "xiang",
}

// compound lists surnames of two characters whose readings differ from those of the characters.
var compound = map[string][2]string{
	"尉迟": {"yu", "chi"}, "万俟": {"mo", "qi"}, "长孙": {"zhang", "sun"}, "澹台": {"tan", "tai"}, "令狐": {"ling", "hu"}, "单于": {"chan", "yu"},
}

// unit is a Han character, or a word in letters, with the ways to read it.
type unit struct {
	text     string
	readings []string // the most likely first; empty for a character that the dictionary lacks
}

func unitsOf(name string) (units []unit) {
	args := pinyin.NewArgs()
	args.Heteronym = true
	var word strings.Builder
	end := func() {
		if word.Len() > 0 {
			units = append(units, unit{text: word.String(), readings: []string{word.String()}})
			word.Reset()
		}
	}
	for _, r := range plain(name, true) {
		switch {
		case unicode.Is(unicode.Han, r) || r == '〇':
			end()
			units = append(units, unit{text: string(r), readings: readingsOf(r, len(units) == 0, args)})
		case r == ' ':
			end()
		default:
			word.WriteRune(r)
		}
	}
	end()
	if len(units) > 2 {
		if c, ok := compound[units[0].text+units[1].text]; ok {
			for i := range c {
				units[i].readings = prefer(c[i], units[i].readings)
			}
		}
	}
	return units
}

func readingsOf(r rune, surname bool, args pinyin.Args) []string {
	var list []string
	if r == '〇' {
		return []string{"ling"}
	}
	for _, s := range pinyin.SinglePinyin(r, args) {
		if !slices.Contains(list, s) {
			list = append(list, s)
		}
	}
	if s, ok := surnames[r]; ok && surname {
		list = prefer(s, list)
	}
	list = list[:min(len(list), maxReadings)]
	for _, s := range list { // ü is typed as v, as u and, in passports, as yu
		if strings.ContainsRune(s, 'v') {
			list = append(slices.Clone(list), strings.ReplaceAll(s, "v", "u"), strings.ReplaceAll(s, "v", "yu"))
			break
		}
	}
	return list
}

func prefer(reading string, list []string) []string {
	return append([]string{reading}, slices.DeleteFunc(slices.Clone(list), func(s string) bool { return s == reading })...)
}

// plain gives text its one form for terms and queries: compatibility forms (full width) narrowed, lower case, no accents,
// nothing but letters and digits, and, when asked, spaces between words.
func plain(text string, spaces bool) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsLetter(r), unicode.IsDigit(r), r == '〇':
			return unicode.ToLower(r)
		case spaces && (unicode.IsSpace(r) || r == '·' || r == '-'):
			return ' '
		}
		return -1
	}, norm.NFKD.String(text))
}

// terms lists what a person is found by, without repeats.
func (p *personRow) terms() []string {
	if p.erased {
		return nil
	}
	var out []string
	add := func(kind byte, s string) {
		if s != "" {
			out = append(out, string(kind)+s)
		}
	}
	units := unitsOf(p.name)
	for i := range units {
		kind := byte('a')
		if i > 0 {
			kind = 'b'
		}
		var text strings.Builder
		for _, u := range units[i:] {
			text.WriteString(u.text)
		}
		add(kind, text.String())
		for _, c := range combinations(units[i:]) {
			add(kind, c.full)
			add(kind, c.initials)
			if i == 0 {
				add(kind, c.mixed)
			}
		}
	}
	if p.name != "" {
		add('s', p.sortKey(units))
	}
	phone := digits(p.phone)
	add('d', phone)
	add('r', reversed(phone))
	add('r', reversed(strings.ToLower(p.citizen)))
	slices.Sort(out)
	return slices.Compact(out)
}

func (p *personRow) sortKey(units []unit) string {
	var b strings.Builder
	for _, u := range units {
		if len(u.readings) > 0 {
			b.WriteString(u.readings[0])
		}
		b.WriteString(u.text)
	}
	return b.String()
}

type spelling struct{ full, initials, mixed string }

// combinations spells units in every way, up to maxCombinations. A single character has no initials of its own: they are
// the beginning of its reading.
func combinations(units []unit) []spelling {
	list := []spelling{{}}
	for i, u := range units {
		if len(u.readings) == 0 {
			continue
		}
		var next []spelling
		for _, s := range list {
			for _, r := range u.readings {
				t := spelling{full: s.full + r, initials: s.initials + r[:1], mixed: s.mixed + r[:1]}
				if i == 0 {
					t.mixed = r
				}
				next = append(next, t)
			}
		}
		if len(next) > maxCombinations {
			if next = next[:0]; len(list) > maxCombinations/2 {
				list = list[:maxCombinations/2]
			}
			for _, s := range list { // the likeliest reading only
				r := u.readings[0]
				next = append(next, spelling{full: s.full + r, initials: s.initials + r[:1], mixed: s.mixed + r[:1]})
			}
		}
		list = next
	}
	if len(units) < 2 {
		for i := range list {
			list[i].initials, list[i].mixed = "", ""
		}
	}
	return list
}

func digits(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, s)
}

func reversed(s string) string {
	b := []byte(s)
	slices.Reverse(b)
	return string(b)
}

// minDigits is how many digits a search needs: fewer would list half the town.
const minDigits = 4

// wanted turns what was typed into the beginnings of terms to look for, the better ones first; none when it says nothing.
func wanted(text string) []string {
	q := plain(text, false)
	if q == "" {
		return nil
	}
	if number := strings.TrimSuffix(q, "x"); number != "" && digits(number) == number {
		if len(number) < minDigits-1 || len(q) < minDigits {
			return nil
		}
		list := []string{"r" + reversed(q)}
		if number == q {
			list = append(list, "d"+q)
		}
		return list
	}
	return []string{"a" + q, "b" + q}
}

// best finds the first of a person's terms that a search meets: the beginning it meets and the term.
func (p *personRow) best(beginnings []string) (tier int, term string, ok bool) {
	terms := p.terms()
	for tier, b := range beginnings {
		i, _ := slices.BinarySearch(terms, b)
		if i < len(terms) && strings.HasPrefix(terms[i], b) {
			return tier, terms[i], true
		}
	}
	return 0, "", false
}

// after is the first text behind all that begin with prefix.
func after(prefix string) string {
	b := []byte(prefix)
	b[len(b)-1]++ // terms are UTF-8: the last byte is never 0xFF
	return string(b)
}
