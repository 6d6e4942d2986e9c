package imports

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"yidang/domain/casework"
	"yidang/domain/commands"
	"yidang/domain/intake"
	"yidang/domain/person"
	"yidang/domain/programs/drugs"
	"yidang/domain/record"
)

// Importer takes a judged roster into the record, by the same commands that people use. Every command id follows from the
// content of the file and the row, so a repeat of the same file changes nothing, and a repeat after a crash completes
// what is missing.
type Importer struct {
	Exec *commands.Executor
	Dir  Directory
}

// Directory is what the importer asks of the views.
type Directory interface {
	// VillagesNamed lists the villages and communities of a name: two townships may each have one.
	VillagesNamed(ctx context.Context, name string) ([]uuid.UUID, error)
	// OfficersNamed lists the officers of a name with their active roles.
	OfficersNamed(ctx context.Context, name string) ([]Officer, error)
	// OpenCase finds a person's open case of a program.
	OpenCase(ctx context.Context, person uuid.UUID, program string) (uuid.UUID, bool, error)
}

// Officer is a possible responsible officer.
type Officer struct {
	ID    uuid.UUID
	Roles []record.Role
}

// As is who takes the roster in. Nobody (zero) can only check one: then nothing is said of anybody's reach.
type As struct{ Officer, Post uuid.UUID }

// Summary is what an import did.
type Summary struct {
	ID       uuid.UUID       `json:"id" doc:"of the intake"`
	Repeated bool            `json:"repeated,omitempty" doc:"this file had been taken in before; nothing was changed"`
	Rows     int             `json:"rows"`
	Counts   map[Outcome]int `json:"counts"`
	Position uint64          `json:"position"`
}

// workers is how many rows are under way at once, so that they share fsyncs.
const workers = 16

// finished gives the earlier intake of the same file, nil when there is none that finished, and restores its outcomes.
func (im *Importer) finished(ctx context.Context, r *Roster) (*intake.Intake, error) {
	id := intake.IDFor(r.SHA256)
	history, err := im.Exec.History(ctx, record.StreamOf(intake.Category.Name, id))
	if err != nil || len(history) == 0 {
		return nil, err
	}
	f := record.NewFile(&intake.Category, record.StreamOf(intake.Category.Name, id))
	if err := f.Fold(history, record.At{}); err != nil {
		return nil, err
	}
	state := f.State.(*intake.Intake)
	if state.Finished.IsZero() || len(state.Results) != len(r.Rows) {
		return nil, nil
	}
	for i, res := range state.Results {
		r.Rows[i].Outcome = Outcome(res.Outcome)
	}
	return state, nil
}

// Commit takes in the accepted rows. A row that a rule refuses is rejected with that rule; the others go on. progress is
// called now and then with the number of rows done, from one goroutine at a time.
func (im *Importer) Commit(ctx context.Context, r *Roster, as As, progress func(done, total int)) (Summary, error) {
	out := Summary{ID: intake.IDFor(r.SHA256), Rows: len(r.Rows)}
	before, err := im.finished(ctx, r)
	if err != nil {
		return out, err
	}
	if before != nil {
		out.Repeated, out.Counts = true, counts(r)
		return out, nil
	}
	unknown, err := im.Unregistered(ctx, r)
	if err != nil {
		return out, err
	}
	if len(unknown) > 0 {
		return out, &record.Problem{Kind: record.Refused, Field: "village", Rule: "D-06",
			Message: "these villages are not registered: " + strings.Join(unknown, ", "), Zh: "以下村（社区）未登记：" + strings.Join(unknown, "、"),
			Remedy: "put the spelling right in the roster, or have the administrator register them"}
	}
	begin := intake.CommandFor(r.SHA256)
	began, err := im.Exec.Do(ctx, commands.Request{Category: "intake", Command: "intake.begin", CommandID: begin, Derived: true, Officer: as.Officer, Post: as.Post,
		Input: intake.Begun{SHA256: r.SHA256, Title: r.Title, Rows: len(r.Rows)}})
	if err != nil {
		return out, err
	}
	places, err := im.check(ctx, r, as)
	if err != nil {
		return out, err
	}
	t := taking{im: im, r: r, as: as, begin: begin, at: began.At, places: places, results: make([]intake.Result, len(r.Rows))}
	if err := t.rows(ctx, progress); err != nil {
		return out, err
	}
	receipt, err := im.Exec.Do(ctx, commands.Request{Category: "intake", Command: "intake.finish", ID: out.ID,
		CommandID: uuid.NewSHA1(begin, []byte("finish")), Derived: true, Officer: as.Officer, Post: as.Post, Input: intake.Finished{Results: t.results}})
	out.Counts, out.Position = counts(r), receipt.Position
	return out, err
}

