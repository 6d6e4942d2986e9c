package oversight

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/ncruces/go-sqlite3"

	"yidang/domain/vault/sealed"
)

// schemaVersion changes with the schema and with anything that makes rows of the same events differ. A file of another
// version is built again.
const schemaVersion = 1

// Officers, posts, units, roles, types and other codes are numbers of names, 0 for none. Other ids are 16 bytes; none is
// NULL, and "the same as the one before it says" is an empty blob: person and kase as file, cause as command. Times are
// unix milliseconds, 0 for none.
const schema = `
CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE names (n INTEGER PRIMARY KEY, value BLOB NOT NULL UNIQUE) STRICT;
CREATE TABLE entries (
	position INTEGER PRIMARY KEY, id BLOB NOT NULL, kind INTEGER NOT NULL, file BLOB NOT NULL, revision INTEGER NOT NULL,
	type INTEGER NOT NULL, actor INTEGER NOT NULL, post INTEGER NOT NULL, role INTEGER NOT NULL, unit INTEGER NOT NULL,
	person BLOB, kase BLOB, occurred INTEGER NOT NULL, recorded INTEGER NOT NULL, late INTEGER NOT NULL,
	command BLOB, cause BLOB,
	approval INTEGER NOT NULL, -- position of the approval it was recorded with
	link BLOB -- of an amendment: the entry it names; of an answer: the proposal
) STRICT;
CREATE TABLE reads (
	position INTEGER PRIMARY KEY, id BLOB NOT NULL, file BLOB NOT NULL, revision INTEGER NOT NULL, actor INTEGER NOT NULL,
	post INTEGER NOT NULL, role INTEGER NOT NULL, unit INTEGER NOT NULL, person BLOB, kase BLOB, recorded INTEGER NOT NULL,
	what INTEGER NOT NULL, purpose INTEGER NOT NULL, flags INTEGER NOT NULL, people BLOB
) STRICT;
CREATE TABLE blocks ( -- what the lists of a block cover: after from_, up to upto
	n INTEGER PRIMARY KEY, from_ INTEGER NOT NULL, upto INTEGER NOT NULL, size INTEGER NOT NULL,
	recorded_min INTEGER NOT NULL, recorded_max INTEGER NOT NULL, occurred_min INTEGER NOT NULL, occurred_max INTEGER NOT NULL
) STRICT;
CREATE TABLE lists (block INTEGER NOT NULL, key INTEGER NOT NULL, list BLOB NOT NULL, PRIMARY KEY (block, key)) STRICT, WITHOUT ROWID;
-- What follows has few rows. Nothing here is more than what the events say; what counts after all amendments is worked
-- out from it, in amended when a row is written, in the others when they are read.
CREATE TABLE amendments (
	position INTEGER PRIMARY KEY, id BLOB NOT NULL, target BLOB NOT NULL, target_position INTEGER NOT NULL, void INTEGER NOT NULL,
	role INTEGER NOT NULL, lead INTEGER NOT NULL, since INTEGER NOT NULL -- of a corrected responsibility, as it should have been
) STRICT;
CREATE INDEX amendments_target ON amendments (target);
CREATE TABLE amended (position INTEGER PRIMARY KEY, voided INTEGER NOT NULL, corrected INTEGER NOT NULL) STRICT; -- by position
CREATE TABLE approvals (command BLOB NOT NULL, file BLOB NOT NULL, position INTEGER NOT NULL, PRIMARY KEY (command, file)) STRICT, WITHOUT ROWID;
CREATE TABLE proposals (
	position INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, kind INTEGER NOT NULL, file BLOB NOT NULL, person BLOB, kase BLOB,
	command INTEGER NOT NULL, proposer INTEGER NOT NULL, post INTEGER NOT NULL, role INTEGER NOT NULL, unit INTEGER NOT NULL,
	proposed INTEGER NOT NULL, expires INTEGER NOT NULL,
	status INTEGER NOT NULL, answer INTEGER NOT NULL, answerer INTEGER NOT NULL, answered INTEGER NOT NULL
) STRICT;
CREATE INDEX proposals_open ON proposals (position) WHERE status = 0;
CREATE TABLE glasses (
	position INTEGER PRIMARY KEY, id BLOB NOT NULL, officer INTEGER NOT NULL, post INTEGER NOT NULL, role INTEGER NOT NULL,
	unit INTEGER NOT NULL, person BLOB, until INTEGER NOT NULL, recorded INTEGER NOT NULL
) STRICT;
CREATE TABLE links (file BLOB NOT NULL, position INTEGER NOT NULL, into_ BLOB, PRIMARY KEY (file, position)) STRICT, WITHOUT ROWID;
CREATE INDEX links_into ON links (into_);
CREATE TABLE parts (
	person BLOB NOT NULL, kase BLOB NOT NULL, position INTEGER NOT NULL, step INTEGER NOT NULL, officer INTEGER NOT NULL,
	role INTEGER NOT NULL, lead INTEGER NOT NULL, since INTEGER NOT NULL, PRIMARY KEY (person, kase, position)
) STRICT, WITHOUT ROWID;
CREATE TABLE erasures (file BLOB NOT NULL, kind INTEGER NOT NULL, position INTEGER NOT NULL, PRIMARY KEY (file, kind)) STRICT, WITHOUT ROWID;
`

