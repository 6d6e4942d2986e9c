package api

import (
	"bytes"
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"

	"yidang/domain/record"
	"yidang/projections/reports"
)

// RunReport runs a report at a log position (0: the newest loaded); see reports.Run.
type RunReport func(ctx context.Context, name string, parameters map[string]string, position uint64) (*reports.Result, error)

// ErrNoReports is the answer while there is no engine.
var ErrNoReports = &record.Problem{Kind: record.Unavailable, Message: "the report engine is not installed", Zh: "统计引擎未安装",
	Remedy: "run make engine and restart, or set analytics.connection to a ClickHouse server"}

// ReportList is what reports there are, of those the caller may see.
type ReportList struct {
	Reports []reports.Report `json:"reports" nullable:"false"`
}

// ReportResult is an answer: rows, the position they are pinned to, and the parameters as used.
type ReportResult struct {
	Name       string            `json:"name"`
	Title      record.Text       `json:"title"`
	Columns    []reports.Column  `json:"columns" nullable:"false"`
	Rows       []map[string]any  `json:"rows" nullable:"false" doc:"a value for each column; a share is {n, of, percent}"`
	Position   uint64            `json:"position" doc:"the same call with it gives the same figures"`
	Parameters map[string]string `json:"parameters" doc:"as used, those left out included"`
}

type reportsAnswer struct{ Body ReportList }

func (s *Server) reportRoutes() {
	var roles []record.Role
	for _, r := range reports.All {
		for _, role := range r.Roles {
			if !slices.Contains(roles, role) {
				roles = append(roles, role)
			}
		}
	}
	who := "\n\nWho may: " + grantText([]record.Grant{{Roles: roles, Scope: record.Anywhere}}) + "."
	read(s, huma.Operation{OperationID: "reports", Path: "/v1/reports", Tags: []string{"reports"}, Summary: "Reports there are (报表目录)",
		Description: "Those the caller may see, with parameters, columns and the definition of each figure." + who}, s.listReports)
	s.reportRoute(who)
}

// mayReport tells whether the caller may see a report.
func (s *Server) mayReport(ctx context.Context, r *reports.Report) error {
	_, err := s.options.Executor.Authorise(ctx, visitOf(ctx).who.Officer, uuid.Nil, []record.Grant{{Roles: r.Roles, Scope: record.Anywhere}}, placeOf{},
		record.T("查看报表《"+r.Title.Zh+"》", "see the report "+r.Title.En))
	return err
}

func (s *Server) listReports(ctx context.Context, _ *meInput) (*reportsAnswer, error) {
	out := ReportList{Reports: []reports.Report{}}
	var refused error
	for i := range reports.All {
		switch err := s.mayReport(ctx, &reports.All[i]); {
		case err == nil:
			out.Reports = append(out.Reports, reports.All[i])
		case record.KindOf(err) == record.Forbidden:
			refused = err
		default:
			return nil, err
		}
	}
	if len(out.Reports) == 0 && refused != nil {
		return nil, refused
	}
	return &reportsAnswer{out}, nil
}

