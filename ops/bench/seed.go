package main

import (
	"cmp"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"yidang/domain/commands"
	"yidang/domain/journal"
	"yidang/domain/person"
	"yidang/domain/record"
)

// The shape of the township, for each 1,000,000 events: 100,000 people, 20,000 cases of which five in six are open with six
// or seven duties each, one file of 500 events.
const (
	eventsPerPerson = 10
	peoplePerCase   = 5
	busyFile        = 500
	window          = 300 * 24 * time.Hour // of casework, up to now
	appenders       = 256
)

// town is what later steps must know of what was seeded; WORK/town.json.
type town struct {
	Events, People, Cases int
	Password              string
	Overseer              string   // login: township office, reaches every village
	Analyst               string   // login
	Callers               []caller // case officers with their caseload
	Busy                  uuid.UUID
	BusyEvents            int
	AsOf                  string   // a day in the middle of the busy file
	Searches              []string // names in pinyin
	VisitMeta, VisitData  int      // bytes of a stored visit
}

type caller struct {
	Login string
	Cases []uuid.UUID
}

func (b *bench) townPath() string { return filepath.Join(b.dir, "town.json") }

func (b *bench) readTown() (t town, err error) {
	raw, err := os.ReadFile(b.townPath())
	if err != nil {
		return t, fmt.Errorf("%w (run step seed first)", err)
	}
	return t, json.Unmarshal(raw, &t)
}

// seeder writes history: events as commands would have recorded them, sealed and appended, without deciding each.
type seeder struct {
	*opened
	clock  time.Time // of the executor, while the township is made
	start  time.Time // of the casework
	end    time.Time
	policy string
	staff  staffing
	people []resident
	cases  []*file

	written      atomic.Int64
	visitMeta    atomic.Int64
	visitData    atomic.Int64
	progressStep int64
}

type resident struct {
	id      uuid.UUID
	name    string
	village int
	sex     int
}

func (b *bench) seed(ctx context.Context) (err error) {
	s := &seeder{end: time.Now().Add(-time.Hour).Truncate(time.Minute), progressStep: int64(max(b.events/10, 1))}
	s.start = s.end.Add(-window)
	s.clock = s.start.AddDate(0, -1, 0)
	if s.opened, err = b.open(ctx, func() time.Time { return s.clock }, 1<<18); err != nil {
		return err
	}
	defer func() {
		if e := s.close(); err == nil {
			err = e
		}
	}()
	began := time.Now()
	t := town{People: max(b.events/eventsPerPerson, 100), Password: "Bench-Passw0rd-" + uuid.NewString()[:8]}
	if err := s.settle(ctx, t.People, t.Password); err != nil {
		return err
	}
	if err := s.register(ctx, t.People); err != nil {
		return err
	}
	if err := s.work(ctx, b.events); err != nil {
		return err
	}
	s.describe(&t)
	head, _, err := s.journal.Head(ctx)
	if err != nil {
		return err
	}
	t.Events = int(head) // positions of the embedded journal count events
	b.set("seed.events", float64(t.Events))
	b.set("seed.seconds", time.Since(began).Seconds())
	return writeJSON(b.townPath(), t)
}

