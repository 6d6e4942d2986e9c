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

// writer is one transaction.
type writer struct {
	s     *store
	c     *sealed.Conn
	ctx   context.Context
	dirty map[string]*dirty
	order []*dirty // in the order first touched: rows get their numbers in it
	tally tallyChange
	all   *tallies // counted anew with the index; nil when that was there
}

// dirty is a file that the batch changes. Its row is written once, at the end.
type dirty struct {
	file    *record.File
	note    *any      // the row as last written, kept beside the file in memory
	fresh   bool      // the stream begins in this batch
	person  uuid.UUID // of a case: from the metadata, which outlives a key
	opened  time.Time // of an erased file: when its first event happened
	ended   []endedRow
	replace bool // the ended duties stored so far do not count
	oldCase *caseRow
}

// Apply stores what follows from a batch, with its position, in one transaction. It is documented at follow.Projection.
func (s *store) Apply(ctx context.Context, b follow.Batch) error {
	var change tallyChange
	var all *tallies
	stored := s.stored
	err := s.write(ctx, func(w *writer) error {
		before := w.c.TotalChanges()
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
		change, all = w.tally, w.all
		had := s.started
		s.position, s.started = max(s.position, b.UpTo), true
		if had && w.c.TotalChanges() == before && s.position-stored < idleEvents {
			return nil
		}
		stored = s.position
		return w.setMeta("position", int64(stored))
	})
	if err != nil {
		return err
	}
	s.stored = stored
	if all != nil { // of the rows as this batch leaves them
		s.tallies.take(all, stored)
	} else if s.indexing {
		s.tallies.apply(change, stored)
	}
	if s.indexing {
		s.indexed.Store(true)
	}
	s.shown.Store(&shown{stored, s.position})
	return nil
}

// idleEvents is how far the log may go on without anything for the views before they store that they have seen it. A
// commit makes every reader forget the pages it has in memory, and each reading of a file is an event. After a crash so
// many events are looked at again.
const idleEvents = 2000

// shown says that the log changes nothing from the position stored last up to another.
type shown struct{ stored, position uint64 }

// settle stores the position when it is ahead of the one stored.
func (s *store) settle(ctx context.Context) error {
	if s.position == s.stored {
		return nil
	}
	return s.db.Write(ctx, func(c *sealed.Conn) error {
		return (&writer{s: s, c: c, ctx: ctx}).setMeta("position", int64(s.position))
	})
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
		d.ended, d.replace = nil, true
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
	villages := false
	for _, d := range w.order {
		var err error
		switch k := d.file.Category; {
		case k.Case:
			cases = append(cases, d)
		case k.Name == person.Category.Name:
			err = w.flushPerson(d)
		case k.Name == units.Category.Name:
			villages, err = true, w.flushUnit(d)
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
	if villages {
		if err := w.s.loadVillages(w.c); err != nil {
			return err
		}
	}
	return w.s.states.Trim(w.s.o.CacheStates, keepUnsaved, w.saveSnapshot)
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
	var err error
	old, _ := (*d.note).(*caseRow)
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
	moved := old == nil || old.village != row.village || old.sealed != row.sealed
	if w.s.indexing && old != nil && moved && !d.replace {
		if err := w.changePast(old, row); err != nil { // before those are added that end now
			return err
		}
	}
	if err := w.flushEnded(d, row); err != nil || !w.s.indexing {
		return err
	}
	if moved {
		if err := w.changeAlso(row); err != nil {
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
	if d.replace {
		if err := w.dropEnded(d.oldCase); err != nil {
			return err
		}
	}
	if row.erased {
		return nil
	}
	for _, e := range d.ended {
		var err error
		e.kase = row.n
		if e.holder, err = w.s.places.number(w.c, e.duty.Officer); err != nil {
			return err
		}
		err = exec(w.c, `INSERT INTO ended (`+endedColumns+`) VALUES (?, ?, ?, ?, ?)`,
			e.kase, int64(e.position), e.seq, e.holder, packDuty(nil, e.duty))
		if err != nil {
			return err
		}
		if w.s.indexing {
			if err := w.addPast(e, row); err != nil {
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

// forget folds streams anew whose keys are gone, writes the blank rows that follow, and purges the file of what they were:
// its own key is not destroyed.
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
		s.tallies.apply(change, s.stored)
	}
	if err == nil {
		err = storeError(s.db.Purge(ctx))
	}
	return err
}

func (w *writer) forget(stream string) error {
	_, id, _ := record.SplitStream(stream)
	if err := exec(w.c, `DELETE FROM snapshots WHERE n = (SELECT n FROM cases WHERE id = ?)`, id[:]); err != nil {
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
			d.fresh, d.replace = false, true
		}
	}
	return nil
}

// Filled and Fill make a store a follow.Target: a new file is filled with whole streams, part by part.
func (s *store) Filled(ctx context.Context) (p follow.Part, err error) {
	err = s.db.Read(ctx, func(c *sealed.Conn) error {
		return query(c, `SELECT key, value FROM meta`, nil, func(st *sqlite3.Stmt) error {
			switch n := st.ColumnInt64(1); st.ColumnText(0) {
			case "fill.until":
				p.Until = uint64(n)
			case "fill.done":
				p.Done = int(n)
			case "fill.of":
				p.Of = int(n)
			}
			return nil
		})
	})
	return p, storeError(err)
}

// Fill is documented at follow.Target.
func (s *store) Fill(ctx context.Context, events []record.Event, p follow.Part) error {
	return s.write(ctx, func(w *writer) error {
		for _, e := range events {
			if err := w.take(e); err != nil {
				return &follow.Poison{Projection: s.Name(), Position: e.Position, ID: e.ID, Stream: e.Stream, Type: e.Type, Err: err}
			}
		}
		if err := w.flush(); err != nil {
			return err
		}
		if err := s.states.Trim(0, keepUnsaved, w.saveSnapshot); err != nil { // the part's streams are whole
			return err
		}
		for key, n := range map[string]int64{"fill.until": int64(p.Until), "fill.done": int64(p.Done), "fill.of": int64(p.Of)} {
			if err := w.setMeta(key, n); err != nil {
				return err
			}
		}
		if !p.Whole() {
			return nil
		}
		s.position, s.stored, s.started = p.Until, p.Until, true
		return w.setMeta("position", int64(p.Until))
	})
}

func (w *writer) setMeta(key string, n int64) error {
	return exec(w.c, `INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value`, key, n)
}
