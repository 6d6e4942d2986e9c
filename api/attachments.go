package api

import (
	"cmp"
	"context"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humagin"
	"github.com/google/uuid"

	"yidang/domain/access"
	"yidang/domain/attachments"
	"yidang/domain/casework"
	"yidang/domain/commands"
	"yidang/domain/record"
)

// Attachments is what the routes need of the store; *attachments.Store is one.
type Attachments interface {
	Put(ctx context.Context, stream string, r io.Reader, info attachments.Info) (attachments.Ref, error)
	Get(ctx context.Context, stream string, ref attachments.Ref) (io.ReadCloser, attachments.Ref, error)
}

const addAttachment = "casework.add_attachment"

// uploadTime is how long an upload or download may take: villages have slow lines.
const uploadTime = 5 * time.Minute

// Uploaded is a blob that is in the store and not yet in the record.
type Uploaded struct {
	attachments.Ref
	Name string `json:"name,omitempty"`
	Next string `json:"next" doc:"a command that binds it to the case: send sha256, size, mediaType and a title there; other commands take the same three where a paper belongs to them"`
}

func (s *Server) attachmentRoutes() {
	reg := s.api.OpenAPI().Components.Schemas
	id := &huma.Param{Name: "id", In: "path", Required: true, Description: "of the case", Schema: &huma.Schema{Type: huma.TypeString, Format: "uuid"}}
	category := &huma.Param{Name: "category", In: "path", Required: true, Description: "of the case, such as drugs", Schema: &huma.Schema{Type: huma.TypeString}}
	for _, program := range s.programs() {
		category.Schema.Enum = append(category.Schema.Enum, program)
	}
	up := &huma.Operation{OperationID: "upload", Method: http.MethodPost, Path: "/v1/attachments/{category}/{id}", Tags: []string{"attachments"}, Summary: "Upload an attachment (上传附件)", Security: signedIn,
		Description: "Stores a document, picture or film, sealed with the case's key. It is in the record only when a command names its hash: add-attachment, or whichever the paper belongs to. A command that names a file which was not uploaded to its case, or which is of another size or type, is refused.\n\nWho may: " + grantText(s.grantsOf(addAttachment)) + ".",
		Parameters:  []*huma.Param{category, id}, RequestBody: fileBody("a document, picture or film; its Content-Type says what it is")}
	problemResponses(reg, up, 401, 403, 404, 410, 413, 415, 422, 429, 500, 503)
	up.Responses["201"] = &huma.Response{Description: "stored", Content: map[string]*huma.MediaType{"application/json": {Schema: reg.Schema(typeOf[Uploaded](), true, "")}}}
	s.raw(up, s.upload)

	down := &huma.Operation{OperationID: "download", Method: http.MethodGet, Path: "/v1/attachments/{category}/{id}/{sha256}", Tags: []string{"attachments"}, Summary: "Download an attachment (下载附件)", Security: signedIn,
		Description: "Opens an attachment that an entry of the case names. A picture or film is handed out only to whoever has an approved view of it (request-view). What was altered in the store is not handed out.\n\nWho may: " + grantText(s.readersOf("")) + ".",
		Parameters:  []*huma.Param{category, id, {Name: "sha256", In: "path", Required: true, Description: "of the content", Schema: &huma.Schema{Type: huma.TypeString, Pattern: "^[0-9a-f]{64}$"}}}}
	down.Parameters = append(down.Parameters, purposeParams()...)
	problemResponses(reg, down, 401, 403, 404, 410, 422, 429, 500, 503)
	down.Responses["200"] = &huma.Response{Description: "the content", Content: map[string]*huma.MediaType{"application/octet-stream": {Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}}}}
	s.raw(down, s.download)
}

// raw registers an operation that reads or writes something else than JSON.
func (s *Server) raw(op *huma.Operation, h func(huma.Context) error) {
	s.api.OpenAPI().AddOperation(op)
	s.api.Adapter().Handle(op, s.api.Middlewares().Handler(func(ctx huma.Context) {
		if err := h(ctx); err != nil {
			s.fail(ctx, err)
		}
	}))
}

