// Package analytics loads the journal into ClickHouse as pseudonymous facts, for reports.
//
//   - No name, citizen id, phone, address or free text ever gets there. A fact is made from an event's metadata and facets;
//     people and cases are keyed hashes; a facet that does not look like a code is withheld. Of the data itself only the
//     notes of visits leave a trace, keyed hashes that tell whether two notes are alike; see Note.
//   - Rows are a function of the journal: the same events give the same rows, after crashes, restarts and re-runs. Rows go
//     to ClickHouse first, then the checkpoint and the folded cases go to a small encrypted file in one transaction. After a
//     crash in between, the same rows are sent again and replace themselves.
//   - Every figure is pinned to a position of the log. A void or a correction, and what follows from it, is a later word on earlier events:
//     it counts from its own position on, and a report at an earlier position stays what it was.
//   - Of a file whose key was destroyed only the metadata of its events is left, as it would be in tables filled today:
//     types, times, actors. Figures that rested on its content cannot be had again, at earlier positions neither: an
//     erasure (PIPL 47) comes before the report that was. What rests on metadata alone, such as who entered what how late,
//     stays; and since metadata does not say what was void, a voided entry of an erased file counts there again.
//
// One Store loads one database; two of them would undo each other's work.
package analytics

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/google/uuid"

	"yidang/domain/record"
	"yidang/domain/vault/sealed"
	"yidang/projections/follow"
)

// Options of a Store. Connection or Engine, Path, Key, MAC, Categories and History are required.
type Options struct {
	// Connection names a server: http://…, https://… or clickhouse://…, with user, password and database as ClickHouse
	// documents them. Tables go to that database, under names that begin with yidang_.
	Connection string
	Engine     *clickhouse.Options // the embedded engine's; used when Connection is empty

	Path       string // of the encrypted file with the checkpoint; made when missing, in a directory that exists
	Key        []byte // of that file, such as vault.Secret("analytics")
	MAC        MAC    // such as vault.MAC
	Categories follow.Categories
	History    follow.History

	Files int // how many folded cases stay in memory; 5,000 by default
	// Pace is the least time between two small inserts while events trickle in: ClickHouse wants few and large ones.
	// 250 ms by default.
	Pace time.Duration
	Log  *slog.Logger

	Packer *record.Packer // as in follow.StatesOptions
}

// Store is the ClickHouse side of the journal: a follow.Projection that loads it, and the place where reports query it.
type Store struct {
	o        Options
	conn     driver.Conn
	file     *sealed.DB
	folder   *folder
	epoch    uuid.UUID // of the tables that the checkpoint belongs to
	position atomic.Uint64
	ready    atomic.Bool // the tables are known to be those of the checkpoint
	inserted time.Time   // when the last rows went in
	merging  sync.WaitGroup
}

// ErrNoEngine is the answer when there is no ClickHouse at all.
var ErrNoEngine = &record.Problem{
	Kind: record.Unavailable, Message: "the ClickHouse engine is not installed", Zh: "统计引擎未安装",
	Remedy: "run make engine, or configure the address of a ClickHouse server",
}

// errNotReady is the answer of reports before the loader has seen its tables.
var errNotReady = &record.Problem{
	Kind: record.Unavailable, Message: "the loading of reports has not begun", Zh: "统计数据尚未开始装载", Remedy: "try again in a moment",
}

// Open opens the checkpoint file and prepares the connection. It does not wait for ClickHouse: Checkpoint does.
func Open(ctx context.Context, o Options) (*Store, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Pace == 0 {
		o.Pace = 250 * time.Millisecond
	}
	if o.Files == 0 {
		o.Files = 5000
	}
	target := o.Engine
	if o.Connection != "" {
		var err error
		if target, err = parseConnection(o.Connection); err != nil {
			return nil, err
		}
	}
	if target == nil {
		return nil, ErrNoEngine
	}
	s := &Store{o: o}
	var err error
	if s.conn, err = clickhouse.Open(target); err != nil {
		return nil, record.Errorf(record.Invalid, "analytics: the ClickHouse options are not usable")
	}
	if s.file, err = openFile(ctx, o.Path, o.Key); err != nil {
		return nil, errors.Join(fmt.Errorf("analytics: %w", err), s.conn.Close())
	}
	if s.folder, err = newFolder(o.MAC, o.Files, follow.StatesOptions{Categories: o.Categories, History: o.History, Load: s.load, Packer: o.Packer}); err != nil {
		return nil, errors.Join(fmt.Errorf("analytics: %w", err), s.file.Close(), s.conn.Close())
	}
	return s, nil
}

