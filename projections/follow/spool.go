package follow

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"hash/fnv"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"yidang/domain/journal"
)

// spool is the part files of a backfill. Events lie in them as the journal has them: what is sealed there is sealed here.
type spool struct {
	dir string
	spoolMark
	files   []*os.File
	writers []*bufio.Writer
	sizes   []int64
	scratch []byte
	// What part reads into; one part is read at a time.
	raw    []byte
	stored []journal.Stored
}

// spoolMark says what the files hold for certain; it is replaced as a whole. Whatever a file holds beyond its size was
// written after the mark and is cut off.
type spoolMark struct {
	Until    uint64  `json:"until"`
	Of       int     `json:"of"`
	Position uint64  `json:"position"` // everything up to here is in the files
	Sizes    []int64 `json:"sizes"`
}

// mostParts are open files; positions that are byte offsets simply give the most.
const mostParts = 256

// markAfter is how many parts' worth of events may have to be dealt out again.
const markAfter = 12

func openSpool(dir string) (*spool, error) {
	s := &spool{dir: dir}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	raw, err := os.ReadFile(filepath.Join(dir, "mark.json"))
	if errors.Is(err, os.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(raw, &s.spoolMark); err != nil || len(s.Sizes) != s.Of {
		s.spoolMark = spoolMark{} // begin anew
		return s, nil
	}
	if err := s.openFiles(); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *spool) begin(until uint64, perPart int) error {
	s.Until, s.Of = until, int(min(max(until/uint64(perPart), 1), mostParts))
	s.Sizes = make([]int64, s.Of)
	if err := s.openFiles(); err != nil {
		return err
	}
	return s.mark()
}

func (s *spool) openFiles() error {
	s.sizes = append([]int64(nil), s.Sizes...)
	for i := range s.Of {
		f, err := os.OpenFile(filepath.Join(s.dir, fmt.Sprintf("part-%03d", i)), os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return err
		}
		s.files = append(s.files, f)
		s.writers = append(s.writers, bufio.NewWriterSize(f, 32<<10))
		info, err := f.Stat()
		if err != nil {
			return err
		}
		if info.Size() < s.Sizes[i] { // lost with the power: the log has it
			return s.anew()
		}
		if err := f.Truncate(s.Sizes[i]); err != nil {
			return err
		}
		if _, err := f.Seek(s.Sizes[i], io.SeekStart); err != nil {
			return err
		}
	}
	return nil
}

func (s *spool) anew() error {
	s.close()
	s.files, s.writers = nil, nil
	s.spoolMark = spoolMark{}
	return os.Remove(filepath.Join(s.dir, "mark.json"))
}

// mark notes what is in the files. A kill of the process leaves the files as written; a power cut may not, which the sizes
// and sums tell.
func (s *spool) mark() error {
	for _, w := range s.writers {
		if err := w.Flush(); err != nil {
			return err
		}
	}
	copy(s.Sizes, s.sizes)
	raw, err := json.Marshal(s.spoolMark)
	if err != nil {
		return err
	}
	temp := filepath.Join(s.dir, "mark.new")
	if err := os.WriteFile(temp, raw, 0o600); err != nil {
		return err
	}
	return os.Rename(temp, filepath.Join(s.dir, "mark.json"))
}

func (s *spool) close() {
	for _, f := range s.files {
		_ = f.Close() // written through mark, or not needed
	}
	s.files = nil
}

// deal reads the log up to Until and deals the events out.
func (s *spool) deal(ctx context.Context, o BackfillOptions) error {
	if s.Position >= s.Until {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	n, told := 0, time.Now()
	for item, err := range o.Source.Follow(ctx, s.Position) {
		if err != nil {
			return err
		}
		if item.Kind == journal.Lost {
			o.Log.WarnContext(ctx, "backfill lost the journal", "error", item.Cause)
			continue
		}
		if item.Kind == journal.Happened && item.Position <= s.Until {
			if err := s.put(item.Event); err != nil {
				return err
			}
		}
		s.Position = min(max(s.Position, item.Position), s.Until)
		if s.Position == s.Until {
			return s.mark()
		}
		if n++; n%(markAfter*o.EventsPerPart) == 0 {
			if err := s.mark(); err != nil {
				return err
			}
		}
		if n%1000 == 0 && time.Since(told) > time.Second {
			told = time.Now()
			o.Progress(BackfillStatus{Read: s.Position, Until: s.Until, Part: Part{Until: s.Until, Of: s.Of}})
		}
	}
	return ctx.Err()
}

// header precedes each event in a part file: the length of what follows, and its sum.
const header = 8

func (s *spool) put(e journal.Stored) error {
	h := fnv.New32a()
	_, _ = io.WriteString(h, e.Stream) // never fails
	i := int(h.Sum32() % uint32(s.Of))
	b := append(s.scratch[:0], make([]byte, header)...)
	b = append(b, e.ID[:]...)
	b = binary.AppendUvarint(b, e.Revision)
	b = binary.AppendUvarint(b, e.Position)
	b = binary.AppendVarint(b, e.Created.UnixNano())
	for _, word := range []string{e.Stream, e.Type} {
		b = binary.AppendUvarint(b, uint64(len(word)))
		b = append(b, word...)
	}
	for _, part := range [][]byte{e.Meta, e.Data} {
		b = binary.AppendUvarint(b, uint64(len(part)))
		b = append(b, part...)
	}
	s.scratch = b
	binary.BigEndian.PutUint32(b, uint32(len(b)-header))
	binary.BigEndian.PutUint32(b[4:], crc32.ChecksumIEEE(b[header:]))
	s.sizes[i] += int64(len(b))
	_, err := s.writers[i].Write(b)
	return err
}

// part reads a part's events back. They are good until the next call.
func (s *spool) part(i int) (events []journal.Stored, err error) {
	s.raw = slices.Grow(s.raw[:0], int(s.Sizes[i]))
	raw := s.raw[:s.Sizes[i]]
	if _, err := s.files[i].ReadAt(raw, 0); err != nil && !(errors.Is(err, io.EOF) && len(raw) == 0) {
		return nil, err
	}
	count := 0
	for rest := raw; len(rest) >= header; count++ {
		rest = rest[min(header+int(binary.BigEndian.Uint32(rest)), len(rest)):]
	}
	events = slices.Grow(s.stored[:0], count)
	s.stored = events
	seen := interned{} // the same few streams and types, over and over
	for len(raw) > 0 {
		if len(raw) < header {
			return nil, s.damaged(i)
		}
		n, sum := int(binary.BigEndian.Uint32(raw)), binary.BigEndian.Uint32(raw[4:])
		if len(raw) < header+n || crc32.ChecksumIEEE(raw[header:header+n]) != sum {
			return nil, s.damaged(i)
		}
		e, ok := readStored(raw[header:header+n], seen)
		if !ok {
			return nil, s.damaged(i)
		}
		events, raw = append(events, e), raw[header+n:]
	}
	return events, nil
}

// damaged makes the next attempt begin anew.
func (s *spool) damaged(i int) error {
	return errors.Join(fmt.Errorf("part file %d is damaged", i), s.anew())
}

// interned holds each string once.
type interned map[string]string

func (w interned) of(b []byte) string {
	if s, ok := w[string(b)]; ok {
		return s
	}
	s := string(b)
	w[s] = s
	return s
}

// readStored reads one event; Meta and Data lie in b.
func readStored(b []byte, seen interned) (e journal.Stored, ok bool) {
	if len(b) < 16 {
		return e, false
	}
	copy(e.ID[:], b)
	b = b[16:]
	var created int64
	for _, n := range []*uint64{&e.Revision, &e.Position} {
		v, size := binary.Uvarint(b)
		if size <= 0 {
			return e, false
		}
		*n, b = v, b[size:]
	}
	created, size := binary.Varint(b)
	if size <= 0 {
		return e, false
	}
	e.Created, b = time.Unix(0, created).UTC(), b[size:]
	var parts [4][]byte
	for i := range parts {
		n, size := binary.Uvarint(b)
		if size <= 0 || uint64(len(b)-size) < n {
			return e, false
		}
		parts[i], b = b[size:size+int(n)], b[size+int(n):]
	}
	e.Stream, e.Type, e.Meta, e.Data = seen.of(parts[0]), seen.of(parts[1]), parts[2], parts[3]
	return e, len(b) == 0
}
