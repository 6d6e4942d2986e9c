package dossier

import (
	"slices"

	"yidang/domain/record"
)

// Level is how much of the person's file a dossier shows.
type Level string

// The levels.
const (
	Full     Level = "full"     // everything
	Groups   Level = "groups"   // the categories that are named; of others the skeleton
	OwnCopy  Level = "own-copy" // for the person: everything but what is of third parties
	Skeleton Level = "skeleton" // which events there are, when and by whom; no content
)

// Redaction says what is shown. It is stated in the manifest, and Verify holds the dossier to it: what the statement does
// not withhold must be there.
type Redaction struct {
	Level  Level    `json:"level"`
	Groups []string `json:"groups"` // categories shown, at level groups: "person", "drugs", …
	// Hidden are fields that are withheld, by event type. An own copy hides those of third parties; a caller may add more,
	// such as the note of a visit in which somebody else is spoken of: free text is not looked into.
	Hidden map[string][]string `json:"hidden"`
}

// thirdParties are the fields that tell of somebody else than the person (PIPL 45; S-13). Officers' names are not in the
// data: an own copy leaves them out of names.json. The input of a proposal may repeat any of them.
var thirdParties = map[string][]string{
	"person.family_member_added": {"name", "phone"},
	"casework.visit_recorded":    {"with"},
	record.ProposedType:          {"input"},
}

// complete gives the redaction as it is stated.
func (r Redaction) complete() (Redaction, error) {
	if !slices.Contains([]Level{Full, Groups, OwnCopy, Skeleton}, r.Level) {
		return r, record.Errorf(record.Invalid, "a dossier has no redaction level %q", r.Level).At("level")
	}
	if (r.Level == Groups) != (len(r.Groups) > 0) {
		return r, record.Errorf(record.Invalid, "groups are named at the level groups, and only there").At("groups")
	}
	out := Redaction{Level: r.Level, Groups: slices.Compact(slices.Sorted(slices.Values(r.Groups))), Hidden: map[string][]string{}}
	if out.Groups == nil {
		out.Groups = []string{}
	}
	add := func(hidden map[string][]string) {
		for event, fields := range hidden {
			out.Hidden[event] = slices.Compact(slices.Sorted(slices.Values(slices.Concat(out.Hidden[event], fields))))
		}
	}
	add(r.Hidden)
	if r.Level == OwnCopy {
		add(thirdParties)
	}
	return out, nil
}

// Why something is withheld or left out.
const (
	WhySkeleton   = "skeleton"
	WhyGroup      = "other-group"
	WhyThirdParty = "third-party"
	WhyPicture    = "picture"
	WhyMissing    = "missing"
	WhyAltered    = "altered"
	WhyErased     = "erased"
	WhyNotShown   = "not-asked"
	WhyOtherwise  = "stored-as-picture"
)

// whysLeft are the reasons for which an attachment is left out.
var whysLeft = []string{WhyPicture, WhyMissing, WhyAltered, WhyErased, WhyNotShown, WhyOtherwise}

// whys gives each reason in words, with its source.
var whys = map[string]record.Text{
	WhySkeleton:   record.T("本卷宗不出示内容，仅出示记录目录（个人信息保护法第六条）", "this dossier shows no content, only which entries there are (PIPL 6)"),
	WhyGroup:      record.T("属于其他业务类别，不在本次出示范围（个人信息保护法第六条）", "of another group, outside of what this dossier is to show (PIPL 6)"),
	WhyThirdParty: record.T("涉及第三人的信息（个人信息保护法第四十五条）", "tells of somebody else (PIPL 45)"),
	WhyPicture:    record.T("影像资料不得导出（S-3）", "pictures are not taken out of the system (S-3)"),
	WhyMissing:    record.T("附件库中没有此附件", "the attachment is missing in the store"),
	WhyAltered:    record.T("附件库中的此附件已被改动，不予出示", "the attachment in the store was altered and is not shown"),
	WhyErased:     record.T("密钥已依法销毁，内容不可恢复", "the key was destroyed by law; the content is gone"),
	WhyNotShown:   record.T("本次未要求附件", "attachments were not asked for"),
	WhyOtherwise:  record.T("记录所称类型不符：附件库中的是影像资料，不得导出（S-3）", "the entry calls it something else, and the store has a picture: pictures are not taken out of the system (S-3)"),
}

// event says why the content of an event is withheld: hidden is nil when all of it is. An empty reason means that all of
// it is shown. Of a correction, target is the type of the event that it is about, and values what that should have said,
// nil when it is not shown: it repeats the whole event, so it is withheld when there is anything in it to withhold.
func (r Redaction) event(k *record.Category, kind string, plain bool, target string, values []byte) (why string, hidden func(string) bool) {
	switch {
	case plain:
	case r.Level == Skeleton:
		return WhySkeleton, nil
	case r.Level == Groups && !slices.Contains(r.Groups, k.Name):
		return WhyGroup, nil
	}
	fields := r.Hidden[kind]
	if kind == record.CorrectedType && (values == nil || anyHidden(values, in(r.Hidden[target]))) {
		fields = append(slices.Clone(fields), "values")
	}
	if plain || len(fields) == 0 {
		return "", nil
	}
	return WhyThirdParty, in(fields)
}

func in(fields []string) func(string) bool {
	return func(name string) bool { return slices.Contains(fields, name) }
}
