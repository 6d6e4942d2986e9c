package drugs

import (
	"yidang/domain/casework"
	"yidang/domain/record"
)

// ReviewRetention decides whether a closed file is still to be kept. It does not erase: that is proposed with erase-file and
// takes a second person.
type ReviewRetention struct {
	Outcome string `json:"outcome" enum:"keep,erase" doc:"erase: it is proposed next, with erase-file"`
	Reasons string `json:"reasons" minLength:"4" maxLength:"1000" doc:"the basis, such as the archives authority's retention table"`
}

// RetentionReviewed is the record.
type RetentionReviewed struct {
	Outcome string `json:"outcome"`
	Reasons string `json:"reasons"`
}

// Facets of the review.
func (d RetentionReviewed) Facets() record.Facets { return record.Facets{Outcome: d.Outcome} }

// RetentionOutcomes are what a review can end in.
var RetentionOutcomes = casework.Terms{
	{Code: "keep", Title: record.T("继续保存", "kept"), Source: "PIPL 19"},
	{Code: "erase", Title: record.T("应予销毁", "to be erased"), Source: "PIPL 47"},
}

// ErrKeptOpen refuses the review of a file in use.
var ErrKeptOpen = refusal("S-16", "only a closed file is reviewed", "只有已结案的档案需要复核", "close the case first")

var retentionEvents = []record.EventRow{
	record.On("drugs.retention_reviewed", record.T("复核保存期限", "Retention reviewed"), func(*Case, RetentionReviewed, record.Event) {},
		func(d RetentionReviewed) record.Text {
			o := RetentionOutcomes.Title(d.Outcome)
			return record.T("复核保存期限："+o.Zh+"；"+d.Reasons, "Retention reviewed: "+o.En+"; "+d.Reasons)
		}),
}

var retentionCommands = []record.CommandRow{
	record.Do("drugs.review_retention", record.T("复核保存期限", "Review the retention"), "S-16; PIPL 19, 47", reviewRetention, office),
}

func reviewRetention(c *Case, in ReviewRetention, _ record.Given) ([]any, error) {
	if c.IsOpen() {
		return nil, ErrKeptOpen
	}
	if err := RetentionOutcomes.Check("outcome", in.Outcome); err != nil {
		return nil, err
	}
	return []any{RetentionReviewed(in)}, nil
}
