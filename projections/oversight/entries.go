package oversight

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/ncruces/go-sqlite3"

	"yidang/domain/access"
	"yidang/domain/record"
	"yidang/domain/vault/sealed"
)

// Entry is one recorded event, of any kind but a reading.
type Entry struct {
	Position   uint64      `json:"position"`
	ID         uuid.UUID   `json:"id"`
	Category   string      `json:"category"`
	File       uuid.UUID   `json:"file"` // of the stream, which is named by category and file
	Revision   uint64      `json:"revision"`
	Type       string      `json:"type"`
	Actor      uuid.UUID   `json:"actor"`
	Post       uuid.UUID   `json:"post,omitzero"`
	Role       record.Role `json:"role,omitempty"`
	Unit       uuid.UUID   `json:"unit,omitzero"`
	Person     uuid.UUID   `json:"person,omitzero"`
	Case       uuid.UUID   `json:"case,omitzero"`
	OccurredAt time.Time   `json:"occurredAt"`
	RecordedAt time.Time   `json:"recordedAt"`
	Late       record.Late `json:"late,omitempty"`
	Command    uuid.UUID   `json:"command"`
	Cause      uuid.UUID   `json:"cause"`
	Voided     *Mark       `json:"voided,omitempty"`    // by which amendment
	Corrected  *Mark       `json:"corrected,omitempty"` // by which amendment, the one that holds
	Approved   *Mark       `json:"approved,omitempty"`  // by which approval, when it took two people
	Proposal   uuid.UUID   `json:"proposal,omitzero"`   // which it was recorded on, or which it answers
	Target     uuid.UUID   `json:"target,omitzero"`     // of an amendment: the entry it names
	Erased     bool        `json:"erased,omitempty"`    // the file's content was destroyed
}

// Mark is an event that says something of another one.
type Mark struct {
	Position uint64    `json:"position"`
	ID       uuid.UUID `json:"id"`
	Actor    uuid.UUID `json:"actor"`
	At       time.Time `json:"recordedAt"`
}

// Stream is the name of the entry's stream.
func (e Entry) Stream() string { return record.StreamOf(e.Category, e.File) }

// Lag is how long after the fact it was recorded.
func (e Entry) Lag() time.Duration { return e.RecordedAt.Sub(e.OccurredAt) }

// Query asks for entries that meet all that is set.
type Query struct {
	Paging
	Officer                  uuid.UUID // who recorded it
	Unit                     uuid.UUID // of the post in which it was recorded
	Person, Case             uuid.UUID
	File                     uuid.UUID // of any kind
	Types                    []string  // any of them
	From, To                 time.Time // recorded; To itself not
	OccurredFrom, OccurredTo time.Time
	Late                     bool          // with a code of lateness, or more than Lag after the fact
	Lag                      time.Duration // with Late; 0: only those with a code
	BackDated                bool          // said to have happened more than BackDays days before the day it was recorded
	BackDays                 int
	Amended                  bool // voided or corrected
	Amendments               bool // voids and corrections themselves
	Approved                 bool // recorded with a second person's approval
}

// Entries answers a query: everything this officer recorded, everything late, back-dated, amended, approved by whom.
// Readings are asked for with Reads.
func (x *Index) Entries(ctx context.Context, q Query) (entries []Entry, page Page, err error) {
	page.Position, err = x.read(ctx, func(r *reader) error {
		f, possible := r.filter(q)
		if !possible {
			return nil
		}
		got := collect[entry]{limit: q.limit()}
		w := &walk{Paging: q.Paging, up: entriesUp, down: entriesDown, at: entryAt, groups: f.groups(), amended: q.Amended, recorded: f.recorded, occurred: f.occurred}
		w.row = func(st *sqlite3.Stmt) (uint64, error) {
			var e entry
			e.scan(st)
			if !f.wants(&e) {
				return e.position, nil
			}
			return e.position, got.take(e.position, e)
		}
		next, err := r.run(w)
		if err != nil && !errors.Is(err, sealed.ErrEnough) {
			return err
		}
		page.Next = max(next, got.next)
		for i := range got.rows {
			e, err := r.shown(&got.rows[i])
			if err != nil {
				return err
			}
			entries = append(entries, e)
		}
		return nil
	})
	return entries, page, err
}

// Lookup finds an event by its id, a reading too.
func (x *Index) Lookup(ctx context.Context, id uuid.UUID) (e Entry, ok bool, err error) {
	_, err = x.read(ctx, func(r *reader) error {
		position, isRead, found, err := find(r.c, r.blocks, r.tail, id)
		if err != nil || !found {
			return err
		}
		var row entry
		if isRead {
			row, err = r.readingAsEntry(position)
		} else {
			row, _, err = loadEntry(r.c, position)
		}
		if err == nil {
			e, err = r.shown(&row)
			ok = err == nil
		}
		return err
	})
	return e, ok, err
}

func (r *reader) readingAsEntry(position uint64) (e entry, err error) {
	var row reading
	err = query(r.c, readAt, []any{int64(position)}, func(st *sqlite3.Stmt) error { row.scan(st); return nil })
	e = entry{
		position: row.position, id: row.id, file: row.file, revision: row.revision, actor: row.actor, post: row.post, role: row.role,
		unit: row.unit, person: row.person, kase: row.kase, occurred: row.recorded, recorded: row.recorded, command: row.id, cause: row.id,
	}
	return e, err
}

// filter is a query in the numbers of the index.
type filter struct {
	q                  Query
	officer, unit      int64
	types              []int64
	recorded, occurred window
	voided, corrected  int64 // types
}

