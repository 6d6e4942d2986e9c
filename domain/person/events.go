package person

import (
	"slices"
	"time"

	"github.com/google/uuid"

	"yidang/domain/record"
)

// Registered opens a person's file.
type Registered struct {
	Name          string      `json:"name" minLength:"1" maxLength:"50"`
	CitizenID     string      `json:"citizenId,omitempty" correct:"no"` // claimed
	NoCardReason  string      `json:"noCardReason,omitempty" maxLength:"200"`
	Sex           int         `json:"sex" enum:"0,1,2,9"`
	Birth         time.Time   `json:"birth,omitzero"`
	Ethnicity     string      `json:"ethnicity,omitempty" pattern:"^([0-9]{2})?$"`
	Phone         string      `json:"phone,omitempty"`
	Village       uuid.UUID   `json:"village"`
	Household     string      `json:"household,omitempty" maxLength:"200"`
	Residence     string      `json:"residence,omitempty" maxLength:"200"`
	DifferentFrom []uuid.UUID `json:"differentFrom,omitempty"`
}

// Facets of the registration.
func (d Registered) Facets() record.Facets {
	return record.Facets{Village: d.Village, Code: sexCode(d.Sex)}
}

func sexCode(sex int) string {
	switch sex {
	case 1:
		return "male"
	case 2:
		return "female"
	}
	return "unknown"
}

// Identified records a citizen id found later.
type Identified struct {
	CitizenID string    `json:"citizenId" correct:"no"` // claimed
	Sex       int       `json:"sex"`
	Birth     time.Time `json:"birth"`
}

// Check holds a corrected registration to what its citizen id says (GB 11643) and to the form of a phone number.
func (d Registered) Check(any, record.Given) error {
	if err := checkPhone(d.Phone); err != nil {
		return err
	}
	return follows(d.CitizenID, d.Sex, d.Birth)
}

// Check holds corrected data to what the citizen id says.
func (d Identified) Check(any, record.Given) error { return follows(d.CitizenID, d.Sex, d.Birth) }

// ErrFollows refuses a sex or birth day that a citizen id contradicts.
var ErrFollows = &record.Problem{Kind: record.Invalid, Field: "sex", Rule: "GB 11643", Message: "sex or birth day differs from the citizen id", Zh: "性别或出生日期与公民身份号码不符", Remedy: "check the citizen id"}

func follows(citizenID string, sex int, birth time.Time) error {
	if citizenID == "" {
		return nil
	}
	if id, _, err := ParseCitizenID(citizenID); err != nil || sexOf(id) != sex || !id.BirthDate().Equal(birth) {
		return ErrFollows
	}
	return nil
}

// ContactChanged records another phone number.
type ContactChanged struct {
	Phone string `json:"phone"`
}

// AddressChanged records another address, and village when that changed too.
type AddressChanged struct {
	Village   uuid.UUID `json:"village"`
	Household string    `json:"household,omitempty"`
	Residence string    `json:"residence,omitempty"`
}

// Facets of the change.
func (d AddressChanged) Facets() record.Facets { return record.Facets{Village: d.Village} }

// FamilyMemberAdded records a relative.
type FamilyMemberAdded struct {
	FamilyMember
}

// FamilyMemberRemoved records that a relative is no longer needed in the file.
type FamilyMemberRemoved struct {
	Member uuid.UUID `json:"member"`
	Reason string    `json:"reason"`
}

// Died records a death.
type Died struct {
	On       time.Time `json:"on"`
	Evidence string    `json:"evidence"`
}

// Merged says that this file and another one are of the same person.
type Merged struct {
	Into   uuid.UUID `json:"into"`
	Reason string    `json:"reason"`
}

// Unmerged says that they are not, after all.
type Unmerged struct {
	From   uuid.UUID `json:"from"`
	Reason string    `json:"reason"`
}

// Facets of the link name the other file, by uuid.
func (d Merged) Facets() record.Facets { return record.Facets{Ref: d.Into.String()} }

// Facets of its end.
func (d Unmerged) Facets() record.Facets { return record.Facets{Ref: d.From.String()} }

var events = append([]record.EventRow{
	record.On("person.registered", record.T("建档", "File opened"), registered, func(d Registered) record.Text {
		if d.CitizenID == "" {
			return record.T("建档（无证件，原因："+d.NoCardReason+"）", "File opened (no card; reason: "+d.NoCardReason+")")
		}
		return record.T("建档", "File opened")
	}),
	record.On("person.identified", record.T("补录公民身份号码", "Citizen id recorded"), func(p *Person, d Identified, _ record.Event) {
		p.CitizenID, p.Sex, p.Birth, p.NoCardReason = d.CitizenID, d.Sex, d.Birth, ""
	}, nil),
	record.On("person.contact_changed", record.T("变更联系方式", "Contact changed"), func(p *Person, d ContactChanged, _ record.Event) { p.Phone = d.Phone }, nil),
	record.On("person.address_changed", record.T("变更住址", "Address changed"), func(p *Person, d AddressChanged, _ record.Event) {
		p.Village, p.Household, p.Residence = d.Village, d.Household, d.Residence
	}, nil),
	record.On("person.family_member_added", record.T("登记家庭成员", "Family member recorded"),
		func(p *Person, d FamilyMemberAdded, _ record.Event) { p.Family = append(p.Family, d.FamilyMember) }, nil),
	record.On("person.family_member_removed", record.T("移除家庭成员", "Family member removed"),
		func(p *Person, d FamilyMemberRemoved, _ record.Event) {
			p.Family = slices.DeleteFunc(slices.Clone(p.Family), func(m FamilyMember) bool { return m.ID == d.Member })
		}, func(d FamilyMemberRemoved) record.Text {
			return record.T("移除家庭成员，理由："+d.Reason, "Family member removed; reason: "+d.Reason)
		}),
	record.On("person.died", record.T("死亡登记", "Death recorded"), func(p *Person, d Died, _ record.Event) { p.Died = d.On },
		func(d Died) record.Text {
			return record.T("死亡登记，依据："+d.Evidence, "Death recorded on "+d.Evidence)
		}),
	record.Guarded[Merged](record.On("person.merged", record.T("合并档案", "Files merged"),
		func(p *Person, d Merged, _ record.Event) { p.MergedInto = d.Into },
		func(d Merged) record.Text {
			return record.T("与同一人的另一份档案合并，理由："+d.Reason, "Merged with another file of the same person; reason: "+d.Reason)
		}), nil),
	record.Guarded[Unmerged](record.On("person.unmerged", record.T("撤销合并", "Merge undone"),
		func(p *Person, _ Unmerged, _ record.Event) { p.MergedInto = uuid.Nil },
		func(d Unmerged) record.Text {
			return record.T("撤销合并，理由："+d.Reason, "Merge undone; reason: "+d.Reason)
		}), nil),
	record.VoidedRow(),
}, record.ApprovalRows()...)

func registered(p *Person, d Registered, e record.Event) {
	_, id, _ := record.SplitStream(e.Stream)
	*p = Person{
		ID: id, Registered: true, Name: d.Name, CitizenID: d.CitizenID, NoCardReason: d.NoCardReason, Sex: d.Sex, Birth: d.Birth,
		Ethnicity: d.Ethnicity, Phone: d.Phone, Village: d.Village, Household: d.Household, Residence: d.Residence,
	}
}
