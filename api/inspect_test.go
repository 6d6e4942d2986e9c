package api_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"yidang/domain/access"
	"yidang/domain/record"
)

const idZhao = "999999197802140014"

// Ensure what an inspector learns: who recorded what and how late, who read a file and why, and that asking is recorded.
func TestInspectorsQuestions(t *testing.T) {
	w := newTown(t, nil).build()
	w.officer("inspector", record.Inspector, "清溪镇", 1)
	who, path := w.openCase("cadre")
	cadre, inspector := w.signIn("cadre"), w.signIn("inspector")
	expect(t, "visit", cadre.post(path+"/record-visit", map[string]any{"outcome": "met"}), 200, "")
	expect(t, "read", cadre.get("/v1/people/"+who.String()), 200, "")
	w.settle()
	a := inspector.get("/v1/inspect/entries?officer=" + w.officers["cadre"].String() + "&type=casework.visit_recorded&newest=true&limit=3")
	expect(t, "entries", a, 200, "")
	if len(a.list("entries")) != 1 || a.text("entries.0.title.zh") != "走访" || a.text("entries.0.person") != who.String() {
		t.Errorf("%s", a)
	}
	a = inspector.get("/v1/inspect/readings?person=" + who.String() + "&officer=" + w.officers["cadre"].String())
	expect(t, "readings", a, 200, "")
	if len(a.list("readings")) != 1 || a.text("readings.0.what") != "file" {
		t.Errorf("%s", a)
	}
	expect(t, "for a colleague", w.signIn("police").get("/v1/people/"+who.String(), "Yidang-Purpose", "stand-in", "Yidang-Reason", "%E4%BB%A3%E7%8F%AD"), 200, "")
	w.settle()
	byPolice := "/v1/inspect/readings?newest=true&person=" + who.String() + "&officer=" + w.officers["police"].String()
	if a := inspector.get(byPolice); a.text("readings.0.reason") != "代班" || a.text("readings.0.from") == "" {
		t.Errorf("an inspector does not see why and from where: %s", a)
	}
	if a := inspector.get("/v1/inspect/readings?newest=true&officer=" + w.officers["inspector"].String()); !strings.HasPrefix(a.text("readings.0.item"), "readings person="+who.String()) {
		t.Errorf("an inspector does not see which question was asked: %s", a)
	}
	// The person's own answer says who, when and for what purpose (PIPL 45).
	a = w.signIn("office").get("/v1/people/" + who.String() + "/readings?newest=true")
	if n := slices.IndexFunc(a.list("readings"), func(r map[string]any) bool {
		return r["officer"] == w.officers["police"].String() && r["purpose"] == "stand-in" && r["recordedAt"] != ""
	}); n < 0 ||
		strings.Contains(string(a.raw), "代班") || strings.Contains(string(a.raw), "127.0.0.1") {
		t.Errorf("%s", a)
	}
	before := len(w.readings())
	expect(t, "the file's log", cadre.get("/v1/people/"+who.String()+"/readings"), 200, "")
	if all := w.readings(); len(all) != before+1 {
		t.Errorf("reading the access log is %d entries of it", len(all)-before)
	}
	expect(t, "a cadre asks", cadre.get("/v1/inspect/entries"), 403, "forbidden")
	expect(t, "no such day", inspector.get("/v1/inspect/entries?from=yesterday"), 422, "invalid")
	gaps := inspector.get("/v1/people/" + who.String() + "/gaps")
	expect(t, "gaps", gaps, 200, "")
	if gaps.body["overdue"] == nil {
		t.Errorf("%s", gaps)
	}
}

// Ensure that what takes two people goes through the API: proposed by one, shown to the other, approved by him.
func TestApprovalByAnother(t *testing.T) {
	w := newTown(t, nil).build()
	_, path := w.openCase("cadre")
	office, police := w.signIn("office"), w.signIn("police")
	a := office.post(path+"/close-case", map[string]any{"reason": "withdrawn"})
	expect(t, "closing", a, 200, "")
	proposal := a.text("proposal")
	if proposal == "" {
		t.Fatalf("%s", a)
	}
	w.settle()
	if mine := office.get("/v1/proposals"); len(mine.list("proposals")) != 0 {
		t.Errorf("the proposer is shown his own as somebody else's: %s", mine)
	}
	list := police.get("/v1/proposals")
	if len(list.list("proposals")) != 1 || list.text("proposals.0.id") != proposal || list.text("proposals.0.title.zh") != "结案" {
		t.Fatalf("%s", list)
	}
	expect(t, "approved by the proposer", office.post(path+"/approve-proposal", map[string]any{"proposal": proposal}), 403, "forbidden")
	a = police.post(list.text("proposals.0.next"), map[string]any{"proposal": proposal, "note": "同意"})
	expect(t, "approved", a, 200, "")
	if events := a.list("events"); len(events) < 2 || events[1]["type"] != "casework.closed" {
		t.Errorf("%s", a)
	}
	w.settle()
	if left := police.get("/v1/proposals"); len(left.list("proposals")) != 0 {
		t.Errorf("%s", left)
	}
}

