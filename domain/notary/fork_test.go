package notary

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ncruces/go-sqlite3"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"yidang/domain/journal"
	"yidang/domain/notary/keyfile"
	"yidang/domain/record"
)

// edit changes the journal's file while its server is down, as somebody with the machine can.
func (w *world) edit(sql string) {
	w.Helper()
	w.down()
	db, err := sqlite3.Open("file:" + filepath.Join(w.at, "journal.db"))
	if err != nil {
		w.Fatal(err)
	}
	triggers := map[string]string{}
	s, _, err := db.Prepare(`SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'`)
	if err != nil {
		w.Fatal(err)
	}
	for s.Step() {
		triggers[s.ColumnText(0)] = s.ColumnText(1)
	}
	s.Close()
	for name := range triggers {
		sql = "DROP TRIGGER " + name + ";" + sql
	}
	for _, t := range triggers {
		sql += ";" + t
	}
	if err := errors.Join(db.Exec(sql), db.Close()); err != nil {
		w.Fatal(err)
	}
	w.up()
}

// position is where the journal has leaf i.
func (w *world) position(i int) uint64 {
	for _, e := range w.all() {
		if IsLeaf(e.Stream) {
			if i == 0 {
				return e.Position
			}
			i--
		}
	}
	w.Fatal("there is no such leaf")
	return 0
}

// Ensure that an event edited while everything was down stops signing, by name, and that reads go on.
func TestEdited(t *testing.T) {
	for name, leaf := range map[string]int{"first": 0, "middle": 317, "last": 599} {
		t.Run(name, func(t *testing.T) {
			w := signedWorld(t, 400, 200)
			at := w.position(leaf)
			w.edit(fmt.Sprintf(`UPDATE events SET data = zeroblob(length(data)) WHERE position = %d`, at))
			o := w.options()
			o.Scrub = time.Millisecond
			n := w.run(o)
			b := n.broken()
			if b.Index != int64(leaf) || b.Position != at || !strings.Contains(b.What, "content was changed") {
				t.Errorf("%+v", b)
			}
			before := len(w.all())
			w.add(5)
			sleep(t.Context(), 10*n.Every)
			if after := len(w.all()); after != before+5 {
				t.Errorf("%d events were appended after signing had stopped", after-before-5)
			}
			if p, err := n.Proof(t.Context(), b.Event); err != nil || p.Index != int64(leaf) {
				t.Errorf("what was recorded cannot be proved any more: %v", err)
			} else if _, err := p.Verify(w.policy()); err != nil {
				t.Error(err)
			}
		})
	}
}

// Ensure that an event edited under a running notary is found before it is signed.
func TestEditedBeforeSigning(t *testing.T) {
	w := start(t)
	tampered := &faulty{Journal: w.journal}
	o := w.options()
	o.Journal = tampered
	n := w.run(o)
	w.add(10)
	n.signedAll(10)
	tampered.set(func(f *faulty) { f.onRead = func(e *journal.Stored) { e.Meta = []byte("{}") } })
	w.add(10)
	b := n.broken()
	if b.Index != 10 || !strings.Contains(b.What, "metadata was changed") {
		t.Errorf("%+v", b)
	}
	if s := n.Status(); s.SignedSize != 10 {
		t.Errorf("%+v", s)
	}
}

// Ensure that a journal put back to an earlier copy stops signing, also when it has grown again since.
func TestOldCopy(t *testing.T) {
	for _, grown := range []int{0, 3, 500} {
		t.Run(fmt.Sprint(grown), func(t *testing.T) {
			w := signedWorld(t, 20)
			w.down()
			old, err := os.ReadFile(filepath.Join(w.at, "journal.db"))
			if err != nil {
				t.Fatal(err)
			}
			w.up()
			n := w.run(w.options())
			w.add(30)
			n.signedAll(50)
			n.end()
			w.down()
			for _, suffix := range []string{"-wal", "-shm"} {
				os.Remove(filepath.Join(w.at, "journal.db"+suffix))
			}
			if err := os.WriteFile(filepath.Join(w.at, "journal.db"), old, 0o600); err != nil {
				t.Fatal(err)
			}
			w.up()
			if grown > 0 {
				w.add(grown)
			}
			n = w.run(w.options())
			if b := n.broken(); b.Index != 20 {
				t.Errorf("%+v", b)
			}
		})
	}
}

