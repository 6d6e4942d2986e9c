package views

import (
	"context"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"yidang/domain/casework"
	"yidang/domain/person"
	"yidang/domain/programs/drugs"
	"yidang/domain/record"
)

// Ensure that a stored duty comes back whole: a field that casework adds must be added here.
func TestDutyForm(t *testing.T) {
	at := time.Date(2026, 3, 4, 0, 0, 0, 0, record.Zone)
	id := func(b byte) (u uuid.UUID) { u[3] = b; return u }
	d := casework.Duty{
		Code: "visit", Key: "键", Status: casework.Done, Owner: record.CommunityPolice, Named: id(1), Officer: id(2), From: at, Opens: at.AddDate(0, 0, 1),
		Due: at.AddDate(0, 0, 2), Policy: "2026.1+3", Calendar: "2026", Started: id(3), Ended: id(4), EndedOn: at.Add(90 * time.Minute).UTC(),
	}
	for i := range reflect.TypeFor[casework.Duty]().NumField() {
		if reflect.ValueOf(d).Field(i).IsZero() {
			t.Errorf("the test leaves %s out", reflect.TypeFor[casework.Duty]().Field(i).Name)
		}
	}
	for _, want := range []casework.Duty{d, {}} {
		got, rest, err := unpackDuty(packDuty(nil, want))
		if err != nil || len(rest) > 0 || !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, %v; want %+v", got, err, want)
		}
	}
	whole := packDuty(nil, d)
	for n := range whole {
		if _, _, err := unpackDuty(whole[:n]); err == nil {
			t.Errorf("%d of %d bytes were read as a duty", n, len(whole))
		}
	}
}

// truth is what the lists must follow from: every case folded from its stream.
type truth struct {
	kase *drugs.Case
	file *record.File
	past []casework.Duty
}

func (w *world) truths(t *rapid.T) (list []truth) {
	seen := map[string]bool{}
	for s, err := range w.journal.All(context.Background(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		k, ok := w.catalog.Of(s.Stream)
		if !ok || !k.Case || seen[s.Stream] {
			continue
		}
		seen[s.Stream] = true
		var events []record.Event
		for s, err := range w.journal.Stream(context.Background(), s.Stream, 0) {
			if err != nil {
				t.Fatal(err)
			}
			e, _, err := w.codec.Open(context.Background(), s)
			if err != nil {
				t.Fatal(err)
			}
			events = append(events, e)
		}
		f := record.NewFile(k, s.Stream)
		if err := f.Fold(events, record.At{}); err != nil {
			t.Fatal(err)
		}
		c := f.State.(*drugs.Case)
		list = append(list, truth{kase: c, file: f, past: slices.DeleteFunc(c.Duties.TakeChanges(), func(d casework.Duty) bool { return d.Status == casework.Open })})
	}
	return list
}

// sees is what a reach means, said plainly.
func (k truth) sees(r record.Reach) bool {
	return r.All || !k.kase.Sealed && (slices.Contains(r.Villages, k.kase.Village) || r.Officer != uuid.Nil && k.kase.Handles(r.Officer))
}

func (w *world) drawReach(t *rapid.T) record.Reach {
	switch rapid.IntRange(0, 4).Draw(t, "reach") {
	case 4:
		return record.Reach{Villages: w.villages, Officer: rapid.SampledFrom(w.officers).Draw(t, "me")}
	case 0:
		return everywhere
	case 1:
		return record.Reach{Villages: w.villages[:rapid.IntRange(1, len(w.villages)).Draw(t, "villages")]}
	case 2:
		return record.Reach{Officer: rapid.SampledFrom(w.officers).Draw(t, "me")}
	}
	return record.Reach{Villages: w.villages[:1], Officer: rapid.SampledFrom(w.officers).Draw(t, "me")}
}

// Ensure that worklist, cases and people, under any reach and filter and in pages of any size, are what the files say; that
// nothing out of reach ever shows; and that counts are what the pages add up to.
func TestListsAgainstFiles(t *testing.T) {
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		if n++; n > 8 { // each is a journal of its own on disk
			return
		}
		w := newWorld(t, 3, 3)
		w.life(rt, rapid.IntRange(10, 60).Draw(rt, "steps"))
		v := w.feed(rt, t.TempDir())
		defer v.Close()
		all := w.truths(rt)
		for range 8 {
			r := w.drawReach(rt)
			w.checkWorklist(rt, v, all, r)
			w.checkCases(rt, v, all, r)
			w.checkPeople(rt, v, all, r)
		}
	})
}

