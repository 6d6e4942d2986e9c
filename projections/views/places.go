package views

import (
	"fmt"
	"maps"
	"sync/atomic"

	"github.com/google/uuid"
	"github.com/ncruces/go-sqlite3"

	"yidang/domain/vault/sealed"
)

// places numbers villages and officers within one file. Numbers are only ever added. There are a few hundred, so a change
// copies everything and readers never wait.
type places struct {
	now atomic.Pointer[placeList]
}

type placeList struct {
	list []place // by n
	n    map[uuid.UUID]int64
}

type place struct {
	id      uuid.UUID
	village bool // people or cases are, or were, there
}

func newPlaces() *places {
	p := &places{}
	p.now.Store(&placeList{list: []place{{}}, n: map[uuid.UUID]int64{{}: 0}})
	return p
}

func (p *places) read() *placeList { return p.now.Load() }

// id gives the id of a number that is in the file; the zero id for one that is not.
func (p *places) id(n int64) uuid.UUID {
	if list := p.read().list; n >= 0 && n < int64(len(list)) {
		return list[n].id
	}
	return uuid.Nil
}

func (p *places) load(c *sealed.Conn) error {
	l := &placeList{list: []place{{}}, n: map[uuid.UUID]int64{{}: 0}}
	err := query(c, `SELECT n, id, village FROM places ORDER BY n`, nil, func(st *sqlite3.Stmt) error {
		if st.ColumnInt64(0) != int64(len(l.list)) {
			return fmt.Errorf("%w: places are not numbered without gap", errUnusable)
		}
		id := columnID(st, 1)
		l.n[id] = int64(len(l.list))
		l.list = append(l.list, place{id: id, village: st.ColumnBool(2)})
		return nil
	})
	p.now.Store(l)
	return err
}

// number gives an id its number, a new one within the open transaction when it has none.
func (p *places) number(c *sealed.Conn, id uuid.UUID) (int64, error) { return p.find(c, id, false) }

// village is number for a place where people are.
func (p *places) village(c *sealed.Conn, id uuid.UUID) (int64, error) { return p.find(c, id, true) }

func (p *places) find(c *sealed.Conn, id uuid.UUID, village bool) (int64, error) {
	l := p.read()
	n, ok := l.n[id]
	if ok && (n == 0 || !village || l.list[n].village) {
		return n, nil
	}
	next := &placeList{list: append([]place{}, l.list...), n: maps.Clone(l.n)}
	if !ok {
		n = int64(len(next.list))
		next.list = append(next.list, place{id: id})
		next.n[id] = n
	}
	next.list[n].village = village
	p.now.Store(next)
	return n, exec(c, `INSERT INTO places (n, id, village) VALUES (?, ?, ?) ON CONFLICT (n) DO UPDATE SET village = excluded.village`, n, id[:], village)
}
