package api

import (
	"context"
	"slices"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"

	"yidang/domain/record"
	"yidang/domain/staff"
	"yidang/domain/units"
	"yidang/projections/views"
)

// Officers is the list of officers.
type Officers struct {
	Position uint64    `json:"position"`
	Officers []Officer `json:"officers" nullable:"false"`
}

// Officer is who does the work and in which posts. Sign-in name, work number and phone are only for those who keep or
// inspect the accounts, and for oneself.
type Officer struct {
	ID         uuid.UUID `json:"id"`
	Name       string    `json:"name"`
	Posts      []Post    `json:"posts" nullable:"false" doc:"in force"`
	Login      string    `json:"login,omitempty"`
	WorkNumber string    `json:"workNumber,omitempty"`
	Phone      string    `json:"phone,omitempty"`
	Disabled   bool      `json:"disabled,omitempty"`
}

// OneOfficer is one officer with the position it shows.
type OneOfficer struct {
	Position uint64  `json:"position"`
	Officer  Officer `json:"officer"`
}

// Units is the organisation.
type Units struct {
	Position uint64 `json:"position"`
	Units    []Unit `json:"units" nullable:"false"`
}

// Unit is a township, village, station, office or clinic.
type Unit struct {
	ID     uuid.UUID   `json:"id"`
	Name   string      `json:"name"`
	Sort   units.Sort  `json:"sort"`
	Code   string      `json:"code,omitempty"`
	Parent uuid.UUID   `json:"parent,omitzero"`
	Covers []uuid.UUID `json:"covers,omitempty"`
	Closed bool        `json:"closed,omitempty"`
}

// OneUnit is one unit with the position it shows.
type OneUnit struct {
	Position uint64 `json:"position"`
	Unit     Unit   `json:"unit"`
}

type officersQuery struct {
	AtLeast
	Text string      `query:"q" maxLength:"60" doc:"part of the name, in characters, pinyin or initials"`
	Role record.Role `query:"role" enum:"village-cadre,community-police,community-medic,volunteer,township-office,inspector,analyst,administrator"`
	Unit uuid.UUID   `query:"unit" doc:"with a post in this unit"`
}

type idQuery struct {
	AtLeast
	ID uuid.UUID `path:"id"`
}

type onlyAt struct{ AtLeast }

func (s *Server) staffingRoutes() {
	who := "\n\nWho may: " + grantText([]record.Grant{record.Everyone}) + "; sign-in name, work number and phone only: " + grantText(staff.Category.Readers) + "."
	read(s, huma.Operation{OperationID: "officers", Path: "/v1/officers", Tags: []string{"read"}, Summary: "Officers and their posts (工作人员)", Description: "By name, role and unit." + who}, s.officers)
	read(s, huma.Operation{OperationID: "officer", Path: "/v1/officers/{id}", Tags: []string{"read"}, Summary: "One officer (工作人员)", Description: "Posts in force." + who}, s.officer)
	every := "\n\nWho may: " + grantText(units.Category.Readers) + "."
	read(s, huma.Operation{OperationID: "units", Path: "/v1/units", Tags: []string{"read"}, Summary: "Units (单位)", Description: "The township, its villages and communities, stations, offices." + every}, s.units)
	read(s, huma.Operation{OperationID: "unit", Path: "/v1/units/{id}", Tags: []string{"read"}, Summary: "One unit (单位)", Description: "With the villages it serves." + every}, s.unit)
}

// everyone refuses who has no post in force.
func (s *Server) everyone(ctx context.Context, what record.Text) error {
	_, err := s.options.Executor.Authorise(ctx, visitOf(ctx).who.Officer, uuid.Nil, []record.Grant{record.Everyone}, placeOf{}, what)
	return err
}

func (s *Server) officers(ctx context.Context, in *officersQuery) (*shown[Officers], error) {
	if err := s.everyone(ctx, record.T("查看工作人员", "read the list of officers")); err != nil {
		return nil, err
	}
	if err := s.wait(ctx, in.AtLeast); err != nil {
		return nil, err
	}
	rows, position, err := s.options.Views.Officers(ctx, views.OfficerQuery{Text: in.Text, Role: in.Role, Unit: in.Unit, At: s.options.Now()})
	if err != nil {
		return nil, err
	}
	out := Officers{Position: position, Officers: make([]Officer, 0, len(rows))}
	for _, row := range rows {
		o, err := s.officerOf(ctx, row)
		if err != nil {
			return nil, err
		}
		if o.Name != "" && (!row.Disabled || o.Login != "") {
			out.Officers = append(out.Officers, o)
		}
	}
	return show(position, out), nil
}

func (s *Server) officer(ctx context.Context, in *idQuery) (*shown[OneOfficer], error) {
	found, err := s.officers(ctx, &officersQuery{AtLeast: in.AtLeast})
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(found.Body.Officers, func(o Officer) bool { return o.ID == in.ID })
	if i < 0 {
		return nil, unfound("officer", "名工作人员")
	}
	return show(found.Body.Position, OneOfficer{Position: found.Body.Position, Officer: found.Body.Officers[i]}), nil
}

// officerOf shows an officer as far as the caller may read the account.
func (s *Server) officerOf(ctx context.Context, row views.OfficerRow) (Officer, error) {
	state := staff.Officer{Posts: row.Posts, Disabled: row.Disabled}
	o := Officer{ID: row.ID, Name: row.Name, Posts: postsOf(&state, s.options.Now())}
	_, err := s.mayRead(ctx, &staff.Category, placeOf{Account: row.ID})
	switch {
	case err == nil:
		o.Login, o.WorkNumber, o.Phone, o.Disabled = row.Login, row.WorkNumber, row.Phone, row.Disabled
	case record.KindOf(err) != record.Forbidden:
		return o, err
	}
	return o, nil
}

func (s *Server) units(ctx context.Context, in *onlyAt) (*shown[Units], error) {
	if _, err := s.mayRead(ctx, &units.Category, placeOf{}); err != nil {
		return nil, err
	}
	if err := s.wait(ctx, in.AtLeast); err != nil {
		return nil, err
	}
	list, position, err := s.options.Views.Units(ctx)
	if err != nil {
		return nil, err
	}
	out := Units{Position: position, Units: make([]Unit, 0, len(list))}
	for _, u := range list {
		out.Units = append(out.Units, Unit{ID: u.ID, Name: u.Name, Sort: u.Sort, Code: u.Code, Parent: u.Parent, Covers: u.Covers, Closed: u.Closed})
	}
	return show(position, out), nil
}

func (s *Server) unit(ctx context.Context, in *idQuery) (*shown[OneUnit], error) {
	found, err := s.units(ctx, &onlyAt{in.AtLeast})
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(found.Body.Units, func(u Unit) bool { return u.ID == in.ID })
	if i < 0 {
		return nil, unfound("unit", "个单位")
	}
	return show(found.Body.Position, OneUnit{Position: found.Body.Position, Unit: found.Body.Units[i]}), nil
}
