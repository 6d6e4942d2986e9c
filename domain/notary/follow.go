package notary

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/tlog"

	"yidang/domain/journal"
	"yidang/domain/record"
)

// maxBatch is how many events are stored in one transaction while catching up: what a crash then costs.
const maxBatch = 10_000

// arrival is what the journal yielded, reduced to what the log needs of it.
type arrival struct {
	position   uint64
	leaf       []byte          // nil unless it is a leaf
	checkpoint *journal.Stored // an event of the checkpoint stream
	caughtUp   bool
	err        error // the last arrival has it
}

const following = "following the journal"

// followLoop stores the leaves of what is appended.
func (n *Notary) followLoop(ctx context.Context) error {
	if err := n.again(ctx, "comparing the journal with what was signed", n.resume); err != nil {
		return err
	}
	n.tell(func(s *seen) { s.resumed = true })
	return n.again(ctx, following, n.follow)
}

// follow reads from where the stored tree ends. Nothing of a batch that failed remains, in the file or in memory.
func (n *Notary) follow(ctx context.Context) (err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	arrivals := make(chan arrival, maxBatch)
	go n.receive(ctx, n.seen.Load().position, arrivals)
	for {
		batch, ok := gather(ctx, arrivals)
		if !ok {
			return ctx.Err()
		}
		began := time.Now()
		if err := n.take(ctx, batch); err != nil {
			return err
		}
		n.trouble(following, nil)
		if last := batch[len(batch)-1]; last.err != nil {
			return last.err
		}
		if len(batch) < maxBatch/10 && !sleep(ctx, storePace-time.Since(began)) {
			return ctx.Err()
		}
	}
}

// storePace is the least time between two small transactions: one for each event that comes alone would take more of the
// machine than the event itself. It is a small part of the second in which a checkpoint must follow.
const storePace = 40 * time.Millisecond

// receive turns events into leaves as they come. Their content is let go of here, so what waits in the channel is small.
func (n *Notary) receive(ctx context.Context, after uint64, arrivals chan<- arrival) {
	send := func(a arrival) bool {
		select {
		case arrivals <- a:
			return true
		case <-ctx.Done():
			return false
		}
	}
	for item, err := range n.Journal.Follow(ctx, after) {
		a := arrival{position: item.Position, caughtUp: item.Kind == journal.CaughtUp, err: err}
		switch {
		case err != nil:
		case item.Kind == journal.Lost:
			n.trouble(following, item.Cause)
			continue
		case item.Kind != journal.Happened:
		case item.Event.Stream == Stream:
			e := item.Event
			a.checkpoint = &e
		case IsLeaf(item.Event.Stream):
			if len(item.Event.Stream) > journal.MaxName || len(item.Event.Type) > journal.MaxName {
				a.err = &Broken{Index: -1, Position: item.Position, Event: item.Event.ID,
					What: "an event's stream or type has a longer name than the log can hold", Remedy: "find out which program wrote it"}
			} else {
				a.leaf = Leaf(item.Event)
			}
		}
		if !send(a) || a.err != nil {
			return
		}
	}
}

// gather waits for an arrival and takes what has come with it.
func gather(ctx context.Context, arrivals <-chan arrival) ([]arrival, bool) {
	var batch []arrival
	select {
	case a := <-arrivals:
		batch = append(batch, a)
	case <-ctx.Done():
		return nil, false
	}
	for len(batch) < maxBatch {
		select {
		case a := <-arrivals:
			batch = append(batch, a)
		default:
			return batch, true
		}
	}
	return batch, true
}

// take stores a batch. Of the checkpoints in it, the last of each type is checked against the tree; the earlier ones
// were signed over by it, and Verify checks each.
func (n *Notary) take(ctx context.Context, batch []arrival) error {
	newest := map[string]int{}
	known := n.seen.Load().revision
	for i, a := range batch {
		if a.checkpoint != nil && int64(a.checkpoint.Revision) > known {
			newest[a.checkpoint.Type] = i
		}
	}
	p := pending{n: n, edge: n.edge.clone()}
	for i, a := range batch {
		switch {
		case a.leaf != nil:
			p.add(a)
		case a.checkpoint != nil && newest[a.checkpoint.Type] == i && int64(a.checkpoint.Revision) > known:
			// What precedes it must be stored to be compared with it.
			if err := p.flush(func(s *seen) {}); err != nil {
				return err
			}
			if err := n.meet(ctx, *a.checkpoint); err != nil {
				return err
			}
		}
		if a.err == nil && a.position > 0 {
			p.position = a.position
		}
		p.caughtUp = p.caughtUp || a.caughtUp
	}
	return p.flush(func(s *seen) { s.caughtUp = s.caughtUp || p.caughtUp })
}

