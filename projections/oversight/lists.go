package oversight

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/google/uuid"
	"github.com/ncruces/go-sqlite3"

	"yidang/domain/vault/sealed"
)

// What lists are kept of. The numbers are stored.
const (
	ofActor uint64 = iota + 1
	ofUnit
	ofPerson
	ofFile
	ofType
	ofLate     // entries with a code of lateness
	ofLagged   // entries with such a code, or laggedFrom and more behind
	ofApproved // entries recorded with an approval
	ofReader
	ofReadersUnit
	ofReadPerson
	ofOutside // readings outside one's own caseload
	ofGlass
	ofIDs // every event by its id: places in a block, in buckets
)

// laggedFrom is how far behind an entry is in milliseconds when it is listed as such. Whoever asks for less looks at all.
const laggedFrom = 24 * 3600 * 1000

// key names a list. That of an id has its first seven bytes: whoever follows the list compares the row.
func key(of uint64, n int64) uint64 { return of<<56 | uint64(n) }

func keyOf(of uint64, id uuid.UUID) uint64 { return of<<56 | binary.BigEndian.Uint64(id[:])>>8 }

// span is a stretch of the log whose lists are together, in a block or in memory, with the times of its events.
type span struct {
	n                        int64 // of the block
	from, upto               uint64
	size                     int
	recordedMin, recordedMax int64
	occurredMin, occurredMax int64
}

func (s *span) takes(position uint64, occurred, recorded int64) {
	if s.size == 0 {
		s.recordedMin, s.recordedMax, s.occurredMin, s.occurredMax = recorded, recorded, occurred, occurred
	}
	s.size, s.upto = s.size+1, position
	s.recordedMin, s.recordedMax = min(s.recordedMin, recorded), max(s.recordedMax, recorded)
	s.occurredMin, s.occurredMax = min(s.occurredMin, occurred), max(s.occurredMax, occurred)
}

func loadBlocks(c *sealed.Conn) (all []span, err error) {
	err = query(c, `SELECT n, from_, upto, size, recorded_min, recorded_max, occurred_min, occurred_max FROM blocks ORDER BY n`, nil, func(st *sqlite3.Stmt) error {
		all = append(all, span{
			n: st.ColumnInt64(0), from: uint64(st.ColumnInt64(1)), upto: uint64(st.ColumnInt64(2)), size: st.ColumnInt(3),
			recordedMin: st.ColumnInt64(4), recordedMax: st.ColumnInt64(5), occurredMin: st.ColumnInt64(6), occurredMax: st.ColumnInt64(7),
		})
		return nil
	})
	return all, err
}

// tail holds the lists of the newest events. One goroutine adds, many look: a list that was handed out stays as it is.
// Events of the transaction under way are in it too; the rows they lead to are not there yet for who looks.
type tail struct {
	mu sync.RWMutex
	span
	lists map[uint64][]uint64 // positions, by key
	ids   map[uuid.UUID]uint64
}

func newTail(from uint64) *tail {
	return &tail{span: span{from: from, upto: from}, lists: map[uint64][]uint64{}, ids: map[uuid.UUID]uint64{}}
}

func (t *tail) addEntry(e *entry) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.takes(e.position, e.occurred, e.recorded)
	t.ids[e.id] = e.position
	t.list(key(ofActor, e.actor), e.position)
	t.list(key(ofType, e.typ), e.position)
	t.list(keyOf(ofFile, e.file), e.position)
	if e.unit != 0 {
		t.list(key(ofUnit, e.unit), e.position)
	}
	if e.person != uuid.Nil {
		t.list(keyOf(ofPerson, e.person), e.position)
	}
	if e.late != 0 {
		t.list(key(ofLate, 0), e.position)
	}
	if e.late != 0 || e.recorded-e.occurred >= laggedFrom {
		t.list(key(ofLagged, 0), e.position)
	}
	if e.approval != 0 {
		t.list(key(ofApproved, 0), e.position)
	}
}

func (t *tail) addReading(r *reading) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.takes(r.position, r.recorded, r.recorded)
	t.ids[r.id] = r.position
	t.list(key(ofReader, r.actor), r.position)
	if r.unit != 0 {
		t.list(key(ofReadersUnit, r.unit), r.position)
	}
	for _, p := range r.whom() {
		t.list(keyOf(ofReadPerson, p), r.position)
	}
	if r.flags&ownRead == 0 {
		t.list(key(ofOutside, 0), r.position)
	}
	if r.flags&glassRead != 0 {
		t.list(key(ofGlass, 0), r.position)
	}
}

func (t *tail) list(key, position uint64) {
	had := t.lists[key]
	if n := len(had); n > 0 && had[n-1] == position { // two people with one key
		return
	}
	t.lists[key] = append(had, position)
}

