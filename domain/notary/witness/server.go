// Package witness speaks C2SP tlog-witness, both sides of it. A witness is run by an organisation that the log's operator
// does not control. It remembers the last checkpoint it has cosigned of each log and cosigns another only when that is
// proved to extend it, so that whoever demands its cosignature cannot be shown two histories.
//
// The rules of the server, in plain words:
//
//   - It cosigns one growing history for each log it was told of, and remembers for ever how far.
//   - What it cosigns is durable before the answer is sent; comparing and remembering are one step. A crash in between
//     leaves a checkpoint remembered and not answered: the log asks again and gets a cosignature of the same.
//   - Losing its directory means cosigning anything once more. Whoever holds its key can do that too.
package witness

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"yidang/domain/notary/keyfile"
	"yidang/domain/record"
)

// Log is a log that a witness knows.
type Log struct {
	Origin string
	Keys   []note.Verifier // any of which may have signed; their names are the origin
}

// Logs makes the list of logs from their verifier keys: the name of a key is the origin of its log.
func Logs(keys ...note.Verifier) []Log {
	var logs []Log
	for _, k := range keys {
		i := slices.IndexFunc(logs, func(l Log) bool { return l.Origin == k.Name() })
		if i < 0 {
			i, logs = len(logs), append(logs, Log{Origin: k.Name()})
		}
		logs[i].Keys = append(logs[i].Keys, k)
	}
	return logs
}

// Options of a Server. Dir, Key and at least one log are required.
type Options struct {
	Dir  string      // its own directory, made with mode 0700 when missing
	Key  keyfile.Key // of kind keyfile.Witness
	Logs []Log
	Log  *slog.Logger // may be nil
}

// Server is a witness. It is an http.Handler for the submission prefix and the monitoring prefix, which are the same.
type Server struct {
	log    *slog.Logger
	signer *torchwood.CosignatureSigner
	memory *memory
	logs   map[string]Log
	mux    *http.ServeMux
}

// maxBody holds 63 proof lines and a checkpoint with many post-quantum signatures.
const maxBody = 256 << 10

// Open opens the witness's directory; one process at a time may have it.
func Open(o Options) (*Server, error) {
	if o.Dir == "" || len(o.Logs) == 0 || o.Key.Kind != keyfile.Witness {
		return nil, record.Errorf(record.Invalid, "a witness needs a directory, a key of its kind and a log to watch")
	}
	signer, err := torchwood.NewCosignatureSigner(o.Key.Name, o.Key.Private)
	if err != nil {
		return nil, record.Errorf(record.Invalid, "the key of the witness: %w", err)
	}
	s := &Server{log: o.Log, signer: signer, logs: map[string]Log{}, mux: http.NewServeMux()}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	for _, l := range o.Logs {
		if _, twice := s.logs[l.Origin]; twice || l.Origin == "" || len(l.Keys) == 0 {
			return nil, record.Errorf(record.Invalid, "log %q is named twice, or has no name or no key", l.Origin)
		}
		s.logs[l.Origin] = l
	}
	if s.memory, err = openMemory(o.Dir, signer.Verifier()); err != nil {
		return nil, fmt.Errorf("open the witness's directory %s: %w", o.Dir, err)
	}
	s.mux.HandleFunc("POST /add-checkpoint", s.addCheckpoint)
	s.mux.HandleFunc("GET /{origin}/checkpoint", s.lastCheckpoint)
	return s, nil
}

// Close gives the directory back.
func (s *Server) Close() error { return s.memory.close() }

// Verifier is the witness's verifier key, for policies.
func (s *Server) Verifier() string { return s.signer.Verifier().String() }

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// refusal is an answer that the protocol has for a request.
type refusal struct {
	status  int
	reason  string
	size    int64 // with 409, when the old size is not the last one
	another bool  // with 409, when the last tree has this size and another root
}

func (r *refusal) Error() string { return r.reason }

func (s *Server) addCheckpoint(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		http.Error(w, "the request cannot be read", http.StatusBadRequest)
		return
	}
	cosignature, err := s.add(body)
	var no *refusal
	switch {
	case err == nil:
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Write(cosignature)
	case !errors.As(err, &no):
		s.log.Error("a checkpoint was not cosigned", "error", err)
		http.Error(w, "the witness cannot remember anything now", http.StatusInternalServerError)
	case no.status == http.StatusConflict && !no.another:
		w.Header().Set("Content-Type", sizeType)
		w.WriteHeader(no.status)
		fmt.Fprintf(w, "%d\n", no.size)
	default:
		if no.another || no.status == http.StatusUnprocessableEntity {
			// Signed by the log and not what it signed before: it may be proof of misbehaviour, so it is kept in the log.
			s.log.Warn("a log asks to cosign what does not extend its history", "reason", no.reason, "request", string(body))
		}
		http.Error(w, no.reason, no.status)
	}
}

