package policy

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"yidang/domain/record"
)

func calendar(t testing.TB) *Calendar {
	t.Helper()
	sets, err := builtIn()
	if err != nil {
		t.Fatal(err)
	}
	return sets[0].Calendar
}

func on(day string) time.Time {
	t, err := time.ParseInLocation(record.Day, day, record.Zone)
	if err != nil {
		panic(err)
	}
	return t
}

// Ensure that published holidays and worked weekends are followed, and other years count plain weekends.
func TestWorkingDays(t *testing.T) {
	c := calendar(t)
	for day, want := range map[string]bool{
		"2026-02-17": false, // Spring Festival
		"2026-02-14": true,  // a Saturday that is worked
		"2026-02-21": false,
		"2026-03-02": true,
		"2026-03-07": false,
		"2026-10-10": true, // a Saturday that is worked
		"2031-10-01": true, // a Wednesday of a year whose notice is not out
		"2031-10-04": false,
	} {
		if got := c.Working(on(day)); got != want {
			t.Errorf("%s working: %t", day, got)
		}
	}
	if !c.Known(2026) || c.Known(2031) {
		t.Error("Known does not tell the published years from the others")
	}
	if c.Working(time.Date(2026, 3, 6, 17, 0, 0, 0, time.UTC)) {
		t.Error("Friday 17:00 in London is Saturday here")
	}
}

// Ensure that working days are counted from the next day on, over holidays.
func TestAddWorkingDays(t *testing.T) {
	c := calendar(t)
	for _, x := range []struct {
		from string
		n    int
		want string
	}{
		{"2026-03-02", 0, "2026-03-02"},
		{"2026-03-02", 1, "2026-03-03"},
		{"2026-03-06", 1, "2026-03-09"},
		{"2026-02-13", 1, "2026-02-14"},
		{"2026-02-13", 2, "2026-02-24"},
		{"2026-09-30", 3, "2026-10-10"},
	} {
		if got := c.AddWorkingDays(on(x.from).Add(20*time.Hour), x.n).Format(record.Day); got != x.want {
			t.Errorf("%d working days after %s: %s, want %s", x.n, x.from, got, x.want)
		}
	}
}

var anyDay = rapid.Custom(func(t *rapid.T) time.Time {
	return on("2024-01-01").AddDate(0, 0, rapid.IntRange(0, 1500).Draw(t, "day"))
})

// Ensure the laws of the calendar on any day: a rolled day works and is the first that does; counting n days passes over
// exactly n working days.
func TestCalendarLaws(t *testing.T) {
	c := calendar(t)
	rapid.Check(t, func(t *rapid.T) {
		day := anyDay.Draw(t, "day")
		rolled := c.Roll(day)
		if !c.Working(rolled) || rolled.Before(day) {
			t.Fatalf("%s rolls to %s", day, rolled)
		}
		for d := day; d.Before(rolled); d = d.AddDate(0, 0, 1) {
			if c.Working(d) {
				t.Fatalf("%s rolls to %s over %s", day, rolled, d)
			}
		}
		n, passed := rapid.IntRange(1, 40).Draw(t, "n"), 0
		end := c.AddWorkingDays(day, n)
		for d := day.AddDate(0, 0, 1); !d.After(end); d = d.AddDate(0, 0, 1) {
			if c.Working(d) {
				passed++
			}
		}
		if passed != n || !c.Working(end) {
			t.Fatalf("%d working days after %s is %s, passing %d", n, day, end, passed)
		}
	})
}

// Ensure that a calendar with a day of another year, or no day at all, is refused.
func TestCalendarRefusesOddDays(t *testing.T) {
	for _, day := range []string{"2027-01-01", "2026-02-30", "1 May"} {
		c := Calendar{Years: []CalendarYear{{Year: 2026, Off: []string{day}}}}
		if c.index() == nil {
			t.Errorf("%q passed for a day of 2026", day)
		}
	}
}
