package vault

import (
	"context"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"

	"github.com/tink-crypto/tink-go/v2/tink"
)

// streamKey is a stream's opened key: what seals, and a second key derived from it that blinds.
type streamKey struct {
	tink.AEAD
	blind []byte
}

func newStreamKey(raw []byte) (*streamKey, error) {
	aead, err := newAEAD(raw)
	if err != nil {
		return nil, err
	}
	blind, err := hkdf.Key(sha256.New, raw, nil, "yidang vault blind", keyBytes)
	if err != nil {
		return nil, fmt.Errorf("derive a stream's blinding key: %w", err)
	}
	return &streamKey{aead, blind}, nil
}

// Blind gives 32 secret bytes that belong to a name within a stream, the same each time. They derive from the stream's
// key, so they are gone when it is destroyed, and whoever is given those of one name learns nothing of any other's, nor
// of the key. It answers ErrErased when the key was destroyed and NotFound when the stream never had one.
func (v *Vault) Blind(ctx context.Context, stream string, name []byte) (secret [sha256.Size]byte, err error) {
	key, err := v.key(ctx, stream)
	if err != nil {
		return secret, err
	}
	h := hmac.New(sha256.New, key.blind)
	h.Write(name)
	h.Sum(secret[:0])
	return secret, nil
}
