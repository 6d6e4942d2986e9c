package catalog

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	fastjson "github.com/goccy/go-json"

	"yidang/domain/journal"
	"yidang/domain/policy"
	"yidang/domain/record"
)

// Sealer is what the codec needs of the vault.
type Sealer interface {
	Seal(ctx context.Context, stream string, plain, aad []byte) ([]byte, error)
	Open(ctx context.Context, stream string, sealed, aad []byte) ([]byte, error)
	Blind(ctx context.Context, stream string, name []byte) ([32]byte, error)
}

// Codec turns events into their stored form and back. It is safe for concurrent use.
type Codec struct {
	Catalog *Catalog
	Vault   Sealer
	Policy  *policy.Book
	// Strict refuses unknown fields in data, and data that is not what the metadata commits to: for verification and
	// fixtures, not for a live reader.
	Strict bool
}

// Seal makes the stored form of an event whose Stream, ID, Type, Meta and Data are set. Metadata stays readable; data is
// sealed with the stream's key when the category says so, bound to stream, event id, type and form, and the metadata then
// commits to it.
func (c *Codec) Seal(ctx context.Context, e record.Event) (journal.Proposed, error) {
	k, ok := c.Catalog.Of(e.Stream)
	if !ok {
		return journal.Proposed{}, fmt.Errorf("stream %s is of no category", e.Stream)
	}
	data, err := json.Marshal(e.Data)
	if err != nil {
		return journal.Proposed{}, fmt.Errorf("%s: %w", e.Type, err)
	}
	p := journal.Proposed{ID: e.ID, Type: e.Type, Data: data}
	meta := storedMeta{Meta: e.Meta}
	if row, ok := c.Catalog.Event(k.Name, e.Type); k.Sealed && !(ok && row.Plain) {
		p.Binary = true
		if p.Data, err = c.Vault.Seal(ctx, e.Stream, data, bind(e.Stream, e.ID.String(), e.Type, e.Meta.Form)); err != nil {
			return journal.Proposed{}, fmt.Errorf("sealing %s: %w", e.Type, err)
		}
		if meta.Commitment, err = c.commit(ctx, e.Stream, e.ID, data); err != nil {
			return journal.Proposed{}, fmt.Errorf("committing to %s: %w", e.Type, err)
		}
	}
	p.Meta, err = json.Marshal(meta)
	return p, err
}

// Open opens a stored event. known is false for what is not of any category: reservations, checkpoints, system streams.
// When the key was destroyed the event comes back Erased, without data and without error.
func (c *Codec) Open(ctx context.Context, s journal.Stored) (e record.Event, known bool, err error) {
	k, ok := c.Catalog.Of(s.Stream)
	if !ok {
		return e, false, nil
	}
	row, ok := c.Catalog.Event(k.Name, s.Type)
	if !ok {
		return e, true, fmt.Errorf("event %s at position %d: type %q is not in the catalog of %s: was it written by a newer version?", s.ID, s.Position, s.Type, k.Name)
	}
	e = record.Event{ID: s.ID, Stream: s.Stream, Revision: s.Revision, Position: s.Position, Type: s.Type}
	if err := fastjson.Unmarshal(s.Meta, &e.Meta); err != nil {
		return e, true, fmt.Errorf("event %s at position %d: metadata: %w", s.ID, s.Position, err)
	}
	if e.Meta.Policy != "" && c.Policy != nil {
		if e.Rules, err = c.Policy.Version(ctx, e.Meta.Policy); err != nil {
			return e, true, err
		}
	}
	data := s.Data
	if k.Sealed && !row.Plain {
		data, err = c.Vault.Open(ctx, s.Stream, s.Data, bind(s.Stream, s.ID.String(), s.Type, e.Meta.Form))
		if record.KindOf(err) == record.Erased {
			e.Erased = true
			return e, true, nil
		}
		if err != nil {
			return e, true, fmt.Errorf("event %s at position %d: %w", s.ID, s.Position, err)
		}
		if c.Strict {
			commitment, err := Commitment(s.Meta)
			if err == nil {
				err = c.checkCommitment(ctx, s, commitment, data)
			}
			if err != nil {
				return e, true, err
			}
		}
	}
	if e.Data, err = row.Decode(e.Meta.Form, data, c.Strict); err != nil {
		return e, true, fmt.Errorf("event %s at position %d: %w", s.ID, s.Position, err)
	}
	return e, true, nil
}

// bind is the associated data of a sealed event: it opens only in its own place.
func bind(stream, id, kind string, form int) []byte {
	b := make([]byte, 0, len(stream)+len(id)+len(kind)+8)
	b = append(b, stream...)
	b = append(b, '|')
	b = append(b, id...)
	b = append(b, '|')
	b = append(b, kind...)
	return strconv.AppendInt(append(b, '|'), int64(form), 10)
}
