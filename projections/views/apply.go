package views

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/ncruces/go-sqlite3"

	"yidang/domain/casework"
	"yidang/domain/person"
	"yidang/domain/record"
	"yidang/domain/staff"
	"yidang/domain/units"
	"yidang/domain/vault/sealed"
	"yidang/projections/follow"
)

// keepUnsaved is how many events of a file may come after its snapshot: what a restart reads from the journal for each file
// it meets again.
const keepUnsaved = 64

// writer is one transaction.
type writer struct {
	s     *store
	c     *sealed.Conn
	ctx   context.Context
	dirty map[string]*dirty
	order []*dirty // in the order first touched: rows get their numbers in it
	tally tallyChange
}

// dirty is a file that the batch changes. Its row is written once, at the end.
type dirty struct {
	file    *record.File
	note    *any      // the row as last written, kept beside the file in memory
	fresh   bool      // the stream begins in this batch
	person  uuid.UUID // of a case: from the metadata, which outlives a key
	opened  time.Time // of an erased file: when its first event happened
	ended   []endedRow
	replace []uint64 // positions whose ended duties are void
	oldCase *caseRow
}

// Apply stores what follows from a batch, with its position, in one transaction. It is documented at follow.Projection.
func (s *store) Apply(ctx context.Context, b follow.Batch) error {
	var change tallyChange
	err := s.write(ctx, func(w *writer) error {
		for _, e := range b.Events {
			if e.Position <= s.position { // a rebuilt file may be ahead of its follower
				continue
			}
			if err := w.take(e); err != nil {
				return err
			}
		}
		if err := w.flush(); err != nil {
			return err
		}
		if b.CaughtUp && !s.indexing {
			if err := w.index(); err != nil {
				return err
			}
		}
		change = w.tally
		s.position, s.started = max(s.position, b.UpTo), true
		return exec(w.c, `INSERT INTO meta (key, value) VALUES ('position', ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value`, int64(s.position))
	})
	if err != nil {
		return err
	}
	if s.indexing {
		s.tallies.apply(change, s.position)
		s.indexed.Store(true)
	}
	return nil
}

// write runs a transaction. When it fails, everything kept in memory is read again from what is stored.
func (s *store) write(ctx context.Context, f func(*writer) error) error {
	err := s.db.Write(ctx, func(c *sealed.Conn) error {
		s.conn = c
		defer func() { s.conn = nil }()
		return f(&writer{s: s, c: c, ctx: ctx, dirty: map[string]*dirty{}})
	})
	if err == nil {
		return nil
	}
	s.states.Reset()
	if again := s.db.Write(context.WithoutCancel(ctx), s.reload); again != nil {
		return fmt.Errorf("%w (and then: %w)", storeError(err), again)
	}
	return storeError(err)
}

// take folds an event into its file.
func (w *writer) take(e record.Event) error {
	k, ok := w.s.o.Catalog.Of(e.Stream)
	if !ok || !k.Case && k.Name != person.Category.Name && k.Name != units.Category.Name && k.Name != staff.Category.Name {
		return nil
	}
	folded, err := w.s.states.Fold(w.ctx, e)
	if err != nil {
		return err
	}
	d := w.touch(folded)
	if e.Revision == 0 {
		d.fresh, d.opened = true, e.Meta.OccurredAt
	}
	if !k.Case {
		return nil
	}
	d.person = e.Meta.Person
	program, ok := folded.File.State.(casework.Program)
	if !ok {
		return fmt.Errorf("the state of category %s is no casework.Program", k.Name)
	}
	if folded.Anew {
		d.ended = nil
		for _, past := range folded.History {
			d.replace = append(d.replace, past.Position)
		}
	}
	return d.ends(program.Core().Duties.TakeChanges(), e, folded.History)
}

// ends notes the duties that ended. Each is kept under the position of the event that ended it.
func (d *dirty) ends(changes []casework.Duty, e record.Event, history []record.Event) error {
	seq := map[uuid.UUID]int{}
	for _, duty := range changes {
		if duty.Status == casework.Open {
			continue
		}
		position := e.Position
		if duty.Ended != e.ID {
			i := slices.IndexFunc(history, func(past record.Event) bool { return past.ID == duty.Ended })
			if i < 0 {
				return fmt.Errorf("duty %s of %s was ended by event %s, which is not in its stream", duty.Code, e.Stream, duty.Ended)
			}
			position = history[i].Position
		}
		d.ended = append(d.ended, endedRow{position: position, seq: seq[duty.Ended], duty: duty})
		seq[duty.Ended]++
	}
	return nil
}

