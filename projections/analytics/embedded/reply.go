package embedded

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
)

// reply is a response that has not begun until there is something to say, so that most failures still have a status.
type reply struct {
	w      http.ResponseWriter
	format string
	tag    string // announces where in the body a failure would be told
	begun  bool
}

func (r *reply) begin() {
	if r.begun {
		return
	}
	r.begun = true
	r.tag = rand.Text()[:16]
	r.w.Header().Set("Content-Type", "application/octet-stream")
	r.w.Header().Set("X-ClickHouse-Format", r.format)
	r.w.Header().Set("X-ClickHouse-Exception-Tag", r.tag)
	r.w.WriteHeader(http.StatusOK)
}

func (r *reply) write(b []byte) error {
	r.begin()
	_, err := r.w.Write(b)
	return err
}

// fail tells of a failure in the middle of a result the way a server does: framed in the body, under the tag.
func (r *reply) fail(err error) error {
	if !r.begun {
		return err
	}
	text := describe(err)
	_, _ = fmt.Fprintf(r.w, "\r\n__exception__\r\n%s\r\n%s\n%d %s\r\n__exception__\r\n", r.tag, text, len(text)+1, r.tag)
	return nil
}

var codeText = regexp.MustCompile(`^Code: (\d+)\.`)

// fail answers with the engine's own text and code.
func fail(w http.ResponseWriter, err error) {
	text := describe(err)
	code := strconv.Itoa(codeInternal)
	if m := codeText.FindStringSubmatch(text); m != nil {
		code = m[1]
	}
	w.Header().Set("X-ClickHouse-Exception-Code", code)
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(http.StatusInternalServerError)
	_, _ = io.WriteString(w, text)
}

func describe(err error) string {
	var e engineError
	if errors.As(err, &e) {
		return e.Error()
	}
	return refusal(codeInternal, err.Error()+" (UNKNOWN_EXCEPTION)").Error()
}
