package catalog_test

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"yidang/domain/catalog"
	"yidang/domain/journal"
	"yidang/domain/policy"
	"yidang/domain/record"
)

func list(t testing.TB) *catalog.Catalog {
	t.Helper()
	c, err := catalog.New()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// each runs f for every stored form of every event type, with its fixture.
func each(t *testing.T, f func(t *testing.T, k *record.Category, row *record.EventRow, form int, raw []byte)) {
	for _, k := range list(t).Categories {
		for i := range k.Events {
			row := &k.Events[i]
			for form := 1; form <= row.Form(); form++ {
				name := fmt.Sprintf("%s.v%d.json", row.Name, form)
				t.Run(k.Name+"/"+name, func(t *testing.T) {
					raw, err := os.ReadFile(filepath.Join("testdata", name))
					if err != nil {
						t.Fatalf("every stored form has a fixture: %v", err)
					}
					f(t, k, row, form, raw)
				})
			}
		}
	}
}

// Ensure that every stored form there ever was is still read, strictly and without loss, does something to a state, and
// reads as a sentence in both languages.
func TestStoredForms(t *testing.T) {
	book, err := policy.NewBook(nil)
	if err != nil {
		t.Fatal(err)
	}
	rules, err := book.InForce(t.Context(), time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), 0)
	if err != nil {
		t.Fatal(err)
	}
	each(t, func(t *testing.T, k *record.Category, row *record.EventRow, form int, raw []byte) {
		data, err := row.Decode(form, raw, true)
		if err != nil {
			t.Fatal(err)
		}
		if form == row.Form() {
			again, err := json.Marshal(data)
			if err != nil {
				t.Fatal(err)
			}
			if got, want := plain(t, again), plain(t, raw); !reflect.DeepEqual(got, want) {
				t.Errorf("written again it is %v, the fixture says %v", got, want)
			}
		}
		for _, empty := range zeroFields("", reflect.ValueOf(data)) {
			if form == row.Form() { // an older form has no value for a field that came later
				t.Errorf("the fixture gives no value for %s: a fixture of zero values proves nothing", empty)
			}
		}
		e := record.Event{ID: uuid.New(), Stream: record.StreamOf(k.Name, uuid.New()), Type: row.Name, Data: data, Rules: rules,
			Meta: record.Meta{Form: row.Form(), OccurredAt: time.Now(), RecordedAt: time.Now()}}
		f := record.NewFile(k, e.Stream)
		if err := f.Apply(e); err != nil && err != record.ErrRefold {
			t.Error(err)
		}
		for _, s := range []string{row.Line(e).Zh, row.Line(e).En} {
			if strings.TrimSpace(s) == "" || strings.Contains(s, "%!") {
				t.Errorf("its sentence is %q", s)
			}
		}
		e.Erased, e.Data = true, nil
		if s := row.Line(e); s.Zh == "" || s.En == "" {
			t.Error("erased, it has no sentence")
		}
	})
}

func plain(t *testing.T, raw []byte) (v any) {
	t.Helper()
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// zeroFields names the fields of a struct that hold no value; a bool may be false.
func zeroFields(path string, v reflect.Value) (out []string) {
	if v.Kind() != reflect.Struct || v.Type() == reflect.TypeFor[time.Time]() {
		return nil
	}
	for i := range v.NumField() {
		f, name := v.Field(i), path+v.Type().Field(i).Name
		switch {
		case f.Kind() == reflect.Bool:
		case f.IsZero():
			out = append(out, name)
		default:
			out = append(out, zeroFields(name+".", f)...)
		}
	}
	return out
}

// Ensure that no fixture is left of an event type that the catalog no longer knows: what was stored once must be read for
// ever.
func TestNoFixtureIsOrphaned(t *testing.T) {
	known := map[string]bool{}
	for _, k := range list(t).Categories {
		for _, row := range k.Events {
			for form := 1; form <= row.Form(); form++ {
				known[fmt.Sprintf("%s.v%d.json", row.Name, form)] = true
			}
		}
	}
	files, err := os.ReadDir("testdata")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if strings.HasSuffix(f.Name(), ".json") && !known[f.Name()] {
			t.Errorf("%s is the form of an event type that the catalog does not have", f.Name())
		}
	}
}

// Ensure that facets are codes, numbers and uuids: they reach analytics.
func TestFacetsAreCodes(t *testing.T) {
	code := regexp.MustCompile(`^[a-zA-Z0-9._+-]*$`)
	each(t, func(t *testing.T, _ *record.Category, row *record.EventRow, form int, raw []byte) {
		data, err := row.Decode(form, raw, true)
		if err != nil {
			t.Fatal(err)
		}
		f := record.FacetsOf(record.Event{Data: data})
		for name, v := range map[string]string{"ref": f.Ref, "kind": f.Kind, "stage": f.Stage, "result": f.Result, "outcome": f.Outcome,
			"tier": f.Tier, "prevTier": f.PrevTier, "code": f.Code} {
			if name == "kind" && strings.Contains(v, "/") { // a media type
				continue
			}
			if !code.MatchString(v) {
				t.Errorf("facet %s is %q, which is no code", name, v)
			}
		}
	})
}

// reverse is a sealer for tests of the codec alone; the vault has its own.
type reverse struct{ erased bool }

func (reverse) Seal(_ context.Context, stream string, plain, aad []byte) ([]byte, error) {
	return []byte(stream + "\x00" + string(aad) + "\x00" + string(plain)), nil
}