func (w *writer) touch(folded follow.Folded) *dirty {
	d, ok := w.dirty[folded.File.Stream]
	if !ok {
		d = &dirty{}
		w.dirty[folded.File.Stream] = d
		w.order = append(w.order, d)
	}
	d.file, d.note = folded.File, folded.Note
	return d
}

// flush writes the rows of the files touched: people before the cases that refer to them.
func (w *writer) flush() error {
	var cases []*dirty
	for _, d := range w.order {
		var err error
		switch k := d.file.Category; {
		case k.Case:
			cases = append(cases, d)
		case k.Name == person.Category.Name:
			err = w.flushPerson(d)
		case k.Name == units.Category.Name:
			err = w.flushUnit(d)
		default:
			err = w.flushOfficer(d)
		}
		if err != nil {
			return fmt.Errorf("file %s: %w", d.file.Stream, err)
		}
	}
	for _, d := range cases {
		if err := w.flushCase(d); err != nil {
			return fmt.Errorf("file %s: %w", d.file.Stream, err)
		}
	}
	return w.s.states.Trim(keepUnsaved, w.saveSnapshot)
}

func (w *writer) flushPerson(d *dirty) error {
	old, _ := (*d.note).(*personRow)
	if old == nil { // even a new person may have a row, made for a case
		var err error
		if old, err = (&reader{c: w.c, s: w.s}).personBy(d.file.ID); err != nil {
			return err
		}
	}
	n := int64(0)
	if old != nil {
		n = old.n
	} else {
		w.s.lastPerson++
		n = w.s.lastPerson
	}
	row, err := w.personOf(d.file, n)
	if err != nil {
		return err
	}
	switch {
	case !w.s.indexing: // all at once, when the file has caught up
	case old != nil && old.village == row.village:
		row.also = old.also
	case old != nil:
		if row.also, err = w.alsoOf(row); err != nil {
			return err
		}
	}
	return w.storePerson(old, row, d.note)
}

func (w *writer) storePerson(old, row *personRow, note *any) error {
	if err := row.save(w.c); err != nil {
		return err
	}
	if note != nil {
		*note = row
	}
	if !w.s.indexing {
		return nil
	}
	return w.changeTerms(old, row)
}

func (w *writer) flushCase(d *dirty) error {
	r := &reader{c: w.c, s: w.s}
	old, _ := (*d.note).(*caseRow)
	var err error
	if old == nil && !d.fresh {
		if old, err = r.caseBy(d.file.ID); err != nil {
			return err
		}
	}
	d.oldCase = old
	n, of := int64(0), int64(0)
	if old != nil {
		n, of = old.n, old.person
	} else {
		w.s.lastCase++
		n = w.s.lastCase
		if of, err = w.personNumber(d.person); err != nil {
			return err
		}
	}
	row, err := w.caseOf(d, n, of)
	if err != nil {
		return err
	}
	if err := row.save(w.c); err != nil {
		return err
	}
	*d.note = row
	if err := w.flushEnded(d, row); err != nil {
		return err
	}
	if !w.s.indexing {
		return nil
	}
	if old == nil || old.village != row.village || old.sealed != row.sealed {
		if err := w.changeAlso(row); err != nil {
			return err
		}
	}
	if old != nil && old.sealed != row.sealed {
		if err := w.changePast(row); err != nil {
			return err
		}
	}
	return w.changeEntries(old, row)
}

// personNumber finds the n of the person of a case. There is always one, unless the journal was tampered with; then the
// case hangs on an empty person rather than on nobody.
func (w *writer) personNumber(id uuid.UUID) (int64, error) {
	n, err := single(w.c, `SELECT n FROM people WHERE id = ?`, id[:])
	if err != nil || n != 0 {
		return n, err
	}
	w.s.lastPerson++
	return w.s.lastPerson, w.storePerson(nil, &personRow{n: w.s.lastPerson, id: id}, nil)
}

// changeAlso keeps the villages of a person's cases beside the person, so that the officers there find the person.
func (w *writer) changeAlso(k *caseRow) error {
	p, err := (&reader{c: w.c, s: w.s}).person(k.person)
	if err != nil || p == nil || len(p.also) == 0 && (p.village == k.village || k.village == 0 || k.sealed) {
		return err
	}
	row := *p
	if row.also, err = w.alsoOf(p); err != nil || slices.Equal(row.also, p.also) {
		return err
	}
	var note *any
	if d, ok := w.dirty[person.Stream(p.id)]; ok {
		note = d.note
	} else {
		w.s.states.Drop(person.Stream(p.id)) // the row kept beside it is no longer what is stored
	}
	return w.storePerson(p, &row, note)
}

