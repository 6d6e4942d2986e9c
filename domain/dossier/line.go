package dossier

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/google/uuid"

	"yidang/domain/catalog"
	"yidang/domain/journal"
)

// line is an event as the dossier has it: one line of events/<stream>.jsonl. Beside what the leaf of the log binds, it has
// one of:
//
//   - data: the data as it is stored, for what is stored unsealed. Its SHA-256 is in the leaf.
//   - salt and fields: the fields of the data, each with its salt, or with its hash alone when it is withheld. They give the
//     commitment in the metadata, whose SHA-256 is in the leaf.
//   - unproved: the data of an event from before there were commitments. That it is what was sealed is the server's word.
//   - erased: the key was destroyed.
//   - none of them: the whole content is withheld.
//
// Withheld is why something is.
type line struct {
	Revision uint64          `json:"revision"`
	Event    uuid.UUID       `json:"event"`
	Type     string          `json:"type"`
	Meta     json.RawMessage `json:"meta"`
	Data     json.RawMessage `json:"data"`
	Salt     string          `json:"salt"`
	Fields   []field         `json:"fields"`
	Unproved json.RawMessage `json:"unproved"`
	Erased   bool            `json:"erased"`
	Withheld string          `json:"withheld"`
}

// field is a field of the data: Open is an object with it alone, whose bytes between the braces are those of the field.
type field struct {
	Salt string          `json:"salt"`
	Open json.RawMessage `json:"open"`
	Hash string          `json:"hash"`
}

// encode writes the line in its one form, with a newline.
func (l *line) encode(b []byte) []byte {
	kind, _ := json.Marshal(l.Type)
	b = append(b, `{"revision":`...)
	b = strconv.AppendUint(b, l.Revision, 10)
	b = append(append(append(b, `,"event":"`...), l.Event.String()...), `","type":`...)
	b = append(append(append(b, kind...), `,"meta":`...), l.Meta...)
	if l.Data != nil {
		b = append(append(b, `,"data":`...), l.Data...)
	}
	if l.Salt != "" {
		b = append(append(append(b, `,"salt":"`...), l.Salt...), `","fields":[`...)
		for i, f := range l.Fields {
			if i > 0 {
				b = append(b, ',')
			}
			if f.Hash != "" {
				b = append(append(append(b, `{"hash":"`...), f.Hash...), `"}`...)
				continue
			}
			b = append(append(append(b, `{"salt":"`...), f.Salt...), `","open":`...)
			b = append(append(b, f.Open...), '}')
		}
		b = append(b, ']')
	}
	if l.Unproved != nil {
		b = append(append(b, `,"unproved":`...), l.Unproved...)
	}
	if l.Erased {
		b = append(b, `,"erased":true`...)
	}
	if l.Withheld != "" {
		why, _ := json.Marshal(l.Withheld)
		b = append(append(b, `,"withheld":`...), why...)
	}
	return append(b, "}\n"...)
}

// decodeLine reads a line; it accepts exactly what encode writes.
func decodeLine(raw []byte) (*line, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	l := &line{}
	if err := dec.Decode(l); err != nil {
		return nil, err
	}
	if !bytes.Equal(l.encode(nil), raw) {
		return nil, errors.New("the line is not in its one form")
	}
	return l, nil
}

// newLine shows an event as far as the redaction allows.
func newLine(s journal.Stored, d catalog.Disclosure, why string, hidden func(name string) bool) (*line, error) {
	if !oneLine(s.Meta) || !d.Sealed && !oneLine(d.Data) {
		return nil, fmt.Errorf("event %s: it is not stored as one line of JSON", s.ID)
	}
	l := &line{Revision: s.Revision, Event: s.ID, Type: s.Type, Meta: s.Meta}
	switch {
	case d.Erased:
		l.Erased = true
	case why != "" && hidden == nil:
		l.Withheld = why
	case !d.Sealed:
		l.Data = d.Data
	case !d.Committed && hidden != nil && anyHidden(d.Data, hidden):
		l.Withheld = why // without a commitment a part cannot be told from the whole
	case !d.Committed:
		l.Unproved = d.Data
	default:
		l.Salt, l.Fields = hex.EncodeToString(d.Salt[:]), []field{}
		for _, f := range d.Fields {
			if hidden != nil && hidden(fieldName(f.Bytes)) {
				hash := catalog.FieldHash(f.Salt, f.Bytes)
				l.Fields, l.Withheld = append(l.Fields, field{Hash: hex.EncodeToString(hash[:])}), why
				continue
			}
			open := append(append([]byte{'{'}, f.Bytes...), '}')
			l.Fields = append(l.Fields, field{Salt: hex.EncodeToString(f.Salt[:]), Open: open})
		}
	}
	return l, nil
}

