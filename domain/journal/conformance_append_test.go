package journal_test

import (
	"slices"
	"sync"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"
)

// Ensure that each expectation holds exactly when it should, on a stream that is there and one that is not.
func expectedRevisions(s *subject) {
	missing, filled := s.name(), s.name()
	s.append(filled, esdb.NoStream{}, events(3)...)
	wrong := esdb.ErrorCodeWrongExpectedVersion

	s.refused(wrong, missing, esdb.StreamExists{}, event("x"))
	s.refused(wrong, missing, esdb.Revision(0), event("x"))
	s.refused(wrong, filled, esdb.NoStream{}, event("x"))
	s.refused(wrong, filled, esdb.Revision(1), event("x"))
	s.refused(wrong, filled, esdb.Revision(3), event("x"))

	if r := s.append(filled, esdb.Revision(2), event("x")); r.NextExpectedVersion != 3 {
		s.Errorf("revision after an exact append is %d, want 3", r.NextExpectedVersion)
	}
	if r := s.append(filled, esdb.StreamExists{}, event("x")); r.NextExpectedVersion != 4 {
		s.Errorf("revision after stream-exists is %d, want 4", r.NextExpectedVersion)
	}
	if r := s.append(filled, esdb.Any{}, events(2)...); r.NextExpectedVersion != 6 {
		s.Errorf("revision after any is %d, want 6", r.NextExpectedVersion)
	}
	if r := s.append(missing, esdb.Any{}, event("x")); r.NextExpectedVersion != 0 {
		s.Errorf("first revision is %d, want 0", r.NextExpectedVersion)
	}
	got := revisions(s.readStream(filled, esdb.Start{}, esdb.Forwards, 100))
	if want := []uint64{0, 1, 2, 3, 4, 5, 6}; !slices.Equal(got, want) {
		s.Errorf("revisions are %v, want %v: a refused append left something", got, want)
	}
}

// Ensure that a repeat is answered with the first result and stores nothing, and that half a repeat is refused.
func idempotentAppends(s *subject) {
	for _, expected := range []struct {
		name string
		what esdb.ExpectedRevision
	}{{"exact", esdb.Revision(1)}, {"any", esdb.Any{}}, {"stream exists", esdb.StreamExists{}}} {
		s.Run(expected.name, func(t *testing.T) {
			s := &subject{T: t, client: s.client}
			stream := s.name()
			s.append(stream, esdb.NoStream{}, events(2)...)
			batch := events(3)
			first := s.append(stream, expected.what, batch...)
			s.append(stream, esdb.Revision(first.NextExpectedVersion), event("later"))

			again := s.append(stream, expected.what, batch...)
			if *again != *first {
				t.Errorf("the repeat was answered %+v, first %+v", *again, *first)
			}
			// A prefix of it is a repeat as well: its last event is the answer.
			if r := s.append(stream, expected.what, batch[:2]...); r.NextExpectedVersion != 3 {
				t.Errorf("a repeated prefix ended at %d, want 3", r.NextExpectedVersion)
			}
			s.refused(esdb.ErrorCodeWrongExpectedVersion, stream, expected.what, batch[0], event("new"))
			if n := len(s.readStream(stream, esdb.Start{}, esdb.Forwards, 100)); n != 6 {
				t.Errorf("the stream has %d events, want 6", n)
			}
		})
	}
	s.Run("no stream", func(t *testing.T) {
		s := &subject{T: t, client: s.client}
		stream, batch := s.name(), events(2)
		first := s.append(stream, esdb.NoStream{}, batch...)
		if again := s.append(stream, esdb.NoStream{}, batch...); *again != *first {
			t.Errorf("the repeat was answered %+v, first %+v", *again, *first)
		}
		// The same ids elsewhere are other events.
		other := s.name()
		s.append(other, esdb.NoStream{}, batch...)
		if n := len(s.readStream(other, esdb.Start{}, esdb.Forwards, 10)); n != 2 {
			t.Errorf("the other stream has %d events, want 2", n)
		}
	})
	s.Run("same ids at another place", func(t *testing.T) {
		s := &subject{T: t, client: s.client}
		stream, batch := s.name(), events(2)
		s.append(stream, esdb.NoStream{}, batch...)
		// At the end of the stream they are appended again: only the expected place makes a repeat.
		if r := s.append(stream, esdb.Revision(1), batch...); r.NextExpectedVersion != 3 {
			t.Errorf("ended at %d, want 3", r.NextExpectedVersion)
		}
	})
}

