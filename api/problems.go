package api

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/validation"
	"golang.org/x/text/language"

	"yidang/api/auth"
	"yidang/domain/commands"
	"yidang/domain/person"
	"yidang/domain/record"
	"yidang/domain/staff"
)

// This file is the one place that turns errors into HTTP: the kinds of package record, those of package auth, and what
// only HTTP itself can refuse.

// Kinds of refusal that only HTTP knows.
const (
	malformed        record.Kind = "malformed"
	precondition     record.Kind = "precondition-failed"
	crossOrigin      record.Kind = "cross-origin"
	methodNotAllowed record.Kind = "method-not-allowed"
	tooLarge         record.Kind = "too-large"
	mediaType        record.Kind = "unsupported-media-type"
	timedOut         record.Kind = "timeout"
	internal         record.Kind = "internal"
)

// kind describes a sort of problem: it is what /problems/{kind} shows.
type kind struct {
	Kind   record.Kind
	Status int
	Title  record.Text
	About  record.Text
}

var kinds = []kind{
	{malformed, 400, record.T("请求格式错误", "Malformed request"), record.T("请求体不是有效的 JSON，或某个参数无法解析。", "The body is not JSON, or a parameter cannot be read.")},
	{auth.Unauthenticated, 401, record.T("未登录", "Not signed in"), record.T("没有有效的会话或令牌。", "There is no valid session or token.")},
	{record.Forbidden, 403, record.T("无权操作", "Not allowed"), record.T("当前岗位不允许此操作；补救办法中写明由谁办理。", "The caller's posts do not allow it; the remedy says who may.")},
	{auth.MustChange, 403, record.T("须先修改密码", "Change the password first"), record.T("密码由他人设置，修改后方可使用。", "The password was set by somebody else and opens nothing but the way to change it.")},
	{crossOrigin, 403, record.T("跨站请求被拒绝", "Cross-origin request refused"), record.T("请求来自另一个网站。", "A page of another site sent this request.")},
	{record.NotFound, 404, record.T("不存在", "Not found"), record.T("没有该对象，或无权知悉。", "There is no such thing, or none the caller may know of.")},
	{methodNotAllowed, 405, record.T("方法不允许", "Method not allowed"), record.T("该地址不支持此方法；见 Allow 头。", "The address does not know this method; see the Allow header.")},
	{timedOut, 408, record.T("请求超时", "Request too slow"), record.T("请求体没有及时到达。", "The body did not arrive in time.")},
	{record.Refused, 409, record.T("规则不允许", "Refused by a rule"), record.T("按档案现状，某项规定不允许此操作；rule 给出条款，remedy 给出办法。", "A rule of the casework forbids it in the present state of the file; rule names the clause, remedy what to do.")},
	{record.Conflict, 409, record.T("内容已变化", "Changed meanwhile"), record.T("他人先行修改，或幂等键被用于其他请求。重新读取后再定。", "Somebody else was first, or the idempotency key belongs to another request. Read again and decide anew.")},
	{record.Erased, 410, record.T("内容已销毁", "Content destroyed"), record.T("密钥已销毁，内容不可恢复。", "The key was destroyed: content is gone for ever.")},
	{precondition, 412, record.T("版本不符", "Revision does not match"), record.T("If-Match 与档案现有版本不同。", "If-Match is not the file's present revision.")},
	{tooLarge, 413, record.T("内容过大", "Too large"), record.T("请求体超过上限。", "The body is larger than the limit.")},
	{mediaType, 415, record.T("内容类型不支持", "Unsupported media type"), record.T("请求体须为 application/json（上传除外）。", "The body must be application/json, uploads aside.")},
	{record.Invalid, 422, record.T("输入有误", "Invalid input"), record.T("某个字段不符合要求；同样的输入永远不会被接受。", "A field is not as it must be; the same input will never be accepted.")},
	{auth.TooMany, 429, record.T("请求过多", "Too many requests"), record.T("超过频率限制或登录被锁定；见 Retry-After 头。", "Over the rate limit, or sign-in is locked; see the Retry-After header.")},
	{internal, 500, record.T("内部错误", "Internal error"), record.T("程序缺陷；reference 可在日志中找到。", "A defect of ours; the log has the reference.")},
	{record.Unavailable, 503, record.T("暂不可用", "Not available now"), record.T("某个引擎不可用，稍后同样的请求可能成功。", "An engine is not there; the same request may succeed later.")},
}

