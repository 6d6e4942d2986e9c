package embedded

import (
	"fmt"

	"github.com/ncruces/go-sqlite3"
)

// recentIDs remembers where the newest events went, for appends that expect nothing in particular.
type recentIDs struct {
	where map[[16]byte]place
	order []([16]byte) // ring, by position
}

type place struct {
	position uint64
	stream   int64
	revision int64
}

func newRecentIDs(limit int) recentIDs {
	return recentIDs{where: make(map[[16]byte]place), order: make([][16]byte, limit)}
}

func (r *recentIDs) add(position uint64, id [16]byte, stream, revision int64) {
	slot := &r.order[position%uint64(len(r.order))]
	if old, ok := r.where[*slot]; ok && old.position+uint64(len(r.order)) <= position {
		delete(r.where, *slot)
	}
	*slot = id
	r.where[id] = place{position, stream, revision}
}

// dropFrom forgets the events of a transaction that failed.
func (r *recentIDs) dropFrom(position uint64) {
	for id, p := range r.where {
		if p.position >= position {
			delete(r.where, id)
		}
	}
}

// find returns how many of these events, from the first on, are known in the stream, and the revision of the last known.
func (r *recentIDs) find(stream int64, events []proposed) (last int64, known int) {
	for i, e := range events {
		p, ok := r.where[e.id]
		if !ok || p.stream != stream {
			return last, i
		}
		last = p.revision
	}
	return last, len(events)
}

func (r *recentIDs) load(conn *sqlite3.Conn, head uint64) error {
	clear(r.where)
	from := uint64(0)
	if n := uint64(len(r.order)); head > n {
		from = head - n
	}
	return queryRows(conn, fmt.Sprintf(`SELECT position, id, stream, revision FROM events WHERE position > %d ORDER BY position`, from),
		func(st *sqlite3.Stmt) error {
			var id [16]byte
			copy(id[:], st.ColumnRawBlob(1))
			r.add(uint64(st.ColumnInt64(0)), id, st.ColumnInt64(2), st.ColumnInt64(3))
			return nil
		})
}
