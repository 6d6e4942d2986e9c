package api

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gin-gonic/gin"

	"yidang/domain/record"
)

//go:embed pages
var pages embed.FS

// docs is the API document and the pages made from it. They are made by this server, without scripts, so they work where
// nothing else can be reached.
type docs struct {
	openapi []byte
	page    *template.Template
	kinds   *template.Template
	groups  []docGroup
}

type docGroup struct {
	Name, About string
	Operations  []docOperation
}

type docOperation struct {
	ID, Method, Path, Summary, About string
	Parameters, Fields, Answer       []docField
	Statuses                         []string
	text                             string // what a search looks at, in lower case
}

type docField struct {
	Name, In, Type, About string
	Required              bool
}

// OpenAPI is the document as JSON.
func (s *Server) OpenAPI() []byte { return s.docs.openapi }

func (s *Server) docsRoutes() (err error) {
	if s.docs.openapi, err = json.MarshalIndent(s.api.OpenAPI(), "", " "); err != nil {
		return fmt.Errorf("API document: %w", err)
	}
	for name, t := range map[string]**template.Template{"docs.html": &s.docs.page, "problems.html": &s.docs.kinds} {
		if *t, err = template.ParseFS(pages, "pages/"+name); err != nil {
			return err
		}
	}
	s.docs.groups = s.docGroups()
	s.engine.GET("/openapi.json", func(c *gin.Context) { c.Data(http.StatusOK, "application/openapi+json", s.docs.openapi) })
	s.engine.GET("/docs", s.docsPage)
	s.engine.GET("/problems", func(c *gin.Context) { s.problemsPage(c, kinds) })
	s.engine.GET("/problems/:kind", s.problemPage)
	style, err := pages.ReadFile("pages/style.css")
	if err != nil {
		return err
	}
	s.engine.GET("/docs/style.css", func(c *gin.Context) { c.Data(http.StatusOK, "text/css; charset=utf-8", style) })
	return nil
}

func pageZh(c *gin.Context) bool {
	if lang := c.Query("lang"); lang != "" {
		return strings.HasPrefix(lang, "zh")
	}
	return visitOf(c.Request.Context()).zh
}

func (s *Server) showPage(c *gin.Context, t *template.Template, data any) {
	var out bytes.Buffer
	if err := t.Execute(&out, data); err != nil {
		panic(err)
	}
	c.Header("Content-Security-Policy", "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
	c.Data(http.StatusOK, "text/html; charset=utf-8", out.Bytes())
}

func (s *Server) docsPage(c *gin.Context) {
	q := c.Query("q")
	if len(q) > 200 {
		q = ""
	}
	info := s.api.OpenAPI().Info
	s.showPage(c, s.docs.page, map[string]any{"Zh": pageZh(c), "Title": info.Title, "Version": info.Version, "About": info.Description, "Query": q, "Groups": search(s.docs.groups, q)})
}

// search keeps the operations in which every word of the query occurs.
func search(groups []docGroup, query string) []docGroup {
	words := strings.Fields(strings.ToLower(query))
	var out []docGroup
	for _, g := range groups {
		g.Operations = slices.DeleteFunc(slices.Clone(g.Operations), func(op docOperation) bool {
			return slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(op.text, w) })
		})
		if len(g.Operations) > 0 {
			out = append(out, g)
		}
	}
	return out
}

func (s *Server) problemsPage(c *gin.Context, shown []kind) {
	s.showPage(c, s.docs.kinds, map[string]any{"Zh": pageZh(c), "Kinds": shown})
}

func (s *Server) problemPage(c *gin.Context) {
	k := kindOf(record.Kind(c.Param("kind")))
	if string(k.Kind) != c.Param("kind") {
		s.failHTTP(c.Writer, c.Request, errNoRoute)
		return
	}
	s.problemsPage(c, []kind{k})
}

func (s *Server) docGroups() []docGroup {
	doc := s.api.OpenAPI()
	byTag := map[string]*docGroup{}
	var out []*docGroup
	for _, t := range doc.Tags {
		g := &docGroup{Name: t.Name, About: t.Description}
		byTag[t.Name] = g
		out = append(out, g)
	}
	for _, p := range slices.Sorted(maps.Keys(doc.Paths)) {
		byMethod := operations(doc.Paths[p])
		for _, m := range slices.Sorted(maps.Keys(byMethod)) {
			op := byMethod[m]
			g := byTag[op.Tags[0]]
			g.Operations = append(g.Operations, s.docOperation(m, p, op))
		}
	}
	groups := make([]docGroup, len(out))
	for i, g := range out {
		groups[i] = *g
	}
	return groups
}

