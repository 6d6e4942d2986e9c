package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"yidang/domain/attachments"
	"yidang/domain/casework"
	"yidang/domain/commands"
	"yidang/domain/person"
	"yidang/domain/programs/drugs"
	"yidang/domain/record"
	"yidang/domain/vault/sealed/sealedtest"
)

// What the drill writes into a file that is to be erased.
const (
	canaryName  = "欧阳金丝雀"
	canaryPhone = "12055500001"
	canaryNote  = "只在这条备注里的一句话，长到足以留下指纹"
	canaryPaper = "只在这份附件里的一句话"
)

// Ensure that an erased file is gone from everywhere (PIPL 47): from the journal and its attachments, which nobody can open
// any more; from the files of the views, the oversight index and the analytics, deciphered with the keys that live on, deleted
// things and logs among them; and from the tables of ClickHouse. That all of it was to be found before; that types, times and
// actors stay; and that it is so too when the process died between the record of the erasure and the act.
func TestErasureDrill(t *testing.T) {
	for _, killed := range []bool{false, true} {
		t.Run(fmt.Sprintf("killed %v", killed), func(t *testing.T) {
			d := &drill{town: newTown(t), t: t}
			d.run("demo", "--months", "1", "--people", "6")
			d.open()
			defer func() { d.close() }()
			d.live()
			for _, kept := range []string{"the journal", "an attachment", "views.db", "facts", "notes", "duties"} {
				if !d.find()[kept] {
					t.Fatalf("before: nothing is found in %s", kept)
				}
			}
			if err := d.r.byTwo(d.p, commands.Request{Category: "drugs", Command: "drugs.close_case", ID: d.kase, Input: drugs.CloseCase{Reason: "withdrawn", Note: canaryNote}}); err != nil {
				t.Fatal(err)
			}
			ground := record.EraseFile{Basis: "consent-withdrawn", Reason: "本人书面撤回同意"}
			for _, step := range []commands.Request{
				{Category: "drugs", Command: "record.erase_file", ID: d.kase, Input: ground},
				{Category: "person", Command: "record.erase_file", ID: d.who, Input: ground},
			} {
				d.erase(step, killed)
			}
			if found := d.find(); len(found) > 0 {
				t.Errorf("after: found in %v", found)
			}
			d.skeleton()
		})
	}
}

// drill is an installation opened as the server opens it.
type drill struct {
	*town
	t     *testing.T
	p     *program
	r     *records
	stats *statistics
	stop  func()
	vault *stuck

	who, kase uuid.UUID
	paper     attachments.Ref
	events    []string // ids of the events of both files
}

// stuck is a vault in which a key cannot be destroyed for a while.
type stuck struct {
	commands.Vault
	on atomic.Bool
}

func (s *stuck) Destroy(ctx context.Context, stream, reason string) error {
	if s.on.Load() {
		return record.Errorf(record.Unavailable, "the process is as good as dead")
	}
	return s.Vault.Destroy(ctx, stream, reason)
}

func (d *drill) must(err error) {
	d.t.Helper()
	if err != nil {
		d.t.Fatalf("%v\n%s", err, d.log)
	}
}

func (d *drill) open() {
	d.t.Helper()
	config, err := loadConfig("", d.environ)
	d.must(err)
	d.p = &program{ctx: d.t.Context(), config: config, log: newLog(config.Log, d.log), out: io.Discard, err: d.log}
	d.r, err = openRecords(d.p, nil)
	d.must(err)
	d.vault = &stuck{Vault: d.r.exec.Vault}
	d.stats, err = d.r.openStatistics(d.p)
	d.must(err)
	d.must(d.stats.missing)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- d.r.loadOn(ctx, d.p, d.stats) }()
	d.stop = func() {
		cancel()
		if err := <-ended; err != nil {
			d.t.Error(err)
		}
	}
	d.settle()
	d.r.exec.Vault = d.vault // the followers have nothing to do, and see it with what comes next
}

func (d *drill) close() {
	d.t.Helper()
	d.stop()
	d.must(d.r.close())
}

