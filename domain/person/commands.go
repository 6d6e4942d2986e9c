package person

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"yidang/domain/record"
	"yidang/domain/units"
)

// Register is the command that opens a person's file.
type Register struct {
	Name          string      `json:"name" minLength:"1" maxLength:"50"`
	CitizenID     string      `json:"citizenId,omitempty" maxLength:"40" doc:"18 or 15 digits (GB 11643); sex and birth day are taken from it"`
	NoCardReason  string      `json:"noCardReason,omitempty" maxLength:"200" doc:"why there is no citizen id; required without one"`
	Sex           int         `json:"sex,omitempty" enum:"0,1,2,9" doc:"GB/T 2261.1; only without a citizen id"`
	Birth         string      `json:"birth,omitempty" format:"date" doc:"only without a citizen id"`
	Ethnicity     string      `json:"ethnicity,omitempty" pattern:"^([0-9]{2})?$" doc:"GB/T 3304, two digits"`
	Phone         string      `json:"phone,omitempty" maxLength:"20"`
	Village       uuid.UUID   `json:"village" doc:"village or community that the file belongs to"`
	Household     string      `json:"household,omitempty" maxLength:"200" doc:"registered address"`
	Residence     string      `json:"residence,omitempty" maxLength:"200"`
	DifferentFrom []uuid.UUID `json:"differentFrom,omitempty" maxItems:"20" doc:"people shown as possible duplicates who are somebody else"`
}

// VillageID places a new file for authorisation.
func (in Register) VillageID() uuid.UUID { return in.Village }

// Identify records a citizen id found later.
type Identify struct {
	CitizenID string `json:"citizenId" minLength:"15" maxLength:"40"`
}

// ChangeContact records another phone number.
type ChangeContact struct {
	Phone string `json:"phone" maxLength:"20"`
}

// ChangeAddress records another address.
type ChangeAddress struct {
	Village   uuid.UUID `json:"village"`
	Household string    `json:"household,omitempty" maxLength:"200"`
	Residence string    `json:"residence,omitempty" maxLength:"200"`
}

// AddFamilyMember records a relative.
type AddFamilyMember struct {
	Name     string `json:"name" minLength:"1" maxLength:"50"`
	Relation string `json:"relation" enum:"spouse,parent,child,sibling,grandparent,guardian,other"`
	Phone    string `json:"phone,omitempty" maxLength:"20"`
}

// RemoveFamilyMember takes a relative out of the present file.
type RemoveFamilyMember struct {
	Member uuid.UUID `json:"member"`
	Reason string    `json:"reason" minLength:"2" maxLength:"200"`
}

// RecordDeath records a death.
type RecordDeath struct {
	On       string `json:"on" format:"date"`
	Evidence string `json:"evidence" minLength:"2" maxLength:"200" doc:"the document, such as a death certificate and its number"`
}

// Merge links this file to another one of the same person.
type Merge struct {
	Into   uuid.UUID `json:"into" doc:"the file that is worked in from now on"`
	Reason string    `json:"reason" minLength:"4" maxLength:"300" doc:"how it is known that both are the same person"`
}

// Concerned names the other file's person: whoever is responsible for either does not approve the merge.
func (in Merge) Concerned() []uuid.UUID { return []uuid.UUID{in.Into} }

// Unmerge undoes the link.
type Unmerge struct {
	Reason string `json:"reason" minLength:"4" maxLength:"300"`
}

