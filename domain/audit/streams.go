package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/google/uuid"

	"yidang/domain/access"
	"yidang/domain/casework"
	"yidang/domain/commands"
	"yidang/domain/journal"
	"yidang/domain/policy"
	"yidang/domain/record"
)

// walk goes through one stream, event by event, knowing what the file was before each.
type walk struct {
	*audit
	k       *record.Category
	stream  *stream
	history []record.Event // opened, from the first
	stored  journal.Stored // the last of them
	file    *record.File
	// blind is set once an event could not be read or is missing: what follows is not judged by a state that is not known.
	blind    bool
	erasedAt int // revision of the record.erased, -1 for none

	next      uint64
	clock     time.Time // of the latest event
	commands  map[uuid.UUID]bool
	command   uuid.UUID      // of the present append
	place     commands.Place // before the present append
	proposals map[uuid.UUID]*proposal
	approval  *approval // at the head of the present append, nil for none
	claimed   map[string]bool
	blobs     map[casework.Attachment]bool // looked at, without their names

	part       casePart  // as was kept last
	mergedInto uuid.UUID // what the file is merged into, as was kept last
}

// stream checks one stream and the claims that were made for it.
func (a *audit) stream(ctx context.Context, s *stream) error {
	k, known := a.categoryOf(s.name)
	if !known {
		a.unknown(s)
		return nil
	}
	w := &walk{audit: a, k: k, stream: s, erasedAt: -1, commands: map[uuid.UUID]bool{}, proposals: map[uuid.UUID]*proposal{}, claimed: a.claims(s)}
	if a.content() {
		w.file = record.NewFile(a.slim[k.Name], s.name)
		for i, e := range s.events {
			if e.Type == record.ErasedType && w.erasedAt < 0 {
				w.erasedAt = i
			}
		}
		w.erasure()
	}
	for i := range s.events {
		if err := w.step(ctx, s.events[i]); err != nil {
			return err
		}
	}
	if a.content() {
		w.illegible()
	}
	return nil
}

func (a *audit) categoryOf(name string) (*record.Category, bool) {
	if a.Catalog == nil {
		return &record.Category{}, true // only the order is looked at
	}
	return a.Catalog.Of(name)
}

// unknown reports a stream that is of no category. Claims for a stream that is not there are only the trace of a crash.
func (a *audit) unknown(s *stream) {
	for _, e := range s.events {
		a.find(at(e, Failure, Forms, record.T("该流不属于任何类别", "its stream is of no category of this version"),
			record.T("用写入它的版本核验；否则查明何人写入", "verify with the version that wrote it; otherwise find out who did")))
	}
	for _, c := range s.claims {
		a.find(at(c, Failure, Claims, record.T("占用指向不属于任何类别的流 "+s.name, "it claims for "+s.name+", a stream of no category"), ask))
	}
}

// step takes the next event.
func (w *walk) step(ctx context.Context, s journal.Stored) error {
	if s.Revision != w.next {
		w.blind = true
	}
	if s.Revision != w.next && !w.wants(Log) { // the log's check has the same
		w.find(at(s, Failure, Order, record.T(fmt.Sprintf("流内序号应为 %d，实为 %d", w.next, s.Revision),
			fmt.Sprintf("it has revision %d of its stream where %d belongs: events are missing, or were put in", s.Revision, w.next)), restore))
	}
	w.next = s.Revision + 1
	if !w.content() {
		return nil
	}
	e, ok, err := w.open(ctx, s)
	if err != nil {
		return err
	}
	if !ok {
		w.blind = true
		return w.involves(s, s.Created)
	}
	w.newAppend(s, e)
	w.clocks(s, e)
	w.places(s, e)
	w.policy(ctx, s, e)
	if err := w.second(s, e); err != nil {
		return err
	}
	w.authority(s, e)
	w.values(s, e)
	if err := w.attachments(ctx, s, e); err != nil {
		return err
	}
	w.fold(s, e)
	if err := w.involves(s, e.Meta.RecordedAt); err != nil {
		return err
	}
	if e.Type == access.ReadType {
		w.count(func(sum *Summary) { sum.Readings++ })
	}
	return w.looks(s, e)
}

// open reads an event strictly. ok is false when it cannot be read, which was reported.
func (w *walk) open(ctx context.Context, s journal.Stored) (e record.Event, ok bool, err error) {
	e, _, err = w.codec.Open(ctx, s)
	if err == nil {
		err = strictMeta(s.Meta)
	}
	switch {
	case err == nil:
		return e, true, nil
	case ctx.Err() != nil:
		return e, false, ctx.Err()
	case record.KindOf(err) == record.Unavailable:
		return e, false, err
	case record.KindOf(err) == record.NotFound:
		w.find(at(s, Failure, Erasure, record.T("密钥不在密钥库中，且没有销毁记录", "its stream's key is not in the vault, and was never destroyed: "+err.Error()),
			record.T("从备份恢复密钥库", "restore the vault from its backup")))
	default:
		w.find(at(s, Failure, Forms, record.T("无法按目录读取："+err.Error(), "it cannot be read: "+err.Error()),
			record.T("从最近的完好备份恢复日志；若由更新的版本写入，用该版本核验", "restore the journal from the newest backup that verifies; if a newer version wrote it, verify with that one")))
	}
	return e, false, nil
}

