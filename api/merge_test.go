package api_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"yidang/domain/casework"
	"yidang/domain/commands"
	"yidang/domain/person"
	"yidang/domain/programs/drugs"
	"yidang/domain/record"
)

// pair is two registrations of one person, each with a case of the same group.
type pair struct {
	name    string
	cid     string
	files   [2]uuid.UUID
	cases   [2]uuid.UUID
	visits  [2][]uuid.UUID // that were recorded in the cases
	into    int            // which file the other one is merged into; -1 while they are apart
	reads   [2]int         // of each file while they were apart, by whoever was sent
	members [2][]uuid.UUID // relatives
}

// twins are two pairs that live through the same, but that only the first is merged and taken apart.
type twins struct {
	*town
	t      *rapid.T
	minute time.Time
	pairs  [2]*pair
}

const hanOfNames = "安柏岑丹恩帆谷禾季嘉康岚沐宁欧朴琪冉苏棠"

// newTwins registers two pairs of whom only ids, name and citizen id differ.
func newTwins(w *town, t *rapid.T, serial int) *twins {
	l := &twins{town: w, t: t}
	han := []rune(hanOfNames)
	birth := time.Date(1971, 1, 1, 0, 0, 0, 0, record.Zone).AddDate(0, 0, serial)
	l.next()
	for i := range l.pairs {
		n := 2*serial + i
		p := &pair{into: -1, name: "试" + string(han[n/len(han)%len(han)]) + string(han[n%len(han)]), cid: person.ComposeCitizenID("999999", birth, 101+2*i).String()}
		l.pairs[i] = p
		for f, in := range []person.Register{{Name: p.name, CitizenID: p.cid, Village: w.units["前进村"]},
			{Name: p.name, NoCardReason: "证件遗失", Sex: 1, Village: w.units["前进村"], DifferentFrom: []uuid.UUID{p.files[0]}}} {
			if f == 1 {
				in.DifferentFrom = []uuid.UUID{p.files[0]}
			}
			l.still()
			p.files[f] = w.do(w.officers["police"], "person", "person.register", uuid.Nil, in).ID
			p.cases[f] = w.do(w.officers["police"], "drugs", "drugs.open", uuid.Nil, drugs.Open{Person: p.files[f], Village: w.units["前进村"], Kind: drugs.Voluntary}).ID
			w.do(w.officers["office"], "drugs", "casework.assign_responsible", p.cases[f], casework.AssignResponsible{Officer: w.officers["cadre"], Role: record.VillageCadre, Lead: true})
		}
	}
	return l
}

// next puts the clock at the beginning of the next minute; still puts it back there, so that what both pairs live through
// happens at one time.
func (l *twins) next() {
	l.minute = l.clock.now().Truncate(time.Minute).Add(time.Minute)
	l.still()
}

func (l *twins) still() {
	l.clock.mu.Lock()
	defer l.clock.mu.Unlock()
	l.clock.t = l.minute
}

// live lets both pairs live through one step.
func (l *twins) live() {
	f := rapid.IntRange(0, 1).Draw(l.t, "file")
	step := rapid.SampledFrom([]string{"visit", "visit", "correct", "void", "tier", "test", "contact", "address", "relative", "relative gone", "days", "read"}).Draw(l.t, "step")
	which := rapid.IntRange(0, 9).Draw(l.t, "which")
	if step == "days" {
		l.clock.move(time.Duration(1+which) * 24 * time.Hour)
		return
	}
	var outcomes [2]string
	l.next()
	for i, p := range l.pairs {
		l.still()
		outcomes[i] = l.step(p, f, step, which)
	}
	if outcomes[0] != outcomes[1] {
		l.t.Fatalf("%s in file %d: %q for the pair that was merged, %q for the other", step, f, outcomes[0], outcomes[1])
	}
}

