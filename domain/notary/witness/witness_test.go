package witness

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"yidang/domain/notary/keyfile"
)

const origin = "yidang.example/township"

// fakeLog is a log of made-up entries; two with different salts are two histories.
type fakeLog struct {
	t      testing.TB
	hashes []tlog.Hash
	signer note.Signer
	key    note.Verifier
	salt   string
	n      int64
}

func newLog(t testing.TB, k keyfile.Key, salt string, size int64) *fakeLog {
	l := &fakeLog{t: t, salt: salt, signer: must(note.NewSigner(k.Signer()))(t), key: must(note.NewVerifier(k.Verifier()))(t)}
	l.grow(size)
	return l
}

func (l *fakeLog) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		out[i] = l.hashes[x]
	}
	return out, nil
}

func (l *fakeLog) grow(size int64) {
	for ; l.n < size; l.n++ {
		hashes, err := tlog.StoredHashes(l.n, fmt.Appendf(nil, "%s %d", l.salt, l.n), l)
		if err != nil {
			l.t.Fatal(err)
		}
		l.hashes = append(l.hashes, hashes...)
	}
}

func (l *fakeLog) checkpoint(size int64) []byte {
	hash := must(tlog.TreeHash(size, l))(l.t)
	return l.sign(torchwood.Checkpoint{Origin: l.key.Name(), Tree: tlog.Tree{N: size, Hash: hash}}.String())
}

func (l *fakeLog) sign(text string) []byte {
	return must(note.Sign(&note.Note{Text: text}, l.signer))(l.t)
}

func (l *fakeLog) proof(from, to int64) tlog.TreeProof {
	if from == 0 || from == to {
		return nil
	}
	return must(tlog.ProveTree(to, from, l))(l.t)
}

func body(old any, proof tlog.TreeProof, checkpoint []byte) []byte {
	b := fmt.Appendf(nil, "old %v\n", old)
	for _, h := range proof {
		b = append(b, base64.StdEncoding.EncodeToString(h[:])+"\n"...)
	}
	return append(append(b, '\n'), checkpoint...)
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

type world struct {
	*testing.T
	dir          string
	logKey, wKey keyfile.Key
	server       *Server
	http         *httptest.Server
}

func start(t *testing.T) *world {
	w := &world{T: t, dir: t.TempDir()}
	keys := t.TempDir()
	w.logKey = must(keyfile.Load(filepath.Join(keys, "log"), origin, keyfile.Log))(t)
	w.wKey = must(keyfile.Load(filepath.Join(keys, "witness"), "inspection.example/w1", keyfile.Witness))(t)
	w.up()
	w.http = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { w.server.ServeHTTP(rw, r) }))
	t.Cleanup(func() { w.http.Close(); w.server.Close() })
	return w
}

func (w *world) up() {
	w.Helper()
	w.server = must(Open(Options{Dir: w.dir, Key: w.wKey, Logs: Logs(must(note.NewVerifier(w.logKey.Verifier()))(w))}))(w)
}

func (w *world) post(b []byte) (status int, contentType, answer string) {
	w.Helper()
	r := must(http.Post(w.http.URL+"/add-checkpoint", "text/plain", bytes.NewReader(b)))(w)
	defer r.Body.Close()
	return r.StatusCode, r.Header.Get("Content-Type"), string(must(io.ReadAll(r.Body))(w))
}

