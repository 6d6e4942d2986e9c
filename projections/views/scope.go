package views

import (
	"slices"

	"github.com/google/uuid"
	"github.com/ncruces/go-sqlite3"

	"yidang/domain/record"
	"yidang/domain/vault/sealed"
)

// scope names one stretch of an index: what shows in one village, or to one officer. It is the first column of every
// index entry, so a list walks the stretches it may show and touches no other.
type scope int64

const (
	inVillage  = 1 // n: village; 0 for what belongs nowhere, which only a reach of All sees
	heldBy     = 2 // n: officer who owes the duty
	handledBy  = 3 // n: officer who has a part in the case, other than who owes the duty
	sealedAway = 4 // what only a reach of All sees
	heldIn     = 5 // village and officer together; this and those below only in tallies
	handledIn  = 6
	sealedIn   = 7 // of sealed cases: by village, by officer, by both
	sealedHeld = 8
	sealedPair = 9
	// Of sealed cases, what the township office owes: by village, and, in tallies, by officer there.
	sealedOffice = 10
	officePair   = 11
	// Of open duties only: all of inVillage but where the village is 0, and all of sealedOffice.
	inAnyVillage = 12
	anyOffice    = 13
)

func scopeOf(kind, n int64) scope         { return scope(kind<<56 | n) }
func pairOf(kind, village, n int64) scope { return scope(kind<<56 | village<<28 | n) }

// reach is a record.Reach in the numbers of one file.
type reach struct {
	all        bool
	villages   []int64 // every village when all, and 0
	everywhere bool    // the villages are all there are
	officer    int64   // 0: none
}

func (s *store) reachOf(r record.Reach) reach {
	out := reach{all: r.All, everywhere: true}
	known := s.places.read()
	if r.All {
		out.villages = append(out.villages, 0)
	}
	for n, p := range known.list {
		if n == 0 || !p.village {
			continue
		}
		if r.All || slices.Contains(r.Villages, p.id) {
			out.villages = append(out.villages, int64(n))
		} else {
			out.everywhere = false
		}
	}
	if r.Officer != uuid.Nil {
		out.officer = known.n[r.Officer]
	}
	return out
}

func (r reach) sees(k *caseRow) bool {
	if r.all {
		return true
	}
	return !k.sealed && (k.village != 0 && slices.Contains(r.villages, k.village) || r.officer != 0 && slices.Contains(k.handlers, r.officer))
}

// reader reads within one snapshot.
type reader struct {
	c      *sealed.Conn
	s      *store
	stored uint64 // position in the snapshot

	cases  map[int64]*caseRow
	people map[int64]*personRow
}

func (r *reader) position() (uint64, error) {
	n, err := single(r.c, `SELECT value FROM meta WHERE key = 'position'`)
	return uint64(n), err
}

func (r *reader) person(n int64) (row *personRow, err error) {
	if row, ok := r.people[n]; ok {
		return row, nil
	}
	err = query(r.c, `SELECT `+peopleColumns+` FROM people WHERE n = ?`, []any{n}, func(st *sqlite3.Stmt) error {
		row = scanPerson(st)
		return nil
	})
	if r.people != nil && row != nil {
		r.people[n] = row
	}
	return row, err
}

func (r *reader) personBy(id uuid.UUID) (row *personRow, err error) {
	err = query(r.c, `SELECT `+peopleColumns+` FROM people WHERE id = ?`, []any{id[:]}, func(st *sqlite3.Stmt) error {
		row = scanPerson(st)
		return nil
	})
	return row, err
}

// kase gives a case as lists want it: its duties stay packed.
func (r *reader) kase(n int64) (row *caseRow, err error) {
	if row, ok := r.cases[n]; ok {
		return row, nil
	}
	err = query(r.c, `SELECT `+caseColumns+` FROM cases WHERE n = ?`, []any{n}, func(st *sqlite3.Stmt) error {
		row = scanListed(st)
		return nil
	})
	if r.cases != nil && row != nil {
		r.cases[n] = row
	}
	return row, err
}

func (r *reader) caseBy(id uuid.UUID) (row *caseRow, err error) {
	err = query(r.c, `SELECT `+caseColumns+` FROM cases WHERE id = ?`, []any{id[:]}, func(st *sqlite3.Stmt) error {
		row, err = scanCase(st)
		return err
	})
	return row, err
}

func (r *reader) casesOf(person int64) (rows []*caseRow, err error) {
	err = query(r.c, `SELECT `+caseColumns+` FROM cases WHERE person = ? ORDER BY n`, []any{person}, func(st *sqlite3.Stmt) error {
		rows = append(rows, scanListed(st))
		return nil
	})
	return rows, err
}
