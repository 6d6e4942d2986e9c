package embedded

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2"
	"github.com/ncruces/go-sqlite3"
)

// writer is the one goroutine that changes the file. Appends queue up while it syncs; it takes all that wait into the
// next transaction, and answers each only when that transaction is durable.
type writer struct {
	store *store
	queue chan *appendCall
	done  chan struct{}

	mu     sync.RWMutex // guards queue against a send after close
	closed bool
	broken error // set when the file was found damaged: no append is taken any more

	// The rest belongs to the goroutine.
	conn    *sqlite3.Conn
	stmts   writerStmts
	heads   *lru.Cache[string, streamHead]
	recent  recentIDs
	next    uint64   // the position the next event gets
	touched []string // streams whose cached heads are void if the transaction fails
}

type writerStmts struct{ begin, commit, rollback, stream, head, event, addStream, addEvent *sqlite3.Stmt }

// streamHead is a stream's row id and the revision of its last event.
type streamHead struct {
	id   int64
	last int64
}

type appendCall struct {
	ctx      context.Context
	stream   string
	expected int64 // a revision, or one of expectNoStream, expectAny, expectStreamExists
	events   []proposed
	size     int
	answer   chan appendResult // buffered: the writer never waits for a caller
}

type appendResult struct {
	err          error
	conflict     bool  // the expected revision was wrong; current says what is there
	current      int64 // revision of the last event after the append, or of the stream on conflict; -1 when there is none
	position     uint64
	havePosition bool
}

type proposed struct {
	id         [16]byte
	kind       string // event type
	json       bool
	meta, data []byte
}

const (
	queued      = 1024
	batchCalls  = 512
	batchBytes  = 8 << 20
	walPages    = 4096     // checkpoint the log when it has grown to 16 MiB: seldom, and in the writer's own time
	walKept     = 64 << 20 // bytes the log keeps for reuse after a large append made it grow
	recentLimit = 1 << 16
)

// errStorage wraps what the file system or SQLite reported; the appends of that transaction were not acknowledged.
type errStorage struct {
	err     error
	certain bool // nothing was written for sure; otherwise the append may yet turn out done
}

func (e *errStorage) Error() string { return "journal storage: " + e.err.Error() }
func (e *errStorage) Unwrap() error { return e.err }

var errClosing = errors.New("the journal server is shutting down")

func startWriter(s *store) *writer {
	heads, err := lru.New[string, streamHead](cachedStreams)
	if err != nil {
		panic(err) // only for a size below one
	}
	w := &writer{store: s, queue: make(chan *appendCall, queued), done: make(chan struct{}), heads: heads,
		recent: newRecentIDs(recentLimit), next: s.head.Load() + 1}
	go w.run()
	return w
}

// append hands a call to the writer and waits for its answer or the caller's end.
func (w *writer) append(call *appendCall) appendResult {
	call.answer = make(chan appendResult, 1)
	w.mu.RLock()
	if w.closed || w.broken != nil {
		defer w.mu.RUnlock()
		if w.broken != nil {
			return appendResult{err: &errStorage{err: w.broken, certain: true}}
		}
		return appendResult{err: errClosing}
	}
	select {
	case w.queue <- call:
		w.mu.RUnlock()
	case <-call.ctx.Done():
		w.mu.RUnlock()
		return appendResult{err: call.ctx.Err()}
	}
	select {
	case r := <-call.answer:
		return r
	case <-call.ctx.Done():
		return appendResult{err: call.ctx.Err()}
	}
}

// refuse makes every later append fail.
func (w *writer) refuse(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.broken = err
}

// close lets the queued appends finish and ends the goroutine.
func (w *writer) close() {
	w.mu.Lock()
	if !w.closed {
		w.closed = true
		close(w.queue)
	}
	w.mu.Unlock()
	<-w.done
}

func (w *writer) run() {
	defer close(w.done)
	defer w.disconnect()
	batch := make([]*appendCall, 0, batchCalls)
	for call := range w.queue {
		batch = append(batch[:0], call)
		bytes := call.size
	fill:
		for len(batch) < batchCalls && bytes < batchBytes {
			select {
			case call, ok := <-w.queue:
				if !ok {
					break fill
				}
				batch = append(batch, call)
				bytes += call.size
			default:
				break fill
			}
		}
		w.write(batch)
		clear(batch)
	}
}

