package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"yidang/domain/commands"
	"yidang/domain/notary"
	"yidang/domain/notary/keyfile"
	"yidang/domain/person"
	"yidang/domain/programs/drugs"
	"yidang/domain/record"
	"yidang/projections/views"
)

// evident is a small township, without reports.
func evident(t *testing.T) *town {
	w := newTown(t)
	w.environ = append(w.environ, "YIDANG_ANALYTICS_OFF=true")
	w.run("demo", "--months", "1", "--people", "10")
	return w
}

// try runs a subcommand and gives its status, output and log.
func (w *town) try(args ...string) (status int, out, log string) {
	w.t.Helper()
	var o, l bytes.Buffer
	status = runCommand(w.t.Context(), args, w.environ, &o, &l)
	return status, o.String(), l.String()
}

// refuses runs a subcommand that must fail and say so.
func (w *town) refuses(says string, args ...string) {
	w.t.Helper()
	if status, out, log := w.try(args...); status != 1 || !strings.Contains(log, says) {
		w.t.Errorf("yidang %s: status %d\n%s%s\nwant %q", strings.Join(args, " "), status, out, log, says)
	}
}

// rows runs a subcommand and reads one JSON object a line.
func (w *town) rows(args ...string) (rows []map[string]any) {
	w.t.Helper()
	for line := range strings.Lines(w.run(append(args, "--format", "json")...)) {
		row := map[string]any{}
		if err := json.Unmarshal([]byte(line), &row); err != nil {
			w.t.Fatalf("yidang %s: %v in %s", strings.Join(args, " "), err, line)
		}
		rows = append(rows, row)
	}
	return rows
}

// key is what `yidang key` tells outsiders.
func (w *town) key() string {
	w.t.Helper()
	key, _, _ := strings.Cut(w.run("key"), "\n")
	return key
}

