// Package notary keeps the log that proves what the journal holds: a Merkle tree with one leaf for each event, signed
// checkpoints of it, and proofs that outsiders check without the server. It follows C2SP: tlog-checkpoint, tlog-tiles,
// tlog-proof, tlog-policy, tlog-cosignature and tlog-witness.
//
// # Leaves
//
// Every event of the journal is a leaf, in the journal's order, except those of system streams (names beginning with "$")
// and those of the stream "checkpoint"; see IsLeaf. The leaf of index 0 is the first such event. A leaf is these bytes,
// numbers big-endian, nothing between or after them:
//
//	offset  bytes  what
//	0       8      79 64 6c 65 61 66 31 0a ("ydleaf1" and a newline)
//	8       8      revision of the event in its stream, from 0
//	16      16     event id, in the order of its text form
//	32      32     SHA-256 of the metadata as stored (of nothing if there is none)
//	64      32     SHA-256 of the data as stored: of the ciphertext where data is sealed
//	96      2      a, length of the stream's name
//	98      a      name of the stream, UTF-8
//	98+a    2      b, length of the event's type
//	100+a   b      type of the event, UTF-8
//
// The tree is that of RFC 6962 with SHA-256: the hash of a leaf is SHA-256(00 ‖ leaf), that of a node SHA-256(01 ‖ left ‖
// right). testdata/leaves.json has leaves and roots to test another implementation with. A leaf names no position and no
// server's clock, so a journal moved to another server has the same tree.
//
// # Checkpoints
//
// A checkpoint is a signed note: origin, number of leaves, root, no extension lines; signed with Ed25519 by a key whose
// name is the origin. Other signature lines (a second algorithm, cosignatures) are kept, and ignored where they are not
// known. Checkpoints are events of the stream "checkpoint": "checkpoint.signed" with the log's signature, and
// "checkpoint.cosigned", the same with the cosignatures of a quorum of witnesses. The data is the note.
//
// The rules, in plain words:
//
//   - Whatever is signed was read from the journal a second time and hashed again, and compared with what was stored.
//   - An append to the stream "checkpoint" names the exact revision. Of several servers on one journal, one signs a size;
//     the others find their append refused, read what was signed, and go on from there.
//   - A tree is durable in the notary's file before it is signed. A server that is started on an older copy of the journal,
//     or on another one, finds that the journal does not end as its tree does, and stops.
//   - Whoever stops signing says so (Status, metric, log), names the first leaf that is wrong, and goes on serving what
//     was published before. Nothing but a journal that extends the last checkpoint starts it again.
//   - A checkpoint at most a second after an append; none when there is nothing new.
//   - With a policy that asks for witnesses, what is published, proved and served as tiles is the newest checkpoint with
//     a quorum of cosignatures; signing goes on without them, and the witnesses are asked again. Without, it is the
//     newest signed one, and nothing waits.
//
// Who holds the notary's directory and not the key can deny service, not forge. Who holds the key and the journal can
// write another history, but not one that agrees with checkpoints that others hold: witnesses, and everybody who was ever
// given a proof.
package notary

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"yidang/domain/journal"
	"yidang/domain/record"
)

// Journal is what the notary needs of one; *journal.Journal is one.
type Journal interface {
	All(ctx context.Context, after uint64) iter.Seq2[journal.Stored, error]
	Stream(ctx context.Context, stream string, from uint64) iter.Seq2[journal.Stored, error]
	Follow(ctx context.Context, after uint64) iter.Seq2[journal.Item, error]
	Head(ctx context.Context) (position uint64, ok bool, err error)
	Last(ctx context.Context, stream string) (journal.Stored, bool, error)
	Append(ctx context.Context, stream string, expected journal.Expected, events ...journal.Proposed) (journal.Appended, error)
}

