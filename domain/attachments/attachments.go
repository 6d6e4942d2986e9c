// Package attachments keeps the documents and pictures of a case: agreements, laboratory reports, photographs of sealed
// samples (S-3: never of a person's body). A blob is known by the SHA-256 of its bytes, which the event that attaches it
// records, and is stored once per case, sealed so that destroying the case's key destroys it too.
//
// A bucket shows, to who holds it, how many blobs there are, how large and since when, and which are of one case, so that
// those of an erased case can be removed. It does not show what they are, which case that is, or that two cases have the same
// one: an object's name is a keyed hash of the case, and one of case and content.
//
// An object is the byte 1, the length of a header in two bytes, the header sealed with the case's key (what the blob is,
// and a random key of its own), then the content in segments of 64 KiB by Tink's streaming AEAD under the random key.
// Segments cannot be altered, reordered or cut off unnoticed, and memory does not grow with the blob.
package attachments

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"

	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"

	"yidang/domain/record"
	"yidang/domain/vault"
)

// Refusals of Put and Get that depend on the blob alone.
var (
	ErrTooLarge = &record.Problem{Kind: record.Invalid, Message: "the attachment is larger than allowed", Zh: "附件超过大小限制"}
	ErrEmpty    = &record.Problem{Kind: record.Invalid, Message: "the attachment is empty", Zh: "附件为空", Remedy: "choose the file again; it has no content"}
	ErrType     = &record.Problem{Kind: record.Invalid, Message: "attachments of this type are not accepted", Zh: "不接受此类型的附件"}
	ErrMismatch = &record.Problem{Kind: record.Invalid, Message: "the attachment's content is not of the type it is said to be", Zh: "附件内容与所称类型不符"}
	ErrMissing  = &record.Problem{Kind: record.NotFound, Message: "the attachment is not in the store", Zh: "附件缺失"}
	ErrAltered  = &record.Problem{Kind: record.Invalid, Message: "the attachment in the store was altered or cut short", Zh: "附件被改动或不完整"}
)

// Limits says what is accepted. The zero value stands for DefaultLimits.
type Limits struct {
	MaxBytes int64    // of one attachment
	Types    []string // media types, without parameters
	SpoolDir string   // for sealed content on its way, deleted when the process ends however it ends; empty means the system's
}

// DefaultLimits accepts what a case file holds: documents, pictures and short films up to 20 MiB.
func DefaultLimits() Limits {
	return Limits{
		MaxBytes: 20 << 20,
		Types: []string{
			"application/pdf", "image/jpeg", "image/png", "image/heic", "image/webp", "text/plain",
			"video/mp4", "video/quicktime", "video/3gpp", // what telephones film (D-13)
			"application/vnd.openxmlformats-officedocument.wordprocessingml.document",
			"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
		},
	}
}

// Info is what the sender says of an attachment.
type Info struct {
	Name      string // as its owner called it; kept sealed with the blob
	MediaType string // empty means whatever the content shows
}

// Ref is how an event names an attachment.
type Ref struct {
	SHA256    string `json:"sha256"` // of the content, 64 hex digits
	Size      int64  `json:"size"`   // bytes
	MediaType string `json:"mediaType"`
}

// Store is safe for concurrent use.
type Store struct {
	bucket *blob.Bucket
	dir    string // of a file bucket, else empty
	vault  *vault.Vault
	limits Limits
}

