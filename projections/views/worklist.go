package views

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/ncruces/go-sqlite3"

	"yidang/domain/casework"
	"yidang/domain/record"
	"yidang/domain/vault/sealed"
)

// WorklistQuery asks for duties. Officer, Village, Case and Code narrow it; Standing chooses among upcoming, due, overdue,
// done, excused and cancelled, and means the first three when empty.
type WorklistQuery struct {
	Reach    record.Reach
	Office   []uuid.UUID // villages of the township office that asks: what it owes in sealed cases shows to it
	Officer  uuid.UUID   // who owes the duty, or owed it when it ended
	Asker    uuid.UUID   // whose own caseload is marked in the rows
	Village  uuid.UUID
	Case     uuid.UUID
	Standing []string
	Code     string
	Today    time.Time
	Limit    int // 50 by default, 500 at most
	Cursor   string
}

// DutyRow is one line of a worklist.
type DutyRow struct {
	casework.Duty
	ID         uuid.UUID
	Case       uuid.UUID
	Person     uuid.UUID
	PersonName string
	Program    string
	Tier       string
	Village    uuid.UUID
	Holder     uuid.UUID // who owes it now; of an ended duty: who owed it then
	Standing   string    // on the day asked about
	Own        bool      // Asker has a part in the case
	Sealed     bool      // the case: whoever shows the row leaves out whose it is
}

// CountLimit is where counting ended duties stops: so many stands for so many or more.
const CountLimit = 1000

var (
	openStandings  = []string{"overdue", "due", "upcoming"}
	endedStandings = []string{string(casework.Done), string(casework.Excused), string(casework.Cancelled)}
)

// Worklist lists duties: the open ones with the most overdue first, then the ended ones with the latest first. counts says
// how many there are by standing, whatever page is asked for: exactly for open duties, up to CountLimit for those ended
// standings that were asked for. next is empty on the last page; a page may be short before that.
func (v *Views) Worklist(ctx context.Context, q WorklistQuery) (rows []DutyRow, next string, counts map[string]int, position uint64, err error) {
	if len(q.Standing) == 0 {
		q.Standing = openStandings
	}
	for _, s := range q.Standing {
		if !slices.Contains(openStandings, s) && !slices.Contains(endedStandings, s) {
			return nil, "", nil, 0, &record.Problem{Kind: record.Invalid, Field: "standing", Message: "unknown standing",
				Remedy: "use some of: upcoming, due, overdue, done, excused, cancelled"}
		}
	}
	var l *worklist
	position, err = v.consistent(ctx, func(r *reader) (uint64, error) {
		l = &worklist{r: r, q: q, limit: pageSize(q.Limit), today: dayNumber(record.DayOf(q.Today)), reach: r.s.reachOf(q.Reach),
			office: r.s.reachOf(record.Reach{Villages: q.Office}).villages, asker: r.s.places.read().n[q.Asker]}
		return l.run()
	})
	if err != nil {
		return nil, "", nil, 0, err
	}
	return l.rows, l.next, l.counts, position, nil
}

// consistent reads on a snapshot and, beside it, what is kept in memory, which f says is of which position stored. When a commit
// came between the two it reads again, a few times; then a count may be one batch off its rows.
func (v *Views) consistent(ctx context.Context, f func(*reader) (uint64, error)) (position uint64, err error) {
	for try := 0; ; try++ {
		again := false
		position, err = v.read(ctx, func(r *reader) error {
			at, err := f(r)
			again = at != r.stored
			return err
		})
		if err != nil || !again || try == 3 {
			return position, err
		}
	}
}

// worklist is one query being answered.
type worklist struct {
	r      *reader
	q      WorklistQuery
	limit  int
	today  int64
	reach  reach
	office []int64
	asker  int64                               // 0: nobody
	scopes []scope                             // walked for the page
	wide   []scope                             // walked for open duties, when fewer scopes show the same; nil: scopes
	check  func(k *caseRow, holder int64) bool // what the scopes alone do not ensure; nil: nothing
	plus   []scope                             // summed up for counts
	minus  []scope
	walk   bool // counts come from a walk, not from sums

	rows   []DutyRow
	next   string
	counts map[string]int
}

