// Package analyticstest gives tests a township on real engines: a journal, a vault and ClickHouse, in temporary
// directories, and a way to write history into the journal and to load it.
package analyticstest

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/google/uuid"

	"yidang/domain/catalog"
	"yidang/domain/journal"
	journalserver "yidang/domain/journal/embedded"
	"yidang/domain/policy"
	"yidang/domain/record"
	"yidang/domain/vault"
	"yidang/projections/analytics"
	"yidang/projections/analytics/embedded"
	"yidang/projections/follow"
)

// engineWord leads the test binary to the engine's child process.
const engineWord = "engine-child"

// Main is for TestMain. children are other words that lead the test binary to a process of a test's own.
func Main(m *testing.M, children map[string]func([]string) int) int {
	if len(os.Args) > 1 {
		if os.Args[1] == engineWord {
			return embedded.Main(os.Args[2:])
		}
		if child, ok := children[os.Args[1]]; ok {
			return child(os.Args[2:])
		}
	}
	defer shared.close()
	return m.Run()
}

// shared is the one engine of a test binary; every test has a database of its own in it.
var shared engine

type engine struct {
	sync.Mutex
	dir string
	*embedded.Engine
	databases int
}

// Dir is where the shared engine keeps its files.
func Dir() string { return shared.dir }

// StartEngine starts an engine in a directory.
func StartEngine(ctx context.Context, dir string, log *slog.Logger) (*embedded.Engine, error) {
	library, err := embedded.Locate(filepath.Join("..", "..", ".cache", "chdb"), filepath.Join("..", "..", "..", ".cache", "chdb"))
	if err != nil {
		return nil, err
	}
	return embedded.Start(ctx, embedded.Options{Args: []string{engineWord}, Library: library, Dir: dir, Log: log})
}

// Database makes an empty database and gives the options that lead to it.
func Database(t testing.TB) *clickhouse.Options {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.Engine == nil {
		dir, err := os.MkdirTemp("", "analytics-")
		check(t, err)
		shared.dir = dir
		shared.Engine, err = StartEngine(t.Context(), dir, nil)
		check(t, err)
	}
	shared.databases++
	o := shared.Options()
	name := fmt.Sprintf("test%d", shared.databases)
	conn, err := clickhouse.Open(o)
	check(t, err)
	defer conn.Close()
	check(t, conn.Exec(t.Context(), "CREATE DATABASE "+name))
	o.Auth.Database = name
	return o
}

func (e *engine) close() {
	if e.Engine == nil {
		return
	}
	_ = e.Engine.Close()
	_ = os.RemoveAll(e.dir)
}

// Township is a journal with the keys to it.
type Township struct {
	Dir     string
	Journal *journal.Journal
	Vault   *vault.Vault
	Codec   *catalog.Codec
	Rules   *policy.Rules

	server *journalserver.Server
	next   map[string]uint64 // revision of each stream's next event
	ids    uint64
}

// Open opens a township in a directory, or founds it.
func Open(ctx context.Context, dir string) (*Township, error) {
	w := &Township{Dir: dir, next: map[string]uint64{}}
	wrapper, err := vault.KeyFile(filepath.Join(dir, "key"))
	if err != nil {
		return nil, err
	}
	if w.Vault, err = vault.Open(ctx, vault.Options{Path: filepath.Join(dir, "vault.db"), Wrapper: wrapper}); err != nil {
		return nil, err
	}
	if w.server, err = journalserver.Start(ctx, journalserver.Options{Dir: filepath.Join(dir, "journal")}); err != nil {
		return nil, err
	}
	if w.Journal, err = journal.Open(ctx, w.server.Connection()); err != nil {
		return nil, err
	}
	k, err := catalog.New()
	if err != nil {
		return nil, err
	}
	book, err := policy.NewBook(nil)
	if err != nil {
		return nil, err
	}
	w.Codec = &catalog.Codec{Catalog: k, Vault: w.Vault, Policy: book}
	w.Rules, err = book.InForce(ctx, time.Date(2026, 3, 1, 0, 0, 0, 0, record.Zone), 0)
	return w, err
}

// Close closes all of it.
func (w *Township) Close() error {
	w.Journal.Close()
	if err := w.server.Close(); err != nil {
		return err
	}
	return w.Vault.Close()
}

