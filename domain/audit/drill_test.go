package audit_test

import (
	"context"
	"database/sql"
	"encoding/binary"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"yidang/domain/audit"
	"yidang/domain/casework"
	"yidang/domain/journal"
	"yidang/domain/journal/embedded"
	"yidang/domain/notary"
	"yidang/domain/record"
	_ "yidang/domain/vault/sealed" // its driver opens the journal's file for the attacker
)

// attack edits the journal's file as somebody does who has the machine: the server is down, the triggers are taken away
// for the while and put back as they were.
func attack(t *testing.T, dir string, statements ...string) {
	t.Helper()
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(dir, "journal.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	exec := func(s string) {
		t.Helper()
		if _, err := db.ExecContext(t.Context(), s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
	triggers := map[string]string{}
	rows, err := db.QueryContext(t.Context(), `SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'`)
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		var name, text string
		if err := rows.Scan(&name, &text); err != nil {
			t.Fatal(err)
		}
		triggers[name] = text
	}
	if err := rows.Err(); err != nil || len(triggers) == 0 {
		t.Fatal(len(triggers), err)
	}
	for name := range triggers {
		exec("DROP TRIGGER " + name)
	}
	for _, s := range statements {
		exec(s)
	}
	for _, text := range triggers {
		exec(text)
	}
}

// closeUp makes the positions and the revisions of a stream follow each other again after an event was taken out.
func closeUp(s journal.Stored) []string {
	return []string{
		fmt.Sprintf(`DELETE FROM events WHERE position = %d`, s.Position),
		fmt.Sprintf(`UPDATE events SET revision = -revision WHERE stream = (SELECT id FROM streams WHERE name = '%s') AND revision > %d`, s.Stream, s.Revision),
		`UPDATE events SET revision = -revision - 1 WHERE revision < 0`,
		fmt.Sprintf(`UPDATE events SET position = -position WHERE position > %d`, s.Position),
		`UPDATE events SET position = -position - 1 WHERE position < 0`,
	}
}

// drill is a town with a signed log, and an event in the middle of a case.
type drill struct {
	*world
	target journal.Stored
	next   journal.Stored // the event after it in the journal, of another stream
	signed []byte
}

func startDrill(t *testing.T) drill {
	w := start(t)
	_, id := w.openCase(1)
	w.attach(id, "协议.txt", []byte("社区戒毒协议，测试文本。"))
	visited := w.visit(id, w.Officers[record.VillageCadre]).Events[0].ID
	_, other := w.openCase(3)
	w.visit(id, w.Officers[record.VillageCadre])
	w.visit(other, w.Officers[record.VillageCadre])
	d := drill{world: w, signed: w.sign(w.notaryDir())}
	all := w.everything()
	i := slices.IndexFunc(all, func(s journal.Stored) bool { return s.ID == visited })
	d.target, d.next = all[i], all[i+1]
	return d
}

func (w *world) everything() (all []journal.Stored) {
	w.t.Helper()
	for s, err := range w.Journal.All(w.t.Context(), 0) {
		if err != nil {
			w.t.Fatal(err)
		}
		all = append(all, s)
	}
	return all
}

func hex(b []byte) string { return fmt.Sprintf("x'%x'", b) }

// Ensure that each way to edit the journal's file is found by its own event, also when the file is left in good order; and
// that without the notary's directory the signed checkpoints alone find it.
func TestEdited(t *testing.T) {
	for name, c := range map[string]struct {
		edit func(d drill) []string
		says string // of the event, with the notary's directory
		at   func(d drill) uuid.UUID
	}{
		"data": {func(d drill) []string {
			d.target.Data[20] ^= 1
			return []string{fmt.Sprintf(`UPDATE events SET data = %s WHERE position = %d`, hex(d.target.Data), d.target.Position)}
		}, "its content was changed", func(d drill) uuid.UUID { return d.target.ID }},
		"metadata": {func(d drill) []string {
			meta := strings.Replace(string(d.target.Meta), `"village-cadre"`, `"volunteer"`, 1)
			return []string{fmt.Sprintf(`UPDATE events SET meta = %s WHERE position = %d`, hex([]byte(meta)), d.target.Position)}
		}, "its metadata was changed", func(d drill) uuid.UUID { return d.target.ID }},
		"type": {func(d drill) []string {
			return []string{fmt.Sprintf(`UPDATE events SET type = 'casework.note_added' WHERE position = %d`, d.target.Position)}
		}, "of type casework.visit_recorded", func(d drill) uuid.UUID { return d.target.ID }},
		"delete": {func(d drill) []string { return closeUp(d.target) }, "in its place", func(d drill) uuid.UUID { return d.target.ID }},
		"insert": {func(d drill) []string {
			return []string{
				fmt.Sprintf(`UPDATE events SET position = -position WHERE position >= %d`, d.target.Position),
				`UPDATE events SET position = -position + 1 WHERE position < 0`,
				fmt.Sprintf(`UPDATE events SET revision = -revision WHERE stream = (SELECT id FROM streams WHERE name = '%s') AND revision >= %d`, d.target.Stream, d.target.Revision),
				`UPDATE events SET revision = -revision + 1 WHERE revision < 0`,
				fmt.Sprintf(`INSERT INTO events SELECT %d, stream, %d, %s, type, created, json, meta, data FROM events WHERE position = %d`,
					d.target.Position, d.target.Revision, hex(make([]byte, 16)), d.target.Position+1),
			}
		}, "in its place", func(d drill) uuid.UUID { return d.target.ID }},
		"swap": {func(d drill) []string {
			return []string{
				fmt.Sprintf(`UPDATE events SET position = -1 WHERE position = %d`, d.target.Position),
				fmt.Sprintf(`UPDATE events SET position = %d WHERE position = %d`, d.target.Position, d.next.Position),
				fmt.Sprintf(`UPDATE events SET position = %d WHERE position = -1`, d.next.Position),
			}
		}, "in its place", func(d drill) uuid.UUID { return d.target.ID }},
		"truncate": {func(d drill) []string {
			return []string{fmt.Sprintf(`DELETE FROM events WHERE position >= %d`, d.target.Position), `DELETE FROM streams WHERE id NOT IN (SELECT stream FROM events)`}
		}, "the journal ends before it", func(d drill) uuid.UUID { return d.target.ID }},
	} {
		t.Run(name, func(t *testing.T) {
			d := startDrill(t)
			d.restart(func() { attack(t, d.journalDir(), c.edit(d)...) })
			_, found := d.verify()
			named(t, found, audit.Log, c.at(d), c.says)
			// With nothing but the public key, and a checkpoint that somebody kept.
			_, found = d.verify(func(o *audit.Options) {
				o.Only, o.Notary = []audit.Check{audit.Log}, &notary.VerifyOptions{Policy: d.policy(), Known: [][]byte{d.signed}}
			})
			if len(failures(found)) == 0 {
				t.Error("the checkpoints alone find nothing")
			}
		})
	}
}

// Ensure that a file left in bad order is refused before anything is served from it.
func TestEditedBadly(t *testing.T) {
	for name, statement := range map[string]string{
		"a gap in the positions":  `DELETE FROM events WHERE position = 9`,
		"a gap in a stream":       `UPDATE events SET revision = revision + 5 WHERE position = (SELECT max(position) FROM events)`,
		"a stream without name":   `DELETE FROM streams WHERE id = (SELECT stream FROM events WHERE position = 9)`,
		"more than a journal has": `CREATE TABLE mine (x TEXT) STRICT`,
	} {
		t.Run(name, func(t *testing.T) {
			w := start(t)
			dir := t.TempDir()
			w.restart(func() {
				if err := os.CopyFS(dir, os.DirFS(w.journalDir())); err != nil {
					t.Fatal(err)
				}
			})
			attack(t, dir, statement)
			if s, err := embedded.Start(t.Context(), embedded.Options{Dir: dir}); err == nil {
				s.Close()
				t.Error("the file was opened")
			}
		})
	}
}

// Ensure that a thief of the signing key and the vault, who changes the past and signs all of it anew, is found by a
// checkpoint that somebody else holds, and by nothing here.
func TestThief(t *testing.T) {
	d := startDrill(t)
	other := filepath.Join(d.Dir, "another notary")
	sealed := d.reseal(d.target, casework.VisitRecorded{Outcome: casework.Refused, Note: "拒不见面"})
	d.restart(func() {
		attack(t, d.journalDir(),
			fmt.Sprintf(`UPDATE events SET data = %s, meta = %s WHERE position = %d`, hex(sealed.Data), hex(sealed.Meta), d.target.Position),
			`DELETE FROM events WHERE stream = (SELECT id FROM streams WHERE name = 'checkpoint')`,
			`DELETE FROM streams WHERE name = 'checkpoint'`)
	})
	d.sign(other)
	_, found := d.verify(func(o *audit.Options) { o.Notary.Dir = other })
	if bad := failures(found); len(bad) > 0 {
		t.Errorf("the thief was clumsy, the drill proves nothing:%s", show(bad))
	}
	_, found = d.verify(func(o *audit.Options) { o.Notary.Dir, o.Notary.Known = other, [][]byte{d.signed} })
	if bad := failures(found); len(bad) != 1 || bad[0].Check != audit.Log || !strings.Contains(bad[0].What.En, "a checkpoint that was kept elsewhere") || !strings.Contains(bad[0].Remedy.En, "stolen") {
		t.Errorf("found:%s", show(found))
	}
	_, found = d.verify() // the old directory remembers too
	named(t, found, audit.Log, d.target.ID, "its content was changed")
}

// reseal makes the stored form of other data in the place of an event.
func (w *world) reseal(s journal.Stored, data any) journal.Proposed {
	w.t.Helper()
	e, _, err := w.Exec.Codec.Open(w.t.Context(), s)
	if err != nil {
		w.t.Fatal(err)
	}
	e.Data = data
	p, err := w.Exec.Codec.Seal(w.t.Context(), e)
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

// Ensure that a journal restored from an old backup is found, and so is one on which work went on after the restore.
func TestOldBackup(t *testing.T) {
	w := start(t)
	_, id := w.openCase(1)
	backup, live := filepath.Join(t.TempDir(), "journal"), w.journalDir()
	w.restart(func() {
		if err := os.CopyFS(backup, os.DirFS(live)); err != nil {
			t.Fatal(err)
		}
	})
	lost := w.visit(id, w.Officers[record.VillageCadre]).Events[0].ID
	kept := w.sign(w.notaryDir())
	w.restart(func() {
		if err := os.RemoveAll(live); err != nil {
			t.Fatal(err)
		}
		if err := os.CopyFS(live, os.DirFS(backup)); err != nil {
			t.Fatal(err)
		}
	})
	_, found := w.verify()
	named(t, found, audit.Log, lost, "the journal ends before it")
	outsider := func(o *audit.Options) {
		o.Only, o.Catalog, o.Vault, o.Attachments = []audit.Check{audit.Log, audit.Order}, nil, nil, nil
		o.Notary = &notary.VerifyOptions{Policy: w.policy(), Known: [][]byte{kept}}
	}
	_, found = w.verify(outsider)
	if bad := failures(found); len(bad) != 1 || !strings.Contains(bad[0].What.En, "its end is missing") {
		t.Errorf("with a checkpoint that was kept:%s", show(found))
	}
	w.visit(id, w.Officers[record.VillageCadre])
	_, found = w.verify()
	named(t, found, audit.Log, lost, "in its place")
	if _, found = w.verify(outsider); len(failures(found)) != 1 {
		t.Errorf("with a checkpoint that was kept:%s", show(found))
	}
}

// memory is a journal read once, to alter bit by bit.
type memory []journal.Stored

func (m memory) All(_ context.Context, after uint64) iter.Seq2[journal.Stored, error] {
	return func(yield func(journal.Stored, error) bool) {
		for _, e := range m {
			if e.Position > after && !yield(e, nil) {
				return
			}
		}
	}
}

func (m memory) Stream(_ context.Context, stream string, from uint64) iter.Seq2[journal.Stored, error] {
	return func(yield func(journal.Stored, error) bool) {
		for _, e := range m {
			if e.Stream == stream && e.Revision >= from && !yield(e, nil) {
				return
			}
		}
	}
}

// Ensure that flipping any single bit of a stored event is found by the log; that with the notary's directory it is this
// event that is named; and that a bit of sealed data is found by its seal too.
func TestEveryBit(t *testing.T) {
	d := startDrill(t)
	all := memory(d.everything())
	i := slices.IndexFunc(all, func(s journal.Stored) bool { return s.ID == d.target.ID })
	o := d.options()
	o.Journal, o.Parallel = all, 1
	e := &all[i]
	// flipped runs a check with each bit of some bytes flipped in turn; the event must be named, exactly so when named is set.
	flipped := func(what string, check audit.Check, named bool, step int, b []byte, put func([]byte)) {
		o.Only = []audit.Check{check}
		for bit := 0; bit < 8*len(b); bit += step {
			b[bit/8] ^= 1 << (bit % 8)
			put(b)
			found := false
			if _, err := audit.Verify(t.Context(), o, func(f audit.Finding) {
				found = found || f.Severity == audit.Failure && (f.Event == d.target.ID || f.Event == e.ID && f.Position == e.Position || !named)
			}); err != nil {
				t.Fatal(err)
			}
			if !found {
				t.Errorf("bit %d of %d of the %s is not found by the check of the %s", bit, 8*len(b), what, check)
			}
			b[bit/8] ^= 1 << (bit % 8)
			put(b)
		}
	}
	inPlace := func([]byte) {}
	flipped("data", audit.Forms, true, 23, e.Data, inPlace)
	flipped("data", audit.Log, true, 1, e.Data, inPlace)
	flipped("metadata", audit.Log, true, 1, e.Meta, inPlace)
	flipped("stream", audit.Log, true, 1, []byte(e.Stream), func(b []byte) { e.Stream = string(b) })
	flipped("type", audit.Log, true, 1, []byte(e.Type), func(b []byte) { e.Type = string(b) })
	flipped("id", audit.Log, true, 1, e.ID[:], inPlace)
	flipped("revision", audit.Log, true, 1, binary.BigEndian.AppendUint64(nil, e.Revision), func(b []byte) { e.Revision = binary.BigEndian.Uint64(b) })
	o.Notary.Dir = "" // without the notary's memory, which says which event it was, that there is something wrong is found
	flipped("data", audit.Log, false, 7, e.Data, inPlace)
	flipped("metadata", audit.Log, false, 7, e.Meta, inPlace)
	if _, found := d.verify(func(o *audit.Options) { o.Journal = all }); len(failures(found)) > 0 {
		t.Errorf("at the end it is not what it was:%s", show(failures(found)))
	}
}

// Ensure that what cannot be read ends the work with an error, and that the checks which need keys are refused without.
func TestCannot(t *testing.T) {
	w := start(t)
	o := w.options()
	o.Vault = nil
	if _, err := audit.Verify(t.Context(), o, nil); record.KindOf(err) != record.Invalid {
		t.Errorf("without a vault: %v", err)
	}
	o.Only = []audit.Check{audit.Order}
	if s, err := audit.Verify(t.Context(), o, nil); err != nil || s.Failures != 0 || s.Streams == 0 {
		t.Errorf("the order alone: %+v, %v", s, err)
	}
	gap := memory(w.everything())
	i := slices.IndexFunc(gap, func(s journal.Stored) bool { return s.Type == "officer.registered" })
	o.Journal = slices.Delete(gap, i, i+1)
	var found []audit.Finding
	if _, err := audit.Verify(t.Context(), o, func(f audit.Finding) { found = append(found, f) }); err != nil || len(found) != 1 || found[0].Check != audit.Order {
		t.Errorf("a gap in a stream: %v%s", err, show(found))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := audit.Verify(ctx, w.options(), nil); err == nil {
		t.Error("it was cancelled and says nothing")
	}
}
