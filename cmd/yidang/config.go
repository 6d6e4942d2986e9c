package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"

	"yidang/domain/attachments"
	"yidang/domain/journal"
	"yidang/domain/notary/keyfile"
	"yidang/projections/analytics"
)

// Config is everything that can be configured. A file in TOML gives it (yidang.toml beside the program's working
// directory, or --config), and each key has an environment variable, which wins: journal.connection is
// YIDANG_JOURNAL_CONNECTION. An unknown key or variable is an error with a suggestion. Secrets are given by the path of a
// file, or inside a connection string.
type Config struct {
	Data        string            `toml:"data" doc:"folder of everything that is kept; domain/ in it is the record, projections/ can be rebuilt"`
	Listen      string            `toml:"listen" doc:"address of the API and pages; without TLS only a loopback address is accepted"`
	TLS         TLSConfig         `toml:"tls"`
	Proxy       ProxyConfig       `toml:"proxy"`
	Journal     JournalConfig     `toml:"journal"`
	Vault       VaultConfig       `toml:"vault"`
	Notary      NotaryConfig      `toml:"notary"`
	Attachments AttachmentsConfig `toml:"attachments"`
	Dossier     DossierConfig     `toml:"dossier"`
	Analytics   AnalyticsConfig   `toml:"analytics"`
	Limits      LimitsConfig      `toml:"limits"`
	Log         LogConfig         `toml:"log"`
}

// TLSConfig names a certificate.
type TLSConfig struct {
	Certificate string `toml:"certificate" doc:"PEM file; with key, it is served over TLS"`
	Key         string `toml:"key" doc:"PEM file, mode 0600"`
}

// ProxyConfig says what stands in front.
type ProxyConfig struct {
	TLS         bool   `toml:"tls" doc:"a proxy on this machine ends TLS: cookies are for HTTPS only"`
	Trusted     string `toml:"trusted" doc:"networks, such as 10.1.0.0/16, comma-separated, whose X-Forwarded-For names the caller"`
	MetricsFrom string `toml:"metrics_from" doc:"networks that may read /metrics beside loopback"`
}

// JournalConfig says where events are kept.
type JournalConfig struct {
	Connection string    `toml:"connection" doc:"esdb:// connection string of an EventStoreDB node or cluster; empty: the embedded server"`
	Listen     string    `toml:"listen" doc:"also serve the embedded journal to EventStoreDB clients at this address, such as 127.0.0.1:2113"`
	TLS        TLSConfig `toml:"tls"`
	Users      string    `toml:"users" doc:"file of the users that may attach: lines of name, rights (read or write) and bcrypt or argon2id hash"`
	Insecure   bool      `toml:"insecure" doc:"serve at a loopback address without TLS, accepting any credentials"`
}

// VaultConfig says where the key that wraps all keys is.
type VaultConfig struct {
	KeyFile string `toml:"key_file" doc:"key-encryption key, mode 0600; made when missing. Keep a copy apart from the data: without it every file is unreadable"`
}

// NotaryConfig says how the log of proofs is signed and who witnesses it.
type NotaryConfig struct {
	Origin  string `toml:"origin" doc:"name of the log for ever, such as yidang.example/示范镇 in ASCII; empty: made from the vault. Choose it before the first start"`
	KeyFile string `toml:"key_file" doc:"Ed25519 signing key, mode 0600; made when missing. Whoever has it can sign as this log"`
	Keys    string `toml:"keys" doc:"further verifier keys whose checkpoints count, comma-separated: of other servers on the same journal, and earlier ones"`
	Policy  string `toml:"policy" doc:"file in the form of C2SP tlog-policy: the witnesses to ask and the quorum that a published checkpoint needs; empty: none"`
}

// AttachmentsConfig says where sealed blobs are kept.
type AttachmentsConfig struct {
	URL string `toml:"url" doc:"file:///path or s3://bucket?region=…; empty: in data"`
}

// DossierConfig says how dossiers are printed.
type DossierConfig struct {
	Font string `toml:"font" doc:"TrueType font with Chinese characters, for the PDF; empty: where make fonts put it. Without one a dossier has no PDF"`
}

