package journal_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"yidang/domain/journal"
	"yidang/domain/journal/embedded"
)

// childDir makes the test binary the process that is killed: a server on this directory with writers at it.
const childDir = "YIDANG_TEST_JOURNAL_CHILD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		if err := crashChild(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

const crashWriters = 8

// crashChild appends until it is killed, and prints each append that was acknowledged. Each event's metadata says which
// append it is of, its place in it and how many there are.
func crashChild(dir string) error {
	ctx := context.Background()
	server, err := embedded.Start(ctx, embedded.Options{Dir: dir})
	if err != nil {
		return err
	}
	j, err := journal.Open(ctx, server.Connection())
	if err != nil {
		return err
	}
	failed := make(chan error)
	var out sync.Mutex
	for w := range crashWriters {
		go func() {
			stream := fmt.Sprintf("drugs-%d", w)
			for {
				id, n := uuid.New(), 1+rand.IntN(6)
				events := make([]journal.Proposed, n)
				for i := range events {
					events[i] = journal.Proposed{ID: uuid.New(), Type: "x.y", Binary: true, Data: make([]byte, rand.IntN(12_000)),
						Meta: fmt.Appendf(nil, "%s %d %d", id, i, n)}
				}
				put, err := j.Append(ctx, stream, journal.Any, events...)
				if err != nil {
					failed <- err
					return
				}
				out.Lock()
				fmt.Printf("%s %s %d %d\n", id, stream, put.Revision, put.Position)
				out.Unlock()
			}
		}()
	}
	return <-failed
}

type acknowledged struct {
	stream             string
	revision, position uint64
}

// Ensure that a process killed at any moment under load has lost nothing it acknowledged and done nothing by half.
func TestKillAtRandom(t *testing.T) {
	dir := t.TempDir()
	acks := map[string]acknowledged{}
	const rounds = 12
	for range rounds {
		before := len(acks)
		killOnce(t, dir, acks)
		if len(acks) == before {
			t.Fatal("nothing was acknowledged before the kill")
		}
		inspect(t, dir, acks)
	}
	t.Logf("%d kills, %d appends acknowledged", rounds, len(acks))
}

// killOnce runs a child for a while after its first append and kills it, collecting what it acknowledged.
func killOnce(t *testing.T, dir string, acks map[string]acknowledged) {
	t.Helper()
	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), childDir+"="+dir)
	var said strings.Builder
	child.Stderr = &said
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	for n := 0; ; n++ {
		line, err := lines.ReadString('\n')
		if err == io.EOF {
			break // a line cut short is an append nobody heard of
		}
		if err != nil {
			t.Fatal(err)
		}
		var id string
		var a acknowledged
		if _, err := fmt.Sscan(line, &id, &a.stream, &a.revision, &a.position); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		acks[id] = a
		if n == 0 {
			time.AfterFunc(rand.N(400*time.Millisecond), func() { child.Process.Kill() })
		}
	}
	child.Wait()
	if said.Len() > 0 {
		t.Fatalf("the child: %s", said.String())
	}
}

// inspect opens what the child left and compares it with what it acknowledged.
func inspect(t *testing.T, dir string, acks map[string]acknowledged) {
	t.Helper()
	server, err := embedded.Start(t.Context(), embedded.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	j, err := journal.Open(t.Context(), server.Connection())
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	next := map[string]uint64{}
	parts := map[string]int{}
	sizes := map[string]int{}
	ends := map[string]acknowledged{}
	position := uint64(0)
	for e, err := range j.All(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		if position++; e.Position != position {
			t.Fatalf("position %d where %d belongs", e.Position, position)
		}
		if e.Revision != next[e.Stream] {
			t.Fatalf("%s has revision %d where %d belongs", e.Stream, e.Revision, next[e.Stream])
		}
		next[e.Stream]++
		var id string
		var i, n int
		if _, err := fmt.Sscan(string(e.Meta), &id, &i, &n); err != nil {
			t.Fatal(err)
		}
		if parts[id] != i {
			t.Fatalf("part %d of an append comes as number %d", i, parts[id])
		}
		parts[id]++
		sizes[id] = n
		ends[id] = acknowledged{e.Stream, e.Revision, e.Position}
	}
	for id, n := range sizes {
		if parts[id] != n {
			t.Errorf("%d of %d events of an append are there", parts[id], n)
		}
	}
	for id, a := range acks {
		if ends[id] != a {
			t.Fatalf("an append was acknowledged at %+v and is at %+v", a, ends[id])
		}
	}
}