func (l *worklist) run() (uint64, error) {
	l.r.cases, l.r.people = map[int64]*caseRow{}, map[int64]*personRow{}
	if l.q.Case != uuid.Nil {
		return l.r.stored, l.ofCase()
	}
	l.choose()
	var at uint64
	l.counts, at = l.r.s.tallies.sum(l.plus, l.minus, l.q.Code, l.today)
	if l.walk {
		if err := l.countOpen(); err != nil {
			return at, err
		}
	}
	if err := l.countEnded(); err != nil {
		return at, err
	}
	c, err := parseWorklistCursor(l.q.Cursor)
	if err != nil {
		return at, err
	}
	if !c.ended && slices.ContainsFunc(openStandings, l.asked) {
		if err := l.open(c); err != nil || l.next != "" {
			return at, err
		}
	}
	if slices.ContainsFunc(endedStandings, l.asked) {
		return at, l.past(c)
	}
	return at, nil
}

func (l *worklist) asked(standing string) bool { return slices.Contains(l.q.Standing, standing) }

// choose finds the stretches of the index that answer the query.
func (l *worklist) choose() {
	known, me := l.r.s.places.read(), l.reach.officer
	village, hasVillage := known.n[l.q.Village]
	officer, hasOfficer := known.n[l.q.Officer]
	hasVillage, hasOfficer = hasVillage && village != 0, hasOfficer && officer != 0
	mine := []scope{scopeOf(heldBy, me), scopeOf(handledBy, me)}
	inReach := slices.Contains(l.reach.villages, village)
	switch {
	case l.q.Village != uuid.Nil && !hasVillage, l.q.Officer != uuid.Nil && !hasOfficer:
		// an id that no row has
	case hasOfficer:
		l.chooseOfficer(officer, village, hasVillage, inReach)
	case hasVillage && l.reach.all:
		l.scopes = []scope{scopeOf(inVillage, village), scopeOf(sealedAway, 0)}
		l.check = func(k *caseRow, _ int64) bool { return k.village == village }
		l.plus = []scope{scopeOf(inVillage, village), scopeOf(sealedIn, village)}
	case hasVillage && inReach:
		l.scopes = []scope{scopeOf(inVillage, village)}
		if slices.Contains(l.office, village) {
			l.scopes = append(l.scopes, scopeOf(sealedOffice, village))
		}
		l.plus = l.scopes
	case hasVillage && me != 0:
		l.scopes = mine
		l.check = func(k *caseRow, _ int64) bool { return k.village == village }
		l.plus = []scope{pairOf(heldIn, village, me), pairOf(handledIn, village, me)}
	case hasVillage:
	default:
		for _, v := range l.reach.villages {
			l.scopes = append(l.scopes, scopeOf(inVillage, v))
			if me != 0 {
				l.minus = append(l.minus, pairOf(heldIn, v, me), pairOf(handledIn, v, me))
			}
		}
		if me != 0 {
			l.scopes = append(l.scopes, mine...)
		}
		if l.reach.all {
			l.scopes = append(l.scopes, scopeOf(sealedAway, 0))
		} else {
			for _, v := range l.office {
				l.scopes = append(l.scopes, scopeOf(sealedOffice, v))
			}
		}
		l.plus = l.scopes
		l.wide = l.fewer(mine)
	}
}

// fewer says what default scopes say in a few, for whoever reaches every village; nil when that is not so.
func (l *worklist) fewer(mine []scope) (list []scope) {
	if !l.reach.everywhere || len(l.reach.villages) < 2 {
		return nil
	}
	list = append(list, scopeOf(inAnyVillage, 0))
	if l.reach.officer != 0 {
		list = append(list, mine...)
	}
	switch {
	case l.reach.all:
		return append(list, scopeOf(inVillage, 0), scopeOf(sealedAway, 0))
	case len(l.office) == len(l.reach.villages):
		return append(list, scopeOf(anyOffice, 0))
	}
	for _, v := range l.office {
		list = append(list, scopeOf(sealedOffice, v))
	}
	return list
}