func (t *tail) look(key uint64) []uint64 {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.lists[key]
}

func (t *tail) lookID(id uuid.UUID) (uint64, bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	p, ok := t.ids[id]
	return p, ok
}

func (t *tail) times() span {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.span
}

// load adds the rows that are in no block.
func (t *tail) load(c *sealed.Conn) error {
	var entries []entry
	err := query(c, entriesUp, []any{int64(t.from), int64(1<<63 - 1)}, func(st *sqlite3.Stmt) error {
		var e entry
		e.scan(st)
		entries = append(entries, e)
		return nil
	})
	if err != nil {
		return err
	}
	i := 0
	err = query(c, readsUp, []any{int64(t.from), int64(1<<63 - 1)}, func(st *sqlite3.Stmt) error {
		var r reading
		r.scan(st)
		for ; i < len(entries) && entries[i].position < r.position; i++ {
			t.addEntry(&entries[i])
		}
		t.addReading(&r)
		return nil
	})
	for ; i < len(entries); i++ {
		t.addEntry(&entries[i])
	}
	return err
}

// Ids are many and each is asked for by itself, so they share lists: a bucket has the ids that begin with the same ten
// bits, as how many positions further each is, and four bytes of it. More in a bucket would not fit beside others in a page.
const idBytes = 4

func bucket(id uuid.UUID) int64 { return int64(id[0])<<2 | int64(id[1])>>6 }

// flush writes the lists of a full tail as a block.
func (t *tail) flush(c *sealed.Conn, n int64) error {
	keys := make([]uint64, 0, len(t.lists))
	for k := range t.lists {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	put := func(k uint64, list []byte) error {
		return exec(c, `INSERT INTO lists (block, key, list) VALUES (?, ?, ?)`, n, int64(k), list)
	}
	var list []byte
	for _, k := range keys {
		list = list[:0]
		last := t.from
		for _, p := range t.lists[k] {
			list = binary.AppendUvarint(list, p-last)
			last = p
		}
		if err := put(k, list); err != nil {
			return err
		}
	}
	type place struct {
		bucket   int64
		id       uuid.UUID
		position uint64
	}
	places := make([]place, 0, len(t.ids))
	for id, p := range t.ids {
		places = append(places, place{bucket(id), id, p})
	}
	slices.SortFunc(places, func(a, b place) int {
		return cmp.Or(cmp.Compare(a.bucket, b.bucket), cmp.Compare(a.position, b.position))
	})
	for i := 0; i < len(places); {
		bucket, last := places[i].bucket, t.from
		list = list[:0]
		for ; i < len(places) && places[i].bucket == bucket; i++ {
			list = binary.AppendUvarint(list, places[i].position-last)
			list = append(list, places[i].id[1:1+idBytes]...)
			last = places[i].position
		}
		if err := put(key(ofIDs, bucket), list); err != nil {
			return err
		}
	}
	return exec(c, `INSERT INTO blocks (n, from_, upto, size, recorded_min, recorded_max, occurred_min, occurred_max) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
		n, int64(t.from), int64(t.upto), t.size, t.recordedMin, t.recordedMax, t.occurredMin, t.occurredMax)
}

var errList = errors.New("a list of the index is damaged")

// listed gives the positions under a key in a block.
func listed(c *sealed.Conn, s span, key uint64) (positions []uint64, err error) {
	err = query(c, `SELECT list FROM lists WHERE block = ? AND key = ?`, []any{s.n, int64(key)}, func(st *sqlite3.Stmt) error {
		last := s.from
		for raw := st.ColumnRawBlob(0); len(raw) > 0; {
			d, n := binary.Uvarint(raw)
			if n <= 0 {
				return fmt.Errorf("%w: block %d, key %x", errList, s.n, key)
			}
			last, raw = last+d, raw[n:]
			positions = append(positions, last)
		}
		return nil
	})
	return positions, err
}

// listedID gives the positions at which an event with this id may be in a block; the row tells.
func listedID(c *sealed.Conn, s span, id uuid.UUID) (positions []uint64, err error) {
	err = query(c, `SELECT list FROM lists WHERE block = ? AND key = ?`, []any{s.n, int64(key(ofIDs, bucket(id)))}, func(st *sqlite3.Stmt) error {
		last := s.from
		for raw := st.ColumnRawBlob(0); len(raw) > 0; {
			d, n := binary.Uvarint(raw)
			if n <= 0 || len(raw) < n+idBytes {
				return fmt.Errorf("%w: block %d, id", errList, s.n)
			}
			if last += d; string(raw[n:n+idBytes]) == string(id[1:1+idBytes]) {
				positions = append(positions, last)
			}
			raw = raw[n+idBytes:]
		}
		return nil
	})
	return positions, err
}
