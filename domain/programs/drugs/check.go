package drugs

import (
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"yidang/domain/casework"
	"yidang/domain/record"
)

// The checks below hold inside a decision, whoever runs it. Lengths and bounds also stand in the tags of the inputs, which
// package commands checks before any decision.

func refusal(rule, en, zh, remedy string) *record.Problem {
	return &record.Problem{Kind: record.Refused, Rule: rule, Message: en, Zh: zh, Remedy: remedy}
}

func invalid(field, rule, en, zh, remedy string) *record.Problem {
	return &record.Problem{Kind: record.Invalid, Field: field, Rule: rule, Message: en, Zh: zh, Remedy: remedy}
}

// firstOf gives the first error, so that a decision can list its checks.
func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// text checks the length of what somebody wrote, in characters.
func text(field, s string, least, most int) error {
	n := utf8.RuneCountInString(strings.TrimSpace(s))
	if n >= least && n <= most {
		return nil
	}
	return invalid(field, "", fmt.Sprintf("must have %d to %d characters", least, most), fmt.Sprintf("应为 %d 至 %d 个字", least, most), "write it out")
}

// number checks a count.
func number(field string, n, least, most int) error {
	if n >= least && n <= most {
		return nil
	}
	return invalid(field, "", fmt.Sprintf("must be from %d to %d", least, most), fmt.Sprintf("应在 %d 至 %d 之间", least, most), "choose a number within the bounds")
}

// pastDay checks a day that must have come.
func pastDay(field, s string, g record.Given) error {
	if t := dayOf(s); !t.IsZero() && !t.After(g.Now) {
		return nil
	}
	return invalid(field, "", "is not a day of the past", "不是有效的过去日期", "write it as 2006-01-02")
}

// someDay checks a day that may be to come.
func someDay(field, s string) error {
	if !dayOf(s).IsZero() {
		return nil
	}
	return invalid(field, "", "is not a day", "不是有效日期", "write it as 2006-01-02")
}

// dayOf reads a day; what is not one is the zero time, so that folding never fails.
func dayOf(s string) time.Time {
	t, err := time.ParseInLocation(record.Day, s, record.Zone)
	if err != nil {
		return time.Time{}
	}
	return t
}

func dayText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.In(record.Zone).Format(record.Day)
}

var sha256Form = regexp.MustCompile(`^[0-9a-f]{64}$`)

// ErrNoAttachment refuses a paper that is only said to exist.
var ErrNoAttachment = invalid("", "S-1; S-2", "must name an uploaded file by its SHA-256, size and type", "必须附上已上传文件的 SHA-256、大小和类型", "upload the file first and use the answer")

func attached(field string, a casework.Attachment) error {
	if sha256Form.MatchString(a.SHA256) && a.Size > 0 && a.MediaType != "" {
		return nil
	}
	return ErrNoAttachment.At(field)
}

// optional checks an attachment that may be left out.
func optional(field string, a *casework.Attachment) error {
	if a == nil {
		return nil
	}
	return attached(field, *a)
}

// say builds a line from parts; a part with an empty value is left out.
func say(parts ...record.Text) (t record.Text) {
	for _, p := range parts {
		t.Zh += p.Zh
		t.En += p.En
	}
	return t
}

func also(zh, en, value string) record.Text {
	if value == "" {
		return record.Text{}
	}
	return record.T("；"+zh+value, "; "+en+value)
}
