package commands_test

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"yidang/domain/casework"
	"yidang/domain/commands"
	"yidang/domain/commands/commandstest"
	"yidang/domain/journal"
	"yidang/domain/person"
	"yidang/domain/policy"
	"yidang/domain/programs/drugs"
	"yidang/domain/record"
	"yidang/domain/staff"
	"yidang/domain/units"
)

// openCase opens a voluntary case, which needs no documents.
func openCase(t *commandstest.Town, serial int) (who, id uuid.UUID) {
	t.T.Helper()
	who = t.Person(serial)
	return who, t.As(record.CommunityPolice, "drugs", "drugs.open", uuid.Nil, drugs.Open{Person: who, Village: t.Here, Kind: drugs.Voluntary}).ID
}

func visit(t *commandstest.Town, id uuid.UUID) commands.Request {
	return commands.Request{Category: "drugs", Command: "casework.record_visit", ID: id, Officer: t.Officers[record.VillageCadre],
		Input: casework.RecordVisit{Outcome: casework.Met, Note: "在家"}}
}

func events(t *commandstest.Town, stream string) (out []journal.Stored) {
	t.T.Helper()
	for s, err := range t.Journal.Stream(t.T.Context(), stream, 0) {
		if err != nil {
			t.T.Fatal(err)
		}
		out = append(out, s)
	}
	return out
}

func wantKind(t *testing.T, err error, kind record.Kind) {
	t.Helper()
	if record.KindOf(err) != kind {
		t.Fatalf("got error %v of kind %q, want kind %q", err, record.KindOf(err), kind)
	}
}

// Ensure that a repeat of a command gets the first answer and records nothing, also after a restart, and that the key of
// one request is no key for another.
func TestRepeat(t *testing.T) {
	town := commandstest.Start(t)
	_, id := openCase(town, 1)
	r := visit(town, id)
	r.CommandID = uuid.New()
	first := town.Must(r)
	before := len(events(town, record.StreamOf("drugs", id)))
	for _, restart := range []bool{false, true} {
		if restart {
			town.Restart()
		}
		again := town.Must(r)
		if !again.Repeated {
			t.Error("the repeat does not say that it is one")
		}
		again.Repeated, again.Data, first.Data = false, nil, nil
		a, _ := json.Marshal(first)
		b, _ := json.Marshal(again)
		if string(a) != string(b) {
			t.Errorf("the repeat answers\n%s\nthe first\n%s", b, a)
		}
	}
	if n := len(events(town, record.StreamOf("drugs", id))); n != before {
		t.Errorf("repeats recorded %d events", n-before)
	}
	other := r
	other.Input = casework.RecordVisit{Outcome: casework.Absent}
	_, err := town.Exec.Do(t.Context(), other)
	if !errors.Is(err, commands.ErrReused) {
		t.Errorf("another request under the same key: %v", err)
	}
}

// Ensure that what only projections know is asked for nobody who may not do it, not even in a dry run: its answer tells of
// files (PIPL 51).
func TestPrecheckIsForWhoMay(t *testing.T) {
	town := commandstest.Start(t)
	who, _ := openCase(town, 1)
	known := &record.Problem{Kind: record.Refused, Message: "there is such a file"}
	town.Exec.Precheck = func(context.Context, *record.CommandRow, commands.Request) error { return known }
	for _, r := range []commands.Request{
		{Category: "person", Command: "person.register", Input: town.NewPerson(3)},
		{Category: "drugs", Command: "drugs.open", Input: drugs.Open{Person: who, Village: town.Here, Kind: drugs.Voluntary}},
	} {
		for _, r.DryRun = range []bool{true, false} {
			for _, role := range []record.Role{record.Analyst, record.Administrator} {
				r.Officer = town.Officers[role]
				if _, err := town.Exec.Do(t.Context(), r); record.KindOf(err) != record.Forbidden {
					t.Errorf("%s by %s, dry run %v: %v", r.Command, role, r.DryRun, err)
				}
			}
			r.Officer = town.Officers[record.CommunityPolice]
			if _, err := town.Exec.Do(t.Context(), r); !errors.Is(err, known) {
				t.Errorf("%s by police, dry run %v: %v", r.Command, r.DryRun, err)
			}
		}
	}
}