// Ensure that each case of the protocol has its answer.
func TestProtocol(t *testing.T) {
	w := start(t)
	log := newLog(t, w.logKey, "true", 100)
	forged := newLog(t, w.logKey, "forged", 100)
	other := newLog(t, must(keyfile.Load(filepath.Join(t.TempDir(), "k"), origin, keyfile.Log))(t), "true", 100)
	stranger := newLog(t, must(keyfile.Load(filepath.Join(t.TempDir(), "k"), "stranger.example/log", keyfile.Log))(t), "true", 100)
	badEmpty := log.sign(fmt.Sprintf("%s\n0\n%s\n", origin, must(tlog.TreeHash(1, log))(t)))
	brokenSig := bytes.Replace(log.checkpoint(10), []byte("10\n"), []byte("11\n"), 1)
	for _, c := range []struct {
		name   string
		body   []byte
		status int
		answer string // of 409, when it names a size
	}{
		{"no body", nil, 400, ""},
		{"no old line", log.checkpoint(10), 400, ""},
		{"no empty line", []byte("old 0\n"), 400, ""},
		{"old with a zero before", body("00", nil, log.checkpoint(10)), 400, ""},
		{"negative old", body(-1, nil, log.checkpoint(10)), 400, ""},
		{"old with a sign", body("+1", nil, log.checkpoint(10)), 400, ""},
		{"a proof line that is no hash", []byte("old 0\nAAAA\n\n" + string(log.checkpoint(10))), 400, ""},
		{"too many proof lines", body(0, make(tlog.TreeProof, 64), log.checkpoint(10)), 400, ""},
		{"a checkpoint that is none", body(0, nil, log.sign(origin+"\nten\nhash\n")), 400, ""},
		{"unknown log", body(0, nil, stranger.checkpoint(10)), 404, ""},
		{"unknown key", body(0, nil, other.checkpoint(10)), 403, ""},
		{"wrong signature", body(0, nil, brokenSig), 403, ""},
		{"old above the size", body(11, nil, log.checkpoint(10)), 400, ""},
		{"first contact with another old size", body(5, log.proof(5, 10), log.checkpoint(10)), 409, "0\n"},
		{"a proof from nothing", body(0, log.proof(5, 10), log.checkpoint(10)), 422, ""},
		{"an empty tree with a root", body(0, nil, badEmpty), 422, ""},
		{"an empty tree", body(0, nil, log.checkpoint(0)), 200, ""},
		{"the first", body(0, nil, log.checkpoint(10)), 200, ""},
		{"an old size of zero again", body(0, nil, log.checkpoint(20)), 409, "10\n"},
		{"a size before", body(9, log.proof(9, 10), log.checkpoint(10)), 409, "10\n"},
		{"the same again", body(10, nil, log.checkpoint(10)), 200, ""},
		{"the same with a proof", body(10, log.proof(5, 10), log.checkpoint(10)), 422, ""},
		{"the same size of another history", body(10, nil, forged.checkpoint(10)), 409, ""},
		{"another history", body(10, forged.proof(10, 20), forged.checkpoint(20)), 422, ""},
		{"a wrong proof", body(10, log.proof(9, 20), log.checkpoint(20)), 422, ""},
		{"no proof", body(10, nil, log.checkpoint(20)), 422, ""},
		{"the next", body(10, log.proof(10, 20), log.checkpoint(20)), 200, ""},
		{"back to the first", body(10, nil, log.checkpoint(10)), 409, "20\n"},
		{"far on", body(20, log.proof(20, 100), log.checkpoint(100)), 200, ""},
	} {
		status, kind, answer := w.post(c.body)
		if status != c.status || status == 409 && (kind == sizeType) != (c.answer != "") || c.answer != "" && answer != c.answer {
			t.Errorf("%s: %d %s %q, want %d %q", c.name, status, kind, answer, c.status, c.answer)
		}
		if status == 200 {
			if !strings.HasPrefix(answer, "— inspection.example/w1 ") || strings.Count(answer, "\n") != 1 || !strings.HasSuffix(answer, "\n") {
				t.Errorf("%s: %q is not one signature line", c.name, answer)
			}
		}
	}
	if r := must(http.Get(w.http.URL + "/add-checkpoint"))(t); r.StatusCode != 405 {
		t.Errorf("a GET is answered %d", r.StatusCode)
	}
}