// Refusals by rule.
var (
	ErrMergeSelf   = &record.Problem{Kind: record.Invalid, Field: "into", Message: "is this file itself", Zh: "就是本档", Remedy: "give the id of the other file"}
	ErrMergeTarget = &record.Problem{Kind: record.Refused, Field: "into", Message: "there is no such file, or it is merged into another one itself", Zh: "没有这份档案，或该档案已并入其他档案", Remedy: "give the id of the file that is worked in"}
	ErrMerged      = &record.Problem{Kind: record.Refused, Message: "the file is merged into another one already", Zh: "本档已并入其他档案", Remedy: "undo that merge first"}
	ErrNotMerged   = &record.Problem{Kind: record.Refused, Message: "the file is not merged", Zh: "本档未合并", Remedy: "read the file again"}

	ErrCitizenIDTaken = &record.Problem{Kind: record.Refused, Field: "citizenId", Rule: "D-12; GB 11643", Message: "a file with this citizen id exists",
		Zh: "该公民身份号码已建档", Remedy: "search for the citizen id and work in the existing file; if that is somebody else's, on whom the number was put in error, register without the number and say so in noCardReason"}
	ErrNoCardReason = &record.Problem{Kind: record.Invalid, Field: "noCardReason", Rule: "GB 11643", Message: "without a citizen id a reason is required",
		Zh: "无公民身份号码时必须说明原因", Remedy: "give the citizen id, or say why there is none"}
	ErrDead = &record.Problem{Kind: record.Refused, Message: "the person's death is recorded", Zh: "该人员已登记死亡", Remedy: "void the record of death if it is wrong"}
)

var phoneForm = regexp.MustCompile(`^(1[0-9]{10}|0[0-9]{2,3}-?[0-9]{7,8})$`)

var (
	field  = record.Grant{Roles: []record.Role{record.VillageCadre, record.CommunityPolice, record.CommunityMedic, record.TownshipOffice}, Scope: record.InUnit}
	office = record.Grant{Roles: []record.Role{record.CommunityPolice, record.TownshipOffice}, Scope: record.InUnit}
)

// Category is the table of person streams.
var Category = record.Category{
	Name: "person", Title: record.T("人员", "Person"), Sealed: true,
	New:     func() any { return &Person{} },
	Events:  events,
	Readers: []record.Grant{field, {Roles: []record.Role{record.Inspector}, Scope: record.Anywhere}, {Roles: []record.Role{record.Volunteer}, Scope: record.Caseload}},
	Commands: slices.Concat([]record.CommandRow{
		record.Warning(record.Claiming(record.Needing(record.Do("person.register", record.T("建档", "Register a person"), "D-12; D-13", register, field), needVillage), claimCitizenID),
			func(in Register) []record.Text { return extended(in.CitizenID) }).Starting().Timeless(),
		record.Warning(record.Claiming(record.Do("person.identify", record.T("补录公民身份号码", "Record a citizen id"), "D-12; GB 11643", identify, office),
			func(in Identify) []record.Claim { return claimCitizenID(Register{CitizenID: in.CitizenID}) }),
			func(in Identify) []record.Text { return extended(in.CitizenID) }).Timeless(),
		record.Do("person.change_contact", record.T("变更联系方式", "Change the phone number"), "D-13", changeContact, field).Timeless(),
		record.Needing(record.Do("person.change_address", record.T("变更住址", "Change the address"), "D-13", changeAddress, field),
			func(in ChangeAddress, _ record.Given) []string { return []string{record.StreamOf("unit", in.Village)} }).Timeless(),
		record.Do("person.add_family_member", record.T("登记家庭成员", "Add a family member"), "D-16; S-13", addFamily, field).Timeless(),
		record.Do("person.remove_family_member", record.T("移除家庭成员", "Remove a family member"), "S-13; PIPL 47", removeFamily, field).Timeless(),
		record.Do("person.record_death", record.T("死亡登记", "Record a death"), "D-12", recordDeath, office).Timeless(),
		record.Needing(record.Do("person.merge", record.T("合并档案", "Merge with another file of the same person"), "D-12; PIPL 8", merge, office),
			func(in Merge, _ record.Given) []string { return []string{Stream(in.Into)} }).Timeless(),
		record.Do("person.unmerge", record.T("撤销合并", "Undo a merge"), "D-12; PIPL 8", unmerge, office).Timeless(),
	}, record.AmendCommands(field), record.ApprovalCommands([]record.Grant{office}, []record.Grant{office}, []record.Grant{field})),
}

