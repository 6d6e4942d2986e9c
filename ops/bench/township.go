package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"yidang/api/auth"
	"yidang/domain/casework"
	"yidang/domain/commands"
	"yidang/domain/programs/drugs"
	"yidang/domain/record"
	"yidang/domain/staff"
	"yidang/domain/units"
)

// staffing is who works where. Units and officers are few, so they are made by the commands that administrators use.
type staffing struct {
	villages   []uuid.UUID
	cadres     []record.Actor // by village
	volunteers []record.Actor // two in each village
	police     []record.Actor
	office     record.Actor
	officers   []officer
}

type officer struct {
	id    uuid.UUID
	login string
}

// settle makes units and officers for a number of people.
func (s *seeder) settle(ctx context.Context, people int, password string) error {
	hash, err := auth.NewHasher(1).Hash(ctx, password) // one hash for all: the figures do not depend on it
	if err != nil {
		return err
	}
	h := &hiring{ctx: ctx, s: s, hash: hash}
	st := &s.staff
	township := h.unit(units.Register{Name: "示范镇", Sort: units.Township, Code: "999999001"})
	for i := range min(max(people/1000, 2), 100) {
		st.villages = append(st.villages, h.unit(units.Register{Name: fmt.Sprintf("第%d村", i+1), Sort: units.Village, Parent: township, Code: fmt.Sprintf("999999001%03d", 200+i)}))
	}
	office := h.unit(units.Register{Name: "示范镇综治（禁毒）办", Sort: units.Office, Parent: township})
	st.office = h.officer("office1", record.TownshipOffice, office)
	h.officer("analyst1", record.Analyst, township)
	h.officer("inspector1", record.Inspector, township)
	h.officer("admin1", record.Administrator, township)
	for i := range max(len(st.villages)/20, 1) {
		station := h.unit(units.Register{Name: fmt.Sprintf("示范镇第%d派出所", i+1), Sort: units.Station, Parent: township, Covers: st.villages})
		for j := range 10 {
			st.police = append(st.police, h.officer(fmt.Sprintf("police%d", 10*i+j+1), record.CommunityPolice, station))
		}
	}
	for i, v := range st.villages {
		st.cadres = append(st.cadres, h.officer(fmt.Sprintf("cadre%d", i+1), record.VillageCadre, v))
		for j := range 2 {
			st.volunteers = append(st.volunteers, h.officer(fmt.Sprintf("volunteer%d", 2*i+j+1), record.Volunteer, v))
		}
	}
	if h.err != nil {
		return h.err
	}
	rules, err := s.exec.Rules(ctx)
	if err != nil {
		return err
	}
	s.policy = rules.Version
	head, _, err := s.journal.Head(ctx)
	s.written.Store(int64(head))
	return err
}

// hiring makes units and officers until the first error.
type hiring struct {
	ctx  context.Context
	s    *seeder
	hash string
	err  error
}

func (h *hiring) do(by uuid.UUID, category, command string, id uuid.UUID, in any) uuid.UUID {
	if h.err != nil {
		return uuid.Nil
	}
	h.s.clock = h.s.clock.Add(time.Second)
	r, err := h.s.exec.Do(h.ctx, commands.Request{Category: category, Command: command, ID: id, Officer: by, Input: in})
	if err != nil {
		h.err = fmt.Errorf("%s: %w", command, err)
	}
	return r.ID
}

func (h *hiring) unit(in units.Register) uuid.UUID {
	return h.do(commands.System, "unit", "unit.register", uuid.Nil, in)
}

func (h *hiring) officer(login string, role record.Role, unit uuid.UUID) record.Actor {
	n := len(h.s.staff.officers)
	id := h.do(commands.System, "officer", "officer.register", uuid.Nil, staff.Register{Name: names[n%len(names)].zh, Login: login, Sex: 1 + n%2})
	h.do(commands.System, "officer", "officer.grant_post", id, staff.GrantPost{Role: role, Unit: unit})
	h.do(commands.System, "officer", "officer.set_password", id, staff.SetPassword{Hash: h.hash})
	if h.err != nil {
		return record.Actor{}
	}
	state, _, err := h.s.exec.Officer(h.ctx, id)
	if err != nil {
		h.err = err
		return record.Actor{}
	}
	h.s.staff.officers = append(h.s.staff.officers, officer{id, login})
	return record.Actor{Officer: id, Post: state.Posts[0].ID, Role: role, Unit: unit}
}

// file is one case and how far it has got.
type file struct {
	id       uuid.UUID
	resident *resident
	events   int
	written  int
	closes   bool
	tier     drugs.Tier
	decision uuid.UUID
	lead     record.Actor
}

// tiers in the proportion in which they occur.
var tiers = []drugs.Tier{drugs.Strict, drugs.Priority, drugs.Priority, drugs.General, drugs.General, drugs.General}

var notes = []string{"在家，精神状态良好", "家中务农，情绪稳定", "正在找工作，已介绍用工信息", "家属反映近期作息规律", "谈话配合，无异常", "外出打零工，傍晚在家见到"}

