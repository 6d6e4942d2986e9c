package oversight

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"yidang/domain/record"
)

func kept(m record.Meta) record.Meta {
	m.Basis, m.Request, m.Correlation, m.Policy = "", nil, uuid.Nil, ""
	return m
}

// Ensure that what is read of metadata is what the JSON decoder reads, of any metadata that is written, and that nothing
// is made of what does not look like it.
func TestMeta(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		id := rapid.Custom(func(t *rapid.T) uuid.UUID {
			return rapid.SampledFrom([]uuid.UUID{uuid.Nil, testID("x", rapid.IntRange(0, 99).Draw(t, "n"))}).Draw(t, "id")
		})
		at := rapid.Custom(func(t *rapid.T) time.Time {
			return time.UnixMilli(rapid.Int64Range(-1e12, 4e12).Draw(t, "ms")).UTC()
		})
		text := rapid.SampledFrom([]string{"", "D-09; D-10", "戒毒条例 19", `a "quoted" <one>`, "paper-first"})
		m := record.Meta{
			Form: rapid.IntRange(0, 12).Draw(t, "form"), Actor: id.Draw(t, "actor"), Post: id.Draw(t, "post"), Role: record.Role(text.Draw(t, "role")), Unit: id.Draw(t, "unit"),
			Person: id.Draw(t, "person"), Case: id.Draw(t, "case"), OccurredAt: at.Draw(t, "occurred"), RecordedAt: at.Draw(t, "recorded"), Late: record.Late(text.Draw(t, "late")),
			Basis: text.Draw(t, "basis"), Command: id.Draw(t, "command"), Request: []byte(text.Draw(t, "request")), Correlation: id.Draw(t, "correlation"),
			Causation: id.Draw(t, "causation"), Policy: text.Draw(t, "policy"),
		}
		raw, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		var want, got record.Meta
		if err := json.Unmarshal(raw, &want); err != nil {
			t.Fatal(err)
		}
		if readMeta(raw, &got) && !same(got, kept(want)) {
			t.Fatalf("%s reads\n%+v, want\n%+v", raw, got, want)
		}
		// Damaged anywhere it is refused, or reads as the decoder reads it.
		i := rapid.IntRange(0, len(raw)-1).Draw(t, "damaged")
		raw[i] ^= byte(rapid.IntRange(1, 255).Draw(t, "by"))
		raw = raw[:rapid.IntRange(0, len(raw)).Draw(t, "length")]
		got, want = record.Meta{}, record.Meta{}
		if readMeta(raw, &got) && json.Unmarshal(raw, &want) == nil && !same(got, kept(want)) {
			t.Fatalf("%s reads\n%+v, want\n%+v", raw, got, want)
		}
	})
	plain := record.Meta{Form: 2, Actor: testID("a", 1), Role: record.VillageCadre, OccurredAt: time.UnixMilli(1).UTC(), RecordedAt: time.UnixMilli(2).UTC(), Basis: "戒毒条例 19", Request: []byte("x")}
	raw, err := json.Marshal(plain)
	if err != nil {
		t.Fatal(err)
	}
	var got record.Meta
	if !readMeta(raw, &got) || !same(got, kept(plain)) {
		t.Errorf("%s is left to the decoder, or reads %+v", raw, got)
	}
}

func same(a, b record.Meta) bool {
	x, _ := json.Marshal(a)
	y, _ := json.Marshal(b)
	return string(x) == string(y)
}

func BenchmarkMeta(b *testing.B) {
	m := record.Meta{Form: 1, Actor: uuid.New(), Post: uuid.New(), Role: "village-cadre", Unit: uuid.New(), Person: uuid.New(), Case: uuid.New(), OccurredAt: time.Now().UTC(),
		RecordedAt: time.Now().UTC(), Basis: "D-09; D-10", Command: uuid.New(), Request: make([]byte, 12), Correlation: uuid.New(), Causation: uuid.New(), Policy: "2026.1"}
	raw, err := json.Marshal(m)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		var m record.Meta
		if !readMeta(raw, &m) {
			b.Fatal("not read")
		}
	}
}
