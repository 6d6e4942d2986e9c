package audit

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"

	"yidang/domain/attachments"
	"yidang/domain/casework"
	"yidang/domain/journal"
	"yidang/domain/person"
	"yidang/domain/record"
	"yidang/domain/staff"
)

// Kinds of claims, and the category whose streams make them.
const (
	citizenID = "citizenid"
	login     = "login"
)

var claimers = map[string]string{citizenID: person.Category.Name, login: staff.Category.Name}

// claims checks the claims that were made for a stream and gives their names.
func (a *audit) claims(s *stream) map[string]bool {
	names := map[string]bool{}
	if !a.content() {
		return names
	}
	category, _, _ := record.SplitStream(s.name)
	for _, c := range s.claims {
		a.count(func(sum *Summary) { sum.Claims++ })
		wrong := func(zh, en string) { a.find(at(c, Failure, Claims, record.T(zh, en), ask)) }
		kind, _, _ := bytes.Cut([]byte(c.Stream), []byte("-"))
		switch by, known := claimers[string(kind)]; {
		case !isClaimName(c.Stream) || !known:
			wrong("占用记录不在占用流中", "it is a claim and does not lie in a stream of claims")
		case c.Revision != 0:
			wrong("同一值被占用两次", "the value had been claimed before: a claim is the only event of its stream")
		case by != category:
			wrong("占用指向另一类流", fmt.Sprintf("a %s is claimed for %s, which is no stream of %s", kind, s.name, by))
		default:
			names[c.Stream] = true
		}
		if err := errors.Join(strictMeta(c.Meta), strictClaim(c.Data)); err != nil {
			a.find(at(c, Failure, Forms, record.T("无法读取："+err.Error(), "it cannot be read: "+err.Error()), restore))
		}
		if len(s.events) == 0 {
			a.find(at(c, Note, Claims, record.T("占用所指的流不存在", "there is no stream "+s.name+", for which it claims"),
				record.T("登记中断所致；再次登记同一人即补全", "a registration was cut short; registering the same again completes it")))
		}
	}
	return names
}

// values checks that what must be one stream's alone was claimed for this one.
func (w *walk) values(s journal.Stored, e record.Event) {
	kind, value := "", ""
	switch d := e.Data.(type) {
	case person.Registered:
		kind, value = citizenID, d.CitizenID
	case person.Identified:
		kind, value = citizenID, d.CitizenID
	case staff.Registered:
		kind, value = login, d.Login
	}
	if value == "" {
		return
	}
	name := kind + "-" + hex.EncodeToString(w.Vault.MAC("claim "+kind, []byte(value)))
	if !w.claimed[name] {
		w.find(at(s, Failure, Claims, record.T("所登记的值未为本流占用，可能属于另一份档案", fmt.Sprintf("its %s was not claimed for this stream: another one may have it (%s)", kind, name)), ask))
	}
}

// attachments reads through the blobs that an event names, each once for its stream as long as the same is said of it.
func (w *walk) attachments(ctx context.Context, s journal.Stored, e record.Event) error {
	if e.Data == nil || !w.wants(Attachments) || !w.naming[reflect.TypeOf(e.Data)] {
		return nil
	}
	for _, named := range casework.NamedBy(w.k, e, w.earlier) {
		named.Name = "" // whatever it is called, it is the same
		if w.blobs[named.Attachment] {
			continue
		}
		if w.blobs == nil {
			w.blobs = map[casework.Attachment]bool{}
		}
		w.blobs[named.Attachment] = true
		if err := w.blob(ctx, s, named.Attachment); err != nil {
			return err
		}
	}
	return nil
}

func (w *walk) blob(ctx context.Context, s journal.Stored, named casework.Attachment) error {
	content, ref, err := w.Attachments.Get(ctx, s.Stream, attachments.Ref{SHA256: named.SHA256, Size: named.Size})
	if err == nil {
		_, err = io.Copy(io.Discard, content)
		err = errors.Join(err, content.Close())
	}
	w.count(func(sum *Summary) { sum.Attachments++ })
	wrong := func(zh, en string) {
		w.find(at(s, Failure, Attachments, record.T(zh+"："+named.SHA256, "the attachment "+named.SHA256+" "+en),
			record.T("从附件库备份恢复该对象", "restore it from the backup of the attachments")))
	}
	switch {
	case err == nil && (ref.Size != named.Size || ref.MediaType != named.MediaType):
		wrong("附件大小或类型与记录不符", fmt.Sprintf("has %d bytes of %s, and the event says %d of %s", ref.Size, ref.MediaType, named.Size, named.MediaType))
	case err == nil:
	case errors.Is(err, attachments.ErrMissing):
		wrong("附件缺失", "is missing")
	case record.KindOf(err) == record.Invalid:
		wrong("附件被改动或不完整", "was altered or cut short")
	case record.KindOf(err) == record.Erased:
		return nil // reported with the key
	default:
		return err
	}
	return nil
}

// strictClaim is the form of a claim's data.
func strictClaim(raw []byte) error {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	return dec.Decode(&struct {
		Stream string `json:"stream"`
	}{})
}
