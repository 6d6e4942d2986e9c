package audit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/google/uuid"

	"yidang/domain/commands"
	"yidang/domain/journal"
	"yidang/domain/record"
)

// Ensure that what was dealt out comes back whole and in order, each stream at one time with the claims that were made for
// it, and never more at once than a worker may hold, but for a stream that is larger by itself.
func TestSpoolHolds(t *testing.T) {
	s, err := newSpool(t.TempDir(), 3)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	a := &audit{spool: s}
	const hold, streams, large = 20_000, 300, 100_000
	want := map[string][]uuid.UUID{}
	names := make([]string, streams)
	for i := range names {
		names[i] = record.StreamOf("drugs", uuid.New())
	}
	for i := range 3000 {
		e := journal.Stored{Stream: names[i*i%streams], Type: "drugs.opened", Position: uint64(i + 1), Revision: uint64(i), ID: uuid.New(), Meta: fmt.Appendf(nil, "{%d}", i), Data: bytes.Repeat([]byte{byte(i)}, i%200)}
		group := e.Stream
		switch {
		case i%50 == 7:
			e.Stream, e.Type = fmt.Sprintf("citizenid-%064x", i), commands.ClaimedType
			e.Data, _ = json.Marshal(map[string]string{"stream": group})
		case i == 11:
			e.Data = make([]byte, large)
		}
		want[group] = append(want[group], e.ID)
		if err := a.deal(e); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.flush(); err != nil {
		t.Fatal(err)
	}
	seen, most := 0, 0
	for n := range s.parts {
		err := s.each(n, hold, func(all []*stream) error {
			held := 0
			for _, st := range all {
				seen++
				var got []uuid.UUID
				for _, e := range slices.SortedFunc(slices.Values(slices.Concat(st.events, st.claims)), func(a, b journal.Stored) int { return cmpUint(a.Position, b.Position) }) {
					got = append(got, e.ID)
					held += len(e.Meta) + len(e.Data)
				}
				if !slices.Equal(got, want[st.name]) {
					t.Errorf("of %s come back %d events, there were %d", st.name, len(got), len(want[st.name]))
				}
			}
			if held > hold && len(all) > 1 {
				t.Errorf("%d streams with %d bytes are held at once", len(all), held)
			}
			most = max(most, held)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if seen != len(want) || most < large || most > large+hold {
		t.Errorf("%d streams of %d came back, at most %d bytes at once", seen, len(want), most)
	}
}

// Ensure that what is in memory for the whole work does not grow with who signed in.
func TestSigningInPasses(t *testing.T) {
	s, err := newSpool(t.TempDir(), spoolParts)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	a := &audit{spool: s}
	officer := record.StreamOf("officer", uuid.New())
	for _, c := range []struct {
		kind string
		kept bool
	}{{"officer.signed_in", false}, {"officer.sign_in_failed", false}, {"officer.signed_out", false}, {"officer.post_granted", true}, {"officer.recusal_declared", true}, {"officer.disabled", true}, {record.VoidedType, true}} {
		before := s.parts[townPart].size
		if err := a.deal(journal.Stored{Stream: officer, Type: c.kind, Data: []byte("{}"), Meta: []byte("{}")}); err != nil {
			t.Fatal(err)
		}
		if kept := s.parts[townPart].size > before; kept != c.kept {
			t.Errorf("%s is kept: %t", c.kind, kept)
		}
	}
}
