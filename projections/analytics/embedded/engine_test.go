package embedded

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"yidang/domain/record"
)

func (e *Engine) childPID() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.pid
}

func send(ctx context.Context, c driver.Conn, batch uint64, rows int) error {
	b, err := c.PrepareBatch(ctx, "INSERT INTO t (batch, a, s)")
	if err != nil {
		return err
	}
	for i := range rows {
		if err := b.Append(batch, uint64(i), "pseudonym"); err != nil {
			return err
		}
	}
	return b.Send()
}

const batches = "CREATE TABLE t (batch UInt64, a UInt64, s LowCardinality(String)) ENGINE = ReplacingMergeTree ORDER BY (batch, a)"

// Ensure that a batch of 200,000 rows goes in complete, as one part.
func TestLargeInsert(t *testing.T) {
	c := open(t, start(t, t.TempDir()))
	execute(t, c, batches)
	const rows = 200_000
	if err := send(t.Context(), c, 1, rows); err != nil {
		t.Fatal(err)
	}
	if n := number(t, c, "SELECT count() FROM t"); n != rows {
		t.Errorf("%d rows of %d", n, rows)
	}
	if s := number(t, c, "SELECT sum(a) FROM t"); s != rows*(rows-1)/2 {
		t.Errorf("sum %d", s)
	}
	if n := number(t, c, "SELECT count() FROM system.parts WHERE table = 't' AND active"); n != 1 {
		t.Errorf("the batch went into %d parts: a crash could keep some of them", n)
	}
	if n := number(t, c, "SELECT count() FROM system.merge_tree_settings WHERE name IN ('fsync_after_insert', 'fsync_part_directory') AND value = '1'"); n != 2 {
		t.Error("parts are not synced to the disk: a power cut could lose acknowledged rows")
	}
}

// Ensure that kill -9 of the child in the middle of loading loses no batch whose insert returned, keeps no part of
// another, and that the caller's connections serve again by themselves.
func TestKilledWhileInserting(t *testing.T) {
	e := start(t, t.TempDir())
	c := open(t, e)
	execute(t, c, batches)
	const writers, rows, rounds = 3, 30_000, 3
	var mu sync.Mutex
	acknowledged, sent := map[uint64]bool{}, uint64(0)
	lost, unavailable := 0, 0
	for round := range rounds {
		killed := make(chan struct{})
		var wg sync.WaitGroup
		for range writers {
			wg.Go(func() {
				for {
					mu.Lock()
					sent++
					batch := sent
					mu.Unlock()
					err := send(t.Context(), c, batch, rows)
					mu.Lock()
					acknowledged[batch] = err == nil
					if err != nil {
						lost++
					}
					if record.KindOf(err) == record.Unavailable {
						unavailable++
					}
					mu.Unlock()
					if err != nil {
						<-killed // anything else that went wrong shows as a test that never ends
						return
					}
				}
			})
		}
		eventually(t, "batches are acknowledged", func() bool {
			mu.Lock()
			defer mu.Unlock()
			return sent > uint64((round+1)*writers*4)
		})
		old := e.childPID()
		if err := syscall.Kill(old, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		close(killed)
		wg.Wait()
		eventually(t, "another child answers", func() bool { return e.childPID() != old && e.Healthy() == nil })
		eventually(t, "the driver reaches it", func() bool { return c.Ping(t.Context()) == nil })
	}
	if lost == 0 || unavailable == 0 {
		t.Fatalf("%d inserts were under way when the child was killed, %d callers were told it is unavailable", lost, unavailable)
	}
	got := map[uint64]uint64{}
	res, err := c.Query(t.Context(), "SELECT batch, count() FROM t GROUP BY batch")
	if err != nil {
		t.Fatal(err)
	}
	for res.Next() {
		var batch, n uint64
		if err := res.Scan(&batch, &n); err != nil {
			t.Fatal(err)
		}
		got[batch] = n
	}
	if err := res.Err(); err != nil {
		t.Fatal(err)
	}
	for batch, ok := range acknowledged {
		if n := got[batch]; ok && n != rows || !ok && n != 0 && n != rows {
			t.Errorf("batch %d (acknowledged: %v) has %d rows of %d", batch, ok, n, rows)
		}
	}
	t.Logf("%d batches, %d not acknowledged", len(acknowledged), lost)
}

// parent is a program with an engine that is about to be killed. It says which child it has.
func parent(library, dir string) int {
	e, err := Start(context.Background(), Options{Args: []string{childWord}, Library: library, Dir: dir,
		Log: slog.New(slog.NewTextHandler(os.Stderr, nil))})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println("pid", e.childPID())
	select {}
}

// Ensure that the child dies with its parent, kill -9 included, and leaves the directory to the next.
func TestParentKilled(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0], parentWord, libraryPath(t), dir)
	cmd.Stderr = t.Output()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "pid ") {
		t.Fatalf("the parent says %q, %v", line, err)
	}
	socket := filepath.Join(dir, "engine.sock")
	if _, err := os.Stat(socket); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	// Its lock is free, so it is gone: a zombie has no lock, and a living child keeps it.
	e := start(t, dir)
	if n := number(t, open(t, e), "SELECT 1::UInt64"); n != 1 {
		t.Error(n)
	}
}

