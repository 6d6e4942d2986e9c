package views

import (
	"cmp"
	"encoding/binary"
	"slices"

	"github.com/ncruces/go-sqlite3"

	"yidang/domain/casework"
	"yidang/domain/person"
	"yidang/domain/record"
)

// dueEntry is an entry of the worklist.
type dueEntry struct {
	scope scope
	due   int64 // day
	duty  int64 // the first half of the duty's id: its place among those of the same day
	kase  int64
	opens int64 // day
	code  string
}

// listEntry is an entry of the list of cases.
type listEntry struct {
	scope  scope
	closed int64 // 1 for closed cases, which come after the open ones
	n      int64
}

func dutyNumber(d casework.Duty) int64 {
	id := d.ID()
	return int64(binary.BigEndian.Uint64(id[:8]))
}

// dueEntries are a function of the row, as everything here is.
func (k *caseRow) dueEntries() (list []dueEntry) {
	if k == nil {
		return nil
	}
	for _, o := range k.owed {
		e := dueEntry{due: dayNumber(o.Due), duty: o.number, kase: k.n, opens: dayNumber(o.Opens), code: o.Code}
		scopes := k.dueScopes(o)
		for _, s := range scopes { // whoever reaches every village need not look in each
			switch {
			case s>>56 == inVillage && k.village != 0:
				scopes = append(scopes, scopeOf(inAnyVillage, 0))
			case s>>56 == sealedOffice:
				scopes = append(scopes, scopeOf(anyOffice, 0))
			}
		}
		for _, s := range scopes {
			e.scope = s
			list = append(list, e)
		}
	}
	return list
}

// scopes tells where something of a case shows that one of its officers holds; holder 0 is nobody.
func (k *caseRow) scopes(holder int64) []scope {
	if k.sealed {
		return []scope{scopeOf(sealedAway, 0)}
	}
	list := []scope{scopeOf(inVillage, k.village)}
	if holder != 0 {
		list = append(list, scopeOf(heldBy, holder))
	}
	for _, h := range k.handlers {
		if h != holder {
			list = append(list, scopeOf(handledBy, h))
		}
	}
	return list
}

// dueScopes tells where an open duty shows. That of a sealed case shows to the township office if it is the one that owes it:
// the office reviews whether a closed file is to be kept (S-16).
func (k *caseRow) dueScopes(o owed) []scope {
	list := k.scopes(o.holder)
	if k.sealed && o.Owner == record.TownshipOffice {
		list = append(list, scopeOf(sealedOffice, k.village))
	}
	return list
}

func (k *caseRow) listEntries() (list []listEntry) {
	if k == nil {
		return nil
	}
	e := listEntry{n: k.n}
	if !k.open {
		e.closed = 1
	}
	for _, s := range k.scopes(0) {
		e.scope = s
		list = append(list, e)
	}
	return list
}

// anywhere is where everybody is found who is found in some village: whoever reaches every village need not look in each.
const anywhere = -1

// termScopes are the villages where a person is found.
func (p *personRow) termScopes() []int64 {
	if p == nil {
		return nil
	}
	scopes := append([]int64{p.village}, p.also...)
	if p.village != 0 || len(p.also) > 0 {
		scopes = append(scopes, anywhere)
	}
	return scopes
}

// changeTerms changes a person's entries.
func (w *writer) changeTerms(old, row *personRow) error {
	type entry struct {
		scope int64
		term  string
	}
	entries := func(p *personRow) (list []entry) {
		if p == nil {
			return nil
		}
		terms := p.terms()
		for _, s := range p.termScopes() {
			for _, t := range terms {
				list = append(list, entry{s, t})
			}
		}
		return list
	}
	if old != nil && old.name == row.name && old.phone == row.phone && old.citizen == row.citizen && old.erased == row.erased &&
		slices.Equal(old.termScopes(), row.termScopes()) {
		return nil
	}
	return change(entries(old), entries(row), func(e entry) error {
		return exec(w.c, `DELETE FROM terms WHERE scope = ? AND term = ? AND n = ?`, e.scope, e.term, row.n)
	}, func(e entry) error {
		return exec(w.c, `INSERT INTO terms (scope, term, n) VALUES (?, ?, ?)`, e.scope, e.term, row.n)
	})
}

