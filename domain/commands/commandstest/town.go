// Package commandstest gives tests a real record in a temp directory: embedded journal, vault, executor, and a small
// township with two villages and an officer in every role. Nothing is faked but the clock.
package commandstest

import (
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"yidang/domain/catalog"
	"yidang/domain/commands"
	"yidang/domain/journal"
	"yidang/domain/journal/embedded"
	"yidang/domain/person"
	"yidang/domain/record"
	"yidang/domain/staff"
	"yidang/domain/units"
	"yidang/domain/vault"
)

// Town is the record with its township.
type Town struct {
	T       testing.TB
	Dir     string
	Clock   *Clock
	Server  *embedded.Server
	Journal *journal.Journal
	Vault   *vault.Vault
	Exec    *commands.Executor

	Township, Station, Office uuid.UUID
	// Here is the village of most tests, There another one of the township, served by the same station.
	Here, There uuid.UUID
	// Officers by role. Village roles have their post in Here. The police officer and Colleague (police too) work for both.
	Officers  map[record.Role]uuid.UUID
	Colleague uuid.UUID // a woman
}

// Clock is a clock that tests move. It is safe for concurrent use.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// Now reads it.
func (c *Clock) Now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.now }

// Advance moves it on.
func (c *Clock) Advance(d time.Duration) { c.mu.Lock(); defer c.mu.Unlock(); c.now = c.now.Add(d) }

// Set moves it.
func (c *Clock) Set(t time.Time) { c.mu.Lock(); defer c.mu.Unlock(); c.now = t }

// Start makes the record and the township; everything is closed when the test ends.
func Start(t testing.TB) *Town {
	t.Helper()
	town := &Town{T: t, Dir: t.TempDir(), Clock: &Clock{now: time.Date(2026, 3, 2, 1, 0, 0, 0, time.UTC)}, Officers: map[record.Role]uuid.UUID{}}
	town.Open()
	t.Cleanup(town.Close)
	town.settle()
	return town
}

// Open opens the record in Dir: again after Close, as a restart would.
func (t *Town) Open() {
	t.T.Helper()
	ctx := t.T.Context()
	var err error
	if t.Server, err = embedded.Start(ctx, embedded.Options{Dir: filepath.Join(t.Dir, "journal")}); err != nil {
		t.T.Fatal(err)
	}
	if t.Journal, err = journal.Open(ctx, t.Server.Connection()); err != nil {
		t.T.Fatal(err)
	}
	wrapper, err := vault.KeyFile(filepath.Join(t.Dir, "key"))
	if err != nil {
		t.T.Fatal(err)
	}
	if t.Vault, err = vault.Open(ctx, vault.Options{Path: filepath.Join(t.Dir, "vault.db"), Wrapper: wrapper}); err != nil {
		t.T.Fatal(err)
	}
	t.Exec = t.Another()
}

// Another makes a second executor on the same record, as a second server on a cluster would be.
func (t *Town) Another() *commands.Executor {
	t.T.Helper()
	list, err := catalog.New()
	if err != nil {
		t.T.Fatal(err)
	}
	x, err := commands.New(commands.Options{Catalog: list, Journal: t.Journal, Vault: t.Vault, Now: t.Clock.Now})
	if err != nil {
		t.T.Fatal(err)
	}
	return x
}

// Close closes the record.
func (t *Town) Close() {
	for _, c := range []interface{ Close() error }{t.Journal, t.Server, t.Vault} {
		if err := c.Close(); err != nil {
			t.T.Error(err)
		}
	}
}

// Restart closes and opens.
func (t *Town) Restart() { t.T.Helper(); t.Close(); t.Open() }

func (t *Town) settle() {
	t.T.Helper()
	unit := func(in units.Register) uuid.UUID {
		return t.System("unit", "unit.register", uuid.Nil, in).ID
	}
	t.Township = unit(units.Register{Name: "示范镇", Sort: units.Township})
	t.Here = unit(units.Register{Name: "前进村", Sort: units.Village, Parent: t.Township})
	t.There = unit(units.Register{Name: "双河村", Sort: units.Village, Parent: t.Township})
	t.Station = unit(units.Register{Name: "示范镇派出所", Sort: units.Station, Parent: t.Township, Covers: []uuid.UUID{t.Here, t.There}})
	t.Office = unit(units.Register{Name: "示范镇综治办", Sort: units.Office, Parent: t.Township})
	for role, at := range map[record.Role]uuid.UUID{
		record.VillageCadre: t.Here, record.CommunityMedic: t.Here, record.Volunteer: t.Here, record.CommunityPolice: t.Station,
		record.TownshipOffice: t.Office, record.Inspector: t.Township, record.Analyst: t.Township, record.Administrator: t.Township,
	} {
		t.Officers[role] = t.Officer("t."+string(role), 1, role, at)
	}
	t.Colleague = t.Officer("t.colleague", 2, record.CommunityPolice, t.Station)
}

// Officer makes an officer with one post.
func (t *Town) Officer(login string, sex int, role record.Role, unit uuid.UUID) uuid.UUID {
	t.T.Helper()
	id := t.System("officer", "officer.register", uuid.Nil, staff.Register{Name: "工作人员", Login: login, Sex: sex}).ID
	t.System("officer", "officer.grant_post", id, staff.GrantPost{Role: role, Unit: unit})
	return id
}

// System does a command as the system.
func (t *Town) System(category, command string, id uuid.UUID, in any) commands.Receipt {
	t.T.Helper()
	return t.Must(commands.Request{Category: category, Command: command, ID: id, Input: in, Officer: commands.System})
}

// As does a command as the officer of a role; it must succeed.
func (t *Town) As(role record.Role, category, command string, id uuid.UUID, in any) commands.Receipt {
	t.T.Helper()
	return t.Must(commands.Request{Category: category, Command: command, ID: id, Input: in, Officer: t.Officers[role]})
}

// Must does a request that must succeed.
func (t *Town) Must(r commands.Request) commands.Receipt {
	t.T.Helper()
	receipt, err := t.Exec.Do(t.T.Context(), r)
	if err != nil {
		t.T.Fatalf("%s: %v", r.Command, err)
	}
	return receipt
}

// Person registers somebody in Here; serial makes the citizen id (odd: a man).
func (t *Town) Person(serial int) uuid.UUID {
	t.T.Helper()
	return t.As(record.CommunityPolice, "person", "person.register", uuid.Nil, t.NewPerson(serial)).ID
}

// NewPerson is the input that registers somebody.
func (t *Town) NewPerson(serial int) person.Register {
	birth := time.Date(1950+serial/1000%50, 1, 1+serial/50_000%28, 0, 0, 0, 0, record.Zone)
	return person.Register{Name: "梁平", CitizenID: person.ComposeCitizenID("999999", birth, serial%1000).String(), Phone: "12011406879", Village: t.Here}
}
