package main

import (
	"context"
	"path/filepath"
	"time"

	"yidang/projections/analytics"
	"yidang/projections/analytics/embedded"
	"yidang/projections/follow"
	"yidang/projections/reports"
)

// statistics is the ClickHouse side: the engine (or the address of a server), the loader, and what reports query. Without
// the engine's library everything else works, and reports say how to get it.
type statistics struct {
	engine   *embedded.Engine // nil with a configured server
	store    *analytics.Store
	follower *follow.Follower
	missing  error // why there are no reports
}

// engineDirs is where the library may be: beside the binary's project folder, beside the binary, in the data folder.
func engineDirs(c Config) []string {
	bin := filepath.Dir(self())
	return []string{filepath.Join(".cache", "chdb"), filepath.Join(bin, "..", ".cache", "chdb"), bin, filepath.Join(c.Data, "engine")}
}

// openStatistics starts the engine and opens the loader. Only what is configured wrongly is an error; a missing library is
// kept in missing.
func (r *records) openStatistics(p *program) (*statistics, error) {
	s := &statistics{}
	a := p.config.Analytics
	if a.Off {
		s.missing = analytics.ErrNoEngine
		return s, nil
	}
	o := analytics.Options{
		Connection: a.Connection, Path: filepath.Join(p.config.projectionsDir(), "analytics.db"), Key: r.vault.Secret("analytics"),
		MAC: r.vault.MAC, Categories: r.catalog, History: follow.HistoryOf(r.journal, r.exec.Codec), Files: int(p.config.Limits.Files), Log: p.log, Pace: 2 * time.Second, Packer: r.packer,
	}
	if a.Connection == "" {
		if s.missing = s.startEngine(p); s.missing != nil {
			p.log.Warn("no reports", "reason", s.missing)
			return s, nil
		}
		r.closers = append(r.closers, s.engine.Close)
		o.Engine = s.engine.Options()
	}
	var err error
	s.store, err = analytics.Open(p.ctx, o)
	if err != nil {
		return nil, err
	}
	r.closers = append(r.closers, s.store.Close)
	// While a batch is derived the files in it are in memory, folded: small batches keep that small.
	s.follower = follow.New(follow.Options{Source: r.journal, Codec: r.exec.Codec, Projection: s.store, Metrics: r.metrics, Log: p.log, MaxEvents: 4000})
	return s, nil
}

func (s *statistics) startEngine(p *program) error {
	library := p.config.Analytics.Library
	if library == "" {
		var err error
		if library, err = embedded.Locate(engineDirs(p.config)...); err != nil {
			return err
		}
	}
	engine, err := embedded.Start(p.ctx, embedded.Options{Executable: self(), Args: []string{engineWord}, Library: library,
		Dir: filepath.Join(p.config.projectionsDir(), "clickhouse"), Log: p.log})
	s.engine = engine
	return err
}

// longLog is from how many events on empty tables are filled file by file.
const longLog = 50_000

// backfill loads a long log into empty tables.
func (r *records) backfill(ctx context.Context, p *program, s *statistics, told func(follow.BackfillStatus)) error {
	head, _, err := r.journal.Head(ctx)
	if err != nil || head < longLog {
		return err
	}
	return s.store.Backfill(ctx, follow.BackfillOptions{Source: r.journal, Codec: r.exec.Codec, Until: head, Log: p.log, Progress: told,
		Dir: filepath.Join(p.config.projectionsDir(), "analytics.spool"), EventsPerPart: 20_000})
}

// report answers a report.
func (s *statistics) report(ctx context.Context, name string, parameters map[string]string, position uint64) (*reports.Result, error) {
	return reports.Run(ctx, s.store, name, parameters, position)
}

// ready tells whether reports can be asked for.
func (s *statistics) ready(context.Context) error {
	switch {
	case s.missing != nil:
		return s.missing
	case s.engine != nil:
		if err := s.engine.Healthy(); err != nil {
			return err
		}
	}
	return notBehind(s.follower.Status())
}

func (s *statistics) gauge() float64 {
	if s.ready(context.Background()) != nil {
		return 0
	}
	return 1
}
