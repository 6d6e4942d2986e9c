package analyticstest

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"

	"yidang/domain/casework"
	"yidang/domain/person"
	"yidang/domain/programs/drugs"
	"yidang/domain/record"
)

// Fill writes about n events of made-up casework over some cases, the same for the same numbers: openings, responsible
// officers, tiers, tests and re-tests, visits, moves between villages, voids, corrections, closings, late entries. Every text
// is canary.
func (w *Township) Fill(ctx context.Context, n, cases int, canary string) error {
	r := rand.New(rand.NewPCG(1, uint64(n)))
	f := filler{w: w, r: r, canary: canary, at: make([]time.Time, cases), written: make([][]record.Event, cases), made: make([]int, cases)}
	for total := 0; total < n; {
		i := r.IntN(cases)
		entries := f.entries(i)
		for range r.IntN(4) {
			entries = append(entries, f.entries(i)...)
		}
		events, err := w.Write(ctx, entries...)
		if err != nil {
			return err
		}
		f.written[i] = append(f.written[i], events...)
		total += len(events)
	}
	return nil
}

type filler struct {
	w       *Township
	r       *rand.Rand
	canary  string
	at      []time.Time
	written [][]record.Event
	made    []int
}

func id(sort string, i int) uuid.UUID {
	return uuid.NewSHA1(uuid.NameSpaceURL, fmt.Appendf(nil, "%s %d", sort, i))
}

func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

// entries makes the next command's events of a case.
func (f *filler) entries(i int) []Entry {
	r := f.r
	stream, who := record.StreamOf("drugs", id("case", i)), id("person", i)
	f.made[i]++
	first := f.made[i] == 1
	if first {
		f.at[i] = time.Date(2024, 1, 1+r.IntN(60), 9, 0, 0, 0, record.Zone)
	}
	f.at[i] = f.at[i].Add(time.Duration(r.IntN(72)) * time.Hour)
	entry := func(data any) Entry {
		n := Entry{Stream: stream, Data: data, Occurred: f.at[i], Recorded: f.at[i].Add(time.Duration(r.IntN(3600)) * time.Second),
			Actor: id("officer", r.IntN(40)), Role: record.CommunityPolice, Unit: id("unit", 1), Person: who}
		if r.IntN(10) == 0 {
			n.Recorded, n.Late = n.Recorded.AddDate(0, 0, 4+r.IntN(20)), pick(r, record.Lates...)
		}
		return n
	}
	officer := id("officer", r.IntN(40))
	if first {
		return []Entry{
			entry(drugs.Opened{Person: who, Village: id("village", r.IntN(12)), Kind: drugs.Detox, Sex: 1 + i%2, TermMonths: 36, Note: f.canary,
				Order: drugs.Document{Number: f.canary, Organ: "市公安局", Issued: f.at[i].Format(record.Day), Served: f.at[i].Format(record.Day)}}),
			entry(casework.ResponsibleAssigned{Responsibility: casework.Responsibility{Officer: officer, Role: record.VillageCadre, Lead: true, From: f.at[i]}}),
			entry(drugs.TierChanged{ID: uuid.NewSHA1(who, []byte("tier")), Tier: pick(r, drugs.Strict, drugs.Priority, drugs.General), Reasons: f.canary}),
		}
	}
	test := uuid.NewSHA1(who, fmt.Append(nil, f.made[i]))
	if n := len(f.written[i]); n > 3 && r.IntN(200) == 0 {
		return []Entry{entry(record.Voided{Event: f.written[i][1+r.IntN(n-1)].ID, Reason: f.canary})}
	} else if n > 3 && r.IntN(100) == 0 {
		if c, ok := f.correction(f.written[i][1+r.IntN(n-1)]); ok {
			return []Entry{entry(c)}
		}
	}
	switch p := r.IntN(1000); {
	case p < 600:
		return []Entry{entry(casework.VisitRecorded{Outcome: pick(r, casework.Met, casework.Met, casework.Met, casework.Absent), Place: f.canary, With: f.canary, Note: f.canary})}
	case p < 800:
		return []Entry{entry(drugs.UrineTestRecorded{ID: test, Kind: pick(r, "scheduled", "unscheduled", "immediate"), Stage: drugs.OnSite,
			Result: pick(r, drugs.Negative, drugs.Negative, drugs.Negative, drugs.Positive), ReportNumber: f.canary, ReportIssuer: f.canary, Told: true, Note: f.canary})}
	case p < 880:
		return []Entry{entry(casework.NoteAdded{Text: f.canary})}
	case p < 930:
		return []Entry{entry(casework.AttachmentAdded{Attachment: casework.Attachment{SHA256: "00", MediaType: f.canary, Name: f.canary}, Title: f.canary})}
	case p < 945:
		return []Entry{entry(drugs.TierChanged{ID: test, Tier: pick(r, drugs.Strict, drugs.Priority, drugs.General), Reasons: f.canary})}
	case p < 950:
		return []Entry{entry(casework.VillageChanged{Village: id("village", r.IntN(12)), Reason: f.canary})}
	case p < 955:
		return []Entry{entry(casework.ResponsibleAssigned{Responsibility: casework.Responsibility{Officer: officer, Role: record.VillageCadre, Lead: true, From: f.at[i]}})}
	}
	return []Entry{entry(casework.ServiceDelivered{Service: "family-love-activity", Note: f.canary})}
}

// correction says what some event should have said; sometimes also when it happened.
func (f *filler) correction(e record.Event) (c record.Corrected, ok bool) {
	data := e.Data
	switch d := data.(type) {
	case casework.VisitRecorded:
		d.Outcome = pick(f.r, casework.Met, casework.Absent)
		data = d
	case drugs.UrineTestRecorded:
		d.Result = pick(f.r, drugs.Negative, drugs.Positive)
		data = d
	case drugs.TierChanged:
		d.Tier = pick(f.r, drugs.Strict, drugs.Priority, drugs.General)
		data = d
	default:
		return c, false
	}
	c = record.Corrected{Event: e.ID, Form: e.Meta.Form, Fields: []string{"x"}, Reason: f.canary}
	if f.r.IntN(3) == 0 {
		c.OccurredAt = e.Meta.OccurredAt.Add(-time.Duration(f.r.IntN(100)) * time.Hour)
	}
	var err error
	c.Values, err = json.Marshal(data)
	return c, err == nil
}

// Person writes a person with names and numbers that may show nowhere else.
func (w *Township) Person(ctx context.Context, who uuid.UUID, name, citizen, phone, address string) error {
	_, err := w.Write(ctx, Entry{Stream: person.Stream(who), Occurred: time.Date(2026, 3, 2, 9, 0, 0, 0, record.Zone), Data: person.Registered{
		Name: name, CitizenID: citizen, Phone: phone, Household: address, Residence: address, Sex: 1, Village: id("village", 1),
	}})
	return err
}
