package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/pprof"
	"runtime"
	"time"

	"github.com/oklog/run"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"yidang/api"
	"yidang/api/auth"
	"yidang/domain/notary"
	"yidang/projections/follow"
)

// serveCmd is the server.
type serveCmd struct {
	CheckConfig bool `help:"Read the configuration, say whether it is good, and end."`
	Demo        bool `help:"Fill the data folder with the demo township first, when it is empty."`
	// Profile is for whoever wants to know where the time or the memory goes. Profiles name functions, never people.
	Profile string `help:"Serve Go's own profiles at this loopback address (for go tool pprof http://ADDRESS/debug/pprof/…)." placeholder:"ADDRESS"`
}

func (serveCmd) Help() string {
	return `Serves the API and keeps the projections up to date, until SIGINT or SIGTERM; then it finishes what it accepted.

Examples:
  yidang serve
  yidang serve --demo
  YIDANG_LISTEN=127.0.0.1:9000 yidang serve --check-config

Configuration keys (TOML; each also as a variable, journal.connection as YIDANG_JOURNAL_CONNECTION):

` + configHelp()
}

// grace is how long a stopping server waits for requests it has accepted.
const grace = 20 * time.Second

// Run serves.
func (cmd serveCmd) Run(p *program) error {
	if cmd.CheckConfig {
		if err := errors.Join(p.config.checkFiles(), checkProfile(cmd.Profile)); err != nil {
			return err
		}
		_, err := fmt.Fprintln(p.out, "the configuration is good")
		return err
	}
	if err := errors.Join(checkProfile(cmd.Profile), demoFinished(p.config)); err != nil {
		return err
	}
	if cmd.Demo {
		if err := demoIfEmpty(p); err != nil {
			return err
		}
	}
	if cmd.Profile != "" {
		profiles, err := serveProfiles(cmd.Profile)
		if err != nil {
			return err
		}
		defer profiles.Close()
	}
	return withServer(p, nil)
}

func checkProfile(address string) error {
	if address != "" && (!loopback(address) || checkAddress(address) != nil) {
		return fmt.Errorf("--profile %s: must be a loopback address with a port, such as 127.0.0.1:6060", address)
	}
	return nil
}

// serveProfiles serves Go's profiles apart from the API, to this machine only.
func serveProfiles(address string) (io.Closer, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("--profile: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(l) }() // it ends with Close
	return server, nil
}

// demoIfEmpty fills a new data folder.
func demoIfEmpty(p *program) error {
	c, err := openCore(p, nil)
	if err != nil {
		return err
	}
	_, some, err := c.journal.Head(p.ctx)
	if err := errors.Join(err, c.close()); err != nil || some {
		return err
	}
	return fillDemo(p, demoCmd{Months: 5, People: 60, Seed: 1})
}

// withServer opens everything, serves until the context ends, and closes in order. started, when set, is called with the
// address once the server answers.
func withServer(p *program, started func(address string)) (err error) {
	r, err := openRecords(p, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	r.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	stats, err := r.openStatistics(p)
	if err != nil {
		return err
	}
	r.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "yidang_reports_ready", Help: "1 when the ClickHouse engine answers and has everything, else 0."}, stats.gauge))
	o, log, err := r.evidence(p, stats)
	if err != nil {
		return err
	}
	server, err := api.New(o)
	if err != nil {
		return err
	}
	defer server.Close()
	listener, err := listen(p.config)
	if err != nil {
		return err
	}
	var g run.Group
	ctx, stop := context.WithCancel(p.ctx)
	defer stop()
	g.Add(func() error { <-ctx.Done(); return nil }, func(error) { stop() })
	serving, stopServing := context.WithCancel(p.ctx)
	g.Add(func() error { return server.Serve(serving, listener, grace) }, func(error) { stopServing() })
	if log != nil {
		signing, stopSigning := context.WithCancel(context.WithoutCancel(p.ctx))
		g.Add(func() error { return log.Run(signing) }, func(error) { stopSigning() })
	}
	if stats.follower != nil {
		loading, stopLoading := context.WithCancel(context.WithoutCancel(p.ctx))
		g.Add(func() error { return r.loadOn(loading, p, stats) }, func(error) { stopLoading() })
	}
	address := scheme(p.config) + "://" + listener.Addr().String()
	fmt.Fprintf(p.out, "Yidang (一档) is at %s\n  API description: %s/docs\n", address, address)
	printAccounts(p)
	if started != nil {
		started(address)
	}
	return g.Run()
}