// write runs one transaction. Every answer waits for the commit: also a refusal may rest on an event of this batch.
func (w *writer) write(batch []*appendCall) {
	results := make([]appendResult, len(batch))
	err := w.connect() // before next is looked at: a new connection finds out what it is
	first := w.next
	w.touched = w.touched[:0]
	if err == nil {
		err = w.transaction(batch, results)
	}
	if err != nil {
		w.next = first
		w.recent.dropFrom(first)
		for _, name := range w.touched {
			w.heads.Remove(name)
		}
		for i := range results {
			results[i] = appendResult{err: err}
		}
	} else if w.next != first {
		w.store.announce(w.next - 1)
	}
	for i, call := range batch {
		call.answer <- results[i]
	}
}

func (w *writer) transaction(batch []*appendCall, results []appendResult) error {
	if err := w.stmts.begin.Exec(); err != nil {
		w.disconnect()
		return &errStorage{err: err, certain: true}
	}
	for i, call := range batch {
		if call.ctx.Err() != nil {
			results[i] = appendResult{err: call.ctx.Err()}
			continue
		}
		result, err := w.decide(call)
		if err != nil {
			w.undo()
			return &errStorage{err: fmt.Errorf("appending to the journal: %w", err), certain: true}
		}
		results[i] = result
	}
	// A crash before COMMIT returns leaves a transaction that was either fully in the log or not at all, and nobody was
	// told that it was done. If COMMIT fails, the log may still hold the whole of it when the sync is what failed: the
	// next transaction overwrites it, a crash before that brings it back. So the caller must take it for maybe done.
	if err := w.stmts.commit.Exec(); err != nil {
		w.undo()
		return &errStorage{err: fmt.Errorf("committing to the journal: %w", err)}
	}
	return nil
}

// undo rolls back. A connection that cannot is thrown away; the next transaction opens another, which recovers the file
// as a restart would.
func (w *writer) undo() {
	if w.conn.GetAutocommit() {
		return // SQLite rolled back by itself
	}
	if err := w.stmts.rollback.Exec(); err != nil {
		w.disconnect()
	}
}

// decide answers one append as EventStoreDB does (its IndexWriter.CheckCommit), inserting the events if they are new.
func (w *writer) decide(call *appendCall) (appendResult, error) {
	head, err := w.headOf(call.stream)
	if err != nil {
		return appendResult{}, err
	}
	conflict := appendResult{conflict: true, current: head.last}
	switch {
	case call.expected == expectStreamExists && head.last < 0:
		// A stream with metadata exists even before its first event.
		meta, err := w.headOf(metaPrefix + call.stream)
		if err != nil {
			return appendResult{}, err
		}
		if meta.last < 0 {
			return conflict, nil
		}
		fallthrough
	case call.expected == expectAny, call.expected == expectStreamExists:
		if len(call.events) == 0 {
			return appendResult{current: head.last}, nil
		}
		last, known := w.recent.find(head.id, call.events)
		if known == len(call.events) {
			return w.repeated(head, last)
		}
		if known > 0 {
			return conflict, nil // part of it is there and part is not: not a repeat
		}
	case call.expected < head.last:
		if len(call.events) == 0 {
			return conflict, nil
		}
		same, err := w.sameEvents(head, call.expected+1, call.events)
		if err != nil {
			return appendResult{}, err
		}
		if !same {
			return conflict, nil
		}
		return w.repeated(head, call.expected+int64(len(call.events)))
	case call.expected > head.last:
		return conflict, nil
	}
	if len(call.events) == 0 {
		return appendResult{current: head.last}, nil
	}
	return w.insert(call, head)
}

// repeated answers an append whose events are the stream's already with the result of the first one.
func (w *writer) repeated(head streamHead, last int64) (appendResult, error) {
	_, position, err := w.eventAt(head.id, last)
	if err != nil {
		return appendResult{}, err
	}
	return appendResult{current: last, position: position, havePosition: true}, nil
}

// sameEvents says whether the stream holds exactly these ids from revision on.
func (w *writer) sameEvents(head streamHead, revision int64, events []proposed) (bool, error) {
	if revision+int64(len(events))-1 > head.last {
		return false, nil
	}
	for i, e := range events {
		id, _, err := w.eventAt(head.id, revision+int64(i))
		if err != nil {
			return false, err
		}
		if id != e.id {
			return false, nil
		}
	}
	return true, nil
}

func (w *writer) insert(call *appendCall, head streamHead) (appendResult, error) {
	w.touched = append(w.touched, call.stream)
	if head.id == 0 {
		st := w.stmts.addStream
		if err := errors.Join(st.BindText(1, call.stream), st.Exec()); err != nil {
			return appendResult{}, err
		}
		head.id = w.conn.LastInsertRowID()
	}
	created := time.Now().UnixNano() / 100
	st := w.stmts.addEvent
	for i := range call.events {
		e := &call.events[i]
		head.last++
		err := errors.Join(
			st.BindInt64(1, int64(w.next)), st.BindInt64(2, head.id), st.BindInt64(3, head.last), st.BindBlob(4, e.id[:]),
			st.BindText(5, e.kind), st.BindInt64(6, created), st.BindBool(7, e.json), bindBytes(st, 8, e.meta), bindBytes(st, 9, e.data))
		if err == nil {
			err = st.Exec()
		}
		if err != nil {
			return appendResult{}, err
		}
		w.recent.add(w.next, e.id, head.id, head.last)
		w.next++
	}
	w.heads.Add(call.stream, head)
	return appendResult{current: head.last, position: w.next - 1, havePosition: true}, nil
}

