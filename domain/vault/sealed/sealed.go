// Package sealed opens SQLite databases whose files are encrypted, with a key from the vault.
//
// Pages, the write-ahead log and temporary files go through Adiantum, a wide-block cipher made for disks (go-sqlite3's
// vfs/adiantum; its AES-XTS was measured beside it and took twice as long). As with an encrypted disk, who holds the files
// learns their size, which 4 KiB blocks change from one copy to the next and which return to what they were, and so how
// busy the database is and where; the shared-memory file shows page numbers. Blocks are not authenticated: who can write
// to the files can garble them or put old blocks back, which SQLite may or may not notice. Keep here only what can be
// rebuilt from the journal, whose events are authenticated.
package sealed

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/driver"
	"github.com/ncruces/go-sqlite3/vfs"
	_ "github.com/ncruces/go-sqlite3/vfs/adiantum" // makes the encrypting VFS known to SQLite

	"yidang/domain/record"
	"yidang/domain/vault/internal/sqlitefile"
)

// KeySize is the size of a database's key, that of vault.Secret.
const KeySize = 32

const (
	cipherVFS   = "adiantum"
	gatheredVFS = "adiantum-gathered" // the same with gatherVFS above it
)

// Options says how a database is used. The zero value suits a view.
type Options struct {
	Readers int // how many Read calls run at once; zero means 4

	// Durable makes every Write survive a power cut before it returns. Without it a power cut may take the last
	// writes, whole and from the end: enough for what keeps its journal position in the same transaction.
	Durable bool

	// WriterCache and ReaderCache are page caches in KiB per connection; zero means 32768 and 8192.
	WriterCache, ReaderCache int

	// CheckpointPages is how far the write-ahead log grows before its pages are copied into the file; zero means 8192
	// (32 MiB). A page written many times in between is copied once.
	CheckpointPages int
}

func (o Options) withDefaults() Options {
	for field, zero := range map[*int]int{
		&o.Readers: 4, &o.WriterCache: 32768, &o.ReaderCache: 8192, &o.CheckpointPages: 8192,
	} {
		if *field <= 0 {
			*field = zero
		}
	}
	return o
}

// DB is one connection that writes and several that read, each with its prepared statements. Readers never wait for the
// writer, nor it for them. It is safe for concurrent use.
type DB struct {
	writer  chan *Conn
	readers chan *Conn
	closed  chan struct{}
}

// Open opens an encrypted database, or creates it. It answers Invalid, and changes nothing, when the key is not the
// file's.
func Open(path string, key []byte, o Options) (*DB, error) {
	o = o.withDefaults()
	if err := checkKey(path, key); err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	d := &DB{writer: make(chan *Conn, 1), readers: make(chan *Conn, o.Readers), closed: make(chan struct{})}
	vfs.Register(gatheredVFS, gatherVFS{vfs.Find(cipherVFS)}) // again each time, which changes nothing
	var all []*Conn
	for i := range 1 + o.Readers {
		c, err := connect(path, gatheredVFS, key, o, i > 0)
		if err != nil {
			errs := []error{fmt.Errorf("open %s: %w", path, err)}
			for _, c := range all {
				errs = append(errs, c.Close())
			}
			return nil, errors.Join(errs...)
		}
		all = append(all, c)
	}
	d.writer <- all[0]
	for _, c := range all[1:] {
		d.readers <- c
	}
	return d, nil
}

// OpenSQL is Open for code that wants database/sql. Every connection of the pool has the key and the pragmas; the pool
// holds at most o.Readers connections, and transactions begin immediate.
func OpenSQL(path string, key []byte, o Options) (*sql.DB, error) {
	o = o.withDefaults()
	if err := checkKey(path, key); err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	// The first connection creates the file with its mode; the pool's own open what is there.
	first, err := connect(path, cipherVFS, key, o, false)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	if err := first.Close(); err != nil {
		return nil, err
	}
	db, err := driver.Open(sqlitefile.URI(abs, url.Values{"vfs": {cipherVFS}}), func(c *sqlite3.Conn) error {
		return setUp(c, key, o, false)
	})
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	db.SetMaxOpenConns(o.Readers)
	db.SetMaxIdleConns(o.Readers)
	return db, nil
}

