package notary

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"

	"yidang/domain/record"
)

// Policy says which checkpoints count: signed by one of the logs' keys and cosigned by a quorum of the witnesses. Its text
// form is C2SP tlog-policy. It implements torchwood.Policy.
type Policy struct {
	Logs      []note.Verifier
	Witnesses []Witness
	quorum    torchwood.Policy // nil: none is needed
}

// Witness is one that a policy names. URL is its submission prefix, empty where the policy is for verifying only.
type Witness struct {
	Name string
	Key  *torchwood.CosignatureVerifier
	URL  string
}

// QuorumError is the error of a checkpoint of the log that too few witnesses have cosigned.
type QuorumError struct{ cause error }

func (e *QuorumError) Error() string {
	return "the quorum of witnesses is not reached: " + e.cause.Error()
}
func (e *QuorumError) Unwrap() error { return e.cause }

// WithLogs is the policy with these keys of the log in place of its own; a nil policy asks for no witness.
func (p *Policy) WithLogs(keys ...note.Verifier) *Policy {
	with := &Policy{Logs: keys}
	if p != nil {
		with.Witnesses, with.quorum = p.Witnesses, p.quorum
	}
	return with
}

// NeedsWitnesses is false when no cosignature is needed.
func (p *Policy) NeedsWitnesses() bool { return p != nil && p.quorum != nil }

// Verifier implements note.Verifiers.
func (p *Policy) Verifier(name string, hash uint32) (note.Verifier, error) {
	for _, v := range p.Logs {
		if v.Name() == name && v.KeyHash() == hash {
			return v, nil
		}
	}
	for _, w := range p.Witnesses {
		if w.Key.Name() == name && w.Key.KeyHash() == hash {
			return w.Key, nil
		}
	}
	return nil, &note.UnknownVerifierError{Name: name, KeyHash: hash}
}

// Check says whether verified signatures are enough for a checkpoint of an origin; a *QuorumError when only cosignatures
// are missing.
func (p *Policy) Check(origin string, sigs []note.Signature) error {
	if !slices.ContainsFunc(p.Logs, func(v note.Verifier) bool {
		return v.Name() == origin && slices.ContainsFunc(sigs, func(s note.Signature) bool { return s.Name == v.Name() && s.Hash == v.KeyHash() })
	}) {
		return fmt.Errorf("no accepted key of the log %q has signed", origin)
	}
	if p.quorum != nil {
		if err := p.quorum.Check(origin, sigs); err != nil {
			return &QuorumError{err}
		}
	}
	return nil
}

// OpenCheckpoint verifies a signed checkpoint. Only one spelling of it is accepted: a changed byte anywhere but in the
// signature lines of keys that the policy does not know is found.
func OpenCheckpoint(signed []byte, p *Policy) (torchwood.Checkpoint, error) {
	if err := strictSignatures(signed); err != nil {
		return torchwood.Checkpoint{}, err
	}
	c, n, err := torchwood.VerifyCheckpoint(signed, p)
	if err != nil {
		return c, fmt.Errorf("checkpoint: %w", err)
	}
	if n.Text != c.String() {
		return c, fmt.Errorf("checkpoint: not in its one form")
	}
	return c, nil
}

// OriginOf reads which log a checkpoint says that it is of. It verifies nothing.
func OriginOf(signed []byte) (string, error) {
	text, _, ok := bytes.Cut(signed, []byte("\n\n"))
	c, err := torchwood.ParseCheckpoint(string(text) + "\n")
	if !ok || err != nil {
		return "", fmt.Errorf("it is not a signed checkpoint")
	}
	return c.Origin, nil
}

// open verifies a checkpoint of this log, whoever cosigned it.
func (n *Notary) open(signed []byte) (torchwood.Checkpoint, error) {
	return OpenCheckpoint(signed, (*Policy)(nil).WithLogs(n.Keys...))
}

// strictSignatures refuses base64 that another text would decode to as well.
func strictSignatures(signed []byte) error {
	i := bytes.LastIndex(signed, []byte("\n\n"))
	if i < 0 {
		return fmt.Errorf("checkpoint: no signature")
	}
	for line := range bytes.Lines(signed[i+2:]) {
		_, b64, _ := bytes.Cut(bytes.TrimPrefix(line, []byte("— ")), []byte(" "))
		raw, err := base64.StdEncoding.Strict().DecodeString(strings.TrimSuffix(string(b64), "\n"))
		if err != nil || base64.StdEncoding.EncodeToString(raw)+"\n" != string(b64) {
			return fmt.Errorf("checkpoint: a signature is not proper base64")
		}
	}
	return nil
}

