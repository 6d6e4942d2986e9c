package notary

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"iter"
	"runtime"
	"slices"
	"time"

	"filippo.io/torchwood"
	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/tlog"

	"yidang/domain/journal"
	"yidang/domain/record"
)

// VerifyOptions say what is verified against what. Journal and Policy are required.
type VerifyOptions struct {
	Journal interface {
		All(ctx context.Context, after uint64) iter.Seq2[journal.Stored, error]
		Stream(ctx context.Context, stream string, from uint64) iter.Seq2[journal.Stored, error]
	}
	// Policy has the log's keys, and the witnesses with the quorum that cosigned checkpoints must have.
	Policy *Policy
	// Known are checkpoints that others hold, such as what a witness publishes or an old dossier has. The journal must
	// extend each. They find what a thief of the signing key has written anew.
	Known [][]byte
	// Dir is a notary's directory to compare each leaf and each stored hash with; empty compares with none. With it the
	// first event that is wrong is named; without, the stretch between two checkpoints that it is in.
	Dir string
	// Event is called for each event, in the journal's order; leaf is its index or -1. What it keeps it must copy.
	Event func(e journal.Stored, leaf int64)
	// Progress is called about once a second.
	Progress func(VerifySummary)
	Workers  int // GOMAXPROCS by default
}

// Finding is something that is not as it should be.
type Finding struct {
	Position uint64
	Event    uuid.UUID // zero when it is not about one event
	Leaf     int64     // -1 when it is not about a leaf
	What     string
	Remedy   string
}

// VerifySummary is what was verified so far.
type VerifySummary struct {
	Events, Leaves   int64
	Position         uint64
	Root             tlog.Hash // of all leaves; only at the end
	Signed, Cosigned int64     // checkpoints read
	SignedSize       int64     // of the newest signed checkpoint that is right
	CosignedSize     int64     // of the newest one that is right and cosigned by a quorum
	Findings         int64
}

// Verify reads the whole journal, recomputes every leaf and the tree, and checks the order of each stream's revisions and
// every checkpoint, its signatures and cosignatures. What it finds wrong goes to found, and it goes on; its error is that
// of a journal that cannot be read. Hashing and signatures use all workers; memory does not grow with the journal, except
// by 16 to 54 bytes for each stream, in a temporary file that the system need not keep in memory.
func Verify(ctx context.Context, o VerifyOptions, found func(Finding)) (VerifySummary, error) {
	if o.Journal == nil || o.Policy == nil || len(o.Policy.Logs) == 0 {
		return VerifySummary{}, record.Errorf(record.Invalid, "to verify takes a journal and the keys of its log")
	}
	if o.Workers <= 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	revisions, err := newRevisions()
	if err != nil {
		return VerifySummary{}, err
	}
	defer revisions.close()
	v := &verifier{VerifyOptions: o, found: found, revisions: revisions, progressed: time.Now(), roots: map[int64]tlog.Hash{}}
	if o.Dir != "" {
		if v.stored, err = openStored(o.Dir); err != nil {
			return VerifySummary{}, err
		}
		defer v.stored.close()
	}
	next, stop := iter.Pull2(checkpointsOf(ctx, o))
	defer stop()
	v.next = next
	if err := v.start(); err != nil {
		return v.VerifySummary, err
	}
	for c, err := range inOrder(ctx, o.Workers, chunks(o.Journal.All(ctx, 0)), func(c *chunk) { c.hash(revisions.seed) }) {
		if err == nil {
			err = v.chunk(c)
		}
		if err != nil {
			return v.VerifySummary, err
		}
	}
	v.finish()
	return v.VerifySummary, nil
}

