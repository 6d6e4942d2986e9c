package embedded

import (
	"crypto/rand"
	"fmt"
	"io"
	"mime"
	"net/http"
	"regexp"
	"strings"
)

// statementLimit bounds an INSERT … VALUES written out; the data of a batch has no limit.
const statementLimit = 16 << 20

// request is one query as the protocol carries it.
type request struct {
	id        string // marks the query in the engine
	statement string
	format    string            // of the result, or of data
	params    map[string]string // {name:Type} in the statement
	settings  map[string]string
	database  string
	data      io.Reader // what to insert; nil when the statement says it all
}

// The engine's codes for what the front refuses itself.
const (
	codeUnsupported = 48
	codeSyntax      = 62
	codeSetting     = 115
	codeBusy        = 202
	codeInternal    = 1002
)

func refusal(code int, message string) error {
	return engineError(fmt.Sprintf("Code: %d. DB::Exception: %s", code, message))
}

var settingName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.]*$`)

// formatClause is at the end of an INSERT whose data follows in the body.
var formatClause = regexp.MustCompile(`(?is)\s+(?:FORMAT\s+(\w+)|(VALUES))\s*;?\s*$`)

// glued is an INSERT with data of some other format than Values behind it in one text: the engine takes only the first
// lines of such data, so it is refused.
var glued = regexp.MustCompile(`(?is)^\s*INSERT\s+INTO\s+[^()]*?(\([^()]*\))?\s*(SETTINGS\s+[^()]*?)?FORMAT\s+(\w+)\s`)

func readRequest(r *http.Request) (*request, error) {
	q := &request{id: rand.Text(), format: "Native", params: map[string]string{}, settings: map[string]string{}}
	if media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); strings.HasPrefix(media, "multipart/") {
		return nil, refusal(codeUnsupported, "External tables are not supported by the embedded engine (NOT_IMPLEMENTED)")
	}
	if enc := r.Header.Get("Content-Encoding"); enc != "" {
		return nil, uncompressed(enc)
	}
	for name, values := range r.URL.Query() {
		value := values[len(values)-1]
		param, isParam := strings.CutPrefix(name, "param_")
		switch {
		case isParam:
			q.params[param] = value
		case name == "query":
			q.statement = value
		case name == "database":
			q.database = value
		case name == "default_format":
			q.format = value
		case name == "compress" || name == "decompress":
			if value != "0" && value != "false" {
				return nil, uncompressed(name)
			}
		case name == "client_protocol_version", name == "query_id", name == "quota_key", name == "wait_end_of_query",
			name == "buffer_size", name == "enable_http_compression", name == "network_compression_method",
			name == "session_id", name == "session_timeout", name == "session_check":
			// of the connection, or of a server shared by many
		case !settingName.MatchString(name):
			return nil, refusal(codeSetting, "Unknown setting (UNKNOWN_SETTING)")
		default:
			q.settings[name] = value
		}
	}
	return q, q.readBody(r.Body)
}

func uncompressed(what string) error {
	return refusal(codeUnsupported,
		"Compression ("+what+") is not supported by the embedded engine: leave it off on a local socket (NOT_IMPLEMENTED)")
}

// readBody takes the body as the data when the statement came in the address, and as the statement when it did not.
func (q *request) readBody(body io.Reader) error {
	if q.statement != "" {
		if m := formatClause.FindStringSubmatchIndex(q.statement); m != nil && isInsert(q.statement) {
			q.format = "Values"
			if m[2] >= 0 {
				q.format = q.statement[m[2]:m[3]]
			}
			q.statement, q.data = q.statement[:m[0]], body
			return nil
		}
	}
	b, err := io.ReadAll(io.LimitReader(body, statementLimit+1))
	if err != nil {
		return fmt.Errorf("read the statement: %w", err)
	}
	if len(b) > statementLimit {
		return refusal(codeSyntax, "The statement is too long: send data as the body, with the statement in ?query= (SYNTAX_ERROR)")
	}
	q.statement = strings.TrimSpace(q.statement + "\n" + string(b))
	if m := glued.FindStringSubmatch(q.statement); m != nil && !strings.EqualFold(m[3], "Values") {
		return refusal(codeUnsupported, "Data behind its statement is not supported: send the statement in ?query= (NOT_IMPLEMENTED)")
	}
	return nil
}

func isInsert(statement string) bool {
	s := strings.TrimSpace(statement)
	return len(s) > 6 && strings.EqualFold(s[:6], "INSERT")
}

// prepare gives the connection the request's database, settings and mark.
func (q *request) prepare(c *connection) error {
	if q.database != "" && q.database != "default" {
		if err := c.exec("USE " + quote(q.database, '`')); err != nil {
			return err
		}
	}
	set := "SET log_comment = " + quote(q.id+" "+q.settings["log_comment"], '\'')
	for name, value := range q.settings {
		if name != "log_comment" {
			set += ", " + name + " = " + quote(value, '\'')
		}
	}
	return c.exec(set)
}

func quote(s string, mark byte) string {
	m := string(mark)
	return m + strings.NewReplacer(`\`, `\\`, m, `\`+m).Replace(s) + m
}