// Put stores what r holds for the case whose stream is named, and returns once it is durable. The same bytes put again for
// the case are stored once; if what is stored turns out damaged, it is replaced.
func (s *Store) Put(ctx context.Context, stream string, r io.Reader, info Info) (Ref, error) {
	if len(info.Name) > 255 {
		return Ref{}, record.Errorf(record.Invalid, "an attachment's name has at most 255 bytes, not %d", len(info.Name)).At("name")
	}
	// The key first: an erased case is refused before anything is read, let alone sealed.
	if err := s.vault.Ensure(ctx, stream); err != nil {
		return Ref{}, err
	}
	r, mediaType, err := s.sniff(r, info.MediaType)
	if err != nil {
		return Ref{}, err
	}
	sp := newSpool(s.limits.SpoolDir)
	defer sp.close()
	sum := sha256.New()
	size, err := sp.fill(io.TeeReader(io.LimitReader(r, s.limits.MaxBytes+1), sum))
	switch {
	case err != nil:
		return Ref{}, fmt.Errorf("put attachment: %w", err)
	case size > s.limits.MaxBytes:
		return Ref{}, ErrTooLarge
	}
	ref := Ref{SHA256: hex.EncodeToString(sum.Sum(nil)), Size: size, MediaType: mediaType}
	name := s.objectName(stream, ref.SHA256)
	if had, ok := s.stored(ctx, stream, ref); ok {
		return had, s.sync(name)
	}
	head, err := s.sealHeader(ctx, stream, name, header{Ref: ref, Name: info.Name, Key: sp.key})
	if err != nil {
		return Ref{}, err
	}
	if err := s.write(ctx, name, head, sp); err != nil {
		return Ref{}, record.Errorf(record.Unavailable, "put attachment: %w", err)
	}
	return ref, nil
}

// stored says whether the blob is there, whole and readable, and as what.
func (s *Store) stored(ctx context.Context, stream string, ref Ref) (had Ref, ok bool) {
	r, had, err := s.Get(ctx, stream, ref)
	if err != nil {
		return Ref{}, false
	}
	defer r.Close()
	_, err = io.Copy(io.Discard, r)
	return had, err == nil
}

// Stat says what an attachment is, by its header alone: size and type as they were found when it was put. It answers as Get
// does. The header is sealed with the case's key, so it is of this case; the content is not looked at.
func (s *Store) Stat(ctx context.Context, stream, sha string) (Ref, error) {
	r, ref, err := s.Get(ctx, stream, Ref{SHA256: sha})
	if err != nil {
		return Ref{}, err
	}
	return ref, r.Close()
}

// Get opens an attachment of a case by its SHA-256; the Ref it returns has all of what was stored. It answers Erased when
// the case's key was destroyed, ErrMissing when the store does not have the blob, ErrAltered when it was tampered with.
//
// Content is handed out only after it was authenticated, and its last part only after the whole was found to have the
// SHA-256 and size asked for. What was altered or cut short ends in ErrAltered, never in io.EOF.
func (s *Store) Get(ctx context.Context, stream string, ref Ref) (io.ReadCloser, Ref, error) {
	if raw, err := hex.DecodeString(ref.SHA256); err != nil || len(raw) != sha256.Size {
		return nil, Ref{}, record.Errorf(record.Invalid, "a SHA-256 is 64 hex digits").At("sha256")
	}
	if s.vault.Erased(stream) {
		return nil, Ref{}, vault.ErrErased
	}
	name := s.objectName(stream, ref.SHA256)
	object, err := s.bucket.NewReader(ctx, name, nil)
	switch {
	case gcerrors.Code(err) == gcerrors.NotFound:
		return nil, Ref{}, ErrMissing.Because(err)
	case err != nil:
		return nil, Ref{}, record.Errorf(record.Unavailable, "get attachment: %w", err)
	}
	r, head, err := s.open(ctx, stream, name, object)
	if err == nil && head.SHA256 != ref.SHA256 {
		err = ErrAltered
	}
	if err != nil {
		return nil, Ref{}, errors.Join(err, object.Close())
	}
	return r, head.Ref, nil
}

func (s *Store) open(ctx context.Context, stream, name string, object io.ReadCloser) (io.ReadCloser, header, error) {
	stored := storeErrors{object}
	head, err := s.openHeader(ctx, stream, name, stored)
	if err != nil {
		return nil, header{}, err
	}
	content, err := openContent(head.Key, stored)
	if err != nil {
		return nil, header{}, altered(err)
	}
	return &reader{object: object, content: content, want: head.Ref, sum: sha256.New()}, head, nil
}

