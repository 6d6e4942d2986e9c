package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"

	"yidang/api/auth"
	"yidang/domain/record"
	"yidang/domain/staff"
)

// This file holds what officers do with their own account: sign in and out, password, tokens.

type signIn struct {
	Login    string `json:"login" minLength:"1" maxLength:"64"`
	Password string `json:"password" minLength:"1" maxLength:"512"`
}

// Me is who is signed in.
type Me struct {
	Officer    uuid.UUID   `json:"officer"`
	Name       string      `json:"name"`
	Login      string      `json:"login"`
	MustChange bool        `json:"mustChangePassword" doc:"nothing else works until the password is changed"`
	Posts      []Post      `json:"posts" nullable:"false" doc:"in force"`
	Session    *Session    `json:"session,omitempty" doc:"absent when a token was used"`
	Tokens     []TokenInfo `json:"tokens" nullable:"false"`
	// Emergencies is what supervisors and inspectors are alerted by.
	Emergencies int `json:"emergencies,omitempty" doc:"emergency readings since you last opened /v1/emergencies; for supervisors and inspectors"`
}

// Post is a role in a unit.
type Post struct {
	ID    uuid.UUID   `json:"id"`
	Role  record.Role `json:"role"`
	Title record.Text `json:"title"`
	Unit  uuid.UUID   `json:"unit"`
	From  time.Time   `json:"from"`
	Until time.Time   `json:"until,omitzero"`
}

// Session is the caller's session.
type Session struct {
	ID      uuid.UUID `json:"id"`
	Expires time.Time `json:"expires"`
}

// TokenInfo is a personal token without its text.
type TokenInfo struct {
	ID      uuid.UUID `json:"id"`
	Name    string    `json:"name"`
	Expires time.Time `json:"expires"`
}

type changePassword struct {
	Current string `json:"current" minLength:"1" maxLength:"512"`
	New     string `json:"new" minLength:"1" maxLength:"512" doc:"10 to 128 characters"`
}

type newToken struct {
	Name string `json:"name" minLength:"1" maxLength:"60" doc:"what it is for"`
	Days int    `json:"days" minimum:"1" maximum:"366" doc:"how long it is valid"`
}

// IssuedToken is a token with its text, which is shown this once.
type IssuedToken struct {
	TokenInfo
	Token string `json:"token" doc:"shown this once; only a hash is kept"`
}

type resetPassword struct {
	Post uuid.UUID `json:"post,omitzero" doc:"in which of your posts you act"`
}

// Reset is a new password to hand over.
type Reset struct {
	Password string `json:"password" doc:"shown this once; the officer must change it at the next sign-in"`
}

type nothing struct{}

func (s *Server) meRoutes() {
	action(s, huma.Operation{OperationID: "sign-in", Method: http.MethodPost, Path: "/v1/session", Tags: []string{"me"}, Summary: "Sign in (登录)",
		Description: "Sets the session cookie. Five wrong passwords within fifteen minutes lock the account for fifteen minutes.", Metadata: map[string]any{open: true}},
		http.StatusOK, s.signIn)
	action(s, huma.Operation{OperationID: "sign-out", Method: http.MethodDelete, Path: "/v1/session", Tags: []string{"me"}, Summary: "Sign out (退出登录)",
		Description: "Ends the session at once, on every server.", Metadata: map[string]any{mustOpen: true}}, http.StatusNoContent, s.signOut)
	action(s, huma.Operation{OperationID: "change-password", Method: http.MethodPut, Path: "/v1/me/password", Tags: []string{"me"}, Summary: "Change one's password (修改密码)",
		Description: "Ends every other session and every token, and sets a new cookie. The only way on when somebody else set the password.", Metadata: map[string]any{mustOpen: true}},
		http.StatusOK, s.changePassword)
	action(s, huma.Operation{OperationID: "issue-token", Method: http.MethodPost, Path: "/v1/me/tokens", Tags: []string{"me"}, Summary: "Issue a personal API token (签发令牌)",
		Description: "For programs: send it as `Authorization: Bearer yd_…`. At most 20. Revoke one with the command officer.revoke_token."}, http.StatusCreated, s.issueToken)
	action(s, huma.Operation{OperationID: "reset-password", Method: http.MethodPost, Path: "/v1/officers/{id}/password", Tags: []string{"officer"}, Summary: "Give an officer a new password (重置密码)",
		Description: "Who may: administrator (系统管理员) everywhere. Ends every session and every token of the officer.",
		Parameters:  []*huma.Param{{Name: "id", In: "path", Required: true, Description: "of the officer", Schema: &huma.Schema{Type: huma.TypeString, Format: "uuid"}}}},
		http.StatusOK, s.resetPassword)
	read(s, huma.Operation{OperationID: "me", Path: "/v1/me", Tags: []string{"me"}, Summary: "Who is signed in (本人信息)",
		Description: "Posts in force, session and tokens.", Metadata: map[string]any{mustOpen: true}}, s.me)
}

