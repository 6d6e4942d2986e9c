package analytics_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"

	"yidang/domain/casework"
	"yidang/domain/record"
	"yidang/projections/analytics"
	"yidang/projections/analytics/analyticstest"
	"yidang/projections/follow"
)

// Ensure that nothing that names or describes a person reaches ClickHouse: not a row, not a file, not a log.
func TestNothingPersonalArrives(t *testing.T) {
	ctx, w := t.Context(), analyticstest.New(t)
	canaries := []string{"赵金丝雀", "999999199001011234", "12011112222", "前进村金丝雀路七号", "金丝雀备注文字，长到有指纹"}
	who := uuid.New()
	must(t, w.Person(ctx, who, canaries[0], canaries[1], canaries[2], canaries[3]))
	must(t, w.Fill(ctx, 300, 10, canaries[0]))
	more := analyticstest.New(t)
	must(t, more.Fill(ctx, 300, 10, canaries[4]))
	// A number as a media type: a facet that is no code.
	must(t, last(more.Write(ctx, analyticstest.Entry{
		Stream: record.StreamOf("drugs", uuid.New()), Occurred: time.Date(2026, 3, 2, 9, 0, 0, 0, record.Zone),
		Data: casework.AttachmentAdded{Attachment: casework.Attachment{MediaType: canaries[2]}},
	})))
	for _, town := range []*analyticstest.Township{w, more} {
		s := town.Store(t)
		must(t, town.Load(ctx, s, 100))
		rows, err := s.Query(ctx, "SELECT count(), countIf(person = {who:UUID}), countIf(kind = '(withheld)'), countIf(note != 0) FROM yidang_facts", map[string]string{"who": who.String()})
		must(t, err)
		for rows.Next() {
			var n, named, withheld, hashed uint64
			must(t, rows.Scan(&n, &named, &withheld, &hashed))
			if n < 300 || named > 0 || town == more && (withheld == 0 || hashed == 0) {
				t.Fatalf("%d facts, %d under the person's own id, %d withheld, %d with a hashed note", n, named, withheld, hashed)
			}
		}
		must(t, rows.Close())
		must(t, last(s.Query(ctx, "SYSTEM FLUSH LOGS", nil)))
	}
	files := 0
	must(t, filepath.WalkDir(analyticstest.Dir(), func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return nil // merged away
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return nil
		}
		files++
		for _, c := range canaries {
			if bytes.Contains(b, []byte(c)) {
				t.Errorf("%s holds %q", path, c)
			}
		}
		return nil
	}))
	if files < 20 {
		t.Fatalf("only %d files were looked at", files)
	}
}

func last[T any](_ T, err error) error { return err }

// Ensure that tables that are lost, or of another schema, are made and filled again, with the same rows.
func TestTablesLost(t *testing.T) {
	ctx, w := t.Context(), analyticstest.New(t)
	must(t, w.Fill(ctx, 500, 10, "x"))
	s := w.Store(t)
	must(t, w.Load(ctx, s, 100))
	before, err := analyticstest.Digest(ctx, s)
	must(t, err)
	for _, damage := range []string{
		"DROP TABLE yidang_loader SYNC",
		"ALTER TABLE yidang_loader UPDATE schema = 'older' WHERE 1 SETTINGS mutations_sync = 2",
	} {
		must(t, last(s.Query(ctx, damage, nil)))
		at, started, err := s.Checkpoint(ctx)
		if err != nil || started || at != 0 {
			t.Fatalf("after %s the checkpoint is %d, %v, %v", damage, at, started, err)
		}
		must(t, w.Load(ctx, s, 200))
		after, err := analyticstest.Digest(ctx, s)
		must(t, err)
		if after != before {
			t.Fatalf("other rows after %s:\n%s\n%s", damage, before, after)
		}
		if at, started, err := s.Checkpoint(ctx); err != nil || !started || at == 0 {
			t.Fatalf("the checkpoint did not hold: %d, %v, %v", at, started, err)
		}
	}
}

// Ensure that without an engine a store opens, says what is missing, and waits for as long as it is asked to.
func TestEngineAway(t *testing.T) {
	w := analyticstest.New(t)
	o := w.Options(filepath.Join(t.TempDir(), "analytics.db"), nil)
	if _, err := analytics.Open(t.Context(), o); record.KindOf(err) != record.Unavailable {
		t.Fatal("without any engine: ", err)
	}
	o.Connection = "tcp://secret@"
	if _, err := analytics.Open(t.Context(), o); record.KindOf(err) != record.Invalid || bytes.Contains([]byte(err.Error()), []byte("secret")) {
		t.Fatal("with a wrong connection string: ", err)
	}
	o.Connection = "http://127.0.0.1:9/none"
	s, err := analytics.Open(t.Context(), o)
	must(t, err)
	defer s.Close()
	if _, err := s.Position(); record.KindOf(err) != record.Unavailable {
		t.Fatal("before the loader began: ", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, _, err := s.Checkpoint(ctx); record.KindOf(err) != record.Unavailable {
		t.Fatal("the checkpoint without an engine: ", err)
	}
	if _, err := s.Query(t.Context(), "SELECT 1", nil); record.KindOf(err) != record.Unavailable {
		t.Fatal("a query without an engine: ", err)
	}
}

// Ensure that single events, as they come live, give the rows that large batches give.
func TestBatchesDoNotMatter(t *testing.T) {
	ctx, w := t.Context(), analyticstest.New(t)
	must(t, w.Fill(ctx, 400, 6, "x"))
	one, many := w.Store(t), w.Store(t)
	must(t, w.Load(ctx, one, 1))
	must(t, w.Load(ctx, many, 20_000))
	sameRows(t, one, many)
	// An empty batch moves the checkpoint.
	at, err := one.Position()
	must(t, err)
	must(t, one.Apply(ctx, follow.Batch{UpTo: at + 10}))
	if now, _, err := one.Checkpoint(ctx); err != nil || now != at+10 {
		t.Fatal(fmt.Sprint("the checkpoint is ", now, err))
	}
}

// Ensure that a server named by a connection string is loaded, all at once and live, and gives the same rows. The server is
// the engine behind a port of its own.
func TestByConnectionString(t *testing.T) {
	ctx, w := t.Context(), analyticstest.New(t)
	must(t, w.Fill(ctx, 400, 10, "x"))
	engine := analyticstest.Database(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	go func() {
		for {
			outside, err := l.Accept()
			if err != nil {
				return
			}
			inside, err := engine.DialContext(ctx, "")
			if err != nil {
				_ = outside.Close()
				continue
			}
			for _, way := range [][2]net.Conn{{inside, outside}, {outside, inside}} {
				go func() {
					_, _ = io.Copy(way[0], way[1])
					_ = way[0].Close()
				}()
			}
		}
	}()
	o := w.Options(filepath.Join(t.TempDir(), "analytics.db"), nil)
	o.Connection = "http://" + l.Addr().String() + "/" + engine.Auth.Database
	s, err := analytics.Open(ctx, o)
	must(t, err)
	defer s.Close()
	head, _, err := w.Journal.Head(ctx)
	must(t, err)
	must(t, s.Backfill(ctx, follow.BackfillOptions{Source: w.Journal, Codec: w.Codec, Until: head, Dir: filepath.Join(t.TempDir(), "spool"), EventsPerPart: 100}))
	must(t, w.Fill(ctx, 50, 10, "y"))
	must(t, w.Load(ctx, s, 20))
	whole := w.Store(t)
	must(t, w.Load(ctx, whole, 20_000))
	sameRows(t, s, whole)
}
