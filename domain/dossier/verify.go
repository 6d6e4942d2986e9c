package dossier

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"

	"filippo.io/torchwood"
	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"yidang/domain/catalog"
	"yidang/domain/notary"
	"yidang/domain/person"
	"yidang/domain/record"
)

// Trust is what the checker brings along: none of it is taken from the zip.
type Trust struct {
	// Policy has the keys of the log, and the witnesses and quorum that are asked for.
	Policy *notary.Policy
	// Version of this program. A page made by the same version must be the one that this one makes; of another version's
	// page the report says that it may differ.
	Version string
	Catalog *catalog.Catalog // nil: that of this program
}

// Limits of what is read into memory: a hostile zip cannot make the checker use more.
const (
	maxManifest = 64 << 20
	maxSmall    = 1 << 20 // a note, a proof, a policy
	maxText     = 2 * maxShown
)

// Verify checks a dossier. The error is a *Forged that names what is wrong; without one the report says what is proved.
func Verify(r io.ReaderAt, size int64, t Trust) (*Report, error) {
	if t.Policy == nil || len(t.Policy.Logs) == 0 {
		return nil, record.Errorf(record.Invalid, "no key of the log is given: without one nothing can be checked")
	}
	if t.Catalog == nil {
		var err error
		if t.Catalog, err = catalog.New(); err != nil {
			return nil, err
		}
	}
	v := &verifier{Trust: t, r: r, files: map[string]entry{}, used: map[string]bool{}, report: &Report{}, events: map[uuid.UUID]bool{}}
	for _, step := range []func(size int64){v.open, v.hashes, v.checkpoint, v.streams, v.papers, v.pages, v.rest} {
		if step(size); len(v.faults) > 0 {
			return nil, &Forged{Faults: v.faults}
		}
	}
	v.report.say(v.manifest)
	return v.report, nil
}

type verifier struct {
	Trust
	book
	r      io.ReaderAt
	list   []entry
	files  map[string]entry
	used   map[string]bool // files that the dossier accounts for
	faults []*Fault
	report *Report

	text   []byte // of the checkpoint
	tree   tlog.Tree
	events map[uuid.UUID]bool
	shown  int64

	notAsked bool // an attachment is left out because none was asked for
}

func (v *verifier) fail(f *Fault) {
	if len(v.faults) < maxFaults {
		v.faults = append(v.faults, f)
	}
}

// content reads a whole file; nil after a fault.
func (v *verifier) content(name string, limit int64) []byte {
	e, ok := v.files[name]
	if !ok {
		v.fail(fault(name, "缺少此文件", "the file is missing"))
		return nil
	}
	v.used[name] = true
	if e.size > limit {
		v.fail(fault(name, "文件过大", "the file is too large"))
		return nil
	}
	b := make([]byte, e.size)
	if err := readAt(v.r, b, e.at); err != nil {
		v.fail(unread(err))
		return nil
	}
	return b
}

// open reads the directory, the manifest and its signature.
func (v *verifier) open(size int64) {
	list, f := readArchive(v.r, size)
	if f != nil {
		v.fail(f)
		return
	}
	v.list = list
	for _, e := range list {
		v.files[e.name] = e
	}
	if n := len(list); n < 2 || list[n-2].name != manifestName || list[n-1].name != noteName {
		v.fail(fault("", "末尾不是清单及其签名", "its last files are not the manifest and its signature"))
		return
	}
	raw, signed := v.content(manifestName, maxManifest), v.content(noteName, maxSmall)
	if raw == nil || signed == nil {
		return
	}
	origin, err := openNote(signed, raw, v.Policy.Logs)
	if err != nil {
		v.fail(fault(noteName, "清单的签名无效：清单被改动，或不是由受信的密钥签名", "the signature of the manifest is not valid: the manifest was changed, or none of the trusted keys signed it").because(err))
		return
	}
	for _, n := range []string{manifestName, noteName} {
		v.checksum(v.files[n], io.Discard)
	}
	m, err := decodeManifest(raw)
	if err != nil || m.Form < addedOnly || m.Form > manifestForm || m.Origin != origin {
		v.fail(fault(manifestName, "不是本版本认识的清单", "it is not a manifest that this version knows").because(err))
		return
	}
	if r, err := m.Redaction.complete(); err != nil || !slices.Equal(r.Groups, m.Redaction.Groups) {
		v.fail(fault(manifestName, "出示范围的声明无效", "its statement of what is shown is not valid").because(err))
	}
	v.report.Manifest = m
	without := *m
	without.Files = nil
	v.manifest, v.names = &without, map[string]string{}
	v.report.LogKey = origin
}