// Ensure that the cosignature verifies for others, that monitors see it, and that strangers' signatures are not shown.
func TestCosignature(t *testing.T) {
	w := start(t)
	log := newLog(t, w.logKey, "true", 10)
	also := newLog(t, must(keyfile.Load(filepath.Join(t.TempDir(), "k"), "second.example/alg", keyfile.Log))(t), "", 0)
	checkpoint := must(note.Sign(must(note.Open(log.checkpoint(10), note.VerifierList(log.key)))(t), also.signer))(t)
	url := fmt.Sprintf("%s/%x/checkpoint", w.http.URL, sha256.Sum256([]byte(origin)))
	if r := must(http.Get(url))(t); r.StatusCode != 404 {
		t.Errorf("before the first checkpoint a monitor gets %d", r.StatusCode)
	}
	key := must(torchwood.NewCosignatureVerifier(w.server.Verifier()))(t)
	client := Client{URL: w.http.URL + "/", Key: key}
	sig, err := client.AddCheckpoint(t.Context(), 0, nil, checkpoint)
	if err != nil {
		t.Fatal(err)
	}
	if at, err := torchwood.CosignatureTimestamp(sig); err != nil || at == 0 {
		t.Error(at, err)
	}
	r := must(http.Get(url))(t)
	shown := must(io.ReadAll(r.Body))(t)
	policy := torchwood.ThresholdPolicy(3, torchwood.OriginPolicy(origin), torchwood.SingleVerifierPolicy(log.key), torchwood.SingleVerifierPolicy(key))
	if _, _, err := torchwood.VerifyCheckpoint(shown, policy); err != nil || r.StatusCode != 200 {
		t.Error(r.StatusCode, err)
	}
	if bytes.Contains(shown, []byte("second.example")) {
		t.Error("a signature that was not verified is shown")
	}
	var conflict *ConflictError
	if _, err := client.AddCheckpoint(t.Context(), 0, nil, checkpoint); !errors.As(err, &conflict) || conflict.Size != 10 {
		t.Error(err)
	}
	var refused *RefusedError
	if _, err := client.AddCheckpoint(t.Context(), 10, nil, newLog(t, w.logKey, "forged", 10).checkpoint(10)); !errors.As(err, &refused) {
		t.Error(err)
	}
}

