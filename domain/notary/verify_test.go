package notary

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"yidang/domain/journal"
)

// memory is a journal in memory, to measure with and to tamper with.
type memory []journal.Stored

func (m memory) All(_ context.Context, after uint64) iter.Seq2[journal.Stored, error] {
	return func(yield func(journal.Stored, error) bool) {
		for _, e := range m {
			if e.Position > after && !yield(e, nil) {
				return
			}
		}
	}
}

func (m memory) Stream(_ context.Context, stream string, from uint64) iter.Seq2[journal.Stored, error] {
	return func(yield func(journal.Stored, error) bool) {
		for _, e := range m {
			if e.Stream == stream && e.Revision >= from && !yield(e, nil) {
				return
			}
		}
	}
}

// verify runs Verify and returns what it found.
func verify(t testing.TB, o VerifyOptions) (VerifySummary, []Finding) {
	t.Helper()
	var found []Finding
	s, err := Verify(t.Context(), o, func(f Finding) { found = append(found, f) })
	if err != nil {
		t.Fatal(err)
	}
	if int(s.Findings) != len(found) {
		t.Errorf("%d findings were counted, %d told", s.Findings, len(found))
	}
	return s, found
}

// signedWorld is a journal with leaves and checkpoints in several steps.
func signedWorld(t *testing.T, steps ...int) *world {
	w := start(t)
	n := w.run(w.options())
	size := 0
	for _, count := range steps {
		w.add(count)
		size += count
		n.signedAll(int64(size))
	}
	n.end()
	return w
}

// Ensure that a journal as the notary left it has nothing wrong.
func TestVerifyClean(t *testing.T) {
	w := signedWorld(t, 1, 5, 300, 2, 700, 40)
	var seen int64
	s, found := verify(t, VerifyOptions{Journal: w.journal, Policy: w.policy(), Dir: w.dir, Event: func(e journal.Stored, leaf int64) {
		if leaf >= 0 {
			if leaf != seen {
				t.Fatalf("leaf %d where %d belongs", leaf, seen)
			}
			seen++
		}
	}})
	if len(found) > 0 || s.Leaves != 1048 || s.SignedSize != 1048 || seen != 1048 || s.Signed < 6 {
		t.Errorf("%+v\n%+v", s, found)
	}
}

