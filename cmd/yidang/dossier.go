package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/note"

	"yidang/domain/access"
	"yidang/domain/dossier"
	"yidang/domain/notary"
	"yidang/domain/record"
)

// dossierCmd takes a person's file away as one zip.
type dossierCmd struct {
	Person  uuid.UUID `required:"" help:"Whose file." placeholder:"UUID"`
	As      string    `required:"" help:"Sign-in name of the officer who takes it; it is recorded." placeholder:"LOGIN"`
	Purpose string    `required:"" help:"What it is for, such as inspection, subject-request, judicial, complaint, approval; it is recorded." placeholder:"CODE"`
	Reason  string    `help:"The reason in your words; it is recorded, and stands in the dossier. What is sealed is taken with one."`
	Level   string    `help:"How much it shows: full; groups, those that --groups names and of others which entries there are; own-copy, for the person, without what is of third parties; skeleton, no content." enum:"full,groups,own-copy,skeleton" default:"full"`
	Groups  []string  `help:"With --level groups: person, drugs, …"`
	Out     string    `short:"o" required:"" help:"The zip to write; it must not be there yet." type:"path" placeholder:"FILE.zip"`
}

func (dossierCmd) Help() string {
	return `Writes what the officer may read of a person's file, with files that were merged into it, as a zip that an outsider can
check with 'yidang verify FILE.zip --key KEY', offline. That it was taken, by whom and for what, is recorded before the zip
is written. The server must not be running; a running one makes dossiers at its API.

Examples:
  yidang dossier --person 0b1d0000-0000-4000-8000-000000000001 --as inspector --purpose inspection -o dossier.zip
  yidang dossier --person UUID --as zhou.min --purpose subject-request --level own-copy -o copy.zip
  yidang dossier --person UUID --as xu.zhen --purpose judicial --reason 法院调阅 --level groups --groups person,drugs -o d.zip`
}

// Run makes the dossier.
func (cmd dossierCmd) Run(p *program) (err error) {
	if err := hasRecord(p.config); err != nil {
		return err
	}
	if _, err := os.Lstat(cmd.Out); !errors.Is(err, fs.ErrNotExist) {
		return &record.Problem{Kind: record.Refused, Field: "out", Message: cmd.Out + " is there already", Remedy: "name another file: a dossier does not replace anything"}
	}
	// Under another name first, so that what has the name is whole; and now, so that no reading is recorded in vain.
	file, err := os.CreateTemp(filepath.Dir(cmd.Out), ".dossier-*") // mode 0600
	if err != nil {
		return (&record.Problem{Kind: record.Invalid, Field: "out", Message: "no file can be made there", Remedy: "name a file in a folder that is there and that you may write to"}).Because(err)
	}
	defer func() { err = errors.Join(err, file.Close(), removed(file.Name())) }()
	return withRecord(p, func(r *records) error {
		if err := cmd.checkGroups(r); err != nil {
			return err
		}
		v, err := r.visitor(p.ctx, reader{As: cmd.As, Purpose: cmd.Purpose, Reason: cmd.Reason})
		if err != nil {
			return err
		}
		f, err := v.open(p.ctx, cmd.Person)
		if err != nil {
			return err
		}
		if err := f.record(p.ctx, access.Dossier, cmd.Level); err != nil {
			return err
		}
		return r.withNotary(p, func(log *notary.Notary) error {
			maker, err := r.dossierMaker(p, log)
			if err != nil {
				return err
			}
			o, err := maker.complete(p.ctx, dossier.Options{Person: f.members[0], Streams: f.streams, Redact: dossier.Redaction{Level: dossier.Level(cmd.Level), Groups: cmd.Groups},
				By: v.officer, Purpose: cmd.Purpose, Reason: v.reason})
			if err != nil {
				return err
			}
			return cmd.write(p, file, o)
		})
	})
}

// checkGroups refuses before anything is recorded what Build would refuse after.
func (cmd dossierCmd) checkGroups(r *records) error {
	if (cmd.Level == string(dossier.Groups)) != (len(cmd.Groups) > 0) {
		return &record.Problem{Kind: record.Invalid, Field: "groups", Message: "groups are named at the level groups, and only there", Remedy: "--level groups --groups person,drugs"}
	}
	for _, g := range cmd.Groups {
		if k, ok := r.catalog.Category(g); !ok || g != "person" && !k.Case {
			return &record.Problem{Kind: record.Invalid, Field: "groups", Message: fmt.Sprintf("%q is no group of a person's file", g), Remedy: "use person, or a program such as drugs"}
		}
	}
	return nil
}