func (s *Server) signIn(ctx huma.Context, in *signIn) (*Me, error) {
	v := visitOf(ctx.Context())
	if !s.limits.signIn(v.from) {
		return nil, errTooMany
	}
	token, who, err := s.auth.SignIn(ctx.Context(), in.Login, in.Password, v.from.String())
	s.metrics.signIn(err)
	if err != nil {
		return nil, err
	}
	v.who = who
	ctx.AppendHeader("Set-Cookie", s.cookie(token, who.Expires).String())
	return s.whoIs(ctx.Context(), who)
}

func (s *Server) signOut(ctx huma.Context, _ *nothing) (*nothing, error) {
	if err := s.auth.SignOut(ctx.Context(), visitOf(ctx.Context()).who); err != nil {
		return nil, err
	}
	ctx.AppendHeader("Set-Cookie", s.cookie("", time.Time{}).String())
	return nil, nil
}

func (s *Server) changePassword(ctx huma.Context, in *changePassword) (*Me, error) {
	v := visitOf(ctx.Context())
	if !s.limits.signIn(v.from) {
		return nil, errTooMany
	}
	token, who, err := s.auth.ChangePassword(ctx.Context(), v.who, in.Current, in.New, v.from.String())
	if err != nil {
		return nil, err
	}
	ctx.AppendHeader("Set-Cookie", s.cookie(token, who.Expires).String())
	return s.whoIs(ctx.Context(), who)
}

func (s *Server) issueToken(ctx huma.Context, in *newToken) (*IssuedToken, error) {
	text, t, err := s.auth.IssueToken(ctx.Context(), visitOf(ctx.Context()).who, in.Name, in.Days)
	if err != nil {
		return nil, err
	}
	return &IssuedToken{TokenInfo{ID: t.ID, Name: t.Name, Expires: t.Expires}, text}, nil
}

func (s *Server) resetPassword(ctx huma.Context, in *resetPassword) (*Reset, error) {
	id, err := uuid.Parse(ctx.Param("id"))
	if err != nil {
		return nil, errNoUUID.At("id")
	}
	who := visitOf(ctx.Context()).who
	if id == who.Officer { // the grants let everybody set their own password, but with the old one in hand
		return nil, errOwnReset
	}
	password, receipt, err := s.auth.ResetPassword(ctx.Context(), who, in.Post, id)
	if err != nil {
		return nil, err
	}
	ctx.SetHeader("Yidang-Position", utoa(receipt.Position))
	return &Reset{Password: password}, nil
}

var errOwnReset = &record.Problem{Kind: record.Refused, Rule: "PIPL 51", Message: "one's own password is not reset but changed", Zh: "本人密码应自行修改，不能重置", Remedy: "PUT /v1/me/password"}

type meInput struct{}

type meOutput struct{ Body *Me }

func (s *Server) me(ctx context.Context, _ *meInput) (*meOutput, error) {
	m, err := s.whoIs(ctx, visitOf(ctx).who)
	return &meOutput{m}, err
}

func (s *Server) whoIs(ctx context.Context, who auth.Identity) (*Me, error) {
	o, _, err := s.options.Executor.Officer(ctx, who.Officer)
	if err != nil {
		return nil, err
	}
	now := s.options.Now()
	m := &Me{Officer: who.Officer, Name: o.Name, Login: o.Login, MustChange: o.MustChange, Posts: postsOf(&o, now), Tokens: []TokenInfo{}}
	if who.Session != uuid.Nil {
		m.Session = &Session{ID: who.Session, Expires: who.Expires.UTC()}
	}
	for _, t := range o.Tokens {
		if now.Before(t.Expires) {
			m.Tokens = append(m.Tokens, TokenInfo{ID: t.ID, Name: t.Name, Expires: t.Expires})
		}
	}
	m.Emergencies, err = s.alerts(ctx, who.Officer)
	return m, err
}

func postsOf(o *staff.Officer, now time.Time) []Post {
	posts := []Post{}
	for _, p := range o.Active(now) {
		posts = append(posts, Post{ID: p.ID, Role: p.Role, Title: roleTitle(p.Role), Unit: p.Unit, From: p.From, Until: p.Until})
	}
	return posts
}

func roleTitle(role record.Role) record.Text {
	for _, r := range record.Roles {
		if r.Role == role {
			return r.Title
		}
	}
	return record.T(string(role), string(role))
}
