package api

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"yidang/domain/record"
	"yidang/projections/views"
)

// Part is one part of the service that may not be ready, such as a projection or an engine.
type Part struct {
	Name  string
	Check func(context.Context) error // nil when ready; its message must hold no personal data
	// Needed parts make the whole service unready; others (the report engine) are only shown.
	Needed bool
}

// metrics of HTTP itself. Labels are methods, route patterns and statuses: never anything of a request.
type metrics struct {
	seconds *prometheus.HistogramVec
	signIns *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer, b Build) *metrics {
	m := &metrics{
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "yidang_http_seconds", Help: "Time to answer a request, by method, route and status.", Buckets: prometheus.ExponentialBuckets(0.0005, 2, 15),
		}, []string{"method", "route", "status"}),
		signIns: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "yidang_sign_ins_total", Help: "Attempts to sign in, by outcome."}, []string{"outcome"}),
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "yidang_build_info", Help: "Always 1; the labels say which program this is.",
		ConstLabels: prometheus.Labels{"version": b.Version, "revision": b.Revision, "go": b.Go},
	})
	build.Set(1)
	reg.MustRegister(m.seconds, m.signIns, build)
	return m
}

// dutyGauge shows how many open duties there are, when it is scraped. The views keep the counts.
type dutyGauge struct{ server *Server }

var dutiesDesc = prometheus.NewDesc("yidang_duties", "Open duties of all cases, by standing today.", []string{"standing"}, nil)

// Describe and Collect make it a prometheus.Collector.
func (g dutyGauge) Describe(out chan<- *prometheus.Desc) { out <- dutiesDesc }

// Collect is documented at Describe. While the views cannot say, nothing is shown: a missing figure is not a zero.
func (g dutyGauge) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	_, _, counts, _, err := g.server.options.Views.Worklist(ctx, views.WorklistQuery{Reach: record.Reach{All: true}, Today: g.server.today(time.Time{}), Limit: 1})
	if err != nil {
		return
	}
	for _, standing := range []string{"upcoming", "due", "overdue"} {
		out <- prometheus.MustNewConstMetric(dutiesDesc, prometheus.GaugeValue, float64(counts[standing]), standing)
	}
}

func (m *metrics) observe(verb, route string, status int, took time.Duration) {
	m.seconds.WithLabelValues(method(verb), route, strconv.Itoa(status)).Observe(took.Seconds())
}

func (m *metrics) signIn(err error) {
	outcome := "signed-in"
	if err != nil {
		if outcome = string(record.KindOf(err)); outcome == "" {
			outcome = "internal"
		}
	}
	m.signIns.WithLabelValues(outcome).Inc()
}

// healthRoutes are for machines beside the service; they need no sign-in and show nothing of a person.
func (s *Server) healthRoutes() {
	s.options.Registry.MustRegister(dutyGauge{s}, emergencyGauge{s})
	s.engine.GET("/healthz", func(c *gin.Context) { writeJSON(c.Writer, http.StatusOK, map[string]string{"status": "alive"}) })
	s.engine.GET("/readyz", s.readyz)
	shown := promhttp.HandlerFor(s.options.Registry, promhttp.HandlerOpts{})
	s.engine.GET("/metrics", func(c *gin.Context) {
		if !s.mayScrape(c.Request) {
			s.failHTTP(c.Writer, c.Request, errNoRoute)
			return
		}
		shown.ServeHTTP(c.Writer, c.Request)
	})
}

func (s *Server) mayScrape(r *http.Request) bool {
	from := visitOf(r.Context()).from
	if from.IsLoopback() {
		return true
	}
	for _, p := range s.options.MetricsFrom {
		if p.Contains(from) {
			return true
		}
	}
	return false
}

// partState is one line of /readyz.
type partState struct {
	Name   string `json:"name"`
	Ready  bool   `json:"ready"`
	Needed bool   `json:"needed"`
	Why    string `json:"why,omitempty"`
}

func (s *Server) readyz(c *gin.Context) {
	ctx, cancel := context.WithTimeout(c.Request.Context(), 2*time.Second)
	defer cancel()
	out := struct {
		Ready bool        `json:"ready"`
		Build Build       `json:"build"`
		Parts []partState `json:"parts"`
	}{Ready: true, Build: s.options.Build, Parts: []partState{}}
	for _, p := range s.options.Ready {
		st := partState{Name: p.Name, Ready: true, Needed: p.Needed}
		if err := p.Check(ctx); err != nil {
			st.Ready, st.Why = false, err.Error()
			out.Ready = out.Ready && !p.Needed
		}
		out.Parts = append(out.Parts, st)
	}
	status := http.StatusOK
	if !out.Ready {
		status = http.StatusServiceUnavailable
	}
	writeJSON(c.Writer, status, out)
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client may be gone
}
