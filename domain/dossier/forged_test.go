package dossier

import (
	"archive/zip"
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"filippo.io/torchwood"
	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/note"

	"yidang/domain/notary"
	"yidang/domain/person"
	"yidang/domain/record"
)

// small is the smallest true dossier: one event.
func small(w *world) []byte {
	w.T.Helper()
	w.person = w.Person(1)
	w.streams = []string{person.Stream(w.person)}
	o := w.options()
	o.Reason = ""
	raw, _ := w.build(o)
	return raw
}

func forged(t testing.TB, w *world, raw []byte, what string) *Forged {
	t.Helper()
	_, err := w.verify(raw)
	var f *Forged
	if err == nil {
		t.Errorf("%s: it verifies", what)
		return &Forged{}
	} else if !errors.As(err, &f) || len(f.Faults) == 0 {
		t.Fatalf("%s: %v", what, err)
	}
	return f
}

// Ensure that there is no byte in a dossier, header or content, that can be another one, and that the file with the
// changed byte is named.
func TestEveryByteCounts(t *testing.T) {
	w := start(t)
	raw := small(w)
	w.true(raw)
	entries, fault := readArchive(bytes.NewReader(raw), int64(len(raw)))
	if fault != nil {
		t.Fatal(fault)
	}
	owner := make([]string, len(raw))
	for _, e := range entries {
		for i := e.at; i < e.at+e.size; i++ {
			owner[i] = e.name
		}
	}
	t.Run("flip", func(t *testing.T) {
		const shares = 2 // the machine has that many cores
		for share := range shares {
			t.Run("", func(t *testing.T) {
				t.Parallel()
				b := bytes.Clone(raw)
				for i := share; i < len(b); i += shares {
					flip(t, w, b, i, owner[i])
				}
			})
		}
	})
	w.true(raw)
	for n := 0; n < len(raw); n += 101 {
		forged(t, w, raw[:n], fmt.Sprintf("cut to %d bytes", n))
	}
	forged(t, w, append(bytes.Clone(raw), 0), "a byte more at the end")
	forged(t, w, append([]byte{0}, raw...), "a byte more at the beginning")
}

// flip changes a bit of byte i, each of them where there are few bytes, and wants the file that it is of to be named.
func flip(t *testing.T, w *world, raw []byte, i int, owner string) {
	bits := []int{i % 8}
	if owner == "" || owner == noteName || owner == "checkpoint.txt" {
		bits = []int{0, 1, 2, 3, 4, 5, 6, 7}
	}
	want := owner
	if want == manifestName {
		want = noteName
	}
	for _, bit := range bits {
		raw[i] ^= 1 << bit
		f := forged(t, w, raw, fmt.Sprintf("bit %d of byte %d (%s)", bit, i, owner))
		raw[i] ^= 1 << bit
		if want != "" && !slices.ContainsFunc(f.Faults, func(one *Fault) bool { return one.File == want }) {
			t.Errorf("byte %d of %s: the fault is %v", i, owner, f)
		}
		if t.Failed() {
			t.FailNow()
		}
	}
}

