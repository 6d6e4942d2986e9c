package catalog_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/uuid"

	"yidang/domain/casework"
	"yidang/domain/catalog"
	"yidang/domain/journal"
	"yidang/domain/policy"
	"yidang/domain/record"
	"yidang/domain/vault"
)

// BenchmarkOpen opens a stored visit without unsealing: metadata, policy version, data. The baseline decodes the same bytes
// into a map.
func BenchmarkOpen(b *testing.B) {
	book, err := policy.NewBook(nil)
	if err != nil {
		b.Fatal(err)
	}
	c := &catalog.Codec{Catalog: list(b), Vault: reverse{}, Policy: book}
	stream := record.StreamOf("drugs", uuid.New())
	now := time.Now().UTC().Truncate(time.Millisecond)
	p, err := c.Seal(b.Context(), record.Event{ID: uuid.New(), Stream: stream, Type: "casework.visit_recorded",
		Data: casework.VisitRecorded{Outcome: casework.Met, Place: "家中", Note: "在家，精神状态良好"},
		Meta: record.Meta{Form: 1, Actor: uuid.New(), Post: uuid.New(), Unit: uuid.New(), Role: record.VillageCadre, Person: uuid.New(), Case: uuid.New(),
			OccurredAt: now, RecordedAt: now, Basis: "D-09; D-10; D-11", Command: uuid.New(), Request: make([]byte, 12), Correlation: uuid.New(), Causation: uuid.New(), Policy: "2026.1"}})
	if err != nil {
		b.Fatal(err)
	}
	s := journal.Stored{ID: uuid.New(), Stream: stream, Type: "casework.visit_recorded", Meta: p.Meta, Data: p.Data}
	s.ID = uuid.Nil
	p, _ = c.Seal(b.Context(), record.Event{Stream: stream, Type: s.Type, Data: casework.VisitRecorded{Outcome: casework.Met, Place: "家中", Note: "在家"}, Meta: record.Meta{Form: 1}})
	s.Data = p.Data
	b.Run("open", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, _, err := c.Open(b.Context(), s); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("baseline: json to map", func(b *testing.B) {
		for b.Loop() {
			var m map[string]any
			if err := json.Unmarshal(s.Meta, &m); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkSeal makes the stored form of a visit in a real vault: what of it is the commitment shows a profile.
func BenchmarkSeal(b *testing.B) {
	wrapper, err := vault.KeyFile(b.TempDir() + "/key")
	if err != nil {
		b.Fatal(err)
	}
	v, err := vault.Open(b.Context(), vault.Options{Path: b.TempDir() + "/vault", Wrapper: wrapper})
	if err != nil {
		b.Fatal(err)
	}
	defer v.Close()
	c := &catalog.Codec{Catalog: list(b), Vault: v}
	e := record.Event{ID: uuid.New(), Stream: record.StreamOf("drugs", uuid.New()), Type: "casework.visit_recorded",
		Data: casework.VisitRecorded{Outcome: casework.Met, Place: "家中", With: "母亲", Note: "在家，精神状态良好"}, Meta: record.Meta{Form: 1, Actor: uuid.New()}}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Seal(b.Context(), e); err != nil {
			b.Fatal(err)
		}
	}
}
