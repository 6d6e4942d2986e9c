package analytics

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"

	"yidang/domain/record"
	"yidang/domain/vault/sealed"
)

// An erasure (PIPL 47) leaves of a file what its events' metadata says: types, times, actors. That is all that tables filled
// after it would have, so it is all that these keep: whoever loads the journal anew gets the same rows, and no figure
// changes by a rebuild. Rows that are still to be sent are cut in memory, those that are in the tables by a mutation, which
// takes every copy of a row.

// erased is a file whose erasure is being loaded.
type erased struct {
	stream   string
	category string
	isCase   bool
	id       uuid.UUID // pseudonym of the case or person
}

func (n *pseudonyms) erased(k *record.Category, stream string) erased {
	sort := "person"
	if k.Case {
		sort = "case"
	}
	_, id, _ := record.SplitStream(stream)
	return erased{stream: stream, category: k.Name, isCase: k.Case, id: n.of(sort, id)}
}

func (x erased) has(f *Fact) bool {
	if x.isCase {
		return f.Case == x.id
	}
	return f.Category == x.category && f.Person == x.id
}

// where is the condition of has, in the tables of facts. A category is a word of the program's own.
func (x erased) where() string {
	if x.isCase {
		return "`case` = '" + x.id.String() + "'"
	}
	return "category = '" + x.category + "' AND person = '" + x.id.String() + "'"
}

// skeleton is what is kept of an event of an erased file. Of the erasure itself that is all there was.
func (f *Fact) skeleton() Fact {
	if f.Type == record.ErasedType {
		return *f
	}
	return Fact{
		Position: f.Position, Known: f.Known, Event: f.Event, Category: f.Category, Type: f.Type, Erased: true,
		Occurred: f.Occurred, Day: f.Day, Recorded: f.Recorded, RecordedDay: f.RecordedDay, Lag: f.Lag, Late: f.Late,
		Actor: f.Actor, Role: f.Role, Unit: f.Unit, Person: f.Person, Case: f.Case,
	}
}

// kept are the columns of a skeleton.
var kept = []string{"position", "known", "event", "category", "type", "erased", "occurred", "day", "recorded", "recorded_day", "lag", "late",
	"actor", "role", "unit", "person", "case"}

// erase cuts a file's rows that are still to be sent.
func (r *rows) erase(x erased) {
	r.erased = append(r.erased, x)
	for i := range r.facts {
		if f := &r.facts[i]; x.has(f) {
			*f = f.skeleton()
		}
	}
	r.revisions = slices.DeleteFunc(r.revisions, func(f Fact) bool { return x.has(&f) })
	if x.isCase {
		r.duties = slices.DeleteFunc(r.duties, func(d Duty) bool { return d.Case == x.id })
	}
}

// forget cuts the rows of erased files that are in the tables, and removes the snapshots of the files. When it has returned
// no query finds more; ClickHouse removes the parts that it replaced some minutes later. It can be done again.
func (s *Store) forget(ctx context.Context, files []erased) error {
	if len(files) == 0 {
		return nil
	}
	var all, cases []string
	for _, x := range files {
		s.folder.drop(x.stream)
		all = append(all, "("+x.where()+")")
		if x.isCase {
			cases = append(cases, x.where())
		}
	}
	where := strings.Join(all, " OR ")
	var blank []string
	for _, c := range factColumns {
		if !slices.Contains(kept, c.name) {
			blank = append(blank, "`"+c.name+"` = defaultValueOfTypeName('"+strings.ReplaceAll(c.kind, "'", "\\'")+"')")
		}
	}
	run := []string{
		"ALTER TABLE " + factsTable + " UPDATE erased = true, " + strings.Join(blank, ", ") +
			" WHERE NOT erased AND type != '" + record.ErasedType + "' AND (" + where + ")",
		"ALTER TABLE " + revisionsTable + " DELETE WHERE " + where,
	}
	if len(cases) > 0 {
		run = append(run, "ALTER TABLE "+dutiesTable+" DELETE WHERE "+strings.Join(cases, " OR "))
	}
	for _, sql := range run {
		if err := s.conn.Exec(ctx, sql+" SETTINGS mutations_sync = 1"); err != nil {
			return unavailable(fmt.Errorf("remove what the tables hold of erased files: %w", err))
		}
	}
	return s.forgetSnapshots(ctx, files)
}

func (s *Store) forgetSnapshots(ctx context.Context, files []erased) error {
	err := s.file.Write(ctx, func(c *sealed.Conn) error {
		for _, x := range files {
			q, err := c.Stmt(`DELETE FROM snapshots WHERE stream = ?`)
			if err != nil {
				return err
			}
			if err := errors.Join(q.BindText(1, x.stream), q.Exec()); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		err = s.file.Purge(ctx)
	}
	if err != nil {
		return fmt.Errorf("remove the snapshots of erased files: %w", err)
	}
	return nil
}