// Ensure that two servers, each on its own copy of a journal, do not both extend one history under the eyes of either:
// whoever is put onto the other's journal stops.
func TestFork(t *testing.T) {
	w := signedWorld(t, 20)
	w.down()
	twin := &world{T: t, dir: t.TempDir(), at: t.TempDir(), key: w.key}
	for from, to := range map[string]string{w.at: twin.at, w.dir: twin.dir} {
		if err := os.CopyFS(to, os.DirFS(from)); err != nil {
			t.Fatal(err)
		}
	}
	os.Remove(filepath.Join(twin.at, "journal.sock"))
	w.up()
	twin.up()
	a, b := w.run(w.options()), twin.run(twin.options())
	before, _, _ := a.Checkpoint()
	w.add(10)
	twin.add(10)
	a.signedAll(30)
	b.signedAll(30)
	b.end()
	o := twin.options()
	o.Journal = w.journal
	b = twin.run(o)
	if broken := b.broken(); broken.Index != 20 {
		t.Errorf("%+v", broken)
	}
	// The twin's checkpoint, seen by an auditor of the first journal.
	signed, _, _ := b.Checkpoint()
	_, found := verify(t, VerifyOptions{Journal: w.journal, Policy: w.policy(), Known: [][]byte{before, signed}})
	if len(found) != 1 || found[0].Leaf != 20 {
		t.Errorf("%+v", found)
	}
}

// Ensure that several servers on one journal sign one history together, each with a key and a directory of its own.
func TestTogether(t *testing.T) {
	w := start(t)
	second := w.makeKey()
	keys := []note.Verifier{publicKey(t, w.key), publicKey(t, second)}
	var all []*running
	for i := range 4 {
		o := w.options()
		o.Dir, o.Keys = t.TempDir(), keys
		if i%2 == 1 {
			o.Signer = signer(t, second)
		}
		all = append(all, w.run(o))
	}
	size := int64(0)
	for range 12 {
		size += int64(len(w.add(20)))
		for _, n := range all {
			n.signedAll(size)
		}
	}
	s, found := verify(t, VerifyOptions{Journal: w.journal, Policy: (*Policy)(nil).WithLogs(keys...)})
	if len(found) > 0 || s.SignedSize != size {
		t.Errorf("%+v %+v", s, found)
	}
}

// Ensure that a checkpoint by a key that is not accepted stops signing, and that accepting the key mends it.
func TestUnknownKey(t *testing.T) {
	w := signedWorld(t, 10)
	old := publicKey(t, w.key)
	w.key, w.dir = w.makeKey(), t.TempDir()
	n := w.run(w.options())
	if b := n.broken(); !strings.Contains(b.Remedy, "add its verifier key") {
		t.Errorf("%+v", b)
	}
	n.end()
	o := w.options()
	o.Keys = append(o.Keys, old)
	n = w.run(o)
	w.add(1)
	n.signedAll(11)
}

// Ensure that what does not belong into the checkpoint stream stops signing, and also what is signed but not true.
func TestForeignCheckpoint(t *testing.T) {
	stranger := makeKey(t)
	sealed := func(w *world, k keyfile.Key, tree tlog.Tree) []byte {
		n := &Notary{Options: Options{Origin: origin, Signer: signer(t, k), Keys: []note.Verifier{publicKey(t, k)}}}
		signed, err := n.seal(tree)
		if err != nil {
			t.Fatal(err)
		}
		return signed
	}
	for name, c := range map[string]struct {
		kind string
		data func(*world) []byte
	}{
		"nonsense":       {signedType, func(*world) []byte { return []byte("x") }},
		"unknown type":   {"checkpoint.lost", func(w *world) []byte { return firstCheckpoint(w.all()).Data }},
		"unknown key":    {signedType, func(w *world) []byte { return sealed(w, stranger, tlog.Tree{N: 10}) }},
		"another root":   {signedType, func(w *world) []byte { return sealed(w, w.key, tlog.Tree{N: 10}) }},
		"too many":       {signedType, func(w *world) []byte { return sealed(w, w.key, tlog.Tree{N: 99}) }},
		"cosigned other": {cosignedType, func(w *world) []byte { return sealed(w, w.key, tlog.Tree{N: 9}) }},
	} {
		t.Run(name, func(t *testing.T) {
			w := signedWorld(t, 10)
			if _, err := w.journal.Append(t.Context(), Stream, journal.Any, journal.Proposed{ID: event(0).ID, Type: c.kind, Binary: true, Data: c.data(w)}); err != nil {
				t.Fatal(err)
			}
			n := w.run(w.options())
			if b := n.broken(); b.Index != -1 || !strings.Contains(b.What, "checkpoint event") {
				t.Errorf("%+v", b)
			}
			if _, found := verify(t, VerifyOptions{Journal: w.journal, Policy: w.policy(), Dir: w.dir}); len(found) != 1 {
				t.Errorf("%+v", found)
			}
		})
	}
}