// checksum reads a file through and compares its CRC-32.
func (v *verifier) checksum(e entry, to io.Writer) {
	sum := crc32.NewIEEE()
	if _, err := io.CopyBuffer(io.MultiWriter(sum, to), struct{ io.Reader }{io.NewSectionReader(v.r, e.at, e.size)}, make([]byte, min(e.size+1, 64<<10))); err != nil {
		v.fail(unread(err))
	} else if sum.Sum32() != e.crc {
		v.fail(fault(e.name, "校验和不符：文件被改动", "its checksum is wrong: the file was changed"))
	}
}

// hashes compares every file with the manifest.
func (v *verifier) hashes(int64) {
	files := v.report.Manifest.Files
	if len(files) != len(v.list)-2 {
		v.fail(fault("", fmt.Sprintf("有 %d 个文件，清单列出 %d 个", len(v.list)-2, len(files)), fmt.Sprintf("it has %d files and its manifest lists %d", len(v.list)-2, len(files))))
		return
	}
	for i, f := range files {
		e := v.list[i]
		if e.name != f.Name || e.size != f.Size {
			v.fail(fault(e.name, "此处应为 "+f.Name, fmt.Sprintf("the manifest has %s of %d bytes in its place", f.Name, f.Size)))
			continue
		}
		sum := sha256.New()
		v.checksum(e, sum)
		if hex.EncodeToString(sum.Sum(nil)) != f.SHA256 {
			v.fail(fault(e.name, "内容与清单不符：文件被改动", "its content is not that of the manifest: the file was changed"))
		}
	}
}

// checkpoint verifies the log's and the witnesses' signatures.
func (v *verifier) checkpoint(int64) {
	v.text = v.content("checkpoint.txt", maxSmall)
	if v.text == nil {
		return
	}
	c, err := notary.OpenCheckpoint(v.text, v.Policy)
	switch {
	case errors.As(err, new(*notary.QuorumError)):
		v.fail(fault("checkpoint.txt", "见证人副署不足", "too few of the witnesses that you ask for have cosigned it").because(err))
		return
	case err != nil:
		v.fail(fault("checkpoint.txt", "检查点签名无效", "the signature of the checkpoint is not valid").because(err))
		return
	case c.Origin != v.manifest.Origin || c.N != v.manifest.Tree:
		v.fail(fault("checkpoint.txt", "不是清单所述的检查点", "it is not the checkpoint that the manifest names"))
		return
	}
	v.tree = c.Tree
	v.report.Size, v.report.Root = c.N, c.Hash.String()
	v.report.witnesses(v.text, v.Policy)
}

// names reads names.json.
func (v *verifier) nameList() {
	raw := v.content("names.json", maxText)
	if raw == nil {
		return
	}
	err := json.Unmarshal(raw, &v.names)
	if err == nil {
		var again []byte
		if again, err = encodeNames(v.names); err == nil && !bytes.Equal(again, raw) {
			err = errors.New("it is not in its one form")
		}
	}
	if err != nil {
		v.fail(fault("names.json", "格式不符", "it is not a list of names").because(err))
	}
}

