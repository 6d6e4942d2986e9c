package api_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"yidang/domain/casework"
	"yidang/domain/programs/drugs"
	"yidang/domain/record"
	"yidang/domain/units"
)

var rewrite = flag.Bool("rewrite", false, "write what is answered to testdata/matrix.txt; read the difference line by line before committing it")

// roles in the order of the columns of testdata/matrix.txt.
var roles = []record.Role{record.VillageCadre, record.CommunityPolice, record.CommunityMedic, record.Volunteer, record.TownshipOffice, record.Inspector, record.Analyst, record.Administrator}

// matrix is a township with, for each role, an officer to whom the file belongs and one to whom it does not.
type matrix struct {
	*town
	own, other    []*client
	sha256        string
	doc           document
	spare         uuid.UUID // an officer whose password may be reset
	person, case_ uuid.UUID
}

type document struct {
	Paths      map[string]map[string]operation
	Components struct{ Schemas map[string]schema }
}

type operation struct {
	OperationID string
	Parameters  []struct{ Name, In string }
	RequestBody struct {
		Content map[string]struct{ Schema schema }
	}
	Security []map[string][]string
}

type schema struct {
	Ref        string `json:"$ref"`
	Type       any
	Format     string
	Pattern    string
	Enum       []any
	Minimum    float64
	MinLength  int
	MinItems   int
	Items      *schema
	Properties map[string]schema
	Required   []string
}

func newMatrix(t *testing.T) *matrix {
	w := newTown(t, nil)
	m := &matrix{town: w}
	if err := json.Unmarshal(w.server.OpenAPI(), &m.doc); err != nil {
		t.Fatal(err)
	}
	for _, town := range []string{"清溪镇", "白云镇"} { // the file belongs to the first
		w.unit(town, units.Township, "")
		w.unit(town+"村", units.Village, town)
		w.unit(town+"综治办", units.Office, town)
		w.unit(town+"派出所", units.Station, town, town+"村")
	}
	var where []uuid.UUID
	for i, role := range roles {
		for _, town := range []string{"清溪镇", "白云镇"} {
			unit := town
			switch role {
			case record.VillageCadre, record.CommunityMedic, record.Volunteer:
				unit = town + "村"
			case record.CommunityPolice:
				unit = town + "派出所"
			case record.TownshipOffice:
				unit = town + "综治办"
			}
			login := fmt.Sprintf("role%d.%s", i, map[string]string{"清溪镇": "own", "白云镇": "other"}[town])
			where = append(where, w.officer(login, role, unit, 2))
		}
	}
	m.spare = w.officer("spare", record.VillageCadre, "清溪镇村", 1)
	w.settle()
	for i := range roles {
		m.own = append(m.own, w.signIn(fmt.Sprintf("role%d.own", i)))
		m.other = append(m.other, w.signIn(fmt.Sprintf("role%d.other", i)))
	}
	m.file(where)
	return m
}

// file makes the file that everybody tries to reach: led by the police officer, with the volunteer helping, a tier and a paper.
func (m *matrix) file(officers []uuid.UUID) {
	police, office := officers[2], officers[8]
	village := m.units["清溪镇村"]
	in := m.someone("王测试", idWang, "清溪镇村")
	a := m.own[1].post("/v1/person/register", in)
	m.person = uuid.MustParse(a.text("id"))
	m.case_ = m.do(police, "drugs", "drugs.open", uuid.Nil, drugs.Open{Person: m.person, Village: village, Kind: drugs.Voluntary}).ID
	m.do(office, "drugs", "drugs.change_tier", m.case_, drugs.ChangeTier{Tier: "priority", Criteria: []string{"long-use"}, Reasons: "吸毒时间较长"})
	m.do(office, "drugs", "casework.assign_responsible", m.case_, casework.AssignResponsible{Officer: police, Role: record.CommunityPolice, Lead: true})
	m.do(office, "drugs", "casework.assign_responsible", m.case_, casework.AssignResponsible{Officer: officers[6], Role: record.Volunteer})
	a = m.own[1].upload("/v1/attachments/drugs/"+m.case_.String(), "协议.txt", "text/plain", []byte("社区戒毒协议，测试文本。"))
	expect(m.t.(*testing.T), "upload", a, 201, "")
	m.sha256 = a.text("sha256")
	a = m.own[1].post("/v1/drugs/"+m.case_.String()+"/add-attachment", map[string]any{"sha256": m.sha256, "size": json.Number(a.text("size")), "mediaType": "text/plain", "name": "协议.txt", "title": "协议"})
	expect(m.t.(*testing.T), "add", a, 200, "")
	m.settle()
}

