package notary

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"filippo.io/torchwood"

	"yidang/domain/journal"
	"yidang/domain/notary/keyfile"
	"yidang/domain/notary/witness"
)

// onlooker is a witness behind real HTTP that can be away.
type onlooker struct {
	*witness.Server
	url  string
	away atomic.Bool
	// sized lets it answer every 409 with the size that it has cosigned, as others' witnesses may.
	sized atomic.Int64
}

func (w *world) witness(name string) *onlooker {
	w.Helper()
	k, err := keyfile.Load(filepath.Join(w.TempDir(), "w.key"), name, keyfile.Witness)
	if err != nil {
		w.Fatal(err)
	}
	o := &onlooker{}
	o.Server, err = witness.Open(witness.Options{Dir: w.TempDir(), Key: k, Logs: witness.Logs(publicKey(w, w.key))})
	if err != nil {
		w.Fatal(err)
	}
	s := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if o.away.Load() {
			http.Error(rw, "away", http.StatusServiceUnavailable)
			return
		}
		if size := o.sized.Load(); size > 0 {
			rw = &sizing{ResponseWriter: rw, size: size}
		}
		o.ServeHTTP(rw, r)
	}))
	o.url = s.URL
	w.Cleanup(func() { s.Close(); o.Close() })
	return o
}

// sizing is the answer of a witness that gives its size with every 409.
type sizing struct {
	http.ResponseWriter
	size int64
	said bool
}

func (s *sizing) WriteHeader(status int) {
	s.said = status == http.StatusConflict
	if s.said {
		s.Header().Set("Content-Type", "text/x.tlog.size")
	}
	s.ResponseWriter.WriteHeader(status)
	if s.said {
		fmt.Fprintf(s.ResponseWriter, "%d\n", s.size)
	}
}

func (s *sizing) Write(b []byte) (int, error) {
	if s.said {
		return len(b), nil
	}
	return s.ResponseWriter.Write(b)
}

// quorum is a policy that wants k of the witnesses.
func (w *world) quorum(k int, of ...*onlooker) *Policy {
	w.Helper()
	text, names := "# who watches\n", ""
	for i, o := range of {
		text += fmt.Sprintf("witness w%d %s %s\n", i, o.Verifier(), o.url)
		names += fmt.Sprintf(" w%d", i)
	}
	p, err := ParsePolicy([]byte(text + fmt.Sprintf("group all-of-them %d%s\nquorum all-of-them\n", k, names)))
	if err != nil {
		w.Fatal(err)
	}
	return p
}

