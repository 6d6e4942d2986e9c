package views

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/ncruces/go-sqlite3"

	"yidang/domain/record"
	"yidang/domain/vault/sealed"
)

const minInt = math.MinInt64

// pageSize bounds what a caller asks for.
func pageSize(limit int) int {
	if limit <= 0 {
		return 50
	}
	return min(limit, 500)
}

var errCursor = &record.Problem{Kind: record.Invalid, Field: "cursor", Message: "this is no cursor of this list", Zh: "不是本列表的分页游标", Remedy: "take the cursor from the page before, unchanged"}

func (e dueEntry) compare(o dueEntry) int {
	return cmp.Or(cmp.Compare(e.due, o.due), cmp.Compare(e.duty, o.duty), cmp.Compare(e.kase, o.kase))
}

func (e dueEntry) before(o dueEntry) bool { return e.compare(o) < 0 }

// standing of an open duty; the same as casework.Duty.Standing.
func (e dueEntry) standing(today int64) string {
	switch {
	case today < e.opens:
		return "upcoming"
	case today > e.due:
		return "overdue"
	}
	return "due"
}

// worklistCursor is the place of the last line of a page.
type worklistCursor struct {
	ended         bool
	due, duty     int64
	position, seq int64
	kase          int64 // not part of the text: position and seq say it all
}

func (c worklistCursor) compare(o worklistCursor) int { // the latest first
	return cmp.Or(cmp.Compare(o.position, c.position), cmp.Compare(o.seq, c.seq))
}

func (c worklistCursor) String() string {
	if c.ended {
		return fmt.Sprintf("e.%d.%d", c.position, c.seq)
	}
	return fmt.Sprintf("o.%d.%d", c.due, c.duty)
}

func parseWorklistCursor(s string) (worklistCursor, error) {
	if s == "" {
		return worklistCursor{due: math.MinInt32, duty: minInt}, nil
	}
	kind, rest, _ := strings.Cut(s, ".")
	first, second, _ := strings.Cut(rest, ".")
	a, err1 := strconv.ParseInt(first, 10, 64)
	b, err2 := strconv.ParseInt(second, 10, 64)
	if err1 != nil || err2 != nil || kind != "o" && kind != "e" {
		return worklistCursor{}, errCursor
	}
	if kind == "e" {
		return worklistCursor{ended: true, position: a, seq: b}, nil
	}
	return worklistCursor{due: a, duty: b}, nil
}

// CaseRow is a case in a list.
type CaseRow struct {
	ID                      uuid.UUID
	Program                 string
	Person                  uuid.UUID
	PersonName              string
	Village                 uuid.UUID
	Tier                    string
	Open, Sealed            bool
	Lead                    uuid.UUID
	Handlers                []uuid.UUID
	Opened, Closed, LastMet time.Time
	Revision                uint64
	Erased                  bool // the key is destroyed: of the content only the day of opening is left
}

// CaseQuery asks for cases.
type CaseQuery struct {
	Reach    record.Reach
	Village  uuid.UUID
	Program  string
	Tier     string
	Officer  uuid.UUID // has a part in the case
	OpenOnly bool
	Limit    int // 50 by default, 500 at most
	Cursor   string
}

func (r *reader) caseRow(k *caseRow) (CaseRow, error) {
	p, err := r.person(k.person)
	if err != nil {
		return CaseRow{}, err
	}
	place := r.s.places.id
	row := CaseRow{
		ID: k.id, Program: k.program, Village: place(k.village), Tier: k.tier, Open: k.open, Sealed: k.sealed, Lead: place(k.lead),
		Opened: instant(k.opened), Closed: instant(k.closed), LastMet: instant(k.lastMet), Revision: k.revision, Erased: k.erased,
	}
	for _, h := range k.handlers {
		row.Handlers = append(row.Handlers, place(h))
	}
	if p != nil {
		row.Person, row.PersonName = p.id, p.name
	}
	return row, nil
}

// Case finds a case, sealed or not: whoever shows it decides who may see it.
func (v *Views) Case(ctx context.Context, id uuid.UUID) (row CaseRow, ok bool, err error) {
	_, err = v.read(ctx, func(r *reader) error {
		k, err := r.caseBy(id)
		if err != nil || k == nil {
			return err
		}
		ok = true
		row, err = r.caseRow(k)
		return err
	})
	return row, ok, err
}

// CasesOf lists the cases of a person, sealed ones too, in the order they were opened.
func (v *Views) CasesOf(ctx context.Context, person uuid.UUID) (rows []CaseRow, err error) {
	rows, _, err = v.casesOf(ctx, person)
	return rows, err
}