func (c *client) upload(path, name, media string, content []byte) answer {
	c.w.t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	h := textproto.MIMEHeader{}
	h.Set("Content-Disposition", `form-data; name="file"; filename="`+name+`"`)
	h.Set("Content-Type", media)
	part := must(form.CreatePart(h))(c.w.t)
	if _, err := part.Write(content); err != nil {
		c.w.t.Fatal(err)
	}
	form.Close()
	return c.call(http.MethodPost, path, &body, "Content-Type", form.FormDataContentType())
}

// example makes a body that fits a schema, pointing at what exists where a name says so.
func (m *matrix) example(s schema) any {
	for s.Ref != "" {
		s = m.doc.Components.Schemas[strings.TrimPrefix(s.Ref, "#/components/schemas/")]
	}
	if len(s.Enum) > 0 {
		return s.Enum[0]
	}
	kind, _ := s.Type.(string)
	if list, ok := s.Type.([]any); ok {
		kind, _ = list[0].(string)
	}
	switch kind {
	case "object":
		out := map[string]any{}
		for _, name := range s.Required {
			out[name] = m.example(s.Properties[name])
		}
		if _, ok := s.Properties["village"]; ok {
			out["village"] = m.units["清溪镇村"]
		}
		return out
	case "array":
		out := []any{}
		for range s.MinItems {
			out = append(out, m.example(*s.Items))
		}
		return out
	case "integer", "number":
		return max(1, s.Minimum)
	case "boolean":
		return true
	}
	switch {
	case s.Format == "uuid":
		return uuid.NewString()
	case s.Format == "date":
		return "2026-09-01"
	case s.Pattern == "^[0-9a-f]{64}$":
		return strings.Repeat("0", 64)
	case s.Pattern != "":
		return "li.jianguo"
	}
	return strings.Repeat("测", max(4, s.MinLength))
}

// try sends an operation as somebody and says what came of it: - refused by authority, 0 not signed in, + let in. Of reads
// of the file: + shown whole, r shown as far as needed to know, o let in but the file does not show.
func (m *matrix) try(t *testing.T, c *client, self uuid.UUID, method, path string, op operation) string {
	t.Helper()
	for _, p := range op.Parameters {
		if p.In == "path" {
			path = strings.ReplaceAll(path, "{"+p.Name+"}", m.target(path, p.Name, self))
		}
	}
	var a answer
	body, isJSON := op.RequestBody.Content["application/json"]
	switch {
	case op.RequestBody.Content["multipart/form-data"].Schema.Type != nil && op.OperationID == "import":
		a = c.upload(path, "roster.csv", "text/csv", []byte("姓名,身份证号码,所在村,类别\n赵测试,999999197802140014,清溪镇村,一般\n"))
	case op.RequestBody.Content["multipart/form-data"].Schema.Type != nil:
		a = c.upload(path, "a.txt", "text/plain", []byte("测试文本"))
	case method == http.MethodGet:
		a = c.get(path + map[string]string{"worklist": "?whose=unit", "difference": "?from=2020-01-01", "consistency": "?from=1"}[op.OperationID])
	default:
		var in any = map[string]any{}
		if isJSON {
			in = m.example(body.Schema)
		}
		switch op.OperationID {
		case "handovers-accept", "handovers-decline":
			in.(map[string]any)["cases"] = []uuid.UUID{m.case_}
		case "sign-in":
			in = map[string]string{"login": "nobody.here", "password": "x"}
		}
		if strings.HasPrefix(op.OperationID, "handovers-") || slices.ContainsFunc(op.Parameters, func(p struct{ Name, In string }) bool { return p.Name == "dryRun" }) {
			path += "?dryRun=true"
		}
		a = c.send(method, path, in)
	}
	switch {
	case op.OperationID == "sign-in" && (a.status == 401 || a.status == 429): // anybody may try
		return "+"
	case a.status == 403 && a.text("type") == "/problems/forbidden":
		return "-"
	case a.status == 401:
		return "0"
	case a.status >= 500 && a.status != 503 || a.status == 404 && a.text("detail") == "there is nothing at this address" || strings.HasPrefix(a.text("rule"), "API "):
		t.Errorf("%s %s: %s", method, path, a)
		return "?"
	}
	return m.seen(op.OperationID, a)
}