// start makes the tables of a new file, and reads what an old one says of itself.
func (x *Index) start(ctx context.Context) error {
	err := x.db.Write(ctx, func(c *sealed.Conn) error {
		version, err := single(c, `PRAGMA user_version`)
		if err != nil {
			return err
		}
		if version == 0 {
			if err := c.Exec(schema + fmt.Sprintf(`PRAGMA user_version = %d`, schemaVersion)); err != nil {
				return err
			}
			return setMeta(c, "block", int64(x.o.Block))
		}
		if version != schemaVersion {
			return fmt.Errorf("%w: schema %d, this program has %d", errUnusable, version, schemaVersion)
		}
		block, err := single(c, `SELECT value FROM meta WHERE key = 'block'`)
		if err == nil && block != int64(x.o.Block) {
			err = fmt.Errorf("%w: blocks of %d events, this program has %d", errUnusable, block, x.o.Block)
		}
		return err
	})
	if err == nil {
		err = x.load(ctx)
	}
	return corrupt(err)
}

// load reads what is kept in memory: at the start, and after a transaction that failed.
func (x *Index) load(ctx context.Context) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.db.Write(ctx, func(c *sealed.Conn) error {
		position, _, err := checkpoint(c)
		if err != nil {
			return err
		}
		ready, err := single(c, `SELECT value FROM meta WHERE key = 'ready'`)
		if err != nil {
			return err
		}
		all, err := loadNames(c)
		if err != nil {
			return err
		}
		blocks, err := loadBlocks(c)
		if err != nil {
			return err
		}
		t := newTail(0)
		if n := len(blocks); n > 0 {
			t.from = blocks[n-1].upto
		}
		if err := t.load(c); err != nil {
			return err
		}
		if x.names == nil {
			x.names = all
		} else {
			x.names.replace(all)
		}
		x.position, x.blocks, x.tail = position, blocks, t
		x.ready.Store(x.ready.Load() || ready != 0)
		return nil
	})
}

func checkpoint(c *sealed.Conn) (position uint64, started bool, err error) {
	err = query(c, `SELECT value FROM meta WHERE key = 'position'`, nil, func(st *sqlite3.Stmt) error {
		position, started = uint64(st.ColumnInt64(0)), true
		return nil
	})
	return position, started, err
}

func setMeta(c *sealed.Conn, key string, n int64) error {
	return exec(c, `INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value`, key, n)
}

// The words of the connection, short: they are on every line.
func exec(c *sealed.Conn, sql string, args ...any) error { return c.Do(sql, args...) }

func query(c *sealed.Conn, sql string, args []any, row func(*sqlite3.Stmt) error) error {
	return c.Each(sql, args, row)
}

func single(c *sealed.Conn, sql string, args ...any) (int64, error) { return c.Number(sql, args...) }

// blob is an id as it is stored, NULL for none.
func blob(id uuid.UUID) []byte {
	if id == uuid.Nil {
		return nil
	}
	return id[:]
}

// blobAs is blob beside another id of the row that it mostly equals.
func blobAs(id, other uuid.UUID) []byte {
	if id != uuid.Nil && id == other {
		return []byte{}
	}
	return blob(id)
}

// columnID reads what blob stored.
func columnID(st *sqlite3.Stmt, i int) (id uuid.UUID) {
	copy(id[:], st.ColumnRawBlob(i))
	return id
}

// columnAs reads what blobAs stored.
func columnAs(st *sqlite3.Stmt, i int, other uuid.UUID) uuid.UUID {
	if raw := st.ColumnRawBlob(i); len(raw) > 0 || st.ColumnType(i) == sqlite3.NULL {
		return columnID(st, i)
	}
	return other
}

func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func instant(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