// Options of a Notary. Journal, Dir and Signer are required.
type Options struct {
	Journal Journal
	// Dir is the notary's own directory, made with mode 0700 when missing. The tree in it can be built again from the
	// journal, the memory of what was signed cannot: back it up, never share it between servers, and delete it only when
	// the journal is known to be whole.
	Dir string
	// Signer signs checkpoints. Its name is the log's origin, such as "yidang.example/township", and is for ever. nil
	// follows and proves but never signs, as a replica does that was not given the key; Origin is then required.
	Signer note.Signer
	Origin string // default: the signer's name
	// Also adds a signature of each of these, such as one of another algorithm; nobody needs to know them.
	Also []note.Signer
	// Keys are the verifier keys that checkpoints of this log may be signed with: this server's own, those of other
	// servers on the same journal, and earlier ones. A key is changed by adding the new one everywhere, then giving it to
	// the signers; the old one stays here for as long as its checkpoints are to count.
	Keys []note.Verifier
	// Policy names witnesses and the quorum that a published checkpoint needs; nil asks for none. Whatever logs it names,
	// the keys of this one are Keys.
	Policy  *Policy
	Metrics *Metrics     // may be nil
	Log     *slog.Logger // may be nil
	Every   time.Duration
	// Scrub is how often the whole journal is read again and compared with the tree, slowly, in the background; once soon
	// after the start, then every so often. Zero means a day, negative never.
	Scrub time.Duration
}

// defaultEvery leaves room within the second that is promised for the reading, hashing and appending.
const defaultEvery = 700 * time.Millisecond

// Notary is a log over one journal. It is safe for concurrent use; one process at a time may have its directory.
type Notary struct {
	Options
	keys      note.Verifiers
	publishes *Policy // Policy with the log's keys; never nil
	store     *store
	patience  time.Duration // see behind

	mu      sync.Mutex    // orders changes of what is seen, each of which is durable first
	changed chan struct{} // closed and replaced at each change
	seen    atomic.Pointer[seen]

	edge    edge // of the tree stored; used by the follower only
	audited edge // of the tree that was read twice; used by the signer only
}

// seen is a state as readers see it, never changed.
type seen struct {
	state
	signedTree tlog.Tree
	published  []byte
	tree       tlog.Tree // of the published checkpoint
	resumed    bool      // the journal's end was compared with what was signed
	caughtUp   bool
	waiting    time.Time        // since when leaves wait for a signature; zero when none do
	troubles   map[string]error // what is being tried again; never changed in place
	broken     *Broken
	witnesses  []WitnessStatus
}

// Open opens the notary's directory. It does not speak to the journal: Run does.
func Open(ctx context.Context, o Options) (*Notary, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Every <= 0 {
		o.Every = defaultEvery
	}
	if o.Scrub == 0 {
		o.Scrub = 24 * time.Hour
	}
	if o.Origin == "" && o.Signer != nil {
		o.Origin = o.Signer.Name()
	}
	n := &Notary{Options: o, patience: patience, changed: make(chan struct{})}
	if err := n.configure(); err != nil {
		return nil, err
	}
	store, st, err := openStore(o.Dir, o.Origin)
	if err != nil {
		return nil, err
	}
	n.store = store
	if err := n.load(ctx, st); err != nil {
		return nil, errors.Join(fmt.Errorf("open the notary's file in %s: %w", o.Dir, err), n.store.close())
	}
	o.Metrics.watch(n)
	return n, nil
}

func (n *Notary) configure() error {
	if n.Journal == nil || n.Dir == "" || n.Origin == "" {
		return record.Errorf(record.Invalid, "a notary needs a journal, a directory and a signer or an origin")
	}
	if n.Signer != nil && n.Signer.Name() != n.Origin {
		return record.Errorf(record.Invalid, "the key is named %q and the log %q: a log's key has the log's name", n.Signer.Name(), n.Origin)
	}
	for _, k := range n.Keys {
		if k.Name() != n.Origin {
			return record.Errorf(record.Invalid, "the verifier key %s+%08x is of another log than %q", k.Name(), k.KeyHash(), n.Origin)
		}
	}
	n.keys = note.VerifierList(n.Keys...)
	if n.Signer != nil {
		if _, err := n.keys.Verifier(n.Signer.Name(), n.Signer.KeyHash()); err != nil {
			return record.Errorf(record.Invalid, "the signing key's own verifier key is not among those accepted: %w", err)
		}
	}
	n.publishes = n.Policy.WithLogs(n.Keys...)
	return nil
}

