package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ncruces/go-sqlite3"

	"yidang/domain/record"
	"yidang/projections/analytics"
	"yidang/projections/analytics/embedded"
	"yidang/projections/follow"
	"yidang/projections/views"
)

// This file holds the figures that need no server.

// percentile of durations, in milliseconds; it sorts them.
func percentile(d []time.Duration, p int) float64 {
	if len(d) == 0 {
		return 0
	}
	slices.Sort(d)
	return float64(d[min(len(d)*p/100, len(d)-1)].Nanoseconds()) / 1e6
}

// timed runs f n times.
func timed(n int, f func(i int) error) (took []time.Duration, err error) {
	for i := range n {
		began := time.Now()
		if err := f(i); err != nil {
			return nil, err
		}
		took = append(took, time.Since(began))
	}
	return took, nil
}

// disk measures what the disk itself takes: an fsync, and the smallest durable transaction of SQLite.
func (b *bench) disk() error {
	sync, err := b.rawSync()
	if err != nil {
		return err
	}
	b.set("fsync.p50", sync)
	path := filepath.Join(b.dir, "raw.db")
	defer removeSQLite(path)
	db, err := sqlite3.Open("file:" + path + "?_pragma=journal_mode(wal)&_pragma=synchronous(full)")
	if err != nil {
		return err
	}
	defer db.Close()
	if err := db.Exec(`CREATE TABLE t (id INTEGER PRIMARY KEY, body BLOB)`); err != nil {
		return err
	}
	insert, _, err := db.Prepare(`INSERT INTO t (body) VALUES (zeroblob(1000))`)
	if err != nil {
		return err
	}
	defer insert.Close()
	took, err := timed(500, func(int) error { return insert.Exec() })
	b.set("sqlite.p50", percentile(took, 50))
	return err
}

// rawSync writes 4 KiB over old bytes and syncs, on the disk that the journal is on.
func (b *bench) rawSync() (p50 float64, err error) {
	f, err := os.Create(filepath.Join(b.dir, "raw"))
	if err != nil {
		return 0, err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	block := make([]byte, 4096)
	took, err := timed(500, func(i int) error {
		_, err := f.WriteAt(block, int64(i%16)*4096)
		return errors.Join(err, f.Sync())
	})
	return percentile(took[len(took)/4:], 50), err
}

func removeSQLite(path string) {
	for _, suffix := range []string{"", "-wal", "-shm"} {
		os.Remove(path + suffix)
	}
}

// readAll reads $all through the client. The baseline copies the same rows straight out of the file.
func (b *bench) readAll(ctx context.Context) (err error) {
	o, err := b.open(ctx, nil, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, o.close()) }()
	if err := quiet(ctx, os.Getpid()); err != nil {
		return err
	}
	raw, err := rawRead(b.data("domain", "journal", "journal.db"))
	if err != nil {
		return err
	}
	b.set("sqlite.read", raw)
	n, began := 0, time.Now()
	for _, err := range o.journal.All(ctx, 0) {
		if err != nil {
			return err
		}
		n++
	}
	b.set("journal.read", float64(n)/time.Since(began).Seconds())
	return nil
}

func rawRead(path string) (perSecond float64, err error) {
	db, err := sqlite3.OpenFlags("file:"+path, sqlite3.OPEN_READONLY|sqlite3.OPEN_URI)
	if err != nil {
		return 0, err
	}
	defer db.Close()
	s, _, err := db.Prepare(`SELECT position, name, revision, events.id, type, created, json, meta, data
		FROM events JOIN streams ON streams.id = events.stream ORDER BY position`)
	if err != nil {
		return 0, err
	}
	defer s.Close()
	n, size, began := 0, 0, time.Now()
	for s.Step() {
		size += len(s.ColumnText(1)) + len(s.ColumnBlob(3, nil)) + len(s.ColumnText(4)) + len(s.ColumnBlob(7, nil)) + len(s.ColumnBlob(8, nil))
		n++
	}
	if size == 0 && s.Err() == nil {
		return 0, errors.New("the journal is empty")
	}
	return float64(n) / time.Since(began).Seconds(), s.Err()
}

// rebuildViews builds all views from nothing, up to the moment in which lists can be read. Memory is flat when its peak in
// the whole run is hardly above that in the first half: while the log is read and half of the files are folded.
func (b *bench) rebuildViews(ctx context.Context) (err error) {
	path := b.data("projections", "views.db")
	removeSQLite(path)
	o, err := b.open(ctx, nil, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, o.close()) }()
	if err := quiet(ctx, os.Getpid()); err != nil {
		return err
	}
	head, _, err := o.journal.Head(ctx)
	if err != nil {
		return err
	}
	v, err := views.Open(ctx, views.Options{
		Path: path, Key: o.vault.Secret("views"), Catalog: o.catalog, History: follow.HistoryOf(o.journal, o.exec.Codec), Erased: o.vault.Erased,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, v.Close()) }()
	first, whole := &peak{}, &peak{}
	defer whole.watch(os.Getpid())()
	firstHalf := first.watch(os.Getpid())
	began := time.Now()
	err = v.Rebuild(ctx, views.RebuildOptions{Source: o.journal, Codec: o.exec.Codec, Progress: func(s follow.BackfillStatus) {
		if s.Part.Done > 0 && 2*s.Part.Done >= s.Part.Of {
			firstHalf()
		}
	}})
	firstHalf()
	if err != nil {
		return err
	}
	b.set("views.rate", float64(head)/time.Since(began).Seconds())
	b.set("views.half", first.mega())
	b.set("views.peak", whole.mega())
	_, _, counts, _, err := v.Worklist(ctx, views.WorklistQuery{Reach: record.Reach{All: true}, Today: time.Now(), Limit: 1})
	if err != nil {
		return err
	}
	b.set("views.duties", float64(counts["overdue"]+counts["due"]+counts["upcoming"]))
	return nil
}

