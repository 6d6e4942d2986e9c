package dossier

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"yidang/domain/catalog"
	"yidang/domain/journal"
	"yidang/domain/notary"
	"yidang/domain/person"
	"yidang/domain/record"
)

// paper is a record in memory, the same each time: for fuzzing, where a real journal is too slow, and for the dossier that
// must verify for ever. What it stands in for is tried with real ones in the other tests.
type paper struct {
	events []journal.Stored
	hashes []tlog.Hash
	signer note.Signer
	policy *notary.Policy
	codec  *catalog.Codec
	person uuid.UUID
}

func (p *paper) Stream(_ context.Context, stream string, _ uint64) iter.Seq2[journal.Stored, error] {
	return func(yield func(journal.Stored, error) bool) {
		for _, e := range p.events {
			if e.Stream == stream && !yield(e, nil) {
				return
			}
		}
	}
}

func (p *paper) Head(context.Context) (uint64, bool, error) { return uint64(len(p.events)), true, nil }

// ReadHashes makes it a tlog.HashReader.
func (p *paper) ReadHashes(indexes []int64) (out []tlog.Hash, _ error) {
	for _, i := range indexes {
		out = append(out, p.hashes[i])
	}
	return out, nil
}

func (p *paper) Proofs(_ context.Context, ids ...uuid.UUID) (out []notary.Proof, err error) {
	n := int64(len(p.events))
	root, err := tlog.TreeHash(n, p)
	if err != nil {
		return nil, err
	}
	signed, err := note.Sign(&note.Note{Text: fmt.Sprintf("%s\n%d\n%s\n", origin, n, root)}, p.signer)
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		i := slices.IndexFunc(p.events, func(e journal.Stored) bool { return e.ID == id })
		proof := notary.Proof{Index: int64(i), Leaf: notary.Leaf(p.events[i]), Checkpoint: signed}
		if proof.Hashes, err = tlog.ProveRecord(n, int64(i), p); err != nil {
			return nil, err
		}
		out = append(out, proof)
	}
	return out, nil
}

// plain is a vault whose ciphertext is the plaintext, byte for byte the other way round.
type plain struct{}

func (plain) Seal(_ context.Context, _ string, b, _ []byte) ([]byte, error) {
	b = bytes.Clone(b)
	slices.Reverse(b)
	return b, nil
}

func (p plain) Open(ctx context.Context, s string, b, aad []byte) ([]byte, error) {
	return p.Seal(ctx, s, b, aad)
}

func (plain) Blind(_ context.Context, stream string, name []byte) ([32]byte, error) {
	return sha256.Sum256(append([]byte(stream), name...)), nil
}

func onPaper(t testing.TB) *paper {
	t.Helper()
	p := &paper{codec: &catalog.Codec{Catalog: list(t), Vault: plain{}}, person: uuid.MustParse("00000000-0000-4000-8000-000000000001")}
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	public := append([]byte{1}, key.Public().(ed25519.PublicKey)...)
	sum := sha256.Sum256(append([]byte(origin+"\n"), public...))
	var err error
	if p.signer, err = note.NewSigner(fmt.Sprintf("PRIVATE+KEY+%s+%x+%s", origin, sum[:4], base64.StdEncoding.EncodeToString(append([]byte{1}, make([]byte, 32)...)))); err != nil {
		t.Fatal(err)
	}
	v, err := note.NewVerifier(fmt.Sprintf("%s+%x+%s", origin, sum[:4], base64.StdEncoding.EncodeToString(public)))
	if err != nil {
		t.Fatal(err)
	}
	p.policy = (*notary.Policy)(nil).WithLogs(v)
	at := time.Date(2026, 3, 2, 1, 0, 0, 0, time.UTC)
	for i, data := range []any{
		person.Registered{Name: "梁平", CitizenID: "999999198001010011", Sex: 1, Birth: time.Date(1980, 1, 1, 0, 0, 0, 0, record.Zone), Phone: "12011406879", Village: uuid.MustParse("00000000-0000-4000-8000-000000000002")},
		person.FamilyMemberAdded{FamilyMember: person.FamilyMember{ID: uuid.MustParse("00000000-0000-4000-8000-000000000003"), Name: "梁母", Relation: "parent", Phone: "12011400002"}},
		person.ContactChanged{Phone: "12011406880"},
	} {
		row, _ := person.Category.EventFor(data)
		id := uuid.NewSHA1(p.person, []byte{byte(i)})
		e := record.Event{ID: id, Stream: person.Stream(p.person), Revision: uint64(i), Type: row.Name, Data: data, Meta: record.Meta{Form: row.Form(),
			Actor: uuid.MustParse("00000000-0000-4000-8000-000000000004"), Role: record.CommunityPolice, Person: p.person, OccurredAt: at, RecordedAt: at.Add(time.Duration(i) * time.Hour), Command: id, Correlation: id, Causation: id}}
		sealed, err := p.codec.Seal(t.Context(), e)
		if err != nil {
			t.Fatal(err)
		}
		s := journal.Stored{ID: id, Stream: e.Stream, Revision: e.Revision, Position: uint64(i + 1), Type: e.Type, Meta: sealed.Meta, Data: sealed.Data}
		hashes, err := tlog.StoredHashes(int64(i), notary.Leaf(s), p)
		if err != nil {
			t.Fatal(err)
		}
		p.events, p.hashes = append(p.events, s), append(p.hashes, hashes...)
	}
	return p
}

