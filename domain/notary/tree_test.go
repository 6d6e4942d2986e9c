package notary

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"filippo.io/torchwood"
	"github.com/google/uuid"
	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"

	"yidang/domain/journal"
	"yidang/domain/record"
)

// Ensure that leaves are to the byte what the package comment says. The vectors were made by another program, in another
// language, from that text.
func TestVectors(t *testing.T) {
	var vectors struct {
		Leaves []struct {
			Stream, Type, Meta, Data string
			Revision                 uint64
			Event                    uuid.UUID
			Leaf, Hash, Root         string
		}
	}
	text, err := os.ReadFile("testdata/leaves.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &vectors); err != nil {
		t.Fatal(err)
	}
	if len(vectors.Leaves) < 5 {
		t.Fatal("there are too few vectors")
	}
	var e edge
	for i, v := range vectors.Leaves {
		meta, err1 := hex.DecodeString(v.Meta)
		data, err2 := hex.DecodeString(v.Data)
		if err1 != nil || err2 != nil {
			t.Fatal(err1, err2)
		}
		leaf := Leaf(journal.Stored{Stream: v.Stream, Revision: v.Revision, ID: v.Event, Type: v.Type, Meta: meta, Data: data})
		if hex.EncodeToString(leaf) != v.Leaf {
			t.Errorf("leaf %d is %x, want %s", i, leaf, v.Leaf)
		}
		hash := leafHash(leaf)
		if hex.EncodeToString(hash[:]) != v.Hash {
			t.Errorf("hash %d is %x, want %s", i, hash, v.Hash)
		}
		e.add(hash, nil)
		if root := e.root(); hex.EncodeToString(root[:]) != v.Root {
			t.Errorf("the root of %d leaves is %x, want %s", i+1, root, v.Root)
		}
		h, err := ParseLeaf(leaf)
		if err != nil || h.Stream != v.Stream || h.Type != v.Type || h.Revision != v.Revision || h.Event != v.Event {
			t.Errorf("leaf %d is read as %+v, %v", i, h, err)
		}
	}
}

// Ensure that a leaf is read back as it was, and that no other bytes are taken for one.
func FuzzLeaf(f *testing.F) {
	f.Add(Leaf(journal.Stored{Stream: "drugs-1", Type: "drugs.opened", Revision: 3, ID: uuid.New(), Data: []byte("x")}))
	f.Add(Leaf(journal.Stored{}))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := ParseLeaf(b)
		if err != nil {
			return
		}
		again := Leaf(journal.Stored{Stream: h.Stream, Type: h.Type, Revision: h.Revision, ID: h.Event})
		copy(again[32:96], b[32:96])
		if !bytes.Equal(again, b) {
			t.Errorf("%x is read as %+v", b, h)
		}
	})
}