// AnalyticsConfig says which ClickHouse answers reports.
type AnalyticsConfig struct {
	Connection string `toml:"connection" doc:"clickhouse:// or https:// connection string of a server or cluster; empty: the embedded engine"`
	Library    string `toml:"library" doc:"path of libchdb.so for the embedded engine; empty: CHDB_LIB_PATH, then where make engine put it"`
	Off        bool   `toml:"off" doc:"no reports at all"`
}

// LimitsConfig bounds what one caller can ask.
type LimitsConfig struct {
	RequestBytes int64    `toml:"request_bytes" doc:"largest request body, uploads aside"`
	UploadBytes  int64    `toml:"upload_bytes" doc:"largest attachment or roster"`
	PerSession   int64    `toml:"per_session" doc:"requests per second of one session or token"`
	PerAddress   int64    `toml:"per_address" doc:"requests per second from one network address"`
	SignIns      int64    `toml:"sign_ins" doc:"attempts to sign in per minute from one network address"`
	Timeout      duration `toml:"timeout" doc:"of one request"`
	Files        int64    `toml:"files" doc:"how many files to keep in memory, for commands and for each projection, at about 2 KB; long ones count for more"`
}

// duration is written with its unit, as in 30s: TOML has no type for it, and a bare number would be nanoseconds.
type duration time.Duration

func (d duration) String() string { return time.Duration(d).String() }

// UnmarshalText reads a duration; the TOML decoder calls it for numbers too.
func (d *duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	if err != nil {
		return errors.New("must be a duration such as \"30s\"")
	}
	*d = duration(parsed)
	return nil
}

// LogConfig shapes the log, which goes to standard error.
type LogConfig struct {
	Level string `toml:"level" doc:"debug, info, warn or error"`
	JSON  bool   `toml:"json" doc:"one JSON object a line"`
}

// defaultConfig is what holds without a file.
func defaultConfig() Config {
	return Config{
		Data:   "data",
		Listen: "127.0.0.1:8080",
		Limits: LimitsConfig{
			RequestBytes: 256 << 10, UploadBytes: 64 << 20, PerSession: 50, PerAddress: 200, SignIns: 60, Timeout: duration(time.Minute), Files: 20_000,
		},
		Log: LogConfig{Level: "info"},
	}
}

// loadConfig reads the file (which may be absent unless it was named) and the environment, and validates.
func loadConfig(path string, environ []string) (Config, error) {
	c := defaultConfig()
	named := path != ""
	if !named {
		path = "yidang.toml"
	}
	switch f, err := os.Open(path); {
	case err == nil:
		defer f.Close()
		dec := toml.NewDecoder(f).DisallowUnknownFields()
		if err := dec.Decode(&c); err != nil {
			return c, fmt.Errorf("%s: %w", path, explain(err))
		}
	case named || !errors.Is(err, fs.ErrNotExist):
		return c, fmt.Errorf("configuration: %w", err)
	}
	if err := fromEnvironment(&c, environ); err != nil {
		return c, err
	}
	return c, c.Validate()
}

// explain turns the decoder's errors into ones that name the line, and of an unknown key suggests the right ones.
func explain(err error) error {
	var wrong *toml.DecodeError
	if errors.As(err, &wrong) {
		row, _ := wrong.Position()
		what := strings.TrimPrefix(wrong.Error(), "toml: ")
		if before, _, typed := strings.Cut(what, " into struct field "); typed { // the rest is for programmers
			what = strings.Replace(before, "cannot decode TOML", "must not be a", 1) + "; yidang serve --help says what each key takes"
		}
		return fmt.Errorf("line %d: %s", row, what)
	}
	var missing *toml.StrictMissingError
	if !errors.As(err, &missing) {
		return err
	}
	var out []error
	for i := range missing.Errors {
		row, _ := missing.Errors[i].Position()
		key := strings.Join(missing.Errors[i].Key(), ".")
		out = append(out, fmt.Errorf("line %d: unknown key %q%s", row, key, suggest(key, keys())))
	}
	return errors.Join(out...)
}