func kindOf(k record.Kind) kind {
	for _, known := range kinds {
		if known.Kind == k {
			return known
		}
	}
	return kindOf(internal)
}

// Problem is the body of every answer that is not a success: RFC 9457 with the members of a record.Problem.
type Problem struct {
	Type      string       `json:"type" format:"uri-reference" doc:"which sort of problem; the address describes it"`
	Title     string       `json:"title" doc:"the sort of problem, in the language of Accept-Language"`
	Status    int          `json:"status"`
	Detail    string       `json:"detail,omitempty" doc:"what is wrong, in the language of Accept-Language"`
	Zh        string       `json:"zh,omitempty" doc:"what is wrong, in Chinese"`
	Field     string       `json:"field,omitempty" doc:"the input field or header concerned"`
	Rule      string       `json:"rule,omitempty" doc:"the clause or article that decides"`
	Remedy    string       `json:"remedy,omitempty" doc:"what the caller can do"`
	Reference string       `json:"reference,omitempty" doc:"of an internal error: quote it to the administrator"`
	Errors    []FieldError `json:"errors,omitempty" doc:"each field that is wrong, when several are"`

	Lookalikes []person.Lookalike `json:"lookalikes,omitempty" doc:"of a registration: files of people who may be the same"`

	wait int // seconds for Retry-After
}

// FieldError is one field of several that are wrong.
type FieldError struct {
	Field   string `json:"field"`
	Message string `json:"message"`
	Zh      string `json:"zh,omitempty"`
}

// Error makes a Problem an answer for huma.
func (p *Problem) Error() string { return p.Title + ": " + p.Detail }

// GetStatus is the HTTP status.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType of a problem.
func (p *Problem) ContentType(string) string { return "application/problem+json" }

// GetHeaders are the headers that go with the status.
func (p *Problem) GetHeaders() http.Header {
	h := http.Header{}
	switch p.Status {
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", `Bearer realm="yidang"`)
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		h.Set("Retry-After", strconv.Itoa(max(2, p.wait)))
	}
	return h
}

// problem makes the answer to an error. What has no kind is a defect: the log gets the error under a reference, the
// caller only the reference.
func (s *Server) problem(ctx context.Context, err error) *Problem {
	var done *Problem
	if errors.As(err, &done) {
		return done
	}
	v := visitOf(ctx)
	var p *record.Problem
	if !errors.As(err, &p) || kindOf(p.Kind).Kind == internal {
		s.options.Log.LogAttrs(ctx, slog.LevelError, "internal error", slog.String("reference", v.id), slog.String("route", v.route), slog.Any("error", err))
		out := describe(internal, v.zh)
		out.Reference, out.Remedy = v.id, "report the reference to the administrator"
		return out
	}
	k := p.Kind
	if errors.Is(err, commands.ErrStale) {
		k = precondition // RFC 9110, 13.1.1
	}
	if k == record.Unavailable {
		s.options.Log.LogAttrs(ctx, slog.LevelWarn, "unavailable", slog.String("request", v.id), slog.String("route", v.route), slog.Any("error", err))
	}
	out := describe(k, v.zh)
	out.Detail, out.Zh, out.Field, out.Rule, out.Remedy = p.Message, p.Zh, p.Field, p.Rule, p.Remedy
	if v.zh && p.Zh != "" {
		out.Detail = p.Zh
	}
	var several *invalidInput
	if errors.As(err, &several) && len(several.fields) > 1 {
		out.Errors = several.fields
	}
	var known *person.LooksKnown
	if errors.As(err, &known) {
		out.Lookalikes = known.Files
	}
	if errors.Is(err, auth.ErrLocked) {
		out.wait = int(staff.LockFor.Seconds())
	}
	return out
}

