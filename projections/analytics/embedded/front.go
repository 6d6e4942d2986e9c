package embedded

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	chproto "github.com/ClickHouse/ch-go/proto"
	"github.com/ClickHouse/clickhouse-go/v2/lib/column"
	"github.com/ClickHouse/clickhouse-go/v2/lib/proto"
)

const (
	statementLimit = 64 << 20 // an INSERT … VALUES written out may be long; the data of a batch has no limit
	chunkSize      = 1 << 20
	queriesAtOnce  = 100
	killEvery      = 100 * time.Millisecond
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

// open makes a connection that behaves as a server's would: the library's own defaults differ in these.
func (f *front) open() (*connection, error) {
	return f.lib.open("--path="+f.path, "--async_insert=0", "--implicit_select=0", "--allow_introspection_functions=0")
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
	out := &answer{w: w, format: q.format}
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

// request is one query as the protocol carries it.
type request struct {
	id        string // marks the query in the engine
	statement string
	format    string            // of the result, or of data
	params    map[string]string // {name:Type} in the statement
	settings  map[string]string
	database  string
	data      io.Reader // what to insert; nil when the statement says it all
}

// The engine's codes for what the front refuses itself.
const (
	codeUnsupported = 48
	codeSyntax      = 62
	codeSetting     = 115
	codeBusy        = 202
	codeInternal    = 1002
)

func refusal(code int, message string) error {
	return engineError(fmt.Sprintf("Code: %d. DB::Exception: %s", code, message))
}

var settingName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.]*$`)

// formatClause is at the end of an INSERT whose data follows in the body.
var formatClause = regexp.MustCompile(`(?is)\s+(?:FORMAT\s+(\w+)|(VALUES))\s*;?\s*$`)

// glued is an INSERT with data of some other format than Values behind it in one text: the engine takes only the first
// lines of such data, so it is refused.
var glued = regexp.MustCompile(`(?is)^\s*INSERT\s+INTO\s+[^()]*?(\([^()]*\))?\s*(SETTINGS\s+[^()]*?)?FORMAT\s+(\w+)\s`)

func readRequest(r *http.Request) (*request, error) {
	q := &request{id: rand.Text(), format: "Native", params: map[string]string{}, settings: map[string]string{}}
	if media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); strings.HasPrefix(media, "multipart/") {
		return nil, refusal(codeUnsupported, "External tables are not supported by the embedded engine (NOT_IMPLEMENTED)")
	}
	if enc := r.Header.Get("Content-Encoding"); enc != "" {
		return nil, uncompressed(enc)
	}
	for name, values := range r.URL.Query() {
		value := values[len(values)-1]
		param, isParam := strings.CutPrefix(name, "param_")
		switch {
		case isParam:
			q.params[param] = value
		case name == "query":
			q.statement = value
		case name == "database":
			q.database = value
		case name == "default_format":
			q.format = value
		case name == "compress" || name == "decompress":
			if value != "0" && value != "false" {
				return nil, uncompressed(name)
			}
		case name == "client_protocol_version", name == "query_id", name == "quota_key", name == "wait_end_of_query",
			name == "buffer_size", name == "enable_http_compression", name == "network_compression_method",
			name == "session_id", name == "session_timeout", name == "session_check":
			// of the connection, or of a server shared by many
		case !settingName.MatchString(name):
			return nil, refusal(codeSetting, "Unknown setting (UNKNOWN_SETTING)")
		default:
			q.settings[name] = value
		}
	}
	return q, q.readBody(r.Body)
}

func uncompressed(what string) error {
	return refusal(codeUnsupported,
		"Compression ("+what+") is not supported by the embedded engine: leave it off on a local socket (NOT_IMPLEMENTED)")
}

// readBody takes the body as the data when the statement came in the address, and as the statement when it did not.
func (q *request) readBody(body io.Reader) error {
	if q.statement != "" {
		if m := formatClause.FindStringSubmatchIndex(q.statement); m != nil && isInsert(q.statement) {
			q.format = "Values"
			if m[2] >= 0 {
				q.format = q.statement[m[2]:m[3]]
			}
			q.statement, q.data = q.statement[:m[0]], body
			return nil
		}
	}
	b, err := io.ReadAll(io.LimitReader(body, statementLimit+1))
	if err != nil {
		return fmt.Errorf("read the statement: %w", err)
	}
	if len(b) > statementLimit {
		return refusal(codeSyntax, "The statement is too long: send data as the body, with the statement in ?query= (SYNTAX_ERROR)")
	}
	q.statement = strings.TrimSpace(q.statement + "\n" + string(b))
	if m := glued.FindStringSubmatch(q.statement); m != nil && !strings.EqualFold(m[3], "Values") {
		return refusal(codeUnsupported, "Data behind its statement is not supported: send the statement in ?query= (NOT_IMPLEMENTED)")
	}
	return nil
}

func isInsert(statement string) bool {
	s := strings.TrimSpace(statement)
	return len(s) > 6 && strings.EqualFold(s[:6], "INSERT")
}

// prepare gives the connection the request's database, settings and mark.
func (q *request) prepare(c *connection) error {
	if q.database != "" && q.database != "default" {
		if err := c.exec("USE " + quote(q.database, '`')); err != nil {
			return err
		}
	}
	set := "SET log_comment = " + quote(q.id+" "+q.settings["log_comment"], '\'')
	for name, value := range q.settings {
		if name != "log_comment" {
			set += ", " + name + " = " + quote(value, '\'')
		}
	}
	return c.exec(set)
}

func quote(s string, mark byte) string {
	m := string(mark)
	return m + strings.NewReplacer(`\`, `\\`, m, `\`+m).Replace(s) + m
}

// answer is a response that has not begun until there is something to say, so that most failures still have a status.
type answer struct {
	w      http.ResponseWriter
	format string
	tag    string // announces where in the body a failure would be told
	begun  bool
}

func (a *answer) begin() {
	if a.begun {
		return
	}
	a.begun = true
	a.tag = rand.Text()[:16]
	a.w.Header().Set("Content-Type", "application/octet-stream")
	a.w.Header().Set("X-ClickHouse-Format", a.format)
	a.w.Header().Set("X-ClickHouse-Exception-Tag", a.tag)
	a.w.WriteHeader(http.StatusOK)
}

func (a *answer) write(b []byte) error {
	a.begin()
	_, err := a.w.Write(b)
	return err
}

// fail tells of a failure in the middle of a result the way a server does: framed in the body, under the tag.
func (a *answer) fail(err error) error {
	if !a.begun {
		return err
	}
	text := describe(err)
	_, _ = fmt.Fprintf(a.w, "\r\n__exception__\r\n%s\r\n%s\n%d %s\r\n__exception__\r\n", a.tag, text, len(text)+1, a.tag)
	return nil
}

var codeText = regexp.MustCompile(`^Code: (\d+)\.`)

// fail answers with the engine's own text and code.
func fail(w http.ResponseWriter, err error) {
	if errors.Is(err, context.Canceled) {
		return // nobody is there to read it
	}
	text := describe(err)
	code := strconv.Itoa(codeInternal)
	if m := codeText.FindStringSubmatch(text); m != nil {
		code = m[1]
	}
	w.Header().Set("X-ClickHouse-Exception-Code", code)
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(http.StatusInternalServerError)
	_, _ = io.WriteString(w, text)
}

func describe(err error) string {
	var e engineError
	if errors.As(err, &e) {
		return e.Error()
	}
	return refusal(codeInternal, err.Error()+" (UNKNOWN_EXCEPTION)").Error()
}