// changeEntries changes a case's entries.
func (w *writer) changeEntries(old, row *caseRow) error {
	err := change(old.listEntries(), row.listEntries(), func(e listEntry) error {
		return exec(w.c, `DELETE FROM listed WHERE scope = ? AND closed = ? AND n = ?`, int64(e.scope), e.closed, e.n)
	}, w.addListed)
	if err != nil {
		return err
	}
	w.tally.count(old, -1)
	w.tally.count(row, 1)
	return change(old.dueEntries(), row.dueEntries(), func(e dueEntry) error {
		return exec(w.c, `DELETE FROM due WHERE scope = ? AND due = ? AND duty = ? AND kase = ?`, int64(e.scope), e.due, e.duty, e.kase)
	}, w.addDue)
}

func (w *writer) addListed(e listEntry) error {
	return exec(w.c, `INSERT INTO listed (scope, closed, n) VALUES (?, ?, ?)`, int64(e.scope), e.closed, e.n)
}

func (w *writer) addDue(e dueEntry) error {
	return exec(w.c, `INSERT INTO due (scope, due, duty, kase, opens, code) VALUES (?, ?, ?, ?, ?, ?)`, int64(e.scope), e.due, e.duty, e.kase, e.opens, e.code)
}

// change removes the old entries that are not among the new, and adds the new that are not among the old.
func change[E comparable](old, now []E, remove, add func(E) error) error {
	for _, e := range old {
		if !slices.Contains(now, e) {
			if err := remove(e); err != nil {
				return err
			}
		}
	}
	for _, e := range now {
		if !slices.Contains(old, e) {
			if err := add(e); err != nil {
				return err
			}
		}
	}
	return nil
}

// pastScopes tells where an ended duty shows: where its case is now, and to who owed it.
func (k *caseRow) pastScopes(holder int64) []scope {
	if k.sealed {
		return []scope{scopeOf(sealedAway, 0)}
	}
	list := []scope{scopeOf(inVillage, k.village)}
	if holder != 0 {
		list = append(list, scopeOf(heldBy, holder))
	}
	return list
}

var statusNumbers = map[casework.Status]int{casework.Done: 1, casework.Excused: 2, casework.Cancelled: 3}

func (w *writer) addPast(e endedRow, k *caseRow) error {
	for _, s := range k.pastScopes(e.holder) {
		err := exec(w.c, `INSERT INTO past (scope, position, seq, kase, status) VALUES (?, ?, ?, ?, ?)`,
			int64(s), int64(e.position), e.seq, e.kase, statusNumbers[e.duty.Status])
		if err != nil {
			return err
		}
	}
	return nil
}

// dropPast removes a case's entries among the ended duties, and gives what they stood for. k is the row they follow from.
func (w *writer) dropPast(k *caseRow) (ended []endedRow, err error) {
	err = query(w.c, `SELECT `+endedColumns+` FROM ended WHERE kase = ?`, []any{k.n}, func(st *sqlite3.Stmt) error {
		e, err := scanEnded(st)
		ended = append(ended, e)
		return err
	})
	for _, e := range ended {
		for _, s := range k.pastScopes(e.holder) {
			if err == nil {
				err = exec(w.c, `DELETE FROM past WHERE scope = ? AND position = ? AND seq = ?`, int64(s), int64(e.position), e.seq)
			}
		}
	}
	return ended, err
}

// changePast moves the ended duties of a case that moved, or was sealed, to where they show now.
func (w *writer) changePast(old, row *caseRow) error {
	ended, err := w.dropPast(old)
	for _, e := range ended {
		if err == nil {
			err = w.addPast(e, row)
		}
	}
	return err
}

// dropEnded removes the ended duties of a case, if it had a row.
func (w *writer) dropEnded(old *caseRow) error {
	if old == nil {
		return nil
	}
	if w.s.indexing {
		if _, err := w.dropPast(old); err != nil {
			return err
		}
	}
	return exec(w.c, `DELETE FROM ended WHERE kase = ?`, old.n)
}

// indexBlock is how many entries are sorted at a time while the index is made: inserts in order are what makes it quick.
const indexBlock = 200_000