// next makes a file's next event and who recorded it: first what opens a case, then the work of every day.
func (f *file) next(r *rand.Rand, st *staffing, at time.Time) (any, record.Actor) {
	p := f.resident
	cadre, police := st.cadres[p.village], st.police[p.village%len(st.police)]
	note := notes[r.IntN(len(notes))]
	switch f.written {
	case 0:
		served := at.In(record.Zone).Format(record.Day)
		paper := drugs.Document{Number: fmt.Sprintf("示公（禁）责社戒决字〔2026〕%d号", r.IntN(9999)), Organ: "示范县公安局", Issued: served, Served: served}
		return drugs.Opened{Person: p.id, Village: st.villages[p.village], Sex: p.sex, Kind: drugs.Detox, Order: paper, Determination: paper, TermMonths: drugs.DetoxMonths}, police
	case 1:
		return drugs.ReportedIn{DaysAfterService: 3}, cadre
	case 2:
		return drugs.AgreementSigned{Schedule: []drugs.TestStep{{Months: 12, EveryDays: 30}, {Months: 24, EveryDays: 60}}}, cadre
	case 3:
		f.decision = newID(r)
		return drugs.TierChanged{ID: f.decision, Tier: f.tier, Criteria: []string{"long-use"}, Reasons: "依据社区走访和尿检结果综合评定"}, st.office
	case 4:
		f.lead = map[drugs.Tier]record.Actor{drugs.Strict: cadre, drugs.Priority: police, drugs.General: st.volunteers[2*p.village+r.IntN(2)]}[f.tier]
		return casework.ResponsibleAssigned{Responsibility: casework.Responsibility{Officer: f.lead.Officer, Role: f.lead.Role, Lead: true, From: at}}, st.office
	case 5:
		return drugs.TierTold{Decision: f.decision, How: "in-person"}, f.lead
	case 6:
		return drugs.TeamFormed{Members: []drugs.TeamMember{{Role: "community-police", Member: police.Officer}, {Role: "volunteer", Member: st.volunteers[2*p.village].Officer}}}, cadre
	case f.events - 1:
		if f.closes {
			return casework.Closed{Reason: "moved-away", Note: "随子女迁往外地"}, st.office
		}
	}
	switch n := r.IntN(100); {
	case n < 45:
		v := casework.VisitRecorded{Outcome: casework.Met, Place: "家中", Note: note}
		if r.IntN(8) == 0 {
			v.Outcome = casework.Absent
		}
		return v, f.lead
	case n < 62:
		return casework.ContactRecorded{Channel: "phone", Party: "person", Outcome: "reached", Note: note}, f.lead
	case n < 72:
		return casework.ServiceDelivered{Service: "heart-talk", Hours: 0.5, Note: note}, f.lead
	case n < 78:
		return casework.ServiceDelivered{Service: "family-love-activity", Hours: 2}, cadre
	case n < 91:
		return urineTest(r, at, police, st.police), police
	case n < 95:
		return casework.NoteAdded{Text: note}, f.lead
	}
	return drugs.TierReviewed{Tier: f.tier, Reasons: "表现与现类别相符，维持"}, st.office
}

func urineTest(r *rand.Rand, at time.Time, by record.Actor, police []record.Actor) drugs.UrineTestRecorded {
	n := r.IntN(900_000) + 100_000
	t := drugs.UrineTestRecorded{
		ID: newID(r), Stage: drugs.OnSite, Kind: "scheduled", Testers: []uuid.UUID{by.Officer, police[r.IntN(len(police))].Officer}, Collector: by.Officer,
		Result: drugs.Negative, ReportNumber: fmt.Sprintf("示派尿检〔2026〕%d", n), ReportIssuer: "示范镇派出所", Told: true, Signature: "signed", Place: "示范镇派出所",
	}
	if r.IntN(50) == 0 {
		t.Result, t.Substances = drugs.Positive, []string{"methamphetamine"}
		t.SampleA, t.SampleB = fmt.Sprintf("A%d", n), fmt.Sprintf("B%d", n)
		t.KeepUntil, t.DisputeUntil = at.AddDate(0, 0, 62).Format(record.Day), at.AddDate(0, 0, 3).Format(record.Day)
	}
	return t
}

// name is a common name with the ways to type it: full pinyin, initials, the surname in full with initials.
type name struct{ zh, full, initials, mixed string }

type pool []name

// pick prefers what comes first, as surnames do.
func (p pool) pick(r *rand.Rand) name {
	u := r.Float64()
	return p[int(u*u*float64(len(p)))]
}

// names is a pool of a few hundred, so that a search finds as many people as it would in a town.
var names = makeNames(
	"王wang 李li 张zhang 刘liu 陈chen 杨yang 赵zhao 黄huang 周zhou 吴wu 徐xu 孙sun 胡hu 朱zhu 高gao 林lin 何he 郭guo 马ma 罗luo 梁liang 宋song 郑zheng 谢xie 韩han 唐tang 冯feng 董dong",
	"伟wei 芳fang 秀英xiu'ying 敏min 静jing 丽li 强qiang 磊lei 军jun 洋yang 勇yong 艳yan 杰jie 涛tao 明ming 秀兰xiu'lan 桂英gui'ying 建国jian'guo 建华jian'hua 海燕hai'yan 志强zhi'qiang 晓明xiao'ming 文博wen'bo 玉梅yu'mei")

func makeNames(surnames, given string) (all pool) {
	for _, s := range strings.Fields(surnames) {
		for _, g := range strings.Fields(given) {
			szh, spy := halves(s)
			gzh, gpy := halves(g)
			initials := ""
			for _, syllable := range strings.Split(gpy, "'") {
				initials += syllable[:1]
			}
			all = append(all, name{szh + gzh, spy + strings.ReplaceAll(gpy, "'", ""), spy[:1] + initials, spy + initials})
		}
	}
	return all
}

func halves(s string) (zh, pinyin string) {
	i := strings.IndexFunc(s, func(r rune) bool { return r < utf8.RuneSelf })
	return s[:i], s[i:]
}