// pending is what of a batch is not stored yet.
type pending struct {
	n        *Notary
	edge     edge
	leaves   []leafRow
	nodes    []node
	position uint64
	caughtUp bool
}

func (p *pending) add(a arrival) {
	p.leaves = append(p.leaves, leafRow{a.position, a.leaf})
	p.edge.add(leafHash(a.leaf), func(level int, n int64, hash tlog.Hash) { p.nodes = append(p.nodes, node{level, n, hash}) })
}

// flush stores the leaves. A batch without any moves the position in memory only: the same few events are passed over
// again after a restart, which is cheaper than a write for each checkpoint.
func (p *pending) flush(change func(*seen)) error {
	move := func(s *seen) {
		s.size, s.position = p.edge.size, max(s.position, p.position)
		change(s)
	}
	if len(p.leaves) == 0 {
		p.n.tell(move)
		return nil
	}
	began := time.Now()
	if err := p.n.commit(p.leaves, p.nodes, move); err != nil {
		return err
	}
	p.n.Metrics.stored(len(p.leaves), time.Since(began))
	p.n.edge = p.edge.clone()
	p.leaves, p.nodes = nil, nil
	return nil
}

// Types of the events of the checkpoint stream.
const (
	signedType   = "checkpoint.signed"
	cosignedType = "checkpoint.cosigned"
)

// meet takes note of a checkpoint that another server appended, or this one before a crash. What cannot be accepted stops
// the notary before its position moves past it: with a configuration that knows the key it is met again, and accepted.
func (n *Notary) meet(ctx context.Context, e journal.Stored) error {
	s := n.seen.Load()
	broken := func(remedy, format string, args ...any) error {
		return &Broken{Index: -1, Position: e.Position, Event: e.ID, Remedy: remedy,
			What: fmt.Sprintf("checkpoint event %s (revision %d): ", e.ID, e.Revision) + fmt.Sprintf(format, args...)}
	}
	if e.Type != signedType && e.Type != cosignedType {
		return broken("find out which program wrote it", "of the unknown type %s", e.Type)
	}
	c, err := n.open(e.Data)
	if err != nil {
		return broken("if it was signed with another key of this log, add its verifier key to those accepted; otherwise find out who wrote it", "%v", err)
	}
	if c.N > s.size {
		return broken(restoreJournal, "it was signed over %d leaves, and the journal has %d before it", c.N, s.size)
	}
	if err := n.hasTree(ctx, c.Tree); err != nil {
		var b *Broken
		if errors.As(err, &b) {
			return broken(b.Remedy, "%s", b.What)
		}
		return err
	}
	return n.commit(nil, nil, func(s *seen) {
		s.revision = max(s.revision, int64(e.Revision))
		if e.Type == signedType && c.N > s.signedTree.N {
			s.signed, s.signedTree = e.Data, c.Tree
		}
		if e.Type == cosignedType {
			n.adopt(s, e.Data)
		}
		if pub, tree, err := n.publishable(s); err == nil && tree.N >= s.tree.N {
			s.published, s.tree = pub, tree
		}
	})
}

// adopt takes a cosigned checkpoint if it is newer and has the quorum that this server's policy wants.
func (n *Notary) adopt(s *seen, cosigned []byte) {
	c, err := OpenCheckpoint(cosigned, n.publishes)
	if err != nil {
		n.Log.Info("a cosigned checkpoint is not taken over: it does not satisfy the policy of this server", "error", err)
		return
	}
	if old, err := n.open(s.cosigned); err != nil || c.N > old.N {
		s.cosigned = cosigned
	}
}

