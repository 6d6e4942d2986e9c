package oversight

import (
	"fmt"

	"github.com/google/uuid"

	"yidang/domain/access"
	"yidang/domain/casework"
	"yidang/domain/person"
	"yidang/domain/record"
	"yidang/domain/staff"
	"yidang/domain/vault/sealed"
	"yidang/projections/follow"
)

// writer is one transaction.
type writer struct {
	x        *Index
	c        *sealed.Conn
	position uint64
	blocks   []span // written in this transaction
	tail     *tail  // after them
	erases   bool
}

func (w *writer) batch(b follow.Batch) error {
	for _, e := range b.Events {
		if e.Position <= w.position {
			continue
		}
		if err := w.take(e); err != nil {
			return err
		}
		w.position = e.Position
		if w.tail.size >= w.x.o.Block {
			if err := w.flush(); err != nil {
				return err
			}
		}
	}
	w.position = max(w.position, b.UpTo)
	if b.CaughtUp && !w.x.ready.Load() {
		if err := setMeta(w.c, "ready", 1); err != nil {
			return err
		}
	}
	return setMeta(w.c, "position", int64(w.position))
}

func (w *writer) flush() error {
	done := w.tail.span
	done.n = int64(len(w.x.blocks) + len(w.blocks) + 1)
	if err := w.tail.flush(w.c, done.n); err != nil {
		return err
	}
	w.blocks, w.tail = append(w.blocks, done), newTail(done.upto)
	return nil
}

// numbered collects the first error of many numbers.
type numbered struct {
	w   *writer
	err error
}

func (n *numbered) id(id uuid.UUID) int64 {
	v, err := n.w.x.names.numberID(n.w.c, id)
	if n.err == nil {
		n.err = err
	}
	return v
}

func (n *numbered) text(s string) int64 {
	v, err := n.w.x.names.numberText(n.w.c, s)
	if n.err == nil {
		n.err = err
	}
	return v
}

func (w *writer) take(e record.Event) error {
	kind, file, ok := record.SplitStream(e.Stream)
	if !ok {
		return nil
	}
	if e.Type == access.ReadType {
		return w.read(e, file)
	}
	m, n := &e.Meta, numbered{w: w}
	row := entry{
		position: e.Position, id: e.ID, kind: n.text(kind), file: file, revision: int64(e.Revision), typ: n.text(e.Type),
		actor: n.id(m.Actor), post: n.id(m.Post), role: n.text(string(m.Role)), unit: n.id(m.Unit), person: m.Person, kase: m.Case,
		occurred: millis(m.OccurredAt), recorded: millis(m.RecordedAt), late: n.text(string(m.Late)), command: m.Command, cause: m.Causation,
	}
	if n.err != nil {
		return n.err
	}
	if row.cause != row.command {
		if err := w.approvedBy(&row); err != nil {
			return err
		}
	}
	if err := w.says(e, &row); err != nil {
		return err
	}
	if err := row.save(w.c); err != nil {
		return err
	}
	w.tail.addEntry(&row)
	return nil
}

func (w *writer) read(e record.Event, session uuid.UUID) error {
	m, n := &e.Meta, numbered{w: w}
	d, _ := e.Data.(access.Read) // nothing, when the session's key is destroyed
	row := reading{
		position: e.Position, id: e.ID, file: session, revision: int64(e.Revision), actor: n.id(m.Actor), post: n.id(m.Post),
		role: n.text(string(m.Role)), unit: n.id(m.Unit), person: m.Person, kase: m.Case, recorded: millis(m.RecordedAt),
		what: n.text(d.What), purpose: n.text(d.Purpose), people: d.People,
	}
	for flag, set := range map[int64]bool{ownRead: d.Own, glassRead: d.Glass, sealedRead: d.Sealed} {
		if set {
			row.flags |= flag
		}
	}
	if n.err != nil {
		return n.err
	}
	if err := row.save(w.c); err != nil {
		return err
	}
	w.tail.addReading(&row)
	return nil
}

