package reports

import (
	"yidang/domain/casework"
	"yidang/domain/programs/drugs"
	"yidang/domain/record"
)

// Parameters that several reports have.
var (
	from    = Parameter{Name: "from", Title: record.T("起始日期", "from"), Kind: Date, Default: YearStart, NotAfter: "to"}
	to      = Parameter{Name: "to", Title: record.T("截止日期", "to"), Kind: Date, Default: TheDay}
	on      = Parameter{Name: "on", Title: record.T("统计日期", "as of"), Kind: Date, Default: TheDay}
	village = Parameter{Name: "village", Title: record.T("村（社区）", "village"), Kind: UUID}
	officer = Parameter{Name: "officer", Title: record.T("责任人", "officer"), Kind: UUID}
)

// overseers see reports: figures about everybody's work are not for everybody.
var overseers = []record.Role{record.Analyst, record.Inspector, record.TownshipOffice}

// examiners see what asks whether entries can be believed: it points at single officers.
var examiners = []record.Role{record.Analyst, record.Inspector}

var tiers = codes(drugs.TierNames, record.T("未定类", "not decided"))

// codes names the codes of a list; none names the empty one.
func codes(terms []casework.Term, none record.Text) map[string]record.Text {
	m := map[string]record.Text{}
	if none != (record.Text{}) {
		m[""] = none
	}
	for _, t := range terms {
		m[t.Code] = t.Title
	}
	return m
}

// All lists the reports: first the figures of the work, then what asks whether they can be believed.
var All = append(figures, integrity...)