// Ensure that the client tells a witness that is elsewhere from one that knows another history, however it says so.
func TestConflicts(t *testing.T) {
	k := must(keyfile.Load(filepath.Join(t.TempDir(), "k"), origin, keyfile.Log))(t)
	wk := must(keyfile.Load(filepath.Join(t.TempDir(), "w"), "inspection.example/w1", keyfile.Witness))(t)
	key := must(torchwood.NewCosignatureSigner(wk.Name, wk.Private))(t).Verifier()
	log := newLog(t, k, "true", 20)
	for _, c := range []struct {
		name           string
		old, size      int64
		status         int
		kind, answer   string
		refused, other bool
	}{
		{"elsewhere", 5, 20, 409, sizeType, "10\n", false, true},
		{"further on", 20, 20, 409, sizeType, "30\n", false, true},
		{"behind", 20, 20, 409, sizeType, "10\n", false, true},
		{"another root, with the size", 20, 20, 409, sizeType, "20\n", true, false},
		{"another root, in words", 20, 20, 409, "text/plain; charset=utf-8", "no\n", true, false},
		{"another root, without a word", 20, 20, 409, "", "", true, false},
		{"words about another size", 10, 20, 409, "text/plain", "no\n", false, false},
		{"a wrong proof", 10, 20, 422, "text/plain", "no\n", true, false},
		{"away", 20, 20, 503, "text/plain", "no\n", false, false},
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", c.kind)
			w.WriteHeader(c.status)
			io.WriteString(w, c.answer)
		}))
		client := Client{URL: s.URL, Key: key}
		_, err := client.AddCheckpoint(t.Context(), c.old, log.proof(c.old, c.size), log.checkpoint(c.size))
		s.Close()
		if err == nil || errors.As(err, new(*RefusedError)) != c.refused || errors.As(err, new(*ConflictError)) != c.other {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// Ensure that a restart forgets nothing, that a lost write is no cosignature, and that a damaged memory is refused.
func TestMemory(t *testing.T) {
	w := start(t)
	log := newLog(t, w.logKey, "true", 100)
	if status, _, a := w.post(body(0, nil, log.checkpoint(10))); status != 200 {
		t.Fatal(status, a)
	}
	if _, err := Open(Options{Dir: w.dir, Key: w.wKey, Logs: Logs(log.key)}); err == nil {
		t.Fatal("two witnesses share a directory")
	}
	w.server.Close()
	w.up()
	if status, _, a := w.post(body(0, nil, newLog(t, w.logKey, "forged", 10).checkpoint(10))); status != 409 || a != "10\n" {
		t.Errorf("after a restart: %d %q", status, a)
	}
	// Nothing can be written: nothing is cosigned, and what was cosigned stands.
	path := w.server.memory.path(origin)
	if err := os.Mkdir(path+".new", 0o700); err != nil {
		t.Fatal(err)
	}
	if status, _, a := w.post(body(10, log.proof(10, 20), log.checkpoint(20))); status != 500 || strings.Contains(a, "—") {
		t.Errorf("without a memory: %d %q", status, a)
	}
	os.Remove(path + ".new")
	if status, _, a := w.post(body(10, log.proof(10, 30), log.checkpoint(30))); status != 200 {
		t.Errorf("when it can write again: %d %q", status, a)
	}
	content := must(os.ReadFile(path))(t)
	for i := range content {
		broken := bytes.Clone(content)
		broken[i] ^= 1
		if err := os.WriteFile(path, broken, 0o600); err != nil {
			t.Fatal(err)
		}
		m := memory{dir: w.dir, own: w.server.signer.Verifier(), logs: map[string]remembered{}}
		err := m.load()
		if got := m.logs[origin].tree; err == nil && (got.N != 30 || got.Hash != must(tlog.TreeHash(30, log))(t)) {
			t.Fatalf("with byte %d changed it remembers %+v", i, got)
		}
	}
}

// Ensure that of many requests at once, each cosigned checkpoint extends the one before.
func TestConcurrent(t *testing.T) {
	w := start(t)
	histories := []*fakeLog{newLog(t, w.logKey, "one", 300), newLog(t, w.logKey, "two", 300)}
	var mu sync.Mutex
	cosigned := map[string]bool{}
	var group sync.WaitGroup
	for g := range 8 {
		group.Go(func() {
			log := histories[g%2]
			client := Client{URL: w.http.URL, Key: w.server.signer.Verifier()}
			old := int64(0)
			for size := int64(1 + g); size < 300; size += 8 {
				for range 3 {
					_, err := client.AddCheckpoint(t.Context(), old, log.proof(old, max(size, old)), log.checkpoint(max(size, old)))
					var conflict *ConflictError
					if errors.As(err, &conflict) {
						old = conflict.Size
						continue
					}
					if err == nil {
						old = max(size, old)
						mu.Lock()
						cosigned[log.salt] = true
						mu.Unlock()
					}
					break
				}
			}
		})
	}
	group.Wait()
	if len(cosigned) != 1 {
		t.Errorf("cosigned were the histories %v", cosigned)
	}
}

func FuzzRequest(f *testing.F) {
	k := must(keyfile.Load(filepath.Join(f.TempDir(), "k"), origin, keyfile.Log))(f)
	log := newLog(f, k, "true", 20)
	f.Add(body(10, log.proof(10, 20), log.checkpoint(20)))
	f.Add(body(0, nil, log.checkpoint(0)))
	f.Add([]byte("old 0\n\n\n\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := parseRequest(b)
		if err == nil && !bytes.Equal(body(r.old, r.proof, r.checkpoint), b) {
			t.Errorf("%q is read as %+v", b, r)
		}
	})
}