// load reads the edge of the stored tree and checks that the file agrees with itself.
func (n *Notary) load(ctx context.Context, st state) error {
	s := &seen{state: st}
	if len(s.signed) > 0 {
		c, err := n.open(s.signed)
		if err != nil {
			return err
		}
		s.signedTree = c.Tree
	}
	err := n.store.read(ctx, func(v view) (err error) {
		if n.edge, err = edgeOf(s.size, v); err != nil {
			return err
		}
		n.audited, err = edgeOf(s.signedTree.N, v)
		return err
	})
	if err != nil {
		return err
	}
	if s.signedTree.N > 0 && n.audited.root() != s.signedTree.Hash {
		// They were compared before both were stored, so the file was damaged since. Nothing may be signed over it.
		return damaged("the tree of %d leaves that was signed is not the one that is stored", s.signedTree.N)
	}
	if s.size > s.signedTree.N {
		s.waiting = time.Now()
	}
	if s.published, s.tree, err = n.publishable(s); err != nil {
		return err
	}
	n.seen.Store(s)
	return nil
}

func damaged(format string, args ...any) error {
	p := record.Errorf(record.Unavailable, "the notary's file is damaged: "+format, args...)
	p.Remedy = "restore the notary's directory from its backup; it catches up by itself"
	return p
}

// publishable is the checkpoint that may be given out, and its tree.
func (n *Notary) publishable(s *seen) ([]byte, tlog.Tree, error) {
	if !n.publishes.NeedsWitnesses() {
		return s.signed, s.signedTree, nil
	}
	if len(s.cosigned) == 0 {
		return nil, tlog.Tree{}, nil
	}
	c, err := OpenCheckpoint(s.cosigned, n.publishes)
	if errors.As(err, new(*QuorumError)) {
		return nil, tlog.Tree{}, nil // the policy has changed since
	}
	return s.cosigned, c.Tree, err
}

// Close closes the file. Run must have returned.
func (n *Notary) Close() error {
	n.Metrics.forget(n)
	return n.store.close()
}

// commit makes a change of the state durable, together with leaves and nodes, and shows it.
func (n *Notary) commit(leaves []leafRow, nodes []node, change func(*seen)) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := *n.seen.Load()
	change(&s)
	if err := n.store.write(s.state, leaves, nodes); err != nil {
		return record.Errorf(record.Unavailable, "write the notary's file: %w", err)
	}
	n.show(&s)
	return nil
}

// tell changes what is only seen, not stored.
func (n *Notary) tell(change func(*seen)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := *n.seen.Load()
	change(&s)
	n.show(&s)
}

func (n *Notary) show(s *seen) {
	switch {
	case s.size <= s.signedTree.N:
		s.waiting = time.Time{}
	case s.waiting.IsZero():
		s.waiting = time.Now()
	}
	n.seen.Store(s)
	close(n.changed)
	n.changed = make(chan struct{})
}

// until waits until the state is as wanted, or the time is over; false when the context ended.
func (n *Notary) until(ctx context.Context, patience time.Duration, wanted func(*seen) bool) bool {
	var over <-chan time.Time
	if patience > 0 {
		t := time.NewTimer(patience)
		defer t.Stop()
		over = t.C
	}
	for {
		n.mu.Lock()
		s, changed := n.seen.Load(), n.changed
		n.mu.Unlock()
		if wanted(s) {
			return ctx.Err() == nil
		}
		select {
		case <-changed:
		case <-over:
			return true
		case <-ctx.Done():
			return false
		}
	}
}