func (reverse) Blind(_ context.Context, stream string, name []byte) ([32]byte, error) {
	return sha256.Sum256([]byte(stream + "\x00" + string(name))), nil
}

func (r reverse) Open(_ context.Context, stream string, sealed, aad []byte) ([]byte, error) {
	if r.erased {
		return nil, record.Errorf(record.Erased, "gone")
	}
	rest, ok := strings.CutPrefix(string(sealed), stream+"\x00"+string(aad)+"\x00")
	if !ok {
		return nil, record.Errorf(record.Invalid, "sealed for another place")
	}
	return []byte(rest), nil
}

// Ensure that an event comes back from its stored form as it was, opens only in its own place, and that metadata carries
// nothing of its data.
func TestCodec(t *testing.T) {
	c := &catalog.Codec{Catalog: list(t), Vault: reverse{}}
	each(t, func(t *testing.T, k *record.Category, row *record.EventRow, form int, raw []byte) {
		data, err := row.Decode(form, raw, true)
		if err != nil {
			t.Fatal(err)
		}
		stream := record.StreamOf(k.Name, uuid.New())
		e := record.Event{ID: uuid.New(), Stream: stream, Type: row.Name, Data: data,
			Meta: record.Meta{Form: row.Form(), Actor: uuid.New(), OccurredAt: time.Now().UTC().Truncate(time.Millisecond), RecordedAt: time.Now().UTC().Truncate(time.Millisecond)}}
		p, err := c.Seal(t.Context(), e)
		if err != nil {
			t.Fatal(err)
		}
		sealed := k.Sealed && !row.Plain
		if p.Binary != sealed {
			t.Errorf("sealed: %t, want %t", p.Binary, sealed)
		}
		stored := journal.Stored{ID: e.ID, Stream: stream, Type: e.Type, Meta: p.Meta, Data: p.Data}
		back, known, err := c.Open(t.Context(), stored)
		if err != nil || !known || !reflect.DeepEqual(back, e) {
			t.Errorf("came back as %+v (%v)\nwas %+v", back, err, e)
		}
		if !sealed {
			return
		}
		stored.Stream = record.StreamOf(k.Name, uuid.New())
		if _, _, err := c.Open(t.Context(), stored); err == nil {
			t.Error("it opened in another stream")
		}
		stored.Stream, stored.ID = stream, uuid.New()
		if _, _, err := c.Open(t.Context(), stored); err == nil {
			t.Error("it opened under another event id")
		}
		erased := &catalog.Codec{Catalog: c.Catalog, Vault: reverse{erased: true}}
		stored.ID = e.ID
		if back, known, err := erased.Open(t.Context(), stored); err != nil || !known || !back.Erased || back.Data != nil {
			t.Errorf("erased it came back as %+v (%v)", back, err)
		}
	})
}

// Ensure that whatever lies in a stream, opening it gives an event or an error, never a panic, and that streams of no
// category are left alone.
func TestOpenIsTotal(t *testing.T) {
	c := &catalog.Codec{Catalog: list(t), Vault: reverse{}}
	names := []string{"drugs.opened", "person.registered", "unit.registered", "nothing.happened", ""}
	rapid.Check(t, func(rt *rapid.T) {
		stream := rapid.SampledFrom([]string{"drugs-" + uuid.NewString(), "unit-" + uuid.NewString(), "citizenid-00ff", "$stats", "unit-", ""}).Draw(rt, "stream")
		s := journal.Stored{ID: uuid.New(), Stream: stream, Type: rapid.SampledFrom(names).Draw(rt, "type"),
			Meta: rapid.SliceOf(rapid.Byte()).Draw(rt, "meta"), Data: rapid.SliceOf(rapid.Byte()).Draw(rt, "data")}
		if rapid.Bool().Draw(rt, "good meta") {
			s.Meta, _ = json.Marshal(record.Meta{Form: rapid.IntRange(-1, 3).Draw(rt, "form")})
		}
		_, known, err := c.Open(context.Background(), s)
		if !known && err != nil {
			rt.Fatalf("a stream of no category gave %v", err)
		}
	})
}

// FuzzOpen looks for stored bytes that make the codec panic, and for data that two decoders read differently: the live
// reader's is not the standard library's.
func FuzzOpen(f *testing.F) {
	c := list(f)
	var rows []*record.EventRow
	for _, k := range c.Categories {
		for i := range k.Events {
			row := &k.Events[i]
			rows = append(rows, row)
			raw, err := os.ReadFile(filepath.Join("testdata", row.Name+".v1.json"))
			if err != nil {
				f.Fatal(err)
			}
			f.Add(len(rows)-1, raw)
		}
	}
	f.Fuzz(func(t *testing.T, n int, raw []byte) {
		if !utf8.Valid(raw) { // what is stored was written by json.Marshal
			return
		}
		row := rows[uint(n)%uint(len(rows))]
		strict, err := row.Decode(1, raw, true)
		fast, fastErr := row.Decode(1, raw, false)
		if err == nil && fastErr != nil {
			t.Errorf("the standard library reads what the live reader does not: %v", fastErr)
		}
		if err == nil && !reflect.DeepEqual(strict, fast) {
			a, _ := json.Marshal(strict)
			b, _ := json.Marshal(fast)
			if string(a) != string(b) {
				t.Errorf("read as %s and as %s", a, b)
			}
		}
	})
}
