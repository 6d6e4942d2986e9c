package imports

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	"yidang/domain/record"
)

// date is a day, or a month or a year when no more is known.
type date struct{ year, month, day int }

func (d date) String() string {
	switch {
	case d.month == 0:
		return fmt.Sprintf("%04d", d.year)
	case d.day == 0:
		return d.monthly()
	}
	return fmt.Sprintf("%04d-%02d-%02d", d.year, d.month, d.day)
}

func (d date) monthly() string {
	if d.month == 0 {
		return d.String()
	}
	return fmt.Sprintf("%04d-%02d", d.year, d.month)
}

// A date outside these years is a slip of the pen.
const firstYear, lastYear = 1900, 2100

// valid checks against the calendar.
func (d date) valid() bool {
	if d.year < firstYear || d.year > lastYear || d.month < 0 || d.month > 12 || d.day < 0 || d.month == 0 && d.day > 0 {
		return false
	}
	if d.day == 0 {
		return true
	}
	t := time.Date(d.year, time.Month(d.month), d.day, 0, 0, 0, 0, record.Zone)
	return t.Day() == d.day && t.Month() == time.Month(d.month)
}

// readDate reads a cell of a date column.
func readDate(c *cell, date1904 bool) (date, bool) {
	if c.number {
		return numericDate(c.value, c.date, date1904)
	}
	return parseDate(c.text)
}

// numericDate reads a number: a serial number of Excel with or without a date format, or a date typed without
// separators, or with one that made it a decimal number.
func numericDate(v float64, shown, date1904 bool) (date, bool) {
	whole := v == math.Trunc(v)
	switch {
	case shown, v >= 20000 && v < 80000: // 1954 to 2119
		return serialDate(v, date1904)
	case whole:
		return plainDate(strconv.FormatFloat(v, 'f', 0, 64))
	}
	// 2012.6 is June 2012. 2012.1 may have been 2012.10 before Excel took it for a number: only the year is sure.
	text := strconv.FormatFloat(v, 'f', -1, 64)
	year, month, _ := strings.Cut(text, ".")
	if month == "1" {
		return plainDate(year)
	}
	return parseDate(year + "." + month)
}

func serialDate(v float64, date1904 bool) (date, bool) {
	if v < 1 || v > 80000 {
		return date{}, false
	}
	// Excel counts a 29 February 1900 that never was, so that serial numbers from 61 on count from 30 December 1899.
	epoch := time.Date(1899, 12, 30, 0, 0, 0, 0, record.Zone)
	if date1904 {
		epoch = time.Date(1904, 1, 1, 0, 0, 0, 0, record.Zone)
	} else if v < 61 {
		return date{}, false
	}
	t := epoch.AddDate(0, 0, int(v))
	d := date{t.Year(), int(t.Month()), t.Day()}
	return d, d.valid()
}

// plainDate reads digits without separators: 20250802, 202508, 2015.
func plainDate(s string) (date, bool) {
	n, err := strconv.Atoi(s)
	if err != nil {
		return date{}, false
	}
	var d date
	switch len(s) {
	case 4:
		d.year = n
	case 6:
		d.year, d.month = n/100, n%100
	case 8:
		d.year, d.month, d.day = n/10000, n/100%100, n%100
	default:
		return date{}, false
	}
	return d, d.valid() && (len(s) < 6 || d.month > 0) && (len(s) < 8 || d.day > 0)
}

var (
	separated = regexp.MustCompile(`^(\d{4}|\d{2})[年./\\·\-、,](\d{1,2})(?:[月./\\·\-、,](?:(\d{1,2})[日号.]?)?)?$`)
	yearOnly  = regexp.MustCompile(`^(\d{4})年?$`)
	timeOfDay = regexp.MustCompile(`[t ]?\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?(z|[+-]\d{2}:?\d{2})?$`)
	about     = regexp.MustCompile(`^(大?约|大概)|(左右|前后|许|初|底|末|年?间|[上中下]旬|星期.|周.|[上下]午|\([^()]*\))$`)
	hanNumber = regexp.MustCompile(`^[〇零一二三四五六七八九十0]+年`)
)

// parseDate reads a date as people write it. Of a period (2025.8.2至2028.8.1) it is the first day.
func parseDate(s string) (date, bool) {
	s = strings.ToLower(tidy(s))
	s = strings.NewReplacer("．", ".", "。", ".", "／", "/", "—", "-", "–", "−", "，", ",", "：", ":", "（", "(", "）", ")", "o", "〇", "○", "〇", "Ｏ", "〇").Replace(s)
	s = timeOfDay.ReplaceAllString(s, "")
	s = strings.ReplaceAll(s, " ", "")
	if from, _, found := strings.Cut(s, "至"); found {
		s = from
	} else if from, _, found := strings.Cut(s, "~"); found {
		s = from
	}
	s = about.ReplaceAllString(s, "")
	if hanNumber.MatchString(s) {
		s = hanDate(s)
	}
	if m := yearOnly.FindStringSubmatch(s); m != nil {
		return plainDate(m[1])
	}
	if m := separated.FindStringSubmatch(s); m != nil {
		year, _ := strconv.Atoi(m[1])
		month, _ := strconv.Atoi(m[2])
		day, _ := strconv.Atoi(m[3])
		if len(m[1]) == 2 { // 25.8.2; without a day it could be anything
			if m[3] == "" {
				return date{}, false
			}
			year += 1900
			if year < 1950 {
				year += 100
			}
		}
		d := date{year, month, day}
		return d, d.valid() && month > 0 && (m[3] == "" || day > 0)
	}
	if len(s) == 5 { // a serial number that went through text, as in CSV
		if v, err := strconv.ParseFloat(s, 64); err == nil && v >= 20000 && v < 80000 {
			return serialDate(v, false)
		}
	}
	return plainDate(s)
}

var (
	dayInText   = regexp.MustCompile(`(\d{4}|\d{2})[年./\-](\d{1,2})([月./\-](\d{1,2}[日号]?)?)?`)
	aboutResult = regexp.MustCompile(`^[阴陰阳陽性反应尿毛发检測测结果为呈唾液现场:：,，、()（）/;；+\- ]*$`)
)

// withoutResult is the date in a cell that also tells the result of the test: 阴性（2026.3.5）, 2026年3月5日尿检阴性.
func withoutResult(s string) string {
	s = tidy(s)
	day := dayInText.FindString(s)
	if rest := strings.Replace(s, day, "", 1); aboutResult.MatchString(rest) {
		return day
	}
	return s
}

// hanDate turns 二〇二五年十二月三十一日 into 2025年12月31日: a year is read digit by digit, month and day as numbers.
func hanDate(s string) string {
	var b strings.Builder
	part := 0
	for _, r := range s {
		d := strings.IndexRune("零一二三四五六七八九十", r) / len("零")
		switch {
		case r == '〇', r == '0':
			b.WriteByte('0')
		case strings.ContainsRune("年月日号", r):
			if part == 10 { // 十月, 二十日: nothing followed the ten
				b.WriteByte('0')
			}
			part = 0
			b.WriteRune(r)
		case r == '十':
			if part == 0 {
				b.WriteByte('1')
			}
			part = 10
		case d >= 0 && strings.ContainsRune("零一二三四五六七八九", r):
			part = 1
			b.WriteByte(byte('0' + d))
		default:
			return s
		}
	}
	return b.String()
}
