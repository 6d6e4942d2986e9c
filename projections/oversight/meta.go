package oversight

import (
	"bytes"

	"github.com/google/uuid"

	"yidang/domain/record"
)

// readMeta reads of an event's metadata what the index keeps, from the form in which it is written: one object without
// spaces, of numbers and strings. It answers false to any other, which is then read by a JSON decoder. A build decodes
// nothing but this of most events, and the decoder takes four times as long.
func readMeta(raw []byte, m *record.Meta) bool {
	if len(raw) < 2 || raw[0] != '{' || raw[len(raw)-1] != '}' {
		return false
	}
	for raw = raw[1:]; len(raw) > 0; {
		name, rest, ok := readString(raw)
		if !ok || len(rest) < 2 || rest[0] != ':' {
			return false
		}
		rest = rest[1:]
		if rest[0] == '"' {
			value, after, plain := readString(rest)
			if !plain || !readField(name, value, m) {
				return false
			}
			rest = after
		} else { // the form of the data
			n := 0
			for n < len(rest) && rest[n] >= '0' && rest[n] <= '9' {
				n++
			}
			if n == 0 || n > 9 || string(name) != "form" {
				return false
			}
			m.Form = 0
			for _, c := range rest[:n] {
				m.Form = 10*m.Form + int(c-'0')
			}
			rest = rest[n:]
		}
		switch {
		case len(rest) > 1 && rest[0] == ',':
			raw = rest[1:]
		default:
			return len(rest) == 1 && rest[0] == '}'
		}
	}
	return false
}

// readString cuts a string without escapes off.
func readString(raw []byte) (value, rest []byte, ok bool) {
	if len(raw) < 2 || raw[0] != '"' {
		return nil, nil, false
	}
	end := bytes.IndexByte(raw[1:], '"')
	if end < 0 || bytes.IndexByte(raw[1:1+end], '\\') >= 0 {
		return nil, nil, false
	}
	return raw[1 : 1+end], raw[2+end:], true
}

func readField(name, value []byte, m *record.Meta) bool {
	id := func(to *uuid.UUID) bool {
		parsed, err := uuid.ParseBytes(value)
		*to = parsed
		return err == nil && len(value) == 36
	}
	switch string(name) {
	case "actor":
		return id(&m.Actor)
	case "post":
		return id(&m.Post)
	case "unit":
		return id(&m.Unit)
	case "person":
		return id(&m.Person)
	case "case":
		return id(&m.Case)
	case "command":
		return id(&m.Command)
	case "$causationId":
		return id(&m.Causation)
	case "role":
		m.Role = record.Role(value)
	case "late":
		m.Late = record.Late(value)
	case "occurredAt":
		return m.OccurredAt.UnmarshalText(value) == nil
	case "recordedAt":
		return m.RecordedAt.UnmarshalText(value) == nil
	case "basis", "request", "$correlationId", "policy":
	default: // of a newer version
		return false
	}
	return true
}
