package audit

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/maphash"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"yidang/domain/commands"
	"yidang/domain/journal"
	"yidang/domain/notary"
	"yidang/domain/policy"
	"yidang/domain/record"
	"yidang/domain/staff"
	"yidang/domain/units"
)

// spoolParts is how many files the journal is dealt into. As many parts as there are workers are in memory at once: of a
// journal of ten million events of a kilobyte, some 80 MB each.
const spoolParts = 128

// townPart is the part of units, officers and the policy.
const townPart = 0

// spool is the journal dealt out by stream. Its files have no name, so that a crash leaves nothing behind.
type spool struct {
	parts []*part
	seed  maphash.Seed
	head  []byte // room for the head of a record
}

type part struct {
	file *os.File
	w    *bufio.Writer
	size int64
}

func newSpool(dir string, parts int) (*spool, error) {
	s := &spool{parts: make([]*part, parts), seed: maphash.MakeSeed()}
	for i := range s.parts {
		f, err := os.CreateTemp(dir, "verify-*")
		if err != nil {
			s.close()
			return nil, fmt.Errorf("verify: a file to deal the journal into: %w", err)
		}
		s.parts[i] = &part{file: f, w: bufio.NewWriterSize(f, 32<<10)}
		if err := os.Remove(f.Name()); err != nil {
			s.close()
			return nil, err
		}
	}
	return s, nil
}

func (s *spool) close() {
	if s == nil {
		return
	}
	for _, p := range s.parts {
		if p != nil {
			p.file.Close()
		}
	}
}

// part chooses where an event goes: with the other events of its stream, except that a claim goes where the stream is that
// it was made for. ok is false for checkpoints, which are the log's to check.
func (a *audit) part(e journal.Stored) (n int, ok bool) {
	if e.Stream == notary.Stream {
		return 0, false
	}
	stream := e.Stream
	if e.Type == commands.ClaimedType {
		if target, err := claimTarget(e.Data); err == nil {
			stream = target
		}
	}
	return a.spool.partOf(stream), true
}

func (s *spool) partOf(stream string) int {
	switch kind, _, _ := strings.Cut(stream, "-"); kind {
	case units.Category.Name, staff.Category.Name, policy.Category.Name:
		return townPart
	}
	return 1 + int(maphash.String(s.seed, stream)%uint64(len(s.parts)-1))
}

// claimTarget is the stream that a claim was made for.
func claimTarget(data []byte) (string, error) {
	var d struct {
		Stream string `json:"stream"`
	}
	err := json.Unmarshal(data, &d)
	return d.Stream, err
}

// put appends an event to a part: lengths and numbers, then its bytes.
func (s *spool) put(n int, e journal.Stored) error {
	h := binary.AppendUvarint(s.head[:0], e.Position)
	h = binary.AppendUvarint(h, e.Revision)
	h = binary.AppendVarint(h, e.Created.UnixNano())
	h = append(h, e.ID[:]...)
	for _, l := range []int{len(e.Stream), len(e.Type), len(e.Meta), len(e.Data)} {
		h = binary.AppendUvarint(h, uint64(l))
	}
	h = append(append(h, e.Stream...), e.Type...)
	s.head = h
	p := s.parts[n]
	p.size += int64(len(h) + len(e.Meta) + len(e.Data))
	for _, b := range [][]byte{h, e.Meta, e.Data} {
		if _, err := p.w.Write(b); err != nil {
			return fmt.Errorf("verify: dealing out the journal: %w", err)
		}
	}
	return nil
}

func (s *spool) flush() error {
	for _, p := range s.parts {
		if err := p.w.Flush(); err != nil {
			return fmt.Errorf("verify: dealing out the journal: %w", err)
		}
	}
	return nil
}

// stream is what a part has of one stream: its events, in the order of the journal, and the claims made for it.
type stream struct {
	name   string
	events []journal.Stored
	claims []journal.Stored
}

// take reads a part into memory and sorts it by stream, in the order in which they begin.
func (s *spool) take(n int) ([]*stream, error) {
	p := s.parts[n]
	raw := make([]byte, p.size)
	if _, err := p.file.ReadAt(raw, 0); err != nil && err != io.EOF {
		return nil, fmt.Errorf("verify: reading what was dealt out: %w", err)
	}
	var all []*stream
	byName := map[string]*stream{}
	of := func(name string) *stream {
		st := byName[name]
		if st == nil {
			st = &stream{name: strings.Clone(name)}
			byName[st.name] = st
			all = append(all, st)
		}
		return st
	}
	for len(raw) > 0 {
		e, rest, ok := cutStored(raw)
		if !ok {
			return nil, fmt.Errorf("verify: what was dealt out came back damaged: check the disk of the temporary files")
		}
		raw = rest
		if target, err := claimTarget(e.Data); e.Type == commands.ClaimedType && err == nil {
			st := of(target)
			st.claims = append(st.claims, e)
			continue
		}
		st := of(e.Stream)
		st.events = append(st.events, e)
	}
	slices.SortStableFunc(all, func(a, b *stream) int { return cmpUint(a.begins(), b.begins()) })
	return all, nil
}

func (s *stream) begins() uint64 {
	if len(s.events) > 0 {
		return s.events[0].Position
	}
	return s.claims[0].Position
}

func cmpUint(a, b uint64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// cutStored takes the event at the front of what put wrote. Its bytes are those of raw.
func cutStored(raw []byte) (e journal.Stored, rest []byte, ok bool) {
	number := func() (v uint64) {
		v, n := binary.Uvarint(raw)
		if ok = ok && n > 0; ok {
			raw = raw[n:]
		}
		return v
	}
	bytes := func(n uint64) []byte {
		if ok = ok && n <= uint64(len(raw)); !ok {
			return nil
		}
		b := raw[:n:n]
		raw = raw[n:]
		return b
	}
	ok = true
	e.Position, e.Revision = number(), number()
	created, n := binary.Varint(raw)
	if n <= 0 {
		return e, nil, false
	}
	raw = raw[n:]
	e.Created = time.Unix(0, created).UTC()
	copy(e.ID[:], bytes(16))
	var lengths [4]uint64
	for i := range lengths {
		lengths[i] = number()
	}
	e.Stream, e.Type = string(bytes(lengths[0])), string(bytes(lengths[1]))
	e.Meta, e.Data = bytes(lengths[2]), bytes(lengths[3])
	return e, raw, ok
}

// isClaimName tells whether a stream is named as reservations are: a kind and a keyed hash.
func isClaimName(name string) bool {
	_, hash, _ := strings.Cut(name, "-")
	_, _, file := record.SplitStream(name)
	return !file && len(hash) == 64 && strings.Trim(hash, "0123456789abcdef") == ""
}
