package oversight

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"

	"yidang/domain/access"
	"yidang/domain/casework"
	"yidang/domain/catalog"
	"yidang/domain/journal"
	"yidang/domain/journal/embedded"
	"yidang/domain/person"
	"yidang/domain/policy"
	"yidang/domain/programs/drugs"
	"yidang/domain/record"
	"yidang/domain/vault"
	"yidang/projections/follow"
)

// world is a real record in a directory, into which events are written without commands, quickly.
type world struct {
	t       testing.TB
	dir     string
	server  *embedded.Server
	journal *journal.Journal
	vault   *vault.Vault
	codec   *catalog.Codec
	now     time.Time
	made    int
}

func openWorld(t testing.TB, dir string) *world {
	t.Helper()
	w := &world{t: t, dir: dir, now: time.Date(2026, 1, 5, 1, 0, 0, 0, time.UTC)}
	var err error
	if w.server, err = embedded.Start(t.Context(), embedded.Options{Dir: filepath.Join(dir, "journal")}); err != nil {
		t.Fatal(err)
	}
	if w.journal, err = journal.Open(t.Context(), w.server.Connection()); err != nil {
		t.Fatal(err)
	}
	wrapper, err := vault.KeyFile(filepath.Join(dir, "key"))
	if err != nil {
		t.Fatal(err)
	}
	if w.vault, err = vault.Open(t.Context(), vault.Options{Path: filepath.Join(dir, "vault.db"), Wrapper: wrapper}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.close)
	list, err := catalog.New()
	if err != nil {
		t.Fatal(err)
	}
	book, err := policy.NewBook(nil)
	if err != nil {
		t.Fatal(err)
	}
	w.codec = &catalog.Codec{Catalog: list, Vault: w.vault, Policy: book}
	return w
}

func (w *world) close() {
	if w.server == nil {
		return
	}
	for _, c := range []interface{ Close() error }{w.journal, w.server, w.vault} {
		if err := c.Close(); err != nil {
			w.t.Error(err)
		}
	}
	w.server = nil
}

// event makes an event that looks like what a command records.
func (w *world) event(stream string, of uuid.UUID, data any) record.Event {
	k, _ := w.codec.Catalog.Of(stream)
	row, ok := k.EventFor(data)
	if !ok {
		w.t.Fatalf("%T is no event of %s", data, k.Name)
	}
	w.made++
	w.now = w.now.Add(7 * time.Second)
	command, officer := testID("command", w.made), w.made%150
	m := record.Meta{Form: row.Form(), Actor: testID("officer", officer), Post: testID("post", officer), Role: record.VillageCadre, Unit: testID("unit", officer%30), Person: of,
		OccurredAt: w.now.Add(-time.Duration(w.made%40) * time.Hour), RecordedAt: w.now, Basis: "D-09; D-10; D-11", Command: command, Request: command[:12],
		Correlation: command, Causation: command, Policy: "2026.1"}
	if k.Case {
		_, m.Case, _ = record.SplitStream(stream)
	}
	if w.made%50 == 0 {
		m.Late = record.LatePaper
	}
	return record.Event{ID: testID("event", w.made), Stream: stream, Type: row.Name, Data: data, Meta: m}
}

// fill writes people with a case each, and then rounds of visits and readings, one in fifty of them voided.
func (w *world) fill(people, events int) {
	put := func(stream string, of uuid.UUID, data ...any) (ids []uuid.UUID) {
		w.t.Helper()
		var all []journal.Proposed
		for _, d := range data {
			p, err := w.codec.Seal(context.Background(), w.event(stream, of, d))
			if err != nil {
				w.t.Fatal(err)
			}
			all, ids = append(all, p), append(ids, p.ID)
		}
		if _, err := w.journal.Append(context.Background(), stream, journal.Any, all...); err != nil {
			w.t.Fatal(err)
		}
		return ids
	}
	for i := range people {
		of := testID("person", i)
		put(person.Stream(of), of, person.Registered{Name: "梁平"})
		put(record.StreamOf("drugs", testID("case", i)), of, drugs.Opened{Person: of, Kind: drugs.Voluntary}, casework.ResponsibleAssigned{
			Responsibility: casework.Responsibility{Officer: testID("officer", i%150), Role: record.VillageCadre, Lead: true, From: w.now}})
	}
	visit := casework.VisitRecorded{Outcome: casework.Met, Place: "家中", Note: "生活稳定，已找到零工，约定下周再谈。"}
	for i := 0; w.made < events; i++ {
		of, stream := testID("person", i*7%people), record.StreamOf("drugs", testID("case", i*7%people))
		ids := put(stream, of, visit, visit, visit, visit, visit, visit, visit, visit)
		if i%6 == 0 {
			put(stream, of, record.Voided{Event: ids[0], Reason: "录错了"})
		}
		session := testID("session", i%200)
		put(record.StreamOf("access", session), of, access.Read{What: access.File, Session: session, Own: true}, access.Read{What: access.Timeline, Session: session, Own: true})
	}
}

func (w *world) options(dir string) Options {
	return Options{Path: filepath.Join(dir, "oversight.db"), Key: w.vault.Secret("oversight"), Catalog: w.codec.Catalog}
}

// build feeds an index everything there is.
func build(ctx context.Context, x *Index, source follow.Source, opener follow.Opener, batch int) error {
	head, _, err := source.Head(ctx)
	if err != nil {
		return err
	}
	f := follow.New(follow.Options{Source: source, Codec: opener, Projection: x, MaxEvents: batch})
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx) }()
	err = f.Wait(ctx, head)
	for err == nil && !f.Status().CaughtUp {
		time.Sleep(time.Millisecond)
	}
	cancel()
	if ended := <-done; err == nil {
		err = ended
	}
	if err != nil {
		return fmt.Errorf("building: %w", err)
	}
	return nil
}
