package views

import (
	"slices"

	"github.com/ncruces/go-sqlite3"

	"yidang/domain/vault/sealed"
)

// This file is the part of the worklist that is no more owed: duties that are done, excused or cancelled.

// past fills the rest of the page with ended duties, the latest first.
func (l *worklist) past(c worklistCursor) error {
	if !c.ended {
		c = worklistCursor{ended: true, position: 1 << 62}
	}
	return walk(l, c, l.mergePast, func(c *worklistCursor, e worklistCursor) error {
		c.position, c.seq = e.position, e.seq
		return l.addPast(e)
	})
}

func (l *worklist) mergePast(c worklistCursor, want int) (page []worklistCursor, err error) {
	for _, s := range l.pastScopes() {
		err := query(l.r.c, `SELECT position, seq, kase, status FROM past WHERE scope = ? AND (position, seq) < (?, ?) ORDER BY position DESC, seq DESC`,
			[]any{int64(s), c.position, c.seq}, func(st *sqlite3.Stmt) error {
				e := worklistCursor{ended: true, position: st.ColumnInt64(0), seq: st.ColumnInt64(1), kase: st.ColumnInt64(2)}
				if len(page) == want && e.compare(page[want-1]) >= 0 {
					return sealed.ErrEnough
				}
				if !l.asked(endedStandings[st.ColumnInt(3)-1]) {
					return nil
				}
				i, found := slices.BinarySearchFunc(page, e, worklistCursor.compare)
				if found {
					return nil
				}
				if page = slices.Insert(page, i, e); len(page) > want {
					page = page[:want]
				}
				return nil
			})
		if err != nil {
			return nil, err
		}
	}
	return page, nil
}

// pastScopes leaves out what ended duties have no entries for.
func (l *worklist) pastScopes() []scope {
	return slices.DeleteFunc(slices.Clone(l.scopes), func(s scope) bool { return s>>56 == handledBy })
}

func (l *worklist) addPast(e worklistCursor) error {
	row, k, err := l.ended(e)
	if err != nil || k == nil {
		return err
	}
	return l.line(k, row.duty, row.holder)
}

// ended reads an ended duty and its case; no case when the query leaves it out, or when it has moved out of sight.
func (l *worklist) ended(e worklistCursor) (row endedRow, k *caseRow, err error) {
	err = query(l.r.c, `SELECT `+endedColumns+` FROM ended WHERE kase = ? AND position = ? AND seq = ?`, []any{e.kase, e.position, e.seq}, func(st *sqlite3.Stmt) (err error) {
		row, err = scanEnded(st)
		return err
	})
	if err != nil || l.q.Code != "" && row.duty.Code != l.q.Code {
		return row, nil, err
	}
	k, err = l.r.kase(row.kase)
	if err != nil || k == nil || !l.reach.sees(k) || l.check != nil && !l.check(k, row.holder) {
		return row, nil, err
	}
	return row, k, nil
}