// chooseOfficer is choose for what one officer owes, in one village or in all.
func (l *worklist) chooseOfficer(officer, village int64, hasVillage, inReach bool) {
	me := l.reach.officer
	l.scopes = []scope{scopeOf(heldBy, officer)}
	l.check = func(k *caseRow, _ int64) bool { return l.reach.sees(k) && (!hasVillage || k.village == village) }
	switch {
	case l.reach.all:
		l.scopes = append(l.scopes, scopeOf(sealedAway, 0))
		l.check = func(k *caseRow, holder int64) bool { return holder == officer && (!hasVillage || k.village == village) }
		l.plus = []scope{scopeOf(heldBy, officer), scopeOf(sealedHeld, officer)}
		if hasVillage {
			l.plus = []scope{pairOf(heldIn, village, officer), pairOf(sealedPair, village, officer)}
		}
	case officer == me && hasVillage: // what names an officer in person is his to see, whatever else he may
		l.plus, l.check = []scope{pairOf(heldIn, village, officer)}, func(k *caseRow, _ int64) bool { return k.village == village }
		l.addOffice(officer, village)
	case officer == me:
		l.plus, l.check = l.scopes, nil
		l.addOffice(officer, 0)
	case me != 0:
		l.walk = true // a colleague's duties in cases of mine: no tally knows
	case hasVillage && inReach:
		l.plus = []scope{pairOf(heldIn, village, officer)}
	case hasVillage:
		l.scopes = nil
	default:
		for _, v := range l.reach.villages {
			l.plus = append(l.plus, pairOf(heldIn, v, officer))
		}
	}
}

// addOffice adds what falls to an officer of the township office in sealed cases, in one village or, when it is 0, in all.
func (l *worklist) addOffice(officer, village int64) {
	for _, v := range l.office {
		if village == 0 || v == village {
			l.scopes, l.plus = append(slices.Clip(l.scopes), scopeOf(sealedOffice, v)), append(slices.Clip(l.plus), pairOf(officePair, v, officer))
			l.check = func(k *caseRow, holder int64) bool {
				return (village == 0 || k.village == village) && (!k.sealed || holder == officer)
			}
		}
	}
}

// budget is how many index entries a page may walk past that the query leaves out, before it is cut short.
const budget = 2000

// open fills the page with open duties.
func (l *worklist) open(c worklistCursor) error {
	return walk(l, c, l.merge, func(c *worklistCursor, e dueEntry) error {
		c.due, c.duty = e.due, e.duty
		return l.add(e)
	})
}

// walk fills the page with the entries that more gives after a cursor. Of each scope it asks only for what may still come on
// the page. take moves the cursor past an entry and adds the entry's row, unless the query leaves it out.
func walk[E any](l *worklist, c worklistCursor, more func(worklistCursor, int) ([]E, error), take func(*worklistCursor, E) error) error {
	for walked := 0; len(l.rows) < l.limit; {
		want := l.limit - len(l.rows) + 1
		entries, err := more(c, want)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if len(l.rows) == l.limit || walked > budget {
				l.next = c.String()
				return nil
			}
			walked++
			if err := take(&c, e); err != nil {
				return err
			}
		}
		if len(entries) < want {
			return nil
		}
	}
	l.next = c.String()
	return nil
}

