// Package audit reads the whole journal and says what is wrong in it. It believes nothing that it can work out again: it
// is the library behind `yidang verify`.
//
// What is checked, in plain words:
//
//   - Log: each event is the leaf that was signed, each stored hash, checkpoint, signature and cosignature holds. This is
//     the notary's part; it needs no key of the record, so an outsider can do it.
//   - Order: positions grow; the revisions of a stream are 0, 1, 2, …; a command recorded its events in one place.
//   - Clocks: what was recorded is not older than what was recorded before it in the stream; nothing happened after it was
//     recorded; what was entered late says why; the record's clock agrees with the journal's own.
//   - Forms: each event is of the catalog, opens with its stream's key in its own place, and reads strictly; its metadata
//     name the file that it lies in, and the policy that was in force.
//   - Erasure: a key is gone exactly where a record.erased says so, and nothing was recorded after it.
//   - Attachments: each one that an event names is in the store, whole.
//   - Second: each event that takes two people follows, in one append, the approval of another officer, who was not
//     responsible in any case of the person, of a proposal that was still open; and it records what was proposed, and nothing else.
//   - Authority: whoever recorded it had the post that the metadata name, the post allowed it, there and then, and no
//     recusal stood. Whoever read a file had such a post too, that reached it, and a purpose of his or an emergency reading;
//     what is recorded as his own caseload was.
//   - Claims: a claimed value, such as a citizen id, is one stream's, and that stream has it.
//
// Who was in which post when, and who was responsible, is folded again from the events; nothing is taken from the
// projections. A finding names the event and what to do; a note is something to look at that can have an innocent cause.
//
// Memory does not grow with the journal: it is read once, dealt out by stream into temporary files that have no name (they
// hold what the journal holds: sealed data), and those are worked through one after the other, dealt out again where one is
// large. What stays in memory is who was in which post when, the links between merged files, and the largest streams.
//
// Events alone do not say which command recorded them, only the clause it carries out (Meta.Basis). Authority is therefore
// as sharp as that: some command of the category with this basis must have allowed it. Where the command is known (what
// was proposed and approved, amendments, erasures) it is that one.
package audit

import (
	"context"
	"errors"
	"iter"
	"reflect"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"yidang/domain/attachments"
	"yidang/domain/catalog"
	"yidang/domain/journal"
	"yidang/domain/notary"
	"yidang/domain/record"
)

// Severity of a finding.
type Severity string

// A Failure says that the record is not what it should be; a Note may have an innocent cause.
const (
	Failure Severity = "failure"
	Note    Severity = "note"
)

// Check names what was checked.
type Check string

// The checks; see the package comment.
const (
	Log         Check = "log"
	Order       Check = "order"
	Clocks      Check = "clocks"
	Forms       Check = "forms"
	Erasure     Check = "erasure"
	Attachments Check = "attachments"
	Second      Check = "two-person"
	Authority   Check = "authority"
	Claims      Check = "claims"
)

// Checks lists all.
var Checks = []Check{Log, Order, Clocks, Forms, Erasure, Attachments, Second, Authority, Claims}

// Finding is one thing that is wrong.
type Finding struct {
	Severity Severity    `json:"severity"`
	Check    Check       `json:"check"`
	Position uint64      `json:"position,omitempty"` // in the journal; 0 when it is about no event there
	Stream   string      `json:"stream,omitempty"`
	Revision uint64      `json:"revision"`
	Event    uuid.UUID   `json:"event,omitzero"`
	Type     string      `json:"type,omitempty"`
	What     record.Text `json:"what"`
	Remedy   record.Text `json:"remedy"`
}

// Progress tells how far the work is.
type Progress struct {
	Stage   string // "read", then "check"
	Done    int    // events
	Total   int    // events; 0 while it is not known
	Found   int    // findings so far
	Elapsed time.Duration
}

