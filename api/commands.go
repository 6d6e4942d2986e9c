package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"

	"yidang/domain/commands"
	"yidang/domain/record"
)

// This file makes one route per command of the catalog. Nothing here knows any command by name.

// CommandPath is the address of a command; {id} is part of it when the command changes a file that exists.
func CommandPath(k *record.Category, row *record.CommandRow) string {
	_, verb, _ := strings.Cut(row.Name, ".")
	verb = strings.ReplaceAll(verb, "_", "-")
	if row.Creates {
		return "/v1/" + k.Name + "/" + verb
	}
	return "/v1/" + k.Name + "/{id}/" + verb
}

func (s *Server) commandRoutes() error {
	seen := map[string]string{}
	for _, k := range s.options.Catalog.Categories {
		for i := range k.Commands {
			row := &k.Commands[i]
			if row.Internal {
				continue
			}
			p := CommandPath(k, row)
			if other, twice := seen[p]; twice {
				return fmt.Errorf("commands %s and %s have the same address %s", other, row.Name, p)
			}
			seen[p] = row.Name
			s.commandRoute(k, row, p)
		}
	}
	return nil
}

// commandRoute describes one command in the API document and serves it.
func (s *Server) commandRoute(k *record.Category, row *record.CommandRow, p string) {
	reg := s.api.OpenAPI().Components.Schemas
	schema := bodySchema(reg, row)
	_, verb, _ := strings.Cut(row.Name, ".")
	op := &huma.Operation{
		OperationID: k.Name + "-" + strings.ReplaceAll(verb, "_", "-"), Method: http.MethodPost, Path: p, Tags: []string{k.Name},
		Summary: row.Title.En + " (" + row.Title.Zh + ")", Description: commandAbout(row), Security: signedIn,
		RequestBody: &huma.RequestBody{Required: len(schema.Required) > 0,
			Content: map[string]*huma.MediaType{"application/json": {Schema: &huma.Schema{Ref: "#/components/schemas/" + row.Name}}}},
		Parameters: commandParameters(row),
	}
	status := http.StatusOK
	if row.Creates {
		status = http.StatusCreated
	}
	problemResponses(reg, op, 400, 401, 403, 404, 408, 409, 410, 412, 413, 415, 422, 429, 500, 503)
	op.Responses[itoa(status)] = receiptResponse(reg, row.Creates, "recorded, or nothing when the file already said so")
	if row.Creates {
		op.Responses["200"] = receiptResponse(reg, false, "of a dry run: what would be recorded")
	}
	s.api.OpenAPI().AddOperation(op)
	c := &command{server: s, category: k, row: row, op: op, schema: schema, created: status, envelope: map[string]bool{}}
	input := huma.SchemaFromType(newRegistry(), row.Input)
	for _, name := range []string{"occurredAt", "late", "post"} {
		_, inInput := input.Properties[name]
		_, offered := schema.Properties[name]
		c.envelope[name] = offered && !inInput
	}
	s.api.Adapter().Handle(op, s.api.Middlewares().Handler(c.serve))
}

// commandAbout is the text of a command in the API document: clause, who may, how it behaves.
func commandAbout(row *record.CommandRow) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Source: %s.\n\nWho may: %s.", row.Source, grantText(row.Grants))
	if row.Undated {
		b.WriteString("\n\nIt happens when it is recorded: there is no `occurredAt`.")
	}
	return b.String()
}

// scopes says in words how far a grant reaches.
var scopes = map[record.Scope]string{record.InUnit: "for villages of their unit", record.Caseload: "when responsible in the case", record.Self: "for their own account", record.Anywhere: "everywhere"}

// grantText says who a grant is for, as the document shows it.
func grantText(grants []record.Grant) string {
	var parts []string
	for _, g := range grants {
		var roles []string
		for _, role := range g.Roles {
			for _, known := range record.Roles {
				if known.Role == role {
					roles = append(roles, known.Title.En+" ("+known.Title.Zh+")")
				}
			}
		}
		who := strings.Join(roles, ", ")
		if len(g.Roles) == len(record.Roles) {
			who = "every role"
		}
		parts = append(parts, who+" "+scopes[g.Scope])
	}
	return strings.Join(parts, "; ")
}

func commandParameters(row *record.CommandRow) []*huma.Param {
	text := func(max int) *huma.Schema { return &huma.Schema{Type: huma.TypeString, MaxLength: &max} }
	params := []*huma.Param{
		{Name: "dryRun", In: "query", Description: "true: say what would be recorded, or why not; record nothing", Schema: &huma.Schema{Type: huma.TypeBoolean}},
		{Name: "Idempotency-Key", In: "header", Description: "names this request: a repeat with the same key gets the first answer and records nothing", Schema: text(200)},
	}
	if row.Creates {
		return params
	}
	return append([]*huma.Param{{Name: "id", In: "path", Required: true, Description: "of the file", Schema: &huma.Schema{Type: huma.TypeString, Format: "uuid"}}},
		append(params, &huma.Param{Name: "If-Match", In: "header", Description: "revision that the caller saw, as the ETag of a read gave it, such as \"12\"; any other is refused", Schema: text(40)})...)
}