// Ensure that a repeat is recognised before it is judged: it would find the file that it made itself, and it may come when
// it would be late.
func TestRepeatIsNotJudged(t *testing.T) {
	town := commandstest.Start(t)
	_, id := openCase(town, 1)
	r := visit(town, id)
	r.CommandID, r.Occurred = uuid.New(), town.Clock.Now().Add(-time.Hour)
	first := town.Must(r)
	town.Clock.Advance(10 * 24 * time.Hour)
	town.Exec.Precheck = func(context.Context, *record.CommandRow, commands.Request) error {
		return &record.Problem{Kind: record.Refused, Message: "there is such a file"}
	}
	if again := town.Must(r); !again.Repeated || again.Events[0].ID != first.Events[0].ID {
		t.Errorf("the repeat, ten days later: %+v", again)
	}
	r.CommandID = uuid.New()
	if _, err := town.Exec.Do(t.Context(), r); !errors.Is(err, commands.ErrLate) {
		t.Errorf("another request so late: %v", err)
	}
}

// Ensure that a request whose id was made from what it asks is known by it, whoever asks again and however it is read, and
// that such an id is no key for another request.
func TestDerivedRepeat(t *testing.T) {
	town := commandstest.Start(t)
	_, id := openCase(town, 1)
	r := visit(town, id)
	r.CommandID, r.Derived = uuid.New(), true
	first := town.Must(r)
	again := r
	again.Officer, again.Input = town.Officers[record.CommunityPolice], casework.RecordVisit{Outcome: casework.Met, Note: "在家中"}
	if receipt := town.Must(again); !receipt.Repeated || receipt.Events[0].ID != first.Events[0].ID {
		t.Errorf("the repeat by a colleague: %+v", receipt)
	}
	again.Derived = false
	if _, err := town.Exec.Do(t.Context(), again); !errors.Is(err, commands.ErrReused) {
		t.Errorf("a request under its id: %v", err)
	}
	again.Derived, again.Command, again.Input = true, "casework.add_note", casework.AddNote{Text: "见到本人"}
	if _, err := town.Exec.Do(t.Context(), again); !errors.Is(err, commands.ErrReused) {
		t.Errorf("another command under its id: %v", err)
	}
}

// Ensure that two executors on one journal never lose a command to the other's (exact revision, decided again).
func TestTwoServers(t *testing.T) {
	town := commandstest.Start(t)
	_, id := openCase(town, 1)
	second := town.Another()
	before := len(events(town, record.StreamOf("drugs", id)))
	const each = 20
	var wg sync.WaitGroup
	recorded := make(chan error, 2*each)
	for _, x := range []*commands.Executor{town.Exec, second} {
		wg.Go(func() {
			for range each {
				_, err := x.Do(t.Context(), visit(town, id))
				recorded <- err
			}
		})
	}
	wg.Wait()
	close(recorded)
	ok := 0
	for err := range recorded {
		switch {
		case err == nil:
			ok++
		case !errors.Is(err, commands.ErrContention):
			t.Error(err)
		}
	}
	if n := len(events(town, record.StreamOf("drugs", id))) - before; n != ok {
		t.Errorf("%d visits acknowledged, %d recorded", ok, n)
	}
}

