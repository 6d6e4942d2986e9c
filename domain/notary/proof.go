package notary

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"filippo.io/torchwood"
	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/tlog"

	"yidang/domain/journal"
	"yidang/domain/record"
)

// ErrNotYet is the answer for an event that no published checkpoint covers yet.
var ErrNotYet = &record.Problem{
	Kind:    record.Unavailable,
	Message: "no published checkpoint covers this event yet",
	Zh:      "该记录尚未被已发布的检查点覆盖",
	Remedy:  "ask again in a second",
}

// Proof proves that a leaf is in the tree of a checkpoint.
type Proof struct {
	Index      int64
	Leaf       []byte // see ParseLeaf for what it says
	Hashes     tlog.RecordProof
	Checkpoint []byte // signed, and cosigned where the policy asks for it
}

const proofHeader = "c2sp.org/tlog-proof@v1"

// Text is the proof in C2SP tlog-proof form. Its extra data is the leaf.
func (p Proof) Text() []byte {
	return torchwood.FormatProofWithExtraData(p.Index, p.Leaf, p.Hashes, p.Checkpoint)
}

// ParseProof reads a proof that Text made, without verifying anything. Only one spelling of a proof is accepted.
func ParseProof(text []byte) (Proof, error) {
	head, checkpoint, ok := bytes.Cut(text, []byte("\n\n"))
	lines := strings.Split(string(head), "\n")
	if !ok || len(lines) < 3 || lines[0] != proofHeader {
		return Proof{}, errors.New("this is not a proof in the form " + proofHeader)
	}
	extra, hasExtra := strings.CutPrefix(lines[1], "extra ")
	index, hasIndex := strings.CutPrefix(lines[2], "index ")
	if !hasExtra || !hasIndex {
		return Proof{}, errors.New("the proof names no leaf or no index")
	}
	p := Proof{Checkpoint: checkpoint}
	var err error
	if p.Leaf, err = base64.StdEncoding.DecodeString(extra); err != nil {
		return Proof{}, fmt.Errorf("the proof's leaf: %w", err)
	}
	if p.Index, err = strconv.ParseInt(index, 10, 64); err != nil || p.Index < 0 {
		return Proof{}, fmt.Errorf("the proof's index %q is not a number", index)
	}
	for _, line := range lines[3:] {
		hash, err := tlog.ParseHash(line)
		if err != nil {
			return Proof{}, fmt.Errorf("the proof's hashes: %w", err)
		}
		p.Hashes = append(p.Hashes, hash)
	}
	if !bytes.Equal(p.Text(), text) {
		return Proof{}, errors.New("the proof is not in its one form")
	}
	return p, nil
}

// Verify checks the proof's checkpoint against the policy and that the tree has the leaf at the index.
func (p Proof) Verify(policy *Policy) (torchwood.Checkpoint, error) {
	c, err := OpenCheckpoint(p.Checkpoint, policy)
	if err != nil {
		return c, err
	}
	if err := tlog.CheckRecord(p.Hashes, c.N, c.Hash, p.Index, tlog.RecordHash(p.Leaf)); err != nil {
		return c, fmt.Errorf("the tree of %d leaves does not have this leaf at index %d", c.N, p.Index)
	}
	return c, nil
}

// VerifyEvent checks that the proof is one of this event as it was stored.
func (p Proof) VerifyEvent(e journal.Stored, policy *Policy) (torchwood.Checkpoint, error) {
	c, err := p.Verify(policy)
	if err == nil && !bytes.Equal(p.Leaf, Leaf(e)) {
		err = fmt.Errorf("what is proved is not event %s as it is here: it, its metadata, its place in the stream or its content was changed", e.ID)
	}
	return c, err
}

// Proof proves an event against the published checkpoint. Kinds: NotFound for an event that is no leaf; ErrNotYet. The
// proof was checked before it is returned.
func (n *Notary) Proof(ctx context.Context, event uuid.UUID) (Proof, error) {
	proofs, err := n.Proofs(ctx, event)
	if err != nil {
		return Proof{}, err
	}
	return proofs[0], nil
}

// Proofs proves several events against one checkpoint. An error names the first event that cannot be proved.
func (n *Notary) Proofs(ctx context.Context, events ...uuid.UUID) ([]Proof, error) {
	s := n.seen.Load()
	proofs := make([]Proof, 0, len(events))
	err := n.store.read(ctx, func(v view) error {
		hashes := tlog.TileHashReader(s.tree, newTileCache(v))
		for _, event := range events {
			i, err := v.find(event)
			if err != nil {
				return err
			}
			if i < 0 || i >= s.tree.N {
				return n.unproved(ctx, s, event, i)
			}
			p, err := s.prove(v, hashes, i)
			if err != nil {
				return err
			}
			proofs = append(proofs, p)
		}
		return nil
	})
	return proofs, err
}

