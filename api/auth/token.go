package auth

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Session is what a sealed session token says.
type Session struct {
	ID       uuid.UUID
	Officer  uuid.UUID
	SignedIn time.Time
	Expires  time.Time
}

// seals makes and opens session tokens. A token is sealed, not only signed: it says nothing to whoever finds it.
type seals struct{ aead cipher.AEAD }

func newSeals(key []byte) (seals, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return seals{}, fmt.Errorf("session key: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	return seals{aead}, err
}

var (
	sessionAAD   = []byte("yidang session 1")
	tokenText    = base64.RawURLEncoding.Strict()
	sessionBytes = 16 + 16 + 8 + 8
)

func (s seals) seal(t Session) string {
	b := make([]byte, 0, sessionBytes)
	b = append(b, t.ID[:]...)
	b = append(b, t.Officer[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(t.SignedIn.UnixMilli()))
	b = binary.BigEndian.AppendUint64(b, uint64(t.Expires.UnixMilli()))
	return tokenText.EncodeToString(s.aead.Seal(nil, nil, b, sessionAAD))
}

func (s seals) open(token string) (t Session, ok bool) {
	if len(token) > 256 {
		return t, false
	}
	sealed, err := tokenText.DecodeString(token)
	if err != nil {
		return t, false
	}
	b, err := s.aead.Open(nil, nil, sealed, sessionAAD)
	if err != nil || len(b) != sessionBytes {
		return t, false
	}
	copy(t.ID[:], b)
	copy(t.Officer[:], b[16:])
	t.SignedIn = time.UnixMilli(int64(binary.BigEndian.Uint64(b[32:])))
	t.Expires = time.UnixMilli(int64(binary.BigEndian.Uint64(b[40:])))
	return t, true
}

// TokenPrefix begins every personal API token, so that people and scanners recognise one that leaked.
const TokenPrefix = "yd_"

// A personal token is the prefix and the base64 of: officer, token id, 32 random bytes, and a checksum of all that, which
// turns away typing errors before anything is looked up. Only its SHA-256 is kept.
const tokenBytes = 16 + 16 + 32 + 4

func newToken(officer, id uuid.UUID) (text string, hash []byte) {
	b := make([]byte, 0, tokenBytes)
	b = append(b, officer[:]...)
	b = append(b, id[:]...)
	secret := make([]byte, 32)
	rand.Read(secret)
	b = append(b, secret...)
	b = binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
	text = TokenPrefix + tokenText.EncodeToString(b)
	return text, hashToken(text)
}

func hashToken(text string) []byte {
	h := sha256.Sum256([]byte(text))
	return h[:]
}

func parseToken(text string) (officer, id uuid.UUID, ok bool) {
	rest, found := strings.CutPrefix(text, TokenPrefix)
	if !found || len(rest) != tokenText.EncodedLen(tokenBytes) {
		return officer, id, false
	}
	b, err := tokenText.DecodeString(rest)
	if err != nil || crc32.ChecksumIEEE(b[:tokenBytes-4]) != binary.BigEndian.Uint32(b[tokenBytes-4:]) {
		return officer, id, false
	}
	copy(officer[:], b)
	copy(id[:], b[16:])
	return officer, id, true
}