func describe(k record.Kind, zh bool) *Problem {
	d := kindOf(k)
	p := &Problem{Type: "/problems/" + string(d.Kind), Title: d.Title.En, Status: d.Status}
	if zh {
		p.Title = d.Title.Zh
	}
	return p
}

// fail writes the answer to an error.
func (s *Server) fail(ctx huma.Context, err error) {
	s.writeProblem(ctx.Context(), ctx.SetHeader, ctx.SetStatus, ctx.BodyWriter().Write, err)
}

func (s *Server) failHTTP(w http.ResponseWriter, r *http.Request, err error) {
	s.writeProblem(r.Context(), w.Header().Set, w.WriteHeader, w.Write, err)
}

func (s *Server) writeProblem(ctx context.Context, header func(k, v string), status func(int), write func([]byte) (int, error), err error) {
	p := s.problem(ctx, err)
	body, marshalErr := json.Marshal(p)
	if marshalErr != nil {
		s.options.Log.ErrorContext(ctx, "a problem cannot be written", "error", marshalErr)
	}
	for name := range p.GetHeaders() {
		header(name, p.GetHeaders().Get(name))
	}
	header("Content-Type", p.ContentType(""))
	header("Content-Language", map[bool]string{true: "zh", false: "en"}[visitOf(ctx).zh])
	status(p.Status)
	_, _ = write(body) // the client may be gone
}

// recovered turns a panic into an error that keeps the place it came from.
type recovered struct {
	value any
	stack []byte
}

func newRecovered(value any) *recovered { return &recovered{value, debug.Stack()} }

func (r *recovered) Error() string {
	return "panic: " + strings.TrimSpace(anyString(r.value)) + "\n" + string(r.stack)
}

func anyString(v any) string {
	switch v := v.(type) {
	case error:
		return v.Error()
	case string:
		return v
	}
	return "of an unknown type"
}

// transform replaces the errors that huma makes itself (parameters and bodies that do not fit their schema) by problems.
func (s *Server) transform(ctx huma.Context, _ string, v any) (any, error) {
	m, ok := v.(*huma.ErrorModel)
	if !ok {
		return v, nil
	}
	return s.problem(ctx.Context(), humaError(m, ctx.Operation())), nil
}

func humaError(m *huma.ErrorModel, op *huma.Operation) error {
	switch m.Status {
	case http.StatusBadRequest:
		return errMalformed
	case http.StatusRequestTimeout:
		return &record.Problem{Kind: timedOut, Message: "the body did not arrive in time", Zh: "请求体未及时到达", Remedy: "try again"}
	case http.StatusRequestEntityTooLarge:
		return errTooLarge
	case http.StatusUnsupportedMediaType:
		return errMediaType
	case http.StatusUnprocessableEntity:
		errs := make([]error, len(m.Errors))
		for i, e := range m.Errors {
			errs[i] = e
		}
		return invalid(errs, op)
	}
	return errors.New(m.Detail)
}

var (
	errMalformed = &record.Problem{Kind: malformed, Field: "body", Rule: "RFC 8259", Message: "the body is not a JSON object", Zh: "请求体不是有效的 JSON 对象", Remedy: "send a JSON object; /docs shows its fields"}
	errTooLarge  = &record.Problem{Kind: tooLarge, Field: "body", Rule: "request size limit", Message: "the body is too large", Zh: "请求体过大", Remedy: "send less; files are uploaded to /v1/attachments"}
	errMediaType = &record.Problem{Kind: mediaType, Field: "Content-Type", Rule: "RFC 9110, 15.5.16", Message: "the body must be application/json", Zh: "请求体须为 application/json", Remedy: "send the header Content-Type: application/json"}
	errNoRoute   = &record.Problem{Kind: record.NotFound, Message: "there is nothing at this address", Zh: "没有这个地址", Remedy: "see /docs"}
	errMethod    = &record.Problem{Kind: methodNotAllowed, Message: "this address does not know this method", Zh: "该地址不支持此方法", Remedy: "see the Allow header and /docs"}
	errOrigin    = &record.Problem{Kind: crossOrigin, Rule: "same-origin policy", Message: "a page of another site sent this request", Zh: "请求来自另一网站", Remedy: "use the pages of this site, or a program with a personal token"}
	errTooMany   = &record.Problem{Kind: auth.TooMany, Rule: "rate limit", Message: "too many requests", Zh: "请求过于频繁", Remedy: "wait as long as Retry-After says"}
)