// strictMeta refuses metadata with fields that are not of the form.
func strictMeta(raw []byte) error {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	var m struct {
		record.Meta
		Commitment string `json:"commitment,omitempty"` // the codec checks it
	}
	if err := dec.Decode(&m); err != nil {
		return fmt.Errorf("metadata: %w", err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return errors.New("metadata: there is more after the value")
	}
	if m.Actor == uuid.Nil || m.Command == uuid.Nil || m.RecordedAt.IsZero() || m.OccurredAt.IsZero() {
		return errors.New("metadata: it does not say who recorded it, by which command, or when")
	}
	return nil
}

// newAppend notices where what one command recorded begins.
func (w *walk) newAppend(s journal.Stored, e record.Event) {
	if len(w.history) > 0 && e.Meta.Command == w.command {
		return
	}
	w.command, w.approval = e.Meta.Command, nil
	if w.commands[w.command] {
		w.find(at(s, Failure, Order, record.T("同一命令在本流中记录了两次", "its command had recorded its events before, in another place of the stream"), ask))
	}
	w.commands[w.command] = true
	w.place = commands.PlaceOf(w.file, nil)
}

// fold brings the file up to date, for the events that follow.
func (w *walk) fold(s journal.Stored, e record.Event) {
	w.history, w.stored = append(w.history, e), s
	if w.blind {
		return
	}
	var err error
	if w.file, err = apply(w.file, w.history); err != nil {
		w.blind = true
		w.find(at(s, Failure, Forms, record.T("无法并入档案状态："+err.Error(), "the file cannot be folded with it: "+err.Error()), restore))
		return
	}
	if p, ok := w.file.State.(casework.Program); ok {
		p.Core().Duties.TakeChanges()
	}
}

// gone tells whether the content of the stream is destroyed, so that nothing can be judged by it.
func (w *walk) gone() bool { return w.erasedAt >= 0 || w.Vault.Erased(w.stream.name) }

// erasure compares the vault with what the stream says of its own key.
func (w *walk) erasure() {
	if !w.k.Sealed || len(w.stream.events) == 0 {
		return
	}
	destroyed := w.Vault.Erased(w.stream.name)
	last := w.stream.events[len(w.stream.events)-1]
	switch {
	case destroyed && w.erasedAt < 0:
		w.find(at(last, Failure, Erasure, record.T("密钥已销毁，但没有销毁记录", "the stream's key is destroyed and no record.erased says so"),
			record.T("报纪检监察；从备份恢复密钥库", "tell the inspectors; restore the vault from a backup that has the key")))
	case !destroyed && w.erasedAt >= 0:
		w.find(at(w.stream.events[w.erasedAt], Failure, Erasure, record.T("已记录销毁，但密钥仍在", "the erasure is recorded and the key still exists"),
			record.T("重启服务以完成销毁；若从备份恢复过密钥库，恢复后须重新销毁", "restart the server, which finishes it; after a restore of the vault, erasures of later are to be done again")))
	}
	if destroyed {
		w.count(func(s *Summary) { s.Erased++ })
	}
	if w.erasedAt >= 0 && w.erasedAt < len(w.stream.events)-1 {
		w.find(at(w.stream.events[w.erasedAt+1], Failure, Erasure, record.T("档案销毁后又有记录", "it was recorded after the file was erased"), ask))
	}
}

// places compares what the metadata say of the file with where the event lies.
func (w *walk) places(s journal.Stored, e record.Event) {
	_, id, _ := record.SplitStream(s.Stream)
	wrong := func(what string) {
		w.find(at(s, Failure, Forms, record.T("元数据所指的人员或档案与所在流不符", what), ask))
	}
	switch {
	case w.k.Name == "person":
		if e.Meta.Person != id {
			wrong("its metadata name another person than the file that it lies in")
		}
	case w.k.Case:
		if e.Meta.Case != id {
			wrong("its metadata name another case than the one that it lies in")
		}
		if p := w.place.Subject; p != uuid.Nil && e.Meta.Person != p && !w.gone() && !w.blind {
			wrong("its metadata name another person than the case's")
		}
	case w.k.Name != access.Category.Name && (e.Meta.Person != uuid.Nil || e.Meta.Case != uuid.Nil):
		wrong("its metadata name a person, and it lies in no file of a person")
	}
}

// policy checks that the rules which the metadata name were those in force.
func (w *walk) policy(ctx context.Context, s journal.Stored, e record.Event) {
	var want string
	if w.k.Name != policy.Category.Name && w.k.Name != access.Category.Name {
		for _, moment := range w.around(e.Meta.RecordedAt) {
			rules, err := w.codec.Policy.InForce(ctx, moment, w.who.changesBy(moment))
			if err == nil && rules.Version == e.Meta.Policy {
				return
			}
			if err == nil && want == "" {
				want = rules.Version
			}
		}
	} else if e.Meta.Policy == "" {
		return
	}
	w.find(at(s, Failure, Forms, record.T(fmt.Sprintf("所依据的政策版本 %q 当时并未施行（应为 %q）", e.Meta.Policy, want),
		fmt.Sprintf("it was decided by policy %q, and %q was in force", e.Meta.Policy, want)), ask))
}

// around is a moment with those beside it that count as the same, for times are cut to milliseconds, and then those as far
// from it as clocks may be apart.
func (a *audit) around(t time.Time) []time.Time {
	return []time.Time{t, t.Add(time.Millisecond - 1), t.Add(-time.Millisecond), t.Add(-a.Leeway), t.Add(a.Leeway)}
}

// beyondDoubt is how many of the moments of around count as the same.
const beyondDoubt = 3
