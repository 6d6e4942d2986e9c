package attachments

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/tink-crypto/tink-go/v2/streamingaead/subtle"

	"yidang/domain/record"
)

const (
	objectForm  = 1
	segmentSize = 64 << 10
	keySize     = 32
)

// header is sealed with the case's key at the start of an object. Its stored form may only gain fields.
type header struct {
	Ref
	Name string `json:"name,omitempty"`
	Key  []byte `json:"key"` // of the content
}

func headerAAD(stream, name string) []byte {
	return []byte("yidang attachment\x00" + stream + "\x00" + name)
}

func (s *Store) sealHeader(ctx context.Context, stream, name string, h header) ([]byte, error) {
	plain, err := json.Marshal(h)
	if err != nil {
		return nil, fmt.Errorf("put attachment: %w", err)
	}
	sealed, err := s.vault.Seal(ctx, stream, plain, headerAAD(stream, name))
	if err != nil {
		return nil, err
	}
	return append(binary.BigEndian.AppendUint16([]byte{objectForm}, uint16(len(sealed))), sealed...), nil
}

func (s *Store) openHeader(ctx context.Context, stream, name string, object io.Reader) (header, error) {
	var fixed [3]byte
	if _, err := io.ReadFull(object, fixed[:]); err != nil {
		return header{}, altered(err)
	}
	if fixed[0] != objectForm {
		return header{}, ErrAltered.Because(fmt.Errorf("form %d is not known", fixed[0]))
	}
	sealed := make([]byte, binary.BigEndian.Uint16(fixed[1:]))
	if _, err := io.ReadFull(object, sealed); err != nil {
		return header{}, altered(err)
	}
	plain, err := s.vault.Open(ctx, stream, sealed, headerAAD(stream, name))
	if record.KindOf(err) == record.Invalid {
		return header{}, ErrAltered.Because(err)
	}
	if err != nil {
		return header{}, err // erased meanwhile, or no key
	}
	var h header
	if err := json.Unmarshal(plain, &h); err != nil {
		return header{}, ErrAltered.Because(err)
	}
	return h, nil
}

func openContent(key []byte, r io.Reader) (io.Reader, error) {
	aead, err := contentAEAD(key)
	if err != nil {
		return nil, err
	}
	return aead.NewDecryptingReader(r, nil)
}

// contentAEAD needs no associated data: its key is used for one blob only, and the header binds the key to case and name.
func contentAEAD(key []byte) (*subtle.AESGCMHKDF, error) {
	return subtle.NewAESGCMHKDF(key, "SHA256", keySize, segmentSize, 0)
}

// storeError marks an error of the store on its way through the cipher, to tell it from altered content.
type storeError struct{ error }

type storeErrors struct{ r io.Reader }

func (s storeErrors) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && err != io.EOF {
		err = &storeError{err}
	}
	return n, err
}

// altered gives a failed read its kind: the store's own failures may pass, altered content will not.
func altered(err error) error {
	var s *storeError
	if errors.As(err, &s) {
		return record.Errorf(record.Unavailable, "read attachment: %w", s.error)
	}
	return ErrAltered.Because(err)
}

// spoolInMemory is how much sealed content is held in memory; what is larger goes to a file.
const spoolInMemory = 1 << 20

// spool holds sealed content until its hash, and so its place, is known. Nothing in it is legible, and its file has no
// name, so that a crash leaves nothing behind.
type spool struct {
	key    []byte
	dir    string
	memory bytes.Buffer
	file   *os.File
}

func newSpool(dir string) *spool {
	key := make([]byte, keySize)
	rand.Read(key)
	return &spool{key: key, dir: dir}
}

// fill seals all of r and returns its size.
func (s *spool) fill(r io.Reader) (int64, error) {
	aead, err := contentAEAD(s.key)
	if err != nil {
		return 0, err
	}
	w, err := aead.NewEncryptingWriter(s, nil)
	if err != nil {
		return 0, err
	}
	n, err := io.CopyBuffer(onlyWriter{w}, r, make([]byte, segmentSize))
	if err != nil {
		return n, err
	}
	return n, w.Close()
}

// onlyWriter hides any ReadFrom.
type onlyWriter struct{ io.Writer }

func (s *spool) Write(p []byte) (int, error) {
	if s.file == nil && s.memory.Len()+len(p) <= spoolInMemory {
		return s.memory.Write(p)
	}
	n, err := s.writeFile(p)
	if err != nil {
		return n, record.Errorf(record.Unavailable, "hold an attachment on its way: %w", err)
	}
	return n, nil
}

func (s *spool) writeFile(p []byte) (int, error) {
	if s.file == nil {
		f, err := os.CreateTemp(s.dir, "attachment-*")
		if err != nil {
			return 0, err
		}
		s.file = f
		if err := os.Remove(f.Name()); err != nil {
			return 0, err
		}
	}
	return s.file.Write(p)
}

// copyTo writes the sealed content, from its start each time.
func (s *spool) copyTo(w io.Writer) error {
	if _, err := w.Write(s.memory.Bytes()); err != nil {
		return err
	}
	if s.file == nil {
		return nil
	}
	if _, err := s.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	_, err := io.CopyBuffer(onlyWriter{w}, s.file, make([]byte, segmentSize))
	return err
}

func (s *spool) close() {
	if s.file != nil {
		s.file.Close()
	}
}