// checkKey reads the first page with the key, leaving the write-ahead log alone. Opening a database with a wrong key would
// take its log for garbage and delete it on closing, with what a crash had left in it.
func checkKey(path string, key []byte) error {
	if len(key) != KeySize {
		return record.Errorf(record.Invalid, "a key has %d bytes, not %d", KeySize, len(key))
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() == 0 {
		return nil // new: any key becomes its key
	}
	if err != nil {
		return err
	}
	db, err := sqlite3.OpenFlags(sqlitefile.URI(path, url.Values{"vfs": {cipherVFS}, "immutable": {"1"}}),
		sqlite3.OPEN_READONLY|sqlite3.OPEN_URI)
	if err != nil {
		return err
	}
	if err = giveKey(db, key); err == nil {
		err = sqlitefile.Query(db, `PRAGMA user_version`, func(*sqlite3.Stmt) {})
	}
	if errors.Is(err, sqlite3.NOTADB) {
		p := record.Errorf(record.Invalid, "the key does not open the file, or its first page is damaged")
		p.Remedy = "open it with the vault it was made with; if it is a view, delete it and rebuild"
		err = p
	}
	return errors.Join(err, db.Close())
}

func connect(path, through string, key []byte, o Options, reader bool) (*Conn, error) {
	db, err := sqlitefile.Open(path, url.Values{"vfs": {through}}, func(db *sqlite3.Conn) error {
		return setUp(db, key, o, reader)
	})
	if err != nil {
		return nil, err
	}
	return &Conn{Conn: db, stmts: map[string]*sqlite3.Stmt{}}, nil
}

// giveKey keeps the key out of the URI, which SQLite hands around, and out of errors.
func giveKey(db *sqlite3.Conn, key []byte) error {
	if err := db.Exec(`PRAGMA hexkey = '` + hex.EncodeToString(key) + `'`); err != nil {
		return errors.New("the encrypting VFS did not take the key")
	}
	return nil
}

// setUp is run on every connection before anything else: pragmas belong to connections, not to databases.
func setUp(db *sqlite3.Conn, key []byte, o Options, reader bool) error {
	if err := giveKey(db, key); err != nil {
		return err
	}
	return pragmas(db, o, reader)
}

func pragmas(db *sqlite3.Conn, o Options, reader bool) error {
	synchronous, cache := "NORMAL", o.WriterCache
	if o.Durable {
		synchronous = "FULL"
	}
	if reader {
		cache = o.ReaderCache
	}
	// Temporary files would be encrypted too, but slowly.
	sql := fmt.Sprintf(`PRAGMA busy_timeout = 10000; PRAGMA temp_store = memory; PRAGMA journal_mode = wal;
		PRAGMA synchronous = %s; PRAGMA cache_size = -%d; PRAGMA wal_autocheckpoint = %d; PRAGMA foreign_keys = on;
		PRAGMA secure_delete = on;`, // see Purge; it costs a few percent of writing
		synchronous, cache, o.CheckpointPages)
	if reader {
		sql += `PRAGMA query_only = on;`
	}
	if err := db.Exec(sql); err != nil {
		return err
	}
	var mode string
	err := sqlitefile.Query(db, `PRAGMA journal_mode`, func(s *sqlite3.Stmt) { mode = s.ColumnText(0) })
	if err == nil && mode != "wal" {
		err = fmt.Errorf("journal_mode is %q, not wal: the file system lacks what it needs", mode)
	}
	return err
}

// Write runs f in the one write transaction there can be: committed when f returns nil, else rolled back. f must not keep
// the connection or its statements.
func (d *DB) Write(ctx context.Context, f func(*Conn) error) error {
	return d.use(ctx, d.writer, `BEGIN IMMEDIATE`, f)
}

// Read runs f on one snapshot of the database. f must not keep the connection or its statements.
func (d *DB) Read(ctx context.Context, f func(*Conn) error) error {
	return d.use(ctx, d.readers, `BEGIN DEFERRED`, f)
}

func (d *DB) use(ctx context.Context, pool chan *Conn, begin string, f func(*Conn) error) error {
	select {
	case c := <-pool:
		defer func() { pool <- c }()
		return c.transact(ctx, begin, f)
	case <-d.closed:
		return record.Errorf(record.Unavailable, "the database is closed")
	case <-ctx.Done():
		return record.Errorf(record.Unavailable, "no connection to the database is free: %w", ctx.Err())
	}
}

// Purge copies the write-ahead log into the file and empties it. What is deleted is overwritten (secure_delete), so once
// Purge has returned, nothing of what was deleted before can be read from either file with the key, which lives on when a
// stream's key was destroyed. It waits for reads in hand, up to the busy timeout.
func (d *DB) Purge(ctx context.Context) error {
	select {
	case c := <-d.writer:
		defer func() { d.writer <- c }()
		defer c.SetInterrupt(c.SetInterrupt(ctx))
		_, _, err := c.WALCheckpoint("main", sqlite3.CHECKPOINT_TRUNCATE)
		return err
	case <-d.closed:
		return record.Errorf(record.Unavailable, "the database is closed")
	case <-ctx.Done():
		return record.Errorf(record.Unavailable, "the connection that writes is not free: %w", ctx.Err())
	}
}

// Close waits for the calls in hand and closes the files. It is called once.
func (d *DB) Close() error {
	close(d.closed)
	// Readers first: the last connection to close empties the write-ahead log, and that takes a writer.
	var errs []error
	for range cap(d.readers) {
		errs = append(errs, (<-d.readers).Close())
	}
	return errors.Join(append(errs, (<-d.writer).Close())...)
}