// setting is one leaf of Config.
type setting struct {
	key, doc string
	value    reflect.Value
}

func settings(c *Config) []setting {
	var out []setting
	var walk func(prefix string, v reflect.Value)
	walk = func(prefix string, v reflect.Value) {
		for i := range v.NumField() {
			f := v.Type().Field(i)
			key := prefix + f.Tag.Get("toml")
			if f.Type.Kind() == reflect.Struct {
				walk(key+".", v.Field(i))
				continue
			}
			out = append(out, setting{key, f.Tag.Get("doc"), v.Field(i)})
		}
	}
	walk("", reflect.ValueOf(c).Elem())
	return out
}

func keys() []string {
	var out []string
	for _, s := range settings(&Config{}) {
		out = append(out, s.key)
	}
	return out
}

func variable(key string) string {
	return "YIDANG_" + strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
}

// fromEnvironment overrides keys by their variables. Variables of tests and of the command line are left alone.
func fromEnvironment(c *Config, environ []string) error {
	byVariable := map[string]reflect.Value{}
	var names []string
	for _, s := range settings(c) {
		byVariable[variable(s.key)] = s.value
		names = append(names, variable(s.key))
	}
	var bad []error
	for _, kv := range environ {
		name, value, _ := strings.Cut(kv, "=")
		if !strings.HasPrefix(name, "YIDANG_") || name == "YIDANG_CONFIG" || strings.HasPrefix(name, "YIDANG_TEST_") || strings.HasPrefix(name, "YIDANG_BENCH_") {
			continue
		}
		v, ok := byVariable[name]
		if !ok {
			bad = append(bad, fmt.Errorf("environment: unknown variable %s%s", name, suggest(name, names)))
			continue
		}
		if err := set(v, value); err != nil {
			bad = append(bad, fmt.Errorf("environment: %s: %w", name, err))
		}
	}
	return errors.Join(bad...)
}

func set(v reflect.Value, s string) error {
	switch v.Interface().(type) {
	case string:
		v.SetString(s)
	case bool:
		b, err := strconv.ParseBool(s)
		if err != nil {
			return errors.New("must be true or false")
		}
		v.SetBool(b)
	case duration:
		return v.Addr().Interface().(*duration).UnmarshalText([]byte(s))
	default:
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return errors.New("must be a whole number")
		}
		v.SetInt(n)
	}
	return nil
}

