package attachments

import (
	"bytes"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"yidang/domain/record"
)

// server is an S3 service that fails as it is told: what the real client does about it is tested.
type server struct {
	s3     http.Handler
	stored gofakes3.Backend

	mu     sync.Mutex
	before bool // fail a put or a removal without effect
	after  bool // fail a put that took effect
	cut    bool // break off a get in the middle
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	const refusal = http.StatusForbidden // a status that the client does not retry
	writes := r.Method == http.MethodPut || r.Method == http.MethodDelete
	answer := httptest.NewRecorder()
	switch {
	case writes && s.before:
		w.WriteHeader(refusal)
	case r.Method == http.MethodPut && s.after:
		s.s3.ServeHTTP(answer, r)
		w.WriteHeader(refusal)
	case r.Method == http.MethodGet && s.cut:
		s.s3.ServeHTTP(answer, r)
		maps.Copy(w.Header(), answer.Header())
		w.Write(answer.Body.Bytes()[:answer.Body.Len()/2])
	default:
		s.s3.ServeHTTP(w, r)
	}
}

func (s *server) set(before, after, cut bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.before, s.after, s.cut = before, after, cut
}

func (s *server) count(t *testing.T) int {
	t.Helper()
	list, err := s.stored.ListBucket("files", nil, gofakes3.ListBucketPage{})
	if err != nil {
		t.Fatal(err)
	}
	return len(list.Contents)
}

func openServer(t *testing.T) (fixture, *server) {
	t.Helper()
	stored := s3mem.New()
	if err := stored.CreateBucket("files"); err != nil {
		t.Fatal(err)
	}
	srv := &server{s3: gofakes3.New(stored).Server(), stored: stored}
	h := httptest.NewServer(srv)
	t.Cleanup(h.Close)
	t.Setenv("AWS_ACCESS_KEY_ID", "test")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "test")
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	return openURL(t, t.TempDir(), "s3://files?region=cn-test&use_path_style=true&endpoint="+h.URL, Limits{}), srv
}

// Ensure that through S3 a put which failed, with or without effect, is not acknowledged, and the same put again is.
func TestS3PutFaults(t *testing.T) {
	f, srv := openServer(t)
	content := report(1, 100_000)
	for i, effect := range []bool{false, true} {
		content[20] = byte(i)
		srv.set(!effect, effect, false)
		had := srv.count(t)
		_, err := f.Put(t.Context(), caseA, bytes.NewReader(content), Info{})
		if record.KindOf(err) != record.Unavailable {
			t.Fatalf("effect %v: got %v", effect, err)
		}
		if took := srv.count(t) > had; took != effect {
			t.Fatalf("the server's fault had effect %v, want %v", took, effect)
		}
		srv.set(false, false, false)
		ref := mustPut(t, f.Store, caseA, content)
		mustGet(t, f.Store, caseA, ref, content)
		if n := srv.count(t); n != had+1 {
			t.Fatalf("%d objects, want %d", n, had+1)
		}
	}
}

// Ensure that a broken connection is Unavailable, not altered, and a missing object is missing.
func TestS3GetFaults(t *testing.T) {
	f, srv := openServer(t)
	content := report(2, 90_000)
	ref := mustPut(t, f.Store, caseA, content)
	srv.set(false, false, true)
	got, _, err := get(f.Store, caseA, ref)
	if record.KindOf(err) != record.Unavailable || len(got) == len(content) {
		t.Fatalf("got %d bytes, %v", len(got), err)
	}
	srv.set(false, false, false)
	mustGet(t, f.Store, caseA, ref, content)
	_, _, err = get(f.Store, caseA, Ref{SHA256: strings.Repeat("00", 32)})
	if record.KindOf(err) != record.NotFound {
		t.Fatalf("got %v", err)
	}
}

// Ensure that an S3 service keeps what it is given, in several parts too: one of another make, or the real one whose bucket
// YIDANG_TEST_S3_URL names by the URL that Open takes.
func TestS3Service(t *testing.T) {
	f, _ := openServer(t)
	if url := os.Getenv("YIDANG_TEST_S3_URL"); url != "" {
		f = openURL(t, t.TempDir(), url, Limits{})
	}
	for _, size := range []int{100, 100_000, 12 << 20} { // the last in several parts
		content := report(uint64(size), size)
		ref := mustPut(t, f.Store, caseA, content)
		mustGet(t, f.Store, caseA, ref, content)
		if again := mustPut(t, f.Store, caseA, content); again != ref {
			t.Fatalf("got %+v, want %+v", again, ref)
		}
	}
}

// Ensure that the blobs of an erased case leave a bucket too, and that a bucket that does not let go of them is told from one
// that is away.
func TestForgetOnS3(t *testing.T) {
	f, srv := openServer(t)
	mustPut(t, f.Store, caseA, report(20, 500))
	mustPut(t, f.Store, caseA, report(21, 500))
	keep := mustPut(t, f.Store, caseB, report(20, 500))
	if err := f.vault.Destroy(t.Context(), caseA, "S-16"); err != nil {
		t.Fatal(err)
	}
	srv.set(true, false, false)
	if err := f.Forget(t.Context(), caseA); record.KindOf(err) != record.Forbidden || srv.count(t) != 3 {
		t.Fatalf("a bucket that keeps what it has: %v, %d objects", err, srv.count(t))
	}
	srv.set(false, false, false)
	if err := f.Forget(t.Context(), caseA); err != nil || srv.count(t) != 1 {
		t.Fatalf("%v, %d objects are left", err, srv.count(t))
	}
	mustGet(t, f.Store, caseB, keep, report(20, 500))
}
