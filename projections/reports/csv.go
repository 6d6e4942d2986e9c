package reports

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"

	"yidang/domain/record"
)

// CSV writes the answer as spreadsheets read it: UTF-8 with a byte order mark, a line of titles, then the rows, each with
// the position of the log, so that a saved file still says what it shows. name gives the names of officers and villages by
// their uuid; nil, or an empty answer, leaves the uuid.
func (r *Result) CSV(w io.Writer, chinese bool, name func(t Type, id string) string) error {
	if _, err := io.WriteString(w, "\ufeff"); err != nil {
		return err
	}
	out := csv.NewWriter(w)
	out.UseCRLF = true
	in := func(t record.Text) string {
		if chinese {
			return t.Zh
		}
		return t.En
	}
	line := make([]string, 0, len(r.Columns)+1)
	for _, c := range r.Columns {
		title := in(c.Title)
		if c.Type == Duration {
			title += in(record.T("（小时）", " (hours)"))
		}
		line = append(line, safe(title))
	}
	if err := out.Write(append(line, in(record.T("日志位置", "log position")))); err != nil {
		return err
	}
	for _, row := range r.Rows {
		line = line[:0]
		for _, c := range r.Columns {
			line = append(line, c.text(row[c.Name], in, name))
		}
		if err := out.Write(append(line, strconv.FormatUint(r.Position, 10))); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

func (c *Column) text(v any, in func(record.Text) string, name func(Type, string) string) string {
	switch x := v.(type) {
	case int64:
		if c.Type == Duration {
			return strconv.FormatFloat(float64(x)/3600, 'f', 2, 64)
		}
		return strconv.FormatInt(x, 10)
	case Ratio:
		if x.Percent == "" {
			return fmt.Sprintf("– (%d/%d)", x.N, x.Of)
		}
		return fmt.Sprintf("%s%% (%d/%d)", x.Percent, x.N, x.Of)
	case []string:
		return strings.Join(x, " ")
	case string:
		if t, ok := c.Codes[x]; ok {
			return safe(in(t))
		}
		if name != nil && x != "" && (c.Type == Officer || c.Type == Village) {
			if n := name(c.Type, x); n != "" {
				return safe(n)
			}
		}
		return safe(x)
	}
	return ""
}

// safe keeps a spreadsheet from taking a text for a formula.
func safe(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r\n＝＋－＠", []rune(s)[0]) {
		return "'" + s
	}
	return s
}
