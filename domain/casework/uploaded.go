package casework

import (
	"context"
	"errors"
	"strings"

	"yidang/domain/attachments"
	"yidang/domain/record"
)

// Refusals of attachments that are not what an event says.
var (
	ErrNotUploaded = &record.Problem{Kind: record.Refused, Rule: "D-13; S-1", Message: "this case's store has no such file", Zh: "本案附件库中没有这份文件",
		Remedy: "upload it first (POST /v1/attachments/{category}/{id}, to this same case) and use the sha256, size and mediaType of the answer"}
	ErrOtherwise = &record.Problem{Kind: record.Refused, Rule: "S-3; PIPL 28", Message: "the uploaded file is of another type or size", Zh: "与已上传文件的类型或大小不符",
		Remedy: "use the size and mediaType that the upload answered"}
)

// Uploaded refuses what names attachments that do not lie in the case's store or are not what they are said to be: whether
// something is a picture, and so takes two people to be seen, is never left to whoever names it. It is what an executor of
// commands asks before anything is recorded (its option Vouch).
func Uploaded(store *attachments.Store) func(ctx context.Context, stream string, data []any) error {
	return func(ctx context.Context, stream string, data []any) error {
		for _, d := range data {
			for _, n := range Naming(d) {
				if err := n.uploaded(ctx, store, stream); err != nil {
					return err
				}
			}
		}
		return nil
	}
}

func (n Named) uploaded(ctx context.Context, store *attachments.Store, stream string) error {
	at := func(p *record.Problem, name string) error { return p.At(strings.Trim(n.Field+"."+name, ".")) }
	stored, err := store.Stat(ctx, stream, n.SHA256)
	switch {
	case errors.Is(err, attachments.ErrMissing), errors.Is(err, attachments.ErrAltered):
		return at(ErrNotUploaded.Because(err), "sha256")
	case err != nil:
		return err
	case stored.MediaType != n.MediaType:
		return at(ErrOtherwise, "mediaType")
	case stored.Size != n.Size:
		return at(ErrOtherwise, "size")
	}
	return nil
}
