// Package auth says who is asking. Its rules, in plain words:
//
//   - An officer signs in with a name and a password (argon2id) to a session of twelve hours, or uses a personal token.
//     A session is a sealed token: nothing of it is kept, and it is worth only what the officer's stream says at that
//     moment. Closing the account, a new password or a sign-out ends it at once; the first two end every token too.
//   - Sign-ins, failures, sign-outs, passwords and tokens are commands on the officer's stream, so the record shows them.
//   - Five wrong passwords within a quarter of an hour lock the account for another (package staff). An unknown name is
//     counted and answered alike and takes as long, so that nobody learns who has an account.
//   - A password that somebody else set opens nothing but the way to change it.
//   - What an officer may do is none of this package's business: see domain/commands.
package auth

import (
	"context"
	"crypto/subtle"
	"hash/maphash"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	lru "github.com/hashicorp/golang-lru/v2"

	"yidang/domain/commands"
	"yidang/domain/record"
	"yidang/domain/staff"
)

// Kinds of refusal beside those of package record.
const (
	Unauthenticated record.Kind = "unauthenticated"
	TooMany         record.Kind = "too-many-requests"
	MustChange      record.Kind = "password-change-required"
)

// Refusals.
var (
	ErrCredentials = &record.Problem{Kind: Unauthenticated, Message: "the sign-in name or the password is wrong", Zh: "登录名或密码错误",
		Remedy: "try again; after five wrong passwords the account is locked for fifteen minutes"}
	ErrLocked = &record.Problem{Kind: TooMany, Rule: "PIPL 51", Message: "too many wrong passwords: sign-in is locked for fifteen minutes", Zh: "密码错误次数过多，账号锁定十五分钟",
		Remedy: "wait, or ask the administrator for a new password"}
	ErrSignIn     = &record.Problem{Kind: Unauthenticated, Message: "sign in first", Zh: "请先登录", Remedy: "POST /v1/session, or send a personal token as Authorization: Bearer yd_…"}
	ErrEnded      = &record.Problem{Kind: Unauthenticated, Message: "the session or token is no longer valid", Zh: "会话或令牌已失效", Remedy: "sign in again"}
	ErrMustChange = &record.Problem{Kind: MustChange, Rule: "PIPL 51", Message: "somebody else set this password: change it first", Zh: "初始密码须先修改", Remedy: "PUT /v1/me/password"}
	ErrSamePass   = &record.Problem{Kind: record.Invalid, Field: "new", Rule: "PIPL 51", Message: "the new password is the old one", Zh: "新密码与原密码相同", Remedy: "choose another one"}
	ErrWrongOld   = &record.Problem{Kind: record.Invalid, Field: "current", Rule: "PIPL 51", Message: "the present password is wrong", Zh: "原密码错误", Remedy: "type the password you signed in with"}
	ErrBySession  = &record.Problem{Kind: record.Forbidden, Rule: "PIPL 51", Message: "a token cannot do this", Zh: "令牌不能执行此操作", Remedy: "sign in with the password"}
)

// Staff is what this package needs of the executor.
type Staff interface {
	Do(ctx context.Context, r commands.Request) (commands.Receipt, error)
	Officer(ctx context.Context, id uuid.UUID) (staff.Officer, bool, error)
	Holder(ctx context.Context, kind, value string) (uuid.UUID, bool, error)
}

// Options of a Service.
type Options struct {
	Staff    Staff
	Key      []byte           // 32 bytes that seal sessions; the same on every server of an installation
	Now      func() time.Time // the executor's clock
	Lifetime time.Duration    // of a session; 12 h by default
	Hasher   *Hasher
}

// Service proves who somebody is.
type Service struct {
	Options
	seals seals
	// turns makes attempts on one name wait for each other, so that a burst of guesses cannot pass between the check of
	// the lock and the record of a failure. It is striped: two names that share a stripe only wait for each other.
	turns [64]sync.Mutex
	seed  maphash.Seed
	// strangers counts failures of names that have no account, and of accounts whose failures cannot be recorded because
	// they have no post in force.
	strangers *lru.Cache[string, *staff.Officer]
	mu        sync.Mutex // guards what strangers points to
}

