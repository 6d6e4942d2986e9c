package embedded

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"yidang/domain/record"
)

// process is a child as its parent sees it.
type process struct {
	cmd    *exec.Cmd
	alive  *os.File   // the child ends when this end of the pipe is closed, by us or by our death
	status chan error // one answer: nil when it serves, or why it cannot
	exited chan error // how it ended
}

// The child finds its two pipes under fixed numbers (exec.Cmd.ExtraFiles starts at 3).
const (
	aliveFD  = 3
	statusFD = 4
)

// What the child writes on its status pipe: one line, a word and a reason.
const (
	statusReady = "ready"
	statusTaken = "taken"
	statusError = "error"
)

// spawn starts a child. It must be called by the goroutine that stays for as long as the child lives.
func (e *Engine) spawn() (*process, error) {
	aliveRead, aliveWrite, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("pipe to the child: %w", err)
	}
	defer func() { _ = aliveRead.Close() }()
	statusRead, statusWrite, err := os.Pipe()
	if err != nil {
		_ = aliveWrite.Close()
		return nil, fmt.Errorf("pipe from the child: %w", err)
	}
	defer func() { _ = statusWrite.Close() }()

	o := e.options
	cmd := exec.Command(o.Executable, append(append([]string{}, o.Args...),
		"-library", o.Library, "-dir", o.Dir, "-socket", e.socket, "-memory", strconv.FormatInt(o.MemoryLimit, 10))...)
	cmd.Dir = o.Dir
	cmd.Env = childEnvironment(os.Environ())
	cmd.ExtraFiles = []*os.File{aliveFD - 3: aliveRead, statusFD - 3: statusWrite}
	cmd.SysProcAttr = childAttributes()
	output, err := cmd.StderrPipe()
	if err != nil {
		_, _ = aliveWrite.Close(), statusRead.Close()
		return nil, fmt.Errorf("pipe for the child's messages: %w", err)
	}
	cmd.Stdout = cmd.Stderr
	if err := cmd.Start(); err != nil {
		_, _ = aliveWrite.Close(), statusRead.Close()
		return nil, fmt.Errorf("start the engine's process: %w", err)
	}
	p := &process{cmd: cmd, alive: aliveWrite, status: make(chan error, 1), exited: make(chan error, 1)}
	go func() {
		p.status <- readStatus(statusRead)
		_ = statusRead.Close()
	}()
	go func() {
		logLines(output, o.Log) // to its end, before Wait closes it
		if err := cmd.Wait(); err != nil {
			p.exited <- err
			return
		}
		p.exited <- errors.New("without an error")
	}()
	return p, nil
}

// childEnvironment passes on what a program needs to run and nothing else: what is secret in our environment is none of
// the engine's business.
func childEnvironment(environ []string) []string {
	env := []string{"TZ=UTC", "GOTRACEBACK=single"}
	for _, kv := range environ {
		name, _, _ := strings.Cut(kv, "=")
		switch name {
		case "PATH", "HOME", "TMPDIR", "LANG", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "GOCOVERDIR":
			env = append(env, kv)
		}
	}
	return env
}

func readStatus(r io.Reader) error {
	line, _ := bufio.NewReader(r).ReadString('\n')
	word, reason, _ := strings.Cut(strings.TrimSpace(line), " ")
	switch word {
	case statusReady:
		return nil
	case statusTaken:
		p := record.Errorf(record.Unavailable, "another process has the engine's directory %s", reason)
		p.Remedy = "stop the other process, or choose another data directory"
		return p
	case statusError:
		return errors.New(reason)
	}
	return errors.New("its process ended while it started")
}

// logLines passes on what the child and the library print. Queries are never printed.
func logLines(r io.Reader, log *slog.Logger) {
	b := bufio.NewReaderSize(r, 4096)
	for {
		line, _, err := b.ReadLine() // an overlong line comes in pieces
		if err != nil {
			return
		}
		if len(line) > 0 {
			log.Warn("ClickHouse engine", "line", string(line))
		}
	}
}

// end asks the child to finish, waits, and kills it when it does not.
func (p *process) end(log *slog.Logger) {
	_ = p.alive.Close()
	select {
	case <-p.exited:
		return
	case <-time.After(stopLimit):
		log.Error("ClickHouse engine does not stop; it is killed", "pid", p.cmd.Process.Pid)
	}
	p.kill()
	<-p.exited
}

// kill loses nothing that was acknowledged: that is in the files of the system already.
func (p *process) kill() { _ = p.cmd.Process.Kill() }
