package vault

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/tink-crypto/tink-go/v2/tink"

	"yidang/domain/record"
)

// Wrapper encrypts the vault's root with a key that is kept elsewhere. A KMS client fits: ID is then the resource name of
// the key. ID must not be secret; the vault stores it in the clear to be able to say which wrapper it needs.
type Wrapper interface {
	Wrap(ctx context.Context, key, aad []byte) ([]byte, error)
	Unwrap(ctx context.Context, wrapped, aad []byte) ([]byte, error)
	ID() string
}

const keyFileHeader = "yidang-key-1 "

// KeyFile is the wrapper of a single machine: a random AES-256 key in a file of mode 0600, made when it is missing. A file
// that others may read is refused, for then it protects nothing.
func KeyFile(path string) (Wrapper, error) {
	err := createKeyFile(path)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("create key file: %w", err)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open key file: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("open key file: %w", err)
	}
	if !info.Mode().IsRegular() || info.Mode().Perm()&0o077 != 0 {
		p := record.Errorf(record.Refused, "key file %s has mode %v; others must not be able to read it", path, info.Mode())
		p.Remedy = "chmod 600 " + path
		return nil, p
	}
	text := make([]byte, 256)
	n, err := f.Read(text)
	if err != nil {
		return nil, fmt.Errorf("read key file %s: %w", path, err)
	}
	encoded, ok := strings.CutPrefix(string(text[:n]), keyFileHeader)
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(encoded))
	if !ok || err != nil || len(raw) != keyBytes {
		return nil, record.Errorf(record.Invalid, "%s is not a key file, or is damaged; restore it from its backup", path)
	}
	aead, err := newAEAD(raw)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(append([]byte("yidang key file id\x00"), raw...))
	return &keyFile{aead: aead, id: "keyfile:" + hex.EncodeToString(sum[:8])}, nil
}

// createKeyFile writes the key beside its place and links it there, so that the file is never seen half written and
// never replaced: of two processes that start at once, one gets fs.ErrExist.
func createKeyFile(path string) error {
	if _, err := os.Stat(path); err == nil {
		return fs.ErrExist
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".key-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	raw := make([]byte, keyBytes)
	rand.Read(raw)
	_, err = f.WriteString(keyFileHeader + base64.StdEncoding.EncodeToString(raw) + "\n")
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

type keyFile struct {
	aead tink.AEAD
	id   string
}

func (k *keyFile) ID() string { return k.id }

func (k *keyFile) Wrap(_ context.Context, key, aad []byte) ([]byte, error) {
	return k.aead.Encrypt(key, aad)
}

func (k *keyFile) Unwrap(_ context.Context, wrapped, aad []byte) ([]byte, error) {
	return k.aead.Decrypt(wrapped, aad)
}

// syncDir makes the names in a directory durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
