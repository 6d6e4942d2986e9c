package api_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"yidang/domain/commands"
	"yidang/domain/staff"
)

// expect checks a status and, for a problem, its kind.
func expect(t *testing.T, what string, a answer, status int, kind string) {
	t.Helper()
	if a.status != status {
		t.Fatalf("%s: got %d, want %d: %s", what, a.status, status, a)
	}
	if kind == "" {
		return
	}
	if got := a.text("type"); got != "/problems/"+kind {
		t.Errorf("%s: type is %q, want %q", what, got, kind)
	}
	if ct := a.header.Get("Content-Type"); ct != "application/problem+json" {
		t.Errorf("%s: content type is %q", what, ct)
	}
	if a.text("title") == "" || a.text("status") != itoa(status) {
		t.Errorf("%s: title or status is missing: %s", what, a)
	}
}

func itoa(n int) string {
	b := []byte{byte('0' + n/100), byte('0' + n/10%10), byte('0' + n%10)}
	return string(b)
}

// Ensure that a session opens the service, that signing out closes it at once, and that the cookie is out of reach of
// scripts and other sites.
func TestSession(t *testing.T) {
	w := newTown(t, nil).build()
	c := w.anonymous()
	expect(t, "without a session", c.get("/v1/me"), 401, "unauthenticated")
	a := c.post("/v1/session", map[string]string{"login": " Cadre ", "password": password})
	expect(t, "sign-in", a, 200, "")
	set := a.header.Get("Set-Cookie")
	for _, part := range []string{"HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=4"} {
		if !strings.Contains(set, part) {
			t.Errorf("cookie %q lacks %s", set, part)
		}
	}
	if a.text("posts.0.role") != "village-cadre" || a.text("session.id") == "" || strings.Contains(string(a.raw), "argon2") {
		t.Errorf("sign-in answered %s", a)
	}
	expect(t, "with a session", c.get("/v1/me"), 200, "")
	kept := *c.cookie
	expect(t, "sign-out", c.call(http.MethodDelete, "/v1/session", nil), 204, "")
	c.cookie = &kept
	expect(t, "a session that was ended", c.get("/v1/me"), 401, "unauthenticated")
	c = w.signIn("cadre")
	w.clock.move(12*time.Hour + time.Second)
	expect(t, "a session that is over", c.get("/v1/me"), 401, "unauthenticated")
	c = w.signIn("cadre")
	w.do(commands.System, "officer", "officer.disable", w.officers["cadre"], staff.Disable{Closed: true, Reason: "调离"})
	expect(t, "a closed account", c.get("/v1/me"), 401, "unauthenticated")
	expect(t, "sign-in to a closed account", w.anonymous().post("/v1/session", map[string]string{"login": "cadre", "password": password}), 403, "forbidden")
}

// Ensure that a session survives a restart and another server of the installation, and that an altered one does not count.
func TestSessionSeal(t *testing.T) {
	w := newTown(t, nil).build()
	c := w.signIn("cadre")
	w.restart()
	expect(t, "after a restart", c.get("/v1/me"), 200, "")
	good := c.cookie.Value
	for _, bad := range []string{"", "x", good[1:], good[:len(good)-1], good + "A", strings.ToUpper(good), strings.Repeat("A", 300)} {
		c.cookie.Value = bad
		expect(t, "altered", c.get("/v1/me"), 401, "unauthenticated")
	}
}

// Ensure that five wrong passwords lock the account, whoever it belongs to, that the right one does not open it then, and
// that the lock ends.
func TestLockOut(t *testing.T) {
	w := newTown(t, nil).build()
	for _, login := range []string{"cadre", "nobody.here"} {
		for range staff.MaxFailures {
			expect(t, login+" wrong", w.anonymous().post("/v1/session", map[string]string{"login": login, "password": "wrong"}), 401, "unauthenticated")
		}
		a := w.anonymous().post("/v1/session", map[string]string{"login": login, "password": password})
		expect(t, login+" locked", a, 429, "too-many-requests")
		if a.header.Get("Retry-After") != "900" {
			t.Errorf("Retry-After is %q", a.header.Get("Retry-After"))
		}
	}
	w.restart() // the lock is in the record
	expect(t, "locked after a restart", w.anonymous().post("/v1/session", map[string]string{"login": "cadre", "password": password}), 429, "too-many-requests")
	w.clock.move(staff.LockFor)
	expect(t, "lock over", w.anonymous().post("/v1/session", map[string]string{"login": "cadre", "password": password}), 200, "")
}

// Ensure that guesses sent at once are counted one by one.
func TestLockOutTogether(t *testing.T) {
	w := newTown(t, nil).build()
	type result struct{ status int }
	results := make(chan result, 12)
	for range cap(results) {
		go func() {
			a := w.anonymous().post("/v1/session", map[string]string{"login": "cadre", "password": "guess"})
			results <- result{a.status}
		}()
	}
	count := map[int]int{}
	for range cap(results) {
		count[(<-results).status]++
	}
	if count[401] != staff.MaxFailures || count[429] != cap(results)-staff.MaxFailures {
		t.Errorf("answers: %v", count)
	}
}

