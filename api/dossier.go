package api

import (
	"context"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"

	"yidang/domain/access"
	"yidang/domain/dossier"
	"yidang/domain/record"
)

// Dossier completes what every dossier of this installation is made with: engines, keys, names.
type Dossier func(ctx context.Context, o dossier.Options) (dossier.Options, error)

var (
	errNoDossiers = &record.Problem{Kind: record.Unavailable, Message: "this server makes no dossiers", Zh: "本服务器不制作卷宗", Remedy: "ask the server that signs the log"}
	errGroups     = &record.Problem{Kind: record.Invalid, Field: "groups", Message: "groups are named at the level groups, and only there", Zh: "仅在 groups 级别须列明类别", Remedy: "set level=groups and groups=person,drugs, or leave both out"}
	errPartly     = &record.Problem{Kind: record.Forbidden, Rule: "S-13; S-14", Message: "who sees a part of a file does not take it away", Zh: "仅限按需知悉者不得导出档案", Remedy: "ask the officer who is responsible"}
)

func (s *Server) dossierRoutes() {
	reg := s.api.OpenAPI().Components.Schemas
	text := func(enum ...any) *huma.Schema { return &huma.Schema{Type: huma.TypeString, Enum: enum} }
	op := &huma.Operation{OperationID: "dossier", Method: http.MethodGet, Path: "/v1/people/{id}/dossier", Tags: []string{"read"}, Summary: "Take a file away as a dossier (导出卷宗)", Security: signedIn,
		Description: "A zip of what the caller may read of the file, with proofs and a page to print, which anybody checks offline with `yidang verify`. It is recorded before it is made, and always needs a purpose.\n\nWho may: " + grantText(s.readersOf("")) + "; not who sees only a part of a file.",
		Parameters: append([]*huma.Param{
			{Name: "id", In: "path", Required: true, Description: "of the person", Schema: &huma.Schema{Type: huma.TypeString, Format: "uuid"}},
			{Name: "level", In: "query", Description: "full; groups, those that are named; own-copy, for the person, without what is of third parties; skeleton, no content", Schema: text("full", "groups", "own-copy", "skeleton")},
			{Name: "groups", In: "query", Description: "with level=groups: person, drugs, …, separated by commas", Schema: text()},
		}, purposeParams()...)}
	problemResponses(reg, op, 401, 403, 404, 410, 422, 429, 500, 503)
	op.Responses["200"] = &huma.Response{Description: "the dossier", Content: map[string]*huma.MediaType{"application/zip": {Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}}}}
	s.raw(op, s.dossier)
}

func (s *Server) dossier(ctx huma.Context) error {
	id, err := uuid.Parse(ctx.Param("id"))
	if err != nil {
		return errNoUUID.At("id")
	}
	redact, err := s.redaction(ctx.Query("level"), ctx.Query("groups"))
	if err != nil {
		return err
	}
	v := visitOf(ctx.Context())
	if v.why.err == nil && v.why.purpose.Code == "" {
		return errNoPurpose
	}
	f, err := s.open(ctx.Context(), access.Dossier, id, uuid.Nil, record.At{})
	if err != nil {
		return err
	}
	if s.options.Dossier == nil {
		return errNoDossiers
	}
	o := dossier.Options{Person: f.members[0], Redact: redact, By: f.actor.Officer, Purpose: v.why.purpose.Code, Reason: v.why.reason}
	for _, m := range f.members {
		o.Streams = append(o.Streams, record.StreamOf("person", m))
	}
	for _, c := range f.cases {
		if sight, ok := f.sightOf(c); ok && sight.all() {
			o.Streams = append(o.Streams, c.Stream)
		}
	}
	if o, err = s.options.Dossier(ctx.Context(), o); err != nil {
		return err
	}
	return s.sendDossier(ctx, o)
}

// redaction reads how much is shown.
func (s *Server) redaction(level, groups string) (r dossier.Redaction, err error) {
	r.Level = dossier.Level(level)
	if level == "" {
		r.Level = dossier.Full
	}
	if !slices.Contains([]dossier.Level{dossier.Full, dossier.Groups, dossier.OwnCopy, dossier.Skeleton}, r.Level) {
		return r, &record.Problem{Kind: record.Invalid, Field: "level", Message: "unknown level", Zh: "级别不在目录中", Remedy: "use one of: full, groups, own-copy, skeleton"}
	}
	if groups != "" {
		r.Groups = strings.Split(groups, ",")
	}
	if (r.Level == dossier.Groups) != (len(r.Groups) > 0) {
		return r, errGroups
	}
	for _, g := range r.Groups {
		if k, ok := s.options.Catalog.Category(g); !ok || g != "person" && !k.Case {
			return r, errGroups
		}
	}
	return r, nil
}

// sendDossier makes it in a file without a name first: an answer that began cannot say any more that it failed.
func (s *Server) sendDossier(ctx huma.Context, o dossier.Options) error {
	file, err := os.CreateTemp("", "yidang-dossier-*") // mode 0600
	if err != nil {
		return err
	}
	defer file.Close()
	if err := os.Remove(file.Name()); err != nil {
		return err
	}
	s.slow(ctx)
	if _, err := dossier.Build(ctx.Context(), file, o); err != nil {
		return err
	}
	size, err := file.Seek(0, io.SeekCurrent)
	if err != nil {
		return err
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	ctx.SetHeader("Content-Type", "application/zip")
	ctx.SetHeader("Content-Disposition", takeAway("dossier-"+o.Person.String()+".zip"))
	ctx.SetHeader("Content-Length", itoa(int(size)))
	ctx.SetStatus(http.StatusOK)
	if _, err := io.Copy(ctx.BodyWriter(), file); err != nil {
		s.problem(ctx.Context(), err)
		panic(http.ErrAbortHandler)
	}
	return nil
}