// Validate finds what would only fail later, naming the key and the remedy.
func (c *Config) Validate() error {
	var bad []error
	say := func(key, format string, args ...any) {
		bad = append(bad, fmt.Errorf("%s: %s", key, fmt.Sprintf(format, args...)))
	}
	if c.Data == "" {
		say("data", "is empty; name a folder")
	}
	if (c.TLS.Certificate == "") != (c.TLS.Key == "") {
		say("tls", "certificate and key go together; give both or neither")
	}
	if c.TLS.Certificate == "" && !loopback(c.Listen) {
		say("listen", "%s is not a loopback address; give tls.certificate and tls.key, or listen on 127.0.0.1 behind a proxy", c.Listen)
	}
	c.validateTargets(say)
	for key, list := range map[string]string{"proxy.trusted": c.Proxy.Trusted, "proxy.metrics_from": c.Proxy.MetricsFrom} {
		if _, err := networks(list); err != nil {
			say(key, "%v; write networks as 10.1.0.0/16", err)
		}
	}
	j := c.Journal
	if j.Connection != "" && j.Listen != "" {
		say("journal.listen", "serves the embedded journal, but journal.connection names another; drop one")
	}
	if j.Listen != "" && j.Insecure && !loopback(j.Listen) {
		say("journal.insecure", "only for a loopback address; %s is not one", j.Listen)
	}
	if j.Listen != "" && !j.Insecure && (j.TLS.Certificate == "" || j.TLS.Key == "" || j.Users == "") {
		say("journal.listen", "needs journal.tls.certificate, journal.tls.key and journal.users, or journal.insecure = true on a loopback address")
	}
	if !slices.Contains([]string{"debug", "info", "warn", "error"}, c.Log.Level) {
		say("log.level", "%q is none of debug, info, warn, error", c.Log.Level)
	}
	for key, n := range map[string]int64{"limits.request_bytes": c.Limits.RequestBytes, "limits.upload_bytes": c.Limits.UploadBytes,
		"limits.per_session": c.Limits.PerSession, "limits.per_address": c.Limits.PerAddress, "limits.sign_ins": c.Limits.SignIns,
		"limits.timeout": int64(c.Limits.Timeout), "limits.files": c.Limits.Files} {
		if n <= 0 {
			say(key, "must be greater than zero")
		}
	}
	slices.SortFunc(bad, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(bad...)
}

// validateTargets finds addresses, connection strings and keys that cannot be what is meant. Nothing is asked of a server.
func (c *Config) validateTargets(say func(key, format string, args ...any)) {
	for key, address := range map[string]string{"listen": c.Listen, "journal.listen": c.Journal.Listen} {
		if key != "journal.listen" || address != "" {
			if err := checkAddress(address); err != nil {
				say(key, "%v", err)
			}
		}
	}
	for _, target := range []struct {
		key, value string
		check      func(string) error
	}{
		{"journal.connection", c.Journal.Connection, journal.CheckConnection},
		{"attachments.url", c.Attachments.URL, attachments.CheckURL},
		{"analytics.connection", c.Analytics.Connection, analytics.CheckConnection},
		{"notary.keys", c.Notary.Keys, func(s string) error { _, err := verifiers(s); return err }},
		{"notary.origin", c.Notary.Origin, keyfile.CheckName},
	} {
		if target.value == "" {
			continue
		}
		if err := target.check(target.value); err != nil {
			say(target.key, "%v", err)
		}
	}
}

func checkAddress(address string) error {
	_, port, err := net.SplitHostPort(address)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return fmt.Errorf("%q is no address; write host:port with a port of 0 to 65535, such as 127.0.0.1:8080", address)
	}
	return nil
}

// checkFiles reads what the configuration names and a server would read at its start: certificates, users, the policy.
func (c *Config) checkFiles() error {
	var bad []error
	for key, t := range map[string]TLSConfig{"tls": c.TLS, "journal.tls": c.Journal.TLS} {
		if t.Certificate != "" && t.Key != "" {
			if _, err := tls.LoadX509KeyPair(t.Certificate, t.Key); err != nil {
				bad = append(bad, fmt.Errorf("%s: %w", key, err))
			}
		}
	}
	if c.Journal.Users != "" {
		_, err := readUsers(c.Journal.Users)
		bad = append(bad, err)
	}
	_, err := readPolicy(c.Notary.Policy)
	return errors.Join(append(bad, err)...)
}

// networks reads a comma-separated list.
func networks(list string) (out []netip.Prefix, err error) {
	for _, s := range strings.Split(list, ",") {
		if s = strings.TrimSpace(s); s == "" {
			continue
		}
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// suggest names the closest of the known words, when one is close.
func suggest(word string, known []string) string {
	best, at := "", len(word)/4+2
	for _, k := range known {
		if d := distance(word, k); d < at {
			best, at = k, d
		}
	}
	if best == "" {
		return "; yidang serve --help lists the keys"
	}
	return fmt.Sprintf("; did you mean %q?", best)
}

// distance is Levenshtein's.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}

// Paths of what is kept.
func (c *Config) domainDir() string      { return filepath.Join(c.Data, "domain") }
func (c *Config) projectionsDir() string { return filepath.Join(c.Data, "projections") }

func (c *Config) keyFile() string {
	if c.Vault.KeyFile != "" {
		return c.Vault.KeyFile
	}
	return filepath.Join(c.domainDir(), "key")
}

// configHelp describes every key, for --help and the README.
func configHelp() string {
	c := defaultConfig()
	var b strings.Builder
	for _, s := range settings(&c) {
		fmt.Fprintf(&b, "  %-24s %s", s.key, s.doc)
		if v := s.value; !v.IsZero() {
			fmt.Fprintf(&b, " (default %v)", v)
		}
		b.WriteByte('\n')
	}
	return b.String()
}
