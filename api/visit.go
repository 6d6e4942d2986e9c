package api

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humagin"
	"github.com/gin-gonic/gin"

	"yidang/api/auth"
)

// visit is what is known of one request while it is served. The log is written from it: no query, no body, no address.
type visit struct {
	id    string
	route string // pattern, never the path itself
	from  netip.Addr
	zh    bool
	who   auth.Identity
	why   why
}

type visitKey struct{}

// visitOf gives the request's visit; a context outside a request gets an empty one.
func visitOf(ctx context.Context) *visit {
	if v, ok := ctx.Value(visitKey{}).(*visit); ok {
		return v
	}
	return &visit{}
}

// recorder remembers the status that was sent.
type recorder struct {
	http.ResponseWriter
	status int
}

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	return r.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// Flush passes streamed answers on.
func (r *recorder) Flush() {
	if f, ok := r.ResponseWriter.(http.Flusher); ok {
		f.Flush()
	}
}

// ServeHTTP is the outermost layer: it names the request, sets the headers that every answer has, turns away what must not
// come in, catches panics, and writes the log and the metrics.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := time.Now() // of the machine: how long it took has nothing to do with the record's clock
	v := &visit{id: requestID(), zh: chooseZh(r), route: "(none)", from: s.clientAddress(r), why: whyOf(r.Header)}
	r = r.WithContext(context.WithValue(r.Context(), visitKey{}, v))
	rec := &recorder{ResponseWriter: w}
	s.headers(rec.Header(), v)
	defer func() {
		if value := recover(); value != nil {
			if value == http.ErrAbortHandler {
				panic(value)
			}
			if rec.status == 0 {
				s.failHTTP(rec, r, newRecovered(value))
			} else { // too late for an answer; the log must still say so
				s.problem(r.Context(), newRecovered(value))
			}
		}
		s.finish(r, rec, v, time.Since(began))
	}()
	switch {
	case !s.limits.address(v.from):
		s.failHTTP(rec, r, errTooMany)
	case s.origin.Check(r) != nil:
		s.failHTTP(rec, r, errOrigin)
	default:
		s.engine.ServeHTTP(rec, r)
	}
}

func requestID() string {
	var b [9]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

func (s *Server) headers(h http.Header, v *visit) {
	h.Set("X-Request-Id", v.id)
	h.Set("Cache-Control", "no-store") // personal data stays out of every cache
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=()")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
	h.Set("Vary", "Accept, Accept-Language, Cookie, Authorization")
	if !s.options.Plain {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
}

func (s *Server) finish(r *http.Request, rec *recorder, v *visit, took time.Duration) {
	status := rec.status
	if status == 0 {
		status = http.StatusOK
	}
	s.metrics.observe(r.Method, v.route, status, took)
	level := slog.LevelInfo
	if status >= 500 {
		level = slog.LevelError
	}
	if !s.options.Log.Enabled(r.Context(), level) {
		return
	}
	s.options.Log.LogAttrs(r.Context(), level, "request",
		slog.String("request", v.id), slog.String("method", method(r.Method)), slog.String("route", v.route), slog.Int("status", status),
		slog.Float64("ms", float64(took.Microseconds())/1000), slog.String("officer", officerText(v)))
}

// method keeps invented methods out of logs and metrics.
func method(m string) string {
	switch m {
	case http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodHead, http.MethodPatch, http.MethodOptions:
		return m
	}
	return "OTHER"
}

func officerText(v *visit) string {
	if v.who.Officer == [16]byte{} {
		return ""
	}
	return v.who.Officer.String()
}

// clientAddress is the peer's, or what a trusted proxy says of it.
func (s *Server) clientAddress(r *http.Request) netip.Addr {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	peer, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Addr{}
	}
	peer = peer.Unmap()
	for _, p := range s.options.TrustedProxies {
		if !p.Contains(peer) {
			continue
		}
		hops := strings.Split(r.Header.Get("X-Forwarded-For"), ",")
		if a, err := netip.ParseAddr(strings.TrimSpace(hops[len(hops)-1])); err == nil {
			return a.Unmap()
		}
	}
	return peer
}

// note tells the visit which route was taken; gin knows it first.
func (s *Server) note(c *gin.Context) {
	if p := c.FullPath(); p != "" {
		visitOf(c.Request.Context()).route = p
	}
}

// Metadata of an operation.
const (
	open     = "open"      // needs no sign-in
	mustOpen = "must-open" // works while the password must be changed
)

// authenticate finds out who asks, for every operation that is not open.
func (s *Server) authenticate(ctx huma.Context, next func(huma.Context)) {
	op := ctx.Operation()
	if op.Metadata[open] != nil {
		next(ctx)
		return
	}
	v := visitOf(ctx.Context())
	who, err := s.identify(ctx)
	if err != nil {
		s.fail(ctx, err)
		return
	}
	v.who = who
	if !s.limits.credential(who.Credential()) {
		s.fail(ctx, errTooMany)
		return
	}
	if who.Must && op.Metadata[mustOpen] == nil {
		s.fail(ctx, auth.ErrMustChange)
		return
	}
	next(ctx)
}

func (s *Server) identify(ctx huma.Context) (auth.Identity, error) {
	return s.identifyRequest(humagin.Unwrap(ctx).Request)
}

func (s *Server) identifyRequest(r *http.Request) (auth.Identity, error) {
	if h := r.Header.Get("Authorization"); h != "" {
		scheme, token, _ := strings.Cut(h, " ")
		if !strings.EqualFold(scheme, "Bearer") {
			return auth.Identity{}, auth.ErrSignIn
		}
		return s.auth.ByToken(r.Context(), strings.TrimSpace(token))
	}
	c, err := r.Cookie(s.cookieName())
	if err != nil {
		return auth.Identity{}, auth.ErrSignIn
	}
	return s.auth.BySession(r.Context(), c.Value)
}

// cookieName is bound to the host by its prefix, which browsers accept over TLS only.
func (s *Server) cookieName() string {
	if s.options.Plain {
		return "yidang"
	}
	return "__Host-yidang"
}

func (s *Server) cookie(token string, expires time.Time) *http.Cookie {
	c := &http.Cookie{Name: s.cookieName(), Value: token, Path: "/", HttpOnly: true, Secure: !s.options.Plain, SameSite: http.SameSiteStrictMode}
	if token == "" {
		c.MaxAge = -1
	} else {
		c.MaxAge = max(1, int(expires.Sub(s.options.Now()).Seconds()))
	}
	return c
}
