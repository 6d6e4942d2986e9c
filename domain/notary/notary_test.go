package notary

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"filippo.io/torchwood"
	"github.com/google/uuid"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"

	"yidang/domain/record"
)

// Ensure that events get into a signed checkpoint and that others' code verifies it and every proof against it.
func TestProofsVerify(t *testing.T) {
	w := start(t)
	n := w.run(w.options())
	ids := w.add(700)
	n.signedAll(700)
	signed, size, ok := n.Checkpoint()
	if !ok || size < 700 {
		t.Fatal(size, ok)
	}
	policy := torchwood.ThresholdPolicy(2, torchwood.OriginPolicy(origin), torchwood.SingleVerifierPolicy(publicKey(t, w.key)))
	c, _, err := torchwood.VerifyCheckpoint(signed, policy)
	if err != nil {
		t.Fatal(err)
	}
	leaves := w.leaves()
	for i, id := range ids {
		p, err := n.Proof(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if p.Index != int64(i) || !bytes.Equal(p.Leaf, leaves[i]) {
			t.Fatalf("event %d has leaf %d", i, p.Index)
		}
		hashes := make([][]byte, len(p.Hashes))
		for i, h := range p.Hashes {
			hashes[i] = h[:]
		}
		if err := proof.VerifyInclusion(rfc6962.DefaultHasher, uint64(i), uint64(c.N), rfc6962.DefaultHasher.HashLeaf(leaves[i]), hashes, c.Hash[:]); err != nil {
			t.Fatal(err)
		}
		if err := torchwood.VerifyProof(policy, leafHash(leaves[i]), p.Text()); err != nil {
			t.Fatal(err)
		}
		again, err := ParseProof(p.Text())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := again.Verify(w.policy()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := n.Proof(t.Context(), uuid.New()); record.KindOf(err) != record.NotFound {
		t.Errorf("a proof of nothing: %v", err)
	}
}

// Ensure that nothing is appended when nothing happens, and that checkpoints do not call for checkpoints.
func TestIdle(t *testing.T) {
	w := start(t)
	n := w.run(w.options())
	w.add(3)
	n.signedAll(3)
	before := len(w.all())
	sleep(t.Context(), 20*n.Every)
	if after := len(w.all()); after != before {
		t.Errorf("%d events were appended to an idle journal", after-before)
	}
	w.add(1)
	n.signedAll(4)
	if after := len(w.all()); after != before+2 {
		t.Errorf("an event and its checkpoint are %d events", after-before)
	}
}

// Ensure that what was signed is remembered, and goes on, after a restart of the notary and of the journal.
func TestRestart(t *testing.T) {
	w := start(t)
	size := int64(0)
	for i := range 5 {
		n := w.run(w.options())
		ids := w.add(1 + 300*i)
		size += int64(len(ids))
		n.signedAll(size)
		if _, err := n.Proof(t.Context(), ids[0]); err != nil {
			t.Fatal(err)
		}
		n.end()
		w.down()
		w.up()
	}
}

// Ensure that an event is not proved before a checkpoint covers it, and that the answer says so.
func TestNotYet(t *testing.T) {
	w := start(t)
	o := w.options()
	o.Origin, o.Signer = origin, nil
	n := w.run(o)
	ids := w.add(1)
	n.wait(func(s Status) bool { return s.Size == 1 })
	if _, err := n.Proof(t.Context(), ids[0]); !errors.Is(err, ErrNotYet) {
		t.Error(err)
	}
	if _, err := n.Resource(t.Context(), "checkpoint"); record.KindOf(err) != record.NotFound {
		t.Error(err)
	}
}

// Ensure that a directory is for one log and one process, and a key for its log.
func TestOpenRefuses(t *testing.T) {
	w := signedWorld(t, 1)
	n := w.run(w.options())
	if _, err := Open(t.Context(), w.options()); record.KindOf(err) != record.Unavailable {
		t.Errorf("two notaries share a directory: %v", err)
	}
	n.end()
	o := w.options()
	o.Signer, o.Keys, o.Origin = nil, nil, "yidang.example/other"
	if _, err := Open(t.Context(), o); record.KindOf(err) != record.Invalid {
		t.Errorf("the directory of another log is taken: %v", err)
	}
	o = w.options()
	o.Keys = []note.Verifier{publicKey(t, makeKey(t))}
	if _, err := Open(t.Context(), o); record.KindOf(err) != record.Invalid {
		t.Errorf("a key is taken that is not accepted: %v", err)
	}
	o = w.options()
	o.Origin = "yidang.example/other"
	if _, err := Open(t.Context(), o); record.KindOf(err) != record.Invalid {
		t.Errorf("a key is taken for another log: %v", err)
	}
}

// Ensure that a file that cannot be written for a while holds things up, is told, and loses nothing.
func TestFileFails(t *testing.T) {
	w := start(t)
	n := w.run(w.options())
	w.add(300)
	n.signedAll(300)
	writable := func(pragma string) {
		n.store.mu.Lock()
		defer n.store.mu.Unlock()
		if err := n.store.writer.Exec("PRAGMA query_only = " + pragma); err != nil {
			t.Fatal(err)
		}
	}
	writable("on")
	ids := w.add(300)
	if s := n.wait(func(s Status) bool { return s.Err != nil }); s.Stopped || s.Size != 300 {
		t.Errorf("%+v", s)
	}
	writable("off")
	n.signedAll(600)
	n.wait(func(s Status) bool { return s.Err == nil })
	if _, err := n.Proof(t.Context(), ids[299]); err != nil {
		t.Error(err)
	}
	if _, found := verify(t, VerifyOptions{Journal: w.journal, Policy: w.policy(), Dir: w.dir}); len(found) > 0 {
		t.Errorf("%+v", found)
	}
}

// Ensure that a checkpoint covers the last event of a burst although nothing is recorded after it, and that none is signed
// while nothing happens, after a restart neither.
func TestCheckpointsFollowAndRest(t *testing.T) {
	w := start(t)
	checkpoints := func() (count int) {
		for e, err := range w.journal.Stream(t.Context(), Stream, 0) {
			if err != nil {
				t.Fatal(err)
			}
			if e.Stream == Stream {
				count++
			}
		}
		return count
	}
	n := w.run(w.options())
	for i := range 3 {
		size := n.Status().Size + 1 + int64(i)
		before := checkpoints()
		w.add(1 + i)
		n.signedAll(size) // or it would wait in vain
		signed := checkpoints()
		if signed <= before || signed > before+1+i {
			t.Errorf("%d events in a row have %d checkpoints", 1+i, signed-before)
		}
		time.Sleep(20 * n.Every)
		if after := checkpoints(); after != signed {
			t.Errorf("%d checkpoints were signed while nothing happened", after-signed)
		}
	}
	n.end()
	signed := checkpoints()
	n = w.run(w.options())
	n.signedAll(6)
	time.Sleep(20 * n.Every)
	if after := checkpoints(); after != signed {
		t.Errorf("%d checkpoints were signed after a restart, of nothing new", after-signed)
	}
}
