package views

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/ncruces/go-sqlite3"

	"yidang/domain/record"
	"yidang/domain/vault/sealed"
)

// SearchQuery asks for people. An empty Text lists them, by name.
type SearchQuery struct {
	Text     string // name or a part of it in characters, pinyin or initials; citizen id, or its last four or more; phone number
	Reach    record.Reach
	Village  uuid.UUID
	Program  string // has such a case
	Tier     string
	OpenOnly bool
	Limit    int // 50 by default, 500 at most
	Cursor   string
}

// PersonRow is a person in a list, with the cases that the reach sees. Whoever shows it masks the citizen id.
type PersonRow struct {
	ID        uuid.UUID
	Name      string
	CitizenID string
	Sex       int
	Birth     time.Time // day
	Phone     string
	Village   uuid.UUID
	Died      bool
	Erased    bool
	Cases     []CaseRow
}

// found is a place among the terms: which beginning was met, by which term, of whom.
type found struct {
	tier int
	term string
	n    int64
}

func (f found) compare(o found) int {
	return cmp.Or(cmp.Compare(f.tier, o.tier), strings.Compare(f.term, o.term), cmp.Compare(f.n, o.n))
}

// Search finds people: whose name begins with the text before those who only have it in their name, and the shorter match
// first. A page may be short before the last one, which is the one with an empty next.
func (v *Views) Search(ctx context.Context, q SearchQuery) (rows []PersonRow, next string, position uint64, err error) {
	beginnings := []string{"s"}
	if strings.TrimSpace(q.Text) != "" {
		if beginnings = wanted(q.Text); beginnings == nil {
			return nil, "", 0, &record.Problem{Kind: record.Invalid, Field: "q", Message: "too little to search for", Zh: "检索内容过短",
				Remedy: "type a part of the name, or at least the last four digits of the citizen id or the phone number"}
		}
	}
	position, err = v.read(ctx, func(r *reader) error {
		s := &search{r: r, q: q, beginnings: beginnings, limit: pageSize(q.Limit), reach: r.s.reachOf(q.Reach)}
		if err := s.run(); err != nil {
			return err
		}
		rows, next = s.rows, s.next
		return nil
	})
	return rows, next, position, err
}

// search is one query being answered.
type search struct {
	r          *reader
	q          SearchQuery
	beginnings []string
	limit      int
	reach      reach
	village    int64
	mine       []found // from the caseload, in order
	met        map[int64]bool

	rows []PersonRow
	next string
}

func (s *search) run() error {
	s.r.people, s.met = map[int64]*personRow{}, map[int64]bool{}
	if s.q.Village != uuid.Nil {
		if s.village = s.r.s.places.read().n[s.q.Village]; s.village == 0 {
			return nil
		}
	}
	from, err := s.start()
	if err != nil {
		return err
	}
	if err := s.caseload(); err != nil {
		return err
	}
	for walked := 0; ; {
		page, err := s.merge(from, s.limit+1)
		if err != nil {
			return err
		}
		for _, f := range page {
			if len(s.rows) == s.limit || walked > budget {
				p, err := s.r.person(from.n)
				s.next = p.id.String()
				return err
			}
			walked++
			from = f
			if err := s.add(f); err != nil {
				return err
			}
		}
		if len(page) <= s.limit {
			return nil
		}
	}
}

// start finds the place after which the page begins. The cursor is the last person shown: the place follows from the person
// and the text, so nothing of a name is in a cursor.
func (s *search) start() (found, error) {
	if s.q.Cursor == "" {
		return found{tier: -1}, nil
	}
	id, err := uuid.Parse(s.q.Cursor)
	if err != nil {
		return found{}, errCursor
	}
	p, err := s.r.personBy(id)
	if err != nil {
		return found{}, err
	}
	if p != nil {
		if tier, term, ok := p.best(s.beginnings); ok {
			return found{tier, term, p.n}, nil
		}
	}
	return found{}, errCursor
}

// scopes are where to look.
func (s *search) scopes() []int64 {
	switch {
	case s.village != 0 && slices.Contains(s.reach.villages, s.village):
		return []int64{s.village}
	case s.village != 0:
		return nil
	case s.reach.everywhere && s.reach.all:
		return []int64{anywhere, 0}
	case s.reach.everywhere && len(s.reach.villages) > 1:
		return []int64{anywhere}
	}
	return s.reach.villages
}

