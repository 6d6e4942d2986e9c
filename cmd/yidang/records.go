package main

import (
	"context"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"yidang/api/imports"
	"yidang/domain/commands"
	"yidang/domain/person"
	"yidang/domain/programs/drugs"
	"yidang/domain/record"
	"yidang/projections/follow"
	"yidang/projections/oversight"
	"yidang/projections/views"
)

// records is the record with its views, kept up to date in the background: what the command line and the server work on.
type records struct {
	*core
	views     *views.Views
	follower  *follow.Follower
	oversight *oversight.Index
	watcher   *follow.Follower // of oversight
	metrics   *follow.Metrics
	running   sync.WaitGroup // the followers
	stop      context.CancelFunc
}

// withRecord opens the record with its views, waits until they are current, and closes everything afterwards.
func withRecord(p *program, f func(*records) error) error { return withRecordAt(p, nil, f) }

func withRecordAt(p *program, now func() time.Time, f func(*records) error) error {
	r, err := openRecords(p, now)
	if err != nil {
		return err
	}
	return r.use(p, f)
}

// use does something once the views are current, and closes everything.
func (r *records) use(p *program, f func(*records) error) (err error) {
	defer func() {
		if e := r.close(); err == nil {
			err = e
		}
	}()
	if err := r.settled(p.ctx); err != nil {
		return err
	}
	return f(r)
}

// openRecords opens core and views and starts following. It does not wait for the views to catch up.
func openRecords(p *program, now func() time.Time) (*records, error) {
	c, err := openCore(p, now)
	if err != nil {
		return nil, err
	}
	return follows(p, c)
}

// follows adds to a record its views and starts following. The record is closed when that fails.
func follows(p *program, c *core) (_ *records, err error) {
	r := &records{core: c, stop: func() {}}
	defer func() {
		if err != nil {
			r.close()
		}
	}()
	if r.views, err = views.Open(p.ctx, r.viewsOptions(p)); err != nil {
		return nil, err
	}
	c.closers = append(c.closers, r.views.Close)
	if r.oversight, err = oversight.Open(p.ctx, oversight.Options{Path: p.config.oversightPath(), Key: c.vault.Secret("oversight"), Catalog: c.catalog, Log: p.log}); err != nil {
		return nil, err
	}
	c.closers = append(c.closers, r.oversight.Close)
	c.exec.Precheck, c.exec.Responsible = r.precheck, r.oversight.Responsible
	r.metrics = follow.NewMetrics(c.registry)
	r.follower = follow.New(follow.Options{Source: c.journal, Codec: c.exec.Codec, Projection: r.views, Metrics: r.metrics, Log: p.log, OnEvent: c.exec.Observe})
	r.watcher = follow.New(follow.Options{Source: c.journal, Codec: oversight.NewOpener(c.exec.Codec), Projection: erasing{r.oversight, r, p.log}, Metrics: r.metrics, Log: p.log})
	ctx, stop := context.WithCancel(context.WithoutCancel(p.ctx))
	r.stop = stop
	r.running.Go(func() { r.follow(ctx, p) })
	r.running.Go(func() {
		if err := r.watcher.Run(ctx); err != nil && ctx.Err() == nil {
			p.log.Error("oversight stopped", "error", err)
		}
	})
	return r, nil
}

func (c *Config) oversightPath() string { return filepath.Join(c.projectionsDir(), "oversight.db") }

// erasing is the oversight index, and sees to it that what an erasure promises is done: the key destroyed, which a crash
// between the record and the act may have left, or which another server recorded, the views blanked, and the attachments
// removed. It comes before the batch is stored, so that it is done again until it is done.
type erasing struct {
	*oversight.Index
	r   *records
	log *slog.Logger
}

// Apply is documented at follow.Projection.
func (e erasing) Apply(ctx context.Context, b follow.Batch) error {
	for _, event := range b.Events {
		if event.Type != record.ErasedType {
			continue
		}
		erased, _ := event.Data.(record.FileErased)
		if err := e.r.exec.FinishErasure(ctx, event.Stream, erased.Basis); err != nil {
			return err
		}
		if err := e.r.follower.Wait(ctx, event.Position); err != nil { // what the views have not applied yet cannot be blanked
			return err
		}
		if err := e.r.views.Forget(ctx, event.Stream); err != nil {
			return err
		}
		if err := e.r.blobs.Forget(ctx, event.Stream); record.KindOf(err) == record.Unavailable {
			return err
		} else if err != nil { // such as a bucket that keeps what it has for a time: they are unreadable all the same
			e.log.ErrorContext(ctx, "attachments of an erased case are left in the store", "error", err)
		}
	}
	return e.Index.Apply(ctx, b)
}

// follow keeps the views up to date. New views of a long log are built file by file first.
func (r *records) follow(ctx context.Context, p *program) {
	head, _, err := r.journal.Head(ctx)
	if err == nil && !r.views.Ready() && head >= longLog {
		err = r.views.Rebuild(ctx, views.RebuildOptions{Source: r.journal, Codec: r.exec.Codec, Metrics: r.metrics})
	}
	if err == nil {
		err = r.follower.Run(ctx)
	}
	if err != nil && ctx.Err() == nil {
		p.log.Error("views stopped", "error", err)
	}
}