// Ensure that what is published has a quorum, that it waits for one without holding up signing, and goes on when it is
// there again.
func TestQuorum(t *testing.T) {
	w := start(t)
	a, b, c := w.witness("a.example/w"), w.witness("b.example/w"), w.witness("c.example/w")
	c.away.Store(true)
	o := w.options()
	o.Policy = w.quorum(2, a, b, c)
	n := w.run(o)
	w.add(10)
	n.signedAll(10)
	b.away.Store(true)
	ids := w.add(10)
	n.wait(func(s Status) bool { return s.SignedSize == 20 && s.Witnesses[1].Err != nil })
	if s := n.Status(); s.PublishedSize != 10 || s.Witnesses[0].Size < 10 {
		t.Errorf("%+v", s)
	}
	if _, err := n.Proof(t.Context(), ids[0]); err == nil {
		t.Error("an event was proved without a quorum")
	}
	c.away.Store(false)
	n.signedAll(20)
	w.add(300)
	n.signedAll(320)
	policy := o.Policy.WithLogs(publicKey(t, w.key))
	p, err := n.Proof(t.Context(), ids[0])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Verify(policy); err != nil {
		t.Error(err)
	}
	// Others' code, and others' reading of the same policy, agree.
	text := fmt.Sprintf("log %s\nwitness a %s\nwitness c %s\ngroup both all a c\nquorum both\n", w.key.Verifier(), a.Verifier(), c.Verifier())
	theirs, err := torchwood.ParsePolicy([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if err := torchwood.VerifyProof(theirs, leafHash(p.Leaf), p.Text()); err != nil {
		t.Error(err)
	}
	n.end()
	s, found := verify(t, VerifyOptions{Journal: w.journal, Policy: policy, Dir: w.dir})
	if len(found) > 0 || s.CosignedSize != 320 || s.SignedSize != 320 {
		t.Errorf("%+v %+v", s, found)
	}
	// After a restart what is published is what has the quorum.
	n = w.run(o)
	if s := n.Status(); s.PublishedSize != 320 {
		t.Errorf("%+v", s)
	}
	n.end()
	// A stricter policy finds nothing published until it is satisfied.
	o.Policy = w.quorum(3, a, b, c)
	n = w.run(o)
	if s := n.Status(); s.PublishedSize != 0 {
		t.Errorf("%+v", s)
	}
	b.away.Store(false)
	n.signedAll(320)
}

// forge is a copy of the world with one event changed.
func (w *world) forge(at int) *world {
	w.Helper()
	thief := &world{T: w.T, dir: w.TempDir(), at: w.TempDir(), key: w.key}
	thief.up()
	for i, e := range w.all() {
		if !IsLeaf(e.Stream) {
			continue
		}
		if i == at {
			e.Data = flip(e.Data)
		}
		if _, err := thief.journal.Append(w.Context(), e.Stream, journal.Any, proposed(e)); err != nil {
			w.Fatal(err)
		}
	}
	return thief
}

// Ensure that another history of the very size that a witness has cosigned raises the alarm, in each of the ways in which
// a witness may say so.
func TestForkOfOneSize(t *testing.T) {
	for _, sized := range []int64{0, 40} {
		w := start(t)
		a := w.witness("a.example/w")
		o := w.options()
		o.Policy = w.quorum(1, a)
		n := w.run(o)
		w.add(40)
		n.signedAll(40)
		n.end()
		a.sized.Store(sized)
		o = w.forge(17).options()
		o.Policy = w.quorum(1, a)
		n = w.run(o)
		if s := n.wait(func(s Status) bool { return len(s.Witnesses) == 1 && s.Witnesses[0].Err != nil }); !s.Witnesses[0].Refused || s.PublishedSize != 0 {
			t.Errorf("answering with size %d: %+v", sized, s)
		}
		n.end()
	}
}

// Ensure that a thief of the signing key and of the machine, who writes the journal anew from some event on and has it
// signed by the stolen key, is found by a witness, and by an auditor with what the witness remembers.
func TestThief(t *testing.T) {
	w := start(t)
	a := w.witness("a.example/w")
	o := w.options()
	o.Policy = w.quorum(1, a)
	n := w.run(o)
	w.add(40)
	n.signedAll(40)
	known, _, _ := n.Checkpoint()
	n.end()

	thief := w.forge(17)
	o = thief.options()
	o.Policy = w.quorum(1, a)
	n = thief.run(o)
	thief.add(3)
	s := n.wait(func(s Status) bool { return len(s.Witnesses) == 1 && s.Witnesses[0].Refused })
	if s.PublishedSize != 0 || !strings.Contains(s.Witnesses[0].Err.Error(), "does not extend") {
		t.Errorf("%+v", s)
	}
	n.end()
	if _, found := verify(t, VerifyOptions{Journal: thief.journal, Policy: thief.policy(), Dir: thief.dir}); len(found) > 0 {
		t.Errorf("the thief was careless: %+v", found)
	}
	_, found := verify(t, VerifyOptions{Journal: thief.journal, Policy: thief.policy(), Known: [][]byte{known}})
	if len(found) != 1 || !strings.Contains(found[0].Remedy, "stolen") {
		t.Errorf("%+v", found)
	}
}
