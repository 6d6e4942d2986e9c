package api

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"

	"yidang/api/imports"
	"yidang/domain/intake"
	"yidang/domain/record"
)

// Importer checks rosters against the record and takes them in; *imports.Importer is one.
type Importer interface {
	Check(ctx context.Context, r *imports.Roster, as imports.As) error
	Unregistered(ctx context.Context, r *imports.Roster) ([]string, error)
	Commit(ctx context.Context, r *imports.Roster, as imports.As, progress func(done, total int)) (imports.Summary, error)
}

// Import is a roster that was judged.
type Import struct {
	SHA256  string                  `json:"sha256" doc:"of the file"`
	Title   string                  `json:"title,omitempty"`
	Unit    string                  `json:"unit,omitempty" doc:"reporting unit that the file names"`
	Columns []ImportColumn          `json:"columns" nullable:"false"`
	Ignored []string                `json:"ignored,omitempty" doc:"what was left out, and why"`
	Unknown []string                `json:"unregisteredVillages,omitempty" doc:"villages that must be registered, or spelled as they are, before the roster can be taken in"`
	Counts  map[imports.Outcome]int `json:"counts" doc:"rows by outcome"`
	Rows    []ImportRow             `json:"rows" nullable:"false"`
}

// ImportColumn says how a column was understood.
type ImportColumn struct {
	Letter  string `json:"letter"`
	Heading string `json:"heading"`
	Field   string `json:"field,omitempty" doc:"what it was read as; absent when it was not read"`
}

// ImportRow is what becomes of a row.
type ImportRow struct {
	imports.Judgement
	Reasons []ImportReason `json:"reasons,omitempty"`
}

// ImportReason is one thing said about a row.
type ImportReason struct {
	Cell    string `json:"cell,omitempty"`
	Column  string `json:"column,omitempty" doc:"heading"`
	Message string `json:"message"`
	Zh      string `json:"zh,omitempty"`
}

// ImportState is an import that was begun.
type ImportState struct {
	ID       uuid.UUID       `json:"id"`
	State    string          `json:"state" enum:"waiting,running,finished,failed"`
	Done     int             `json:"done" doc:"rows"`
	Total    int             `json:"total"`
	Begun    time.Time       `json:"begun,omitzero"`
	Finished time.Time       `json:"finished,omitzero"`
	Repeated bool            `json:"repeated,omitempty" doc:"the file had been taken in before; nothing was changed"`
	Position uint64          `json:"position,omitempty" doc:"of the last event"`
	Results  []intake.Result `json:"results,omitempty" doc:"of each row, once it has finished"`
	Problem  *Problem        `json:"problem,omitempty" doc:"why it failed; sending the file again goes on where it stopped"`
}

// ImportList is what was imported since the server started, as far as it is kept.
type ImportList struct {
	Imports []ImportState `json:"imports" nullable:"false"`
}

// jobs are the imports of this process. They are kept in memory: the record itself says what was taken in, and a repeat of
// the file goes on after a crash.
type jobs struct {
	mu   sync.Mutex
	byID map[uuid.UUID]*job
	turn chan struct{} // one import at a time
	life context.Context
	stop context.CancelFunc
	wg   sync.WaitGroup
}

type job struct {
	mu    sync.Mutex
	state ImportState
}

func newJobs() *jobs {
	j := &jobs{byID: map[uuid.UUID]*job{}, turn: make(chan struct{}, 1)}
	j.life, j.stop = context.WithCancel(context.Background())
	return j
}

// close stops what is under way between two rows, and waits. A repeat of the file goes on from there.
func (j *jobs) close() {
	j.stop()
	j.wg.Wait()
}

// tidy forgets imports that ended long ago, which the record still knows, and counts those under way. It is called with mu
// held.
func (j *jobs) tidy() (underWay int) {
	var ended []ImportState
	for _, one := range j.byID {
		if st := one.get(); st.ended() {
			ended = append(ended, st)
		} else {
			underWay++
		}
	}
	slices.SortFunc(ended, func(a, b ImportState) int { return b.Finished.Compare(a.Finished) })
	for _, st := range ended[min(len(ended), keptEnded):] {
		delete(j.byID, st.ID)
	}
	return underWay
}

func (s ImportState) ended() bool { return s.State == "failed" || s.State == "finished" }

func (j *job) get() ImportState {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.state
}

func (j *job) set(change func(*ImportState)) {
	j.mu.Lock()
	defer j.mu.Unlock()
	change(&j.state)
}

// A roster is held in memory from its upload until it is judged or taken in. These bound how many are.
const (
	uploads   = 2  // being read and judged
	waiting   = 4  // for their turn, beside the one that is being taken in
	keptEnded = 50 // imports that ended, without their rosters
)

var errQueue = &record.Problem{Kind: record.Unavailable, Rule: "bulk limit", Message: "other rosters are still waiting to be taken in", Zh: "尚有其他花名册等待导入",
	Remedy: "send it again when GET /v1/imports shows that they are done"}

type importQuery struct {
	ID uuid.UUID `path:"id" doc:"of the import"`
}