// Ensure that only this user may reach the socket, also where the directory was open before.
func TestSocketMode(t *testing.T) {
	for _, dir := range []string{t.TempDir(), filepath.Join(t.TempDir(), strings.Repeat("long", 30))} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		e := start(t, dir)
		socket, err := os.Stat(e.socket)
		if err != nil {
			t.Fatal(err)
		}
		if socket.Mode().Type() != os.ModeSocket || socket.Mode().Perm() != 0o600 {
			t.Errorf("the socket is %v", socket.Mode())
		}
		for _, d := range []string{dir, filepath.Dir(e.socket)} {
			if i, err := os.Stat(d); err != nil || i.Mode().Perm() != 0o700 {
				t.Errorf("%s is %v, %v", d, i.Mode(), err)
			}
		}
		if n := number(t, open(t, e), "SELECT 1::UInt64"); n != 1 {
			t.Error(n)
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(e.socket); !os.IsNotExist(err) {
			t.Errorf("the socket is left behind: %v", err)
		}
	}
}

// panicking loads the engine and then makes the mistake that Go turns into a panic by way of a signal.
func panicking(library, dir string) (code int) {
	l, err := loadLibrary(library)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	f, err := newFront(l, filepath.Join(dir, "data"), defaultMemory)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	defer f.close()
	defer func() {
		if recover() == nil {
			code = 1
		}
	}()
	var nobody *Engine
	return len(nobody.socket)
}

// Ensure that the engine leaves Go its signal handlers: with another's, a nil pointer would end the child where a panic
// ends one request.
func TestSignalHandlers(t *testing.T) {
	for range 5 {
		out, err := exec.Command(os.Args[0], panicWord, libraryPath(t), t.TempDir()).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %.500s", err, out)
		}
	}
}

// Ensure that what was written is there when the directory is opened again, and that Close may be called twice.
func TestReopen(t *testing.T) {
	dir := t.TempDir()
	e := start(t, dir)
	c := open(t, e)
	execute(t, c, batches)
	if err := send(t.Context(), c, 1, 1000); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Ping(t.Context()); record.KindOf(err) != record.Unavailable {
		t.Errorf("a closed engine answers %v", err)
	}
	if err := e.Healthy(); record.KindOf(err) != record.Unavailable {
		t.Errorf("a closed engine is healthy: %v", err)
	}
	if n := number(t, open(t, start(t, dir)), "SELECT count() FROM t"); n != 1000 {
		t.Errorf("%d rows of 1000", n)
	}
}

// Ensure that a second engine on a directory in use is refused in words, and that the first goes on.
func TestSecondEngineRefused(t *testing.T) {
	dir := t.TempDir()
	e := start(t, dir)
	second, err := Start(t.Context(), options(t, dir))
	if err == nil {
		_ = second.Close()
		t.Fatal("two engines have one directory")
	}
	if record.KindOf(err) != record.Unavailable || !strings.Contains(err.Error(), "another process has the engine's directory "+dir) {
		t.Errorf("refused with %v", err)
	}
	if n := number(t, open(t, e), "SELECT 1::UInt64"); n != 1 {
		t.Error(n)
	}
}

