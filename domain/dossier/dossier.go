// Package dossier makes a person's file into one zip that an outsider can check, and checks such zips. The check needs the
// zip, the log's public key and this program; no server, no network, no key of the file.
//
// What is in the zip:
//
//	events/<stream>.jsonl     each stream of the person, one event a line (see line), revisions from 0 without gap
//	proofs/<event>.tlog-proof C2SP tlog-proof: the event's leaf is in the tree of the checkpoint
//	checkpoint.txt            C2SP tlog-checkpoint with cosignatures
//	attachments/<sha256>.<x>  what the shown events attach
//	names.json                officers and units by uuid, as the server names them
//	policy.txt                C2SP tlog-policy that the server has; for reading only
//	index.html, dossier.pdf   the timeline in sentences, made from the lines and names.json
//	explain.html              how to check all this by hand
//	manifest.json             every file with its SHA-256, what is withheld and why, up to which position it is complete
//	manifest.note             the log's signature of the manifest, under a context of its own
//
// The rules, in plain words:
//
//   - Every byte counts. The zip is in one form that follows from its names and contents; the manifest has the hash of
//     every content; the note has that of the manifest; the note is in one form.
//   - What is shown was recorded. The leaf binds stream, revision, id, type, metadata and the stored bytes; a commitment in
//     the metadata binds each field of the sealed data (catalog/commit.go), so that some can be shown and others not.
//     Ciphertext is left out: it would prove nothing, and it would outlive its key in other people's hands.
//   - The page says what the lines say. Verify makes it again and compares.
//   - An attachment that a shown event names is in the zip, or stated to be left out, with the reason. A picture is always left
//     out. That one is missing or altered is the server's word.
//   - That nothing newer is missing, that the streams are all of the person's, who the uuids are, and that a key is
//     destroyed, is the server's word under its signature. The report says so.
//   - The keys that are trusted come from whoever checks, never from the zip.
package dossier

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/note"

	"yidang/domain/attachments"
	"yidang/domain/catalog"
	"yidang/domain/journal"
	"yidang/domain/notary"
	"yidang/domain/person"
	"yidang/domain/record"
)

// Journal is what a dossier needs of one.
type Journal interface {
	Stream(ctx context.Context, stream string, from uint64) iter.Seq2[journal.Stored, error]
	Head(ctx context.Context) (position uint64, ok bool, err error)
}

// Prover proves events against one checkpoint; *notary.Notary is one. It may answer notary.ErrNotYet.
type Prover interface {
	Proofs(ctx context.Context, events ...uuid.UUID) ([]notary.Proof, error)
}

// Attachments opens papers; *attachments.Store is one.
type Attachments interface {
	Get(ctx context.Context, stream string, ref attachments.Ref) (io.ReadCloser, attachments.Ref, error)
}

// Options of Build.
type Options struct {
	Person uuid.UUID
	// Streams are those of the person's file: the person's own, the cases', and the same of files merged into it. The
	// caller has decided that they may be shown; Redact says how far.
	Streams []string

	Journal     Journal
	Codec       *catalog.Codec
	Attachments Attachments // nil: none are taken along
	Prover      Prover
	Signer      note.Signer // the log's key
	Policy      []byte      // text of the tlog-policy, for the reader's information; may be nil

	Officer func(uuid.UUID) string // names; "" when unknown. Not asked for an own copy
	Unit    func(uuid.UUID) string

	Redact          Redaction
	By              uuid.UUID // the officer who asks for it
	Purpose, Reason string
	Font            string // path of a TrueType font with Chinese characters; without one there is no PDF
	Version         string // of this program
	Now             func() time.Time
}

// maxShown bounds what one dossier holds in memory.
const maxShown = 256 << 20

var (
	errTooLarge = &record.Problem{Kind: record.Refused, Message: "the dossier is larger than a zip can be", Zh: "卷宗超过压缩包大小上限",
		Remedy: "leave the attachments out, or make one dossier for each case"}
	errDisagree = &record.Problem{Kind: record.Unavailable, Message: "the journal and the notary do not agree on an event of this file: no dossier is made of it",
		Zh: "日志与存证不一致，不出具卷宗", Remedy: "run yidang verify"}
)

