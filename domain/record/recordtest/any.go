package recordtest

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"yidang/domain/record"
)

// Total checks the law that every category must keep: any events in any order, with any data, fold without panic; their
// lines and facets can be read; and a snapshot taken anywhere restores to a state that folds on to the same end.
func Total(t *testing.T, k *record.Category, rules any) {
	words := words(k)
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 25).Draw(t, "events")
		cut := rapid.IntRange(0, n-1).Draw(t, "snapshot after")
		whole, resumed := record.NewFile(k, record.StreamOf(k.Name, pool[0])), record.NewFile(k, record.StreamOf(k.Name, pool[0]))
		for i := range n {
			e := anyEvent(t, k, words, i)
			e.Rules = rules
			record.FacetsOf(e)
			row, _ := k.Event(e.Type)
			if line := row.Line(e); line.Zh == "" || line.En == "" {
				t.Fatalf("%s has no line", e.Type)
			}
			for _, f := range []*record.File{whole, resumed} {
				if err := f.Apply(e); err != nil {
					t.Fatal(err)
				}
			}
			if i == cut {
				raw := mustEncode(t, resumed.State)
				resumed.State = k.New()
				if err := json.Unmarshal(raw, resumed.State); err != nil {
					t.Fatalf("restoring %s: %v", raw, err)
				}
			}
		}
		if a, b := mustEncode(t, whole.State), mustEncode(t, resumed.State); string(a) != string(b) {
			t.Fatalf("the snapshot lost something:\n whole   %s\n resumed %s", a, b)
		}
	})
}

func mustEncode(t *rapid.T, state any) []byte {
	raw, err := json.Marshal(state)
	if err != nil {
		t.Fatalf("the state does not marshal: %v", err)
	}
	return raw
}

// pool is small, so that events often speak of the same thing.
var pool = []uuid.UUID{uuid.MustParse("00000000-0000-4000-8000-000000000001"), uuid.MustParse("00000000-0000-4000-8000-000000000002"), uuid.MustParse("00000000-0000-4000-8000-000000000003"), {}}

var start = time.Date(2025, 12, 1, 0, 0, 0, 0, record.Zone)

// words are the codes that the category's commands accept, some days, and things that are neither.
func words(k *record.Category) []string {
	all := []string{"", "x", "作废", "2026-01-31", "2026-02-28", "2028-02-29", "2026-13-01"}
	var walk func(reflect.Type)
	walk = func(t reflect.Type) {
		switch t.Kind() {
		case reflect.Pointer, reflect.Slice:
			walk(t.Elem())
		case reflect.Struct:
			for i := range t.NumField() {
				if codes := t.Field(i).Tag.Get("enum"); codes != "" {
					all = append(all, strings.Split(codes, ",")...)
				}
				walk(t.Field(i).Type)
			}
		}
	}
	for _, c := range k.Commands {
		walk(c.Input)
	}
	return all
}

func anyEvent(t *rapid.T, k *record.Category, words []string, i int) record.Event {
	rows := make([]record.EventRow, 0, len(k.Events))
	for _, r := range k.Events {
		if !record.Amends(r.Name) && r.Name != record.ErasedType && r.Name != record.ProposedType {
			rows = append(rows, r)
		}
	}
	row := rows[rapid.IntRange(0, len(rows)-1).Draw(t, "type")]
	v := reflect.New(row.Type).Elem()
	fill(t, v, words)
	at := start.Add(time.Duration(rapid.IntRange(0, 24*900).Draw(t, "hour")) * time.Hour)
	return record.Event{
		ID: uuid.NewSHA1(uuid.NameSpaceOID, []byte{byte(i)}), Stream: record.StreamOf(k.Name, pool[0]), Revision: uint64(i), Position: uint64(i),
		Type: row.Name, Data: v.Interface(),
		Meta: record.Meta{Form: row.Form(), Actor: rapid.SampledFrom(pool).Draw(t, "actor"), OccurredAt: at, RecordedAt: at.Add(time.Hour)},
	}
}

func fill(t *rapid.T, v reflect.Value, words []string) {
	switch v.Interface().(type) {
	case uuid.UUID:
		v.Set(reflect.ValueOf(rapid.SampledFrom(pool).Draw(t, "id")))
		return
	case time.Time:
		v.Set(reflect.ValueOf(start.AddDate(0, 0, rapid.IntRange(0, 900).Draw(t, "day"))))
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(rapid.SampledFrom(words).Draw(t, "word"))
	case reflect.Bool:
		v.SetBool(rapid.Bool().Draw(t, "flag"))
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(int64(rapid.IntRange(-3, 400).Draw(t, "number")))
	case reflect.Float32, reflect.Float64:
		v.SetFloat(float64(rapid.IntRange(0, 50).Draw(t, "number")))
	case reflect.Pointer:
		if rapid.Bool().Draw(t, "there") {
			v.Set(reflect.New(v.Type().Elem()))
			fill(t, v.Elem(), words)
		}
	case reflect.Slice:
		n := rapid.IntRange(0, 3).Draw(t, "length")
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			fill(t, v.Index(i), words)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				fill(t, v.Field(i), words)
			}
		}
	}
}