func (l *twins) step(p *pair, f int, step string, which int) string {
	cadre, office := l.officers["cadre"], l.officers["office"]
	r := commands.Request{Category: "drugs", ID: p.cases[f], Officer: cadre}
	entry := func() uuid.UUID {
		if len(p.visits[f]) == 0 {
			return uuid.New()
		}
		return p.visits[f][which%len(p.visits[f])]
	}
	switch step {
	case "visit":
		r.Command, r.Input = "casework.record_visit", casework.RecordVisit{Outcome: []casework.VisitOutcome{casework.Met, casework.Absent}[which%2], Note: fmt.Sprint("第", which, "次")}
	case "correct":
		r.Command, r.Input = "record.correct_event", record.CorrectEvent{Event: entry(), Values: map[string]any{"note": fmt.Sprint("改为", which)}, Reason: "备注写错"}
	case "void":
		r.Command, r.Input = "record.void_event", record.VoidEvent{Event: entry(), Reason: "记错了人"}
	case "tier":
		r.Officer, r.Command = office, "drugs.change_tier"
		r.Input = drugs.ChangeTier{Tier: drugs.Strict, Criteria: []string{"no-proper-job"}, Reasons: "无正当职业"}
	case "test":
		r.Command, r.Input = "drugs.request_urine_test", drugs.RequestUrineTest{Kind: "immediate", Reason: "家属反映近日夜不归宿"}
	case "contact":
		r.Category, r.ID, r.Command, r.Input = "person", p.files[f], "person.change_contact", person.ChangeContact{Phone: fmt.Sprint("1390000000", which)}
	case "address":
		r.Category, r.ID, r.Command, r.Input = "person", p.files[f], "person.change_address", person.ChangeAddress{Village: l.units["前进村"], Residence: fmt.Sprint("前进村", which, "组")}
	case "relative":
		r.Category, r.ID, r.Command, r.Input = "person", p.files[f], "person.add_family_member", person.AddFamilyMember{Name: "亲属", Relation: "parent"}
	case "relative gone":
		member := uuid.New()
		if len(p.members[f]) > 0 {
			member = p.members[f][which%len(p.members[f])]
		}
		r.Category, r.ID, r.Command, r.Input = "person", p.files[f], "person.remove_family_member", person.RemoveFamilyMember{Member: member, Reason: "不再需要"}
	case "read":
		return l.read(p, f)
	}
	done, err := l.x.Do(l.town.t.Context(), r)
	if err != nil {
		return err.Error()
	}
	for _, data := range done.Data {
		switch d := data.(type) {
		case casework.VisitRecorded:
			p.visits[f] = append(p.visits[f], done.Events[0].ID)
		case person.FamilyMemberAdded:
			p.members[f] = append(p.members[f], d.ID)
		}
	}
	return fmt.Sprint("recorded ", len(done.Events))
}

// read is a reading of a file by the inspector, while it stands alone.
func (l *twins) read(p *pair, f int) string {
	l.settle()
	if p.into < 0 {
		p.reads[f]++
	}
	a := l.inspector().get("/v1/people/"+p.files[f].String(), "Yidang-Purpose", "inspection")
	return fmt.Sprint(a.status)
}

func (l *twins) inspector() *client { return l.signIn("inspector") }

// link merges the files of the first pair, or takes them apart, by two people.
func (l *twins) link() {
	p := l.pairs[0]
	r := commands.Request{Category: "person", Officer: l.officers["office"]}
	if p.into < 0 {
		p.into = rapid.IntRange(0, 1).Draw(l.t, "into")
		r.Command, r.ID, r.Input = "person.merge", p.files[1-p.into], person.Merge{Into: p.files[p.into], Reason: "同一人的两份档案"}
	} else {
		r.Command, r.ID, r.Input = "person.unmerge", p.files[1-p.into], person.Unmerge{Reason: "经核对不是同一人"}
		p.into = -1
	}
	proposed, err := l.x.Do(l.town.t.Context(), r)
	if err != nil {
		l.t.Fatal(err)
	}
	l.settle()
	if _, err := l.x.Do(l.town.t.Context(), commands.Request{Category: "person", Command: "record.approve_proposal", ID: r.ID, Officer: l.officers["police"], Input: record.ApproveProposal{Proposal: proposed.Proposal}}); err != nil {
		l.t.Fatal(err)
	}
	l.settle()
}

// links are the entries that merging and taking apart leave in the timeline: all that remains of both.
var links = []string{"person.merged", "person.unmerged", record.ProposedType, record.ApprovedType}