func receiptResponse(reg huma.Registry, created bool, about string) *huma.Response {
	str, num := &huma.Schema{Type: huma.TypeString}, &huma.Schema{Type: huma.TypeInteger, Format: "int64"}
	r := &huma.Response{
		Description: about,
		Content:     map[string]*huma.MediaType{"application/json": {Schema: reg.Schema(reflect.TypeFor[commands.Receipt](), true, "")}},
		Headers: map[string]*huma.Header{
			"ETag":            {Description: "revision of the file after the command, for If-Match", Schema: str},
			"Yidang-Position": {Description: "log position of the last event, for atLeast", Schema: num},
		},
	}
	if created {
		r.Headers["Location"] = &huma.Header{Description: "where the new file is read", Schema: str}
	}
	return r
}

// command serves one row.
type command struct {
	server   *Server
	category *record.Category
	row      *record.CommandRow
	op       *huma.Operation
	schema   *huma.Schema
	created  int             // status when it was recorded
	envelope map[string]bool // which envelope fields the body has, as far as they are not the input's own
}

func (c *command) serve(ctx huma.Context) {
	receipt, err := c.run(ctx)
	if err != nil {
		c.server.fail(ctx, err)
		return
	}
	status := c.created
	if receipt.DryRun {
		status = http.StatusOK
	} else if c.row.Creates {
		ctx.SetHeader("Location", location(c.category, receipt.ID))
	}
	writeReceipt(ctx, status, receipt)
}

// location is where a file is read.
func location(k *record.Category, id uuid.UUID) string {
	switch {
	case k.Case:
		return "/v1/cases/" + id.String()
	case k.Name == "person":
		return "/v1/people/" + id.String()
	}
	return "/v1/" + k.Name + "s/" + id.String()
}

func writeReceipt(ctx huma.Context, status int, receipt commands.Receipt) {
	body, err := json.Marshal(receipt)
	if err != nil {
		panic(err)
	}
	ctx.SetHeader("ETag", `"`+strconv.FormatUint(receipt.Revision, 10)+`"`)
	ctx.SetHeader("Yidang-Position", strconv.FormatUint(receipt.Position, 10))
	ctx.SetHeader("Content-Type", "application/json")
	ctx.SetStatus(status)
	_, _ = ctx.BodyWriter().Write(body) // the client may be gone; what was recorded is recorded
}

func (c *command) run(ctx huma.Context) (receipt commands.Receipt, err error) {
	r, err := c.request(ctx)
	if err != nil {
		return receipt, err
	}
	raw, err := readBody(ctx, c.server.options.Limits.Body)
	if err != nil {
		return receipt, err
	}
	body, err := checkBody(c.server.api.OpenAPI().Components.Schemas, c.schema, c.op, raw)
	if err != nil {
		return receipt, err
	}
	if err := c.takeEnvelope(body, &r); err != nil {
		return receipt, err
	}
	if r.Input, err = c.input(body); err != nil {
		return receipt, err
	}
	if receipt, err = c.server.options.Executor.Do(ctx.Context(), r); err == nil {
		c.server.alarm(ctx.Context(), receipt)
	}
	return receipt, err
}

// request takes what path, query and headers say.
func (c *command) request(ctx huma.Context) (r commands.Request, err error) {
	who := visitOf(ctx.Context()).who
	r = commands.Request{Category: c.category.Name, Command: c.row.Name, Officer: who.Officer}
	if !c.row.Creates {
		if r.ID, err = uuid.Parse(ctx.Param("id")); err != nil {
			return r, errNoUUID.At("id")
		}
	}
	switch q := ctx.Query("dryRun"); q {
	case "", "false":
	case "true":
		r.DryRun = true
	default:
		return r, &record.Problem{Kind: record.Invalid, Field: "dryRun", Rule: "API " + c.op.OperationID, Message: "expected true or false", Zh: "应为 true 或 false", Remedy: "leave it out, or write true"}
	}
	if r.IfRevision, err = ifMatch(ctx.Header("If-Match"), c.row.Creates); err != nil {
		return r, err
	}
	r.CommandID, err = commandID(who.Officer, ctx.Header("Idempotency-Key"), r.Category, r.ID)
	return r, err
}

