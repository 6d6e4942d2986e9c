package imports

import (
	"bytes"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func generate(t testing.TB, o GenerateOptions) ([]byte, []Judgement) {
	t.Helper()
	var b bytes.Buffer
	expected, err := Generate(&b, o)
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), expected
}

func read(t testing.TB, raw []byte) *Roster {
	t.Helper()
	r, err := Read(bytes.NewReader(raw), int64(len(raw)), "roster", DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// sameJudgements compares all but the words; why must begin with the words expected, where there are any.
func sameJudgements(t rapid.TB, got, want []Judgement) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d rows, want %d", len(got), len(want))
	}
	for i := range want {
		g, w := got[i], want[i]
		if !strings.HasPrefix(g.Why, w.Why) || (g.Why == "") != (w.Why == "") {
			t.Fatalf("row %d: why %q, want %q", w.Row, g.Why, w.Why)
		}
		g.Why, w.Why = "", ""
		if g != w {
			t.Fatalf("got %+v, want %+v", g, w)
		}
	}
}

// Ensure that the demonstration roster is read as it was made, for many seeds and sizes, and is the same for the same
// seed.
func TestGenerate(t *testing.T) {
	for seed := range uint64(8) {
		o := GenerateOptions{Seed: seed, Rows: 7 + int(seed)*31, Clean: seed%4 == 3}
		raw, expected := generate(t, o)
		r := read(t, raw)
		sameJudgements(t, r.Judgements(), expected)
		if _, again := generate(t, o); len(again) != o.Rows || again[len(again)-1] != expected[len(expected)-1] {
			t.Errorf("seed %d: another roster the second time", seed)
		}
		for _, row := range r.Rows {
			if o.Clean && row.Outcome != Accepted {
				t.Errorf("row %d: %s in a clean roster", row.Row, row.Outcome)
			}
			if row.CitizenID != "" && !strings.HasPrefix(string(row.CitizenID), "999999") || !strings.HasPrefix(row.Phone, "120") || !strings.HasPrefix(row.FamilyPhone, "0000-") {
				t.Errorf("row %d may be a real person's", row.Row)
			}
			if row.LastTestDate > "2026-09-28" || row.AgreementDate > "2026-09-28" || row.AgreementDate == "" {
				t.Errorf("row %d: tested %s, agreed %s", row.Row, row.LastTestDate, row.AgreementDate)
			}
		}
	}
}

func BenchmarkRead(b *testing.B) {
	raw, expected := generate(b, GenerateOptions{Seed: 1, Rows: 10_000})
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		if got := read(b, raw); len(got.Rows) != len(expected) {
			b.Fatalf("%d rows", len(got.Rows))
		}
	}
	b.ReportMetric(float64(len(expected)*b.N)/b.Elapsed().Seconds(), "rows/s")
}
