package audit_test

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"yidang/domain/audit"
	"yidang/domain/casework"
	"yidang/domain/commands"
	"yidang/domain/journal"
	"yidang/domain/person"
	"yidang/domain/programs/drugs"
	"yidang/domain/record"
	"yidang/domain/staff"
)

// forgery is something done past the program, and how it must be named.
type forgery struct {
	name  string
	check audit.Check
	says  string
	do    func(f *forger) uuid.UUID
}

var forgeries = []forgery{
	{"closed by one person", audit.Second, "no approval was recorded", func(f *forger) uuid.UUID {
		stream, _, _ := f.fresh()
		return f.put(stream, fact{drugsClosed, as(closing)})
	}},
	{"approved by the proposer", audit.Second, "approved it himself", func(f *forger) uuid.UUID {
		stream, _, p := f.fresh()
		f.put(stream, approvedClose(f.actor(f.Officers[record.TownshipOffice]), p)...)
		return f.forged[len(f.forged)-2]
	}},
	{"approved by who is responsible", audit.Second, "responsible in the case", func(f *forger) uuid.UUID {
		stream, id, p := f.fresh()
		f.As(record.TownshipOffice, "drugs", "casework.assign_responsible", id, casework.AssignResponsible{Officer: f.Officers[record.CommunityPolice], Role: record.CommunityPolice})
		f.put(stream, approvedClose(f.actor(f.Officers[record.CommunityPolice]), p)...)
		return f.forged[len(f.forged)-2]
	}},
	{"approved by who is responsible in another case", audit.Second, "in another case of the person", func(f *forger) uuid.UUID {
		stream, _, p := f.fresh()
		f.secondCase(f.subject(stream), f.Officers[record.CommunityPolice])
		f.put(stream, approvedClose(f.actor(f.Officers[record.CommunityPolice]), p)...)
		return f.forged[len(f.forged)-2]
	}},
	{"approved by who is responsible in a merged file", audit.Second, "in another case of the person", func(f *forger) uuid.UUID {
		stream, _, p := f.fresh()
		f.serial += 2
		same := f.Person(101 + f.serial)
		f.secondCase(same, f.Officers[record.CommunityPolice])
		f.approve("person", same, f.As(record.TownshipOffice, "person", "person.merge", same, person.Merge{Into: f.subject(stream), Reason: "经核实为同一人"}).Proposal, f.Colleague)
		f.Clock.Advance(time.Hour)
		f.put(stream, approvedClose(f.actor(f.Officers[record.CommunityPolice]), p)...)
		return f.forged[len(f.forged)-2]
	}},
	{"a merge approved by who is responsible for the other", audit.Second, "in another case of the person", func(f *forger) uuid.UUID {
		f.serial += 4
		one, other := f.Person(99+f.serial), f.Person(101+f.serial)
		f.secondCase(other, f.Officers[record.CommunityPolice])
		p := f.As(record.TownshipOffice, "person", "person.merge", one, person.Merge{Into: other, Reason: "经核实为同一人"}).Proposal
		f.put(person.Stream(one), fact{record.Approved{Proposal: p}, by(f.actor(f.Officers[record.CommunityPolice]), as(twoParty))},
			fact{person.Merged{Into: other, Reason: "经核实为同一人"}, after(p, "D-12; PIPL 8")})
		return f.forged[len(f.forged)-2]
	}},
	{"approved by a village cadre", audit.Authority, "did not allow record.approve_proposal", func(f *forger) uuid.UUID {
		stream, _, p := f.fresh()
		f.put(stream, approvedClose(f.actor(f.Officers[record.VillageCadre]), p)...)
		return f.forged[len(f.forged)-2]
	}},
	{"approved too late", audit.Second, "had expired", func(f *forger) uuid.UUID {
		stream, _, p := f.fresh()
		f.Clock.Advance(20 * 24 * time.Hour)
		f.put(stream, approvedClose(f.actor(f.Officers[record.CommunityPolice]), p)...)
		return f.forged[len(f.forged)-2]
	}},
	{"approved after a refusal", audit.Second, "had answered", func(f *forger) uuid.UUID {
		stream, id, p := f.fresh()
		f.Must(commands.Request{Category: "drugs", Command: "record.reject_proposal", ID: id, Officer: f.Officers[record.CommunityPolice], Input: record.RejectProposal{Proposal: p, Reason: "材料不全"}})
		f.put(stream, approvedClose(f.actor(f.Officers[record.CommunityPolice]), p)...)
		return f.forged[len(f.forged)-2]
	}},
	{"approval of no proposal", audit.Second, "not in the stream before it", func(f *forger) uuid.UUID {
		stream, _, _ := f.fresh()
		f.put(stream, approvedClose(f.actor(f.Officers[record.CommunityPolice]), uuid.New())...)
		return f.forged[len(f.forged)-2]
	}},
	{"carried out for another", audit.Second, "another officer than the one who proposed", func(f *forger) uuid.UUID {
		stream, _, p := f.fresh()
		facts := approvedClose(f.actor(f.Officers[record.CommunityPolice]), p)
		facts[1].meta = by(f.actor(f.Officers[record.CommunityPolice]), after(p, closing))
		return f.put(stream, facts...)
	}},
	{"something else than was proposed", audit.Authority, "no command of drugs has the basis", func(f *forger) uuid.UUID {
		stream, _, p := f.fresh()
		facts := approvedClose(f.actor(f.Officers[record.CommunityPolice]), p)
		return f.put(stream, facts[0], fact{drugs.TierChanged{ID: uuid.New(), Tier: drugs.General, Reasons: "表现良好"}, after(p, tiering)})
	}},
	{"another event under the closing that was approved", audit.Second, "was not asked for", func(f *forger) uuid.UUID {
		stream, id, p := f.fresh()
		f.tier(id, drugs.Strict, "resists-treatment")
		facts := approvedClose(f.actor(f.Officers[record.CommunityPolice]), p)
		return f.put(stream, facts[0], fact{drugs.TierChanged{ID: uuid.New(), Tier: drugs.General, Prev: drugs.Strict, Reasons: "表现良好"}, after(p, closing)})
	}},
	{"a picture under the closing that was approved", audit.Second, "was not asked for", func(f *forger) uuid.UUID {
		stream, _, p := f.fresh()
		by := f.actor(f.Officers[record.TownshipOffice]).Officer
		facts := approvedClose(f.actor(f.Officers[record.CommunityPolice]), p)
		return f.put(stream, facts[0], fact{casework.ViewPermitted{View: casework.View{SHA256: strings.Repeat("ab", 32), Officer: by, Until: f.Clock.Now()}, Reason: "核对"}, after(p, closing)})
	}},
	{"something beside the closing that was approved", audit.Second, "was not asked for", func(f *forger) uuid.UUID {
		stream, _, p := f.fresh()
		return f.put(stream, append(approvedClose(f.actor(f.Officers[record.CommunityPolice]), p), fact{met, after(p, closing)})...)
	}},
	{"closed twice under one approval", audit.Second, "was not asked for", func(f *forger) uuid.UUID {
		stream, _, p := f.fresh()
		return f.put(stream, append(approvedClose(f.actor(f.Officers[record.CommunityPolice]), p), fact{drugsClosed, after(p, closing)})...)
	}},
	{"closed for another reason than was approved", audit.Second, "approved with it: reason", func(f *forger) uuid.UUID {
		stream, _, p := f.fresh()
		facts := approvedClose(f.actor(f.Officers[record.CommunityPolice]), p)
		return f.put(stream, facts[0], fact{casework.Closed{Reason: "death", Note: "死亡证明"}, after(p, closing)})
	}},
	{"closed on another day than was approved", audit.Second, "says that it happened at", func(f *forger) uuid.UUID {
		stream, _, p := f.fresh()
		facts := approvedClose(f.actor(f.Officers[record.CommunityPolice]), p)
		back := func(m *record.Meta) { after(p, closing)(m); m.OccurredAt = m.OccurredAt.AddDate(0, 0, -2) }
		return f.put(stream, facts[0], fact{drugsClosed, back})
	}},
	{"merged into another file than was approved", audit.Second, "approved with it: into", func(f *forger) uuid.UUID {
		f.serial += 4
		one, into, other := f.Person(101+f.serial), f.Person(103+f.serial), f.person
		f.serial += 2
		p := f.As(record.TownshipOffice, "person", "person.merge", one, person.Merge{Into: into, Reason: "经核实为同一人"}).Proposal
		return f.put(person.Stream(one), fact{record.Approved{Proposal: p}, by(f.actor(f.Officers[record.CommunityPolice]), as(twoParty))},
			fact{person.Merged{Into: other, Reason: "经核实为同一人"}, after(p, "D-12; PIPL 8")})
	}},
	{"a late correction to other values than were approved", audit.Second, "approved with it: values.outcome", func(f *forger) uuid.UUID {
		stream, id, _ := f.fresh()
		visit := f.visit(id, f.Officers[record.VillageCadre]).Events[0].ID
		f.Clock.Advance(10 * 24 * time.Hour)
		p := f.As(record.VillageCadre, "drugs", "record.correct_event", id, record.CorrectEvent{Event: visit, Values: map[string]any{"note": "不在家"}, Reason: "备注写错"}).Proposal
		cadre := f.actor(f.Officers[record.VillageCadre])
		return f.put(stream, fact{record.Approved{Proposal: p}, by(f.actor(f.Officers[record.CommunityPolice]), as(twoParty))},
			fact{record.Corrected{Event: visit, Form: 1, Values: json.RawMessage(`{"outcome":"absent","note":"不在家"}`), Fields: []string{"note"}, Reason: "备注写错"},
				by(cadre, after(p, "architecture: nothing is overwritten; PIPL 46"))})
	}},
	{"a picture for another officer than who asked", audit.Second, "another officer see the picture", func(f *forger) uuid.UUID {
		stream, id, _ := f.fresh()
		image, _ := f.attach(id, "现场.png", picture)
		p := f.As(record.TownshipOffice, "drugs", "casework.request_view", id, casework.RequestView{SHA256: image.SHA256, Reason: "核对封存情况"}).Proposal
		return f.put(stream, fact{record.Approved{Proposal: p}, by(f.actor(f.Officers[record.CommunityPolice]), as(twoParty))},
			fact{casework.ViewPermitted{View: casework.View{SHA256: image.SHA256, Officer: f.Officers[record.VillageCadre], Until: f.Clock.Now()}, Reason: "核对封存情况"}, after(p, "S-3; PIPL 28")})
	}},
	{"added to what was approved", audit.Second, "was not recorded together", func(f *forger) uuid.UUID {
		stream, id, p := f.fresh()
		r := f.approve("drugs", id, p, f.Officers[record.CommunityPolice])
		f.Clock.Advance(time.Hour)
		return f.put(stream, fact{met, func(m *record.Meta) { m.Command, m.Causation, m.Basis = r.Command, p, closing }})
	}},
	{"a rejection by the proposer", audit.Second, "rejected by whoever made it", func(f *forger) uuid.UUID {
		stream, _, p := f.fresh()
		return f.put(stream, fact{record.Rejected{Proposal: p, Reason: "不办"}, as(twoParty)})
	}},
	{"a withdrawal by another", audit.Second, "withdrawn by somebody", func(f *forger) uuid.UUID {
		stream, _, p := f.fresh()
		return f.put(stream, fact{record.Rejected{Proposal: p, Reason: "不办", Withdrawn: true}, by(f.actor(f.Officers[record.CommunityPolice]), as(twoParty))})
	}},
	{"a void of an approval", audit.Second, "which is never amended", func(f *forger) uuid.UUID {
		stream, id, p := f.fresh()
		r := f.approve("drugs", id, p, f.Officers[record.CommunityPolice])
		return f.put(stream, fact{record.Voided{Event: r.Events[0].ID, Reason: "批准有误"}, as("architecture: nothing is overwritten; PIPL 46")})
	}},
	{"a late correction by one person", audit.Second, "no approval was recorded", func(f *forger) uuid.UUID {
		stream, id, _ := f.fresh()
		visit := f.visit(id, f.Officers[record.VillageCadre]).Events[0].ID
		f.Clock.Advance(10 * 24 * time.Hour)
		return f.put(stream, fact{record.Voided{Event: visit, Reason: "记错了人"}, as("architecture: nothing is overwritten; PIPL 46")})
	}},
	{"an amendment by one who may not", audit.Second, "by the officer who made it", func(f *forger) uuid.UUID {
		stream, id, _ := f.fresh()
		visit := f.visit(id, f.Officers[record.VillageCadre]).Events[0].ID
		return f.put(stream, fact{record.Voided{Event: visit, Reason: "记错了人"}, by(f.actor(f.Officers[record.CommunityMedic]), as("architecture: nothing is overwritten; PIPL 46"))})
	}},
	{"a test that the township voids", audit.Second, "its own post could not have recorded", func(f *forger) uuid.UUID {
		stream, id, _ := f.fresh()
		missed := f.As(record.CommunityPolice, "drugs", "drugs.record_missed_test", id, drugs.RecordMissedTest{Kind: "unscheduled", How: "refused"}).Events[0].ID
		return f.put(stream, fact{record.Voided{Event: missed, Reason: "记错了人"}, as("architecture: nothing is overwritten; PIPL 46")})
	}},
	{"a lowering that hides the old tier", audit.Second, "the file says", func(f *forger) uuid.UUID {
		stream, id, _ := f.fresh()
		f.tier(id, drugs.Strict, "resists-treatment")
		return f.put(stream, fact{drugs.TierChanged{ID: uuid.New(), Tier: drugs.General, Prev: "", Reasons: "表现良好"}, as(tiering)})
	}},
	{"a lowering for an appeal that was not", audit.Second, "no answer to one by somebody else", func(f *forger) uuid.UUID {
		stream, id, _ := f.fresh()
		f.tier(id, drugs.Strict, "resists-treatment")
		return f.put(stream, fact{drugs.TierChanged{ID: uuid.New(), Tier: drugs.General, Prev: drugs.Strict, Reasons: "申诉成立", Appeal: uuid.New()}, as(tiering)})
	}},
	{"a lowering that says it was transcribed", audit.Second, "a tier had been decided here", func(f *forger) uuid.UUID {
		stream, id, _ := f.fresh()
		f.tier(id, drugs.Strict, "resists-treatment")
		return f.put(stream, fact{drugs.TierChanged{ID: uuid.New(), Tier: drugs.General, Prev: drugs.Strict, Reasons: "据旧台账", Transcribed: true},
			func(m *record.Meta) { m.Basis, m.Late = tiering, record.LateImport }})
	}},
	{"an appeal answered by who took it down", audit.Second, "no answer to one by somebody else", func(f *forger) uuid.UUID {
		stream, id, _ := f.fresh()
		f.tier(id, drugs.Strict, "resists-treatment")
		appeal := f.As(record.CommunityPolice, "drugs", "drugs.appeal_tier", id, drugs.AppealTier{By: "person", Grounds: "我有工作"}).Command
		police := by(f.actor(f.Officers[record.CommunityPolice]), as(appealing))
		return f.put(stream, fact{drugs.TierAppealDecided{Appeal: appeal, Outcome: "changed", Reasons: "申诉成立"}, police},
			fact{drugs.TierChanged{ID: uuid.New(), Tier: drugs.General, Prev: drugs.Strict, Reasons: "申诉成立", Appeal: appeal}, police})
	}},
	{"an appeal kept by who took it down", audit.Second, "it answers an appeal", func(f *forger) uuid.UUID {
		stream, id, _ := f.fresh()
		f.tier(id, drugs.Strict, "resists-treatment")
		appeal := f.As(record.CommunityPolice, "drugs", "drugs.appeal_tier", id, drugs.AppealTier{By: "person", Grounds: "我有工作"}).Command
		return f.put(stream, fact{drugs.TierAppealDecided{Appeal: appeal, Outcome: "kept", Reasons: "不成立"}, by(f.actor(f.Officers[record.CommunityPolice]), as(appealing))})
	}},
	{"the system closes", audit.Second, "no approval was recorded", func(f *forger) uuid.UUID {
		stream, _, _ := f.fresh()
		return f.put(stream, fact{drugsClosed, by(record.Actor{Officer: commands.System, Role: record.Administrator}, as(closing))})
	}},
	{"the system visits", audit.Authority, "the system may not do", func(f *forger) uuid.UUID {
		stream, _, _ := f.fresh()
		return f.put(stream, fact{met, by(record.Actor{Officer: commands.System, Role: record.Administrator})})
	}},
	{"after the post ended", audit.Authority, "was not in force then", func(f *forger) uuid.UUID {
		stream, _, _ := f.fresh()
		return f.put(stream, fact{met, by(f.actor(f.former))})
	}},
	{"in another's post", audit.Authority, "did not have post", func(f *forger) uuid.UUID {
		stream, _, _ := f.fresh()
		a := f.actor(f.Officers[record.VillageCadre])
		a.Officer = f.Colleague
		return f.put(stream, fact{met, by(a)})
	}},
	{"in another role", audit.Authority, "the post was that of", func(f *forger) uuid.UUID {
		stream, _, _ := f.fresh()
		a := f.actor(f.Officers[record.Analyst])
		a.Role = record.VillageCadre
		return f.put(stream, fact{met, by(a)})
	}},
	{"by nobody", audit.Authority, "there was no officer", func(f *forger) uuid.UUID {
		stream, _, _ := f.fresh()
		a := f.actor(f.Officers[record.VillageCadre])
		a.Officer = uuid.New()
		return f.put(stream, fact{met, by(a)})
	}},
	{"from another village", audit.Authority, "did not allow", func(f *forger) uuid.UUID {
		stream, _, _ := f.fresh()
		return f.put(stream, fact{met, by(f.actor(f.Officer("t.v"+uuid.NewString()[:8], 1, record.VillageCadre, f.There)))})
	}},
	{"a volunteer without a part in the case", audit.Authority, "did not allow", func(f *forger) uuid.UUID {
		stream, _, _ := f.fresh()
		return f.put(stream, fact{met, by(f.actor(f.Officers[record.Volunteer]))})
	}},
	{"an inspector writes", audit.Authority, "did not allow", func(f *forger) uuid.UUID {
		stream, _, _ := f.fresh()
		return f.put(stream, fact{met, by(f.actor(f.Officers[record.Inspector]))})
	}},
	{"in spite of a recusal", audit.Authority, "declared a recusal", func(f *forger) uuid.UUID {
		return f.put(record.StreamOf("drugs", f.case_), fact{met, by(f.actor(f.Colleague))})
	}},
	{"another's password", audit.Authority, "did not allow", func(f *forger) uuid.UUID {
		return f.put(staff.Stream(f.Officers[record.Inspector]), fact{staff.PasswordSet{Hash: "x"}, by(f.actor(f.Officers[record.VillageCadre]), as("PIPL 51"))})
	}},
	{"a post that one grants oneself", audit.Authority, "did not allow", func(f *forger) uuid.UUID {
		id := f.Officers[record.VillageCadre]
		post := staff.Post{ID: uuid.New(), Role: record.Inspector, Unit: f.Township, From: f.Clock.Now()}
		return f.put(staff.Stream(id), fact{staff.PostGranted{Post: post}, by(f.actor(id), as("G-04(6)"))})
	}},
	{"on no basis", audit.Authority, "no command of drugs has the basis", func(f *forger) uuid.UUID {
		stream, _, _ := f.fresh()
		return f.put(stream, fact{met, as("made up")})
	}},
	{"a second file of one citizen id", audit.Claims, "was not claimed", func(f *forger) uuid.UUID {
		return f.put(record.StreamOf("person", uuid.New()), fact{person.Registered{Name: "梁平", CitizenID: f.NewPerson(1).CitizenID, Sex: 1, Birth: time.Date(1950, 1, 1, 0, 0, 0, 0, record.Zone), Village: f.Here}, as("D-12; D-13")})
	}},
	{"a file of another person", audit.Forms, "another person", func(f *forger) uuid.UUID {
		stream, _, _ := f.fresh()
		return f.put(stream, fact{met, func(m *record.Meta) { m.Person = f.person }})
	}},
	{"by a policy of another time", audit.Forms, "was in force", func(f *forger) uuid.UUID {
		stream, _, _ := f.fresh()
		return f.put(stream, fact{met, func(m *record.Meta) { m.Policy, _, _ = strings.Cut(m.Policy, "+") }})
	}},
	{"recorded before what it follows", audit.Clocks, "before the event that it follows", func(f *forger) uuid.UUID {
		stream, _, _ := f.fresh()
		return f.put(stream, fact{met, func(m *record.Meta) {
			m.RecordedAt = m.RecordedAt.Add(-time.Hour)
			m.OccurredAt = m.RecordedAt
		}})
	}},
	{"happened tomorrow", audit.Clocks, "after it was recorded", func(f *forger) uuid.UUID {
		stream, _, _ := f.fresh()
		return f.put(stream, fact{met, func(m *record.Meta) { m.OccurredAt = m.RecordedAt.Add(2 * time.Minute) }})
	}},
	{"late without a word", audit.Clocks, "without a reason", func(f *forger) uuid.UUID {
		stream, _, _ := f.fresh()
		return f.put(stream, fact{met, func(m *record.Meta) { m.OccurredAt = m.RecordedAt.AddDate(0, 0, -40) }})
	}},
	{"in an erased file", audit.Erasure, "after the file was erased", func(f *forger) uuid.UUID {
		// A plain event needs no key.
		return f.put(record.StreamOf("drugs", f.erased), fact{record.FileErased{Basis: "unlawful"}, as("PIPL 47")})
	}},
	{"erased on paper only", audit.Erasure, "the key still exists", func(f *forger) uuid.UUID {
		stream, _, _ := f.fresh()
		return f.put(stream, fact{record.FileErased{Basis: "unlawful"}, as("PIPL 47")})
	}},
	{"a key that is gone", audit.Erasure, "no record.erased says so", func(f *forger) uuid.UUID {
		f.serial += 2
		_, id := f.openCase(101 + f.serial)
		stream := record.StreamOf("drugs", id)
		if err := f.Vault.Destroy(f.t.Context(), stream, "nobody asked"); err != nil {
			f.t.Fatal(err)
		}
		all := f.stored(stream)
		last := all[len(all)-1].ID
		f.forged = append(f.forged, last)
		return last
	}},
	{"a type that is not of the catalog", audit.Forms, "not in the catalog", func(f *forger) uuid.UUID {
		stream, _, _ := f.fresh()
		return f.odd(stream, "drugs.pardoned", nil, nil)
	}},
	{"a stream of no category", audit.Forms, "of no category", func(f *forger) uuid.UUID {
		return f.odd("secret-"+uuid.NewString(), "secret.kept", nil, nil)
	}},
	{"metadata with more in them", audit.Forms, "unknown field", func(f *forger) uuid.UUID {
		return f.odd(record.StreamOf("unit", f.Here), "unit.renamed", nil, []byte(`{"form":1,"name":"梁平"}`))
	}},
	{"data of another event", audit.Forms, "altered, or belongs to another", func(f *forger) uuid.UUID {
		stream, id, _ := f.fresh()
		was := f.visit(id, f.Officers[record.VillageCadre])
		all := f.stored(stream)
		i := slices.IndexFunc(all, func(s journal.Stored) bool { return s.ID == was.Events[0].ID })
		return f.odd(stream, all[i].Type, all[i].Data, all[i].Meta)
	}},
	{"a claim of what another has", audit.Claims, "had been claimed before", func(f *forger) uuid.UUID {
		for s, err := range f.Journal.All(f.t.Context(), 0) {
			if err != nil {
				f.t.Fatal(err)
			}
			if s.Type == commands.ClaimedType && strings.HasPrefix(s.Stream, "citizenid-") {
				data, _ := json.Marshal(map[string]string{"stream": record.StreamOf("person", f.person)})
				return f.odd(s.Stream, s.Type, data, s.Meta)
			}
		}
		return uuid.Nil
	}},
	{"a citizen id of an officer", audit.Claims, "is no stream of person", func(f *forger) uuid.UUID {
		data, _ := json.Marshal(map[string]string{"stream": staff.Stream(f.Colleague)})
		return f.odd("citizenid-"+strings.Repeat("0f", 32), commands.ClaimedType, data, []byte(`{}`))
	}},
	{"an attachment that is not there", audit.Attachments, "is missing", func(f *forger) uuid.UUID {
		stream, _, _ := f.fresh()
		return f.put(stream, fact{casework.AttachmentAdded{Attachment: casework.Attachment{SHA256: strings.Repeat("ab", 32), Size: 5, MediaType: "text/plain"}, Title: "协议"}, as("D-13")})
	}},
	{"a picture that a later entry calls a paper", audit.Attachments, "of image/png, and the event says", func(f *forger) uuid.UUID {
		picture := f.image
		picture.MediaType = "application/pdf"
		return f.put(record.StreamOf("drugs", f.case_), fact{casework.AttachmentAdded{Attachment: picture, Title: "说明"}, as("D-13")})
	}},
	{"an attachment that only a correction names", audit.Attachments, "is missing", func(f *forger) uuid.UUID {
		values, _ := json.Marshal(casework.AttachmentAdded{Attachment: casework.Attachment{SHA256: strings.Repeat("cd", 32), Size: 5, MediaType: "text/plain"}, Title: "协议"})
		return f.put(record.StreamOf("drugs", f.case_), fact{record.Corrected{Event: f.added, Form: 1, Values: values, Fields: []string{"sha256"}, Reason: "换成另一份"}, as("architecture: nothing is overwritten; PIPL 46")})
	}},
}

