package keyfile

import (
	"os"
	"path/filepath"
	"sync"
	"testing"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"

	"yidang/domain/record"
)

// Ensure that a key is made once, is its owner's only, and that other programs take both its halves.
func TestLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log.key")
	var keys [8]Key
	var group sync.WaitGroup
	for i := range keys {
		group.Go(func() {
			var err error
			if keys[i], err = Load(path, "yidang.example/township", Log); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	for _, k := range keys {
		if k.Signer() != keys[0].Signer() {
			t.Fatal("two keys were made")
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Error(info, err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".key-*")); len(left) > 0 {
		t.Error("private keys are left behind:", left)
	}
	s, v, err := keys[0].Note()
	if err != nil {
		t.Fatal(err)
	}
	signed, err := note.Sign(&note.Note{Text: "x\n"}, s)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := note.Open(signed, note.VerifierList(v)); err != nil {
		t.Error(err)
	}
	w, err := Load(filepath.Join(t.TempDir(), "w.key"), "w.example/w", Witness)
	if err != nil {
		t.Fatal(err)
	}
	cosigner, err := torchwood.NewCosignatureSigner(w.Name, w.Private)
	if err != nil || cosigner.Verifier().String() != w.Verifier() {
		t.Error(w.Verifier(), err)
	}
}

// Ensure that what is not this key is refused.
func TestRefused(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "k")
	if _, err := Load(path, "a.example/log", Log); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		kind Kind
	}{{"b.example/log", Log}, {"a.example/log", Witness}, {"", Log}, {"a b", Log}, {"a+b", Log}, {"a\n", Log}} {
		if _, err := Load(path, c.name, c.kind); record.KindOf(err) != record.Invalid {
			t.Errorf("%q: %v", c.name, err)
		}
	}
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range len(good) - 1 {
		bad := append([]byte(nil), good...)
		bad[i] ^= 2
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		if k, err := Load(path, "a.example/log", Log); err == nil && k.Signer()+"\n" == string(good) {
			t.Errorf("byte %d does not matter", i)
		} else if err == nil {
			t.Errorf("with byte %d changed it is another key", i)
		}
	}
	if err := os.WriteFile(path, good, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path, "a.example/log", Log); err == nil {
		t.Error("a key that others may read is taken")
	}
}