// filter answers false when nothing can meet the query.
func (r *reader) filter(q Query) (f filter, possible bool) {
	f = filter{q: q, recorded: newWindow(q.From, q.To), occurred: newWindow(q.OccurredFrom, q.OccurredTo)}
	ok := true
	id := func(id uuid.UUID) int64 {
		n, known := r.x.names.ofID(id)
		ok = ok && (known || id == uuid.Nil)
		return n
	}
	f.officer, f.unit = id(q.Officer), id(q.Unit)
	for _, t := range q.Types {
		if n, known := r.x.names.ofText(t); known {
			f.types = append(f.types, n)
		}
	}
	f.voided, _ = r.x.names.ofText(record.VoidedType)
	f.corrected, _ = r.x.names.ofText(record.CorrectedType)
	return f, ok && (len(q.Types) == 0 || len(f.types) > 0) && (!q.Amendments || f.voided+f.corrected > 0)
}

// groups are the lists that every wanted entry is on.
func (f *filter) groups() (all []group) {
	add := func(is bool, keys ...uint64) {
		if is {
			all = append(all, keys)
		}
	}
	q := &f.q
	add(q.Case != uuid.Nil, keyOf(ofFile, q.Case))
	add(q.File != uuid.Nil, keyOf(ofFile, q.File))
	add(q.Person != uuid.Nil, keyOf(ofPerson, q.Person))
	add(q.Approved, key(ofApproved, 0))
	add(q.Amendments, key(ofType, f.voided), key(ofType, f.corrected))
	add(q.Late && q.Lag == 0, key(ofLate, 0))
	// Two days or more between the day it happened and the day it was recorded is a day at least.
	add(q.Late && q.Lag >= laggedFrom*time.Millisecond || q.BackDated && q.BackDays >= 1, key(ofLagged, 0))
	add(q.Officer != uuid.Nil, key(ofActor, f.officer))
	add(q.Unit != uuid.Nil, key(ofUnit, f.unit))
	var types group
	for _, t := range f.types {
		types = append(types, key(ofType, t))
	}
	add(len(types) > 0, types...)
	return all
}

func (f *filter) wants(e *entry) bool {
	q := &f.q
	switch {
	case f.officer != 0 && e.actor != f.officer, f.unit != 0 && e.unit != f.unit,
		q.Person != uuid.Nil && e.person != q.Person, q.Case != uuid.Nil && e.kase != q.Case, q.File != uuid.Nil && e.file != q.File,
		len(f.types) > 0 && !slices.Contains(f.types, e.typ),
		q.Amendments && e.typ != f.voided && e.typ != f.corrected,
		q.Approved && e.approval == 0,
		!f.recorded.has(e.recorded), !f.occurred.has(e.occurred),
		q.Late && e.late == 0 && (q.Lag == 0 || e.recorded-e.occurred <= q.Lag.Milliseconds()),
		q.BackDated && daysBetween(e.occurred, e.recorded) <= q.BackDays:
		return false
	}
	return true
}

// daysBetween counts the midnights of the township between two times.
func daysBetween(from, to int64) int {
	const day = 24 * 3600 * 1000
	_, zone := time.Time{}.In(record.Zone).Zone()
	number := func(ms int64) int64 {
		ms += int64(zone) * 1000
		n := ms / day
		if ms%day < 0 {
			n--
		}
		return n
	}
	return int(number(to) - number(from))
}

// shown is an entry with what later events say about it.
func (r *reader) shown(e *entry) (out Entry, err error) {
	n := r.x.names
	out = Entry{
		Position: e.position, ID: e.id, Category: n.string(e.kind), File: e.file, Revision: uint64(e.revision), Type: n.string(e.typ),
		Actor: n.id(e.actor), Post: n.id(e.post), Role: record.Role(n.string(e.role)), Unit: n.id(e.unit), Person: e.person, Case: e.kase,
		OccurredAt: instant(e.occurred), RecordedAt: instant(e.recorded), Late: record.Late(n.string(e.late)), Command: e.command, Cause: e.cause,
	}
	switch {
	case e.kind == 0: // a reading
		out.Category, out.Type = access.Category.Name, access.ReadType
		return out, nil
	case record.Amends(out.Type):
		out.Target = e.link
	case e.approval != 0:
		out.Proposal = e.cause
	default:
		out.Proposal = e.link
	}
	if out.Approved, err = r.mark(e.approval); err != nil {
		return out, err
	}
	var voided, corrected uint64
	err = query(r.c, `SELECT voided, corrected FROM amended WHERE position = ?`, []any{int64(e.position)}, func(st *sqlite3.Stmt) error {
		voided, corrected = uint64(st.ColumnInt64(0)), uint64(st.ColumnInt64(1))
		return nil
	})
	if err == nil {
		out.Voided, err = r.mark(voided)
	}
	if err == nil {
		out.Corrected, err = r.mark(corrected)
	}
	if err == nil {
		var n int64
		n, err = single(r.c, `SELECT count(*) FROM erasures WHERE file = ? AND kind = ?`, e.file[:], e.kind)
		out.Erased = n > 0
	}
	return out, err
}

func (r *reader) mark(position uint64) (*Mark, error) {
	if position == 0 {
		return nil, nil
	}
	e, ok, err := loadEntry(r.c, position)
	if err != nil || !ok {
		return nil, err
	}
	return &Mark{Position: e.position, ID: e.id, Actor: r.x.names.id(e.actor), At: instant(e.recorded)}, nil
}
