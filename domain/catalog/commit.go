package catalog

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"

	"yidang/domain/journal"
	"yidang/domain/record"
)

// This file lets one event of a sealed stream be shown to an outsider, whole or in part, with proof that it is what was
// recorded, and without the key of the stream. The ciphertext cannot prove that: AES-GCM opens under the key only, the key
// opens everything else too, and a second key that opens the same bytes to another text can be found. So the metadata,
// whose hash is in the log's leaf, holds a commitment to the plaintext.
//
// The plaintext is one JSON object. Its fields are the byte strings between the outer braces and commas, such as
// "place":"家中", in the order in which they are stored. With a secret S for each event (vault.Blind of the event id),
//
//	salt i     = SHA-256(S ‖ i)               i in four bytes, big-endian; 0 for the whole, n for the nth field
//	field n    = SHA-256(salt n ‖ bytes of the field)
//	commitment = SHA-256(salt 0 ‖ field 1 ‖ … ‖ field k)
//
// To show the event is to give the salts and the bytes of its fields; to withhold a field is to give its hash alone, which
// says nothing without the salt. Changing a byte that is shown means finding a collision of SHA-256. When the stream's key
// is destroyed, S is gone with it and the commitment says nothing any more.

// Salt is the nth salt of an event whose secret is given.
func Salt(secret [sha256.Size]byte, n int) [sha256.Size]byte {
	var b [sha256.Size + 4]byte
	copy(b[:], secret[:])
	binary.BigEndian.PutUint32(b[sha256.Size:], uint32(n))
	return sha256.Sum256(b[:])
}

// FieldHash is the hash of one field under its salt.
func FieldHash(salt [sha256.Size]byte, field []byte) [sha256.Size]byte {
	var room [512]byte
	return sha256.Sum256(append(append(room[:0], salt[:]...), field...))
}

// Commit makes the commitment from the salt of the whole and the hashes of all fields.
func Commit(salt [sha256.Size]byte, fields [][sha256.Size]byte) [sha256.Size]byte {
	var room [1024]byte
	b := append(room[:0], salt[:]...)
	for i := range fields {
		b = append(b, fields[i][:]...)
	}
	return sha256.Sum256(b)
}

var errNoObject = errors.New("the data is not one JSON object as it is stored")

// Fields cuts a JSON object into the bytes of its fields. The object is that of json.Marshal: without space around its
// tokens; joined with commas between braces, the fields are the object again.
func Fields(object []byte) ([][]byte, error) {
	if len(object) < 2 || object[0] != '{' || object[len(object)-1] != '}' {
		return nil, errNoObject
	}
	inner := object[1 : len(object)-1]
	if len(inner) == 0 {
		return nil, nil
	}
	var fields [][]byte
	from, depth, quoted := 0, 0, false
	for i := 0; i < len(inner); i++ {
		switch c := inner[i]; {
		case quoted:
			if c == '\\' {
				i++
			} else if c == '"' {
				quoted = false
			}
		case c == '"':
			quoted = true
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			depth--
		case c == ',' && depth == 0:
			fields = append(fields, inner[from:i])
			from = i + 1
		}
		if depth < 0 {
			return nil, errNoObject
		}
	}
	if quoted || depth != 0 {
		return nil, errNoObject
	}
	return append(fields, inner[from:]), nil
}

// commit is the commitment to an event's data.
func (c *Codec) commit(ctx context.Context, stream string, id [16]byte, data []byte) ([]byte, error) {
	secret, err := c.Vault.Blind(ctx, stream, id[:])
	if err != nil {
		return nil, err
	}
	fields, err := Fields(data)
	if err != nil {
		return nil, err
	}
	var room [24][sha256.Size]byte
	hashes := room[:0]
	for i, f := range fields {
		hashes = append(hashes, FieldHash(Salt(secret, i+1), f))
	}
	sum := Commit(Salt(secret, 0), hashes)
	return sum[:], nil
}

// storedMeta is metadata as it is stored. The commitment is not part of record.Meta, so that nobody keeps it in memory.
type storedMeta struct {
	record.Meta
	Commitment []byte `json:"commitment,omitempty"`
}

// Commitment reads the commitment in stored metadata; nil when it has none, as that of unsealed data and of events from
// before there were any.
func Commitment(meta []byte) ([]byte, error) {
	var m struct {
		Commitment []byte `json:"commitment"`
	}
	if err := json.Unmarshal(meta, &m); err != nil {
		return nil, fmt.Errorf("metadata: %w", err)
	}
	if m.Commitment != nil && len(m.Commitment) != sha256.Size {
		return nil, fmt.Errorf("metadata: the commitment has %d bytes", len(m.Commitment))
	}
	return m.Commitment, nil
}

// Disclosure is what shows an event to somebody who has not the key of its stream.
type Disclosure struct {
	Sealed    bool
	Erased    bool              // the key was destroyed: nothing below is there
	Committed bool              // the fields can be proved; if not, Data only is there
	Data      []byte            // the plaintext
	Salt      [sha256.Size]byte // of the whole
	Fields    []Field
}

// Field is a field of the plaintext with its salt.
type Field struct {
	Salt  [sha256.Size]byte
	Bytes []byte
}

// Disclose opens a stored event for showing. What the commitment and the ciphertext disagree on is an error.
func (c *Codec) Disclose(ctx context.Context, s journal.Stored) (Disclosure, error) {
	k, ok := c.Catalog.Of(s.Stream)
	if !ok {
		return Disclosure{}, fmt.Errorf("stream %s is of no category", s.Stream)
	}
	row, ok := c.Catalog.Event(k.Name, s.Type)
	if !ok {
		return Disclosure{}, fmt.Errorf("event %s: type %q is not in the catalog of %s", s.ID, s.Type, k.Name)
	}
	if !k.Sealed || row.Plain {
		return Disclosure{Data: s.Data}, nil
	}
	var m storedMeta
	if err := json.Unmarshal(s.Meta, &m); err != nil {
		return Disclosure{}, fmt.Errorf("event %s: metadata: %w", s.ID, err)
	}
	d := Disclosure{Sealed: true, Committed: m.Commitment != nil}
	var err error
	d.Data, err = c.Vault.Open(ctx, s.Stream, s.Data, bind(s.Stream, s.ID.String(), s.Type, m.Form))
	if record.KindOf(err) == record.Erased {
		return Disclosure{Sealed: true, Erased: true, Committed: d.Committed}, nil
	}
	if err != nil || !d.Committed {
		return d, err
	}
	if err := c.checkCommitment(ctx, s, m.Commitment, d.Data); err != nil {
		return d, err
	}
	secret, err := c.Vault.Blind(ctx, s.Stream, s.ID[:])
	if err != nil {
		return d, err
	}
	fields, err := Fields(d.Data)
	if err != nil {
		return d, err
	}
	d.Salt = Salt(secret, 0)
	for i, f := range fields {
		d.Fields = append(d.Fields, Field{Salt: Salt(secret, i+1), Bytes: f})
	}
	return d, nil
}

// checkCommitment refuses an event whose metadata commits to other data than was sealed: to outsiders it would say one
// thing and to officers another.
func (c *Codec) checkCommitment(ctx context.Context, s journal.Stored, commitment, data []byte) error {
	if commitment == nil {
		return nil
	}
	want, err := c.commit(ctx, s.Stream, s.ID, data)
	if err != nil {
		return fmt.Errorf("event %s: %w", s.ID, err)
	}
	if !bytes.Equal(want, commitment) {
		return fmt.Errorf("event %s at position %d: its metadata commits to other data than was sealed", s.ID, s.Position)
	}
	return nil
}
