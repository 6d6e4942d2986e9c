package attachments

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"slices"

	"github.com/gabriel-vasile/mimetype"

	"yidang/domain/record"
)

// sniffBytes is how much of the content its type is told from.
const sniffBytes = 3072

// sniff finds the media type by the content, and refuses a type that is not listed or not the one declared. It returns a
// reader that still has the whole content.
func (s *Store) sniff(r io.Reader, declared string) (io.Reader, string, error) {
	head := make([]byte, sniffBytes)
	n, err := io.ReadFull(r, head)
	head = head[:n]
	switch {
	case err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF):
		return nil, "", fmt.Errorf("put attachment: %w", err)
	case n == 0:
		return nil, "", ErrEmpty
	}
	found := mimetype.Detect(head)
	mediaType, _, err := mime.ParseMediaType(found.String())
	if err != nil {
		mediaType = "application/octet-stream"
	}
	if declared != "" {
		want, _, err := mime.ParseMediaType(declared)
		if err != nil {
			return nil, "", record.Errorf(record.Invalid, "the media type cannot be read").At("mediaType")
		}
		if !slices.Contains(s.limits.Types, want) {
			return nil, "", ErrType.At("mediaType")
		}
		// Is knows the other names a type has.
		if !found.Is(want) {
			return nil, "", ErrMismatch.At("mediaType")
		}
		mediaType = want
	}
	if !slices.Contains(s.limits.Types, mediaType) {
		return nil, "", ErrType.At("mediaType")
	}
	return io.MultiReader(bytes.NewReader(head), r), mediaType, nil
}
