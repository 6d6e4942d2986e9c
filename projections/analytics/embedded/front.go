package embedded

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	chproto "github.com/ClickHouse/ch-go/proto"
	"github.com/ClickHouse/clickhouse-go/v2/lib/column"
	"github.com/ClickHouse/clickhouse-go/v2/lib/proto"
)

const (
	chunkSize     = 1 << 20
	queriesAtOnce = 100
	killEvery     = 100 * time.Millisecond
)

// hello is the driver's first question. Its answer alone is decoded at helloRevision; it says revision 0, whereupon the
// driver takes every later block as plain FORMAT Native, which is what the engine writes.
const (
	hello         = "SELECT displayName(), version(), revision(), timezone()"
	helloRevision = 54460
)

// front is ClickHouse's HTTP protocol over the library. Every request has a connection of its own (it takes less than a
// millisecond), which keeps its settings, its database and its temporary tables to itself.
type front struct {
	lib     *library
	path    string
	base    *connection   // keeps the database open while no request runs
	slots   chan struct{} // bounds the queries that run at once
	hello   []byte
	control sync.Mutex  // over killer
	killer  *connection // ends the queries of clients that went away
}

// serverConfig holds what only a configuration file can set. A part is synced to the disk before its insert is answered,
// so that after a power cut a checkpoint written later never stands without the rows before it.
const serverConfig = `<clickhouse>
  <max_server_memory_usage>%d</max_server_memory_usage>
  <mark_cache_size>%d</mark_cache_size>
  <merge_tree>
    <fsync_after_insert>1</fsync_after_insert>
    <fsync_part_directory>1</fsync_part_directory>
  </merge_tree>
</clickhouse>
`

func newFront(lib *library, path string, memory int64) (*front, error) {
	config := filepath.Join(filepath.Dir(path), "engine.xml")
	if err := os.WriteFile(config, fmt.Appendf(nil, serverConfig, memory, memory/8), 0o600); err != nil {
		return nil, fmt.Errorf("engine configuration: %w", err)
	}
	f := &front{lib: lib, path: path, slots: make(chan struct{}, queriesAtOnce)}
	var err error
	if f.base, err = lib.open("--path="+path, "--config-file="+config); err != nil {
		return nil, fmt.Errorf("open the database in %s: %w", path, err)
	}
	if f.killer, err = f.open(); err != nil {
		return nil, err
	}
	if f.hello, err = helloBlock(f.base); err != nil {
		return nil, err
	}
	return f, nil
}

func helloBlock(c *connection) ([]byte, error) {
	var version, zone string
	err := c.query("SELECT version(), timezone()", "TSV", nil, func(b []byte) error {
		version, zone, _ = strings.Cut(strings.TrimSpace(string(b)), "\t")
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("ask the engine its version: %w", err)
	}
	b := proto.NewBlock()
	for _, c := range []struct{ name, kind string }{
		{"displayName()", "String"}, {"version()", "String"}, {"revision()", "UInt32"}, {"timezone()", "String"},
	} {
		if err := b.AddColumn(c.name, column.Type(c.kind)); err != nil {
			return nil, fmt.Errorf("encode the greeting: %w", err)
		}
	}
	if err := b.Append("embedded", version, uint32(0), zone); err != nil {
		return nil, fmt.Errorf("encode the greeting: %w", err)
	}
	buf := new(chproto.Buffer)
	if err := b.Encode(buf, helloRevision); err != nil {
		return nil, fmt.Errorf("encode the greeting: %w", err)
	}
	return buf.Buf, nil
}

// close ends the database in order; no request may be running.
func (f *front) close() {
	f.killer.close()
	f.base.close()
}

// open makes a connection that behaves as a server's would: the library's own defaults differ in these. The last one lifts
// a rule that servers have too, one thread of a query for each GiB that is free: under our memory limit that would be one.
func (f *front) open() (*connection, error) {
	return f.lib.open("--path="+f.path, "--async_insert=0", "--implicit_select=0", "--allow_introspection_functions=0",
		"--max_threads_min_free_memory_per_thread=0")
}

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var err error
	switch r.URL.Path {
	case "/ping":
		err = f.ping(w)
	case "/":
		err = f.answer(w, r)
	default:
		http.NotFound(w, r)
	}
	if err != nil {
		fail(w, err)
	}
}

