package api

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gin-gonic/gin"
	"github.com/google/uuid"

	"yidang/domain/notary"
	"yidang/domain/record"
)

// This file serves the log of proofs: the C2SP tlog-tiles interface below /log, and proofs by event id. Checkpoints and
// tiles of hashes are for everybody, witnesses and auditors above all: they say nothing of anybody. Tiles of entries name
// streams and types of events, so they are for who may read all files.

// Log is what the routes need of the notary; *notary.Notary is one.
type Log interface {
	Resource(ctx context.Context, path string) (notary.Resource, error)
	Proof(ctx context.Context, event uuid.UUID) (notary.Proof, error)
	Consistency(ctx context.Context, from, to int64) (notary.Consistency, error)
	SizeAt(ctx context.Context, event uuid.UUID) (int64, error)
	Checkpoint() (signed []byte, size int64, ok bool)
	Status() notary.Status
}

// EventProof proves that an event is in the log.
type EventProof struct {
	Event      uuid.UUID `json:"event"`
	Index      int64     `json:"index" doc:"of the leaf, from 0"`
	Leaf       []byte    `json:"leaf" doc:"what was hashed; the documentation of domain/notary has its format to the byte"`
	Checkpoint string    `json:"checkpoint" doc:"signed note that names the tree"`
	Proof      string    `json:"proof" doc:"C2SP tlog-proof: checkpoint, index and hashes in one text, for offline verification"`
}

// TreeProof proves that the log only grew: that one of its trees extends an older one.
type TreeProof struct {
	From       Tree     `json:"from"`
	To         Tree     `json:"to"`
	Hashes     []string `json:"hashes" nullable:"false" doc:"of the consistency proof of RFC 6962, section 2.1.2, in base64; empty from a tree to itself"`
	Checkpoint string   `json:"checkpoint" doc:"signed note of the newest published tree, which has both"`
}

// Tree is one state of the log.
type Tree struct {
	Size int64  `json:"size" doc:"leaves"`
	Root string `json:"root" doc:"in base64; believe it only when a checkpoint of this size that you hold says the same"`
}

type consistencyQuery struct {
	From string `query:"from" required:"true" maxLength:"40" doc:"size of the older tree, or the id of an event: the smallest tree that has it"`
	To   string `query:"to" maxLength:"40" doc:"of the newer tree, likewise; the newest published one when left out"`
}

var errNoSize = &record.Problem{Kind: record.Invalid, Message: "is neither the size of a tree nor an event id", Zh: "既不是日志大小，也不是记录编号", Remedy: "give a whole number of leaves from 1, as a checkpoint says it, or an event id"}

var errNoLog = &record.Problem{Kind: record.Unavailable, Message: "this server keeps no log of proofs", Zh: "本服务器未启用存证日志", Remedy: "ask the server that signs"}

type proofQuery struct {
	Event uuid.UUID `path:"event" doc:"event id, as in a receipt or a timeline"`
}

func (s *Server) logRoutes() {
	s.engine.GET("/log/*path", s.logResource)
	read(s, huma.Operation{OperationID: "proof", Path: "/v1/proofs/{event}", Tags: []string{"read"}, Summary: "Proof that an event is in the log (存证证明)",
		Description: "An inclusion proof against the newest published checkpoint. A second after an event was recorded it is there. It says nothing of the content; anybody who is signed in may ask."}, s.proof)
	read(s, huma.Operation{OperationID: "consistency", Path: "/v1/proofs/consistency", Tags: []string{"read"}, Summary: "Proof that the log only grew (一致性证明)",
		Description: "That the tree of one size extends that of an older one: whoever kept a checkpoint proves by it that nothing it covered was changed since. It says nothing of the content; anybody who is signed in may ask."}, s.consistency)
}

func (s *Server) proof(ctx context.Context, in *proofQuery) (*shown[EventProof], error) {
	if s.options.Notary == nil {
		return nil, errNoLog
	}
	p, err := s.options.Notary.Proof(ctx, in.Event)
	if err != nil {
		return nil, err
	}
	return show(s.options.Notary.Status().Position, EventProof{Event: in.Event, Index: p.Index, Leaf: p.Leaf, Checkpoint: string(p.Checkpoint), Proof: string(p.Text())}), nil
}

func (s *Server) consistency(ctx context.Context, in *consistencyQuery) (*shown[TreeProof], error) {
	if s.options.Notary == nil {
		return nil, errNoLog
	}
	from, err := s.treeSize(ctx, "from", in.From)
	if err != nil {
		return nil, err
	}
	to := int64(0)
	if in.To != "" {
		if to, err = s.treeSize(ctx, "to", in.To); err != nil {
			return nil, err
		}
	}
	p, err := s.options.Notary.Consistency(ctx, from, to)
	if err != nil {
		return nil, err
	}
	out := TreeProof{From: Tree{p.From.N, p.From.Hash.String()}, To: Tree{p.To.N, p.To.Hash.String()}, Hashes: []string{}, Checkpoint: string(p.Checkpoint)}
	for _, h := range p.Hashes {
		out.Hashes = append(out.Hashes, h.String())
	}
	return show(s.options.Notary.Status().Position, out), nil
}

// treeSize reads a size, or takes that of the smallest tree that has an event.
func (s *Server) treeSize(ctx context.Context, field, text string) (int64, error) {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && n >= 1 {
		return n, nil
	}
	event, err := uuid.Parse(text)
	if err != nil {
		return 0, errNoSize.At(field)
	}
	return s.options.Notary.SizeAt(ctx, event)
}

func (s *Server) logResource(c *gin.Context) {
	path := strings.TrimPrefix(c.Param("path"), "/")
	if s.options.Notary == nil {
		s.failHTTP(c.Writer, c.Request, errNoLog)
		return
	}
	if strings.HasPrefix(path, "tile/entries/") {
		if err := s.readsAll(c.Request); err != nil {
			s.failHTTP(c.Writer, c.Request, err)
			return
		}
	}
	r, err := s.options.Notary.Resource(c.Request.Context(), path)
	if err != nil {
		s.failHTTP(c.Writer, c.Request, err)
		return
	}
	h := c.Writer.Header()
	h.Set("Content-Type", r.ContentType)
	h.Set("Cache-Control", r.CacheControl)
	h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	h.Set("Content-Length", strconv.Itoa(len(r.Body)))
	if strings.HasPrefix(path, "tile/entries/") {
		h.Set("Cache-Control", "no-store") // the protocol would have it kept for long; who may read it is decided each time
	} else {
		h.Del("Vary")
	}
	c.Writer.WriteHeader(http.StatusOK)
	_, _ = c.Writer.Write(r.Body) // the client may be gone
}

// readsAll wants a caller who may read every file.
func (s *Server) readsAll(r *http.Request) error {
	who, err := s.identifyRequest(r)
	if err != nil {
		return err
	}
	for _, k := range s.options.Catalog.Categories {
		if !k.Case {
			continue
		}
		reach, err := s.options.Executor.Reach(r.Context(), who.Officer, uuid.Nil, k.Readers, nil)
		if err != nil {
			return err
		}
		if !reach.All {
			return &record.Problem{Kind: record.Forbidden, Message: "entries of the log are for who may read all files", Zh: "日志条目仅供有权查阅全部档案者", Remedy: "ask an inspector"}
		}
	}
	return nil
}