// Build writes a dossier. Attachments pass through; everything else is held in memory. When it fails, what was written is
// no dossier and does not verify. It waits a few seconds for a checkpoint that covers what it shows.
func Build(ctx context.Context, w io.Writer, o Options) (*Manifest, error) {
	redaction, err := o.Redact.complete()
	if err != nil {
		return nil, err
	}
	if !slices.Contains(o.Streams, person.Stream(o.Person)) {
		return nil, record.Errorf(record.Invalid, "the person's own stream is not among those of the dossier").At("streams")
	}
	b := &builder{Options: o, out: &archiver{w: w}, leaves: map[uuid.UUID][]byte{}, book: book{names: map[string]string{}, manifest: &Manifest{
		Form: manifestForm, Tool: o.Version, Origin: o.Signer.Name(), Person: o.Person, Made: o.Now().UTC().Truncate(time.Second), By: o.By,
		Purpose: o.Purpose, Reason: o.Reason, Redaction: redaction, Streams: []Stream{}, Left: []Left{}, Undrawn: []string{}, Files: []File{},
	}}}
	steps := []func(context.Context) error{b.streams, b.nameList, b.papers, b.proofs, b.pages, b.close}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return nil, fmt.Errorf("make a dossier: %w", err)
		}
	}
	return b.manifest, nil
}

type builder struct {
	Options
	book
	out    *archiver
	leaves map[uuid.UUID][]byte
	shown  int
}

// add writes a file that is held in memory.
func (b *builder) add(name string, content []byte) error {
	sum := sha256.Sum256(content)
	b.manifest.Files = append(b.manifest.Files, File{name, int64(len(content)), hex.EncodeToString(sum[:])})
	return b.out.addBytes(name, content)
}

// streams reads the events. The position is asked first: whatever was in a stream by then is read.
func (b *builder) streams(ctx context.Context) (err error) {
	if b.manifest.Position, _, err = b.Journal.Head(ctx); err != nil {
		return err
	}
	for _, name := range slices.Compact(slices.Sorted(slices.Values(b.Streams))) {
		k, ok := b.Codec.Catalog.Of(name)
		if !ok {
			return record.Errorf(record.Invalid, "%s is no stream of a file", name).At("streams")
		}
		c := &chapter{category: k, name: name}
		if err := b.stream(ctx, c); err != nil {
			return err
		}
		if len(c.lines) == 0 {
			return record.Errorf(record.NotFound, "the stream %s has no events", name)
		}
		b.chapters = append(b.chapters, c)
		b.manifest.Streams = append(b.manifest.Streams, c.count())
		var text []byte
		for _, l := range c.lines {
			text = l.encode(text)
		}
		if err := b.add("events/"+name+".jsonl", text); err != nil {
			return err
		}
	}
	return nil
}

func (b *builder) stream(ctx context.Context, c *chapter) error {
	kinds := map[uuid.UUID]string{}
	for s, err := range b.Journal.Stream(ctx, c.name, 0) {
		if err != nil {
			return err
		}
		d, err := b.Codec.Disclose(ctx, s)
		if err != nil {
			return err
		}
		about, values := target(s.Type, kinds, d.Data)
		why, hidden := b.manifest.Redaction.event(c.category, s.Type, !d.Sealed, about, values)
		l, err := newLine(s, d, why, hidden)
		if err != nil {
			return err
		}
		e, err := c.read(b.Codec.Catalog, l)
		if err != nil {
			return fmt.Errorf("event %s: %w", s.ID, err)
		}
		if b.shown += len(s.Meta) + len(d.Data); b.shown > maxShown {
			return errTooLarge
		}
		kinds[s.ID] = s.Type
		b.leaves[s.ID] = notary.Leaf(s)
		b.manifest.Position = max(b.manifest.Position, s.Position)
		c.add(l, e)
	}
	return nil
}

// count sums up a stream.
func (c *chapter) count() Stream {
	s := Stream{Name: c.name, Events: len(c.lines)}
	for _, l := range c.lines {
		switch {
		case l.Erased:
			s.Erased++
		case l.whole():
			s.Withheld++
		case l.Withheld != "":
			s.Partly++
		case l.Unproved != nil:
			s.Unproved++
		default:
			s.Open++
		}
	}
	return s
}

// nameList names the officers and units that the lines speak of.
func (b *builder) nameList(context.Context) error {
	look := func(id uuid.UUID) {
		if id == uuid.Nil {
			return
		}
		name := ""
		if b.Unit != nil {
			name = b.Unit(id)
		}
		if name == "" && b.Officer != nil && b.manifest.Redaction.Level != OwnCopy {
			name = b.Officer(id)
		}
		if name != "" {
			b.names[id.String()] = name
		}
	}
	look(b.By)
	for _, c := range b.chapters {
		for i, e := range c.events {
			look(e.Meta.Actor)
			look(e.Meta.Unit)
			for _, id := range idsIn(c.lines[i].opened()) {
				look(id)
			}
		}
	}
	raw, err := encodeNames(b.names)
	if err != nil {
		return err
	}
	return b.add("names.json", raw)
}

