package reports_test

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"yidang/domain/casework"
	"yidang/domain/programs/drugs"
	"yidang/domain/record"
	"yidang/projections/analytics/analyticstest"
	"yidang/projections/reports"
)

// round is a township with visits of every suspicious kind, and the visits as an independent count needs them.
type round struct {
	*town
	visits []visitMade
}

type visitMade struct {
	officer, person, village uuid.UUID
	occurred, recorded       time.Time
	position                 uint64
	note                     string
	imported, late           bool
}

// newRound writes 400 visits of eight people in two villages by two officers, in clusters of minutes, a third of them with
// one of three notes; one in ten is imported, one in ten entered late, one in ten voided afterwards.
func newRound(t testing.TB) *round {
	w := &round{town: &town{Township: analyticstest.New(t), t: t}}
	r := rand.New(rand.NewPCG(7, 7))
	people := make([]uuid.UUID, 8)
	villages := []uuid.UUID{qianjin, hongqi}
	for i := range people {
		people[i] = uuid.NewSHA1(an, []byte{byte(i)})
		w.write(people[i], at{on: day(1, 5), by: liu}, opened(villages[i%2], drugs.Voluntary))
	}
	moment := day(2, 1)
	var wrong []func()
	for i := range 400 {
		moment = moment.Add(time.Duration(r.IntN(300)) * time.Second)
		if r.IntN(8) == 0 {
			moment = moment.Add(time.Duration(r.IntN(9)) * time.Hour)
		}
		k := r.IntN(len(people))
		v := visitMade{officer: []uuid.UUID{chen, liu}[r.IntN(2)], person: people[k], village: villages[k%2], occurred: moment.Add(-time.Hour),
			recorded: moment, note: fmt.Sprintf("第%d次走访，本人在家，单独谈话内容为%s", i, uuid.NewSHA1(an, fmt.Append(nil, i)))}
		if r.IntN(3) == 0 {
			v.note = fmt.Sprintf("%d月%d日 走访，%s", 1+r.IntN(12), r.IntN(30), []string{"本人在家情绪稳定，无异常情况，家属配合", "本人外出务工，电话联系确认，家属在家！", "一切正常"}[r.IntN(3)])
		}
		a := analyticstest.Entry{Stream: record.StreamOf("drugs", v.person), Person: v.person, Actor: v.officer, Role: record.VillageCadre, Unit: qianjin,
			Data: casework.VisitRecorded{Outcome: casework.Met, Note: v.note}}
		switch r.IntN(10) {
		case 0:
			a.Late, v.imported = record.Late("import"), true
		case 1:
			a.Late, v.late = record.LatePaper, true
			v.occurred = v.occurred.AddDate(0, 0, -r.IntN(20))
		}
		a.Occurred, a.Recorded = v.occurred, v.recorded
		e, err := w.Write(t.Context(), a)
		must(t, err)
		v.position = e[0].Position
		if r.IntN(10) == 0 {
			wrong = append(wrong, func() { w.write(v.person, at{on: day(5, 1), by: liu}, record.Voided{Event: e[0].ID, Reason: "test"}) })
			continue
		}
		w.visits = append(w.visits, v)
	}
	for _, void := range wrong {
		void()
	}
	w.store = w.Store(t)
	must(t, w.Load(t.Context(), w.store, 100))
	return w
}

// by gives the visits of an officer that are not imported.
func (w *round) by(officer uuid.UUID) []visitMade {
	return slices.DeleteFunc(slices.Clone(w.visits), func(v visitMade) bool { return v.officer != officer || v.imported })
}

func (w *round) check(name, want string, parameters ...string) {
	w.t.Helper()
	if got := w.figures(name, 0, append(parameters, "from", "2026-01-01")...); got != want || want == "" {
		w.t.Errorf("%s %v: got\n%s\nwant\n%s", name, parameters, got, want)
	}
}

var officers = []uuid.UUID{chen, liu}

func people(of []visitMade) int {
	set := map[uuid.UUID]bool{}
	for _, v := range of {
		set[v.person] = true
	}
	return len(set)
}

// Ensure that bursts are those that a search of all windows finds.
func TestEntryBursts(t *testing.T) {
	w := newRound(t)
	for _, c := range []struct{ minutes, least int }{{10, 4}, {5, 3}, {30, 2}, {60, 12}} {
		var lines []string
		for _, o := range officers {
			all := w.by(o)
			slices.SortFunc(all, func(a, b visitMade) int { return a.recorded.Compare(b.recorded) })
			var burst []visitMade
			reach := -1 // the last entry of the burst so far
			end := func() {
				if len(burst) > 0 {
					late := 0
					for _, v := range burst {
						if v.late {
							late++
						}
					}
					lines = append(lines, fmt.Sprintf("%s %s %d %d %d %d/%d", names.Replace(o.String()), burst[0].recorded.In(record.Zone).Format(time.DateTime),
						len(burst), people(burst), int(burst[len(burst)-1].recorded.Sub(burst[0].recorded).Seconds()), late, len(burst)))
				}
				burst = nil
			}
			for i, v := range all {
				if last := i + c.least - 1; last < len(all) && all[last].recorded.Sub(v.recorded) <= time.Duration(c.minutes)*time.Minute {
					if i > reach {
						end()
					}
					reach = last
				}
				if i <= reach {
					burst = append(burst, v)
				}
			}
			end()
		}
		w.check("entry_bursts", strings.Join(lines, "\n"), "minutes", fmt.Sprint(c.minutes), "at_least", fmt.Sprint(c.least))
	}
}

