package api_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"yidang/api"
	"yidang/domain/units"
	"yidang/projections/reports"
)

// faulty are views in which one read goes wrong.
type faulty struct {
	api.Views
	units func() error
}

func (f faulty) Units(context.Context) ([]units.Unit, uint64, error) { return nil, 0, f.units() }

// Ensure that a defect is answered with a reference that the log has, and with nothing of the error itself; that a panic is
// one; and that the service goes on.
func TestDefect(t *testing.T) {
	const secret = "open /data/王测试: 999999198503122216"
	for what, fault := range map[string]func() error{"error": func() error { return errors.New(secret) }, "panic": func() error { panic(secret) }} {
		w := newTown(t, func(o *apiOptions) { o.Views = faulty{o.Views, fault} }).build()
		c := w.signIn("cadre")
		a := c.get("/v1/units", "Accept-Language", "zh")
		expect(t, what, a, 500, "internal")
		reference := a.text("reference")
		if reference == "" || reference != a.header.Get("X-Request-Id") || a.text("title") != "内部错误" || strings.Contains(string(a.raw), "data") {
			t.Errorf("%s: %s", what, a)
		}
		if logged := w.log.String(); !strings.Contains(logged, `"reference":"`+reference+`"`) || !strings.Contains(logged, "open /data") {
			t.Errorf("%s: the log does not have it", what)
		}
		expect(t, "afterwards", c.get("/v1/me"), 200, "")
		if m := string(c.get("/metrics").raw); !strings.Contains(m, `yidang_http_seconds_count{method="GET",route="/v1/units",status="500"} 1`) {
			t.Errorf("%s: metrics do not count it", what)
		}
	}
}

// Ensure that who asks too often is told to wait: by address, by session, and much sooner at the sign-in.
func TestRateLimits(t *testing.T) {
	w := newTown(t, func(o *apiOptions) { o.Limits.SignIns, o.Limits.PerSession, o.Limits.Burst = 0.01, 0.5, 10 }).build()
	c := w.signIn("cadre") // uses the one attempt up
	a := w.anonymous().post("/v1/session", map[string]string{"login": "cadre", "password": password})
	expect(t, "second sign-in", a, 429, "too-many-requests")
	if a.header.Get("Retry-After") == "" {
		t.Error("it does not say how long to wait")
	}
	last := 0
	for range 8 {
		last = c.get("/v1/me").status
	}
	if last != 429 {
		t.Errorf("the eighth request of a session that may send five: %d", last)
	}
	w = newTown(t, func(o *apiOptions) { o.Limits.PerAddress, o.Limits.Burst = 0.5, 10 })
	for range 8 {
		last = w.anonymous().get("/healthz").status
	}
	if last != 429 {
		t.Errorf("the eighth request of an address that may send five: %d", last)
	}
}

// Ensure that only a proxy that is trusted may say who its caller is, and that metrics are not for callers from outside.
func TestAddresses(t *testing.T) {
	w := newTown(t, nil)
	expect(t, "loopback", w.anonymous().get("/metrics", "X-Forwarded-For", "203.0.113.9"), 200, "")
	w = newTown(t, func(o *apiOptions) { o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} })
	expect(t, "from outside", w.anonymous().get("/metrics", "X-Forwarded-For", "10.0.0.1, 203.0.113.9"), 404, "not-found")
	w = newTown(t, func(o *apiOptions) {
		o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
		o.MetricsFrom = []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}
	})
	expect(t, "from the scraper", w.anonymous().get("/metrics", "X-Forwarded-For", "203.0.113.9"), 200, "")
}

// Ensure that over TLS the cookie is bound to the host and to TLS, and that browsers are told to stay with TLS.
func TestSecureCookie(t *testing.T) {
	w := newTown(t, func(o *apiOptions) { o.Plain = false }).build()
	a := w.anonymous().post("/v1/session", map[string]string{"login": "cadre", "password": password})
	expect(t, "sign-in", a, 200, "")
	if set := a.header.Get("Set-Cookie"); !strings.HasPrefix(set, "__Host-yidang=") || !strings.Contains(set, "Secure") || strings.Contains(set, "Domain") {
		t.Errorf("cookie %q", set)
	}
	if a.header.Get("Strict-Transport-Security") == "" {
		t.Error("no Strict-Transport-Security")
	}
}

// Ensure that the service refuses to send passwords in the clear over a network, and that it finishes what it accepted.
func TestServe(t *testing.T) {
	w := newTown(t, nil)
	outside, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	defer outside.Close()
	if err := w.server.Serve(context.Background(), outside, time.Second); err == nil || !strings.Contains(err.Error(), "loopback") {
		t.Errorf("serving on %s: %v", outside.Addr(), err)
	}
	inside, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.server.Serve(ctx, inside, 10*time.Second) }()
	conn, err := net.Dial("tcp", inside.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("POST /v1/session HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{")); err != nil {
		t.Fatal(err)
	}
	res, err := http.Get("http://" + inside.Addr().String() + "/healthz") // by now the first request was accepted
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	stop()
	if _, err := conn.Write([]byte("}")); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 12)
	if _, err := conn.Read(buf); err != nil || string(buf) != "HTTP/1.1 422" {
		t.Errorf("the request under way was answered %q, %v", buf, err)
	}
	if err := <-done; err != nil {
		t.Errorf("Serve: %v", err)
	}
}

// Ensure that a report comes as JSON and as CSV in which officers and villages are named, and that both say the position.
func TestReport(t *testing.T) {
	name := reports.All[0].Name
	w := newTown(t, nil)
	w.build()
	village := w.units["前进村"].String()
	w.change = func(o *apiOptions) {
		o.Reports = func(_ context.Context, n string, p map[string]string, position uint64) (*reports.Result, error) {
			if n != name || p["village"] != village {
				return nil, errors.New("asked for " + n)
			}
			return &reports.Result{Name: n, Title: reports.All[0].Title, Position: max(7, position), Parameters: p, Columns: []reports.Column{{Name: "village", Type: reports.Village}},
				Rows: []reports.Row{{"village": village}}}, nil
		}
	}
	w.restart()
	w.settle()
	c := w.signIn("office")
	a := c.get("/v1/reports/" + name + "?village=" + village)
	expect(t, "JSON", a, 200, "")
	if a.text("position") != "7" || a.header.Get("Yidang-Position") != "7" || a.text("rows.0.village") != village {
		t.Errorf("JSON: %s", a)
	}
	for _, how := range [][]string{{"&format=csv"}, {"", "Accept", "text/csv"}} {
		a = c.get("/v1/reports/"+name+"?position=9&village="+village+how[0], how[1:]...)
		expect(t, "CSV", a, 200, "")
		if !strings.Contains(string(a.raw), "前进村,9") || a.header.Get("Content-Type") != "text/csv; charset=utf-8" {
			t.Errorf("CSV: %s", a)
		}
	}
	expect(t, "twice", c.get("/v1/reports/"+name+"?village=a&village=b"), 422, "invalid")
	expect(t, "position", c.get("/v1/reports/"+name+"?position=-1"), 422, "invalid")
	expect(t, "format", c.get("/v1/reports/"+name+"?format=pdf"), 422, "invalid")
}
