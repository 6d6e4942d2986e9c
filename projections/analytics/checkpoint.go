package analytics

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"yidang/domain/record"
	"yidang/domain/vault/sealed"
)

// layout is raised when the file's tables change: an older file is emptied, and ClickHouse is loaded again.
const layout = 3

// checkpoint is what the file says of the tables in ClickHouse.
type checkpoint struct {
	epoch    uuid.UUID // ties this file to the tables: one without the other is worth nothing
	position uint64
	started  bool
}

// openFile opens the encrypted file: the checkpoint and the snapshots of folded cases, which hold what cases hold.
func openFile(ctx context.Context, path string, key []byte) (*sealed.DB, error) {
	// A power cut may take the last transactions, whole: their rows are sent again.
	db, err := sealed.Open(path, key, sealed.Options{Readers: 1, WriterCache: 8192, ReaderCache: 1024})
	if err != nil {
		return nil, err
	}
	err = db.Write(ctx, func(c *sealed.Conn) error {
		version, _, err := c.Prepare(`PRAGMA user_version`)
		if err != nil {
			return err
		}
		version.Step()
		had := version.ColumnInt(0)
		if err := version.Close(); err != nil || had == layout {
			return err
		}
		return c.Exec(fmt.Sprintf(`
			DROP TABLE IF EXISTS checkpoint; DROP TABLE IF EXISTS snapshots; DROP TABLE IF EXISTS fill;
			CREATE TABLE checkpoint (one INTEGER PRIMARY KEY CHECK (one = 1), epoch TEXT NOT NULL, position INTEGER NOT NULL, started INTEGER NOT NULL) STRICT;
			CREATE TABLE snapshots (stream TEXT PRIMARY KEY, revision INTEGER NOT NULL, position INTEGER NOT NULL, erased INTEGER NOT NULL, state BLOB NOT NULL) STRICT, WITHOUT ROWID;
			CREATE TABLE fill (one INTEGER PRIMARY KEY CHECK (one = 1), until INTEGER NOT NULL, done INTEGER NOT NULL, parts INTEGER NOT NULL) STRICT;
			INSERT INTO checkpoint VALUES (1, '%s', 0, 0);
			PRAGMA user_version = %d;`, uuid.New(), layout))
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("prepare %s: %w", path, err), db.Close())
	}
	return db, nil
}

func readCheckpoint(ctx context.Context, db *sealed.DB) (c checkpoint, err error) {
	err = db.Read(ctx, func(conn *sealed.Conn) error {
		s, err := conn.Stmt(`SELECT epoch, position, started FROM checkpoint`)
		if err != nil {
			return err
		}
		if !s.Step() {
			return errors.Join(s.Err(), errors.New("the checkpoint is missing"))
		}
		c.position, c.started = uint64(s.ColumnInt64(1)), s.ColumnBool(2)
		c.epoch, err = uuid.Parse(s.ColumnText(0))
		return err
	})
	if err != nil {
		return c, fmt.Errorf("analytics: read the checkpoint: %w", err)
	}
	return c, nil
}

// restart forgets everything and ties the file to new tables.
func restart(ctx context.Context, db *sealed.DB, epoch uuid.UUID) error {
	return db.Write(ctx, func(c *sealed.Conn) error {
		if err := c.Exec(`DELETE FROM snapshots; DELETE FROM fill`); err != nil {
			return err
		}
		s, err := c.Stmt(`UPDATE checkpoint SET epoch = ?, position = 0, started = 0`)
		if err != nil {
			return err
		}
		return errors.Join(s.BindText(1, epoch.String()), s.Exec())
	})
}

// commit stores the checkpoint and the snapshots that are due, in one transaction.
func (s *Store) commit(ctx context.Context, position uint64) error {
	return s.file.Write(ctx, func(c *sealed.Conn) error {
		err := s.folder.trim(func(f *record.File) error { return saveSnapshot(c, f) })
		if err != nil {
			return fmt.Errorf("snapshots: %w", err)
		}
		u, err := c.Stmt(`UPDATE checkpoint SET position = ?, started = 1`)
		if err != nil {
			return err
		}
		return errors.Join(u.BindInt64(1, int64(position)), u.Exec())
	})
}

func saveSnapshot(c *sealed.Conn, f *record.File) error {
	state, err := json.Marshal(f.State)
	if err != nil {
		return err
	}
	s, err := c.Stmt(`INSERT INTO snapshots VALUES (?, ?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET revision = excluded.revision, position = excluded.position, erased = excluded.erased, state = excluded.state`)
	if err != nil {
		return err
	}
	return errors.Join(s.BindText(1, f.Stream), s.BindInt64(2, int64(f.Revision)), s.BindInt64(3, int64(f.Position)),
		s.BindBool(4, f.Erased), s.BindBlob(5, state), s.Exec())
}

// load brings a file to its snapshot, if there is one.
func (s *Store) load(ctx context.Context, f *record.File) error {
	err := s.file.Read(ctx, func(c *sealed.Conn) error {
		q, err := c.Stmt(`SELECT revision, position, erased, state FROM snapshots WHERE stream = ?`)
		if err != nil {
			return err
		}
		if err := q.BindText(1, f.Stream); err != nil {
			return err
		}
		if !q.Step() {
			return q.Err()
		}
		if err := json.Unmarshal(q.ColumnRawBlob(3), f.State); err != nil {
			return err
		}
		f.Exists, f.Revision, f.Position, f.Erased = true, uint64(q.ColumnInt64(0)), uint64(q.ColumnInt64(1)), q.ColumnBool(2)
		s.folder.resume(f)
		return nil
	})
	if err != nil {
		return fmt.Errorf("snapshot of %s: %w", f.Stream, err)
	}
	return nil
}
