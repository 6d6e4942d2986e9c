package journal_test

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"

	"yidang/domain/journal"
	"yidang/domain/journal/embedded"
)

// realServer names the environment variable with the connection string of a real EventStoreDB or KurrentDB, single node
// or cluster.
const realServer = "YIDANG_TEST_EVENTSTORE"

// subject is a server under the conformance suite. The suite speaks to it with the official client, as a stranger would,
// and uses random stream names only: the server may be shared.
type subject struct {
	*testing.T
	client     *esdb.Client
	connection string
	grows      bool // refuses to forget (the embedded server); a real one deletes when asked, so it is not asked
}

// Ensure that the embedded server answers as the protocol demands.
func TestConformanceEmbedded(t *testing.T) {
	server, err := embedded.Start(t.Context(), embedded.Options{Dir: t.TempDir(), Listen: "127.0.0.1:0", Insecure: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	t.Run("socket", func(t *testing.T) {
		config := must(esdb.ParseConnectionString("esdb://localhost?tls=false"))(t)
		config.Address = "unix://" + strings.TrimPrefix(server.Connection(), embedded.SocketScheme)
		conform(t, config, server.Connection(), true)
	})
	t.Run("tcp", func(t *testing.T) {
		connection := "esdb://anybody:anything@" + server.Addr().String() + "?tls=false"
		conform(t, must(esdb.ParseConnectionString(connection))(t), connection, true)
	})
	t.Run("gossip", func(t *testing.T) {
		address := server.Addr().String()
		connection := "esdb://" + address + "," + address + "?tls=false"
		conform(t, must(esdb.ParseConnectionString(connection))(t), connection, true)
	})
}

// Ensure that a real server answers the same, so that the suite says something about the embedded one.
func TestConformanceReal(t *testing.T) {
	connection := os.Getenv(realServer)
	if connection == "" {
		t.Skipf("%s is not set", realServer)
	}
	conform(t, must(esdb.ParseConnectionString(connection))(t), connection, false)
}

func conform(t *testing.T, config *esdb.Configuration, connection string, grows bool) {
	config.Logger = esdb.NoopLogging()
	client, err := esdb.NewClient(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	for _, part := range []struct {
		name string
		run  func(*subject)
	}{
		{"expected revisions", expectedRevisions},
		{"idempotent appends", idempotentAppends},
		{"atomic appends", atomicAppends},
		{"sizes", sizes},
		{"what is stored", whatIsStored},
		{"stream reads", streamReads},
		{"all reads", allReads},
		{"links", links},
		{"stream metadata", streamMetadata},
		{"refusals", refusals},
		{"server features", serverFeatures},
		{"stream subscriptions", streamSubscriptions},
		{"all subscriptions", allSubscriptions},
		{"filters", filters},
		{"live without gap or repeat", liveWithoutGap},
		{"typed access", typedAccess},
	} {
		t.Run(part.name, func(t *testing.T) {
			part.run(&subject{T: t, client: client, connection: connection, grows: grows})
		})
	}
}

func must[T any](value T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

// name makes a stream name of its own.
func (s *subject) name() string { return "conformance-" + uuid.NewString() }

func (s *subject) ctx() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	s.Cleanup(cancel)
	return ctx
}

func event(kind string) esdb.EventData {
	return esdb.EventData{EventID: uuid.New(), EventType: kind, ContentType: esdb.ContentTypeJson,
		Data: []byte(`{"outcome":"met"}`), Metadata: []byte(`{"actor":"officer"}`)}
}

func events(n int) []esdb.EventData {
	list := make([]esdb.EventData, n)
	for i := range list {
		list[i] = event("casework.visit_recorded")
	}
	return list
}

func (s *subject) append(stream string, expected esdb.ExpectedRevision, list ...esdb.EventData) *esdb.WriteResult {
	s.Helper()
	result, err := s.client.AppendToStream(s.ctx(), stream, esdb.AppendToStreamOptions{ExpectedRevision: expected}, list...)
	if err != nil {
		s.Fatalf("append to %s: %v", stream, err)
	}
	return result
}

// refused appends and wants this error code.
func (s *subject) refused(want esdb.ErrorCode, stream string, expected esdb.ExpectedRevision, list ...esdb.EventData) error {
	s.Helper()
	_, err := s.client.AppendToStream(s.ctx(), stream, esdb.AppendToStreamOptions{ExpectedRevision: expected}, list...)
	s.code(want, err)
	return err
}

func (s *subject) code(want esdb.ErrorCode, err error) {
	s.Helper()
	var e *esdb.Error
	if !errors.As(err, &e) || e.Code() != want {
		s.Fatalf("error is %v, want code %d", err, want)
	}
}

func (s *subject) readStream(stream string, from esdb.StreamPosition, direction esdb.Direction, count uint64) []*esdb.ResolvedEvent {
	s.Helper()
	read, err := s.client.ReadStream(s.ctx(), stream, esdb.ReadStreamOptions{From: from, Direction: direction}, count)
	if err != nil {
		s.Fatal(err)
	}
	return s.collect(read)
}

func (s *subject) readAll(from esdb.AllPosition, direction esdb.Direction, count uint64) []*esdb.ResolvedEvent {
	s.Helper()
	read, err := s.client.ReadAll(s.ctx(), esdb.ReadAllOptions{From: from, Direction: direction}, count)
	if err != nil {
		s.Fatal(err)
	}
	return s.collect(read)
}

func (s *subject) collect(read *esdb.ReadStream) (list []*esdb.ResolvedEvent) {
	s.Helper()
	defer read.Close()
	for {
		e, err := read.Recv()
		if errors.Is(err, io.EOF) {
			return list
		}
		if err != nil {
			s.Fatal(err)
		}
		list = append(list, e)
	}
}

func revisions(list []*esdb.ResolvedEvent) []uint64 {
	out := make([]uint64, len(list))
	for i, e := range list {
		out[i] = e.OriginalEvent().EventNumber
	}
	return out
}

func ids(list []*esdb.ResolvedEvent) []uuid.UUID {
	out := make([]uuid.UUID, len(list))
	for i, e := range list {
		out[i] = e.OriginalEvent().EventID
	}
	return out
}

func idsOf(list []esdb.EventData) []uuid.UUID {
	out := make([]uuid.UUID, len(list))
	for i, e := range list {
		out[i] = e.EventID
	}
	return out
}

// typedAccess drives the same server through package journal.
func typedAccess(s *subject) {
	j, err := journal.Open(s.ctx(), s.connection)
	if err != nil {
		s.Fatal(err)
	}
	defer j.Close()
	accessTest(s.T, j, s.name())
}