// ParsePolicy reads a policy as C2SP tlog-policy defines it. Keys must be Ed25519: of type 1 for logs, 4 for witnesses.
func ParsePolicy(text []byte) (*Policy, error) {
	r := policyReader{policy: &Policy{}, parts: map[string]torchwood.Policy{}, members: map[string]bool{}, keys: map[string]bool{}}
	for i, line := range bytes.Split(text, []byte("\n")) {
		for _, b := range line {
			if b < 0x20 && b != '\t' || b == 0x7f {
				return nil, record.Errorf(record.Invalid, "policy, line %d: a control character", i+1)
			}
		}
		// Space and tab only: what else counts as white space is not for a policy to depend on.
		fields := strings.FieldsFunc(string(line), func(r rune) bool { return r == ' ' || r == '\t' })
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		if err := r.line(fields); err != nil {
			return nil, record.Errorf(record.Invalid, "policy, line %d: %w", i+1, err)
		}
	}
	if r.quorum == "" {
		return nil, record.Errorf(record.Invalid, "policy: it has no quorum line")
	}
	return r.policy, nil
}

type policyReader struct {
	policy  *Policy
	parts   map[string]torchwood.Policy // witnesses and groups by name
	members map[string]bool             // names that a group has
	keys    map[string]bool             // by kind and public key
	quorum  string
}

func (r *policyReader) line(f []string) error {
	switch {
	case f[0] == "log" && (len(f) == 2 || len(f) == 3):
		v, err := note.NewVerifier(f[1])
		if err != nil {
			return fmt.Errorf("the log's key: %w", err)
		}
		r.policy.Logs = append(r.policy.Logs, v)
		return r.once("log", f[1])
	case f[0] == "witness" && (len(f) == 3 || len(f) == 4):
		return r.witness(f[1], f[2], strings.Join(f[3:], ""))
	case f[0] == "group" && len(f) >= 4:
		return r.group(f[1], f[2], f[3:])
	case f[0] == "quorum" && len(f) == 2:
		if r.quorum != "" {
			return fmt.Errorf("a second quorum")
		}
		r.quorum = f[1]
		part, ok := r.parts[f[1]]
		if !ok && f[1] != "none" {
			return fmt.Errorf("nothing above is named %q", f[1])
		}
		r.policy.quorum = part
		return nil
	}
	return fmt.Errorf("%q: not a log, witness, group or quorum line", strings.Join(f, " "))
}

func (r *policyReader) witness(name, vkey, url string) error {
	v, err := torchwood.NewCosignatureVerifier(vkey)
	if err != nil {
		return fmt.Errorf("the key of witness %q: %w", name, err)
	}
	r.policy.Witnesses = append(r.policy.Witnesses, Witness{name, v, url})
	if err := r.once("witness", vkey); err != nil {
		return err
	}
	return r.name(name, torchwood.SingleVerifierPolicy(v))
}

// once refuses a public key that an earlier line of this kind has, under whatever name.
func (r *policyReader) once(kind, vkey string) error {
	parts := strings.SplitN(vkey, "+", 3) // name, id, key; the key may have a plus too
	if key := kind + parts[2]; r.keys[key] {
		return fmt.Errorf("an earlier %s has this key", kind)
	} else {
		r.keys[key] = true
	}
	return nil
}

func (r *policyReader) name(name string, part torchwood.Policy) error {
	if _, taken := r.parts[name]; taken || name == "none" {
		return fmt.Errorf("the name %q is taken", name)
	}
	r.parts[name] = part
	return nil
}

func (r *policyReader) group(name, threshold string, members []string) error {
	k, err := 0, error(nil)
	switch threshold {
	case "all":
		k = len(members)
	case "any":
		k = 1
	default:
		if k, err = strconv.Atoi(threshold); err != nil || k < 1 || k > len(members) || strconv.Itoa(k) != threshold {
			return fmt.Errorf("the threshold %q is not one of 1 to %d, any, all", threshold, len(members))
		}
	}
	var parts []torchwood.Policy
	for _, m := range members {
		part, ok := r.parts[m]
		if !ok {
			return fmt.Errorf("nothing above is named %q", m)
		}
		if r.members[m] {
			return fmt.Errorf("%q is in a group already", m)
		}
		r.members[m] = true
		parts = append(parts, part)
	}
	return r.name(name, torchwood.ThresholdPolicy(k, parts...))
}
