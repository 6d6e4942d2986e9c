package staff

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"yidang/domain/record"
)

// Register is the command for a new officer.
type Register struct {
	Name       string `json:"name" minLength:"2" maxLength:"50"`
	Login      string `json:"login" pattern:"^[a-z][a-z0-9._-]{2,31}$" doc:"sign-in name: lower-case letters, digits, dot, dash, underscore"`
	WorkNumber string `json:"workNumber,omitempty" maxLength:"32" doc:"police or staff number"`
	Sex        int    `json:"sex" enum:"1,2" doc:"GB/T 2261.1: 1 male, 2 female; a woman's urine is collected by a woman (S-2)"`
	Phone      string `json:"phone,omitempty" maxLength:"20"`
}

// GrantPost gives the officer a role in a unit.
type GrantPost struct {
	Role record.Role `json:"role" enum:"village-cadre,community-police,community-medic,volunteer,township-office,inspector,analyst,administrator"`
	Unit uuid.UUID   `json:"unit"`
	From time.Time   `json:"from,omitzero" doc:"from when; now when left out"`
}

// EndPost ends a post.
type EndPost struct {
	Post   uuid.UUID `json:"post"`
	Reason string    `json:"reason" minLength:"2" maxLength:"200"`
}

// SetPassword stores a hash that the sign-in service made.
type SetPassword struct {
	Hash    string `json:"hash"`
	ByOther bool   `json:"byOther"`
}

// Revoke names a token to end.
type Revoke struct {
	Token uuid.UUID `json:"token"`
}

// Disable closes or opens an account.
type Disable struct {
	Closed bool   `json:"closed"`
	Reason string `json:"reason" minLength:"2" maxLength:"200"`
}

// DeclareRecusal names a person whose file the officer must not handle.
type DeclareRecusal struct {
	Person uuid.UUID `json:"person"`
	Reason string    `json:"reason" minLength:"2" maxLength:"200" doc:"relation or interest, such as 近亲属"`
}

// BreakGlass opens a file in an emergency.
type BreakGlass struct {
	Person uuid.UUID `json:"person" doc:"whose file"`
	Reason string    `json:"reason" minLength:"8" maxLength:"300" doc:"what the emergency is; the supervisor and the inspectors read it. It is about your reading and stays when the file is erased: name nobody"`
}

// ErrLoginTaken refuses a second officer with the same sign-in name.
var ErrLoginTaken = &record.Problem{Kind: record.Refused, Field: "login", Message: "this sign-in name is taken", Zh: "登录名已被使用", Remedy: "choose another one"}

var (
	loginForm      = regexp.MustCompile(`^[a-z][a-z0-9._-]{2,31}$`)
	administrators = record.Grant{Roles: []record.Role{record.Administrator}, Scope: record.Anywhere}
	oneself        = record.Grant{Roles: record.Everyone.Roles, Scope: record.Self}
)

// Category is the table of officer streams.
var Category = record.Category{
	Name: "officer", Title: record.T("工作人员", "Officer"), Sealed: true,
	New:      func() any { return &Officer{} },
	Readers:  []record.Grant{oneself, administrators, {Roles: []record.Role{record.Inspector}, Scope: record.Anywhere}},
	Events:   events,
	Commands: commands,
}

var commands = []record.CommandRow{
	record.Claiming(record.Do("officer.register", record.T("建立账号", "Register an officer"), "G-04(6)", register, administrators),
		func(in Register) []record.Claim {
			return []record.Claim{{Kind: "login", Value: in.Login, Taken: ErrLoginTaken}}
		}).Starting().Timeless(),
	record.Needing(record.Do("officer.grant_post", record.T("授予岗位", "Grant a post"), "G-04(6)", grantPost, administrators),
		func(in GrantPost, _ record.Given) []string { return []string{record.StreamOf("unit", in.Unit)} }).Timeless(),
	record.Do("officer.end_post", record.T("终止岗位", "End a post"), "G-04(6)", endPost, administrators).Timeless(),
	record.Do("officer.disable", record.T("停用或启用账号", "Close or open an account"), "PIPL 51", func(o *Officer, in Disable, _ record.Given) ([]any, error) {
		if o.Disabled == in.Closed {
			return nil, nil
		}
		return []any{Disabled(in)}, nil
	}, administrators).Timeless(),
	record.Needing(record.Do("officer.break_glass", record.T("紧急查阅", "Open a file in an emergency"), "G-04(6); PIPL 13(4)", breakGlass,
		record.Grant{Roles: []record.Role{record.VillageCadre, record.CommunityPolice, record.CommunityMedic, record.TownshipOffice}, Scope: record.Self}),
		func(in BreakGlass, _ record.Given) []string { return []string{record.StreamOf("person", in.Person)} }).Timeless(),
	record.Do("officer.declare_recusal", record.T("申请回避", "Declare a recusal"), "信访工作条例 28", func(o *Officer, in DeclareRecusal, _ record.Given) ([]any, error) {
		if slices.Contains(o.Recused, in.Person) {
			return nil, nil
		}
		return []any{RecusalDeclared(in)}, nil
	}, oneself, administrators).Timeless(),
	record.Do("officer.revoke_token", record.T("吊销访问令牌", "Revoke an API token"), "PIPL 51", func(o *Officer, in Revoke, _ record.Given) ([]any, error) {
		if !slices.ContainsFunc(o.Tokens, func(t Token) bool { return t.ID == in.Token }) {
			return nil, &record.Problem{Kind: record.NotFound, Field: "token", Message: "there is no such token", Zh: "没有这一访问令牌", Remedy: "take its id from the list of the account's tokens"}
		}
		return []any{TokenRevoked(in)}, nil
	}, oneself, administrators).Timeless(),
	record.Do("officer.set_password", record.T("设置密码", "Set a password"), "PIPL 51", func(_ *Officer, in SetPassword, _ record.Given) ([]any, error) {
		return []any{PasswordSet(in)}, nil
	}, oneself, administrators).Timeless().Within(),
	record.Do("officer.issue_token", record.T("签发访问令牌", "Issue an API token"), "PIPL 51", func(o *Officer, in TokenIssued, g record.Given) ([]any, error) {
		if len(o.Tokens) >= 20 {
			return nil, &record.Problem{Kind: record.Refused, Message: "an officer has at most 20 tokens", Zh: "每人最多 20 个令牌", Remedy: "revoke one that is no longer used"}
		}
		return []any{in}, nil
	}, oneself).Timeless().Within(),
	record.Do("officer.record_sign_in", record.T("登录", "Record a sign-in"), "PIPL 51", func(_ *Officer, in SignedIn, _ record.Given) ([]any, error) {
		return []any{in}, nil
	}, oneself).Timeless().Within(),
	record.Do("officer.record_failure", record.T("登录失败", "Record a failed sign-in"), "PIPL 51", func(_ *Officer, in SignInFailed, _ record.Given) ([]any, error) {
		return []any{in}, nil
	}, oneself).Timeless().Within(),
	record.Do("officer.record_sign_out", record.T("退出登录", "Record a sign-out"), "PIPL 51", func(_ *Officer, in SignedOut, _ record.Given) ([]any, error) {
		return []any{in}, nil
	}, oneself).Timeless().Within(),
}

