package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"yidang/api"
	"yidang/api/auth"
	"yidang/api/imports"
	"yidang/domain/attachments"
	"yidang/domain/casework"
	"yidang/domain/catalog"
	"yidang/domain/commands"
	"yidang/domain/journal"
	"yidang/domain/journal/embedded"
	"yidang/domain/record"
	"yidang/domain/staff"
	"yidang/domain/units"
	"yidang/domain/vault"
	"yidang/projections/follow"
	"yidang/projections/oversight"
	"yidang/projections/views"
)

type apiOptions = api.Options

var commandsSystem = commands.System

// town is a whole service on real engines in a temporary directory: embedded journal, vault, executor, HTTP.
type town struct {
	t       testing.TB
	dir     string
	x       *commands.Executor
	catalog *catalog.Catalog
	server  *api.Server
	http    *httptest.Server
	log     *logBuffer
	clock   *clock
	stop    func()
	change  func(*api.Options)

	units    map[string]uuid.UUID
	officers map[string]uuid.UUID

	journal  *journal.Journal
	vault    *vault.Vault
	views    *views.Views
	follower *follow.Follower
	watcher  *follow.Follower
}

// settle waits until the views show everything.
func (w *town) settle() {
	w.t.Helper()
	head, _, err := w.journal.Head(context.Background())
	if err != nil {
		w.t.Fatal(err)
	}
	for _, f := range []*follow.Follower{w.follower, w.watcher} {
		if err := f.Wait(context.Background(), head); err != nil {
			w.t.Fatal(err)
		}
	}
}

// directory answers the importer from the views, as the program does.
type directory struct{ v *views.Views }

func (d directory) VillagesNamed(ctx context.Context, name string) (ids []uuid.UUID, err error) {
	list, _, err := d.v.Units(ctx)
	for _, u := range list {
		if u.Name == name && u.Sort.Residential() {
			ids = append(ids, u.ID)
		}
	}
	return ids, err
}

func (d directory) OfficersNamed(context.Context, string) ([]imports.Officer, error) { return nil, nil }

func (d directory) OpenCase(ctx context.Context, person uuid.UUID, program string) (uuid.UUID, bool, error) {
	rows, err := d.v.CasesOf(ctx, person)
	for _, c := range rows {
		if c.Program == program && c.Open {
			return c.ID, true, nil
		}
	}
	return uuid.Nil, false, err
}

// clock stands still unless it is moved, so that nothing depends on how fast the machine is.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(time.Millisecond)
	return c.t
}

