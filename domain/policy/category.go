package policy

import (
	"fmt"

	"github.com/google/uuid"

	"yidang/domain/record"
)

// ID is the policy stream's: there is one for the whole system.
var ID = uuid.MustParse("0b1d0000-0000-5000-8000-000000000001")

// Stream is the policy stream.
var Stream = record.StreamOf("policy", ID)

// State is the policy stream folded: the settings changed so far.
type State struct {
	Changed map[string]SettingChanged
}

// SettingChanged records that the township chose another number for what the plan leaves open.
type SettingChanged struct {
	Setting string `json:"setting"`
	Days    int    `json:"days"`
	Reason  string `json:"reason"`
}

// Facets of the change.
func (c SettingChanged) Facets() record.Facets {
	return record.Facets{Code: c.Setting, Quantity: float64(c.Days)}
}

// ChangeSetting is the command.
type ChangeSetting struct {
	Setting string `json:"setting" doc:"name of the setting, such as visit.strict"`
	Days    int    `json:"days" minimum:"1" maximum:"3650" doc:"the new number of days"`
	Reason  string `json:"reason" minLength:"4" maxLength:"500" doc:"why; shown in the history of the policy"`
}

// Category is the policy stream's table.
var Category = record.Category{
	Name: "policy", Title: record.T("政策", "Policy"),
	Readers: []record.Grant{record.Everyone},
	New:     func() any { return &State{Changed: map[string]SettingChanged{}} },
	Events: []record.EventRow{
		record.On("policy.setting_changed", record.T("调整本地设置", "Local setting changed"),
			func(s *State, c SettingChanged, _ record.Event) { s.Changed[c.Setting] = c },
			func(c SettingChanged) record.Text {
				return record.T(fmt.Sprintf("将设置 %s 调整为 %d 天，理由：%s", c.Setting, c.Days, c.Reason),
					fmt.Sprintf("Set %s to %d days; reason: %s", c.Setting, c.Days, c.Reason))
			}),
		record.VoidedRow(),
	},
	Commands: []record.CommandRow{
		record.Do("policy.change_setting", record.T("调整本地设置", "Change a local setting"), "G-04(7); D-18",
			func(_ *State, in ChangeSetting, g record.Given) ([]any, error) {
				s, ok := Of(g).Settings[in.Setting]
				if !ok {
					return nil, &record.Problem{Kind: record.Invalid, Field: "setting", Message: "there is no such setting",
						Zh: "没有这项设置", Remedy: "GET /v1/policy lists the settings"}
				}
				if in.Days < s.Min || in.Days > s.Max {
					return nil, &record.Problem{Kind: record.Refused, Field: "days", Rule: s.Source,
						Message: fmt.Sprintf("must be from %d to %d days", s.Min, s.Max), Zh: fmt.Sprintf("应在 %d 至 %d 天之间", s.Min, s.Max),
						Remedy: "choose a number within the bounds"}
				}
				return []any{SettingChanged(in)}, nil
			}, record.Grant{Roles: []record.Role{record.TownshipOffice}, Scope: record.Anywhere}).Timeless(),
	},
}
