package embedded

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/ext"
)

func wantCode(t *testing.T, err error, code int32) {
	t.Helper()
	var e *clickhouse.Exception
	if !errors.As(err, &e) {
		t.Fatalf("%v is not the engine's exception", err)
	}
	if e.Code != code {
		t.Errorf("code %d, want %d: %v", e.Code, code, err)
	}
}

// Ensure that what the engine refuses reaches the caller as the driver's exception with the engine's code.
func TestErrors(t *testing.T) {
	c := open(t, start(t, t.TempDir()))
	execute(t, c, "CREATE TABLE narrow (a UInt8, CONSTRAINT small CHECK a < 10) ENGINE = MergeTree ORDER BY a")
	for _, k := range []struct {
		sql  string
		code int32
	}{
		{"SELCT 1", 62},
		{"SELECT 1; SELECT 2", 62},
		{"CREATE TABLE second (a UInt8) ENGINE = Memory; SELECT 1", 62},
		{"SELECT * FROM nowhere", 60},
		{"SELECT nothing", 47},
		{"SELECT intDiv(1, 0)", 153},
		{"CREATE TABLE narrow (a UInt8) ENGINE = Memory", 57},
		{"INSERT INTO narrow VALUES (200)", 469},
	} {
		t.Run(k.sql, func(t *testing.T) {
			wantCode(t, c.Exec(t.Context(), k.sql), k.code)
			var n uint64
			wantCode(t, c.QueryRow(t.Context(), k.sql).Scan(&n), k.code)
		})
	}
	ctx := clickhouse.Context(t.Context(), clickhouse.WithSettings(clickhouse.Settings{"no_such_setting": 1}))
	wantCode(t, c.Exec(ctx, "SELECT 1"), 115)

	b, err := c.PrepareBatch(t.Context(), "INSERT INTO narrow")
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []uint8{1, 200} {
		if err := b.Append(v); err != nil {
			t.Fatal(err)
		}
	}
	wantCode(t, b.Send(), 469)
	if n := number(t, c, "SELECT count() FROM narrow"); n != 0 {
		t.Errorf("%d rows of a refused batch are there", n)
	}
}

// Ensure that a failure in the middle of a long result is an error and not a short result.
func TestFailureInTheMiddle(t *testing.T) {
	c := open(t, start(t, t.TempDir()))
	rows, err := c.Query(t.Context(), "SELECT throwIf(number = 3000000) FROM numbers(10000000) SETTINGS max_threads = 1")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for rows.Next() {
		n++
	}
	wantCode(t, rows.Err(), 395)
	if n == 0 {
		t.Error("the result was held back to its end")
	}
}

// Ensure that parameters reach the engine as values: nothing in them is ever SQL.
func TestParameters(t *testing.T) {
	c := open(t, start(t, t.TempDir()))
	nasty := "o'Brien \\ \"x\"\t一档\r\n'); DROP TABLE t --\x00end"
	var s, empty string
	var null *string
	var n uint64
	var list []string
	var when time.Time
	at := time.Date(2026, 3, 1, 12, 30, 0, 0, time.UTC)
	err := c.QueryRow(t.Context(), `SELECT {s:String}, {empty:String}, {null:Nullable(String)}, {n:UInt64}, {list:Array(String)}, {at:DateTime64(3)}`,
		clickhouse.Named("s", nasty), clickhouse.Named("empty", ""), clickhouse.Named("null", nil), clickhouse.Named("n", uint64(1)<<63),
		clickhouse.Named("list", []string{"a'b", "一档"}), clickhouse.Named("at", at),
	).Scan(&s, &empty, &null, &n, &list, &when)
	if err != nil {
		t.Fatal(err)
	}
	if s != nasty || empty != "" || null != nil || n != 1<<63 || len(list) != 2 || list[0] != "a'b" || !when.Equal(at) {
		t.Errorf("got %q %q %v %d %q %v", s, empty, null, n, list, when)
	}
	var missing uint64
	wantCode(t, c.QueryRow(t.Context(), "SELECT {gone:UInt64}, {n:UInt64}", clickhouse.Named("n", 1)).Scan(&missing), 456)
}

