// Package commands is the only way anything is recorded. A command is authorised, decided on the loaded state, sealed, and
// appended with the exact revision it was decided on:
//
//		authorise → load → decide → seal → append
//
//	  - Who may do what is decided here and nowhere else (authority.go), from the officer's posts and the row's grants.
//	  - On a conflict the command is decided again on the newer state, a few times. State kept in memory only ever saves
//	    reading: a stale copy costs a retry, never a wrong record.
//	  - A command has an id. Event ids derive from it, and the stream remembers what each command recorded, so a repeat
//	    (after a timeout, a crash or a restart) gets the first answer and records nothing.
//	  - A value that must be one stream's alone (a citizen id, a login) is claimed by a reservation stream first. The claim
//	    names the stream to be; whoever comes after a crash between the two appends completes that stream.
package commands

import (
	"context"
	"errors"
	"iter"
	"slices"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	lru "github.com/hashicorp/golang-lru/v2"

	"yidang/domain/catalog"
	"yidang/domain/journal"
	"yidang/domain/policy"
	"yidang/domain/record"
)

// Journal is what commands need of the event store.
type Journal interface {
	Append(ctx context.Context, stream string, expected journal.Expected, events ...journal.Proposed) (journal.Appended, error)
	Stream(ctx context.Context, stream string, from uint64) iter.Seq2[journal.Stored, error]
}

// Vault is what commands need of the vault.
type Vault interface {
	catalog.Sealer
	Destroy(ctx context.Context, stream, reason string) error
	Erased(stream string) bool
	MAC(purpose string, parts ...[]byte) []byte
}

// Options configure an Executor.
type Options struct {
	Catalog *catalog.Catalog
	Journal Journal
	Vault   Vault
	Now     func() time.Time // the server's clock; time.Now by default
	Cache   int              // how many files of usual length to keep in memory, at 2 KB; 20,000 by default
	Packer  *record.Packer   // of the files in memory; what projections keep packed by the same one shares its memory; nil: one of its own
	Metrics *Metrics         // may be nil
	// Precheck may refuse a command before it is decided, by looking at what only projections know (possible duplicates).
	// It is advice for people, not an invariant: it may be a moment behind. It is asked only about what the officer may do,
	// because its answer tells of files, and never about a repeat, because it would find what the first request made.
	Precheck func(ctx context.Context, row *record.CommandRow, r Request) error
	// Vouch may refuse what was decided before it is recorded, by looking at what it names outside of the journal: the files
	// that attachments stand for. It is given the data of the events, of a correction the data that it puts in the place of
	// another event's. Unlike Precheck it is no advice: what it refuses is never recorded.
	Vouch func(ctx context.Context, stream string, data []any) error
	// Responsible tells whether an officer is responsible in any case of a person, from a projection; who is may not approve
	// what concerns the person. nil: only the case at hand counts.
	Responsible func(ctx context.Context, person, officer uuid.UUID) (bool, error)
}

// Executor runs commands.
type Executor struct {
	Options
	Codec *catalog.Codec
	Book  *policy.Book
	files *files
	reads *lru.Cache[ownRead, struct{}]
	// covered is which village belongs to which unit, as far as it was asked; replaced when a unit changes.
	covered atomic.Pointer[covered]
}

// New makes an executor.
func New(o Options) (*Executor, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Cache == 0 {
		o.Cache = 20_000
	}
	if o.Packer == nil {
		o.Packer = record.NewPacker()
	}
	x := &Executor{Options: o}
	x.covered.Store(newCovered())
	book, err := policy.NewBook(x.policyEvents)
	if err != nil {
		return nil, err
	}
	x.Book = book
	x.Codec = &catalog.Codec{Catalog: o.Catalog, Vault: o.Vault, Policy: book}
	x.files = newFiles(o.Cache, x)
	if x.reads, err = lru.New[ownRead, struct{}](16_384); err != nil {
		return nil, err
	}
	return x, nil
}

func (x *Executor) policyEvents(ctx context.Context) ([]record.Event, error) {
	return x.History(ctx, policy.Stream)
}