// Summary is the end of it.
type Summary struct {
	Events       int           `json:"events"` // in the journal, checkpoints among them
	Streams      int           `json:"streams"`
	Leaves       int64         `json:"leaves"` // of the log
	Root         string        `json:"root,omitempty"`
	Checkpoints  int           `json:"checkpoints"` // signed ones
	Cosigned     int           `json:"cosigned"`
	SignedSize   int64         `json:"signedSize"`   // leaves that the newest signed checkpoint covers
	CosignedSize int64         `json:"cosignedSize"` // and the newest one with a quorum of witnesses
	Readings     int           `json:"readings"`     // access.read events
	Attachments  int           `json:"attachments"`  // blobs that were read through
	Approvals    int           `json:"approvals"`    // events for which two people were proved
	Authorised   int           `json:"authorised"`   // events whose authority was proved
	Claims       int           `json:"claims"`
	Erased       int           `json:"erased"`     // streams whose content is destroyed
	ClockSteps   int           `json:"clockSteps"` // times that the clock went back in a stream by less than Leeway
	Failures     int           `json:"failures"`
	Notes        int           `json:"notes"`
	Unchecked    []Check       `json:"unchecked,omitempty"` // left out, because they were not asked for or cannot be done
	Read         time.Duration `json:"read"`                // how long the first reading took, with the checks of the log
	Elapsed      time.Duration `json:"elapsed"`
}

// Journal is what is read; *journal.Journal is one.
type Journal interface {
	All(ctx context.Context, after uint64) iter.Seq2[journal.Stored, error]
	Stream(ctx context.Context, stream string, from uint64) iter.Seq2[journal.Stored, error]
}

// Vault opens what is sealed.
type Vault interface {
	catalog.Sealer
	Erased(stream string) bool
	MAC(purpose string, parts ...[]byte) []byte
}

// Options say what is to be verified, and with what. Journal is required.
type Options struct {
	Journal Journal
	Catalog *catalog.Catalog // required for all but Log and Order
	Vault   Vault            // required for all but Log and Order
	// Attachments is where the blobs are; nil leaves that check out.
	Attachments *attachments.Store
	// Notary is what the log is checked against: Policy, Known and Dir are looked at, the rest is set here. nil leaves that
	// check out.
	Notary *notary.VerifyOptions
	// Only names the checks to make; empty means all.
	Only []Check
	// Dir is where the journal is dealt out, in files without a name; it needs as much room as the journal. Empty means the
	// system's directory for temporary files.
	Dir string
	// Parallel is how many streams are worked on at once; 0 means one for each processor.
	Parallel int
	// Hold is how many bytes of the journal each of them has in memory at once, as they are stored; opened they take a few
	// times as much. A stream is checked whole, however large. 0 means 32 MiB.
	Hold int64
	// Leeway is how far clocks of servers may be apart, and what one knows of another's writes behind; 0 means a minute.
	Leeway time.Duration
	// Progress is called about once a second, by one goroutine at a time; may be nil.
	Progress func(Progress)
}

// Verify reads the journal and reports what is wrong, as it finds it; report is called by one goroutine at a time. The error
// is of the reading, never of what was read: a journal with failures is a Summary with Failures.
func Verify(ctx context.Context, o Options, report func(Finding)) (Summary, error) {
	a, err := newAudit(o, report)
	if err != nil {
		return Summary{}, err
	}
	defer func() { a.spool.close(); a.involved.close() }()
	stop := a.ticking()
	defer stop()
	if err := a.read(ctx); err != nil {
		return a.sum(), err
	}
	if err := a.check(ctx); err != nil {
		return a.sum(), err
	}
	return a.sum(), nil
}

// audit is one run.
type audit struct {
	Options
	began    time.Time
	report   func(Finding)
	spool    *spool
	who      *past
	involved *involvement
	codec    *catalog.Codec
	settings func([]record.Event)        // gives the codec the policy stream
	slim     map[string]*record.Category // categories without the duties, which nothing here looks at
	naming   map[reflect.Type]bool       // event data that can name attachments
	readers  []record.Grant              // by which files of people are read
	drift    drift

	mu      sync.Mutex // guards what follows
	summary Summary
	stage   string
	done    int
}