func merge(p *Person, in Merge, g record.Given) ([]any, error) {
	into := Of(g, in.Into)
	switch {
	case in.Into == p.ID:
		return nil, ErrMergeSelf
	case p.MergedInto != uuid.Nil:
		return nil, ErrMerged
	case into == nil || into.MergedInto != uuid.Nil:
		return nil, ErrMergeTarget
	}
	return []any{Merged(in)}, nil
}

func unmerge(p *Person, in Unmerge, _ record.Given) ([]any, error) {
	if p.MergedInto == uuid.Nil {
		return nil, ErrNotMerged
	}
	return []any{Unmerged{From: p.MergedInto, Reason: in.Reason}}, nil
}

func needVillage(in Register, _ record.Given) []string {
	return []string{record.StreamOf("unit", in.Village)}
}

func claimCitizenID(in Register) []record.Claim {
	id, _, err := ParseCitizenID(in.CitizenID)
	if err != nil || in.CitizenID == "" {
		return nil // the decision refuses it
	}
	return []record.Claim{{Kind: "citizenid", Value: id.String(), Taken: ErrCitizenIDTaken}}
}

// extended warns that a citizen id of 15 digits was taken for one of 18.
func extended(citizenID string) (out []record.Text) {
	_, warnings, err := ParseCitizenID(citizenID)
	if err != nil {
		return nil
	}
	for _, w := range warnings {
		out = append(out, record.Text(w))
	}
	return out
}

func register(_ *Person, in Register, g record.Given) ([]any, error) {
	name, err := NormalizeName(in.Name)
	if err != nil {
		return nil, err
	}
	d := Registered{
		Name: name, NoCardReason: strings.TrimSpace(in.NoCardReason), Ethnicity: in.Ethnicity, Phone: strings.TrimSpace(in.Phone),
		Village: in.Village, Household: strings.TrimSpace(in.Household), Residence: strings.TrimSpace(in.Residence), DifferentFrom: in.DifferentFrom,
	}
	if err := village(in.Village, g); err != nil {
		return nil, err
	}
	if err := checkPhone(d.Phone); err != nil {
		return nil, err
	}
	if in.CitizenID == "" {
		if d.NoCardReason == "" {
			return nil, ErrNoCardReason
		}
		birth, err := day("birth", in.Birth, g.Now)
		if in.Birth != "" && err != nil {
			return nil, err
		}
		d.Sex, d.Birth = in.Sex, birth
		return []any{d}, nil
	}
	id, _, err := ParseCitizenIDOn(in.CitizenID, g.Now)
	if err != nil {
		return nil, err
	}
	if s := sexOf(id); in.Sex == 1 && s == 2 || in.Sex == 2 && s == 1 {
		return nil, &record.Problem{Kind: record.Invalid, Field: "sex", Rule: "GB 11643", Message: "differs from the citizen id", Zh: "与公民身份号码不符", Remedy: "leave it out, or check the citizen id"}
	}
	d.CitizenID, d.Sex, d.Birth, d.NoCardReason = id.String(), sexOf(id), id.BirthDate(), ""
	return []any{d}, nil
}

func identify(p *Person, in Identify, g record.Given) ([]any, error) {
	id, _, err := ParseCitizenIDOn(in.CitizenID, g.Now)
	if err != nil {
		return nil, err
	}
	if p.CitizenID == id.String() {
		return nil, nil
	}
	if p.CitizenID != "" {
		return nil, &record.Problem{Kind: record.Refused, Field: "citizenId", Rule: "GB 11643", Message: "the person has another citizen id already",
			Zh: "该人员已有公民身份号码", Remedy: "if this is somebody else, register him; if the number here is wrong, register the person anew under the right one and merge this file into that: a number that was claimed stays claimed, so that nobody can take it over unseen"}
	}
	return []any{Identified{CitizenID: id.String(), Sex: sexOf(id), Birth: id.BirthDate()}}, nil
}

