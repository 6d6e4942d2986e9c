package notary

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"strings"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/tlog"

	"yidang/domain/journal"
)

// Stream is where checkpoints are appended.
const Stream = "checkpoint"

// IsLeaf says whether an event of this stream is a leaf of the log. Every event is, except those of system streams and
// those of the checkpoint stream: a checkpoint that were a leaf would itself call for the next checkpoint, and an idle
// log would never come to rest. Which events are leaves, and in which order, depends on the journal alone.
func IsLeaf(stream string) bool { return stream != Stream && !strings.HasPrefix(stream, "$") }

const (
	leafMagic  = "ydleaf1\n"
	leafFixed  = 8 + 8 + 16 + sha256.Size + sha256.Size
	leafNames  = 2 + 2
	maxLeaf    = leafFixed + leafNames + 2*journal.MaxName // far below the 65,535 bytes that a tlog-tiles entry may have
	tileHeight = 8
	tileWidth  = 1 << tileHeight
)

// Leaf is the leaf of an event: a header of what the journal says of it and the hashes of its bytes. It holds nothing of
// the content, so it can be shown to anybody, and it stays when the content's key is destroyed. The package comment has
// the format to the byte. The names must be within journal.MaxName, as those of all events of ours are.
func Leaf(e journal.Stored) []byte {
	return appendLeaf(make([]byte, 0, leafFixed+leafNames+len(e.Stream)+len(e.Type)), e)
}

func appendLeaf(b []byte, e journal.Stored) []byte {
	b = append(b, leafMagic...)
	b = binary.BigEndian.AppendUint64(b, e.Revision)
	b = append(b, e.ID[:]...)
	meta, data := sha256.Sum256(e.Meta), sha256.Sum256(e.Data)
	b = append(append(b, meta[:]...), data[:]...)
	b = append(binary.BigEndian.AppendUint16(b, uint16(len(e.Stream))), e.Stream...)
	return append(binary.BigEndian.AppendUint16(b, uint16(len(e.Type))), e.Type...)
}

// Header is what a leaf says.
type Header struct {
	Stream   string
	Revision uint64
	Event    uuid.UUID
	Type     string
	MetaHash [sha256.Size]byte
	DataHash [sha256.Size]byte
}

var errLeaf = errors.New("these bytes are not a leaf of this log")

// ParseLeaf reads a leaf. It accepts exactly the bytes that Leaf makes.
func ParseLeaf(leaf []byte) (Header, error) {
	var h Header
	if len(leaf) < leafFixed+leafNames || string(leaf[:8]) != leafMagic {
		return h, errLeaf
	}
	h.Revision = binary.BigEndian.Uint64(leaf[8:])
	copy(h.Event[:], leaf[16:])
	copy(h.MetaHash[:], leaf[32:])
	copy(h.DataHash[:], leaf[64:])
	var ok bool
	rest := leaf[leafFixed:]
	if h.Stream, rest, ok = cutName(rest); ok {
		h.Type, rest, ok = cutName(rest)
	}
	if !ok || len(rest) > 0 {
		return Header{}, errLeaf
	}
	return h, nil
}

func cutName(b []byte) (name string, rest []byte, ok bool) {
	if len(b) < 2 {
		return "", nil, false
	}
	n := int(binary.BigEndian.Uint16(b))
	if n > journal.MaxName || len(b) < 2+n {
		return "", nil, false
	}
	return string(b[2 : 2+n]), b[2+n:], true
}

// leafHash is the RFC 6962 hash of a leaf. It differs from tlog.RecordHash in that it makes no garbage.
func leafHash(leaf []byte) tlog.Hash {
	var room [1024]byte
	b := append(room[:1], leaf...) // the prefix 0x00, then the leaf
	return sha256.Sum256(b)
}

// leafEvent is the event id in a leaf that this package made.
func leafEvent(leaf []byte) uuid.UUID { return uuid.UUID(leaf[16:32]) }
