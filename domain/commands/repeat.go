package commands

import (
	"bytes"
	"context"
	"encoding/json"

	"github.com/google/uuid"

	"yidang/domain/record"
)

// This file recognises a command that was carried out before.

// fingerprint is a keyed hash of what was asked, so that a key used again for something else is noticed.
func (x *Executor) fingerprint(r Request) ([]byte, error) {
	if r.Derived {
		return x.Vault.MAC("request", []byte(r.Category), []byte(r.Command), r.CommandID[:])[:12], nil
	}
	input, err := json.Marshal(r.Input)
	if err != nil {
		return nil, err
	}
	return x.Vault.MAC("request", []byte(r.Category), []byte(r.Command), r.ID[:], r.Officer[:], input)[:12], nil
}

// Done tells whether a file remembers a command, so that a repeat would get its first answer.
func (x *Executor) Done(ctx context.Context, category string, id, command uuid.UUID) (done bool, err error) {
	stream := record.StreamOf(category, id)
	err = x.files.look(ctx, []string{stream}, func(files map[string]*record.File) error {
		_, done = files[stream].Command(command)
		return nil
	})
	return done, err
}

// repeat answers a command that was carried out before, from the journal.
func (x *Executor) repeat(ctx context.Context, f *record.File, r Request, d record.Done, request []byte) (Receipt, error) {
	history, err := x.historyFrom(ctx, f.Stream, uint64(d.First))
	if err != nil {
		return Receipt{}, err
	}
	if n := int(d.Last-d.First) + 1; len(history) > n {
		history = history[:n]
	}
	if len(history) == 0 || !bytes.Equal(history[0].Meta.Request, request) {
		return Receipt{}, ErrReused
	}
	r.ID = f.ID
	out := x.receipt(r, f, history, history[0].Meta.RecordedAt)
	out.Repeated, out.DryRun = true, false
	return out, nil
}
