package policy

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"yidang/domain/record"
)

// Ensure that a period ends on the day of the same number, or on the last day of a month that lacks it (民法典 202).
func TestAddPeriod(t *testing.T) {
	for _, x := range []struct {
		from                string
		years, months, days int
		want                string
	}{
		{"2026-03-05", 3, 0, 0, "2029-03-05"},
		{"2026-01-31", 0, 1, 0, "2026-02-28"},
		{"2028-01-31", 0, 1, 0, "2028-02-29"},
		{"2024-02-29", 3, 0, 0, "2027-02-28"},
		{"2026-12-31", 0, 2, 0, "2027-02-28"},
		{"2026-08-31", 0, 18, 0, "2028-02-29"},
		{"2026-03-31", 0, 1, 1, "2026-05-01"},
		{"2026-03-02", 0, 0, 15, "2026-03-17"},
	} {
		if got := AddPeriod(on(x.from), x.years, x.months, x.days).Format(record.Day); got != x.want {
			t.Errorf("%s + %dy %dm %dd: %s, want %s", x.from, x.years, x.months, x.days, got, x.want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		from, months := anyDay.Draw(t, "from"), rapid.IntRange(0, 48).Draw(t, "months")
		end := AddPeriod(from, 0, months, 0)
		if elapsed := (end.Year()-from.Year())*12 + int(end.Month()) - int(from.Month()); elapsed != months {
			t.Fatalf("%s + %d months = %s lies in the wrong month", from, months, end)
		}
		if end.Day() != from.Day() && end.AddDate(0, 0, 1).Day() != 1 {
			t.Fatalf("%s + %d months = %s is neither the same day nor the last of its month", from, months, end)
		}
	})
}

func inForce(t testing.TB, load func(context.Context) ([]record.Event, error), changes int) *Rules {
	t.Helper()
	b, err := NewBook(load)
	if err != nil {
		t.Fatal(err)
	}
	r, err := b.InForce(context.Background(), on("2026-03-01"), changes)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Ensure that the rule set of 2026 holds each deadline of the law's catalogue, with its source, and that every setting
// lies within its own bounds and says why it is one.
func TestRuleSet2026(t *testing.T) {
	r := inForce(t, nil, 0)
	if r.Version != "2026.1" {
		t.Fatalf("version %s", r.Version)
	}
	for clause, code := range map[string]string{
		"DL-D1": "report-in", "DL-D2": "term-end", "DL-D3": "release-notice", "DL-D4": "move-report", "DL-D5": "leave-answer",
		"DL-D6": "delisting-review", "DL-D7": "dispute", "DL-D8": "sample-disposal", "S-15": "tell-tier", "S-2": "requested-test",
		"D-09": "visit", "D-11": "heart-talk", "D-18": "family-love", "D-08": "first-tier", "戒毒条例 20": "breach-report",
	} {
		d, ok := r.Duty(code)
		if !ok || !strings.Contains(d.Source, clause) {
			t.Errorf("duty %s does not cite %s", code, clause)
		}
	}
	for name, s := range r.Settings {
		if s.Days < s.Min || s.Days > s.Max || s.Min < 1 || s.Source == "" || s.Title.Zh == "" || s.Title.En == "" {
			t.Errorf("setting %s: %+v", name, s)
		}
	}
	for _, d := range r.Duties {
		names := []string{d.Limit.Setting}
		for _, s := range d.Limit.Tiers {
			names = append(names, s)
		}
		for _, n := range names {
			if n != "" && strings.HasPrefix(r.Settings[n].Source, "local") != d.Local {
				t.Errorf("duty %s local=%t, its setting %s says %q", d.Code, d.Local, n, r.Settings[n].Source)
			}
		}
		if d.Local && d.Limit.Setting == "" && d.Limit.Tiers == nil {
			t.Errorf("duty %s is local without a setting", d.Code)
		}
	}
	if _, ok := r.Settings["late-entry"]; !ok {
		t.Error("the limit of late entries is missing")
	}
}

// Ensure that each kind of limit gives its day.
func TestDue(t *testing.T) {
	r := inForce(t, nil, 0)
	for _, x := range []struct {
		limit Limit
		tier  string
		want  string
	}{
		{Limit{Days: 15}, "", "2026-03-21"},
		{Limit{Days: 15, Roll: true}, "", "2026-03-23"},
		{Limit{Days: 5, Working: true}, "", "2026-03-13"},
		{Limit{Months: 2}, "", "2026-05-06"},
		{Limit{Years: 3}, "", "2029-03-06"},
		{Limit{Setting: "visit.priority"}, "", "2026-03-20"},
		{Limit{Tiers: map[string]string{"strict": "visit.strict"}}, "strict", "2026-03-13"},
		{Limit{Tiers: map[string]string{"strict": "visit.strict"}}, "general", ""},
		{Limit{Program: true}, "", ""},
	} {
		due, ok := r.Due(&Duty{Limit: x.limit}, on("2026-03-06").Add(23*time.Hour), x.tier)
		if got := due.Format(record.Day); ok != (x.want != "") || ok && got != x.want {
			t.Errorf("%+v: %s %t, want %q", x.limit, got, ok, x.want)
		}
	}
}

// Ensure that a typing error in a rule file is found when the program starts.
func TestCheckFindsMistakes(t *testing.T) {
	good := func() Duty {
		e := []Trigger{{Event: "drugs.opened"}}
		return Duty{Code: "x", Title: record.T("甲", "a"), Program: "drugs", Source: "D-01", Starts: e, Done: e, Limit: Limit{Days: 1}}
	}
	if err := (&Rules{Duties: []Duty{good()}}).check(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Duty){
		"no code":         func(d *Duty) { d.Code = "" },
		"no source":       func(d *Duty) { d.Source = "" },
		"no title":        func(d *Duty) { d.Title.Zh = "" },
		"no limit":        func(d *Duty) { d.Limit = Limit{} },
		"two limits":      func(d *Duty) { d.Limit.Months = 2 },
		"unknown setting": func(d *Duty) { d.Limit = Limit{Setting: "visits"} },
		"unknown by tier": func(d *Duty) { d.Limit = Limit{Tiers: map[string]string{"strict": "visits"}} },
		"no start":        func(d *Duty) { d.Starts = nil },
		"no end":          func(d *Duty) { d.Done = nil },
		"no program":      func(d *Duty) { d.Program = "" },
	} {
		d := good()
		change(&d)
		if (&Rules{Duties: []Duty{d}}).check() == nil {
			t.Errorf("%s passed", name)
		}
	}
	if (&Rules{Duties: []Duty{good(), good()}}).check() == nil {
		t.Error("the same code twice passed")
	}
}

// Ensure that triggers look at the facets they name and at nothing else.
func TestMatches(t *testing.T) {
	ts := []Trigger{{Event: "a", When: map[string][]string{"kind": {"x", "y"}, "result": {"positive"}}}, {Event: "b"}}
	for _, x := range []struct {
		event string
		f     record.Facets
		want  bool
	}{
		{"a", record.Facets{Kind: "y", Result: "positive"}, true},
		{"a", record.Facets{Kind: "z", Result: "positive"}, false},
		{"a", record.Facets{Kind: "x"}, false},
		{"b", record.Facets{Kind: "z"}, true},
		{"c", record.Facets{}, false},
	} {
		if Matches(ts, x.event, &x.f) != x.want {
			t.Errorf("%s %+v", x.event, x.f)
		}
	}
}

// stream is a policy stream with a change, another, and a void of the other.
func stream(context.Context) ([]record.Event, error) {
	other := uuid.New()
	return []record.Event{
		{ID: uuid.New(), Type: "policy.setting_changed", Data: SettingChanged{Setting: "visit.strict", Days: 5, Reason: "本镇要求"}},
		{ID: other, Type: "policy.setting_changed", Data: SettingChanged{Setting: "visit.general", Days: 60, Reason: "人手不足"}},
		{ID: uuid.New(), Type: record.VoidedType, Data: record.Voided{Event: other, Reason: "未经研究"}},
	}, nil
}

// Ensure that a change of a setting makes a version of its own, that older versions stay what they were, and that a void
// counts from its own version on.
func TestVersionsOfSettings(t *testing.T) {
	ctx := context.Background()
	b, err := NewBook(stream)
	if err != nil {
		t.Fatal(err)
	}
	for changes, want := range [][2]int{{7, 30}, {5, 30}, {5, 60}, {5, 30}} {
		r, err := b.InForce(ctx, on("2026-03-01"), changes)
		if err != nil {
			t.Fatal(err)
		}
		if got := [2]int{r.Days("visit.strict"), r.Days("visit.general")}; got != want {
			t.Errorf("after %d changes: %v, want %v", changes, got, want)
		}
		again, err := b.Version(ctx, r.Version)
		if err != nil || again != r {
			t.Errorf("version %s is not kept: %v", r.Version, err)
		}
	}
	for _, v := range []string{"2026.1+4", "1999.1", "2026.1+x"} {
		if _, err := b.Version(ctx, v); err == nil || !strings.Contains(err.Error(), v) {
			t.Errorf("version %s: %v", v, err)
		}
	}
	broken, _ := NewBook(func(context.Context) ([]record.Event, error) { return nil, errors.New("journal is away") })
	if _, err := broken.Version(ctx, "2026.1+1"); err == nil {
		t.Error("a journal that is away gave rules")
	}
}

// Ensure that only a setting is changed, within its bounds, by the township (G-04(7)).
func TestChangeSetting(t *testing.T) {
	row := Category.Commands[0]
	given := record.Given{Rules: inForce(t, nil, 0)}
	for _, x := range []struct {
		in   ChangeSetting
		want record.Kind
	}{
		{ChangeSetting{Setting: "visit.strict", Days: 5, Reason: "本镇要求"}, ""},
		{ChangeSetting{Setting: "visit.strict", Days: 0, Reason: "本镇要求"}, record.Refused},
		{ChangeSetting{Setting: "visit.strict", Days: 32, Reason: "本镇要求"}, record.Refused},
		{ChangeSetting{Setting: "sample-keep", Days: 30, Reason: "地方不够"}, record.Refused},   // never less than two months (DL-D8)
		{ChangeSetting{Setting: "dispute-window", Days: 1, Reason: "办得快些"}, record.Refused}, // never less than three days (DL-D7)
		{ChangeSetting{Setting: "visits", Days: 5, Reason: "本镇要求"}, record.Invalid},
	} {
		events, err := row.Decide(Category.New(), x.in, given)
		if record.KindOf(err) != x.want || err == nil && !slices.Equal(events, []any{SettingChanged(x.in)}) {
			t.Errorf("%+v: %v, %v", x.in, events, err)
		}
	}
	if roles := row.Grants[0].Roles; !slices.Equal(roles, []record.Role{record.TownshipOffice}) {
		t.Errorf("granted to %v", roles)
	}
}

// Ensure that each rule set counts by the calendar that it names, and not by whichever is newest.
func TestRuleSetNamesItsCalendar(t *testing.T) {
	sets, err := builtIn()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range sets {
		if r.CountedBy == "" || r.Calendar == nil || r.Calendar.Version != r.CountedBy {
			t.Errorf("rule set %s names calendar %q and counts by %+v", r.Version, r.CountedBy, r.Calendar)
		}
	}
}
