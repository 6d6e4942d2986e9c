package main

import (
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"yidang/domain/notary"
	"yidang/domain/notary/keyfile"
	"yidang/domain/record"
)

// openNotary opens the log of proofs over the journal.
func (c *core) openNotary(p *program) (*notary.Notary, error) {
	key, err := c.notaryKey(p)
	if err != nil {
		return nil, err
	}
	signer, err := note.NewSigner(key.Signer())
	if err != nil {
		return nil, fmt.Errorf("notary.key_file: %w", err)
	}
	o := notary.Options{Journal: c.journal, Dir: filepath.Join(p.config.domainDir(), "notary"), Signer: signer, Metrics: notary.NewMetrics(c.registry), Log: p.log}
	if o.Keys, err = verifiers(key.Verifier() + "," + p.config.Notary.Keys); err != nil {
		return nil, err
	}
	if o.Policy, err = readPolicy(p.config.Notary.Policy); err != nil {
		return nil, err
	}
	n, err := notary.Open(p.ctx, o)
	if err != nil {
		return nil, noProofs{err}
	}
	c.closers = append(c.closers, n.Close)
	return n, nil
}

// noProofs is why the notary's own file cannot be used. Casework goes on without proofs then; /readyz and the log say so.
type noProofs struct{ error }

func (e noProofs) Unwrap() error { return e.error }

// notaryKey reads the signing key, or makes it. Its name is the log's origin: without a configured one it is derived from
// the vault, so that two installations never have the same.
func (c *core) notaryKey(p *program) (keyfile.Key, error) {
	origin := p.config.Notary.Origin
	if origin == "" {
		origin = "yidang.local/" + hex.EncodeToString(c.vault.MAC("notary origin")[:6])
	}
	return keyfile.Load(p.config.notaryKeyFile(), origin, keyfile.Log)
}

func (c Config) notaryKeyFile() string {
	if c.Notary.KeyFile != "" {
		return c.Notary.KeyFile
	}
	return filepath.Join(c.domainDir(), "notary.key")
}

func verifiers(list string) (keys []note.Verifier, err error) {
	for _, text := range strings.Split(list, ",") {
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		v, err := note.NewVerifier(text)
		if err != nil {
			return nil, (&record.Problem{Kind: record.Invalid, Message: fmt.Sprintf("verifier key %q cannot be read", text), Zh: "公钥无法识别",
				Rule: "C2SP signed-note", Remedy: "give the first line that yidang key prints, whole: name+hash+key"}).Because(err)
		}
		keys = append(keys, v)
	}
	return keys, nil
}

func readPolicy(path string) (*notary.Policy, error) {
	if path == "" {
		return nil, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("notary.policy: %w", err)
	}
	policy, err := notary.ParsePolicy(text)
	if err != nil {
		return nil, fmt.Errorf("notary.policy %s: %w", path, err)
	}
	return policy, nil
}
