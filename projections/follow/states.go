package follow

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"iter"

	"yidang/domain/casework"
	"yidang/domain/journal"
	"yidang/domain/record"
)

// Categories finds the category of a stream; *catalog.Catalog is one.
type Categories interface {
	Of(stream string) (*record.Category, bool)
}

// History reads a stream from a revision, opened.
type History func(ctx context.Context, stream string, from uint64) iter.Seq2[record.Event, error]

// Reader reads stored streams; *journal.Journal is one.
type Reader interface {
	Stream(ctx context.Context, stream string, from uint64) iter.Seq2[journal.Stored, error]
}

// HistoryOf reads streams from the journal and opens them.
func HistoryOf(r Reader, o Opener) History {
	return func(ctx context.Context, stream string, from uint64) iter.Seq2[record.Event, error] {
		return func(yield func(record.Event, error) bool) {
			for s, err := range r.Stream(ctx, stream, from) {
				if err != nil {
					yield(record.Event{}, err)
					return
				}
				e, known, err := o.Open(ctx, s)
				if err == nil && !known {
					continue
				}
				if !yield(e, err) || err != nil {
					return
				}
			}
		}
	}
}

// StatesOptions configure States. Categories and History are required.
type StatesOptions struct {
	Categories Categories
	History    History
	// Load brings a new file to its snapshot: state, revision, position, and Exists when there is one. A snapshot may be
	// older than what was folded last. nil: there are none.
	Load func(ctx context.Context, f *record.File) error
	// Packer packs the files; what several projections keep packed by the same one shares its memory. nil: one of its own.
	Packer *record.Packer
	// Folded is how many of the files in memory stay folded between batches; 500 by default. The others are packed.
	Folded int
}

// States folds the files of a projection, each event once. It keeps the files used last; one that is not in memory comes
// from its snapshot and the part of the stream after it, or from the whole stream. After Fold, a case's TakeChanges gives
// the duties that this event changed, or all there ever were when the file was folded anew. It serves one goroutine.
type States struct {
	StatesOptions
	files   map[string]*list.Element
	used    *list.List     // of *held, folded, the one used last in front
	packed  *list.List     // the same of those that are packed; each was used before all in used
	bytes   int            // of what is packed
	touched map[*held]bool // since the last Trim
}

type held struct {
	stream  string
	file    *record.File  // nil when it is packed
	packed  record.Packed // when file is nil
	unsaved int           // events since the snapshot
	note    any
}

// NewStates makes an empty States.
func NewStates(o StatesOptions) *States {
	if o.Folded <= 0 {
		o.Folded = 500
	}
	if o.Packer == nil {
		o.Packer = record.NewPacker()
	}
	return &States{StatesOptions: o, files: map[string]*list.Element{}, used: list.New(), packed: list.New(), touched: map[*held]bool{}}
}

// Folded is a file after an event.
type Folded struct {
	// File is shared with States: look at it before the next call, change nothing.
	File *record.File
	// Anew is set when the event voids an earlier one and the stream was folded from its start: whatever was derived
	// from the file's earlier events must be replaced by what follows from History.
	Anew    bool
	History []record.Event // whole, up to the event; only when Anew
	// Note is the projection's own, kept as long as the file is in memory and folded; nil when it was not.
	Note *any
}

// Fold takes in the next event of a stream. An event that the file has already, because a batch is applied again, makes it
// fold the stream up to that event.
func (s *States) Fold(ctx context.Context, e record.Event) (Folded, error) {
	h, err := s.before(ctx, e)
	if err != nil {
		return Folded{}, err
	}
	s.touched[h] = true
	err = h.file.Apply(e)
	h.unsaved++
	if errors.Is(err, record.ErrRefold) {
		return s.anew(ctx, e, h)
	}
	if err != nil {
		s.Drop(e.Stream)
		return Folded{}, err
	}
	return Folded{File: h.file, Note: &h.note}, nil
}

// Held gives a file that is in memory, as the events folded so far leave it; ok is false when it is not.
func (s *States) Held(stream string) (f *record.File, ok bool) {
	el, ok := s.files[stream]
	if !ok {
		return nil, false
	}
	return s.unpack(el).file, true
}

// before gives the file as it is just before an event.
func (s *States) before(ctx context.Context, e record.Event) (*held, error) {
	if el, ok := s.files[e.Stream]; ok {
		h := s.unpack(el)
		if f := h.file; f.Exists && f.Revision+1 == e.Revision || !f.Exists && e.Revision == 0 {
			return h, nil
		}
		s.Drop(e.Stream)
	}
	k, ok := s.Categories.Of(e.Stream)
	if !ok {
		return nil, fmt.Errorf("stream %s is of no category", e.Stream)
	}
	h := &held{stream: e.Stream, file: record.NewFile(k, e.Stream)}
	if e.Revision > 0 {
		var err error
		if h, err = s.load(ctx, k, e); err != nil {
			return nil, fmt.Errorf("file %s before revision %d: %w", e.Stream, e.Revision, err)
		}
		if p, ok := h.file.State.(casework.Program); ok {
			p.Core().Duties.TakeChanges() // they were taken when their events were new
		}
	}
	s.files[e.Stream] = s.used.PushFront(h)
	return h, nil
}

