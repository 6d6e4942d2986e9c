package commands_test

import (
	"testing"

	"github.com/google/uuid"

	"yidang/domain/access"
	"yidang/domain/commands"
	"yidang/domain/commands/commandstest"
	"yidang/domain/record"
)

// Ensure that within one's own caseload an hour's looking at a file is one entry, and that a reading for a purpose that was
// named, or of what is sealed, is always one of its own (治安管理处罚法 136).
func TestReadingsOfAnHour(t *testing.T) {
	town := commandstest.Start(t)
	who, session := uuid.New(), uuid.New()
	cadre := record.Actor{Officer: town.Officers[record.VillageCadre], Role: record.VillageCadre}
	police := record.Actor{Officer: town.Officers[record.CommunityPolice], Role: record.CommunityPolice}
	read := func(actor record.Actor, d access.Read) int {
		t.Helper()
		d.Own, d.Session = true, session
		if err := town.Exec.RecordRead(t.Context(), commands.Reading{Read: d, Actor: actor, Person: who}); err != nil {
			t.Fatal(err)
		}
		return len(events(town, record.StreamOf("access", session)))
	}
	for range 3 {
		if n := read(cadre, access.Read{What: access.File}); n != 1 {
			t.Fatalf("looking at an own file within an hour is %d entries", n)
		}
	}
	for i := range 2 {
		if n := read(police, access.Read{What: access.File, Purpose: "judicial", Reason: "法院调阅", Sealed: true}); n != 2+i {
			t.Fatalf("%d readings of a sealed file are %d entries more", i+1, n-1)
		}
	}
	if n := read(police, access.Read{What: access.Timeline, Purpose: "stand-in"}); n != 4 {
		t.Fatalf("a reading for a named purpose has no entry")
	}
	if n := read(cadre, access.Read{What: access.Timeline}); n != 4 {
		t.Fatalf("after them the hour's entry stands no more: %d", n)
	}
}
