package reports_test

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"yidang/domain/casework"
	"yidang/domain/programs/drugs"
	"yidang/domain/record"
	"yidang/projections/analytics"
	"yidang/projections/analytics/analyticstest"
)

// Who and where.
var (
	qianjin = uuid.MustParse("11111111-0000-4000-8000-000000000001")
	hongqi  = uuid.MustParse("11111111-0000-4000-8000-000000000002")
	chen    = uuid.MustParse("22222222-0000-4000-8000-000000000001") // village cadre
	liu     = uuid.MustParse("22222222-0000-4000-8000-000000000002") // community police
	an      = uuid.MustParse("33333333-0000-4000-8000-00000000000a")
	bai     = uuid.MustParse("33333333-0000-4000-8000-00000000000b")
	cao     = uuid.MustParse("33333333-0000-4000-8000-00000000000c")
	test1   = uuid.MustParse("44444444-0000-4000-8000-000000000001")
	test2   = uuid.MustParse("44444444-0000-4000-8000-000000000002")
	test3   = uuid.MustParse("44444444-0000-4000-8000-000000000003")
)

// town is a township whose history a person can hold in the head; see write.
type town struct {
	*analyticstest.Township
	t     testing.TB
	store *analytics.Store

	beforeVoid uint64 // position just before the first void
	whole      uint64 // position of the last event
}

func day(month, d int) time.Time {
	return time.Date(2026, time.Month(month), d, 9, 0, 0, 0, record.Zone)
}

// at is when and by whom something was entered.
type at struct {
	on     time.Time
	late   int // days until it was entered
	reason record.Late
	by     uuid.UUID
}

func (w *town) write(who uuid.UUID, a at, data ...any) []record.Event {
	w.t.Helper()
	var entries []analyticstest.Entry
	for _, d := range data {
		entries = append(entries, analyticstest.Entry{
			Stream: record.StreamOf("drugs", who), Person: who, Occurred: a.on, Recorded: a.on.AddDate(0, 0, a.late), Late: a.reason,
			Actor: a.by, Role: record.VillageCadre, Unit: qianjin, Data: d,
		})
	}
	events, err := w.Write(w.t.Context(), entries...)
	must(w.t, err)
	w.whole = events[len(events)-1].Position
	return events
}

func opened(village uuid.UUID, kind drugs.Kind) drugs.Opened {
	return drugs.Opened{Village: village, Kind: kind, Sex: 1}
}

func lead(officer uuid.UUID, from time.Time) casework.ResponsibleAssigned {
	return casework.ResponsibleAssigned{Responsibility: casework.Responsibility{Officer: officer, Role: record.VillageCadre, Lead: true, From: from}}
}

func tier(t drugs.Tier) drugs.TierChanged {
	return drugs.TierChanged{ID: uuid.New(), Tier: t, Reasons: "x"}
}

func visit(o casework.VisitOutcome) casework.VisitRecorded { return casework.VisitRecorded{Outcome: o} }

func tested(id uuid.UUID, kind, result string) drugs.UrineTestRecorded {
	return drugs.UrineTestRecorded{ID: id, Kind: kind, Stage: drugs.OnSite, Result: result, Told: true}
}

// newTown writes the history:
//
//	2 March   An and Bai come into the program in Qianjin, led by Chen; An strict, Bai general; both told of it
//	4 March   Cao comes in Hongqi, of his own will; nobody leads, no tier
//	8 March   An visited, met (in time: by 9 March)
//	10 March  An tested, scheduled, negative; Bai tested, unscheduled, positive
//	18 March  An visited, met (late: by 15 March), entered 5 days later, from paper
//	20 March  Bai made strict; told
//	25 March  An moves to Hongqi; the same day An is tested, immediate, positive
//	28 March  Bai's positive test is examined again: negative
//	1 April   Cao leaves the program
//	2 April   Bai's strict tier is found to be an error: voided. Position beforeVoid is just before.
//	3 April   An's late visit of 18 March is found to be of somebody else: voided
func newTown(t testing.TB) *town {
	w := &town{Township: analyticstest.New(t), t: t}
	by := func(o uuid.UUID, d time.Time) at { return at{on: d, by: o} }
	told := func(e []record.Event, i int) drugs.TierTold {
		return drugs.TierTold{Decision: e[i].Data.(drugs.TierChanged).ID, How: "in-person"}
	}
	for _, who := range []struct {
		id   uuid.UUID
		tier drugs.Tier
	}{{an, drugs.Strict}, {bai, drugs.General}} {
		e := w.write(who.id, by(liu, day(3, 2)), opened(qianjin, drugs.Voluntary), lead(chen, day(3, 2)), tier(who.tier))
		w.write(who.id, by(liu, day(3, 2)), told(e, 2))
	}
	w.write(cao, by(liu, day(3, 4)), opened(hongqi, drugs.Voluntary))
	w.write(an, by(chen, day(3, 8)), visit(casework.Met))
	w.write(an, by(liu, day(3, 10)), tested(test1, "scheduled", drugs.Negative))
	w.write(bai, by(liu, day(3, 10)), tested(test2, "unscheduled", drugs.Positive))
	wrong := w.write(an, at{on: day(3, 18), late: 5, reason: record.LatePaper, by: chen}, visit(casework.Met))
	strict := w.write(bai, by(liu, day(3, 20)), tier(drugs.Strict))
	w.write(bai, by(liu, day(3, 20)), told(strict, 0))
	w.write(an, by(liu, day(3, 25)), casework.VillageChanged{Village: hongqi, Reason: "x"}, tested(test3, "immediate", drugs.Positive))
	w.write(bai, by(liu, day(3, 28)), drugs.UrineTestRetested{Test: test2, Stage: drugs.Laboratory, Result: drugs.Negative, Outcome: "overturned"})
	w.write(cao, by(liu, day(4, 1)), casework.Closed{Reason: "withdrawn"})
	w.beforeVoid = w.whole
	w.write(bai, by(liu, day(4, 2)), record.Voided{Event: strict[0].ID, Reason: "wrong file"})
	w.write(an, by(chen, day(4, 3)), record.Voided{Event: wrong[0].ID, Reason: "wrong person"})
	w.store = w.Store(t)
	must(t, w.Load(t.Context(), w.store, 20_000))
	return w
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
