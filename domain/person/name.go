package person

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"yidang/domain/record"
)

// What may be wrong with a name.
var (
	ErrNameMissing    = nameProblem("name is missing", "缺少姓名", "write the name as on the identity card")
	ErrNameCharacters = nameProblem("name holds characters that no name has", "姓名含有无效字符", "write only the name, as on the identity card; put remarks where remarks belong")
	ErrNameLength     = nameProblem("name is too long", "姓名过长", "write only the name, as on the identity card")
)

func nameProblem(en, zh, remedy string) *record.Problem {
	return &record.Problem{Kind: record.Invalid, Field: "name", Message: en, Zh: zh, Remedy: remedy}
}

// maxName is longer than any name on a Chinese card (the forms print at most about 50 letters of a foreign name).
const maxName = 60

// NormalizeName gives a name its one stored form, so that the same name typed twice is the same string: no spaces
// between Han characters (lists pad 林　兰 to three), one space between words in letters, the interpunct always ·
// (U+00B7), full-width letters narrowed, composed accents (NFC). Han characters themselves are never exchanged: a rare
// or a traditional character is how the person is called.
func NormalizeName(s string) (string, error) {
	s = joinWords(norm.NFC.String(strings.Map(nameCharacter, s)))
	if s == "" {
		return "", ErrNameMissing
	}
	if utf8.RuneCountInString(s) > maxName {
		return "", ErrNameLength
	}
	letters := false
	for _, r := range s {
		switch {
		case unicode.IsLetter(r), r == '〇': // 〇 is a Han character that Unicode counts among the numbers
			letters = true
		case unicode.Is(unicode.Mn, r), r == '·', r == ' ', r == '-', r == '\'':
		default: // digits, brackets, question marks and private-use characters of old encodings
			return "", ErrNameCharacters
		}
	}
	if !letters {
		return "", ErrNameCharacters
	}
	return s, nil
}

// nameCharacter maps one character to its plain form, and drops invisible ones.
func nameCharacter(r rune) rune {
	switch {
	case unicode.IsSpace(r):
		return ' '
	case unicode.Is(unicode.Cf, r):
		return -1
	case r >= '！' && r <= '～': // full-width ASCII
		r -= '！' - '!'
	}
	switch r {
	case '‧', '•', '・', '･', '∙', '⋅', '●', '.', '｡', '。':
		return '·'
	case '’', '‘', '`', 'ʼ':
		return '\''
	case '‐', '‑', '–', '—', '−':
		return '-'
	}
	return r
}

// joinWords drops the spaces beside a Han character or an interpunct, keeps one between words in letters, and one
// interpunct where several were typed. An interpunct at either end separates nothing and goes.
func joinWords(s string) string {
	var b strings.Builder
	var last rune
	space := false
	for _, r := range strings.Trim(s, " ·") {
		if r == ' ' {
			space = true
			continue
		}
		if r == '·' && last == '·' {
			continue
		}
		if space && !closes(last) && !closes(r) {
			b.WriteByte(' ')
		}
		space = false
		b.WriteRune(r)
		last = r
	}
	return b.String()
}

func closes(r rune) bool { return r == '·' || unicode.Is(unicode.Han, r) }
