// Package staff holds the officers: who they are, in which posts, since when, and how they prove it is them.
//
//   - An officer acts in a post: a role, in a unit, from a day. Every command carries the post.
//   - Passwords are kept as argon2id hashes and tokens as SHA-256 hashes, sealed like all data of an officer's stream.
//   - Sign-ins and failures are events: five failures within fifteen minutes lock the account for fifteen minutes.
//   - In an emergency an officer may open a file that is not his to read, by saying why; it ends of itself, and the unit's
//     supervisor and the inspectors are told.
//   - An officer never handles the file of a relative or his own (recusal, glossary 99).
package staff

import (
	"slices"
	"time"

	"github.com/google/uuid"

	"yidang/domain/record"
)

// Lock-out: after MaxFailures within FailureWindow the account is locked for LockFor.
const (
	MaxFailures   = 5
	FailureWindow = 15 * time.Minute
	LockFor       = 15 * time.Minute
)

// Officer is the state of an officer stream.
type Officer struct {
	ID         uuid.UUID
	Name       string
	Login      string
	WorkNumber string
	Sex        int // GB/T 2261.1
	Phone      string
	Posts      []Post
	Recused    []uuid.UUID // people whose files the officer must not handle
	Password   string      // argon2id, PHC string form
	MustChange bool        // the password was set by somebody else
	ValidAfter time.Time   // sessions signed in before are void, and so are tokens issued before, which are gone from Tokens
	SignedOut  []SignOut
	Tokens     []Token
	Failures   []time.Time // of the current window
	LockedTill time.Time
	Disabled   bool
	Glass      []Glass // emergency readings in force
}

// Glass is an emergency reading of one person's file by an officer who may not read it otherwise.
type Glass struct {
	Person uuid.UUID `json:"person"`
	Until  time.Time `json:"until"`
}

// Post is a grant.
type Post struct {
	ID    uuid.UUID   `json:"id"`
	Role  record.Role `json:"role"`
	Unit  uuid.UUID   `json:"unit"`
	From  time.Time   `json:"from"`
	Until time.Time   `json:"until,omitzero"`
}

// Token is a personal API token.
type Token struct {
	ID      uuid.UUID `json:"id"`
	Name    string    `json:"name"`
	Hash    []byte    `json:"hash"`
	Expires time.Time `json:"expires"`
}

// SignOut remembers a session that was ended before its time.
type SignOut struct {
	Session uuid.UUID `json:"session"`
	Expires time.Time `json:"expires"`
}

// Active lists the posts in force.
func (o *Officer) Active(at time.Time) []Post {
	if o.Disabled {
		return nil
	}
	var posts []Post
	for _, p := range o.Posts {
		if !p.From.After(at) && (p.Until.IsZero() || at.Before(p.Until)) {
			posts = append(posts, p)
		}
	}
	return posts
}

// Holds tells whether the officer has the role at the time, in any unit.
func (o *Officer) Holds(role record.Role, at time.Time) bool {
	return slices.ContainsFunc(o.Active(at), func(p Post) bool { return p.Role == role })
}

// Post finds a post by id.
func (o *Officer) Post(id uuid.UUID) (Post, bool) {
	i := slices.IndexFunc(o.Posts, func(p Post) bool { return p.ID == id })
	if i < 0 {
		return Post{}, false
	}
	return o.Posts[i], true
}

// BrokeGlass tells whether an emergency reading of a person's file is in force.
func (o *Officer) BrokeGlass(person uuid.UUID, at time.Time) bool {
	return slices.ContainsFunc(o.Glass, func(g Glass) bool { return g.Person == person && at.Before(g.Until) })
}

// Locked tells whether sign-in is refused now.
func (o *Officer) Locked(at time.Time) bool { return at.Before(o.LockedTill) }

// Of gives an officer's state within a decision, nil when there is none. The row must have named Stream(id) as needed.
func Of(g record.Given, id uuid.UUID) *Officer {
	o, _ := g.Other(Stream(id)).(*Officer)
	return o
}

// Stream names an officer's stream.
func Stream(id uuid.UUID) string { return record.StreamOf("officer", id) }
