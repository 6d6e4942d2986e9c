package views

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/ncruces/go-sqlite3"

	"yidang/domain/casework"
	"yidang/domain/record"
)

// keepUnsaved is how many events of a file may come after its snapshot: what a restart reads from the journal for each file
// it meets again.
const keepUnsaved = 64

// saveSnapshot stores a case that leaves memory or has grown. Other files have few events or are few.
func (w *writer) saveSnapshot(f *record.File) error {
	program, ok := f.State.(casework.Program)
	if !ok || f.Erased {
		return nil
	}
	duties := &program.Core().Duties
	var open []owed
	for _, d := range duties.Open {
		open = append(open, owed{Duty: d})
	}
	had := duties.Open
	duties.Open = nil // they are most of a case, and quicker to read in their own form
	state, err := json.Marshal(f.State)
	duties.Open = had
	if err != nil {
		return fmt.Errorf("snapshot of %s: %w", f.Stream, err)
	}
	return exec(w.c, `INSERT INTO snapshots (n, revision, position, state, owed) SELECT n, ?, ?, ?, ? FROM cases WHERE id = ?
		ON CONFLICT (n) DO UPDATE SET revision = excluded.revision, position = excluded.position, state = excluded.state, owed = excluded.owed`,
		int64(f.Revision), int64(f.Position), state, packOwed(open), f.ID[:])
}

// loadSnapshot is the Load of the states.
func (s *store) loadSnapshot(_ context.Context, f *record.File) error {
	program, ok := f.State.(casework.Program)
	if !ok {
		return nil
	}
	return query(s.conn, `SELECT s.revision, s.position, s.state, s.owed FROM snapshots s JOIN cases k ON k.n = s.n WHERE k.id = ?`, []any{f.ID[:]},
		func(st *sqlite3.Stmt) error {
			if err := json.Unmarshal(st.ColumnRawBlob(2), f.State); err != nil {
				return err
			}
			open, err := unpackOwed(st.ColumnRawBlob(3))
			for _, o := range open {
				program.Core().Duties.Open = append(program.Core().Duties.Open, o.Duty)
			}
			f.Exists, f.Revision, f.Position = true, uint64(st.ColumnInt64(0)), uint64(st.ColumnInt64(1))
			return err
		})
}