// Ensure that an emergency opens a file to who may not read it, and that the supervisor and the inspectors learn of it.
func TestEmergency(t *testing.T) {
	w := newTown(t, nil).build()
	w.officer("inspector", record.Inspector, "清溪镇", 1)
	other := w.officer("neighbour", record.VillageCadre, "石桥村", 1)
	who, _ := w.openCase("cadre")
	w.settle()
	neighbour := w.signIn("neighbour")
	file := "/v1/people/" + who.String()
	expect(t, "not his to read", neighbour.get(file), 403, "forbidden")
	expect(t, "no reason", neighbour.post("/v1/officer/"+other.String()+"/break-glass", map[string]any{"person": who, "reason": "急"}), 422, "invalid")
	expect(t, "emergency", neighbour.post("/v1/officer/"+other.String()+"/break-glass", map[string]any{"person": who, "reason": "该人员突发昏迷，须核实用药"}), 200, "")
	expect(t, "the file", neighbour.get(file, "Yidang-Purpose", ""), 200, "")
	if d := w.readings(); !strings.Contains(fmt.Sprintf("%+v", d[len(d)-1].Data), "Glass:true") {
		t.Errorf("recorded as %+v", d[len(d)-1].Data)
	}
	w.settle()
	if log := w.log.String(); strings.Count(log, "opened in an emergency") != 1 || strings.Contains(log, who.String()) || strings.Contains(log, "昏迷") {
		t.Errorf("the log warns %d times, or says too much", strings.Count(log, "opened in an emergency"))
	}
	gauge := func() string {
		_, after, _ := strings.Cut(string(w.anonymous().get("/metrics").raw), "\nyidang_emergencies_unseen ")
		n, _, _ := strings.Cut(after, "\n")
		return n
	}
	if gauge() != "1" {
		t.Errorf("the gauge says %q", gauge())
	}
	if a := neighbour.get("/v1/me"); a.text("emergencies") != "" {
		t.Errorf("the neighbour is alerted: %s", a)
	}
	for _, login := range []string{"office", "inspector"} {
		if a := w.signIn(login).get("/v1/me"); a.text("emergencies") != "1" {
			t.Errorf("%s is not alerted: %s", login, a)
		}
		before := len(w.readings())
		a := w.signIn(login).get("/v1/emergencies")
		if all := w.readings(); len(all) != before+1 || all[before].Data.(access.Read).What != access.Emergencies || !slices.Contains(all[before].Data.(access.Read).People, who) {
			t.Errorf("%s looks at the reasons of emergencies, and %d entries say so", login, len(all)-before)
		}
		w.settle()
		if a := w.signIn(login).get("/v1/me"); a.text("emergencies") != "" {
			t.Errorf("%s has opened the list and is alerted: %s", login, a)
		}
		if len(a.list("emergencies")) != 1 || a.text("emergencies.0.reason") != "该人员突发昏迷，须核实用药" || a.text("emergencies.0.person") != who.String() {
			t.Errorf("%s: %s", login, a)
		}
	}
	if gauge() != "0" {
		t.Errorf("seen, the gauge says %q", gauge())
	}
	w.clock.move(time.Hour)
	expect(t, "another", neighbour.post("/v1/officer/"+other.String()+"/break-glass", map[string]any{"person": who, "reason": "再次昏迷，须核实用药"}), 200, "")
	w.settle()
	if a := w.signIn("inspector").get("/v1/me"); a.text("emergencies") != "1" || gauge() != "1" {
		t.Errorf("another one: %s, gauge %s", a, gauge())
	}
}

