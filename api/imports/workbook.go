package imports

import (
	"archive/zip"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"strconv"
	"strings"

	"yidang/domain/record"
)

// readWorkbook reads the visible sheets of an XLSX file.
//
// The parts are read here as streams and not through excelize, which writes our workbooks and checks this reader in the
// tests. Judging needs the stored type and number format of every cell, which excelize gives only from its document tree;
// that tree is laid out by the row numbers in the file (a kilobyte naming row 1,048,576 and column XFD costs gigabytes) and
// unites merges that overlap, which would give people another village.
func readWorkbook(r io.ReaderAt, size int64, allowance *budget, out *Roster) error {
	archive, err := zip.NewReader(r, size)
	if err != nil {
		return damaged(err)
	}
	w := &workbook{parts: map[string]*zip.File{}, allowance: allowance}
	for _, f := range archive.File {
		w.parts[strings.ToLower(strings.TrimPrefix(strings.ReplaceAll(f.Name, `\`, "/"), "/"))] = f
	}
	if w.parts["xl/workbook.bin"] != nil || w.parts["mimetype"] != nil {
		return fileProblem("the file is a workbook of another format", "文件不是.xlsx格式", "save it as .xlsx")
	}
	if w.parts["word/document.xml"] != nil {
		return errDocument
	}
	if w.parts["[content_types].xml"] == nil && w.parts["xl/_rels/workbook.xml.rels"] == nil {
		return fileProblem("the file is an archive", "文件为压缩包", "unpack it and choose the roster")
	}
	if err := w.open(); err != nil {
		var known *record.Problem
		if errors.As(err, &known) {
			return err
		}
		return damaged(err)
	}
	var grids []*grid
	for _, s := range w.sheets {
		if s.hidden {
			out.Ignored = append(out.Ignored, fmt.Sprintf("sheet %q: hidden", s.name))
			continue
		}
		g, err := w.read(s)
		if err != nil {
			var known *record.Problem
			if errors.As(err, &known) {
				return err
			}
			return damaged(fmt.Errorf("sheet %d: %w", len(grids)+1, err))
		}
		grids = append(grids, g)
	}
	return readGrids(grids, out)
}

// workbook is an opened XLSX package: a zip of XML parts (ECMA-376).
type workbook struct {
	parts     map[string]*zip.File // by lower-case name: programs disagree about case
	allowance *budget
	sheets    []sheet
	date1904  bool
	shared    []string // shared strings, by index
	dates     []bool   // cell formats, by index: whether they show a date
	struck    []bool   // likewise: whether they strike the text out
}

type sheet struct {
	name, part string
	hidden     bool
}

// relations reads where the parts are that a part refers to, by the id of the relation and by the last word of its type.
func (w *workbook) relations(part string) (map[string]string, error) {
	targets := map[string]string{}
	dir, base := path.Split(part)
	err := w.elements(dir+"_rels/"+base+".rels", func(e xml.StartElement) {
		if e.Name.Local == "Relationship" {
			target := attr(e, "Target")
			if !strings.HasPrefix(target, "/") {
				target = dir + target
			}
			target = strings.TrimPrefix(path.Clean(target), "/")
			targets[attr(e, "Id")] = target
			targets[path.Base(attr(e, "Type"))] = target
		}
	})
	return targets, err
}

// open reads the parts that all sheets share.
func (w *workbook) open() error {
	part := "xl/workbook.xml" // where nearly every program puts it
	if w.parts[part] == nil {
		root, err := w.relations("")
		if err != nil {
			return err
		}
		part = root["officeDocument"]
	}
	targets, err := w.relations(part)
	if err != nil {
		return err
	}
	err = w.elements(part, func(e xml.StartElement) {
		switch e.Name.Local {
		case "workbookPr":
			v := attr(e, "date1904")
			w.date1904 = v == "1" || v == "true"
		case "sheet":
			state := attr(e, "state")
			w.sheets = append(w.sheets, sheet{name: attr(e, "name"), part: targets[relation(e)],
				hidden: state == "hidden" || state == "veryHidden"})
		}
	})
	if err != nil {
		return err
	}
	if p := targets["styles"]; p != "" {
		if err := w.readStyles(p); err != nil {
			return err
		}
	}
	if p := targets["sharedStrings"]; p != "" {
		return w.readShared(p)
	}
	return nil
}

// part opens a part; what is read from it is spent from the allowance.
func (w *workbook) part(name string) (*xml.Decoder, io.Closer, error) {
	f := w.parts[strings.ToLower(name)]
	if f == nil {
		return nil, nil, fmt.Errorf("part %q is missing", name)
	}
	r, err := f.Open()
	if err != nil {
		return nil, nil, fmt.Errorf("open part %q: %w", name, err)
	}
	return xml.NewDecoder(&metered{r: r, allowance: w.allowance}), r, nil
}

// elements calls back for each start of an element in a part.
func (w *workbook) elements(name string, visit func(xml.StartElement)) error {
	return w.tokens(name, func(t xml.Token) error {
		if e, ok := t.(xml.StartElement); ok {
			visit(e)
		}
		return nil
	})
}

func (w *workbook) tokens(name string, visit func(xml.Token) error) error {
	d, closer, err := w.part(name)
	if err != nil {
		return err
	}
	defer closer.Close() // reading only: nothing to lose
	for {
		// Raw tokens leave name spaces alone: the strict and the usual form of the format differ only in those.
		t, err := d.RawToken()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("part %q: %w", name, err)
		}
		if err := visit(t); err != nil {
			return err
		}
	}
}

// readShared reads the texts that cells refer to by number. The phonetic guides beside a text are no part of it.
func (w *workbook) readShared(name string) error {
	var text textReader
	return w.tokens(name, func(t xml.Token) error {
		if e, ok := t.(xml.EndElement); ok && e.Name.Local == "si" {
			w.shared = append(w.shared, text.take())
			return nil
		}
		text.token(t)
		return nil
	})
}

// textReader gathers the t elements of a text, plain or in runs.
type textReader struct {
	b          strings.Builder
	in, reject bool
}

func (x *textReader) token(t xml.Token) {
	switch e := t.(type) {
	case xml.StartElement:
		switch e.Name.Local {
		case "t":
			x.in = true
		case "rPh":
			x.reject = true
		}
	case xml.EndElement:
		switch e.Name.Local {
		case "t":
			x.in = false
		case "rPh":
			x.reject = false
		}
	case xml.CharData:
		if x.in && !x.reject {
			x.b.Write(e)
		}
	}
}

func (x *textReader) take() string {
	s := x.b.String()
	*x = textReader{}
	return unescape(s)
}

var escaped = regexp.MustCompile(`_x[0-9A-Fa-f]{4}_`)

// unescape undoes the format's own escapes of characters that XML cannot hold, such as _x000D_.
func unescape(s string) string {
	if !strings.Contains(s, "_x") {
		return s
	}
	return escaped.ReplaceAllStringFunc(s, func(e string) string {
		n, _ := strconv.ParseUint(e[2:6], 16, 16)
		return string(rune(n))
	})
}

// readStyles finds out which cell formats show a number as a date, and which strike the text out.
func (w *workbook) readStyles(name string) error {
	codes := map[string]string{} // number format id → code
	inCells, inFonts := false, false
	var fonts []bool // by index: struck out
	err := w.tokens(name, func(t xml.Token) error {
		switch e := t.(type) {
		case xml.StartElement:
			switch e.Name.Local {
			case "fonts":
				inFonts = true
			case "font":
				if inFonts {
					fonts = append(fonts, false)
				}
			case "strike":
				if v := attr(e, "val"); inFonts && len(fonts) > 0 && v != "0" && v != "false" {
					fonts[len(fonts)-1] = true
				}
			case "numFmt":
				codes[attr(e, "numFmtId")] = attr(e, "formatCode")
			case "cellXfs":
				inCells = true
			case "xf":
				if inCells {
					id := attr(e, "numFmtId")
					w.dates = append(w.dates, showsDate(id, codes[id]))
					font, err := strconv.Atoi(attr(e, "fontId"))
					w.struck = append(w.struck, err == nil && font >= 0 && font < len(fonts) && fonts[font])
				}
			}
		case xml.EndElement:
			switch e.Name.Local {
			case "cellXfs":
				inCells = false
			case "fonts":
				inFonts = false
			}
		}
		return nil
	})
	return err
}

var notPattern = regexp.MustCompile(`"[^"]*"|\[[^\]]*\]|\\.|_.|\*.`)

// showsDate knows the built-in formats (27 to 36 and 50 to 58 are those of Chinese Excel) and reads the code of others.
func showsDate(id, code string) bool {
	if code != "" {
		return strings.ContainsAny(strings.ToLower(notPattern.ReplaceAllString(code, "")), "ymd")
	}
	n, err := strconv.Atoi(id)
	return err == nil && (n >= 14 && n <= 17 || n == 22 || n >= 27 && n <= 36 || n >= 50 && n <= 58)
}

func attr(e xml.StartElement, name string) string {
	for _, a := range e.Attr {
		if a.Name.Local == name && a.Name.Space == "" {
			return a.Value
		}
	}
	return ""
}

// relation is the r:id of an element, whatever prefix the name space has.
func relation(e xml.StartElement) string {
	for _, a := range e.Attr {
		if a.Name.Local == "id" && a.Name.Space != "" {
			return a.Value
		}
	}
	return ""
}

// metered spends the allowance on what is really unpacked: the sizes that a zip declares are the sender's.
type metered struct {
	r         io.Reader
	allowance *budget
}

func (m *metered) Read(p []byte) (int, error) {
	n, err := m.r.Read(p)
	if spent := m.allowance.spend(n); spent != nil {
		return 0, spent
	}
	return n, err
}