// invalidInput carries every field that is wrong.
type invalidInput struct {
	first  *record.Problem
	fields []FieldError
}

func (e *invalidInput) Error() string { return e.first.Error() }
func (e *invalidInput) Unwrap() error { return e.first }

// invalid makes one error of what huma.Validate found. Values are left out: they may be personal data.
func invalid(errs []error, op *huma.Operation) error {
	var out invalidInput
	for _, err := range errs {
		d, ok := err.(huma.ErrorDetailer)
		if !ok {
			continue
		}
		detail := d.ErrorDetail()
		field := detail.Location
		for _, in := range []string{"body.", "path.", "query.", "header.", "form."} {
			field = strings.TrimPrefix(field, in)
		}
		f := FieldError{Field: field, Message: detail.Message}
		if rest, ok := strings.CutPrefix(detail.Message, requiredPrefix); ok { // huma points at the object that lacks it
			name, _, _ := strings.Cut(rest, " ")
			f.Field = strings.TrimPrefix(strings.TrimPrefix(detail.Location+"."+name, "body"), ".")
		}
		f.Zh = chinese(detail.Message)
		out.fields = append(out.fields, f)
	}
	if len(out.fields) == 0 {
		return errMalformed
	}
	first := out.fields[0]
	out.first = &record.Problem{Kind: record.Invalid, Field: first.Field, Message: first.Message, Zh: first.Zh,
		Rule: "API " + op.OperationID, Remedy: "/docs#" + op.OperationID + " shows what the field takes"}
	return &out
}

const requiredPrefix = "expected required property "

// chinese says in Chinese what huma says in English.
func chinese(message string) string {
	for _, t := range []struct{ en, zh string }{
		{requiredPrefix, "缺少必填字段"}, {"required ", "缺少必填参数"}, {validation.MsgUnexpectedProperty, "没有这个字段"}, {"unknown query parameter", "没有这个参数"},
		{"expected value to be one of", "不在可选值之列"}, {"expected length >=", "太短"}, {"expected length <=", "太长"},
		{"expected number >=", "数值过小"}, {"expected number <=", "数值过大"}, {"expected string to match pattern", "格式不符"},
		{"expected array length >=", "项数过少"}, {"expected array length <=", "项数过多"},
		{validation.MsgExpectedInteger, "应为整数"}, {validation.MsgExpectedNumber, "应为数值"},
		{validation.MsgExpectedBoolean, "应为 true 或 false"}, {validation.MsgExpectedArray, "应为列表"}, {validation.MsgExpectedObject, "应为对象"},
		{"expected string to be RFC 3339 date-time", "应为日期时间，如 2026-01-02T15:04:05+08:00"}, {"expected string to be RFC 3339 date", "应为日期，如 2026-01-02"},
		{"expected string to be RFC 4122 uuid", "应为 uuid"}, {validation.MsgExpectedString, "应为文字"},
	} {
		if strings.HasPrefix(message, t.en) {
			return t.zh
		}
	}
	return "不符合要求"
}

// chooseZh tells from Accept-Language whether the answer should be in Chinese.
func chooseZh(r *http.Request) bool {
	h := r.Header.Get("Accept-Language")
	if h == "" || len(h) > 200 {
		return false
	}
	wanted, _, err := language.ParseAcceptLanguage(h)
	if err != nil {
		return false
	}
	_, i, _ := languages.Match(wanted...)
	return i == 1
}

var languages = language.NewMatcher([]language.Tag{language.English, language.Chinese})
