package vault

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
)

// MAC is HMAC-SHA256 over the parts, with a key of the purpose's own derived from the vault's master secret. Two lists of
// parts give the same 32 bytes only when they are the same list: each part is preceded by its length. Nobody without the
// vault can test a guess against it, which is why reservation streams and pseudonyms are named by it.
func (v *Vault) MAC(purpose string, parts ...[]byte) []byte {
	h := hmac.New(sha256.New, v.derive("yidang vault mac\x00"+purpose))
	var n [8]byte
	for _, p := range parts {
		binary.BigEndian.PutUint64(n[:], uint64(len(p)))
		h.Write(n[:])
		h.Write(p)
	}
	return h.Sum(nil)
}

// Secret returns the purpose's 32-byte secret, the same for the life of the vault, also after Rewrap. It is independent of
// MAC's key for the same purpose.
func (v *Vault) Secret(purpose string) []byte {
	return append([]byte(nil), v.derive("yidang vault secret\x00"+purpose)...)
}

// derive keeps what it derived: purposes are a few words in the program, never input.
func (v *Vault) derive(info string) []byte {
	if key, ok := v.derived.Load(info); ok {
		return key.([]byte)
	}
	key, err := hkdf.Key(sha256.New, v.master, nil, info, keyBytes)
	if err != nil {
		panic("vault: " + err.Error()) // only for an output longer than HKDF can give
	}
	v.derived.Store(info, key)
	return key
}