// Ensure that the events of an append stand together, also among others that write to the same stream.
func atomicAppends(s *subject) {
	stream := s.name()
	const callers, each = 8, 5
	var all sync.WaitGroup
	batches := make([][]esdb.EventData, callers)
	for c := range batches {
		batches[c] = events(each)
		all.Go(func() {
			if _, err := s.client.AppendToStream(s.ctx(), stream, esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, batches[c]...); err != nil {
				s.Error(err)
			}
		})
	}
	all.Wait()
	stored := s.readStream(stream, esdb.Start{}, esdb.Forwards, 1000)
	if len(stored) != callers*each {
		s.Fatalf("%d events, want %d", len(stored), callers*each)
	}
	for i := 0; i < len(stored); i += each {
		got := ids(stored[i : i+each])
		if !slices.ContainsFunc(batches, func(b []esdb.EventData) bool { return slices.Equal(idsOf(b), got) }) {
			s.Fatalf("events %d to %d are not one append", i, i+each-1)
		}
	}
	for i, e := range stored[1:] {
		if before := stored[i].Event.Position.Commit; e.Event.Position.Commit <= before {
			s.Fatalf("position %d after %d", e.Event.Position.Commit, before)
		}
	}
}

// Ensure that an append that is too large is refused whole, as one event and as several.
func sizes(s *subject) {
	stream := s.name()
	large := func(n int) esdb.EventData {
		e := event("attachment")
		e.ContentType, e.Data = esdb.ContentTypeBinary, make([]byte, n)
		return e
	}
	s.append(stream, esdb.NoStream{}, large(900<<10))
	// The client cannot tell these apart from other refusals: its code for them is "unknown".
	s.refused(esdb.ErrorCodeUnknown, stream, esdb.Any{}, large(16<<20+1))
	s.refused(esdb.ErrorCodeUnknown, stream, esdb.Any{}, large(9<<20), large(9<<20))
	if s.grows {
		s.append(stream, esdb.Revision(0), large(16<<20-100))
	}
	if n := len(s.readStream(stream, esdb.Start{}, esdb.Forwards, 10)); n > 2 || !s.grows && n > 1 {
		s.Errorf("%d events, something of a refused append was stored", n)
	}
	if s.grows {
		last := s.readStream(stream, esdb.End{}, esdb.Backwards, 1)
		if len(last) != 1 || len(last[0].Event.Data) != 16<<20-100 {
			s.Error("a record of almost 16 MiB does not come back whole")
		}
	}
}

// Ensure that every field comes back as it went in, through a stream and through $all.
func whatIsStored(s *subject) {
	stream := s.name() + "-名字"
	in := []esdb.EventData{
		{EventID: uuid.New(), EventType: "drugs.尿检_recorded", ContentType: esdb.ContentTypeJson, Data: []byte(`{"结果":"阴性"}`), Metadata: []byte(`{"v":1}`)},
		{EventID: uuid.New(), EventType: "sealed", ContentType: esdb.ContentTypeBinary, Data: []byte{0, 1, 2, 0xff, 0}, Metadata: []byte{0xfe}},
		{EventID: uuid.New(), EventType: "empty", ContentType: esdb.ContentTypeBinary},
	}
	result := s.append(stream, esdb.NoStream{}, in...)
	out := s.readStream(stream, esdb.Start{}, esdb.Forwards, 10)
	if len(out) != len(in) {
		s.Fatalf("%d events, want %d", len(out), len(in))
	}
	contentTypes := []string{"application/json", "application/octet-stream", "application/octet-stream"}
	for i, r := range out {
		e, want := r.Event, in[i]
		if e.EventID != want.EventID || e.EventType != want.EventType || e.StreamID != stream || e.EventNumber != uint64(i) ||
			string(e.Data) != string(want.Data) || string(e.UserMetadata) != string(want.Metadata) || e.ContentType != contentTypes[i] {
			s.Errorf("event %d came back as %+v, went in as %+v", i, e, want)
		}
		if e.CreatedDate.IsZero() || r.Link != nil {
			s.Errorf("event %d: created %v, link %v", i, e.CreatedDate, r.Link)
		}
	}
	if last := out[2].Event.Position; last.Commit != result.CommitPosition {
		s.Errorf("the append said position %d, the event %d", result.CommitPosition, last.Commit)
	}
	// The same through $all, beginning with the first of them.
	all := s.readAll(out[0].Event.Position, esdb.Forwards, 1)
	if len(all) != 1 || all[0].Event.EventID != in[0].EventID || all[0].Event.StreamID != stream || all[0].Commit == nil {
		s.Errorf("$all at the event's position does not begin with it: %+v", all)
	}
}