// seen looks at how much of the file an answer shows.
func (m *matrix) seen(op string, a answer) string {
	mark, whole := map[string][2]string{
		"people": {m.person.String(), `"citizenId"`}, "file": {m.person.String(), `"citizenId"`}, "timeline": {"drugs.opened", "drugs.opened"},
		"cases": {m.case_.String(), `"tier"`}, "case": {m.case_.String(), `"tier"`}, "download": {"社区戒毒协议", "社区戒毒协议"}, "worklist": {m.case_.String(), `"tier"`},
	}[op], true
	if mark[0] == "" {
		return "+"
	}
	whole = strings.Contains(string(a.raw), mark[1])
	switch {
	case !strings.Contains(string(a.raw), mark[0]):
		return "o"
	case !whole:
		return "r"
	}
	return "+"
}

func (m *matrix) target(path, name string, self uuid.UUID) string {
	switch {
	case name == "category":
		return "drugs"
	case name == "sha256":
		return m.sha256
	case name == "name":
		return "register"
	case strings.HasPrefix(path, "/v1/drugs/"), strings.HasPrefix(path, "/v1/cases/"), strings.HasPrefix(path, "/v1/attachments/"):
		return m.case_.String()
	case strings.HasPrefix(path, "/v1/person/"), strings.HasPrefix(path, "/v1/people/"):
		return m.person.String()
	case strings.HasPrefix(path, "/v1/officers/") && strings.HasSuffix(path, "/password"):
		return m.spare.String()
	case strings.HasPrefix(path, "/v1/officer"):
		return self.String()
	case strings.HasPrefix(path, "/v1/unit"):
		return m.units["清溪镇村"].String()
	case strings.HasPrefix(path, "/v1/policy/"):
		return "0b1d0000-0000-5000-8000-000000000001"
	}
	return uuid.NewString()
}

// Ensure that each route lets in exactly whom testdata/matrix.txt says. The routes are those of the API document, so that
// a new one without a line there fails; routes outside the document are listed here.
func TestMatrix(t *testing.T) {
	m := newMatrix(t)
	var lines []string
	want := readMatrix(t)
	for _, path := range slices.Sorted(maps.Keys(m.doc.Paths)) {
		for _, method := range slices.Sorted(maps.Keys(m.doc.Paths[path])) {
			op := m.doc.Paths[path][method]
			if op.OperationID == "" {
				continue
			}
			line := m.line(t, strings.ToUpper(method), path, op)
			lines = append(lines, line)
			if got := strings.Fields(line); !slices.Equal(want[op.OperationID], got[1:]) && !*rewrite {
				t.Errorf("%s %s is not as expected:\n got %v\nwant %v", method, path, got[1:], want[op.OperationID])
			}
			delete(want, op.OperationID)
		}
	}
	if *rewrite {
		writeMatrix(t, lines)
		return
	}
	for id := range want {
		t.Errorf("testdata/matrix.txt expects something of %s, which does not exist", id)
	}
}

// line tries one operation as everybody: a column for each role, own unit or account first, then another's, then nobody.
func (m *matrix) line(t *testing.T, method, path string, op operation) string {
	cells := []string{fmt.Sprintf("%-32s", op.OperationID)}
	for i := range roles {
		cell := ""
		for j, c := range []*client{m.own[i], m.other[i]} {
			// An account is one's own, or somebody else's of the same role.
			self := m.officers[fmt.Sprintf("role%d.own", i)]
			if op.OperationID == "officer" { // other accounts are read too, without their sign-in names
				self = m.officers["role0.own"]
			}
			cell += m.try(t, c, self, method, path, op)
			if op.OperationID == "sign-out" {
				*c = *m.signIn(fmt.Sprintf("role%d.%s", i, [2]string{"own", "other"}[j]))
			}
		}
		cells = append(cells, cell)
	}
	return strings.Join(append(cells, m.try(t, m.anonymous(), uuid.Nil, method, path, op)), "  ")
}