func fileBody(about string) *huma.RequestBody {
	return &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{"multipart/form-data": {Schema: &huma.Schema{Type: huma.TypeObject,
		Properties: map[string]*huma.Schema{"file": {Type: huma.TypeString, Format: "binary", Description: about}}, Required: []string{"file"}}}}}
}

var (
	errNoFilePart = &record.Problem{Kind: record.Invalid, Field: "file", Rule: "API upload", Message: "the form has no file", Zh: "表单中没有文件", Remedy: "send multipart/form-data with a part named file, as curl -F file=@name does"}
	errMultipart  = &record.Problem{Kind: mediaType, Field: "Content-Type", Rule: "RFC 9110, 15.5.16", Message: "the body must be multipart/form-data", Zh: "请求体须为 multipart/form-data", Remedy: "send a part named file, as curl -F file=@name does"}
	errSensitive  = &record.Problem{Kind: record.Forbidden, Rule: "S-3; PIPL 28", Message: "a picture is seen with a reason that a second person approved, for a limited time", Zh: "影像须说明理由并经第二人批准后限时查阅",
		Remedy: "send request-view with its sha256 and a reason, and let another officer approve the proposal"}
	errNoStore = &record.Problem{Kind: record.Unavailable, Message: "there is no store for attachments", Zh: "未配置附件存储", Remedy: "set attachments.url"}
)

// filePart finds the part of a form that is the file, without keeping what comes before it. Time and size are bounded.
func (s *Server) filePart(ctx huma.Context) (*multipart.Part, error) {
	c := humagin.Unwrap(ctx)
	if media, _, err := mime.ParseMediaType(ctx.Header("Content-Type")); err != nil || media != "multipart/form-data" {
		return nil, errMultipart
	}
	s.slow(ctx)
	c.Request.Body = http.MaxBytesReader(c.Writer, c.Request.Body, s.options.Limits.Upload+(64<<10))
	form, err := c.Request.MultipartReader()
	if err != nil {
		return nil, errMultipart
	}
	for range 10 {
		part, err := form.NextPart()
		if errors.Is(err, io.EOF) {
			return nil, errNoFilePart
		}
		if err != nil {
			return nil, uploadError(err)
		}
		if part.FormName() == "file" && part.FileName() != "" {
			return part, nil
		}
	}
	return nil, errNoFilePart
}

// slow gives a request more time than others have.
func (s *Server) slow(ctx huma.Context) {
	c := http.NewResponseController(humagin.Unwrap(ctx).Writer)
	until := time.Now().Add(uploadTime) // of the machine, for the connection
	_ = c.SetReadDeadline(until)        // not supported where there is no connection: then there is no deadline either
	_ = c.SetWriteDeadline(until)
}

// uploadError says that a form is too large or broken.
func uploadError(err error) error {
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return errTooLarge
	}
	if record.KindOf(err) != "" {
		return err
	}
	return errNoFilePart.Because(err)
}

func (s *Server) upload(ctx huma.Context) error {
	category, id, err := s.caseParams(ctx)
	if err != nil {
		return err
	}
	// Whoever may add an attachment may upload one: a dry run asks the one place that decides. All that it may miss is the file.
	_, err = s.options.Executor.Do(ctx.Context(), commands.Request{Category: category, Command: addAttachment, ID: id, Officer: visitOf(ctx.Context()).who.Officer, DryRun: true,
		Input: casework.AddAttachment{Attachment: casework.Attachment{SHA256: strings.Repeat("0", 64), Size: 1}, Title: "?"}})
	if err != nil && !errors.Is(err, casework.ErrNotUploaded) {
		return err
	}
	if s.options.Attachments == nil {
		return errNoStore
	}
	part, err := s.filePart(ctx)
	if err != nil {
		return err
	}
	info := attachments.Info{Name: part.FileName()}
	if media, _, err := mime.ParseMediaType(part.Header.Get("Content-Type")); err == nil && media != "application/octet-stream" {
		info.MediaType = media
	}
	ref, err := s.options.Attachments.Put(ctx.Context(), record.StreamOf(category, id), part, info)
	switch {
	case errors.Is(err, attachments.ErrTooLarge):
		return errTooLarge
	case errors.Is(err, attachments.ErrEmpty):
		return attachments.ErrEmpty.At("file")
	case errors.Is(err, attachments.ErrType), errors.Is(err, attachments.ErrMismatch):
		return &record.Problem{Kind: mediaType, Field: "file", Rule: "S-3", Message: "attachments of this type are not accepted, or the content is not of the type it is said to be", Zh: "不接受此类型的附件，或内容与所称类型不符",
			Remedy: "send a PDF, an Office document, a JPEG, PNG or HEIC picture, or an MP4 film"}
	case err != nil:
		return uploadError(err)
	}
	answerJSON(ctx, http.StatusCreated, Uploaded{Ref: ref, Name: info.Name, Next: "/v1/" + category + "/" + id.String() + "/add-attachment"})
	return nil
}