// stuff is a store with a tree of made-up leaves, one event to a stream, and its notary.
func stuff(t testing.TB, size int64) *Notary {
	t.Helper()
	k := makeKey(t)
	n, err := Open(t.Context(), Options{Journal: &faulty{}, Dir: t.TempDir(), Signer: signer(t, k), Keys: []note.Verifier{publicKey(t, k)}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	extend(t, n, size)
	return n
}

func madeUp(i int64) journal.Stored {
	return journal.Stored{Stream: fmt.Sprintf("drugs-%d", i), Type: "x.y", Position: uint64(i + 1), ID: uuid.NewSHA1(uuid.NameSpaceOID, fmt.Append(nil, i))}
}

// extend adds leaves and publishes them.
func extend(t testing.TB, n *Notary, size int64) {
	t.Helper()
	p := pending{n: n, edge: n.edge.clone()}
	for i := p.edge.size; i < size; i++ {
		p.add(arrival{position: uint64(i + 1), leaf: Leaf(madeUp(i))})
	}
	tree := p.edge.tree()
	signed, err := n.seal(tree)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.flush(func(s *seen) {
		s.signed, s.signedTree, s.published, s.tree = signed, tree, signed, tree
	}); err != nil {
		t.Fatal(err)
	}
}

// Ensure that in trees of any size every leaf proves, sizes are consistent with each other, changed proofs fail, and
// another implementation agrees about all of it.
func TestTreeProperties(t *testing.T) {
	n := stuff(t, 1)
	theirs := &compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}
	their, roots := theirs.NewEmptyRange(0), map[int64][]byte{}
	sizes := []int64{}
	rapid.Check(t, func(t *rapid.T) {
		from := n.edge.size
		size := from + rapid.Int64Range(1, 70).Draw(t, "growth")
		if rapid.IntRange(0, 20).Draw(t, "leap") == 0 {
			size += rapid.Int64Range(256, 3000).Draw(t, "leap by")
		}
		extend(rapidTB{nil, t}, n, size)
		for i := int64(their.End()); i < size; i++ {
			their.Append(rfc6962.DefaultHasher.HashLeaf(Leaf(madeUp(i))), nil)
		}
		root, err := their.GetRootHash(nil)
		tree := n.seen.Load().tree
		if err != nil || !bytes.Equal(root, tree.Hash[:]) {
			t.Fatalf("the root of %d leaves is %x, theirs %x", size, tree.Hash, root)
		}
		roots[size], sizes = root, append(sizes, size)

		i := rapid.Int64Range(0, size-1).Draw(t, "leaf")
		p, err := n.Proof(context.Background(), madeUp(i).ID)
		if err != nil || p.Index != i {
			t.Fatal(p.Index, err)
		}
		if _, err := p.VerifyEvent(madeUp(i), n.publishes); err != nil {
			t.Fatal(err)
		}
		if err := proof.VerifyInclusion(rfc6962.DefaultHasher, uint64(i), uint64(size), rfc6962.DefaultHasher.HashLeaf(p.Leaf), raw(p.Hashes), root); err != nil {
			t.Fatal(err)
		}
		mutate(t, n, p)

		old := rapid.SampledFrom(sizes).Draw(t, "old size")
		c, err := n.Consistency(context.Background(), old, size)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(c.From.Hash[:], roots[old]) || !bytes.Equal(c.To.Hash[:], root) || c.From.N != old || c.To.N != size {
			t.Fatalf("from %v to %v, theirs %x to %x", c.From, c.To, roots[old], root)
		}
		if err := proof.VerifyConsistency(rfc6962.DefaultHasher, uint64(old), uint64(size), raw(c.Hashes), roots[old], root); err != nil {
			t.Fatal(old, size, err)
		}
		middle := rapid.SampledFrom(sizes).Draw(t, "middle size")
		if old <= middle {
			if c, err = n.Consistency(context.Background(), old, middle); err != nil {
				t.Fatal(err)
			}
			if err := proof.VerifyConsistency(rfc6962.DefaultHasher, uint64(old), uint64(middle), raw(c.Hashes), roots[old], roots[middle]); err != nil {
				t.Fatal(old, middle, err)
			}
		}
	})
}

// rapidTB lets a helper that wants a testing.TB fail the property.
type rapidTB struct {
	testing.TB
	t *rapid.T
}

func (r rapidTB) Helper()           {}
func (r rapidTB) Fatal(args ...any) { r.t.Fatal(args...) }

func raw[H ~[32]byte](hashes []H) [][]byte {
	out := make([][]byte, len(hashes))
	for i := range hashes {
		out[i] = bytes.Clone(hashes[i][:])
	}
	return out
}

// mutate changes one byte of the proof's text, or takes one away: it must not verify any more.
func mutate(t *rapid.T, n *Notary, p Proof) {
	text := p.Text()
	for range 20 {
		i := rapid.IntRange(0, len(text)-1).Draw(t, "byte")
		other := bytes.Clone(text)
		if rapid.Bool().Draw(t, "drop") {
			other = append(other[:i], other[i+1:]...)
		} else {
			other[i] ^= byte(1 + rapid.IntRange(0, 254).Draw(t, "change"))
		}
		q, err := ParseProof(other)
		if err == nil {
			_, err = q.Verify(n.publishes)
		}
		if err == nil {
			t.Fatalf("a changed proof verifies:\n%q\n%q", text, other)
		}
	}
}

// Ensure that a proof of one event does not prove another, nor the same one changed.
func TestProofOfAnother(t *testing.T) {
	n := stuff(t, 300)
	p, err := n.Proof(t.Context(), madeUp(120).ID)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range []func(*journal.Stored){
		func(e *journal.Stored) { e.Data = []byte("x") }, func(e *journal.Stored) { e.Meta = []byte("x") },
		func(e *journal.Stored) { e.Revision++ }, func(e *journal.Stored) { e.Type = "x.z" },
		func(e *journal.Stored) { e.Stream = "drugs-121" }, func(e *journal.Stored) { e.ID[0] ^= 1 },
	} {
		changed := madeUp(120)
		e(&changed)
		if _, err := p.VerifyEvent(changed, n.publishes); err == nil {
			t.Errorf("%+v is proved", changed)
		}
	}
	wrong := p
	wrong.Index++
	if _, err := wrong.Verify(n.publishes); err == nil {
		t.Error("the proof holds at another index")
	}
	all, err := n.Proofs(t.Context(), madeUp(0).ID, madeUp(299).ID, madeUp(255).ID, madeUp(256).ID)
	if err != nil || len(all) != 4 || all[1].Index != 299 {
		t.Error(all, err)
	}
}

// serve is the log's tlog-tiles interface as an HTTP server may serve it.
func serve(n *Notary) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		res, err := n.Resource(r.Context(), strings.TrimPrefix(r.URL.Path, "/"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusNotFound)
			return
		}
		w.Header().Set("Content-Type", res.ContentType)
		w.Header().Set("Cache-Control", res.CacheControl)
		w.Write(res.Body)
	})
}

