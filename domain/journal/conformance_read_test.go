package journal_test

import (
	"slices"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"
)

// Ensure that a stream is read both ways, from every kind of place, with counts.
func streamReads(s *subject) {
	stream := s.name()
	s.append(stream, esdb.NoStream{}, events(10)...)
	for _, c := range []struct {
		name      string
		from      esdb.StreamPosition
		direction esdb.Direction
		count     uint64
		want      []uint64
	}{
		{"from start", esdb.Start{}, esdb.Forwards, 3, []uint64{0, 1, 2}},
		{"from revision", esdb.Revision(7), esdb.Forwards, 100, []uint64{7, 8, 9}},
		{"past the end", esdb.Revision(10), esdb.Forwards, 100, nil},
		{"backwards from end", esdb.End{}, esdb.Backwards, 2, []uint64{9, 8}},
		{"backwards from revision", esdb.Revision(2), esdb.Backwards, 100, []uint64{2, 1, 0}},
		{"backwards from start", esdb.Start{}, esdb.Backwards, 100, []uint64{0}},
		{"backwards one from revision 0", esdb.Revision(0), esdb.Backwards, 1, []uint64{0}},
	} {
		s.Run(c.name, func(t *testing.T) {
			got := revisions((&subject{T: t, client: s.client}).readStream(stream, c.from, c.direction, c.count))
			if !slices.Equal(got, c.want) {
				t.Errorf("revisions %v, want %v", got, c.want)
			}
		})
	}
	for _, direction := range []esdb.Direction{esdb.Forwards, esdb.Backwards} {
		from := esdb.StreamPosition(esdb.Start{})
		if direction == esdb.Backwards {
			from = esdb.End{}
		}
		read, err := s.client.ReadStream(s.ctx(), s.name(), esdb.ReadStreamOptions{From: from, Direction: direction}, 1)
		if err != nil {
			s.Fatal(err)
		}
		_, err = read.Recv()
		s.code(esdb.ErrorCodeResourceNotFound, err)
		read.Close()
	}
	// More than any page of a server.
	long := s.name()
	for range 5 {
		s.append(long, esdb.Any{}, events(700)...)
	}
	up := revisions(s.readStream(long, esdb.Start{}, esdb.Forwards, 1<<62))
	down := revisions(s.readStream(long, esdb.End{}, esdb.Backwards, 1<<62))
	slices.Reverse(down)
	if len(up) != 3500 || up[3499] != 3499 || !slices.IsSorted(up) || !slices.Equal(up, down) {
		s.Errorf("a long stream reads %d events forwards and %d backwards, want 3500 each", len(up), len(down))
	}
}

// Ensure that $all is read both ways around a position: forwards begins with the event there, backwards before it.
func allReads(s *subject) {
	stream := s.name()
	s.append(stream, esdb.NoStream{}, events(20)...)
	mine := s.readStream(stream, esdb.Start{}, esdb.Forwards, 100)
	at := func(i int) esdb.Position { return mine[i].Event.Position }

	// One append stands together in the log, unless a real server shares it with others.
	forwards := s.only(stream, s.readAll(at(5), esdb.Forwards, 15))
	if forwards[0] != 5 || len(forwards) < 2 {
		s.Errorf("forwards from event 5 begins %v", forwards)
	}
	backwards := s.only(stream, s.readAll(at(5), esdb.Backwards, 5))
	if backwards[0] != 4 {
		s.Errorf("backwards from event 5 begins %v", backwards)
	}
	if n := len(s.readAll(at(0), esdb.Forwards, 7)); n != 7 {
		s.Errorf("a count of 7 gave %d", n)
	}
	if n := len(s.readAll(esdb.End{}, esdb.Forwards, 7)); n != 0 {
		s.Errorf("forwards from the end gave %d", n)
	}
	if n := len(s.readAll(esdb.Start{}, esdb.Backwards, 7)); n != 0 {
		s.Errorf("backwards from the start gave %d", n)
	}
	if n := len(s.readAll(esdb.Start{}, esdb.Forwards, 2)); n != 2 {
		s.Errorf("forwards from the start gave %d, want 2", n)
	}
	tail := s.readAll(esdb.End{}, esdb.Backwards, 50)
	if !slices.ContainsFunc(tail, func(e *esdb.ResolvedEvent) bool { return e.OriginalEvent().StreamID == stream }) {
		s.Error("backwards from the end does not show what was just appended")
	}
	for i, e := range tail[1:] {
		if e.OriginalEvent().Position.Commit >= tail[i].OriginalEvent().Position.Commit {
			s.Fatal("positions do not fall backwards")
		}
	}
}

// only returns the revisions of one stream's events.
func (s *subject) only(stream string, list []*esdb.ResolvedEvent) (out []uint64) {
	s.Helper()
	for _, e := range list {
		if e.OriginalEvent().StreamID == stream {
			out = append(out, e.OriginalEvent().EventNumber)
		}
	}
	if len(out) == 0 {
		s.Fatalf("no event of %s among %d", stream, len(list))
	}
	return out
}