type (
	importAnswer  struct{ Body ImportState }
	importsAnswer struct{ Body ImportList }
)

func (s *Server) importRoutes() {
	reg := s.api.OpenAPI().Components.Schemas
	who := "\n\nSource: D-12; D-13.\n\nWho may: " + grantText(s.importGrants()) + "."
	op := &huma.Operation{OperationID: "import", Method: http.MethodPost, Path: "/v1/imports", Tags: []string{"imports"}, Summary: "Judge or take in a roster (导入名册)", Security: signedIn,
		Description: "XLSX or CSV as township offices keep them. Without commit nothing is recorded: the answer says what would become of each row. With commit=true the rows are taken in in the background; a repeat of the same file changes nothing, and goes on where a crash stopped it." + who,
		Parameters:  []*huma.Param{{Name: "commit", In: "query", Description: "true: take the roster in", Schema: &huma.Schema{Type: huma.TypeBoolean}}, {Name: "post", In: "query", Description: "in which of your posts you act", Schema: &huma.Schema{Type: huma.TypeString, Format: "uuid"}}},
		RequestBody: fileBody("the roster")}
	problemResponses(reg, op, 401, 403, 413, 415, 422, 429, 500, 503)
	op.Responses["200"] = &huma.Response{Description: "judged", Content: map[string]*huma.MediaType{"application/json": {Schema: reg.Schema(typeOf[Import](), true, "")}}}
	op.Responses["202"] = &huma.Response{Description: "being taken in; Location says where to ask how far it is", Content: map[string]*huma.MediaType{"application/json": {Schema: reg.Schema(typeOf[ImportState](), true, "")}},
		Headers: map[string]*huma.Header{"Location": {Schema: &huma.Schema{Type: huma.TypeString}}}}
	s.raw(op, s.importFile)
	read(s, huma.Operation{OperationID: "imports", Path: "/v1/imports", Tags: []string{"imports"}, Summary: "Imports (导入列表)", Description: "Those begun since the server started." + who}, s.listImports)
	read(s, huma.Operation{OperationID: "import-state", Path: "/v1/imports/{id}", Tags: []string{"imports"}, Summary: "How far an import is (导入进度)",
		Description: "Progress of one that is under way; the results of one that has finished, whenever that was.\n\nWho may: " + grantText(intake.Category.Readers) + "."}, s.importState)
}

func (s *Server) importGrants() []record.Grant {
	row, ok := s.options.Catalog.Command(intake.Category.Name, "intake.begin")
	if !ok {
		return nil
	}
	return row.Grants
}

func (s *Server) mayImport(ctx context.Context, post uuid.UUID) (record.Actor, error) {
	return s.options.Executor.Authorise(ctx, visitOf(ctx).who.Officer, post, s.importGrants(), placeOf{}, record.T("导入名册", "import rosters"))
}

func (s *Server) importFile(ctx huma.Context) error {
	var post uuid.UUID
	var err error
	if q := ctx.Query("post"); q != "" {
		if post, err = uuid.Parse(q); err != nil {
			return errNoUUID.At("post")
		}
	}
	commit := ctx.Query("commit") == "true"
	if q := ctx.Query("commit"); q != "" && q != "true" && q != "false" {
		return &record.Problem{Kind: record.Invalid, Field: "commit", Rule: "API import", Message: "expected true or false", Zh: "应为 true 或 false", Remedy: "leave it out, or write true"}
	}
	actor, err := s.mayImport(ctx.Context(), post)
	if err != nil {
		return err
	}
	if s.options.Importer == nil {
		return &record.Problem{Kind: record.Unavailable, Message: "imports are not configured", Zh: "未配置导入", Remedy: "see the log"}
	}
	select {
	case s.uploads <- struct{}{}:
		defer func() { <-s.uploads }()
	case <-ctx.Context().Done():
		return record.Errorf(record.Unavailable, "waiting for other uploads: %w", ctx.Context().Err())
	}
	roster, err := s.roster(ctx)
	if err != nil {
		return err
	}
	as := imports.As{Officer: actor.Officer, Post: post}
	if !commit {
		if err := s.options.Importer.Check(ctx.Context(), roster, as); err != nil {
			return err
		}
		unknown, err := s.options.Importer.Unregistered(ctx.Context(), roster)
		if err != nil {
			return err
		}
		out := judged(roster)
		out.Unknown = unknown
		answerJSON(ctx, http.StatusOK, out)
		return nil
	}
	state, err := s.begin(ctx.Context(), roster, as)
	if err != nil {
		return err
	}
	ctx.SetHeader("Location", "/v1/imports/"+state.ID.String())
	answerJSON(ctx, http.StatusAccepted, state)
	return nil
}

// roster reads the upload.
func (s *Server) roster(ctx huma.Context) (*imports.Roster, error) {
	part, err := s.filePart(ctx)
	if err != nil {
		return nil, err
	}
	limits := imports.DefaultLimits()
	limits.Bytes = min(limits.Bytes, s.options.Limits.Upload)
	raw, err := io.ReadAll(io.LimitReader(part, limits.Bytes+1))
	if err != nil {
		return nil, uploadError(err)
	}
	if int64(len(raw)) > limits.Bytes {
		return nil, errTooLarge
	}
	return imports.Read(bytes.NewReader(raw), int64(len(raw)), part.FileName(), limits)
}

