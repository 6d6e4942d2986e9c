package auth

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"

	"yidang/domain/record"
)

// The first choice of OWASP's password storage cheat sheet for argon2id: 19 MiB, two passes, one lane. A hash says which
// parameters made it, so they may be raised later without locking anybody out.
const (
	hashMemory  = 19 * 1024 // KiB
	hashTime    = 2
	hashThreads = 1
	saltBytes   = 16
	keyBytes    = 32
)

// Bounds of a password, in characters.
const (
	MinPassword = 10
	MaxPassword = 128
)

// queueTime is how long a sign-in waits for its turn at the hash.
const queueTime = 5 * time.Second

// Refusals about passwords.
var (
	ErrWeak = &record.Problem{Kind: record.Invalid, Field: "new", Rule: "PIPL 51", Message: "the password is too easy to guess",
		Zh: "密码过于简单", Remedy: "use at least 10 characters of several kinds, without your sign-in name"}
	ErrBusy = &record.Problem{Kind: record.Unavailable, Message: "too many people sign in at this moment", Zh: "当前登录人数过多", Remedy: "try again in a few seconds"}
)

// Hasher makes and checks password hashes, a bounded number at a time: each one costs 19 MiB and tens of milliseconds of a
// processor, which whoever floods the sign-in page would otherwise take from casework.
type Hasher struct{ turns chan struct{} }

// NewHasher allows so many hashes at a time.
func NewHasher(parallel int) *Hasher { return &Hasher{turns: make(chan struct{}, max(1, parallel))} }

func (h *Hasher) turn(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, queueTime)
	defer cancel()
	select {
	case h.turns <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ErrBusy.Because(ctx.Err())
	}
}

// Hash makes the stored form of a password: a PHC string.
func (h *Hasher) Hash(ctx context.Context, password string) (string, error) {
	if err := h.turn(ctx); err != nil {
		return "", err
	}
	defer func() { <-h.turns }()
	salt := make([]byte, saltBytes)
	rand.Read(salt) // never fails: crypto/rand ends the process instead
	key := argon2.IDKey([]byte(password), salt, hashTime, hashMemory, hashThreads, keyBytes)
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, hashMemory, hashTime, hashThreads,
		base64.RawStdEncoding.EncodeToString(salt), base64.RawStdEncoding.EncodeToString(key)), nil
}

// Verify tells whether the password made the stored form. An empty or unreadable stored form takes as long as any other
// and is never right.
func (h *Hasher) Verify(ctx context.Context, stored, password string) (bool, error) {
	p, ok := parsePHC(stored)
	if !ok {
		p = phc{memory: hashMemory, time: hashTime, threads: hashThreads, salt: make([]byte, saltBytes), key: make([]byte, keyBytes)}
	}
	if err := h.turn(ctx); err != nil {
		return false, err
	}
	defer func() { <-h.turns }()
	key := argon2.IDKey([]byte(password), p.salt, p.time, p.memory, p.threads, uint32(len(p.key)))
	return subtle.ConstantTimeCompare(key, p.key) == 1 && ok, nil
}

type phc struct {
	memory, time uint32
	threads      uint8
	salt, key    []byte
}

// parsePHC reads a stored form, within bounds: what is stored must not be able to ask for any amount of memory.
func parsePHC(s string) (p phc, ok bool) {
	parts := strings.Split(s, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return p, false
	}
	if n, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &p.memory, &p.time, &p.threads); n != 3 || err != nil {
		return p, false
	}
	if p.memory < 8 || p.memory > 256*1024 || p.time < 1 || p.time > 16 || p.threads < 1 || p.threads > 8 {
		return p, false
	}
	var err error
	if p.salt, err = base64.RawStdEncoding.Strict().DecodeString(parts[4]); err != nil || len(p.salt) < 8 || len(p.salt) > 64 {
		return p, false
	}
	if p.key, err = base64.RawStdEncoding.Strict().DecodeString(parts[5]); err != nil || len(p.key) < 16 || len(p.key) > 64 {
		return p, false
	}
	return p, true
}

// common lists what people choose when length is all that is asked.
var common = []string{"1234567890", "0123456789", "password", "qwertyuiop", "iloveyou", "admin", "yidang", "woaini", "5201314", "88888888", "66666666"}

// CheckPassword refuses passwords that are guessed first. Length counts more than kinds of characters.
func CheckPassword(password, login string) error {
	n := utf8.RuneCountInString(password)
	if n < MinPassword || n > MaxPassword || !utf8.ValidString(password) {
		p := *ErrWeak
		p.Message, p.Zh = fmt.Sprintf("a password has %d to %d characters", MinPassword, MaxPassword), fmt.Sprintf("密码应为 %d 至 %d 个字符", MinPassword, MaxPassword)
		return &p
	}
	lower := strings.ToLower(password)
	for _, word := range append([]string{strings.ToLower(login)}, common...) {
		// A guessable word is no harm inside a long password.
		if word != "" && len(word) >= 3 && strings.Contains(lower, word) && n-utf8.RuneCountInString(word) < 8 {
			return ErrWeak
		}
	}
	seen := map[rune]bool{}
	for _, r := range password {
		seen[r] = true
	}
	if len(seen) < 5 {
		return ErrWeak
	}
	return nil
}

// alphabet leaves out what is misread on paper: 0 O 1 l I.
const alphabet = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"

// RandomPassword makes a password to hand over on paper: 16 characters, 93 bits.
func RandomPassword() string {
	out := make([]byte, 0, 16)
	var b [1]byte
	for len(out) < 16 {
		rand.Read(b[:])
		if i := int(b[0]); i < 256/len(alphabet)*len(alphabet) { // no character likelier than another
			out = append(out, alphabet[i%len(alphabet)])
		}
	}
	return string(out)
}