func newAudit(o Options, report func(Finding)) (*audit, error) {
	if o.Journal == nil {
		return nil, record.Errorf(record.Invalid, "verify: no journal was given")
	}
	if o.Parallel <= 0 {
		o.Parallel = runtime.GOMAXPROCS(0)
	}
	if o.Hold <= 0 {
		o.Hold = defaultHold
	}
	if o.Leeway <= 0 {
		o.Leeway = time.Minute
	}
	if o.Progress == nil {
		o.Progress = func(Progress) {}
	}
	a := &audit{Options: o, began: time.Now(), report: report, stage: "read"}
	for _, c := range Checks {
		wanted := len(o.Only) == 0 || slices.Contains(o.Only, c)
		if !wanted || c == Log && o.Notary == nil || c == Attachments && o.Attachments == nil {
			a.summary.Unchecked = append(a.summary.Unchecked, c)
		}
	}
	if !a.content() {
		return a, nil
	}
	if o.Catalog == nil || o.Vault == nil {
		return nil, record.Errorf(record.Invalid, "verify: the content of the record is not checked without its catalog and its vault; ask for the checks %q and %q only", Log, Order)
	}
	return a, a.prepare()
}

// wants tells whether a check is made.
func (a *audit) wants(c Check) bool { return !slices.Contains(a.summary.Unchecked, c) }

// content tells whether any check looks further than the log and the order.
func (a *audit) content() bool {
	return slices.ContainsFunc(Checks, func(c Check) bool { return c != Log && c != Order && a.wants(c) })
}

// dealt tells whether the events are looked at stream by stream. Where the log is checked, revisions are too.
func (a *audit) dealt() bool { return a.content() || a.wants(Order) && !a.wants(Log) }

// find reports a finding, unless its check was not asked for.
func (a *audit) find(f Finding) {
	if !a.wants(f.Check) {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if f.Severity == Failure {
		a.summary.Failures++
	} else {
		a.summary.Notes++
	}
	if a.report != nil {
		a.report(f)
	}
}

// count changes the summary.
func (a *audit) count(change func(*Summary)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	change(&a.summary)
}

// at begins a finding about an event.
func at(s journal.Stored, sev Severity, c Check, what, remedy record.Text) Finding {
	return Finding{Severity: sev, Check: c, Position: s.Position, Stream: s.Stream, Revision: s.Revision, Event: s.ID, Type: s.Type, What: what, Remedy: remedy}
}

func (a *audit) sum() Summary {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.summary.Elapsed = time.Since(a.began)
	return a.summary
}

// ticking tells of the progress until it is stopped, which it does once more at the end.
func (a *audit) ticking() (stop func()) {
	quit, over := make(chan struct{}), make(chan struct{})
	tell := func() {
		a.mu.Lock()
		p := Progress{Stage: a.stage, Done: a.done, Found: a.summary.Failures + a.summary.Notes, Elapsed: time.Since(a.began)}
		if a.stage == "check" {
			p.Total = a.summary.Events
		}
		a.mu.Unlock()
		a.Progress(p)
	}
	go func() {
		defer close(over)
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				tell()
			case <-quit:
				tell()
				return
			}
		}
	}()
	return func() { close(quit); <-over }
}

// stride is after how many events the progress is brought up to date.
const stride = 1024

// read is the one reading of the journal: what needs its order is checked, everything else is dealt out by stream.
func (a *audit) read(ctx context.Context) (err error) {
	if a.dealt() {
		if a.spool, err = newSpool(a.Dir, spoolParts); err != nil {
			return err
		}
	}
	began := time.Now()
	r := reading{audit: a}
	if a.wants(Log) {
		err = r.withLog(ctx)
	} else {
		for e, failed := range a.Journal.All(ctx, 0) {
			if err = failed; err != nil {
				break
			}
			r.take(e, -1)
		}
	}
	a.driftEnds()
	a.count(func(s *Summary) { s.Events, s.Read = r.events, time.Since(began) })
	return errors.Join(err, r.err)
}

