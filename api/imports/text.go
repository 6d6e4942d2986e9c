package imports

import (
	"bytes"
	"io"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/unicode"

	"yidang/domain/record"
)

// readText reads comma-, tab-, semicolon- or bar-separated text in UTF-8, UTF-16 (Excel's "Unicode text") or GB18030 (what
// Chinese Excel writes as CSV).
func readText(r io.ReaderAt, size int64, allowance *budget, out *Roster) error {
	raw, err := io.ReadAll(io.NewSectionReader(r, 0, size))
	if err != nil {
		return record.Errorf(record.Invalid, "read the upload: %w", err)
	}
	text, err := decode(raw)
	if err != nil {
		return err
	}
	if err := allowance.spend(len(text)); err != nil {
		return err
	}
	// The separator is the one with which a heading is found: a roster in which addresses hold commas may well be
	// separated by tabs. The rest of the allowance is for one reading, since only one is kept.
	separators := []byte{',', '\t', ';', '|'}
	if len(text) > 5 && strings.EqualFold(text[:4], "sep=") { // a hint to Excel, which does not count its line either
		separators = []byte{text[4]}
		_, text, _ = strings.Cut(text, "\n")
	}
	var first error
	for _, separator := range separators {
		lines, err := split(text, separator, allowance.rows, allowance.limits)
		if err == nil {
			g := &grid{lines: lines}
			g.finish(nil)
			if err = readGrids([]*grid{g}, out); err == nil {
				return nil
			}
		}
		if first == nil || noHeading(first) {
			first = err
		}
	}
	return first
}

func decode(raw []byte) (string, error) {
	var enc encoding.Encoding
	switch {
	case bytes.HasPrefix(raw, []byte("\xEF\xBB\xBF")) && utf8.Valid(raw):
		return string(raw[3:]), nil
	case bytes.HasPrefix(raw, []byte("\xFF\xFE")), bytes.HasPrefix(raw, []byte("\xFE\xFF")):
		enc = unicode.UTF16(unicode.LittleEndian, unicode.ExpectBOM)
	case bytes.IndexByte(raw, 0) >= 0:
		return "", fileProblem("the file is neither a workbook nor text", "文件既不是工作簿也不是文本", "save the roster as .xlsx")
	case utf8.Valid(raw):
		return string(raw), nil
	default:
		enc = simplifiedchinese.GB18030
	}
	text, err := enc.NewDecoder().Bytes(raw)
	if err != nil || bytes.ContainsRune(text, utf8.RuneError) {
		return "", fileProblem("the text is neither UTF-8 nor GB18030", "文本编码既不是UTF-8也不是GB18030", "save the roster as .xlsx")
	}
	return string(text), nil
}

// split cuts text into lines and cells by RFC 4180. It is not encoding/csv because that leaves blank lines out without a
// trace, and then the row numbers in our answers would not be those that the office sees.
func split(text string, separator byte, rows int, limits Limits) ([]line, error) {
	allowance := &budget{rows: rows, limits: limits}
	var lines []line
	for row := 1; text != ""; row++ {
		l := line{row: row}
		col := 1
		for more := true; more; col++ {
			var field string
			var ok bool
			if field, text, more, ok = cutField(text, separator); !ok {
				return nil, fileProblem("a quotation mark is not closed", "引号没有成对", "save the roster as .xlsx").At("file row " + ref(col, row))
			}
			if field = cleanCell(field); field != "" && col <= maxColumn {
				l.cells = append(l.cells, cell{col: col, text: field})
			}
		}
		if len(l.cells) > 0 {
			if err := allowance.line(); err != nil {
				return nil, err
			}
			lines = append(lines, l)
		}
	}
	return lines, nil
}

// cutField takes one field off the text. More says that another follows on the same line.
func cutField(text string, separator byte) (field, rest string, more, ok bool) {
	var quoted strings.Builder
	if strings.HasPrefix(text, `"`) {
		text = text[1:]
		for {
			i := strings.IndexByte(text, '"')
			if i < 0 {
				return "", "", false, false
			}
			quoted.WriteString(text[:i])
			text = text[i+1:]
			if !strings.HasPrefix(text, `"`) {
				break
			}
			quoted.WriteByte('"')
			text = text[1:]
		}
	}
	end := strings.IndexAny(text, string([]byte{separator, '\n', '\r'}))
	if end < 0 {
		return quoted.String() + text, "", false, true
	}
	field, stop := quoted.String()+text[:end], text[end]
	rest = text[end+1:]
	if stop == '\r' {
		rest = strings.TrimPrefix(rest, "\n")
	}
	return field, rest, stop == separator, true
}
