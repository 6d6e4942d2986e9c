package vault

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/ncruces/go-sqlite3"
	"github.com/tink-crypto/tink-go/v2/tink"

	"yidang/domain/record"
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
	// SQLite would create the file readable by everybody; modeof in the DSN gives its log the same mode.
	f, err := os.OpenFile(o.Path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := f.Close(); err != nil {
		return nil, err
	}
	db, err := sqlite3.Open(dsn(o))
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
	db, err := sqlite3.Open(dsn(o))
	if err != nil {
		return nil, err
	}
	return prepare(db)
}

func dsn(o Options) string {
	q := url.Values{"_pragma": {"busy_timeout(10000)", "journal_mode(wal)", "synchronous(full)", "secure_delete(on)",
		"temp_store(memory)", "cache_size(-2000)"}}
	if o.vfs != "" {
		q.Set("vfs", o.vfs)
	}
	path, err := filepath.Abs(o.Path)
	if err != nil {
		path = o.Path // there is no working directory; SQLite will say so
	}
	q.Set("modeof", path)
	return (&url.URL{Scheme: "file", Path: path, RawQuery: q.Encode()}).String()
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
	var version string
	var have int
	if err := queryRow(db, `SELECT sqlite_version()`, func(s *sqlite3.Stmt) { version = s.ColumnText(0) }); err != nil {
		return err
	}
	if !atLeast(version, 3, 51, 3) { // resetting a write-ahead log could corrupt the file before
		return fmt.Errorf("SQLite %s is too old: 3.51.3 is needed", version)
	}
	tx, err := db.BeginImmediate()
	if err != nil {
		return err
	}
	defer tx.End(&err)
	if err := queryRow(db, `PRAGMA user_version`, func(s *sqlite3.Stmt) { have = s.ColumnInt(0) }); err != nil {
		return err
	}
	switch have {
	case 0:
		return db.Exec(schema)
	case schemaVersion:
		return nil
	}
	return fmt.Errorf("the vault has form %d and this program knows %d: use a newer program", have, schemaVersion)
}

func atLeast(version string, want ...int) bool {
	var have [3]int
	if n, _ := fmt.Sscanf(version, "%d.%d.%d", &have[0], &have[1], &have[2]); n != 3 {
		return false
	}
	for i, w := range want {
		if have[i] != w {
			return have[i] > w
		}
	}
	return true
}

// queryRow runs a statement and calls row for each row of its result.
func queryRow(db *sqlite3.Conn, sql string, row func(*sqlite3.Stmt)) error {
	s, _, err := db.Prepare(sql)
	if err != nil {
		return err
	}
	for s.Step() {
		row(s)
	}
	return errors.Join(s.Err(), s.Close())
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
	err := queryRow(c.Conn, `SELECT stream FROM erased`, func(s *sqlite3.Stmt) { erased[s.ColumnText(0)] = struct{}{} })
	return erased, err
}

// loadRoot opens the root and the master secret, making both when the vault is new.
func (c *conn) loadRoot(ctx context.Context, w Wrapper) (tink.AEAD, []byte, error) {
	var id string
	var wrapped, sealedMaster []byte
	err := queryRow(c.Conn, `SELECT wrapper, wrapped, master FROM root`, func(s *sqlite3.Stmt) {
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