// reading is what the first pass knows.
type reading struct {
	*audit
	events int
	last   uint64
	err    error // of dealing out; the first one
}

// take takes the next event of the journal.
func (r *reading) take(e journal.Stored, _ int64) {
	if r.events++; r.events%stride == 0 {
		r.count(func(*Summary) { r.done = r.events })
	}
	if e.Position <= r.last {
		r.find(at(e, Failure, Order, record.T("在日志中的位置不在前一条之后", "its position in the journal is not after that of the event before it"), restore))
	}
	r.last = e.Position
	if r.wants(Clocks) {
		r.drifts(e)
	}
	if r.spool == nil || r.err != nil {
		return
	}
	r.err = r.deal(e)
}

// withLog reads through the notary, which checks the log as it goes.
func (r *reading) withLog(ctx context.Context) error {
	o := notary.VerifyOptions{Journal: r.Journal, Policy: r.Notary.Policy, Known: r.Notary.Known, Dir: r.Notary.Dir, Workers: r.Parallel, Event: r.take}
	sum, err := notary.Verify(ctx, o, func(f notary.Finding) {
		r.find(Finding{Severity: Failure, Check: Log, Position: f.Position, Event: f.Event,
			What: record.T("日志与已签名的记录不符："+f.What, f.What), Remedy: record.T(restore.Zh, f.Remedy)})
	})
	r.count(func(s *Summary) {
		s.Leaves, s.Checkpoints, s.Cosigned = sum.Leaves, int(sum.Signed), int(sum.Cosigned)
		s.SignedSize, s.CosignedSize, s.Root = sum.SignedSize, sum.CosignedSize, sum.Root.String()
	})
	return err
}

// check works through the parts. The first one says who was in which post when, by which the rest is judged.
func (a *audit) check(ctx context.Context) error {
	if a.spool == nil {
		return nil
	}
	if err := a.spool.flush(); err != nil {
		return err
	}
	a.count(func(*Summary) { a.stage, a.done = "check", 0 })
	if a.content() {
		if err := a.remember(ctx); err != nil {
			return err
		}
		var err error
		if a.involved, err = newInvolvement(a.Dir); err != nil {
			return err
		}
	}
	parts := make(chan int)
	var workers sync.WaitGroup
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	for range a.Parallel {
		workers.Go(func() {
			for n := range parts {
				if err := a.checkPart(ctx, n); err != nil {
					cancel(err)
					return
				}
			}
		})
	}
feeding:
	for n := townPart + 1; n < len(a.spool.parts); n++ {
		select {
		case parts <- n:
		case <-ctx.Done():
			break feeding
		}
	}
	close(parts)
	workers.Wait()
	if err := context.Cause(ctx); err != nil || a.involved == nil {
		return err
	}
	return a.involved.judge(ctx, a)
}

func (a *audit) checkPart(ctx context.Context, n int) error {
	return a.spool.each(n, a.Hold, func(streams []*stream) error {
		for _, s := range streams {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := a.stream(ctx, s); err != nil {
				return err
			}
			a.count(func(sum *Summary) {
				a.done += len(s.events) + len(s.claims)
				if len(s.events) > 0 {
					sum.Streams++
				}
			})
		}
		return nil
	})
}

// restore is the remedy for what no program of ours writes.
var restore = record.T("停止写入，保全现场；与见证方检查点核对，从最近的完好备份恢复日志",
	"stop writing and keep the files as they are; compare with a checkpoint of a witness; restore the journal from the newest backup that verifies")

// ask is the remedy for what somebody recorded past the rules.
var ask = record.T("保全日志，报纪检监察：该记录绕过了程序，或由被盗用的密钥写入；不得据此办理",
	"keep the journal and tell the inspectors: this was recorded past the program, or with a stolen key; do not act on it")
