package person

import (
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"yidang/domain/record"
)

var asOf = time.Date(2026, 9, 28, 9, 0, 0, 0, record.Zone)

// Ensure that the standard's own examples and the published test numbers are read as what they are.
func TestParseCitizenID(t *testing.T) {
	for _, c := range []struct {
		in, want string
		birth    string
		sex      Sex
	}{
		{"11010519491231002X", "11010519491231002X", "1949-12-31", Female},
		{"440524188001010014", "440524188001010014", "1880-01-01", Male},
		{"999999198001010011", "999999198001010011", "1980-01-01", Male},
		{"99999919800101002X", "99999919800101002X", "1980-01-01", Female},
		{"999999201206150039", "999999201206150039", "2012-06-15", Male},
		{"999999194912310084", "999999194912310084", "1949-12-31", Female},
		{"９９９９９９１９８００１０１００１１", "999999198001010011", "1980-01-01", Male},
		{" 999999 19800101 0011\t", "999999198001010011", "1980-01-01", Male},
		{"999999　1980—0101－0011", "999999198001010011", "1980-01-01", Male},
		{"\ufeff99999919800101\u200b002x", "99999919800101002X", "1980-01-01", Female},
		{"99999919800101002Ｘ", "99999919800101002X", "1980-01-01", Female},
		{"99999919800101002ｘ", "99999919800101002X", "1980-01-01", Female},
		{"99999919800101002×", "99999919800101002X", "1980-01-01", Female},
	} {
		id, warnings, err := ParseCitizenIDOn(c.in, asOf)
		if err != nil || len(warnings) != 0 || id.String() != c.want {
			t.Errorf("%q: got %q %v %v", c.in, id, warnings, err)
			continue
		}
		if id.BirthDate().Format(record.Day) != c.birth || id.Sex() != c.sex {
			t.Errorf("%q: born %v, sex %v", c.in, id.BirthDate(), id.Sex())
		}
	}
}

// Ensure that each kind of mistake is told apart, and that no message repeats the number.
func TestParseCitizenIDRefuses(t *testing.T) {
	for in, want := range map[string]*record.Problem{
		"":                       ErrMissing,
		" 　-":                    ErrMissing,
		"不详":                     ErrCharacters,
		"9.99999E+17":            ErrCharacters,
		"9999991980010100X1":     ErrCharacters,
		"99999919800101001":      ErrLength,
		"9999991980010100111":    ErrLength,
		"99999980010100X":        ErrLength,
		"X":                      ErrLength,
		"999998198001010017":     ErrDivision,
		"000000198001010019":     ErrDivision,
		"160105194912310023":     ErrDivision,
		"999999198002300018":     ErrBirthDate,
		"999999198013010011":     ErrBirthDate,
		"999999190002290018":     ErrBirthDate, // 1900 was no leap year
		"999999184912310018":     ErrBirthDate,
		"999999202609290018":     ErrBirthDate, // tomorrow
		"999999810229001":        ErrBirthDate, // 15 digits, 29 February 1981
		"999999198001010012":     ErrCheckDigit,
		"99999919800101001X":     ErrCheckDigit,
		"999999198001010029":     ErrCheckDigit,
		"999991998001010011":     ErrDivision, // two digits exchanged
		"99999919800101002X\x00": ErrCharacters,
	} {
		id, _, err := ParseCitizenIDOn(in, asOf)
		if !errors.Is(err, want) || id != "" {
			t.Errorf("%q: got %q, %v; want %v", in, id, err, want)
		}
		for _, other := range []*record.Problem{ErrMissing, ErrCharacters, ErrLength, ErrDivision, ErrBirthDate, ErrCheckDigit} {
			if other != want && errors.Is(err, other) {
				t.Errorf("%q: %v is also %v", in, err, other)
			}
		}
		if in != "" && in != "X" && strings.Contains(err.Error(), in) {
			t.Errorf("%q: the message holds the number: %v", in, err)
		}
	}
}

// Ensure that a birth today is accepted, by the Chinese calendar and not by that of the machine.
func TestParseCitizenIDToday(t *testing.T) {
	justAfterMidnight := time.Date(2026, 9, 28, 16, 30, 0, 0, time.UTC) // 00:30 on the 29th in China
	id := ComposeCitizenID("999999", time.Date(2026, 9, 29, 0, 0, 0, 0, record.Zone), 1)
	if _, _, err := ParseCitizenIDOn(string(id), justAfterMidnight); err != nil {
		t.Error(err)
	}
	if _, _, err := ParseCitizenIDOn(string(id), justAfterMidnight.Add(-time.Hour)); !errors.Is(err, ErrBirthDate) {
		t.Errorf("got %v", err)
	}
}

// Ensure that the 15-digit form is extended to the number the same person has now, with a warning.
func TestParseCitizenIDExtends(t *testing.T) {
	id, warnings, err := ParseCitizenIDOn("999999 860812 047", asOf)
	if err != nil || id != "999999198608120479" || len(warnings) != 1 || warnings[0] != WarnExtended {
		t.Errorf("got %q %v %v", id, warnings, err)
	}
}