// taking is one roster being taken in.
type taking struct {
	im      *Importer
	r       *Roster
	as      As
	begin   uuid.UUID // the command that began it, from which every other one follows
	at      time.Time // when it began: what a repeat after a crash calls the past must be what the first attempt called it
	places  map[string]place
	results []intake.Result
}

func (t *taking) rows(ctx context.Context, progress func(done, total int)) error {
	var done atomic.Int64
	var one sync.Mutex
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(workers)
	for i := range t.r.Rows {
		g.Go(func() error {
			res, err := t.row(ctx, &t.r.Rows[i])
			if err != nil {
				return err
			}
			t.results[i] = res
			if n := int(done.Add(1)); progress != nil {
				one.Lock()
				defer one.Unlock()
				progress(n, len(t.r.Rows))
			}
			return nil
		})
	}
	return g.Wait()
}

func counts(r *Roster) map[Outcome]int {
	c := map[Outcome]int{}
	for _, row := range r.Rows {
		c[row.Outcome]++
	}
	return c
}

// personOf and caseOf are the uuids that this import gives a row's new person and case.
func personOf(r *Roster, row *Row) uuid.UUID { return begunBy(r, row, "register") }
func caseOf(r *Roster, row *Row) uuid.UUID   { return begunBy(r, row, "open") }

func begunBy(r *Roster, row *Row, name string) uuid.UUID {
	return uuid.NewSHA1(step(intake.CommandFor(r.SHA256), row, name), []byte("stream"))
}

func step(begin uuid.UUID, row *Row, name string) uuid.UUID {
	return uuid.NewSHA1(begin, []byte(row.Sheet+"|"+row.CitizenID.String()+"|"+name))
}

// ofTheRow are the kinds of refusal that concern the row alone. Anything else ends the import, to be gone on with.
var ofTheRow = []record.Kind{record.Invalid, record.Refused, record.Forbidden, record.Erased}

// row carries out one row. An error ends the import; what a rule refuses, or what is not this officer's, only rejects the row.
func (t *taking) row(ctx context.Context, row *Row) (intake.Result, error) {
	res := intake.Result{Row: row.Row, Sheet: row.Sheet}
	if row.Outcome == Accepted || row.Outcome == AcceptedWithWarning {
		w := &rowWork{taking: t, ctx: ctx, row: row, village: t.places[row.Village].id}
		err := w.do()
		var p *record.Problem
		switch {
		case err == nil:
			res.Person, res.Case = w.person, w.case_
		case errors.As(err, &p) && slices.Contains(ofTheRow, p.Kind):
			row.reject(Reason{Message: p.Error(), Zh: p.Zh})
		default:
			return res, err
		}
	}
	res.Outcome = string(row.Outcome)
	return res, nil
}

// rowWork is one row under way.
type rowWork struct {
	*taking
	ctx           context.Context
	row           *Row
	village       uuid.UUID
	person, case_ uuid.UUID
}

func (w *rowWork) do() error {
	for _, f := range []func() error{w.register, w.open, w.tier} {
		if err := f(); err != nil {
			return err
		}
	}
	for _, f := range []func() error{w.family, w.agreement, w.responsible, w.lastTest} { // the file is worth having without
		err := f()
		var p *record.Problem
		if errors.As(err, &p) && slices.Contains(ofTheRow, p.Kind) {
			w.warn(Reason{Message: "left out: " + p.Error(), Zh: "未转入：" + p.Zh})
		} else if err != nil {
			return err
		}
	}
	return nil
}

func (w *rowWork) warn(why Reason) {
	w.row.Outcome, w.row.Why = AcceptedWithWarning, append(w.row.Why, why)
}

// command runs one step under an id of its own.
func (w *rowWork) command(name, category, command string, id uuid.UUID, occurred time.Time, input any) (uuid.UUID, error) {
	r := commands.Request{Category: category, Command: command, ID: id, Input: input, Officer: w.as.Officer, Post: w.as.Post,
		CommandID: step(w.begin, w.row, name), Derived: true, Occurred: occurred, Late: record.LateImport, Cause: w.begin}
	receipt, err := w.im.Exec.Do(w.ctx, r)
	return receipt.ID, err
}

func (w *rowWork) register() error {
	id, err := w.command("register", "person", "person.register", uuid.Nil, time.Time{}, registration(w.row, w.village))
	if errors.Is(err, person.ErrCitizenIDTaken) { // an existing file without an open case: Check has compared the names
		id, _, err = w.im.Exec.Holder(w.ctx, "citizenid", w.row.CitizenID.String())
	}
	w.person = id
	return err
}