func (v *Views) casesOf(ctx context.Context, person uuid.UUID) (rows []CaseRow, position uint64, err error) {
	position, err = v.read(ctx, func(r *reader) error {
		p, err := r.personBy(person)
		if err != nil || p == nil {
			return err
		}
		cases, err := r.casesOf(p.n)
		if err != nil {
			return err
		}
		rows, err = r.caseRows(cases)
		return err
	})
	return rows, position, err
}

func (r *reader) caseRows(cases []*caseRow) (rows []CaseRow, err error) {
	for _, k := range cases {
		row, err := r.caseRow(k)
		if err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// Cases lists cases: the open ones first, each in the order they were opened. A page may be short before the last one,
// which is the one with an empty next.
func (v *Views) Cases(ctx context.Context, q CaseQuery) (rows []CaseRow, next string, position uint64, err error) {
	position, err = v.read(ctx, func(r *reader) error {
		r.people = map[int64]*personRow{}
		from := listEntry{n: -1}
		if q.Cursor != "" {
			id, err := uuid.Parse(q.Cursor)
			if err != nil {
				return errCursor
			}
			k, err := r.caseBy(id)
			if err != nil {
				return err
			}
			if k == nil {
				return errCursor
			}
			from = k.listEntries()[0]
		}
		rows, next, err = r.listCases(q, from)
		return err
	})
	return rows, next, position, err
}

func (r *reader) listCases(q CaseQuery, from listEntry) (rows []CaseRow, next string, err error) {
	scopes, check := r.caseScopes(q)
	limit := pageSize(q.Limit)
	var last *caseRow
	for walked := 0; ; {
		page, err := r.mergeListed(scopes, from, limit+1, q.OpenOnly)
		if err != nil {
			return nil, "", err
		}
		for _, e := range page {
			if len(rows) == limit || walked > budget {
				return rows, last.id.String(), nil
			}
			walked++
			if last, err = r.kase(e.n); err != nil {
				return nil, "", err
			}
			if last == nil {
				return nil, "", fmt.Errorf("the list names case %d, which is not there", e.n)
			}
			from = e
			if check(last) {
				row, err := r.caseRow(last)
				if err != nil {
					return nil, "", err
				}
				rows = append(rows, row)
			}
		}
		if len(page) <= limit {
			return rows, "", nil
		}
	}
}

// caseScopes finds the stretches of the list that answer a query, and what is left to check of each case.
func (r *reader) caseScopes(q CaseQuery) ([]scope, func(*caseRow) bool) {
	reach, known := r.s.reachOf(q.Reach), r.s.places.read()
	village, officer := known.n[q.Village], known.n[q.Officer]
	var scopes []scope
	switch {
	case q.Village != uuid.Nil && village == 0, q.Officer != uuid.Nil && officer == 0:
	case officer != 0:
		scopes = []scope{scopeOf(handledBy, officer)}
		if reach.all {
			scopes = append(scopes, scopeOf(sealedAway, 0))
		}
	default:
		for _, v := range reach.villages {
			if village == 0 || v == village {
				scopes = append(scopes, scopeOf(inVillage, v))
			}
		}
		if reach.officer != 0 {
			scopes = append(scopes, scopeOf(handledBy, reach.officer))
		}
		if reach.all {
			scopes = append(scopes, scopeOf(sealedAway, 0))
		}
	}
	return scopes, func(k *caseRow) bool {
		return reach.sees(k) && (village == 0 || k.village == village) && (officer == 0 || slices.Contains(k.handlers, officer)) &&
			(q.Program == "" || k.program == q.Program) && (q.Tier == "" || k.tier == q.Tier)
	}
}

func (r *reader) mergeListed(scopes []scope, from listEntry, want int, openOnly bool) (page []listEntry, err error) {
	compare := func(a, b listEntry) int { return cmp.Or(cmp.Compare(a.closed, b.closed), cmp.Compare(a.n, b.n)) }
	for _, s := range scopes {
		err := query(r.c, `SELECT closed, n FROM listed WHERE scope = ? AND (closed, n) > (?, ?) ORDER BY closed, n`,
			[]any{int64(s), from.closed, from.n}, func(st *sqlite3.Stmt) error {
				e := listEntry{closed: st.ColumnInt64(0), n: st.ColumnInt64(1)}
				if openOnly && e.closed != 0 || len(page) == want && compare(e, page[want-1]) >= 0 {
					return sealed.ErrEnough
				}
				i, found := slices.BinarySearchFunc(page, e, compare)
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
