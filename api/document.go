package api

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"reflect"
	"slices"

	"github.com/danielgtaylor/huma/v2"
)

// signedIn is what every operation asks for that is not open.
var signedIn = []map[string][]string{{"session": {}}, {"token": {}}}

// document is the head of the OpenAPI 3.1 document; the routes add themselves.
func (s *Server) document() huma.Config {
	return huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info: &huma.Info{
				Title: "Yidang (一档)", Version: s.options.Build.Version,
				Description: "One person, one file (一人一档). Every command is recorded for ever with who, in which post, for which unit and when; every read says the log position it shows.\n\n" +
					"Errors are RFC 9457 problems that name field, rule and remedy; /problems lists their kinds. Lists come in pages: send `next` back as `cursor`.",
				License: &huma.License{Name: "Apache-2.0", Identifier: "Apache-2.0"},
			},
			Servers:    []*huma.Server{{URL: "/", Description: "this server"}},
			Components: &huma.Components{Schemas: newRegistry(), SecuritySchemes: s.securitySchemes()},
		},
		Formats:       map[string]huma.Format{"application/json": huma.DefaultJSONFormat, "json": huma.DefaultJSONFormat}, // json: of problem+json
		DefaultFormat: "application/json",
		Transformers:  []huma.Transformer{s.transform},
	}
}

func (s *Server) securitySchemes() map[string]*huma.SecurityScheme {
	return map[string]*huma.SecurityScheme{
		"session": {Type: "apiKey", In: "cookie", Name: s.cookieName(), Description: "sealed session, set by POST /v1/session"},
		"token":   {Type: "http", Scheme: "bearer", BearerFormat: "yd_…", Description: "personal API token, issued by POST /v1/me/tokens"},
	}
}

// finishDocument removes what huma adds for errors that the transformer replaces, and names the tags.
func (s *Server) finishDocument() {
	doc := s.api.OpenAPI()
	delete(doc.Components.Schemas.Map(), "v2.ErrorModel")
	delete(doc.Components.Schemas.Map(), "v2.ErrorDetail")
	used := map[string]bool{}
	for _, item := range doc.Paths {
		for _, op := range operations(item) {
			for _, t := range op.Tags {
				used[t] = true
			}
		}
	}
	about := map[string]string{}
	for _, k := range s.options.Catalog.Categories {
		about[k.Name] = "Commands: " + k.Title.En + " (" + k.Title.Zh + ")"
	}
	maps.Copy(about, tagAbout)
	for _, name := range slices.Sorted(maps.Keys(used)) {
		doc.Tags = append(doc.Tags, &huma.Tag{Name: name, Description: about[name]})
	}
}

// tagAbout describes the tags that are not categories.
var tagAbout = map[string]string{
	"me":          "The officer who is signed in (本人)",
	"read":        "Reads: people, cases, worklist, officers, units, policy (查询)",
	"inspect":     "Inspection: what was recorded, amended and read, by whom (监督检查)",
	"reports":     "Reports on pseudonymous facts (统计报表)",
	"attachments": "Sealed documents and pictures of a case (附件)",
	"imports":     "Rosters (名册导入)",
	"handovers":   "Hand-over of many cases in one call (批量移交)",
}

// operations lists what a path answers to.
func operations(item *huma.PathItem) map[string]*huma.Operation {
	out := map[string]*huma.Operation{}
	for method, op := range map[string]*huma.Operation{
		http.MethodGet: item.Get, http.MethodPost: item.Post, http.MethodPut: item.Put, http.MethodDelete: item.Delete, http.MethodPatch: item.Patch,
	} {
		if op != nil {
			out[method] = op
		}
	}
	return out
}

// read registers an operation whose parameters and answer huma takes from types. Its errors become problems, and a query
// parameter that it does not know is one.
func read[I, O any](s *Server, op huma.Operation, h func(context.Context, *I) (*O, error)) {
	op.Method, op.Security, op.RejectUnknownQueryParameters = http.MethodGet, signedIn, true
	if op.Metadata[recorded] != nil {
		op.Parameters = append(op.Parameters, purposeParams()...)
	}
	problemResponses(s.api.OpenAPI().Components.Schemas, &op, 401, 403, 404, 422, 429, 500, 503)
	huma.Register(s.api, op, func(ctx context.Context, in *I) (*O, error) {
		out, err := h(ctx, in)
		if err != nil {
			return nil, s.problem(ctx, err)
		}
		return out, nil
	})
}

// action registers an operation with a JSON body that is checked as strictly as a command's. The handler answers with a
// status and a body, nil for none; headers it sets itself.
func action[B, O any](s *Server, op huma.Operation, status int, h func(ctx huma.Context, body *B) (*O, error)) {
	reg := s.api.OpenAPI().Components.Schemas
	if op.Metadata[open] == nil {
		op.Security = signedIn
	} else {
		op.Security = []map[string][]string{{}}
	}
	problemResponses(reg, &op, 400, 401, 403, 404, 408, 409, 413, 415, 422, 429, 500, 503)
	answer := &huma.Response{Description: http.StatusText(status)}
	if status != http.StatusNoContent {
		answer.Content = map[string]*huma.MediaType{"application/json": {Schema: reg.Schema(reflect.TypeFor[O](), true, op.OperationID+"-answer")}}
	}
	op.Responses[itoa(status)] = answer
	bodyType := reflect.TypeFor[B]()
	schema := huma.SchemaFromType(reg, bodyType)
	if bodyType.NumField() > 0 {
		op.RequestBody = &huma.RequestBody{Required: len(schema.Required) > 0, Content: map[string]*huma.MediaType{
			"application/json": {Schema: reg.Schema(bodyType, true, "")}}}
	}
	s.api.OpenAPI().AddOperation(&op)
	s.api.Adapter().Handle(&op, s.api.Middlewares().Handler(func(ctx huma.Context) {
		body := new(B)
		err := takeBody(ctx, reg, schema, &op, s.options.Limits.Body, body)
		var out *O
		if err == nil {
			out, err = h(ctx, body)
		}
		if err != nil {
			s.fail(ctx, err)
			return
		}
		if status == http.StatusNoContent {
			ctx.SetStatus(status)
			return
		}
		answerJSON(ctx, status, out)
	}))
}

func takeBody(ctx huma.Context, reg huma.Registry, schema *huma.Schema, op *huma.Operation, limit int64, into any) error {
	raw, err := readBody(ctx, limit)
	if err != nil {
		return err
	}
	body, err := checkBody(reg, schema, op, raw)
	if err != nil {
		return err
	}
	if raw, err = json.Marshal(body); err != nil {
		return err
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return unfit(err, op)
	}
	return nil
}

func answerJSON(ctx huma.Context, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	ctx.SetHeader("Content-Type", "application/json")
	ctx.SetStatus(status)
	_, _ = ctx.BodyWriter().Write(body) // the client may be gone
}