// ping asks the engine, outside the slots: a full house is not a hang.
func (f *front) ping(w http.ResponseWriter) error {
	c, err := f.open()
	if err != nil {
		return err
	}
	defer c.close()
	if err := c.exec("SELECT 1"); err != nil {
		return err
	}
	_, _ = io.WriteString(w, "Ok.\n")
	return nil
}

func (f *front) answer(w http.ResponseWriter, r *http.Request) error {
	q, err := readRequest(r)
	if err != nil {
		return err
	}
	if q.statement == hello {
		w.Header().Set("X-ClickHouse-Format", "Native")
		_, _ = w.Write(f.hello)
		return nil
	}
	select {
	case f.slots <- struct{}{}:
		defer func() { <-f.slots }()
	default: // as a server would; waiting could be for ever, for a caller that asks in the middle of reading an answer
		return refusal(codeBusy, "Too many simultaneous queries. Maximum: "+strconv.Itoa(cap(f.slots))+" (TOO_MANY_SIMULTANEOUS_QUERIES)")
	}
	c, err := f.open()
	if err != nil {
		return err
	}
	defer c.close()
	defer f.watch(r.Context(), q.id)()
	if err := q.prepare(c); err != nil {
		return err
	}
	if q.data != nil {
		return insert(c, q)
	}
	return read(c, q, w)
}

// insert sends the body on as it comes. A body that was cut short is not committed.
func insert(c *connection, q *request) error {
	s, err := c.insert(q.statement, q.format, q.params)
	if err != nil {
		return err
	}
	defer s.close()
	if _, err := io.CopyBuffer(s, struct{ io.Reader }{q.data}, make([]byte, chunkSize)); err != nil {
		return err
	}
	return s.commit()
}

// read runs a statement that came whole. Results are passed on block by block; only what the engine cannot stream (SHOW,
// DESCRIBE, …) is held, and that is small.
func read(c *connection, q *request, w http.ResponseWriter) error {
	class, statements := c.kind(q.statement)
	if statements > 1 {
		return refusal(codeSyntax, "Multi-statements are not allowed (SYNTAX_ERROR)")
	}
	out := &reply{w: w, format: q.format}
	err := error(notStreamable)
	if class == classReadOnly {
		err = c.stream(q.statement, q.format, q.params, out.write)
	}
	if err == notStreamable || isNotStreamable(err) {
		err = c.query(q.statement, q.format, q.params, out.write)
	}
	if err == nil {
		out.begin()
		return nil
	}
	return out.fail(err)
}

var notStreamable = engineError("Code: 36. DB::Exception: Streaming query is not supported")

func isNotStreamable(err error) bool {
	return err != nil && strings.HasPrefix(err.Error(), string(notStreamable))
}

// watch kills the query with this id when its client goes; the function it returns ends the watch and must be called
// before the query's connection is closed.
func (f *front) watch(ctx context.Context, id string) (end func()) {
	over := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		select {
		case <-over:
			return
		case <-ctx.Done():
		}
		for { // again and again: the query may not have begun, or may be between two blocks
			f.kill(id)
			select {
			case <-over:
				return
			case <-time.After(killEvery):
			}
		}
	}()
	return func() {
		close(over)
		<-ended
	}
}

func (f *front) kill(id string) {
	f.control.Lock()
	defer f.control.Unlock()
	_ = f.killer.exec("KILL QUERY WHERE startsWith(Settings['log_comment'], '" + id + "') ASYNC")
}