// hasTree is a *Broken unless the stored tree, at that size, has that root. The zero tree stands for none.
func (n *Notary) hasTree(ctx context.Context, tree tlog.Tree) error {
	if tree.N == 0 {
		return nil
	}
	var hash tlog.Hash
	err := n.store.read(ctx, func(v view) (err error) {
		hash, err = tlog.TreeHash(tree.N, v)
		return err
	})
	if err != nil {
		return err
	}
	if hash != tree.Hash {
		return &Broken{Index: -1, What: fmt.Sprintf("the tree of %d leaves that was signed has the root %v, the journal's has %v: one of the leaves below %d is another one", tree.N, tree.Hash, hash, tree.N),
			Remedy: restoreJournal}
	}
	return nil
}

// resume compares the end of the journal with the end of the stored tree, before anything is built on it.
func (n *Notary) resume(ctx context.Context) error {
	s := n.seen.Load()
	if s.size > 0 {
		same, err := n.endsAlike(ctx, s.size)
		if err != nil {
			return err
		}
		if !same {
			n.Log.Warn("the journal's end is not the one that the notary knows: comparing all of it")
			if err := n.relocate(ctx, s.size); err != nil {
				return err
			}
		}
	}
	for attempt := 0; ; attempt++ {
		last, ok, err := n.Journal.Last(ctx, Stream)
		if err != nil {
			return err
		}
		if s.revision < 0 || ok && int64(last.Revision) >= s.revision {
			break
		}
		if attempt < behind {
			if !sleep(ctx, n.patience) {
				return ctx.Err()
			}
			continue
		}
		return &Broken{Index: -1, What: fmt.Sprintf("the checkpoint stream ended at revision %d and now ends before it: the journal has lost its end", s.revision), Remedy: restoreJournal}
	}
	return nil
}

// endsAlike says whether the last stored leaf is still in its place in the journal.
func (n *Notary) endsAlike(ctx context.Context, size int64) (bool, error) {
	var last, before leafRow
	err := n.store.read(ctx, func(v view) (err error) {
		if last, err = v.row(size - 1); err == nil && size > 1 {
			before, err = v.row(size - 2)
		}
		return err
	})
	if err != nil {
		return false, err
	}
	for e, err := range n.Journal.All(ctx, before.position) {
		if record.KindOf(err) == record.Invalid {
			return false, nil // the server knows no such position: it is another journal, or a shorter one
		}
		if err != nil {
			return false, err
		}
		if !IsLeaf(e.Stream) {
			continue
		}
		return e.Position == last.position && string(Leaf(e)) == string(last.leaf), nil
	}
	return false, nil
}

// relocate compares the whole journal with the stored tree. If the leaves are the same and only their positions differ,
// the journal was moved to another server, and the positions are taken over.
func (n *Notary) relocate(ctx context.Context, size int64) error {
	if _, err := n.compare(ctx, comparison{upTo: size, moved: true}); err != nil {
		return err
	}
	return n.store.read(ctx, func(v view) error {
		row, err := v.row(size - 1)
		if err != nil {
			return err
		}
		n.tell(func(s *seen) { s.position = row.position })
		return nil
	})
}

func missing(i int64, row leafRow) *Broken {
	return &Broken{Index: i, Position: row.position, Event: leafEvent(row.leaf), Remedy: restoreJournal,
		What: "the journal no longer has it, nor anything after it"}
}

func changed(i int64, row leafRow, e journal.Stored) *Broken {
	b := &Broken{Index: i, Position: e.Position, Event: leafEvent(row.leaf), Remedy: restoreJournal}
	then, err := ParseLeaf(row.leaf)
	now, _ := ParseLeaf(Leaf(e))
	switch {
	case err != nil:
		b.What = "the notary's own copy of the leaf is damaged"
	case then.Event != now.Event || then.Event == uuid.Nil:
		b.What = fmt.Sprintf("the journal has event %s in its place", e.ID)
	case then.DataHash != now.DataHash:
		b.What = "its content was changed after it was recorded"
	case then.MetaHash != now.MetaHash:
		b.What = "its metadata was changed after it was recorded"
	default:
		b.What = fmt.Sprintf("it was revision %d of %s, of type %s, and is now revision %d of %s, of type %s",
			then.Revision, then.Stream, then.Type, now.Revision, now.Stream, now.Type)
	}
	return b
}