// register writes the people, as an import of the register at the beginning would: the claim of the citizen id, then the
// person.
func (s *seeder) register(ctx context.Context, n int) error {
	r := rand.New(rand.NewPCG(1, 1))
	s.people = make([]resident, n)
	streams := make([]string, n)
	for i := range s.people {
		s.people[i] = resident{id: newID(r), name: names.pick(r).zh, village: r.IntN(len(s.staff.villages)), sex: 1 + r.IntN(2)}
		streams[i] = person.Stream(s.people[i].id)
	}
	if err := s.keys(ctx, streams); err != nil {
		return err
	}
	return parallel(appenders, func(w int) error {
		r := rand.New(rand.NewPCG(2, uint64(w)))
		for i := w; i < n; i += appenders {
			p := &s.people[i]
			at := s.start.Add(-time.Duration(r.IntN(600)) * time.Minute)
			birth := time.Date(1950, 1, 1, 0, 0, 0, 0, record.Zone).AddDate(0, 0, i%18000)
			citizen := person.ComposeCitizenID("999999", birth, 2*(i/18000)+1+(p.sex+1)%2).String()
			by := s.staff.police[p.village%len(s.staff.police)]
			if err := s.claim(ctx, r, p.id, citizen, at); err != nil {
				return err
			}
			d := person.Registered{
				Name: p.name, CitizenID: citizen, Sex: p.sex, Birth: birth, Ethnicity: "01", Phone: fmt.Sprintf("120%08d", r.IntN(1e8)),
				Village: s.staff.villages[p.village], Household: fmt.Sprintf("示范镇第%d组%d号", 1+r.IntN(20), 1+r.IntN(300)),
			}
			if err := s.append(ctx, r, person.Stream(p.id), 0, d, by, at, record.Meta{Person: p.id, Late: record.LateImport}); err != nil {
				return err
			}
		}
		return nil
	})
}

// claim reserves a citizen id under the name that package commands gives it; the test sees that it is the same.
func (s *seeder) claim(ctx context.Context, r *rand.Rand, id uuid.UUID, citizen string, at time.Time) error {
	stream := "citizenid-" + hex.EncodeToString(s.vault.MAC("claim citizenid", []byte(citizen)))
	command := newID(r)
	meta, err := json.Marshal(record.Meta{Form: 1, OccurredAt: at.UTC(), RecordedAt: at.UTC(), Command: command, Correlation: command, Causation: command})
	if err != nil {
		return err
	}
	data := []byte(`{"stream":"` + person.Stream(id) + `"}`)
	_, err = s.journal.Append(ctx, stream, journal.NoStream, journal.Proposed{ID: newID(r), Type: commands.ClaimedType, Meta: meta, Data: data})
	s.count()
	return err
}

// work writes the casework: every file's events fall on times of their own, and each appender goes through those of its
// files in the order of time.
func (s *seeder) work(ctx context.Context, total int) error {
	r := rand.New(rand.NewPCG(3, 3))
	n := max(len(s.people)/peoplePerCase, 2)
	left := max(total-int(s.written.Load()), 12*n)
	busy := min(busyFile, left/4) - 1 // the person's own event is part of the file
	streams := make([]string, n)
	for i := range n {
		f := &file{id: newID(r), resident: &s.people[i*peoplePerCase], events: (left - busy) / (n - 1)}
		switch {
		case i == 0:
			f.events = busy
		case i <= (left-busy)%(n-1):
			f.events++
		}
		f.closes = i%6 == 5
		f.tier = tiers[r.IntN(len(tiers))]
		s.cases = append(s.cases, f)
		streams[i] = record.StreamOf("drugs", f.id)
	}
	for i := 1; i+1 < n; i += 2 { // some files are busier than others
		d := r.IntN(s.cases[i].events/2 + 1)
		s.cases[i].events, s.cases[i+1].events = s.cases[i].events+d, s.cases[i+1].events-d
	}
	if err := s.keys(ctx, streams); err != nil {
		return err
	}
	return parallel(appenders, func(w int) error {
		r := rand.New(rand.NewPCG(4, uint64(w)))
		type entry struct {
			at time.Time
			f  *file
		}
		var plan []entry
		for i := w; i < n; i += appenders {
			f := s.cases[i]
			opened := s.start.Add(time.Duration(r.Int64N(int64(window * 2 / 3))))
			if i == 0 {
				opened = s.start
			}
			for range f.events {
				plan = append(plan, entry{opened.Add(time.Duration(r.Int64N(int64(s.end.Sub(opened))))), f})
			}
		}
		slices.SortFunc(plan, func(a, b entry) int { return cmp.Compare(a.at.UnixNano(), b.at.UnixNano()) })
		for _, e := range plan {
			if err := s.happen(ctx, r, e.f, e.at); err != nil {
				return err
			}
		}
		return nil
	})
}

