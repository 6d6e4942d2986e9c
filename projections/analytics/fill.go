package analytics

import (
	"context"
	"errors"

	"yidang/domain/record"
	"yidang/domain/vault/sealed"
	"yidang/projections/follow"
)

// Backfill loads a long log into empty tables, file by file instead of in the order of the log, so that each case is folded
// once however many there are. The rows are the same: a row is known by the position of its event. It does nothing when
// loading has begun already. A backfill that was cut short goes on where it was; parts that were sent twice count once.
func (s *Store) Backfill(ctx context.Context, o follow.BackfillOptions) error {
	_, started, err := s.Checkpoint(ctx)
	if err != nil || started {
		return err
	}
	until, err := follow.Backfill(ctx, s, o)
	if errors.Is(err, follow.ErrSpoolLost) {
		if err := s.fileWrite(ctx, follow.Part{}, false); err != nil {
			return err
		}
		until, err = follow.Backfill(ctx, s, o)
	}
	if err == nil {
		s.position.Store(until)
	}
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

// Fill is documented at follow.Target. Cases are whole in a part, so nothing of them is kept: the next event of one reads
// its stream.
func (s *Store) Fill(ctx context.Context, events []record.Event, p follow.Part) error {
	defer s.folder.reset()
	add, err := s.derive(ctx, events)
	if err != nil {
		return err
	}
	if err := s.send(ctx, add); err != nil {
		return err
	}
	return s.fileWrite(ctx, p, p.Whole())
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