var figures = []Report{
	{
		Name: "register", Title: record.T("在册底数", "The register by village and tier"), Source: "D-08; G-08; K-10",
		Description: record.T(
			"统计日期当日终了时未结案的案件，按村（社区）和管理类别分列。人数按人去重，案件数按案件计；有主责人指当日有包保主责人的案件。已作废的记录不计。",
			"Cases open at the end of the day, by the village and tier they were in on that day. People are counted once each, cases each; led are cases that had a lead on that day. Voided entries do not count."),
		Parameters: []Parameter{on, village},
		Columns: []Column{
			{Name: "program", Title: record.T("类别", "program"), Type: Text, Codes: map[string]record.Text{drugs.Category.Name: drugs.Category.Title}},
			{Name: "village", Title: record.T("村（社区）", "village"), Type: Village},
			{Name: "tier", Title: record.T("管理类别", "tier"), Type: Tier, Codes: tiers},
			{Name: "people", Title: record.T("人数", "people"), Type: Count},
			{Name: "cases", Title: record.T("案件数", "cases"), Type: Count},
			{Name: "led", Title: record.T("有主责人", "with a lead"), Type: Share, Part: "led", Whole: "cases"},
		},
		Roles: overseers,
	},
	{
		Name: "duties", Title: record.T("职责履行情况", "Duties on time by officer and village"), Source: "G-08; D-09…D-11; K-1",
		Description: record.T(
			"最后期限在起止日期内的职责，截至统计日期当日。应履行不含已免除、已取消的和应由本人履行的（报到、迁入报到）；责任人为履行时的责任人，未履行的为现责任人；没有责任人的单列。按时指不晚于最后期限；逾期未履行指最后期限早于统计日期。",
			"Duties whose last day lies in the period, as they stood on the day. Owed leaves out what was excused or cancelled, and what the person owes (reporting in, here or at a new place). The officer is who was responsible when it was done, or is now; duties that nobody is responsible for stand by themselves. On time is not after the last day; overdue is open with its last day before the day."),
		Parameters: []Parameter{{Name: "from", Title: from.Title, Kind: Date, Default: MonthStart, NotAfter: "to"}, to, on, officer, village},
		Columns: []Column{
			{Name: "officer", Title: record.T("责任人", "officer"), Type: Officer},
			{Name: "village", Title: record.T("村（社区）", "village"), Type: Village},
			{Name: "owed", Title: record.T("应履行", "owed"), Type: Count},
			{Name: "done", Title: record.T("已履行", "done"), Type: Share, Part: "done", Whole: "owed"},
			{Name: "done_on_time", Title: record.T("按时履行", "done on time"), Type: Share, Part: "done_on_time", Whole: "owed"},
			{Name: "done_late", Title: record.T("超期履行", "done late"), Type: Count},
			{Name: "overdue", Title: record.T("逾期未履行", "overdue"), Type: Share, Part: "overdue", Whole: "owed"},
			{Name: "pending", Title: record.T("未到期", "not yet due"), Type: Count},
		},
		Roles: overseers,
	},
	{
		Name: "urine_tests", Title: record.T("尿检情况", "Urine tests by month, tier, kind and result"), Source: "D-09; D-13; S-2",
		Description: record.T(
			"公安机关记录的尿检，按采样月份、当时的管理类别、种类和现有结果分列；经复核的以复核结果为准，“结果有变”为其中与初次结果不同的。占比的分母为同月、同类别、同种类的全部尿检。未完成的尿检和从旧台账转录的结果不计。结果在异议期内或复核中的可能变化。",
			"Tests recorded by police, by the month of the sample, the tier at that time, the kind and the newest result: an examination of the disputed sample replaces the first result, and changed counts those where it differs. The share is of all tests of the same month, tier and kind. Tests that did not take place and results transcribed from older registers are left out. A result that can still be disputed may change."),
		Parameters: []Parameter{from, to, village},
		Columns: []Column{
			{Name: "month", Title: record.T("月份", "month"), Type: Month},
			{Name: "tier", Title: record.T("管理类别", "tier"), Type: Tier, Codes: tiers},
			{Name: "kind", Title: record.T("种类", "kind"), Type: Text, Codes: codes(drugs.TestKinds, record.Text{})},
			{Name: "result", Title: record.T("结果", "result"), Type: Text, Codes: codes(drugs.Results, record.Text{})},
			{Name: "tests", Title: record.T("次数", "tests"), Type: Count},
			{Name: "share", Title: record.T("占比", "share"), Type: Share, Part: "tests", Whole: "of_tests"},
			{Name: "changed", Title: record.T("结果有变", "changed"), Type: Count},
		},
		Roles: overseers,
	},
	{
		Name: "tier_movements", Title: record.T("管理类别变动", "Tier movements"), Source: "D-08…D-11; S-15",
		Description: record.T(
			"起止日期内管理类别的确定和调整，由何类别到何类别；作废的决定不计，此后决定的原类别随之更正。占比的分母为同一原类别的全部变动。",
			"Decisions in the period that set or changed a tier, from which to which. A voided decision does not count, and what came before the next one is put right with it. The share is of all movements from the same tier."),
		Parameters: []Parameter{from, to, village},
		Columns: []Column{
			{Name: "prev_tier", Title: record.T("原类别", "from"), Type: Tier, Codes: tiers},
			{Name: "tier", Title: record.T("现类别", "to"), Type: Tier, Codes: tiers},
			{Name: "movements", Title: record.T("变动次数", "movements"), Type: Count},
			{Name: "cases", Title: record.T("涉及案件", "cases"), Type: Count},
			{Name: "share", Title: record.T("占比", "share"), Type: Share, Part: "movements", Whole: "from_movements"},
		},
		Roles: overseers,
	},
	{
		Name: "entry_lag", Title: record.T("录入时滞", "Entry lag by officer"), Source: "D-12; D-13; two clocks",
		Description: record.T(
			"起止日期内（按录入日期）录入的案件记录，从发生到录入的时间。中位数、九成位和最长时滞不含从旧台账导入的记录；超期指超过规定期限、须说明原因的录入，占比的分母为非导入记录，其后按原因分列。作废、更正、提请与审批、移交答复和免除职责只在录入时发生，不计；已作废的记录不计。",
			"Entries in cases made in the period, by day of entry: the time from what happened to its entry. Median, ninth decile and longest leave out what was imported from older registers. Late are entries past the policy's limit, which need a reason; the share is of the entries that were not imported, and the reasons follow. Voids, corrections, proposals and their approval, answers to a hand-over and excuses happen only by being entered and are left out, and so are voided entries."),
		Parameters: []Parameter{from, to, officer},
		Columns: []Column{
			{Name: "officer", Title: record.T("录入人", "officer"), Type: Officer},
			{Name: "entries", Title: record.T("录入数", "entries"), Type: Count},
			{Name: "imported", Title: record.T("其中导入", "imported"), Type: Count},
			{Name: "median", Title: record.T("时滞中位数", "median lag"), Type: Duration},
			{Name: "ninth_decile", Title: record.T("时滞九成位", "ninth decile"), Type: Duration},
			{Name: "longest", Title: record.T("最长时滞", "longest lag"), Type: Duration},
			{Name: "late", Title: record.T("超期录入", "entered late"), Type: Share, Part: "entered_late", Whole: "current"},
			{Name: "no_network", Title: record.T("无网络", "no network"), Type: Count},
			{Name: "paper_first", Title: record.T("先记纸质", "paper first"), Type: Count},
			{Name: "officer_absent", Title: record.T("人员不在岗", "officer absent"), Type: Count},
			{Name: "received_late", Title: record.T("文书迟到", "received late"), Type: Count},
		},
		Roles: overseers,
	},
}