// bindBytes binds an empty blob for an empty slice, where SQLite would take NULL.
func bindBytes(st *sqlite3.Stmt, param int, b []byte) error {
	if len(b) == 0 {
		return st.BindZeroBlob(param, 0)
	}
	return st.BindBlob(param, b)
}

// headOf returns the stream's head; id 0 and last -1 when there is no such stream.
func (w *writer) headOf(name string) (streamHead, error) {
	if head, ok := w.heads.Get(name); ok {
		return head, nil
	}
	st := w.stmts.stream
	if err := st.BindText(1, name); err != nil {
		return streamHead{}, err
	}
	head := streamHead{last: -1}
	if st.Step() {
		head.id = st.ColumnInt64(0)
	}
	if err := st.Reset(); err != nil || head.id == 0 {
		return head, err
	}
	st = w.stmts.head
	if err := st.BindInt64(1, head.id); err != nil {
		return streamHead{}, err
	}
	if st.Step() {
		head.last = st.ColumnInt64(0)
	}
	if err := st.Reset(); err != nil {
		return streamHead{}, err
	}
	w.heads.Add(name, head)
	w.touched = append(w.touched, name) // it may have been added in this very transaction
	return head, nil
}

// eventAt returns the id and position of one event of a stream, zero when it has no such revision.
func (w *writer) eventAt(stream, revision int64) (id [16]byte, position uint64, err error) {
	st := w.stmts.event
	if err := errors.Join(st.BindInt64(1, stream), st.BindInt64(2, revision)); err != nil {
		return id, 0, err
	}
	if st.Step() {
		position = uint64(st.ColumnInt64(0))
		copy(id[:], st.ColumnRawBlob(1))
	}
	return id, position, st.Reset()
}

// connect opens the write connection if there is none, at the first append and after a failure that threw it away.
func (w *writer) connect() error {
	if w.conn != nil {
		return nil
	}
	if err := w.reconnect(); err != nil {
		w.disconnect()
		return &errStorage{err: fmt.Errorf("opening the journal for writing: %w", err), certain: true}
	}
	return nil
}

func (w *writer) reconnect() error {
	conn, err := w.store.connect(fmt.Sprintf(`PRAGMA wal_autocheckpoint=%d; PRAGMA journal_size_limit=%d`, walPages, walKept))
	if err != nil {
		return err
	}
	w.conn = conn
	for sql, st := range map[string]**sqlite3.Stmt{
		`BEGIN IMMEDIATE`:                       &w.stmts.begin,
		`COMMIT`:                                &w.stmts.commit,
		`ROLLBACK`:                              &w.stmts.rollback,
		`SELECT id FROM streams WHERE name = ?`: &w.stmts.stream,
		`SELECT coalesce(max(revision), -1) FROM events WHERE stream = ?`:                                                         &w.stmts.head,
		`SELECT position, id FROM events WHERE stream = ? AND revision = ?`:                                                       &w.stmts.event,
		`INSERT INTO streams (id, name) SELECT coalesce(max(id), 0) + 1, ? FROM streams`:                                          &w.stmts.addStream,
		`INSERT INTO events (position, stream, revision, id, type, created, json, meta, data) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`: &w.stmts.addEvent,
	} {
		if *st, _, err = conn.PrepareFlags(sql, sqlite3.PREPARE_PERSISTENT); err != nil {
			return err
		}
	}
	// After a failed COMMIT the file decides what is there: a transaction taken for failed may have survived.
	head, err := queryInt(conn, `SELECT coalesce(max(position), 0) FROM events`)
	if err == nil {
		err = w.recent.load(conn, uint64(head))
	}
	if err == nil {
		err = w.store.syncDir() // the log was made by the query above at the latest
	}
	if err != nil {
		return err
	}
	w.heads.Purge()
	w.next = uint64(head) + 1
	if uint64(head) != w.store.head.Load() {
		w.store.announce(uint64(head))
	}
	return nil
}

func (w *writer) disconnect() {
	if w.conn == nil {
		return
	}
	closeConn(w.conn) // what it reports is what made us close it, or was synced with the last commit
	w.conn, w.stmts = nil, writerStmts{}
}
