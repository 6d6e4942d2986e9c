package person

import (
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"yidang/domain/record"
)

// Ensure that the same name typed in many ways is one string, and that rare characters stay as they are.
func TestNormalizeName(t *testing.T) {
	for in, want := range map[string]string{
		"林　秀兰":            "林秀兰",
		" 林 兰 ":           "林兰",
		"𠮷艳":              "𠮷艳",
		"李〇":              "李〇",
		"嚴華":              "嚴華",
		"买买提·吐尔逊":         "买买提·吐尔逊",
		"买买提‧吐尔逊":         "买买提·吐尔逊",
		"买买提 • 吐尔逊":       "买买提·吐尔逊",
		"买买提・吐尔逊":         "买买提·吐尔逊",
		"买买提.吐尔逊":         "买买提·吐尔逊",
		"买买提．吐尔逊":         "买买提·吐尔逊",
		"买买提··吐尔逊·":       "买买提·吐尔逊",
		"Maria  Sokolova": "Maria Sokolova",
		"Ｍａｒｉａ　Ｓｏｋｏｌｏｖａ": "Maria Sokolova",
		"O’Neil":            "O'Neil",
		"Ａ\u0301ngel":       "Ángel",
		"Jose\u0301 Garcia": "José Garcia",
		"张\u200b三":          "张三",
	} {
		if got, err := NormalizeName(in); got != want || err != nil {
			t.Errorf("%q: got %q, %v; want %q", in, got, err, want)
		}
	}
}

func TestNormalizeNameRefuses(t *testing.T) {
	for in, want := range map[string]*record.Problem{
		"":                        ErrNameMissing,
		" 　\u200b":                ErrNameMissing,
		"·":                       ErrNameMissing,
		"张三1":                     ErrNameCharacters,
		"张？":                      ErrNameCharacters,
		"张三（已故）":                  ErrNameCharacters,
		"\ue816艳":                 ErrNameCharacters,
		"-":                       ErrNameCharacters,
		strings.Repeat("长", 61):   ErrNameLength,
		strings.Repeat("1 ", 300): ErrNameLength,
	} {
		if got, err := NormalizeName(in); !errors.Is(err, want) || got != "" {
			t.Errorf("%q: got %q, %v; want %v", in, got, err, want)
		}
	}
}

// Ensure that a normal name is left alone by a second pass, and that padding never matters.
func TestNormalizeNameStable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := rapid.StringOf(rapid.SampledFrom([]rune("张王买提𠮷〇 　·•.-'abZＡ\u200bé\u0301"))).Draw(t, "name")
		once, err := NormalizeName(in)
		if err != nil {
			return
		}
		if twice, err := NormalizeName("　" + once + " "); twice != once || err != nil {
			t.Fatalf("%q: %q, then %q, %v", in, once, twice, err)
		}
	})
}
