package drugs

import (
	"time"

	"github.com/google/uuid"

	"yidang/domain/casework"
	"yidang/domain/record"
)

// Miss is a test that did not take place.
type Miss struct {
	ID      uuid.UUID
	At      time.Time
	How     string
	Excused bool // there was a good reason: it does not count
}

// MissedHow is how a test failed to take place.
var MissedHow = casework.Terms{
	{Code: "refused", Title: record.T("拒绝检测", "refused"), Source: "戒毒条例 20"},
	{Code: "absent", Title: record.T("未到检", "did not come"), Source: "戒毒条例 20"},
}

// RecordMissedTest records that a test did not take place.
type RecordMissedTest struct {
	Request uuid.UUID `json:"request,omitzero" doc:"the request that it answers, if any"`
	Kind    string    `json:"kind" enum:"scheduled,unscheduled,immediate"`
	How     string    `json:"how" enum:"refused,absent"`
	Excuse  string    `json:"excuse,omitempty" maxLength:"500" doc:"good reason that was accepted, such as illness: then it does not count"`
	Note    string    `json:"note,omitempty" maxLength:"2000"`
}

// UrineTestMissed is the record.
type UrineTestMissed struct {
	ID     uuid.UUID `json:"id"`
	Kind   string    `json:"kind" enum:"scheduled,unscheduled,immediate"`
	How    string    `json:"how" enum:"refused,absent"`
	Excuse string    `json:"excuse,omitempty" maxLength:"500"`
	Note   string    `json:"note,omitempty" maxLength:"2000"`
}

// Facets of the miss.
func (d UrineTestMissed) Facets() record.Facets {
	f := record.Facets{Ref: d.ID.String(), Kind: d.Kind, Outcome: d.How, Code: "counts"}
	if d.Excuse != "" {
		f.Code = "excused"
	}
	return f
}

var missEvents = []record.EventRow{
	record.On("drugs.urine_test_missed", record.T("未完成尿检", "Urine test missed"),
		func(c *Case, d UrineTestMissed, e record.Event) {
			c.answered(d.ID)
			c.Misses = append(c.Misses, Miss{ID: d.ID, At: e.Meta.OccurredAt, How: d.How, Excused: d.Excuse != ""})
		}, func(d UrineTestMissed) record.Text {
			h := MissedHow.Title(d.How)
			return say(record.T("尿检未完成："+h.Zh, "Urine test missed: "+h.En), also("正当理由（不计次）：", "good reason, not counted: ", d.Excuse), also("", "", d.Note))
		}),
}

var missCommands = []record.CommandRow{
	record.Do("drugs.record_missed_test", record.T("记录未完成的尿检", "Record a missed test"), "S-2; 戒毒条例 19, 20", recordMissedTest, police),
}

func recordMissedTest(c *Case, in RecordMissedTest, g record.Given) ([]any, error) {
	err := firstOf(casework.MustBeOpen(c, g), TestKinds.Check("kind", in.Kind), MissedHow.Check("how", in.How), text("excuse", in.Excuse, 0, 500), text("note", in.Note, 0, 2000))
	if err != nil {
		return nil, err
	}
	if c.pausedOn(g.Occurred) {
		return nil, ErrPaused
	}
	id, err := c.testIs(in.Request, g)
	if err != nil {
		return nil, err
	}
	d := UrineTestMissed{ID: id, Kind: in.Kind, How: in.How, Excuse: in.Excuse, Note: in.Note}
	if in.Excuse != "" {
		return []any{d}, nil
	}
	return c.orBreach(d, "refusals", c.Counts().Refusals+1), nil
}