// History reads a whole stream, opened; erased events come without data.
func (x *Executor) History(ctx context.Context, stream string) ([]record.Event, error) {
	return x.historyFrom(ctx, stream, 0)
}

func (x *Executor) historyFrom(ctx context.Context, stream string, from uint64) ([]record.Event, error) {
	var events []record.Event
	for s, err := range x.Journal.Stream(ctx, stream, from) {
		if err != nil {
			return nil, err
		}
		e, known, err := x.Codec.Open(ctx, s)
		if err != nil {
			return nil, err
		}
		if known {
			events = append(events, e)
		}
	}
	return events, nil
}

// Request asks for a command.
type Request struct {
	Category string
	Command  string
	ID       uuid.UUID // of the stream; zero when the command starts one
	Input    any       // of the row's input type, by value
	Officer  uuid.UUID // who asks
	Post     uuid.UUID // in which post; zero: the first that allows it
	// CommandID makes a repeat recognisable; zero means that the caller will not repeat.
	CommandID uuid.UUID
	// Derived says that CommandID was made from all that is asked, as the steps of an import are from the roster. Then the
	// id alone tells a repeat: another officer may go on, and the same cell may have been read into something else since.
	Derived  bool
	Occurred time.Time // zero: now
	Late     record.Late
	// IfRevision, when set, is the revision the caller saw; any other is a conflict.
	IfRevision *uint64
	DryRun     bool
	Cause      uuid.UUID // command that this one follows from; zero: none
}

// Receipt says what was recorded.
type Receipt struct {
	Command  uuid.UUID  `json:"command"`
	Category string     `json:"category"`
	ID       uuid.UUID  `json:"id" doc:"of the file that was changed or begun"`
	Revision uint64     `json:"revision" doc:"of the file, after this command"`
	Position uint64     `json:"position" doc:"in the log, of the last event; 0 when nothing was recorded"`
	Events   []Recorded `json:"events" doc:"empty when the file already said so"`
	Proposal uuid.UUID  `json:"proposal,omitzero" doc:"set when it takes two people: nothing more than the proposal is recorded until another officer approves it"`
	Repeated bool       `json:"repeated,omitempty" doc:"the command had been carried out before; this is the first answer again"`
	DryRun   bool       `json:"dryRun,omitempty" doc:"nothing was recorded"`
	// Warnings are what a person should look at though the input was accepted.
	Warnings []record.Text `json:"warnings,omitempty" doc:"what to look at, though it was accepted"`
	At       time.Time     `json:"recordedAt"`
	Data     []any         `json:"-"` // the events' data; only for the caller in this process
}

// Recorded is one event of a receipt.
type Recorded struct {
	ID       uuid.UUID   `json:"id"`
	Type     string      `json:"type"`
	Revision uint64      `json:"revision"`
	Line     record.Text `json:"line"`
}

// Refusals of this package.
var (
	ErrFuture     = &record.Problem{Kind: record.Invalid, Field: "occurredAt", Rule: "two clocks", Message: "is in the future", Zh: "不能晚于当前时间", Remedy: "record it when it has happened"}
	ErrLate       = &record.Problem{Kind: record.Refused, Field: "late", Rule: "two clocks", Message: "it happened longer ago than the policy allows without a reason", Zh: "补录超过规定时限，须说明原因", Remedy: "set late to one of: no-network, paper-first, officer-absent, received-late, import"}
	ErrLateCode   = &record.Problem{Kind: record.Invalid, Field: "late", Message: "unknown code", Zh: "代码不在目录中", Remedy: "use one of: no-network, paper-first, officer-absent, received-late, import"}
	ErrStale      = &record.Problem{Kind: record.Conflict, Field: "If-Match", Message: "the file has changed since it was read", Zh: "档案在读取后已有变化", Remedy: "read the file again and decide anew"}
	ErrNoFile     = &record.Problem{Kind: record.NotFound, Message: "there is no such file", Zh: "没有这份档案", Remedy: "search for the person"}
	ErrReused     = &record.Problem{Kind: record.Conflict, Field: "Idempotency-Key", Message: "this key was used for another request", Zh: "该幂等键已用于其他请求", Remedy: "use a new key for a new request"}
	ErrContention = &record.Problem{Kind: record.Conflict, Message: "others keep changing the file", Zh: "档案正被他人频繁修改", Remedy: "try again in a moment"}
	ErrErased     = &record.Problem{Kind: record.Erased, Message: "the file's content was destroyed", Zh: "档案内容已销毁", Remedy: "nothing can be recorded in it"}
)