// settle waits until everything that is derived shows everything that was recorded.
func (d *drill) settle() {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(d.p.ctx, time.Minute)
	defer cancel()
	d.must(d.r.settled(ctx))
	head, _, err := d.r.journal.Head(ctx)
	d.must(err)
	d.must(d.stats.follower.Wait(ctx, head))
}

func (d *drill) do(login, category, command string, id uuid.UUID, in any) commands.Receipt {
	d.t.Helper()
	officer, err := d.r.officer(d.p.ctx, login)
	d.must(err)
	receipt, err := d.r.exec.Do(d.p.ctx, commands.Request{Category: category, Command: command, ID: id, Officer: officer, Input: in})
	d.must(err)
	return receipt
}

// live makes the file.
func (d *drill) live() {
	d.t.Helper()
	villages, err := d.r.VillagesNamed(d.p.ctx, "前进村")
	if err != nil || len(villages) != 1 {
		d.t.Fatal(villages, err)
	}
	village := villages[0]
	citizen := person.ComposeCitizenID("999999", time.Date(1971, 2, 3, 0, 0, 0, 0, record.Zone), 777)
	d.who = d.do("zhou.min", "person", "person.register", uuid.Nil, person.Register{Name: canaryName, CitizenID: citizen.String(), Phone: canaryPhone, Village: village}).ID
	d.kase = d.do("zhou.min", "drugs", "drugs.open", uuid.Nil, drugs.Open{Person: d.who, Village: village, Kind: drugs.Voluntary}).ID
	d.do("cadre1", "drugs", "casework.record_visit", d.kase, casework.RecordVisit{Outcome: casework.Met, Note: canaryNote})
	stream := record.StreamOf("drugs", d.kase)
	d.paper, err = d.r.blobs.Put(d.p.ctx, stream, strings.NewReader(canaryPaper), attachments.Info{Name: canaryName + ".txt", MediaType: "text/plain"})
	d.must(err)
	d.do("cadre1", "drugs", "casework.add_attachment", d.kase, casework.AddAttachment{Attachment: casework.Attachment{SHA256: d.paper.SHA256, Size: d.paper.Size, MediaType: d.paper.MediaType}, Title: "说明"})
	for _, s := range []string{stream, person.Stream(d.who)} {
		for e, err := range d.r.journal.Stream(d.p.ctx, s, 0) {
			d.must(err)
			d.events = append(d.events, e.ID.String())
		}
	}
	d.settle()
}

// erase erases a file by two people. With killed, the process dies after the record and before the act; what is derived
// holds the file until the next start.
func (d *drill) erase(step commands.Request, killed bool) {
	d.t.Helper()
	stream := record.StreamOf(step.Category, step.ID)
	if killed {
		before := len(d.find())
		d.vault.on.Store(true)
		if err := d.r.byTwo(d.p, step); err == nil {
			d.t.Fatal("the key cannot be destroyed, and nobody says so")
		}
		last, _, err := d.r.journal.Last(d.p.ctx, stream)
		if err != nil || last.Type != record.ErasedType || d.r.vault.Erased(stream) || before == 0 {
			d.t.Fatalf("the erasure is not recorded, or done already: %s, %v; found in %d places", last.Type, err, before)
		}
		d.close()
		d.open()
	} else {
		d.must(d.r.byTwo(d.p, step))
	}
	d.settle()
	if !d.r.vault.Erased(stream) {
		d.t.Errorf("the key of %s is there", stream)
	}
}

