package vault

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"time"

	"github.com/ncruces/go-sqlite3"
	"github.com/tink-crypto/tink-go/v2/tink"

	"yidang/domain/record"
	"yidang/domain/vault/internal/sqlitefile"
)

const (
	readerConns   = 2
	schemaVersion = 1

	rootAAD   = "yidang vault root"
	masterAAD = "yidang vault master"
)

// A key's bytes are written once, to a row at the end of the table, and overwritten there. Rows of keys are never deleted
// and never change size, so SQLite has no reason to move one to another page and leave a copy of it behind.
const schema = `
CREATE TABLE root (
	id      INTEGER PRIMARY KEY CHECK (id = 1),
	wrapper TEXT NOT NULL, -- ID of the wrapper that opens wrapped
	wrapped BLOB NOT NULL,
	master  BLOB NOT NULL  -- wrapped by the root
) STRICT;
CREATE TABLE keys (
	slot    INTEGER PRIMARY KEY,
	stream  TEXT NOT NULL UNIQUE,
	created INTEGER NOT NULL, -- unix milliseconds
	wrapped BLOB NOT NULL     -- wrapped by the root; as many zero bytes once destroyed
) STRICT;
CREATE TABLE erased (
	stream TEXT PRIMARY KEY,
	at     INTEGER NOT NULL, -- unix milliseconds
	reason TEXT NOT NULL
) STRICT;
PRAGMA user_version = 1;
`

// conn is a connection with the statements it needs, prepared once. It serves one goroutine at a time.
type conn struct {
	*sqlite3.Conn
	selectKey *sqlite3.Stmt
	insertKey *sqlite3.Stmt
}

