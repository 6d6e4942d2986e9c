package imports

import (
	"context"
	"errors"
	"slices"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"yidang/domain/commands"
	"yidang/domain/person"
	"yidang/domain/programs/drugs"
	"yidang/domain/record"
)

// Check judges the rows against the record, as Commit will: a person with an open case makes a row a duplicate; a citizen id
// that belongs to somebody of another name rejects it, and so does a village that is missing or not the officer's. It
// records nothing. A file that was taken in before keeps the outcome of that time.
func (im *Importer) Check(ctx context.Context, r *Roster, as As) error {
	done, err := im.finished(ctx, r)
	if err != nil || done != nil {
		return err
	}
	_, err = im.check(ctx, r, as)
	return err
}

func (im *Importer) check(ctx context.Context, r *Roster, as As) (map[string]place, error) {
	reach, err := im.reach(ctx, as)
	if err != nil {
		return nil, err
	}
	places, err := im.places(ctx, r, as, reach)
	if err != nil {
		return nil, err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(workers)
	for i := range r.Rows {
		c := rowCheck{im: im, r: r, row: &r.Rows[i], as: as, reach: reach, place: places[r.Rows[i].Village]}
		if c.row.taken() {
			g.Go(func() error { return c.do(ctx) })
		}
	}
	return places, g.Wait()
}

func (row *Row) taken() bool { return row.Outcome == Accepted || row.Outcome == AcceptedWithWarning }

func (row *Row) reject(why Reason) {
	row.Outcome, row.Why = Rejected, append(row.Why, why)
}

// Unregistered lists the villages of the accepted rows that the record does not know. While there is one, Commit refuses the
// whole roster: a spelling of a village is put right once, not row by row.
func (im *Importer) Unregistered(ctx context.Context, r *Roster) (names []string, err error) {
	for _, row := range r.Rows {
		if !row.taken() || slices.Contains(names, row.Village) || row.Village == "" {
			continue
		}
		known, err := im.Dir.VillagesNamed(ctx, row.Village)
		if err != nil {
			return nil, err
		}
		if len(known) == 0 {
			names = append(names, row.Village)
		}
	}
	return names, nil
}

// reach gives the test whether the officer may open cases in a village.
func (im *Importer) reach(ctx context.Context, as As) (func(village uuid.UUID) (bool, error), error) {
	if as == (As{}) {
		return func(uuid.UUID) (bool, error) { return true, nil }, nil
	}
	row, ok := im.Exec.Catalog.Command(drugs.Category.Name, "drugs.open")
	if !ok {
		return nil, errors.New("there is no command drugs.open")
	}
	return func(village uuid.UUID) (bool, error) {
		_, err := im.Exec.Authorise(ctx, as.Officer, as.Post, row.Grants, commands.Place{Village: village}, row.Title)
		if record.KindOf(err) == record.Forbidden {
			return false, nil
		}
		return err == nil, err
	}, nil
}

// place is what a village's name on a roster means for the officer who takes it in.
type place struct {
	id  uuid.UUID
	why *Reason // why nothing can be recorded there; nil when it can
}

var (
	whyMissing = Reason{Message: "without a village no officer would be responsible (D-06)", Zh: "缺少所在村（社区），无法确定责任人"}
	whyOutside = Reason{Message: "the village is not one that the officer's posts reach", Zh: "该村（社区）不在经办人岗位的辖区内"}
	whySeveral = Reason{Message: "the officer's posts reach several villages of this name", Zh: "辖区内有多个同名村（社区），无法确定是哪一个"}
	whyErased  = Reason{Message: "the content of the person's file was destroyed", Zh: "该人员档案内容已销毁"}
	whyTheirs  = Reason{Message: "the person has a file in a village that the officer's posts do not reach", Zh: "该人员已在辖区外建档"}
)

// places finds the village of each name: the one of that name that the officer reaches.
func (im *Importer) places(ctx context.Context, r *Roster, as As, reach func(uuid.UUID) (bool, error)) (map[string]place, error) {
	out := map[string]place{"": {why: &whyMissing}}
	for _, row := range r.Rows {
		if _, ok := out[row.Village]; ok || !row.taken() {
			continue
		}
		named, err := im.Dir.VillagesNamed(ctx, row.Village)
		if err != nil {
			return nil, err
		}
		var p place
		reached := 0
		for _, id := range named {
			ok, err := reach(id)
			if err != nil {
				return nil, err
			}
			if ok {
				p.id = id
				reached++
			}
		}
		switch {
		case len(named) > 0 && reached == 0:
			p.why = &whyOutside
		case reached > 1 && as != (As{}):
			p.why = &whySeveral
		}
		out[row.Village] = p
	}
	return out, nil
}

// rowCheck is one row being judged against the record.
type rowCheck struct {
	im    *Importer
	r     *Roster
	row   *Row
	as    As
	reach func(uuid.UUID) (bool, error)
	place place
}

func (c *rowCheck) do(ctx context.Context) error {
	id, held, err := c.im.Exec.Holder(ctx, "citizenid", c.row.CitizenID.String())
	if err != nil || held && id == personOf(c.r, c.row) { // this import began the row: it goes on
		return err
	}
	if held {
		if known, err := c.existing(ctx, id); known || err != nil {
			return err
		}
	}
	if c.place.why != nil {
		c.row.reject(*c.place.why)
		return nil
	}
	return c.lookalikes(ctx)
}

// existing judges a row whose citizen id has a file; known is false when its registration stopped half-way, to be completed
// under its own name.
func (c *rowCheck) existing(ctx context.Context, id uuid.UUID) (known bool, err error) {
	f, err := c.im.file(ctx, id)
	if err != nil || !f.Exists {
		return false, err
	}
	p := f.State.(*person.Person)
	switch {
	case f.Erased:
		c.row.reject(whyErased)
		return true, nil
	case p.Name != c.row.Name:
		c.row.reject(Reason{Message: "citizen id belongs to a person with another name in the record", Zh: "该公民身份号码在档案中属于另一姓名的人"})
		return true, nil
	}
	kase, open, err := c.im.Dir.OpenCase(ctx, id, drugs.Category.Name)
	switch {
	case err != nil:
		return true, err
	case open && kase == caseOf(c.r, c.row): // of this import, which stopped half-way
		return true, nil
	case open:
		c.row.Outcome = Duplicate
		c.row.Why = append(c.row.Why, Reason{Message: "same person as an existing file", Zh: "与已有档案为同一人"})
		return true, nil
	case c.place.why != nil:
		c.row.reject(*c.place.why)
		return true, nil
	}
	ours, err := c.reach(p.Village)
	if err == nil && !ours {
		c.row.reject(whyTheirs)
	}
	return true, err
}

func (im *Importer) file(ctx context.Context, id uuid.UUID) (*record.File, error) {
	history, err := im.Exec.History(ctx, person.Stream(id))
	if err != nil {
		return nil, err
	}
	f := record.NewFile(&person.Category, person.Stream(id))
	return f, f.Fold(history, record.At{})
}

// lookalikes asks of a new person what the registration will ask: whether people without a citizen id look the same.
func (c *rowCheck) lookalikes(ctx context.Context) error {
	row, ok := c.im.Exec.Catalog.Command(person.Category.Name, "person.register")
	if !ok || c.im.Exec.Precheck == nil {
		return nil
	}
	err := c.im.Exec.Precheck(ctx, row, commands.Request{Category: person.Category.Name, Command: row.Name, Officer: c.as.Officer, Post: c.as.Post,
		Input: registration(c.row, c.place.id), DryRun: true})
	var p *record.Problem
	if errors.As(err, &p) && p.Kind == record.Refused {
		c.row.reject(Reason{Message: p.Error(), Zh: p.Zh})
		return nil
	}
	return err
}