func maybe(t *rapid.T, label string, ids []uuid.UUID) uuid.UUID {
	return rapid.SampledFrom(append([]uuid.UUID{uuid.Nil, uuid.Nil}, ids...)).Draw(t, label)
}

func (w *world) checkWorklist(t *rapid.T, v *Views, all []truth, r record.Reach) {
	q := WorklistQuery{Reach: r, Officer: maybe(t, "officer", w.officers), Village: maybe(t, "village", w.villages),
		Code: rapid.SampledFrom([]string{"", "", "visit", "team"}).Draw(t, "code"), Limit: rapid.IntRange(1, 7).Draw(t, "limit"),
		Standing: rapid.SampledFrom([][]string{nil, {"overdue"}, {"due", "upcoming"}, {"done"}, {"overdue", "done", "cancelled"}}).Draw(t, "standing"),
		Today:    w.now.AddDate(0, 0, rapid.IntRange(-30, 30).Draw(t, "today"))}
	if !r.All && rapid.Bool().Draw(t, "office") {
		q.Office = r.Villages
	}
	if len(all) > 0 && rapid.IntRange(0, 5).Draw(t, "of case") == 0 {
		q.Case = rapid.SampledFrom(all).Draw(t, "case").kase.ID
	}
	standing := q.Standing
	if standing == nil {
		standing = openStandings
	}
	want, counts := map[uuid.UUID]string{}, map[string]int{}
	for _, k := range all {
		consider := func(d casework.Duty, holder uuid.UUID) {
			mine := r.Officer != uuid.Nil && holder == r.Officer && !k.kase.Sealed && d.Status == casework.Open
			// Of a sealed case shows what the township office that asks owes, and of that, asked for one's own, what falls to oneself.
			owes := k.kase.Sealed && d.Status == casework.Open && d.Owner == record.TownshipOffice && slices.Contains(q.Office, k.kase.Village) &&
				(q.Officer == uuid.Nil || q.Case != uuid.Nil || q.Officer == r.Officer)
			if !k.sees(r) && !owes && !(mine && q.Case == uuid.Nil) || q.Village != uuid.Nil && k.kase.Village != q.Village || q.Officer != uuid.Nil && holder != q.Officer ||
				q.Case != uuid.Nil && k.kase.ID != q.Case || q.Code != "" && d.Code != q.Code {
				return
			}
			// Among ended duties an officer's own list holds those he owed.
			if d.Status != casework.Open && q.Case == uuid.Nil && q.Officer == uuid.Nil && !r.All && !slices.Contains(r.Villages, k.kase.Village) && holder != r.Officer {
				return
			}
			s := d.Standing(q.Today)
			counts[s]++
			if slices.Contains(standing, s) {
				want[d.ID()] = s
			}
		}
		for _, d := range k.kase.Duties.Open {
			consider(d, k.kase.Holder(d))
		}
		for _, d := range k.past {
			consider(d, d.Officer)
		}
	}
	got := map[uuid.UUID]string{}
	var last DutyRow
	for {
		rows, next, c, _, err := v.Worklist(context.Background(), q)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range slices.Concat(openStandings, standing) {
			if c[s] != counts[s] {
				t.Fatalf("%+v: counts %v, want %v", q, c, counts)
			}
		}
		for _, row := range rows {
			if _, twice := got[row.ID]; twice {
				t.Fatalf("%+v: %s twice", q, row.ID)
			}
			open := row.Status == casework.Open
			if len(got) > 0 && open && row.Due.Before(last.Due) {
				t.Fatalf("%+v: out of order", q)
			}
			last, got[row.ID] = row, row.Standing
		}
		if next == "" {
			break
		}
		q.Cursor = next
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("%+v:\n got %v\nwant %v", q, got, want)
	}
}

