package views

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"yidang/domain/casework"
	"yidang/domain/catalog"
	"yidang/domain/journal"
	"yidang/domain/journal/embedded"
	"yidang/domain/person"
	"yidang/domain/policy"
	"yidang/domain/programs/drugs"
	"yidang/domain/record"
	"yidang/domain/staff"
	"yidang/domain/units"
	"yidang/domain/vault"
	"yidang/projections/follow"
)

// world is a real record in a temp directory, into which events are written without commands: quickly, and in any order
// that the journal itself allows.
type world struct {
	t       testing.TB
	dir     string
	journal *journal.Journal
	server  *embedded.Server
	vault   *vault.Vault
	codec   *catalog.Codec
	catalog *catalog.Catalog
	rand    *rand.Rand
	now     time.Time
	next    map[string]uint64 // revision of each stream's next event

	villages, officers []uuid.UUID
}

func newWorld(t testing.TB, villages, officers int) *world {
	t.Helper()
	return openWorld(t, t.TempDir(), villages, officers)
}

func openWorld(t testing.TB, dir string, villages, officers int) *world {
	t.Helper()
	w := &world{t: t, dir: dir, rand: rand.New(rand.NewPCG(7, 7)), next: map[string]uint64{},
		now: time.Date(2026, 1, 5, 1, 0, 0, 0, time.UTC)}
	var err error
	if w.server, err = embedded.Start(t.Context(), embedded.Options{Dir: filepath.Join(w.dir, "journal")}); err != nil {
		t.Fatal(err)
	}
	if w.journal, err = journal.Open(t.Context(), w.server.Connection()); err != nil {
		t.Fatal(err)
	}
	wrapper, err := vault.KeyFile(filepath.Join(w.dir, "key"))
	if err != nil {
		t.Fatal(err)
	}
	if w.vault, err = vault.Open(t.Context(), vault.Options{Path: filepath.Join(w.dir, "vault.db"), Wrapper: wrapper}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.close)
	if w.catalog, err = catalog.New(); err != nil {
		t.Fatal(err)
	}
	book, err := policy.NewBook(nil)
	if err != nil {
		t.Fatal(err)
	}
	w.codec = &catalog.Codec{Catalog: w.catalog, Vault: w.vault, Policy: book}
	w.settle(villages, officers)
	return w
}

// close lets go of the record's files.
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

// settle gives every world the same villages and officers.
func (w *world) settle(villages, officers int) {
	for i := range villages {
		w.villages = append(w.villages, uuid.NewSHA1(uuid.NameSpaceOID, fmt.Appendf(nil, "village %d", i)))
	}
	for i := range officers {
		w.officers = append(w.officers, uuid.NewSHA1(uuid.NameSpaceOID, fmt.Appendf(nil, "officer %d", i)))
	}
	if head, _, err := w.journal.Head(w.t.Context()); err != nil || head > 0 {
		if err != nil {
			w.t.Fatal(err)
		}
		return
	}
	for i, v := range w.villages {
		w.add(record.StreamOf("unit", v), units.Registered{Name: fmt.Sprintf("第%d村", i+1), Sort: units.Village})
	}
	for i, o := range w.officers {
		w.add(staff.Stream(o), staff.Registered{Name: fmt.Sprintf("干部%d", i+1), Login: fmt.Sprintf("o%d", i+1), Sex: 1})
	}
}

// event makes an event of a stream, at the world's time.
func (w *world) event(stream string, data any) record.Event {
	k, ok := w.catalog.Of(stream)
	if !ok {
		w.t.Fatalf("stream %s is of no category", stream)
	}
	row, ok := k.EventFor(data)
	if !ok {
		w.t.Fatalf("%T is no event of %s", data, k.Name)
	}
	id := uuid.Must(uuid.NewRandomFromReader(w))
	e := record.Event{ID: id, Stream: stream, Revision: w.next[stream], Type: row.Name, Data: data, Meta: record.Meta{
		Form: row.Form(), OccurredAt: w.now, RecordedAt: w.now.Add(time.Minute), Command: id, Correlation: id, Causation: id, Policy: "2026.1",
	}}
	if len(w.officers) > 0 {
		e.Meta.Actor = w.officers[0]
	}
	_, file, _ := record.SplitStream(stream)
	if k.Name == "person" {
		e.Meta.Person = file
	}
	if k.Case {
		e.Meta.Case = file
	}
	return e
}

// Read makes the world a source of random bytes, the same in each run.
func (w *world) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = byte(w.rand.Uint32())
	}
	return len(b), nil
}

