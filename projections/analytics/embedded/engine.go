// Package embedded runs the ClickHouse engine (libchdb) on this machine without another program to install: in a child
// process of ours, behind ClickHouse's HTTP protocol on a unix socket, so that clickhouse-go speaks to it as it speaks to a
// server.
//
// What it promises:
//   - An INSERT that was answered is in the table, whole, after kill -9 of either process. One that was not answered is
//     there whole or not at all, provided its block is one part: one partition, at most about a million rows.
//   - Nobody but this user may reach the engine: the socket is 0600 in a directory of mode 0700.
//   - A crash, a hang or too much memory in a query ends the child at worst. The parent notes it, starts another with
//     back-off, and until then every call fails with record.Unavailable.
//   - The child never outlives its parent, however that ended. One child has a directory; a second is refused.
//   - There are no sessions: each query has a connection of its own, so SET, USE and temporary tables end with it.
//   - The engine's time zone is UTC, whatever the machine's, so that a figure is the same everywhere.
//
// What it does not do: compression and external tables are refused by name, since both ends are on one machine. It knows
// no users: a statement may read any file that this user may read (the table function file), so send it no statement that
// a stranger wrote.
package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"yidang/domain/record"
)

// Options say which program runs the child and where it keeps its data.
type Options struct {
	Executable string       // the program that calls Main; empty: this program
	Args       []string     // the words that lead it to Main, such as a hidden subcommand
	Library    string       // the file that Locate found
	Dir        string       // the engine's own directory; made when missing, mode 0700
	Log        *slog.Logger // what happens to the child; nil: nothing is logged
	// MemoryLimit in bytes is what all queries, merges and caches may use together; a query that would pass it fails alone.
	// 0 means 2 GiB.
	MemoryLimit int64

	probeEvery, probeLimit time.Duration // shorter in tests
}

// How patient the supervisor is.
const (
	startLimit    = 2 * time.Minute // a cold library of 566 MB and the recovery of all parts
	stopLimit     = 30 * time.Second
	probeEvery    = 5 * time.Second
	probeLimit    = 20 * time.Second
	probesMissed  = 3 // in a row, before a child that hangs is replaced
	backoffFirst  = 100 * time.Millisecond
	backoffLast   = 30 * time.Second
	defaultMemory = 2 << 30
)

// Engine is a running child with its supervisor.
type Engine struct {
	options Options
	socket  string
	stop    chan struct{}
	done    chan struct{}
	once    sync.Once

	mu    sync.Mutex
	state error // nil while the child answers
	pid   int   // of the newest child
}

// Start starts the child and returns when it answers queries. ctx bounds only the wait; the engine runs until Close.
// Errors: record.Unavailable when the library or the child fails, or when another process has Dir.
func Start(ctx context.Context, o Options) (*Engine, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	socket, err := socketPath(o.Dir)
	if err != nil {
		return nil, err
	}
	e := &Engine{
		options: o, socket: socket, stop: make(chan struct{}), done: make(chan struct{}),
		state: errors.New("it is starting"),
	}
	first := make(chan error, 1)
	go e.supervise(first)
	select {
	case err = <-first:
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		_ = e.Close()
		return nil, unavailable(err)
	}
	return e, nil
}

func (o *Options) complete() error {
	if o.Executable == "" {
		exe, err := os.Executable()
		if err != nil {
			return fmt.Errorf("find this program: %w", err)
		}
		o.Executable = exe
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.MemoryLimit == 0 {
		o.MemoryLimit = defaultMemory
	}
	if o.probeLimit == 0 {
		o.probeEvery, o.probeLimit = probeEvery, probeLimit
	}
	var err error
	// Absolute, because the child works in Dir: the engine reads configuration files that lie in its working directory.
	if o.Library, err = filepath.Abs(o.Library); err != nil {
		return fmt.Errorf("place of the engine's library: %w", err)
	}
	if o.Dir, err = filepath.Abs(o.Dir); err != nil {
		return fmt.Errorf("place of the engine's data: %w", err)
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return fmt.Errorf("engine directory: %w", err)
	}
	if err := os.Chmod(o.Dir, 0o700); err != nil {
		return fmt.Errorf("engine directory: %w", err)
	}
	return nil
}

// socketPath is in the engine's directory, where nothing is left behind, unless that path is longer than a unix socket's
// name may be.
func socketPath(dir string) (string, error) {
	const longest = 103 // macOS; Linux has four more
	if p := filepath.Join(dir, "engine.sock"); len(p) <= longest {
		return p, nil
	}
	tmp, err := os.MkdirTemp("", "engine-") // mode 0700
	if err != nil {
		return "", fmt.Errorf("directory for the engine's socket: %w", err)
	}
	return filepath.Join(tmp, "engine.sock"), nil
}

// Options are the driver's: pass them to clickhouse.Open or OpenDB. They stay good across restarts of the child.
func (e *Engine) Options() *clickhouse.Options {
	return &clickhouse.Options{
		Protocol: clickhouse.HTTP,
		// The name goes nowhere; but a host called localhost is never sent through a proxy of the environment.
		Addr:        []string{"localhost"},
		DialContext: func(ctx context.Context, _ string) (net.Conn, error) { return e.dial(ctx) },
		TransportFunc: func(t *http.Transport) (http.RoundTripper, error) {
			return transport{t}, nil
		},
		MaxOpenConns: 32,
		MaxIdleConns: 8,
	}
}

// transport says of a child that died under a request what dial says of one that is not there.
type transport struct{ *http.Transport }

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := t.Transport.RoundTrip(r)
	if err != nil && r.Context().Err() == nil {
		return nil, unavailable(err)
	}
	return resp, err
}