// load brings a file that is not in memory to where the event continues it.
func (s *States) load(ctx context.Context, k *record.Category, e record.Event) (*held, error) {
	h := &held{stream: e.Stream, file: record.NewFile(k, e.Stream)}
	if s.Load != nil {
		if err := s.Load(ctx, h.file); err != nil {
			return nil, fmt.Errorf("snapshot: %w", err)
		}
		if h.file.Exists && h.file.Revision >= e.Revision {
			h.file = record.NewFile(k, e.Stream)
		}
	}
	from := uint64(0)
	if h.file.Exists {
		from = h.file.Revision + 1
	}
	events, err := s.read(ctx, e.Stream, from, e.Revision)
	if err != nil {
		return nil, err
	}
	if from == 0 {
		h.unsaved = len(events)
		return h, h.file.Fold(events, record.At{})
	}
	for _, past := range events {
		err := h.file.Apply(past)
		if errors.Is(err, record.ErrRefold) {
			h = &held{stream: e.Stream, file: record.NewFile(k, e.Stream)}
			if events, err = s.read(ctx, e.Stream, 0, e.Revision); err != nil {
				return nil, err
			}
			h.unsaved = len(events)
			return h, h.file.Fold(events, record.At{})
		}
		if err != nil {
			return nil, err
		}
		h.unsaved++
	}
	return h, nil
}

func (s *States) anew(ctx context.Context, e record.Event, h *held) (Folded, error) {
	history, err := s.read(ctx, e.Stream, 0, e.Revision)
	if err != nil {
		s.Drop(e.Stream)
		return Folded{}, err
	}
	history = append(history, e)
	h.file = record.NewFile(h.file.Category, e.Stream)
	if err := h.file.Fold(history, record.At{}); err != nil {
		s.Drop(e.Stream)
		return Folded{}, err
	}
	h.unsaved = len(history)
	return Folded{File: h.file, Anew: true, History: history, Note: &h.note}, nil
}

// read gives the events of a stream in [from, until).
func (s *States) read(ctx context.Context, stream string, from, until uint64) ([]record.Event, error) {
	if from >= until {
		return nil, nil
	}
	events := make([]record.Event, 0, until-from)
	for e, err := range s.History(ctx, stream, from) {
		if err != nil {
			return nil, err
		}
		if e.Revision >= until {
			break
		}
		events = append(events, e)
	}
	if uint64(len(events)) != until-from {
		return nil, fmt.Errorf("the journal gave %d events of revisions %d to %d", len(events), from, until-1)
	}
	return events, nil
}

// Trim lets go of the files used least recently, down to size, and packs most of the others; until it is called every file
// stays in memory, folded. Each file that has taken in more than keep events since its snapshot, and each one that is let go
// with any, is passed to save first, which may be nil; call it within the transaction that stores what follows from the files.
func (s *States) Trim(size, keep int, save func(*record.File) error) error {
	if save != nil {
		for h := range s.touched {
			if h.unsaved > keep {
				if err := h.save(save); err != nil {
					return err
				}
			}
		}
	}
	clear(s.touched)
	for s.used.Len()+s.packed.Len() > size || s.packed.Len() > 0 && s.bytes > size*usualSize {
		el := s.packed.Back()
		if el == nil {
			el = s.used.Back()
		}
		if err := s.letGo(el, save); err != nil {
			return err
		}
	}
	for s.used.Len() > min(size, s.Folded) {
		if el := s.used.Back(); !s.pack(el) {
			if err := s.letGo(el, save); err != nil {
				return err
			}
		}
	}
	return nil
}

// usualSize is what a packed file takes; longer ones count for more.
const usualSize = 2048

func (s *States) letGo(el *list.Element, save func(*record.File) error) error {
	h := el.Value.(*held)
	if save != nil && h.unsaved > 0 {
		if err := s.unpack(el).save(save); err != nil {
			return err
		}
	}
	s.Drop(h.stream)
	return nil
}

// pack packs a file, if it can be.
func (s *States) pack(el *list.Element) bool {
	h := el.Value.(*held)
	p, ok := s.Packer.Pack(h.file)
	if !ok {
		return false
	}
	h.packed, h.file, h.note = p, nil, nil
	s.bytes += p.Size()
	s.used.Remove(el)
	s.files[h.stream] = s.packed.PushFront(h)
	return true
}

// unpack makes a file the one used last.
func (s *States) unpack(el *list.Element) *held {
	h := el.Value.(*held)
	if h.file != nil {
		s.used.MoveToFront(el)
		return h
	}
	k, _ := s.Categories.Of(h.stream)
	h.file = s.Packer.Unpack(k, h.stream, h.packed)
	s.bytes -= h.packed.Size()
	h.packed = record.Packed{}
	s.packed.Remove(el)
	s.files[h.stream] = s.used.PushFront(h)
	return h
}

func (h *held) save(save func(*record.File) error) error {
	err := save(h.file)
	h.unsaved = 0
	return err
}

// Drop forgets a file: the next event reads it again.
func (s *States) Drop(stream string) {
	el, ok := s.files[stream]
	if !ok {
		return
	}
	h := el.Value.(*held)
	if h.file == nil {
		s.bytes -= h.packed.Size()
		s.packed.Remove(el)
	} else {
		s.used.Remove(el)
	}
	delete(s.touched, h)
	delete(s.files, stream)
}

// Reset forgets everything. A projection whose transaction failed calls it: its files are ahead of what is stored.
func (s *States) Reset() {
	clear(s.files)
	clear(s.touched)
	s.used.Init()
	s.packed.Init()
	s.bytes = 0
}
