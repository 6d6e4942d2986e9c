package audit

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
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

// spoolParts is how many files the journal is dealt into. One that grows beyond what a worker may hold is dealt out again
// when its turn comes.
const spoolParts = 128

// townPart has a second copy of what says who was in which post when: units, the policy, and the officers' events but for
// those of signing in and out. It is in memory at once, as what is made of it is (past.go).
const townPart = 0

// defaultHold is what a worker holds of the journal at once, where nobody says otherwise.
const defaultHold = 32 << 20

// spool is the journal dealt out by stream. Its files have no name, so that a crash leaves nothing behind.
type spool struct {
	dir   string
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
	s := &spool{dir: dir, parts: make([]*part, parts), seed: maphash.MakeSeed()}
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

// deal puts an event where it belongs: with the other events of its stream, except that a claim goes where the stream is
// that it was made for; and beside that with those of the town. Checkpoints are the log's to check.
func (a *audit) deal(e journal.Stored) error {
	if e.Stream == notary.Stream {
		return nil
	}
	if ofTown(e) {
		if err := a.spool.put(townPart, e); err != nil {
			return err
		}
	}
	return a.spool.put(a.spool.partOf(groupOf(e)), e)
}

// groupOf is the stream that an event is checked with.
func groupOf(e journal.Stored) string {
	if e.Type == commands.ClaimedType {
		if target, err := claimTarget(e.Data); err == nil {
			return target
		}
	}
	return e.Stream
}

// ofTown tells whether an event says who was in which post when. Most of an officer's stream does not.
func ofTown(e journal.Stored) bool {
	switch kind, _, _ := strings.Cut(e.Stream, "-"); kind {
	case units.Category.Name, policy.Category.Name:
		return true
	case staff.Category.Name:
		return !slices.Contains(passing, e.Type)
	}
	return false
}

// passing are the events of an officer by which no authority changes.
var passing = []string{"officer.signed_in", "officer.sign_in_failed", "officer.signed_out"}

func (s *spool) partOf(stream string) int {
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

// each gives the streams of a part, as many at once as fit into hold bytes. A stream is never cut: one that is larger comes
// alone.
func (s *spool) each(n int, hold int64, see func([]*stream) error) error {
	if s.parts[n].size <= hold {
		return s.give(n, see)
	}
	within, err := newSpool(s.dir, 2+min(64, int(2*s.parts[n].size/hold)))
	if err != nil {
		return err
	}
	defer within.close()
	err = s.records(n, func(e journal.Stored) error { return within.put(within.partOf(groupOf(e)), e) })
	if err == nil {
		err = within.flush()
	}
	for i, p := range within.parts {
		switch {
		case err != nil:
			return err
		case p.size == s.parts[n].size: // all of one stream, or two that cannot be told apart by this seed
			var alone bool
			if alone, err = within.alone(i); err == nil && alone {
				err = within.give(i, see)
				break
			}
			fallthrough
		default:
			if err == nil {
				err = within.each(i, hold, see)
			}
		}
	}
	return err
}

// alone tells whether a part is of one stream.
func (s *spool) alone(n int) (bool, error) {
	first, alone := "", true
	err := s.records(n, func(e journal.Stored) error {
		if group := groupOf(e); first == "" {
			first = group
		} else if group != first {
			alone = false
		}
		return nil
	})
	return alone, err
}

func (s *spool) give(n int, see func([]*stream) error) error {
	if s.parts[n].size == 0 {
		return nil
	}
	streams, err := s.take(n)
	if err != nil {
		return err
	}
	return see(streams)
}

// take reads a part into memory and sorts it by stream, in the order in which they begin.
func (s *spool) take(n int) ([]*stream, error) {
	var all []*stream
	byName := map[string]*stream{}
	of := func(name string) *stream {
		st := byName[name]
		if st == nil {
			st = &stream{name: name}
			byName[st.name] = st
			all = append(all, st)
		}
		return st
	}
	err := s.records(n, func(e journal.Stored) error {
		if target, err := claimTarget(e.Data); e.Type == commands.ClaimedType && err == nil {
			st := of(target)
			st.claims = append(st.claims, e)
			return nil
		}
		st := of(e.Stream)
		e.Stream = st.name // one copy of it
		st.events = append(st.events, e)
		return nil
	})
	slices.SortStableFunc(all, func(a, b *stream) int { return cmpUint(a.begins(), b.begins()) })
	return all, err
}

// records reads what put wrote, one after the other.
func (s *spool) records(n int, see func(journal.Stored) error) error {
	p := s.parts[n]
	r := bufio.NewReaderSize(io.NewSectionReader(p.file, 0, p.size), 64<<10)
	for {
		if _, err := r.Peek(1); err == io.EOF {
			return nil
		}
		e, err := readStored(r)
		if err != nil {
			return fmt.Errorf("verify: what was dealt out came back damaged (%w): check the disk of the temporary files", err)
		}
		if err := see(e); err != nil {
			return err
		}
	}
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

// readStored reads the next event that put wrote.
func readStored(r *bufio.Reader) (e journal.Stored, err error) {
	number := func() (v uint64) {
		if err == nil {
			v, err = binary.ReadUvarint(r)
		}
		return v
	}
	e.Position, e.Revision = number(), number()
	if err != nil {
		return e, err
	}
	created, err := binary.ReadVarint(r)
	if err != nil {
		return e, err
	}
	e.Created = time.Unix(0, created).UTC()
	if _, err = io.ReadFull(r, e.ID[:]); err != nil {
		return e, err
	}
	var lengths [4]int
	whole := 0
	for i := range lengths {
		lengths[i] = int(number())
		whole += lengths[i]
	}
	if err != nil || whole < 0 || whole > 1<<30 {
		return e, errors.Join(err, io.ErrUnexpectedEOF)
	}
	b := make([]byte, whole)
	if _, err = io.ReadFull(r, b); err != nil {
		return e, err
	}
	cut := func(n int) []byte { c := b[:n:n]; b = b[n:]; return c }
	e.Stream, e.Type = string(cut(lengths[0])), string(cut(lengths[1]))
	e.Meta, e.Data = cut(lengths[2]), cut(lengths[3])
	return e, nil
}

// isClaimName tells whether a stream is named as reservations are: a kind and a keyed hash.
func isClaimName(name string) bool {
	_, hash, _ := strings.Cut(name, "-")
	_, _, file := record.SplitStream(name)
	return !file && len(hash) == 64 && strings.Trim(hash, "0123456789abcdef") == ""
}