// openFile opens the connection that writes, creating the file when there is none.
func openFile(o Options) (*conn, error) {
	db, err := sqlitefile.Open(o.Path, params(o), nil)
	if err != nil {
		return nil, err
	}
	err = migrate(db)
	if err == nil {
		// The names of the file and of its log must survive a crash as well as their content.
		err = syncDir(filepath.Dir(o.Path))
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return prepare(db)
}

func openConn(o Options) (*conn, error) {
	db, err := sqlitefile.Open(o.Path, params(o), nil)
	if err != nil {
		return nil, err
	}
	return prepare(db)
}

func params(o Options) url.Values {
	p := url.Values{"_pragma": {"busy_timeout(10000)", "journal_mode(wal)", "synchronous(full)", "secure_delete(on)",
		"temp_store(memory)", "cache_size(-2000)"}}
	if o.vfs != "" {
		p.Set("vfs", o.vfs)
	}
	return p
}

func prepare(db *sqlite3.Conn) (*conn, error) {
	c := &conn{Conn: db}
	var err error
	if c.selectKey, _, err = db.Prepare(`SELECT wrapped FROM keys WHERE stream = ?`); err == nil {
		c.insertKey, _, err = db.Prepare(`INSERT INTO keys (stream, created, wrapped) VALUES (?, ?, ?)`)
	}
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

func migrate(db *sqlite3.Conn) (err error) {
	tx, err := db.BeginImmediate()
	if err != nil {
		return err
	}
	defer tx.End(&err)
	var have int
	err = sqlitefile.Query(db, `PRAGMA user_version`, func(s *sqlite3.Stmt) { have = s.ColumnInt(0) })
	switch {
	case err != nil:
		return err
	case have == 0:
		return db.Exec(schema)
	case have == schemaVersion:
		return nil
	}
	return fmt.Errorf("the vault has form %d and this program knows %d: use a newer program", have, schemaVersion)
}

func (c *conn) Close() error {
	return errors.Join(c.selectKey.Close(), c.insertKey.Close(), c.Conn.Close())
}

// readKey returns the wrapped key of a stream, or errNoKey.
func (c *conn) readKey(stream string) ([]byte, error) {
	s := c.selectKey
	if err := s.BindText(1, stream); err != nil {
		return nil, fmt.Errorf("read the key of %s: %w", stream, err)
	}
	var wrapped []byte
	if s.Step() {
		wrapped = s.ColumnBlob(0, nil)
	}
	if err := s.Reset(); err != nil {
		return nil, record.Errorf(record.Unavailable, "read the key of %s: %w", stream, err)
	}
	if wrapped == nil {
		return nil, errNoKey
	}
	return wrapped, nil
}

// writeKey adds a new stream's wrapped key within the transaction that is open.
func (c *conn) writeKey(stream string, wrapped []byte) error {
	s := c.insertKey
	err := errors.Join(s.BindText(1, stream), s.BindInt64(2, time.Now().UnixMilli()), s.BindBlob(3, wrapped))
	if err != nil {
		return err
	}
	return s.Exec()
}

// flush moves the write-ahead log into the file and empties it.
func (c *conn) flush() error {
	if _, _, err := c.WALCheckpoint("main", sqlite3.CHECKPOINT_TRUNCATE); err != nil {
		return fmt.Errorf("empty the write-ahead log: %w", err)
	}
	return nil
}

func (c *conn) loadErased() (map[string]struct{}, error) {
	erased := map[string]struct{}{}
	err := sqlitefile.Query(c.Conn, `SELECT stream FROM erased`, func(s *sqlite3.Stmt) { erased[s.ColumnText(0)] = struct{}{} })
	return erased, err
}

// loadRoot opens the root and the master secret, making both when the vault is new.
func (c *conn) loadRoot(ctx context.Context, w Wrapper) (tink.AEAD, []byte, error) {
	var id string
	var wrapped, sealedMaster []byte
	err := sqlitefile.Query(c.Conn, `SELECT wrapper, wrapped, master FROM root`, func(s *sqlite3.Stmt) {
		id, wrapped, sealedMaster = s.ColumnText(0), s.ColumnBlob(1, nil), s.ColumnBlob(2, nil)
	})
	if err != nil {
		return nil, nil, err
	}
	if wrapped == nil {
		master := make([]byte, keyBytes)
		rand.Read(master)
		root, err := c.writeRoot(ctx, w, master)
		return root, master, err
	}
	if id != w.ID() {
		p := record.Errorf(record.Invalid, "the vault is wrapped by %q, not by %q", id, w.ID())
		p.Remedy = "give the key file or KMS key that wrapped the vault last; a missing key file comes from its backup"
		return nil, nil, p
	}
	raw, err := w.Unwrap(ctx, wrapped, []byte(rootAAD))
	if err != nil {
		return nil, nil, record.Errorf(record.Unavailable, "unwrap the vault's root by %s: %w", id, err)
	}
	root, err := newAEAD(raw)
	if err != nil {
		return nil, nil, err
	}
	master, err := root.Decrypt(sealedMaster, []byte(masterAAD))
	if err != nil {
		return nil, nil, fmt.Errorf("the vault's master secret is damaged; restore the vault from a backup: %w", err)
	}
	return root, master, nil
}

// writeRoot makes a new root and stores it, with the master secret under it.
func (c *conn) writeRoot(ctx context.Context, w Wrapper, master []byte) (tink.AEAD, error) {
	raw := make([]byte, keyBytes)
	rand.Read(raw)
	root, err := newAEAD(raw)
	if err != nil {
		return nil, err
	}
	wrapped, err := w.Wrap(ctx, raw, []byte(rootAAD))
	if err != nil {
		return nil, record.Errorf(record.Unavailable, "wrap the vault's root by %s: %w", w.ID(), err)
	}
	sealedMaster, err := root.Encrypt(master, []byte(masterAAD))
	if err != nil {
		return nil, err
	}
	s, _, err := c.Prepare(`INSERT INTO root (id, wrapper, wrapped, master) VALUES (1, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET wrapper = excluded.wrapper, wrapped = excluded.wrapped, master = excluded.master`)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	if err := errors.Join(s.BindText(1, w.ID()), s.BindBlob(2, wrapped), s.BindBlob(3, sealedMaster)); err != nil {
		return nil, err
	}
	return root, s.Exec()
}
