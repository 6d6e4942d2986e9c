package notary

import (
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"os"

	"golang.org/x/sys/unix"
)

// revisions knows the next revision of each stream: an open hash table in a temporary file, mapped into memory, so that
// a journal of many streams does not need memory that cannot be had back. Streams are told apart by a 64-bit hash with a
// secret seed; two of ten million collide with a chance of 1 to 370,000, and then a finding is false, never missed.
type revisions struct {
	seed maphash.Seed
	slot []byte // 16 bytes a slot: hash, next revision; the latter is never 0 in a slot that is used
	used uint64
}

const firstSlots = 1 << 14

func newRevisions() (*revisions, error) {
	slot, err := mapSlots(firstSlots)
	return &revisions{seed: maphash.MakeSeed(), slot: slot}, err
}

func mapSlots(n int) ([]byte, error) {
	f, err := os.CreateTemp("", "revisions")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := os.Remove(f.Name()); err != nil { // it goes with the process, however that ends
		return nil, err
	}
	if err := f.Truncate(int64(16 * n)); err != nil {
		return nil, err
	}
	b, err := unix.Mmap(int(f.Fd()), 0, 16*n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map a temporary file of %d bytes: %w", 16*n, err)
	}
	return b, nil
}

func (r *revisions) close() error { return unix.Munmap(r.slot) }

// at is the slot of a stream: its own, or the empty one where it belongs.
func (r *revisions) at(stream uint64) []byte {
	mask := uint64(len(r.slot)/16 - 1)
	for i := stream & mask; ; i = (i + 1) & mask {
		s := r.slot[16*i : 16*i+16]
		if binary.NativeEndian.Uint64(s[8:]) == 0 || binary.NativeEndian.Uint64(s) == stream {
			return s
		}
	}
}

// follow says whether the revision is the next of its stream, and which would have been. It goes on from there.
func (r *revisions) follow(stream, revision uint64) (want uint64, ok bool, err error) {
	s := r.at(stream)
	want = binary.NativeEndian.Uint64(s[8:])
	if want == 0 {
		if r.used++; r.used > uint64(len(r.slot)/16)*6/10 {
			if err := r.grow(); err != nil {
				return 0, false, err
			}
			s = r.at(stream)
		}
		binary.NativeEndian.PutUint64(s, stream)
	}
	binary.NativeEndian.PutUint64(s[8:], max(want, revision+1)) // an old event that comes again must not hide what follows
	return want, revision == want, nil
}

// grow doubles the table.
func (r *revisions) grow() error {
	old := r.slot
	slot, err := mapSlots(2 * len(old) / 16)
	if err != nil {
		return err
	}
	r.slot = slot
	for rest := old; len(rest) > 0; rest = rest[16:] {
		if binary.NativeEndian.Uint64(rest[8:]) != 0 {
			copy(r.at(binary.NativeEndian.Uint64(rest)), rest[:16])
		}
	}
	return unix.Munmap(old)
}