// Ensure that, over every serial of every day of three years, the composed number is accepted, exactly one check
// character is, and sex and birth date come back.
func TestCitizenIDExhaustive(t *testing.T) {
	day := time.Date(1995, 1, 1, 0, 0, 0, 0, record.Zone)
	for ; day.Year() < 1998; day = day.AddDate(0, 0, 1) {
		for serial := 1 + day.YearDay()%9; serial <= 999; serial += 9 { // each serial 40 times a year
			id := ComposeCitizenID("420684", day, serial)
			want := Female
			if serial%2 == 1 {
				want = Male
			}
			if !id.BirthDate().Equal(day) || id.Sex() != want {
				t.Fatalf("%s: born %v, sex %s", id, id.BirthDate(), id.Sex())
			}
			accepted := 0
			for _, c := range "0123456789X" {
				got, _, err := ParseCitizenIDOn(string(id[:17])+string(c), asOf)
				if err == nil && got == id {
					accepted++
				} else if !errors.Is(err, ErrCheckDigit) {
					t.Fatalf("%s with %c: %q, %v", id[:17], c, got, err)
				}
			}
			if accepted != 1 {
				t.Fatalf("%s: %d check characters are accepted", id, accepted)
			}
		}
	}
}

// Ensure that exactly the days of the calendar are days of birth.
func TestCitizenIDCalendar(t *testing.T) {
	days := map[string]bool{}
	for d := time.Date(earliestBirth, 1, 1, 0, 0, 0, 0, time.UTC); d.Before(time.Date(2026, 9, 29, 0, 0, 0, 0, time.UTC)); d = d.AddDate(0, 0, 1) {
		days[d.Format("20060102")] = true
	}
	for year := 1845; year <= 2030; year++ {
		for month := 0; month <= 13; month++ {
			for day := 0; day <= 32; day++ {
				s := []byte("99999900000000001")
				digits := year*10000 + month*100 + day
				for i := 13; i >= 6; i-- {
					s[i] = byte('0' + digits%10)
					digits /= 10
				}
				_, _, err := ParseCitizenIDOn(string(s)+checkCharacter(string(s)), asOf)
				if want := days[string(s[6:14])]; want != (err == nil) || (err != nil && !errors.Is(err, ErrBirthDate)) {
					t.Fatalf("%s: %v", s[6:14], err)
				}
			}
		}
	}
}

func drawCitizenID(t *rapid.T) CitizenID {
	day := time.Date(1900, 1, 1, 0, 0, 0, 0, record.Zone).AddDate(0, 0, rapid.IntRange(0, 45000).Draw(t, "day"))
	division := rapid.SampledFrom([]string{"999999", "420684", "110105", "710000", "830000"}).Draw(t, "division")
	return ComposeCitizenID(division, day, rapid.IntRange(1, 999).Draw(t, "serial"))
}

// Ensure that every wrong single character and every exchange of two neighbours is noticed (ISO 7064 promises both).
func TestCitizenIDSlips(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		id := string(drawCitizenID(t))
		at := rapid.IntRange(0, 16).Draw(t, "at")
		slip := []byte(id)
		slip[at] = byte('0' + rapid.IntRange(0, 9).Draw(t, "digit"))
		if _, _, err := ParseCitizenIDOn(string(slip), asOf); (err == nil) != (string(slip) == id) {
			t.Fatalf("%s typed as %s: %v", id, slip, err)
		}
		slip = []byte(id)
		slip[at], slip[at+1] = slip[at+1], slip[at]
		if _, _, err := ParseCitizenIDOn(string(slip), asOf); (err == nil) != (string(slip) == id) {
			t.Fatalf("%s typed as %s: %v", id, slip, err)
		}
	})
}

// Ensure that however a number is spaced, widened or hyphenated, it is the same number.
func TestCitizenIDTyping(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		id := drawCitizenID(t)
		var b strings.Builder
		for _, r := range string(id) {
			b.WriteString(strings.Repeat(rapid.SampledFrom([]string{" ", "　", "-", "－", "\u200b", "\t"}).Draw(t, "space"), rapid.IntRange(0, 1).Draw(t, "times")))
			if rapid.Bool().Draw(t, "wide") {
				r += '０' - '0'
			}
			b.WriteRune(r)
		}
		typed := b.String()
		if rapid.Bool().Draw(t, "lower") {
			typed = strings.ToLower(typed)
		}
		got, warnings, err := ParseCitizenIDOn(typed, asOf)
		if got != id || err != nil || len(warnings) != 0 {
			t.Fatalf("%q: got %q %v %v", typed, got, warnings, err)
		}
		if m := id.Masked(); m[:6] != string(id[:6]) || m[6:14] != "********" || m[14:] != string(id[14:]) {
			t.Fatalf("masked as %s", m)
		}
	})
}

// Ensure that whatever is typed, the answer is either a number that parses to itself or one of the known problems.
func FuzzParseCitizenID(f *testing.F) {
	for _, s := range []string{"11010519491231002X", "999999860812047", "９９９９９９１９８００１０１００１１", "X", "不详", "\xff\xfe"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		id, _, err := ParseCitizenIDOn(s, asOf)
		if err != nil {
			if record.KindOf(err) != record.Invalid || id != "" {
				t.Fatalf("%q: %q, %v", s, id, err)
			}
			return
		}
		again, warnings, err := ParseCitizenIDOn(string(id), asOf)
		if again != id || len(warnings) != 0 || err != nil || id.Sex() == "" || id.BirthDate().IsZero() || !utf8.ValidString(string(id)) {
			t.Fatalf("%q: %q parses again to %q %v %v", s, id, again, warnings, err)
		}
	})
}
