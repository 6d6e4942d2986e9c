package notary

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"

	"yidang/domain/notary/keyfile"
)

// cast is a log and some witnesses that sign in tests.
type cast struct {
	log       keyfile.Key
	logSigner note.Signer
	witnesses []*torchwood.CosignatureSigner
}

func newCast(t testing.TB, witnesses int) *cast {
	c := &cast{log: makeKey(t)}
	c.logSigner = signer(t, c.log)
	for i := range witnesses {
		k, err := keyfile.Load(filepath.Join(t.TempDir(), "w"), fmt.Sprintf("w%d.example/w", i), keyfile.Witness)
		if err != nil {
			t.Fatal(err)
		}
		s, err := torchwood.NewCosignatureSigner(k.Name, k.Private)
		if err != nil {
			t.Fatal(err)
		}
		c.witnesses = append(c.witnesses, s)
	}
	return c
}

// policy replaces L and W0, W1, … by lines with their keys.
func (c *cast) policy(text string) []byte {
	text = strings.ReplaceAll(text, "L\n", "log "+c.log.Verifier()+"\n")
	for i, w := range c.witnesses {
		text = strings.ReplaceAll(text, fmt.Sprintf("W%d\n", i), fmt.Sprintf("witness w%d %s\n", i, w.Verifier()))
	}
	return []byte(text)
}

