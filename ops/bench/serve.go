package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"
)

// This file holds the figures over HTTP. The load is made in this process, on the same two cores as the server.

// serve measures the server on the seeded data, and beside it what it takes with nothing in it.
func (b *bench) serve(ctx context.Context) error {
	t, err := b.readTown()
	if err != nil {
		return err
	}
	if err := b.serveEmpty(ctx); err != nil {
		return err
	}
	first, err := b.start(ctx, b.data()) // what the steps before left to do is done before the restart that is measured
	if err != nil {
		return err
	}
	c := newClient(first.base)
	if err := errors.Join(first.caughtUp(ctx, c), first.stop()); err != nil {
		return err
	}
	s, err := b.start(ctx, b.data())
	if err != nil {
		return err
	}
	b.set("ready.ms", ms(s.ready))
	err = b.load(ctx, s, t)
	return errors.Join(err, s.stop())
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func (b *bench) serveEmpty(ctx context.Context) error {
	dir := filepath.Join(b.dir, "empty")
	defer os.RemoveAll(dir)
	for range 2 { // the second start is a restart
		s, err := b.start(ctx, dir)
		if err != nil {
			return err
		}
		b.set("empty.ready.ms", ms(s.ready))
		err = s.caughtUp(ctx, newClient(s.base))
		b.set("empty.memory", memory(s.cmd.Process.Pid, "VmRSS"))
		if err := errors.Join(err, s.stop()); err != nil {
			return err
		}
	}
	return nil
}

// load is everything that is measured while the server runs.
func (b *bench) load(ctx context.Context, s *server, t town) error {
	overseer := newClient(s.base)
	overseer.purpose = "supervision" // he reads what is not his caseload
	if err := s.caughtUp(ctx, overseer); err != nil {
		return err
	}
	b.set("others.percent", othersPercent())
	b.set("idle.memory", memory(s.cmd.Process.Pid, "VmRSS"))
	analyst := newClient(s.base)
	if err := errors.Join(overseer.signIn(ctx, t.Overseer, t.Password), analyst.signIn(ctx, t.Analyst, t.Password)); err != nil {
		return err
	}
	for _, part := range []struct {
		name    string
		measure func() error
	}{
		{"reads", func() error { return b.reads(ctx, s, t, overseer) }},
		{"reports", func() error { return b.reports(ctx, analyst) }},
		{"visits", func() error { return b.visits(ctx, s, t) }},
		{"evidence", func() error { return b.evidence(ctx, s, t, overseer) }},
	} {
		if b.only != "" && b.only != part.name {
			continue
		}
		if err := part.measure(); err != nil {
			return err
		}
	}
	b.set("memory", s.memory.mega())
	return nil
}

// visits records visits: by one caller, then by 64. Each caller is an officer who works through the cases he leads.
func (b *bench) visits(ctx context.Context, s *server, t town) error {
	officers := make([]*client, len(t.Callers))
	for i, o := range t.Callers {
		officers[i] = newClient(s.base)
		if err := officers[i].signIn(ctx, o.Login, t.Password); err != nil {
			return err
		}
	}
	visit := func(caller, i int) error {
		o := caller % len(officers)
		cases := t.Callers[o].Cases
		body := `{"outcome":"met","place":"家中","note":"在家，精神状态良好，已谈话"}`
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.base+"/v1/drugs/"+cases[i%len(cases)].String()+"/record-visit", bytes.NewReader([]byte(body)))
		if err != nil {
			return err
		}
		r.Header.Set("Content-Type", "application/json")
		return officers[o].do(r)
	}
	// Once through every file, so that they are in memory as on any morning after the first; what that takes is told too.
	cold := hammer(ctx, 64, 2*time.Minute, func(caller, i int) error {
		if i == len(t.Callers[caller%len(officers)].Cases) {
			return errEnough
		}
		return visit(caller, i)
	})
	b.set("visit.cold.rate", cold.rate())
	if err := s.caughtUp(ctx, officers[0]); err != nil {
		return err
	}
	sync, err := b.rawSync()
	if err != nil {
		return err
	}
	b.set("visit.fsync.p50", sync)
	one := hammer(ctx, 1, b.lasting/2, visit)
	served, made := cpu(s.cmd.Process.Pid), cpu(os.Getpid())
	many := b.profiled(s, "visits", func() outcome { return hammer(ctx, 64, b.lasting, visit) })
	served, made = cpu(s.cmd.Process.Pid)-served, cpu(os.Getpid())-made
	b.set("visit.errors", float64(one.errors+many.errors))
	if err := errors.Join(one.first, many.first); err != nil {
		b.lacks("visit.rate", err.Error())
		return nil
	}
	b.set("visit.one.p50", percentile(one.took, 50))
	b.set("visit.one.p99", percentile(one.took, 99))
	b.set("visit.rate", many.rate())
	b.set("visit.cpu.us", float64(served.Microseconds())/float64(len(many.took)))
	b.set("visit.load.cpu.us", float64(made.Microseconds())/float64(len(many.took)))
	b.set("visit.many.p50", percentile(many.took, 50))
	b.set("visit.many.p99", percentile(many.took, 99))
	began := time.Now()
	err = s.current(ctx)
	b.set("visit.lag.ms", ms(time.Since(began))) // until the projections had caught up with the load
	return err
}

