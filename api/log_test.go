package api_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/torchwood"
	"github.com/google/uuid"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"yidang/api"
	"yidang/domain/casework"
	"yidang/domain/journal"
	"yidang/domain/notary"
	"yidang/domain/notary/keyfile"
	"yidang/domain/record"
)

// logged is a township whose record is signed.
type logged struct {
	*town
	notary *notary.Notary
	key    note.Verifier
}

func newLogged(t *testing.T) *logged {
	t.Helper()
	dir, l := t.TempDir(), &logged{}
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan error, 1)
	l.town = newTown(t, func(o *api.Options) {
		k := must(keyfile.Load(filepath.Join(dir, "key"), "yidang.example/town", keyfile.Log))(t)
		l.key = must(note.NewVerifier(k.Verifier()))(t)
		l.notary = must(notary.Open(ctx, notary.Options{Journal: o.Executor.Journal.(*journal.Journal), Dir: filepath.Join(dir, "notary"), Signer: must(note.NewSigner(k.Signer()))(t),
			Keys: []note.Verifier{l.key}, Every: 10 * time.Millisecond, Scrub: -1}))(t)
		o.Notary = l.notary
		go func() { over <- l.notary.Run(ctx) }()
	})
	t.Cleanup(func() { // before the journal closes
		cancel()
		<-over
		if err := l.notary.Close(); err != nil {
			t.Error(err)
		}
	})
	l.build()
	return l
}

// checkpoint waits until everything is signed, and gives the newest.
func (l *logged) checkpoint() torchwood.Checkpoint {
	l.t.Helper()
	head, _, err := l.journal.Head(l.t.Context())
	if err != nil {
		l.t.Fatal(err)
	}
	for until := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		s := l.notary.Status()
		if s.Position >= head && s.PublishedSize == s.Size {
			break
		}
		if time.Now().After(until) {
			l.t.Fatalf("%+v", s)
		}
	}
	a := l.anonymous().get("/log/checkpoint")
	c, _, err := torchwood.VerifyCheckpoint(a.raw, torchwood.ThresholdPolicy(2, torchwood.OriginPolicy("yidang.example/town"), torchwood.SingleVerifierPolicy(l.key)))
	if err != nil {
		l.t.Fatalf("%v: %s", err, a)
	}
	return c
}

// Ensure that the log is served as C2SP tlog-tiles wants it: what changes is not kept, what never changes is kept for long
// and anywhere, entries are for who may read all files, and nothing more than what was published is there.
func TestLogAsTiles(t *testing.T) {
	l := newLogged(t)
	l.officer("inspector", record.Inspector, "清溪镇", 1)
	_, path := l.openCase("cadre")
	kase := path[strings.LastIndex(path, "/")+1:]
	for range 300 {
		l.do(l.officers["cadre"], "drugs", "casework.record_visit", uuid.MustParse(kase), casework.RecordVisit{Outcome: casework.Met})
	}
	c := l.checkpoint()
	if c.N <= 300 || c.N >= 500 {
		t.Fatalf("%d leaves", c.N)
	}
	w := c.N % 256
	const forever = "public, max-age=31536000, immutable"
	inspector := l.signIn("inspector")
	for _, x := range []struct {
		path, kind, keep string
		by               *client
		status, size     int
	}{
		{"checkpoint", "text/plain; charset=utf-8", "no-cache", nil, 200, 0},
		{"tile/0/000", "application/octet-stream", forever, nil, 200, 8192},
		{fmt.Sprintf("tile/0/001.p/%d", w), "application/octet-stream", forever, nil, 200, int(w) * 32},
		{"tile/1/000.p/1", "application/octet-stream", forever, nil, 200, 32},
		{"tile/0/000.p/7", "application/octet-stream", forever, nil, 200, 7 * 32}, // of an older checkpoint
		{"tile/entries/000", "application/octet-stream", "no-store", inspector, 200, 0},
		{fmt.Sprintf("tile/entries/001.p/%d", w), "application/octet-stream", "no-store", inspector, 200, 0},
		{"tile/entries/000", "", "", l.signIn("cadre"), 403, 0},
		{"tile/entries/000", "", "", nil, 401, 0},
		{"tile/0/001", "", "", nil, 404, 0},
		{"tile/0/001.p/255", "", "", nil, 404, 0},
		{"tile/0/1", "", "", nil, 404, 0},
		{"tile/0/001.p/0", "", "", nil, 404, 0},
		{"tile/00/000", "", "", nil, 404, 0},
	} {
		by := x.by
		if by == nil {
			by = l.anonymous()
		}
		a := by.get("/log/" + x.path)
		if a.status != x.status {
			t.Errorf("%s: %s", x.path, a)
			continue
		}
		if x.status != http.StatusOK {
			if keep := a.header.Get("Cache-Control"); !strings.Contains(keep, "no-store") && !strings.Contains(keep, "no-cache") {
				t.Errorf("%s: that there is nothing is kept: %q", x.path, keep)
			}
			continue
		}
		if kind, keep := a.header.Get("Content-Type"), a.header.Get("Cache-Control"); kind != x.kind || keep != x.keep || x.size > 0 && len(a.raw) != x.size {
			t.Errorf("%s: %q, %q, %d bytes", x.path, kind, keep, len(a.raw))
		}
		if open := x.by == nil; open == (a.header.Get("Vary") != "") || a.header.Get("Set-Cookie") != "" {
			t.Errorf("%s: varies with %q, sets %q", x.path, a.header.Get("Vary"), a.header.Get("Set-Cookie"))
		}
	}
	// The leaves of the entries are those of the tile, and the tiles give the root that was signed.
	var leaves []byte
	for _, bundle := range []string{"000", fmt.Sprintf("001.p/%d", w)} {
		for rest := inspector.get("/log/tile/entries/" + bundle).raw; len(rest) > 0; {
			n := int(rest[0])<<8 | int(rest[1])
			h := tlog.RecordHash(rest[2 : 2+n])
			leaves, rest = append(leaves, h[:]...), rest[2+n:]
		}
	}
	tiles := append(bytes.Clone(l.anonymous().get("/log/tile/0/000").raw), l.anonymous().get(fmt.Sprintf("/log/tile/0/001.p/%d", w)).raw...)
	if !bytes.Equal(leaves, tiles) {
		t.Error("the entries are not those that the tiles hash")
	}
}