// New makes a service.
func New(o Options) (*Service, error) {
	if o.Lifetime == 0 {
		o.Lifetime = 12 * time.Hour
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Hasher == nil {
		o.Hasher = NewHasher(2)
	}
	sl, err := newSeals(o.Key)
	if err != nil {
		return nil, err
	}
	strangers, err := lru.New[string, *staff.Officer](10_000)
	if err != nil {
		return nil, err
	}
	return &Service{Options: o, seals: sl, seed: maphash.MakeSeed(), strangers: strangers}, nil
}

// Identity is who asks, as proved.
type Identity struct {
	Officer uuid.UUID
	Session uuid.UUID // zero when a token was used
	Token   uuid.UUID // zero when a session was used
	Expires time.Time
	Must    bool // change the password first
}

// Credential names the session or token, for limits.
func (i Identity) Credential() uuid.UUID {
	if i.Session != uuid.Nil {
		return i.Session
	}
	return i.Token
}

// SignIn checks a password and begins a session. from is the network address, for the record.
func (s *Service) SignIn(ctx context.Context, login, password, from string) (token string, who Identity, err error) {
	login = strings.ToLower(strings.TrimSpace(login))
	if len(login) > 64 || len(password) > 4*MaxPassword {
		return "", who, ErrCredentials
	}
	turn := &s.turns[maphash.String(s.seed, login)%uint64(len(s.turns))]
	turn.Lock()
	defer turn.Unlock()
	id, known, err := s.Staff.Holder(ctx, "login", login)
	if err != nil {
		return "", who, err
	}
	var o staff.Officer
	if known {
		if o, known, err = s.Staff.Officer(ctx, id); err != nil {
			return "", who, err
		}
	}
	now := s.Now()
	if o.Locked(now) || s.strangerLocked(login, now) {
		return "", who, ErrLocked
	}
	right, err := s.Hasher.Verify(ctx, o.Password, password) // an unknown name takes as long
	if err != nil {
		return "", who, err
	}
	if !right || !known {
		return "", who, s.failed(ctx, id, known, login, from)
	}
	token, who, err = s.begin(ctx, o, from)
	return token, who, err
}

// begin records the sign-in and makes the token. The record comes first: a session nobody can find later does not exist.
func (s *Service) begin(ctx context.Context, o staff.Officer, from string) (string, Identity, error) {
	now := s.Now()
	t := Session{ID: uuid.New(), Officer: o.ID, SignedIn: now, Expires: now.Add(s.Lifetime)}
	if err := s.do(ctx, o.ID, o.ID, "officer.record_sign_in", staff.SignedIn{Session: t.ID, From: from}); err != nil {
		return "", Identity{}, err
	}
	return s.seals.seal(t), Identity{Officer: o.ID, Session: t.ID, Expires: t.Expires, Must: o.MustChange}, nil
}

// failed counts a wrong password and gives the answer.
func (s *Service) failed(ctx context.Context, id uuid.UUID, known bool, login, from string) error {
	if known {
		switch err := s.do(ctx, id, id, "officer.record_failure", staff.SignInFailed{From: from}); {
		case err == nil:
			return ErrCredentials
		case record.KindOf(err) != record.Forbidden: // without a post nothing is recorded in one's name
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	o, ok := s.strangers.Get(login)
	if !ok {
		o = &staff.Officer{}
		s.strangers.Add(login, o)
	}
	row, _ := staff.Category.Event("officer.sign_in_failed")
	e := record.Event{Type: row.Name, Stream: staff.Stream(uuid.Nil), Data: staff.SignInFailed{}, Meta: record.Meta{RecordedAt: s.Now()}}
	f := record.File{Category: &staff.Category, Stream: e.Stream, State: o}
	if err := f.Apply(e); err != nil {
		return err
	}
	return ErrCredentials
}

func (s *Service) strangerLocked(login string, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	o, ok := s.strangers.Get(login)
	return ok && o.Locked(now)
}

func (s *Service) do(ctx context.Context, by, officer uuid.UUID, command string, input any) error {
	_, err := s.Staff.Do(ctx, commands.Request{Category: staff.Category.Name, Command: command, ID: officer, Input: input, Officer: by})
	return err
}

// BySession tells who a session token belongs to, if it still counts.
func (s *Service) BySession(ctx context.Context, token string) (Identity, error) {
	t, ok := s.seals.open(token)
	if !ok || !s.Now().Before(t.Expires) {
		return Identity{}, ErrEnded
	}
	o, known, err := s.Staff.Officer(ctx, t.Officer)
	if err != nil {
		return Identity{}, err
	}
	if !known || o.Disabled || t.SignedIn.Before(o.ValidAfter) {
		return Identity{}, ErrEnded
	}
	for _, out := range o.SignedOut {
		if out.Session == t.ID {
			return Identity{}, ErrEnded
		}
	}
	return Identity{Officer: t.Officer, Session: t.ID, Expires: t.Expires, Must: o.MustChange}, nil
}

// ByToken tells who a personal token belongs to, if it still counts.
func (s *Service) ByToken(ctx context.Context, text string) (Identity, error) {
	officer, id, ok := parseToken(text)
	if !ok {
		return Identity{}, ErrEnded
	}
	o, known, err := s.Staff.Officer(ctx, officer)
	if err != nil {
		return Identity{}, err
	}
	if !known || o.Disabled {
		return Identity{}, ErrEnded
	}
	hash := hashToken(text)
	for _, t := range o.Tokens {
		if t.ID == id && subtle.ConstantTimeCompare(t.Hash, hash) == 1 && s.Now().Before(t.Expires) {
			return Identity{Officer: officer, Token: id, Expires: t.Expires, Must: o.MustChange}, nil
		}
	}
	return Identity{}, ErrEnded
}

// SignOut ends a session before its time.
func (s *Service) SignOut(ctx context.Context, who Identity) error {
	if who.Session == uuid.Nil {
		return ErrBySession
	}
	return s.do(ctx, who.Officer, who.Officer, "officer.record_sign_out", staff.SignedOut{SignOut: staff.SignOut{Session: who.Session, Expires: who.Expires}})
}

// ChangePassword replaces the officer's own password. Every other session and every token ends with it; the one that asked goes on under a
// new token.
func (s *Service) ChangePassword(ctx context.Context, who Identity, current, next, from string) (token string, _ Identity, err error) {
	if who.Session == uuid.Nil {
		return "", who, ErrBySession
	}
	o, _, err := s.Staff.Officer(ctx, who.Officer)
	if err != nil {
		return "", who, err
	}
	turn := &s.turns[maphash.String(s.seed, o.Login)%uint64(len(s.turns))]
	turn.Lock()
	defer turn.Unlock()
	if o, _, err = s.Staff.Officer(ctx, who.Officer); err != nil {
		return "", who, err
	}
	if o.Locked(s.Now()) {
		return "", who, ErrLocked
	}
	right, err := s.Hasher.Verify(ctx, o.Password, current)
	if err != nil {
		return "", who, err
	}
	if !right { // whoever found an open session must not be able to guess on
		if err := s.failed(ctx, o.ID, true, o.Login, from); err != ErrCredentials {
			return "", who, err
		}
		return "", who, ErrWrongOld
	}
	if err := CheckPassword(next, o.Login); err != nil {
		return "", who, err
	}
	if current == next {
		return "", who, ErrSamePass
	}
	hash, err := s.Hasher.Hash(ctx, next)
	if err != nil {
		return "", who, err
	}
	if err := s.do(ctx, who.Officer, who.Officer, "officer.set_password", staff.SetPassword{Hash: hash}); err != nil {
		return "", who, err
	}
	o.MustChange = false
	return s.begin(ctx, o, from)
}

// ResetPassword gives an officer a random password, which must be changed at the next sign-in. It is returned once.
func (s *Service) ResetPassword(ctx context.Context, by Identity, post, officer uuid.UUID) (string, commands.Receipt, error) {
	r := commands.Request{Category: staff.Category.Name, Command: "officer.set_password", ID: officer, Post: post, Input: staff.SetPassword{ByOther: true}, Officer: by.Officer, DryRun: true}
	if receipt, err := s.Staff.Do(ctx, r); err != nil { // before the cost of a hash
		return "", receipt, err
	}
	password := RandomPassword()
	hash, err := s.Hasher.Hash(ctx, password)
	if err != nil {
		return "", commands.Receipt{}, err
	}
	r.Input, r.DryRun = staff.SetPassword{Hash: hash, ByOther: true}, false
	receipt, err := s.Staff.Do(ctx, r)
	return password, receipt, err
}

// IssueToken makes a personal token. Its text is returned once; only a hash is kept.
func (s *Service) IssueToken(ctx context.Context, who Identity, name string, days int) (text string, t staff.Token, err error) {
	if who.Session == uuid.Nil { // a token that leaked must not be able to outlive itself
		return "", t, ErrBySession
	}
	t = staff.Token{ID: uuid.New(), Name: name, Expires: s.Now().AddDate(0, 0, days).UTC().Truncate(time.Second)}
	text, t.Hash = newToken(who.Officer, t.ID)
	return text, t, s.do(ctx, who.Officer, who.Officer, "officer.issue_token", staff.TokenIssued{Token: t})
}
