package embedded

import (
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/google/uuid"
)

// Ensure that every column type the facts use comes back as it went in, ends of its range included.
func TestTypesRoundTrip(t *testing.T) {
	c := open(t, start(t, t.TempDir()))
	execute(t, c, `CREATE TABLE t (
		k UInt64, i Int64, f Float64, small UInt8, flag Bool, s String, lc LowCardinality(String),
		d Date, d32 Date32, dt DateTime64(3, 'UTC'), micro DateTime64(6, 'Asia/Shanghai'),
		u UUID, ns Nullable(String), ni Nullable(Int64), arr Array(String), nums Array(UInt32), lca Array(LowCardinality(String)),
		e Enum8('green' = 1, 'yellow' = 2, 'red' = 3), m Map(String, UInt64), lcn LowCardinality(Nullable(String))
	) ENGINE = ReplacingMergeTree ORDER BY k`)
	type row struct {
		K     uint64            `ch:"k"`
		I     int64             `ch:"i"`
		F     float64           `ch:"f"`
		Small uint8             `ch:"small"`
		Flag  bool              `ch:"flag"`
		S     string            `ch:"s"`
		LC    string            `ch:"lc"`
		D     time.Time         `ch:"d"`
		D32   time.Time         `ch:"d32"`
		DT    time.Time         `ch:"dt"`
		Micro time.Time         `ch:"micro"`
		U     uuid.UUID         `ch:"u"`
		NS    *string           `ch:"ns"`
		NI    *int64            `ch:"ni"`
		Arr   []string          `ch:"arr"`
		Nums  []uint32          `ch:"nums"`
		LCA   []string          `ch:"lca"`
		E     string            `ch:"e"`
		M     map[string]uint64 `ch:"m"`
		LCN   *string           `ch:"lcn"`
	}
	shanghai, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		t.Fatal(err)
	}
	some, least := "制毒\x00'\\\t\n__exception__\r\n", int64(math.MinInt64)
	day := func(y int, m time.Month, d int) time.Time { return time.Date(y, m, d, 0, 0, 0, 0, time.UTC) }
	want := []row{
		{
			K: 0, I: math.MinInt64, F: -math.MaxFloat64, S: "", LC: "", D: day(1970, 1, 1), D32: day(1900, 1, 1),
			DT: time.UnixMilli(-1).UTC(), Micro: time.UnixMicro(1).In(shanghai), Arr: []string{}, Nums: []uint32{},
			LCA: []string{}, E: "green", M: map[string]uint64{},
		},
		{
			K: math.MaxUint64, I: math.MaxInt64, F: math.SmallestNonzeroFloat64, Small: 255, Flag: true, S: some, LC: "village-17",
			D: day(2149, 6, 6), D32: day(2299, 12, 31), DT: time.Date(2026, 2, 28, 23, 59, 59, 999e6, time.UTC),
			Micro: time.Date(2026, 11, 23, 4, 5, 6, 123456e3, shanghai), U: uuid.MustParse("0191d3a5-7e1c-7f3e-8a4b-0123456789ab"),
			NS: &some, NI: &least, Arr: []string{"", some}, Nums: []uint32{0, math.MaxUint32}, LCA: []string{"a", "b", "a"},
			E: "red", M: map[string]uint64{"x": 1}, LCN: &some,
		},
	}
	b, err := c.PrepareBatch(t.Context(), "INSERT INTO t")
	if err != nil {
		t.Fatal(err)
	}
	for i := range want {
		if err := b.AppendStruct(&want[i]); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Send(); err != nil {
		t.Fatal(err)
	}
	var got []row
	if err := c.Select(t.Context(), &got, "SELECT * FROM t FINAL ORDER BY k"); err != nil {
		t.Fatal(err)
	}
	if len(got) != len(want) {
		t.Fatalf("%d rows", len(got))
	}
	for i := range want {
		w, g := reflect.ValueOf(want[i]), reflect.ValueOf(got[i])
		for f := range w.NumField() {
			a, b := w.Field(f).Interface(), g.Field(f).Interface()
			if at, ok := a.(time.Time); ok {
				if !at.Equal(b.(time.Time)) {
					t.Errorf("row %d, %s: %v became %v", i, w.Type().Field(f).Name, a, b)
				}
				continue
			}
			if !reflect.DeepEqual(a, b) {
				t.Errorf("row %d, %s: %#v became %#v", i, w.Type().Field(f).Name, a, b)
			}
		}
	}
}