func (c *cast) checkpoint(t interface{ Fatal(...any) }, by ...int) []byte {
	signers := []note.Signer{c.logSigner}
	for _, i := range by {
		signers = append(signers, c.witnesses[i])
	}
	signed, err := note.Sign(&note.Note{Text: torchwood.Checkpoint{Origin: origin, Tree: tlog.Tree{N: 1}}.String()}, signers...)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// Ensure that what the specification forbids is refused, and what it allows is read.
func TestParsePolicy(t *testing.T) {
	c := newCast(t, 3)
	for text, ok := range map[string]bool{
		"quorum none\n":                              true,
		"L\nquorum none\n":                           true,
		"# nothing\n \t \n\t# x\nquorum none":        true,
		"W0\nquorum w0\n":                            true,
		"W0\nW1\nW2\ngroup g 2 w0 w1 w2\nquorum g\n": true,
		"W0\nW1\nW2\ngroup g any w0 w1\ngroup h all g w2\nquorum h\n": true,
		"W0\nquorum none\n":                     true,
		"  W0\n\tquorum\tw0  \n":                true,
		"":                                      false,
		"L\n":                                   false,
		"quorum none\nquorum none\n":            false,
		"quorum w0\nW0\n":                       false,
		"quorum unknown\n":                      false,
		"W0\nW0\nquorum w0\n":                   false,
		"L\nL\nquorum none\n":                   false,
		"W0\ngroup w0 any w0\nquorum w0\n":      false,
		"W0\ngroup none any w0\nquorum none\n":  false,
		"W0\ngroup g any none\nquorum g\n":      false,
		"W0\nW1\ngroup g any w0 w0\nquorum g\n": false,
		"W0\nW1\ngroup g any w0\ngroup h any w0\nquorum g\n":            false,
		"W0\ngroup g 0 w0\nquorum g\n":                                  false,
		"W0\ngroup g 2 w0\nquorum g\n":                                  false,
		"W0\ngroup g 01 w0\nquorum g\n":                                 false,
		"W0\ngroup g all\nquorum g\n":                                   false,
		"group g all x\nquorum g\n":                                     false,
		"quorum none extra\n":                                           false,
		"quorum\n":                                                      false,
		"quorum none\r\n":                                               false,
		"quorum none\x00\n":                                             false,
		"# \x01\nquorum none\n":                                         false,
		"policy x\nquorum none\n":                                       false,
		"log nonsense\nquorum none\n":                                   false,
		"witness a nonsense\nquorum none\n":                             false,
		"quorum none # nothing\n":                                       false,
		"witness a " + c.log.Verifier() + "\nquorum none\n":             false,
		"log " + c.witnesses[0].Verifier().String() + "\nquorum none\n": false,
		"witness a " + c.witnesses[0].Verifier().String() + " https://a.example/w\nquorum a\n": true,
		"W0\nwitness other " + c.witnesses[0].Verifier().String() + "\nquorum w0\n":            false,
	} {
		if p, err := ParsePolicy(c.policy(text)); (err == nil) != ok {
			t.Errorf("%q: %v", text, err)
		} else if ok && len(p.Witnesses) == 1 && strings.Contains(text, "https") && p.Witnesses[0].URL != "https://a.example/w" {
			t.Errorf("%+v", p.Witnesses)
		}
	}
}

// Ensure that random policies want what another implementation thinks they want.
func TestPolicyProperties(t *testing.T) {
	c := newCast(t, 6)
	rapid.Check(t, func(t *rapid.T) {
		text, free := "L\n", []string{}
		for i := range c.witnesses {
			text += fmt.Sprintf("W%d\n", i)
			free = append(free, fmt.Sprintf("w%d", i))
		}
		for g := 0; len(free) > 1 && rapid.Bool().Draw(t, "another group"); g++ {
			n := rapid.IntRange(1, len(free)).Draw(t, "members")
			k := rapid.SampledFrom([]string{"any", "all", fmt.Sprint(rapid.IntRange(1, n).Draw(t, "k"))}).Draw(t, "threshold")
			text += fmt.Sprintf("group g%d %s %s\n", g, k, strings.Join(free[:n], " "))
			free = append(free[n:], fmt.Sprintf("g%d", g))
		}
		text += "quorum " + rapid.SampledFrom(append(free, "none")).Draw(t, "quorum") + "\n"
		ours, err := ParsePolicy(c.policy(text))
		if err != nil {
			t.Fatal(text, err)
		}
		theirs, err := torchwood.ParsePolicy(c.policy(text))
		if err != nil {
			t.Fatal(text, err)
		}
		var by []int
		for i := range c.witnesses {
			if rapid.Bool().Draw(t, "cosigns") {
				by = append(by, i)
			}
		}
		signed := c.checkpoint(t, by...)
		_, ourErr := OpenCheckpoint(signed, ours)
		_, _, theirErr := torchwood.VerifyCheckpoint(signed, theirs)
		if (ourErr == nil) != (theirErr == nil) {
			t.Fatalf("%s\ncosigned by %v: we say %v, they say %v", text, by, ourErr, theirErr)
		}
		if ourErr != nil && !errors.As(ourErr, new(*QuorumError)) {
			t.Fatal(ourErr)
		}
	})
}

// Ensure that any of several keys of a log is enough, as after a change of keys, and that unknown signatures do not hurt.
func TestSecondSignature(t *testing.T) {
	c := newCast(t, 1)
	other := makeKey(t)
	both := (*Policy)(nil).WithLogs(publicKey(t, c.log), publicKey(t, other))
	signed := c.checkpoint(t, 0)
	if _, err := OpenCheckpoint(signed, both); err != nil {
		t.Error(err)
	}
	if _, err := OpenCheckpoint(signed, (*Policy)(nil).WithLogs(publicKey(t, other))); err == nil {
		t.Error("a checkpoint of an unknown key is accepted")
	}
	w := start(t)
	o := w.options()
	o.Also = []note.Signer{signer(t, other)}
	n := w.run(o)
	w.add(1)
	n.signedAll(1)
	signed, _, _ = n.Checkpoint()
	if strings.Count(string(signed), "\n— ") != 2 {
		t.Errorf("%s", signed)
	}
	for _, k := range []keyfile.Key{w.key, other} {
		if _, err := OpenCheckpoint(signed, (*Policy)(nil).WithLogs(publicKey(t, k))); err != nil {
			t.Error(err)
		}
	}
}

// Ensure that each signature has one spelling: base64 leaves bits over that a decoder does not look at.
func TestStrictSignatures(t *testing.T) {
	c := newCast(t, 0)
	signed := c.checkpoint(t)
	policy := (*Policy)(nil).WithLogs(publicKey(t, c.log))
	if _, err := OpenCheckpoint(signed, policy); err != nil {
		t.Fatal(err)
	}
	for i := range signed {
		changes := []byte{1, 0x20, 0x80}
		if i > len(signed)-8 { // the end of the base64, where bits are left over
			changes = changes[:0]
			for c := range 255 {
				changes = append(changes, byte(c+1))
			}
		}
		for _, change := range changes {
			other := append([]byte(nil), signed...)
			other[i] ^= change
			if _, err := OpenCheckpoint(other, policy); err == nil {
				t.Fatalf("byte %d may be %q", i, other[i])
			}
		}
	}
}

func FuzzPolicy(f *testing.F) {
	c := newCast(f, 3)
	f.Add(c.policy("L\nW0\nW1\nW2\ngroup g 2 w0 w1\ngroup h all g w2\nquorum h\n"))
	f.Add([]byte("quorum none"))
	signed := c.checkpoint(f, 0, 1)
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := ParsePolicy(text)
		if err != nil {
			return
		}
		if _, err := OpenCheckpoint(signed, p); err == nil && len(p.Logs) == 0 {
			t.Errorf("%q accepts a checkpoint of no log", text)
		}
	})
}
