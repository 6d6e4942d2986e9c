package attachments

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"

	"yidang/domain/record"
)

// server answers the few S3 requests a store makes, and fails as it is told: what the real client does about it is tested.
type server struct {
	mu      sync.Mutex
	objects map[string][]byte
	before  bool // fail a put without effect
	after   bool // fail a put that took effect
	cut     bool // break off a get in the middle
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch r.Method {
	case http.MethodPut:
		body, err := io.ReadAll(r.Body)
		if err != nil || s.before {
			w.WriteHeader(http.StatusForbidden) // a status that the client does not retry
			return
		}
		s.objects[r.URL.Path] = body
		if s.after {
			w.WriteHeader(http.StatusForbidden)
		}
	case http.MethodHead: // the client asks before it deletes
		if _, ok := s.objects[r.URL.Path]; !ok {
			w.WriteHeader(http.StatusNotFound)
		}
	case http.MethodDelete:
		if s.before {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		delete(s.objects, r.URL.Path)
		w.WriteHeader(http.StatusNoContent)
	case http.MethodGet:
		if prefix := r.URL.Query().Get("prefix"); prefix != "" {
			w.Header().Set("Content-Type", "application/xml")
			io.WriteString(w, "<ListBucketResult>")
			for path := range s.objects {
				if key := strings.TrimPrefix(path, "/files/"); strings.HasPrefix(key, prefix) {
					io.WriteString(w, "<Contents><Key>"+key+"</Key><Size>1</Size><LastModified>2026-03-02T00:00:00Z</LastModified></Contents>")
				}
			}
			io.WriteString(w, "</ListBucketResult>")
			return
		}
		body, ok := s.objects[r.URL.Path]
		if !ok {
			w.Header().Set("Content-Type", "application/xml")
			w.WriteHeader(http.StatusNotFound)
			io.WriteString(w, `<Error><Code>NoSuchKey</Code><Message>no such key</Message></Error>`)
			return
		}
		if s.cut {
			w.Header().Set("Content-Length", "100000")
			body = body[:len(body)/2]
		}
		w.Write(body)
	default:
		w.WriteHeader(http.StatusMethodNotAllowed)
	}
}

func (s *server) set(before, after, cut bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.before, s.after, s.cut = before, after, cut
}

func (s *server) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.objects)
}

func openServer(t *testing.T) (fixture, *server) {
	t.Helper()
	srv := &server{objects: map[string][]byte{}}
	h := httptest.NewServer(srv)
	t.Cleanup(h.Close)
	t.Setenv("AWS_ACCESS_KEY_ID", "test")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "test")
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	// Trailing checksums wrap the body in chunks, which this server does not take apart.
	url := "s3://files?region=cn-test&use_path_style=true&request_checksum_calculation=when_required&response_checksum_validation=when_required&endpoint=" + h.URL
	return openURL(t, t.TempDir(), url, Limits{}), srv
}

// Ensure that through S3 a put which failed, with or without effect, is not acknowledged, and the same put again is.
func TestS3PutFaults(t *testing.T) {
	f, srv := openServer(t)
	content := report(1, 100_000)
	for i, effect := range []bool{false, true} {
		content[20] = byte(i)
		srv.set(!effect, effect, false)
		had := srv.count()
		_, err := f.Put(t.Context(), caseA, bytes.NewReader(content), Info{})
		if record.KindOf(err) != record.Unavailable {
			t.Fatalf("effect %v: got %v", effect, err)
		}
		if took := srv.count() > had; took != effect {
			t.Fatalf("the server's fault had effect %v, want %v", took, effect)
		}
		srv.set(false, false, false)
		ref := mustPut(t, f.Store, caseA, content)
		mustGet(t, f.Store, caseA, ref, content)
		if n := srv.count(); n != had+1 {
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

// Ensure that a real S3 service does, when YIDANG_TEST_S3_URL names a bucket by the URL that Open takes.
func TestS3Service(t *testing.T) {
	url := os.Getenv("YIDANG_TEST_S3_URL")
	if url == "" {
		t.Skip("YIDANG_TEST_S3_URL is not set")
	}
	f := openURL(t, t.TempDir(), url, Limits{})
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
	if err := f.Forget(t.Context(), caseA); record.KindOf(err) != record.Forbidden || srv.count() != 3 {
		t.Fatalf("a bucket that keeps what it has: %v, %d objects", err, srv.count())
	}
	srv.set(false, false, false)
	if err := f.Forget(t.Context(), caseA); err != nil || srv.count() != 1 {
		t.Fatalf("%v, %d objects are left", err, srv.count())
	}
	mustGet(t, f.Store, caseB, keep, report(20, 500))
}
