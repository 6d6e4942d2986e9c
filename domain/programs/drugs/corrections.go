package drugs

import (
	"yidang/domain/policy"
	"yidang/domain/record"
)

// This file keeps corrections (record/amend.go) within what the commands would have recorded. Checks look at what is beyond
// the limits in the tags; what follows from the day, or from other fields, is worked out anew and cannot be typed in. What a
// test found, whether the person was told, and what an appeal came to is no slip of the pen: such an entry is voided and
// recorded anew, so that its windows run from what was really said.

// Check wants a kind with its papers and its term (戒毒条例 9, 14, 37).
func (d Opened) Check(_ any, g record.Given) error {
	if d.Kind == Voluntary {
		if d.Order != (Document{}) || d.Determination != (Document{}) {
			return ErrOrdered
		}
	} else if err := firstOf(d.Order.corrected("order", true, g), d.Determination.corrected("determination", false, g)); err != nil {
		return err
	}
	if d.Kind == Detox && d.TermMonths != DetoxMonths || d.Kind == Rehabilitation && d.TermMonths < 1 || d.Kind == Voluntary && d.TermMonths != 0 {
		return ErrTerm
	}
	return nil
}

// Check wants whole papers.
func (d DocumentSupplied) Check(_ any, g record.Given) error {
	if d.Order != (Document{}) {
		if err := d.Order.check("order", true, g); err != nil {
			return err
		}
	}
	if d.Determination != (Document{}) {
		return d.Determination.check("determination", false, g)
	}
	return nil
}

// corrected is check for a paper that may have been transcribed in an import.
func (d Document) corrected(field string, served bool, g record.Given) error {
	if d.Transcribed {
		g.Late = record.LateImport
	}
	return d.check(field, served, g)
}

// Check wants a table, unless it was unknown to the older register.
func (d AgreementSigned) Check(any, record.Given) error {
	if len(d.Schedule) == 0 && !d.Transcribed {
		return ErrNoSchedule
	}
	return firstOf(checkSchedule(d.Schedule, DetoxMonths), optional("attachment", d.Attachment))
}

// Derive counts the days anew.
func (d ReportedIn) Derive(state any, g record.Given) any {
	d.DaysAfterService = 0
	if s := dayOf(state.(*Case).Order.Served); !s.IsZero() {
		d.DaysAfterService = days(s, g.Occurred)
	}
	return d
}

// Check wants what a test must have (S-2).
func (d UrineTestRecorded) Check(any, record.Given) error {
	in := RecordUrineTest{
		Stage: d.Stage, Kind: d.Kind, Result: d.Result, Substances: d.Substances, SampleA: d.SampleA, SampleB: d.SampleB, ReportNumber: d.ReportNumber,
		ReportIssuer: d.ReportIssuer, Report: d.Report, Media: d.Media, Told: d.Told, Signature: d.Signature, Place: d.Place, Note: d.Note,
	}
	return firstOf(checkFound(in), checkPapers(in))
}

// Derive works out anew how long samples are kept and the result may be disputed.
func (d UrineTestRecorded) Derive(_ any, g record.Given) any {
	d.KeepUntil, d.DisputeUntil = "", ""
	if d.Result == Positive {
		d.KeepUntil = dayText(record.DayOf(g.Occurred).AddDate(0, 0, policy.Of(g).Days("sample-keep")))
	}
	if d.Told {
		d.DisputeUntil = dayText(disputeUntil(g.Occurred, g))
	}
	return d
}

// Check wants the telling after the result.
func (d UrineResultTold) Check(state any, g record.Given) error {
	if t := find(state.(*Case).Tests, d.Test, testID); t != nil && t.Stage == d.Stage && before(g.Occurred, t.FoundAt) {
		return ErrTooEarly
	}
	return nil
}

// Derive works out anew how long the result may be disputed.
func (d UrineResultTold) Derive(_ any, g record.Given) any {
	d.DisputeUntil = dayText(disputeUntil(g.Occurred, g))
	return d
}

// Check wants what a result must have.
func (d UrineTestRetested) Check(any, record.Given) error {
	return firstOf(checkSubstances(d.Result, d.Substances), optional("report", d.Report))
}

// Check wants days in order, and the report that long leave needs (戒毒条例 19).
func (d LeaveRequested) Check(any, record.Given) error {
	return firstOf(checkLeave(d.From, d.Until, d.Report), optional("report", d.Report))
}

// Derive counts the days over anew.
func (d LeaveReturned) Derive(state any, g record.Given) any {
	if l := find(state.(*Case).Leaves, d.Leave, leaveID); l != nil {
		d.DaysOver = max(0, days(l.Until, g.Occurred))
	}
	return d
}

// Check wants days of the past that count (戒毒条例 19, 20).
func (d AbsenceRecorded) Check(state any, g record.Given) error {
	if err := firstOf(pastDay("from", d.From, g), pastDay("until", d.Until, g)); err != nil {
		return err
	}
	return state.(*Case).mayCount(dayOf(d.From), dayOf(d.Until))
}

// Derive counts the days anew.
func (d AbsenceRecorded) Derive(state any, _ record.Given) any {
	d.Days = state.(*Case).away(dayOf(d.From), dayOf(d.Until))
	return d
}

// Check wants grounds of the tier.
func (d TierChanged) Check(any, record.Given) error {
	return checkTier(d.Tier, d.Criteria, d.Reasons, d.Transcribed)
}

// Check wants a paper where there must be one.
func (d ReferredToPolice) Check(any, record.Given) error { return optional("attachment", d.Attachment) }

var (
	_ = []record.Checked{Opened{}, DocumentSupplied{}, AgreementSigned{}, UrineTestRecorded{}, UrineResultTold{}, UrineTestRetested{}, LeaveRequested{}, AbsenceRecorded{}, TierChanged{}, ReferredToPolice{}}
	_ = []record.Derived{ReportedIn{}, UrineTestRecorded{}, UrineResultTold{}, LeaveReturned{}, AbsenceRecorded{}}
)