// oneLine says whether raw is JSON that can stand within a line as it is.
func oneLine(raw []byte) bool { return json.Valid(raw) && !bytes.ContainsAny(raw, "\n\r") }

func anyHidden(object []byte, hidden func(string) bool) bool {
	fields, err := catalog.Fields(object)
	if err != nil {
		return true
	}
	for _, f := range fields {
		if hidden(fieldName(f)) {
			return true
		}
	}
	return false
}

// fieldName is the name before the colon.
func fieldName(field []byte) (name string) {
	dec := json.NewDecoder(bytes.NewReader(field))
	t, err := dec.Token()
	if err != nil {
		return ""
	}
	name, _ = t.(string)
	return name
}

// opened is the data that the line shows, nil when it shows none: an object, less the fields that are withheld.
func (l *line) opened() []byte {
	switch {
	case l.Data != nil:
		return l.Data
	case l.Unproved != nil:
		return l.Unproved
	case l.Salt == "":
		return nil
	}
	b := []byte{'{'}
	for _, f := range l.Fields {
		if f.Open == nil {
			continue
		}
		if len(b) > 1 {
			b = append(b, ',')
		}
		b = append(b, f.Open[1:len(f.Open)-1]...)
	}
	return append(b, '}')
}

var (
	errShape      = errors.New("it is none of the forms in which an event is shown")
	errCommitment = errors.New("what is shown is not what was recorded: it does not give the commitment in the metadata")
	errPlain      = errors.New("what is shown is not what was recorded: its hash is not the one in the log")
)

// check says whether what is shown is what the metadata and the log bind: dataHash is the leaf's hash of the stored data.
// proved is false when there is nothing to hold it against. It does not check the metadata itself.
func (l *line) check(dataHash [sha256.Size]byte) (proved bool, err error) {
	commitment, err := catalog.Commitment(l.Meta)
	if err != nil {
		return false, err
	}
	forms := 0
	for _, there := range []bool{l.Data != nil, l.Salt != "", l.Unproved != nil, l.Erased, l.whole()} {
		if there {
			forms++
		}
	}
	if forms != 1 || l.Salt == "" && l.Fields != nil || l.Salt == "" && l.Withheld != "" && !l.whole() {
		return false, errShape
	}
	switch {
	case l.Data != nil:
		if sha256.Sum256(l.Data) != dataHash || commitment != nil {
			return false, errPlain
		}
		return true, nil
	case l.Unproved != nil:
		if commitment != nil {
			return false, errShape
		}
		return false, nil
	case l.Salt == "":
		return true, nil
	}
	return true, l.checkFields(commitment)
}

// whole says that all of the content is withheld.
func (l *line) whole() bool {
	return l.Withheld != "" && l.Data == nil && l.Salt == "" && l.Unproved == nil && !l.Erased
}

func (l *line) checkFields(commitment []byte) error {
	salt, err := unhex(l.Salt)
	if err != nil {
		return err
	}
	hashes := make([][sha256.Size]byte, len(l.Fields))
	withheld := false
	for i, f := range l.Fields {
		if f.Open == nil {
			withheld = true
			if hashes[i], err = unhex(f.Hash); err != nil {
				return err
			}
			continue
		}
		one, err := catalog.Fields(f.Open)
		if err != nil || len(one) != 1 {
			return errShape
		}
		s, err := unhex(f.Salt)
		if err != nil {
			return err
		}
		hashes[i] = catalog.FieldHash(s, one[0])
	}
	if withheld != (l.Withheld != "") {
		return errShape
	}
	if sum := catalog.Commit(salt, hashes); !bytes.Equal(sum[:], commitment) {
		return errCommitment
	}
	return nil
}

// unhex reads a hash in its one spelling.
func unhex(s string) (h [sha256.Size]byte, err error) {
	raw, err := hex.DecodeString(s)
	if err != nil || len(raw) != len(h) || hex.EncodeToString(raw) != s {
		return h, fmt.Errorf("%q is not a SHA-256 in hex", s)
	}
	return [sha256.Size]byte(raw), nil
}
