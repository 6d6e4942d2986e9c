// Package units holds the organisation: the township, its villages and communities, its police stations, schools and
// offices (D-05, D-06). A unit is a stream; nothing in it describes a person, so it is stored in the clear.
//
// A post in a unit reaches the files of every village that the unit covers: the village itself; every unit below it (a
// township covers its villages); and the villages a unit was given, which is how a police station covers its beat.
package units

import (
	"slices"
	"strings"

	"github.com/google/uuid"

	"yidang/domain/record"
)

// Sort is what a unit is.
type Sort string

const (
	Township  Sort = "township"
	Village   Sort = "village"   // 村
	Community Sort = "community" // 社区
	Station   Sort = "police-station"
	Office    Sort = "office" // an office of the township, such as 综治办 or 司法所
	Clinic    Sort = "clinic"
	School    Sort = "school"
)

// Sorts lists the accepted sorts.
var Sorts = []Sort{Township, Village, Community, Station, Office, Clinic, School}

// Residential tells whether people live there, so that a file can belong to it.
func (s Sort) Residential() bool { return s == Village || s == Community }

// Unit is the state of a unit stream.
type Unit struct {
	ID     uuid.UUID
	Name   string
	Sort   Sort
	Code   string    // statistical division code, when it has one
	Parent uuid.UUID // zero for the township
	Covers []uuid.UUID
	Closed bool
}

// Registered records a new unit.
type Registered struct {
	Name   string      `json:"name"`
	Sort   Sort        `json:"sort"`
	Code   string      `json:"code,omitempty"`
	Parent uuid.UUID   `json:"parent,omitzero"`
	Covers []uuid.UUID `json:"covers,omitempty"`
}

// Facets of the registration.
func (r Registered) Facets() record.Facets { return record.Facets{Kind: string(r.Sort)} }

// CoverageChanged records another beat.
type CoverageChanged struct {
	Covers []uuid.UUID `json:"covers"`
}

// Renamed records another name.
type Renamed struct {
	Name string `json:"name"`
}

// Register is the command for a new unit.
type Register struct {
	Name   string      `json:"name" minLength:"2" maxLength:"60" doc:"official name, such as 前进村"`
	Sort   Sort        `json:"sort" enum:"township,village,community,police-station,office,clinic,school"`
	Code   string      `json:"code,omitempty" pattern:"^([0-9]{9}|[0-9]{12})?$" doc:"division code of the township (9 digits) or village (12 digits)"`
	Parent uuid.UUID   `json:"parent,omitzero" doc:"the unit above; required for all but a township"`
	Covers []uuid.UUID `json:"covers,omitempty" maxItems:"500" doc:"villages that the unit serves without being above them"`
}

// ChangeCoverage is the command for another beat.
type ChangeCoverage struct {
	Covers []uuid.UUID `json:"covers" maxItems:"500"`
}

// Rename is the command for another name.
type Rename struct {
	Name string `json:"name" minLength:"2" maxLength:"60"`
}

var administrators = record.Grant{Roles: []record.Role{record.Administrator}, Scope: record.Anywhere}

// Category is the table of unit streams.
var Category = record.Category{
	Name: "unit", Title: record.T("单位", "Unit"),
	New:     func() any { return &Unit{} },
	Readers: []record.Grant{record.Everyone},
	Events: []record.EventRow{
		record.On("unit.registered", record.T("登记单位", "Unit registered"),
			func(u *Unit, d Registered, e record.Event) {
				_, id, _ := record.SplitStream(e.Stream)
				*u = Unit{ID: id, Name: d.Name, Sort: d.Sort, Code: d.Code, Parent: d.Parent, Covers: d.Covers}
			},
			func(d Registered) record.Text { return record.T("登记单位："+d.Name, "Registered unit "+d.Name) }),
		record.On("unit.coverage_changed", record.T("调整辖区", "Coverage changed"),
			func(u *Unit, d CoverageChanged, _ record.Event) { u.Covers = d.Covers }, nil),
		record.On("unit.renamed", record.T("单位更名", "Unit renamed"),
			func(u *Unit, d Renamed, _ record.Event) { u.Name = d.Name },
			func(d Renamed) record.Text { return record.T("更名为"+d.Name, "Renamed to "+d.Name) }),
		record.VoidedRow(),
	},
	Commands: []record.CommandRow{
		record.Needing(record.Do("unit.register", record.T("登记单位", "Register a unit"), "D-05; D-06",
			func(_ *Unit, in Register, g record.Given) ([]any, error) {
				in.Name = strings.TrimSpace(in.Name)
				if !slices.Contains(Sorts, in.Sort) {
					return nil, &record.Problem{Kind: record.Invalid, Field: "sort", Message: "unknown sort of unit", Remedy: "use one of the listed sorts"}
				}
				if (in.Sort == Township) != (in.Parent == uuid.Nil) {
					return nil, &record.Problem{Kind: record.Invalid, Field: "parent", Message: "a township has no parent; every other unit has one",
						Zh: "镇没有上级单位；其他单位必须有上级单位", Remedy: "give the uuid of the unit above"}
				}
				if in.Parent != uuid.Nil && g.Other(record.StreamOf("unit", in.Parent)) == nil {
					return nil, &record.Problem{Kind: record.Invalid, Field: "parent", Message: "there is no such unit", Zh: "没有这个单位", Remedy: "register the unit above first"}
				}
				return []any{Registered(in)}, nil
			}, administrators), func(in Register, _ record.Given) []string { return []string{record.StreamOf("unit", in.Parent)} }).Starting().Timeless(),
		record.Do("unit.change_coverage", record.T("调整辖区", "Change the villages a unit serves"), "D-07",
			func(u *Unit, in ChangeCoverage, _ record.Given) ([]any, error) {
				if slices.Equal(u.Covers, in.Covers) {
					return nil, nil
				}
				return []any{CoverageChanged(in)}, nil
			}, administrators).Timeless(),
		record.Do("unit.rename", record.T("单位更名", "Rename a unit"), "D-07",
			func(u *Unit, in Rename, _ record.Given) ([]any, error) {
				if in.Name = strings.TrimSpace(in.Name); in.Name == u.Name {
					return nil, nil
				}
				return []any{Renamed(in)}, nil
			}, administrators).Timeless(),
	},
}

// Covers tells whether a post in unit reaches files of village. get answers for any unit, nil when there is none.
func Covers(unit, village uuid.UUID, get func(uuid.UUID) *Unit) bool {
	if unit == uuid.Nil || village == uuid.Nil {
		return false
	}
	if u := get(unit); u != nil {
		if slices.Contains(u.Covers, village) {
			return true
		}
		// An office or a station directly under a township that lists no beat of its own serves the whole township.
		if u.Sort == Office && len(u.Covers) == 0 && u.Parent != uuid.Nil {
			unit = u.Parent
		}
	}
	for at, hops := village, 0; at != uuid.Nil && hops < 8; hops++ {
		if at == unit {
			return true
		}
		u := get(at)
		if u == nil {
			return false
		}
		at = u.Parent
	}
	return false
}