// Ensure that each way to tamper with the journal is found, and where; with the notary's tree to the event.
func TestVerifyTampered(t *testing.T) {
	w := signedWorld(t, 50, 1, 1, 48, 300)
	clean := w.all()
	at, leaves := 0, 0 // at: a leaf in the middle
	before := int64(0) // how many leaves the newest checkpoint covers that does not cover it; what is signed when is the notary's affair
	for i, e := range clean {
		switch {
		case IsLeaf(e.Stream):
			if leaves++; leaves == 61 {
				at = i
			}
		case e.Type == signedType:
			lines := strings.Split(string(e.Data), "\n") // origin, size, root, …
			n, err := strconv.ParseInt(lines[1], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			if n <= 60 {
				before = max(before, n)
			}
		}
	}
	if before < 52 {
		t.Fatalf("the checkpoint before leaf 60 covers %d leaves", before)
	}
	for name, tamper := range map[string]func([]journal.Stored) []journal.Stored{
		"data":   func(m []journal.Stored) []journal.Stored { m[at].Data = flip(m[at].Data); return m },
		"meta":   func(m []journal.Stored) []journal.Stored { m[at].Meta = flip(m[at].Meta); return m },
		"type":   func(m []journal.Stored) []journal.Stored { m[at].Type += "x"; return m },
		"stream": func(m []journal.Stored) []journal.Stored { m[at].Stream += "x"; return m },
		"id":     func(m []journal.Stored) []journal.Stored { m[at].ID[3] ^= 1; return m },
		"delete": func(m []journal.Stored) []journal.Stored { return append(m[:at], m[at+1:]...) },
		"swap":   func(m []journal.Stored) []journal.Stored { m[at], m[at+1] = m[at+1], m[at]; return m },
		"insert": func(m []journal.Stored) []journal.Stored {
			return append(m[:at], append([]journal.Stored{{Stream: "drugs-new", Type: "x", Position: m[at].Position}}, m[at:]...)...)
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := memory(tamper(append([]journal.Stored(nil), clean...)))
			_, found := verify(t, VerifyOptions{Journal: m, Policy: w.policy(), Dir: w.dir})
			exact, between := false, false
			for _, f := range found {
				exact = exact || f.Leaf == 60
				between = between || f.Leaf == before // the first after the checkpoint before
			}
			if !exact || !between {
				t.Errorf("%+v", found)
			}
		})
	}
	t.Run("truncate", func(t *testing.T) {
		m := memory(clean[:at])
		_, found := verify(t, VerifyOptions{Journal: m, Policy: w.policy(), Dir: w.dir})
		if len(found) != 1 || found[0].Leaf != 60 {
			t.Errorf("%+v", found)
		}
	})
	t.Run("elsewhere", func(t *testing.T) {
		// The journal and the notary's file are gone to before; somebody kept the last checkpoint.
		var last []byte
		for _, e := range clean {
			if e.Stream == Stream {
				last = e.Data
			}
		}
		_, found := verify(t, VerifyOptions{Journal: memory(clean[:at]), Policy: w.policy(), Known: [][]byte{last}})
		if len(found) != 1 || found[0].Leaf != 60 {
			t.Errorf("%+v", found)
		}
		if _, found := verify(t, VerifyOptions{Journal: memory(clean), Policy: w.policy(), Known: [][]byte{last}}); len(found) != 0 {
			t.Errorf("%+v", found)
		}
	})
	t.Run("checkpoints", func(t *testing.T) {
		for i, e := range clean {
			if e.Stream != Stream {
				continue
			}
			for b := range e.Data {
				m := append(memory(nil), clean...)
				m[i].Data = append([]byte(nil), e.Data...)
				m[i].Data[b] ^= 1 << (b % 8)
				if _, found := verify(t, VerifyOptions{Journal: m, Policy: w.policy()}); len(found) == 0 {
					t.Fatalf("a changed byte %d of %q is not found", b, e.Data)
				}
			}
			break
		}
	})
	t.Run("garbage between", func(t *testing.T) {
		// What does not belong there is told once and hides nothing, nor makes what is right look wrong.
		var m memory
		added := uint64(0)
		for _, e := range clean {
			if e.Stream == Stream {
				if e.Revision == 2 {
					m = append(m, journal.Stored{Stream: Stream, Revision: 2, Type: signedType, Position: e.Position, Data: []byte("x")})
					added = 1
				}
				e.Revision += added
			}
			m = append(m, e)
		}
		s, found := verify(t, VerifyOptions{Journal: m, Policy: w.policy(), Dir: w.dir})
		if len(found) != 1 || s.SignedSize != 400 {
			t.Errorf("%+v %+v", s, found)
		}
	})
	t.Run("foreign key", func(t *testing.T) {
		other := w.makeKey()
		_, found := verify(t, VerifyOptions{Journal: memory(clean), Policy: (*Policy)(nil).WithLogs(publicKey(t, other))})
		if len(found) < 5 {
			t.Errorf("%+v", found)
		}
	})
}

func flip(b []byte) []byte {
	b = append([]byte(nil), b...)
	b[len(b)/2] ^= 4
	return b
}

// Ensure that damage to the notary's own file is found too.
func TestVerifyStored(t *testing.T) {
	for name, sql := range map[string]string{
		"node": `UPDATE nodes SET hash = zeroblob(32) WHERE n = 1`,
		"leaf": `UPDATE leaves SET leaf = zeroblob(150) WHERE i = 300`,
		"gone": `DELETE FROM leaves WHERE i >= 600`,
	} {
		t.Run(name, func(t *testing.T) {
			w := signedWorld(t, 700)
			c, err := connect(filepath.Join(w.dir, "notary.db"), false)
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(c.Conn.Exec(sql), c.Close()); err != nil {
				t.Fatal(err)
			}
			_, found := verify(t, VerifyOptions{Journal: w.journal, Policy: w.policy(), Dir: w.dir})
			if len(found) != 1 || !strings.Contains(found[0].What, "notary's") {
				t.Errorf("%+v", found)
			}
		})
	}
}

// Ensure that gaps and repeats in a stream are found, whatever the number of streams.
func TestVerifyRevisions(t *testing.T) {
	var m memory
	for r := range uint64(3) {
		for s := range 30_000 {
			if r == 1 && s == 4711 {
				continue
			}
			m = append(m, journal.Stored{Stream: fmt.Sprintf("person-%d", s), Revision: r, Position: uint64(len(m) + 1)})
		}
	}
	gap := m[2*30_000-1+4711].Position
	again := m[7] // comes a second time, and its stream then goes on
	again.Position = uint64(len(m) + 1)
	m = append(m, again, journal.Stored{Stream: again.Stream, Revision: 3, Position: again.Position + 1})
	w := start(t)
	_, found := verify(t, VerifyOptions{Journal: m, Policy: w.policy()})
	if len(found) != 2 || found[0].Position != gap || found[1].Position != again.Position {
		t.Errorf("%+v", found)
	}
}