func (s *Server) docOperation(method, path string, op *huma.Operation) docOperation {
	d := docOperation{ID: op.OperationID, Method: method, Path: path, Summary: op.Summary, About: op.Description}
	for _, p := range op.Parameters {
		d.Parameters = append(d.Parameters, docField{Name: p.Name, In: p.In, Type: s.typeText(p.Schema), About: strings.TrimSpace(p.Description + " " + schemaAbout(p.Schema)), Required: p.Required})
	}
	if op.RequestBody != nil {
		for _, m := range op.RequestBody.Content {
			d.Fields = append(d.Fields, s.docFields(m.Schema, "", 0)...)
		}
	}
	for _, status := range slices.Sorted(maps.Keys(op.Responses)) {
		d.Statuses = append(d.Statuses, status)
		if r := op.Responses[status]; status < "300" && d.Answer == nil {
			if m := r.Content["application/json"]; m != nil {
				d.Answer = s.docFields(m.Schema, "", 0)
			}
		}
	}
	text := []string{d.ID, d.Path, d.Summary, d.About, op.Tags[0]}
	for _, f := range slices.Concat(d.Parameters, d.Fields) {
		text = append(text, f.Name, f.About)
	}
	d.text = strings.ToLower(strings.Join(text, "\n"))
	return d
}

// docFields lists the fields of an object, those of objects inside it under their path, three levels deep.
func (s *Server) docFields(schema *huma.Schema, prefix string, depth int) []docField {
	schema = s.resolve(schema)
	if schema.Type == huma.TypeArray && schema.Items != nil {
		return s.docFields(schema.Items, prefix, depth)
	}
	var out []docField
	for _, name := range slices.Sorted(maps.Keys(schema.Properties)) {
		p := schema.Properties[name]
		inner, array := s.resolve(p), ""
		if inner.Type == huma.TypeArray && inner.Items != nil {
			inner, array = s.resolve(inner.Items), "[]"
		}
		about := p.Description
		if about == "" && len(inner.Properties) > 0 {
			about = inner.Description
		}
		out = append(out, docField{Name: prefix + name + array, Type: s.typeText(p), About: strings.TrimSpace(about + " " + schemaAbout(inner)), Required: slices.Contains(schema.Required, name)})
		if depth < 2 && len(inner.Properties) > 0 {
			out = append(out, s.docFields(inner, prefix+name+array+".", depth+1)...)
		}
	}
	return out
}

func (s *Server) resolve(schema *huma.Schema) *huma.Schema {
	for schema.Ref != "" {
		schema = s.api.OpenAPI().Components.Schemas.SchemaFromRef(schema.Ref)
	}
	return schema
}

func (s *Server) typeText(schema *huma.Schema) string {
	schema = s.resolve(schema)
	switch {
	case schema.Type == huma.TypeArray && schema.Items != nil:
		return s.typeText(schema.Items) + "[]"
	case schema.Format != "" && schema.Type == huma.TypeString:
		return schema.Format
	case schema.Type == "":
		return "any"
	}
	return schema.Type
}

// schemaAbout says what a value may be.
func schemaAbout(schema *huma.Schema) string {
	var parts []string
	if len(schema.Enum) > 0 {
		var values []string
		for _, v := range schema.Enum {
			values = append(values, fmt.Sprint(v))
		}
		parts = append(parts, "{"+strings.Join(values, ", ")+"}")
	}
	for _, b := range []struct {
		text string
		n    *int
	}{{"≥ %d characters", schema.MinLength}, {"≤ %d characters", schema.MaxLength}, {"≥ %d items", schema.MinItems}, {"≤ %d items", schema.MaxItems}} {
		if b.n != nil {
			parts = append(parts, fmt.Sprintf(b.text, *b.n))
		}
	}
	if schema.Minimum != nil {
		parts = append(parts, fmt.Sprintf("≥ %g", *schema.Minimum))
	}
	if schema.Maximum != nil {
		parts = append(parts, fmt.Sprintf("≤ %g", *schema.Maximum))
	}
	return strings.Join(parts, ", ")
}
