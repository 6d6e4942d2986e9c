package witness

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"yidang/domain/record"
)

// Client asks a witness for cosignatures.
type Client struct {
	URL  string // the witness's submission prefix
	Key  *torchwood.CosignatureVerifier
	HTTP *http.Client // nil: one that follows no redirect
}

// ConflictError says which size the witness has cosigned last: a proof must start there.
type ConflictError struct{ Size int64 }

func (e *ConflictError) Error() string {
	return fmt.Sprintf("the witness has cosigned %d leaves last", e.Size)
}

// RefusedError is the witness's answer that the checkpoint does not extend the one it has cosigned. If the proof was
// right, two histories of the log exist.
type RefusedError struct{ Reason string }

func (e *RefusedError) Error() string {
	return "the witness refuses a history that does not extend the one it knows: " + e.Reason
}

const (
	maxAnswer = 64 << 10
	sizeType  = "text/x.tlog.size" // of the answer that says which size was cosigned last
)

// conflict reads the answer 409. A witness that is asked from the very size of the checkpoint says by it that it has
// cosigned another root of that size, whatever else it answers: another attempt cannot help.
func conflict(old int64, signed []byte, answer *http.Response, text []byte) error {
	var size int64 = -1
	if answer.Header.Get("Content-Type") == sizeType {
		if n, err := strconv.ParseInt(strings.TrimSuffix(string(text), "\n"), 10, 64); err == nil && n >= 0 {
			size = n
		}
	}
	body, _, _ := bytes.Cut(signed, []byte("\n\n"))
	tree, err := torchwood.ParseCheckpoint(string(body) + "\n")
	switch {
	case err == nil && tree.N == old && (size == old || size < 0):
		return &RefusedError{fmt.Sprintf("it has cosigned another tree of %d leaves", old)}
	case size >= 0:
		return &ConflictError{size}
	}
	return nil
}

// AddCheckpoint submits a signed checkpoint with the proof that it extends the tree of the old size, and returns the
// witness's verified cosignature. Errors: *ConflictError, *RefusedError, and kind Unavailable for everything else.
func (c *Client) AddCheckpoint(ctx context.Context, old int64, proof tlog.TreeProof, signed []byte) (note.Signature, error) {
	var body bytes.Buffer
	fmt.Fprintf(&body, "old %d\n", old)
	for _, h := range proof {
		fmt.Fprintf(&body, "%s\n", base64.StdEncoding.EncodeToString(h[:]))
	}
	body.WriteString("\n")
	body.Write(signed)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(c.URL, "/")+"/add-checkpoint", &body)
	if err != nil {
		return note.Signature{}, record.Errorf(record.Invalid, "the address of witness %s: %w", c.Key.Name(), err)
	}
	client := c.HTTP
	if client == nil {
		client = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	answer, err := client.Do(req)
	if err != nil {
		return note.Signature{}, record.Errorf(record.Unavailable, "ask witness %s: %w", c.Key.Name(), err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err != nil {
		return note.Signature{}, record.Errorf(record.Unavailable, "hear witness %s: %w", c.Key.Name(), err)
	}
	switch answer.StatusCode {
	case http.StatusOK:
		return c.cosignature(signed, text)
	case http.StatusConflict:
		if err := conflict(old, signed, answer, text); err != nil {
			return note.Signature{}, err
		}
	case http.StatusUnprocessableEntity:
		return note.Signature{}, &RefusedError{strings.TrimSpace(string(text))}
	}
	return note.Signature{}, record.Errorf(record.Unavailable, "witness %s answers %s: %q", c.Key.Name(), answer.Status, firstLine(text))
}

// cosignature finds the witness's signature in its answer, by reading both as one note.
func (c *Client) cosignature(signed, lines []byte) (note.Signature, error) {
	i := bytes.LastIndex(signed, []byte("\n\n"))
	if i < 0 {
		return note.Signature{}, record.Errorf(record.Invalid, "the checkpoint has no signature")
	}
	n, err := note.Open(append(bytes.Clone(signed[:i+2]), lines...), note.VerifierList(c.Key))
	if err != nil {
		return note.Signature{}, record.Errorf(record.Unavailable, "the cosignature of witness %s: %w", c.Key.Name(), err)
	}
	return n.Sigs[0], nil
}

func firstLine(text []byte) []byte {
	line, _, _ := bytes.Cut(text, []byte("\n"))
	return line[:min(len(line), 200)]
}
