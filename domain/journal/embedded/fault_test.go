package embedded

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/ncruces/go-sqlite3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// bench is a store with its writer, without gRPC.
type bench struct {
	*testing.T
	store  *store
	writer *writer
}

func openBench(t *testing.T, dir, vfs string) *bench {
	t.Helper()
	st, err := openStore(t.Context(), dir, vfs)
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{T: t, store: st, writer: startWriter(st)}
	t.Cleanup(b.close)
	return b
}

func (b *bench) close() {
	if b.store == nil {
		return
	}
	b.writer.close()
	if err := b.store.close(); err != nil {
		b.Error(err)
	}
	b.store = nil
}

func call(ctx context.Context, stream string, expected int64, n, size int) *appendCall {
	c := &appendCall{ctx: ctx, stream: stream, expected: expected}
	for range n {
		c.events = append(c.events, proposed{id: uuid.New(), kind: "casework.visit_recorded", data: make([]byte, size), meta: []byte("{}")})
	}
	c.size = n * size
	return c
}

// ids returns every event's id by position, after proving that the file is sound.
func (b *bench) ids() map[[16]byte]uint64 {
	b.Helper()
	if err := b.store.checkDeeply(b.Context()); err != nil {
		b.Fatal(err)
	}
	found := map[[16]byte]uint64{}
	err := b.store.lend(b.Context(), func(r *reader) error {
		_, err := r.each(span{}, func(e *event) (bool, error) {
			found[e.id] = e.position
			return true, nil
		})
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	return found
}

// Ensure that an append that meets a failing file says so, that nothing acknowledged is harmed, that the same append
// succeeds once the fault is gone, and that the file is sound afterwards.
func TestStorageFaults(t *testing.T) {
	for name, f := range map[string]*fault{
		"disk full":                   {write: sqlite3.FULL},
		"log cannot be written":       {file: "-wal", write: sqlite3.IOERR_WRITE},
		"log cannot be synced":        {file: "-wal", sync: sqlite3.IOERR_FSYNC},
		"nothing can be read":         {read: sqlite3.IOERR_READ},
		"everything fails":            {write: sqlite3.IOERR_WRITE, sync: sqlite3.IOERR_FSYNC, read: sqlite3.IOERR_READ},
		"table cannot be written":     {file: ".db", write: sqlite3.FULL},
		"table cannot be synced":      {file: ".db", sync: sqlite3.IOERR_FSYNC},
		"log cannot be read or grown": {file: "-wal", write: sqlite3.FULL, read: sqlite3.IOERR_READ},
	} {
		t.Run(name, func(t *testing.T) {
			v := newFaultVFS(t, "")
			dir := t.TempDir()
			b := openBench(t, dir, v.name)
			acked := map[[16]byte]uint64{}
			add := func(c *appendCall, r appendResult) {
				for i, e := range c.events {
					acked[e.id] = r.position - uint64(len(c.events)-1-i)
				}
			}
			for range 20 {
				c := call(t.Context(), "person-1", expectAny, 2, 3000)
				if r := b.writer.append(c); r.err == nil {
					add(c, r)
				} else {
					t.Fatal(r.err)
				}
			}
			v.fail.Store(f)
			// Enough to make the log due for a checkpoint, where the fault is one of the table's.
			var retry []*appendCall
			for i := range 40 {
				c := call(t.Context(), fmt.Sprintf("person-%d", i%3), expectAny, 10, 60_000)
				r := b.writer.append(c)
				if r.err == nil {
					add(c, r)
					continue
				}
				retry = append(retry, c)
				code := status.Code(appendStatus(r.err))
				if code != codes.ResourceExhausted && code != codes.Aborted {
					t.Fatalf("the failure is told as %v", appendStatus(r.err))
				}
				if f.write == sqlite3.FULL && f.read == nil && !strings.Contains(appendStatus(r.err).Error(), "disk is full") {
					t.Errorf("a full disk is told as %v", appendStatus(r.err))
				}
			}
			if v.failed.Load() == 0 {
				t.Fatal("the fault was never met")
			}
			if f.file == "-wal" && len(retry) == 0 {
				t.Fatal("no append failed")
			}
			v.fail.Store(nil)
			for _, c := range retry {
				again := &appendCall{ctx: t.Context(), stream: c.stream, expected: c.expected, events: c.events, size: c.size}
				r := b.writer.append(again)
				if r.err != nil || r.conflict {
					t.Fatalf("after the fault: %+v", r)
				}
				add(c, r)
			}
			for range 2 { // as it stands, and after a restart
				found := b.ids()
				if len(found) != len(acked) {
					t.Errorf("%d events, %d were acknowledged", len(found), len(acked))
				}
				for id, position := range acked {
					if found[id] != position {
						t.Fatalf("event %x is at %d, acknowledged at %d", id, found[id], position)
					}
				}
				b.close()
				b = openBench(t, dir, v.name)
			}
		})
	}
}

// Ensure that a reader that meets a failing file ends with an error and not with a short answer, and works afterwards.
func TestReadFault(t *testing.T) {
	v := newFaultVFS(t, "")
	b := openBench(t, t.TempDir(), v.name)
	for range 50 {
		if r := b.writer.append(call(t.Context(), "person-1", expectAny, 10, 20_000)); r.err != nil {
			t.Fatal(r.err)
		}
	}
	read := func() (n int, err error) {
		err = b.store.lend(t.Context(), func(r *reader) error {
			_, err := r.each(span{}, func(*event) (bool, error) { n++; return true, nil })
			return err
		})
		return n, err
	}
	v.fail.Store(&fault{read: sqlite3.IOERR_READ})
	if n, err := read(); err == nil {
		t.Errorf("a read of a failing file ended well after %d events", n)
	}
	v.fail.Store(nil)
	if n, err := read(); n != 500 || err != nil {
		t.Errorf("afterwards it reads %d events, %v", n, err)
	}
}

// Ensure that what was acknowledged was synced: after a power cut, with any part of the unsynced writes lost, every
// acknowledged event is there and no append is there in part.
func TestPowerCut(t *testing.T) {
	for round := range 6 {
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			dir, shadow := t.TempDir(), t.TempDir()
			v := newFaultVFS(t, shadow)
			b := openBench(t, dir, v.name)
			var mu sync.Mutex
			acked := map[[16]byte]uint64{}
			var sent [][]proposed
			ctx, cut := context.WithCancel(t.Context())
			defer cut()
			var all sync.WaitGroup
			for w := range 4 {
				all.Go(func() {
					for i := range 60 {
						c := call(ctx, fmt.Sprintf("drugs-%d", w), expectAny, 1+i%4, 500+i*300)
						mu.Lock()
						sent = append(sent, c.events)
						mu.Unlock()
						r := b.writer.append(c)
						if r.err != nil {
							return
						}
						mu.Lock()
						for k, e := range c.events {
							acked[e.id] = r.position - uint64(len(c.events)-1-k)
						}
						if len(acked) > 70*(round+1) {
							cut()
						}
						mu.Unlock()
						if ctx.Err() != nil {
							return
						}
					}
				})
			}
			go func() { all.Wait(); cut() }()
			<-ctx.Done()
			mu.Lock()
			certain := make(map[[16]byte]uint64, len(acked))
			for id, p := range acked {
				certain[id] = p
			}
			after := t.TempDir()
			v.cut(t, shadow, after)
			mu.Unlock()
			all.Wait()
			b.close()

			b = openBench(t, after, "")
			found := b.ids()
			for id, position := range certain {
				if found[id] != position {
					t.Fatalf("event %x is at %d, acknowledged at %d", id, found[id], position)
				}
			}
			for _, events := range sent {
				_, whole := found[events[0].id]
				for _, e := range events {
					if _, ok := found[e.id]; ok != whole {
						t.Fatal("an append is there in part")
					}
				}
			}
			if r := b.writer.append(call(t.Context(), "drugs-0", expectAny, 1, 10)); r.err != nil {
				t.Fatal(r.err)
			}
		})
	}
}

// cut copies what would be on the disk now: what was synced, and of the rest whatever happened to be written.
func (v *faultVFS) cut(t *testing.T, from, to string) {
	t.Helper()
	v.power.Lock()
	defer v.power.Unlock()
	lost := rand.Float64()
	for name, f := range v.files {
		base := filepath.Base(name)
		f.mu.Lock()
		data, err := os.ReadFile(filepath.Join(from, base))
		copied := &shadowFile{path: filepath.Join(to, base), pending: append([]change(nil), f.pending...)}
		f.mu.Unlock()
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		if err := os.WriteFile(copied.path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := copied.settle(func() bool { return rand.Float64() > lost }); err != nil {
			t.Fatal(err)
		}
	}
}
