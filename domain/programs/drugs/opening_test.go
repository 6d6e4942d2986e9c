package drugs_test

import (
	"slices"
	"testing"

	"yidang/domain/programs/drugs"
	"yidang/domain/record"
	"yidang/domain/record/recordtest"
)

// Ensure that a case opens on a determination of public security only, named by number, organ and day (D-01; 禁毒法 31–33).
func TestOpening(t *testing.T) {
	opened(t)
	for name, c := range map[string]struct {
		change func(*drugs.Open)
		want   *record.Problem
	}{
		"no file of the person (D-12)": {func(in *drugs.Open) { in.Person = id("nobody") }, drugs.ErrNoPerson},
		"a dead person (D-12)":         {func(in *drugs.Open) { in.Person = id("dead") }, drugs.ErrDead},
		"a station is no village (D-06)": {func(in *drugs.Open) { in.Village = id("station") },
			drugs.ErrNoVillage},
		"no such village (D-06)": {func(in *drugs.Open) { in.Village = id("nowhere") }, drugs.ErrNoVillage},
		"transcribed outside an import (D-13)": {func(in *drugs.Open) { in.Order = drugs.Document{Transcribed: true} },
			drugs.ErrTranscribed},
		"voluntary with an order (戒毒条例 9)": {func(in *drugs.Open) { in.Kind = drugs.Voluntary }, drugs.ErrOrdered},
		"detoxification is 36 months (戒毒条例 14)": {func(in *drugs.Open) { in.TermMonths = 24 },
			drugs.ErrTerm},
		"rehabilitation needs its months (戒毒条例 37)": {func(in *drugs.Open) { in.Kind = drugs.Rehabilitation }, drugs.ErrTerm},
		"rehabilitation is 36 months at most (戒毒条例 37)": {func(in *drugs.Open) { in.Kind, in.TermMonths = drugs.Rehabilitation, 37 },
			drugs.ErrTerm},
	} {
		t.Run(name, func(t *testing.T) {
			in := open("man", "2026-03-02")
			c.change(&in)
			story(t).When(policeman, "2026-03-02", "drugs.open", in).ThenRefused(c.want)
		})
	}
	for field, change := range map[string]func(*drugs.Open){
		"kind":                 func(in *drugs.Open) { in.Kind = "isolation" },
		"order.number":         func(in *drugs.Open) { in.Order.Number = "" },
		"order.organ":          func(in *drugs.Open) { in.Order.Organ = "" },
		"order.issued":         func(in *drugs.Open) { in.Order.Issued = "2026-3-2" },
		"order.served":         func(in *drugs.Open) { in.Order.Served = "" },
		"determination.number": func(in *drugs.Open) { in.Determination = drugs.Document{} },
		"determination.issued": func(in *drugs.Open) { in.Determination.Issued = "2027-01-01" },
	} {
		t.Run("invalid "+field, func(t *testing.T) {
			in := open("man", "2026-03-02")
			change(&in)
			story(t).When(policeman, "2026-03-02", "drugs.open", in).ThenInvalid(field)
		})
	}
	t.Run("served before issued", func(t *testing.T) {
		in := open("man", "2026-03-02")
		in.Order.Issued = "2026-03-03"
		story(t).When(policeman, "2026-03-04", "drugs.open", in).ThenInvalid("order.served")
	})
	t.Run("a village cannot open one (禁毒法 31)", func(t *testing.T) {
		story(t).When(cadre, "2026-03-02", "drugs.open", open("man", "2026-03-02")).ThenForbidden()
	})
}

