package imports

import (
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
)

func readFile(t testing.TB, name string) *Roster {
	t.Helper()
	raw, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	r, err := Read(bytes.NewReader(raw), int64(len(raw)), name, DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Ensure that a roster as a police station kept it becomes what its people said each row must become. The words of
// "why" are ours.
func TestSample(t *testing.T) {
	raw, err := os.ReadFile("testdata/drugs-2026q3.expected.json")
	if err != nil {
		t.Fatal(err)
	}
	var want []Judgement
	if err := json.Unmarshal(raw, &want); err != nil {
		t.Fatal(err)
	}
	r := readFile(t, "testdata/drugs-2026q3.xlsx")
	printed, err := r.JSON()
	if err != nil {
		t.Fatal(err)
	}
	var got []Judgement
	if err := json.Unmarshal(printed, &got); err != nil {
		t.Fatal(err)
	}
	if len(got) != len(want) {
		t.Fatalf("%d rows, want %d", len(got), len(want))
	}
	for i := range want {
		if (got[i].Why == "") != (want[i].Why == "") {
			t.Errorf("row %d: why %q, want something like %q", want[i].Row, got[i].Why, want[i].Why)
		}
		got[i].Why, want[i].Why = "", ""
		if got[i] != want[i] {
			t.Errorf("got %+v, want %+v", got[i], want[i])
		}
	}
}

// Ensure that the rest of the sample is read too: its heading, the fields of a person, what was left out and the cells
// of mistakes.
func TestSampleFields(t *testing.T) {
	r := readFile(t, "testdata/drugs-2026q3.xlsx")
	if r.Title != "示范镇吸毒人员花名册（2026年第三季度）" || r.Unit != "示范镇派出所" || !slices.Equal(r.Sheets, []string{"花名册"}) || len(r.SHA256) != 64 {
		t.Errorf("title %q, unit %q, sheets %q, hash %s", r.Title, r.Unit, r.Sheets, r.SHA256)
	}
	for _, c := range r.Columns {
		if c.Field == "" {
			t.Errorf("column %s %q was not read", c.Letter, c.Heading)
		}
	}
	if len(r.Columns) != 17 {
		t.Errorf("%d columns: %+v", len(r.Columns), r.Columns)
	}
	wantIgnored := []string{`sheet "填表说明": no heading with a name and a citizen id`, "row 36: subtotal", "row 67: subtotal", "row 68: note"}
	slices.Sort(r.Ignored)
	slices.Sort(wantIgnored)
	if !slices.Equal(r.Ignored, wantIgnored) {
		t.Errorf("ignored %q", r.Ignored)
	}
	first, turk, serial := r.Rows[0], r.Rows[14], r.Rows[11]
	first.Line = nil
	want := Row{Row: 5, Sheet: "花名册", Outcome: Accepted, Name: "朱涛", CitizenID: "999999198607100222", Sex: "2", Ethnicity: "01", Village: "前进村",
		Household: "前进村8组", Residence: "前进村6组29号", Phone: "12022706930", FamilyPhone: "0000-8396462", Tier: TierPriority, Responsible: "王海燕",
		FirstUse: "2015", AgreementDate: "2025-11-17", LastTestDate: "2026-05-05", LastTestResult: TestNegative}
	if !equalRows(first, want) {
		t.Errorf("got %+v\nwant %+v", first, want)
	}
	if turk.Ethnicity != "05" || serial.AgreementDate != "2024-09-25" || serial.FirstUse != "2018-03" {
		t.Errorf("ethnicity %s, agreement %s, first use %s", turk.Ethnicity, serial.AgreementDate, serial.FirstUse)
	}
	cells := map[int]string{10: "E10", 11: "E11", 12: "D12", 14: "E14", 15: "K15", 18: "E18", 21: "C21", 22: "C22", 23: "O23"}
	for _, row := range r.Rows {
		if want := cells[row.Row]; want != "" && (len(row.Why) != 1 || row.Why[0].Cell != want || row.Why[0].Zh == "" || row.Why[0].Column == "") {
			t.Errorf("row %d: %+v, want cell %s", row.Row, row.Why, want)
		}
		for _, reason := range row.Why {
			if digits(reason.Message) > 4 || row.Name != "" && strings.Contains(reason.Message+reason.Zh, row.Name) {
				t.Errorf("row %d: the reason quotes what was typed: %+v", row.Row, reason)
			}
		}
	}
}

func equalRows(a, b Row) bool {
	x, _ := json.Marshal(a)
	y, _ := json.Marshal(b)
	return bytes.Equal(x, y)
}