func (w *world) checkCases(t *rapid.T, v *Views, all []truth, r record.Reach) {
	q := CaseQuery{Reach: r, Officer: maybe(t, "officer", w.officers), Village: maybe(t, "village", w.villages), OpenOnly: rapid.Bool().Draw(t, "open"),
		Tier: rapid.SampledFrom([]string{"", "", "strict"}).Draw(t, "tier"), Limit: rapid.IntRange(1, 4).Draw(t, "limit")}
	var want, got []string
	for _, k := range all {
		c := k.kase
		if k.sees(r) && (q.Officer == uuid.Nil || c.Handles(q.Officer)) && (q.Village == uuid.Nil || c.Village == q.Village) &&
			(!q.OpenOnly || c.IsOpen()) && (q.Tier == "" || c.Tier() == q.Tier) {
			want = append(want, c.ID.String())
		}
	}
	for {
		rows, next, _, err := v.Cases(context.Background(), q)
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range rows {
			got = append(got, row.ID.String())
		}
		if next == "" {
			break
		}
		q.Cursor = next
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Fatalf("%+v:\n got %v\nwant %v", q, got, want)
	}
}

func (w *world) checkPeople(t *rapid.T, v *Views, all []truth, r record.Reach) {
	q := SearchQuery{Reach: r, Text: rapid.SampledFrom([]string{"", "王", "wang", "wxm", "xiao", "shan", "reheman"}).Draw(t, "text"),
		Village: maybe(t, "village", w.villages), OpenOnly: rapid.IntRange(0, 3).Draw(t, "open") == 0, Limit: rapid.IntRange(1, 4).Draw(t, "limit")}
	matches := map[string][]string{"": nil, "王": {"王小明"}, "wang": {"王小明"}, "wxm": {"王小明"}, "xiao": {"王小明"}, "shan": {"单雄信"}, "reheman": {"阿不都·热合曼"}}
	want, got := map[uuid.UUID]int{}, map[uuid.UUID]int{}
	for id := range w.next {
		kind, file, _ := record.SplitStream(id)
		if kind != "person" {
			continue
		}
		f, err := v.File(context.Background(), file, record.At{})
		if err != nil {
			t.Fatal(err)
		}
		near := func(village uuid.UUID) bool {
			return (q.Village == uuid.Nil || q.Village == village) && (r.All || slices.Contains(r.Villages, village))
		}
		visible, open, cases := near(f.Person.Village), !q.OpenOnly, 0
		for _, k := range all {
			if k.kase.Person != file {
				continue
			}
			visible = visible || !k.kase.Sealed && near(k.kase.Village) || !k.kase.Sealed && k.sees(r) && r.Officer != uuid.Nil && k.kase.Handles(r.Officer) &&
				(q.Village == uuid.Nil || q.Village == k.kase.Village || q.Village == f.Person.Village)
			if k.sees(r) {
				cases++
				open = open || k.kase.IsOpen() && !k.kase.Sealed
			}
		}
		if visible && open && (q.Text == "" || slices.Contains(matches[q.Text], f.Person.Name)) {
			want[file] = cases
		}
	}
	for {
		rows, next, _, err := v.Search(context.Background(), q)
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range rows {
			if _, twice := got[row.ID]; twice {
				t.Fatalf("%+v: %s twice", q, row.Name)
			}
			got[row.ID] = len(row.Cases)
		}
		if next == "" {
			break
		}
		q.Cursor = next
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("%+v:\n got %v\nwant %v", q, got, want)
	}
}