// Ensure that a password which somebody else set opens nothing but the way to change it, and that a change ends every
// other session.
func TestMustChange(t *testing.T) {
	w := newTown(t, nil).build()
	other := w.signIn("cadre")
	admin := w.signIn("admin")
	a := admin.post("/v1/officers/"+w.officers["cadre"].String()+"/password", nil)
	expect(t, "reset", a, 200, "")
	expect(t, "session of before", other.get("/v1/me"), 401, "unauthenticated")
	first := a.text("password")
	c := w.anonymous()
	a = c.post("/v1/session", map[string]string{"login": "cadre", "password": first})
	expect(t, "first sign-in", a, 200, "")
	if a.text("mustChangePassword") != "true" {
		t.Errorf("answered %s", a)
	}
	expect(t, "anything else", c.post("/v1/person/register", nil), 403, "password-change-required")
	for _, weak := range []string{"short", "1234567890", "cadre-cadre1", "aaaaaaaaaaaaaaaa"} {
		a := c.send(http.MethodPut, "/v1/me/password", map[string]string{"current": first, "new": weak})
		expect(t, "weak password", a, 422, "invalid")
		if a.text("field") != "new" || a.text("remedy") == "" {
			t.Errorf("answered %s", a)
		}
	}
	expect(t, "wrong old one", c.send(http.MethodPut, "/v1/me/password", map[string]string{"current": "wrong", "new": password}), 422, "invalid")
	expect(t, "change", c.send(http.MethodPut, "/v1/me/password", map[string]string{"current": first, "new": password}), 200, "")
	expect(t, "the same browser goes on", c.get("/v1/me"), 200, "")
	expect(t, "reset by others", c.post("/v1/officers/"+w.officers["admin"].String()+"/password", nil), 403, "forbidden")
	expect(t, "own reset", admin.post("/v1/officers/"+w.officers["admin"].String()+"/password", nil), 409, "refused")
}

// Ensure that a personal token works as long as it is valid, cannot make more of itself, and is shown once.
func TestTokens(t *testing.T) {
	w := newTown(t, nil).build()
	c := w.signIn("cadre")
	a := c.post("/v1/me/tokens", map[string]any{"name": "平板", "days": 30})
	expect(t, "issue", a, 201, "")
	program := &client{w: w, bearer: a.text("token")}
	expect(t, "use", program.get("/v1/me"), 200, "")
	expect(t, "make another", program.post("/v1/me/tokens", map[string]any{"name": "再一个", "days": 30}), 403, "forbidden")
	expect(t, "change the password", program.send(http.MethodPut, "/v1/me/password", map[string]string{"current": password, "new": password}), 403, "forbidden")
	if me := c.get("/v1/me"); strings.Contains(string(me.raw), "yd_") || me.text("tokens.0.name") != "平板" {
		t.Errorf("tokens are shown as %s", me)
	}
	for _, bad := range []string{"yd_", "yd_x", program.bearer + "A", program.bearer[:len(program.bearer)-1], "yd_" + strings.Repeat("A", 91)} {
		expect(t, "altered token", (&client{w: w, bearer: bad}).get("/v1/me"), 401, "unauthenticated")
	}
	expect(t, "revoke", c.post("/v1/officer/"+w.officers["cadre"].String()+"/revoke-token", map[string]any{"token": uuid.MustParse(a.text("id"))}), 200, "")
	expect(t, "revoked", program.get("/v1/me"), 401, "unauthenticated")
	a = c.post("/v1/me/tokens", map[string]any{"name": "短", "days": 1})
	w.clock.move(25 * time.Hour)
	expect(t, "over", (&client{w: w, bearer: a.text("token")}).get("/v1/me"), 401, "unauthenticated")
}

// Ensure that no token outlives the password it was made under, whoever sets the next one, or the account (PIPL 51).
func TestTokensEndWithThePassword(t *testing.T) {
	w := newTown(t, nil).build()
	admin := w.signIn("admin")
	const next = "Test-Passw0rd-近水"
	for _, c := range []struct {
		name string
		end  func(own *client) answer
	}{
		{"changed", func(own *client) answer {
			return own.send(http.MethodPut, "/v1/me/password", map[string]string{"current": password, "new": next})
		}},
		{"reset", func(*client) answer {
			return admin.post("/v1/officers/"+w.officers["cadre"].String()+"/password", nil)
		}},
		{"closed and opened", func(*client) answer {
			admin.post("/v1/officer/"+w.officers["cadre"].String()+"/disable", staff.Disable{Closed: true, Reason: "丢失手机"})
			return admin.post("/v1/officer/"+w.officers["cadre"].String()+"/disable", staff.Disable{Reason: "已找回"})
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w.do(w.officers["cadre"], "officer", "officer.set_password", w.officers["cadre"], staff.SetPassword{Hash: passwordHash()})
			own := w.signIn("cadre")
			a := own.post("/v1/me/tokens", map[string]any{"name": "平板", "days": 30})
			expect(t, "issue", a, 201, "")
			program := &client{w: w, bearer: a.text("token")}
			expect(t, "before", program.get("/v1/me"), 200, "")
			expect(t, "end", c.end(own), 200, "")
			expect(t, "after", program.get("/v1/me"), 401, "unauthenticated")
			w.restart()
			admin = w.signIn("admin")
			expect(t, "after a restart", program.get("/v1/me"), 401, "unauthenticated")
		})
	}
}

// Ensure that another site's page cannot use a session, whichever way its browser says where the request comes from.
func TestCrossOrigin(t *testing.T) {
	w := newTown(t, nil).build()
	c := w.signIn("cadre")
	for _, h := range [][]string{{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "https://evil.example"}, {"Origin", "null"}} {
		expect(t, strings.Join(h, " "), c.post("/v1/person/register", nil, h...), 403, "cross-origin")
		expect(t, "sign-in from "+h[1], w.anonymous().post("/v1/session", map[string]string{"login": "cadre", "password": password}, h...), 403, "cross-origin")
	}
	expect(t, "same origin", c.post("/v1/me/tokens", map[string]any{"name": "x", "days": 1}, "Sec-Fetch-Site", "same-origin"), 201, "")
	expect(t, "own origin", c.post("/v1/me/tokens", map[string]any{"name": "y", "days": 1}, "Origin", w.http.URL), 201, "")
}
