package dossier

import (
	"context"
	"errors"
	"hash/crc32"
	"io"
	"slices"
	"strings"

	"github.com/google/uuid"

	"yidang/domain/attachments"
	"yidang/domain/casework"
	"yidang/domain/record"
)

// extensions of attachments, by media type.
var extensions = map[string]string{
	"application/pdf": ".pdf", "image/jpeg": ".jpg", "image/png": ".png", "image/heic": ".heic", "image/webp": ".webp", "text/plain": ".txt",
	"application/vnd.openxmlformats-officedocument.wordprocessingml.document": ".docx",
	"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet":       ".xlsx",
}

// attachmentName is the place of an attachment in the dossier.
func attachmentName(a casework.Attachment) string {
	ext, ok := extensions[a.MediaType]
	if !ok {
		ext = ".bin"
	}
	return "attachments/" + a.SHA256 + ext
}

// papersOf lists the attachments that a line names, each once, with what the page calls them.
func (b *book) papersOf(c *chapter, i int) (all []titled) {
	e := c.events[i]
	d, added := e.Data.(casework.AttachmentAdded)
	if b.manifest.Form == addedOnly && !added {
		return nil
	}
	of := func(id uuid.UUID) (record.Event, bool) {
		i := slices.IndexFunc(c.events, func(e record.Event) bool { return e.ID == id })
		if i < 0 {
			return record.Event{}, false
		}
		return c.events[i], true
	}
	for _, n := range casework.NamedBy(c.category, e, of) {
		if slices.ContainsFunc(all, func(t titled) bool { return t.SHA256 == n.SHA256 }) {
			continue
		}
		t := titled{n.Attachment, n.Name}
		if added {
			t.title = d.Title
		}
		all = append(all, t)
	}
	return all
}

type titled struct {
	casework.Attachment
	title string
}

// papers takes the attachments along that the shown events name.
func (b *builder) papers(ctx context.Context) error {
	there := map[string]bool{}
	for _, c := range b.chapters {
		for i, e := range c.events {
			for _, a := range b.papersOf(c, i) {
				name := attachmentName(a.Attachment)
				if there[name] {
					continue
				}
				why, err := b.paper(ctx, c.name, name, a.Attachment)
				if err != nil {
					return err
				}
				if there[name] = why == ""; why != "" {
					b.manifest.Left = append(b.manifest.Left, Left{SHA256: a.SHA256, Event: e.ID, Why: why})
				}
			}
		}
	}
	return nil
}

// paper reads an attachment twice: first to know that it is whole, and its checksum, then to write it.
func (b *builder) paper(ctx context.Context, stream, name string, a casework.Attachment) (why string, err error) {
	switch {
	case b.Attachments == nil:
		return WhyNotShown, nil
	case a.Sensitive():
		return WhyPicture, nil
	}
	stored := casework.Attachment{}
	pass := func(use func(io.Reader) error) error {
		r, ref, err := b.Attachments.Get(ctx, stream, attachments.Ref{SHA256: a.SHA256})
		if err != nil {
			return err
		}
		if stored.MediaType = ref.MediaType; stored.Sensitive() { // whatever the entry says
			return r.Close()
		}
		return errors.Join(use(r), r.Close())
	}
	sum, size := crc32.NewIEEE(), int64(0)
	err = pass(func(r io.Reader) (err error) {
		size, err = io.CopyBuffer(sum, struct{ io.Reader }{r}, make([]byte, 64<<10))
		return err
	})
	switch {
	case errors.Is(err, attachments.ErrMissing):
		return WhyMissing, nil
	case record.KindOf(err) == record.Erased:
		return WhyErased, nil
	case errors.Is(err, attachments.ErrAltered):
		return WhyAltered, nil
	case err != nil:
		return "", err
	case stored.Sensitive():
		return WhyOtherwise, nil
	}
	b.manifest.Files = append(b.manifest.Files, File{name, size, a.SHA256})
	return "", pass(func(r io.Reader) error { return b.out.add(name, size, sum.Sum32(), r) })
}

// left is an attachment of an event.
type left struct {
	sha256 string
	event  uuid.UUID
}

// papers checks that each attachment that is named is there, or stated to be left out for a reason that fits.
func (v *verifier) papers(int64) {
	out := map[left]string{}
	for _, l := range v.manifest.Left {
		if !slices.Contains(whysLeft, l.Why) {
			v.fail(fault(manifestName, "附件未出示的原因不明", "it does not say why an attachment is left out"))
		}
		out[left{l.SHA256, l.Event}] = l.Why
	}
	for _, c := range v.chapters {
		for i, e := range c.events {
			for _, a := range v.papersOf(c, i) {
				at := left{a.SHA256, e.ID}
				why, stated := out[at]
				delete(out, at)
				v.paper(a.Attachment, why, stated, e.ID)
			}
		}
	}
	if len(out) > 0 {
		v.fail(fault(manifestName, "列出了未出示的附件，却没有相应记录", "it lists an attachment as left out that no entry names"))
	}
	// That a file's content has the SHA-256 that its name says is what the manifest's hash must say too. The size that an
	// entry names is whatever its officer's program sent then: the hash alone binds it.
	for _, f := range v.report.Manifest.Files {
		if rest, ok := strings.CutPrefix(f.Name, "attachments/"); ok && !strings.HasPrefix(rest, f.SHA256) {
			v.fail(fault(f.Name, "附件内容与登记的哈希不符", "its content does not have the hash that was recorded"))
		}
	}
}

// paper holds one attachment to what is stated of it. That one is missing, altered or erased is the server's word; that it
// is a picture the entry itself says; and when attachments were not asked for there is none.
func (v *verifier) paper(a casework.Attachment, why string, stated bool, event uuid.UUID) {
	name := attachmentName(a)
	_, there := v.files[name]
	switch {
	case !stated && !there:
		v.fail(fault(name, "缺少附件", "the attachment is missing").of(event))
	case why == WhyPicture && !a.Sensitive():
		v.fail(fault(name, "称为影像而未出示，但记录所称并非影像", "it is left out as a picture, and the entry says that it is none").of(event))
	case why == WhyNotShown && v.report.Attachments > 0, why != WhyNotShown && v.notAsked:
		v.fail(fault(name, "称未要求附件，却出示了其他附件或另有原因", "attachments are said not to have been asked for, and others are shown or left out for another reason").of(event))
	}
	v.notAsked = v.notAsked || why == WhyNotShown
	if there {
		v.used[name] = true
		v.report.Attachments++
	}
}