// faulty is a journal that fails on demand.
type faulty struct {
	Journal
	mu       sync.Mutex
	onRead   func(*journal.Stored)                   // of All
	onAppend func(func() error) (done bool, _ error) // given the real append
}

func (f *faulty) set(change func(*faulty)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
}

func (f *faulty) All(ctx context.Context, after uint64) iter.Seq2[journal.Stored, error] {
	f.mu.Lock()
	onRead := f.onRead
	f.mu.Unlock()
	return func(yield func(journal.Stored, error) bool) {
		for e, err := range f.Journal.All(ctx, after) {
			if onRead != nil && err == nil {
				onRead(&e)
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

func (f *faulty) Append(ctx context.Context, stream string, expected journal.Expected, events ...journal.Proposed) (put journal.Appended, err error) {
	f.mu.Lock()
	onAppend := f.onAppend
	f.mu.Unlock()
	real := func() error {
		put, err = f.Journal.Append(ctx, stream, expected, events...)
		return err
	}
	if onAppend != nil {
		if done, err := onAppend(real); done {
			return journal.Appended{}, err
		}
	}
	err = real()
	return put, err
}

// Ensure that appends of checkpoints that fail, without effect and with it, lead to one history without a gap.
func TestAppendFaults(t *testing.T) {
	for name, fault := range map[string]func(func() error) (bool, error){
		"refused":         func(func() error) (bool, error) { return true, record.Errorf(record.Unavailable, "away") },
		"unknown, undone": func(func() error) (bool, error) { return true, journal.ErrUnknownOutcome },
		"unknown, done": func(real func() error) (bool, error) {
			if err := real(); err != nil {
				return true, err
			}
			return true, journal.ErrUnknownOutcome
		},
		"overtaken": func(func() error) (bool, error) { return true, journal.ErrWrongRevision },
	} {
		t.Run(name, func(t *testing.T) {
			w := start(t)
			f := &faulty{Journal: w.journal}
			o := w.options()
			o.Journal = f
			n := w.run(o)
			var mu sync.Mutex
			failures := 0
			f.set(func(f *faulty) {
				f.onAppend = func(real func() error) (bool, error) {
					mu.Lock()
					defer mu.Unlock()
					if failures++; failures%3 == 0 || name == "overtaken" && failures > 1 {
						return false, nil
					}
					return fault(real)
				}
			})
			size := int64(0)
			for range 3 {
				size += int64(len(w.add(10)))
				n.signedAll(size)
			}
			n.end()
			s, found := verify(t, VerifyOptions{Journal: w.journal, Policy: w.policy(), Dir: w.dir})
			if len(found) > 0 || s.SignedSize != size || failures == 0 {
				t.Errorf("%+v %+v", s, found)
			}
		})
	}
}

// Ensure that the notary's directory is lost without harm as long as the journal is whole, and that a moved journal, with
// the same leaves at other positions, is taken for what it is.
func TestMovedJournal(t *testing.T) {
	w := signedWorld(t, 700)
	events := w.all()
	moved := &world{T: t, dir: w.dir, at: t.TempDir(), key: w.key}
	moved.up()
	if _, err := moved.journal.Append(t.Context(), Stream, journal.NoStream, journal.Proposed{ID: events[0].ID, Type: signedType, Binary: true, Data: firstCheckpoint(events).Data}); err != nil {
		t.Fatal(err)
	}
	rest := 0
	for _, e := range events {
		if e.Stream == Stream {
			if rest++; rest == 1 {
				continue
			}
		}
		if _, err := moved.journal.Append(t.Context(), e.Stream, journal.Any, proposed(e)); err != nil {
			t.Fatal(err)
		}
	}
	n := moved.run(moved.options())
	moved.add(5)
	n.signedAll(705)
	n.end()
	n = moved.run(moved.options())
	moved.add(5)
	n.signedAll(710)
	n.end()
	w.dir = t.TempDir()
	n = w.run(w.options())
	w.add(1)
	n.signedAll(701)
}

func firstCheckpoint(events []journal.Stored) journal.Stored {
	for _, e := range events {
		if e.Stream == Stream {
			return e
		}
	}
	return journal.Stored{}
}
