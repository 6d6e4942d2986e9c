package embedded

import (
	"errors"
	"fmt"
	"runtime"
	"syscall"
	"unsafe"

	"github.com/ebitengine/purego"
)

// library is libchdb, loaded into this process for as long as it lives. Only the child process ever loads it: a C++ crash
// ends the process it happens in.
type library struct {
	connect       func(argc int32, argv unsafe.Pointer) unsafe.Pointer
	closeConn     func(conn unsafe.Pointer)
	query         func(conn, sql unsafe.Pointer, n uintptr, format unsafe.Pointer, fn uintptr, names, nameLens, values, valueLens unsafe.Pointer, count uintptr) unsafe.Pointer
	streamQuery   func(conn, sql unsafe.Pointer, n uintptr, format unsafe.Pointer, fn uintptr, names, nameLens, values, valueLens unsafe.Pointer, count uintptr) unsafe.Pointer
	fetch         func(conn, stream unsafe.Pointer) unsafe.Pointer
	cancelQuery   func(conn, stream unsafe.Pointer)
	insert        func(conn, sql unsafe.Pointer, n uintptr, format unsafe.Pointer, fn uintptr, names, nameLens, values, valueLens unsafe.Pointer, count uintptr) unsafe.Pointer
	insertAppend  func(stream, data unsafe.Pointer, n uintptr) int32
	insertDone    func(stream unsafe.Pointer) unsafe.Pointer
	insertCancel  func(stream unsafe.Pointer)
	insertError   func(stream unsafe.Pointer) string
	insertDestroy func(stream unsafe.Pointer)
	resultBuffer  func(result unsafe.Pointer) unsafe.Pointer
	resultLength  func(result unsafe.Pointer) uintptr
	resultError   func(result unsafe.Pointer) string
	resultDestroy func(result unsafe.Pointer)
	classify      func(conn, sql unsafe.Pointer, n uintptr, database unsafe.Pointer, dn uintptr, out unsafe.Pointer) int32
	setSignals    func(enabled int32)
	sigaction     func(sig int32, act, old unsafe.Pointer) int32
	handlers      [][sigactionSize]byte // Go's own signal handlers, taken before the engine touched them
}

// sigactionSize is larger than struct sigaction of every platform; the bytes are opaque to us.
const sigactionSize = 256

// goSignals are those whose handlers the Go runtime cannot live without. The engine is told to install none of its own;
// on some platforms it then resets the fatal ones to the default whenever a connection opens, so they are put back.
var goSignals = []syscall.Signal{
	syscall.SIGILL, syscall.SIGABRT, syscall.SIGFPE, syscall.SIGBUS, syscall.SIGSEGV, syscall.SIGURG, syscall.SIGPIPE,
	syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT,
}

// loadLibrary loads libchdb and binds what is used of it. A library without one of the functions is another version: it is
// refused here rather than found out later.
func loadLibrary(path string) (*library, error) {
	handle, err := purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_LOCAL)
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", path, err)
	}
	l := &library{}
	for name, fn := range map[string]any{
		"chdb_connect": &l.connect, "chdb_close_conn": &l.closeConn,
		"chdb_query_with_params_n": &l.query, "chdb_stream_query_with_params_n": &l.streamQuery,
		"chdb_stream_fetch_result": &l.fetch, "chdb_stream_cancel_query": &l.cancelQuery,
		"chdb_stream_insert_with_params_n": &l.insert, "chdb_stream_append": &l.insertAppend,
		"chdb_stream_done": &l.insertDone, "chdb_stream_cancel_insert": &l.insertCancel,
		"chdb_stream_insert_error": &l.insertError, "chdb_destroy_insert_stream": &l.insertDestroy,
		"chdb_result_buffer": &l.resultBuffer, "chdb_result_length": &l.resultLength,
		"chdb_result_error": &l.resultError, "chdb_destroy_query_result": &l.resultDestroy,
		"chdb_classify_query_n": &l.classify, "chdb_set_signal_handlers_enabled": &l.setSignals,
	} {
		if _, err := purego.Dlsym(handle, name); err != nil {
			return nil, fmt.Errorf("%s has no %s: it is not the pinned version: %w", path, name, err)
		}
		purego.RegisterLibFunc(fn, handle, name)
	}
	libc, err := purego.Dlopen(libcName, purego.RTLD_NOW|purego.RTLD_GLOBAL)
	if err != nil {
		return nil, fmt.Errorf("load the C library: %w", err)
	}
	purego.RegisterLibFunc(&l.sigaction, libc, "sigaction")
	l.handlers = make([][sigactionSize]byte, len(goSignals))
	for i, s := range goSignals {
		l.sigaction(int32(s), nil, unsafe.Pointer(&l.handlers[i]))
	}
	l.setSignals(0)
	l.restoreHandlers()
	return l, nil
}