// write builds the zip in the file and gives it its name.
func (cmd dossierCmd) write(p *program, file *os.File, o dossier.Options) error {
	m, err := dossier.Build(p.ctx, file, o)
	if err = errors.Join(err, file.Sync()); err != nil {
		return err
	}
	if err := os.Link(file.Name(), cmd.Out); err != nil { // unlike a rename, it replaces nothing
		return err
	}
	key, _, err := ownKey(p.config)
	if err != nil {
		return err
	}
	events := 0
	for _, s := range m.Streams {
		events += s.Events
	}
	fmt.Fprintf(p.out, "%s: %d entries of %d streams, proved against a checkpoint of %d leaves\n", cmd.Out, events, len(m.Streams), m.Tree)
	for _, l := range m.Left {
		fmt.Fprintf(p.err, "left out: attachment %s (%s)\n", l.SHA256, l.Why)
	}
	if o.Font == "" {
		fmt.Fprintln(p.err, "no PDF: a font with Chinese characters was not found; make fonts fetches one, or set dossier.font")
	}
	_, err = fmt.Fprintf(p.out, "to check it anywhere: yidang verify %s --key %s\n", filepath.Base(cmd.Out), key.Verifier())
	return err
}

func removed(path string) error {
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// dossierMaker knows what every dossier of this installation is made with. The API is handed complete.
type dossierMaker struct {
	r      *records
	log    *notary.Notary
	signer note.Signer
	policy []byte
	font   string
}

func (r *records) dossierMaker(p *program, log *notary.Notary) (*dossierMaker, error) {
	m := &dossierMaker{r: r, log: log, font: p.config.dossierFont()}
	key, err := r.notaryKey(p)
	if err != nil {
		return nil, err
	}
	if m.signer, _, err = key.Note(); err != nil {
		return nil, err
	}
	if name := p.config.Notary.Policy; name != "" {
		m.policy, err = os.ReadFile(name)
	}
	return m, err
}

// complete fills in what every dossier is made with. The caller has set Person, Streams, Redact, By, Purpose and Reason,
// has decided that the streams may be shown, and has recorded the reading.
func (m *dossierMaker) complete(ctx context.Context, o dossier.Options) (dossier.Options, error) {
	names, err := m.r.directory(ctx)
	if err != nil {
		return o, err
	}
	o.Journal, o.Codec, o.Attachments, o.Prover = m.r.journal, m.r.exec.Codec, m.r.blobs, m.log
	o.Signer, o.Policy, o.Font, o.Version, o.Now = m.signer, m.policy, m.font, tool(), m.r.exec.Now
	o.Officer = func(id uuid.UUID) string { return names.officers[id] }
	o.Unit = func(id uuid.UUID) string { return names.units[id] }
	return o, nil
}

// dossierFont is the configured font, or the one that make fonts fetched: beside the binary's project folder, beside the
// binary, in the data folder. Empty when there is none.
func (c Config) dossierFont() string {
	if c.Dossier.Font != "" {
		return c.Dossier.Font
	}
	bin := filepath.Dir(self())
	for _, dir := range []string{filepath.Join(".cache", "fonts"), filepath.Join(bin, "..", ".cache", "fonts"), bin, filepath.Join(c.Data, "fonts")} {
		if path := filepath.Join(dir, "NotoSansSC-Regular.ttf"); isFile(path) {
			return path
		}
	}
	return ""
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// witnessTime is how long witnesses may take to cosign what was just signed.
const witnessTime = 30 * time.Second

// withNotary runs the log of proofs, waits until a published checkpoint covers everything that is recorded, and ends it
// afterwards.
func (r *records) withNotary(p *program, f func(*notary.Notary) error) error {
	log, err := r.openNotary(p)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(p.ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = log.Run(ctx) // returns only when the context ends; why it does not sign is in its Status
	}()
	defer func() { stop(); <-ended }()
	if err := r.published(p, log); err != nil {
		return err
	}
	return f(log)
}

func (r *records) published(p *program, log *notary.Notary) error {
	head, _, err := r.journal.Head(p.ctx)
	if err != nil {
		return err
	}
	size, late := int64(-1), time.Time{}
	for told := time.Now(); ; {
		s := log.Status()
		if size < 0 && s.Position >= head {
			size, late = s.Size, time.Now().Add(witnessTime)
		}
		switch {
		case s.Stopped:
			return &record.Problem{Kind: record.Refused, Message: "the log does not sign: " + s.Err.Error(), Zh: "存证日志已停止签名", Remedy: "run yidang verify, and do what it says"}
		case size >= 0 && s.PublishedSize >= size:
			return nil
		case size >= 0 && time.Now().After(late):
			return unpublished(s)
		}
		if time.Since(told) > time.Second {
			told = time.Now()
			progress(p, "signing", uint64(s.Size), head)
		}
		select {
		case <-p.ctx.Done():
			return p.ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// unpublished says who kept a checkpoint from being published.
func unpublished(s notary.Status) error {
	why := []error{s.Err}
	for _, w := range s.Witnesses {
		if w.Err != nil {
			why = append(why, fmt.Errorf("witness %s: %w", w.Name, w.Err))
		}
	}
	text := strings.ReplaceAll(fmt.Sprint(errors.Join(why...)), "\n", "; ")
	return &record.Problem{Kind: record.Unavailable, Message: "no checkpoint that counts was published: " + text, Zh: "没有达到法定人数的见证副署", Remedy: "see that the witnesses of notary.policy can be reached, and try again"}
}