// verifier is what one pass knows. It belongs to the goroutine that called Verify.
type verifier struct {
	VerifyOptions
	VerifySummary
	found     func(Finding)
	revisions *revisions
	stored    *stored // nil when there is nothing to compare with, or it was found to differ
	edge      edge

	next    func() (checkpoint, error, bool)
	current *checkpoint // the next of the stream; nil at its end
	known   []torchwood.Checkpoint
	roots   map[int64]tlog.Hash // of trees that were signed lately, for their cosignatures
	recent  []int64             // keys of roots, oldest first

	lastSigned int64 // size
	// Checkpoints of the journal and those kept elsewhere vouch apart: a thief of the key can sign the former anew.
	here, elsewhere trail

	progressed time.Time
}

// trail is how far a series of checkpoints has been right.
type trail struct {
	good    int64   // size of the newest one whose root is right
	suspect Finding // of the first leaf after those
	wrong   bool    // a root was wrong; all later ones are, and one finding is enough
}

const recentRoots = 4096

func (v *verifier) find(f Finding) {
	v.Findings++
	if v.found != nil {
		v.found(f)
	}
}

func (v *verifier) start() error {
	for _, signed := range v.Known {
		c, err := OpenCheckpoint(signed, v.Policy.withoutQuorum())
		if err != nil {
			v.find(Finding{Leaf: -1, What: fmt.Sprintf("a checkpoint from elsewhere: %v", err), Remedy: "get it again, or verify with the keys of its log"})
			continue
		}
		v.known = append(v.known, c)
	}
	slices.SortFunc(v.known, func(a, b torchwood.Checkpoint) int { return int(min(max(a.N-b.N, -1), 1)) })
	return v.advance()
}

func (v *verifier) advance() error {
	c, err, ok := v.next()
	if v.current = nil; ok {
		v.current = &c
	}
	return err
}

func (v *verifier) chunk(c *chunk) error {
	for i := range c.events {
		e := &c.events[i]
		v.Events++
		v.Position = e.Position
		want, ok, err := v.revisions.follow(c.streams[i], e.Revision)
		if err != nil {
			return err
		}
		if !ok {
			v.find(Finding{e.Position, e.ID, -1, fmt.Sprintf("revision %d of stream %s where %d belongs: events of it are missing, doubled or out of order", e.Revision, e.Stream, want), restoreJournal})
		}
		leaf := int64(-1)
		switch {
		case e.Stream == Stream:
			if err := v.checkpointAt(e); err != nil {
				return err
			}
		case c.leaf[i]:
			leaf = v.Leaves
			if err := v.leaf(e, c.hashes[i]); err != nil {
				return err
			}
		}
		if v.Event != nil {
			v.Event(*e, leaf)
		}
	}
	if v.Progress != nil && time.Since(v.progressed) > time.Second {
		v.progressed = time.Now()
		v.Progress(v.VerifySummary)
	}
	return nil
}

func (v *verifier) leaf(e *journal.Stored, hash tlog.Hash) error {
	for _, t := range []*trail{&v.here, &v.elsewhere} {
		if v.Leaves == t.good {
			t.suspect = Finding{Position: e.Position, Event: e.ID, Leaf: v.Leaves}
		}
	}
	if len(e.Stream) > journal.MaxName || len(e.Type) > journal.MaxName {
		v.find(Finding{e.Position, e.ID, v.Leaves, "the name of its stream or type is longer than the log can hold", "find out which program wrote it"})
	}
	var err error
	if v.stored != nil {
		if f := v.stored.compare(v.Leaves, *e, hash); f != nil {
			v.find(*f)
			v.stored.close()
			v.stored = nil
		}
	}
	v.edge.add(hash, func(level int, n int64, hash tlog.Hash) {
		if v.stored != nil {
			if f := v.stored.node(level, n, hash); f != nil {
				v.find(*f)
			}
		}
	})
	v.Leaves++
	for len(v.known) > 0 && v.known[0].N <= v.Leaves {
		if v.known[0].N == v.Leaves {
			v.root(v.known[0].Tree, "a checkpoint that was kept elsewhere", &v.elsewhere)
		}
		v.known = v.known[1:]
	}
	// What is wrong by itself is not waited for: behind it may be one that is due now.
	for err == nil && v.current != nil && (v.current.err != nil || v.current.N <= v.Leaves) {
		err = v.checkpoint()
	}
	return err
}