// Ensure that voluntary treatment needs no order, has no term and is not referred (戒毒条例 9; 禁毒法 62).
func TestVoluntary(t *testing.T) {
	s := story(t).When(office, "2026-03-02", "drugs.open", drugs.Open{Person: id("woman"), Village: id("village"), Kind: drugs.Voluntary}).ThenRecorded("drugs.opened")
	wantDue(t, s, "report-in", "")
	s.When(cadre, "2026-03-05", "drugs.record_reporting", drugs.RecordReporting{}).ThenRefused(drugs.ErrNoTerm)
	for range 4 {
		s.When(policewom, "2026-04-01", "drugs.record_missed_test", drugs.RecordMissedTest{Kind: "unscheduled", How: "refused"}).ThenRecorded("drugs.urine_test_missed")
	}
	s.When(cadre, "2026-04-02", "drugs.refer_to_police", refer("other")).ThenRefused(drugs.ErrVoluntary)
	s.When(policeman, "2026-04-02", "drugs.end_term", drugs.EndTerm{}).ThenRefused(drugs.ErrNoTerm)
	s.When(policeman, "2026-04-02", "drugs.start_suspension", drugs.StartSuspension{Reason: "custody", Document: order("2026-04-01")}).ThenRefused(drugs.ErrNoTerm)
	s.When(office, "2026-04-03", "drugs.close_case", drugs.CloseCase{Reason: "withdrawn"}).ThenRecorded("casework.closed")
}

// Ensure that an older register opens a case without its paper only in an import, and that the paper is then owed (D-13).
func TestTranscribedOrder(t *testing.T) {
	in := drugs.Open{Person: id("man"), Village: id("village"), Kind: drugs.Detox, Order: drugs.Document{Transcribed: true}, Determination: drugs.Document{Transcribed: true}}
	s := story(t).WhenLate(record.LateImport, office, "2025-11-17", "drugs.open", in).ThenRecorded("drugs.opened")
	if got := state(s).MissingPapers(); !slices.Equal(got, []string{"determination", "order"}) {
		t.Errorf("missing papers: %v", got)
	}
	wantDue(t, s, "papers", "2026-02-15")
	wantDue(t, s, "report-in", "") // nobody knows the day of service
	supply := func(in drugs.SupplyDocument) *recordtest.Story {
		return s.When(office, "2026-01-10", "drugs.supply_document", in)
	}
	supply(drugs.SupplyDocument{}).ThenInvalid("order")
	supply(drugs.SupplyDocument{Order: drugs.Document{Transcribed: true, Number: "12号"}}).ThenInvalid("order.organ")
	supply(drugs.SupplyDocument{Determination: drugs.Document{Number: "9号", Organ: "县公安局"}}).ThenInvalid("determination.issued")
	supply(drugs.SupplyDocument{Determination: determination()}).Then(drugs.DocumentSupplied{Determination: determination()})
	wantDue(t, s, "papers", "2026-02-15") // the order is missing still
	supply(drugs.SupplyDocument{Order: order("2025-11-10"), Attachment: attach("a1")}).
		Then(drugs.DocumentSupplied{Order: order("2025-11-10"), Attachment: attach("a1"), Complete: true})
	wantDue(t, s, "papers", "")
	if got := state(s).MissingPapers(); len(got) > 0 {
		t.Errorf("missing papers: %v", got)
	}
	supply(drugs.SupplyDocument{Order: order("2025-11-10")}).ThenRefused(drugs.ErrPapersThere)
}

