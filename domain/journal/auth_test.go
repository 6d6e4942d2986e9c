package journal_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"

	"yidang/domain/journal"
	"yidang/domain/journal/embedded"
	"yidang/domain/record"
)

// certificate makes one for 127.0.0.1 and writes it where a client's tlsCAFile can find it.
func certificate(t *testing.T) (tls.Certificate, string) {
	t.Helper()
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true,
		BasicConstraintsValid: true, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der := must(x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key))(t)
	path := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, path
}

func argonHash(password string) string {
	salt := []byte("0123456789abcdef")
	sum := argon2.IDKey([]byte(password), salt, 1, 64, 1, 32)
	return fmt.Sprintf("$argon2id$v=19$m=64,t=1,p=1$%s$%s", base64.RawStdEncoding.EncodeToString(salt), base64.RawStdEncoding.EncodeToString(sum))
}

// Ensure that over TCP only named users come in, that a reader cannot write, and that each refusal has its own code.
func TestUsers(t *testing.T) {
	cert, ca := certificate(t)
	hash := must(bcrypt.GenerateFromPassword([]byte("auditor's password"), bcrypt.MinCost))(t)
	server, socket := open(t, embedded.Options{Dir: t.TempDir(), Listen: "127.0.0.1:0", TLS: &tls.Config{Certificates: []tls.Certificate{cert}},
		Users: []embedded.User{
			{Name: "auditor", Hash: string(hash)},
			{Name: "feeder", Hash: argonHash("feeder's password"), Write: true},
		}})
	if _, err := socket.Append(t.Context(), "person-1", journal.NoStream, proposed("x")); err != nil {
		t.Fatal(err)
	}
	address := server.Addr().String()
	connection := func(user string) string { return "esdb://" + user + address + "?tlsCAFile=" + ca }

	auditor, err := journal.Open(t.Context(), connection("auditor:auditor%27s%20password@"))
	if err != nil {
		t.Fatal(err)
	}
	defer auditor.Close()
	if _, ok, err := auditor.Last(t.Context(), "person-1"); !ok || err != nil {
		t.Errorf("the auditor reads: %v, %v", ok, err)
	}
	if _, err := auditor.Append(t.Context(), "person-1", journal.Any, proposed("x")); record.KindOf(err) != record.Forbidden {
		t.Errorf("the auditor writes: %v", err)
	}
	feeder, err := journal.Open(t.Context(), connection("feeder:feeder%27s%20password@"))
	if err != nil {
		t.Fatal(err)
	}
	defer feeder.Close()
	if _, err := feeder.Append(t.Context(), "person-1", journal.Any, proposed("x")); err != nil {
		t.Errorf("the feeder writes: %v", err)
	}
	for user, want := range map[string]esdb.ErrorCode{
		"auditor:wrong@":                       esdb.ErrorCodeUnauthenticated,
		"nobody:auditor%27s%20password@":       esdb.ErrorCodeUnauthenticated,
		"feeder:auditor%27s%20password@":       esdb.ErrorCodeUnauthenticated,
		"":                                     esdb.ErrorCodeAccessDenied,
		"auditor:auditor%27s%20password%20@":   esdb.ErrorCodeUnauthenticated,
		"auditor%3Aauditor%27s:%20password@":   esdb.ErrorCodeUnauthenticated,
		"auditor:" + fmt.Sprintf("%0100d@", 7): esdb.ErrorCodeUnauthenticated, // longer than bcrypt takes
	} {
		if _, err := journal.Open(t.Context(), connection(user)); record.KindOf(err) != record.Forbidden {
			t.Errorf("%q opens: %v", user, err)
		}
		config := must(esdb.ParseConnectionString(connection(user)))(t)
		config.Logger = esdb.NoopLogging()
		client := must(esdb.NewClient(config))(t)
		read, err := client.ReadStream(t.Context(), "person-1", esdb.ReadStreamOptions{}, 1)
		if err != nil {
			t.Fatal(err)
		}
		_, err = read.Recv()
		(&subject{T: t}).code(want, err)
		read.Close()
		client.Close()
	}
	// Credentials of one call count before those of the connection.
	config := must(esdb.ParseConnectionString(connection("auditor:auditor%27s%20password@")))(t)
	config.Logger = esdb.NoopLogging()
	client := must(esdb.NewClient(config))(t)
	defer client.Close()
	s := &subject{T: t, client: client}
	options := esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}, Authenticated: &esdb.Credentials{Login: "feeder", Password: "feeder's password"}}
	if _, err := client.AppendToStream(s.ctx(), "person-2", options, event("x")); err != nil {
		t.Error(err)
	}
	s.refused(esdb.ErrorCodeAccessDenied, "person-2", esdb.Any{}, event("x"))
	_, err = client.DeleteStream(s.ctx(), "person-2", esdb.DeleteStreamOptions{ExpectedRevision: esdb.Any{}})
	s.code(esdb.ErrorCodeAccessDenied, err)
}

// Ensure that a user list that cannot be meant is refused at the start.
func TestUsersRefused(t *testing.T) {
	cert, _ := certificate(t)
	good := argonHash("x")
	for name, list := range map[string][]embedded.User{
		"no users":   nil,
		"no name":    {{Hash: good}},
		"colon":      {{Name: "a:b", Hash: good}},
		"twice":      {{Name: "a", Hash: good}, {Name: "a", Hash: good}},
		"plain":      {{Name: "a", Hash: "secret"}},
		"empty":      {{Name: "a"}},
		"half argon": {{Name: "a", Hash: "$argon2id$v=19$m=64,t=1,p=1$c2FsdA$"}},
		"huge argon": {{Name: "a", Hash: "$argon2id$v=19$m=4000000000,t=1,p=1$MDEyMzQ1Njc4OWFiY2RlZg$MDEyMzQ1Njc4OWFiY2RlZg"}},
		"bad bcrypt": {{Name: "a", Hash: "$2b$short"}},
	} {
		server, err := embedded.Start(t.Context(), embedded.Options{Dir: t.TempDir(), Listen: "127.0.0.1:0",
			TLS: &tls.Config{Certificates: []tls.Certificate{cert}}, Users: list})
		if err == nil {
			server.Close()
			t.Errorf("%s: started", name)
		}
	}
}