// alsoOf lists the villages of a person's cases, other than the person's own.
func (w *writer) alsoOf(p *personRow) (also []int64, err error) {
	err = query(w.c, `SELECT DISTINCT village FROM cases WHERE person = ? AND sealed = 0 AND village NOT IN (0, ?) ORDER BY village`,
		[]any{p.n, p.village}, func(st *sqlite3.Stmt) error {
			also = append(also, st.ColumnInt64(0))
			return nil
		})
	return also, err
}

func (w *writer) flushEnded(d *dirty, row *caseRow) error {
	for _, position := range d.replace {
		if err := w.dropEnded(position); err != nil {
			return err
		}
	}
	if row.erased {
		return nil
	}
	for _, e := range d.ended {
		var err error
		e.kase, e.village = row.n, row.village
		if e.holder, err = w.s.places.number(w.c, e.duty.Officer); err != nil {
			return err
		}
		err = exec(w.c, `INSERT INTO ended (position, seq, kase, village, holder, duty) VALUES (?, ?, ?, ?, ?, ?)`,
			int64(e.position), e.seq, e.kase, e.village, e.holder, packDuty(nil, e.duty))
		if err != nil {
			return err
		}
		if w.s.indexing {
			if err := w.addPast(e, row.sealed); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *writer) flushUnit(d *dirty) error {
	body, err := json.Marshal(d.file.State)
	if err != nil {
		return err
	}
	if _, err := w.s.places.number(w.c, d.file.ID); err != nil {
		return err
	}
	return exec(w.c, `INSERT INTO units (id, body) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET body = excluded.body`, d.file.ID[:], body)
}

// flushOfficer keeps what lists show of an officer: nothing that proves who somebody is.
func (w *writer) flushOfficer(d *dirty) error {
	row := OfficerRow{ID: d.file.ID, Erased: d.file.Erased}
	if o, ok := d.file.State.(*staff.Officer); ok && !row.Erased {
		row = OfficerRow{ID: d.file.ID, Name: o.Name, Login: o.Login, WorkNumber: o.WorkNumber, Sex: o.Sex, Phone: o.Phone, Posts: o.Posts, Disabled: o.Disabled}
	}
	body, err := json.Marshal(row)
	if err != nil {
		return err
	}
	if had, _ := (*d.note).(string); had == string(body) {
		return nil // a sign-in, say
	}
	*d.note = string(body)
	return exec(w.c, `INSERT INTO officers (id, name, erased, body) VALUES (?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET name = excluded.name, erased = excluded.erased, body = excluded.body`, d.file.ID[:], row.Name, row.Erased, body)
}

// saveSnapshot stores a file that leaves memory or has grown. The few events of a person are as quickly read again.
func (w *writer) saveSnapshot(f *record.File) error {
	if f.Erased || f.Revision < 4 {
		return nil
	}
	snap, err := follow.SnapshotOf(f)
	if err != nil {
		return fmt.Errorf("snapshot of %s: %w", f.Stream, err)
	}
	return exec(w.c, `INSERT INTO snapshots (stream, revision, position, erased, state) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (stream) DO UPDATE SET revision = excluded.revision, position = excluded.position, erased = excluded.erased, state = excluded.state`,
		f.Stream, int64(snap.Revision), int64(snap.Position), snap.Erased, snap.State)
}

// forget folds streams anew whose keys are gone, and writes the blank rows that follow.
func (s *store) forget(ctx context.Context, streams []string) error {
	var change tallyChange
	err := s.write(ctx, func(w *writer) error {
		for _, stream := range streams {
			if err := w.forget(stream); err != nil {
				return err
			}
		}
		err := w.flush()
		change = w.tally
		return err
	})
	if err == nil && s.indexing {
		s.tallies.apply(change, s.position)
	}
	return err
}

func (w *writer) forget(stream string) error {
	if err := exec(w.c, `DELETE FROM snapshots WHERE stream = ?`, stream); err != nil {
		return err
	}
	w.s.states.Drop(stream)
	for e, err := range w.s.o.History(w.ctx, stream, 0) {
		if err != nil {
			return err
		}
		if e.Position > w.s.position {
			break
		}
		if err := w.take(e); err != nil {
			return err
		}
		if d := w.dirty[stream]; d != nil {
			d.fresh, d.replace = false, append(d.replace, e.Position)
		}
	}
	return nil
}