// unproved says why an event has no proof: it is not covered yet, or it is none of the journal's.
func (n *Notary) unproved(ctx context.Context, s *seen, event uuid.UUID, i int64) error {
	if i < 0 {
		head, ok, err := n.Journal.Head(ctx)
		if err != nil {
			return err
		}
		if !ok || head <= s.position {
			return &record.Problem{Kind: record.NotFound, Field: "event", Message: fmt.Sprintf("the log has no event %s", event), Zh: "存证日志中没有该记录",
				Remedy: "take the id from a receipt or from a line of the timeline"}
		}
	}
	return ErrNotYet
}

func (s *seen) prove(v view, hashes tlog.HashReader, i int64) (Proof, error) {
	row, err := v.row(i)
	if err != nil {
		return Proof{}, err
	}
	p := Proof{Index: i, Leaf: row.leaf, Checkpoint: s.published}
	if p.Hashes, err = tlog.ProveRecord(s.tree.N, i, hashes); err != nil {
		return Proof{}, fmt.Errorf("prove leaf %d: %w", i, damaged("%w", err))
	}
	if err := tlog.CheckRecord(p.Hashes, s.tree.N, s.tree.Hash, i, leafHash(row.leaf)); err != nil {
		return Proof{}, damaged("leaf %d does not prove: %w", i, err)
	}
	return p, nil
}

// Consistency proves that a tree extends an older one.
type Consistency struct {
	From, To   tlog.Tree
	Hashes     tlog.TreeProof
	Checkpoint []byte // the published one, which covers both
}

// Consistency proves that the tree of `to` leaves extends that of `from` (RFC 6962, section 2.1.2); both sizes are at
// least 1, from is not above to, and to not above the published size; zero for `to` means the published size. The proof of
// a size against itself is empty. It was checked before it is returned.
func (n *Notary) Consistency(ctx context.Context, from, to int64) (Consistency, error) {
	s := n.seen.Load()
	if to == 0 {
		to = s.tree.N
	}
	switch {
	case to > s.tree.N || s.tree.N == 0:
		return Consistency{}, ErrNotYet
	case from < 1 || to < from:
		return Consistency{}, record.Errorf(record.Invalid, "a consistency proof goes from a size of at least 1 to one not below it, not from %d to %d", from, to)
	}
	p := Consistency{From: tlog.Tree{N: from}, To: tlog.Tree{N: to}, Checkpoint: s.published}
	err := n.store.read(ctx, func(v view) (err error) {
		hashes := tlog.TileHashReader(s.tree, newTileCache(v))
		for _, t := range []*tlog.Tree{&p.From, &p.To} {
			if t.Hash, err = tlog.TreeHash(t.N, hashes); err != nil {
				return damaged("%w", err)
			}
		}
		if p.Hashes, err = tlog.ProveTree(to, from, hashes); err != nil {
			return damaged("%w", err)
		}
		return nil
	})
	if err == nil && from < to {
		if err = tlog.CheckTree(p.Hashes, to, p.To.Hash, from, p.From.Hash); err != nil {
			err = damaged("the tree of %d leaves does not prove to extend that of %d: %w", to, from, err)
		}
	}
	return p, err
}

// SizeAt is the size of the smallest tree that has an event.
func (n *Notary) SizeAt(ctx context.Context, event uuid.UUID) (size int64, err error) {
	s := n.seen.Load()
	err = n.store.read(ctx, func(v view) error {
		i, err := v.find(event)
		if err == nil && (i < 0 || i >= s.tree.N) {
			err = n.unproved(ctx, s, event, i)
		}
		size = i + 1
		return err
	})
	return size, err
}

// consistency reads hashes that are checked against a tree of at least `to` leaves.
func (n *Notary) consistency(ctx context.Context, from, to int64, tree tlog.Tree) (proof tlog.TreeProof, err error) {
	err = n.store.read(ctx, func(v view) (err error) {
		if proof, err = tlog.ProveTree(to, from, tlog.TileHashReader(tree, newTileCache(v))); err != nil {
			err = damaged("%w", err)
		}
		return err
	})
	return proof, err
}

// tileCache reads each tile once: proofs of neighbours share nearly all of theirs.
type tileCache struct {
	view
	have map[tlog.Tile][]byte
}

const tileCacheMax = 512 // 4 MiB

func newTileCache(v view) *tileCache { return &tileCache{v, map[tlog.Tile][]byte{}} }

func (c *tileCache) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	data := make([][]byte, len(tiles))
	for i, t := range tiles {
		if data[i] = c.have[t]; data[i] != nil {
			continue
		}
		var err error
		if data[i], err = c.tile(t); err != nil {
			return nil, err
		}
		if len(c.have) >= tileCacheMax {
			clear(c.have)
		}
		c.have[t] = data[i]
	}
	return data, nil
}