func (e *Engine) dial(ctx context.Context) (net.Conn, error) {
	c, err := (&net.Dialer{}).DialContext(ctx, "unix", e.socket)
	if err != nil {
		if down := e.Healthy(); down != nil {
			return nil, down
		}
		return nil, unavailable(err)
	}
	return c, nil
}

// Healthy is nil while the child answers, and record.Unavailable with the reason while it does not.
func (e *Engine) Healthy() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.state == nil {
		return nil
	}
	return unavailable(e.state)
}

// Close stops the child in order: running queries get a moment to end, accepted inserts are finished. Idempotent.
func (e *Engine) Close() error {
	e.once.Do(func() { close(e.stop) })
	<-e.done
	if filepath.Dir(e.socket) != e.options.Dir {
		return os.RemoveAll(filepath.Dir(e.socket))
	}
	return nil
}

func (e *Engine) set(state error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.state = state
}

func unavailable(err error) error {
	if record.KindOf(err) != "" {
		return err
	}
	return record.Errorf(record.Unavailable, "the embedded ClickHouse engine does not answer: %w", err)
}

// supervise keeps one child running until stop. first gets the outcome of the first start and only that: a child that
// cannot start at all is the caller's problem, one that stops later is ours.
func (e *Engine) supervise(first chan<- error) {
	// Pdeathsig follows the thread, so this goroutine keeps its thread for as long as there is a child.
	runtime.LockOSThread()
	defer close(e.done)
	pause := backoffFirst
	started := false
	for {
		began := time.Now()
		err := e.run(func() {
			if !started {
				started = true
				first <- nil
			}
		})
		e.set(err)
		if !started {
			first <- err
			return
		}
		select {
		case <-e.stop:
			return
		default:
		}
		if time.Since(began) > backoffLast {
			pause = backoffFirst
		}
		e.options.Log.Error("ClickHouse engine stopped; it is started again", "error", err, "after", time.Since(began), "pause", pause)
		select {
		case <-e.stop:
			return
		case <-time.After(pause):
		}
		pause = min(2*pause, backoffLast)
	}
}

// run runs one child from start to end and says why it ended.
func (e *Engine) run(ready func()) error {
	c, err := e.spawn()
	if err != nil {
		return err
	}
	defer c.end(e.options.Log)
	e.mu.Lock()
	e.pid = c.cmd.Process.Pid
	e.mu.Unlock()
	select {
	case err = <-c.status:
		if err != nil {
			return err
		}
	case <-time.After(startLimit):
		return fmt.Errorf("it did not answer within %s", startLimit)
	case <-e.stop:
		return errors.New("it was stopped")
	}
	e.set(nil)
	ready()
	e.options.Log.Info("ClickHouse engine ready", "pid", c.cmd.Process.Pid)
	hung := make(chan error, 1)
	ctx, cancel := context.WithCancel(context.Background())
	var probing sync.WaitGroup
	defer func() {
		cancel()
		probing.Wait() // its last word on the state comes before the supervisor's
	}()
	probing.Go(func() { hung <- e.probe(ctx) })
	select {
	case err = <-c.exited:
		c.exited <- err // for end
		return fmt.Errorf("its process ended: %w", err)
	case err = <-hung:
		c.kill()
		return err
	case <-e.stop:
		return errors.New("it was stopped")
	}
}

// probe asks the engine itself, not just the process, and returns when it missed too many answers in a row.
func (e *Engine) probe(ctx context.Context) error {
	client := &http.Client{
		Timeout: e.options.probeLimit,
		Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return e.dial(ctx)
		}},
	}
	defer client.CloseIdleConnections()
	missed := 0
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(e.options.probeEvery):
		}
		err := ping(ctx, client)
		if ctx.Err() != nil {
			return nil
		}
		e.set(err)
		if err == nil {
			missed = 0
			continue
		}
		if missed++; missed == probesMissed {
			return fmt.Errorf("it hangs: %w", err)
		}
	}
}

func ping(ctx context.Context, client *http.Client) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://localhost/ping", nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("ping answered %s", resp.Status)
	}
	return nil
}
