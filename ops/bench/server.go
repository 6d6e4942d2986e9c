package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// server is the program under measurement, as a child process.
type server struct {
	base    string
	cmd     *exec.Cmd
	ended   chan error
	log     *os.File
	ready   time.Duration // from the start of the process to the first /readyz that says so
	memory  peak          // since it was ready
	unseen  func()
	reports bool // there is an engine for them

	profiles string // where the server serves its own; empty: nowhere
}

// start starts the program on a data folder and waits until it is ready. Limits are out of the way: they are per caller,
// and here one machine is all callers.
func (b *bench) start(ctx context.Context, data string) (*server, error) {
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	config := fmt.Sprintf("data = %q\nlisten = %q\n[limits]\nper_session = 1000000\nper_address = 1000000\nsign_ins = 1000000\n[analytics]\nlibrary = %q\noff = %v\n[log]\nlevel = \"warn\"\n",
		data, address, b.library, b.library == "")
	path := filepath.Join(b.dir, "yidang.toml")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		return nil, err
	}
	s := &server{base: "http://" + address, reports: b.library != "", ended: make(chan error, 1)}
	if s.log, err = os.OpenFile(filepath.Join(b.dir, "server.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600); err != nil {
		return nil, err
	}
	s.cmd = exec.Command(b.server, "serve", "--config", path)
	if b.profile != "" {
		if s.profiles, err = freeAddress(); err != nil {
			return nil, err
		}
		s.cmd.Args = append(s.cmd.Args, "--profile", s.profiles)
	}
	s.cmd.Stdout, s.cmd.Stderr = s.log, s.log
	began := time.Now()
	if err := s.cmd.Start(); err != nil {
		return nil, errors.Join(err, s.log.Close())
	}
	go func() { s.ended <- s.cmd.Wait() }()
	for time.Since(began) < 5*time.Minute {
		select {
		case err := <-s.ended:
			s.ended <- err
			return nil, errors.Join(fmt.Errorf("the server ended (%v); see %s", err, s.log.Name()), s.log.Close())
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), s.stop())
		case <-time.After(5 * time.Millisecond):
		}
		if r, err := http.Get(s.base + "/readyz"); err == nil {
			r.Body.Close()
			if r.StatusCode == http.StatusOK {
				s.ready = time.Since(began)
				s.unseen = s.memory.watch(s.cmd.Process.Pid)
				return s, nil
			}
		}
	}
	return nil, errors.Join(errors.New("the server was not ready after five minutes"), s.stop())
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// profiled runs a measurement and, when profiles are asked for, keeps those of the server meanwhile: where its time goes, and
// what is in its memory at the end.
func (b *bench) profiled(s *server, name string, measure func() outcome) outcome {
	if s.profiles == "" {
		return measure()
	}
	fetch := func(kind, query string) {
		r, err := http.Get("http://" + s.profiles + "/debug/pprof/" + kind + query)
		if err == nil {
			var raw []byte
			raw, err = io.ReadAll(r.Body)
			r.Body.Close()
			err = errors.Join(err, os.MkdirAll(b.profile, 0o700), os.WriteFile(filepath.Join(b.profile, name+"."+kind), raw, 0o600))
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "bench: profile:", err)
		}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		fetch("profile", fmt.Sprintf("?seconds=%d", max(1, int(b.lasting.Seconds()/2)-1)))
	}()
	out := measure()
	<-done
	fetch("heap", "?gc=0")
	return out
}

// stop ends the server in order, and reports when it did not end well.
func (s *server) stop() error {
	if s.unseen != nil {
		s.unseen()
	}
	_ = s.cmd.Process.Signal(syscall.SIGTERM) // it may have ended by itself; Wait says how
	var err error
	select {
	case err = <-s.ended:
	case <-time.After(time.Minute):
		err = errors.Join(errors.New("the server did not stop in a minute"), s.cmd.Process.Kill())
	}
	return errors.Join(err, s.log.Close())
}

// caughtUp waits until every part says that it is ready, reports too where there is an engine, and nothing is left to do.
func (s *server) caughtUp(ctx context.Context, c *client) error {
	for range 600 {
		var r struct {
			Parts []struct{ Ready, Needed bool }
		}
		if err := c.get(ctx, "/readyz", &r); err != nil {
			return err
		}
		all := true
		for _, p := range r.Parts {
			all = all && (p.Ready || !p.Needed && !s.reports)
		}
		if all {
			return quiet(ctx, s.cmd.Process.Pid)
		}
		time.Sleep(200 * time.Millisecond)
	}
	return errors.New("not every part was ready after two minutes")
}

// current waits until every projection shows all that was recorded. Work that the server does on the side may go on.
func (s *server) current(ctx context.Context) error {
	for range 1200 {
		r, err := http.Get(s.base + "/metrics")
		if err != nil {
			return err
		}
		text, err := io.ReadAll(r.Body)
		r.Body.Close()
		if err != nil {
			return err
		}
		projections, behind := 0, false
		for line := range strings.Lines(string(text)) {
			if strings.HasPrefix(line, "yidang_projection_lag_seconds{") {
				projections++
				behind = behind || !strings.HasSuffix(strings.TrimSpace(line), " 0")
			}
		}
		if projections > 0 && !behind {
			return nil
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return errors.New("not every projection was current after a minute")
}

// client is one browser, signed in.
type client struct {
	base   string
	cookie string
	// purpose is named with each request; who reads his own caseload names none.
	purpose string
	http    *http.Client
}

// do sends a request and throws the answer away; anything but 2xx is an error.
func (c *client) do(r *http.Request) error {
	if c.cookie != "" {
		r.Header.Set("Cookie", c.cookie)
	}
	if c.purpose != "" {
		r.Header.Set("Yidang-Purpose", c.purpose)
	}
	a, err := c.http.Do(r)
	if err != nil {
		return err
	}
	defer a.Body.Close()
	if a.StatusCode/100 != 2 {
		body, _ := io.ReadAll(io.LimitReader(a.Body, 300))
		return fmt.Errorf("%s %s: %s: %s", r.Method, r.URL.Path, a.Status, body)
	}
	_, err = io.Copy(io.Discard, a.Body)
	return err
}
