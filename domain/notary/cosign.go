package notary

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"yidang/domain/journal"
	"yidang/domain/notary/witness"
	"yidang/domain/record"
)

// WitnessStatus is how a witness is doing.
type WitnessStatus struct {
	Name string
	Size int64 // of the newest checkpoint it is known to have cosigned
	Err  error // of the last request, nil when it succeeded
	// Refused says that it holds a checkpoint of this log which ours does not extend: there are two histories.
	Refused bool
}

const (
	askTimeout   = 10 * time.Second
	firstRetry   = 500 * time.Millisecond
	longestRetry = 30 * time.Second
)

// asked is a witness and what is known of it. size belongs to the request that runs.
type asked struct {
	Witness
	client witness.Client
	size   int64
	busy   bool // guarded by round.mu of the cosigner
}

// cosigner asks the witnesses, in rounds. All are asked about the same checkpoint, the newest when the round began:
// cosignatures of different trees make no quorum.
type cosigner struct {
	n         *Notary
	mu        sync.Mutex
	witnesses []*asked
}

// answer is what a witness said in a round.
type answer struct {
	of          *asked
	cosignature note.Signature
	err         error
}

// cosignLoop asks whenever there is a newer signed checkpoint than the published one. Without a quorum it asks again,
// about what is then the newest; meanwhile what was published stays.
func (n *Notary) cosignLoop(ctx context.Context) error {
	if !n.publishes.NeedsWitnesses() || n.Signer == nil {
		return nil // a replica reads from the stream what the signers publish
	}
	c := &cosigner{n: n}
	transport := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for _, w := range n.publishes.Witnesses {
		if w.URL != "" {
			c.witnesses = append(c.witnesses, &asked{Witness: w, client: witness.Client{URL: w.URL, Key: w.Key, HTTP: transport}})
		}
	}
	c.status(nil)
	pause := firstRetry
	for {
		if !n.until(ctx, 0, func(s *seen) bool { return s.resumed && s.signedTree.N > s.tree.N }) {
			return ctx.Err()
		}
		s := n.seen.Load()
		err := c.round(ctx, s.signed, s.signedTree)
		n.trouble("asking witnesses", err)
		if err == nil {
			pause = firstRetry
			continue
		}
		if !sleep(ctx, pause) {
			return ctx.Err()
		}
		pause = min(2*pause, longestRetry)
	}
}

// round gets cosignatures of one checkpoint, and appends and publishes it when they are enough. It does not wait for
// witnesses beyond the quorum; one that is still busy is left out of the next round.
func (c *cosigner) round(ctx context.Context, signed []byte, tree tlog.Tree) error {
	n := c.n
	answers := make(chan answer, len(c.witnesses))
	running := 0
	for _, w := range c.witnesses {
		if c.take(w) {
			running++
			go func() {
				defer c.free(w)
				ctx, cancel := context.WithTimeout(ctx, askTimeout)
				defer cancel()
				sig, err := w.ask(ctx, n, signed, tree)
				answers <- answer{w, sig, err}
			}()
		}
	}
	checkpoint, err := note.Open(signed, n.keys)
	if err != nil {
		return err
	}
	var lacking error = errors.New("no witness could be asked")
	for ; running > 0; running-- {
		select {
		case a := <-answers:
			c.status(&a)
			if a.err != nil {
				continue
			}
			checkpoint.Sigs = append(checkpoint.Sigs, a.cosignature)
		case <-ctx.Done():
			return ctx.Err()
		}
		cosigned, err := note.Sign(checkpoint)
		if err != nil {
			return err
		}
		if _, lacking = OpenCheckpoint(cosigned, n.publishes); lacking == nil {
			return n.publish(ctx, cosigned, tree)
		}
	}
	return record.Errorf(record.Unavailable, "the checkpoint of %d leaves is not published: %w", tree.N, lacking)
}

func (c *cosigner) take(w *asked) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	free := !w.busy
	w.busy = true
	return free
}

func (c *cosigner) free(w *asked) {
	c.mu.Lock()
	defer c.mu.Unlock()
	w.busy = false
}

// ask submits a checkpoint, once more when the witness's size was not the one that was known.
func (w *asked) ask(ctx context.Context, n *Notary, signed []byte, tree tlog.Tree) (note.Signature, error) {
	for attempt := 0; ; attempt++ {
		if w.size > tree.N {
			return note.Signature{}, record.Errorf(record.Unavailable, "it has cosigned %d leaves, this checkpoint has %d", w.size, tree.N)
		}
		var proof tlog.TreeProof
		if w.size > 0 && w.size < tree.N {
			var err error
			if proof, err = n.consistency(ctx, w.size, tree.N, tree); err != nil {
				return note.Signature{}, err
			}
		}
		sig, err := w.client.AddCheckpoint(ctx, w.size, proof, signed)
		var other *witness.ConflictError
		if errors.As(err, &other) && attempt < 2 {
			w.size = other.Size
			continue
		}
		if err == nil {
			w.size = tree.N
		}
		return sig, err
	}
}

// status shows how the witnesses are doing, after an answer of one of them.
func (c *cosigner) status(a *answer) {
	c.n.tell(func(s *seen) {
		if a == nil {
			s.witnesses = make([]WitnessStatus, len(c.witnesses))
			for i, w := range c.witnesses {
				s.witnesses[i].Name = w.Name
			}
			return
		}
		s.witnesses = slices.Clone(s.witnesses)
		st := &s.witnesses[slices.Index(c.witnesses, a.of)]
		st.Size, st.Err, st.Refused = a.of.size, a.err, false
		outcome := "cosigned"
		var refused *witness.RefusedError
		switch {
		case errors.As(a.err, &refused):
			outcome, st.Refused = "refused", true
			c.n.Log.Error("a witness knows another history of this log", "witness", a.of.Name, "error", a.err,
				"remedy", "compare the checkpoint it serves with the journal by `verify`: events were changed, or the journal was restored from an old copy")
		case a.err != nil:
			outcome = "failed"
			c.n.Log.Warn("a witness has not cosigned", "witness", a.of.Name, "error", a.err)
		}
		c.n.Metrics.witnessed(a.of.Name, outcome)
	})
}

// publish appends a cosigned checkpoint to the stream and gives it out. Another server that was first with one of the
// same or a later tree has published it just as well.
func (n *Notary) publish(ctx context.Context, cosigned []byte, tree tlog.Tree) error {
	for {
		s := n.seen.Load()
		if s.tree.N >= tree.N {
			return nil
		}
		put, err := n.append(ctx, s.revision, cosignedType, tree.N, cosigned)
		if errors.Is(err, journal.ErrWrongRevision) {
			// Mostly the signer of this very server has gone on meanwhile.
			if !n.until(ctx, behind*n.patience, func(now *seen) bool { return now.revision > s.revision }) {
				return ctx.Err()
			}
			continue
		}
		if err != nil {
			return fmt.Errorf("publish the checkpoint of %d leaves: %w", tree.N, err)
		}
		return n.commit(nil, nil, func(s *seen) {
			s.revision = max(s.revision, int64(put.Revision))
			if tree.N > s.tree.N {
				s.cosigned, s.published, s.tree = cosigned, cosigned, tree
			}
		})
	}
}