var (
	errNoUUID  = &record.Problem{Kind: record.Invalid, Rule: "RFC 9562", Message: "is not a uuid", Zh: "不是 uuid", Remedy: "take the id from a list or a search"}
	errIfMatch = &record.Problem{Kind: record.Invalid, Field: "If-Match", Rule: "RFC 9110, 13.1.1", Message: "is not an ETag of this service", Zh: "不是本系统的 ETag",
		Remedy: `send the ETag of the file as it was read, such as "12"`}
	errKey = &record.Problem{Kind: record.Invalid, Field: "Idempotency-Key", Rule: "idempotency", Message: "must be 1 to 200 visible ASCII characters", Zh: "应为 1 至 200 个可见 ASCII 字符",
		Remedy: "use a new uuid for each new request"}
	errWhen = &record.Problem{Kind: record.Invalid, Field: "occurredAt", Rule: "two clocks", Message: "is neither an RFC 3339 time nor a day", Zh: "不是有效的时间或日期", Remedy: "write 2026-03-01 or 2026-03-01T09:30:00+08:00"}
)

func ifMatch(h string, creates bool) (*uint64, error) {
	if h == "" {
		return nil, nil
	}
	inner, ok := strings.CutPrefix(h, `"`)
	inner, closed := strings.CutSuffix(inner, `"`)
	n, err := strconv.ParseUint(inner, 10, 64)
	if !ok || !closed || err != nil || creates {
		return nil, errIfMatch
	}
	return &n, nil
}

// commandID makes a repeat recognisable: the same officer, key and file give the same id. The file is part of it so that a
// key used by mistake for two files cannot give two events one id; used again for the same file, the executor notices.
func commandID(officer uuid.UUID, key, category string, id uuid.UUID) (uuid.UUID, error) {
	if key == "" {
		return uuid.Nil, nil
	}
	if len(key) > 200 || strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return uuid.Nil, errKey
	}
	return uuid.NewSHA1(officer, []byte(key+"\x00"+category+"\x00"+id.String())), nil
}

// takeEnvelope moves the envelope's fields from the body to the request.
func (c *command) takeEnvelope(body map[string]any, r *commands.Request) (err error) {
	take := func(name string) string {
		if !c.envelope[name] {
			return ""
		}
		text, _ := body[name].(string)
		delete(body, name)
		return text
	}
	if text := take("occurredAt"); text != "" {
		if r.Occurred, err = occurred(text); err != nil {
			return err
		}
	}
	r.Late = record.Late(take("late"))
	if text := take("post"); text != "" {
		if r.Post, err = uuid.Parse(text); err != nil {
			return errNoUUID.At("post")
		}
	}
	return nil
}

// occurred reads a time, or a day as its beginning in the township's zone.
func occurred(text string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t, err = time.ParseInLocation(record.Day, text, record.Zone)
	}
	if err != nil || t.Year() < 1900 {
		return time.Time{}, errWhen
	}
	return t, nil
}

// input makes the row's input of what was checked.
func (c *command) input(body map[string]any) (any, error) {
	raw, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	input, err := c.row.Parse(raw)
	if err != nil {
		return nil, unfit(err, c.op)
	}
	return input, nil
}

// unfit names the field that the schema let pass and the type did not, such as a number too large for it.
func unfit(err error, op *huma.Operation) error {
	p := &record.Problem{Kind: record.Invalid, Field: "body", Rule: "API " + op.OperationID, Message: "a value does not fit its field", Zh: "数值超出字段范围", Remedy: "/docs#" + op.OperationID + " shows what each field takes"}
	var t *json.UnmarshalTypeError
	if errors.As(err, &t) {
		p.Field, p.Message = t.Field, "does not fit its field"
	}
	return p
}

var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// readBody reads a JSON body up to a limit.
func readBody(ctx huma.Context, limit int64) ([]byte, error) {
	buf := buffers.Get().(*bytes.Buffer)
	defer func() {
		if buf.Cap() <= 64<<10 {
			buf.Reset()
			buffers.Put(buf)
		}
	}()
	n, err := buf.ReadFrom(io.LimitReader(ctx.BodyReader(), limit+1))
	var slow net.Error
	switch {
	case errors.As(err, &slow) && slow.Timeout():
		return nil, &record.Problem{Kind: timedOut, Message: "the body did not arrive in time", Zh: "请求体未及时到达", Remedy: "try again"}
	case err != nil:
		return nil, errMalformed.Because(err)
	case n > limit:
		return nil, errTooLarge
	}
	if n > 0 {
		if media, _, err := mime.ParseMediaType(ctx.Header("Content-Type")); err != nil || media != "application/json" {
			return nil, errMediaType
		}
	}
	return bytes.Clone(buf.Bytes()), nil
}

func itoa(n int) string { return strconv.Itoa(n) }

func utoa(n uint64) string { return strconv.FormatUint(n, 10) }