// Ensure that a child that hangs is replaced.
func TestHangingChildIsReplaced(t *testing.T) {
	o := options(t, t.TempDir())
	o.probeEvery, o.probeLimit = 20*time.Millisecond, time.Second
	e := startWith(t, o)
	c := open(t, e)
	execute(t, c, batches)
	old := e.childPID()
	if err := syscall.Kill(old, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the hang is noticed", func() bool { return record.KindOf(e.Healthy()) == record.Unavailable })
	eventually(t, "another child answers", func() bool { return e.childPID() != old && e.Healthy() == nil })
	eventually(t, "the driver reaches it", func() bool { return c.Ping(t.Context()) == nil })
	if n := number(t, c, "SELECT count() FROM t"); n != 0 {
		t.Error(n)
	}
}

// Ensure that a query that wants too much memory fails alone.
func TestMemoryLimit(t *testing.T) {
	o := options(t, t.TempDir())
	o.MemoryLimit = 300 << 20
	e := startWith(t, o)
	c := open(t, e)
	pid := e.childPID()
	var n uint64
	err := c.QueryRow(t.Context(), "SELECT length(groupArray(number)) FROM numbers(1000000000)").Scan(&n)
	wantCode(t, err, 241)
	if n := number(t, c, "SELECT count() FROM numbers(10)"); n != 10 || e.childPID() != pid {
		t.Errorf("%d, child %d was %d", n, e.childPID(), pid)
	}
}

// Ensure that the memory limit does not take a query's threads away.
func TestThreads(t *testing.T) {
	c := open(t, start(t, t.TempDir()))
	rows, err := c.Query(t.Context(), "EXPLAIN PIPELINE SELECT sum(number) FROM numbers_mt(100000000) SETTINGS max_threads = 3")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	plan := ""
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			t.Fatal(err)
		}
		plan += line + "\n"
	}
	if rows.Err() != nil || !strings.Contains(plan, "AggregatingTransform × 3") {
		t.Errorf("%v: a query that may use three threads runs as\n%s", rows.Err(), plan)
	}
}

// Ensure that a start that cannot succeed says why, and leaves nothing running.
func TestStartFails(t *testing.T) {
	wrong := filepath.Join(t.TempDir(), LibraryName)
	if err := os.WriteFile(wrong, []byte("not a library"), 0o600); err != nil {
		t.Fatal(err)
	}
	for what, change := range map[string]func(*Options){
		"no library":       func(o *Options) { o.Library = wrong },
		"no such program":  func(o *Options) { o.Executable = wrong },
		"another program":  func(o *Options) { o.Executable = "/bin/sh"; o.Args = []string{"-c", "exit 3"} },
		"damaged metadata": func(o *Options) { damage(t, o.Dir) },
	} {
		t.Run(what, func(t *testing.T) {
			o := options(t, t.TempDir())
			change(&o)
			e, err := Start(t.Context(), o)
			if err == nil {
				_ = e.Close()
				t.Fatal("it started")
			}
			if record.KindOf(err) != record.Unavailable {
				t.Errorf("the error is %v", err)
			}
			t.Log(err)
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Start(ctx, options(t, t.TempDir())); err == nil {
		t.Error("it started although its caller gave up")
	}
}

// damage puts a file where the engine wants a directory.
func damage(t *testing.T, dir string) {
	if err := os.WriteFile(filepath.Join(dir, "data"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

// Ensure that Main is of no use to somebody who finds the hidden subcommand.
func TestMainByHand(t *testing.T) {
	cmd := exec.Command(os.Args[0], childWord, "-library", libraryPath(t), "-dir", t.TempDir())
	if err := cmd.Run(); err == nil || cmd.ProcessState.ExitCode() != 2 {
		t.Errorf("it ended with %v", err)
	}
}

// Ensure that the library is found where it was said to be, and that a miss says what to do.
func TestLocate(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("CHDB_LIB_PATH", "")
	if _, err := Locate(dir); record.KindOf(err) != record.Unavailable || !strings.Contains(err.Error(), "make engine") {
		t.Errorf("a miss says %v", err)
	}
	file := filepath.Join(dir, LibraryName)
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if p, err := Locate(t.TempDir(), dir); err != nil || p != file {
		t.Errorf("%q, %v", p, err)
	}
	t.Setenv("CHDB_LIB_PATH", dir)
	if p, err := Locate(); err != nil || p != file {
		t.Errorf("%q, %v", p, err)
	}
	t.Setenv("CHDB_LIB_PATH", filepath.Join(dir, "other.so"))
	if _, err := Locate(dir); record.KindOf(err) != record.Unavailable {
		t.Errorf("a CHDB_LIB_PATH that names nothing gives %v", err)
	}
}
