package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/note"

	"yidang/domain/audit"
	"yidang/domain/dossier"
	"yidang/domain/notary"
	"yidang/domain/record"
)

// verifyCmd checks the record, or a dossier that was taken from it.
type verifyCmd struct {
	File    string   `arg:"" optional:"" help:"A dossier (zip); the record of the data folder when left out." type:"existingfile"`
	Key     []string `help:"Verifier key of the log that you trust; of the record its own when left out." placeholder:"KEY"`
	Policy  string   `help:"Policy file (C2SP tlog-policy): which witnesses must have cosigned." type:"existingfile"`
	Known   []string `help:"Checkpoints that others hold, such as a witness; the record must extend each." type:"existingfile" placeholder:"FILE"`
	Only    []string `help:"Make these checks only: log, order, clocks, forms, erasure, attachments, two-person, authority, claims." placeholder:"CHECK"`
	Entries bool     `help:"Of a dossier: list its entries in sentences."`
	Format  string   `help:"How to print what was found: text, or json with one object a line." enum:"text,json" default:"text"`
}

func (verifyCmd) Help() string {
	return `Without a file: reads the whole record of the data folder and prints what is wrong, each with the event's id and a remedy.
Nothing is believed that can be worked out again. The server must not be running. Nothing is changed.

With a file: checks a dossier. That needs the zip, the log's public key and this program: no server, no network, no data
folder. What is trusted comes from you, never from the zip, so the key must be given. 'yidang key' prints it.

The exit status is 0 when everything holds and 1 when anything fails.

Examples:
  yidang verify
  yidang verify --known witness.checkpoint --policy policy.txt
  yidang verify --only log,order --format json
  yidang verify dossier.zip --key yidang.local/0123456789ab+01234567+AQ…`
}

// Run verifies.
func (cmd verifyCmd) Run(p *program) error {
	if cmd.File != "" {
		return cmd.dossier(p)
	}
	return cmd.record(p)
}

// errNoTrust refuses a dossier without a key: whoever made the zip would vouch for himself.
var errNoTrust = &record.Problem{Kind: record.Invalid, Field: "key", Message: "a dossier is checked against a key that you trust, and none was given", Zh: "须提供您所信任的日志公钥",
	Remedy: "--key KEY, as the organisation told you (yidang key prints it there), or --policy FILE with a log line"}

// trust is what the caller brings along: keys, else those that the policy names, else these.
func (cmd verifyCmd) trust(p *program, policyFile string, otherwise func() (string, error)) (*notary.Policy, error) {
	policy, err := readPolicy(policyFile)
	if err != nil {
		return nil, err
	}
	keys, err := verifiers(strings.Join(cmd.Key, ","))
	if err == nil && len(keys) == 0 && policy != nil {
		keys = policy.Logs
	}
	if err == nil && len(keys) == 0 {
		var own string
		if own, err = otherwise(); err == nil {
			keys, err = verifiers(own)
		}
	}
	return policy.WithLogs(keys...), err
}