// Ensure that settings and the database are the query's own, and that nothing is left for the next one.
func TestNoSessions(t *testing.T) {
	e := start(t, t.TempDir())
	c := open(t, e)
	execute(t, c, "CREATE DATABASE `fa``cts`")
	execute(t, c, "CREATE TABLE `fa``cts`.t ENGINE = MergeTree ORDER BY a AS SELECT 7::UInt64 AS a")
	o := e.Options()
	o.Auth.Database = "fa`cts"
	o.Settings = clickhouse.Settings{"max_threads": 3}
	in, err := clickhouse.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = in.Close() }()
	if n := number(t, in, "SELECT a FROM t"); n != 7 {
		t.Errorf("got %d", n)
	}
	if n := number(t, in, "SELECT getSetting('max_threads')::UInt64"); n != 3 {
		t.Errorf("max_threads %d", n)
	}
	ctx := clickhouse.Context(t.Context(), clickhouse.WithSettings(clickhouse.Settings{"max_threads": 2, "log_comment": "it's"}))
	var threads uint64
	var comment string
	if err := c.QueryRow(ctx, "SELECT getSetting('max_threads')::UInt64, getSetting('log_comment')").Scan(&threads, &comment); err != nil {
		t.Fatal(err)
	}
	if threads != 2 || !strings.HasSuffix(comment, "it's") {
		t.Errorf("max_threads %d, log_comment %q", threads, comment)
	}
	execute(t, c, "SET max_threads = 5")
	execute(t, c, "CREATE TEMPORARY TABLE mine (a UInt8)")
	if n := number(t, c, "SELECT getSetting('max_threads')::UInt64"); n == 5 {
		t.Error("SET outlived its query")
	}
	wantCode(t, c.Exec(t.Context(), "SELECT * FROM mine"), 60)
	o.Auth.Database = "nowhere"
	out, err := clickhouse.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = out.Close() }()
	wantCode(t, out.Exec(t.Context(), "SELECT 1"), 81)
	var zone string
	if err := c.QueryRow(t.Context(), "SELECT timezone()").Scan(&zone); err != nil || zone != "UTC" {
		t.Errorf("time zone %q, %v", zone, err)
	}
}

// Ensure that many queries at once are all answered rightly, reads among writes.
func TestConcurrentQueries(t *testing.T) {
	e := start(t, t.TempDir())
	c := open(t, e)
	execute(t, c, "CREATE TABLE t (w UInt64, a UInt64) ENGINE = MergeTree ORDER BY (w, a)")
	const callers, rounds = 24, 10
	var wg sync.WaitGroup
	for w := range uint64(callers) {
		wg.Go(func() {
			for i := range uint64(rounds) {
				b, err := c.PrepareBatch(t.Context(), "INSERT INTO t")
				if err != nil {
					t.Error(err)
					return
				}
				if err := errors.Join(b.Append(w, i), b.Send()); err != nil {
					t.Error(err)
					return
				}
				var n uint64
				if err := c.QueryRow(t.Context(), "SELECT count() FROM t WHERE w = {w:UInt64}", clickhouse.Named("w", w)).Scan(&n); err != nil {
					t.Error(err)
				} else if n != i+1 {
					t.Errorf("caller %d sees %d of its %d rows", w, n, i+1)
				}
			}
		})
	}
	wg.Wait()
	if n := number(t, c, "SELECT count() FROM t"); n != callers*rounds {
		t.Errorf("%d rows", n)
	}
}

// Ensure that more queries than the engine takes at once are refused rather than kept waiting.
func TestTooManyQueries(t *testing.T) {
	e := start(t, t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	client := raw(e)
	for range queriesAtOnce { // each answer has begun and is far from its end
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://localhost/?max_threads=1",
			strings.NewReader("SELECT number FROM numbers(100000000000)"))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		if resp.StatusCode != http.StatusOK {
			t.Fatal(resp.Status)
		}
	}
	c := open(t, e)
	wantCode(t, c.Exec(t.Context(), "SELECT 1"), 202)
	if err := ping(t.Context(), client); err != nil {
		t.Error("a full house looks like a hang: ", err)
	}
	cancel()
	eventually(t, "the house empties", func() bool { return c.Exec(t.Context(), "SELECT 1") == nil })
}

// Ensure that a query ends in the engine when its caller gives up.
func TestCancel(t *testing.T) {
	c := open(t, start(t, t.TempDir()))
	for _, sql := range []string{
		"SELECT count() FROM numbers(100000000000000) WHERE sipHash64(number) = 1",
		"SELECT number FROM numbers(100000000000000)",
		"CREATE TABLE t ENGINE = Memory AS SELECT max(sipHash64(number)) AS m FROM numbers(100000000000000)",
	} {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() {
			rows, err := c.Query(ctx, sql)
			for err == nil && rows.Next() {
				err = ctx.Err()
			}
			if err == nil {
				err = rows.Err()
			}
			done <- err
		}()
		running := func() bool {
			return number(t, c, "SELECT count() FROM system.processes WHERE query LIKE '%100000000000000%' AND query NOT LIKE '%processes%'") > 0
		}
		eventually(t, "the query begins", running)
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("the caller got %v", err)
		}
		eventually(t, "the engine lets go of "+sql, func() bool { return !running() })
	}
}