// New founds a township for a test.
func New(t testing.TB) *Township {
	t.Helper()
	w, err := Open(t.Context(), t.TempDir())
	check(t, err)
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

// Entry is an event to be.
type Entry struct {
	Stream   string
	Data     any
	Occurred time.Time
	Recorded time.Time // Occurred by default
	Late     record.Late
	Actor    uuid.UUID
	Role     record.Role
	Unit     uuid.UUID
	Person   uuid.UUID // whose case the stream is
}

// Write appends entries of one stream, as commands would have, and gives the events with their positions.
func (w *Township) Write(ctx context.Context, entries ...Entry) ([]record.Event, error) {
	events := make([]record.Event, len(entries))
	proposed := make([]journal.Proposed, len(entries))
	stream := entries[0].Stream
	k, ok := w.Codec.Catalog.Of(stream)
	if !ok {
		return nil, fmt.Errorf("stream %s is of no category", stream)
	}
	_, id, _ := record.SplitStream(stream)
	for i, n := range entries {
		row, ok := k.EventFor(n.Data)
		if !ok {
			return nil, fmt.Errorf("%T is no event of %s", n.Data, k.Name)
		}
		if n.Recorded.IsZero() {
			n.Recorded = n.Occurred
		}
		w.ids++
		m := record.Meta{
			Form: row.Form(), Actor: n.Actor, Role: n.Role, Unit: n.Unit, Person: n.Person, OccurredAt: n.Occurred.UTC(), RecordedAt: n.Recorded.UTC(),
			Late: n.Late, Command: uuid.NewSHA1(uuid.NameSpaceOID, fmt.Append(nil, w.ids)), Policy: w.Rules.Version,
		}
		switch {
		case k.Case:
			m.Case = id
		case k.Name == "person":
			m.Person = id
		}
		events[i] = record.Event{ID: uuid.NewSHA1(m.Command, []byte{0, 0}), Stream: stream, Revision: w.next[stream] + uint64(i), Type: row.Name, Meta: m, Data: n.Data}
		var err error
		if proposed[i], err = w.Codec.Seal(ctx, events[i]); err != nil {
			return nil, err
		}
	}
	expected := journal.NoStream
	if at := w.next[stream]; at > 0 {
		expected = journal.Exactly(at - 1)
	}
	done, err := w.Journal.Append(ctx, stream, expected, proposed...)
	if err != nil {
		return nil, err
	}
	w.next[stream] += uint64(len(entries))
	for i := range events {
		events[i].Position = done.Position - uint64(len(events)-1-i) // the embedded server counts events
	}
	return events, nil
}

// History reads streams, opened.
func (w *Township) History() follow.History { return follow.HistoryOf(w.Journal, w.Codec) }

// Options are those of a store that loads this township.
func (w *Township) Options(path string, engine *clickhouse.Options) analytics.Options {
	return analytics.Options{
		Engine: engine, Path: path, Key: w.Vault.Secret("analytics"), MAC: w.Vault.MAC, Categories: w.Codec.Catalog,
		History: w.History(), Pace: time.Millisecond,
	}
}

// Load runs a follower until the store holds everything that is in the journal now.
func (w *Township) Load(ctx context.Context, s *analytics.Store, batch int) error {
	head, _, err := w.Journal.Head(ctx)
	if err != nil {
		return err
	}
	return follow.New(follow.Options{Source: w.Journal, Codec: w.Codec, Projection: s, MaxEvents: batch, Until: head}).Run(ctx)
}

// Store opens a store in an empty database.
func (w *Township) Store(t testing.TB) *analytics.Store {
	t.Helper()
	s, err := analytics.Open(t.Context(), w.Options(filepath.Join(t.TempDir(), "analytics.db"), Database(t)))
	check(t, err)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// Digest is a hash of every row of every table.
func Digest(ctx context.Context, s *analytics.Store) (string, error) {
	out := ""
	for _, table := range []string{"yidang_facts", "yidang_revisions", "yidang_duties"} {
		rows, err := s.Query(ctx, "SELECT count(), sum(cityHash64(*)) FROM "+table+" FINAL", nil)
		if err != nil {
			return "", err
		}
		for rows.Next() {
			var n, sum uint64
			if err := rows.Scan(&n, &sum); err != nil {
				return "", err
			}
			out += fmt.Sprintf("%s %d %x\n", table, n, sum)
		}
		if err := rows.Close(); err != nil {
			return "", err
		}
	}
	return out, nil
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
