package analytics_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"yidang/projections/analytics"
	"yidang/projections/analytics/analyticstest"
	"yidang/projections/follow"
)

// loaderWord leads the test binary to a process that loads a township and is killed.
const loaderWord = "loader-child"

func loaderChild(args []string) int {
	if err := loadAndTell(context.Background(), args[0]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func loadAndTell(ctx context.Context, dir string) error {
	w, err := analyticstest.Open(ctx, dir)
	if err != nil {
		return err
	}
	engine, err := analyticstest.StartEngine(ctx, filepath.Join(dir, "clickhouse"), nil)
	if err != nil {
		return err
	}
	o := w.Options(filepath.Join(dir, "analytics.db"), engine.Options())
	o.Files = 20 // so that snapshots are written and read
	s, err := analytics.Open(ctx, o)
	if err != nil {
		return err
	}
	head, _, err := w.Journal.Head(ctx)
	if err != nil {
		return err
	}
	err = follow.New(follow.Options{Source: w.Journal, Codec: w.Codec, Projection: telling{s}, MaxEvents: 150, Until: head}).Run(ctx)
	return errors.Join(err, s.Close(), engine.Close(), w.Close())
}

// telling says each batch before it is applied.
type telling struct{ *analytics.Store }

func (p telling) Apply(ctx context.Context, b follow.Batch) error {
	fmt.Println(b.UpTo)
	return p.Store.Apply(ctx, b)
}

// Ensure that a loader killed at random moments, again and again, leaves exactly the rows of one that was never disturbed.
func TestSameRowsAfterKill(t *testing.T) {
	ctx, dir := t.Context(), t.TempDir()
	w, err := analyticstest.Open(ctx, dir)
	must(t, err)
	must(t, w.Fill(ctx, 4000, 60, "x"))
	must(t, w.Close())

	r := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 1))
	for kills := 0; ; kills++ {
		if kills == 6 {
			killLoader(t, dir, 1<<30, 0)
			break
		}
		killLoader(t, dir, 1+r.IntN(5), time.Duration(r.IntN(30))*time.Millisecond)
	}

	w, err = analyticstest.Open(ctx, dir)
	must(t, err)
	defer w.Close()
	engine, err := analyticstest.StartEngine(ctx, filepath.Join(dir, "clickhouse"), nil)
	must(t, err)
	defer engine.Close()
	killed, err := analytics.Open(ctx, w.Options(filepath.Join(dir, "analytics.db"), engine.Options()))
	must(t, err)
	defer killed.Close()
	head, _, err := w.Journal.Head(ctx)
	must(t, err)
	if at, started, err := killed.Checkpoint(ctx); err != nil || !started || at != head {
		t.Fatalf("the checkpoint is %d, started %v, %v; the journal's head is %d", at, started, err, head)
	}
	undisturbed := w.Store(t)
	must(t, w.Load(ctx, undisturbed, 20_000))
	sameRows(t, killed, undisturbed)
}

// killLoader runs a loader and kills it some time after it began its nth batch.
func killLoader(t *testing.T, dir string, batches int, after time.Duration) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], loaderWord, dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	lines := bufio.NewScanner(out)
	for n := 0; lines.Scan(); {
		if n++; n == batches {
			time.Sleep(after)
			must(t, cmd.Process.Kill())
			break
		}
	}
	_, _ = io.Copy(io.Discard, out)
	if err := cmd.Wait(); batches == 1<<30 && err != nil {
		t.Fatal("the loader that was left alone failed: ", err)
	}
}

// Ensure that an insert that fails, with effect or without, leaves exactly the rows of one that does not.
func TestSameRowsAfterFaults(t *testing.T) {
	ctx, w := t.Context(), analyticstest.New(t)
	must(t, w.Fill(ctx, 2000, 40, "x"))
	for _, effect := range []bool{false, true} {
		t.Run(fmt.Sprintf("with effect %v", effect), func(t *testing.T) {
			engine := analyticstest.Database(t)
			var calls, faults atomic.Int64
			dial := engine.DialContext
			engine.DialContext = func(ctx context.Context, addr string) (net.Conn, error) {
				c, err := dial(ctx, addr)
				return &faulty{Conn: c, calls: &calls, faults: &faults, effect: effect}, err
			}
			o := w.Options(filepath.Join(t.TempDir(), "analytics.db"), engine)
			o.Files = 10
			s, err := analytics.Open(ctx, o)
			must(t, err)
			defer s.Close()
			if _, _, err := s.Checkpoint(ctx); err != nil {
				t.Fatal(err)
			}
			calls.Store(1)
			must(t, w.Load(ctx, s, 100))
			if faults.Load() == 0 {
				t.Fatalf("no fault was met in %d calls", calls.Load())
			}
			calls.Store(-1 << 40)
			whole := w.Store(t)
			must(t, w.Load(ctx, whole, 20_000))
			sameRows(t, s, whole)
		})
	}
}

// faulty breaks every 61st write: before anything is sent, or after the engine has it all and answers.
type faulty struct {
	net.Conn
	calls  *atomic.Int64
	faults *atomic.Int64
	effect bool
	broken bool
}

var errBroken = errors.New("the line broke")

func (c *faulty) Write(b []byte) (int, error) {
	if n := c.calls.Add(1); n > 0 && n%61 == 0 {
		c.faults.Add(1)
		if !c.effect {
			return 0, errBroken
		}
		c.broken = true
	}
	return c.Conn.Write(b)
}

func (c *faulty) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if c.broken {
		return 0, errBroken
	}
	return n, err
}

func sameRows(t *testing.T, a, b *analytics.Store) {
	t.Helper()
	first, err := analyticstest.Digest(t.Context(), a)
	must(t, err)
	second, err := analyticstest.Digest(t.Context(), b)
	must(t, err)
	if first != second {
		t.Fatalf("the rows differ:\n%s\n%s", first, second)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