// loadAnalytics loads ClickHouse from the journal, into an engine that is there already.
func (b *bench) loadAnalytics(ctx context.Context) (err error) {
	if b.library == "" {
		b.lacks("analytics.rate", "the ClickHouse library is not installed; run make engine")
		return nil
	}
	removeSQLite(b.data("projections", "analytics.db"))
	if err := os.RemoveAll(b.data("projections", "clickhouse")); err != nil {
		return err
	}
	o, err := b.open(ctx, nil, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, o.close()) }()
	engine, err := embedded.Start(ctx, embedded.Options{Args: []string{engineWord}, Library: b.library, Dir: b.data("projections", "clickhouse")})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, engine.Close()) }()
	store, err := analytics.Open(ctx, analytics.Options{
		Engine: engine.Options(), Path: b.data("projections", "analytics.db"), Key: o.vault.Secret("analytics"), MAC: o.vault.MAC,
		Categories: o.catalog, History: follow.HistoryOf(o.journal, o.exec.Codec),
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	if err := quiet(ctx, os.Getpid()); err != nil {
		return err
	}
	head, _, err := o.journal.Head(ctx)
	if err != nil {
		return err
	}
	began := time.Now()
	err = store.Backfill(ctx, follow.BackfillOptions{Source: o.journal, Codec: o.exec.Codec, Until: head, Dir: b.data("projections", "analytics.spool"), EventsPerPart: 20_000})
	if err != nil {
		return err
	}
	b.set("analytics.rate", float64(head)/time.Since(began).Seconds())
	empty, err := timed(100, func(int) error {
		rows, err := store.Query(ctx, "SELECT 1", nil)
		if err != nil {
			return err
		}
		for rows.Next() {
		}
		return errors.Join(rows.Err(), rows.Close())
	})
	b.set("analytics.empty.p50", percentile(empty, 50))
	return err
}

// quiet waits until a process has next to nothing to do, such as the check of the whole journal that goes on beside a
// start: what is measured is the work asked for, not what a start leaves behind.
func quiet(ctx context.Context, pid int) error {
	for had := cpu(pid); ; {
		select {
		case <-time.After(500 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
		now := cpu(pid)
		if now-had < 25*time.Millisecond {
			return nil
		}
		had = now
	}
}

// cpu is the processor time that a process has used; 0 where /proc does not tell.
func cpu(pid int) time.Duration {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(raw), ") ") // the program's name may hold spaces
	var state string
	var skip, user, system int64
	if _, err := fmt.Sscan(rest, &state, &skip, &skip, &skip, &skip, &skip, &skip, &skip, &skip, &skip, &skip, &user, &system); err != nil {
		return 0
	}
	return time.Duration(user+system) * 10 * time.Millisecond // ticks of 100 a second, on every Linux
}

// othersPercent is how busy the processors are for a second in which nothing of ours has anything to do.
func othersPercent() float64 {
	busy, all := processors()
	time.Sleep(time.Second)
	busy2, all2 := processors()
	return 100 * (busy2 - busy) / max(all2-all, 1)
}

// processors is how many ticks all processors were busy, of how many there were.
func processors() (busy, all float64) {
	raw, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, 0
	}
	var name string
	var user, nice, system, idle, wait, irq, soft float64
	if _, err := fmt.Sscan(string(raw), &name, &user, &nice, &system, &idle, &wait, &irq, &soft); err != nil {
		return 0, 0
	}
	busy = user + nice + system + irq + soft
	return busy, busy + idle + wait
}

// memory reads a line of a process's memory in MB; 0 where /proc does not tell.
func memory(pid int, line string) float64 {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for l := range strings.Lines(string(raw)) {
		if rest, ok := strings.CutPrefix(l, line+":"); ok {
			var kb float64
			fmt.Sscan(rest, &kb)
			return kb / 1000
		}
	}
	return 0
}

// peak is the most memory that a process had while it was watched.
type peak struct {
	mu sync.Mutex
	mb float64
}

// watch looks at a process ten times a second until stop is called.
func (p *peak) watch(pid int) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		for ctx.Err() == nil {
			now := memory(pid, "VmRSS")
			p.mu.Lock()
			p.mb = max(p.mb, now)
			p.mu.Unlock()
			time.Sleep(100 * time.Millisecond)
		}
	}()
	return cancel
}

func (p *peak) mega() float64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mb
}
