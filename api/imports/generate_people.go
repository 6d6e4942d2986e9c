package imports

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"yidang/domain/person"
	"yidang/domain/record"
)

// made is one line as it is written, and what it must become.
type made struct {
	name, sex, people, household, residence, phone, family, tier, officer, first, tested, result string

	id, agreement any // text, or a number
	want          Judgement
}

// maker makes people who do not exist.
type maker struct {
	rand *rand.Rand
	o    GenerateOptions
	used map[person.CitizenID]bool
	last made // the last person accepted
}

func pick[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }

// person makes someone new, without a mistake.
func (m *maker) person(place string) made {
	r := m.rand
	var id person.CitizenID
	for id == "" || m.used[id] {
		birth := time.Date(1955+r.IntN(45), time.Month(1+r.IntN(12)), 1+r.IntN(28), 0, 0, 0, 0, record.Zone)
		id = person.ComposeCitizenID("999999", birth, 1+r.IntN(999))
	}
	m.used[id] = true
	day := func(most int) time.Time { return m.o.AsOf.AddDate(0, 0, -1-r.IntN(most)) }
	l := made{
		name:      pick(r, "赵", "孙", "周", "吴", "王", "郭", "林", "张", "胡", "朱", "何", "梁", "马", "杨", "刘", "单", "查") + pick(r, "涛", "平", "艳", "军", "敏", "杰", "勇", "霞", "洋", "伟", "秀兰", "桂英", "建国", "海燕", "文博"),
		sex:       sexWord(id.Sex()),
		people:    "汉族",
		household: fmt.Sprintf("%s%d组", place, 1+r.IntN(9)),
		residence: fmt.Sprintf("%s%d组%d号", place, 1+r.IntN(9), 1+r.IntN(99)),
		phone:     fmt.Sprintf("120%08d", r.IntN(1e8)),
		family:    fmt.Sprintf("0000-8%06d", r.IntN(1e6)),
		officer:   pick(r, m.o.Officers...),
		first:     pick(r, "不详", "2015年", "2009/3", "2012.6", "2018年3月"),
		tested:    day(200).Format("2006年1月2日"),
		result:    pick(r, "阴性", "阴性", "阴性", "阴性", "阴性", "阳性", "未检"),
		id:        string(id),
		agreement: day(600).Format("2006.1.2"),
		want:      Judgement{Outcome: Accepted, CitizenID: id, Village: place},
	}
	l.want.Name = l.name
	l.want.Tier = pick(r, TierStrict, TierPriority, TierGeneral)
	if m.o.Responsible != nil {
		l.officer = m.o.Responsible(place, l.want.Tier)
	}
	l.tier = map[string]string{TierStrict: "严格", TierPriority: "重点", TierGeneral: "一般"}[l.want.Tier] + pick(r, "", "管理对象", "管理对象")
	return l
}

func sexWord(s person.Sex) string {
	if s == person.Male {
		return "男"
	}
	return "女"
}

// line makes the line of a person; its index decides what is peculiar about it, so that every twenty lines hold each.
func (m *maker) line(i int, place string) made {
	l := m.person(place)
	id := l.id.(string)
	switch i % 20 {
	case 2:
		l.id = strings.Map(func(r rune) rune { return r + '０' - '0' }, id)
	case 3:
		l.name = l.name[:3] + "　" + l.name[3:] // each character takes three bytes
	case 10:
		l.agreement = 45000 + m.rand.IntN(600) // a serial number without a date format: 2023 and 2024
	case 11:
		l.id = id[:6] + " " + id[6:14] + " " + id[14:]
	case 13:
		l.name, l.people = "买买提·吐尔逊", "维吾尔族"
		l.want.Name = l.name
	case 14:
		l.name = "𠮷" + l.name[3:]
		l.want.Name = l.name
	case 18:
		l.id = strings.ToLower(id)
	}
	if !m.o.Clean {
		m.mistake(i, &l)
	}
	if l.want.Outcome == Accepted || l.want.Outcome == AcceptedWithWarning {
		m.last = l
	}
	return l
}

// mistake makes those that are found on real rosters.
func (m *maker) mistake(i int, l *made) {
	id := l.id.(string)
	reject := func(why string) { l.want = Judgement{Outcome: Rejected, Why: why} }
	warn := func(why string) { l.want.Outcome, l.want.Why = AcceptedWithWarning, why }
	switch i % 20 {
	case 4: // a spreadsheet keeps fifteen digits of a number
		l.id, _ = strconv.ParseInt(id[:15]+"000", 10, 64)
		reject("citizen id was typed as a number, so its last digits are lost")
	case 5:
		wrong := "0"
		if id[17] == '0' {
			wrong = "1"
		}
		l.id = id[:17] + wrong
		reject("check digit is wrong")
	case 6:
		l.sex = map[string]string{"男": "女", "女": "男"}[l.sex]
		warn("sex differs from the citizen id")
	case 7:
		l.name, l.id = m.last.want.Name, string(m.last.want.CitizenID)
		l.want = Judgement{Outcome: Duplicate, Name: m.last.want.Name, CitizenID: m.last.want.CitizenID, Why: "same person as an earlier row"}
	case 8:
		l.id = id[:10] + "13" + id[12:]
		reject("birth date in the citizen id does not exist")
	case 9:
		l.tier = "一级"
		reject("management tier is unknown")
	case 12:
		l.id = id[:6] + id[8:17]
		warn("15-digit id was extended to 18 digits")
	case 15:
		l.name, l.id = m.last.want.Name+"甲", string(m.last.want.CitizenID)
		reject("citizen id belongs to a person with another name")
	case 16:
		l.name = ""
		reject("name is missing")
	case 17:
		l.tested = "2026-13-40"
		warn("date of the last test is not a date; left out")
	}
}