// index makes every entry from the rows, once, in the transaction in which the file has caught up.
func (w *writer) index() error {
	type term struct {
		scope int64
		term  string
		n     int64
	}
	var terms []term
	flush := func() error {
		slices.SortFunc(terms, func(a, b term) int {
			return cmp.Or(cmp.Compare(a.scope, b.scope), cmp.Compare(a.term, b.term), cmp.Compare(a.n, b.n))
		})
		for _, t := range terms {
			if err := exec(w.c, `INSERT INTO terms (scope, term, n) VALUES (?, ?, ?)`, t.scope, t.term, t.n); err != nil {
				return err
			}
		}
		terms = terms[:0]
		return nil
	}
	if err := w.c.Exec(`CREATE INDEX people_name ON people (name, birth, phone); CREATE INDEX cases_person ON cases (person)`); err != nil {
		return err
	}
	if err := w.indexAlso(); err != nil {
		return err
	}
	err := query(w.c, `SELECT `+peopleColumns+` FROM people`, nil, func(st *sqlite3.Stmt) error {
		p := scanPerson(st)
		list := p.terms()
		for _, s := range p.termScopes() {
			for _, t := range list {
				terms = append(terms, term{s, t, p.n})
			}
		}
		if len(terms) < indexBlock {
			return nil
		}
		return flush()
	})
	if err == nil {
		err = flush()
	}
	if err == nil {
		err = w.indexCases()
	}
	if err != nil {
		return err
	}
	w.s.indexing = true
	return exec(w.c, `INSERT INTO meta (key, value) VALUES ('indexed', 1)`)
}

// indexAlso finds the people who have cases in other villages than their own.
func (w *writer) indexAlso() error {
	var moved []int64
	err := query(w.c, `SELECT DISTINCT p.n FROM cases k JOIN people p ON p.n = k.person WHERE k.village NOT IN (0, p.village) AND k.sealed = 0`, nil,
		func(st *sqlite3.Stmt) error {
			moved = append(moved, st.ColumnInt64(0))
			return nil
		})
	for _, n := range moved {
		if err != nil {
			return err
		}
		var p *personRow
		if p, err = (&reader{c: w.c, s: w.s}).person(n); err == nil {
			if p.also, err = w.alsoOf(p); err == nil {
				err = p.save(w.c)
			}
			w.s.states.Drop(person.Stream(p.id))
		}
	}
	return err
}

func (w *writer) indexCases() error {
	var entries []dueEntry
	flush := func() error {
		slices.SortFunc(entries, func(a, b dueEntry) int {
			return cmp.Or(cmp.Compare(a.scope, b.scope), cmp.Compare(a.due, b.due), cmp.Compare(a.duty, b.duty), cmp.Compare(a.kase, b.kase))
		})
		for _, e := range entries {
			if err := w.addDue(e); err != nil {
				return err
			}
		}
		entries = entries[:0]
		return nil
	}
	w.all = newTallies()
	places := map[int64]*caseRow{} // without their duties
	err := query(w.c, `SELECT `+caseColumns+` FROM cases`, nil, func(st *sqlite3.Stmt) error {
		k, err := scanCase(st)
		if err != nil {
			return err
		}
		places[k.n] = &caseRow{n: k.n, village: k.village, sealed: k.sealed}
		w.all.add(k)
		for _, e := range k.listEntries() {
			if err := w.addListed(e); err != nil {
				return err
			}
		}
		if entries = append(entries, k.dueEntries()...); len(entries) < indexBlock {
			return nil
		}
		return flush()
	})
	if err == nil {
		err = flush()
	}
	if err != nil {
		return err
	}
	return w.indexEnded(places)
}

func (w *writer) indexEnded(places map[int64]*caseRow) error {
	type entry struct {
		scope    scope
		position int64
		seq      int
		kase     int64
		status   int
	}
	var entries []entry
	flush := func() error {
		slices.SortFunc(entries, func(a, b entry) int {
			return cmp.Or(cmp.Compare(a.scope, b.scope), cmp.Compare(a.position, b.position), cmp.Compare(a.seq, b.seq))
		})
		for _, e := range entries {
			if err := exec(w.c, `INSERT INTO past (scope, position, seq, kase, status) VALUES (?, ?, ?, ?, ?)`, int64(e.scope), e.position, e.seq, e.kase, e.status); err != nil {
				return err
			}
		}
		entries = entries[:0]
		return nil
	}
	err := query(w.c, `SELECT `+endedColumns+` FROM ended`, nil, func(st *sqlite3.Stmt) error {
		e, err := scanEnded(st)
		if err != nil {
			return err
		}
		for _, s := range places[e.kase].pastScopes(e.holder) {
			entries = append(entries, entry{s, int64(e.position), e.seq, e.kase, statusNumbers[e.duty.Status]})
		}
		if len(entries) < indexBlock {
			return nil
		}
		return flush()
	})
	if err != nil {
		return err
	}
	return flush()
}

const endedColumns = `kase, position, seq, holder, duty`

func scanEnded(st *sqlite3.Stmt) (e endedRow, err error) {
	e = endedRow{
		kase: st.ColumnInt64(0), position: uint64(st.ColumnInt64(1)), seq: st.ColumnInt(2), holder: st.ColumnInt64(3),
	}
	e.duty, _, err = unpackDuty(st.ColumnRawBlob(4))
	return e, err
}
