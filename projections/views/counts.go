package views

import (
	"slices"
)

// This file counts the duties of a worklist by standing.

// countOpen counts one by one what no tally counts.
func (l *worklist) countOpen() error {
	asked := l.q.Standing
	defer func() { l.q.Standing = asked }()
	l.q.Standing = openStandings
	c, _ := parseWorklistCursor("")
	entries, err := l.merge(c, budget)
	for _, e := range entries {
		if err != nil {
			return err
		}
		var k *caseRow
		if k, err = l.r.kase(e.kase); err == nil && k != nil && l.check(k, 0) {
			l.counts[e.standing(l.today)]++
		}
	}
	return err
}

// countEnded counts in the index alone when whatever is there counts, else one by one.
func (l *worklist) countEnded() error {
	scopes := l.pastScopes()
	plain := l.check == nil && l.q.Code == "" && (l.reach.all || !slices.ContainsFunc(scopes, func(s scope) bool { return s>>56 == heldBy }))
	if !plain {
		return l.countEndedRows()
	}
	for i, standing := range endedStandings {
		if !l.asked(standing) {
			continue
		}
		total := 0
		for _, s := range scopes {
			n, err := single(l.r.c, `SELECT count(*) FROM (SELECT 1 FROM past WHERE scope = ? AND status = ? LIMIT ?)`, int64(s), i+1, CountLimit-total)
			if err != nil {
				return err
			}
			if total += int(n); total >= CountLimit {
				break
			}
		}
		l.counts[standing] = total
	}
	return nil
}

func (l *worklist) countEndedRows() error {
	if !slices.ContainsFunc(endedStandings, l.asked) {
		return nil
	}
	for _, standing := range endedStandings {
		if l.asked(standing) {
			l.counts[standing] = 0
		}
	}
	entries, err := l.mergePast(worklistCursor{position: 1 << 62}, CountLimit)
	for _, e := range entries {
		if err != nil {
			return err
		}
		var row endedRow
		var k *caseRow
		if row, k, err = l.ended(e); k != nil {
			l.counts[string(row.duty.Status)]++
		}
	}
	return err
}
