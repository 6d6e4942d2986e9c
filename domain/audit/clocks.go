package audit

import (
	"bytes"
	"fmt"
	"time"

	"yidang/domain/journal"
	"yidang/domain/policy"
	"yidang/domain/record"
)

// clocks checks what an event says of its times.
func (w *walk) clocks(s journal.Stored, e record.Event) {
	m := e.Meta
	if back := w.clock.Sub(m.RecordedAt); back > w.Leeway {
		w.find(at(s, Failure, Clocks, record.T(fmt.Sprintf("登记时间比本流前一条早 %s", back),
			fmt.Sprintf("it says it was recorded %s before the event that it follows", back)), ask))
	} else if back > 0 {
		w.count(func(sum *Summary) { sum.ClockSteps++ })
	}
	if m.RecordedAt.After(w.clock) {
		w.clock = m.RecordedAt
	}
	if m.OccurredAt.After(m.RecordedAt.Add(time.Minute)) {
		w.find(at(s, Failure, Clocks, record.T("发生时间晚于登记时间", fmt.Sprintf("it happened %s after it was recorded", m.OccurredAt.Sub(m.RecordedAt))), ask))
	}
	rules, ok := e.Rules.(*policy.Rules)
	if !ok || m.Late != "" {
		return
	}
	entered := m.RecordedAt
	if p := w.approved(); p != nil {
		entered = p.RecordedAt // it was entered when it was proposed
	}
	if limit := time.Duration(rules.Days("late-entry")) * 24 * time.Hour; entered.Sub(m.OccurredAt) > limit+time.Millisecond {
		w.find(at(s, Failure, Clocks, record.T("超过补录时限，且未说明原因",
			fmt.Sprintf("it was entered %s after it happened, which is more than the policy allows without a reason", entered.Sub(m.OccurredAt))), ask))
	}
}

// drift compares the record's clock with the journal's own. Where a long stretch of events differs, the record was kept
// under another clock (a demonstration) or the journal was moved to another server: that is one note. Where a few differ in
// the midst of others that agree, somebody set the time of what he wrote.
type drift struct {
	events int       // looked at so far
	length int       // of the present stretch of events that differ
	begun  int       // how many had been looked at when it began
	few    []Finding // of the stretch, as long as it is short
	first  Finding
	most   time.Duration
}

const (
	plausible  = 10 * time.Minute // between deciding and storing
	longDrift  = 50               // events
	recordedAt = `"recordedAt":"`
)

// drifts looks at the next event of the journal. It reads nothing but the time: this is done for each event, in order.
func (a *audit) drifts(e journal.Stored) {
	recorded, ok := recordedIn(e.Meta)
	if !ok || e.Created.IsZero() {
		return // a checkpoint, or what the check of forms reports
	}
	d := &a.drift
	d.events++
	apart := e.Created.Sub(recorded).Abs()
	if apart <= plausible {
		a.driftEnds()
		return
	}
	what := record.T(fmt.Sprintf("登记时间与日志服务器的时钟相差 %s", apart.Round(time.Second)),
		fmt.Sprintf("it says it was recorded at %s; the journal stored it at %s", recorded.Format(time.RFC3339), e.Created.Format(time.RFC3339)))
	f := at(e, Failure, Clocks, what, ask)
	if d.length == 0 {
		d.begun, d.first, d.most = d.events-1, f, 0
	}
	d.length++
	d.most = max(d.most, apart)
	if d.length <= longDrift {
		d.few = append(d.few, f)
	}
}

// driftEnds reports a stretch that has ended.
func (a *audit) driftEnds() {
	d := &a.drift
	if d.length == 0 {
		return
	}
	if d.begun > 0 && d.length <= longDrift {
		for _, f := range d.few {
			a.find(f)
		}
	} else {
		f := d.first
		f.Severity = Note
		f.What = record.T(fmt.Sprintf("自此起连续 %d 条记录的登记时间与日志服务器的时钟不符，最多相差 %s", d.length, d.most.Round(time.Second)),
			fmt.Sprintf("from here on %d events say they were recorded at another time than the journal stored them, up to %s apart", d.length, d.most.Round(time.Second)))
		f.Remedy = record.T("演示数据或迁移过的日志如此属正常；否则查明服务器时钟", "this is so in a demonstration and after the journal was moved; otherwise find out about the servers' clocks")
		a.find(f)
	}
	d.length, d.few = 0, nil
}

// recordedIn reads the time out of metadata without decoding them. Inside a JSON string the quotes would be escaped, so
// what is found is the field.
func recordedIn(meta []byte) (time.Time, bool) {
	i := bytes.Index(meta, []byte(recordedAt))
	if i < 0 {
		return time.Time{}, false
	}
	rest := meta[i+len(recordedAt):]
	end := bytes.IndexByte(rest, '"')
	if end < 0 {
		return time.Time{}, false
	}
	t, err := time.Parse(time.RFC3339, string(rest[:end]))
	return t, err == nil
}
