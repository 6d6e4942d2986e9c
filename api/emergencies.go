package api

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"yidang/domain/access"
	"yidang/domain/commands"
	"yidang/domain/record"
	"yidang/domain/staff"
	"yidang/domain/units"
	"yidang/projections/oversight"
)

// This file is how supervisors and inspectors learn of emergency readings (break-glass): a count in /v1/me until they have
// opened the list, the list with the reasons, a gauge, and a warning in the log.

type emergenciesQuery struct {
	Paging
	Since string `query:"since" maxLength:"40" doc:"on or after this day or time"`
}

// Emergencies is a page of emergency readings.
type Emergencies struct {
	oversight.Page
	Emergencies []Emergency `json:"emergencies" nullable:"false"`
}

// Emergency is one, with the reason that the officer gave.
type Emergency struct {
	oversight.Glass
	Reason string `json:"reason"`
}

var supervisors = append([]record.Grant{{Roles: []record.Role{record.TownshipOffice}, Scope: record.Anywhere}}, inspectors...)

func (s *Server) emergencyRoutes() {
	read(s, huma.Operation{OperationID: "emergencies", Path: "/v1/emergencies", Tags: []string{"inspect"}, Metadata: map[string]any{recorded: true}, Summary: "Emergency readings (紧急查阅提醒)",
		Description: "Files that were opened in an emergency by officers who may not read them otherwise; a supervisor sees those of the units below. Opening the list is recorded, and until then /v1/me counts them.\n\nWho may: " + grantText(supervisors) + "."}, s.emergencies)
}

func (s *Server) emergencies(ctx context.Context, in *emergenciesQuery) (*shown[Emergencies], error) {
	if s.options.Oversight == nil {
		return nil, errNoIndex
	}
	since, _, err := span(in.Since, "")
	if err != nil {
		return nil, err
	}
	actor, units, err := s.alerted(ctx, visitOf(ctx).who.Officer)
	if err != nil {
		return nil, err
	}
	if err := s.watch(ctx, in.AtLeast); err != nil {
		return nil, err
	}
	q := oversight.GlassQuery{Paging: in.paging(), Since: since, Units: units}
	rows, page, err := s.options.Oversight.Glasses(ctx, q)
	if err != nil {
		return nil, err
	}
	if len(rows) > 0 {
		seen := looked{what: access.Entries, item: "emergencies", actor: actor}
		if in.Newest && in.After == 0 || !in.Newest && page.Next == 0 { // the page has the newest
			seen.what = access.Emergencies
		}
		for _, g := range rows {
			if !slices.Contains(seen.people, g.Person) {
				seen.people = append(seen.people, g.Person)
			}
		}
		if err := s.recordRead(ctx, seen); err != nil {
			return nil, err
		}
	}
	out := Emergencies{Page: page, Emergencies: make([]Emergency, len(rows))}
	for i, g := range rows {
		out.Emergencies[i].Glass = g
		history, err := s.options.Executor.History(ctx, staff.Stream(g.Officer))
		if err != nil {
			return nil, err
		}
		for _, e := range history {
			if d, ok := e.Data.(staff.GlassBroken); ok && e.ID == g.ID {
				out.Emergencies[i].Reason = d.Reason
			}
		}
	}
	return show(page.Position, out), nil
}

// below lists the units that a supervisor's unit answers for: itself and those below it; an office those of its township.
func (s *Server) below(ctx context.Context, unit uuid.UUID) ([]uuid.UUID, error) {
	all, _, err := s.options.Views.Units(ctx)
	if err != nil {
		return nil, err
	}
	parent := map[uuid.UUID]uuid.UUID{}
	top := unit
	for _, u := range all {
		parent[u.ID] = u.Parent
		if u.ID == unit && u.Sort == units.Office && u.Parent != uuid.Nil {
			top = u.Parent
		}
	}
	out := []uuid.UUID{unit}
	for _, u := range all {
		for at, hops := u.ID, 0; at != uuid.Nil && hops < 8; at, hops = parent[at], hops+1 {
			if at == top && !slices.Contains(out, u.ID) {
				out = append(out, u.ID)
			}
		}
	}
	return out, nil
}

// alerted tells in which post an officer is to learn of emergency readings, and of which units'; nil for all.
func (s *Server) alerted(ctx context.Context, officer uuid.UUID) (actor record.Actor, units []uuid.UUID, err error) {
	actor, err = s.options.Executor.Authorise(ctx, officer, uuid.Nil, supervisors, placeOf{}, inspectTitle)
	if err == nil && actor.Role != record.Inspector {
		units, err = s.below(ctx, actor.Unit)
	}
	return actor, units, err
}

// newestEmergencies is how many are looked at to count those that were not seen.
const newestEmergencies = 1000

// unseen counts the emergency readings, of some units or of all, since the list was last opened: by one officer, or, when
// officer is zero, by anybody.
func (s *Server) unseen(ctx context.Context, officer uuid.UUID, units []uuid.UUID) (int, error) {
	newest := oversight.Paging{Newest: true, Limit: newestEmergencies}
	rows, _, err := s.options.Oversight.Glasses(ctx, oversight.GlassQuery{Paging: newest, Units: units})
	if err != nil || len(rows) == 0 {
		return 0, err
	}
	newest.Limit = 1
	opened, _, err := s.options.Oversight.Reads(ctx, oversight.ReadQuery{Paging: newest, Officer: officer, What: []string{access.Emergencies}, From: rows[len(rows)-1].RecordedAt})
	if err != nil || len(opened) == 0 {
		return len(rows), err
	}
	return len(slices.DeleteFunc(rows, func(g oversight.Glass) bool { return g.Position < opened[0].Position })), nil
}

// alerts is the count for /v1/me: nothing for who is not to learn of them, or while the index cannot say.
func (s *Server) alerts(ctx context.Context, officer uuid.UUID) (int, error) {
	if s.options.Oversight == nil {
		return 0, nil
	}
	_, units, err := s.alerted(ctx, officer)
	n := 0
	if err == nil {
		n, err = s.unseen(ctx, officer, units)
	}
	switch record.KindOf(err) {
	case record.Forbidden, record.Unavailable:
		return 0, nil
	}
	return n, err
}

// alarm says in the log that a file was opened in an emergency, for whoever watches it. Whose and by whom is in the record.
func (s *Server) alarm(ctx context.Context, r commands.Receipt) {
	if r.DryRun || r.Repeated {
		return
	}
	for _, e := range r.Events {
		if e.Type == staff.GlassBrokenType {
			s.options.Log.LogAttrs(ctx, slog.LevelWarn, "a file was opened in an emergency: see /v1/emergencies", slog.String("event", e.ID.String()), slog.Uint64("position", r.Position))
		}
	}
}

// emergencyGauge shows the emergency readings that nobody has looked at, when it is scraped.
type emergencyGauge struct{ server *Server }

var emergenciesDesc = prometheus.NewDesc("yidang_emergencies_unseen", "Emergency readings since a supervisor or an inspector last opened their list.", nil, nil)

// Describe and Collect make it a prometheus.Collector.
func (g emergencyGauge) Describe(out chan<- *prometheus.Desc) { out <- emergenciesDesc }

// Collect is documented at Describe. While the index cannot say, nothing is shown.
func (g emergencyGauge) Collect(out chan<- prometheus.Metric) {
	if g.server.options.Oversight == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if n, err := g.server.unseen(ctx, uuid.Nil, nil); err == nil {
		out <- prometheus.MustNewConstMetric(emergenciesDesc, prometheus.GaugeValue, float64(n))
	}
}