// find looks for the file everywhere and gives the places.
func (d *drill) find() map[string]bool {
	d.t.Helper()
	found := map[string]bool{}
	canaries := []string{canaryName, canaryPhone, canaryNote, canaryPaper, "oyjsq", "ouyangjinsique", "19710203777"}
	look := func(place string, raw []byte) {
		for _, c := range canaries {
			if bytes.Contains(raw, []byte(c)) {
				found[place] = true
			}
		}
	}
	for _, stream := range []string{record.StreamOf("drugs", d.kase), person.Stream(d.who)} {
		for e, err := range d.r.journal.Stream(d.p.ctx, stream, 0) {
			d.must(err)
			opened, _, err := d.r.exec.Codec.Open(d.p.ctx, e)
			d.must(err)
			look("the journal", fmt.Appendf(nil, "%+v", opened.Data))
		}
	}
	paper, _, err := d.r.blobs.Get(d.p.ctx, record.StreamOf("drugs", d.kase), d.paper)
	if err == nil {
		raw, err := io.ReadAll(paper)
		d.must(errors.Join(err, paper.Close()))
		look("an attachment", raw)
	} else if record.KindOf(err) != record.Erased {
		d.t.Fatal(err)
	}
	for _, name := range []string{"views", "oversight", "analytics"} { // while they are open, with their logs
		file, log, err := sealedtest.Plain(filepath.Join(d.p.config.projectionsDir(), name+".db"), d.r.vault.Secret(name))
		d.must(err)
		if !bytes.HasPrefix(file, []byte("SQLite format 3")) && len(log) == 0 {
			d.t.Fatalf("%s.db could not be deciphered", name)
		}
		look(name+".db", file)
		look(name+".db", log)
	}
	d.must(filepath.WalkDir(d.data, func(path string, e os.DirEntry, err error) error { // ClickHouse's folder among them
		if err != nil || !e.Type().IsRegular() {
			return nil // merged away
		}
		raw, err := os.ReadFile(path)
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		look(filepath.Base(path), raw)
		return err
	}))
	look("the log", []byte(d.log.String()))
	in := "event IN ('" + strings.Join(d.events, "','") + "')"
	of := "IN (SELECT `case` FROM yidang_facts WHERE " + in + " AND `case` != toUUIDOrZero(''))"
	for place, sql := range map[string]string{
		"facts":  "yidang_facts WHERE " + in + " AND (kind != '' OR outcome != '' OR open OR village != toUUIDOrZero(''))",
		"notes":  "yidang_facts WHERE " + in + " AND (note != 0 OR note_length != 0)",
		"words":  "yidang_revisions WHERE " + in,
		"duties": "yidang_duties WHERE `case` " + of,
	} {
		if d.count(sql) > 0 {
			found[place] = true
		}
	}
	return found
}

func (d *drill) count(from string) (n uint64) {
	d.t.Helper()
	rows, err := d.stats.store.Query(d.p.ctx, "SELECT count() FROM "+from, nil)
	d.must(err)
	defer rows.Close()
	for rows.Next() {
		d.must(rows.Scan(&n))
	}
	d.must(rows.Err())
	return n
}

// skeleton wants what stays of the case: types, times, actors, in the journal, the index, ClickHouse and the API.
func (d *drill) skeleton() {
	d.t.Helper()
	entries := 0
	for s, err := range d.r.journal.Stream(d.p.ctx, record.StreamOf("drugs", d.kase), 0) {
		d.must(err)
		e, _, err := d.r.exec.Codec.Open(d.p.ctx, s)
		if err != nil || e.Meta.Actor == uuid.Nil || e.Meta.RecordedAt.IsZero() {
			d.t.Errorf("%s: %v", s.Type, err)
		}
		entries++
	}
	if n := d.count("yidang_facts FINAL WHERE event IN ('" + strings.Join(d.events, "','") + "') AND erased AND type != '' AND actor != toUUIDOrZero('')"); entries < 8 || n != uint64(len(d.events)) {
		d.t.Errorf("%d entries are left of the case, %d facts of %d", entries, n, len(d.events))
	}
	d.close()
	address, stop := d.serve()
	defer func() { stop(); d.open() }()
	inspector, purpose := d.signIn(address, "inspector"), map[string]string{"Yidang-Purpose": "inspection"}
	if found, _ := at(inspector.must(http.MethodGet, "/v1/people?q=ouyang", purpose, nil), "people").([]any); len(found) != 0 {
		d.t.Errorf("found: %v", found)
	}
	if status, raw := inspector.call(http.MethodGet, "/v1/cases/"+d.kase.String(), purpose, nil); status != http.StatusOK || !bytes.Contains(raw, []byte(`"erased":true`)) {
		d.t.Errorf("the case: %d %s", status, raw)
	}
}