// merge gives the first places after from, over all villages and the caseload.
func (s *search) merge(from found, want int) (page []found, err error) {
	add := func(f found) bool {
		if len(page) == want && f.compare(page[want-1]) >= 0 {
			return false
		}
		i, twice := slices.BinarySearchFunc(page, f, found.compare)
		if twice { // in the village and in another where there is a case
			return true
		}
		if page = slices.Insert(page, i, f); len(page) > want {
			page = page[:want]
		}
		return true
	}
	for tier := max(from.tier, 0); tier < len(s.beginnings) && len(page) < want; tier++ {
		b := s.beginnings[tier]
		term, n := b, int64(-1)
		if tier == from.tier {
			term, n = from.term, from.n
		}
		for _, village := range s.scopes() {
			err := query(s.r.c, `SELECT term, n FROM terms WHERE scope = ? AND (term, n) > (?, ?) AND term < ? ORDER BY term, n`,
				[]any{village, term, n, after(b)}, func(st *sqlite3.Stmt) error {
					if !add(found{tier, st.ColumnText(0), st.ColumnInt64(1)}) {
						return sealed.ErrEnough
					}
					return nil
				})
			if err != nil {
				return nil, err
			}
		}
		for _, f := range s.mine {
			if f.tier == tier && f.compare(from) > 0 {
				add(f)
			}
		}
	}
	return page, nil
}

// caseload finds the people of the cases that the officer handles, wherever they are. They are few: no index is kept.
func (s *search) caseload() error {
	if s.reach.officer == 0 {
		return nil
	}
	var cases []int64
	err := query(s.r.c, `SELECT n FROM listed WHERE scope = ? ORDER BY closed, n`, []any{int64(scopeOf(handledBy, s.reach.officer))}, func(st *sqlite3.Stmt) error {
		cases = append(cases, st.ColumnInt64(0))
		return nil
	})
	if err != nil {
		return err
	}
	for _, n := range cases {
		k, err := s.r.kase(n)
		if err != nil {
			return err
		}
		p, err := s.r.person(k.person)
		if err != nil {
			return err
		}
		if s.village != 0 && p.village != s.village && k.village != s.village {
			continue
		}
		if tier, term, ok := p.best(s.beginnings); ok {
			s.mine = append(s.mine, found{tier, term, p.n})
		}
	}
	return nil
}

// add puts a person on the page, unless another of his terms was met first, on this page or on one before it, or the rest
// of the query leaves him out.
func (s *search) add(f found) error {
	if s.met[f.n] {
		return nil
	}
	s.met[f.n] = true
	p, err := s.r.person(f.n)
	if err != nil || p == nil {
		return err
	}
	if s.q.Cursor != "" {
		if tier, term, _ := p.best(s.beginnings); tier != f.tier || term != f.term {
			return nil
		}
	}
	cases, err := s.r.casesOf(p.n)
	if err != nil {
		return err
	}
	fits := s.q.Program == "" && s.q.Tier == "" && !s.q.OpenOnly
	cases = slices.DeleteFunc(cases, func(k *caseRow) bool {
		if !s.reach.sees(k) {
			return true
		}
		// A sealed case finds nobody: to be found by what it is would say it (S-16).
		fits = fits || !k.sealed && (s.q.Program == "" || k.program == s.q.Program) && (s.q.Tier == "" || k.tier == s.q.Tier) && (!s.q.OpenOnly || k.open)
		return false
	})
	if !fits {
		return nil
	}
	row, err := s.r.personRow(p, cases)
	s.rows = append(s.rows, row)
	return err
}

func (r *reader) personRow(p *personRow, cases []*caseRow) (PersonRow, error) {
	row := PersonRow{
		ID: p.id, Name: p.name, CitizenID: p.citizen, Sex: p.sex, Birth: day(p.birth), Phone: p.phone, Village: r.s.places.id(p.village),
		Died: p.died != 0, Erased: p.erased,
	}
	var err error
	row.Cases, err = r.caseRows(cases)
	return row, err
}

// Person finds a person, with every case, sealed ones too: whoever shows it decides who may see what.
func (v *Views) Person(ctx context.Context, id uuid.UUID) (row PersonRow, ok bool, err error) {
	_, err = v.read(ctx, func(r *reader) error {
		p, err := r.personBy(id)
		if err != nil || p == nil {
			return err
		}
		ok = true
		cases, err := r.casesOf(p.n)
		if err != nil {
			return err
		}
		row, err = r.personRow(p, cases)
		return err
	})
	return row, ok, err
}

// Duplicates lists people who may be the same as one about to be registered: of the same name and birth day, or the same
// name and phone number. It looks everywhere and shows no cases. name is in its stored form, see person.NormalizeName.
func (v *Views) Duplicates(ctx context.Context, name string, birth time.Time, phone string) (rows []PersonRow, err error) {
	if name == "" {
		return nil, nil
	}
	_, err = v.read(ctx, func(r *reader) error {
		sql := `SELECT ` + peopleColumns + ` FROM people WHERE name = ? AND (birth = ? AND birth <> 0 OR phone = ? AND phone <> '') ORDER BY n LIMIT 50`
		return query(r.c, sql, []any{name, millis(record.DayOf(birth)), phone}, func(st *sqlite3.Stmt) error {
			row, err := r.personRow(scanPerson(st), nil)
			rows = append(rows, row)
			return err
		})
	})
	return rows, err
}