// merge gives the first entries after the cursor over all scopes.
func (l *worklist) merge(c worklistCursor, want int) (page []dueEntry, err error) {
	lowest, highest := c.due, int64(1<<40)
	if !l.asked("overdue") && lowest < l.today {
		lowest, c.duty = l.today, minInt
	}
	if !l.asked("due") && !l.asked("upcoming") {
		highest = l.today - 1
	}
	scopes := l.scopes
	if l.wide != nil {
		scopes = l.wide
	}
	for _, s := range scopes {
		err := query(l.r.c, `SELECT due, duty, kase, opens, code FROM due WHERE scope = ? AND (due, duty) > (?, ?) ORDER BY due, duty, kase`,
			[]any{int64(s), lowest, c.duty}, func(st *sqlite3.Stmt) error {
				e := dueEntry{due: st.ColumnInt64(0), duty: st.ColumnInt64(1), kase: st.ColumnInt64(2), opens: st.ColumnInt64(3)}
				if e.due > highest || len(page) == want && !e.before(page[want-1]) {
					return sealed.ErrEnough
				}
				if !l.asked(e.standing(l.today)) || l.q.Code != "" && st.ColumnText(4) != l.q.Code {
					return nil
				}
				i, found := slices.BinarySearchFunc(page, e, dueEntry.compare)
				if found { // in the village and in the caseload
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

// add puts an entry's duty on the page.
func (l *worklist) add(e dueEntry) error {
	k, err := l.r.kase(e.kase)
	if err != nil {
		return err
	}
	if k == nil {
		return fmt.Errorf("the worklist names case %d, which is not there", e.kase)
	}
	o, ok, err := findOwed(k.packed, e.duty)
	if err != nil {
		return fmt.Errorf("case %s: %w", k.id, err)
	}
	if !ok {
		return fmt.Errorf("the worklist names a duty of case %s that it does not have", k.id)
	}
	if l.check != nil && !l.check(k, o.holder) {
		return nil
	}
	return l.line(k, o.Duty, o.holder)
}

func (l *worklist) line(k *caseRow, d casework.Duty, holder int64) error {
	p, err := l.r.person(k.person)
	if err != nil {
		return err
	}
	row := DutyRow{Duty: d, ID: d.ID(), Case: k.id, Program: k.program, Tier: k.tier, Standing: d.Standing(l.q.Today), Sealed: k.sealed, Own: l.asker != 0 && slices.Contains(k.handlers, l.asker),
		Village: l.r.s.places.id(k.village), Holder: l.r.s.places.id(holder)}
	if p != nil {
		row.Person, row.PersonName = p.id, p.name
	}
	l.rows = append(l.rows, row)
	return nil
}

// ofCase lists the duties of one case, all of them on one page: they are few.
func (l *worklist) ofCase() error {
	l.counts = map[string]int{"upcoming": 0, "due": 0, "overdue": 0}
	k, err := l.r.caseBy(l.q.Case)
	place := l.r.s.places.id
	if err != nil || k == nil || l.q.Village != uuid.Nil && l.q.Village != place(k.village) {
		return err
	}
	whole := l.reach.sees(k)
	keep := func(d casework.Duty, holder int64) error {
		if l.q.Code != "" && d.Code != l.q.Code || l.q.Officer != uuid.Nil && l.q.Officer != place(holder) {
			return nil
		}
		standing := d.Standing(l.q.Today)
		l.counts[standing]++
		if !l.asked(standing) {
			return nil
		}
		return l.line(k, d, holder)
	}
	for _, o := range k.owed {
		if !whole && !l.owes(k, o) {
			continue
		}
		if err := keep(o.Duty, o.holder); err != nil {
			return err
		}
	}
	slices.SortStableFunc(l.rows, func(a, b DutyRow) int { return a.Due.Compare(b.Due) })
	if whole && slices.ContainsFunc(endedStandings, l.asked) {
		return query(l.r.c, `SELECT `+endedColumns+` FROM ended WHERE kase = ? ORDER BY position DESC, seq DESC`, []any{k.n}, func(st *sqlite3.Stmt) error {
			e, err := scanEnded(st)
			if err != nil {
				return err
			}
			return keep(e.duty, e.holder)
		})
	}
	return nil
}

// owes tells whether a duty of a sealed case is owed by the township office that asks.
func (l *worklist) owes(k *caseRow, o owed) bool {
	return k.sealed && o.Owner == record.TownshipOffice && slices.Contains(l.office, k.village)
}
