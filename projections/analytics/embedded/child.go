package embedded

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// lockLimit is how long a new child waits for the directory: the child of a parent that just died may still be leaving.
const lockLimit = 5 * time.Second

// drainLimit is how long running queries may go on once the parent wants the child to end.
const drainLimit = 10 * time.Second

var errTaken = errors.New("directory taken")

// Main is the child: a hidden subcommand calls it with the arguments that follow its own name, and exits with what it
// returns. It serves until the parent closes its pipe or dies. It is of no use without the pipes that Start makes.
func Main(args []string) int {
	alive, status := os.NewFile(aliveFD, "alive"), os.NewFile(statusFD, "status")
	if alive == nil || status == nil || !isPipe(alive) || !isPipe(status) {
		fmt.Fprintln(os.Stderr, "this is the embedded ClickHouse engine's own process: it is not started by hand")
		return 2
	}
	// The parent ends this process in order. A service manager's signal goes to all processes at once, and the parent
	// may still need the engine to finish what it accepted.
	signal.Ignore(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	say := func(word, reason string) {
		_, _ = fmt.Fprintln(status, word, strings.ReplaceAll(reason, "\n", " "))
		_ = status.Close()
	}
	c, err := openChild(args)
	switch {
	case errors.Is(err, errTaken):
		say(statusTaken, c.dir)
		return 1
	case err != nil:
		say(statusError, err.Error())
		return 1
	}
	say(statusReady, "")
	if err := c.serve(alive); err != nil {
		fmt.Fprintln(os.Stderr, "serve:", err)
		return 1
	}
	return 0
}

func isPipe(f *os.File) bool {
	i, err := f.Stat()
	return err == nil && i.Mode()&os.ModeNamedPipe != 0
}

type child struct {
	library, dir, socket string
	memory               int64

	lock     *os.File
	listener net.Listener
	front    *front
}

// openChild takes the directory, then loads the library and opens the data, then listens: a caller that can connect can
// query.
func openChild(args []string) (*child, error) {
	c := &child{}
	flags := flag.NewFlagSet("engine", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&c.library, "library", "", "")
	flags.StringVar(&c.dir, "dir", "", "")
	flags.StringVar(&c.socket, "socket", "", "")
	flags.Int64Var(&c.memory, "memory", 0, "")
	if err := flags.Parse(args); err != nil {
		return c, fmt.Errorf("arguments: %w", err)
	}
	if err := c.take(); err != nil {
		return c, err
	}
	lib, err := loadLibrary(c.library)
	if err != nil {
		return c, err
	}
	if c.front, err = newFront(lib, filepath.Join(c.dir, "data"), c.memory); err != nil {
		return c, err
	}
	if err := c.listen(); err != nil {
		return c, err
	}
	return c, nil
}

// take locks the directory for the life of this process; the system gives it back however the process ends.
func (c *child) take() error {
	f, err := os.OpenFile(filepath.Join(c.dir, "engine.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("lock: %w", err)
	}
	c.lock = f
	for deadline := time.Now().Add(lockLimit); ; time.Sleep(50 * time.Millisecond) {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			return fmt.Errorf("lock %s: %w", f.Name(), err)
		}
		if time.Now().After(deadline) {
			return errTaken
		}
	}
}

// listen makes the socket. One that lies there already is dead: we hold the directory's lock.
func (c *child) listen() error {
	if err := os.Remove(c.socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("old socket: %w", err)
	}
	old := syscall.Umask(0o177) // never a moment in which others may connect
	defer syscall.Umask(old)
	l, err := net.Listen("unix", c.socket)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	c.listener = l
	return nil
}

// serve answers until the parent's pipe ends, then lets what runs finish and closes the database.
func (c *child) serve(alive io.Reader) error {
	server := &http.Server{Handler: c.front, ReadHeaderTimeout: 10 * time.Second, MaxHeaderBytes: 1 << 20}
	served := make(chan error, 1)
	go func() { served <- server.Serve(c.listener) }()
	gone := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, alive)
		close(gone)
	}()
	select {
	case err := <-served:
		return err
	case <-gone:
	}
	ctx, cancel := context.WithTimeout(context.Background(), drainLimit)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		// The database stays open under the queries that still run; the end of the process loses nothing acknowledged.
		return fmt.Errorf("queries were still running after %s: %w", drainLimit, err)
	}
	c.front.close()
	return nil
}
