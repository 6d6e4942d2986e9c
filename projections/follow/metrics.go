package follow

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics shows every follower that was made with it. Labels are names of projections, nothing else.
type Metrics struct {
	mu        sync.Mutex
	followers []*Follower

	events  *prometheus.CounterVec
	seconds *prometheus.HistogramVec
}

var (
	projection   = []string{"projection"}
	positionDesc = prometheus.NewDesc("yidang_projection_position", "Log position that the projection shows.", projection, nil)
	headDesc     = prometheus.NewDesc("yidang_projection_head", "Newest log position that the projection knows of.", projection, nil)
	lagDesc      = prometheus.NewDesc("yidang_projection_lag_seconds", "Age of what the projection shows, zero when it is up to date.", projection, nil)
	caughtUpDesc = prometheus.NewDesc("yidang_projection_caught_up", "1 once the projection has caught up since the start.", projection, nil)
	stoppedDesc  = prometheus.NewDesc("yidang_projection_stopped", "1 when the projection stopped on an error and needs a person.", projection, nil)
	waitingDesc  = prometheus.NewDesc("yidang_projection_waiting", "1 while the projection waits for an engine that is away.", projection, nil)
)

// NewMetrics registers the collectors.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		events: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "yidang_projection_events_total", Help: "Events applied since the start.",
		}, projection),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "yidang_projection_apply_seconds", Help: "Time to store one batch.", Buckets: prometheus.ExponentialBuckets(0.0005, 4, 10),
		}, projection),
	}
	reg.MustRegister(m, m.events, m.seconds)
	return m
}

// Describe and Collect make Metrics a prometheus.Collector: what is read from a Status is read when it is scraped.
func (m *Metrics) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{positionDesc, headDesc, lagDesc, caughtUpDesc, stoppedDesc, waitingDesc} {
		out <- d
	}
}

// Collect is documented at Describe.
func (m *Metrics) Collect(out chan<- prometheus.Metric) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, f := range m.followers {
		s := f.Status()
		for desc, v := range map[*prometheus.Desc]float64{
			positionDesc: float64(s.Position), headDesc: float64(s.Head), lagDesc: s.Lag.Seconds(),
			caughtUpDesc: one(s.CaughtUp), stoppedDesc: one(s.Stopped), waitingDesc: one(s.Err != nil && !s.Stopped),
		} {
			out <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, v, s.Name)
		}
	}
}

func one(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

// add shows a follower, in the place of an earlier one of the same name: a rebuild follows a run.
func (m *Metrics) add(f *Follower) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, had := range m.followers {
		if had.status.Name == f.status.Name {
			m.followers[i] = f
			return
		}
	}
	m.followers = append(m.followers, f)
}

func (m *Metrics) applied(name string, events int, took time.Duration) {
	if m == nil {
		return
	}
	m.events.WithLabelValues(name).Add(float64(events))
	m.seconds.WithLabelValues(name).Observe(took.Seconds())
}