// streams checks every event.
func (v *verifier) streams(int64) {
	v.nameList()
	people := map[uuid.UUID]bool{}
	for _, s := range v.manifest.Streams {
		if k, id, ok := record.SplitStream(s.Name); ok && k == person.Category.Name {
			people[id] = true
		}
	}
	if !people[v.manifest.Person] {
		v.fail(fault(manifestName, "缺少此人本人的流", "the person's own stream is missing"))
	}
	for i, s := range v.manifest.Streams {
		if i > 0 && s.Name <= v.manifest.Streams[i-1].Name {
			v.fail(fault(manifestName, "流的次序不符", "the streams are not in their order"))
		}
		k, ok := v.Catalog.Of(s.Name)
		if !ok {
			v.fail(fault(manifestName, "不认识的流 "+s.Name, "this version knows no stream like "+s.Name))
			continue
		}
		c := &chapter{category: k, name: s.Name}
		v.stream(c, people)
		if len(v.faults) > 0 {
			return
		}
		if c.count() != s {
			v.fail(fault("events/"+s.Name+".jsonl", "记录数与清单不符", "it has other numbers of entries than the manifest says"))
		}
		v.chapters = append(v.chapters, c)
		v.report.count(c)
	}
}

// streamState is what the check of a stream carries from event to event.
type streamState struct {
	kinds     map[uuid.UUID]string
	committed bool // an event had a commitment: those after it must
	index     int64
}

func (v *verifier) stream(c *chapter, people map[uuid.UUID]bool) {
	file := "events/" + c.name + ".jsonl"
	if v.shown += v.files[file].size; v.shown > maxText {
		v.fail(fault(file, "卷宗过大", "the dossier is too large"))
		return
	}
	raw := v.content(file, maxText)
	st := &streamState{kinds: map[uuid.UUID]string{}, index: -1}
	for text := range bytes.Lines(raw) {
		l, err := decodeLine(text)
		if err != nil {
			v.fail(fault(file, fmt.Sprintf("第 %d 行格式不符", len(c.lines)+1), fmt.Sprintf("line %d is not an event", len(c.lines)+1)).because(err))
			return
		}
		if f := v.event(c, l, st, people); f != nil {
			f.File = file
			v.fail(f.of(l.Event))
			if len(v.faults) >= maxFaults {
				return
			}
		}
	}
}

// event checks one line, and adds it to the chapter.
func (v *verifier) event(c *chapter, l *line, st *streamState, people map[uuid.UUID]bool) *Fault {
	if want := uint64(len(c.lines)); l.Revision != want {
		return fault("", fmt.Sprintf("应为第 %d 号记录，却是第 %d 号：有记录被抽走、插入或调换", want, l.Revision), fmt.Sprintf("revision %d is in the place of %d: an entry was taken out, put in or moved", l.Revision, want))
	}
	if v.events[l.Event] {
		return fault("", "编号重复", "its id occurs twice")
	}
	v.events[l.Event] = true
	h, index, f := v.proof(c, l)
	if f != nil {
		return f
	}
	if index <= st.index {
		return fault("", "在日志中的次序不符", "it stands in the log before the entry that precedes it here")
	}
	st.index = index
	if sha256.Sum256(l.Meta) != h.MetaHash {
		return fault("", "元数据被改动", "its metadata is not what was recorded")
	}
	if _, err := l.check(h.DataHash); err != nil {
		return fault("", "出示的内容不是当时记录的内容", "what is shown is not what was recorded").because(err)
	}
	e, err := c.read(v.Catalog, l)
	if err != nil {
		return fault("", "内容无法读出", "it cannot be read by this version").because(err)
	}
	if !people[e.Meta.Person] {
		return fault("", "不是此人的记录", "it is not of this person's file")
	}
	if f := v.redaction(c, l, st); f != nil {
		return f
	}
	st.kinds[l.Event] = l.Type
	c.index = append(c.index, index)
	c.add(l, e)
	return nil
}

