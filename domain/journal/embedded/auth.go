package embedded

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// User may use the TCP listener.
type User struct {
	Name  string
	Hash  string // of the password: argon2id ("$argon2id$v=19$m=…,t=…,p=…$salt$hash") or bcrypt ("$2b$…")
	Write bool   // may append; otherwise may only read
}

// gate decides who may call what.
type gate interface {
	unary(context.Context, any, *grpc.UnaryServerInfo, grpc.UnaryHandler) (any, error)
	stream(any, grpc.ServerStream, *grpc.StreamServerInfo, grpc.StreamHandler) error
}

// trusted lets everybody do everything: the unix socket, and insecure loopback.
type trusted struct{}

func (trusted) unary(ctx context.Context, request any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	return next(ctx, request)
}

func (trusted) stream(service any, call grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	return next(service, call)
}

// users checks basic credentials, which is what the client sends over TLS.
type users struct {
	byName map[string]User
	decoy  User
	turn   chan struct{} // one slow hash at a time: guessing must not take the machine's memory

	mu    sync.RWMutex
	known map[[32]byte]string // digest of credentials that were right, so that each is hashed slowly once
}

func newUsers(list []User) *users {
	u := &users{byName: map[string]User{}, turn: make(chan struct{}, 1), known: map[[32]byte]string{}}
	for _, user := range list {
		u.byName[user.Name] = user
	}
	u.decoy = list[0] // an unknown name costs as much time as a wrong password
	return u
}

func checkUsers(list []User) error {
	seen := map[string]bool{}
	for _, u := range list {
		if u.Name == "" || strings.ContainsRune(u.Name, ':') {
			return fmt.Errorf("journal: user name %q: a name is not empty and has no colon", u.Name)
		}
		if seen[u.Name] {
			return fmt.Errorf("journal: user %q is named twice", u.Name)
		}
		seen[u.Name] = true
		if err := u.checkHash(); err != nil {
			return fmt.Errorf("journal: user %q: %w", u.Name, err)
		}
	}
	return nil
}

// openMethods lists what needs no credentials: the client asks these before it sends any.
var openMethods = map[string]bool{
	"/event_store.client.server_features.ServerFeatures/GetSupportedMethods": true,
	"/event_store.client.gossip.Gossip/Read":                                 true,
}

const (
	methodRead   = streams.Streams_Read_FullMethodName
	methodAppend = streams.Streams_Append_FullMethodName
)

func (u *users) allow(ctx context.Context, method string) error {
	if openMethods[method] {
		return nil
	}
	user, err := u.identify(ctx)
	if err != nil {
		return err
	}
	if method != methodRead && !user.Write {
		return statusDenied()
	}
	return nil
}

func (u *users) unary(ctx context.Context, request any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	if err := u.allow(ctx, info.FullMethod); err != nil {
		return nil, err
	}
	return next(ctx, request)
}

func (u *users) stream(service any, call grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	if err := u.allow(call.Context(), info.FullMethod); err != nil {
		if info.FullMethod == methodAppend {
			drain(call, maxAppend) // or the client hears an end instead of a refusal
		}
		return err
	}
	return next(service, call)
}

// identify finds the user of a call. No credentials at all is access denied, as for EventStoreDB's anonymous user;
// wrong ones are unauthenticated.
func (u *users) identify(ctx context.Context) (User, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	headers := md.Get("authorization")
	if len(headers) == 0 {
		return User{}, statusDenied()
	}
	name, password, ok := parseBasic(headers[0])
	if !ok || len(headers) > 1 {
		return User{}, statusUnauthenticated()
	}
	digest := sha256.Sum256([]byte(name + ":" + password))
	u.mu.RLock()
	known, hit := u.known[digest]
	u.mu.RUnlock()
	if hit {
		return u.byName[known], nil
	}
	user, exists := u.byName[name]
	if !exists {
		user = u.decoy
	}
	select {
	case u.turn <- struct{}{}:
	case <-ctx.Done():
		return User{}, status.FromContextError(ctx.Err()).Err()
	}
	err := user.verify(password)
	<-u.turn
	if err != nil || !exists {
		return User{}, statusUnauthenticated()
	}
	u.mu.Lock()
	u.known[digest] = name
	u.mu.Unlock()
	return user, nil
}

func statusUnauthenticated() error {
	return status.Error(codes.Unauthenticated, "the user name or password is wrong")
}

func parseBasic(header string) (name, password string, ok bool) {
	scheme, encoded, ok := strings.Cut(header, " ")
	if !ok || !strings.EqualFold(scheme, "basic") {
		return "", "", false
	}
	plain, err := base64.StdEncoding.DecodeString(strings.TrimSpace(encoded))
	if err != nil {
		return "", "", false
	}
	return strings.Cut(string(plain), ":")
}

var (
	errHash     = errors.New("the password hash is neither argon2id nor bcrypt, or its costs are out of bounds")
	errPassword = errors.New("wrong password")
)

func (u User) checkHash() error {
	if strings.HasPrefix(u.Hash, "$2") {
		if _, err := bcrypt.Cost([]byte(u.Hash)); err != nil {
			return errHash
		}
		return nil
	}
	_, err := parseArgon(u.Hash)
	return err
}

// verify returns nil, errPassword, or errHash for a hash that cannot be used.
func (u User) verify(password string) error {
	if strings.HasPrefix(u.Hash, "$2") {
		err := bcrypt.CompareHashAndPassword([]byte(u.Hash), []byte(password))
		if err == nil {
			return nil
		}
		if errors.Is(err, bcrypt.ErrMismatchedHashAndPassword) || errors.Is(err, bcrypt.ErrPasswordTooLong) {
			return errPassword
		}
		return errHash
	}
	h, err := parseArgon(u.Hash)
	if err != nil {
		return err
	}
	sum := argon2.IDKey([]byte(password), h.salt, h.time, h.memory, h.threads, uint32(len(h.sum)))
	if subtle.ConstantTimeCompare(sum, h.sum) != 1 {
		return errPassword
	}
	return nil
}

type argonHash struct {
	memory, time uint32
	threads      uint8
	salt, sum    []byte
}

// parseArgon reads the PHC string of an argon2id hash and bounds its costs: they come from a file that people edit.
func parseArgon(s string) (h argonHash, err error) {
	parts := strings.Split(s, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != "v=19" {
		return h, errHash
	}
	for _, field := range strings.Split(parts[3], ",") {
		key, value, _ := strings.Cut(field, "=")
		n, err := strconv.ParseUint(value, 10, 32)
		if err != nil {
			return h, errHash
		}
		switch key {
		case "m":
			h.memory = uint32(n)
		case "t":
			h.time = uint32(n)
		case "p":
			h.threads = uint8(min(n, 255))
		default:
			return h, errHash
		}
	}
	var errSalt, errSum error
	h.salt, errSalt = base64.RawStdEncoding.DecodeString(parts[4])
	h.sum, errSum = base64.RawStdEncoding.DecodeString(parts[5])
	if errSalt != nil || errSum != nil || len(h.salt) < 8 || len(h.sum) < 16 || len(h.sum) > 64 ||
		h.memory < 8 || h.memory > 1<<20 || h.time < 1 || h.time > 64 || h.threads < 1 {
		return h, errHash
	}
	return h, nil
}
