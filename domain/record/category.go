package record

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"time"

	fastjson "github.com/goccy/go-json"
	"github.com/google/uuid"
)

// Category is a table: one kind of stream with its events and its commands. It is built once from package variables
// and never changes. (The word is EventStoreDB's: the part of a stream name before the first dash.)
type Category struct {
	Name     string // the stream prefix, such as "drugs"
	Title    Text
	Sealed   bool       // data is sealed with the stream's own key; false only where no person is described
	Case     bool       // a case of a program: it belongs to a person and shows in worklists
	New      func() any // an empty state: a pointer
	Events   []EventRow
	Commands []CommandRow
	Readers  []Grant // who may read such streams
	// After runs after each event was applied, whatever its type: duties follow from it. May be nil.
	After func(state any, e Event)
}

// Event finds a row by stored name.
func (k *Category) Event(name string) (*EventRow, bool) {
	for i := range k.Events {
		if k.Events[i].Name == name {
			return &k.Events[i], true
		}
	}
	return nil, false
}

// EventFor finds the row whose data type is that of data.
func (k *Category) EventFor(data any) (*EventRow, bool) {
	t := reflect.TypeOf(data)
	for i := range k.Events {
		if k.Events[i].Type == t {
			return &k.Events[i], true
		}
	}
	return nil, false
}

// EventRow is one type of event: how it is stored, what it does to the state, and how it reads.
type EventRow struct {
	Name  string // stored for ever: past tense, written out
	Title Text
	Type  reflect.Type // the data type, by value
	// Upcasts turn older stored forms into the newest: Upcasts[0] makes form 2 from form 1, and so on. A stored form
	// never changes, so len(Upcasts)+1 is the newest form.
	Upcasts []func(json.RawMessage) (json.RawMessage, error)
	// Plain data is stored unsealed even in a sealed category: it outlives the stream's key, so it holds codes only.
	Plain bool
	apply func(state any, e Event)
	line  func(data any) Text
	guard func(data any) bool // whether it takes two people; nil: never
}

// Plainly marks a row whose data is stored unsealed.
func (r EventRow) Plainly() EventRow { r.Plain = true; return r }

// On makes an event row. apply changes the state (a pointer, or an interface that the state implements); it must be
// total: any order of any events, without panic. line is the sentence of the timeline, without the actor.
func On[S, D any](name string, title Text, apply func(S, D, Event), line func(D) Text,
	upcasts ...func(json.RawMessage) (json.RawMessage, error)) EventRow {
	return EventRow{
		Name: name, Title: title, Type: reflect.TypeFor[D](), Upcasts: upcasts,
		apply: func(state any, e Event) { apply(state.(S), e.Data.(D), e) },
		line: func(data any) Text {
			if line == nil {
				return title
			}
			return line(data.(D))
		},
	}
}

// Form is the newest stored form of the row.
func (r *EventRow) Form() int { return len(r.Upcasts) + 1 }

// Line is the readable sentence of an event; an erased one reads as its title.
func (r *EventRow) Line(e Event) Text {
	if e.Erased || e.Data == nil {
		return Text{Zh: r.Title.Zh + "（内容已销毁）", En: r.Title.En + " (content erased)"}
	}
	return r.line(e.Data)
}

// Decode reads a stored form, upcasting older ones. strict refuses unknown fields: for verification and fixtures; a live
// reader is tolerant so that old code survives a rolling deploy.
func (r *EventRow) Decode(form int, raw []byte, strict bool) (any, error) {
	if form < 1 || form > r.Form() {
		return nil, fmt.Errorf("%s: stored form %d is unknown to this version (newest %d)", r.Name, form, r.Form())
	}
	var err error
	for _, up := range r.Upcasts[form-1:] {
		if raw, err = up(raw); err != nil {
			return nil, fmt.Errorf("%s: upcast of form %d: %w", r.Name, form, err)
		}
	}
	v := reflect.New(r.Type)
	// A live reader decodes hundreds of thousands of events when it catches up; the standard library takes three times as
	// long. What is strict stays with the standard library.
	if strict {
		err = strictly(raw, v.Interface())
	} else {
		err = fastjson.Unmarshal(raw, v.Interface())
	}
	if err != nil {
		return nil, fmt.Errorf("%s: form %d: %w", r.Name, form, err)
	}
	return v.Elem().Interface(), nil
}

// Scope is how far a role reaches in a command or read.
type Scope string

const (
	InUnit   Scope = "unit"     // the post's unit covers the village of the file
	Caseload Scope = "caseload" // named responsible in this case, in this role
	Self     Scope = "self"     // the officer's own account
	Anywhere Scope = "any"
)

// Grant lets a role use a command within a scope.
type Grant struct {
	Roles []Role
	Scope Scope
}

// Everyone is the grant of anybody who is signed in with a post.
var Everyone = Grant{Roles: []Role{VillageCadre, CommunityPolice, CommunityMedic, Volunteer, TownshipOffice, Inspector, Analyst, Administrator}, Scope: Anywhere}

// Reach is how far an officer sees in lists and searches. It is pushed into the index, never applied row by row.
type Reach struct {
	All      bool
	Villages []uuid.UUID
	Officer  uuid.UUID // sees the caseload of this officer too; zero: none
}

