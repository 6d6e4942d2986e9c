package oversight

import (
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

// This file says in one line what a query asks for, as it is kept in the record of reading: all that was set, nothing else.

// question is the line, as it grows.
type question struct{ words []string }

func (q *question) set(name, value string, isSet bool) {
	if isSet {
		q.words = append(q.words, name+"="+value)
	}
}

func (q *question) id(name string, id uuid.UUID) { q.set(name, id.String(), id != uuid.Nil) }
func (q *question) flag(name string, on bool)    { q.set(name, "true", on) }
func (q *question) time(name string, t time.Time) {
	q.set(name, t.Format(time.RFC3339Nano), !t.IsZero())
}

func (q Query) String() string {
	s := question{words: []string{"entries"}}
	s.id("officer", q.Officer)
	s.id("unit", q.Unit)
	s.id("person", q.Person)
	s.id("case", q.Case)
	s.id("file", q.File)
	s.set("type", strings.Join(q.Types, ","), len(q.Types) > 0)
	s.time("from", q.From)
	s.time("to", q.To)
	s.time("occurredFrom", q.OccurredFrom)
	s.time("occurredTo", q.OccurredTo)
	s.flag("late", q.Late)
	s.set("lag", q.Lag.String(), q.Lag != 0)
	s.flag("backDated", q.BackDated)
	s.set("backDays", strconv.Itoa(q.BackDays), q.BackDays != 0)
	s.flag("amended", q.Amended)
	s.flag("amendments", q.Amendments)
	s.flag("approved", q.Approved)
	return strings.Join(s.words, " ")
}

func (q ReadQuery) String() string {
	s := question{words: []string{"readings"}}
	s.id("person", q.Person)
	s.id("officer", q.Officer)
	s.id("unit", q.Unit)
	s.time("from", q.From)
	s.time("to", q.To)
	s.set("purpose", q.Purpose, q.Purpose != "")
	s.set("what", strings.Join(q.What, ","), len(q.What) > 0)
	s.flag("outside", q.Outside)
	s.flag("emergency", q.Glass)
	return strings.Join(s.words, " ")
}
