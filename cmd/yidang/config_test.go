package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// Ensure that what is mistyped is found at start, with the key that was meant.
func TestConfigIsStrict(t *testing.T) {
	for _, c := range []struct{ name, file, env, want string }{
		{"unknown key", "listne = \"127.0.0.1:1\"\n", "", `did you mean "listen"`},
		{"unknown key in a table", "[journal]\nconection = \"esdb://x\"\n", "", `did you mean "journal.connection"`},
		{"unknown variable", "", "YIDANG_LISTENN=x", `did you mean "YIDANG_LISTEN"`},
		{"wrong type", "", "YIDANG_LIMITS_TIMEOUT=soon", "must be a duration"},
		{"a duration without its unit", "[limits]\ntimeout = 5\n", "", "line 2: must be a duration"},
		{"a word for a number", "# limits\nlimits.per_session = \"x\"\n", "", "line 2: must not be a string"},
		{"a broken line", "\n[[\n", "", "line 2: "},
		{"open address without TLS", "listen = \"0.0.0.0:8080\"\n", "", "listen: 0.0.0.0:8080 is not a loopback address"},
		{"half a certificate", "[tls]\nkey = \"k\"\n", "", "tls: certificate and key go together"},
		{"journal open to all", "[journal]\nlisten = \"0.0.0.0:2113\"\ninsecure = true\n", "", "journal.insecure: only for a loopback address"},
		{"journal without users", "[journal]\nlisten = \"127.0.0.1:2113\"\n", "", "journal.listen: needs"},
		{"two journals", "[journal]\nlisten = \"127.0.0.1:2113\"\ninsecure = true\nconnection = \"esdb://x\"\n", "", "drop one"},
		{"a port that is none", "listen = \"127.0.0.1:99999\"\n", "", "listen: \"127.0.0.1:99999\" is no address"},
		{"another journal's protocol", "journal.connection = \"http://127.0.0.1:2113\"\n", "", "journal.connection: journal: the connection string is not one of EventStoreDB"},
		{"another store", "attachments.url = \"ftp://files\"\n", "", "attachments.url: the URL begins with \"ftp\""},
		{"no bucket", "attachments.url = \"s3://?region=x\"\n", "", "attachments.url: an S3 URL is"},
		{"another analytics", "analytics.connection = \"esdb://x\"\n", "", "analytics.connection: analytics: the connection string is not one of ClickHouse"},
		{"a key that is none", "notary.keys = \"yidang.local/x\"\n", "", "notary.keys: verifier key \"yidang.local/x\""},
		{"an origin that cannot be signed", "notary.origin = \"a b\"\n", "", "notary.origin: \"a b\" cannot name a key"},
		{"a variable like none", "", "YIDANG_NOPE=x", "yidang serve --help lists the keys"},
		{"no limit", "[limits]\nrequest_bytes = 0\n", "", "limits.request_bytes: must be greater than zero"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "yidang.toml")
			if err := os.WriteFile(path, []byte(c.file), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := loadConfig(path, []string{c.env})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
		})
	}
}

// Ensure that --check-config reads what a server would read at its start.
func TestCheckConfigReadsFiles(t *testing.T) {
	w := newTown(t)
	dir := t.TempDir()
	wrong := filepath.Join(dir, "wrong")
	if err := os.WriteFile(wrong, []byte("of no kind\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	clean := w.environ
	for _, c := range []struct{ says, env, flag string }{
		{"tls: ", "YIDANG_TLS_CERTIFICATE=" + wrong + " YIDANG_TLS_KEY=" + wrong, ""},
		{"journal.users", "YIDANG_JOURNAL_USERS=" + filepath.Join(dir, "missing"), ""},
		{"notary.policy", "YIDANG_NOTARY_POLICY=" + wrong, ""},
		{"--profile 0.0.0.0:6060", "", "--profile=0.0.0.0:6060"},
		{"--profile 127.0.0.1:70000", "", "--profile=127.0.0.1:70000"},
	} {
		w.environ = append(slices.Clip(clean), strings.Fields(c.env)...)
		args := []string{"serve", "--check-config"}
		if c.flag != "" {
			args = append(args, c.flag)
		}
		w.refuses(c.says, args...)
	}
	w.environ = clean
	if out := w.run("serve", "--check-config", "--profile=127.0.0.1:6060"); !strings.Contains(out, "is good") {
		t.Error(out)
	}
}

// Ensure that the environment wins over the file and the file over the defaults.
func TestConfigOrder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "yidang.toml")
	if err := os.WriteFile(path, []byte("listen = \"127.0.0.1:1\"\ndata = \"from-file\"\nlimits.timeout = \"90s\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := loadConfig(path, []string{"YIDANG_LISTEN=127.0.0.1:2", "HOME=/"})
	if err != nil {
		t.Fatal(err)
	}
	if c.Listen != "127.0.0.1:2" || c.Data != "from-file" || c.Limits.Timeout != duration(90*time.Second) || c.Limits.Files != defaultConfig().Limits.Files {
		t.Errorf("got %+v", c)
	}
	if _, err := loadConfig(filepath.Join(t.TempDir(), "missing.toml"), nil); err == nil {
		t.Error("a named file that is missing was accepted")
	}
}

// Ensure that every key is documented and has a variable of its own.
func TestConfigIsDocumented(t *testing.T) {
	seen := map[string]string{}
	for _, s := range settings(&Config{}) {
		if s.doc == "" {
			t.Errorf("%s has no doc", s.key)
		}
		if other, twice := seen[variable(s.key)]; twice {
			t.Errorf("%s and %s share a variable", s.key, other)
		}
		seen[variable(s.key)] = s.key
	}
}
