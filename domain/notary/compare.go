package notary

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// comparison is a second reading of the journal against the stored tree.
type comparison struct {
	from  edge  // what was compared before; its leaves are not read again
	upTo  int64 // size of the tree to compare
	moved bool  // the journal was moved: positions that differ are taken over
}

// behind is how often the end of a journal is looked for again before it counts as lost, and patience the time between:
// a node of a cluster may be behind the one that was followed.
const (
	behind   = 3
	patience = time.Second
)

// compare reads the journal again, hashes it again, and compares each leaf with the stored one. It returns the edge of
// the tree that it has read. The error is a *Broken that names the first leaf the journal does not have as it was.
func (n *Notary) compare(ctx context.Context, c comparison) (edge, error) {
	e := c.from.clone()
	if e.size == c.upTo {
		return e, nil
	}
	rows := rowReader{n: n, next: e.size, end: c.upTo}
	after := uint64(0)
	if e.size > 0 {
		row, err := n.row(ctx, e.size-1)
		if err != nil {
			return e, err
		}
		after = row.position
	}
	for attempt := 0; ; attempt++ {
		if err := n.reread(ctx, c, &e, &rows, &after); err != nil {
			return e, err
		}
		if e.size == c.upTo {
			break
		}
		if attempt < behind {
			if !sleep(ctx, n.patience) {
				return e, ctx.Err()
			}
			continue
		}
		row, err := rows.read(ctx)
		if err != nil {
			return e, err
		}
		return e, missing(e.size, row)
	}
	if err := rows.replace(); err != nil {
		return e, err
	}
	var stored tlog.Hash
	err := n.store.read(ctx, func(v view) (err error) {
		stored, err = tlog.TreeHash(c.upTo, v)
		return err
	})
	if err == nil && stored != e.root() {
		err = damaged("the hashes of its tree of %d leaves are not those of its leaves", c.upTo)
	}
	return e, err
}

// reread goes on with a comparison until it is done or the journal ends.
func (n *Notary) reread(ctx context.Context, c comparison, e *edge, rows *rowReader, after *uint64) error {
	var leaf []byte
	for event, err := range n.Journal.All(ctx, *after) {
		if err != nil {
			return err
		}
		*after = event.Position
		if !IsLeaf(event.Stream) {
			continue
		}
		row, err := rows.read(ctx)
		if err != nil {
			return err
		}
		leaf = appendLeaf(leaf[:0], event)
		if !bytes.Equal(leaf, row.leaf) {
			if err := n.vouch(ctx, e.size); err != nil {
				return err
			}
			return changed(e.size, row, event)
		}
		if event.Position != row.position {
			if !c.moved {
				return &Broken{Index: e.size, Position: event.Position, Event: event.ID, Remedy: restoreJournal,
					What: fmt.Sprintf("it was at position %d of the journal: the journal is another one", row.position)}
			}
			if err := rows.place(event.Position); err != nil {
				return err
			}
		}
		if e.add(leafHash(leaf), nil); e.size == c.upTo {
			return nil
		}
	}
	return nil
}

// vouch is an error when the stored leaf is not the one that was signed, so that the notary does not accuse the journal of
// a fault of its own file. Leaves that are not signed yet cannot be told apart.
func (n *Notary) vouch(ctx context.Context, i int64) error {
	tree := n.seen.Load().signedTree
	if i >= tree.N {
		return nil
	}
	return n.store.read(ctx, func(v view) error {
		row, err := v.row(i)
		if err != nil {
			return err
		}
		proof, err := tlog.ProveRecord(tree.N, i, tlog.TileHashReader(tree, v))
		if err == nil {
			err = tlog.CheckRecord(proof, tree.N, tree.Hash, i, leafHash(row.leaf))
		}
		if err != nil {
			return damaged("leaf %d in it is not the one that was signed, nor is the journal's: %w", i, err)
		}
		return nil
	})
}

func (n *Notary) row(ctx context.Context, i int64) (row leafRow, err error) {
	err = n.store.read(ctx, func(v view) (err error) {
		row, err = v.row(i)
		return err
	})
	return row, err
}

// rowReader reads stored leaves in order, some at a time, holding no connection in between.
type rowReader struct {
	n         *Notary
	next, end int64
	rows      []leafRow
	places    []place
}

type place struct {
	i        int64
	position uint64
}

const rowsAtOnce = 512

func (r *rowReader) read(ctx context.Context) (leafRow, error) {
	if len(r.rows) == 0 {
		err := r.n.store.read(ctx, func(v view) error {
			return v.rows(r.next, min(rowsAtOnce, r.end-r.next), func(_ int64, row leafRow) error {
				r.rows = append(r.rows, leafRow{row.position, bytes.Clone(row.leaf)})
				return nil
			})
		})
		if err != nil {
			return leafRow{}, err
		}
		if len(r.rows) == 0 {
			return leafRow{}, damaged("leaf %d is missing", r.next)
		}
	}
	row := r.rows[0]
	r.rows = r.rows[1:]
	r.next++
	return row, nil
}

// place notes where the journal has the leaf that was read last.
func (r *rowReader) place(position uint64) error {
	r.places = append(r.places, place{r.next - 1, position})
	if len(r.places) < maxBatch {
		return nil
	}
	return r.replace()
}

// replace stores the places that were noted.
func (r *rowReader) replace() (err error) {
	if len(r.places) == 0 {
		return nil
	}
	s := r.n.store
	s.mu.Lock()
	defer s.mu.Unlock()
	tx, err := s.writer.BeginImmediate()
	if err != nil {
		return err
	}
	defer tx.End(&err)
	for _, p := range r.places {
		if err := s.writer.exec(`UPDATE leaves SET position = ? WHERE i = ?`, p.position, p.i); err != nil {
			return err
		}
	}
	r.places = nil
	return nil
}

// Scrubbing uses a small part of one core: after each stretch it rests several times as long as it took, and much longer
// while events are recorded, which people wait for.
const (
	scrubStretch = 5000
	scrubRest    = 4
	scrubBusy    = 40
	scrubFirst   = 30 * time.Second
)

// scrubLoop reads the whole journal again from time to time.
func (n *Notary) scrubLoop(ctx context.Context) error {
	if n.Scrub < 0 || !n.until(ctx, 0, func(s *seen) bool { return s.resumed }) {
		return ctx.Err()
	}
	for pause := min(scrubFirst, n.Scrub); sleep(ctx, pause); pause = n.Scrub {
		if err := n.again(ctx, "comparing the whole journal with the tree", n.scrub); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (n *Notary) scrub(ctx context.Context) error {
	for e, end := (edge{}), n.seen.Load().size; e.size < end; {
		began, held := time.Now(), n.seen.Load().size
		var err error
		if e, err = n.compare(ctx, comparison{from: e, upTo: min(end, e.size+scrubStretch)}); err != nil {
			return err
		}
		rest := scrubRest * time.Since(began)
		if n.seen.Load().size > held+scrubStretch/100 {
			rest = scrubBusy * time.Since(began)
		}
		if !sleep(ctx, rest) {
			return ctx.Err()
		}
	}
	n.Metrics.scrubbed()
	return nil
}
