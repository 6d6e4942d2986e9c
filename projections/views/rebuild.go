package views

import (
	"context"
	"errors"
	"fmt"
	"os"

	"yidang/projections/follow"
)

// RebuildOptions say what to build from. Source and Codec are required.
type RebuildOptions struct {
	Source   follow.Source
	Codec    follow.Opener
	Metrics  *follow.Metrics
	Progress func(follow.BackfillStatus) // called about once a second; may be nil
	// EventsPerPart is documented at follow.BackfillOptions.
	EventsPerPart int
}

// rebuildSuffix names the file that is built beside the one that is read.
const rebuildSuffix = ".rebuild"

// Rebuild builds the views again from the journal, in a file beside the one that serves, and puts it in its place once it
// shows as much. A rebuild that was cut short, also by a crash, goes on where its own checkpoint says. Lists are served
// from the old file until then; they wait only while the files are exchanged, and a follower of v only while the last few
// events are added.
func (v *Views) Rebuild(ctx context.Context, o RebuildOptions) error {
	path := v.o.Path + rebuildSuffix
	s, err := openStore(ctx, v.o, path)
	if errors.Is(err, errUnusable) {
		if err := remove(path); err != nil {
			return err
		}
		s, err = openStore(ctx, v.o, path)
	}
	if err != nil {
		return fmt.Errorf("rebuild views: %w", err)
	}
	err = v.rebuild(ctx, s, o)
	if errors.Is(err, follow.ErrSpoolLost) {
		if err := errors.Join(s.close(), remove(path)); err != nil {
			return err
		}
		return v.Rebuild(ctx, o)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("rebuild views: %w", err), s.close())
	}
	return nil
}

func (v *Views) rebuild(ctx context.Context, s *store, o RebuildOptions) error {
	head, _, err := o.Source.Head(ctx)
	if err != nil {
		return err
	}
	if _, err := follow.Backfill(ctx, s, follow.BackfillOptions{
		Source: o.Source, Codec: o.Codec, Dir: s.path + ".parts", Until: head, Log: s.o.Log, Progress: o.Progress, EventsPerPart: o.EventsPerPart,
	}); err != nil {
		return err
	}
	if err := s.finish(ctx); err != nil {
		return err
	}
	at, err := v.Position(ctx)
	if err != nil {
		return err
	}
	if err := s.feed(ctx, o, at); err != nil { // what was recorded meanwhile
		return err
	}
	v.applying.Lock()
	defer v.applying.Unlock()
	if err := s.feed(ctx, o, v.now.position); err != nil {
		return err
	}
	return v.exchange(context.WithoutCancel(ctx), s)
}

// feed brings a store to a position.
func (s *store) feed(ctx context.Context, o RebuildOptions, until uint64) error {
	if s.started && s.position >= until {
		return nil
	}
	f := follow.New(follow.Options{Source: o.Source, Codec: o.Codec, Projection: s, Metrics: o.Metrics, Log: s.o.Log, Until: until})
	err := f.Run(ctx)
	if err == nil {
		err = ctx.Err()
	}
	return err
}

// finish makes the entries of a store that nobody fed up to the present.
func (s *store) finish(ctx context.Context) error {
	if s.indexing {
		return nil
	}
	return s.Apply(ctx, follow.Batch{UpTo: s.position, CaughtUp: true})
}

// exchange puts a finished file in the place of the one that serves. A crash in the middle leaves either the old file, or
// none and the finished one beside it, which adopt then takes.
func (v *Views) exchange(ctx context.Context, s *store) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if err := s.close(); err != nil {
		return err
	}
	if err := v.now.close(); err != nil {
		return err
	}
	err := remove(v.o.Path)
	if err == nil {
		err = os.Rename(s.path, v.o.Path)
	}
	if err != nil {
		return err
	}
	s, err = openStore(ctx, v.o, v.o.Path)
	if err != nil {
		return err
	}
	v.now = s
	return nil
}

// adopt takes a rebuilt file whose exchange was cut short.
func adopt(ctx context.Context, o Options) error {
	if fileExists(o.Path) || !fileExists(o.Path+rebuildSuffix) {
		return nil
	}
	s, err := openStore(ctx, o, o.Path+rebuildSuffix)
	if err != nil {
		return nil // it is of no use; the next rebuild says so
	}
	whole := s.indexing
	if err := s.close(); err != nil || !whole {
		return err
	}
	return os.Rename(o.Path+rebuildSuffix, o.Path)
}