// CheckConnection says what is wrong with a connection string, as far as that shows without the server.
func CheckConnection(connection string) error {
	_, err := parseConnection(connection)
	return err
}

func parseConnection(connection string) (*clickhouse.Options, error) {
	o, err := clickhouse.ParseDSN(connection)
	scheme, _, _ := strings.Cut(connection, "://") // the parser takes any
	if err != nil || !slices.Contains([]string{"clickhouse", "http", "https"}, scheme) {
		// The parser's errors may quote the string, and with it the password.
		return nil, record.Errorf(record.Invalid, "analytics: the connection string is not one of ClickHouse (http://…, https://… or clickhouse://…)")
	}
	return o, nil
}

// Close closes the file and the connection. Nothing may be running.
func (s *Store) Close() error {
	s.merging.Wait()
	return errors.Join(s.file.Close(), s.conn.Close())
}

// Name is the projection's.
func (s *Store) Name() string { return "analytics" }

// Checkpoint waits until ClickHouse answers, since only then is it known whether the tables are those that the checkpoint
// belongs to. Tables of another schema, or of nobody, are made anew and the checkpoint begins at nothing.
func (s *Store) Checkpoint(ctx context.Context) (position uint64, started bool, err error) {
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, 5*time.Second) {
		position, started, err = s.prepare(ctx)
		if err == nil {
			s.position.Store(position)
			s.ready.Store(true)
			return position, started, nil
		}
		if record.KindOf(err) != record.Unavailable {
			return 0, false, err
		}
		s.o.Log.WarnContext(ctx, "reports wait for ClickHouse", "error", err)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return 0, false, err
		}
	}
}

func (s *Store) prepare(ctx context.Context) (position uint64, started bool, err error) {
	c, err := readCheckpoint(ctx, s.file)
	if err != nil {
		return 0, false, err
	}
	s.epoch = c.epoch
	there, err := loadedBy(ctx, s.conn, c.epoch)
	if err != nil || there {
		return c.position, c.started, err
	}
	s.o.Log.InfoContext(ctx, "reports: the tables are made anew", "schema", schema())
	s.epoch = uuid.New()
	s.folder.reset()
	if err := restart(ctx, s.file, s.epoch); err != nil {
		return 0, false, err
	}
	return 0, false, rebuild(ctx, s.conn, s.epoch)
}

// Position is up to where reports may look: every row of it is there. Unavailable before the loader began.
func (s *Store) Position() (uint64, error) {
	if s == nil {
		return 0, ErrNoEngine
	}
	if !s.ready.Load() {
		return 0, errNotReady
	}
	return s.position.Load(), nil
}

// Query runs a SELECT with the engine's own parameters, {name:Type} in the text. Errors are Unavailable when the engine
// does not answer, or cannot at the moment.
func (s *Store) Query(ctx context.Context, sql string, parameters map[string]string) (driver.Rows, error) {
	if s == nil {
		return nil, ErrNoEngine
	}
	rows, err := s.conn.Query(clickhouse.Context(ctx, clickhouse.WithParameters(parameters), clickhouse.WithSettings(settings)), sql)
	if err != nil {
		return nil, Unavailable(err)
	}
	return rows, nil
}

// settings of every query. Rows of one key are copies of each other, so a filter may run before FINAL picks one of them.
var settings = clickhouse.Settings{"optimize_move_to_prewhere_if_final": 1}

// Unavailable gives an error of the driver its kind: what the engine says of a query is a defect of ours, unless it says
// that it has too much to do; anything else means that it does not answer.
func Unavailable(err error) error { return unavailable(err) }

// What the engine answers when it could do it at another time: too slow, too many queries, no memory, read-only, too many
// parts.
var busy = map[int32]bool{159: true, 202: true, 241: true, 242: true, 243: true, 252: true, 439: true}

func unavailable(err error) error {
	if err == nil || record.KindOf(err) != "" || errors.Is(err, context.Canceled) {
		return err
	}
	var said *clickhouse.Exception
	if errors.As(err, &said) && !busy[said.Code] {
		return err
	}
	p := record.Errorf(record.Unavailable, "ClickHouse does not answer: %w", err)
	p.Zh, p.Remedy = "统计引擎暂时不可用", "try again in a moment; casework goes on meanwhile"
	return p
}