// Ensure that anybody who kept a checkpoint gets a proof that the log only grew since, by sizes or by events, and that
// others' code believes it.
func TestConsistency(t *testing.T) {
	l := newLogged(t)
	old := l.checkpoint()
	_, path := l.openCase("cadre")
	visit := l.signIn("cadre").post(path+"/record-visit", map[string]any{"outcome": "met"}).text("events.0.id")
	now := l.checkpoint()
	analyst := l.signIn("police")
	a := analyst.get(fmt.Sprintf("/v1/proofs/consistency?from=%d", old.N))
	expect(t, "by sizes", a, 200, "")
	var hashes [][]byte
	for _, h := range a.body["hashes"].([]any) {
		hashes = append(hashes, must(base64.StdEncoding.DecodeString(h.(string)))(t))
	}
	to := now
	if got := a.text("to.size"); got != fmt.Sprint(now.N) { // signing in was recorded meanwhile
		to = must(torchwood.ParseCheckpoint(a.text("checkpoint")[:strings.Index(a.text("checkpoint"), "\n\n")+1]))(t)
	}
	if err := proof.VerifyConsistency(rfc6962.DefaultHasher, uint64(old.N), uint64(to.N), hashes, old.Hash[:], to.Hash[:]); err != nil {
		t.Errorf("%v: %s", err, a)
	}
	if a.text("from.root") != old.Hash.String() || a.text("to.root") != to.Hash.String() {
		t.Errorf("the roots: %s", a)
	}
	a = analyst.get(fmt.Sprintf("/v1/proofs/consistency?from=%s&to=%d", visit, now.N))
	index := analyst.get("/v1/proofs/" + visit).text("index")
	if expect(t, "by event", a, 200, ""); a.text("from.size") == "" || a.text("to.root") != now.Hash.String() {
		t.Errorf("%s", a)
	}
	var i, size int64
	fmt.Sscan(index, &i)
	fmt.Sscan(a.text("from.size"), &size)
	if size != i+1 {
		t.Errorf("the smallest tree that has leaf %d is said to have %d", i, size)
	}
	a = analyst.get(fmt.Sprintf("/v1/proofs/consistency?from=%d&to=%d", old.N, old.N))
	if expect(t, "with itself", a, 200, ""); len(a.body["hashes"].([]any)) != 0 {
		t.Errorf("%s", a)
	}
	for query, status := range map[string]int{
		"": 422, "from=0": 422, "from=-1": 422, "from=x": 422, fmt.Sprintf("from=%d&to=%d", now.N, old.N): 422,
		"from=1&to=1000000": 503,
	} {
		if a := analyst.get("/v1/proofs/consistency?" + query); a.status != status {
			t.Errorf("%q: %s", query, a)
		}
	}
	for tries := 0; ; tries++ { // until the notary has met its own newest checkpoint, the event may be behind it
		if a = analyst.get("/v1/proofs/consistency?from=00000000-0000-4000-8000-000000000000"); a.status != 503 || tries == 500 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	expect(t, "an event that is not there", a, 404, "not-found")
	if a.text("zh") == "" || a.text("remedy") == "" || a.text("field") != "event" {
		t.Errorf("of an event that is none: %s", a)
	}
	expect(t, "not signed in", l.anonymous().get("/v1/proofs/consistency?from=1"), 401, "unauthenticated")
}