const matrixHead = `# Who may use which route. Two marks for each role: an officer to whom the file belongs (his village, his beat, his case, his
# own account), then one of another township. + let in, - refused, 0 not signed in. Of reads: r as far as needed to know
# (S-14), o let in without seeing the file. The last column is a caller who is not signed in.
#
# Every line was read against the plan: S-1 and S-2 (village and township request, police record), S-14 (volunteers), the
# roles of the issue (inspector reads all and changes nothing, analyst reports only, administrator accounts and no files).
# operation                        cadre police medic volunteer office inspector analyst administrator nobody
`

func writeMatrix(t *testing.T, lines []string) {
	if err := os.WriteFile("testdata/matrix.txt", []byte(matrixHead+strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
}

func readMatrix(t *testing.T) map[string][]string {
	out := map[string][]string{}
	f, err := os.Open("testdata/matrix.txt")
	if err != nil {
		if *rewrite {
			return out
		}
		t.Fatal(err)
	}
	defer f.Close()
	for in := bufio.NewScanner(f); in.Scan(); {
		if fields := strings.Fields(in.Text()); len(fields) > 0 && !strings.HasPrefix(fields[0], "#") {
			out[fields[0]] = fields[1:]
		}
	}
	return out
}

// Ensure that whichever read answers with a person's name is one whose readings are recorded, and that each answer that
// names somebody outside the reader's own caseload has one entry in the record. A new read that forgets it fails here.
func TestWhoeverIsNamedIsRecorded(t *testing.T) {
	m := newMatrix(t)
	named := map[string]bool{}
	for _, path := range slices.Sorted(maps.Keys(m.doc.Paths)) {
		for method, op := range m.doc.Paths[path] {
			reads := method == "get" || strings.HasPrefix(op.OperationID, "handovers-")
			if op.OperationID == "" || !reads || op.OperationID == "report" { // figures without names
				continue
			}
			marked := slices.ContainsFunc(op.Parameters, func(p struct{ Name, In string }) bool { return p.Name == "Yidang-Purpose" })
			for i, role := range roles {
				for _, c := range []*client{m.own[i], m.other[i]} {
					before := len(m.readings())
					a := m.answer(t, c, op, strings.ToUpper(method), path)
					if !strings.Contains(string(a.raw), "王测试") {
						continue
					}
					named[op.OperationID] = true
					responsible := c == m.own[1] || c == m.own[3] // the lead and his helper
					if after := len(m.readings()); !marked || !responsible && after != before+1 || responsible && after > before+1 {
						t.Errorf("%s names somebody to %s: marked as recorded %v, %d entries", op.OperationID, role, marked, after-before)
					}
				}
			}
		}
	}
	for _, id := range []string{"people", "cases", "worklist", "file", "handovers-propose"} {
		if !named[id] {
			t.Errorf("%s named nobody: the test proves nothing of it", id)
		}
	}
}

// answer sends a read about the file of the matrix.
func (m *matrix) answer(t *testing.T, c *client, op operation, method, path string) answer {
	t.Helper()
	for _, p := range op.Parameters {
		if p.In == "path" {
			path = strings.ReplaceAll(path, "{"+p.Name+"}", m.target(path, p.Name, m.officers["role0.own"]))
		}
	}
	if method == http.MethodGet {
		return c.get(path + map[string]string{"worklist": "?whose=unit", "difference": "?from=2020-01-01"}[op.OperationID])
	}
	in, _ := m.example(op.RequestBody.Content["application/json"].Schema).(map[string]any)
	in["cases"] = []uuid.UUID{m.case_}
	return c.send(method, path+"?dryRun=true", in)
}

// Ensure that a case officer's own list of duties and of cases leaves no entry: it is what he opens all day.
func TestOwnListsAreNotRecorded(t *testing.T) {
	m := newMatrix(t)
	lead := m.own[1]
	before := len(m.readings())
	for _, path := range []string{"/v1/worklist", "/v1/worklist?whose=unit", "/v1/cases", "/v1/people"} {
		a := lead.get(path, "Yidang-Purpose", "")
		if !strings.Contains(string(a.raw), m.person.String()) {
			t.Errorf("%s does not show the own case: %s", path, a)
		}
	}
	if after := len(m.readings()); after != before {
		t.Errorf("%d entries", after-before)
	}
}
