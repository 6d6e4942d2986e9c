package embedded

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/ncruces/go-sqlite3"
)

// reader is one read connection. It is lent for one page at a time, never for a whole read: a slow client would
// otherwise hold a snapshot open and keep the write-ahead log from being reset.
type reader struct {
	store                              *store
	conn                               *sqlite3.Conn
	stream, name, last, link           *sqlite3.Stmt
	allUp, allDown, streamUp, streamDn *sqlite3.Stmt
}

const eventColumns = `position, stream, revision, id, type, created, json, meta, data`

func (s *store) newReader() (*reader, error) {
	conn, err := s.connect(`PRAGMA query_only=ON; PRAGMA cache_size=-1024`)
	if err != nil {
		return nil, err
	}
	r := &reader{store: s, conn: conn}
	for sql, st := range map[string]**sqlite3.Stmt{
		`SELECT id FROM streams WHERE name = ?`:                                                             &r.stream,
		`SELECT name FROM streams WHERE id = ?`:                                                             &r.name,
		`SELECT coalesce(max(revision), -1) FROM events WHERE stream = ?`:                                   &r.last,
		`SELECT ` + eventColumns + ` FROM events WHERE stream = ? AND revision = ?`:                         &r.link,
		`SELECT ` + eventColumns + ` FROM events WHERE position >= ? ORDER BY position`:                     &r.allUp,
		`SELECT ` + eventColumns + ` FROM events WHERE position <= ? ORDER BY position DESC`:                &r.allDown,
		`SELECT ` + eventColumns + ` FROM events WHERE stream = ? AND revision >= ? ORDER BY revision`:      &r.streamUp,
		`SELECT ` + eventColumns + ` FROM events WHERE stream = ? AND revision <= ? ORDER BY revision DESC`: &r.streamDn,
	} {
		if *st, _, err = conn.PrepareFlags(sql, sqlite3.PREPARE_PERSISTENT); err != nil {
			r.close()
			return nil, err
		}
	}
	return r, nil
}

func (r *reader) close() error { return closeConn(r.conn) }

// lend gives use a read connection, waiting for one if all are out. A connection that met an error is not used again.
func (s *store) lend(ctx context.Context, use func(*reader) error) error {
	var r *reader
	select {
	case r = <-s.readers:
	case <-ctx.Done():
		return ctx.Err()
	}
	if r == nil {
		opened, err := s.newReader()
		if err != nil {
			s.readers <- nil
			return fmt.Errorf("opening the journal for reading: %w", err)
		}
		r = opened
	}
	err := use(r)
	if err != nil {
		r.close()
		r = nil
	}
	s.readers <- r
	return err
}

// streamID returns the row id of a stream, 0 when there is no such stream.
func (r *reader) streamID(name string) (id int64, err error) {
	if err := r.stream.BindText(1, name); err != nil {
		return 0, err
	}
	if r.stream.Step() {
		id = r.stream.ColumnInt64(0)
	}
	return id, r.stream.Reset()
}

// lastRevision returns the revision of a stream's last event, -1 when it has none.
func (r *reader) lastRevision(stream int64) (last int64, err error) {
	if err := r.last.BindInt64(1, stream); err != nil {
		return 0, err
	}
	last = -1
	if r.last.Step() {
		last = r.last.ColumnInt64(0)
	}
	return last, r.last.Reset()
}

func (r *reader) streamName(id int64) (string, error) {
	if name, ok := r.store.names.Get(id); ok {
		return name, nil
	}
	if err := r.name.BindInt64(1, id); err != nil {
		return "", err
	}
	var name string
	if r.name.Step() {
		name = r.name.ColumnText(0)
	}
	if err := r.name.Reset(); err != nil {
		return "", err
	}
	if name == "" {
		return "", fmt.Errorf("stream %d has no name", id)
	}
	r.store.names.Add(id, name)
	return name, nil
}

// span says which events a page takes: a stream's, or all when stream is 0; from a revision or position, inclusive.
type span struct {
	stream    int64
	from      uint64
	backwards bool
}

// each calls take for each event of the span until it returns false or the span ends; ended says which.
func (r *reader) each(sp span, take func(*event) (bool, error)) (ended bool, err error) {
	from := int64(min(sp.from, math.MaxInt64))
	var st *sqlite3.Stmt
	switch {
	case sp.stream == 0 && !sp.backwards:
		st = r.allUp
	case sp.stream == 0:
		st = r.allDown
	case !sp.backwards:
		st = r.streamUp
	default:
		st = r.streamDn
	}
	if sp.stream == 0 {
		err = st.BindInt64(1, from)
	} else {
		err = errors.Join(st.BindInt64(1, sp.stream), st.BindInt64(2, from))
	}
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, st.Reset()) }()
	var e event
	for st.Step() {
		if err := r.scan(st, &e); err != nil {
			return false, err
		}
		if more, err := take(&e); err != nil || !more {
			return false, err
		}
	}
	return true, st.Err()
}

// scan reads the row; the bodies are fetched by body, since a filter passes over most rows without looking at them.
func (r *reader) scan(st *sqlite3.Stmt, e *event) (err error) {
	e.position, e.revision = uint64(st.ColumnInt64(0)), uint64(st.ColumnInt64(2))
	copy(e.id[:], st.ColumnRawBlob(3))
	e.kind, e.created, e.json = st.ColumnRawText(4), st.ColumnInt64(5), st.ColumnBool(6)
	e.meta, e.data = st.ColumnRawBlob(7), st.ColumnRawBlob(8)
	e.stream, err = r.streamName(st.ColumnInt64(1))
	return err
}

// follow adds the event to the page, resolving it if it is a link and that is asked for.
func (r *reader) follow(p *page, e *event, resolve bool) error {
	if !resolve || string(e.kind) != typeLink {
		p.add(e, nil)
		return nil
	}
	revision, stream, err := parseLink(e.data)
	if err != nil {
		p.add(e, nil) // EventStoreDB, too, hands out a malformed link as the event it is
		return nil
	}
	id, err := r.streamID(stream)
	if err != nil {
		return err
	}
	if err := errors.Join(r.link.BindInt64(1, id), r.link.BindInt64(2, int64(revision))); err != nil {
		return err
	}
	var target event
	if !r.link.Step() {
		p.add(nil, e)
	} else {
		if err := r.scan(r.link, &target); err != nil {
			return err
		}
		p.add(&target, e)
	}
	return r.link.Reset()
}