// proof checks that the log has the event.
func (v *verifier) proof(c *chapter, l *line) (h notary.Header, index int64, f *Fault) {
	name := proofName(l.Event)
	raw := v.content(name, maxSmall)
	if raw == nil {
		return h, 0, fault("", "缺少证明", "its proof is missing")
	}
	p, err := notary.ParseProof(raw)
	if err == nil && !bytes.Equal(p.Checkpoint, v.text) {
		err = errors.New("it is a proof against another checkpoint")
	}
	if err == nil {
		err = tlog.CheckRecord(p.Hashes, v.tree.N, v.tree.Hash, p.Index, tlog.RecordHash(p.Leaf))
	}
	if err == nil {
		h, err = notary.ParseLeaf(p.Leaf)
	}
	if err != nil {
		return h, 0, fault("", "存证日志中没有此记录", "the log is not proved to have it").because(err)
	}
	if h.Stream != c.name || h.Revision != l.Revision || h.Event != l.Event || h.Type != l.Type {
		return h, 0, fault("", "证明的是另一条记录", "what is proved is another entry")
	}
	return h, p.Index, nil
}

// redaction holds a line to the manifest's statement of what is withheld.
func (v *verifier) redaction(c *chapter, l *line, st *streamState) *Fault {
	row, ok := v.Catalog.Event(c.category.Name, l.Type)
	sealed := c.category.Sealed && !(ok && row.Plain) && l.Data == nil
	commitment, err := catalog.Commitment(l.Meta)
	if err != nil {
		return fault("", "元数据无法读出", "its metadata cannot be read").because(err)
	}
	if sealed && commitment == nil && st.committed {
		return fault("", "此前的记录有内容承诺而此条没有", "entries before it commit to their content and it does not")
	}
	st.committed = st.committed || commitment != nil
	if l.Erased {
		return nil
	}
	about, values := target(l.Type, st.kinds, l.opened())
	why, hidden := v.manifest.Redaction.event(c.category, l.Type, !sealed, about, values)
	wrong := fault("", "未出示的内容与清单的声明不符", "what is withheld is not what the manifest states")
	switch {
	case why == "" || hidden == nil:
		if l.Withheld != why || l.whole() != (why != "") {
			return wrong
		}
		return nil
	case l.whole():
		if commitment != nil || l.Withheld != why {
			return wrong
		}
		return nil
	case anyHidden(l.opened(), hidden) || l.Withheld != "" && l.Withheld != why:
		return wrong
	}
	return nil
}

// pages makes the page again from what was checked.
func (v *verifier) pages(int64) {
	page, explain := v.content("index.html", maxText), v.content("explain.html", maxSmall)
	if page == nil || explain == nil {
		return
	}
	if v.manifest.PDF == pdfThere {
		v.content("dossier.pdf", maxText)
	}
	again, err := v.page()
	if err != nil {
		v.fail(fault("index.html", "页面无法重制", "the page cannot be made again").because(err))
		return
	}
	v.report.PageChecked = bytes.Equal(again, page) && bytes.Equal(explain, explainSource)
	if !v.report.PageChecked && v.manifest.Tool == v.Version {
		v.fail(fault("index.html", "页面所述与记录不符", "the page does not say what the entries say"))
	}
	v.report.Timeline = v.timeline()
}

// rest refuses files that the dossier has no use for.
func (v *verifier) rest(int64) {
	for _, e := range v.list {
		if !v.used[e.name] && e.name != "policy.txt" {
			v.fail(fault(e.name, "多余的文件", "the file has no place in a dossier"))
		}
	}
}

// witnesses notes who cosigned, and when.
func (r *Report) witnesses(checkpoint []byte, p *notary.Policy) {
	n, err := note.Open(checkpoint, p)
	if err != nil {
		return
	}
	for _, s := range n.Sigs {
		for _, w := range p.Witnesses {
			if w.Key.Name() != s.Name || w.Key.KeyHash() != s.Hash {
				continue
			}
			if at, err := torchwood.CosignatureTimestamp(s); err == nil {
				r.Witnesses = append(r.Witnesses, Witness{w.Name, at})
			}
		}
	}
}
