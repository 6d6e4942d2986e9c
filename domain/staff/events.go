package staff

import (
	"slices"
	"time"

	"github.com/google/uuid"

	"yidang/domain/record"
)

// Registered records a new officer.
type Registered struct {
	Name       string `json:"name"`
	Login      string `json:"login"`
	WorkNumber string `json:"workNumber,omitempty"`
	Sex        int    `json:"sex"`
	Phone      string `json:"phone,omitempty"`
}

// PostGranted records a post.
type PostGranted struct {
	Post Post `json:"post"`
}

// Facets of the grant.
func (d PostGranted) Facets() record.Facets { return record.Facets{Kind: string(d.Post.Role)} }

// PostEnded records the end of a post.
type PostEnded struct {
	Post   uuid.UUID `json:"post"`
	Until  time.Time `json:"until"`
	Reason string    `json:"reason"`
}

// PasswordSet records a new password hash; ByOther means that the officer must change it at the next sign-in. Every
// session and every token of before is void: whoever learnt the password may have made himself one.
type PasswordSet struct {
	Hash    string `json:"hash"`
	ByOther bool   `json:"byOther"`
}

// SignedIn records a sign-in with a password.
type SignedIn struct {
	Session uuid.UUID `json:"session"`
	From    string    `json:"from"` // network address
}

// SignInFailed records a wrong password.
type SignInFailed struct {
	From string `json:"from"`
}

// SignedOut records the end of a session.
type SignedOut struct {
	SignOut
}

// TokenIssued records a personal API token by its hash.
type TokenIssued struct {
	Token Token `json:"token"`
}

// TokenRevoked records the end of a token.
type TokenRevoked struct {
	Token uuid.UUID `json:"token"`
}

// RecusalDeclared records that the officer must not handle a person's file.
type RecusalDeclared struct {
	Person uuid.UUID `json:"person"`
	Reason string    `json:"reason"`
}

// Disabled records that an account was closed, or opened again.
type Disabled struct {
	Closed bool   `json:"closed"`
	Reason string `json:"reason"`
}

// GlassBrokenType is the stored name of GlassBroken.
const GlassBrokenType = "officer.glass_broken"

// GlassBroken records an emergency reading: which file, why, until when. It stays when the file is erased; access says why.
type GlassBroken struct {
	Glass
	Reason string `json:"reason"`
}

func signedIn(o *Officer, _ SignedIn, _ record.Event) { o.Failures, o.LockedTill = nil, time.Time{} }

func failed(o *Officer, _ SignInFailed, e record.Event) {
	at := e.Meta.RecordedAt
	o.Failures = append(slices.DeleteFunc(o.Failures, func(t time.Time) bool { return at.Sub(t) > FailureWindow }), at)
	if len(o.Failures) >= MaxFailures {
		o.LockedTill, o.Failures = at.Add(LockFor), nil
	}
}

func signedOut(o *Officer, d SignedOut, e record.Event) {
	o.SignedOut = append(slices.DeleteFunc(o.SignedOut, func(s SignOut) bool { return s.Expires.Before(e.Meta.RecordedAt) }), d.SignOut)
}

// Events are the rows of an officer stream.
var events = []record.EventRow{
	record.On("officer.registered", record.T("建立账号", "Officer registered"),
		func(o *Officer, d Registered, e record.Event) {
			_, o.ID, _ = record.SplitStream(e.Stream)
			o.Name, o.Login, o.WorkNumber, o.Sex, o.Phone = d.Name, d.Login, d.WorkNumber, d.Sex, d.Phone
		}, nil),
	record.On("officer.post_granted", record.T("授予岗位", "Post granted"),
		func(o *Officer, d PostGranted, _ record.Event) { o.Posts = append(o.Posts, d.Post) }, nil),
	record.On("officer.post_ended", record.T("终止岗位", "Post ended"),
		func(o *Officer, d PostEnded, _ record.Event) {
			for i := range o.Posts {
				if o.Posts[i].ID == d.Post {
					o.Posts[i].Until = d.Until
				}
			}
		}, func(d PostEnded) record.Text {
			return record.T("终止岗位，理由："+d.Reason, "Post ended; reason: "+d.Reason)
		}),
	record.On("officer.password_set", record.T("设置密码", "Password set"),
		func(o *Officer, d PasswordSet, e record.Event) {
			o.Password, o.MustChange, o.ValidAfter = d.Hash, d.ByOther, e.Meta.RecordedAt
			o.Failures, o.LockedTill, o.Tokens = nil, time.Time{}, nil
		}, nil),
	record.On("officer.signed_in", record.T("登录", "Signed in"), signedIn,
		func(d SignedIn) record.Text { return record.T("登录，来自 "+d.From, "Signed in from "+d.From) }),
	record.On("officer.sign_in_failed", record.T("登录失败", "Sign-in failed"), failed,
		func(d SignInFailed) record.Text {
			return record.T("登录失败，来自 "+d.From, "Sign-in failed from "+d.From)
		}),
	record.On("officer.signed_out", record.T("退出登录", "Signed out"), signedOut, nil),
	record.On("officer.token_issued", record.T("签发访问令牌", "API token issued"),
		func(o *Officer, d TokenIssued, _ record.Event) { o.Tokens = append(o.Tokens, d.Token) }, nil),
	record.On("officer.token_revoked", record.T("吊销访问令牌", "API token revoked"),
		func(o *Officer, d TokenRevoked, _ record.Event) {
			o.Tokens = slices.DeleteFunc(o.Tokens, func(t Token) bool { return t.ID == d.Token })
		}, nil),
	record.On("officer.recusal_declared", record.T("申请回避", "Recusal declared"),
		func(o *Officer, d RecusalDeclared, _ record.Event) { o.Recused = append(o.Recused, d.Person) }, nil),
	record.On("officer.disabled", record.T("停用或启用账号", "Account closed or opened"),
		func(o *Officer, d Disabled, e record.Event) {
			o.Disabled = d.Closed
			if d.Closed {
				o.ValidAfter, o.Tokens = e.Meta.RecordedAt, nil
			}
		}, nil),
	record.On(GlassBrokenType, record.T("紧急查阅", "Emergency reading"),
		func(o *Officer, d GlassBroken, e record.Event) {
			at := e.Meta.RecordedAt
			o.Glass = append(slices.DeleteFunc(slices.Clone(o.Glass), func(g Glass) bool { return !at.Before(g.Until) }), d.Glass)
		}, func(d GlassBroken) record.Text {
			return record.T("紧急查阅一份无权查阅的档案，理由："+d.Reason, "Opened a file in an emergency; reason: "+d.Reason)
		}),
	record.VoidedRow(),
}
