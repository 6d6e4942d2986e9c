package analytics_test

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"yidang/domain/casework"
	"yidang/domain/programs/drugs"
	"yidang/domain/record"
	"yidang/projections/analytics/analyticstest"
)

// Ensure that the hashes of a file's notes are gone from every row as soon as its erasure is loaded, whether the key was
// destroyed by then or not, in whichever batches it comes; and that those of other files stay.
func TestErasedNotes(t *testing.T) {
	ctx, w := t.Context(), analyticstest.New(t)
	day := time.Date(2026, 3, 2, 9, 0, 0, 0, record.Zone)
	village, gone, kept := uuid.New(), uuid.New(), uuid.New()
	write := func(who uuid.UUID, data any) []record.Event {
		day = day.AddDate(0, 0, 1)
		e, err := w.Write(ctx, analyticstest.Entry{Stream: record.StreamOf("drugs", who), Person: who, Occurred: day, Actor: uuid.New(), Data: data})
		must(t, err)
		return e
	}
	for _, who := range []uuid.UUID{gone, kept} {
		write(who, drugs.Opened{Village: village, Kind: drugs.Voluntary, Sex: 1})
		v := write(who, casework.VisitRecorded{Outcome: casework.Met, Note: "本人在家，情绪稳定，已提醒按时参加尿检"})
		write(who, casework.VisitRecorded{Outcome: casework.Met, Note: "本人在家，情绪稳定，已提醒按时参加帮教"})
		write(who, record.Corrected{Event: v[0].ID, Form: 1, Fields: []string{"note"}, Reason: "wrong words",
			Values: []byte(`{"outcome":"met","note":"本人不在家，其父称已外出务工，电话联系上"}`)})
	}
	before, oneByOne := w.Store(t), w.Store(t)
	must(t, w.Load(ctx, before, 100))
	must(t, w.Load(ctx, oneByOne, 1))
	if n := counted(t, before, 0, hashed); n["facts"] != 4 || n["revisions"] != 2 {
		t.Fatalf("hashed before: %v", n)
	}
	write(gone, record.FileErased{Basis: "test"})
	must(t, w.Load(ctx, before, 100)) // an erasure that was recorded and not done yet
	atOnce := w.Store(t)
	must(t, w.Load(ctx, atOnce, 100))
	must(t, w.Vault.Destroy(ctx, record.StreamOf("drugs", gone), "test"))
	must(t, w.Load(ctx, oneByOne, 1))
	after := w.Store(t)
	must(t, w.Load(ctx, after, 100))
	for name, s := range map[string]map[string]int64{
		"loaded before": counted(t, before, 0, hashed), "loaded one by one": counted(t, oneByOne, 0, hashed),
		"loaded with it": counted(t, atOnce, 0, hashed), "loaded after it": counted(t, after, 0, hashed),
	} {
		if s["facts"] != 2 || s["revisions"] != 1 {
			t.Errorf("%s, hashed after: %v", name, s)
		}
	}
}

// hashed counts the rows with anything of a note, copies of rows too.
const hashed = `SELECT 'facts', toInt64(countIf(note != 0 OR note_near1 != 0 OR note_near2 != 0 OR note_near3 != 0 OR note_near4 != 0 OR note_length != 0)) FROM yidang_facts
	UNION ALL SELECT 'revisions', toInt64(countIf(note != 0 OR note_near1 != 0 OR note_near2 != 0 OR note_near3 != 0 OR note_near4 != 0 OR note_length != 0)) FROM yidang_revisions`