// Ensure that link events are resolved when asked, and handed out as they are otherwise.
func links(s *subject) {
	target, linked := s.name(), s.name()
	s.append(target, esdb.NoStream{}, events(2)...)
	s.append(linked, esdb.NoStream{},
		esdb.EventData{EventID: uuid.New(), EventType: "$>", Data: []byte("1@" + target)},
		esdb.EventData{EventID: uuid.New(), EventType: "$>", Data: []byte("7@" + target)})
	read, err := s.client.ReadStream(s.ctx(), linked, esdb.ReadStreamOptions{From: esdb.Start{}, ResolveLinkTos: true}, 10)
	if err != nil {
		s.Fatal(err)
	}
	got := s.collect(read)
	if len(got) != 2 {
		s.Fatalf("%d events, want 2", len(got))
	}
	if e := got[0]; e.Link == nil || e.Event == nil || e.Event.StreamID != target || e.Event.EventNumber != 1 || e.Link.StreamID != linked {
		s.Errorf("the link is resolved to %+v", e)
	}
	if e := got[1]; e.Link == nil || e.Event != nil {
		s.Errorf("a link to nothing is %+v", e)
	}
	if plain := s.readStream(linked, esdb.Start{}, esdb.Forwards, 1); plain[0].Link != nil || plain[0].Event.EventType != "$>" {
		s.Errorf("unresolved it is %+v", plain[0])
	}
}

// Ensure that a stream's metadata is written and read, and makes the stream exist.
func streamMetadata(s *subject) {
	stream := s.name()
	_, err := s.client.GetStreamMetadata(s.ctx(), stream, esdb.ReadStreamOptions{From: esdb.End{}, Direction: esdb.Backwards})
	s.code(esdb.ErrorCodeResourceNotFound, err)

	meta := esdb.StreamMetadata{}
	meta.SetCacheControl(17 * time.Second)
	meta.AddCustomProperty("unit", "village-3")
	if _, err := s.client.SetStreamMetadata(s.ctx(), stream, esdb.AppendToStreamOptions{ExpectedRevision: esdb.NoStream{}}, meta); err != nil {
		s.Fatal(err)
	}
	back, err := s.client.GetStreamMetadata(s.ctx(), stream, esdb.ReadStreamOptions{From: esdb.End{}, Direction: esdb.Backwards})
	if err != nil {
		s.Fatal(err)
	}
	if c := back.CacheControl(); c == nil || *c != 17*time.Second || back.CustomProperties()["unit"] != "village-3" {
		s.Errorf("the metadata came back as %+v", back)
	}
	if r := s.append(stream, esdb.StreamExists{}, event("x")); r.NextExpectedVersion != 0 {
		s.Errorf("a stream with metadata only takes its first event at %d", r.NextExpectedVersion)
	}
}

// Ensure that what would take something away from the journal is refused as access denied.
func refusals(s *subject) {
	if !s.grows {
		s.Log("not asked of a real server: it would do it")
		return
	}
	denied := esdb.ErrorCodeAccessDenied
	s.refused(denied, "$all", esdb.Any{}, event("x"))
	stream := s.name()
	s.append(stream, esdb.NoStream{}, events(2)...)
	_, err := s.client.DeleteStream(s.ctx(), stream, esdb.DeleteStreamOptions{ExpectedRevision: esdb.Any{}})
	s.code(denied, err)
	_, err = s.client.TombstoneStream(s.ctx(), stream, esdb.TombstoneStreamOptions{ExpectedRevision: esdb.Any{}})
	s.code(denied, err)
	s.refused(denied, stream, esdb.Any{}, event("$streamDeleted"))
	for _, body := range []string{`{"$maxAge":60}`, `{"$maxCount":1}`, `{"$tb":1}`, `{"x":1,"\u0024tb":1}`, `{"$MAXCOUNT":1}`, `{"$acl":{}}`} {
		e := event("$metadata")
		e.Data = []byte(body)
		s.refused(denied, "$$"+stream, esdb.Any{}, e)
	}
	for _, body := range []string{`{$maxCount:1}`, `{'$maxCount':1}`, `[1]`, `null`, ``} {
		e := event("$metadata")
		e.Data = []byte(body)
		s.refused(esdb.ErrorCodeUnknown, "$$"+stream, esdb.Any{}, e)
	}
	if n := len(s.readStream(stream, esdb.Start{}, esdb.Forwards, 10)); n != 2 {
		s.Errorf("the stream has %d events, want 2", n)
	}
	// What this server does not have, the client hears as unsupported.
	err = s.client.CreatePersistentSubscription(s.ctx(), stream, "group", esdb.PersistentStreamSubscriptionOptions{})
	s.code(esdb.ErrorCodeUnsupportedFeature, err)
}

// Ensure that the client learns the server's version.
func serverFeatures(s *subject) {
	version, err := s.client.GetServerVersion()
	if err != nil || version.Major < 20 {
		s.Errorf("version %+v, %v", version, err)
	}
	// A call that has no time left is over before the server can have answered.
	none := time.Nanosecond
	_, err = s.client.AppendToStream(s.ctx(), s.name(), esdb.AppendToStreamOptions{Deadline: &none}, event("x"))
	s.code(esdb.ErrorCodeDeadlineExceeded, err)
}
