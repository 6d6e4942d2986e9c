package views

import (
	"sync"

	"github.com/ncruces/go-sqlite3"

	"yidang/domain/record"
	"yidang/domain/vault/sealed"
)

// tallies counts open duties per scope, code and days, in memory, so that how many are overdue today is a sum over days and
// not a walk over duties. They are counted from the rows at the start and changed after each commit.
type tallies struct {
	mu       sync.Mutex
	position uint64 // of the commit that changed them last
	scopes   map[scope]map[tallyDays]int32
	codes    map[string]uint16   // a number for each code
	sums     map[scope]standings // of the day asked about last, until the scope changes
}

// standings is how many duties of a scope are open, by how they stand on a day.
type standings struct {
	today                  int64
	upcoming, due, overdue int
}

type tallyKey struct {
	code       string
	due, opens int64 // days
}

// tallyDays is a tallyKey as it is kept, some hundred thousand times: without pointers, which garbage collection would follow.
type tallyDays struct {
	code       uint16
	due, opens int32
}

// tallyChange is what a transaction changes; it is applied once it has committed.
type tallyChange map[tallyPlace]int

type tallyPlace struct {
	scope scope
	key   tallyKey
}

func newTallies() *tallies {
	return &tallies{scopes: map[scope]map[tallyDays]int32{}, codes: map[string]uint16{}, sums: map[scope]standings{}}
}

// count adds a case's open duties, times sign.
func (t *tallyChange) count(k *caseRow, sign int) {
	if k == nil {
		return
	}
	if *t == nil {
		*t = tallyChange{}
	}
	for _, o := range k.owed {
		key := tallyKey{o.Code, dayNumber(o.Due), dayNumber(o.Opens)}
		for _, s := range k.dueScopes(o) {
			(*t)[tallyPlace{s, key}] += sign
		}
		if k.sealed {
			for _, s := range []scope{scopeOf(sealedIn, k.village), scopeOf(sealedHeld, o.holder), pairOf(sealedPair, k.village, o.holder)} {
				(*t)[tallyPlace{s, key}] += sign
			}
			if o.Owner == record.TownshipOffice {
				(*t)[tallyPlace{pairOf(officePair, k.village, o.holder), key}] += sign
			}
			continue
		}
		if o.holder != 0 {
			(*t)[tallyPlace{pairOf(heldIn, k.village, o.holder), key}] += sign
		}
		for _, h := range k.handlers {
			if h != o.holder {
				(*t)[tallyPlace{pairOf(handledIn, k.village, h), key}] += sign
			}
		}
	}
}

func (t *tallies) apply(change tallyChange, position uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.position = position
	for at, n := range change {
		if n == 0 {
			continue
		}
		delete(t.sums, at.scope)
		m := t.scopes[at.scope]
		if m == nil {
			m = map[tallyDays]int32{}
			t.scopes[at.scope] = m
		}
		code, ok := t.codes[at.key.code]
		if !ok {
			code = uint16(len(t.codes))
			t.codes[at.key.code] = code
		}
		key := tallyDays{code, int32(at.key.due), int32(at.key.opens)}
		if m[key] += int32(n); m[key] == 0 {
			delete(m, key)
		}
	}
}

// load counts the rows that are there.
func (t *tallies) load(c *sealed.Conn, position uint64) error {
	fresh := newTallies()
	err := query(c, `SELECT `+caseColumns+` FROM cases WHERE open = 1 OR length(owed) > 0`, nil, func(st *sqlite3.Stmt) error {
		k, err := scanCase(st)
		if err == nil {
			fresh.add(k)
		}
		return err
	})
	if err == nil {
		t.take(fresh, position)
	}
	return err
}

// add counts one case. A change of all cases at once would take several times what it leaves.
func (t *tallies) add(k *caseRow) {
	var change tallyChange
	change.count(k, 1)
	t.apply(change, 0)
}

// take makes t what fresh is, whose use ends.
func (t *tallies) take(fresh *tallies, position uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.position, t.scopes, t.codes, t.sums = position, fresh.scopes, fresh.codes, map[scope]standings{}
}

// sum counts by standing what is open today in the scopes plus, less what is in minus, of one code or, when it is empty,
// of all; at is the position of the commit it counts up to.
func (t *tallies) sum(plus, minus []scope, code string, today int64) (counts map[string]int, at uint64) {
	var n standings
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, s := range plus {
		n.add(t.of(s, code, today), 1)
	}
	for _, s := range minus {
		n.add(t.of(s, code, today), -1)
	}
	return map[string]int{"upcoming": n.upcoming, "due": n.due, "overdue": n.overdue}, t.position
}

func (n *standings) add(m standings, sign int) {
	n.upcoming, n.due, n.overdue = n.upcoming+sign*m.upcoming, n.due+sign*m.due, n.overdue+sign*m.overdue
}

func (t *tallies) of(s scope, code string, today int64) standings {
	if n, ok := t.sums[s]; ok && code == "" && n.today == today {
		return n
	}
	n := standings{today: today}
	number, ok := t.codes[code]
	if code != "" && !ok {
		return n
	}
	for key, many := range t.scopes[s] {
		switch {
		case code != "" && key.code != number:
		case today < int64(key.opens):
			n.upcoming += int(many)
		case today > int64(key.due):
			n.overdue += int(many)
		default:
			n.due += int(many)
		}
	}
	if code == "" {
		t.sums[s] = n
	}
	return n
}