// Ensure that pairs of visits are those that follow each other in time, in two villages.
func TestImpossibleVisits(t *testing.T) {
	w := newRound(t)
	for _, minutes := range []int{1, 10, 45} {
		var lines []string
		for _, o := range officers {
			all := w.by(o)
			slices.SortFunc(all, func(a, b visitMade) int {
				return cmp.Or(a.occurred.Compare(b.occurred), cmp.Compare(a.position, b.position))
			})
			n, shortest, first, last := 0, time.Hour*999, "9", ""
			for i := 1; i < len(all); i++ {
				a, b := all[i-1], all[i]
				if between := b.occurred.Sub(a.occurred); a.village != b.village && between < time.Duration(minutes)*time.Minute {
					d := record.DayOf(b.occurred).Format(record.Day)
					n, shortest, first, last = n+1, min(shortest, between), min(first, d), max(last, d)
				}
			}
			lines = append(lines, fmt.Sprintf("%s Qianjin Hongqi %d %d %s %s", names.Replace(o.String()), n, int(shortest.Seconds()), first, last))
		}
		w.check("impossible_visits", strings.Join(lines, "\n"), "minutes", fmt.Sprint(minutes))
	}
}

// Ensure that what was entered in the hours before a day is set against all that was entered.
func TestBeforeDeadline(t *testing.T) {
	w := newRound(t)
	date := day(2, 8)
	end := record.DayOf(date)
	type key struct{ officer, village uuid.UUID }
	n, late, of := map[key]int{}, map[key]int{}, map[key]int{}
	for _, o := range officers {
		for _, v := range w.by(o) {
			if !v.recorded.Before(end) {
				continue
			}
			k := key{v.officer, v.village}
			of[k]++
			if v.recorded.Before(end.Add(-30 * time.Hour)) {
				continue
			}
			n[k]++
			if v.recorded.Sub(v.occurred) >= 3*24*time.Hour {
				late[k]++
			}
		}
	}
	for _, v := range []uuid.UUID{qianjin, hongqi} {
		of[key{liu, v}] += 4 // the openings in January
	}
	keys := slices.SortedFunc(maps.Keys(n), func(a, b key) int {
		return cmp.Or(cmp.Compare(n[b], n[a]), strings.Compare(a.officer.String(), b.officer.String()), strings.Compare(a.village.String(), b.village.String()))
	})
	var lines []string
	for _, k := range keys {
		lines = append(lines, names.Replace(fmt.Sprintf("%s %s %d/%d %d/%d", k.officer, k.village, n[k], of[k], late[k], n[k])))
	}
	w.check("before_deadline", strings.Join(lines, "\n"), "date", date.Format(record.Day), "hours", "30", "days", "3")
}

// Ensure that notes that say the same letters are found, short ones are not, and those that differ in a word are near.
func TestSameNotes(t *testing.T) {
	w := newRound(t)
	var lines []string
	for _, o := range officers {
		groups, all := map[string][]visitMade{}, 0
		for _, v := range w.visits {
			if v.officer != o {
				continue
			}
			if !strings.Contains(v.note, "一切正常") {
				all++
			}
			for _, text := range []string{"情绪稳定", "外出务工"} {
				if strings.Contains(v.note, text) {
					groups[text] = append(groups[text], v)
				}
			}
		}
		texts := slices.SortedFunc(maps.Keys(groups), func(a, b string) int { return len(groups[b]) - len(groups[a]) })
		for _, text := range texts {
			g := groups[text]
			slices.SortFunc(g, func(a, b visitMade) int { return a.occurred.Compare(b.occurred) })
			lines = append(lines, fmt.Sprintf("%s %d/%d 1 %d %s %s", names.Replace(o.String()), len(g), all, people(g),
				record.DayOf(g[0].occurred).Format(record.Day), record.DayOf(g[len(g)-1].occurred).Format(record.Day)))
		}
	}
	w.check("same_notes", strings.Join(lines, "\n"), "likeness", "same", "length", "16")

	// Forty notes of one officer, each with another surname of a neighbour; a chance value decides on each pair, so not all
	// forty need be found, but hardly ever fewer than thirty.
	bao := uuid.New()
	for i := range 40 {
		w.write(an, at{on: day(4, 1+i%28), by: bao}, casework.VisitRecorded{Outcome: casework.Met, Note: "上门走访，本人在家，与邻居" + string([]rune("赵钱孙李周吴郑王冯陈褚卫蒋沈韩杨朱秦尤许何吕施张孔曹严华金魏陶姜戚谢邹喻柏水窦章")[i]) +
			"某一同参加村里组织的活动，情绪稳定，家庭关系和睦，表示将继续配合社区戒毒工作，已提醒下次尿检时间和地点"}, casework.VisitRecorded{Outcome: casework.Absent})
	}
	must(t, w.Load(t.Context(), w.store, 100))
	r := w.run("same_notes", 0, "officer", bao.String(), "to", "2026-05-31")
	if len(r.Rows) == 0 {
		t.Fatal("near notes were not found")
	}
	if of := r.Rows[0]["visits"].(reports.Ratio); of.N < 30 || of.Of != 40 || r.Rows[0]["texts"] != of.N || r.Rows[0]["people"] != int64(1) {
		t.Errorf("of forty near notes: %v", r.Rows)
	}
	if n := len(w.run("same_notes", 0, "officer", bao.String(), "to", "2026-05-31", "likeness", "same").Rows); n != 0 {
		t.Errorf("%d groups of the same note where every note differs", n)
	}
}
