package dossier

import (
	"os"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func font(t testing.TB) []byte {
	t.Helper()
	b, err := os.ReadFile(fontPath)
	if err != nil {
		t.Fatalf("the font for PDFs is not there: run sh ops/fonts/fetch.sh (%v)", err)
	}
	return b
}

// Ensure that no character is lost where a line breaks, and that no line is too wide unless it is one character.
func TestBreakLines(t *testing.T) {
	measure := func(s string) (w float64) {
		for _, r := range s {
			if w++; r > 0x2E80 {
				w++
			}
		}
		return w
	}
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringOfN(rapid.SampledFrom([]rune("ab 12，。前进村 -;")), 0, 60, -1).Draw(t, "text")
		width := rapid.Float64Range(1, 20).Draw(t, "width")
		lines := breakLines(text, width, measure)
		if got := strings.Join(lines, ""); got != text {
			t.Errorf("%q became %q", text, got)
		}
		for _, l := range lines {
			if measure(l) > width && len([]rune(l)) > 1 {
				t.Errorf("%q is wider than %v", l, width)
			}
		}
	})
	got := breakLines("走访 home visit：见到本人", 12, measure)
	if want := []string{"走访 home ", "visit：见到", "本人"}; strings.Join(got, "|") != strings.Join(want, "|") {
		t.Errorf("broken as %q", got)
	}
}

// Ensure that characters which the font does not have are told from those it has: rare ones, those beyond the first plane,
// and what no font draws. What is not a font is an error.
func TestRunesOf(t *testing.T) {
	has, err := runesOf(font(t))
	if err != nil {
		t.Fatal(err)
	}
	for r, want := range map[rune]bool{'家': true, 'é': true, '〔': true, '㐂': true, '䶮': true, '𠮷': false, 0xE000: false, -1: false, 0x10FFFF: false} {
		if has(r) != want {
			t.Errorf("%c U+%04X: %t", r, r, !want)
		}
	}
	p := &printer{has: has, undrawn: map[rune]bool{}}
	if got := p.drawable("吉𠮷\U000E0001\n㐂"); got != "吉[U+20BB7][U+E0001]\n㐂" || len(p.undrawn) != 2 {
		t.Errorf("drawn as %q", got)
	}
	for _, bad := range [][]byte{nil, []byte("OTTO and more of it"), font(t)[:2000]} {
		if _, err := runesOf(bad); err == nil {
			t.Error("what is no font was read as one")
		}
	}
}