func register(_ *Officer, in Register, _ record.Given) ([]any, error) {
	in.Name = strings.TrimSpace(in.Name)
	if !loginForm.MatchString(in.Login) {
		return nil, &record.Problem{Kind: record.Invalid, Field: "login", Message: "must start with a lower-case letter and hold 3 to 32 of a-z 0-9 . _ -",
			Zh: "登录名须以小写字母开头，3 至 32 位", Remedy: "for example li.jianguo"}
	}
	if in.Sex != 1 && in.Sex != 2 {
		return nil, &record.Problem{Kind: record.Invalid, Field: "sex", Rule: "GB/T 2261.1", Message: "must be 1 or 2", Remedy: "1 male, 2 female"}
	}
	return []any{Registered(in)}, nil
}

// CheckRole refuses a role that nobody can be given.
func CheckRole(role record.Role) error {
	if slices.Contains(record.Everyone.Roles, role) {
		return nil
	}
	var roles []string
	for _, r := range record.Everyone.Roles {
		roles = append(roles, string(r))
	}
	return &record.Problem{Kind: record.Invalid, Field: "role", Message: "there is no such role", Zh: "没有这个角色", Remedy: "use one of: " + strings.Join(roles, ", ")}
}

func grantPost(o *Officer, in GrantPost, g record.Given) ([]any, error) {
	if err := CheckRole(in.Role); err != nil {
		return nil, err
	}
	if g.Other(record.StreamOf("unit", in.Unit)) == nil {
		return nil, &record.Problem{Kind: record.Invalid, Field: "unit", Message: "there is no such unit", Zh: "没有这个单位", Remedy: "register the unit first"}
	}
	if in.From.IsZero() {
		in.From = g.Now
	}
	for _, p := range o.Active(in.From) {
		if p.Role == in.Role && p.Unit == in.Unit {
			return nil, nil
		}
	}
	return []any{PostGranted{Post{ID: uuid.NewSHA1(g.Command, []byte("post")), Role: in.Role, Unit: in.Unit, From: in.From}}}, nil
}

func endPost(o *Officer, in EndPost, g record.Given) ([]any, error) {
	p, ok := o.Post(in.Post)
	if !ok {
		return nil, &record.Problem{Kind: record.NotFound, Field: "post", Message: "the officer has no such post", Zh: "该账号没有这一岗位", Remedy: "take its id from the officer's posts"}
	}
	if !p.Until.IsZero() && !p.Until.After(g.Now) {
		return nil, nil
	}
	return []any{PostEnded{Post: in.Post, Until: g.Now, Reason: in.Reason}}, nil
}

func breakGlass(o *Officer, in BreakGlass, g record.Given) ([]any, error) {
	if g.Other(record.StreamOf("person", in.Person)) == nil {
		return nil, &record.Problem{Kind: record.Invalid, Field: "person", Message: "there is no such file", Zh: "没有这份档案", Remedy: "search for the person"}
	}
	if slices.Contains(o.Recused, in.Person) {
		return nil, &record.Problem{Kind: record.Refused, Field: "person", Rule: "回避", Message: "the officer declared a recusal for this person",
			Zh: "本人已对该人员申请回避", Remedy: "leave it to a colleague"}
	}
	days := g.Rules.(interface{ Days(string) int }).Days("break-glass")
	return []any{GlassBroken{Glass: Glass{Person: in.Person, Until: g.Now.UTC().Truncate(time.Second).AddDate(0, 0, days)}, Reason: in.Reason}}, nil
}
