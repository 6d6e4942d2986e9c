package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
)

// row is one line of the table.
type row struct {
	what, figure, target, baseline, ratio, verdict string
}

// unit says how a number reads.
type unit string

const (
	perSecond unit = "/s"
	millis    unit = " ms"
	mega      unit = " MB"
)

func (u unit) text(n float64) string {
	switch {
	case u == millis && n < 10:
		return fmt.Sprintf("%.2f%s", n, u)
	case u == millis && n < 100:
		return fmt.Sprintf("%.1f%s", n, u)
	}
	s := fmt.Sprintf("%.0f", n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s + string(u)
}

// spec is a target of the issue: the number it is about, the baseline it is read against, and when it is met. figure and
// base are names of numbers; met gets both and is asked only when all of needs are there.
type spec struct {
	what, target  string
	figure        string
	unit          unit
	base, baseIs  string
	needsBaseline bool // the target itself compares with the baseline
	met           func(n, base float64) bool
}

func atLeast(want float64) func(float64, float64) bool {
	return func(n, _ float64) bool { return n >= want }
}

func atMost(want float64) func(float64, float64) bool {
	return func(n, _ float64) bool { return n <= want }
}

func specs(f *figures) []spec {
	list := []spec{
		{"record a visit over HTTP, 64 callers, no error", "≥ 3,000/s and ≥ 0.5 × baseline", "visit.rate", perSecond, "postgres.rate", "bare inserts into PostgreSQL", true,
			func(n, base float64) bool { return n >= 3000 && n >= base/2 && f.Numbers["visit.errors"] == 0 }},
		{"the same, one caller, p50", "≤ 2 × baseline + 1 ms", "visit.one.p50", millis, "visit.fsync.p50", "raw fsync of 4 KiB", true, func(n, base float64) bool { return n <= 2*base+1 }},
		{"read $all through the client", "≥ 60,000/s", "journal.read", perSecond, "sqlite.read", "the same rows out of the file", false, atLeast(60_000)},
		{"rebuild all views", "≥ 30,000/s", "views.rate", perSecond, "journal.read", "read $all", false, atLeast(30_000)},
		{"memory while rebuilding, peak", "flat: ≤ 1.25 × baseline", "views.peak", mega, "views.half", "peak of the first half", true, func(n, base float64) bool { return n <= 1.25*base }},
		{"load ClickHouse from the journal", "≥ 50,000/s", "analytics.rate", perSecond, "journal.read", "read $all", false, atLeast(50_000)},
		{fmt.Sprintf("open a file of %d events, asOf, 16 callers, p99", busyFile), "≤ 25 ms", "file.p99", millis, "healthz.p99", "empty answer, 16 callers, p99", false, atMost(25)},
		{fmt.Sprintf("worklist, 50 of %s open duties, 16 callers, p99", unit("").text(f.Numbers["views.duties"])), "≤ 25 ms", "worklist.p99", millis, "healthz.p99", "empty answer, 16 callers, p99", false,
			func(n, _ float64) bool { return n <= 25 && f.Numbers["views.duties"] >= 95_000 }},
		{"search by pinyin, 16 callers, p99", "≤ 25 ms", "search.p99", millis, "healthz.p99", "empty answer, 16 callers, p99", false, atMost(25)},
	}
	for _, name := range reportNames(f) {
		list = append(list, spec{"report " + strings.TrimSuffix(strings.TrimPrefix(name, "report."), ".p50") + ", p50", "≤ 150 ms", name, millis, "analytics.empty.p50", "empty query of the engine", false, atMost(150)})
	}
	return append(list,
		spec{"verify the log: hashes, tree, order", "≥ 300,000/s", "verify.rate", perSecond, "journal.read", "read $all", false, atLeast(300_000)},
		spec{"from an answer to its proof, slowest of ten", "≤ 1 s", "checkpoint.delay", millis, "fsync.p50", "raw fsync of 4 KiB", false, atMost(1000)},
		spec{"a recorded reading of a case, one caller, p50", "≤ baseline + 2 ms", "read.recorded.p50", millis, "read.own.p50", "one that was recorded before", true, func(n, base float64) bool { return n <= base+2 }},
		spec{"server memory under the load above, engine aside", "≤ 300 MB", "memory", mega, "empty.memory", "the same server without data", false, atMost(300)},
		spec{"ready after a restart", "≤ 3 s", "ready.ms", millis, "empty.ready.ms", "the same server without data", false, atMost(3000)})
}

// reportNames lists the reports that were measured or missed; five are wanted.
func reportNames(f *figures) (names []string) {
	for _, m := range []map[string]bool{keys(f.Numbers), keys(f.Missing)} {
		for name := range m {
			if strings.HasPrefix(name, "report.") && strings.HasSuffix(name, ".p50") {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	if len(names) == 0 {
		names = []string{"report.p50"}
	}
	return names
}

func keys[V any](m map[string]V) map[string]bool {
	out := map[string]bool{}
	for k := range m {
		out[k] = true
	}
	return out
}

func (s spec) row(f *figures) row {
	r := row{what: s.what, target: s.target, figure: "—", baseline: "—", ratio: "—", verdict: "missed"}
	n, measured := f.Numbers[s.figure]
	base, compared := f.Numbers[s.base]
	if compared {
		r.baseline = s.unit.text(base) + " (" + s.baseIs + ")"
	} else if why := f.Missing[s.base]; why != "" {
		r.baseline = s.baseIs + ": " + why
	}
	switch {
	case !measured:
		r.verdict = "not measured"
		if why := f.Missing[s.figure]; why != "" {
			r.verdict += ": " + why
		}
		return r
	case compared && base > 0:
		r.ratio = fmt.Sprintf("%.2f", n/base)
	case s.needsBaseline:
		r.verdict = "not known: no baseline"
	}
	r.figure = s.unit.text(n)
	if (compared || !s.needsBaseline) && !math.IsNaN(n) && s.met(n, base) {
		r.verdict = "met"
	}
	return r
}

// printTable prints every figure of the issue, and below it what helps to read it.
func printTable(out io.Writer, f *figures) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "what\tmeasured\ttarget\tbaseline of this run\tratio\t")
	for _, s := range specs(f) {
		r := s.row(f)
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", r.what, r.figure, r.target, r.baseline, r.ratio, r.verdict)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	n := f.Numbers
	fmt.Fprintf(out, `
%s events were seeded in %.0f s; the targets are for 1,000,000. fsync %.2f ms, one insert and commit of SQLite %.2f ms at p50.
A visit with 64 callers took %.1f ms at p50 and %.1f ms at p99, with one caller %.1f ms at p99, and %.0f µs of the server's processor
time beside %.0f µs of the load's; the first visit to each file, which reads it from the journal, went at %.0f/s. %.1f s after the load every projection showed all of it. Idle after its restart it took %.0f MB.
Server, load and baselines share the same cores. Other programs took %.0f %% of them while the server was idle.
`, unit("").text(n["seed.events"]), n["seed.seconds"], n["fsync.p50"], n["sqlite.p50"], n["visit.many.p50"], n["visit.many.p99"], n["visit.one.p99"],
		n["visit.cpu.us"], n["visit.load.cpu.us"], n["visit.cold.rate"], n["visit.lag.ms"]/1000, n["idle.memory"], n["others.percent"])
	return nil
}
