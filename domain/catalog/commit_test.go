package catalog_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"testing"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"yidang/domain/casework"
	"yidang/domain/catalog"
	"yidang/domain/journal"
	"yidang/domain/record"
)

// Ensure that whatever object json.Marshal makes, its fields are found, and are the object again when they are joined.
func TestFieldsAreTheObject(t *testing.T) {
	texts := rapid.SampledFrom([]string{"", "a", `"`, `\`, "},{", "家中", "<b>", "\n\t", `\"`, "[", "{\"a\":1}"})
	value := rapid.Custom(func(t *rapid.T) any {
		switch rapid.IntRange(0, 3).Draw(t, "kind") {
		case 0:
			return texts.Draw(t, "text")
		case 1:
			return rapid.SliceOfN(texts, 0, 3).Draw(t, "list")
		case 2:
			return rapid.MapOfN(texts, texts, 0, 3).Draw(t, "object")
		}
		return rapid.Float64().Draw(t, "number")
	})
	rapid.Check(t, func(t *rapid.T) {
		object := rapid.MapOfN(texts, value, 0, 5).Draw(t, "object")
		raw, err := json.Marshal(object)
		if err != nil {
			t.Fatal(err)
		}
		fields, err := catalog.Fields(raw)
		if err != nil || len(fields) != len(object) {
			t.Fatalf("%s: %d fields of %d, %v", raw, len(fields), len(object), err)
		}
		if back := append(append([]byte("{"), bytes.Join(fields, []byte(","))...), '}'); !bytes.Equal(back, raw) {
			t.Errorf("%s came back as %s", raw, back)
		}
		for _, f := range fields {
			if !json.Valid(append(append([]byte("{"), f...), '}')) {
				t.Errorf("%s is no field", f)
			}
		}
	})
	for _, bad := range []string{"", "[]", "{", `{"a`, `{"a":[}`, `{"a":]}`, `"a"`} {
		if f, err := catalog.Fields([]byte(bad)); err == nil {
			t.Errorf("%q has fields %q", bad, f)
		}
	}
}

// Ensure that the commitment is the one that the comment in commit.go describes, so that others can check one by hand.
func TestCommitmentIsAsDescribed(t *testing.T) {
	var secret [32]byte
	for i := range secret {
		secret[i] = byte(i)
	}
	salt := func(n byte) []byte { s := sha256.Sum256(append(secret[:], 0, 0, 0, n)); return s[:] }
	one := sha256.Sum256(append(salt(1), `"outcome":"met"`...))
	two := sha256.Sum256(append(salt(2), `"place":"家中"`...))
	want := sha256.Sum256(bytes.Join([][]byte{salt(0), one[:], two[:]}, nil))

	fields, err := catalog.Fields([]byte(`{"outcome":"met","place":"家中"}`))
	if err != nil {
		t.Fatal(err)
	}
	got := catalog.Commit(catalog.Salt(secret, 0), [][32]byte{catalog.FieldHash(catalog.Salt(secret, 1), fields[0]), catalog.FieldHash(catalog.Salt(secret, 2), fields[1])})
	if got != want {
		t.Errorf("%x, want %x", got, want)
	}
	const vector = "5f29d8e8ac384ddb731e3217e083257ea23022baa66d3e17caefda8d287a73ef"
	if hex.EncodeToString(got[:]) != vector {
		t.Errorf("the commitment is now %x: what was stored can no longer be proved", got)
	}
}

// Ensure that a sealed event can be shown with a proof; that one from before commitments, or without its key, says so; and
// that metadata which commits to other data is found.
func TestDisclose(t *testing.T) {
	c := &catalog.Codec{Catalog: list(t), Vault: reverse{}, Strict: true}
	stream := record.StreamOf("drugs", uuid.New())
	e := record.Event{ID: uuid.New(), Stream: stream, Type: "casework.visit_recorded", Meta: record.Meta{Form: 1},
		Data: casework.VisitRecorded{Outcome: casework.Met, Place: "家中", Note: "甲，乙"}}
	seal := func(e record.Event) journal.Stored {
		p, err := c.Seal(t.Context(), e)
		if err != nil {
			t.Fatal(err)
		}
		return journal.Stored{ID: e.ID, Stream: stream, Type: e.Type, Meta: p.Meta, Data: p.Data}
	}
	s := seal(e)
	commitment, err := catalog.Commitment(s.Meta)
	if err != nil {
		t.Fatal(err)
	}
	d, err := c.Disclose(t.Context(), s)
	if err != nil || !d.Sealed || !d.Committed || len(d.Fields) != 3 || string(d.Fields[1].Bytes) != `"place":"家中"` {
		t.Fatalf("%+v, %v", d, err)
	}
	hashes := make([][32]byte, len(d.Fields))
	for i, f := range d.Fields {
		hashes[i] = catalog.FieldHash(f.Salt, f.Bytes)
	}
	if sum := catalog.Commit(d.Salt, hashes); !bytes.Equal(sum[:], commitment) {
		t.Error("what is shown does not give the commitment")
	}

	other := e
	other.Data = casework.VisitRecorded{Outcome: casework.Absent}
	lie := s
	lie.Data = seal(other).Data
	if _, err := c.Disclose(t.Context(), lie); err == nil {
		t.Error("data that the metadata does not commit to was shown")
	}
	if _, _, err := c.Open(t.Context(), lie); err == nil {
		t.Error("data that the metadata does not commit to was opened strictly")
	}

	old := s
	if old.Meta, err = json.Marshal(e.Meta); err != nil {
		t.Fatal(err)
	}
	if d, err := c.Disclose(t.Context(), old); err != nil || d.Committed || d.Fields != nil || len(d.Data) == 0 {
		t.Errorf("an event from before commitments: %+v, %v", d, err)
	}
	if _, _, err := c.Open(t.Context(), old); err != nil {
		t.Errorf("an event from before commitments: %v", err)
	}
	erased := &catalog.Codec{Catalog: c.Catalog, Vault: reverse{erased: true}}
	if d, err := erased.Disclose(t.Context(), s); err != nil || !d.Erased || d.Data != nil {
		t.Errorf("an erased event: %+v, %v", d, err)
	}
}
