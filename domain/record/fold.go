package record

import (
	"encoding/binary"
	"fmt"
	"slices"
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

	remember  bool
	commands  []uint64 // by revision, see brief
	proposals []Event  // awaiting a second person, oldest first
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
	f.remember = true
	return f
}

// brief is what a file remembers of a command's id. Two commands of one file that share it are less likely than a fault of
// the machine, and the second would be refused: whoever answers a repeat compares what was asked.
func brief(id uuid.UUID) uint64 {
	return binary.BigEndian.Uint64(id[:8]) ^ binary.BigEndian.Uint64(id[8:])
}

// Command finds what a command recorded here; only in a file that is Remembering.
func (f *File) Command(id uuid.UUID) (d Done, ok bool) {
	first := slices.Index(f.commands, brief(id))
	if first < 0 {
		return d, false
	}
	last := first
	for last+1 < len(f.commands) && f.commands[last+1] == f.commands[first] {
		last++
	}
	return Done{First: uint32(first), Last: uint32(last)}, true
}

// Apply takes in the next event of the stream. It answers ErrRefold, leaving the state alone, when the
// event amends an earlier one.
func (f *File) Apply(e Event) error {
	if f.Exists && e.Revision != f.Revision+1 || !f.Exists && e.Revision != 0 {
		return fmt.Errorf("stream %s: revision %d does not follow %d", f.Stream, e.Revision, f.Revision)
	}
	if Amends(e.Type) && !e.Erased {
		return ErrRefold
	}
	f.note(e)
	return f.evolve(e)
}

func (f *File) note(e Event) {
	f.Exists, f.Revision, f.Position = true, e.Revision, e.Position
	f.Erased = f.Erased || e.Erased
	if !f.remember {
		return
	}
	for uint64(len(f.commands)) < e.Revision { // of what is left out nobody asks
		f.commands = append(f.commands, 0)
	}
	f.commands = append(f.commands, brief(e.Meta.Command))
}

func (f *File) evolve(e Event) error {
	if e.Type == ErasedType { // whether or not the key is gone already
		f.State, f.Erased, f.proposals = f.Category.New(), true, nil
		return nil
	}
	if e.Erased {
		return nil
	}
	f.propose(e)
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

func (a At) knows(e Event) bool { return a.KnownAt.IsZero() || !e.Meta.RecordedAt.After(a.KnownAt) }

// Fold takes in a whole stream, in order, as it was amended: what was voided is left out, what was corrected counts as it
// should have been recorded, in its old place. The file must be new.
func (f *File) Fold(events []Event, at At) error {
	amended := Amendments(events, at)
	for _, e := range events {
		if !at.knows(e) {
			continue
		}
		amendment, touched := amended[e.ID]
		if touched {
			var err error
			if e, err = amendment.Effective(f.Category, e); err != nil {
				return err
			}
		}
		if !at.AsOf.IsZero() && e.Meta.OccurredAt.After(at.AsOf) {
			continue
		}
		f.note(e)
		if amendment.VoidedBy != nil || Amends(e.Type) {
			continue
		}
		if err := f.evolve(e); err != nil {
			return err
		}
	}
	return nil
}
