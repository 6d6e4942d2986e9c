package person

import (
	"fmt"
	"strings"
	"time"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"yidang/domain/record"
)

// CitizenID is a citizen identity number in its one stored form: 17 digits and a check character (a digit or X). Only
// ParseCitizenID and ComposeCitizenID make one; code that converts a string of its own accord has checked nothing.
type CitizenID string

// Sex is coded by GB/T 2261.1. Its codes 0 (unknown) and 9 (unstated) never come out of a citizen id.
type Sex string

const (
	Male   Sex = "1"
	Female Sex = "2"
)

// Warning is something a person should look at, though the input was understood.
type Warning record.Text

// WarnExtended says that a number of the old 15-digit form was completed with the century and the check character.
// The law gives the 18-digit number to the same person, yet two people may have been issued one old number.
var WarnExtended = Warning(record.T("15位号码已补为18位", "15-digit id was extended to 18 digits"))

// What may be wrong with a citizen id, in the order in which it is looked for. Each is told apart by errors.Is.
var (
	ErrMissing    = idProblem("citizen id is missing", "缺少公民身份号码", "copy all 18 characters from the identity card")
	ErrCharacters = idProblem("citizen id holds other characters than digits and a final X", "公民身份号码含有无效字符", "use digits only, and X as the last character if the card has it")
	ErrLength     = idProblem("citizen id has neither 18 nor 15 characters", "公民身份号码不是18位或15位", "copy all 18 characters from the identity card")
	ErrDivision   = idProblem("citizen id begins with a division that does not exist", "公民身份号码的行政区划代码不存在", "check the first six digits against the identity card")
	ErrBirthDate  = idProblem("birth date in the citizen id does not exist", "公民身份号码中的出生日期不存在", "check digits 7 to 14 against the identity card")
	ErrCheckDigit = idProblem("check digit is wrong", "公民身份号码校验码错误", "compare every digit with the identity card: one is wrong or two are exchanged")
)

func idProblem(en, zh, remedy string) *record.Problem {
	return &record.Problem{Kind: record.Invalid, Field: "citizenId", Rule: "GB 11643", Message: en, Zh: zh, Remedy: remedy}
}

// testDivision is the division of synthetic people: no such place exists, so no test number can be a real person's.
const testDivision = "999999"

// provinces are the first two digits that GB/T 2260 knows, and those of the residence permits of Hong Kong, Macao and
// Taiwan residents (81, 82, 83). The other four digits are not looked up: divisions come and go, and a number keeps the
// division in which it was issued.
const provinces = " 11 12 13 14 15 21 22 23 31 32 33 34 35 36 37 41 42 43 44 45 46 50 51 52 53 54 61 62 63 64 65 71 81 82 83 "

// earliestBirth is older than anybody alive; a date before it is a slip of the pen.
const earliestBirth = 1850

// ParseCitizenID reads a number as people type it: full-width digits, spaces, hyphens and a lower-case x are put right
// without a word; the 15-digit form is extended with a warning. Today, in Chinese time, bounds the birth date.
func ParseCitizenID(s string) (CitizenID, []Warning, error) {
	return ParseCitizenIDOn(s, time.Now())
}

// ParseCitizenIDOn is ParseCitizenID with the caller's clock.
func ParseCitizenIDOn(s string, now time.Time) (CitizenID, []Warning, error) {
	s = plainCharacters(s)
	if s == "" {
		return "", nil, ErrMissing
	}
	if !onlyIDCharacters(s) {
		return "", nil, ErrCharacters
	}
	var warnings []Warning
	body := s
	switch {
	case len(s) == 18:
		body = s[:17]
	case len(s) == 15 && s[14] != 'X':
		// GB 11643-1989 dropped the century; the numbers were issued from 1984 to 1999, to people born after 1900.
		body = s[:6] + "19" + s[6:]
		warnings = []Warning{WarnExtended}
	default:
		return "", nil, ErrLength
	}
	if !knownDivision(body[:6]) {
		return "", nil, ErrDivision
	}
	birth, err := time.ParseInLocation("20060102", body[6:14], record.Zone)
	if err != nil || birth.Year() < earliestBirth || birth.After(record.DayOf(now)) {
		return "", nil, ErrBirthDate
	}
	id := CitizenID(body) + CitizenID(checkCharacter(body))
	if len(s) == 18 && string(id) != s {
		return "", nil, ErrCheckDigit
	}
	return id, warnings, nil
}

// ComposeCitizenID makes the number of a person from the division (6 digits), the day of birth and the serial number
// (1 to 999, odd for men). It is for people who do not exist, in demonstrations and tests.
func ComposeCitizenID(division string, birth time.Time, serial int) CitizenID {
	body := fmt.Sprintf("%s%s%03d", division, birth.Format("20060102"), serial)
	return CitizenID(body) + CitizenID(checkCharacter(body))
}

// BirthDate is the day of birth in record.Zone: a day, not a moment. The zero time when the id was not parsed.
func (id CitizenID) BirthDate() time.Time {
	if len(id) != 18 {
		return time.Time{}
	}
	t, _ := time.ParseInLocation("20060102", string(id[6:14]), record.Zone)
	return t
}

// Sex is read from the serial number: odd for men, even for women. Empty when the id was not parsed.
func (id CitizenID) Sex() Sex {
	switch {
	case len(id) != 18:
		return ""
	case (id[16]-'0')%2 == 1:
		return Male
	default:
		return Female
	}
}

func (id CitizenID) String() string { return string(id) }

// Masked is the form for lists and receipts: division and last four characters, as Chinese forms print it.
func (id CitizenID) Masked() string {
	if len(id) != 18 {
		return strings.Repeat("*", len(id))
	}
	return string(id[:6]) + "********" + string(id[14:])
}

// plainCharacters undoes what input methods and spreadsheets do to a number.
func plainCharacters(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r), unicode.Is(unicode.Cf, r), unicode.Is(unicode.Pd, r), r == '−':
			return -1
		case r == 'x', r == '×', r == 'Ⅹ', r == 'ⅹ': // each is found on keyboards where the card has X
			return 'X'
		}
		return r
	}, norm.NFKC.String(s))
}

// onlyIDCharacters also keeps the byte indexes used above those of characters.
func onlyIDCharacters(s string) bool {
	for i := 0; i < len(s); i++ {
		if (s[i] < '0' || s[i] > '9') && (s[i] != 'X' || i != len(s)-1) {
			return false
		}
	}
	return true
}

func knownDivision(d string) bool {
	return d == testDivision || strings.Contains(provinces, " "+d[:2]+" ")
}

// checkCharacter computes the 18th character from the first 17 by ISO 7064 MOD 11-2.
func checkCharacter(body string) string {
	weights := [17]int{7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2}
	sum := 0
	for i, w := range weights {
		sum += int(body[i]-'0') * w
	}
	r := sum % 11
	return "10X98765432"[r : r+1]
}
