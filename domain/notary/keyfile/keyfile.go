// Package keyfile keeps the Ed25519 keys of logs and witnesses: one line in a file that only its owner may read, in the
// form of golang.org/x/mod/sumdb/note ("PRIVATE+KEY+name+id+base64"). The verifier key that belongs to it, in the form of
// C2SP signed-note ("name+id+base64"), is what the world is told.
package keyfile

import (
	"crypto/ed25519"
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
	"unicode"
	"unicode/utf8"

	"golang.org/x/mod/sumdb/note"

	"yidang/domain/record"
)

// Kind is the signature type that a key is for, as C2SP numbers them. It is part of the key's id.
type Kind byte

const (
	Log     Kind = 1 // Ed25519 signatures of checkpoints
	Witness Kind = 4 // timestamped Ed25519 cosignatures
)

// Key is a private key with its name.
type Key struct {
	Name    string
	Kind    Kind
	Private ed25519.PrivateKey
}

// Load reads the key of this name and kind from a file, or makes one there when there is no file. A file that others may
// read is refused: whoever has read it can sign.
func Load(path, name string, kind Kind) (Key, error) {
	if err := CheckName(name); err != nil {
		return Key{}, err
	}
	k, err := read(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err = create(path, name, kind); err == nil {
			k, err = read(path)
		}
	}
	if err != nil {
		return Key{}, fmt.Errorf("the key in %s: %w", path, err)
	}
	if k.Name != name || k.Kind != kind {
		p := record.Errorf(record.Invalid, "the key in %s is named %q and of type %d, not %q and %d", path, k.Name, k.Kind, name, kind)
		p.Remedy = "a name is for ever: set it back, or give another key file"
		return Key{}, p
	}
	return k, nil
}

// CheckName refuses a name that signed notes cannot carry.
func CheckName(name string) error {
	if !ValidName(name) {
		return record.Errorf(record.Invalid, "%q cannot name a key: it must not be empty nor have white space or a plus sign", name)
	}
	return nil
}

// ValidName says whether signed notes can carry the name.
func ValidName(name string) bool {
	return name != "" && utf8.ValidString(name) && !strings.ContainsFunc(name, func(r rune) bool { return unicode.IsSpace(r) || r == '+' || r < 0x20 })
}

// Note is both halves of a log's key as signed notes use them.
func (k Key) Note() (note.Signer, note.Verifier, error) {
	s, err1 := note.NewSigner(k.Signer())
	v, err2 := note.NewVerifier(k.Verifier())
	return s, v, errors.Join(err1, err2)
}

// Signer is the private key in the form that note.NewSigner takes, for keys of a log.
func (k Key) Signer() string {
	return fmt.Sprintf("PRIVATE+KEY+%s+%s+%s", k.Name, k.id(), base64.StdEncoding.EncodeToString(append([]byte{byte(k.Kind)}, k.Private.Seed()...)))
}

// Verifier is the verifier key: what is published.
func (k Key) Verifier() string {
	return fmt.Sprintf("%s+%s+%s", k.Name, k.id(), base64.StdEncoding.EncodeToString(k.public()))
}

func (k Key) public() []byte {
	return append([]byte{byte(k.Kind)}, k.Private.Public().(ed25519.PublicKey)...)
}

func (k Key) id() string {
	sum := sha256.Sum256(append([]byte(k.Name+"\n"), k.public()...))
	return hex.EncodeToString(sum[:4])
}

var errForm = record.Errorf(record.Invalid, "it is not a private key of a log or a witness")

func read(path string) (Key, error) {
	info, err := os.Stat(path)
	if err != nil {
		return Key{}, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		p := record.Errorf(record.Invalid, "others than its owner may use it (mode %04o)", info.Mode().Perm())
		p.Remedy = "chmod 600, and think about who has read it"
		return Key{}, p
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return Key{}, err
	}
	rest, ok := strings.CutPrefix(strings.TrimSuffix(string(text), "\n"), "PRIVATE+KEY+")
	fields := strings.SplitN(rest, "+", 3)
	if !ok || len(fields) != 3 {
		return Key{}, errForm
	}
	raw, err := base64.StdEncoding.DecodeString(fields[2])
	if err != nil || len(raw) != 1+ed25519.SeedSize || Kind(raw[0]) != Log && Kind(raw[0]) != Witness {
		return Key{}, errForm
	}
	k := Key{fields[0], Kind(raw[0]), ed25519.NewKeyFromSeed(raw[1:])}
	if k.id() != fields[1] || !ValidName(k.Name) {
		return Key{}, errForm
	}
	return k, nil
}

// create writes a new key under a temporary name and links it into place, so that a crash leaves a whole key or none and
// of two processes that make one at once, both use the same.
func create(path, name string, kind Kind) error {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".key-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(Key{name, kind, private}.Signer() + "\n")
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
