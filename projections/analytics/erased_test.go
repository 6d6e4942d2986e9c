package analytics_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"

	"yidang/domain/casework"
	"yidang/domain/programs/drugs"
	"yidang/domain/record"
	"yidang/projections/analytics"
	"yidang/projections/analytics/analyticstest"
	"yidang/projections/follow"
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

// Ensure that tables in which a file was erased are those that a fresh load gives, row for row, whether the key was destroyed
// by then or not, in whichever batches the erasure came: metadata of its events and nothing that they said (PIPL 47).
func TestErasedFile(t *testing.T) {
	ctx, w := t.Context(), analyticstest.New(t)
	must(t, w.Fill(ctx, 900, 6, "x"))
	who := uuid.New()
	must(t, w.Person(ctx, who, "王五", "999999199001011234", "12011112222", "前进村"))
	erased := []string{record.StreamOf("person", who)}
	for stored, err := range w.Journal.All(ctx, 0) { // a case with voids and corrections
		must(t, err)
		if record.Amends(stored.Type) {
			erased = append(erased, stored.Stream)
			break
		}
	}
	names := map[string]string{"case": analyticsName(w, "case", erased[1]), "person": analyticsName(w, "person", erased[0])}
	of := "(category = 'drugs' AND case = '" + names["case"] + "' OR category = 'person' AND person = '" + names["person"] + "')"
	said := `SELECT 'facts', toInt64(countIf(tier != '' OR kind != '' OR result != '' OR village != toUUIDOrZero('') OR open)) FROM yidang_facts WHERE type != 'record.erased' AND ` + of + `
		UNION ALL SELECT 'revisions', toInt64(count()) FROM yidang_revisions WHERE ` + of + `
		UNION ALL SELECT 'duties', toInt64(count()) FROM yidang_duties WHERE case = '` + names["case"] + `'`
	left := `SELECT 'facts', toInt64(count()) FROM yidang_facts FINAL WHERE type != '' AND erased = (type != 'record.erased') AND ` + of

	before, oneByOne := w.Store(t), w.Store(t)
	must(t, w.Load(ctx, before, 100))
	must(t, w.Load(ctx, oneByOne, 1))
	for table, n := range counted(t, before, 0, said) {
		if n == 0 {
			t.Fatalf("%s say nothing of the files before", table)
		}
	}
	entries := counted(t, before, 0, "SELECT 'facts', toInt64(count()) FROM yidang_facts FINAL WHERE "+of)["facts"]
	for _, stream := range erased {
		must(t, last(w.Write(ctx, analyticstest.Entry{Stream: stream, Occurred: time.Date(2026, 3, 2, 9, 0, 0, 0, record.Zone), Actor: uuid.New(), Person: who, Data: record.FileErased{Basis: "retention-ended"}})))
	}
	must(t, w.Load(ctx, before, 100)) // erasures that were recorded and not done yet
	atOnce, filled := w.Store(t), w.Store(t)
	must(t, w.Load(ctx, atOnce, 100_000))
	head, _, err := w.Journal.Head(ctx)
	must(t, err)
	must(t, filled.Backfill(ctx, follow.BackfillOptions{Source: w.Journal, Codec: w.Codec, Until: head, Dir: filepath.Join(t.TempDir(), "spool"), EventsPerPart: 200}))
	for _, stream := range erased {
		must(t, w.Vault.Destroy(ctx, stream, "retention-ended"))
	}
	must(t, w.Load(ctx, oneByOne, 1))
	after := w.Store(t)
	must(t, w.Load(ctx, after, 100))
	for name, s := range map[string]*analytics.Store{"loaded before": before, "loaded one by one": oneByOne, "loaded with it": atOnce, "filled with it": filled, "loaded after it": after} {
		sameRows(t, s, after)
		same(t, name+", rows that say something", map[string]int64{"facts": 0, "revisions": 0, "duties": 0}, counted(t, s, 0, said))
		same(t, name+", metadata", map[string]int64{"facts": entries + 2}, counted(t, s, 0, left))
	}
}

func analyticsName(w *analyticstest.Township, sort, stream string) string {
	_, id, _ := record.SplitStream(stream)
	return analytics.Pseudonym(w.Vault.MAC, sort, id).String()
}