// checkpointAt meets an event of the checkpoint stream in the journal's order. By now it must have been checked: what it
// signs comes before it.
func (v *verifier) checkpointAt(e *journal.Stored) error {
	for v.current != nil && v.current.event.Revision <= e.Revision {
		if c := v.current; c.err == nil && c.N > v.Leaves {
			if f := v.here.suspect; !v.here.wrong && v.here.good < v.Leaves {
				f.What = fmt.Sprintf("of the events from this one to the checkpoint over %d leaves (revision %d) %d are missing", c.N, c.event.Revision, c.N-v.Leaves)
				f.Remedy = restoreJournal
				v.find(f)
			} else if !v.here.wrong {
				v.findCheckpoint(c, fmt.Sprintf("it was signed over %d leaves, and the journal has %d before it", c.N, v.Leaves))
			}
			v.here.wrong = true
			if err := v.advance(); err != nil {
				return err
			}
			continue
		}
		if err := v.checkpoint(); err != nil {
			return err
		}
	}
	return nil
}

// checkpoint checks the current checkpoint, whose leaves have been read, and goes to the next.
func (v *verifier) checkpoint() error {
	c := v.current
	if c.event.Type == cosignedType {
		v.Cosigned++
	} else {
		v.Signed++
	}
	switch {
	case c.err != nil:
		v.findCheckpoint(c, c.err.Error())
	case c.event.Type == signedType && c.N <= v.lastSigned:
		v.findCheckpoint(c, fmt.Sprintf("it signs %d leaves after %d were signed", c.N, v.lastSigned))
	case c.event.Type == signedType:
		v.lastSigned = c.N
		if v.root(c.Tree, "the signed checkpoint", &v.here) {
			v.SignedSize = c.N
		}
	default:
		if hash, ok := v.roots[c.N]; !ok {
			v.findCheckpoint(c, "it was cosigned and not signed before")
		} else if hash != c.Hash && !v.here.wrong {
			v.findCheckpoint(c, "it was cosigned with another root than the journal's")
		} else if hash == c.Hash && c.quorum {
			v.CosignedSize = max(v.CosignedSize, c.N)
		}
	}
	return v.advance()
}

func (v *verifier) findCheckpoint(c *checkpoint, what string) {
	v.find(Finding{c.event.Position, c.event.ID, -1, fmt.Sprintf("checkpoint event (revision %d): %s", c.event.Revision, what),
		"compare with the checkpoints of a witness, and find out who wrote it"})
}

// root compares the tree of all leaves read so far with what was signed.
func (v *verifier) root(signed tlog.Tree, by string, t *trail) bool {
	hash := v.edge.root()
	v.remember(signed.N, hash)
	if hash == signed.Hash {
		t.good = signed.N
		return true
	}
	if t.wrong {
		return false
	}
	t.wrong = true
	f := t.suspect
	f.What = fmt.Sprintf("the events of leaves %d to %d are not those that %s of size %d covers: one of them was changed, removed, added or moved", t.good, signed.N-1, by, signed.N)
	if t.good == signed.N-1 {
		f.What = fmt.Sprintf("the event is not the one that %s of size %d covers", by, signed.N)
	}
	f.Remedy = restoreJournal
	if t == &v.elsewhere && !v.here.wrong {
		f.Remedy = "the journal was signed anew: the signing key is stolen, change it; " + restoreJournal
	}
	v.find(f)
	return false
}

func (v *verifier) remember(size int64, hash tlog.Hash) {
	if _, ok := v.roots[size]; ok {
		return
	}
	v.roots[size] = hash
	if v.recent = append(v.recent, size); len(v.recent) > recentRoots {
		delete(v.roots, v.recent[0])
		v.recent = v.recent[1:]
	}
}

