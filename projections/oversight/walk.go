package oversight

import (
	"cmp"
	"errors"
	"slices"
	"time"

	"github.com/ncruces/go-sqlite3"

	"yidang/domain/vault/sealed"
)

// Paging says which stretch of an answer is wanted. Answers are in log order.
type Paging struct {
	Newest bool   `json:"newest,omitempty"` // newest first
	After  uint64 `json:"after,omitempty"`  // Next of the page before; 0: from the beginning
	Limit  int    `json:"limit,omitempty"`  // 50 by default, at most 1,000
}

func (p Paging) limit() int {
	if p.Limit <= 0 {
		return 50
	}
	return min(p.Limit, 1000)
}

// Page says what an answer shows.
type Page struct {
	Position uint64 `json:"position"`       // of the log: everything up to here was asked
	Next     uint64 `json:"next,omitempty"` // where to go on, 0 when there is nothing more. A page may be short, even empty, and still have a Next
}

// bounds are the positions that are left to look at: after from, up to upto.
func (p Paging) bounds(position uint64) (from, upto uint64) {
	switch {
	case p.After == 0:
		return 0, position
	case p.Newest:
		return 0, min(p.After-1, position)
	}
	return p.After, position
}

// collect gathers the rows of a page from a walk.
type collect[R any] struct {
	limit int
	rows  []R
	last  uint64 // position of the last row
	next  uint64
}

// take adds a row; at one more than the page takes it ends the walk.
func (c *collect[R]) take(position uint64, row R) error {
	if len(c.rows) == c.limit {
		c.next = c.last
		return sealed.ErrEnough
	}
	c.rows, c.last = append(c.rows, row), position
	return nil
}

// group is lists of which at least one must have the position.
type group []uint64

// walk goes through the rows of entries or reads that some lists have in common.
type walk struct {
	Paging
	up, down, at string // statements
	groups       []group
	amended      bool // only entries that were amended
	recorded     window
	occurred     window
	// row looks at a row, and answers sealed.ErrEnough when the page is full.
	row func(st *sqlite3.Stmt) (position uint64, err error)

	left int    // rows that may still be examined
	seen uint64 // position of the last one
}

// window is a time from and a time before which, in milliseconds; 0 for open.
type window struct{ from, to int64 }

func newWindow(from, to time.Time) window { return window{millis(from), millis(to)} }

func (w window) has(ms int64) bool { return (w.from == 0 || ms >= w.from) && (w.to == 0 || ms < w.to) }

func (w window) meets(least, most int64) bool {
	return (w.from == 0 || most >= w.from) && (w.to == 0 || least < w.to)
}

// run answers where to go on when it stopped because enough rows were examined, else 0.
func (r *reader) run(w *walk) (next uint64, err error) {
	from, upto := w.bounds(r.position)
	w.left = r.x.o.Examine
	spans := append(slices.Clone(r.blocks), r.tail.times())
	last := len(spans) - 1
	spans[last].upto = max(upto, spans[last].from) // the tail goes on after this snapshot
	if w.Newest {
		slices.Reverse(spans)
	}
	for _, s := range spans {
		if s.upto <= from || s.from >= upto || s.size == 0 || !w.recorded.meets(s.recordedMin, s.recordedMax) || !w.occurred.meets(s.occurredMin, s.occurredMax) {
			continue
		}
		lo, hi := max(from, s.from), min(upto, s.upto)
		if len(w.groups) == 0 && !w.amended {
			err = w.all(r, lo, hi)
		} else {
			err = w.some(r, s, lo, hi)
		}
		if errors.Is(err, errExamined) {
			return w.seen, nil
		}
		if err != nil {
			return 0, err
		}
	}
	return 0, nil
}

// errExamined ends a walk that has looked at enough rows.
var errExamined = errors.New("enough rows were examined")

// visitAll looks at the rows of a query, and answers sealed.ErrEnough or errExamined when that ends the walk.
func (w *walk) visitAll(r *reader, sql string, args ...any) error {
	full := false
	err := query(r.c, sql, args, func(st *sqlite3.Stmt) (err error) {
		if w.left == 0 {
			return errExamined
		}
		w.left--
		w.seen, err = w.row(st)
		full = err == sealed.ErrEnough
		return err
	})
	if err == nil && full {
		return sealed.ErrEnough
	}
	return err
}

// all looks at every row of a stretch.
func (w *walk) all(r *reader, lo, hi uint64) error {
	sql := w.up
	if w.Newest {
		sql = w.down
	}
	return w.visitAll(r, sql, int64(lo), int64(hi))
}

// some looks at the rows that the lists of a span lead to.
func (w *walk) some(r *reader, s span, lo, hi uint64) error {
	positions, err := w.positions(r, s, lo, hi)
	if err != nil {
		return err
	}
	if w.Newest {
		slices.Reverse(positions)
	}
	for _, p := range positions {
		if err := w.visitAll(r, w.at, int64(p)); err != nil {
			return err
		}
	}
	return nil
}

// positions are those within a stretch of a span that every group has, oldest first.
func (w *walk) positions(r *reader, s span, lo, hi uint64) (out []uint64, err error) {
	if w.amended {
		err = query(r.c, `SELECT position FROM amended WHERE position > ? AND position <= ? ORDER BY position`, []any{int64(lo), int64(hi)}, func(st *sqlite3.Stmt) error {
			out = append(out, uint64(st.ColumnInt64(0)))
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	for i, g := range w.groups {
		var any []uint64
		for j, k := range g {
			list, err := r.list(s, k)
			if err != nil {
				return nil, err
			}
			if j > 0 {
				list = append(slices.Clone(any), list...)
				slices.Sort(list)
				list = slices.Compact(list)
			}
			any = list
		}
		if i == 0 && !w.amended {
			out = slices.Clone(any)
		} else {
			out = common(out, any)
		}
		if len(out) == 0 {
			return nil, nil
		}
	}
	first, _ := slices.BinarySearch(out, lo+1)
	end, _ := slices.BinarySearch(out, hi+1)
	return out[first:end], nil
}

// list gives the positions under a key in a span; it must not be changed.
func (r *reader) list(s span, key uint64) ([]uint64, error) {
	if s.n == 0 {
		return r.tail.look(key), nil
	}
	return listed(r.c, s, key)
}

// common keeps, in a, what two sorted lists share.
func common(a, b []uint64) []uint64 {
	out := a[:0]
	for i, j := 0, 0; i < len(a) && j < len(b); {
		switch cmp.Compare(a[i], b[j]) {
		case -1:
			i++
		case 1:
			j++
		default:
			out = append(out, a[i])
			i, j = i+1, j+1
		}
	}
	return out
}
