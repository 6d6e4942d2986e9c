package casework_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"yidang/domain/casework"
	"yidang/domain/programs/drugs"
	"yidang/domain/record"
)

func blob(serial, media string) casework.Attachment {
	return casework.Attachment{SHA256: strings.Repeat("0", 64-len(serial)) + serial, Size: 9, MediaType: media}
}

// Ensure that the attachments of data are found wherever they lie, with the place by which a form names them.
func TestNaming(t *testing.T) {
	report := blob("1", "application/pdf")
	for _, c := range []struct {
		data any
		want []string
	}{
		{casework.AttachmentAdded{Attachment: report, Title: "协议"}, []string{""}},
		{drugs.UrineTestRecorded{Report: &report, Media: []drugs.Media{{Attachment: blob("2", "image/png"), Shows: "sealing"}, {Attachment: blob("3", "video/mp4"), Shows: "reading"}}},
			[]string{"report", "media[0]", "media[1]"}},
		{drugs.ExternalDecisionRecorded{Attachment: report}, []string{"attachment"}},
		{drugs.LeaveRequested{}, nil},
		{casework.VisitRecorded{Note: "在家"}, nil},
		{nil, nil},
	} {
		var got []string
		for _, n := range casework.Naming(c.data) {
			got = append(got, n.Field)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%T: %q, want %q", c.data, got, c.want)
		}
	}
}

// D-13: given entries that name attachments, then the case has each of them once; what a void takes back is none of them.
func TestCaseHasWhatEntriesName(t *testing.T) {
	s := story(t)
	opening := s.Events()[0]
	paper, film := blob("a", "application/pdf"), blob("b", "video/mp4")
	for _, a := range []casework.Attachment{paper, film, paper} {
		s.When(cadre, "2026-03-05", "casework.add_attachment", casework.AddAttachment{Attachment: a, About: opening.ID, Title: "材料"}).ThenRecorded("casework.attachment_added")
	}
	if got := core(s).Attachments; !slices.Equal(got, []casework.Attachment{paper, film}) {
		t.Errorf("the case has %+v", got)
	}
	s.When(cadre, "2026-03-06", "casework.request_view", casework.RequestView{SHA256: film.SHA256, Reason: "核对判读"}).ThenRecorded("casework.view_permitted")
	s.When(cadre, "2026-03-06", "casework.request_view", casework.RequestView{SHA256: blob("c", "").SHA256, Reason: "核对判读"}).ThenRefused(&record.Problem{Kind: record.Refused, Rule: "S-3", Message: "no such picture is attached to this case"})
	events := s.Events()
	added := events[slices.IndexFunc(events, func(e record.Event) bool {
		d, ok := e.Data.(casework.AttachmentAdded)
		return ok && d.SHA256 == film.SHA256
	})]
	s.When(cadre, "2026-03-06", "record.void_event", record.VoidEvent{Event: added.ID, Reason: "传错了案件"}).ThenRecorded("record.voided")
	if got := core(s).Attachments; !slices.Equal(got, []casework.Attachment{paper}) {
		t.Errorf("after the void the case has %+v", got)
	}
}

// Ensure that a correction names what it puts in the place of the entry's data.
func TestCorrectionNames(t *testing.T) {
	about := record.Event{ID: id("signed"), Type: "casework.attachment_added", Data: casework.AttachmentAdded{Attachment: blob("1", "application/pdf"), Title: "协议"}}
	e := record.Event{Type: record.CorrectedType, Data: record.Corrected{Event: about.ID, Form: 1, Values: []byte(`{"sha256":"` + blob("2", "").SHA256 + `","size":9,"mediaType":"image/png","title":"协议"}`)}}
	got := casework.NamedBy(&category, e, func(of uuid.UUID) (record.Event, bool) { return about, of == about.ID })
	if len(got) != 1 || got[0].Attachment != blob("2", "image/png") {
		t.Errorf("it names %+v", got)
	}
}