// witness starts a witness of this town's log, and gives the policy that asks for it.
func (w *town) witness() (dir, policy string, stop func()) {
	w.t.Helper()
	dir = filepath.Join(w.t.TempDir(), "witness")
	ctx, cancel := context.WithCancel(w.t.Context())
	var out buffer
	p := &program{ctx: ctx, log: newLog(LogConfig{Level: "debug"}, w.log), out: &out, err: w.log}
	started, ended := make(chan struct{}), make(chan error, 1)
	cmd := witnessCmd{Dir: dir, Name: "witness.example/county", Listen: "127.0.0.1:0", Insecure: true, Log: []string{w.key()}}
	go func() { ended <- cmd.serve(p, func(string, string) { close(started) }) }()
	select {
	case <-started:
	case err := <-ended:
		w.t.Fatal(err)
	}
	text := "log " + w.key() + "\n"
	for line := range strings.Lines(out.String()) {
		if strings.HasPrefix(line, "witness witness.example/county ") || strings.HasPrefix(line, "quorum ") {
			text += line
		}
	}
	policy = filepath.Join(w.t.TempDir(), "policy.txt")
	if err := os.WriteFile(policy, []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
	return dir, policy, func() {
		w.t.Helper()
		cancel()
		if err := <-ended; err != nil {
			w.t.Errorf("the witness ended with %v", err)
		}
	}
}

// verified runs verify, which must find no failure, and gives the summary.
func (w *town) verified(args ...string) map[string]any {
	w.t.Helper()
	rows := w.rows(append([]string{"verify"}, args...)...)
	for _, row := range rows[:len(rows)-1] {
		if at(row, "finding", "check") != "clocks" { // the demo lived through months in seconds, and says so
			w.t.Errorf("found: %v", row)
		}
	}
	sum, _ := at(rows[len(rows)-1], "summary").(map[string]any)
	if sum["failures"] != 0.0 || sum["events"] == 0.0 || sum["authorised"] == 0.0 {
		w.t.Errorf("the summary: %v", sum)
	}
	return sum
}

// Ensure that the whole way of evidence holds: the demo is right; what is recorded is witnessed; a dossier proves it in an
// empty folder and no other zip does; an inspector is answered, and is in the record himself; an edited journal is found.
func TestEvidence(t *testing.T) {
	w := evident(t)
	if sum := w.verified(); len(sum["unchecked"].([]any)) != 1 {
		t.Errorf("of a record that was never signed all but the log is to be checked: %v", sum)
	}
	w.refuses("not there", "verify", "--known", filepath.Join(w.data, "demo-accounts.txt"))
	remembered, policy, stopWitness := w.witness()
	w.environ = append(w.environ, "YIDANG_NOTARY_POLICY="+policy)

	address, stop := w.serve()
	officer := w.signIn(address, "cadre1")
	duty := officer.must("GET", "/v1/worklist?limit=1", nil, nil)
	kase, who := at(duty, "duties", 0, "case"), at(duty, "duties", 0, "person").(string)
	receipt := officer.must("POST", fmt.Sprintf("/v1/drugs/%s/record-visit", kase), nil, map[string]any{"outcome": "met", "note": "在家"})
	visit := at(receipt, "events", 0, "id").(string)
	w.proves(officer, visit)
	stop()

	sum := w.verified()
	if sum["cosignedSize"] == 0.0 || sum["cosignedSize"] != sum["signedSize"] || sum["signedSize"] != sum["leaves"] {
		t.Errorf("not all of it is cosigned: %v", sum)
	}
	known, err := filepath.Glob(filepath.Join(remembered, "*.checkpoint"))
	if err != nil || len(known) != 1 {
		t.Fatal(known, err)
	}
	w.verified("--known", known[0], "--policy", policy)
	for says, text := range map[string]string{ // a wrong file says nothing of the record
		"it is not a signed checkpoint": "of no kind\n",
		"of another log":                "yidang.example/elsewhere\n1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n— yidang.example/elsewhere AAAAAA==\n",
	} {
		wrong := filepath.Join(t.TempDir(), "wrong.checkpoint")
		if err := os.WriteFile(wrong, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		w.refuses(says, "verify", "--known", wrong)
	}
	w.inspected(who, visit)
	w.dossiers(who, visit, policy)

	stranger, other, stopStranger := w.witness()
	stopStranger()
	if status, out, _ := w.try("verify", "--policy", other); status != 1 || !strings.Contains(out, "cosignatures that the policy asks for") {
		t.Errorf("with a witness in %s that never saw the log: status %d\n%s", stranger, status, out)
	}
	w.edited(who, visit)
	stopWitness()
}

// inspected asks an inspector's questions.
func (w *town) inspected(who, visit string) {
	t := w.t
	t.Helper()
	mine := w.rows("inspect", "officer", "cadre1", "--as", "inspector")
	if n := len(mine); n < 2 || mine[n-1]["id"] != visit || mine[n-1]["login"] != "cadre1" || mine[n-1]["lagSeconds"] == nil || at(mine[n-1], "title", "zh") != "走访" {
		t.Errorf("of %d entries of the officer the last is %v", n, mine[max(n-1, 0)])
	}
	if all := w.rows("inspect", "entries", "--as", "inspector", "--person", who, "--from", "2000-01-01"); len(all) < 3 {
		t.Errorf("%d entries of a person's file", len(all))
	}
	if none := w.rows("inspect", "entries", "--as", "inspector", "--to", "2000-01-01"); len(none) != 0 {
		t.Errorf("%d entries before there was a record", len(none))
	}
	for _, e := range w.rows("inspect", "entries", "--as", "inspector", "--late", "--unit", "示范镇派出所") {
		if e["late"] == nil || e["role"] != "community-police" {
			t.Errorf("not late, or of another unit: %v", e)
		}
	}
	if table := w.run("inspect", "entries", "--as", "inspector", "--late"); !strings.HasPrefix(table, "position") || !strings.Contains(table, "late:import") {
		t.Errorf("the table: %.300s", table)
	}
	changes := w.rows("inspect", "difference", "--as", "inspector", "--person", who, "--from", "2000-01-01")
	if n := len(changes); n < 3 || !slices.ContainsFunc(changes, func(c map[string]any) bool { return c["event"] == visit && c["kind"] == "recorded" }) {
		t.Errorf("what became known: %v", changes)
	}
	if none := w.rows("inspect", "difference", "--as", "inspector", "--person", who, "--from", "2100-01-01"); len(none) != 0 {
		t.Errorf("became known in the future: %v", none)
	}
	// What the file said: the visit is in it now, and was not known a day before; a case stood open.
	has := func(rows []map[string]any, id string) bool {
		return slices.ContainsFunc(rows, func(r map[string]any) bool { return r["id"] == id })
	}
	now := w.rows("inspect", "file", "--as", "inspector", "--person", who)
	if !has(now, visit) || now[0]["kind"] != "case" || !strings.Contains(at(now[0], "text", "zh").(string), "在办") || !strings.Contains(at(now[0], "text", "en").(string), "open") {
		t.Errorf("the file as it stands: %v", now)
	}
	yesterday := time.Now().AddDate(0, 0, -1).Format("2006-01-02")
	for _, flag := range []string{"--as-of", "--known-at"} {
		rows := w.rows("inspect", "file", "--as", "inspector", "--person", who, flag, yesterday)
		if len(rows) < 2 || has(rows, visit) || len(rows) >= len(now) {
			t.Errorf("%s the day before: %v", flag, rows)
		}
	}
	if table := w.run("inspect", "file", "--as", "inspector", "--person", who); !strings.HasPrefix(table, "kind") || !strings.Contains(table, "走访") {
		t.Errorf("the table: %.300s", table)
	}
	w.refuses("nothing in this file then", "inspect", "file", "--as", "inspector", "--person", who, "--known-at", "2000-01-01")
	for _, g := range w.rows("inspect", "gaps", "--as", "inspector", "--person", who) {
		if g["due"] == nil || g["standing"] != "overdue" && g["standing"] != "late" {
			t.Errorf("a gap: %v", g)
		}
	}
	proof := filepath.Join(t.TempDir(), "proof")
	w.run("inspect", "proof", visit, "--as", "inspector", "-o", proof)
	text, err := os.ReadFile(proof)
	if err != nil {
		t.Fatal(err)
	}
	if p, err := notary.ParseProof(text); err != nil {
		t.Error(err)
	} else if h, err := notary.ParseLeaf(p.Leaf); err != nil || h.Event.String() != visit {
		t.Errorf("the proof is of %v (%v)", h, err)
	}
	reads := w.rows("inspect", "reads", "--as", "inspector", "--officer", "inspector", "--reason", "复核")
	items := map[string]bool{}
	for _, r := range reads {
		if r["purpose"] != "inspection" {
			t.Errorf("read without the purpose: %v", r)
		}
		item, _ := r["item"].(string)
		what, _, _ := strings.Cut(item, "=")
		items[what], items[strings.Fields(item)[0]] = true, true
	}
	for _, item := range []string{"entries officer", "entries unit", "file", "difference", "gaps", "proof", "readings"} {
		if !items[item] {
			t.Errorf("the question %q was asked and is not in the access log: %v", item, reads)
		}
	}
	if last := reads[len(reads)-1]; last["reason"] != "复核" {
		t.Errorf("the question itself: %v", last)
	}
	w.refuses("your posts do not allow", "inspect", "entries", "--as", "zhou.min")
	w.refuses("your posts do not allow", "inspect", "gaps", "--as", "analyst", "--person", who)
	w.refuses("no such officer", "inspect", "reads", "--as", "nobody")
	w.refuses("neither a day nor a time", "inspect", "difference", "--as", "inspector", "--person", who, "--from", "yesterday")
	w.refuses("no such file", "inspect", "gaps", "--as", "inspector", "--person", uuid.NewString())
	w.refuses("purpose", "inspect", "reads", "--as", "inspector", "--purpose", "curiosity")
}

// dossiers takes a file away and checks it where there is nothing else.
func (w *town) dossiers(who, visit, policy string) {
	t := w.t
	t.Helper()
	key, dir := w.key(), t.TempDir()
	zip := filepath.Join(dir, "d.zip")
	readings := func() int { return len(w.rows("inspect", "reads", "--as", "inspector", "--person", who)) }
	before := readings()
	w.refuses("volunteers", "dossier", "--person", who, "--as", "volunteer1", "--purpose", "inspection", "-o", zip)
	w.refuses("your posts do not allow", "dossier", "--person", who, "--as", "analyst", "--purpose", "inspection", "-o", zip)
	w.refuses("not a purpose", "dossier", "--person", who, "--as", "cadre1", "--purpose", "curiosity", "-o", zip)
	w.refuses("no group", "dossier", "--person", who, "--as", "xu.zhen", "--purpose", "judicial", "--level", "groups", "--groups", "cats", "-o", zip)
	w.refuses("no file can be made there", "dossier", "--person", who, "--as", "xu.zhen", "--purpose", "judicial", "--reason", "法院调阅", "-o", filepath.Join(dir, "missing", "d.zip"))
	if after := readings(); after != before {
		t.Errorf("%d readings were recorded of dossiers that were refused", after-before)
	}
	w.refuses("not for your post", "dossier", "--person", who, "--as", "cadre1", "--purpose", "judicial", "--reason", "法院调阅", "-o", zip)
	w.run("dossier", "--person", who, "--as", "xu.zhen", "--purpose", "judicial", "--reason", "法院调阅", "-o", zip)
	w.refuses("is there already", "dossier", "--person", who, "--as", "xu.zhen", "--purpose", "judicial", "-o", zip)
	last := w.rows("inspect", "reads", "--as", "inspector", "--person", who, "--for", "judicial")
	if len(last) != 1 || last[0]["what"] != "dossier" || last[0]["login"] != "xu.zhen" || last[0]["reason"] != "法院调阅" {
		t.Errorf("the reading of the dossier: %v", last)
	}

	empty := t.TempDir()
	t.Chdir(empty)
	alone := &town{t: t, log: w.log}
	if out := alone.run("verify", zip, "--key", key, "--entries"); !strings.Contains(out, "A TRUE DOSSIER") || !strings.Contains(out, "未证明") || !strings.Contains(out, visit) {
		t.Errorf("the report: %s", out)
	}
	if out := alone.run("verify", zip, "--policy", policy); !strings.Contains(out, "见证人 witness.example/county") {
		t.Errorf("the report names no witness: %s", out)
	}
	alone.refuses("--key KEY", "verify", zip)
	alone.refuses("verifier key \"x\" cannot be read", "verify", zip, "--key", "x")
	impostor, err := keyfile.Load(filepath.Join(t.TempDir(), "key"), key[:strings.Index(key, "+")], keyfile.Log)
	if err != nil {
		t.Fatal(err)
	}
	alone.refuses("not a true dossier", "verify", zip, "--key", impostor.Verifier())
	raw, err := os.ReadFile(zip)
	if err != nil {
		t.Fatal(err)
	}
	forged := filepath.Join(t.TempDir(), "forged.zip")
	for i := range 12 {
		changed := bytes.Clone(raw)
		changed[(len(raw)-1)*i/11] ^= 1
		if err := os.WriteFile(forged, changed, 0o600); err != nil {
			t.Fatal(err)
		}
		alone.refuses("not a true dossier", "verify", forged, "--key", key)
	}
	if status, out, _ := alone.try("verify", forged, "--key", key, "--format", "json"); status != 1 || !strings.Contains(out, `"true":false`) {
		t.Errorf("a forged one as JSON: %d %s", status, out)
	}
	alone.refuses("no record here", "verify")
	alone.refuses("no record here", "inspect", "reads", "--as", "inspector")
	if left, err := os.ReadDir(empty); err != nil || len(left) > 0 {
		t.Errorf("checking left %v (%v)", left, err)
	}
}

// edited changes a byte of an event in the journal's file, as somebody does who has the machine.
func (w *town) edited(who, event string) {
	t := w.t
	t.Helper()
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(w.data, "domain", "journal", "journal.db")) // the driver comes with the vault
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	id := uuid.MustParse(event)
	var guard string
	if err := db.QueryRowContext(t.Context(), `SELECT sql FROM sqlite_schema WHERE name = 'events_keep'`).Scan(&guard); err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{`DROP TRIGGER events_keep`,
		fmt.Sprintf(`UPDATE events SET meta = CAST(replace(CAST(meta AS TEXT), '"village-cadre"', '"village-cadrf"') AS BLOB) WHERE id = x'%x'`, id[:]), guard} {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	status, out, log := w.try("verify")
	if status != 1 || !strings.Contains(out, "失败 FAILURE  log event "+event) || !strings.Contains(log, "not what it should be") {
		t.Errorf("an edited journal: status %d\n%s%s", status, out, log)
	}
	if status, out, _ := w.try("verify", "--only", "log", "--key", w.key()); status != 1 || !strings.Contains(out, event) {
		t.Errorf("with the key alone: status %d\n%s", status, out)
	}
	w.refuses("no check", "verify", "--only", "spelling")

	// No dossier is made of it; that one was asked for is in the record all the same.
	zip := filepath.Join(t.TempDir(), "d.zip")
	if status, out, log := w.try("dossier", "--person", who, "--as", "inspector", "--purpose", "complaint", "-o", zip); status != 1 || !strings.Contains(log, "run yidang verify") {
		t.Errorf("a dossier of an edited file: status %d\n%s%s", status, out, log)
	}
	if left, err := os.ReadDir(filepath.Dir(zip)); err != nil || len(left) > 0 {
		t.Errorf("a dossier that failed left %v (%v)", left, err)
	}
	if asked := w.rows("inspect", "reads", "--as", "inspector", "--for", "complaint"); len(asked) != 1 {
		t.Errorf("that a dossier was asked for: %v", asked)
	}

	// Whoever takes the notary's memory and the key away as well is found by what was signed.
	key := w.key()
	for _, name := range []string{"notary", "notary.key"} {
		if err := os.Rename(filepath.Join(w.data, "domain", name), filepath.Join(t.TempDir(), name)); err != nil {
			t.Fatal(err)
		}
		if name == "notary" {
			if status, out, _ := w.try("verify"); status != 1 || !strings.Contains(out, "the notary's folder is missing") || !strings.Contains(out, "失败 FAILURE  log") {
				t.Errorf("without the notary's folder: status %d\n%s", status, out)
			}
		}
	}
	w.environ = append(w.environ, "YIDANG_NOTARY_POLICY=") // which names the key too
	w.refuses("the log was signed", "verify")
	w.run("verify", "--only", "order") // takes no key
	if status, out, _ := w.try("verify", "--key", key); status != 1 || !strings.Contains(out, "失败 FAILURE  log") {
		t.Errorf("without the key: status %d\n%s", status, out)
	}
}

// Ensure that a dossier has the files that were merged into one person's, whichever is asked for, and that a sealed case is
// in it on a lawful ground only.
func TestDossierOfMergedAndSealed(t *testing.T) {
	w := evident(t)
	people, sealed := w.mergeAndSeal()
	key, dir := w.key(), t.TempDir()
	take := func(n int, person uuid.UUID, purpose string) (streams []string) {
		zip := filepath.Join(dir, fmt.Sprintf("%d.zip", n))
		w.run("dossier", "--person", person.String(), "--as", "inspector", "--purpose", purpose, "--reason", "专项检查", "--level", "skeleton", "-o", zip)
		list, _ := at(w.rows("verify", zip, "--key", key)[0], "manifest", "streams").([]any)
		for _, s := range list {
			streams = append(streams, at(s, "name").(string))
		}
		return streams
	}
	for i, one := range people {
		streams := take(i, one, "inspection")
		for _, member := range people {
			if !slices.Contains(streams, person.Stream(member)) {
				t.Errorf("asked for %s: %s is not in %v", one, member, streams)
			}
		}
		if !slices.Contains(streams, sealed) {
			t.Errorf("an inspection is a lawful ground: %s is not in %v", sealed, streams)
		}
	}
	w.refuses("with a reason", "dossier", "--person", people[0].String(), "--as", "inspector", "--purpose", "inspection", "-o", filepath.Join(dir, "none.zip"))
	if streams := take(9, people[0], "supervision"); slices.Contains(streams, sealed) || !slices.Contains(streams, person.Stream(people[1])) {
		t.Errorf("supervision is no ground to read what is sealed: %v", streams)
	}
	w.verified()
}

// mergeAndSeal merges two people's files and closes and seals the case of one of them, by the commands of two officers.
func (w *town) mergeAndSeal() (people []uuid.UUID, sealed string) {
	w.t.Helper()
	config, err := loadConfig("", w.environ)
	if err != nil {
		w.t.Fatal(err)
	}
	p := &program{ctx: w.t.Context(), config: config, log: newLog(config.Log, w.log), out: io.Discard, err: w.log}
	err = withRecord(p, func(r *records) error {
		cases, _, _, err := r.views.Cases(p.ctx, views.CaseQuery{Reach: record.Reach{All: true}, OpenOnly: true, Limit: 50})
		if err != nil || len(cases) < 2 {
			return fmt.Errorf("%d cases: %w", len(cases), err)
		}
		people = []uuid.UUID{cases[0].Person, cases[1].Person}
		steps := []commands.Request{
			{Category: "person", Command: "person.merge", ID: people[1], Input: person.Merge{Into: people[0], Reason: "同一人两份档案"}},
			{Category: "drugs", Command: "drugs.close_case", ID: cases[1].ID, Input: drugs.CloseCase{Reason: "opened-in-error", Note: "重复立案"}},
			{Category: "drugs", Command: "drugs.seal_file", ID: cases[1].ID, Input: drugs.SealFile{Basis: "治安管理处罚法 136"}},
		}
		sealed = record.StreamOf("drugs", cases[1].ID)
		for _, step := range steps {
			if err := r.byTwo(p, step); err != nil {
				return fmt.Errorf("%s: %w", step.Command, err)
			}
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return people, sealed
}

// byTwo carries out a command as the township office, and the approval as a police officer who has no part in it.
func (r *records) byTwo(p *program, step commands.Request) error {
	var err error
	if step.Officer, err = r.officer(p.ctx, "xu.zhen"); err != nil {
		return err
	}
	receipt, err := r.exec.Do(p.ctx, step)
	if err != nil || receipt.Proposal == uuid.Nil {
		return err
	}
	if err := r.settled(p.ctx); err != nil {
		return err
	}
	for _, login := range []string{"zhou.min", "yang.xue"} {
		var second uuid.UUID
		if second, err = r.officer(p.ctx, login); err != nil {
			return err
		}
		_, err = r.exec.Do(p.ctx, commands.Request{Category: step.Category, Command: "record.approve_proposal", ID: step.ID, Officer: second, Input: record.ApproveProposal{Proposal: receipt.Proposal, Note: "同意"}})
		if err == nil {
			return r.settled(p.ctx)
		}
	}
	return err
}

// Ensure that a witness says what it lacks, and needs no configuration.
func TestWitnessRefuses(t *testing.T) {
	alone := &town{t: t, log: &buffer{}}
	dir := filepath.Join(t.TempDir(), "w")
	key := "example.org/log+0d5c3e5f+AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	alone.refuses("without TLS", "witness", "--dir", dir, "--name", "w.example", "--log", key)
	alone.refuses("not a loopback", "witness", "--dir", dir, "--name", "w.example", "--log", key, "--insecure", "--listen", "0.0.0.0:0")
	alone.refuses("verifier key", "witness", "--dir", dir, "--name", "w.example", "--log", key, "--insecure")
	if _, err := os.Stat(dir); err == nil {
		t.Error("a witness that did not start left a folder")
	}
}

// Ensure that each command shows how it is used.
func TestHelp(t *testing.T) {
	alone := &town{t: t, log: &buffer{}}
	for _, name := range []string{"serve", "demo", "import", "rebuild", "journal", "officer", "officer create", "officer grant", "officer reset", "verify", "dossier", "inspect", "inspect officer", "inspect entries", "inspect reads", "inspect file", "inspect difference", "inspect gaps", "inspect proof", "key", "witness"} {
		if help := alone.run(append(strings.Fields(name), "--help")...); !strings.Contains(help, "Example") || !strings.Contains(help, "yidang "+name) {
			t.Errorf("yidang %s --help: %s", name, help)
		}
	}
	if help := alone.run("serve", "--help"); !strings.Contains(help, "limits.files") || strings.Contains(help, "${") {
		t.Errorf("yidang serve --help does not list the configuration: %s", help)
	}
}