// add answers a request with the cosignature line or a *refusal.
func (s *Server) add(body []byte) ([]byte, error) {
	req, err := parseRequest(body)
	if err != nil {
		return nil, &refusal{status: http.StatusBadRequest, reason: err.Error()}
	}
	l, ok := s.logs[req.tree.Origin]
	if !ok {
		return nil, &refusal{status: http.StatusNotFound, reason: "this witness does not know the log"}
	}
	signed, err := note.Open(req.checkpoint, note.VerifierList(l.Keys...))
	if err != nil && !errors.As(err, new(*note.UnverifiedNoteError)) && !errors.As(err, new(*note.InvalidSignatureError)) {
		return nil, &refusal{status: http.StatusBadRequest, reason: "the checkpoint's signatures are malformed"}
	}
	if err != nil {
		return nil, &refusal{status: http.StatusForbidden, reason: "no key of the log that is known here has signed it, or a signature is wrong"}
	}
	if req.old > req.tree.N {
		return nil, &refusal{status: http.StatusBadRequest, reason: "the old size is above the checkpoint's"}
	}
	var line []byte
	err = s.memory.change(req.tree.Origin, func(last tlog.Tree) ([]byte, error) {
		if req.old != last.N {
			return nil, &refusal{status: http.StatusConflict, size: last.N, reason: "the old size is not that of the last checkpoint"}
		}
		if no := extends(req, last); no != nil {
			return nil, no
		}
		// Signatures that were not verified are left out of what is kept and shown to monitors.
		cosigned, err := note.Sign(&note.Note{Text: signed.Text, Sigs: signed.Sigs}, s.signer)
		if err != nil {
			return nil, err
		}
		line = cosigned[bytes.LastIndexByte(cosigned[:len(cosigned)-1], '\n')+1:]
		return cosigned, nil
	})
	return line, err
}

// extends is nil when the request's tree is proved to extend the last one. A wrong proof is 422. Another root of the same
// size is 409, without a size: it would invite another attempt.
func extends(req request, last tlog.Tree) *refusal {
	wrong := func(reason string) *refusal { return &refusal{status: http.StatusUnprocessableEntity, reason: reason} }
	empty, _ := tlog.TreeHash(0, nil)
	switch {
	case req.tree.N == 0 && req.tree.Hash != empty:
		return wrong("an empty tree has another root")
	case req.old == 0 && len(req.proof) > 0:
		return wrong("a proof from the empty tree is empty")
	case req.old == 0:
		return nil
	case req.old == req.tree.N && len(req.proof) > 0:
		return wrong("a proof from a tree to itself is empty")
	case req.old == req.tree.N && req.tree.Hash != last.Hash:
		return &refusal{status: http.StatusConflict, another: true, reason: "a tree of this size was cosigned with another root"}
	case req.old == req.tree.N:
		return nil
	}
	if err := tlog.CheckTree(req.proof, req.tree.N, req.tree.Hash, last.N, last.Hash); err != nil {
		return wrong("the consistency proof does not verify")
	}
	return nil
}

// lastCheckpoint serves monitors what was cosigned last.
func (s *Server) lastCheckpoint(w http.ResponseWriter, r *http.Request) {
	for origin := range s.logs {
		sum := sha256.Sum256([]byte(origin))
		if hex.EncodeToString(sum[:]) != r.PathValue("origin") {
			continue
		}
		if cosigned := s.memory.last(origin); cosigned != nil {
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			w.Header().Set("Cache-Control", "no-cache")
			w.Write(cosigned)
			return
		}
	}
	http.Error(w, "no checkpoint of this log was cosigned here", http.StatusNotFound)
}

// request is the body of add-checkpoint.
type request struct {
	old        int64
	proof      tlog.TreeProof
	checkpoint []byte // signed
	tree       torchwood.Checkpoint
}

const maxProof = 63

func parseRequest(body []byte) (request, error) {
	var r request
	head, checkpoint, ok := bytes.Cut(body, []byte("\n\n"))
	lines := strings.Split(string(head), "\n")
	if !ok {
		return r, errors.New("the request has no empty line before the checkpoint")
	}
	old, ok := strings.CutPrefix(lines[0], "old ")
	var err error
	if r.old, err = strconv.ParseInt(old, 10, 64); !ok || err != nil || r.old < 0 || strconv.FormatInt(r.old, 10) != old {
		return r, errors.New("the first line is not an old size")
	}
	if len(lines)-1 > maxProof {
		return r, errors.New("the proof has more than 63 lines")
	}
	for _, line := range lines[1:] {
		hash, err := tlog.ParseHash(line)
		if err != nil || base64.StdEncoding.EncodeToString(hash[:]) != line {
			return r, errors.New("a line of the proof is not a hash")
		}
		r.proof = append(r.proof, hash)
	}
	r.checkpoint = checkpoint
	i := bytes.LastIndex(checkpoint, []byte("\n\n"))
	if i < 0 {
		return r, errors.New("the checkpoint has no signatures")
	}
	if r.tree, err = torchwood.ParseCheckpoint(string(checkpoint[:i+1])); err != nil {
		return r, errors.New("the checkpoint is malformed")
	}
	return r, nil
}
