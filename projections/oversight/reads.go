package oversight

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/ncruces/go-sqlite3"

	"yidang/domain/record"
	"yidang/domain/vault/sealed"
)

// Reading is one record of reading. Why, in the reader's words, and from where is in the event.
type Reading struct {
	Position   uint64      `json:"position"`
	ID         uuid.UUID   `json:"id"`
	Session    uuid.UUID   `json:"session"`
	Revision   uint64      `json:"revision"` // of the session's stream
	Officer    uuid.UUID   `json:"officer"`
	Post       uuid.UUID   `json:"post,omitzero"`
	Role       record.Role `json:"role,omitempty"`
	Unit       uuid.UUID   `json:"unit,omitzero"`
	Person     uuid.UUID   `json:"person,omitzero"` // whose file; none for a list
	Case       uuid.UUID   `json:"case,omitzero"`
	RecordedAt time.Time   `json:"recordedAt"`
	What       string      `json:"what"`
	Purpose    string      `json:"purpose,omitempty"`
	Own        bool        `json:"own,omitempty"`
	Glass      bool        `json:"glass,omitempty"`
	Sealed     bool        `json:"sealed,omitempty"`
	// People are whom a list showed, or the other files of the same person that were shown as one with Person's; left out of
	// an answer about one person, who is to learn nothing of the others.
	People []uuid.UUID `json:"people,omitempty"`
	Listed int         `json:"listed,omitempty"` // how many they are
}

// ReadQuery asks for readings that meet all that is set.
type ReadQuery struct {
	Paging
	Person   uuid.UUID   // whose file was read, or who was shown in a list
	Also     []uuid.UUID // with Person: other files of the same person, whose readings count too
	Officer  uuid.UUID   // who read
	Unit     uuid.UUID   // of the reader's post
	From, To time.Time   // recorded; To itself not
	Purpose  string
	What     []string // any of them
	Outside  bool     // outside the reader's own caseload
	Glass    bool     // in an emergency
}

// Reads answers a query.
func (x *Index) Reads(ctx context.Context, q ReadQuery) (readings []Reading, page Page, err error) {
	page.Position, err = x.read(ctx, func(r *reader) error {
		officer, known := r.x.names.ofID(q.Officer)
		unit, there := r.x.names.ofID(q.Unit)
		purpose, said := r.x.names.ofText(q.Purpose)
		if !known && q.Officer != uuid.Nil || !there && q.Unit != uuid.Nil || !said && q.Purpose != "" {
			return nil
		}
		var groups []group
		add := func(is bool, key uint64) {
			if is {
				groups = append(groups, group{key})
			}
		}
		of := append([]uuid.UUID{q.Person}, q.Also...)
		if q.Person != uuid.Nil {
			var any group
			for _, p := range of {
				any = append(any, keyOf(ofReadPerson, p))
			}
			groups = append(groups, any)
		}
		add(q.Officer != uuid.Nil, key(ofReader, officer))
		add(q.Unit != uuid.Nil, key(ofReadersUnit, unit))
		add(q.Glass, key(ofGlass, 0))
		add(q.Outside, key(ofOutside, 0))
		got := collect[reading]{limit: q.limit()}
		w := &walk{Paging: q.Paging, up: readsUp, down: readsDown, at: readAt, groups: groups, recorded: newWindow(q.From, q.To)}
		w.row = func(st *sqlite3.Stmt) (uint64, error) {
			var row reading
			row.scan(st)
			switch {
			case q.Person != uuid.Nil && !slices.ContainsFunc(row.whom(), func(p uuid.UUID) bool { return slices.Contains(of, p) }), officer != 0 && row.actor != officer, unit != 0 && row.unit != unit,
				purpose != 0 && row.purpose != purpose, len(q.What) > 0 && !slices.Contains(q.What, r.x.names.string(row.what)),
				q.Outside && row.flags&ownRead != 0, q.Glass && row.flags&glassRead == 0, !w.recorded.has(row.recorded):
				return row.position, nil
			}
			return row.position, got.take(row.position, row)
		}
		next, err := r.run(w)
		if err != nil && !errors.Is(err, sealed.ErrEnough) {
			return err
		}
		page.Next = max(next, got.next)
		for i := range got.rows {
			readings = append(readings, r.shownReading(&got.rows[i], of))
		}
		return nil
	})
	return readings, page, err
}

// shownReading shows a row to who asked about some people, the first of which is zero when he asked about nobody.
func (r *reader) shownReading(row *reading, of []uuid.UUID) Reading {
	n := r.x.names
	out := Reading{
		Position: row.position, ID: row.id, Session: row.file, Revision: uint64(row.revision), Officer: n.id(row.actor), Post: n.id(row.post),
		Role: record.Role(n.string(row.role)), Unit: n.id(row.unit), Person: row.person, Case: row.kase, RecordedAt: instant(row.recorded),
		What: n.string(row.what), Purpose: n.string(row.purpose), Own: row.flags&ownRead != 0, Glass: row.flags&glassRead != 0,
		Sealed: row.flags&sealedRead != 0, People: row.people, Listed: len(row.people),
	}
	if of[0] != uuid.Nil {
		out.People = nil
		if row.person != uuid.Nil && !slices.Contains(of, row.person) { // read through another file, with which it was merged
			out.Person = of[0]
		}
	}
	return out
}
