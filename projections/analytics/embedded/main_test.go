package embedded

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// The test binary is its own child, and other programs that a test needs: these words lead it there.
const (
	childWord  = "engine-child"
	parentWord = "engine-parent"
	panicWord  = "engine-panic"
)

func TestMain(m *testing.M) {
	switch {
	case len(os.Args) > 1 && os.Args[1] == childWord:
		os.Exit(Main(os.Args[2:]))
	case len(os.Args) > 1 && os.Args[1] == parentWord:
		os.Exit(parent(os.Args[2], os.Args[3]))
	case len(os.Args) > 1 && os.Args[1] == panicWord:
		os.Exit(panicking(os.Args[2], os.Args[3]))
	}
	os.Exit(m.Run())
}

// libraryPath finds the real engine. Without it nothing here can be tested, and that is a failure.
func libraryPath(t testing.TB) string {
	t.Helper()
	p, err := Locate(filepath.Join("..", "..", "..", ".cache", "chdb"))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func options(t testing.TB, dir string) Options {
	return Options{
		Args: []string{childWord}, Library: libraryPath(t), Dir: dir,
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	}
}

func start(t testing.TB, dir string) *Engine {
	t.Helper()
	return startWith(t, options(t, dir))
}

func startWith(t testing.TB, o Options) *Engine {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), startLimit)
	defer cancel()
	e, err := Start(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

func open(t testing.TB, e *Engine) driver.Conn {
	t.Helper()
	c, err := clickhouse.Open(e.Options())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// eventually polls for something that another process does.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for range 3000 {
		if ok() {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatal("never happened: ", what)
}

func execute(t testing.TB, c driver.Conn, sql string, args ...any) {
	t.Helper()
	if err := c.Exec(t.Context(), sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func number(t testing.TB, c driver.Conn, sql string, args ...any) uint64 {
	t.Helper()
	var n uint64
	if err := c.QueryRow(t.Context(), sql, args...).Scan(&n); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return n
}
