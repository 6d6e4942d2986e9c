package notary

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"yidang/domain/journal"
	"yidang/domain/journal/embedded"
	"yidang/domain/notary/keyfile"
)

// childDir makes the test binary the process that is killed: a journal with a writer and a notary at it.
const childDir = "YIDANG_TEST_NOTARY_CHILD"

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

// crashChild appends and signs until it is killed, and prints each checkpoint that was published.
func crashChild(dir string) error {
	ctx := context.Background()
	server, err := embedded.Start(ctx, embedded.Options{Dir: dir + "/journal"})
	if err != nil {
		return err
	}
	j, err := journal.Open(ctx, server.Connection())
	if err != nil {
		return err
	}
	k, err := keyfile.Load(dir+"/log.key", origin, keyfile.Log)
	if err != nil {
		return err
	}
	s, v, err := k.Note()
	if err != nil {
		return err
	}
	n, err := Open(ctx, Options{Journal: j, Dir: dir + "/notary", Signer: s, Keys: []note.Verifier{v}, Every: time.Millisecond, Scrub: -1})
	if err != nil {
		return err
	}
	failed := make(chan error)
	go func() { failed <- n.Run(ctx) }()
	go func() {
		for i := 0; ; i++ {
			events := make([]journal.Proposed, 1+rand.IntN(20))
			for e := range events {
				events[e] = event(i)
			}
			if _, err := j.Append(ctx, fmt.Sprintf("drugs-%d", i%5), journal.Any, events...); err != nil {
				failed <- err
			}
		}
	}()
	go func() {
		for size := int64(0); ; {
			n.until(ctx, 0, func(s *seen) bool { return s.tree.N > size || s.broken != nil })
			st := n.Status()
			if st.Stopped {
				failed <- st.Err
			}
			signed, next, _ := n.Checkpoint()
			fmt.Println(base64.StdEncoding.EncodeToString(signed))
			size = next
		}
	}()
	return <-failed
}

// Ensure that a process killed at any moment has published nothing that the journal and the notary do not go on from.
func TestKillAtRandom(t *testing.T) {
	dir := t.TempDir()
	if err := errors.Join(os.Mkdir(dir+"/journal", 0o700), os.Mkdir(dir+"/notary", 0o700)); err != nil {
		t.Fatal(err)
	}
	var published [][]byte
	for range 10 {
		before := len(published)
		published = append(published, killOnce(t, dir)...)
		if len(published) == before {
			t.Fatal("nothing was published before the kill")
		}
	}
	w := &world{T: t, dir: dir + "/notary", at: dir + "/journal"}
	var err error
	if w.key, err = keyfile.Load(dir+"/log.key", origin, keyfile.Log); err != nil {
		t.Fatal(err)
	}
	w.up()
	s, found := verify(t, VerifyOptions{Journal: w.journal, Policy: w.policy(), Dir: w.dir, Known: published})
	if len(found) > 0 {
		t.Errorf("%+v", found)
	}
	t.Logf("10 kills, %d checkpoints published over %d leaves", len(published), s.Leaves)
}

func killOnce(t *testing.T, dir string) (published [][]byte) {
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
	for {
		line, err := lines.ReadString('\n')
		if err == io.EOF {
			break // a line cut short was heard by nobody
		}
		if err != nil {
			t.Fatal(err)
		}
		signed, err := base64.StdEncoding.DecodeString(strings.TrimSpace(line))
		if err != nil {
			t.Fatal(err)
		}
		if published = append(published, signed); len(published) == 1 {
			time.AfterFunc(rand.N(250*time.Millisecond), func() { child.Process.Kill() })
		}
	}
	child.Wait()
	if said.Len() > 0 {
		t.Fatalf("the child: %s", said.String())
	}
	return published
}

// Ensure that an end between the signature and the append, and between the append and the note of it, is gone on from.
func TestCrashPoints(t *testing.T) {
	for name, fault := range map[string]func(func() error) (bool, error){
		"signed, not appended": func(func() error) (bool, error) { return true, journal.ErrUnknownOutcome },
		"appended, not noted": func(real func() error) (bool, error) {
			if err := real(); err != nil {
				return true, err
			}
			return true, journal.ErrUnknownOutcome
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := signedWorld(t, 10)
			for i := range 5 {
				reached := make(chan bool, 1)
				f := &faulty{Journal: w.journal, onAppend: func(real func() error) (bool, error) {
					select {
					case reached <- true:
					default:
						return true, journal.ErrUnknownOutcome // once is enough
					}
					return fault(real)
				}}
				o := w.options()
				o.Journal = f
				n := w.run(o)
				w.add(7)
				<-reached
				n.end()
				n = w.run(w.options())
				n.signedAll(int64(17 + 7*i))
				n.end()
			}
			s, found := verify(t, VerifyOptions{Journal: w.journal, Policy: w.policy(), Dir: w.dir})
			if len(found) > 0 || s.SignedSize != 45 {
				t.Errorf("%+v %+v", s, found)
			}
		})
	}
	t.Run("signed, and the journal is another one", func(t *testing.T) {
		// Also a signature that nobody got binds: it may have got out.
		w := start(t)
		o := w.options()
		reached := make(chan bool, 100)
		o.Journal = &faulty{Journal: w.journal, onAppend: func(func() error) (bool, error) {
			reached <- true
			return true, journal.ErrUnknownOutcome
		}}
		n := w.run(o)
		w.add(10)
		<-reached
		n.end()
		w.at = t.TempDir()
		w.up()
		w.add(10)
		n = w.run(w.options())
		if b := n.broken(); b.Index != 0 {
			t.Errorf("%+v", b)
		}
	})
}
