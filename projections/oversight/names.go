package oversight

import (
	"fmt"
	"sync"

	"github.com/google/uuid"
	"github.com/ncruces/go-sqlite3"

	"yidang/domain/vault/sealed"
)

// names gives numbers to what occurs again and again: officers, posts, units, and codes. There are thousands of them, not
// millions, so they are all in memory. A reader may see a number of the transaction under way; no row it sees has it.
type names struct {
	mu   sync.RWMutex
	ids  map[uuid.UUID]int64
	text map[string]int64
	all  []any // by number: a uuid.UUID or a string; 0 is nil
}

func loadNames(c *sealed.Conn) (*names, error) {
	m := &names{ids: map[uuid.UUID]int64{}, text: map[string]int64{}, all: []any{nil}}
	err := query(c, `SELECT n, value FROM names ORDER BY n`, nil, func(st *sqlite3.Stmt) error {
		n, raw := st.ColumnInt64(0), st.ColumnRawBlob(1)
		if n != int64(len(m.all)) || len(raw) == 0 {
			return fmt.Errorf("%w: name %d", errUnusable, n)
		}
		if raw[0] == idName {
			var id uuid.UUID
			copy(id[:], raw[1:])
			m.ids[id] = n
			m.all = append(m.all, id)
		} else {
			m.text[string(raw[1:])] = n
			m.all = append(m.all, string(raw[1:]))
		}
		return nil
	})
	return m, err
}

// What a stored name begins with.
const (
	idName   = '#'
	textName = '='
)

func (m *names) replace(by *names) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ids, m.text, m.all = by.ids, by.text, by.all
}

// ofID finds a number; ok is false when nothing has one.
func (m *names) ofID(id uuid.UUID) (n int64, ok bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	n, ok = m.ids[id]
	return n, ok
}

func (m *names) ofText(s string) (n int64, ok bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	n, ok = m.text[s]
	return n, ok
}

func (m *names) id(n int64) uuid.UUID {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if n > 0 && n < int64(len(m.all)) {
		id, _ := m.all[n].(uuid.UUID)
		return id
	}
	return uuid.Nil
}

func (m *names) string(n int64) string {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if n > 0 && n < int64(len(m.all)) {
		s, _ := m.all[n].(string)
		return s
	}
	return ""
}

// numberID gives an id its number, a new one when it has none.
func (m *names) numberID(c *sealed.Conn, id uuid.UUID) (int64, error) {
	if id == uuid.Nil {
		return 0, nil
	}
	if n, ok := m.ofID(id); ok {
		return n, nil
	}
	return m.add(c, append([]byte{idName}, id[:]...), func(n int64) { m.ids[id], m.all = n, append(m.all, id) })
}

func (m *names) numberText(c *sealed.Conn, s string) (int64, error) {
	if s == "" {
		return 0, nil
	}
	if n, ok := m.ofText(s); ok {
		return n, nil
	}
	return m.add(c, append([]byte{textName}, s...), func(n int64) { m.text[s], m.all = n, append(m.all, s) })
}

func (m *names) add(c *sealed.Conn, value []byte, keep func(n int64)) (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := int64(len(m.all))
	keep(n)
	return n, exec(c, `INSERT INTO names (n, value) VALUES (?, ?)`, n, value)
}