// Ensure that a dry run says what would be recorded and records nothing, and refuses what would be refused.
func TestDryRun(t *testing.T) {
	town := commandstest.Start(t)
	_, id := openCase(town, 1)
	without := town.As(record.CommunityPolice, "person", "person.register", uuid.Nil, person.Register{Name: "梁平", NoCardReason: "证件遗失", Village: town.Here})
	before, _, err := town.Journal.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r := visit(town, id)
	r.DryRun = true
	receipt := town.Must(r)
	if len(receipt.Events) != 1 || receipt.Events[0].Type != "casework.visit_recorded" || !strings.Contains(receipt.Events[0].Line.Zh, "见到本人") {
		t.Errorf("the dry run says %+v", receipt)
	}
	r = commands.Request{Category: "person", Command: "person.register", Officer: town.Officers[record.CommunityPolice], Input: town.NewPerson(1), DryRun: true}
	if _, err := town.Exec.Do(t.Context(), r); !errors.Is(err, person.ErrCitizenIDTaken) {
		t.Errorf("a dry run of a second registration: %v", err)
	}
	r.Input = town.NewPerson(3)
	town.Must(r)
	r.ID, r.Command, r.Input = without.ID, "person.identify", person.Identify{CitizenID: town.NewPerson(1).CitizenID}
	if _, err := town.Exec.Do(t.Context(), r); !errors.Is(err, person.ErrCitizenIDTaken) {
		t.Errorf("a dry run of a citizen id that somebody has: %v", err)
	}
	r.Input = person.Identify{CitizenID: town.NewPerson(3).CitizenID}
	town.Must(r)
	if after, _, _ := town.Journal.Head(t.Context()); after != before {
		t.Errorf("the dry runs moved the journal from %d to %d", before, after)
	}
}

// Ensure that a form filled on an older state is refused (If-Match), and nothing else changes.
func TestIfRevision(t *testing.T) {
	town := commandstest.Start(t)
	_, id := openCase(town, 1)
	seen := town.Must(visit(town, id)).Revision
	r := visit(town, id)
	r.IfRevision = &seen
	now := town.Must(r).Revision
	_, err := town.Exec.Do(t.Context(), r)
	wantKind(t, err, record.Conflict)
	if n := len(events(town, record.StreamOf("drugs", id))); uint64(n) != now+1 {
		t.Errorf("the stream holds %d events, want %d", n, now+1)
	}
}

