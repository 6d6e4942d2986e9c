package recordtest_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"yidang/domain/record"
	"yidang/domain/record/recordtest"
)

// log is a category with one flaw to switch on.
type log struct {
	Lines  []string
	hidden int // a snapshot loses it
	Shown  int
}

type written struct {
	Line string `json:"line"`
}

type write struct {
	Line string `json:"line"`
	Peek string `json:"peek"`
}

type lossy struct {
	Secret string `json:"-"`
}

var errTwice = &record.Problem{Kind: record.Refused, Rule: "R-1", Message: "was written already", Zh: "已写", Remedy: "write something else"}

var category = record.Category{
	Name: "log", Title: record.T("记", "Log"), New: func() any { return &log{} },
	Events: []record.EventRow{
		record.On("log.written", record.T("写", "Written"), func(l *log, d written, _ record.Event) {
			l.Lines = append(l.Lines, d.Line)
			l.Shown = l.hidden
			if d.Line == "hide" {
				l.hidden++
			}
		}, nil),
		record.On("log.lossy", record.T("漏", "Lossy"), func(*log, lossy, record.Event) {}, nil),
		record.VoidedRow(),
	},
	Commands: []record.CommandRow{
		record.Needing(record.Do("log.write", record.T("写", "Write"), "R-1", func(l *log, in write, g record.Given) ([]any, error) {
			if in.Peek != "" {
				g.Other(in.Peek)
			}
			for _, x := range l.Lines {
				if x == in.Line {
					return nil, errTwice.At("line")
				}
			}
			return []any{written{in.Line}}, nil
		}, record.Grant{Roles: []record.Role{record.VillageCadre}}), func(write, record.Given) []string { return []string{"named"} }),
	},
}

var (
	cadre   = record.Actor{Officer: uuid.New(), Role: record.VillageCadre}
	analyst = record.Actor{Officer: uuid.New(), Role: record.Analyst}
)

// witness stands in for a test and notes that it failed.
type witness struct {
	testing.TB
	said []string
}

func (w *witness) Helper()        {}
func (w *witness) Name() string   { return "witness" }
func (w *witness) Failed() bool   { return len(w.said) > 0 }
func (w *witness) Cleanup(func()) {}
func (w *witness) Error(args ...any) {
	w.said = append(w.said, fmt.Sprint(args...))
}
func (w *witness) Errorf(f string, args ...any) { w.Error(fmt.Sprintf(f, args...)) }
func (w *witness) Fatalf(f string, args ...any) { w.Errorf(f, args...); runtime.Goexit() }

// said tells how a story fails.
func said(tell func(*recordtest.Story)) string {
	w, done := &witness{}, make(chan struct{})
	go func() {
		defer close(done)
		tell(recordtest.New(w, &category, nil))
	}()
	<-done
	return strings.Join(w.said, "\n")
}

// Ensure that a true story passes: recorded, refused by its rule, forbidden, voided.
func TestTrueStory(t *testing.T) {
	s := recordtest.New(t, &category, nil)
	s.When(cadre, "2026-03-02", "log.write", write{Line: "a", Peek: "named"}).Then(written{"a"})
	s.When(cadre, "2026-03-02 10:00", "log.write", write{Line: "a"}).ThenRefused(errTwice)
	s.When(analyst, "2026-03-03", "log.write", write{Line: "b"}).ThenForbidden()
	s.Given(cadre, "2026-03-04", record.Voided{Event: s.Last("log.written").ID, Reason: "wrong"})
	s.When(cadre, "2026-03-05", "log.write", write{Line: "a"}).ThenRecorded("log.written")
	if got := s.Events()[0].Meta.OccurredAt; !got.Equal(time.Date(2026, 3, 2, 9, 0, 0, 0, record.Zone)) {
		t.Errorf("a bare day is told as %v", got)
	}
}

// Ensure that each thing a story watches for makes it fail.
func TestFalseStories(t *testing.T) {
	for want, tell := range map[string]func(*recordtest.Story){
		"which its row does not name": func(s *recordtest.Story) {
			s.When(cadre, "2026-03-02", "log.write", write{Line: "a", Peek: "other"})
		},
		"does not survive its stored form": func(s *recordtest.Story) { s.Given(cadre, "2026-03-02", lossy{Secret: "x"}) },
		"differs from the state folded whole": func(s *recordtest.Story) {
			s.Given(cadre, "2026-03-02", written{"hide"}, written{"b"})
		},
		"recorded [{\"line\":\"a\"}]": func(s *recordtest.Story) {
			s.When(cadre, "2026-03-02", "log.write", write{Line: "a"}).Then(written{"b"})
		},
		"recorded [log.written], want []": func(s *recordtest.Story) {
			s.When(cadre, "2026-03-02", "log.write", write{Line: "a"}).ThenRecorded()
		},
		"want the refusal": func(s *recordtest.Story) {
			s.When(cadre, "2026-03-02", "log.write", write{Line: "a"}).ThenRefused(errTwice)
		},
		"refused: line: was written already": func(s *recordtest.Story) {
			s.Given(cadre, "2026-03-02", written{"a"}).When(cadre, "2026-03-02", "log.write", write{Line: "a"}).Then()
		},
		"nothing looked at the outcome": func(s *recordtest.Story) {
			s.When(cadre, "2026-03-02", "log.write", write{Line: "a"}).When(cadre, "2026-03-02", "log.write", write{Line: "b"})
		},
		"there is no command": func(s *recordtest.Story) { s.When(cadre, "2026-03-02", "log.erase", write{}) },
		"takes recordtest_test.write, not recordtest_test.written": func(s *recordtest.Story) {
			s.When(cadre, "2026-03-02", "log.write", written{})
		},
		"is not a moment": func(s *recordtest.Story) { s.Given(cadre, "yesterday", written{"a"}) },
	} {
		if got := said(tell); !strings.Contains(got, want) {
			t.Errorf("the story says %q, want %q", got, want)
		}
	}
}
