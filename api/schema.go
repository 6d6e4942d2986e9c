package api

import (
	"encoding/json"
	"path"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"

	"yidang/domain/record"
)

// uuidSchema stands in for uuid.UUID in schemas: a string of format uuid.
type uuidSchema string

// Schema is what huma asks for.
func (uuidSchema) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Format: "uuid"}
}

func newRegistry() huma.Registry {
	r := huma.NewMapRegistry("#/components/schemas/", schemaName)
	r.RegisterTypeAlias(reflect.TypeFor[uuid.UUID](), reflect.TypeFor[uuidSchema]())
	return r
}

// schemaName is the package and the type, so that types of one name in two packages stay apart.
func schemaName(t reflect.Type, hint string) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	name := huma.DefaultSchemaNamer(t, hint)
	if pkg := t.PkgPath(); pkg != "" && path.Base(pkg) != "api" {
		return path.Base(pkg) + "." + name
	}
	return name
}

// bodySchema is the schema of a command's body: the input's fields, and the envelope's as far as the row takes them and the
// input has no field of that name. It is built once, when the service starts.
func bodySchema(reg huma.Registry, row *record.CommandRow) *huma.Schema {
	name := row.Name
	if s, ok := reg.Map()[name]; ok {
		return s
	}
	s := huma.SchemaFromType(reg, row.Input)
	s.Title, s.Description = row.Title.En+" ("+row.Title.Zh+")", "Source: "+row.Source
	add := func(name string, p *huma.Schema) {
		if _, taken := s.Properties[name]; !taken {
			s.Properties[name] = p
		}
	}
	if s.Properties == nil {
		s.Properties = map[string]*huma.Schema{}
	}
	if !row.Undated {
		add("occurredAt", &huma.Schema{Type: huma.TypeString, Description: "when it happened: RFC 3339, or a day such as 2026-03-01; now when left out",
			Pattern: `^[0-9]{4}-[0-9]{2}-[0-9]{2}(T.+)?$`, Examples: []any{"2026-03-01", "2026-03-01T09:30:00+08:00"}})
		late := &huma.Schema{Type: huma.TypeString, Description: "why it is entered later than the policy allows"}
		for _, l := range record.Lates {
			late.Enum = append(late.Enum, string(l))
		}
		add("late", late)
	}
	add("post", &huma.Schema{Type: huma.TypeString, Format: "uuid", Description: "in which of your posts you act; the first that allows it when left out"})
	s.AdditionalProperties = false
	s.PrecomputeMessages()
	reg.Map()[name] = s
	return s
}

type validator struct {
	path   *huma.PathBuffer
	result huma.ValidateResult
}

var validators = sync.Pool{New: func() any { return &validator{path: huma.NewPathBuffer(make([]byte, 0, 128), 0)} }}

// checkBody reads a JSON object and checks it against its schema, strictly: a field that the schema does not name exactly
// is an error. What it returns is all that is used of the body afterwards, so nothing can be checked under one name and
// read under another (two fields that differ in case only, a field given twice).
func checkBody(reg huma.Registry, schema *huma.Schema, op *huma.Operation, raw []byte) (map[string]any, error) {
	if len(raw) == 0 {
		raw = []byte("{}")
	}
	var body map[string]any
	if err := json.Unmarshal(raw, &body); err != nil || body == nil {
		return nil, errMalformed
	}
	v := validators.Get().(*validator)
	defer func() {
		if len(v.result.Errors) < 64 {
			v.path.Reset()
			v.result.Reset()
			validators.Put(v)
		}
	}()
	v.path.Push("body")
	huma.Validate(reg, schema, v.path, huma.ModeWriteToServer, body, &v.result)
	exactNames(reg, schema, v.path, body, &v.result)
	if len(v.result.Errors) > 0 {
		return nil, invalid(v.result.Errors, op)
	}
	return body, nil
}

// exactNames finds fields that differ from the schema's only in case, which huma lets pass and encoding/json would read.
func exactNames(reg huma.Registry, s *huma.Schema, at *huma.PathBuffer, v any, out *huma.ValidateResult) {
	for s.Ref != "" {
		s = reg.SchemaFromRef(s.Ref)
	}
	switch v := v.(type) {
	case map[string]any:
		for name, value := range v {
			p, known := s.Properties[name]
			at.Push(name)
			switch {
			case known:
				exactNames(reg, p, at, value, out)
			case s.Type == huma.TypeObject && s.AdditionalProperties == false && hasFold(s.Properties, name):
				out.Add(at, nil, "unexpected property")
			}
			at.Pop()
		}
	case []any:
		if s.Items == nil {
			return
		}
		for i, item := range v {
			at.PushIndex(i)
			exactNames(reg, s.Items, at, item, out)
			at.Pop()
		}
	}
}

func hasFold(properties map[string]*huma.Schema, name string) bool {
	for p := range properties {
		if strings.EqualFold(p, name) {
			return true
		}
	}
	return false
}

// problemResponses documents the refusals of an operation.
func problemResponses(reg huma.Registry, op *huma.Operation, statuses ...int) {
	schema := reg.Schema(reflect.TypeFor[Problem](), true, "")
	if op.Responses == nil {
		op.Responses = map[string]*huma.Response{}
	}
	for _, status := range statuses {
		var says []string
		for _, k := range kinds {
			if k.Status == status {
				says = append(says, k.Title.En+" ("+k.Title.Zh+"): "+k.About.En)
			}
		}
		slices.Sort(says)
		op.Responses[itoa(status)] = &huma.Response{
			Description: strings.Join(says, " "),
			Content:     map[string]*huma.MediaType{"application/problem+json": {Schema: schema}},
		}
	}
}
