package notary

import (
	"context"
	"errors"
	"fmt"
	"time"

	"filippo.io/torchwood"
	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"yidang/domain/journal"
	"yidang/domain/record"
)

const (
	// gatherTime lets what belongs together be signed together.
	gatherTime = 150 * time.Millisecond
	// appendTimeout bounds one try; the outcome of one that was cut off shows when the stream is read.
	appendTimeout = 10 * time.Second
	// quietTime is how long nothing comes before signing goes on without the server's word that this is all.
	quietTime = 5 * time.Second
)

// signLoop signs whenever there is something new, at most once in Every.
func (n *Notary) signLoop(ctx context.Context) error {
	if n.Signer == nil {
		return nil
	}
	for {
		if !n.until(ctx, 0, func(s *seen) bool { return s.resumed && s.size > s.signedTree.N }) {
			return ctx.Err()
		}
		if !n.caughtUp(ctx) || !sleep(ctx, min(gatherTime, n.Every)) {
			return ctx.Err()
		}
		began := time.Now()
		if err := n.again(ctx, "signing", n.sign); err != nil {
			return err
		}
		if !sleep(ctx, n.Every-time.Since(began)) {
			return ctx.Err()
		}
	}
}

// caughtUp waits until what was in the journal at the start is stored; false when the context ended.
func (n *Notary) caughtUp(ctx context.Context) bool {
	for {
		before := n.seen.Load()
		if before.caughtUp || !n.until(ctx, quietTime, func(s *seen) bool { return s.caughtUp || s.size != before.size }) {
			return ctx.Err() == nil
		}
		if n.seen.Load().size == before.size {
			return true
		}
	}
}

// sign signs the stored tree, if there is more of it than was signed. The steps, and what a crash after each means:
//
//  1. The journal is read again from the last audited leaf on, and compared with the stored tree, which is durable and
//     extends what was signed. Nothing has happened yet.
//  2. The checkpoint is appended, at the exact revision that follows what is known. After a restart it is read from the
//     stream. If another server was first the append is refused, and that server's checkpoint will have been read,
//     checked and taken over before this one tries again. An append that was cut off has happened or not; if not, the
//     tree that is signed next extends the one whose signature nobody got.
//  3. It is noted as the newest one and published.
func (n *Notary) sign(ctx context.Context) error {
	began := time.Now()
	s := n.seen.Load()
	if s.size <= s.signedTree.N {
		return nil
	}
	audited, err := n.compare(ctx, comparison{from: n.audited, upTo: s.size})
	if err != nil {
		return err
	}
	n.audited = audited
	tree := audited.tree()
	signed, err := n.seal(tree)
	if err != nil {
		return err
	}
	put, err := n.append(ctx, s.revision, signedType, tree.N, signed)
	if errors.Is(err, journal.ErrWrongRevision) {
		n.Metrics.overtaken()
		n.until(ctx, behind*n.patience, func(now *seen) bool { return now.revision > s.revision })
		return nil
	}
	if err != nil {
		return err
	}
	err = n.commit(nil, nil, func(s *seen) {
		s.revision = max(s.revision, int64(put.Revision))
		if tree.N > s.signedTree.N {
			s.signed, s.signedTree = signed, tree
		}
		if !n.publishes.NeedsWitnesses() {
			s.published, s.tree = s.signed, s.signedTree
		}
	})
	if err == nil {
		n.Metrics.signed(time.Since(began))
	}
	return err
}

// seal makes the signed checkpoint and opens it again: a fault of this machine must not leave it as a signature.
func (n *Notary) seal(tree tlog.Tree) ([]byte, error) {
	text := torchwood.Checkpoint{Origin: n.Origin, Tree: tree}.String()
	signed, err := note.Sign(&note.Note{Text: text}, append([]note.Signer{n.Signer}, n.Also...)...)
	if err != nil {
		return nil, fmt.Errorf("sign the checkpoint of %d leaves: %w", tree.N, err)
	}
	if c, err := n.open(signed); err != nil || c.Tree != tree {
		return nil, errors.Join(fmt.Errorf("the signature just made over %d leaves does not verify", tree.N), err)
	}
	return signed, nil
}

// checkpointSpace makes the ids of checkpoint events out of their bytes, so that a repeated append is known for one.
var checkpointSpace = uuid.MustParse("0d2f4c1e-6c0b-5a55-9a0e-6f6e6f746172")

func (n *Notary) append(ctx context.Context, revision int64, kind string, size int64, data []byte) (journal.Appended, error) {
	ctx, cancel := context.WithTimeout(ctx, appendTimeout)
	defer cancel()
	expected := journal.NoStream
	if revision >= 0 {
		expected = journal.Exactly(uint64(revision))
	}
	put, err := n.Journal.Append(ctx, Stream, expected, journal.Proposed{
		ID: uuid.NewSHA1(checkpointSpace, append([]byte(kind+"\n"), data...)), Type: kind, Binary: true, Data: data,
		Meta: fmt.Appendf(nil, `{"form":1,"size":%d}`, size),
	})
	if err != nil && record.KindOf(err) == "" {
		err = record.Errorf(record.Unavailable, "append a checkpoint: %w", err)
	}
	return put, err
}