// CommandRow is one command.
type CommandRow struct {
	Name    string // verb, such as "drugs.record_urine_test"
	Title   Text
	Source  string // the clause or article it carries out
	Grants  []Grant
	Creates bool // starts a new stream
	// Undated commands take no occurredAt: they happen when they are recorded.
	Undated bool
	// Internal commands have no route: the program itself issues them, such as the record of a sign-in.
	Internal bool
	// History commands look at single events of the stream, through Given.Event and Given.Voided.
	History bool
	Input   reflect.Type
	needs   func(input any, g Given) []string
	claims  func(input any) []Claim
	warns   func(input any) []Text
	decide  func(state any, input any, g Given) ([]any, error)
	// Approves gives the proposal that the command approves, and a note; nil for every other command.
	Approves func(input any) (proposal uuid.UUID, note string)
}

// Claim asks for a value to be one stream's alone for ever, such as a citizen id or a login name.
type Claim struct {
	Kind  string // "citizenid", "login"
	Value string // plain; only a keyed hash of it is stored
	// Taken is the refusal when another stream has it.
	Taken *Problem
}

// Given is what a decision may look at beside the state and the input. It holds no way to read more.
type Given struct {
	Now      time.Time // server's clock; becomes RecordedAt
	Occurred time.Time // what the officer says; Now when not said
	Late     Late
	Actor    Actor
	Stream   string
	ID       uuid.UUID // of the stream
	Revision uint64    // of the state, when it exists
	Exists   bool
	Command  uuid.UUID
	Rules    any                              // the policy in force; see policy.In
	Other    func(stream string) any          // state of a stream named by needs; nil when there is none
	Serves   func(unit uuid.UUID) bool        // whether a post in the unit, of an officer named by needs, reaches the village of this file
	Event    func(id uuid.UUID) (Event, bool) // an event of this stream
	Voided   func(id uuid.UUID) bool          // whether an event of this stream was voided
	Amended  func(id uuid.UUID) Amendment     // what later events of this stream say about one

	Category  *Category // of the stream
	Proposals []Event   // of this stream that wait for a second person
}

// Do makes a command row. decide is pure: it returns the data of the events to record, in order, or a Problem.
func Do[S, I any](name string, title Text, source string, decide func(S, I, Given) ([]any, error), grants ...Grant) CommandRow {
	return CommandRow{
		Name: name, Title: title, Source: source, Grants: grants, Input: reflect.TypeFor[I](),
		decide: func(state, input any, g Given) ([]any, error) {
			s, ok := state.(S)
			if !ok {
				return nil, fmt.Errorf("%s: state is %T", name, state)
			}
			return decide(s, input.(I), g)
		},
	}
}

// Starting marks a command that begins a stream.
func (r CommandRow) Starting() CommandRow { r.Creates = true; return r }

// Timeless marks a command without an occurredAt of its own.
func (r CommandRow) Timeless() CommandRow { r.Undated = true; return r }

// Within marks a command that only the program itself issues.
func (r CommandRow) Within() CommandRow { r.Internal = true; return r }

// Looking marks a command that looks at single events of its stream.
func (r CommandRow) Looking() CommandRow { r.History = true; return r }

// Needing names other streams whose state the decision looks at.
func Needing[I any](r CommandRow, needs func(I, Given) []string) CommandRow {
	r.needs = func(input any, g Given) []string { return needs(input.(I), g) }
	return r
}

// Claiming names the values that the new stream claims.
func Claiming[I any](r CommandRow, claims func(I) []Claim) CommandRow {
	r.claims = func(input any) []Claim { return claims(input.(I)) }
	return r
}

// Warning says what a person should look at in an input that is understood and accepted.
func Warning[I any](r CommandRow, warns func(I) []Text) CommandRow {
	r.warns = func(input any) []Text { return warns(input.(I)) }
	return r
}

// Warnings lists what the receipt of an input should say beside what was recorded.
func (r *CommandRow) Warnings(input any) []Text {
	if r.warns == nil {
		return nil
	}
	return r.warns(input)
}

// Needs lists the streams whose state Given.Other must answer for.
func (r *CommandRow) Needs(input any, g Given) []string {
	if r.needs == nil {
		return nil
	}
	return r.needs(input, g)
}

// Claims lists the values to claim.
func (r *CommandRow) Claims(input any) []Claim {
	if r.claims == nil {
		return nil
	}
	return r.claims(input)
}

// Decide runs the decision.
func (r *CommandRow) Decide(state, input any, g Given) ([]any, error) {
	return r.decide(state, input, g)
}

// Parse reads an input strictly: an unknown field is an error that names it.
func (r *CommandRow) Parse(raw []byte) (any, error) {
	v := reflect.New(r.Input)
	if err := strictly(raw, v.Interface()); err != nil {
		return nil, Errorf(Invalid, "%s: %w", r.Name, err)
	}
	return v.Elem().Interface(), nil
}

// strictly decodes one JSON value, refusing unknown fields and anything after the value.
func strictly(raw []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return err
	}
	if _, err := dec.Token(); err != io.EOF {
		return errors.New("there is more after the value")
	}
	return nil
}
