package main

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"yidang/domain/commands"
	"yidang/domain/person"
	"yidang/domain/programs/drugs"
	"yidang/domain/record"
	"yidang/projections/analytics/embedded"
)

// TestMain leads the engine's child process to where main does.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == engineWord {
		os.Exit(embedded.Main(os.Args[2:]))
	}
	os.Exit(m.Run())
}

// Ensure that what is seeded is a record like any other: commands go on from it, claims hold, duties follow, views count
// the people; and that the figures are there in the end.
func TestSeedAndMeasure(t *testing.T) {
	b := &bench{dir: t.TempDir(), events: 2000, figures: &figures{Numbers: map[string]float64{}, Missing: map[string]string{}}}
	b.path = filepath.Join(b.dir, "figures.json")
	var err error
	if b.library, err = embedded.Locate(filepath.Join("..", "..", ".cache", "chdb")); err != nil {
		t.Fatal(err)
	}
	for _, step := range []string{"seed", "disk", "journal", "verify", "views", "analytics", "postgres-script"} {
		if err := b.step(t.Context(), step); err != nil {
			t.Fatalf("%s: %v", step, err)
		}
	}
	for _, name := range []string{"seed.events", "fsync.p50", "sqlite.p50", "sqlite.read", "journal.read", "verify.rate", "views.rate", "views.duties", "analytics.rate"} {
		if b.Numbers[name] <= 0 {
			t.Errorf("%s is %v", name, b.Numbers[name])
		}
	}
	if n := b.Numbers["seed.events"]; n != 2000 {
		t.Errorf("%v events were seeded, want 2000", n)
	}
	town, err := b.readTown()
	if err != nil {
		t.Fatal(err)
	}
	if len(town.Callers) == 0 || town.VisitMeta < 400 || town.VisitData < 60 {
		t.Errorf("the town is %+v", town)
	}
	if script, err := os.ReadFile(filepath.Join(b.dir, "insert.sql")); err != nil || !strings.Contains(string(script), strings.Repeat("m", town.VisitMeta)) {
		t.Errorf("the insert for PostgreSQL does not have the size of a stored visit: %v", err)
	}
	o, err := b.open(t.Context(), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := o.close(); err != nil {
			t.Error(err)
		}
	}()
	checkRecord(t, o, town)
}

func checkRecord(t *testing.T, o *opened, town town) {
	t.Helper()
	ctx := context.Background()
	history, err := o.exec.History(ctx, person.Stream(town.Busy))
	if err != nil {
		t.Fatal(err)
	}
	registered := history[0].Data.(person.Registered)
	_, err = o.exec.Do(ctx, commands.Request{Category: "person", Command: "person.register", Officer: mustHolder(t, o, town.Overseer),
		Input: person.Register{Name: registered.Name, CitizenID: registered.CitizenID, Village: registered.Village}})
	if !errors.Is(err, person.ErrCitizenIDTaken) {
		t.Errorf("a second file with a seeded citizen id: %v", err)
	}
	officer := mustHolder(t, o, town.Callers[0].Login)
	visit, _ := o.catalog.Command("drugs", "casework.record_visit")
	input, err := visit.Parse([]byte(`{"outcome":"met"}`))
	if err != nil {
		t.Fatal(err)
	}
	stream := record.StreamOf("drugs", town.Callers[0].Cases[0])
	if _, err := o.exec.Do(ctx, commands.Request{Category: "drugs", Command: "casework.record_visit", ID: town.Callers[0].Cases[0], Officer: officer, Input: input}); err != nil {
		t.Errorf("the lead of a seeded case cannot record a visit: %v", err)
	}
	if history, err = o.exec.History(ctx, stream); err != nil {
		t.Fatal(err)
	}
	f := record.NewFile(&drugs.Category, stream)
	if err := f.Fold(history, record.At{}); err != nil {
		t.Fatal(err)
	}
	if open := len(f.State.(*drugs.Case).Duties.Open); open < 5 {
		t.Errorf("%d duties are open in a seeded case, want five and more", open)
	}
}

func mustHolder(t *testing.T, o *opened, login string) uuid.UUID {
	t.Helper()
	id, held, err := o.exec.Holder(t.Context(), "login", login)
	if err != nil || !held {
		t.Fatalf("officer %s: held %v, %v", login, held, err)
	}
	return id
}

// Ensure that what was not measured is never met, and that a target that compares needs its baseline.
func TestTableIsHonest(t *testing.T) {
	f := &figures{Numbers: map[string]float64{"journal.read": 100_000, "visit.rate": 5000, "file.p99": 26, "worklist.p99": 5}, Missing: map[string]string{"postgres.rate": "PostgreSQL is not installed"}}
	for what, want := range map[string]string{
		"read $all": "met", "record a visit": "not known: no baseline", "open a file": "missed", "worklist": "missed", "load ClickHouse": "not measured", "report": "not measured",
	} {
		found := false
		for _, s := range specs(f) {
			if r := s.row(f); strings.HasPrefix(r.what, what) {
				found = true
				if r.verdict != want {
					t.Errorf("%s: %q, want %q", r.what, r.verdict, want)
				}
			}
		}
		if !found {
			t.Errorf("no row begins with %q", what)
		}
	}
	f.set("postgres.rate", 9000)
	if r := specs(f)[0].row(f); r.verdict != "met" || r.ratio != "0.56" {
		t.Errorf("with its baseline the first row is %+v", r)
	}
	f.set("visit.errors", 1)
	if r := specs(f)[0].row(f); r.verdict != "missed" {
		t.Errorf("with an error the first row is %+v", r)
	}
	var out bytes.Buffer
	if err := printTable(&out, f); err != nil || !strings.Contains(out.String(), "100,000/s") {
		t.Errorf("the table is %v\n%s", err, out.String())
	}
}

// Ensure that answers other than 2xx count as errors, and that callers end when they have enough.
func TestHammer(t *testing.T) {
	var asked atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1)%2 == 0 {
			w.WriteHeader(http.StatusTeapot)
		}
	}))
	defer s.Close()
	c := newClient(s.URL)
	out := hammer(t.Context(), 4, time.Minute, func(_, i int) error {
		if i == 10 {
			return errEnough
		}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL, nil)
		if err != nil {
			return err
		}
		return c.do(r)
	})
	if len(out.took) != 20 || out.errors != 20 || out.first == nil {
		t.Errorf("%d answers, %d errors, the first %v", len(out.took), out.errors, out.first)
	}
}
