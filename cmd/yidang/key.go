package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"yidang/domain/notary/keyfile"
	"yidang/domain/record"
)

// keyCmd tells what an outsider must know to check anything.
type keyCmd struct{}

func (keyCmd) Help() string {
	return `Prints the verifier key of the log of proofs, and its fingerprint. Whoever is to check dossiers, proofs or the whole
record is told the key once, in a way that does not lead through this machine; a fingerprint can be read out by telephone.
The first line is the key alone. The key is made when there is none yet.

Example:
  yidang key`
}

// Run prints the key.
func (keyCmd) Run(p *program) error {
	key, found, err := ownKey(p.config)
	if err == nil && !found {
		key, err = makeKey(p)
	}
	if err != nil {
		return err
	}
	vkey := key.Verifier()
	_, err = fmt.Fprintf(p.out, "%s\n%s\n  SHA-256 of the line above it (printf %%s KEY | sha256sum)\nlog %s\n  the line of a tlog-policy\n", vkey, fingerprint(vkey), vkey)
	return err
}

// ownKey reads the log's signing key from the data folder, which a server may be using. It makes none: found is false.
func ownKey(c Config) (key keyfile.Key, found bool, err error) {
	text, err := os.ReadFile(c.notaryKeyFile())
	if errors.Is(err, fs.ErrNotExist) {
		return key, false, nil
	}
	if err != nil {
		return key, false, err
	}
	name := ""
	if f := strings.Split(string(text), "+"); len(f) > 2 {
		name = f[2]
	}
	key, err = keyfile.Load(c.notaryKeyFile(), name, keyfile.Log)
	return key, err == nil, err
}

// makeKey makes the key of a record that was never signed.
func makeKey(p *program) (key keyfile.Key, err error) {
	if err := hasRecord(p.config); err != nil {
		return key, err
	}
	c, err := openCore(p, nil)
	if err != nil {
		return key, err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	return c.notaryKey(p)
}

// hasRecord refuses where there is no record: what only reads is not to begin one, nor to make a key in place of a lost one.
func hasRecord(c Config) error {
	_, err := os.Stat(c.keyFile())
	if errors.Is(err, fs.ErrNotExist) {
		return &record.Problem{Kind: record.NotFound, Field: "data", Message: "there is no record here: " + c.keyFile() + " is missing", Zh: "此处没有档案库",
			Remedy: "name the data folder with data = \"…\" or YIDANG_DATA; if the key was kept elsewhere, vault.key_file"}
	}
	return err
}

// fingerprint is SHA-256 of a verifier key, in groups that can be read out.
func fingerprint(vkey string) string {
	sum := sha256.Sum256([]byte(vkey))
	text := hex.EncodeToString(sum[:])
	var groups []string
	for ; text != ""; text = text[4:] {
		groups = append(groups, text[:4])
	}
	return strings.Join(groups, " ")
}
