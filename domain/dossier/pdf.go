package dossier

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"codeberg.org/go-pdf/fpdf"
)

// runesOf lists the characters that a TrueType font draws, by its Unicode table of format 4: those below U+10000, which is
// also all that the PDF library can reach.
func runesOf(ttf []byte) (has func(rune) bool, err error) {
	wrong := errors.New("the font is not a TrueType font with a Unicode table: name another one")
	at := func(i int) int { return int(binary.BigEndian.Uint16(ttf[i:])) }
	defer func() {
		if recover() != nil { // an index out of the file
			has, err = nil, wrong
		}
	}()
	if head := binary.BigEndian.Uint32(ttf); head != 0x00010000 && head != 0x74727565 {
		return nil, wrong
	}
	table := func(tag string) int {
		for i := range at(4) {
			if r := 12 + 16*i; string(ttf[r:r+4]) == tag {
				return int(binary.BigEndian.Uint32(ttf[r+8:]))
			}
		}
		return len(ttf)
	}
	cmap := table("cmap")
	var set [1 << 16 / 64]uint64
	found := false
	for i := range at(cmap + 2) {
		r := cmap + 4 + 8*i
		sub := cmap + int(binary.BigEndian.Uint32(ttf[r+4:]))
		if at(r) != 3 || at(r+2) != 1 || at(sub) != 4 {
			continue
		}
		found = true
		n := at(sub+6) / 2
		for s := range n {
			end, start := at(sub+14+2*s), at(sub+16+2*n+2*s)
			delta, offset := at(sub+16+4*n+2*s), at(sub+16+6*n+2*s)
			for c := start; c <= end && c < 0xFFFF; c++ {
				glyph := c + delta
				if offset != 0 {
					glyph = at(sub + 16 + 6*n + 2*s + offset + 2*(c-start))
					if glyph != 0 {
						glyph += delta
					}
				}
				if glyph&0xFFFF != 0 {
					set[c/64] |= 1 << (c % 64)
				}
			}
		}
	}
	if !found {
		return nil, wrong
	}
	return func(r rune) bool { return r >= 0 && r < 1<<16 && set[r/64]&(1<<(r%64)) != 0 }, nil
}

// printer writes the PDF.
type printer struct {
	*fpdf.Fpdf
	has     func(rune) bool
	undrawn map[rune]bool
}

// drawable puts the code point in the place of a character that the font does not have: none may vanish.
func (p *printer) drawable(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '\n' || p.has(r):
			b.WriteRune(r)
		case r == '\t' || r == '\u00a0':
			b.WriteByte(' ')
		default:
			p.undrawn[r] = true
			fmt.Fprintf(&b, "[U+%04X]", r)
		}
	}
	return b.String()
}

// say writes a paragraph. It breaks the lines itself: the library's MultiCell drops a Chinese character where it breaks.
func (p *printer) say(style string, size, indent float64, s string) {
	p.SetFont("sc", style, size)
	for _, l := range breakLines(p.drawable(s), 178-indent, p.GetStringWidth) {
		p.SetX(15 + indent)
		p.CellFormat(180-indent, size*0.5, l, "", 1, "L", false, 0, "")
	}
}

// breakLines cuts text into lines of at most a width: after a space or beside a character that is no Latin letter or
// digit, elsewhere only when there is no such place. Joined, the lines are the text, less its newlines.
func breakLines(text string, width float64, measure func(string) float64) (lines []string) {
	narrow := func(r rune) bool { return r < 0x2E80 && r != ' ' }
	for _, paragraph := range strings.Split(text, "\n") {
		rest := []rune(paragraph)
		for len(rest) > 0 {
			n, used := 0, 0.0
			for n < len(rest) {
				if used += measure(string(rest[n])); used > width && n > 0 {
					break
				}
				n++
			}
			if n < len(rest) {
				at := n
				for at > 0 && narrow(rest[at-1]) && narrow(rest[at]) {
					at--
				}
				if at > 0 {
					n = at
				}
			}
			lines, rest = append(lines, string(rest[:n])), rest[n:]
		}
	}
	return lines
}

