package commands_test

import (
	"context"
	"fmt"
	"iter"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"

	"yidang/domain/catalog"
	"yidang/domain/commands"
	"yidang/domain/commands/commandstest"
	"yidang/domain/journal"
	"yidang/domain/record"
)

// counting counts the streams that are read.
type counting struct {
	*journal.Journal
	reads atomic.Int64
}

func (c *counting) Stream(ctx context.Context, stream string, from uint64) iter.Seq2[journal.Stored, error] {
	c.reads.Add(1)
	return c.Journal.Stream(ctx, stream, from)
}

// Ensure that files that do not stay folded are packed and go on where they were: commands at once on more files than there
// is room for, repeats, and no stream read twice; and that beyond the memory allowed files are read again, no more.
func TestPackedFiles(t *testing.T) {
	town := commandstest.Start(t)
	var ids []uuid.UUID
	for i := range 24 {
		_, id := openCase(town, 2*i+1)
		ids = append(ids, id)
	}
	list, err := catalog.New()
	if err != nil {
		t.Fatal(err)
	}
	j := &counting{Journal: town.Journal}
	x, err := commands.New(commands.Options{Catalog: list, Journal: j, Vault: town.Vault, Now: town.Clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	const rounds, callers = 6, 4
	first := map[string]commands.Receipt{}
	var mu sync.Mutex
	round := func(n int) {
		t.Helper()
		var wg sync.WaitGroup
		for c := range callers {
			wg.Go(func() {
				for i := range ids {
					at := (i*7 + c*5) % len(ids)
					r := visit(town, ids[at])
					key := fmt.Sprint(n, c, at)
					r.CommandID = uuid.NewSHA1(ids[at], []byte(key))
					got, err := x.Do(t.Context(), r)
					if err != nil {
						t.Error(err)
						return
					}
					again, err := x.Do(t.Context(), r)
					if err != nil || !again.Repeated || again.Revision != got.Revision || again.Events[0].ID != got.Events[0].ID {
						t.Errorf("%+v, %v after %+v", again, err, got)
					}
					mu.Lock()
					first[key] = got
					mu.Unlock()
				}
			})
		}
		wg.Wait()
	}
	x.KeepInMemory(8, 1<<20) // a command looks at four or five, and there are four at once
	for n := range rounds / 2 {
		round(n)
	}
	repeats := int64(len(first)) // each reads its answer from the journal
	if other := j.reads.Load() - repeats; other > int64(len(ids))+20 {
		t.Errorf("%d streams were read for %d cases and a township", other, len(ids))
	}
	if counted, there := x.Packed(); counted != there || counted == 0 {
		t.Errorf("%d bytes are counted, %d are there", counted, there)
	}
	x.KeepInMemory(8, 8<<10)
	for n := rounds / 2; n < rounds; n++ {
		round(n)
	}
	if counted, there := x.Packed(); counted != there || counted > 8<<10 {
		t.Errorf("%d bytes are counted, %d are there, 8 KiB are allowed", counted, there)
	}
	for i, id := range ids {
		revisions := map[uint64]bool{}
		for n := range rounds {
			for c := range callers {
				revisions[first[fmt.Sprint(n, c, i)].Revision] = true
			}
		}
		if len(revisions) != rounds*callers {
			t.Errorf("case %s: %d revisions for %d visits", id, len(revisions), rounds*callers)
		}
	}
}

// Ensure that the state of every category can be packed: one that cannot is read again whenever it was away.
func TestStatesPack(t *testing.T) {
	list, err := catalog.New()
	if err != nil {
		t.Fatal(err)
	}
	p := record.NewPacker()
	for _, k := range list.Categories {
		if _, ok := p.Pack(record.NewFile(k, record.StreamOf(k.Name, uuid.New()))); !ok {
			t.Errorf("the state of %s cannot be packed", k.Name)
		}
	}
}
