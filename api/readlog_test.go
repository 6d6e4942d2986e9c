package api_test

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"yidang/domain/access"
	"yidang/domain/commands"
	"yidang/domain/journal"
	"yidang/domain/record"
)

// readings opens every reading in the log.
func (w *town) readings() (out []record.Event) {
	w.t.Helper()
	for s, err := range w.journal.All(context.Background(), 0) {
		if err != nil {
			w.t.Fatal(err)
		}
		if s.Type != access.ReadType {
			continue
		}
		e, _, err := w.x.Codec.Open(context.Background(), s)
		if err != nil {
			w.t.Fatal(err)
		}
		out = append(out, e)
	}
	return out
}

// Ensure that a file outside one's own caseload is read for a purpose, which the record keeps with who, in which post, what
// and from where; that one's own is recorded once for an hour of a session; and that lists record whom they showed.
func TestReadingsAreRecorded(t *testing.T) {
	w := newTown(t, nil).build()
	w.officer("inspector", record.Inspector, "清溪镇", 1)
	who, _ := w.openCase("cadre")
	w.settle()
	file := "/v1/people/" + who.String()
	before := len(w.readings())
	police, cadre := w.signIn("police"), w.signIn("cadre")
	for header, code := range map[string]string{"": "", "curiosity": ""} {
		a := police.get(file, "Yidang-Purpose", header)
		expect(t, "purpose "+header+code, a, 422, "invalid")
		if a.text("field") != "Yidang-Purpose" || a.text("remedy") == "" {
			t.Errorf("%s", a)
		}
	}
	if n := len(w.readings()); n != before {
		t.Fatalf("%d refused readings are recorded", n-before)
	}
	expect(t, "with a purpose", police.get(file+"/timeline", "Yidang-Purpose", "stand-in", "Yidang-Reason", "%E4%BB%A3%E7%8F%AD"), 200, "")
	all := w.readings()
	e := all[len(all)-1]
	d := e.Data.(access.Read)
	if len(all) != before+1 || e.Meta.Actor != w.officers["police"] || e.Meta.Person != who || e.Meta.Role != record.CommunityPolice || e.Meta.Post == uuid.Nil ||
		d.What != access.Timeline || d.Purpose != "stand-in" || d.Reason != "代班" || d.Own || d.From == "" || d.Session == uuid.Nil {
		t.Errorf("recorded %+v %+v", e.Meta, d)
	}
	for range 3 { // the lead's own file, without a purpose
		expect(t, "own caseload", cadre.get(file, "Yidang-Purpose", ""), 200, "")
	}
	if all = w.readings(); len(all) != before+2 || !all[len(all)-1].Data.(access.Read).Own {
		t.Errorf("three looks at an own file are %d entries", len(all)-before-1)
	}
	expect(t, "search", police.get("/v1/people?q=王", "Yidang-Purpose", ""), 200, "")
	if all = w.readings(); all[len(all)-1].Data.(access.Read).What != access.Hit || all[len(all)-1].Data.(access.Read).People[0] != who {
		t.Errorf("a search is recorded as %+v", all[len(all)-1].Data)
	}
}

// lost is a journal that takes no readings.
type lost struct{ commands.Journal }

func (l lost) Append(ctx context.Context, stream string, expected journal.Expected, events ...journal.Proposed) (journal.Appended, error) {
	if kind, _, _ := record.SplitStream(stream); kind == "access" {
		return journal.Appended{}, record.Errorf(record.Unavailable, "append: %w", errors.New("disk full"))
	}
	return l.Journal.Append(ctx, stream, expected, events...)
}

// Ensure that a reading that cannot be recorded is refused, and shows nothing.
func TestNoRecordNoAnswer(t *testing.T) {
	w := newTown(t, nil).build()
	who, _ := w.openCase("cadre")
	w.settle()
	cadre := w.signIn("cadre")
	w.x.Journal = lost{w.x.Journal}
	for _, path := range []string{"/v1/people/" + who.String(), "/v1/people/" + who.String() + "/timeline"} {
		a := cadre.get(path)
		expect(t, path, a, 503, "unavailable")
		if _, shown := a.body["person"]; shown {
			t.Errorf("%s", a)
		}
	}
	expect(t, "a search of others", w.signIn("police").get("/v1/people"), 503, "unavailable")
}

// Ensure that a correction shows beside what was recorded first, counts in the file, and does not show in what was known
// before it.
func TestCorrectionShows(t *testing.T) {
	w := newTown(t, nil).build()
	who, path := w.openCase("cadre")
	cadre := w.signIn("cadre")
	visit := cadre.post(path+"/record-visit", map[string]any{"outcome": "met", "note": "在家"})
	expect(t, "visit", visit, 200, "")
	known := w.clock.now().Add(time.Second)
	w.clock.move(2 * time.Hour)
	bad := cadre.post(path+"/correct-event", map[string]any{"event": visit.text("events.0.id"), "values": map[string]any{"outcome": "asleep"}, "reason": "结果误选"})
	expect(t, "no such outcome", bad, 422, "invalid")
	if bad.text("field") != "values.outcome" {
		t.Errorf("%s", bad)
	}
	expect(t, "correction", cadre.post(path+"/correct-event", map[string]any{"event": visit.text("events.0.id"), "values": map[string]any{"outcome": "absent"}, "reason": "结果误选"}), 200, "")
	w.settle()
	line := func(query string) answer {
		a := cadre.get("/v1/people/" + who.String() + "/timeline?type=casework.visit_recorded" + query)
		expect(t, "timeline", a, 200, "")
		return a
	}
	a := line("")
	if a.text("lines.0.data.outcome") != "met" || a.text("lines.0.correctedBy.data.outcome") != "absent" || a.text("lines.0.correctedBy.reason") != "结果误选" || a.text("lines.0.correctedBy.fields.0") != "outcome" {
		t.Errorf("%s", a)
	}
	if a := line("&knownAt=" + url.QueryEscape(known.Format(time.RFC3339))); a.text("lines.0.correctedBy.reason") != "" {
		t.Errorf("before it was corrected: %s", a)
	}
	d := cadre.get("/v1/people/" + who.String() + "/difference?from=" + url.QueryEscape(known.Format(time.RFC3339)))
	if changes := d.list("changes"); d.status != 200 || len(changes) != 1 || changes[0]["kind"] != "corrected" || !strings.Contains(d.text("changes.0.text.zh"), "结果误选") {
		t.Errorf("what became known since: %s", d)
	}
	d = cadre.get("/v1/people/" + who.String() + "/difference?from=2020-01-01")
	if changes := d.list("changes"); len(changes) < 3 || changes[0]["kind"] != "recorded" {
		t.Errorf("everything became known: %s", d)
	}
	c := cadre.get("/v1/cases/" + path[strings.LastIndex(path, "/")+1:])
	if c.text("case.lastMet") != "" && !strings.HasPrefix(c.text("case.lastMet"), "0001") {
		t.Errorf("the file still counts the person as met: %s", c)
	}
}
