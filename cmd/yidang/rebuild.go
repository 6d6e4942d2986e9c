package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"yidang/projections/follow"
	"yidang/projections/oversight"
	"yidang/projections/views"
)

// rebuildCmd builds projections anew. The server must not be running; it builds by itself what it finds missing or of an
// older schema.
type rebuildCmd struct {
	Views     bool `help:"Only the views." xor:"which"`
	Oversight bool `help:"Only the index for inspectors." xor:"which"`
	Analytics bool `help:"Only the analytics." xor:"which"`
}

func (rebuildCmd) Help() string {
	return `Loses nothing: projections follow from the journal. An interrupted rebuild of the views goes on where it stopped; one of
the analytics goes on when the server starts.

Example:
  yidang rebuild --views`
}

// Run rebuilds.
func (cmd rebuildCmd) Run(p *program) error {
	if err := hasRecord(p.config); err != nil {
		return err
	}
	c, err := openCore(p, nil) // refuses while a server has the record: nothing is removed under it
	if err != nil {
		return err
	}
	all := !cmd.Views && !cmd.Oversight && !cmd.Analytics
	if err := removeProjections(p.config, all || cmd.Oversight, all || cmd.Analytics); err != nil {
		return errors.Join(err, c.close())
	}
	r, err := follows(p, c)
	if err != nil {
		return err
	}
	return r.use(p, func(r *records) error {
		if all || cmd.Views {
			if err := r.rebuildViews(p); err != nil {
				return err
			}
		}
		if all || cmd.Analytics {
			return r.rebuildAnalytics(p)
		}
		return nil
	})
}

// removeProjections removes what is built anew when it is missing; views are built beside those there are.
func removeProjections(c Config, index, analytics bool) error {
	if index { // before anything opens it; following the record builds it anew
		if err := oversight.Remove(c.oversightPath()); err != nil {
			return err
		}
	}
	if !analytics {
		return nil
	}
	files, err := filepath.Glob(filepath.Join(c.projectionsDir(), "analytics.db*"))
	for _, f := range files {
		err = errors.Join(err, os.Remove(f))
	}
	return err
}

func (r *records) rebuildViews(p *program) error {
	began := time.Now()
	err := r.views.Rebuild(p.ctx, views.RebuildOptions{Source: r.journal, Codec: r.exec.Codec, Progress: func(s follow.BackfillStatus) { progress(p, "views", s.Read, s.Until) }})
	return finished(p, "views", began, err)
}

func (r *records) rebuildAnalytics(p *program) error {
	stats, err := r.openStatistics(p)
	if err != nil {
		return err
	}
	if stats.missing != nil {
		return stats.missing
	}
	head, _, err := r.journal.Head(p.ctx)
	if err != nil {
		return err
	}
	began := time.Now()
	err = r.backfill(p.ctx, p, stats, func(s follow.BackfillStatus) { progress(p, "analytics", s.Read, s.Until) })
	if err != nil {
		return err
	}
	f := follow.New(follow.Options{Source: r.journal, Codec: r.exec.Codec, Projection: stats.store, Log: p.log, Until: head})
	done := make(chan error, 1)
	go func() { done <- f.Run(p.ctx) }()
	for tick := time.NewTicker(time.Second); ; {
		select {
		case err := <-done:
			tick.Stop()
			return finished(p, "analytics", began, err)
		case <-tick.C:
			s := f.Status()
			progress(p, "analytics", s.Position, head)
		}
	}
}

func progress(p *program, name string, done, of uint64) {
	fmt.Fprintf(p.err, "\r%s: %d of %d", name, done, of)
}

func finished(p *program, name string, began time.Time, err error) error {
	if err == nil {
		fmt.Fprintf(p.err, "\r%s: built anew in %s\n", name, time.Since(began).Round(10*time.Millisecond))
	}
	return err
}