func (c *clock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

const password = "Test-Passw0rd-远山"

// passwordHash is made once: a hash is meant to take long.
var passwordHash = sync.OnceValue(func() string {
	hash, err := auth.NewHasher(1).Hash(context.Background(), password)
	if err != nil {
		panic(err)
	}
	return hash
})

func newTown(t testing.TB, change func(*api.Options)) *town {
	t.Helper()
	w := &town{t: t, dir: t.TempDir(), log: &logBuffer{}, change: change, units: map[string]uuid.UUID{}, officers: map[string]uuid.UUID{},
		clock: &clock{t: time.Date(2026, 9, 21, 9, 0, 0, 0, record.Zone)}}
	w.start()
	t.Cleanup(func() { w.stop() })
	return w
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// start opens everything that is in the directory; restart closes it first, as a process would.
func (w *town) start() {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	srv := must(embedded.Start(ctx, embedded.Options{Dir: filepath.Join(w.dir, "journal")}))(w.t)
	j := must(journal.Open(ctx, srv.Connection()))(w.t)
	wrapper := must(vault.KeyFile(filepath.Join(w.dir, "key")))(w.t)
	v := must(vault.Open(ctx, vault.Options{Path: filepath.Join(w.dir, "vault.db"), Wrapper: wrapper}))(w.t)
	w.catalog = must(catalog.New())(w.t)
	registry := prometheus.NewRegistry()
	w.journal = j
	w.x = must(commands.New(commands.Options{Catalog: w.catalog, Journal: j, Vault: v, Now: w.clock.now, Metrics: commands.NewMetrics(registry)}))(w.t)
	history := follow.HistoryOf(j, w.x.Codec)
	w.views = must(views.Open(ctx, views.Options{Path: filepath.Join(w.dir, "views.db"), Key: v.Secret("views"), Catalog: w.catalog, History: history, Erased: v.Erased}))(w.t)
	follower := follow.New(follow.Options{Source: j, Codec: w.x.Codec, Projection: w.views, OnEvent: w.x.Observe})
	w.follower = follower
	index := must(oversight.Open(ctx, oversight.Options{Path: filepath.Join(w.dir, "oversight.db"), Key: v.Secret("oversight"), Catalog: w.catalog}))(w.t)
	w.watcher = follow.New(follow.Options{Source: j, Codec: oversight.NewOpener(w.x.Codec), Projection: index})
	w.x.Responsible = index.Responsible
	store := must(attachments.Open(ctx, "file://"+filepath.Join(w.dir, "blobs"), v, attachments.Limits{}))(w.t)
	w.x.Vouch = casework.Uploaded(store)
	ended := make(chan error, 2)
	go func() { ended <- follower.Run(ctx) }()
	go func() { ended <- w.watcher.Run(ctx) }()
	w.vault = v
	o := api.Options{
		Executor: w.x, Catalog: w.catalog, Views: w.views, Follower: follower, Oversight: index, Watcher: w.watcher, Attachments: store, Importer: &imports.Importer{Exec: w.x, Dir: directory{w.views}}, Registry: registry, Now: w.clock.now, SessionKey: v.Secret("sessions"), Plain: true,
		Log:    slog.New(slog.NewJSONHandler(w.log, nil)),
		Build:  api.Build{Version: "0.1.0", Revision: "test", Go: "go"},
		Limits: api.Limits{PerAddress: 1e6, PerSession: 1e6, SignIns: 1e6},
	}
	if w.change != nil {
		w.change(&o)
	}
	w.server = must(api.New(o))(w.t)
	w.http = httptest.NewServer(w.server)
	w.stop = func() {
		w.http.Close()
		w.server.Close()
		cancel()
		<-ended
		<-ended
		for _, c := range []io.Closer{store, w.views, index, j, srv, v} {
			if err := c.Close(); err != nil {
				w.t.Error(err)
			}
		}
	}
}

func (w *town) restart() {
	w.t.Helper()
	w.stop()
	w.start()
}

// do carries out a command in this process, as an officer, or as the system.
func (w *town) do(by uuid.UUID, category, command string, id uuid.UUID, input any) commands.Receipt {
	w.t.Helper()
	r, err := w.x.Do(context.Background(), commands.Request{Category: category, Command: command, ID: id, Input: input, Officer: by})
	if err != nil {
		w.t.Fatalf("%s: %v", command, err)
	}
	return r
}

func (w *town) unit(name string, sort units.Sort, parent string, covers ...string) uuid.UUID {
	w.t.Helper()
	in := units.Register{Name: name, Sort: sort, Parent: w.units[parent]}
	for _, c := range covers {
		in.Covers = append(in.Covers, w.units[c])
	}
	w.units[name] = w.do(commands.System, "unit", "unit.register", uuid.Nil, in).ID
	return w.units[name]
}

// officer makes an account with a post and a password.
func (w *town) officer(login string, role record.Role, unit string, sex int) uuid.UUID {
	w.t.Helper()
	id := w.do(commands.System, "officer", "officer.register", uuid.Nil, staff.Register{Name: "测试" + login, Login: login, Sex: sex}).ID
	w.do(commands.System, "officer", "officer.grant_post", id, staff.GrantPost{Role: role, Unit: w.units[unit]})
	w.do(commands.System, "officer", "officer.set_password", id, staff.SetPassword{Hash: passwordHash()})
	w.officers[login] = id
	return id
}

// build makes the township that the tests work in.
func (w *town) build() *town {
	w.t.Helper()
	w.unit("清溪镇", units.Township, "")
	w.unit("前进村", units.Village, "清溪镇")
	w.unit("石桥村", units.Village, "清溪镇")
	w.unit("综治办", units.Office, "清溪镇")
	w.unit("清溪派出所", units.Station, "清溪镇", "前进村", "石桥村")
	w.officer("admin", record.Administrator, "清溪镇", 1)
	w.officer("cadre", record.VillageCadre, "前进村", 1)
	w.officer("police", record.CommunityPolice, "清溪派出所", 1)
	w.officer("office", record.TownshipOffice, "综治办", 2)
	w.settle()
	return w
}

// client is one browser.
type client struct {
	w      *town
	cookie *http.Cookie
	bearer string
}

func (w *town) anonymous() *client { return &client{w: w} }

func (w *town) signIn(login string) *client {
	w.t.Helper()
	c := &client{w: w}
	a := c.post("/v1/session", map[string]string{"login": login, "password": password})
	if a.status != http.StatusOK {
		w.t.Fatalf("sign-in of %s: %s", login, a)
	}
	return c
}

// answer is a response that was read.
type answer struct {
	status int
	header http.Header
	raw    []byte
	body   map[string]any
}

func (a answer) String() string { return http.StatusText(a.status) + " " + string(a.raw) }

// text digs a value out of the body by its path, such as "errors.0.field".
func (a answer) text(path string) string {
	var v any = a.body
	for _, step := range strings.Split(path, ".") {
		switch at := v.(type) {
		case map[string]any:
			v = at[step]
		case []any:
			if n := int(step[0] - '0'); n < len(at) {
				v = at[n]
			} else {
				v = nil
			}
		}
	}
	switch v := v.(type) {
	case string:
		return v
	case nil:
		return ""
	}
	b, _ := json.Marshal(v)
	return string(b)
}

func (c *client) call(method, path string, body io.Reader, headers ...string) answer {
	c.w.t.Helper()
	r, err := http.NewRequest(method, c.w.http.URL+path, body)
	if err != nil {
		c.w.t.Fatal(err)
	}
	if c.cookie != nil {
		r.AddCookie(c.cookie)
	}
	if c.bearer != "" {
		r.Header.Set("Authorization", "Bearer "+c.bearer)
	}
	r.Header.Set("Yidang-Purpose", "data-quality") // which every reader may name: most tests are not about why a file is read
	for i := 0; i+1 < len(headers); i += 2 {
		if headers[i] == "Host" {
			r.Host = headers[i+1]
			continue
		}
		r.Header.Set(headers[i], headers[i+1])
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		c.w.t.Fatal(err)
	}
	defer res.Body.Close()
	a := answer{status: res.StatusCode, header: res.Header}
	if a.raw, err = io.ReadAll(res.Body); err != nil {
		c.w.t.Fatal(err)
	}
	_ = json.Unmarshal(a.raw, &a.body)
	for _, set := range res.Cookies() {
		c.cookie = set
	}
	return a
}

func (c *client) get(path string, headers ...string) answer {
	c.w.t.Helper()
	return c.call(http.MethodGet, path, nil, headers...)
}

func (c *client) send(method, path string, body any, headers ...string) answer {
	c.w.t.Helper()
	var raw []byte
	switch b := body.(type) {
	case string:
		raw = []byte(b)
	case nil:
		raw = []byte("{}")
	default:
		raw = must(json.Marshal(b))(c.w.t)
	}
	return c.call(method, path, bytes.NewReader(raw), append([]string{"Content-Type", "application/json"}, headers...)...)
}

func (c *client) post(path string, body any, headers ...string) answer {
	c.w.t.Helper()
	return c.send(http.MethodPost, path, body, headers...)
}

// openCase registers a person in 前进村 and opens a voluntary case of his led by a cadre; it answers the person and the
// address of the case's commands.
func (w *town) openCase(lead string) (person uuid.UUID, path string) {
	w.t.Helper()
	office, police := w.signIn("office"), w.signIn("police")
	a := police.post("/v1/person/register", w.someone("王测试", idWang, "前进村"))
	if a.status != http.StatusCreated {
		w.t.Fatal(a)
	}
	person = uuid.MustParse(a.text("id"))
	a = police.post("/v1/drugs/open", map[string]any{"person": person, "village": w.units["前进村"], "kind": "voluntary"})
	if a.status != http.StatusCreated {
		w.t.Fatal(a)
	}
	path = "/v1/drugs/" + a.text("id")
	a = office.post(path+"/assign-responsible", map[string]any{"officer": w.officers[lead], "role": "village-cadre"})
	if a.status != http.StatusOK {
		w.t.Fatal(a)
	}
	return person, path
}
