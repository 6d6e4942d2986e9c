package views

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/ncruces/go-sqlite3"

	"yidang/domain/record"
	"yidang/domain/staff"
	"yidang/domain/units"
	"yidang/domain/vault/sealed"
)

// OfficerRow is an officer in a list.
type OfficerRow struct {
	ID         uuid.UUID    `json:"id"`
	Name       string       `json:"name,omitempty"`
	Login      string       `json:"login,omitempty"`
	WorkNumber string       `json:"workNumber,omitempty"`
	Sex        int          `json:"sex,omitempty"`
	Phone      string       `json:"phone,omitempty"`
	Posts      []staff.Post `json:"posts,omitempty"`
	Disabled   bool         `json:"disabled,omitempty"`
	Erased     bool         `json:"erased,omitempty"`
}

// OfficerQuery asks for officers. A township has some hundreds: they come on one page.
type OfficerQuery struct {
	Text string      // part of the name, in characters, pinyin or initials; or of the login
	Role record.Role // holds a post in it at At
	Unit uuid.UUID   // holds a post in it at At
	At   time.Time   // zero: posts count whenever they are or were
}

// Officers lists officers by name.
func (v *Views) Officers(ctx context.Context, q OfficerQuery) (rows []OfficerRow, position uint64, err error) {
	position, err = v.read(ctx, func(r *reader) error {
		return query(r.c, `SELECT body FROM officers ORDER BY name, id`, nil, func(st *sqlite3.Stmt) error {
			var o OfficerRow
			if err := json.Unmarshal(st.ColumnRawBlob(0), &o); err != nil {
				return err
			}
			if q.fits(o) {
				rows = append(rows, o)
			}
			return nil
		})
	})
	return rows, position, err
}

func (q OfficerQuery) fits(o OfficerRow) bool {
	if q.Role != "" || q.Unit != uuid.Nil {
		fits := slices.ContainsFunc(o.Posts, func(p staff.Post) bool {
			return (q.Role == "" || p.Role == q.Role) && (q.Unit == uuid.Nil || p.Unit == q.Unit) &&
				(q.At.IsZero() || !p.From.After(q.At) && (p.Until.IsZero() || q.At.Before(p.Until)))
		})
		if !fits {
			return false
		}
	}
	text := plain(q.Text, false)
	if text == "" || strings.Contains(strings.ToLower(o.Login), text) {
		return true
	}
	_, _, ok := (&personRow{name: o.Name}).best([]string{"a" + text, "b" + text})
	return ok
}

// Officer finds an officer.
func (v *Views) Officer(ctx context.Context, id uuid.UUID) (row OfficerRow, ok bool, err error) {
	_, err = v.read(ctx, func(r *reader) error {
		return query(r.c, `SELECT body FROM officers WHERE id = ?`, []any{id[:]}, func(st *sqlite3.Stmt) error {
			ok = true
			return json.Unmarshal(st.ColumnRawBlob(0), &row)
		})
	})
	return row, ok, err
}

// Units lists every unit, by code and name.
func (v *Views) Units(ctx context.Context) (list []units.Unit, position uint64, err error) {
	position, err = v.read(ctx, func(r *reader) (err error) {
		list, err = readUnits(r.c)
		return err
	})
	return list, position, err
}

func readUnits(c *sealed.Conn) (list []units.Unit, err error) {
	err = query(c, `SELECT body FROM units`, nil, func(st *sqlite3.Stmt) error {
		var u units.Unit
		err := json.Unmarshal(st.ColumnRawBlob(0), &u)
		list = append(list, u)
		return err
	})
	slices.SortFunc(list, func(a, b units.Unit) int {
		return cmp.Or(strings.Compare(a.Code, b.Code), strings.Compare(a.Name, b.Name), bytes.Compare(a.ID[:], b.ID[:]))
	})
	return list, err
}

// Villages lists the units where people live, from memory. The caller must not change the list.
func (v *Views) Villages(context.Context) ([]uuid.UUID, error) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	if !v.now.indexed.Load() {
		return nil, ErrBuilding
	}
	return *v.now.villages.Load(), nil
}

// loadVillages is called at the start and within a transaction that changes units; when that fails, reload puts it right.
func (s *store) loadVillages(c *sealed.Conn) error {
	list, err := readUnits(c)
	var villages []uuid.UUID
	for _, u := range list {
		if u.Sort.Residential() {
			villages = append(villages, u.ID)
		}
	}
	s.villages.Store(&villages)
	return err
}