// Ensure that a client of others reads every entry through our tiles, and finds each in the signed tree.
func TestTiles(t *testing.T) {
	n := stuff(t, 1)
	server := httptest.NewServer(serve(n))
	defer server.Close()
	for _, size := range []int64{1, 2, 255, 256, 257, 600, 1024, 66_000} {
		extend(t, n, size)
		fetcher, err := torchwood.NewTileFetcher(server.URL)
		if err != nil {
			t.Fatal(err)
		}
		signed, err := fetcher.ReadEndpoint(t.Context(), "checkpoint")
		if err != nil {
			t.Fatal(err)
		}
		c, _, err := torchwood.VerifyCheckpoint(signed, n.publishes)
		if err != nil || c.N != size {
			t.Fatal(c, err)
		}
		client, err := torchwood.NewClient(fetcher)
		if err != nil {
			t.Fatal(err)
		}
		next := max(0, size-3000)
		for i, entry := range client.AllEntries(t.Context(), c.Tree, next) {
			if i != next || !bytes.Equal(entry, Leaf(madeUp(i))) {
				t.Fatalf("entry %d is %x", i, entry)
			}
			next++
		}
		if client.Err() != nil || next != size {
			t.Fatalf("size %d: %d entries, %v", size, next, client.Err())
		}
		entry, p, err := client.Entry(t.Context(), c.Tree, size/2)
		if err != nil {
			t.Fatal(err)
		}
		if err := tlog.CheckRecord(p, c.N, c.Hash, size/2, tlog.RecordHash(entry)); err != nil {
			t.Fatal(err)
		}
	}
}

