package record

import (
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
)

// File is a stream folded to a state, with what the machinery needs to know of it.
type File struct {
	Category *Category
	Stream   string
	ID       uuid.UUID
	Exists   bool
	Revision uint64 // of the newest event folded in; meaningless while !Exists
	Position uint64
	State    any
	Erased   bool // at least one event could not be opened because the key is destroyed

	commands map[uuid.UUID]Done
}

// Done tells where a command left its events in a stream: a repeat of the command gets that answer again.
type Done struct{ First, Last uint32 } // revisions

// NewFile is the file of a stream without events.
func NewFile(k *Category, stream string) *File {
	_, id, _ := SplitStream(stream)
	return &File{Category: k, Stream: stream, ID: id, State: k.New()}
}

// Remembering makes the file keep what each command recorded, for answering repeats. Projections do without.
func (f *File) Remembering() *File {
	f.commands = map[uuid.UUID]Done{}
	return f
}

// Command finds what a command recorded here; only in a file that is Remembering.
func (f *File) Command(id uuid.UUID) (Done, bool) {
	d, ok := f.commands[id]
	return d, ok
}

// ErrRefold says that an event changes how earlier ones count, so that the stream must be folded from its start.
var ErrRefold = errors.New("an earlier event was voided: fold the stream again")

// Voided is recorded, in the same stream, to say that an earlier event should not have been recorded. The event stays;
// folds leave it out. Every kind has it.
type Voided struct {
	Event  uuid.UUID `json:"event" doc:"id of the event that was wrong"`
	Reason string    `json:"reason" minLength:"4" maxLength:"500" doc:"why it was wrong; shown beside the event for ever"`
}

// VoidedType is the stored name of Voided.
const VoidedType = "record.voided"

// VoidedRow is the row that every kind includes.
func VoidedRow() EventRow {
	return On(VoidedType, T("作废记录", "entry voided"), func(any, Voided, Event) {},
		func(v Voided) Text {
			return T("作废一条记录，理由："+v.Reason, "Voided an entry; reason: "+v.Reason)
		})
}

// Apply takes in the next event of the stream. It answers ErrRefold, leaving the state alone, when the event is a void.
func (f *File) Apply(e Event) error {
	if f.Exists && e.Revision != f.Revision+1 || !f.Exists && e.Revision != 0 {
		return fmt.Errorf("stream %s: revision %d does not follow %d", f.Stream, e.Revision, f.Revision)
	}
	if e.Type == VoidedType && !e.Erased {
		return ErrRefold
	}
	f.note(e)
	return f.evolve(e)
}

func (f *File) note(e Event) {
	f.Exists, f.Revision, f.Position = true, e.Revision, e.Position
	f.Erased = f.Erased || e.Erased
	if f.commands == nil {
		return
	}
	d, ok := f.commands[e.Meta.Command]
	if !ok {
		d.First = uint32(e.Revision)
	}
	d.Last = uint32(e.Revision)
	f.commands[e.Meta.Command] = d
}

func (f *File) evolve(e Event) error {
	if e.Erased {
		return nil
	}
	row, ok := f.Category.Event(e.Type)
	if !ok {
		return fmt.Errorf("stream %s: event type %q is not in the catalog of %s", f.Stream, e.Type, f.Category.Name)
	}
	if e.Data != nil {
		row.apply(f.State, e)
	}
	if f.Category.After != nil {
		f.Category.After(f.State, e)
	}
	return nil
}

// At chooses what a fold takes in. Zero values mean everything.
type At struct {
	AsOf    time.Time // only what had happened by then
	KnownAt time.Time // only what had been recorded by then, corrections included
}

// Fold takes in a whole stream, in order, leaving out what was voided. The file must be new.
func (f *File) Fold(events []Event, at At) error {
	voided := VoidedIn(events, at)
	for _, e := range events {
		if !at.KnownAt.IsZero() && e.Meta.RecordedAt.After(at.KnownAt) {
			continue
		}
		if !at.AsOf.IsZero() && e.Meta.OccurredAt.After(at.AsOf) {
			continue
		}
		f.note(e)
		if _, gone := voided[e.ID]; gone || e.Type == VoidedType {
			continue
		}
		if err := f.evolve(e); err != nil {
			return err
		}
	}
	return nil
}

// VoidedIn maps each voided event to the event that voids it, among those recorded by at.KnownAt.
func VoidedIn(events []Event, at At) map[uuid.UUID]Event {
	voided := map[uuid.UUID]Event{}
	for _, e := range events {
		if !at.KnownAt.IsZero() && e.Meta.RecordedAt.After(at.KnownAt) {
			continue
		}
		if v, ok := e.Data.(Voided); ok {
			voided[v.Event] = e
		}
	}
	return voided
}