func (s *Server) caseParams(ctx huma.Context) (category string, id uuid.UUID, err error) {
	k, ok := s.options.Catalog.Category(ctx.Param("category"))
	if !ok || !k.Case {
		return "", id, unfound("program", "个项目")
	}
	if id, err = uuid.Parse(ctx.Param("id")); err != nil {
		return "", id, errNoUUID.At("id")
	}
	return k.Name, id, nil
}

// download hands out an attachment that the case's record names, to whoever may read the case and sees its papers.
func (s *Server) download(ctx huma.Context) error {
	category, id, err := s.caseParams(ctx)
	if err != nil {
		return err
	}
	paper, read, err := s.attachmentOf(ctx.Context(), category, id, ctx.Param("sha256"))
	if err != nil {
		return err
	}
	if s.options.Attachments == nil {
		return errNoStore
	}
	content, stored, err := s.options.Attachments.Get(ctx.Context(), record.StreamOf(category, id), attachments.Ref{SHA256: paper.SHA256})
	if err != nil {
		return err
	}
	defer content.Close()
	// Whether it is a picture is what the store found when it came in, whatever entry names it.
	sensitive := casework.Attachment{SHA256: paper.SHA256, MediaType: stored.MediaType}
	if !read.core.MaySee(sensitive, read.actor.Officer, s.options.Now()) {
		return errSensitive
	}
	if err := s.recordRead(ctx.Context(), read.looked); err != nil {
		return err
	}
	s.slow(ctx)
	ctx.SetHeader("Content-Type", stored.MediaType)
	ctx.SetHeader("Content-Disposition", takeAway(cmp.Or(paper.Name, paper.SHA256)))
	ctx.SetHeader("Content-Length", itoa(int(stored.Size)))
	ctx.SetStatus(http.StatusOK)
	if _, err := io.Copy(ctx.BodyWriter(), content); err != nil {
		// The head is gone: cutting the connection is the only way left to say that the content is not whole.
		s.problem(ctx.Context(), err)
		panic(http.ErrAbortHandler)
	}
	return nil
}

// takeAway is the Content-Disposition of what is kept as a file and never shown in a page (RFC 6266).
func takeAway(name string) string {
	return mime.FormatMediaType("attachment", map[string]string{"filename": name})
}

// reading is who is about to read what of a case.
type reading struct {
	looked
	core *casework.Case
}

// attachmentOf finds an attachment that the case's record names, if whoever asks may read the case and sees its papers.
func (s *Server) attachmentOf(ctx context.Context, category string, id uuid.UUID, sha string) (a casework.Attachment, r reading, err error) {
	c, err := s.options.Views.CaseFile(ctx, category, id, record.At{})
	if err != nil {
		return a, r, err
	}
	actor, err := s.mayRead(ctx, c.Category, commands.PlaceOf(c, nil))
	if err != nil {
		return a, r, err
	}
	if c.Erased {
		return a, r, commands.ErrErased
	}
	program, ok := c.State.(casework.Program)
	if !ok || !sightOf(actor.Role).Papers || s.hidden(ctx, c, actor.Role) {
		return a, r, unfound("attachment", "个附件")
	}
	core := program.Core()
	i := slices.IndexFunc(core.Attachments, func(a casework.Attachment) bool { return a.SHA256 == sha })
	if i < 0 {
		return a, r, unfound("attachment", "个附件")
	}
	return core.Attachments[i], reading{core: core, looked: looked{what: access.Attachment, item: sha, person: core.Person, kase: id, actor: actor,
		own: core.Handles(actor.Officer), sealed: isSealed(c)}}, nil
}