func (c *core) viewsOptions(p *program) views.Options {
	return views.Options{
		Path: filepath.Join(p.config.projectionsDir(), "views.db"), Key: c.vault.Secret("views"), Catalog: c.catalog,
		History: follow.HistoryOf(c.journal, c.exec.Codec), Erased: c.vault.Erased, Log: p.log, Packer: c.packer, CacheStates: int(p.config.Limits.Files),
	}
}

func (r *records) close() error {
	r.stop()
	r.running.Wait()
	return r.core.close()
}

// Refusals that only the views can know of. They are advice for people: a moment behind, and no invariant.
var (
	errCaseKept = &record.Problem{Kind: record.Refused, Rule: "PIPL 47", Message: "the person has a case whose content is kept", Zh: "该人员仍有保存中的案件档案",
		Remedy: "erase the cases first, each on its own ground"}
	errCaseOpen = &record.Problem{Kind: record.Refused, Field: "person", Rule: "D-12", Message: "the person has an open case of this program",
		Zh: "该人员已有同类在办案件", Remedy: "work in the open case"}
)

// precheck shows possible duplicates before they are made: a person who looks registered (search-first), a second open case;
// and keeps a person's file as long as there is a case.
func (r *records) precheck(ctx context.Context, _ *record.CommandRow, q commands.Request) error {
	switch in := q.Input.(type) {
	case person.Register:
		return r.checkDuplicates(ctx, in)
	case drugs.Open:
		if _, open, err := r.OpenCase(ctx, in.Person, drugs.Category.Name); err != nil || open {
			if err != nil {
				return err
			}
			return errCaseOpen
		}
	case record.EraseFile:
		if q.Category == person.Category.Name {
			return r.checkErasable(ctx, q.ID)
		}
	}
	return nil
}

// checkErasable keeps who a case is about as long as there is one.
func (r *records) checkErasable(ctx context.Context, who uuid.UUID) error {
	cases, err := r.views.CasesOf(ctx, who)
	for _, c := range cases {
		if !c.Erased {
			return errCaseKept
		}
	}
	return err
}

func (r *records) checkDuplicates(ctx context.Context, in person.Register) error {
	name, err := person.NormalizeName(in.Name)
	if err != nil {
		return nil // the decision says what is wrong
	}
	birth, _ := time.ParseInLocation(record.Day, in.Birth, record.Zone)
	id, _, idErr := person.ParseCitizenID(in.CitizenID)
	if idErr == nil {
		birth = id.BirthDate()
	}
	in.Phone = strings.TrimSpace(in.Phone)
	found, err := r.views.Duplicates(ctx, name, birth, in.Phone)
	if err != nil {
		return err
	}
	var alike []person.Lookalike
	for _, p := range found {
		if idErr == nil && p.CitizenID != "" { // two citizen ids are two people, or the same one, which the claim refuses
			continue
		}
		if !slices.Contains(in.DifferentFrom, p.ID) {
			alike = append(alike, person.Lookalike{ID: p.ID, CitizenID: person.CitizenID(p.CitizenID).Masked(),
				Birth: !birth.IsZero() && p.Birth.Equal(record.DayOf(birth)), Phone: in.Phone != "" && p.Phone == in.Phone})
		}
	}
	if len(alike) > 0 {
		return &person.LooksKnown{Files: alike}
	}
	return nil
}

// settled waits until the views show everything that was recorded.
func (r *records) settled(ctx context.Context) error {
	head, _, err := r.journal.Head(ctx)
	if err != nil {
		return err
	}
	for _, f := range []*follow.Follower{r.follower, r.watcher} {
		if err := f.Wait(ctx, head); err != nil {
			return err
		}
	}
	for !r.views.Ready() { // of an empty journal there is no position to wait for
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
	return nil
}

// importer takes rosters in, finding villages and officers in the views.
func (r *records) importer() *imports.Importer { return &imports.Importer{Exec: r.exec, Dir: r} }

// VillagesNamed lists the villages and communities of a name, which rosters write without township and committee.
func (r *records) VillagesNamed(ctx context.Context, name string) (ids []uuid.UUID, err error) {
	all, _, err := r.views.Units(ctx)
	for _, u := range all {
		if (u.Name == name || imports.VillageName(u.Name) == name) && u.Sort.Residential() {
			ids = append(ids, u.ID)
		}
	}
	return ids, err
}

// OfficersNamed lists the officers of a name with their roles in force.
func (r *records) OfficersNamed(ctx context.Context, name string) ([]imports.Officer, error) {
	all, _, err := r.views.Officers(ctx, views.OfficerQuery{})
	var out []imports.Officer
	for _, o := range all {
		if o.Name != name {
			continue
		}
		state, _, err := r.exec.Officer(ctx, o.ID)
		if err != nil {
			return nil, err
		}
		found := imports.Officer{ID: o.ID}
		for _, p := range state.Active(r.exec.Now()) {
			found.Roles = append(found.Roles, p.Role)
		}
		out = append(out, found)
	}
	return out, err
}

// OpenCase finds a person's open case of a program.
func (r *records) OpenCase(ctx context.Context, who uuid.UUID, program string) (uuid.UUID, bool, error) {
	cases, err := r.views.CasesOf(ctx, who)
	for _, c := range cases {
		if c.Program == program && c.Open {
			return c.ID, true, nil
		}
	}
	return uuid.Nil, false, err
}
