package oversight

import (
	"bytes"
	"context"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/ncruces/go-sqlite3"

	"yidang/domain/record"
)

// Part is an officer's part in an open case.
type Part struct {
	Person  uuid.UUID   `json:"person"` // the file that the case hangs on; one of those merged with the person asked for
	Case    uuid.UUID   `json:"case"`
	Officer uuid.UUID   `json:"officer"`
	Role    record.Role `json:"role"`
	Lead    bool        `json:"lead,omitempty"`
	From    time.Time   `json:"from"`
}

// Root gives the file that is worked in for a person: the one at the end of the links from this file, or this file. Of
// files that are linked in a circle it is the one with the smallest id.
func (x *Index) Root(ctx context.Context, person uuid.UUID) (root uuid.UUID, err error) {
	_, err = x.read(ctx, func(r *reader) error {
		root, err = r.root(person)
		return err
	})
	return root, err
}

// Members lists all files that lead to the same root as this one: the root first, the others by id.
func (x *Index) Members(ctx context.Context, person uuid.UUID) (all []uuid.UUID, err error) {
	_, err = x.read(ctx, func(r *reader) error {
		all, err = r.members(person)
		return err
	})
	return all, err
}

// Responsible tells whether an officer is responsible in any open case of a person, in files that are merged with the
// person's too.
func (x *Index) Responsible(ctx context.Context, person, officer uuid.UUID) (bool, error) {
	parts, err := x.ResponsibleFor(ctx, person)
	return slices.ContainsFunc(parts, func(p Part) bool { return p.Officer == officer }), err
}

// ResponsibleFor lists who is responsible for a person, in the open cases of all files that are merged: by case, lead first.
func (x *Index) ResponsibleFor(ctx context.Context, person uuid.UUID) (parts []Part, err error) {
	_, err = x.read(ctx, func(r *reader) error {
		all, err := r.members(person)
		for _, member := range all {
			if err == nil {
				err = r.parts(member, &parts)
			}
		}
		return err
	})
	return parts, err
}

func (r *reader) root(person uuid.UUID) (uuid.UUID, error) {
	path := []uuid.UUID{person}
	for {
		into, err := r.into(path[len(path)-1])
		if err != nil || into == uuid.Nil {
			return path[len(path)-1], err
		}
		if i := slices.Index(path, into); i >= 0 {
			return slices.MinFunc(path[i:], func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) }), nil
		}
		path = append(path, into)
	}
}

// into gives the file that a file is merged into now.
func (r *reader) into(file uuid.UUID) (into uuid.UUID, err error) {
	err = query(r.c, `SELECT l.into_ FROM links l LEFT JOIN amended a ON a.position = l.position
		WHERE l.file = ? AND coalesce(a.voided, 0) = 0 ORDER BY l.position DESC LIMIT 1`, []any{file[:]}, func(st *sqlite3.Stmt) error {
		into = columnID(st, 0)
		return nil
	})
	return into, err
}

func (r *reader) members(person uuid.UUID) ([]uuid.UUID, error) {
	root, err := r.root(person)
	if err != nil {
		return nil, err
	}
	all := []uuid.UUID{root}
	for i := 0; i < len(all); i++ {
		var from []uuid.UUID
		err := query(r.c, `SELECT DISTINCT file FROM links WHERE into_ = ?`, []any{all[i][:]}, func(st *sqlite3.Stmt) error {
			from = append(from, columnID(st, 0))
			return nil
		})
		if err != nil {
			return nil, err
		}
		for _, file := range from {
			if slices.Contains(all, file) {
				continue
			}
			into, err := r.into(file)
			if err != nil {
				return nil, err
			}
			if into == all[i] {
				all = append(all, file)
			}
		}
	}
	slices.SortFunc(all[1:], func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) })
	return all, nil
}

// parts folds the steps of a person's cases, as they were amended: what casework does with the same events.
func (r *reader) parts(person uuid.UUID, out *[]Part) error {
	var now []Part
	open, kase := true, uuid.Nil
	end := func() {
		if open {
			*out = append(*out, now...)
		}
	}
	err := query(r.c, `SELECT p.kase, p.step, p.officer, coalesce(c.role, p.role), coalesce(c.lead, p.lead), coalesce(c.since, p.since)
		FROM parts p LEFT JOIN amended a ON a.position = p.position LEFT JOIN amendments c ON c.position = a.corrected AND a.corrected > 0
		WHERE p.person = ? AND coalesce(a.voided, 0) = 0 ORDER BY p.kase, p.position`, []any{person[:]}, func(st *sqlite3.Stmt) error {
		if id := columnID(st, 0); id != kase {
			end()
			now, open, kase = nil, true, id
		}
		n := r.x.names
		p := Part{Person: person, Case: kase, Officer: n.id(st.ColumnInt64(2)), Role: record.Role(n.string(st.ColumnInt64(3))), Lead: st.ColumnBool(4), From: instant(st.ColumnInt64(5))}
		switch st.ColumnInt64(1) {
		case assigned:
			now = slices.DeleteFunc(now, func(o Part) bool { return o.Officer == p.Officer || p.Lead && o.Lead })
			if p.Lead {
				now = slices.Insert(now, 0, p)
			} else {
				now = append(now, p)
			}
		case ended:
			now = slices.DeleteFunc(now, func(o Part) bool { return o.Officer == p.Officer })
		default: // closed or erased
			open = false
		}
		return nil
	})
	end()
	return err
}