// Status is how far the log is.
type Status struct {
	Size          int64         // leaves stored
	Position      uint64        // in the journal, up to which everything has been read
	SignedSize    int64         // of the newest signed checkpoint
	PublishedSize int64         // of the one that is given out
	Lag           time.Duration // how long the oldest unsigned leaf has waited; zero when all are signed
	CaughtUp      bool
	// Err is why checkpoints are not being signed. Stopped says that trying again will not help: the journal does not
	// extend what was signed, and Err is a *Broken.
	Err       error
	Stopped   bool
	Witnesses []WitnessStatus
}

// Status may be asked at any time.
func (n *Notary) Status() Status {
	s := n.seen.Load()
	st := Status{Size: s.size, Position: s.position, SignedSize: s.signedTree.N, PublishedSize: s.tree.N, CaughtUp: s.caughtUp,
		Witnesses: s.witnesses}
	if s.broken != nil {
		st.Err, st.Stopped = s.broken, true
	} else if len(s.troubles) > 0 {
		first := slices.Sorted(maps.Keys(s.troubles))[0]
		st.Err = fmt.Errorf("%s: %w", first, s.troubles[first])
	}
	if !s.waiting.IsZero() {
		st.Lag = time.Since(s.waiting)
	}
	return st
}

// Checkpoint returns the published checkpoint; ok is false as long as there is none.
func (n *Notary) Checkpoint() (signed []byte, size int64, ok bool) {
	s := n.seen.Load()
	return s.published, s.tree.N, len(s.published) > 0
}

// Broken is why signing stopped: the journal is not an extension of what was signed, or not what it was.
type Broken struct {
	Index    int64     // the first leaf that is wrong; -1 when it is not a leaf
	Position uint64    // where the journal has, or had, it
	Event    uuid.UUID // what the notary holds there; zero when nothing
	What     string
	Remedy   string
}

func (b *Broken) Error() string {
	if b.Index < 0 {
		return b.What
	}
	return fmt.Sprintf("leaf %d (event %s, position %d): %s", b.Index, b.Event, b.Position, b.What)
}

const restoreJournal = "stop writing; restore the journal from its newest backup or replica, and compare it by `verify` with a checkpoint of a witness; what was signed stays evidence of what is missing"

// Run follows the journal and signs, until the context ends; that is the only way it returns.
func (n *Notary) Run(ctx context.Context) error {
	work, stop := context.WithCancel(ctx)
	defer stop()
	var loops sync.WaitGroup
	for _, loop := range []func(context.Context) error{n.followLoop, n.signLoop, n.cosignLoop, n.scrubLoop} {
		loops.Go(func() {
			var broken *Broken
			if errors.As(loop(work), &broken) {
				n.stop(broken)
				stop()
			}
		})
	}
	loops.Wait()
	<-ctx.Done()
	return context.Cause(ctx)
}

func (n *Notary) stop(b *Broken) {
	n.Log.Error("the notary has stopped signing: the journal does not extend what was signed", "error", b, "leaf", b.Index,
		"position", b.Position, "event", b.Event, "remedy", b.Remedy)
	n.tell(func(s *seen) {
		if s.broken == nil {
			s.broken = b
		}
	})
}

// trouble notes what is being tried again, or that it has succeeded.
func (n *Notary) trouble(doing string, err error) {
	before := n.seen.Load().troubles[doing]
	if err == nil && before == nil || err != nil && before != nil && err.Error() == before.Error() {
		return
	}
	if err != nil {
		n.Log.Warn("the notary tries again", "doing", doing, "error", err)
	}
	n.tell(func(s *seen) {
		s.troubles = maps.Clone(s.troubles)
		if delete(s.troubles, doing); err != nil {
			if s.troubles == nil {
				s.troubles = map[string]error{}
			}
			s.troubles[doing] = err
		}
	})
}

// again runs f until it returns nil, a *Broken or the context ends, with a growing pause after other errors.
func (n *Notary) again(ctx context.Context, doing string, f func(context.Context) error) error {
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, 10*time.Second) {
		err := f(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if errors.As(err, new(*Broken)) {
			return err
		}
		if err == nil {
			n.trouble(doing, nil)
			return nil
		}
		n.trouble(doing, err)
		if !sleep(ctx, pause) {
			return ctx.Err()
		}
	}
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