// Ensure the two clocks: no future, and a late entry needs a coded reason (setting late-entry).
func TestClocks(t *testing.T) {
	town := commandstest.Start(t)
	_, id := openCase(town, 1)
	town.Clock.Advance(30 * 24 * time.Hour)
	for _, c := range []struct {
		name string
		ago  time.Duration
		late record.Late
		want error
	}{
		{"now", 0, "", nil},
		{"tomorrow", -24 * time.Hour, "", commands.ErrFuture},
		{"yesterday", 24 * time.Hour, "", nil},
		{"ten days ago", 240 * time.Hour, "", commands.ErrLate},
		{"ten days ago, on paper", 240 * time.Hour, record.LatePaper, nil},
		{"ten days ago, for no good reason", 240 * time.Hour, "because", commands.ErrLateCode},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := visit(town, id)
			r.Occurred, r.Late = town.Clock.Now().Add(-c.ago), c.late
			_, err := town.Exec.Do(t.Context(), r)
			if !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

// Ensure that a citizen id is one person's for ever, however many register it at once (D-12).
func TestCitizenIDIsUnique(t *testing.T) {
	town := commandstest.Start(t)
	const callers = 8
	var wg sync.WaitGroup
	ids := make(chan uuid.UUID, callers)
	for range callers {
		wg.Go(func() {
			receipt, err := town.Exec.Do(t.Context(), commands.Request{Category: "person", Command: "person.register",
				Officer: town.Officers[record.CommunityPolice], Input: town.NewPerson(7)})
			switch {
			case err == nil:
				ids <- receipt.ID
			case !errors.Is(err, person.ErrCitizenIDTaken):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if len(ids) != 1 {
		t.Errorf("%d of %d registrations of one citizen id succeeded", len(ids), callers)
	}
}

// Ensure that whoever gives a citizen id of 15 digits is told that it was extended, in a dry run, in the receipt and in its
// repeat (GB 11643).
func TestExtendedCitizenID(t *testing.T) {
	town := commandstest.Start(t)
	without := town.As(record.CommunityPolice, "person", "person.register", uuid.Nil, person.Register{Name: "梁平", NoCardReason: "证件遗失", Village: town.Here})
	old := func(serial int) string {
		id := town.NewPerson(serial).CitizenID
		return id[:6] + id[8:17]
	}
	in := town.NewPerson(1)
	in.CitizenID = old(1)
	for _, r := range []commands.Request{
		{Category: "person", Command: "person.register", Input: in, CommandID: uuid.New()},
		{Category: "person", Command: "person.identify", ID: without.ID, Input: person.Identify{CitizenID: old(3)}, CommandID: uuid.New()},
	} {
		r.Officer = town.Officers[record.CommunityPolice]
		for _, when := range []string{"dry run", "first", "again"} {
			r.DryRun = when == "dry run"
			if receipt := town.Must(r); len(receipt.Warnings) != 1 || receipt.Warnings[0] != record.Text(person.WarnExtended) {
				t.Errorf("%s, %s: warnings %v", r.Command, when, receipt.Warnings)
			}
		}
	}
	if receipt := town.As(record.CommunityPolice, "person", "person.register", uuid.Nil, town.NewPerson(5)); len(receipt.Warnings) != 0 {
		t.Errorf("a citizen id of 18 digits: warnings %v", receipt.Warnings)
	}
}

// broken fails appends to streams of one category, as a crash between the reservation and the registration would.
type broken struct {
	commands.Journal
	prefix string
}

func (b broken) Append(ctx context.Context, stream string, expected journal.Expected, events ...journal.Proposed) (journal.Appended, error) {
	if strings.HasPrefix(stream, b.prefix) {
		return journal.Appended{}, record.Errorf(record.Unavailable, "the machine stopped here")
	}
	return b.Journal.Append(ctx, stream, expected, events...)
}

// Ensure that a registration that stopped after its reservation is completed by whoever comes next, once, under one uuid.
func TestRegistrationSurvivesACrash(t *testing.T) {
	town := commandstest.Start(t)
	r := commands.Request{Category: "person", Command: "person.register", Officer: town.Officers[record.CommunityPolice],
		Input: town.NewPerson(9), CommandID: uuid.New()}
	x := town.Another()
	x.Journal = broken{town.Journal, "person-"}
	if _, err := x.Do(t.Context(), r); record.KindOf(err) != record.Unavailable {
		t.Fatal(err)
	}
	other := r
	other.CommandID = uuid.New()
	completed := town.Must(other)
	if _, err := town.Exec.Do(t.Context(), r); !errors.Is(err, person.ErrCitizenIDTaken) {
		t.Errorf("the first caller, back again: %v", err)
	}
	if again := town.Must(other); again.ID != completed.ID || !again.Repeated {
		t.Errorf("the second caller's repeat: %+v", again)
	}
	// And the one that crashed completes it itself when nobody came.
	r.Input, r.CommandID = town.NewPerson(11), uuid.New()
	if _, err := x.Do(t.Context(), r); err == nil {
		t.Fatal("the append did not fail")
	}
	town.Must(r)
}

// Ensure who may do what: role, unit, caseload, self, recusal, ended posts.
func TestAuthority(t *testing.T) {
	town := commandstest.Start(t)
	who, id := openCase(town, 1)
	elsewhere := town.Officer("t.elsewhere", 1, record.VillageCadre, town.There)
	do := func(officer uuid.UUID, category, command string, id uuid.UUID, in any) error {
		_, err := town.Exec.Do(t.Context(), commands.Request{Category: category, Command: command, ID: id, Officer: officer, Input: in})
		return err
	}
	met := casework.RecordVisit{Outcome: casework.Met}
	for role, officer := range town.Officers {
		err := do(officer, "drugs", "casework.record_visit", id, met)
		switch role {
		case record.VillageCadre, record.CommunityPolice, record.CommunityMedic, record.TownshipOffice:
			if err != nil {
				t.Errorf("%s: %v", role, err)
			}
		default: // a volunteer only in his own caseload
			if record.KindOf(err) != record.Forbidden {
				t.Errorf("%s: %v", role, err)
			}
		}
	}
	wantKind(t, do(elsewhere, "drugs", "casework.record_visit", id, met), record.Forbidden)
	wantKind(t, do(uuid.New(), "drugs", "casework.record_visit", id, met), record.Forbidden)
	wantKind(t, do(commands.System, "drugs", "casework.record_visit", id, met), record.Forbidden)
	wantKind(t, do(town.Officers[record.Inspector], "officer", "officer.declare_recusal", town.Officers[record.VillageCadre], staff.DeclareRecusal{Person: who, Reason: "近亲属"}), record.Forbidden)
	if err := do(town.Officers[record.VillageCadre], "officer", "officer.declare_recusal", town.Officers[record.VillageCadre], staff.DeclareRecusal{Person: who, Reason: "近亲属"}); err != nil {
		t.Fatal(err)
	}
	if err := do(town.Officers[record.VillageCadre], "drugs", "casework.record_visit", id, met); !errors.Is(err, commands.ErrRecused) {
		t.Errorf("after a recusal: %v", err)
	}
	o, _, err := town.Exec.Officer(t.Context(), town.Officers[record.CommunityMedic])
	if err != nil {
		t.Fatal(err)
	}
	town.System("officer", "officer.end_post", o.ID, staff.EndPost{Post: o.Posts[0].ID, Reason: "调离"})
	if err := do(o.ID, "drugs", "casework.record_visit", id, met); !errors.Is(err, commands.ErrNoPost) {
		t.Errorf("after the post ended: %v", err)
	}
}

// Ensure that a village which is taken from a station is out of its officers' reach at once, on this server and, as soon as the
// log has told it, on another that had answered by then (D-07).
func TestCoverageChanges(t *testing.T) {
	town := commandstest.Start(t)
	_, id := openCase(town, 1)
	other := town.Another()
	police := visit(town, id)
	police.Officer = town.Officers[record.CommunityPolice]
	for _, x := range []*commands.Executor{town.Exec, other} {
		if _, err := x.Do(t.Context(), police); err != nil {
			t.Fatal(err)
		}
		police.CommandID = uuid.Nil
	}
	receipt := town.System("unit", "unit.change_coverage", town.Station, units.ChangeCoverage{Covers: []uuid.UUID{town.There}})
	_, err := town.Exec.Do(t.Context(), police)
	wantKind(t, err, record.Forbidden)
	other.Observe(record.StreamOf("unit", town.Station), receipt.Revision)
	_, err = other.Do(t.Context(), police)
	wantKind(t, err, record.Forbidden)
}

// Ensure that a change of policy is an event, that later events name its version, and that another server follows.
func TestPolicyChange(t *testing.T) {
	town := commandstest.Start(t)
	second := town.Another()
	before, err := second.Rules(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	receipt := town.As(record.TownshipOffice, "policy", "policy.change_setting", policy.ID, policy.ChangeSetting{Setting: "visit.strict", Days: 5, Reason: "加强走访"})
	second.Observe(policy.Stream, receipt.Revision)
	after, err := second.Rules(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if after.Days("visit.strict") != 5 || before.Days("visit.strict") == 5 || after.Version == before.Version {
		t.Errorf("before %s: %d days, after %s: %d days", before.Version, before.Days("visit.strict"), after.Version, after.Days("visit.strict"))
	}
}

// Ensure that a void is decided on the history, leaves the event in the stream, and takes its effect away.
func TestVoid(t *testing.T) {
	town := commandstest.Start(t)
	_, id := openCase(town, 1)
	receipt := town.Must(visit(town, id))
	void := commands.Request{Category: "drugs", Command: "record.void_event", ID: id, Officer: town.Officers[record.CommunityPolice],
		Input: record.VoidEvent{Event: receipt.Events[0].ID, Reason: "走访对象记错"}}
	if _, err := town.Exec.Do(t.Context(), void); !errors.Is(err, record.ErrVoidOther) {
		t.Errorf("a void by somebody else: %v", err)
	}
	void.Officer = town.Officers[record.VillageCadre]
	town.Must(void)
	if _, err := town.Exec.Do(t.Context(), void); !errors.Is(err, record.ErrVoidTwice) {
		t.Errorf("a second void: %v", err)
	}
	history, err := town.Exec.History(t.Context(), record.StreamOf("drugs", id))
	if err != nil {
		t.Fatal(err)
	}
	f := record.NewFile(&drugs.Category, record.StreamOf("drugs", id))
	if err := f.Fold(history, record.At{}); err != nil {
		t.Fatal(err)
	}
	if n := f.State.(*drugs.Case).Visits; n != 0 || len(history) < 3 {
		t.Errorf("%d visits count in a history of %d", n, len(history))
	}
}

// Ensure that no name, id, number, address or note is in any file of the record (D-13; PIPL 51).
func TestNothingIsPlain(t *testing.T) {
	town := commandstest.Start(t)
	canaries := []string{"欧阳金丝雀", "12055500001", "金丝雀巷7号", "只在本备注出现的话", "金丝雀母亲"}
	in := person.Register{Name: canaries[0], CitizenID: town.NewPerson(13).CitizenID, Phone: canaries[1], Residence: canaries[2], Village: town.Here}
	canaries = append(canaries, in.CitizenID)
	who := town.As(record.CommunityPolice, "person", "person.register", uuid.Nil, in).ID
	town.As(record.CommunityPolice, "person", "person.add_family_member", who, person.AddFamilyMember{Name: canaries[4], Relation: "parent"})
	id := town.As(record.CommunityPolice, "drugs", "drugs.open", uuid.Nil, drugs.Open{Person: who, Village: town.Here, Kind: drugs.Voluntary}).ID
	town.As(record.VillageCadre, "drugs", "casework.add_note", id, casework.AddNote{Text: canaries[3]})
	found := 0
	err := filepath.Walk(town.Dir, func(path string, info os.FileInfo, err error) error {
		if err != nil || !info.Mode().IsRegular() {
			return err
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		found++
		for _, c := range canaries {
			if strings.Contains(string(raw), c) {
				t.Errorf("%s holds %q", filepath.Base(path), c)
			}
		}
		return nil
	})
	if err != nil || found < 3 {
		t.Fatalf("%d files were read: %v", found, err)
	}
}

// Ensure that after its key is destroyed a file takes nothing more and shows types and dates.
func TestErased(t *testing.T) {
	town := commandstest.Start(t)
	_, id := openCase(town, 1)
	stream := record.StreamOf("drugs", id)
	if err := town.Vault.Destroy(t.Context(), stream, "测试"); err != nil {
		t.Fatal(err)
	}
	town.Restart()
	_, err := town.Exec.Do(t.Context(), visit(town, id))
	if record.KindOf(err) != record.Erased && record.KindOf(err) != record.Forbidden {
		t.Errorf("a visit in an erased case: %v", err)
	}
	history, err := town.Exec.History(t.Context(), stream)
	if err != nil || len(history) == 0 || !history[0].Erased || history[0].Data != nil || history[0].Meta.OccurredAt.IsZero() {
		t.Errorf("history of an erased case: %+v, %v", history, err)
	}
}

// hasty tells the executor of each event before the append returns, as a follower may, and counts the reads of one stream.
type hasty struct {
	commands.Journal
	x      *commands.Executor
	stream string
	reads  int
}

func (h *hasty) Append(ctx context.Context, stream string, expected journal.Expected, events ...journal.Proposed) (journal.Appended, error) {
	done, err := h.Journal.Append(ctx, stream, expected, events...)
	if err == nil {
		h.x.Observe(stream, done.Revision)
	}
	return done, err
}

func (h *hasty) Stream(ctx context.Context, stream string, from uint64) iter.Seq2[journal.Stored, error] {
	if stream == h.stream {
		h.reads++
	}
	return h.Journal.Stream(ctx, stream, from)
}

// Ensure that hearing of an own append does not make the file be read again, and that hearing of another's does.
func TestObserve(t *testing.T) {
	town := commandstest.Start(t)
	_, id := openCase(town, 1)
	x := town.Another()
	h := &hasty{Journal: town.Journal, x: x, stream: record.StreamOf("drugs", id)}
	x.Journal = h
	for range 5 {
		if _, err := x.Do(t.Context(), visit(town, id)); err != nil {
			t.Fatal(err)
		}
	}
	if h.reads != 1 {
		t.Errorf("the stream was read %d times for five commands", h.reads)
	}
	receipt := town.Must(visit(town, id))
	x.Observe(h.stream, receipt.Revision)
	if _, err := x.Do(t.Context(), visit(town, id)); err != nil || h.reads != 2 {
		t.Errorf("after another server's event: %v, %d reads", err, h.reads)
	}
}
