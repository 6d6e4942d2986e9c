package record

import (
	"errors"
	"fmt"
)

// Kind says what sort of failure an error is. There are few on purpose: each has one meaning for a caller and one HTTP
// status, and an error without a kind is a defect of ours, shown as "internal error" with a reference number.
type Kind string

const (
	Invalid     Kind = "invalid"     // the input is malformed; the same input will never be accepted
	Refused     Kind = "refused"     // a rule of the casework forbids it in the present state of the file
	Conflict    Kind = "conflict"    // somebody else changed the file first; read it again and decide anew
	NotFound    Kind = "not-found"   // there is no such thing, or none the caller may know of
	Forbidden   Kind = "forbidden"   // the caller's posts do not allow it
	Erased      Kind = "erased"      // the key was destroyed: dates and types remain, content is gone for ever
	Unavailable Kind = "unavailable" // an engine is not there; the same request may succeed later
)

// Problem is an error a person can act on: which field, which rule (with its source), and what to do about it.
// Messages never hold personal data: they reach logs.
type Problem struct {
	Kind    Kind
	Message string // one sentence, English
	Zh      string // the same sentence in Chinese; empty when there is none
	Field   string // JSON path of the offending input field, or empty
	Rule    string // the clause or article that decides, such as "S-2" or "戒毒条例 19"
	Remedy  string // what the caller can do
	cause   error
	said    bool // the message already prints the cause
}

func (p *Problem) Error() string {
	s := p.Message
	if p.Field != "" {
		s = p.Field + ": " + s
	}
	if p.Rule != "" {
		s += " (" + p.Rule + ")"
	}
	if p.cause != nil && !p.said {
		s += ": " + p.cause.Error()
	}
	return s
}

func (p *Problem) Unwrap() error { return p.cause }

// Is makes errors.Is(err, ErrSomeRule) hold for a copy of an exported problem that was given a field or a cause.
func (p *Problem) Is(target error) bool {
	t, ok := target.(*Problem)
	return ok && t.Kind == p.Kind && t.Message == p.Message && t.Rule == p.Rule
}

// At returns a copy that names the input field.
func (p *Problem) At(field string) *Problem {
	c := *p
	c.Field = field
	return &c
}

// Because returns a copy that wraps the error underneath.
func (p *Problem) Because(err error) *Problem {
	c := *p
	c.cause, c.said = err, false
	return &c
}

// Errorf makes a problem of a kind; a %w in the format is unwrapped as usual.
func Errorf(kind Kind, format string, args ...any) *Problem {
	err := fmt.Errorf(format, args...)
	return &Problem{Kind: kind, Message: err.Error(), cause: errors.Unwrap(err), said: true}
}

// KindOf finds the kind of an error, or "" when it has none.
func KindOf(err error) Kind {
	var p *Problem
	if errors.As(err, &p) {
		return p.Kind
	}
	return ""
}