// reportRoute is one address for every report: its parameters are the report's own, checked by package reports.
func (s *Server) reportRoute(who string) {
	reg := s.api.OpenAPI().Components.Schemas
	name := &huma.Schema{Type: huma.TypeString}
	seen := map[string]bool{}
	params := []*huma.Param{
		{Name: "name", In: "path", Required: true, Description: "of the report", Schema: name},
		{Name: "format", In: "query", Description: "csv for a table that spreadsheets open; or send Accept: text/csv", Schema: &huma.Schema{Type: huma.TypeString, Enum: []any{"json", "csv"}}},
		{Name: "position", In: "query", Description: "log position to answer for; the newest loaded when left out", Schema: &huma.Schema{Type: huma.TypeInteger, Format: "int64"}},
	}
	for _, r := range reports.All {
		name.Enum = append(name.Enum, r.Name)
		for _, p := range r.Parameters {
			if !seen[p.Name] {
				seen[p.Name] = true
				params = append(params, &huma.Param{Name: p.Name, In: "query", Description: p.Title.En + " (" + p.Title.Zh + "), " + string(p.Kind) + "; for reports that have it", Schema: &huma.Schema{Type: huma.TypeString}})
			}
		}
	}
	op := &huma.Operation{OperationID: "report", Method: http.MethodGet, Path: "/v1/reports/{name}", Tags: []string{"reports"}, Summary: "Run a report (生成报表)",
		Description: "Figures on pseudonymous facts, pinned to a log position. In CSV, officers and villages are named." + who, Security: signedIn, Parameters: params}
	problemResponses(reg, op, 401, 403, 404, 422, 429, 500, 503)
	op.Responses["200"] = &huma.Response{Description: "the report", Content: map[string]*huma.MediaType{
		"application/json": {Schema: reg.Schema(typeOf[ReportResult](), true, "")}, "text/csv": {Schema: &huma.Schema{Type: huma.TypeString}}},
		Headers: map[string]*huma.Header{"Yidang-Position": {Description: "log position that the answer shows", Schema: &huma.Schema{Type: huma.TypeInteger, Format: "int64"}}}}
	s.api.OpenAPI().AddOperation(op)
	s.api.Adapter().Handle(op, s.api.Middlewares().Handler(func(ctx huma.Context) {
		if err := s.report(ctx); err != nil {
			s.fail(ctx, err)
		}
	}))
}

func (s *Server) report(ctx huma.Context) error {
	r, ok := reports.Find(ctx.Param("name"))
	if !ok {
		return unfound("report", "个报表")
	}
	if err := s.mayReport(ctx.Context(), r); err != nil {
		return err
	}
	parameters, position, asCSV, err := reportParameters(ctx)
	if err != nil {
		return err
	}
	if s.options.Reports == nil {
		return ErrNoReports
	}
	result, err := s.options.Reports(ctx.Context(), r.Name, parameters, position)
	if err != nil {
		return err
	}
	ctx.SetHeader("Yidang-Position", utoa(result.Position))
	if !asCSV {
		answerJSON(ctx, http.StatusOK, result)
		return nil
	}
	names, err := s.names(ctx.Context())
	if err != nil {
		return err
	}
	var out bytes.Buffer
	if err := result.CSV(&out, visitOf(ctx.Context()).zh, func(_ reports.Type, id string) string { return names[id] }); err != nil {
		return err
	}
	ctx.SetHeader("Content-Type", "text/csv; charset=utf-8")
	ctx.SetHeader("Content-Disposition", `attachment; filename="`+r.Name+`.csv"`)
	ctx.SetStatus(http.StatusOK)
	_, _ = ctx.BodyWriter().Write(out.Bytes()) // the client may be gone
	return nil
}

func reportParameters(ctx huma.Context) (parameters map[string]string, position uint64, asCSV bool, err error) {
	asCSV = strings.HasPrefix(ctx.Header("Accept"), "text/csv")
	u := ctx.URL()
	parameters = map[string]string{}
	for name, values := range u.Query() {
		if len(values) != 1 {
			return nil, 0, false, &record.Problem{Kind: record.Invalid, Field: name, Rule: "API report", Message: "is given more than once", Zh: "参数重复", Remedy: "give it once"}
		}
		switch name {
		case "format":
			if values[0] != "csv" && values[0] != "json" {
				return nil, 0, false, &record.Problem{Kind: record.Invalid, Field: name, Rule: "API report", Message: "is neither json nor csv", Zh: "应为 json 或 csv", Remedy: "format=csv"}
			}
			asCSV = values[0] == "csv"
		case "position":
			if position, err = parsePosition(values[0]); err != nil {
				return nil, 0, false, err
			}
		default:
			parameters[name] = values[0]
		}
	}
	return parameters, position, asCSV, nil
}

// names gives officers and villages their names: the engine knows only their uuids.
func (s *Server) names(ctx context.Context) (map[string]string, error) {
	names := map[string]string{}
	list, _, err := s.options.Views.Units(ctx)
	if err != nil {
		return nil, err
	}
	for _, u := range list {
		names[u.ID.String()] = u.Name
	}
	rows, err := s.allOfficers(ctx)
	for _, o := range rows {
		names[o.ID.String()] = o.Name
	}
	return names, err
}
