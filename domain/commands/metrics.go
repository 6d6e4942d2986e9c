package commands

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"yidang/domain/record"
)

// Metrics counts commands. Labels are command names and error kinds: never anything of a person.
type Metrics struct {
	seconds   *prometheus.HistogramVec
	conflicts *prometheus.CounterVec
	appends   prometheus.Histogram
}

// NewMetrics registers the collectors.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "yidang_command_seconds", Help: "Time from request to durable record, by command and outcome.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14),
		}, []string{"command", "outcome"}),
		conflicts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "yidang_command_conflicts_total", Help: "Appends refused because the stream had moved on; each was decided again.",
		}, []string{"command"}),
	}
	m.appends = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "yidang_append_seconds", Help: "Time of one append to the journal, until it is durable.", Buckets: prometheus.ExponentialBuckets(0.0002, 2, 14),
	})
	reg.MustRegister(m.seconds, m.conflicts, m.appends)
	return m
}

func (m *Metrics) observe(command string, began time.Time, err *error) {
	if m == nil {
		return
	}
	outcome := "recorded"
	if *err != nil {
		if outcome = string(record.KindOf(*err)); outcome == "" {
			outcome = "internal"
		}
	}
	m.seconds.WithLabelValues(command, outcome).Observe(time.Since(began).Seconds())
}

func (m *Metrics) conflict(command string) {
	if m != nil {
		m.conflicts.WithLabelValues(command).Inc()
	}
}

func (m *Metrics) appended(began time.Time) {
	if m != nil {
		m.appends.Observe(time.Since(began).Seconds())
	}
}
