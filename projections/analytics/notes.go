package analytics

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"math"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"yidang/domain/casework"
	"yidang/domain/record"
)

// Note is what is told of a visit's note: whether it equals another, or resembles one, and roughly how long it is. It is
// made inside the vault's process; the text goes nowhere.
//
// Without the key the numbers say nothing but that two notes are alike. Who holds the key can try a guess against them, as
// with every keyed hash. Notes that are short have no hash at all: few words are written so often (在家, 一切正常) that to be
// alike says nothing, and a count of equal ones would tell which words they are.
type Note struct {
	Hash   uint64    // of the text, see normal; 0 when there is no note, or a short one
	Near   [4]uint64 // one of them is the same for most pairs of notes that differ in a word
	Length uint16    // the class: the least length of it, of noteLengths; 0 when there is no note
}

// The classes of length, in letters and digits. A note of the first one is short: it has no hash.
var noteLengths = [...]uint16{1, 8, 16, 32, 64}

// perNear is how many least values make one of Note.Near. Two notes that share the part J of their trigrams have one of
// them in common with the probability 1-(1-J^perNear)^4: 95 % at J = 0.85 (one word of forty characters differs), 23 % at
// 0.5, 3 % at 0.3.
const (
	perNear = 4
	orders  = len(Note{}.Near) * perNear
)

// notes hashes notes. It serves one goroutine.
type notes struct {
	mac   hash.Hash
	seeds [orders]uint64 // secret, so that nobody can write a text to a wanted hash
	text  []rune
	sum   []byte
}

func newNotes(mac MAC) *notes {
	n := &notes{mac: hmac.New(sha256.New, mac("analytics note"))}
	for i := range n.seeds {
		n.seeds[i] = binary.BigEndian.Uint64(mac("analytics note order", []byte{byte(i)}))
	}
	return n
}

// of gives what is told of an event's note. Only visits are compared.
func (n *notes) of(e record.Event) (note Note) {
	v, ok := e.Data.(casework.VisitRecorded)
	if !ok || v.Note == "" {
		return note
	}
	n.normal(v.Note)
	for _, l := range noteLengths {
		if len(n.text) >= int(l) {
			note.Length = l
		}
	}
	if note.Length <= noteLengths[0] {
		return note
	}
	note.Hash = n.hash(0, func(b []byte) []byte { return append(b, string(n.text)...) })
	least := n.least()
	for i := range note.Near {
		note.Near[i] = n.hash(byte(i+1), func(b []byte) []byte {
			for _, l := range least[i*perNear : (i+1)*perNear] {
				b = binary.BigEndian.AppendUint64(b, l)
			}
			return b
		})
	}
	return note
}

// normal keeps letters and digits, in one width and case, and takes every number for the same: a note that was copied and
// got another date is the same note.
func (n *notes) normal(s string) {
	n.text = n.text[:0]
	number := false
	for _, r := range norm.NFKC.String(s) {
		digit := unicode.IsDigit(r)
		switch {
		case digit && !number:
			n.text = append(n.text, '0')
		case unicode.IsLetter(r):
			n.text = append(n.text, unicode.ToLower(r))
		}
		number = digit
	}
}

// least gives for each of several secret orders the least trigram of the text (MinHash).
func (n *notes) least() (least [orders]uint64) {
	for i := range least {
		least[i] = math.MaxUint64
	}
	for i := 2; i < len(n.text); i++ {
		gram := uint64(n.text[i-2])<<42 | uint64(n.text[i-1])<<21 | uint64(n.text[i])
		for k, seed := range n.seeds {
			least[k] = min(least[k], mix(gram^seed))
		}
	}
	return least
}

// mix is the finalizer of splitmix64, a bijection. It orders; what keeps the order secret is that only hashes of it leave.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

func (n *notes) hash(sort byte, what func([]byte) []byte) uint64 {
	n.sum = what(append(n.sum[:0], sort))
	n.mac.Reset()
	n.mac.Write(n.sum)
	n.sum = n.mac.Sum(n.sum[:0])
	return binary.BigEndian.Uint64(n.sum)
}