func encodeNames(names map[string]string) ([]byte, error) {
	raw, err := json.MarshalIndent(names, "", " ")
	return append(raw, '\n'), err
}

// idsIn finds the uuids in data: whatever stands between two quotes and is one.
func idsIn(data []byte) (ids []uuid.UUID) {
	for _, part := range bytes.Split(data, []byte{'"'}) {
		if len(part) == 36 {
			if id, err := uuid.ParseBytes(part); err == nil {
				ids = append(ids, id)
			}
		}
	}
	return ids
}

// proofs proves every event against one checkpoint.
func (b *builder) proofs(ctx context.Context) error {
	var ids []uuid.UUID
	for _, c := range b.chapters {
		for _, l := range c.lines {
			ids = append(ids, l.Event)
		}
	}
	proofs, err := b.prove(ctx, ids)
	if err != nil {
		return err
	}
	head, err := parseHead(proofs[0].Checkpoint)
	if err != nil {
		return err
	}
	b.manifest.Tree = head
	if err := b.add("checkpoint.txt", proofs[0].Checkpoint); err != nil {
		return err
	}
	if len(b.Policy) > 0 {
		if err := b.add("policy.txt", b.Policy); err != nil {
			return err
		}
	}
	n := 0
	for _, c := range b.chapters {
		for _, l := range c.lines {
			p := proofs[n]
			n++
			if !bytes.Equal(p.Leaf, b.leaves[l.Event]) || !bytes.Equal(p.Checkpoint, proofs[0].Checkpoint) {
				return errDisagree
			}
			c.index = append(c.index, p.Index)
			if err := b.add(proofName(l.Event), p.Text()); err != nil {
				return err
			}
		}
	}
	return nil
}

func proofName(event uuid.UUID) string { return "proofs/" + event.String() + ".tlog-proof" }

// prove waits for a checkpoint that covers the events: one comes within a second, with witnesses a little later.
func (b *builder) prove(ctx context.Context, ids []uuid.UUID) ([]notary.Proof, error) {
	for tries := 0; ; tries++ {
		proofs, err := b.Prover.Proofs(ctx, ids...)
		if !errors.Is(err, notary.ErrNotYet) || tries == 50 {
			return proofs, err
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// parseHead reads the size that a checkpoint names.
func parseHead(checkpoint []byte) (size int64, err error) {
	lines := strings.SplitN(string(checkpoint), "\n", 3)
	if len(lines) < 3 {
		return 0, errors.New("the checkpoint is not one")
	}
	_, err = fmt.Sscanf(lines[1], "%d", &size)
	return size, err
}

// pdfThere is what the manifest says when there is a PDF.
const pdfThere = "yes"

// pages writes what people read. The PDF is made first: the page tells which characters it could not draw.
func (b *builder) pages(context.Context) error {
	pdf, err := b.pdf()
	if err != nil {
		return err
	}
	page, err := b.page()
	if err != nil {
		return err
	}
	if err := b.add("index.html", page); err != nil {
		return err
	}
	if pdf != nil {
		if err := b.add("dossier.pdf", pdf); err != nil {
			return err
		}
	}
	return b.add("explain.html", explainSource)
}

// pdf makes the PDF if there is a font for it, and notes in the manifest why there is none.
func (b *builder) pdf() ([]byte, error) {
	font, err := os.ReadFile(b.Font)
	if err != nil {
		b.manifest.PDF = "未找到中文字体：运行 ops/fonts/fetch.sh，或在配置中指明字体路径 (no font with Chinese characters was found: run ops/fonts/fetch.sh, or name one in the configuration)"
		return nil, nil
	}
	b.manifest.PDF = pdfThere
	return b.drawPDF(font)
}

// close writes the manifest, its signature, and the directory of the zip.
func (b *builder) close(context.Context) error {
	raw, err := b.manifest.encode()
	if err != nil {
		return err
	}
	signed, err := signManifest(raw, b.Signer)
	if err != nil {
		return err
	}
	if err := b.out.addBytes(manifestName, raw); err != nil {
		return err
	}
	if err := b.out.addBytes(noteName, signed); err != nil {
		return err
	}
	return b.out.close()
}