// seen is everything that a reader sees of a file.
func (l *twins) seen(by *client, p *pair, f int) map[string]string {
	l.settle()
	file, out := p.files[f].String(), map[string]string{}
	take := func(name, path string, keep func(any) any) {
		a := by.get(path)
		if a.status != 200 {
			l.t.Fatalf("%s: %s", path, a)
		}
		var v any
		if err := json.Unmarshal(a.raw, &v); err != nil {
			l.t.Fatal(err)
		}
		raw, _ := json.Marshal(keep(v))
		out[name] = l.plain(p, string(raw))
	}
	entries := func(v any) any {
		return slices.DeleteFunc(v.(map[string]any)["lines"].([]any), func(e any) bool { return slices.Contains(links, e.(map[string]any)["type"].(string)) })
	}
	whole := func(v any) any {
		m := v.(map[string]any)
		return []any{m["person"], m["cases"], entries(m["timeline"])}
	}
	take("file", "/v1/people/"+file, whole)
	take("timeline", "/v1/people/"+file+"/timeline?limit=200", entries)
	for _, days := range []int{1, 6} {
		day := l.minute.AddDate(0, 0, -days).Format(record.Day)
		for _, at := range []string{"asOf", "knownAt"} {
			if a := by.get("/v1/people/" + file + "?" + at + "=" + day); a.status == 200 { // it may not have been known yet
				take(fmt.Sprint(at, " ", days), "/v1/people/"+file+"?"+at+"="+day, whole)
			}
		}
	}
	people := func(v any) any { return v.(map[string]any)["people"] }
	take("name", "/v1/people?q="+p.name, people)
	take("number", "/v1/people?q="+p.cid, people)
	take("worklist", "/v1/worklist?whose=unit&limit=200&case="+p.cases[f].String(), func(v any) any {
		return slices.DeleteFunc(v.(map[string]any)["duties"].([]any), func(d any) bool { return d.(map[string]any)["case"] != p.cases[f].String() })
	})
	for name, stream := range map[string]string{"person folded": person.Stream(p.files[f]), "case folded": record.StreamOf("drugs", p.cases[f])} {
		k, _ := l.catalog.Of(stream)
		folded := record.NewFile(k, stream)
		history, err := l.x.History(l.town.t.Context(), stream)
		if err == nil {
			err = folded.Fold(history, record.At{})
		}
		if err != nil {
			l.t.Fatal(err)
		}
		raw, _ := json.Marshal(folded.State)
		out[name] = l.plain(p, string(raw))
	}
	return out
}

var (
	ids      = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)
	fraction = regexp.MustCompile(`(:[0-9]{2})\.[0-9]+(Z|[+-][0-9]{2}:)`)
	places   = regexp.MustCompile(`"(position|revision|at)":"?[0-9]+"?`)
)

// plain leaves out of an answer in what the pairs differ by nature: ids count in the order in which they come.
func (l *twins) plain(p *pair, s string) string {
	s = strings.NewReplacer(p.name, "NAME", p.cid, "NUMBER", person.CitizenID(p.cid).Masked(), "MASKED",
		strings.Repeat("*", 14)+p.cid[14:], "MASKED").Replace(s) // never the last four alone: an id may hold them by chance
	s = places.ReplaceAllString(fraction.ReplaceAllString(s, "$1$2"), `"$1":0`)
	order := map[string]int{}
	return ids.ReplaceAllStringFunc(s, func(id string) string {
		if _, ok := order[id]; !ok {
			order[id] = len(order)
		}
		return fmt.Sprint("#", order[id])
	})
}

// readings counts the inspector's readings that a file shows.
func (l *twins) readings(by *client, p *pair, f int) int {
	l.settle()
	a := by.get("/v1/people/"+p.files[f].String()+"/readings?newest=true&limit=200", "Yidang-Purpose", "inspection")
	if a.status != 200 {
		l.t.Fatal(a)
	}
	n := 0
	for _, r := range a.list("readings") {
		if r["what"] == "file" && r["officer"] == l.officers["inspector"].String() {
			n++
		}
	}
	return n
}

// Ensure that taking two merged files apart gives back exactly what was, whatever happened before, between and after, and
// however often: two pairs of files live through the same, one of them is merged and taken apart in between, and afterwards
// nobody can tell which, but for the entries that say so.
func TestMergeGivesBack(t *testing.T) {
	w := newTown(t, nil).build()
	w.officer("inspector", record.Inspector, "清溪镇", 1)
	if checks := flag.Lookup("rapid.checks"); checks.Value.String() == checks.DefValue { // a second each
		must(0, flag.Set("rapid.checks", "10"))(t)
		defer func() { must(0, flag.Set("rapid.checks", checks.DefValue))(t) }()
	}
	serial := 0
	rapid.Check(t, func(rt *rapid.T) {
		serial++
		l := newTwins(w, rt, serial)
		for range rapid.IntRange(1, 4).Draw(rt, "merges") {
			for range 2 {
				for range rapid.IntRange(0, 5).Draw(rt, "steps") {
					l.live()
				}
				l.link()
			}
			reader := w.signIn("office") // sessions end while the days go by
			for f := range 2 {
				was, other := l.seen(reader, l.pairs[0], f), l.seen(reader, l.pairs[1], f)
				for name, want := range other {
					if was[name] != want {
						rt.Fatalf("file %d, %s: after the merge was undone\n%s, of files that were never merged\n%s", f, name, was[name], want)
					}
				}
			}
		}
		for f := range 2 {
			if n := l.readings(l.inspector(), l.pairs[0], f); n < l.pairs[0].reads[f] {
				rt.Fatalf("file %d was read %d times on its own, and shows %d readings", f, l.pairs[0].reads[f], n)
			}
		}
	})
}
