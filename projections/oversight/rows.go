package oversight

import (
	"fmt"

	"github.com/google/uuid"
	"github.com/ncruces/go-sqlite3"

	"yidang/domain/vault/sealed"
)

// entry is a row of entries.
type entry struct {
	position                     uint64
	id                           uuid.UUID
	kind                         int64
	file                         uuid.UUID
	revision                     int64
	typ, actor, post, role, unit int64
	person, kase                 uuid.UUID
	occurred, recorded, late     int64
	command, cause               uuid.UUID
	approval                     uint64
	link                         uuid.UUID
}

const (
	entryColumns = `position, id, kind, file, revision, type, actor, post, role, unit, person, kase, occurred, recorded, late, command, cause, approval, link`
	entriesUp    = `SELECT ` + entryColumns + ` FROM entries WHERE position > ? AND position <= ? ORDER BY position`
	entriesDown  = `SELECT ` + entryColumns + ` FROM entries WHERE position > ? AND position <= ? ORDER BY position DESC`
	entryAt      = `SELECT ` + entryColumns + ` FROM entries WHERE position = ?`
	insertEntry  = `INSERT INTO entries (` + entryColumns + `) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
)

// save is the one write of every event, so it binds by itself.
func (e *entry) save(c *sealed.Conn) error {
	st, err := c.Stmt(insertEntry)
	if err != nil {
		return err
	}
	numbers := [...]int64{0, int64(e.position), 0, e.kind, 0, e.revision, e.typ, e.actor, e.post, e.role, e.unit, 0, 0, e.occurred, e.recorded, e.late, 0, 0, int64(e.approval)}
	for _, i := range [...]int{1, 3, 5, 6, 7, 8, 9, 10, 13, 14, 15, 18} {
		if err == nil {
			err = st.BindInt64(i, numbers[i])
		}
	}
	put := func(i int, id []byte) {
		if err == nil && id != nil {
			err = st.BindBlob(i, id)
		}
	}
	put(2, e.id[:])
	put(4, e.file[:])
	put(11, blobAs(e.person, e.file))
	put(12, blobAs(e.kase, e.file))
	put(16, blob(e.command))
	put(17, blobAs(e.cause, e.command))
	put(19, blob(e.link))
	if err == nil {
		err = st.Exec()
	}
	if err != nil {
		return fmt.Errorf("entry at position %d: %w", e.position, err)
	}
	return nil
}

func (e *entry) scan(st *sqlite3.Stmt) {
	e.position, e.id, e.kind, e.file, e.revision = uint64(st.ColumnInt64(0)), columnID(st, 1), st.ColumnInt64(2), columnID(st, 3), st.ColumnInt64(4)
	e.typ, e.actor, e.post, e.role, e.unit = st.ColumnInt64(5), st.ColumnInt64(6), st.ColumnInt64(7), st.ColumnInt64(8), st.ColumnInt64(9)
	e.person, e.kase = columnAs(st, 10, e.file), columnAs(st, 11, e.file)
	e.occurred, e.recorded, e.late = st.ColumnInt64(12), st.ColumnInt64(13), st.ColumnInt64(14)
	e.command = columnID(st, 15)
	e.cause = columnAs(st, 16, e.command)
	e.approval, e.link = uint64(st.ColumnInt64(17)), columnID(st, 18)
}

// loadEntry reads one row; ok is false when there is none at the position.
func loadEntry(c *sealed.Conn, position uint64) (e entry, ok bool, err error) {
	err = query(c, entryAt, []any{int64(position)}, func(st *sqlite3.Stmt) error {
		e.scan(st)
		ok = true
		return nil
	})
	return e, ok, err
}

// reading is a row of reads.
type reading struct {
	position                uint64
	id, file                uuid.UUID // file is the session
	revision                int64
	actor, post, role, unit int64
	person, kase            uuid.UUID
	recorded, what, purpose int64
	flags                   int64
	people                  []uuid.UUID
}

// Flags of a reading.
const (
	ownRead = 1 << iota
	glassRead
	sealedRead
)

const (
	readColumns   = `position, id, file, revision, actor, post, role, unit, person, kase, recorded, what, purpose, flags, people`
	readsUp       = `SELECT ` + readColumns + ` FROM reads WHERE position > ? AND position <= ? ORDER BY position`
	readsDown     = `SELECT ` + readColumns + ` FROM reads WHERE position > ? AND position <= ? ORDER BY position DESC`
	readAt        = `SELECT ` + readColumns + ` FROM reads WHERE position = ?`
	insertReading = `INSERT INTO reads (` + readColumns + `) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
)

func (r *reading) save(c *sealed.Conn) error {
	var people []byte
	for _, p := range r.people {
		people = append(people, p[:]...)
	}
	return exec(c, insertReading, int64(r.position), r.id[:], r.file[:], r.revision, r.actor, r.post, r.role, r.unit, blob(r.person),
		blob(r.kase), r.recorded, r.what, r.purpose, r.flags, people)
}

func (r *reading) scan(st *sqlite3.Stmt) {
	r.position, r.id, r.file, r.revision = uint64(st.ColumnInt64(0)), columnID(st, 1), columnID(st, 2), st.ColumnInt64(3)
	r.actor, r.post, r.role, r.unit = st.ColumnInt64(4), st.ColumnInt64(5), st.ColumnInt64(6), st.ColumnInt64(7)
	r.person, r.kase = columnID(st, 8), columnID(st, 9)
	r.recorded, r.what, r.purpose, r.flags = st.ColumnInt64(10), st.ColumnInt64(11), st.ColumnInt64(12), st.ColumnInt64(13)
	r.people = nil
	for raw := st.ColumnRawBlob(14); len(raw) >= 16; raw = raw[16:] {
		r.people = append(r.people, uuid.UUID(raw[:16]))
	}
}

// whom lists everybody whose data was shown.
func (r *reading) whom() []uuid.UUID {
	if r.person == uuid.Nil {
		return r.people
	}
	return append([]uuid.UUID{r.person}, r.people...)
}

// find gives the position of an event, the newest first, and whether it is a reading.
func find(c *sealed.Conn, blocks []span, t *tail, id uuid.UUID) (position uint64, isRead, ok bool, err error) {
	check := func(p uint64) (bool, error) {
		for i, sql := range []string{`SELECT id FROM entries WHERE position = ?`, `SELECT id FROM reads WHERE position = ?`} {
			err := query(c, sql, []any{int64(p)}, func(st *sqlite3.Stmt) error {
				if columnID(st, 0) == id {
					position, isRead, ok = p, i == 1, true
				}
				return nil
			})
			if ok || err != nil {
				return ok, err
			}
		}
		return false, nil
	}
	if p, there := t.lookID(id); there {
		if found, err := check(p); found || err != nil {
			return position, isRead, ok, err
		}
	}
	for i := len(blocks) - 1; i >= 0; i-- {
		places, err := listedID(c, blocks[i], id)
		if err != nil {
			return 0, false, false, err
		}
		for _, p := range places {
			if found, err := check(p); found || err != nil {
				return position, isRead, ok, err
			}
		}
	}
	return 0, false, false, nil
}