func (p *paper) build(t testing.TB, redact Redaction) []byte {
	t.Helper()
	var out bytes.Buffer
	_, err := Build(t.Context(), &out, Options{
		Person: p.person, Streams: []string{person.Stream(p.person)}, Journal: p, Codec: p.codec, Prover: p, Signer: p.signer, Redact: redact,
		By: uuid.MustParse("00000000-0000-4000-8000-000000000005"), Purpose: "subject-request", Version: "v-paper",
		Now: func() time.Time { return time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC) },
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func (p *paper) verify(raw []byte, version string) (*Report, error) {
	return Verify(bytes.NewReader(raw), int64(len(raw)), Trust{Policy: p.policy, Version: version})
}

// Ensure that a dossier that was once given out verifies for ever, whatever this program writes today. The file may never
// be changed; of a new form another one is added.
func TestOldFormsVerify(t *testing.T) {
	p := onPaper(t)
	for form, early := range map[string]bool{"v1": true, "v2": false} {
		raw, err := os.ReadFile(filepath.Join("testdata", "dossier."+form+".zip"))
		if err != nil {
			t.Fatal(err)
		}
		r, err := p.verify(raw, "of another time")
		if err != nil || r.Events != 3 || r.Open != 2 || r.Partly != 1 || says(r.NotProved, "of an early form") != early {
			t.Errorf("%s: %+v, %v", form, r, err)
		}
	}
}

// FuzzVerify looks for bytes that make the checker panic, and for a dossier beside the true one that verifies.
func FuzzVerify(f *testing.F) {
	p := onPaper(f)
	raw := p.build(f, Redaction{Level: Full})
	f.Add(raw)
	f.Add([]byte("PK\x05\x06"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := p.verify(b, "v-paper"); err == nil && !bytes.Equal(b, raw) {
			t.Error("it verifies, and is not the true one")
		}
	})
}

// FuzzSigned does the same for the files within, in a zip that the log's key has signed.
func FuzzSigned(f *testing.F) {
	p := onPaper(f)
	raw := p.build(f, Redaction{Level: OwnCopy})
	if _, err := p.verify(raw, "v-paper"); err != nil {
		f.Fatal(err)
	}
	names, files := contents(f, raw)
	for i, n := range names {
		f.Add(i, files[n])
	}
	f.Fuzz(func(t *testing.T, n int, content []byte) {
		name := names[uint(n)%uint(len(names))]
		forgery := takeApart(t, raw)
		if name == manifestName {
			m, err := decodeManifest(content)
			if err != nil {
				return
			}
			forgery.manifest = m
		}
		forgery.files[name] = content
		_, err := p.verify(forgery.sign(t, p.signer), "v-paper")
		proved := strings.HasPrefix(name, "events/") || strings.HasPrefix(name, "proofs/") || name == "index.html"
		if proved && err == nil && !bytes.Equal(content, files[name]) {
			t.Errorf("another %s verifies", name)
		}
	})
}