func judged(r *imports.Roster) Import {
	out := Import{SHA256: r.SHA256, Title: r.Title, Unit: r.Unit, Columns: []ImportColumn{}, Ignored: r.Ignored, Counts: map[imports.Outcome]int{}, Rows: []ImportRow{}}
	for _, c := range r.Columns {
		out.Columns = append(out.Columns, ImportColumn(c))
	}
	for i, j := range r.Judgements() {
		out.Counts[j.Outcome]++
		row := ImportRow{Judgement: j}
		for _, why := range r.Rows[i].Why {
			row.Reasons = append(row.Reasons, ImportReason(why))
		}
		out.Rows = append(out.Rows, row)
	}
	return out
}

// begin starts taking a roster in, unless that is under way already, or too many wait.
func (s *Server) begin(ctx context.Context, r *imports.Roster, as imports.As) (ImportState, error) {
	id := intake.IDFor(r.SHA256)
	s.jobs.mu.Lock()
	defer s.jobs.mu.Unlock()
	if had, ok := s.jobs.byID[id]; ok && !had.get().ended() {
		return had.get(), nil
	}
	if s.jobs.tidy() > waiting {
		return ImportState{}, errQueue
	}
	j := &job{state: ImportState{ID: id, State: "waiting", Total: len(r.Rows), Begun: s.options.Now().UTC()}}
	s.jobs.byID[id] = j
	state := j.get()
	v := visitOf(ctx)
	after := &visit{id: v.id, route: v.route, zh: v.zh, who: v.who} // the request is over when the work begins
	s.jobs.wg.Go(func() { s.takeIn(context.WithValue(s.jobs.life, visitKey{}, after), j, r, as) })
	return state, nil
}

func (s *Server) takeIn(ctx context.Context, j *job, r *imports.Roster, as imports.As) {
	fail := func(err error) {
		p := s.problem(ctx, err)
		j.set(func(st *ImportState) { st.State, st.Problem, st.Finished = "failed", p, s.options.Now().UTC() })
	}
	defer func() {
		if value := recover(); value != nil { // a defect must not end the service
			fail(newRecovered(value))
		}
	}()
	select {
	case s.jobs.turn <- struct{}{}:
		defer func() { <-s.jobs.turn }()
	case <-ctx.Done():
		fail(record.Errorf(record.Unavailable, "the server stopped before it began"))
		return
	}
	j.set(func(st *ImportState) { st.State = "running" })
	sum, err := s.options.Importer.Commit(ctx, r, as, func(done, _ int) { j.set(func(st *ImportState) { st.Done = done }) })
	if err != nil {
		fail(err)
		return
	}
	j.set(func(st *ImportState) {
		st.State, st.Done, st.Repeated, st.Position, st.Finished = "finished", st.Total, sum.Repeated, sum.Position, s.options.Now().UTC()
	})
}

func (s *Server) listImports(ctx context.Context, _ *meInput) (*importsAnswer, error) {
	if _, err := s.mayRead(ctx, &intake.Category, placeOf{}); err != nil {
		return nil, err
	}
	out := ImportList{Imports: []ImportState{}}
	s.jobs.mu.Lock()
	for _, j := range s.jobs.byID {
		out.Imports = append(out.Imports, j.get())
	}
	s.jobs.mu.Unlock()
	slices.SortFunc(out.Imports, func(a, b ImportState) int { return b.Begun.Compare(a.Begun) })
	return &importsAnswer{out}, nil
}

func (s *Server) importState(ctx context.Context, in *importQuery) (*importAnswer, error) {
	if _, err := s.mayRead(ctx, &intake.Category, placeOf{}); err != nil {
		return nil, err
	}
	s.jobs.mu.Lock()
	j, here := s.jobs.byID[in.ID]
	s.jobs.mu.Unlock()
	var state ImportState
	if here {
		if state = j.get(); state.State != "finished" {
			return &importAnswer{state}, nil
		}
	}
	recorded, ok, err := s.intake(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	if !ok && !here {
		return nil, unfound("import", "次导入")
	}
	if !here {
		state = ImportState{ID: in.ID, State: "failed", Total: recorded.Rows, Begun: recorded.Begun}
	}
	if !recorded.Finished.IsZero() {
		state.State, state.Done, state.Finished, state.Results = "finished", state.Total, recorded.Finished, recorded.Results
	}
	return &importAnswer{state}, nil
}

// intake reads what the record says of an import.
func (s *Server) intake(ctx context.Context, id uuid.UUID) (out intake.Intake, ok bool, err error) {
	stream := record.StreamOf(intake.Category.Name, id)
	history, err := s.options.Executor.History(ctx, stream)
	if err != nil || len(history) == 0 {
		return out, false, err
	}
	f := record.NewFile(&intake.Category, stream)
	if err := f.Fold(history, record.At{}); err != nil {
		return out, false, err
	}
	return *f.State.(*intake.Intake), true, nil
}