func (l *library) restoreHandlers() {
	for i, s := range goSignals {
		l.sigaction(int32(s), unsafe.Pointer(&l.handlers[i]), nil)
	}
}

// connection runs one statement at a time; it is used by one goroutine at a time. Connections of one process run in
// parallel and share the one data directory.
type connection struct {
	lib *library
	ptr unsafe.Pointer // chdb_connection *
}

func (l *library) open(args ...string) (*connection, error) {
	argv := make([]unsafe.Pointer, 0, len(args)+2)
	for _, a := range append([]string{"clickhouse"}, args...) {
		argv = append(argv, unsafe.Pointer(unsafe.SliceData(append([]byte(a), 0))))
	}
	argv = append(argv, nil)
	ptr := l.connect(int32(len(argv)-1), unsafe.Pointer(unsafe.SliceData(argv)))
	runtime.KeepAlive(argv)
	l.restoreHandlers()
	if ptr == nil {
		return nil, errors.New("the engine refused the connection")
	}
	return &connection{lib: l, ptr: ptr}, nil
}

func (c *connection) handle() unsafe.Pointer { return *(*unsafe.Pointer)(c.ptr) }

// close ends the connection; closing the last one closes the database.
func (c *connection) close() {
	c.lib.closeConn(c.ptr)
	c.ptr = nil
}

// text is a string handed to C with its length; it stays reachable until the call returned.
type text []byte

func (t text) ptr() unsafe.Pointer { return unsafe.Pointer(unsafe.SliceData([]byte(t))) }
func (t text) len() uintptr        { return uintptr(len(t)) }

// cParams are query parameters in the shape C wants: four arrays.
type cParams struct {
	names, values       []unsafe.Pointer
	nameLens, valueLens []uintptr
	keep                []text
}

func newParams(params map[string]string) *cParams {
	p := &cParams{}
	for name, value := range params {
		n, v := text(name), append(text(value), 0) // the 0 gives an empty value an address
		p.names, p.nameLens = append(p.names, n.ptr()), append(p.nameLens, n.len())
		p.values, p.valueLens = append(p.values, v.ptr()), append(p.valueLens, v.len()-1)
		p.keep = append(p.keep, n, v)
	}
	return p
}

func (p *cParams) arrays() (names, nameLens, values, valueLens unsafe.Pointer, count uintptr) {
	return unsafe.Pointer(unsafe.SliceData(p.names)), unsafe.Pointer(unsafe.SliceData(p.nameLens)),
		unsafe.Pointer(unsafe.SliceData(p.values)), unsafe.Pointer(unsafe.SliceData(p.valueLens)), uintptr(len(p.names))
}

// query runs a statement to its end and hands its whole result to each, once; the bytes are the engine's and gone after.
func (c *connection) query(sql, format string, params map[string]string, each func([]byte) error) error {
	s, f, p := text(sql), text(format), newParams(params)
	names, nameLens, values, valueLens, count := p.arrays()
	r := c.lib.query(c.handle(), s.ptr(), s.len(), f.ptr(), f.len(), names, nameLens, values, valueLens, count)
	runtime.KeepAlive(s)
	runtime.KeepAlive(f)
	runtime.KeepAlive(p)
	return c.lib.consume(r, each)
}

// exec runs a statement whose result nobody wants.
func (c *connection) exec(sql string) error {
	return c.query(sql, "Null", nil, func([]byte) error { return nil })
}

