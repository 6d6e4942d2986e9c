package main

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"yidang/domain/record"
	"yidang/projections/views"
)

// gauges are figures that are looked up when Prometheus asks.
type gauges struct {
	r     *records
	stats *statistics
	now   func() time.Time
}

var (
	dutiesDesc = prometheus.NewDesc("yidang_duties", "Open duties by standing: upcoming, due, overdue.", []string{"standing"}, nil)
	engineDesc = prometheus.NewDesc("yidang_engine_healthy", "1 when the ClickHouse engine answers, else 0.", nil, nil)
)

// Describe implements prometheus.Collector.
func (g gauges) Describe(out chan<- *prometheus.Desc) { out <- dutiesDesc; out <- engineDesc }

// Collect implements prometheus.Collector. While the views are being built there are no duties to count.
func (g gauges) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_, _, counts, _, err := g.r.views.Worklist(ctx, views.WorklistQuery{Reach: record.Reach{All: true}, Today: g.now(), Limit: 1})
	if err == nil {
		for _, s := range []string{"upcoming", "due", "overdue"} {
			out <- prometheus.MustNewConstMetric(dutiesDesc, prometheus.GaugeValue, float64(counts[s]), s)
		}
	}
	healthy := 0.0
	if g.stats.store != nil && (g.stats.engine == nil || g.stats.engine.Healthy() == nil) {
		healthy = 1
	}
	out <- prometheus.MustNewConstMetric(engineDesc, prometheus.GaugeValue, healthy)
}