func registration(row *Row, village uuid.UUID) person.Register {
	return person.Register{Name: row.Name, CitizenID: row.CitizenID.String(), Ethnicity: row.Ethnicity, Village: village,
		Household: row.Household, Residence: row.Residence, Phone: first(row.Phone)}
}

// first is the first usable number of a cell that may hold several; none is better than a wrong one.
func first(phones string) string {
	for _, p := range strings.Split(phones, "、") {
		if person.ValidPhone(p) {
			return p
		}
	}
	return ""
}

func (w *rowWork) family() error {
	phone := first(w.row.FamilyPhone)
	if phone == "" {
		return nil
	}
	_, err := w.command("family", "person", "person.add_family_member", w.person, time.Time{},
		person.AddFamilyMember{Name: "家属", Relation: "other", Phone: phone})
	return err
}

// open opens the case as an older register has it: the papers are to be supplied.
func (w *rowWork) open() (err error) {
	in := drugs.Open{Person: w.person, Village: w.village, Kind: drugs.Detox, FirstUse: w.row.FirstUse,
		Order: drugs.Document{Transcribed: true}, Determination: drugs.Document{Transcribed: true}, Note: w.row.Note}
	w.case_, err = w.command("open", "drugs", "drugs.open", uuid.Nil, w.signed(), in)
	return err
}

// signed is the day of the agreement when the roster gives a whole one, else zero: now.
func (w *rowWork) signed() time.Time { return w.day(w.row.AgreementDate) }

// day reads a whole day of the past; anything else is zero. Read knows no clock, so a day to come is a slip of the pen.
func (w *rowWork) day(s string) time.Time {
	t, err := time.ParseInLocation(record.Day, s, record.Zone)
	if err != nil || t.After(w.at) {
		return time.Time{}
	}
	return t
}

func (w *rowWork) agreement() error {
	if w.signed().IsZero() {
		return nil
	}
	_, err := w.command("agreement", "drugs", "drugs.sign_agreement", w.case_, w.signed(), drugs.SignAgreement{Transcribed: true})
	return err
}

func (w *rowWork) tier() error {
	if w.row.Tier == "" {
		return nil
	}
	_, err := w.command("tier", "drugs", "drugs.change_tier", w.case_, time.Time{},
		drugs.ChangeTier{Tier: drugs.Tier(w.row.Tier), Reasons: "据花名册转录，待复核", Transcribed: true})
	return err
}

// responsible makes the officer of the roster responsible when there is exactly one of that name whose post fits; whether
// it does is the command's to say.
func (w *rowWork) responsible() error {
	name, _, _ := strings.Cut(w.row.Responsible, "、")
	if name == "" {
		return nil
	}
	named, err := w.im.Dir.OfficersNamed(w.ctx, name)
	if err != nil {
		return err
	}
	why := &record.Problem{Message: "no officer in service has this name", Zh: "没有这一姓名的在岗工作人员"}
	for _, o := range named {
		for _, role := range o.Roles {
			_, err := w.command("responsible "+o.ID.String()+string(role), "drugs", "casework.assign_responsible", w.case_, time.Time{},
				casework.AssignResponsible{Officer: o.ID, Role: role, Lead: true})
			if err == nil {
				return nil
			}
			if k := record.KindOf(err); !errors.As(err, &why) || k != record.Refused && k != record.Forbidden {
				return err
			}
		}
	}
	w.warn(Reason{Message: "the responsible officer was not taken over: " + why.Error(), Zh: "包保责任人未转入：" + why.Zh})
	return nil
}

// lastTest takes over what the roster says of the last test: without testers and a report it is a transcript, not a test
// (S-2). Before the case, or on a day that is not whole, it is a note.
func (w *rowWork) lastTest() error {
	if w.row.LastTestDate == "" || w.row.LastTestResult == TestNone {
		return nil
	}
	on := w.day(w.row.LastTestDate)
	if on.IsZero() || w.signed().IsZero() || on.Before(w.signed()) {
		_, err := w.command("last test", "drugs", "casework.add_note", w.case_, time.Time{},
			casework.AddNote{Text: "据花名册：最近一次尿检 " + w.row.LastTestDate + " " + map[string]string{TestNegative: "阴性", TestPositive: "阳性"}[w.row.LastTestResult]})
		return err
	}
	_, err := w.command("last test", "drugs", "drugs.transcribe_urine_test", w.case_, on, drugs.TranscribeUrineTest{Result: w.row.LastTestResult, Source: "花名册"})
	return err
}