// stream runs a statement that reads, handing over its result block by block, so that no result is ever held whole. each
// returning an error ends the query.
func (c *connection) stream(sql, format string, params map[string]string, each func([]byte) error) error {
	s, f, p := text(sql), text(format), newParams(params)
	names, nameLens, values, valueLens, count := p.arrays()
	st := c.lib.streamQuery(c.handle(), s.ptr(), s.len(), f.ptr(), f.len(), names, nameLens, values, valueLens, count)
	runtime.KeepAlive(s)
	runtime.KeepAlive(f)
	runtime.KeepAlive(p)
	if st == nil {
		return errors.New("the engine gave no result")
	}
	defer c.lib.resultDestroy(st)
	if e := c.lib.resultError(st); e != "" {
		return engineError(e)
	}
	for {
		more := false
		err := c.lib.consume(c.lib.fetch(c.handle(), st), func(b []byte) error {
			more = true
			return each(b)
		})
		if err != nil {
			c.lib.cancelQuery(c.handle(), st)
			return err
		}
		if !more {
			return nil
		}
	}
}

// consume hands the bytes of a result over, if there are any, and frees it.
func (l *library) consume(r unsafe.Pointer, each func([]byte) error) error {
	if r == nil {
		return errors.New("the engine gave no result")
	}
	defer l.resultDestroy(r)
	if e := l.resultError(r); e != "" {
		return engineError(e)
	}
	if n := l.resultLength(r); n > 0 {
		return each(unsafe.Slice((*byte)(l.resultBuffer(r)), n))
	}
	return nil
}

// insertStream takes the body of an INSERT piece by piece. The connection is busy until close.
type insertStream struct {
	lib  *library
	ptr  unsafe.Pointer
	done bool
}

func (c *connection) insert(sql, format string, params map[string]string) (*insertStream, error) {
	s, f, p := text(sql), text(format), newParams(params)
	names, nameLens, values, valueLens, count := p.arrays()
	ptr := c.lib.insert(c.handle(), s.ptr(), s.len(), f.ptr(), f.len(), names, nameLens, values, valueLens, count)
	runtime.KeepAlive(s)
	runtime.KeepAlive(f)
	runtime.KeepAlive(p)
	if ptr == nil {
		return nil, errors.New("the engine gave no insert stream")
	}
	if e := c.lib.insertError(ptr); e != "" {
		c.lib.insertDestroy(ptr)
		return nil, engineError(e)
	}
	return &insertStream{lib: c.lib, ptr: ptr}, nil
}

// Write may block while the engine is behind. The engine copies p.
func (s *insertStream) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if s.lib.insertAppend(s.ptr, unsafe.Pointer(unsafe.SliceData(p)), uintptr(len(p))) != 0 {
		return 0, engineError(s.lib.insertError(s.ptr))
	}
	return len(p), nil
}

// commit ends the body; the rows are in the table when it returns nil.
func (s *insertStream) commit() error {
	s.done = true
	return s.lib.consume(s.lib.insertDone(s.ptr), func([]byte) error { return nil })
}

// close frees the stream; without a commit before it, nothing of a body that fits one block is kept.
func (s *insertStream) close() {
	if !s.done {
		s.lib.insertCancel(s.ptr)
	}
	s.lib.insertDestroy(s.ptr)
}

// What a statement does, as the engine's own parser sees it.
const (
	classReadOnly = 0
	classUnknown  = 4
)

// kind parses a statement without running it.
func (c *connection) kind(sql string) (class, statements uint32) {
	a := struct{ size, statements, flags, class uint32 }{size: 16}
	s := text(sql)
	if c.lib.classify(c.handle(), s.ptr(), s.len(), nil, 0, unsafe.Pointer(&a)) != 0 {
		return classUnknown, 0
	}
	runtime.KeepAlive(s)
	return a.class, a.statements
}

// engineError is the engine's own text: "Code: 62. DB::Exception: … (SYNTAX_ERROR)".
type engineError string

func (e engineError) Error() string {
	if e == "" {
		return "the engine failed without a reason"
	}
	return string(e)
}