// Ensure that each event that was recorded past the rules is found and named, and nothing else is accused, although the
// log that was signed over all of them is without fault.
func TestForged(t *testing.T) {
	w := start(t)
	f := &forger{world: w, lives: w.live()}
	forgeries := slices.Concat(forgeries, readings)
	ids := make([]uuid.UUID, len(forgeries))
	for i, c := range forgeries {
		w.Clock.Advance(10 * time.Minute)
		ids[i] = c.do(f)
	}
	w.sign(w.notaryDir())
	_, found := w.verify()
	for i, c := range forgeries {
		t.Run(c.name, func(t *testing.T) { named(t, found, c.check, ids[i], c.says) })
	}
	for _, x := range failures(found) {
		if !slices.Contains(f.forged, x.Event) {
			t.Errorf("accused without a reason:%s", show([]audit.Finding{x}))
		}
		if x.Check == audit.Log {
			t.Errorf("the log is as it was signed:%s", show([]audit.Finding{x}))
		}
	}
	// With hardly any memory it finds the same.
	_, little := w.verify(func(o *audit.Options) { o.Hold = 3000 })
	plain := func(found []audit.Finding) (lines []string) {
		for _, x := range found {
			lines = append(lines, show([]audit.Finding{x}))
		}
		slices.Sort(lines)
		return lines
	}
	if a, b := plain(found), plain(little); !slices.Equal(a, b) {
		t.Errorf("with little memory it finds\n%s\nwith more\n%s", b, a)
	}
}