// says stores what an event says beside that it was recorded.
func (w *writer) says(e record.Event, row *entry) error {
	switch e.Type {
	case record.ApprovedType: // known also when the data is gone
		if err := exec(w.c, `INSERT INTO approvals (command, file, position) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`,
			row.command[:], row.file[:], int64(row.position)); err != nil {
			return err
		}
	case record.ErasedType:
		return w.erased(row)
	case record.ProposedType:
		d, _ := e.Data.(record.Proposed)
		return w.proposed(row, d)
	case closedType:
		return w.part(row, closed, casework.Responsibility{})
	}
	switch d := e.Data.(type) {
	case record.Voided:
		return w.amends(row, d.Event, nil)
	case record.Corrected:
		return w.amends(row, d.Event, &d)
	case record.Approved:
		row.link = d.Proposal
		return w.answered(row, row, Approved)
	case record.Rejected:
		row.link = d.Proposal
		if d.Withdrawn {
			return w.answered(row, row, Withdrawn)
		}
		return w.answered(row, row, Rejected)
	case staff.GlassBroken:
		return exec(w.c, `INSERT INTO glasses (position, id, officer, post, role, unit, person, until, recorded) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			int64(row.position), row.id[:], row.actor, row.post, row.role, row.unit, blob(d.Person), millis(d.Until), row.recorded)
	case person.Merged:
		return w.link(row, d.Into)
	case person.Unmerged:
		return w.link(row, uuid.Nil)
	case casework.ResponsibleAssigned:
		return w.part(row, assigned, d.Responsibility)
	case casework.HandOverAccepted:
		return w.part(row, assigned, casework.Responsibility{Officer: d.To, Role: d.Role, Lead: true, From: e.Meta.OccurredAt})
	case casework.ResponsibleEnded:
		return w.part(row, ended, casework.Responsibility{Officer: d.Officer})
	}
	return nil
}

func (w *writer) link(row *entry, into uuid.UUID) error {
	return exec(w.c, `INSERT INTO links (file, position, into_) VALUES (?, ?, ?)`, row.file[:], int64(row.position), blob(into))
}

// What changes who is responsible.
const (
	assigned = iota + 1
	ended
	closed
	erased
)

// closedType is the stored name of casework.Closed: its data is not needed.
const closedType = "casework.closed"

func (w *writer) part(row *entry, step int, r casework.Responsibility) error {
	if row.person == uuid.Nil {
		return nil // of no case
	}
	n := numbered{w: w}
	officer, role := n.id(r.Officer), n.text(string(r.Role))
	if n.err != nil {
		return n.err
	}
	return exec(w.c, `INSERT INTO parts (person, kase, position, step, officer, role, lead, since) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
		row.person[:], row.file[:], int64(row.position), step, officer, role, r.Lead, millis(r.From))
}

func (w *writer) erased(row *entry) error {
	err := exec(w.c, `INSERT INTO erasures (file, kind, position) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`, row.file[:], row.kind, int64(row.position))
	if err == nil {
		err = exec(w.c, `UPDATE proposals SET status = ?, answer = ?, answerer = ?, answered = ? WHERE file = ? AND kind = ? AND status = 0`,
			statusNumber(Lapsed), int64(row.position), row.actor, row.recorded, row.file[:], row.kind)
	}
	if err != nil {
		return err
	}
	if err != nil {
		return err
	}
	w.erases = true
	if row.kase == row.file { // who was responsible, also as it was corrected
		if err := exec(w.c, `UPDATE amendments SET role = 0, lead = 0, since = 0
			WHERE target_position IN (SELECT position FROM parts WHERE person = ? AND kase = ?)`, row.person[:], row.file[:]); err != nil {
			return err
		}
		if err := exec(w.c, `DELETE FROM parts WHERE person = ? AND kase = ?`, row.person[:], row.file[:]); err != nil {
			return err
		}
		return w.part(row, erased, casework.Responsibility{})
	}
	if err := exec(w.c, `DELETE FROM links WHERE file = ?`, row.file[:]); err != nil {
		return err
	}
	return w.link(row, uuid.Nil)
}

// misplaced says where something was that could not be taken in.
func misplaced(row *entry, what string, err error) error {
	return fmt.Errorf("%s at position %d: %w", what, row.position, err)
}