func changeContact(p *Person, in ChangeContact, _ record.Given) ([]any, error) {
	in.Phone = strings.TrimSpace(in.Phone)
	if err := checkPhone(in.Phone); err != nil || in.Phone == p.Phone {
		return nil, err
	}
	return []any{ContactChanged(in)}, nil
}

func changeAddress(p *Person, in ChangeAddress, g record.Given) ([]any, error) {
	if err := village(in.Village, g); err != nil {
		return nil, err
	}
	in.Household, in.Residence = strings.TrimSpace(in.Household), strings.TrimSpace(in.Residence)
	if in.Village == p.Village && in.Household == p.Household && in.Residence == p.Residence {
		return nil, nil
	}
	return []any{AddressChanged(in)}, nil
}

func addFamily(p *Person, in AddFamilyMember, g record.Given) ([]any, error) {
	name, err := NormalizeName(in.Name)
	if err != nil {
		return nil, err
	}
	if len(p.Family) >= 12 {
		return nil, &record.Problem{Kind: record.Refused, Rule: "S-13", Message: "a file holds at most 12 relatives", Zh: "家庭成员最多 12 人", Remedy: "keep only those the duty needs"}
	}
	if err := checkPhone(in.Phone); err != nil {
		return nil, err
	}
	return []any{FamilyMemberAdded{FamilyMember{ID: uuid.NewSHA1(g.Command, []byte("member")), Name: name, Relation: in.Relation, Phone: in.Phone}}}, nil
}

func removeFamily(p *Person, in RemoveFamilyMember, _ record.Given) ([]any, error) {
	if !slices.ContainsFunc(p.Family, func(m FamilyMember) bool { return m.ID == in.Member }) {
		return nil, &record.Problem{Kind: record.Refused, Field: "member", Message: "there is no such relative in the file", Zh: "档案中没有该家庭成员", Remedy: "read the file again"}
	}
	return []any{FamilyMemberRemoved(in)}, nil
}

func recordDeath(p *Person, in RecordDeath, g record.Given) ([]any, error) {
	if !p.Died.IsZero() {
		return nil, ErrDead
	}
	on, err := day("on", in.On, g.Now)
	if err != nil {
		return nil, err
	}
	return []any{Died{On: on, Evidence: in.Evidence}}, nil
}

// sexOf is the GB/T 2261.1 code as a number.
func sexOf(id CitizenID) int {
	if id.Sex() == Female {
		return 2
	}
	return 1
}

func village(id uuid.UUID, g record.Given) error {
	if u, _ := g.Other(record.StreamOf("unit", id)).(*units.Unit); u != nil && u.Sort.Residential() {
		return nil
	}
	return &record.Problem{Kind: record.Invalid, Field: "village", Rule: "D-06", Message: "is not a village or community", Zh: "不是村或社区", Remedy: "give the uuid of a village or community"}
}

// ValidPhone tells whether a file may hold this phone number.
func ValidPhone(phone string) bool { return phoneForm.MatchString(phone) }

func checkPhone(phone string) error {
	if phone == "" || ValidPhone(phone) {
		return nil
	}
	return &record.Problem{Kind: record.Invalid, Field: "phone", Message: "is not a phone number", Zh: "电话号码格式不对", Remedy: "11 digits starting with 1, or a landline with its area code"}
}

func day(name, s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	t, err := time.ParseInLocation(record.Day, s, record.Zone)
	if err != nil || t.After(now) {
		return time.Time{}, &record.Problem{Kind: record.Invalid, Field: name, Message: "is not a day of the past", Zh: "不是有效的过去日期", Remedy: "write it as 2006-01-02"}
	}
	return t, nil
}
