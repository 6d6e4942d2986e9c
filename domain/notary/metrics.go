package notary

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics are about the log as a whole: never anything of a person.
type Metrics struct {
	mu       sync.Mutex
	notaries []*Notary

	leaves    prometheus.Counter
	storing   prometheus.Histogram
	signing   prometheus.Histogram
	conflicts prometheus.Counter
	scrubs    prometheus.Gauge
	asked     *prometheus.CounterVec
}

var (
	descSize    = prometheus.NewDesc("yidang_log_leaves", "Leaves of the log, by how far they are: stored, signed, published.", []string{"origin", "stage"}, nil)
	descLag     = prometheus.NewDesc("yidang_log_unsigned_seconds", "How long the oldest leaf without a signed checkpoint has waited.", []string{"origin"}, nil)
	descStopped = prometheus.NewDesc("yidang_log_broken", "1 when signing has stopped because the journal does not extend what was signed.", []string{"origin"}, nil)
	descWitness = prometheus.NewDesc("yidang_log_witness_leaves", "Size of the newest checkpoint that a witness has cosigned.", []string{"origin", "witness"}, nil)
)

// NewMetrics registers the collectors.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		leaves: prometheus.NewCounter(prometheus.CounterOpts{Name: "yidang_log_leaves_stored_total", Help: "Leaves stored since the start."}),
		storing: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "yidang_log_store_seconds", Help: "Time of one write of leaves to the notary's file.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14)}),
		signing: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "yidang_log_sign_seconds", Help: "Time to read again, sign and append a checkpoint.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 14)}),
		conflicts: prometheus.NewCounter(prometheus.CounterOpts{Name: "yidang_log_overtaken_total", Help: "Checkpoints that another server appended first."}),
		scrubs:    prometheus.NewGauge(prometheus.GaugeOpts{Name: "yidang_log_compared_timestamp_seconds", Help: "When the whole journal was last found to be that of the tree."}),
		asked:     prometheus.NewCounterVec(prometheus.CounterOpts{Name: "yidang_log_witness_requests_total", Help: "Requests to witnesses, by outcome."}, []string{"witness", "outcome"}),
	}
	reg.MustRegister(m, m.leaves, m.storing, m.signing, m.conflicts, m.scrubs, m.asked)
	return m
}

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(c chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descSize, descLag, descStopped, descWitness} {
		c <- d
	}
}

// Collect implements prometheus.Collector.
func (m *Metrics) Collect(c chan<- prometheus.Metric) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, n := range m.notaries {
		gauge := func(d *prometheus.Desc, value float64, labels ...string) {
			c <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, append([]string{n.Origin}, labels...)...)
		}
		st := n.Status()
		gauge(descSize, float64(st.Size), "stored")
		gauge(descSize, float64(st.SignedSize), "signed")
		gauge(descSize, float64(st.PublishedSize), "published")
		gauge(descLag, st.Lag.Seconds())
		stopped := 0.0
		if st.Stopped {
			stopped = 1
		}
		gauge(descStopped, stopped)
		for _, w := range st.Witnesses {
			gauge(descWitness, float64(w.Size), w.Name)
		}
	}
}

func (m *Metrics) watch(n *Notary) {
	if m != nil {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.notaries = append(m.notaries, n)
	}
}

func (m *Metrics) forget(n *Notary) {
	if m != nil {
		m.mu.Lock()
		defer m.mu.Unlock()
		for i, other := range m.notaries {
			if other == n {
				m.notaries = append(m.notaries[:i], m.notaries[i+1:]...)
				return
			}
		}
	}
}

func (m *Metrics) stored(leaves int, took time.Duration) {
	if m != nil {
		m.leaves.Add(float64(leaves))
		m.storing.Observe(took.Seconds())
	}
}

func (m *Metrics) signed(took time.Duration) {
	if m != nil {
		m.signing.Observe(took.Seconds())
	}
}

func (m *Metrics) overtaken() {
	if m != nil {
		m.conflicts.Inc()
	}
}

func (m *Metrics) scrubbed() {
	if m != nil {
		m.scrubs.SetToCurrentTime()
	}
}

func (m *Metrics) witnessed(name, outcome string) {
	if m != nil {
		m.asked.WithLabelValues(name, outcome).Inc()
	}
}