// Ensure that the same files in another zip are refused, whether stored or compressed.
func TestRepacked(t *testing.T) {
	w := start(t)
	names, files := contents(t, small(w))
	for _, method := range []uint16{zip.Store, zip.Deflate} {
		var out bytes.Buffer
		z := zip.NewWriter(&out)
		for _, n := range names {
			f, err := z.CreateHeader(&zip.FileHeader{Name: n, Method: method})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.Write(files[n]); err != nil {
				t.Fatal(err)
			}
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		forged(t, w, out.Bytes(), fmt.Sprintf("packed anew by method %d", method))
	}
}

// forgery is a dossier taken apart, to be put together again and signed by whoever holds a key: the log's own, for what
// a thief of it or the server itself could do.
type forgery struct {
	names    []string
	files    map[string][]byte
	manifest *Manifest
}

func takeApart(t testing.TB, raw []byte) *forgery {
	t.Helper()
	names, files := contents(t, raw)
	m, err := decodeManifest(files[manifestName])
	if err != nil {
		t.Fatal(err)
	}
	return &forgery{names[:len(names)-2], files, m}
}

func (f *forgery) sign(t testing.TB, key note.Signer) []byte {
	t.Helper()
	var out bytes.Buffer
	a := &archiver{w: &out}
	put := func(name string, content []byte) {
		if err := a.addBytes(name, content); err != nil {
			t.Fatal(err)
		}
	}
	f.manifest.Files = []File{}
	for _, n := range f.names {
		sum := sha256.Sum256(f.files[n])
		f.manifest.Files = append(f.manifest.Files, File{n, int64(len(f.files[n])), hex.EncodeToString(sum[:])})
		put(n, f.files[n])
	}
	raw, err := f.manifest.encode()
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signManifest(raw, key)
	if err != nil {
		t.Fatal(err)
	}
	put(manifestName, raw)
	put(noteName, signed)
	if err := a.close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func (f *forgery) edit(name, old, new string) {
	f.files[name] = bytes.Replace(f.files[name], []byte(old), []byte(new), 1)
}

func (f *forgery) drop(name string) {
	f.names = slices.DeleteFunc(f.names, func(n string) bool { return n == name })
}

// leaveOut takes the one attachment out and states why.
func (f *forgery) leaveOut(t *testing.T, event uuid.UUID, why string) {
	t.Helper()
	for _, n := range slices.Clone(f.names) {
		if sha, ok := strings.CutPrefix(n, "attachments/"); ok {
			f.drop(n)
			f.manifest.Left = append(f.manifest.Left, Left{SHA256: strings.TrimSuffix(sha, ".pdf"), Event: event, Why: why})
		}
	}
}

func (f *forgery) lines(name string) [][]byte {
	return bytes.SplitAfter(bytes.TrimSuffix(f.files[name], []byte("\n")), []byte("\n"))
}

func (f *forgery) setLines(name string, lines [][]byte) {
	for i, l := range lines {
		lines[i] = append(bytes.TrimSuffix(l, []byte("\n")), '\n')
	}
	f.files[name] = bytes.Join(lines, nil)
}

// Ensure that what even the holder of the log's key cannot forge is found and named: he can sign another manifest, but
// the log has what was recorded.
func TestForgedWithTheKey(t *testing.T) {
	w := start(t)
	w.life()
	raw, _ := w.build(w.options())
	events, own := "events/"+record.StreamOf("drugs", w.file)+".jsonl", "events/"+person.Stream(w.person)+".jsonl"
	decode := func(t *testing.T, f *forgery, n int) *line {
		l, err := decodeLine(append(bytes.TrimSuffix(bytes.Clone(f.lines(events)[n]), []byte("\n")), '\n'))
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	change := func(t *testing.T, f *forgery, n int, to func(*line)) {
		l := decode(t, f, n)
		to(l)
		all := f.lines(events)
		all[n] = l.encode(nil)
		f.setLines(events, all)
	}
	for _, c := range []struct {
		name, want string
		forge      func(t *testing.T, f *forgery)
	}{
		{"a field is edited", "what is shown is not what was recorded", func(_ *testing.T, f *forgery) { f.edit(events, "院坝", "院埧") }},
		{"metadata is edited", "its metadata is not what was recorded", func(_ *testing.T, f *forgery) { f.edit(events, `"role":"village-cadre"`, `"role":"volunteer-xxx"`) }},
		{"the time is edited", "its metadata is not what was recorded", func(_ *testing.T, f *forgery) {
			f.edit(events, `"occurredAt":"2026-03-03T07`, `"occurredAt":"2026-03-03T06`)
		}},
		{"a type is edited", "what is proved is another entry", func(_ *testing.T, f *forgery) { f.edit(events, "casework.visit_recorded", "casework.contact_recorded") }},
		{"an entry is taken out", "revision 2 is in the place of 1", func(_ *testing.T, f *forgery) { f.setLines(events, slices.Delete(f.lines(events), 1, 2)) }},
		{"an entry is taken out and the others are numbered anew", "what is proved is another entry", func(t *testing.T, f *forgery) {
			f.setLines(events, slices.Delete(f.lines(events), 1, 2))
			for i := range f.lines(events) {
				change(t, f, i, func(l *line) { l.Revision = uint64(i) })
			}
		}},
		{"two entries are swapped", "in the place of", func(_ *testing.T, f *forgery) {
			all := f.lines(events)
			all[1], all[2] = all[2], all[1]
			f.setLines(events, all)
		}},
		{"the content of two entries is swapped", "what is shown is not what was recorded", func(t *testing.T, f *forgery) {
			const i, j = 1, 2 // the visits
			a, b := decode(t, f, i), decode(t, f, j)
			change(t, f, i, func(l *line) { l.Salt, l.Fields = b.Salt, b.Fields })
			change(t, f, j, func(l *line) { l.Salt, l.Fields = a.Salt, a.Fields })
		}},
		{"a field is left out", "what is shown is not what was recorded", func(t *testing.T, f *forgery) {
			change(t, f, 1, func(l *line) { l.Fields = l.Fields[:len(l.Fields)-1] })
		}},
		{"a field is withheld against the statement", "what is withheld is not what the manifest states", func(t *testing.T, f *forgery) {
			change(t, f, 1, func(l *line) {
				salt, _ := unhex(l.Fields[3].Salt)
				hash := sha256.Sum256(append(salt[:], l.Fields[3].Open[1:len(l.Fields[3].Open)-1]...))
				l.Fields[3], l.Withheld = field{Hash: hex.EncodeToString(hash[:])}, WhyThirdParty
			})
		}},
		{"content is withheld against the statement", "what is withheld is not what the manifest states", func(t *testing.T, f *forgery) {
			change(t, f, 1, func(l *line) { l.Salt, l.Fields, l.Withheld = "", nil, WhyGroup })
		}},
		{"other content is passed off as early", "none of the forms", func(t *testing.T, f *forgery) {
			change(t, f, 1, func(l *line) { l.Salt, l.Fields, l.Unproved = "", nil, []byte(`{"outcome":"absent"}`) })
		}},
		{"an event is put in twice", "revision 9 is in the place of 10", func(_ *testing.T, f *forgery) {
			all := f.lines(events)
			f.setLines(events, append(all, bytes.Clone(all[9])))
		}},
		{"the page is edited", "the page does not say what the entries say", func(_ *testing.T, f *forgery) { f.edit("index.html", "院坝", "院埧") }},
		{"a name is edited", "the page does not say what the entries say", func(_ *testing.T, f *forgery) { f.edit("names.json", "前进村", "后退村") }},
		{"the explanation is edited", "the page does not say what the entries say", func(_ *testing.T, f *forgery) { f.edit("explain.html", "SHA-256", "SHA-255") }},
		{"an attachment is another one", "does not have the hash that was recorded", func(_ *testing.T, f *forgery) {
			for _, n := range f.names {
				if strings.HasPrefix(n, "attachments/") {
					f.edit(n, "synthetic", "SYNTHETIC")
				}
			}
		}},
		{"an attachment is taken out", "the attachment is missing", func(_ *testing.T, f *forgery) {
			for _, n := range slices.Clone(f.names) {
				if strings.HasPrefix(n, "attachments/") {
					f.drop(n)
				}
			}
		}},
		{"a paper is left out as a picture", "the entry says that it is none", func(t *testing.T, f *forgery) { f.leaveOut(t, decode(t, f, 5).Event, WhyPicture) }},
		{"a paper is left out as not asked for", "for another reason", func(t *testing.T, f *forgery) { f.leaveOut(t, decode(t, f, 5).Event, WhyNotShown) }},
		{"a paper is left out for a reason of entries", "does not say why", func(t *testing.T, f *forgery) { f.leaveOut(t, decode(t, f, 5).Event, WhySkeleton) }},
		{"a file is added", "has no place in a dossier", func(_ *testing.T, f *forgery) {
			f.names, f.files["readme.html"] = append(f.names, "readme.html"), []byte("read me first")
		}},
		{"a proof is taken out", "its proof is missing", func(t *testing.T, f *forgery) { f.drop(proofName(decode(t, f, 1).Event)) }},
		{"a proof is of another event", "what is proved is another entry", func(t *testing.T, f *forgery) {
			f.files[proofName(decode(t, f, 1).Event)] = f.files[proofName(decode(t, f, 2).Event)]
		}},
		{"the case is passed off as another person's", "the person's own stream is missing", func(_ *testing.T, f *forgery) { f.manifest.Person = uuid.New() }},
		{"the counts are others", "other numbers of entries", func(_ *testing.T, f *forgery) { f.manifest.Streams[0].Open-- }},
		{"the case of somebody else is added", "not of this person's file", func(t *testing.T, f *forgery) {
			i := slices.IndexFunc(f.manifest.Streams, func(s Stream) bool { return "events/"+s.Name+".jsonl" == own })
			f.manifest.Streams[i].Name = person.Stream(uuid.New())
			f.manifest.Person, _ = uuid.Parse(strings.TrimPrefix(f.manifest.Streams[i].Name, "person-"))
			f.names[slices.Index(f.names, own)] = "events/" + f.manifest.Streams[i].Name + ".jsonl"
			f.files["events/"+f.manifest.Streams[i].Name+".jsonl"] = f.files[own]
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := takeApart(t, raw)
			c.forge(t, f)
			if got := forged(t, w, f.sign(t, w.signer), c.name).Error(); !strings.Contains(got, c.want) {
				t.Errorf("found as %q", got)
			}
		})
	}
}

// Ensure that what cannot be proved is not said to be: a server that leaves out the end of a stream, a stream, or claims
// a key to be destroyed signs a lie, and the report says that these are its word.
func TestWhatIsOnTheServersWord(t *testing.T) {
	w := start(t)
	w.life()
	o := w.options()
	o.Streams = o.Streams[:1]
	raw, _ := w.build(o)
	if r := w.true(raw); !says(r.NotProved, "the server states it under its signature") || !says(r.NotProved, "no witness that you trust") {
		t.Errorf("not proved: %v", r.NotProved)
	}
	f := takeApart(t, raw)
	f.manifest.Tool = "v-other"
	f.edit("index.html", "人员", "人士")
	r, err := w.verify(f.sign(t, w.signer))
	if err != nil || r.PageChecked || !says(r.NotProved, "could not be compared") {
		t.Errorf("a page of another version: %v", err)
	}
}

// Ensure that only the key that the checker brings counts, and that a checkpoint's signature is none of a manifest.
func TestOtherKeys(t *testing.T) {
	w := start(t)
	raw := small(w)
	skey, vkey, err := note.GenerateKey(rand.Reader, origin)
	if err != nil {
		t.Fatal(err)
	}
	thief, _ := note.NewSigner(skey)
	if got := forged(t, w, takeApart(t, raw).sign(t, thief), "signed by a stranger").Error(); !strings.Contains(got, "none of the trusted keys") {
		t.Errorf("found as %q", got)
	}
	v, _ := note.NewVerifier(vkey)
	trust := Trust{Policy: (*notary.Policy)(nil).WithLogs(v), Version: "v-test"}
	if _, err := Verify(bytes.NewReader(raw), int64(len(raw)), trust); err == nil {
		t.Error("it verifies under another key")
	}
	if _, err := Verify(bytes.NewReader(raw), int64(len(raw)), Trust{}); err == nil {
		t.Error("it verifies without a key")
	}
	_, files := contents(t, raw)
	if _, err := openNote(files["checkpoint.txt"], files[manifestName], w.policy.Logs); err == nil {
		t.Error("a checkpoint passes for the signature of a manifest")
	}
	if _, err := notary.OpenCheckpoint(files[noteName], w.policy); err == nil {
		t.Error("the signature of a manifest passes for a checkpoint")
	}
}

// Ensure that witnesses that the checker asks for must have cosigned, and are named with their time.
func TestWitnesses(t *testing.T) {
	w := start(t)
	raw := small(w)
	f := takeApart(t, raw)
	witness := func() *torchwood.CosignatureSigner {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		s, err := torchwood.NewCosignatureSigner("witness.example/w", key)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	one, other := witness(), witness()
	n, err := note.Open(f.files["checkpoint.txt"], note.VerifierList(w.policy.Logs...))
	if err != nil {
		t.Fatal(err)
	}
	cosigned, err := note.Sign(n, one)
	if err != nil {
		t.Fatal(err)
	}
	plain := f.files["checkpoint.txt"]
	for name, b := range f.files { // the proofs have it too
		f.files[name] = bytes.Replace(b, plain, cosigned, 1)
	}
	raw = f.sign(t, w.signer)
	asking := func(s *torchwood.CosignatureSigner) Trust {
		p, err := notary.ParsePolicy([]byte("witness w " + s.Verifier().String() + "\nquorum w\n"))
		if err != nil {
			t.Fatal(err)
		}
		return Trust{Policy: p.WithLogs(w.policy.Logs...), Version: "v-test"}
	}
	r, err := Verify(bytes.NewReader(raw), int64(len(raw)), asking(one))
	if err != nil || len(r.Witnesses) != 1 || r.Witnesses[0].Name != "w" || r.Witnesses[0].At == 0 || says(r.NotProved, "no witness") {
		t.Errorf("with the witness: %+v, %v", r, err)
	}
	if _, err := Verify(bytes.NewReader(raw), int64(len(raw)), asking(other)); err == nil || !strings.Contains(err.Error(), "too few of the witnesses") {
		t.Errorf("with another witness: %v", err)
	}
}