// add writes one event for each data at the end of a stream.
func (w *world) add(stream string, data ...any) []record.Event {
	w.t.Helper()
	events := make([]record.Event, len(data))
	for i, d := range data {
		events[i] = w.event(stream, d)
		events[i].Revision += uint64(i)
	}
	w.write(stream, events)
	return events
}

func (w *world) write(stream string, events []record.Event) {
	w.t.Helper()
	proposed := make([]journal.Proposed, len(events))
	for i, e := range events {
		var err error
		if proposed[i], err = w.codec.Seal(context.Background(), e); err != nil {
			w.t.Fatal(err)
		}
	}
	expected := journal.NoStream
	if n := w.next[stream]; n > 0 {
		expected = journal.Exactly(n - 1)
	}
	done, err := w.journal.Append(context.Background(), stream, expected, proposed...)
	if err != nil {
		w.t.Fatal(err)
	}
	w.next[stream] = done.Revision + 1
}

func (w *world) newID() uuid.UUID { return uuid.Must(uuid.NewRandomFromReader(w)) }

// person registers somebody.
func (w *world) person(name string, village int, more ...func(*person.Registered)) uuid.UUID {
	w.t.Helper()
	id := w.newID()
	d := person.Registered{Name: name, Sex: 1, Village: w.villages[village], Birth: time.Date(1980, 3, 4, 0, 0, 0, 0, record.Zone),
		NoCardReason: "补办中"}
	for _, m := range more {
		m(&d)
	}
	w.add(person.Stream(id), d)
	return id
}

// kase opens a case with a lead, reported and tiered, whose duties run.
func (w *world) kase(of uuid.UUID, village, officer int, tier drugs.Tier) uuid.UUID {
	w.t.Helper()
	id := w.newID()
	stream := record.StreamOf("drugs", id)
	events := []any{
		drugs.Opened{Person: of, Village: w.villages[village], Sex: 1, Kind: drugs.Detox, TermMonths: 36,
			Order: drugs.Document{Number: "示公戒决字〔2026〕1号", Organ: "示范县公安局", Issued: "2026-01-03", Served: "2026-01-04"}},
		casework.ResponsibleAssigned{Responsibility: casework.Responsibility{Officer: w.officers[officer], Role: record.VillageCadre, Lead: true, From: w.now}},
		drugs.ReportedIn{},
		drugs.TierChanged{ID: w.newID(), Tier: tier},
	}
	var made []record.Event
	for i, d := range events {
		e := w.event(stream, d)
		e.Revision, e.Meta.Person = uint64(i), of
		made = append(made, e)
	}
	w.write(stream, made)
	return id
}

func (w *world) inCase(kase, of uuid.UUID, data any) record.Event {
	w.t.Helper()
	stream := record.StreamOf("drugs", kase)
	e := w.event(stream, data)
	e.Meta.Person = of
	w.write(stream, []record.Event{e})
	return e
}

func (w *world) options(dir string) Options {
	return Options{
		Path: filepath.Join(dir, "views.db"), Key: w.vault.Secret("views"), Catalog: w.catalog,
		History: follow.HistoryOf(w.journal, w.codec), Erased: w.vault.Erased,
	}
}

// views opens views in a directory of their own.
func (w *world) views(change ...func(*Options)) *Views {
	w.t.Helper()
	o := w.options(w.t.TempDir())
	for _, c := range change {
		c(&o)
	}
	v, err := Open(w.t.Context(), o)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		if err := v.Close(); err != nil {
			w.t.Error(err)
		}
	})
	return v
}

// follow keeps views fed until the test ends or stop is called.
func (w *world) follow(v *Views) (f *follow.Follower, stop func()) {
	w.t.Helper()
	f = follow.New(follow.Options{Source: w.journal, Codec: w.codec, Projection: v})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			w.t.Error(err)
		}
	}
	w.t.Cleanup(stop)
	w.await(f)
	return f, stop
}

// await returns once the projection shows all there is.
func (w *world) await(f *follow.Follower) {
	w.t.Helper()
	head, _, err := w.journal.Head(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	if err := f.Wait(ctx, head); err != nil {
		w.t.Fatal(err)
	}
	for !f.Status().CaughtUp {
		time.Sleep(time.Millisecond)
	}
}

func names(rows []PersonRow) (list []string) {
	for _, r := range rows {
		list = append(list, r.Name)
	}
	slices.Sort(list)
	return list
}

var everywhere = record.Reach{All: true}

// cutAfter is a codec that ends a run after some events.
type cutAfter struct {
	*catalog.Codec
	events int64
	cut    func()
}

var opened atomic.Int64

func (c cutAfter) Open(ctx context.Context, s journal.Stored) (record.Event, bool, error) {
	if opened.Add(1) == c.events {
		c.cut()
	}
	return c.Codec.Open(ctx, s)
}