// Ensure that a case taken over from an older register gets its true days once they are known: from the paper, or from the
// reporting; and that the term, the report-in and the review of dynamic control follow them (DL-D1, DL-D2, DL-D6).
func TestImportedCaseGetsItsTrueDays(t *testing.T) {
	in := drugs.Open{Person: id("man"), Village: id("village"), Kind: drugs.Detox, Order: drugs.Document{Transcribed: true}, Determination: drugs.Document{Transcribed: true}}
	imported := func() *recordtest.Story {
		return story(t).WhenLate(record.LateImport, office, "2026-03-02", "drugs.open", in).ThenRecorded("drugs.opened")
	}
	s := imported() // the paper first
	wantDue(t, s, "delisting-review", "2029-03-02")
	s.When(office, "2026-03-10", "drugs.supply_document", drugs.SupplyDocument{Order: order("2024-05-06"), Determination: determination()}).ThenRecorded("drugs.document_supplied")
	wantDue(t, s, "report-in", "2024-05-21")
	wantDue(t, s, "delisting-review", "2027-05-06")
	s.WhenLate(record.LatePaper, cadre, "2024-05-05", "drugs.record_reporting", drugs.RecordReporting{}).ThenRefused(errBeforeOpen)
	s.WhenLate(record.LatePaper, cadre, "2024-05-10", "drugs.record_reporting", drugs.RecordReporting{}).Then(drugs.ReportedIn{DaysAfterService: 4})
	wantDue(t, s, "report-in", "")
	wantDue(t, s, "term-end", "2027-05-10")

	s = imported() // the reporting first
	s.WhenLate(record.LatePaper, cadre, "2024-05-10", "drugs.record_reporting", drugs.RecordReporting{}).Then(drugs.ReportedIn{})
	wantDue(t, s, "term-end", "2027-05-10")
	wantDue(t, s, "delisting-review", "2027-05-10")
	s.When(office, "2026-03-10", "drugs.supply_document", drugs.SupplyDocument{Order: order("2024-05-06"), Determination: determination()}).ThenRecorded("drugs.document_supplied")
	wantDue(t, s, "report-in", "")
	wantDue(t, s, "delisting-review", "2027-05-06")
}

// Ensure that an imported case owes an agreement with its table of tests, which an older register does not hold (戒毒条例 16).
func TestTranscribedAgreement(t *testing.T) {
	in := drugs.Open{Person: id("man"), Village: id("village"), Kind: drugs.Detox, Order: drugs.Document{Transcribed: true}, Determination: drugs.Document{Transcribed: true}}
	s := story(t).WhenLate(record.LateImport, office, "2026-03-02", "drugs.open", in).ThenRecorded("drugs.opened")
	s.WhenLate(record.LateImport, office, "2026-03-02", "drugs.sign_agreement", drugs.SignAgreement{Transcribed: true}).ThenRecorded("drugs.agreement_signed")
	wantDue(t, s, "agreement", "2026-03-17")
	wantDue(t, s, "scheduled-test", "")
	s.When(cadre, "2026-03-10", "drugs.sign_agreement", drugs.SignAgreement{Schedule: schedule()}).ThenRecorded("drugs.agreement_signed")
	wantDue(t, s, "agreement", "")
	wantDue(t, s, "scheduled-test", "2026-04-09")
}

// Ensure that the case counts from the day of service when the entry is later, so that what lies between can be recorded.
func TestOpenedFromService(t *testing.T) {
	s := story(t).When(policeman, "2026-03-12", "drugs.open", open("man", "2026-03-02")).ThenRecorded("drugs.opened")
	s.When(cadre, "2026-03-05", "drugs.record_reporting", drugs.RecordReporting{}).Then(drugs.ReportedIn{DaysAfterService: 3})
	wantDue(t, s, "report-in", "") // fulfilled, although before the entry
	s.When(cadre, "2026-03-01", "drugs.form_team", drugs.FormTeam{Members: team()}).ThenRefused(errBeforeOpen)
}

// Ensure that the person is owed to report within 15 days of service, a day off moving the end (DL-D1; 戒毒条例 14; 民法典 201, 203).
func TestReportWithin15Days(t *testing.T) {
	for served, last := range map[string]string{
		"2026-03-02": "2026-03-17",
		"2026-03-06": "2026-03-23", // the 21st is a Saturday
		"2026-02-02": "2026-02-24", // the 17th lies in the Spring Festival, which ends on the 23rd
		"2026-01-30": "2026-02-14", // a Saturday that is worked
		"2026-09-18": "2026-10-08", // National Day
	} {
		s := story(t).When(policeman, served, "drugs.open", open("man", served)).ThenRecorded("drugs.opened")
		wantDue(t, s, "report-in", last)
	}
	s := reported(t)
	wantDue(t, s, "report-in", "")
	s.When(cadre, "2026-03-06", "drugs.record_reporting", drugs.RecordReporting{}).ThenRefused(drugs.ErrReported)
}