// evidence opens the log of proofs and hands it to the API with everything else. When the notary's file cannot be used,
// the server does without, and says so.
func (r *records) evidence(p *program, stats *statistics) (api.Options, *notary.Notary, error) {
	o := r.apiOptions(p, stats)
	log, err := r.openNotary(p)
	var broken noProofs
	if errors.As(err, &broken) {
		p.log.Error("no proofs: nothing is signed until this is mended", "error", broken)
		o.Ready = append(o.Ready, api.Part{Name: "notary", Check: func(context.Context) error { return broken }})
		return o, nil, nil
	}
	if err != nil {
		return o, nil, err
	}
	maker, err := r.dossierMaker(p, log)
	if err != nil {
		return o, nil, err
	}
	o.Notary, o.Dossier = log, maker.complete
	o.Ready = append(o.Ready, api.Part{Name: "notary", Check: func(context.Context) error { return log.Status().Err }})
	return o, log, nil
}

// loadOn keeps the analytics loaded. A poison event ends the loading, loudly (log, metric, readiness), but not the casework.
func (r *records) loadOn(ctx context.Context, p *program, stats *statistics) error {
	err := r.backfill(ctx, p, stats, nil)
	if err == nil {
		err = stats.follower.Run(ctx)
	}
	if err != nil && ctx.Err() == nil {
		p.log.Error("analytics stopped", "error", err)
		<-ctx.Done()
	}
	return nil
}

func listen(c Config) (net.Listener, error) {
	l, err := net.Listen("tcp", c.Listen)
	if err != nil || c.TLS.Certificate == "" {
		return l, err
	}
	pair, err := tls.LoadX509KeyPair(c.TLS.Certificate, c.TLS.Key)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("tls: %w", err), l.Close())
	}
	return tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}}), nil
}

func scheme(c Config) string {
	if c.TLS.Certificate == "" {
		return "http"
	}
	return "https"
}

// apiOptions hands the parts to the API.
func (r *records) apiOptions(p *program, stats *statistics) api.Options {
	l := p.config.Limits
	o := api.Options{
		Executor: r.exec, Catalog: r.catalog, Views: r.views, Follower: r.follower, Attachments: r.blobs, Importer: r.importer(), Oversight: r.oversight, Watcher: r.watcher, Log: p.log, Registry: r.registry, Plain: p.config.TLS.Certificate == "" && !p.config.Proxy.TLS,
		Build:      api.Build{Version: version, Revision: revision(), Go: runtime.Version()},
		SessionKey: r.vault.Secret("sessions"), Hasher: auth.NewHasher(runtime.GOMAXPROCS(0)),
		Limits: api.Limits{Body: l.RequestBytes, Upload: l.UploadBytes, PerSession: float64(l.PerSession), PerAddress: float64(l.PerAddress),
			SignIns: float64(l.SignIns) / 60, Read: time.Duration(l.Timeout), Write: time.Duration(l.Timeout)},
		Ready: []api.Part{
			{Name: "journal", Check: r.journalReady, Needed: true},
			{Name: "views", Check: func(context.Context) error { return notBehind(r.follower.Status()) }, Needed: true},
			{Name: "oversight", Check: func(context.Context) error { return notBehind(r.watcher.Status()) }},
			{Name: "reports", Check: stats.ready},
		},
	}
	o.TrustedProxies, _ = networks(p.config.Proxy.Trusted) // Validate has read them
	o.MetricsFrom, _ = networks(p.config.Proxy.MetricsFrom)
	if stats.store != nil {
		o.Reports = stats.report
	}
	return o
}

func (r *records) journalReady(ctx context.Context) error {
	_, _, err := r.journal.Head(ctx)
	return err
}

// notBehind tells what keeps a projection from showing everything.
func notBehind(s follow.Status) error {
	switch {
	case s.Err != nil:
		return s.Err
	case !s.CaughtUp:
		return fmt.Errorf("catching up: at position %d of %d", s.Position, s.Head)
	}
	return nil
}
