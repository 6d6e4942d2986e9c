package commands

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"yidang/domain/journal"
	"yidang/domain/record"
)

// ClaimedType is the stored name of the one event of a reservation stream. Its data is plain: a stream name.
const ClaimedType = "claim.reserved"

type claimed struct {
	Stream string `json:"stream"`
}

// claimStream names the reservation of a value. The hash is keyed: without the vault nobody can test a guessed id.
func (x *Executor) claimStream(c record.Claim) string {
	return c.Kind + "-" + hex.EncodeToString(x.Vault.MAC("claim "+c.Kind, []byte(c.Value)))
}

// holder finds which stream holds a value.
func (x *Executor) holder(ctx context.Context, c record.Claim) (stream string, held bool, err error) {
	for s, err := range x.Journal.Stream(ctx, x.claimStream(c), 0) {
		if err != nil {
			return "", false, err
		}
		var d claimed
		if err := json.Unmarshal(s.Data, &d); err != nil {
			return "", false, fmt.Errorf("reservation at position %d: %w", s.Position, err)
		}
		return d.Stream, true, nil
	}
	return "", false, nil
}

// Holder finds the stream that holds a value, such as the officer of a login.
func (x *Executor) Holder(ctx context.Context, kind, value string) (uuid.UUID, bool, error) {
	stream, held, err := x.holder(ctx, record.Claim{Kind: kind, Value: value})
	if err != nil || !held {
		return uuid.Nil, false, err
	}
	_, id, _ := record.SplitStream(stream)
	return id, true, nil
}

// claimable refuses what claim would refuse, for a dry run.
func (x *Executor) claimable(ctx context.Context, row *record.CommandRow, r Request, stream string) error {
	for _, c := range row.Claims(r.Input) {
		held, some, err := x.holder(ctx, c)
		switch {
		case err != nil:
			return err
		case some && held != stream:
			return c.Taken
		}
	}
	return nil
}

// claim reserves the values of a command for its stream, before the stream's own append. A crash between the two leaves a
// reservation for a stream that does not exist; target completes it.
func (x *Executor) claim(ctx context.Context, row *record.CommandRow, r Request, stream string, now time.Time) error {
	for _, c := range row.Claims(r.Input) {
		name := x.claimStream(c)
		data, err := json.Marshal(claimed{Stream: stream})
		if err != nil {
			return err
		}
		meta, err := json.Marshal(record.Meta{
			Form: 1, Actor: r.Officer, Post: r.Post, OccurredAt: now.UTC(), RecordedAt: now.UTC(), Command: r.CommandID, Correlation: r.CommandID, Causation: r.CommandID,
		})
		if err != nil {
			return err
		}
		_, err = x.Journal.Append(ctx, name, journal.NoStream, journal.Proposed{ID: uuid.NewSHA1(r.CommandID, []byte(name)), Type: ClaimedType, Meta: meta, Data: data})
		if err == nil {
			continue
		}
		if !errors.Is(err, journal.ErrWrongRevision) {
			return err
		}
		held, _, readErr := x.holder(ctx, c)
		switch {
		case readErr != nil:
			return readErr
		case held == stream:
		case row.Creates: // somebody was faster: look again where this leads
			return err
		default:
			return c.Taken
		}
	}
	return nil
}