// drawPDF makes the PDF: the same as the page, from the same lines.
func (b *book) drawPDF(font []byte) ([]byte, error) {
	has, err := runesOf(font)
	if err != nil {
		return nil, err
	}
	p := &printer{fpdf.New("P", "mm", "A4", ""), has, map[rune]bool{}}
	d := b.data()
	p.SetCatalogSort(true)
	p.SetCreationDate(d.M.Made)
	p.SetModificationDate(d.M.Made)
	p.SetTitle("Dossier "+d.M.Person.String(), true)
	p.SetMargins(15, 15, 15)
	p.SetAutoPageBreak(true, 18)
	p.AddUTF8FontFromBytes("sc", "", font)
	p.SetFooterFunc(func() {
		p.SetY(-12)
		p.SetFont("sc", "", 7)
		p.CellFormat(0, 5, fmt.Sprintf("%s    %d", d.M.Person, p.PageNo()), "", 0, "C", false, 0, "")
	})
	p.AddPage()
	p.front(d)
	p.Ln(3)
	for _, t := range d.Lines {
		p.told(t)
	}
	p.leftOut(d)
	var undrawn []string
	for r := range p.undrawn {
		undrawn = append(undrawn, fmt.Sprintf("%c U+%04X", r, r))
	}
	slices.Sort(undrawn)
	if len(undrawn) > 0 {
		p.say("", 8, 0, "本 PDF 字体缺少的字以码位代替，字形见 index.html / characters that this font lacks are given by code point; index.html has them")
	}
	b.manifest.Undrawn = append(b.manifest.Undrawn, undrawn...)
	var out bytes.Buffer
	if err := p.Output(&out); err != nil {
		return nil, fmt.Errorf("make the PDF: %w", err)
	}
	return out.Bytes(), nil
}

func (p *printer) front(d pageData) {
	p.say("", 17, 0, "卷宗 Dossier")
	p.say("", 10, 0, "人员 Person: "+strings.TrimSpace(d.Name+" "+d.ID)+" "+d.M.Person.String())
	p.say("", 10, 0, fmt.Sprintf("制作 Made: %s (UTC+8), %s, yidang %s", clock(d.M.Made), d.By, d.M.Tool))
	p.say("", 10, 0, "目的 Purpose: "+d.Purpose.Zh+" / "+d.Purpose.En+" "+d.M.Reason)
	p.say("", 10, 0, "出示范围 Shown: "+d.Level.Zh+" / "+d.Level.En+" "+strings.Join(d.M.Redaction.Groups, " "))
	p.say("", 10, 0, fmt.Sprintf("记录 Entries: %d；未出示或部分未出示 withheld %d；已销毁 erased %d；仅由签名担保 on the server's word %d", d.Events, d.Withheld, d.Erased, d.Unproved))
	p.say("", 10, 0, fmt.Sprintf("截至 Up to: 日志位置 log position %d; %s, %d leaves", d.M.Position, d.M.Origin, d.M.Tree))
	p.say("", 10, 0, "本文件不能证明自身真伪，请用 yidang verify 核验整个压缩包。 / This paper does not prove itself: check the whole zip with yidang verify.")
}

func (p *printer) told(t Told) {
	y := p.GetY()
	p.Line(15, y, 195, y)
	p.Ln(1)
	style := ""
	if t.Voided != nil {
		style = "S"
	}
	p.say(style, 10, 0, t.Text.Zh+" / "+t.Text.En)
	if t.State != "" {
		p.say("", 9, 0, "〔"+t.Why.Zh+"〕 "+t.Why.En)
	}
	var fields []string
	for _, f := range t.Fields {
		fields = append(fields, f.Name+" "+f.Value)
	}
	if len(fields) > 0 {
		p.say("", 8, 0, strings.Join(fields, " · "))
	}
	if v := t.Voided; v != nil {
		p.say("", 9, 5, "已作废 voided: "+v.Who+", "+clock(v.When)+", "+v.Text.Zh)
	}
	for _, c := range t.Corrects {
		p.say("", 9, 5, "更正为 corrected: "+c.Text.Zh+" / "+c.Text.En+" ("+c.Who+", "+clock(c.When)+")")
	}
	if a := t.Approved; a != nil {
		p.say("", 9, 5, "经第二人批准 approved by a second person: "+a.Who+", "+clock(a.When))
	}
	for _, a := range t.Papers {
		p.say("", 9, 5, "附件 attachment: "+a.Title+" "+a.File+a.Why.Zh+" SHA-256 "+a.SHA256)
	}
	role := strings.Trim(t.Role.Zh+"，"+t.Unit, "，")
	p.say("", 8, 0, fmt.Sprintf("发生 %s，记录 %s，间隔 %s · %s %s · %s %s", clock(t.Occurred), clock(t.Recorded), t.Lag.Zh, t.Who, role, t.Category.Zh, t.Basis))
	p.say("", 7, 0, fmt.Sprintf("%s #%d · %s · leaf %d", t.Stream, t.Revision, t.Event, t.Index))
	p.Ln(1)
}

func (p *printer) leftOut(d pageData) {
	p.say("", 12, 0, "未出示的内容及原因 What is left out, and why")
	for _, s := range d.M.Streams {
		p.say("", 8, 0, fmt.Sprintf("%s: %d 条，全部出示 shown %d，部分出示 in part %d，未出示 withheld %d，已销毁 erased %d", s.Name, s.Events, s.Open, s.Partly, s.Withheld, s.Erased))
	}
	for _, h := range d.Hidden {
		p.say("", 8, 0, "隐去的项 fields left out: "+h)
	}
	for _, l := range d.Left {
		p.say("", 8, 0, "附件 attachment "+l.SHA256+": "+whys[l.Why].Zh+" / "+whys[l.Why].En)
	}
}
