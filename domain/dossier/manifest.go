package dossier

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/note"

	"yidang/domain/record"
)

// Manifest says what a dossier is and lists every file in it. The log's key signs its hash.
type Manifest struct {
	Form      int       `json:"form"`   // of the dossier, see manifestForm
	Tool      string    `json:"tool"`   // version of yidang that made it
	Origin    string    `json:"origin"` // of the log
	Person    uuid.UUID `json:"person"`
	Made      time.Time `json:"made"` // to the second, UTC
	By        uuid.UUID `json:"by"`   // the officer who asked for it
	Purpose   string    `json:"purpose"`
	Reason    string    `json:"reason"`
	Redaction Redaction `json:"redaction"`
	Position  uint64    `json:"position"` // of the journal: what the streams had up to it is all here
	Tree      int64     `json:"tree"`     // leaves in the checkpoint
	Streams   []Stream  `json:"streams"`
	Left      []Left    `json:"left"`    // attachments that are not in it
	PDF       string    `json:"pdf"`     // "yes", or why there is none
	Undrawn   []string  `json:"undrawn"` // characters that the PDF's font cannot draw: their code points stand for them
	Files     []File    `json:"files"`   // in the order of the zip; the last two files, the manifest and its note, are not listed
}

// Stream is one of the person's streams. Its events have the revisions 0 to Events-1 without gap.
type Stream struct {
	Name     string `json:"name"`
	Events   int    `json:"events"`
	Open     int    `json:"open"`     // shown whole
	Partly   int    `json:"partly"`   // some fields withheld
	Withheld int    `json:"withheld"` // all content withheld
	Erased   int    `json:"erased"`
	Unproved int    `json:"unproved"` // shown, on the server's word
}

// Left is an attachment that an event shown names and that is not in the dossier.
type Left struct {
	SHA256 string    `json:"sha256"`
	Event  uuid.UUID `json:"event"`
	Why    string    `json:"why"`
}

// File is a file of the dossier.
type File struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

const (
	manifestForm = 2
	addedOnly    = 1 // the form that has only those attachments that were added by themselves, none that other events name
	manifestName = "manifest.json"
	noteName     = "manifest.note"

	// noteContext is the first line of what is signed. The first line of a checkpoint is the log's origin, which is a name
	// of another form (no origin has a space), so that a signature of one can never stand for the other.
	noteContext = "yidang dossier v1"
)

func (m *Manifest) encode() ([]byte, error) {
	raw, err := json.MarshalIndent(m, "", " ")
	return append(raw, '\n'), err
}

// decodeManifest reads what encode wrote, and nothing else.
func decodeManifest(raw []byte) (*Manifest, error) {
	m := &Manifest{}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(m); err != nil {
		return nil, err
	}
	again, err := m.encode()
	if err != nil || !bytes.Equal(again, raw) {
		return nil, errors.New("the manifest is not in its one form")
	}
	return m, nil
}

func noteText(origin string, manifest []byte) string {
	return fmt.Sprintf("%s\n%s\n%x\n", noteContext, origin, sha256.Sum256(manifest))
}

// signManifest makes the note.
func signManifest(manifest []byte, signer note.Signer) ([]byte, error) {
	if strings.ContainsAny(signer.Name(), " \n") {
		return nil, record.Errorf(record.Invalid, "the signer's name %q is not that of a log", signer.Name())
	}
	return note.Sign(&note.Note{Text: noteText(signer.Name(), manifest)}, signer)
}

// openNote verifies the note by one of the log's keys and returns the origin. There is exactly one signature and one
// spelling of it.
func openNote(signed, manifest []byte, keys []note.Verifier) (origin string, err error) {
	n, err := note.Open(signed, note.VerifierList(keys...))
	if err != nil {
		return "", err
	}
	if len(n.Sigs) != 1 || len(n.UnverifiedSigs) != 0 {
		return "", errors.New("it has not exactly one signature")
	}
	s := n.Sigs[0]
	raw, err := base64.StdEncoding.Strict().DecodeString(s.Base64)
	if err != nil {
		return "", err
	}
	if string(signed) != n.Text+"\n— "+s.Name+" "+base64.StdEncoding.EncodeToString(raw)+"\n" {
		return "", errors.New("it is not in its one form")
	}
	if n.Text != noteText(s.Name, manifest) {
		return "", errors.New("it is a signature of something else than this manifest")
	}
	return s.Name, nil
}