func (v *verifier) finish() {
	v.Root = v.edge.root()
	for _, c := range v.known {
		v.find(Finding{v.Position, uuid.Nil, v.Leaves, fmt.Sprintf("a checkpoint that was kept elsewhere has %d leaves, the journal %d: its end is missing", c.N, v.Leaves), restoreJournal})
	}
	if v.stored != nil {
		if f := v.stored.end(v.Leaves); f != nil {
			v.find(*f)
		}
	}
	if v.Progress != nil {
		v.Progress(v.VerifySummary)
	}
}

// withoutQuorum is the policy that asks for no cosignature but checks those it knows.
func (p *Policy) withoutQuorum() *Policy { return &Policy{Logs: p.Logs, Witnesses: p.Witnesses} }

// checkpoint is an event of the checkpoint stream, opened. err is what is wrong with it by itself.
type checkpoint struct {
	torchwood.Checkpoint
	event  journal.Stored
	quorum bool // of the policy
	err    error
}

// checkpointsOf reads the checkpoint stream ahead, checking signatures in all workers.
func checkpointsOf(ctx context.Context, o VerifyOptions) iter.Seq2[checkpoint, error] {
	events := func(yield func(*checkpoint, error) bool) {
		for e, err := range o.Journal.Stream(ctx, Stream, 0) {
			if !yield(&checkpoint{event: e}, err) {
				return
			}
		}
	}
	return func(yield func(checkpoint, error) bool) {
		for c, err := range inOrder(ctx, o.Workers, events, func(c *checkpoint) { c.open(o.Policy) }) {
			if err != nil {
				yield(checkpoint{}, err)
				return
			}
			if !yield(*c, nil) {
				return
			}
		}
	}
}

func (c *checkpoint) open(p *Policy) {
	switch c.event.Type {
	case cosignedType:
		c.Checkpoint, c.err = OpenCheckpoint(c.event.Data, p)
		if c.quorum = c.err == nil; errors.As(c.err, new(*QuorumError)) {
			// The policy may be younger than it. What is wrong with its signatures shows all the same.
			c.Checkpoint, c.err = OpenCheckpoint(c.event.Data, p.withoutQuorum())
		}
	case signedType:
		c.Checkpoint, c.err = OpenCheckpoint(c.event.Data, p.withoutQuorum())
	default:
		c.err = fmt.Errorf("an event of type %s does not belong into its stream", c.event.Type)
	}
}

// chunk is a stretch of the journal that one worker hashes.
type chunk struct {
	events  []journal.Stored
	leaf    []bool
	hashes  []tlog.Hash
	streams []uint64
}

const (
	chunkEvents = 256
	chunkBytes  = 1 << 20
)

func chunks(events iter.Seq2[journal.Stored, error]) iter.Seq2[*chunk, error] {
	return func(yield func(*chunk, error) bool) {
		c, size := &chunk{}, 0
		for e, err := range events {
			if err != nil {
				yield(nil, err)
				return
			}
			if c.events == nil {
				c.events = make([]journal.Stored, 0, chunkEvents)
			}
			c.events = append(c.events, e)
			size += len(e.Meta) + len(e.Data)
			if len(c.events) == chunkEvents || size >= chunkBytes {
				if !yield(c, nil) {
					return
				}
				c, size = &chunk{}, 0
			}
		}
		if len(c.events) > 0 {
			yield(c, nil)
		}
	}
}

func (c *chunk) hash(seed maphash.Seed) {
	n := len(c.events)
	c.leaf, c.hashes, c.streams = make([]bool, n), make([]tlog.Hash, n), make([]uint64, n)
	var leaf []byte
	for i, e := range c.events {
		c.streams[i] = maphash.String(seed, e.Stream)
		if c.leaf[i] = IsLeaf(e.Stream); c.leaf[i] {
			leaf = appendLeaf(leaf[:0], e)
			c.hashes[i] = leafHash(leaf)
		}
	}
}