// Forget removes the blobs of a case whose key is destroyed: nobody can read them any more. Whoever follows the log calls it
// for every erasure, again until it succeeds. Its error is Unavailable when that may help, and Forbidden when the bucket does
// not let go of what it has.
func (s *Store) Forget(ctx context.Context, stream string) error {
	if !s.vault.Erased(stream) {
		return record.Errorf(record.Refused, "the attachments of a case are removed only after its key")
	}
	fail := func(err error) error {
		kind := record.Unavailable
		if gcerrors.Code(err) == gcerrors.PermissionDenied {
			kind = record.Forbidden
		}
		return record.Errorf(kind, "remove the attachments of an erased case: %w", err)
	}
	all := s.bucket.List(&blob.ListOptions{Prefix: s.folder(stream)})
	for {
		object, err := all.Next(ctx)
		if errors.Is(err, io.EOF) {
			return s.removeFolder(stream)
		}
		if err == nil {
			err = s.bucket.Delete(ctx, object.Key)
		}
		if err != nil && gcerrors.Code(err) != gcerrors.NotFound {
			return fail(err)
		}
	}
}

// Close releases the bucket.
func (s *Store) Close() error { return s.bucket.Close() }

// folder is where the objects of a case are.
func (s *Store) folder(stream string) string {
	return hex.EncodeToString(s.vault.MAC("attachments of", []byte(stream))[:16]) + "/"
}

func (s *Store) objectName(stream, sha string) string {
	return s.folder(stream) + hex.EncodeToString(s.vault.MAC("attachment", []byte(stream), []byte(sha)))
}

// reader hands out content one part behind what it has read, to be able to withhold the end of what is not whole.
type reader struct {
	object  io.Closer
	content io.Reader
	want    Ref
	sum     hash.Hash
	size    int64

	parts [2][]byte // buffers, used in turn
	out   []byte    // authenticated, not yet handed out
	ahead []byte    // read after out
	turn  int
	err   error // what follows ahead: io.EOF once the whole was verified
}

func (r *reader) Read(p []byte) (int, error) {
	for len(r.out) == 0 {
		if r.err != nil && r.err != io.EOF {
			return 0, r.err
		}
		r.out, r.ahead = r.ahead, nil
		if r.err == nil {
			r.fetch()
		} else if len(r.out) == 0 {
			return 0, io.EOF
		}
	}
	n := copy(p, r.out)
	r.out = r.out[n:]
	return n, nil
}

// fetch reads the part after out, and at the end checks the whole.
func (r *reader) fetch() {
	if r.parts[r.turn] == nil {
		r.parts[r.turn] = make([]byte, segmentSize)
	}
	part := r.parts[r.turn]
	r.turn = 1 - r.turn
	n, err := io.ReadFull(r.content, part)
	r.ahead = part[:n]
	r.sum.Write(r.ahead)
	r.size += int64(n)
	switch {
	case err == nil:
	case err != io.EOF && err != io.ErrUnexpectedEOF:
		r.err = altered(err)
	case r.size != r.want.Size || hex.EncodeToString(r.sum.Sum(nil)) != r.want.SHA256:
		r.err = ErrAltered
	default:
		r.err = io.EOF
	}
	if r.err != nil && r.err != io.EOF {
		r.out, r.ahead = nil, nil
	}
}

func (r *reader) Close() error { return r.object.Close() }

func (l Limits) withDefaults() Limits {
	d := DefaultLimits()
	if l.MaxBytes <= 0 {
		l.MaxBytes = d.MaxBytes
	}
	if len(l.Types) == 0 {
		l.Types = d.Types
	}
	l.Types = slices.Clone(l.Types)
	return l
}
