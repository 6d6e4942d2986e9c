package analytics

import (
	"context"
	"errors"
	"sync"

	"github.com/ClickHouse/clickhouse-go/v2"

	"yidang/domain/record"
	"yidang/domain/vault/sealed"
	"yidang/projections/follow"
)

// Backfill loads a long log into empty tables, file by file instead of in the order of the log, so that each case is folded
// once however many there are. The rows are the same: a row is known by the position of its event. It does nothing when
// loading has begun already. A backfill that was cut short goes on where it was; parts that were sent twice count once.
//
// ClickHouse goes on merging what it has after Backfill returned, until ctx ends; Close waits for it.
func (s *Store) Backfill(ctx context.Context, o follow.BackfillOptions) error {
	_, started, err := s.Checkpoint(ctx)
	if err != nil || started {
		return err
	}
	// Every part reaches over the whole log, so that nothing is won by merging some of them before all are there.
	s.each(ctx, "SYSTEM STOP MERGES ", "")
	until, err := s.backfill(ctx, o)
	if errors.Is(err, follow.ErrSpoolLost) {
		if err = s.fileWrite(ctx, follow.Part{}, false); err == nil {
			until, err = s.backfill(ctx, o)
		}
	}
	s.each(context.WithoutCancel(ctx), "SYSTEM START MERGES ", "")
	if err != nil {
		return err
	}
	s.position.Store(until)
	// Reports answer from here on. They are slower until the parts are merged: then FINAL has nothing to do.
	s.merging.Go(func() { s.each(ctx, "OPTIMIZE TABLE ", " FINAL") })
	return nil
}

func (s *Store) backfill(ctx context.Context, o follow.BackfillOptions) (until uint64, err error) {
	f := &filler{Store: s}
	until, err = follow.Backfill(ctx, f, o)
	return until, errors.Join(err, f.sent())
}

// each runs a statement on every table at once. It is for what is of use but not needed, such as a server may not allow.
func (s *Store) each(ctx context.Context, before, after string) {
	var all sync.WaitGroup
	for _, table := range []string{factsTable, revisionsTable, dutiesTable} {
		all.Go(func() {
			if err := s.conn.Exec(ctx, before+table+after); err != nil && ctx.Err() == nil {
				s.o.Log.WarnContext(ctx, "reports: not done", "statement", before+table+after, "error", err)
			}
		})
	}
	all.Wait()
}

// filler is the Store as a target: while the rows of one part are sent, those of the next are derived.
type filler struct {
	*Store
	sending chan error // what becomes of the part that is sent; nil when there is none
	rows    rows       // being sent
	spare   rows       // sent: their memory is for the next part
}

// Fill is documented at follow.Target. It returns before the part is stored, except the last one; that a part was not is
// told by the next call, or by sent. Cases are whole in a part, so nothing of them is kept: the next event of one reads its
// stream.
func (f *filler) Fill(ctx context.Context, events []record.Event, p follow.Part) error {
	defer f.folder.reset()
	add, err := f.derive(ctx, events, f.spare)
	if err := errors.Join(err, f.sent()); err != nil {
		return err
	}
	f.rows, f.spare = add, f.rows
	f.sending = make(chan error, 1)
	go func() {
		err := f.sendAtOnce(ctx, add)
		if err == nil {
			err = f.fileWrite(ctx, p, p.Whole())
		}
		f.sending <- err
	}()
	if p.Whole() {
		return f.sent()
	}
	return nil
}

// sendAtOnce sends rows in no order, for no report looks at a position before the last part is stored. Looking for equal
// rows in each part would be lost work: all parts are merged in the end.
func (f *filler) sendAtOnce(ctx context.Context, add rows) error {
	ctx = clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings{"optimize_on_insert": 0}))
	facts := make(chan error, 1)
	go func() { facts <- insert(ctx, f.conn, factsTable, factColumns, add.facts) }()
	err := insert(ctx, f.conn, dutiesTable, dutyColumns, add.duties)
	if err == nil {
		err = insert(ctx, f.conn, revisionsTable, factColumns, add.revisions)
	}
	return errors.Join(err, <-facts)
}

// sent waits until nothing is being sent.
func (f *filler) sent() error {
	if f.sending == nil {
		return nil
	}
	err := <-f.sending
	f.sending = nil
	return err
}

// Filled is documented at follow.Target.
func (s *Store) Filled(ctx context.Context) (p follow.Part, err error) {
	err = s.file.Read(ctx, func(c *sealed.Conn) error {
		q, err := c.Stmt(`SELECT until, done, parts FROM fill`)
		if err != nil {
			return err
		}
		if q.Step() {
			p = follow.Part{Until: uint64(q.ColumnInt64(0)), Done: q.ColumnInt(1), Of: q.ColumnInt(2)}
		}
		return q.Err()
	})
	return p, err
}

func (s *Store) fileWrite(ctx context.Context, p follow.Part, whole bool) error {
	return s.file.Write(ctx, func(c *sealed.Conn) error {
		q, err := c.Stmt(`INSERT INTO fill VALUES (1, ?, ?, ?) ON CONFLICT DO UPDATE SET until = excluded.until, done = excluded.done, parts = excluded.parts`)
		if err != nil {
			return err
		}
		if err := errors.Join(q.BindInt64(1, int64(p.Until)), q.BindInt(2, p.Done), q.BindInt(3, p.Of), q.Exec()); err != nil || !whole {
			return err
		}
		u, err := c.Stmt(`UPDATE checkpoint SET position = ?, started = 1`)
		if err != nil {
			return err
		}
		return errors.Join(u.BindInt64(1, int64(p.Until)), u.Exec())
	})
}
