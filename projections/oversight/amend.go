package oversight

import (
	"errors"

	"github.com/google/uuid"
	"github.com/ncruces/go-sqlite3"

	"yidang/domain/casework"
	"yidang/domain/record"
)

// amends stores a void, or a correction with what it says of a responsibility, and works out what now counts of the
// entry it names.
func (w *writer) amends(row *entry, target uuid.UUID, c *record.Corrected) error {
	row.link = target
	of, ok, err := w.target(row, target)
	if err != nil {
		return err
	}
	var r casework.Responsibility
	if ok && c != nil {
		if r, err = w.correctedPart(&of, c); err != nil {
			return misplaced(row, "correction", err)
		}
	}
	n := numbered{w: w}
	role := n.text(string(r.Role))
	if n.err != nil {
		return n.err
	}
	err = exec(w.c, `INSERT INTO amendments (position, id, target, target_position, void, role, lead, since) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
		int64(row.position), row.id[:], target[:], int64(of.position), c == nil, role, r.Lead, millis(r.From))
	if err != nil || !ok {
		return err
	}
	if err := w.settle(of.id, of.position); err != nil {
		return err
	}
	// A correction that is void leaves the entry as it was before it.
	var its uuid.UUID
	var at uint64
	err = query(w.c, `SELECT target, target_position FROM amendments WHERE position = ?`, []any{int64(of.position)}, func(st *sqlite3.Stmt) error {
		its, at = columnID(st, 0), uint64(st.ColumnInt64(1))
		return nil
	})
	if err != nil || at == 0 {
		return err
	}
	return w.settle(its, at)
}

// target finds the entry that an amendment names, among the earlier ones of its stream.
func (w *writer) target(row *entry, id uuid.UUID) (of entry, ok bool, err error) {
	position, isRead, ok, err := find(w.c, append(w.x.blocks[:len(w.x.blocks):len(w.x.blocks)], w.blocks...), w.tail, id)
	if err != nil || !ok || isRead {
		return of, false, err
	}
	if of, ok, err = loadEntry(w.c, position); err != nil || !ok || of.kind != row.kind || of.file != row.file {
		return entry{}, false, err
	}
	return of, true, nil
}

// settle works out what amends an entry: the newest void, and the newest correction that is not void itself.
func (w *writer) settle(id uuid.UUID, position uint64) error {
	var voided, corrected int64
	type correction struct {
		position int64
		id       uuid.UUID
	}
	var corrections []correction
	err := query(w.c, `SELECT position, id, void FROM amendments WHERE target = ? AND target_position > 0 ORDER BY position`, []any{id[:]}, func(st *sqlite3.Stmt) error {
		if st.ColumnBool(2) {
			voided = st.ColumnInt64(0)
		} else {
			corrections = append(corrections, correction{st.ColumnInt64(0), columnID(st, 1)})
		}
		return nil
	})
	for i := len(corrections) - 1; i >= 0 && corrected == 0 && err == nil; i-- {
		var voids int64
		voids, err = single(w.c, `SELECT count(*) FROM amendments WHERE target = ? AND target_position > 0 AND void`, corrections[i].id[:])
		if voids == 0 {
			corrected = corrections[i].position
		}
	}
	if err != nil {
		return err
	}
	if voided == 0 && corrected == 0 {
		return exec(w.c, `DELETE FROM amended WHERE position = ?`, int64(position))
	}
	return exec(w.c, `INSERT INTO amended (position, voided, corrected) VALUES (?, ?, ?)
		ON CONFLICT (position) DO UPDATE SET voided = excluded.voided, corrected = excluded.corrected`, int64(position), voided, corrected)
}

// correctedPart gives what a correction says of a responsibility; nothing when it is of something else.
func (w *writer) correctedPart(of *entry, c *record.Corrected) (r casework.Responsibility, err error) {
	kind, typ := w.x.names.string(of.kind), w.x.names.string(of.typ)
	k, ok := w.x.o.Catalog.Category(kind)
	if !ok {
		return r, nil
	}
	row, ok := k.Event(typ)
	if !ok || row.Type != assignedData && row.Type != acceptedData {
		return r, nil
	}
	data, err := row.Decode(c.Form, c.Values, false)
	if err != nil {
		return r, err
	}
	switch d := data.(type) {
	case casework.ResponsibleAssigned:
		return d.Responsibility, nil
	case casework.HandOverAccepted:
		r = casework.Responsibility{Officer: d.To, Role: d.Role, Lead: true, From: c.OccurredAt}
		if r.From.IsZero() {
			r.From = instant(of.occurred)
		}
		return r, nil
	}
	return r, errors.New("the data is of another type than the row says")
}

// approvedBy finds the approval that an entry was recorded with: what two people record follows the approval of the second
// in the same append, by the same command, and is caused by the proposal. That is in the metadata, so it outlives a key.
func (w *writer) approvedBy(row *entry) error {
	at, err := single(w.c, `SELECT position FROM approvals WHERE command = ? AND file = ?`, row.command[:], row.file[:])
	if err != nil || at == 0 {
		return err
	}
	approval, ok, err := loadEntry(w.c, uint64(at))
	if err != nil || !ok || approval.kind != row.kind {
		return err
	}
	row.approval = approval.position
	return w.answered(&entry{kind: row.kind, file: row.file, link: row.cause}, &approval, Approved)
}

func (w *writer) proposed(row *entry, d record.Proposed) error {
	n := numbered{w: w}
	command := n.text(d.Command)
	if n.err != nil {
		return n.err
	}
	return exec(w.c, `INSERT INTO proposals (position, id, kind, file, person, kase, command, proposer, post, role, unit, proposed, expires, status, answer, answerer, answered)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, 0, 0)`,
		int64(row.position), row.id[:], row.kind, row.file[:], blob(row.person), blob(row.kase), command, row.actor, row.post, row.role, row.unit,
		row.recorded, millis(d.Expires))
}

// answered ends a proposal, which link names, of the same stream; the first answer holds.
func (w *writer) answered(of, by *entry, status string) error {
	return exec(w.c, `UPDATE proposals SET status = ?, answer = ?, answerer = ?, answered = ? WHERE id = ? AND kind = ? AND file = ? AND status = 0`,
		statusNumber(status), int64(by.position), by.actor, by.recorded, of.link[:], of.kind, of.file[:])
}