// Ensure that a merge shows both files as one from either, with two cases of one group, and that undoing it gives back
// exactly what was.
func TestMergeAndBack(t *testing.T) {
	w := newTown(t, nil).build()
	office, police := w.signIn("office"), w.signIn("police")
	one, onePath := w.openCase("cadre")
	two := uuid.MustParse(police.post("/v1/person/register", w.someone("王测试二", idZhao, "前进村")).text("id"))
	a := police.post("/v1/drugs/open", map[string]any{"person": two, "village": w.units["前进村"], "kind": "voluntary"})
	expect(t, "second case", a, 201, "")
	twoCase := a.text("id")
	cases := func(who uuid.UUID) []string {
		w.settle()
		f := office.get("/v1/people/" + who.String())
		expect(t, "file", f, 200, "")
		var ids []string
		for _, c := range f.list("cases") {
			ids = append(ids, c["id"].(string))
		}
		slices.Sort(ids)
		return ids
	}
	state := func(who uuid.UUID) string {
		f := office.get("/v1/people/" + who.String())
		return fmt.Sprint(f.body["person"].(map[string]any)["name"], f.body["person"].(map[string]any)["citizenId"], cases(who))
	}
	before := []string{state(one), state(two)}
	approve := func(proposed answer) {
		expect(t, "proposed", proposed, 200, "")
		expect(t, "approved", police.post("/v1/person/"+two.String()+"/approve-proposal", map[string]any{"proposal": proposed.text("proposal")}), 200, "")
		w.settle()
	}
	expect(t, "into itself", office.post("/v1/person/"+two.String()+"/merge", map[string]any{"into": two, "reason": "同一人的两份档案"}), 422, "invalid")
	approve(office.post("/v1/person/"+two.String()+"/merge", map[string]any{"into": one, "reason": "同一人的两份档案"}))
	both := []string{onePath[strings.LastIndex(onePath, "/")+1:], twoCase}
	slices.Sort(both)
	for _, who := range []uuid.UUID{one, two} {
		if got := cases(who); !slices.Equal(got, both) {
			t.Errorf("merged, %s shows %v, want %v", who, got, both)
		}
	}
	if f := office.get("/v1/people/" + two.String()); f.text("person.id") != one.String() || f.text("person.merged.0") != two.String() {
		t.Errorf("%s", f)
	}
	approve(office.post("/v1/person/"+two.String()+"/unmerge", map[string]any{"reason": "经核对不是同一人"}))
	if after := []string{state(one), state(two)}; !slices.Equal(after, before) {
		t.Errorf("after the merge was undone\n%v, before it\n%v", after, before)
	}
}

// Ensure that a person's readings are whole: what was read of a file while it was merged with another, through either, is in
// the log of both, also after the merge was undone (PIPL 45).
func TestReadingsOfMergedFiles(t *testing.T) {
	w := newTown(t, nil).build()
	w.officer("inspector", record.Inspector, "清溪镇", 1)
	office, police := w.signIn("office"), w.signIn("police")
	one, _ := w.openCase("cadre")
	two := uuid.MustParse(police.post("/v1/person/register", w.someone("王测试二", idZhao, "前进村")).text("id"))
	both := []uuid.UUID{one, two}
	w.settle()
	want := map[uuid.UUID]int{}
	chance := rand.New(rand.NewPCG(7, 7))
	merged := false
	for i := range 30 {
		if i%9 == 4 { // merged, undone, and merged again
			command, in := "merge", map[string]any{"into": one, "reason": "同一人的两份档案"}
			if merged {
				command, in = "unmerge", map[string]any{"reason": "经核对不是同一人"}
			}
			a := office.post("/v1/person/"+two.String()+"/"+command, in)
			expect(t, command, police.post("/v1/person/"+two.String()+"/approve-proposal", map[string]any{"proposal": a.text("proposal")}), 200, "")
			w.settle()
			merged = !merged
		}
		asked := both[chance.IntN(2)]
		expect(t, "file", office.get("/v1/people/"+asked.String()), 200, "")
		for _, shown := range both {
			if merged || shown == asked {
				want[shown]++
			}
		}
	}
	// Whoever is responsible reads without a purpose, through one and through the other: one entry of the hour stands for both.
	cadre := w.signIn("cadre")
	for _, asked := range both {
		expect(t, "own", cadre.get("/v1/people/"+asked.String(), "Yidang-Purpose", ""), 200, "")
	}
	want[one]++
	want[two]++
	w.settle()
	a := office.post("/v1/person/"+two.String()+"/unmerge", map[string]any{"reason": "经核对不是同一人"})
	expect(t, "unmerge", police.post("/v1/person/"+two.String()+"/approve-proposal", map[string]any{"proposal": a.text("proposal")}), 200, "")
	w.settle()
	for _, who := range both {
		log := w.signIn("inspector").get("/v1/people/" + who.String() + "/readings?limit=1000")
		n := 0
		for _, r := range log.list("readings") {
			if r["what"] == "file" {
				n++
			}
			if r["people"] != nil {
				t.Errorf("the log of one names another: %v", r)
			}
		}
		if n != want[who] {
			t.Errorf("the log of %s has %d readings, want %d", who, n, want[who])
		}
	}
}

// Ensure that who needs to know a part of a file does not learn who else read it (S-13; S-14), and that the refusal is no
// reading.
func TestVolunteersSeeNoReadings(t *testing.T) {
	m := newMatrix(t)
	before := len(m.readings())
	a := m.own[3].get("/v1/people/" + m.person.String() + "/readings")
	expect(t, "a volunteer", a, 403, "forbidden")
	if a.text("rule") != "S-13; S-14" || len(m.readings()) != before {
		t.Errorf("%d entries: %s", len(m.readings())-before, a)
	}
}
