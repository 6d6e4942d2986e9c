package notary

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/note"

	"yidang/domain/journal"
	"yidang/domain/journal/embedded"
	"yidang/domain/notary/keyfile"
)

const origin = "yidang.example/township"

// world is a real journal in a temp directory, with what a notary over it needs.
type world struct {
	*testing.T
	dir     string // of the notary
	at      string // of the journal
	server  *embedded.Server
	journal *journal.Journal
	key     keyfile.Key
}

func start(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, dir: t.TempDir(), at: t.TempDir()}
	w.key = w.makeKey()
	w.up()
	return w
}

func (w *world) makeKey() keyfile.Key { return makeKey(w) }

func makeKey(t testing.TB) keyfile.Key {
	t.Helper()
	k, err := keyfile.Load(filepath.Join(t.TempDir(), "log.key"), origin, keyfile.Log)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// up starts the journal's server, down ends it.
func (w *world) up() {
	w.Helper()
	var err error
	if w.server, err = embedded.Start(context.Background(), embedded.Options{Dir: w.at}); err != nil {
		w.Fatal(err)
	}
	if w.journal, err = journal.Open(context.Background(), w.server.Connection()); err != nil {
		w.Fatal(err)
	}
	server, j := w.server, w.journal
	w.Cleanup(func() { j.Close(); server.Close() })
}

func (w *world) down() {
	w.journal.Close()
	w.server.Close()
}

// publicKey is a key's public half.
func publicKey(t testing.TB, k keyfile.Key) note.Verifier {
	t.Helper()
	_, v, err := k.Note()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func signer(t testing.TB, k keyfile.Key) note.Signer {
	t.Helper()
	s, _, err := k.Note()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (w *world) options() Options {
	o := Options{Journal: w.journal, Dir: w.dir, Signer: signer(w, w.key), Keys: []note.Verifier{publicKey(w, w.key)},
		Every: 20 * time.Millisecond, Scrub: -1}
	if testing.Verbose() {
		o.Log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	return o
}

func (w *world) policy() *Policy { return (*Policy)(nil).WithLogs(publicKey(w, w.key)) }

// running is a notary at work.
type running struct {
	*Notary
	t    testing.TB
	stop context.CancelFunc
	done chan error
	over bool
}

func (w *world) run(o Options) *running {
	w.Helper()
	n, err := Open(w.Context(), o)
	if err != nil {
		w.Fatal(err)
	}
	n.patience = time.Millisecond
	ctx, stop := context.WithCancel(context.Background())
	r := &running{n, w, stop, make(chan error, 1), false}
	go func() { r.done <- n.Run(ctx) }()
	w.Cleanup(r.end)
	return r
}

func (r *running) end() {
	if r.over {
		return
	}
	r.over = true
	r.stop()
	<-r.done
	if err := r.Close(); err != nil {
		r.t.Error(err)
	}
}

// wait waits until the status is as wanted; the test's own deadline bounds it.
func (r *running) wait(wanted func(Status) bool) Status {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	if !r.until(ctx, 0, func(*seen) bool { return wanted(r.Status()) || r.Status().Stopped }) || !wanted(r.Status()) {
		r.t.Fatalf("this was waited for in vain; the status is %+v", r.Status())
	}
	return r.Status()
}

// signedAll waits until everything up to a number of leaves is published.
func (r *running) signedAll(size int64) Status {
	r.t.Helper()
	return r.wait(func(s Status) bool { return s.Size >= size && s.PublishedSize >= size })
}

// broken waits until signing has stopped.
func (r *running) broken() *Broken {
	r.t.Helper()
	s := r.wait(func(s Status) bool { return s.Stopped })
	return s.Err.(*Broken)
}

// event makes an event of some size for a stream.
func event(i int) journal.Proposed {
	data := make([]byte, 40+i%300)
	rand.Read(data)
	return journal.Proposed{ID: uuid.New(), Type: "drugs.visit_recorded", Binary: true, Data: data,
		Meta: fmt.Appendf(nil, `{"form":1,"actor":"%s"}`, uuid.New())}
}

// add appends events to a few streams and returns their ids in the order of the log.
func (w *world) add(count int) []uuid.UUID {
	w.Helper()
	var ids []uuid.UUID
	for i := 0; count > 0; i++ {
		stream := fmt.Sprintf("drugs-%d", i%7)
		var events []journal.Proposed
		for range min(count, 1+i%100) {
			events = append(events, event(i))
		}
		if _, err := w.journal.Append(w.Context(), stream, journal.Any, events...); err != nil {
			w.Fatal(err)
		}
		for _, e := range events {
			ids = append(ids, e.ID)
		}
		count -= len(events)
	}
	return ids
}

// all reads the journal.
func (w *world) all() []journal.Stored {
	w.Helper()
	var events []journal.Stored
	for e, err := range w.journal.All(w.Context(), 0) {
		if err != nil {
			w.Fatal(err)
		}
		events = append(events, e)
	}
	return events
}

// leaves is the leaves of the journal as it is.
func (w *world) leaves() [][]byte {
	w.Helper()
	var leaves [][]byte
	for _, e := range w.all() {
		if IsLeaf(e.Stream) {
			leaves = append(leaves, Leaf(e))
		}
	}
	return leaves
}

// proposed is a stored event to append elsewhere.
func proposed(e journal.Stored) journal.Proposed {
	return journal.Proposed{ID: e.ID, Type: e.Type, Binary: true, Data: e.Data, Meta: e.Meta}
}
