package auth

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
)

// Ensure that a hash fits its password and no other, that no two are the same, and that what cannot be read is never right.
func TestHash(t *testing.T) {
	h := NewHasher(1)
	ctx := context.Background()
	one, err := h.Hash(ctx, "远山 correct horse")
	if err != nil {
		t.Fatal(err)
	}
	two, _ := h.Hash(ctx, "远山 correct horse")
	if one == two || !strings.HasPrefix(one, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("%s and %s", one, two)
	}
	for stored, want := range map[string]bool{one: true, two: true, "": false, "$argon2id$": false, strings.Replace(one, "argon2id", "argon2i", 1): false,
		strings.Replace(one, "m=19456", "m=99999999", 1): false, strings.Replace(one, "t=2", "t=3", 1): false, one[:len(one)-2]: false} {
		if got, err := h.Verify(ctx, stored, "远山 correct horse"); got != want || err != nil {
			t.Errorf("%s: %t, %v", stored, got, err)
		}
	}
	if ok, _ := h.Verify(ctx, one, "远山 correct hors"); ok {
		t.Error("another password is right")
	}
}

// Ensure that a sign-in that cannot have its turn ends when its caller goes, instead of piling up.
func TestHashTurns(t *testing.T) {
	h := NewHasher(1)
	h.turns <- struct{}{}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := h.Verify(ctx, "", "x"); err == nil {
		t.Error("it had a turn that somebody else holds")
	}
}

// Ensure that easy passwords are refused and hard ones are not.
func TestCheckPassword(t *testing.T) {
	for password, ok := range map[string]bool{
		"short": false, "abcdefghij": true, "aaaabbbbcccc": false, "1234567890": false, "li.jianguo1": false, "my li.jianguo horse stapler": true, "Password99": false,
		"远山近水一片云天外有天": true, strings.Repeat("abcdef", 30): false, "abc\xff\xfedefghijk": false,
	} {
		if err := CheckPassword(password, "li.jianguo"); (err == nil) != ok {
			t.Errorf("%q: %v", password, err)
		}
	}
	for range 100 {
		if p := RandomPassword(); CheckPassword(p, "") != nil || strings.ContainsAny(p, "0O1lI") {
			t.Errorf("random password %q", p)
		}
	}
}

// Ensure that a session token opens to what was sealed, by the same key alone.
func TestSessionToken(t *testing.T) {
	s, err := newSeals(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	other, _ := newSeals(bytes.Repeat([]byte{8}, 32))
	in := Session{ID: uuid.New(), Officer: uuid.New(), SignedIn: time.UnixMilli(1_790_000_000_123), Expires: time.UnixMilli(1_790_043_200_123)}
	token := s.seal(in)
	if out, ok := s.open(token); !ok || out != in {
		t.Errorf("opened %+v", out)
	}
	if _, ok := other.open(token); ok {
		t.Error("another key opens it")
	}
	if s.seal(in) == token {
		t.Error("two seals of one session are the same")
	}
	if _, err := newSeals([]byte("short")); err == nil {
		t.Error("a short key is accepted")
	}
}

// FuzzTokens reads anything as a session, a personal token and a stored hash: none panics, no session opens that was not
// sealed here, and no stored hash asks for more than the bounds.
func FuzzTokens(f *testing.F) {
	s, err := newSeals(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		f.Fatal(err)
	}
	known := uuid.MustParse("5f0c2f38-6b0e-4a52-9a39-3f3a3f2f9d11") // workers are processes of their own: what they seal differs
	sealed := s.seal(Session{ID: known})
	text, _ := newToken(uuid.New(), uuid.New())
	for _, seed := range []string{sealed, text, "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "$argon2id$v=19$m=-1,t=0,p=999$$"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) {
		if got, ok := s.open(in); ok && got.ID != known {
			t.Errorf("%q opens to %+v", in, got)
		}
		if p, ok := parsePHC(in); ok && (p.memory > 256*1024 || p.time > 16 || p.threads > 8) {
			t.Errorf("%q asks for too much", in)
		}
		parseToken(in)
	})
}