// happen writes a file's next event.
func (s *seeder) happen(ctx context.Context, r *rand.Rand, f *file, at time.Time) error {
	data, by := f.next(r, &s.staff, at)
	err := s.append(ctx, r, record.StreamOf("drugs", f.id), f.written, data, by, at, record.Meta{Person: f.resident.id, Case: f.id})
	f.written++
	return err
}

// append seals an event and appends it where it belongs.
func (s *seeder) append(ctx context.Context, r *rand.Rand, stream string, revision int, data any, by record.Actor, at time.Time, m record.Meta) error {
	k, _ := s.catalog.Of(stream)
	row, ok := k.EventFor(data)
	if !ok {
		return fmt.Errorf("%T is no event of %s", data, k.Name)
	}
	command, request := newID(r), newID(r)
	m.Form, m.Actor, m.Post, m.Role, m.Unit, m.Policy = row.Form(), by.Officer, by.Post, by.Role, by.Unit, s.policy
	m.Command, m.Correlation, m.Causation, m.Request, m.Basis = command, command, command, request[:12], "D-09; D-10; D-11"
	m.RecordedAt = at.UTC()
	m.OccurredAt = m.RecordedAt.Add(-time.Duration(r.IntN(5*60)) * time.Minute)
	sealed, err := s.exec.Codec.Seal(ctx, record.Event{ID: newID(r), Stream: stream, Type: row.Name, Meta: m, Data: data})
	if err != nil {
		return err
	}
	expected := journal.NoStream
	if revision > 0 {
		expected = journal.Exactly(uint64(revision - 1))
	}
	if _, err := s.journal.Append(ctx, stream, expected, sealed); err != nil {
		return err
	}
	if row.Name == "casework.visit_recorded" {
		s.visitMeta.Store(int64(len(sealed.Meta)))
		s.visitData.Store(int64(len(sealed.Data)))
	}
	s.count()
	return nil
}

func (s *seeder) count() {
	if n := s.written.Add(1); n%s.progressStep == 0 {
		fmt.Fprintf(os.Stderr, "bench: seeded %d events\n", n)
	}
}

// keys makes the keys of many streams with few syncs.
func (s *seeder) keys(ctx context.Context, streams []string) error {
	for chunk := range slices.Chunk(streams, 5000) {
		if err := s.vault.Ensure(ctx, chunk...); err != nil {
			return err
		}
	}
	return nil
}

// describe says what later steps use. Only officers with open cases call, and nobody works in the busy file meanwhile.
func (s *seeder) describe(t *town) {
	t.Cases, t.Overseer, t.Analyst = len(s.cases), "office1", "analyst1"
	t.Busy, t.BusyEvents = s.cases[0].resident.id, s.cases[0].events+1
	t.AsOf = s.start.Add(window / 2).In(record.Zone).Format(record.Day)
	t.VisitMeta, t.VisitData = int(s.visitMeta.Load()), int(s.visitData.Load())
	load := map[uuid.UUID][]uuid.UUID{}
	for _, f := range s.cases[1:] {
		if !f.closes && f.lead.Officer != uuid.Nil {
			load[f.lead.Officer] = append(load[f.lead.Officer], f.id)
		}
	}
	for _, o := range s.staff.officers {
		if len(load[o.id]) > 0 && len(t.Callers) < 64 {
			t.Callers = append(t.Callers, caller{o.login, load[o.id]})
		}
	}
	r := rand.New(rand.NewPCG(5, 5))
	for range 500 {
		n := names.pick(r)
		t.Searches = append(t.Searches, []string{n.full, n.initials, n.mixed}[r.IntN(3)])
	}
}

// parallel runs f for 0 to n-1 at once and gives the first error.
func parallel(n int, f func(int) error) error {
	var wg sync.WaitGroup
	errs := make(chan error, n)
	for i := range n {
		wg.Go(func() { errs <- f(i) })
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// newID makes an id like any other, the same with the same seed.
func newID(r *rand.Rand) (id uuid.UUID) {
	for i := 0; i < 16; i += 8 {
		v := r.Uint64()
		for j := range 8 {
			id[i+j] = byte(v >> (8 * j))
		}
	}
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	return id
}