// System is the actor of what the owner of the data directory does from the command line, such as making the first
// administrator.
var System = uuid.MustParse("0b1d0000-0000-5000-8000-0000000000ff")

const attempts = 5

// Do carries out a command. On an error nothing was recorded, except when its kind is Unavailable and it wraps
// journal.ErrUnknownOutcome: then a repeat with the same CommandID settles it.
func (x *Executor) Do(ctx context.Context, r Request) (receipt Receipt, err error) {
	row, ok := x.Catalog.Command(r.Category, r.Command)
	if !ok {
		return receipt, &record.Problem{Kind: record.NotFound, Message: "there is no such command", Remedy: "see the API description"}
	}
	defer x.Metrics.observe(r.Command, time.Now(), &err)
	if r.CommandID == uuid.Nil {
		r.CommandID = uuid.New()
	}
	if err := record.Check(r.Input); err != nil {
		return receipt, err
	}
	now := x.Now()
	request, err := x.fingerprint(r)
	if err != nil {
		return receipt, err
	}
	for range attempts {
		var stream string
		if stream, err = x.target(ctx, row, &r); err != nil {
			return receipt, err
		}
		receipt, err = x.attempt(ctx, row, r, stream, now, request)
		if !errors.Is(err, journal.ErrWrongRevision) {
			if err == nil {
				receipt.Warnings = row.Warnings(r.Input)
			}
			return receipt, err
		}
		x.Metrics.conflict(r.Command)
	}
	return receipt, ErrContention
}

func checkClocks(row *record.CommandRow, r *Request, now time.Time, rules *policy.Rules) error {
	if r.Occurred.IsZero() || row.Undated {
		r.Occurred = now
		return nil
	}
	if r.Occurred.After(now.Add(time.Minute)) { // a phone's clock may be a little ahead
		return ErrFuture
	}
	if r.Late != "" && !slices.Contains(record.Lates, r.Late) {
		return ErrLateCode
	}
	limit := time.Duration(rules.Days("late-entry")) * 24 * time.Hour
	if now.Sub(r.Occurred) > limit && r.Late == "" {
		return ErrLate
	}
	return nil
}

// rules gives the policy in force.
func (x *Executor) rules(ctx context.Context, now time.Time) (*policy.Rules, error) {
	changes := 0
	err := x.files.look(ctx, []string{policy.Stream}, func(files map[string]*record.File) error {
		if f := files[policy.Stream]; f.Exists {
			changes = int(f.Revision) + 1
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return x.Book.InForce(ctx, now, changes)
}

// Rules gives the policy in force now.
func (x *Executor) Rules(ctx context.Context) (*policy.Rules, error) { return x.rules(ctx, x.Now()) }

// target names the stream that a command changes or begins. A claim held by another stream leads there: either that
// stream exists, and the command is refused, or its registration stopped half-way and is completed under its own name.
func (x *Executor) target(ctx context.Context, row *record.CommandRow, r *Request) (string, error) {
	if !row.Creates {
		if r.ID == uuid.Nil {
			return "", ErrNoFile
		}
		return record.StreamOf(r.Category, r.ID), nil
	}
	r.ID = uuid.NewSHA1(r.CommandID, []byte("stream"))
	for _, c := range row.Claims(r.Input) {
		holder, held, err := x.holder(ctx, c)
		if err != nil {
			return "", err
		}
		if held {
			_, r.ID, _ = record.SplitStream(holder)
			return holder, nil
		}
	}
	return record.StreamOf(r.Category, r.ID), nil
}