// Ensure that people are found by what officers type.
func TestSearch(t *testing.T) {
	w := newWorld(t, 2, 1)
	id := func(s string) func(*person.Registered) { return func(d *person.Registered) { d.CitizenID = s } }
	phone := func(s string) func(*person.Registered) { return func(d *person.Registered) { d.Phone = s } }
	for i, name := range []string{"单田芳", "查良镛", "仇士良", "解晓东", "郭小平", "吕布", "绿珠", "尉迟恭", "长孙无忌", "阿不都·热合曼", "欧阳锋", "王㛃", "王小明", "王明", "小王", "任盈盈", "John Smith", "𠮷田"} {
		w.person(name, i%2)
	}
	w.person("孙二", 0, id("999999198003047119"), phone("12011406879"))
	w.person("钱七", 0, id("99999919800304711X"), phone("0000-1234567"))
	v := w.views()
	w.follow(v)
	for text, want := range map[string][]string{
		"单": {"单田芳"}, "shan": {"单田芳"}, "dan": {"单田芳"}, "chan": {"单田芳", "长孙无忌"}, "stf": {"单田芳"}, "dtf": {"单田芳"}, "田": {"单田芳", "𠮷田"}, "tian": {"单田芳", "𠮷田"},
		"zha": {"查良镛", "长孙无忌"}, "cha": {"单田芳", "查良镛", "长孙无忌"}, "chaliang": {"查良镛"}, "zhaly": {"查良镛"}, "qiu": {"仇士良"}, "chou": {"仇士良"}, "xiexd": {"解晓东"}, "jie xiao dong": {"解晓东"},
		"郭": {"郭小平"}, "guo": {"郭小平"}, "gxp": {"郭小平"}, "lv": {"吕布", "绿珠"}, "lu": {"吕布", "绿珠"}, "lü": {"吕布", "绿珠"}, "lyubu": {"吕布"}, "yuchi": {"尉迟恭"}, "zhangsun": {"长孙无忌"},
		"热合": {"阿不都·热合曼"}, "阿不都热": {"阿不都·热合曼"}, "阿不都·热合曼": {"阿不都·热合曼"}, "rehe": {"阿不都·热合曼"}, "abd": {"阿不都·热合曼"}, "abudureheman": {"阿不都·热合曼"},
		"ouyang": {"欧阳锋"}, "㛃": {"王㛃"}, "wangj": {"王㛃"}, "𠮷": {"𠮷田"}, "ren": {"任盈盈"}, "ying": {"任盈盈"}, "smith": {"John Smith"}, "ＪＯＨＮ": {"John Smith"}, "js": {"John Smith", "仇士良"},
		"ming": {"王小明", "王明"}, "x": {"解晓东", "王小明", "小王", "郭小平"}, "Wang Xiao": {"王小明"}, "xiaom": {"王小明"}, "wm": {"王明"}, "7119": {"孙二"}, "999999198003047119": {"孙二"}, "47119": {"孙二"}, "711x": {"钱七"}, "711X": {"钱七"},
		"12011406879": {"孙二"}, "6879": {"孙二"}, "1201140": {"孙二"}, "１２０１１４０６８７９": {"孙二"}, "00001234567": {"钱七"}, "4567": {"钱七"}, "不存在": nil, "zzz": nil, "9999": nil,
	} {
		rows, _, _, err := v.Search(t.Context(), SearchQuery{Text: text, Reach: everywhere})
		slices.Sort(want)
		if err != nil || !slices.Equal(names(rows), want) {
			t.Errorf("%q finds %v, %v; want %v", text, names(rows), err, want)
		}
	}
	rows, _, _, err := v.Search(t.Context(), SearchQuery{Text: "wang", Reach: everywhere})
	if err != nil || len(rows) != 4 || rows[3].Name != "小王" {
		t.Errorf("names that begin with it come first: %v, %v", rows, err)
	}
	for _, text := range []string{"12", "·", "123", "7x"} {
		if _, _, _, err := v.Search(t.Context(), SearchQuery{Text: text, Reach: everywhere}); record.KindOf(err) != record.Invalid {
			t.Errorf("%q: %v", text, err)
		}
	}
	if _, _, _, err := v.Search(t.Context(), SearchQuery{Cursor: uuid.NewString(), Reach: everywhere}); record.KindOf(err) != record.Invalid {
		t.Errorf("a cursor of nobody: %v", err)
	}
}

// Ensure that possible duplicates are shown, and only those.
func TestDuplicates(t *testing.T) {
	w := newWorld(t, 1, 1)
	birth := time.Date(1980, 3, 4, 0, 0, 0, 0, record.Zone)
	w.person("梁平", 0, func(d *person.Registered) { d.Phone = "12011406879" })
	w.person("梁平", 0, func(d *person.Registered) { d.Birth = birth.AddDate(1, 0, 0) })
	w.person("梁平平", 0)
	v := w.views()
	w.follow(v)
	for _, c := range []struct {
		name  string
		birth time.Time
		phone string
		want  int
	}{
		{"梁平", birth, "", 1}, {"梁平", birth.AddDate(1, 0, 0), "12011406879", 2}, {"梁平", time.Time{}, "", 0}, {"梁平", time.Time{}, "12011406879", 1},
		{"梁", birth, "", 0}, {"", birth, "12011406879", 0},
	} {
		rows, err := v.Duplicates(t.Context(), c.name, c.birth, c.phone)
		if err != nil || len(rows) != c.want {
			t.Errorf("%s %v %s: %d, %v; want %d", c.name, c.birth, c.phone, len(rows), err, c.want)
		}
	}
}
