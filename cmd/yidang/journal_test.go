package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"golang.org/x/crypto/bcrypt"

	"yidang/domain/journal"
	"yidang/domain/record"
)

// attachable makes a certificate for 127.0.0.1 and the users that may attach, and gives the settings that name them.
func attachable(t *testing.T) (settings []string, certificate string) {
	t.Helper()
	dir := t.TempDir()
	write := func(name string, raw []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, raw, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true,
		BasicConstraintsValid: true, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	users := "# who may attach\n\n"
	for _, user := range []string{"auditor read", "feeder write"} {
		name, _, _ := strings.Cut(user, " ")
		hash, err := bcrypt.GenerateFromPassword([]byte("password-of-"+name), bcrypt.MinCost)
		if err != nil {
			t.Fatal(err)
		}
		users += user + " " + string(hash) + "\n"
	}
	certificate = write("cert.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return []string{"YIDANG_JOURNAL_TLS_CERTIFICATE=" + certificate, "YIDANG_JOURNAL_USERS=" + write("users", []byte(users)),
		"YIDANG_JOURNAL_TLS_KEY=" + write("key.pem", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))}, certificate
}

// attaches checks who may do what with the journal at an address: an auditor reads, a feeder writes too, nobody else comes in.
func attaches(t *testing.T, address, certificate string) {
	t.Helper()
	open := func(user string) (*journal.Journal, error) {
		return journal.Open(t.Context(), "esdb://"+user+"@"+address+"?tlsCAFile="+certificate)
	}
	for _, user := range []string{"auditor:wrong", "nobody:password-of-auditor"} {
		if _, err := open(user); record.KindOf(err) != record.Forbidden {
			t.Errorf("%s: %v", user, err)
		}
	}
	for user, kind := range map[string]record.Kind{"auditor": record.Forbidden, "feeder": ""} {
		j, err := open(user + ":password-of-" + user)
		if err != nil {
			t.Errorf("%s: %v", user, err)
			continue
		}
		if _, some, err := j.Head(t.Context()); err != nil || !some {
			t.Errorf("%s reads: %v %v", user, some, err)
		}
		_, err = j.Append(t.Context(), "note-"+uuid.NewString(), journal.NoStream, journal.Proposed{ID: uuid.New(), Type: "note", Meta: []byte("{}"), Data: []byte("{}")})
		if record.KindOf(err) != kind || kind == "" && err != nil {
			t.Errorf("%s writes: %v", user, err)
		}
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	}
}

// Ensure that yidang journal serves the journal of a data folder to the users of the configuration, and without TLS only
// where it was asked for and nobody else can reach it.
func TestJournalCommand(t *testing.T) {
	w := newTown(t)
	w.environ = append(w.environ, "YIDANG_ANALYTICS_OFF=true")
	w.run("officer", "create", "--login", "admin", "--name", "钱管理", "--sex", "1", "--role", "administrator", "--township", "示范镇")
	w.refuses("journal.users", "journal", "--listen", "127.0.0.1:0")
	w.refuses("loopback", "journal", "--listen", "0.0.0.0:0", "--insecure")

	plain := w.environ
	settings, certificate := attachable(t)
	w.environ = append(plain, settings...)
	w.journal(func(address string) { attaches(t, address, certificate) })
	if err := os.WriteFile(filepath.Join(filepath.Dir(certificate), "users"), []byte("auditor own $2b$x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.refuses("users:1", "journal", "--listen", "127.0.0.1:0")

	w.environ = plain
	w.journal(func(address string) {
		j, err := journal.Open(t.Context(), "esdb://"+address+"?tls=false")
		if err != nil {
			t.Fatal(err)
		}
		defer j.Close()
		if _, some, err := j.Head(t.Context()); err != nil || !some {
			t.Errorf("without TLS: %v %v", some, err)
		}
	}, "--insecure")
}

// journal runs yidang journal while f runs.
func (w *town) journal(f func(address string), flags ...string) {
	w.t.Helper()
	ctx, cancel := context.WithCancel(w.t.Context())
	defer cancel()
	var log buffer
	served, told := context.WithCancel(w.t.Context())
	defer told()
	ended := make(chan int, 1)
	go func() {
		ended <- runCommand(ctx, append([]string{"journal", "--listen", "127.0.0.1:0"}, flags...), w.environ, io.Discard, stopping{&log, "served at", told})
		told()
	}()
	<-served.Done()
	found := regexp.MustCompile(`served at (127\.0\.0\.1:[1-9][0-9]*)`).FindStringSubmatch(log.String())
	if found == nil {
		w.t.Fatalf("yidang journal: %s", &log)
	}
	f(found[1])
	cancel()
	if status := <-ended; status != 0 {
		w.t.Errorf("yidang journal ended with %d: %s", status, &log)
	}
}

// Ensure that the server serves its journal to others beside the API when the configuration says so.
func TestServeJournal(t *testing.T) {
	w := newTown(t)
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	settings, certificate := attachable(t)
	w.environ = append(append(w.environ, "YIDANG_ANALYTICS_OFF=true", "YIDANG_JOURNAL_LISTEN="+address), settings...)
	w.run("officer", "create", "--login", "admin", "--name", "钱管理", "--sex", "1", "--role", "administrator", "--township", "示范镇")
	_, stop := w.serve()
	defer stop()
	attaches(t, address, certificate)
}