// readers is how many callers read at once.
const readers = 16

// reads measures the three reads that officers wait for, and as their baseline an answer that says nothing.
func (b *bench) reads(ctx context.Context, s *server, t town, as *client) error {
	r := rand.New(rand.NewPCG(1, 2))
	order := r.Perm(len(t.Searches))
	for _, q := range []struct {
		name string
		path func(i int) string
	}{
		{"healthz", func(int) string { return "/healthz" }},
		{"file", func(int) string { return "/v1/people/" + t.Busy.String() + "?asOf=" + t.AsOf }},
		{"worklist", func(int) string { return "/v1/worklist?whose=unit&limit=50" }},
		{"search", func(i int) string {
			return "/v1/people?q=" + url.QueryEscape(t.Searches[order[i%len(order)]])
		}},
	} {
		read := func(caller, i int) error {
			r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.base+q.path(caller*31+i), nil)
			if err != nil {
				return err
			}
			return as.do(r)
		}
		if err := read(0, 0); err != nil {
			b.lacks(q.name+".p99", err.Error())
			continue
		}
		hammer(ctx, readers, b.lasting/10, read)
		out := b.profiled(s, q.name, func() outcome { return hammer(ctx, readers, b.lasting/2, read) })
		if out.first != nil {
			b.lacks(q.name+".p99", out.first.Error())
			continue
		}
		b.set(q.name+".p50", percentile(out.took, 50))
		b.set(q.name+".p99", percentile(out.took, 99))
		b.set(q.name+".rate", out.rate())
	}
	return ctx.Err()
}

// reports asks for each report, one after the other, as an analyst does.
func (b *bench) reports(ctx context.Context, as *client) error {
	var list struct {
		Reports []struct{ Name string }
	}
	if err := as.get(ctx, "/v1/reports", &list); err != nil {
		b.lacks("report.p50", err.Error())
		return nil
	}
	if n := len(list.Reports); n < 5 {
		b.lacks("report.others.p50", fmt.Sprintf("there are %d reports, not five", n))
	}
	for _, r := range list.Reports {
		took, err := timed(30, func(int) error {
			q, err := http.NewRequestWithContext(ctx, http.MethodGet, as.base+"/v1/reports/"+r.Name, nil)
			if err != nil {
				return err
			}
			return as.do(q)
		})
		if err != nil {
			b.lacks("report."+r.Name+".p50", err.Error())
			continue
		}
		b.set("report."+r.Name+".p50", percentile(took, 50))
	}
	return nil
}

// outcome is what a number of callers met with.
type outcome struct {
	took    []time.Duration
	errors  int
	first   error // of the errors
	elapsed time.Duration
}

func (o outcome) rate() float64 { return float64(len(o.took)) / o.elapsed.Seconds() }

// errEnough ends what a caller does.
var errEnough = errors.New("enough")

// hammer has callers do something over and over, each as soon as the last one is answered.
func hammer(ctx context.Context, callers int, lasting time.Duration, do func(caller, i int) error) (all outcome) {
	began := time.Now()
	parts := make([]outcome, callers)
	var failures atomic.Int64
	_ = parallel(callers, func(c int) error {
		p := &parts[c]
		for i := 0; time.Since(began) < lasting && ctx.Err() == nil && failures.Load() < 100; i++ {
			at := time.Now()
			err := do(c, i)
			if errors.Is(err, errEnough) {
				break
			}
			if err != nil {
				failures.Add(1)
				p.errors++
				p.first = errors.Join(p.first, err)
				continue
			}
			p.took = append(p.took, time.Since(at))
		}
		return nil
	})
	all.elapsed = time.Since(began)
	for _, p := range parts {
		all.took, all.errors = append(all.took, p.took...), all.errors+p.errors
		if all.first == nil {
			all.first = p.first
		}
	}
	return all
}

// transport keeps a connection for every caller.
var transport = &http.Transport{MaxIdleConnsPerHost: 128, DisableCompression: true}

func newClient(base string) *client {
	return &client{base: base, http: &http.Client{Transport: transport, Timeout: time.Minute}}
}

func (c *client) get(ctx context.Context, path string, into any) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+path, nil)
	if err != nil {
		return err
	}
	r.Header.Set("Cookie", c.cookie)
	a, err := c.http.Do(r)
	if err != nil {
		return err
	}
	defer a.Body.Close()
	if a.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s", path, a.Status)
	}
	return json.NewDecoder(a.Body).Decode(into)
}

func (c *client) signIn(ctx context.Context, login, password string) error {
	body, err := json.Marshal(map[string]string{"login": login, "password": password})
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+"/v1/session", bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	a, err := c.http.Do(r)
	if err != nil {
		return err
	}
	defer a.Body.Close()
	for _, k := range a.Cookies() {
		c.cookie = k.Name + "=" + k.Value
	}
	if a.StatusCode != http.StatusOK || c.cookie == "" {
		return fmt.Errorf("sign-in of %s: %s", login, a.Status)
	}
	return nil
}