// Ensure which tiles there are: none beyond the checkpoint, none empty, partial ones also after they are full.
func TestTilePaths(t *testing.T) {
	n := stuff(t, 70_000)
	for path, want := range map[string]int{
		"tile/0/000": 8192, "tile/0/272": 8192, "tile/0/273.p/112": 112 * 32, "tile/0/273.p/1": 32, "tile/0/273.p/113": -1,
		"tile/0/273": -1, "tile/0/274.p/1": -1, "tile/0/100.p/7": 7 * 32, "tile/1/000": 8192, "tile/1/001.p/17": 17 * 32,
		"tile/1/001.p/18": -1, "tile/2/000.p/1": 32, "tile/2/000.p/2": -1, "tile/2/000": -1, "tile/3/000.p/1": -1,
		"tile/63/000.p/1": -1, "tile/64/000.p/1": -1, "tile/00/000": -1, "tile/0/00": -1, "tile/0/x000/001": -1,
		"tile/0/000.p/0": -1, "tile/0/000.p/256": -1, "tile/0/000.p/01": -1, "tile/-1/000": -1, "tile/data/000": -1,
		"tile/0/x999/x999/x999/x999/x999/x999/999": -1, "tile/entries/000.p/0": -1, "tile/entries/273.p/113": -1, "tile": -1, "": -1,
		"/checkpoint": -1, "tile/8/0/000": -1,
	} {
		r, err := n.Resource(t.Context(), path)
		switch {
		case want < 0 && record.KindOf(err) != record.NotFound:
			t.Errorf("%s: %d bytes, %v", path, len(r.Body), err)
		case want >= 0 && (err != nil || len(r.Body) != want || !strings.Contains(r.CacheControl, "immutable")):
			t.Errorf("%s: %d bytes, %v", path, len(r.Body), err)
		}
	}
	full, err := n.Resource(t.Context(), "tile/0/100")
	if err != nil {
		t.Fatal(err)
	}
	if partial, err := n.Resource(t.Context(), "tile/0/100.p/7"); err != nil || !bytes.Equal(partial.Body, full.Body[:7*32]) {
		t.Error("a partial tile is not the beginning of the full one")
	}
	if r, err := n.Resource(t.Context(), "checkpoint"); err != nil || r.CacheControl != "no-cache" || r.ContentType != "text/plain; charset=utf-8" {
		t.Error(r.CacheControl, r.ContentType, err)
	}
}

// Ensure that a damaged file of the notary is neither served as a proof nor blamed on the journal.
func TestDamagedFile(t *testing.T) {
	n := stuff(t, 2000)
	for _, sql := range []string{`UPDATE leaves SET leaf = zeroblob(150) WHERE i = 300`, `UPDATE nodes SET hash = zeroblob(32) WHERE level = 1 AND n = 3`} {
		n.store.mu.Lock()
		if err := n.store.writer.Exec(sql); err != nil {
			t.Fatal(err)
		}
		n.store.mu.Unlock()
	}
	for _, i := range []int64{299, 800, 1500} {
		if p, err := n.Proof(t.Context(), madeUp(i).ID); err == nil {
			if _, err := p.Verify(n.publishes); err != nil {
				t.Errorf("leaf %d: a wrong proof was given out", i)
			}
		} else if !strings.Contains(err.Error(), "damaged") {
			t.Error(err)
		}
	}
}

func FuzzProof(f *testing.F) {
	k := makeKey(f)
	n := &Notary{Options: Options{Origin: origin, Signer: signer(f, k), Keys: []note.Verifier{publicKey(f, k)}}}
	var e edge
	e.add(leafHash(Leaf(madeUp(0))), nil)
	signed, err := n.seal(e.tree())
	if err != nil {
		f.Fatal(err)
	}
	good := Proof{0, Leaf(madeUp(0)), nil, signed}.Text()
	policy := (*Policy)(nil).WithLogs(n.Keys...)
	f.Add(good)
	f.Add([]byte(proofHeader + "\nextra \nindex 1\n" + base64.StdEncoding.EncodeToString(make([]byte, 32)) + "\n\nx\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := ParseProof(text)
		if err != nil {
			return
		}
		if !bytes.Equal(p.Text(), text) {
			t.Errorf("%q is read as %+v", text, p)
		}
		if _, err := p.Verify(policy); err == nil && !bytes.Equal(text, good) && len(text) <= len(good) {
			t.Errorf("%q verifies", text)
		}
	})
}

func FuzzCheckpoint(f *testing.F) {
	k := makeKey(f)
	n := &Notary{Options: Options{Origin: origin, Signer: signer(f, k), Keys: []note.Verifier{publicKey(f, k)}}}
	signed, err := n.seal(tlog.Tree{N: 5})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(signed)
	f.Fuzz(func(t *testing.T, text []byte) {
		if c, err := n.open(text); err == nil && c.Tree != (tlog.Tree{N: 5}) {
			t.Errorf("%q is a checkpoint of %+v", text, c)
		}
	})
}
