package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humagin"
	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"

	"yidang/api/auth"
	"yidang/domain/catalog"
	"yidang/domain/commands"
)

// Options are everything that a server needs; it finds nothing by itself.
type Options struct {
	Executor *commands.Executor
	Catalog  *catalog.Catalog
	Views    Views
	Follower Follower // of the views
	Log      *slog.Logger
	Registry *prometheus.Registry // what /metrics shows; the server adds its own
	Build    Build
	Now      func() time.Time // the executor's clock

	SessionKey []byte // 32 bytes that seal sessions; the same on every server of an installation
	Hasher     *auth.Hasher
	Limits     Limits
	// Plain serves without TLS, with a cookie that browsers accept then. Serve refuses it on anything but loopback.
	Plain bool
	// TrustedProxies may say in X-Forwarded-For who their caller is.
	TrustedProxies []netip.Prefix
	// MetricsFrom may read /metrics beside loopback.
	MetricsFrom []netip.Prefix
	Reports     RunReport   // nil while there is no engine: reports then answer 503 and say what to do
	Attachments Attachments // nil: uploads answer 503
	Importer    Importer    // nil: imports answer 503
	Notary      Log         // nil: proofs answer 503
	Dossier     Dossier     // nil: dossiers answer 503
	Oversight   Oversight   // nil: inspectors' questions answer 503
	Watcher     Follower    // of Oversight

	// Ready asks each part whether it is ready, for /readyz.
	Ready []Part
}

// Build says which program this is.
type Build struct {
	Version  string `json:"version"`
	Revision string `json:"revision"`
	Go       string `json:"go"`
}

// Server answers HTTP. It is safe for concurrent use.
type Server struct {
	options Options
	engine  *gin.Engine
	api     huma.API
	auth    *auth.Service
	limits  *limits
	metrics *metrics
	origin  *http.CrossOriginProtection
	docs    docs
	states  stateShapes
	jobs    *jobs
	uploads chan struct{}
}

// New makes a server and its API document. Nothing runs until it is asked.
func New(o Options) (*Server, error) {
	if o.Executor == nil || o.Catalog == nil || o.Views == nil || o.Follower == nil || o.Registry == nil {
		return nil, errors.New("api: an executor, a catalog, views with their follower and a registry are required")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	o.Limits = o.Limits.withDefaults()
	s := &Server{options: o, origin: http.NewCrossOriginProtection(), metrics: newMetrics(o.Registry, o.Build), jobs: newJobs(), uploads: make(chan struct{}, uploads)}
	var err error
	if s.auth, err = auth.New(auth.Options{Staff: o.Executor, Key: o.SessionKey, Now: o.Now, Hasher: o.Hasher}); err != nil {
		return nil, err
	}
	if s.limits, err = newLimits(o.Limits); err != nil {
		return nil, err
	}
	s.newEngine()
	s.api = humagin.New(s.engine, s.document())
	s.api.UseMiddleware(s.authenticate)
	if err := s.routes(); err != nil {
		return nil, fmt.Errorf("api: %w", err)
	}
	return s, nil
}

// newEngine makes gin answer only what it must: no logger, no recovery of its own, no redirects that would repeat a POST.
func (s *Server) newEngine() {
	gin.SetMode(gin.ReleaseMode)
	e := gin.New()
	e.RedirectTrailingSlash, e.RedirectFixedPath, e.HandleMethodNotAllowed = false, false, true
	e.ForwardedByClientIP = false
	e.UseRawPath = true // an encoded slash is part of a value, not of the address
	e.Use(s.note)
	e.NoRoute(func(c *gin.Context) { s.failHTTP(c.Writer, c.Request, errNoRoute) })
	e.NoMethod(func(c *gin.Context) { s.failHTTP(c.Writer, c.Request, errMethod) })
	s.engine = e
}

func (s *Server) routes() error {
	if err := s.commandRoutes(); err != nil {
		return err
	}
	s.meRoutes()
	s.peopleRoutes()
	s.differenceRoutes()
	s.inspectRoutes()
	s.dossierRoutes()
	s.proposalRoutes()
	s.caseRoutes()
	s.worklistRoutes()
	s.staffingRoutes()
	s.policyRoutes()
	s.handOverRoutes()
	s.reportRoutes()
	s.attachmentRoutes()
	s.importRoutes()
	s.logRoutes()
	s.healthRoutes()
	s.finishDocument()
	return s.docsRoutes()
}

// HTTP is the http.Server for this handler, with its timeouts set.
func (s *Server) HTTP() *http.Server {
	l := s.options.Limits
	return &http.Server{
		Handler: s, ReadHeaderTimeout: l.ReadHeader, ReadTimeout: l.Read, WriteTimeout: l.Write, IdleTimeout: l.Idle, MaxHeaderBytes: 32 << 10,
		ErrorLog: slog.NewLogLogger(s.options.Log.Handler(), slog.LevelDebug), // handshakes of scanners and the like
	}
}

// Serve answers on a listener until the context ends, then finishes what it accepted, for as long as grace allows.
func (s *Server) Serve(ctx context.Context, l net.Listener, grace time.Duration) error {
	if s.options.Plain {
		if a, ok := l.Addr().(*net.TCPAddr); ok && !a.IP.IsLoopback() {
			return fmt.Errorf("api: %s is not a loopback address: without TLS passwords would cross the network in the clear", a)
		}
	}
	h := s.HTTP()
	done := make(chan error, 1)
	go func() { done <- h.Serve(l) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	err := h.Shutdown(stop)
	if served := <-done; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

// Close ends what runs in the background. Serve does not: a caller may serve on several listeners.
func (s *Server) Close() { s.jobs.close() }

// Auth is the service that proves who somebody is, for the command line and the demo.
func (s *Server) Auth() *auth.Service { return s.auth }