// raw is a client that may say what the driver never would.
func raw(e *Engine) *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return e.dial(ctx)
	}}}
}

func post(t *testing.T, client *http.Client, query url.Values, body io.Reader) (status int, code, text string) {
	t.Helper()
	resp, err := client.Post("http://localhost/?"+query.Encode(), "application/octet-stream", body)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header.Get("X-ClickHouse-Exception-Code"), string(b)
}

// Ensure that what the front does not do is refused by name, and that a body is taken whole or not at all.
func TestRefusals(t *testing.T) {
	e := start(t, t.TempDir())
	c := open(t, e)
	execute(t, c, "CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a")

	for _, m := range []clickhouse.CompressionMethod{clickhouse.CompressionLZ4, clickhouse.CompressionZSTD} {
		o := e.Options()
		o.Compression = &clickhouse.Compression{Method: m}
		z, err := clickhouse.Open(o)
		if err != nil {
			t.Fatal(err)
		}
		wantCode(t, z.Ping(t.Context()), 48)
		_ = z.Close()
	}
	o := e.Options()
	o.Compression = &clickhouse.Compression{Method: clickhouse.CompressionGZIP}
	z, err := clickhouse.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = z.Close() }()
	b, err := z.PrepareBatch(t.Context(), "INSERT INTO t")
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Append(uint64(1)); err != nil {
		t.Fatal(err)
	}
	wantCode(t, b.Send(), 48)

	table, err := ext.NewTable("outside", ext.Column("a", "UInt8"))
	if err != nil {
		t.Fatal(err)
	}
	wantCode(t, c.Exec(clickhouse.Context(t.Context(), clickhouse.WithExternalTable(table)), "SELECT * FROM outside"), 48)

	client := raw(e)
	if status, code, text := post(t, client, nil, strings.NewReader("INSERT INTO t (a) FORMAT Native \x01\x01")); status != 500 || code != "48" {
		t.Errorf("glued data: %d %s %s", status, code, text)
	}
	garbage := strings.Repeat("no number\n", 3<<20) // the engine refuses its first bytes while most is yet to come
	if status, code, text := post(t, client, url.Values{"query": {"INSERT INTO t FORMAT CSV"}}, strings.NewReader(garbage)); status != 500 || code == "" {
		t.Errorf("garbage: %d %s %s", status, code, text)
	}
	if status, _, text := post(t, client, url.Values{"query": {"INSERT INTO t VALUES"}}, strings.NewReader("(1), (2)")); status != 200 {
		t.Errorf("values in the body: %d %s", status, text)
	}
	if status, _, text := post(t, client, url.Values{"query": {"SELECT count(), sum(a)"}, "default_format": {"TSV"}}, strings.NewReader(" FROM t")); status != 200 || text != "2\t3\n" {
		t.Errorf("a statement in two parts: %d %q", status, text)
	}
}

// Ensure that a body whose sender went away in the middle leaves no row.
func TestBodyCutShort(t *testing.T) {
	e := start(t, t.TempDir())
	c := open(t, e)
	execute(t, c, "CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a")
	inserting := func() bool {
		return number(t, c, "SELECT count() FROM system.processes WHERE query_kind = 'Insert'") > 0
	}
	reader, writer := io.Pipe()
	sent := make(chan error, 1)
	go func() {
		_, err := raw(e).Post("http://localhost/?query=INSERT+INTO+t+FORMAT+CSV", "", reader) //nolint:bodyclose // there is none
		sent <- err
	}()
	if _, err := io.WriteString(writer, strings.Repeat("1\n", 100_000)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the insert begins", inserting)
	_ = writer.CloseWithError(errors.New("the sender died"))
	if err := <-sent; err == nil {
		t.Fatal("a body cut short was accepted")
	}
	eventually(t, "the insert ends", func() bool { return !inserting() })
	if n := number(t, c, "SELECT count() FROM t"); n != 0 {
		t.Errorf("%d rows of a body that was cut short are there", n)
	}
}
