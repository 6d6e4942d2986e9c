package reports

import (
	"yidang/domain/programs/drugs"
	"yidang/domain/record"
)

// Bounds of what can be asked for.
const (
	most          = 1000
	minutesInADay = 24 * 60
)

// tiersOrNone names the lack of a tier, so that an empty cell can say that a figure is of no tier.
var tiersOrNone = func() map[string]record.Text {
	m := codes(drugs.TierNames, record.Text{})
	m["none"] = tiers[""]
	return m
}()

// integrity lists the reports that point an inspector at entries to look into. A row is no finding: every one of them also
// has innocent reasons, and the entries themselves tell which.
var integrity = []Report{
	{
		Name: "entry_bursts", Title: record.T("集中补录", "Entries in bursts"), Source: "D-12; D-13; two clocks",
		Description: record.T(
			"起止日期内（按录入日期），同一人在若干分钟内录入走访记录达到最低条数的，按每一阵列出：首条录入时间、条数、涉及人数、从首条到末条的时间、其中超期录入。相互重叠的时段合为一阵。从旧台账导入的记录和已作废的记录不计。下乡回来后集中录入也会出现在这里。",
			"Visits that one officer entered within some minutes, at least so many, by day of entry: each burst with its first entry, the entries, the people they are about, the time from the first to the last, and how many were entered late. Stretches that overlap are one burst. What was imported from older registers and voided entries are left out. Who enters a day's visits back at the desk shows here too."),
		Parameters: []Parameter{from, to, officer,
			{Name: "minutes", Title: record.T("分钟数", "minutes"), Kind: Number, Default: "10", Least: 1, Most: minutesInADay},
			{Name: "at_least", Title: record.T("最低条数", "entries, at least"), Kind: Number, Default: "5", Least: 2, Most: most}},
		Columns: []Column{
			{Name: "officer", Title: record.T("录入人", "officer"), Type: Officer},
			{Name: "first", Title: record.T("首条录入时间", "first entered"), Type: Moment},
			{Name: "entries", Title: record.T("条数", "entries"), Type: Count},
			{Name: "people", Title: record.T("人数", "people"), Type: Count},
			{Name: "span", Title: record.T("历时", "span"), Type: Duration},
			{Name: "late", Title: record.T("超期录入", "entered late"), Type: Share, Part: "late_entries", Whole: "entries"},
		},
		Roles: examiners,
	},
	{
		Name: "same_notes", Title: record.T("雷同走访记录", "Visits with the same note"), Source: "D-12; D-13",
		Description: record.T(
			"起止日期内（按走访日期），同一录入人的走访备注相同或近似且达到最低次数的，按每一组列出：走访次数及其占该录入人有备注走访的比例、不同文本数（1 为完全相同）、涉及人数、首次和末次日期。比较的是规范化文本（不计标点、空格、全半角、大小写和数字）的带密钥散列，备注本身不进入统计库；近似为概率性判断，可能漏判。短备注天然雷同，不参与比较。已销毁密钥的档案不再参与比较，较早位置的结果也会随之变化。",
			"Visits in the period, by day of the visit, whose notes by one officer are the same or nearly, at least so many: each group with its visits and their share of all that officer's visits with a note long enough, the number of different texts (1: all the same), the people, the first and the last day. What is compared are keyed hashes of the text without punctuation, space, width, case and numbers; the notes themselves do not come here. Nearly the same is decided by chance values: some pairs are missed. Short notes are alike by nature and left out. Files whose key was destroyed are left out too, at earlier positions as well."),
		Parameters: []Parameter{from, to, officer,
			{Name: "likeness", Title: record.T("雷同程度", "likeness"), Kind: Enum, Values: []string{"near", "same"}},
			{Name: "length", Title: record.T("备注最低字数", "length of the note, at least"), Kind: Enum, Values: []string{"16", "8", "32", "64"}},
			{Name: "at_least", Title: record.T("最低次数", "visits, at least"), Kind: Number, Default: "3", Least: 2, Most: most}},
		Columns: []Column{
			{Name: "officer", Title: record.T("录入人", "officer"), Type: Officer},
			{Name: "visits", Title: record.T("走访次数", "visits"), Type: Share, Part: "alike", Whole: "of_visits"},
			{Name: "texts", Title: record.T("不同文本数", "different texts"), Type: Count},
			{Name: "people", Title: record.T("人数", "people"), Type: Count},
			{Name: "first", Title: record.T("首次日期", "first day"), Type: OneDay},
			{Name: "last", Title: record.T("末次日期", "last day"), Type: OneDay},
		},
		Roles: examiners,
	},
	{
		Name: "impossible_visits", Title: record.T("时空存疑走访", "Visits too far apart in too short a time"), Source: "D-12; D-13",
		Description: record.T(
			"起止日期内（按走访时间），同一录入人前后相邻的两次走访在不同村（社区）、间隔少于若干分钟的，按录入人和两村列出次数、最短间隔、首次和末次日期。村以走访时案件所在村为准；没有坐标，相邻村也可能确在片刻之间。从旧台账导入的记录和已作废的记录不计。",
			"Two visits by one officer that follow each other in time, in different villages and fewer than so many minutes apart, by day of the visit: by officer and the two villages, with the number, the least time between, the first and the last day. The village is that of the case at the visit; there are no coordinates, and two villages may touch. What was imported from older registers and voided entries are left out."),
		Parameters: []Parameter{from, to, officer,
			{Name: "minutes", Title: record.T("分钟数", "minutes"), Kind: Number, Default: "10", Least: 1, Most: minutesInADay}},
		Columns: []Column{
			{Name: "officer", Title: record.T("录入人", "officer"), Type: Officer},
			{Name: "village", Title: record.T("村（社区）", "village"), Type: Village},
			{Name: "other_village", Title: record.T("另一村（社区）", "the other village"), Type: Village},
			{Name: "pairs", Title: record.T("次数", "times"), Type: Count},
			{Name: "shortest", Title: record.T("最短间隔", "least time between"), Type: Duration},
			{Name: "first", Title: record.T("首次日期", "first day"), Type: OneDay},
			{Name: "last", Title: record.T("末次日期", "last day"), Type: OneDay},
		},
		Roles: examiners,
	},
	{
		Name: "before_deadline", Title: record.T("节点前突击录入", "Entries just before a date"), Source: "D-12; D-13; two clocks",
		Description: record.T(
			"检查或报送日期当日零时之前若干小时内录入的案件记录，按录入人和村（社区）列出：条数及其占起始日期以来全部录入的比例，其中发生时间早于录入若干天以上的为补录。报送截止于某日终了的，取其次日。只在录入时发生的记录（作废、更正、提请与审批等）、从旧台账导入的和已作废的不计。",
			"Entries in cases made within so many hours before the day of an inspection or a report begins, by officer and village: their number and its share of all entries since the first day, and how many of them are of what happened so many days before they were entered. For a report that is due at the end of a day, give the day after it. What happens only by being entered (voids, corrections, proposals, approvals and the like), what was imported from older registers and voided entries are left out."),
		Parameters: []Parameter{
			{Name: "from", Title: record.T("比较起始日期", "compared with, from"), Kind: Date, Default: YearStart, NotAfter: "date"},
			{Name: "date", Title: record.T("检查或报送日期", "day of the inspection or report"), Kind: Date, Default: TheDay},
			{Name: "hours", Title: record.T("此前小时数", "hours before"), Kind: Number, Default: "48", Least: 1, Most: 24 * 31},
			{Name: "days", Title: record.T("补录天数", "days after it happened, at least"), Kind: Number, Default: "7", Least: 1, Most: most}, officer},
		Columns: []Column{
			{Name: "officer", Title: record.T("录入人", "officer"), Type: Officer},
			{Name: "village", Title: record.T("村（社区）", "village"), Type: Village},
			{Name: "entries", Title: record.T("录入数", "entries"), Type: Share, Part: "n", Whole: "of_entries"},
			{Name: "late", Title: record.T("其中补录", "of what happened long before"), Type: Share, Part: "late_entries", Whole: "n"},
		},
		Roles: examiners,
	},
	{
		Name: "changed_figures", Title: record.T("数字前后变化", "Figures that changed between two positions"), Source: "K-2; two clocks",
		Description: record.T(
			"同一时期的同一数字，在较早日志位置和本报表位置各为多少，只列出有变化的：截至统计日期当日终了的在册案件（按村和管理类别）、走访次数（按月）、尿检次数（按采样月份和结果）、已履行和逾期未履行的职责（按最后期限月份）。其后列出引起变化的记录：此后录入的统计日期及以前的记录、作废、更正、统计日期以后发生的（如复核结果），以及记录编号（最多一百条，取最新的）。",
			"One figure of one time as it stood at an earlier position of the log and as it stands at the report's own, where the two differ: open cases at the end of the day by village and tier, visits by month, urine tests by month of the sample and result, duties done and overdue by month of their last day. Then the entries that make the difference: entered since of what happened up to the day, voids, corrections, and what happened after the day (such as the examination of a disputed sample); with their ids, the newest hundred of them."),
		Parameters: []Parameter{
			{Name: "from_position", Title: record.T("较早日志位置", "the earlier position"), Kind: Position, Default: MonthStart},
			{Name: "on", Title: on.Title, Kind: Date, Default: EarlierDay}},
		Columns: []Column{
			{Name: "measure", Title: record.T("指标", "figure"), Type: Text, Codes: map[string]record.Text{
				"open_cases": record.T("在册案件", "open cases"), "visits": record.T("走访", "visits"), "urine_tests": record.T("尿检", "urine tests"),
				"duties_done": record.T("已履行职责", "duties done"), "duties_overdue": record.T("逾期未履行职责", "duties overdue")}},
			{Name: "village", Title: record.T("村（社区）", "village"), Type: Village},
			{Name: "tier", Title: record.T("管理类别", "tier"), Type: Tier, Codes: tiersOrNone},
			{Name: "month", Title: record.T("月份", "month"), Type: Month},
			{Name: "result", Title: record.T("结果", "result"), Type: Text, Codes: codes(drugs.Results, record.Text{})},
			{Name: "was", Title: record.T("原为", "then"), Type: Count},
			{Name: "became", Title: record.T("现为", "now"), Type: Count},
			{Name: "entered_since", Title: record.T("此后补录", "entered since"), Type: Count},
			{Name: "voided", Title: record.T("作废", "voids"), Type: Count},
			{Name: "corrected", Title: record.T("更正", "corrections"), Type: Count},
			{Name: "happened_since", Title: record.T("此后发生", "happened since"), Type: Count},
			{Name: "entries", Title: record.T("引起变化的记录", "entries that explain it"), Type: Events},
		},
		Roles: examiners,
	},
}