// record checks the data folder.
func (cmd verifyCmd) record(p *program) (err error) {
	only, err := cmd.checks()
	if err != nil {
		return err
	}
	if err := hasRecord(p.config); err != nil {
		return err
	}
	c, err := openCore(p, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	o := audit.Options{Journal: c.journal, Catalog: c.catalog, Vault: c.vault, Attachments: c.blobs, Only: only, Dir: p.config.domainDir(), Progress: verifyProgress(p)}
	out := &findings{p: p, json: cmd.Format == "json", of: map[audit.Check]int{}}
	if len(only) == 0 || slices.Contains(only, audit.Log) {
		if o.Notary, err = cmd.log(p, c, out); err != nil {
			return err
		}
	}
	sum, err := audit.Verify(p.ctx, o, out.add)
	fmt.Fprintln(p.err)
	if err != nil {
		return err
	}
	if o.Notary != nil && o.Notary.Policy.NeedsWitnesses() && sum.Leaves > 0 && sum.CosignedSize == 0 {
		out.addOwn(audit.Finding{Severity: audit.Failure, Check: audit.Log, What: record.T("没有一个检查点达到策略要求的见证副署", "no checkpoint has the cosignatures that the policy asks for"),
			Remedy: record.T("启动服务，待见证人副署；查看 /readyz", "start the server and let the witnesses cosign; look at /readyz")})
	}
	return out.end(sum)
}

// checks reads --only.
func (cmd verifyCmd) checks() (only []audit.Check, err error) {
	var known []string
	for _, c := range audit.Checks {
		known = append(known, string(c))
	}
	for _, name := range cmd.Only {
		if !slices.Contains(known, name) {
			return nil, &record.Problem{Kind: record.Invalid, Field: "only", Message: fmt.Sprintf("there is no check %q", name), Remedy: "use some of: " + strings.Join(known, ", ")}
		}
		only = append(only, audit.Check(name))
	}
	return only, nil
}

// log says what the log is checked against; nil for a record that was never signed.
func (cmd verifyCmd) log(p *program, c *core, out *findings) (*notary.VerifyOptions, error) {
	policyFile := cmd.Policy
	if policyFile == "" {
		policyFile = p.config.Notary.Policy
	}
	policy, err := cmd.trust(p, policyFile, func() (string, error) {
		key, found, err := ownKey(p.config)
		if !found {
			return "", err
		}
		return key.Verifier() + "," + p.config.Notary.Keys, nil
	})
	if err != nil {
		return nil, err
	}
	o := &notary.VerifyOptions{Policy: policy, Dir: filepath.Join(p.config.domainDir(), "notary")}
	promised := isFile(filepath.Join(o.Dir, "notary.db"))
	_, signed, err := c.journal.Last(p.ctx, notary.Stream)
	switch {
	case err != nil:
		return nil, err
	case len(policy.Logs) == 0 && (signed || promised || len(cmd.Known) > 0):
		return nil, &record.Problem{Kind: record.Invalid, Field: "key", Message: "the log was signed, but " + p.config.notaryKeyFile() + " is not there", Remedy: "--key KEY, as others were told it; and find out where the file went"}
	case len(policy.Logs) == 0:
		fmt.Fprintln(p.err, "nothing was signed yet: the checks of the log are left out (尚无签名检查点，不核验日志)")
		return nil, nil
	}
	for _, k := range policy.Logs {
		out.keys = append(out.keys, fmt.Sprintf("%s+%08x", k.Name(), k.KeyHash()))
	}
	if !promised {
		o.Dir = ""
	}
	if signed && !promised {
		out.addOwn(audit.Finding{Severity: audit.Note, Check: audit.Log, What: record.T("存证目录缺失：能发现改动，但不一定能指出是哪一条", "the notary's folder is missing: what was changed is found, but not always which event"),
			Remedy: record.T("从备份恢复存证目录，并查明其去向", "restore the folder from its backup, and find out where it went")})
	}
	for _, name := range cmd.Known {
		checkpoint, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		if err := ofLog(policy, checkpoint); err != nil {
			return nil, &record.Problem{Kind: record.Invalid, Field: "known", Message: fmt.Sprintf("%s: %v", name, err), Remedy: "give a checkpoint of this log, as a witness publishes it or a dossier has it"}
		}
		o.Known = append(o.Known, checkpoint)
	}
	return o, nil
}

// ofLog refuses what is no checkpoint, or that of another log: a wrong file says nothing of the record. Whether a
// checkpoint of this log is rightly signed is for the verification to find.
func ofLog(policy *notary.Policy, checkpoint []byte) error {
	origin, err := notary.OriginOf(checkpoint)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(policy.Logs, func(k note.Verifier) bool { return k.Name() == origin }) {
		return fmt.Errorf("it is a checkpoint of another log, %q", origin)
	}
	return nil
}

func verifyProgress(p *program) func(audit.Progress) {
	return func(s audit.Progress) {
		of := ""
		if s.Total > 0 {
			of = fmt.Sprintf(" of %d", s.Total)
		}
		fmt.Fprintf(p.err, "\r%s: %d%s events, %d findings, %s   ", s.Stage, s.Done, of, s.Found, s.Elapsed.Round(time.Second))
	}
}

// findings prints what is found, as it is found.
type findings struct {
	p    *program
	json bool
	of   map[audit.Check]int
	own  struct{ failures, notes int } // what the audit does not know of
	keys []string                      // that the log was checked against
	err  error                         // of printing
}

// maxPrinted is how many findings of a check are printed as text: a person reads no more, and all are counted.
const maxPrinted = 200

var severities = map[audit.Severity]string{audit.Failure: "失败 FAILURE", audit.Note: "注意 NOTE"}

// addOwn adds what was found beside the audit.
func (f *findings) addOwn(one audit.Finding) {
	if one.Severity == audit.Failure {
		f.own.failures++
	} else {
		f.own.notes++
	}
	f.add(one)
}

func (f *findings) add(one audit.Finding) {
	if f.json {
		f.line(map[string]any{"finding": one})
		return
	}
	if f.of[one.Check]++; f.of[one.Check] > maxPrinted {
		return
	}
	where := string(one.Check)
	if one.Event != uuid.Nil {
		where += " event " + one.Event.String()
	}
	if one.Stream != "" {
		where += fmt.Sprintf(" %s revision %d %s", one.Stream, one.Revision, one.Type)
	}
	if one.Position > 0 {
		where += fmt.Sprintf(" position %d", one.Position)
	}
	f.print("%s  %s\n  %s\n  %s\n  处置：%s\n  remedy: %s\n", severities[one.Severity], where, one.What.Zh, one.What.En, one.Remedy.Zh, one.Remedy.En)
}

func (f *findings) print(format string, args ...any) {
	if _, err := fmt.Fprintf(f.p.out, format, args...); f.err == nil {
		f.err = err
	}
}

func (f *findings) line(v any) {
	if err := json.NewEncoder(f.p.out).Encode(v); f.err == nil {
		f.err = err
	}
}

// end prints the summary; the result is an error when anything failed.
func (f *findings) end(sum audit.Summary) error {
	sum.Failures, sum.Notes = sum.Failures+f.own.failures, sum.Notes+f.own.notes
	perSecond := func(d time.Duration) int64 { return int64(float64(sum.Events) / max(d.Seconds(), 1e-6)) }
	if f.json {
		f.line(map[string]any{"summary": sum, "eventsPerSecond": perSecond(sum.Elapsed), "keys": f.keys})
	} else {
		for _, c := range audit.Checks {
			if n := f.of[c] - maxPrinted; n > 0 {
				f.print("… %d more of the check %s, which --format json lists (%s 另有 %d 项)\n", n, c, c, n)
			}
		}
		f.print("\n%d events in %d streams, %d failures, %d notes (%d 条记录，%d 个流，%d 项失败，%d 项注意)\n", sum.Events, sum.Streams, sum.Failures, sum.Notes, sum.Events, sum.Streams, sum.Failures, sum.Notes)
		if !slices.Contains(sum.Unchecked, audit.Log) {
			f.print("  log          %d leaves, %d signed by %d checkpoints, %d cosigned\n  root         %s\n  against      %s\n", sum.Leaves, sum.SignedSize, sum.Checkpoints, sum.CosignedSize, sum.Root, strings.Join(f.keys, ", "))
		}
		f.print("  proved       authority of %d, two people of %d, %d claims, %d attachments\n", sum.Authorised, sum.Approvals, sum.Claims, sum.Attachments)
		f.print("  counted      %d readings, %d erased streams, %d small steps of the clock\n", sum.Readings, sum.Erased, sum.ClockSteps)
		f.print("  took         %s, %d events/s; the reading with the log %s, %d events/s\n", sum.Elapsed.Round(time.Millisecond), perSecond(sum.Elapsed), sum.Read.Round(time.Millisecond), perSecond(sum.Read))
		if n := sum.Leaves - sum.SignedSize; n > 0 && !slices.Contains(sum.Unchecked, audit.Log) {
			f.print("  not covered  the newest %d leaves, by any checkpoint that holds (最新 %d 条没有成立的检查点覆盖)\n", n, n)
		}
		if len(sum.Unchecked) > 0 {
			f.print("  not checked  %v\n", sum.Unchecked)
		}
	}
	if f.err == nil && sum.Failures > 0 {
		return &record.Problem{Kind: record.Refused, Message: fmt.Sprintf("the record is not what it should be: %d failures", sum.Failures), Zh: "档案库核验未通过",
			Remedy: "keep the data folder as it is, tell the inspectors, and follow the remedies above"}
	}
	return f.err
}

// tool names this build: the page of a dossier is compared byte for byte only by the build that made it.
func tool() string { return strings.TrimSpace(version + " " + revision()) }

// dossier checks a zip.
func (cmd verifyCmd) dossier(p *program) error {
	if len(cmd.Known) > 0 || len(cmd.Only) > 0 {
		return &record.Problem{Kind: record.Invalid, Message: "--known and --only are for the record, not for a dossier", Remedy: "leave them out"}
	}
	policy, err := cmd.trust(p, cmd.Policy, func() (string, error) { return "", errNoTrust })
	if err != nil {
		return err
	}
	file, err := os.Open(cmd.File)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	report, err := dossier.Verify(file, info.Size(), dossier.Trust{Policy: policy, Version: tool()})
	var forged *dossier.Forged
	if errors.As(err, &forged) {
		return errors.Join(err, cmd.printForged(p, forged))
	}
	if err != nil {
		return err
	}
	return cmd.printReport(p, report)
}

func (cmd verifyCmd) printForged(p *program, forged *dossier.Forged) error {
	if cmd.Format == "json" {
		return json.NewEncoder(p.out).Encode(map[string]any{"true": false, "faults": forged.Faults})
	}
	fmt.Fprintln(p.out, "这不是真实的卷宗 / THIS IS NOT A TRUE DOSSIER")
	for _, one := range forged.Faults {
		where := one.File
		if one.Event != uuid.Nil {
			where = strings.TrimSpace(where + " event " + one.Event.String())
		}
		fmt.Fprintf(p.out, "  %s\n    %s\n    %s\n", where, one.What.Zh, one.What.En)
	}
	_, err := fmt.Fprintln(p.out, "不得采信；请向出具单位重新索取，并报告本结果 / do not rely on it; ask for it again, and report this")
	return err
}

func (cmd verifyCmd) printReport(p *program, r *dossier.Report) error {
	if cmd.Format == "json" {
		entries := r.Timeline
		if !cmd.Entries {
			entries = nil
		}
		return json.NewEncoder(p.out).Encode(struct {
			True              bool              `json:"true"`
			Log               string            `json:"log"`
			Size              int64             `json:"size"`
			Root              string            `json:"root"`
			Witnesses         []dossier.Witness `json:"witnesses"`
			Proved, NotProved []record.Text
			Manifest          *dossier.Manifest `json:"manifest"`
			Entries           []dossier.Told    `json:"entries,omitempty"`
		}{true, r.LogKey, r.Size, r.Root, r.Witnesses, r.Proved, r.NotProved, r.Manifest, entries})
	}
	m := r.Manifest
	w := p.out
	fmt.Fprintf(w, "真实的卷宗 / A TRUE DOSSIER\n  of person %s, made %s by officer %s\n  purpose %s %s, level %s, %d entries, %d attachments\n", m.Person, m.Made.In(record.Zone).Format(time.DateTime), m.By, m.Purpose, m.Reason, m.Redaction.Level, r.Events, r.Attachments)
	for _, part := range []struct {
		title string
		lines []record.Text
	}{{"已证明 / what is proved", r.Proved}, {"未证明 / what is not", r.NotProved}} {
		fmt.Fprintf(w, "\n%s\n", part.title)
		for _, t := range part.lines {
			fmt.Fprintf(w, "  · %s\n    %s\n", t.Zh, t.En)
		}
	}
	if cmd.Entries {
		fmt.Fprintln(w, "\n记录 / entries")
		for _, t := range r.Timeline {
			fmt.Fprintf(w, "  %s  %s  %s\n", t.Event, t.Recorded.In(record.Zone).Format(time.DateTime), t.Who)
			fmt.Fprintf(w, "    %s\n    %s\n", t.Text.Zh, t.Text.En)
			if t.State != "" {
				fmt.Fprintf(w, "    [%s] %s / %s\n", t.State, t.Why.Zh, t.Why.En)
			}
		}
	}
	_, err := fmt.Fprintln(w)
	return err
}