// Ensure that among events whose clocks agree one that was set back is a failure, while a record kept under another clock
// is a note.
func TestSetBack(t *testing.T) {
	w := start(t)
	w.Clock.Set(time.Now())
	_, id := w.openCase(1)
	f := &forger{world: w}
	forged := f.put(record.StreamOf("drugs", id), fact{met, func(m *record.Meta) { m.RecordedAt, m.OccurredAt = m.RecordedAt.Add(20*time.Minute), m.RecordedAt }})
	w.Clock.Set(time.Now().Add(21 * time.Minute))
	_, other := w.openCase(3)
	w.visit(other, w.Officers[record.VillageCadre])
	w.Clock.Set(time.Now())
	_, found := w.verify(func(o *audit.Options) { o.Only = []audit.Check{audit.Clocks} })
	named(t, found, audit.Clocks, forged, "the journal stored it at")
	notes := 0
	for _, x := range found {
		if x.Severity == audit.Note {
			notes++
		}
	}
	if notes != 1 {
		t.Errorf("the clock of the tests is one note; found:%s", show(found))
	}
}

// Ensure that a blob that was altered, or taken away, is named with the event that attached it, and that a claim whose
// registration was cut short is only noted.
func TestBlobsAndCrashes(t *testing.T) {
	w := start(t)
	_, id := w.openCase(1)
	w.attach(id, "协议.txt", []byte("社区戒毒协议，测试文本。"))
	first := w.objects()
	w.attach(id, "告知书.txt", []byte("告知书，测试文本。"))
	events := w.stored(record.StreamOf("drugs", id))
	one, two := events[len(events)-2].ID, events[len(events)-1].ID
	for _, path := range w.objects() {
		if slices.Contains(first, path) {
			raw, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			raw[len(raw)-1] ^= 1
			if err := os.WriteFile(path, raw, 0o600); err != nil {
				t.Fatal(err)
			}
		} else if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	f := &forger{world: w}
	data, _ := json.Marshal(map[string]string{"stream": record.StreamOf("person", uuid.New())})
	crashed := f.odd("citizenid-"+strings.Repeat("0e", 32), commands.ClaimedType, data, w.claimMeta())
	_, found := w.verify()
	named(t, found, audit.Attachments, one, "was altered")
	named(t, found, audit.Attachments, two, "is missing")
	if n := len(failures(found)); n != 2 {
		t.Errorf("%d failures:%s", n, show(found))
	}
	if !slices.ContainsFunc(found, func(x audit.Finding) bool {
		return x.Severity == audit.Note && x.Check == audit.Claims && x.Event == crashed
	}) {
		t.Errorf("a claim without its stream is noted; found:%s", show(found))
	}
}

// claimMeta is the metadata of some claim.
func (w *world) claimMeta() []byte {
	w.t.Helper()
	for s, err := range w.Journal.All(w.t.Context(), 0) {
		if err != nil {
			w.t.Fatal(err)
		}
		if s.Type == commands.ClaimedType {
			return s.Meta
		}
	}
	w.t.Fatal("there is no claim")
	return nil
}
