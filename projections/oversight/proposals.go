package oversight

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/ncruces/go-sqlite3"

	"yidang/domain/record"
	"yidang/domain/vault/sealed"
)

// What became of a proposal.
const (
	Waiting   = "open"
	Approved  = "approved"
	Rejected  = "rejected"
	Withdrawn = "withdrawn"
	Lapsed    = "lapsed"  // the file was erased before it was answered
	Expired   = "expired" // still open, but too late to approve; nothing is recorded of it
)

var statuses = []string{Waiting, Approved, Rejected, Withdrawn, Lapsed} // by stored number

func statusNumber(status string) int { return slices.Index(statuses, status) }

// Proposal is what one person proposed and a second one answers.
type Proposal struct {
	Position   uint64      `json:"position"`
	ID         uuid.UUID   `json:"id"`
	Category   string      `json:"category"`
	File       uuid.UUID   `json:"file"`
	Person     uuid.UUID   `json:"person,omitzero"`
	Case       uuid.UUID   `json:"case,omitzero"`
	Command    string      `json:"command,omitempty"` // empty when the file was erased
	Proposer   uuid.UUID   `json:"proposer"`
	Post       uuid.UUID   `json:"post,omitzero"`
	Role       record.Role `json:"role,omitempty"`
	Unit       uuid.UUID   `json:"unit,omitzero"`
	ProposedAt time.Time   `json:"proposedAt"`
	Expires    time.Time   `json:"expires,omitzero"`
	Status     string      `json:"status"`
	Answer     uint64      `json:"answer,omitempty"` // position of the event that ended it
	Answerer   uuid.UUID   `json:"answerer,omitzero"`
	AnsweredAt time.Time   `json:"answeredAt,omitzero"`
}

// ProposalQuery asks for proposals that meet all that is set.
type ProposalQuery struct {
	Paging
	Now      time.Time // required: what has expired
	Status   string    // one of the above
	Person   uuid.UUID
	Case     uuid.UUID
	File     uuid.UUID
	Proposer uuid.UUID
	Answerer uuid.UUID
	NotBy    uuid.UUID   // somebody else's: for who may answer
	Units    []uuid.UUID // of the proposer's post, any of them
	Commands []string    // any of them
}

const (
	proposalColumns   = `position, id, kind, file, person, kase, command, proposer, post, role, unit, proposed, expires, status, answer, answerer, answered`
	proposalsUp       = `SELECT ` + proposalColumns + ` FROM proposals WHERE position > ? AND position <= ? ORDER BY position`
	proposalsDown     = `SELECT ` + proposalColumns + ` FROM proposals WHERE position > ? AND position <= ? ORDER BY position DESC`
	openProposalsUp   = `SELECT ` + proposalColumns + ` FROM proposals WHERE status = 0 AND position > ? AND position <= ? ORDER BY position`
	openProposalsDown = `SELECT ` + proposalColumns + ` FROM proposals WHERE status = 0 AND position > ? AND position <= ? ORDER BY position DESC`
)

// Proposals answers a query.
func (x *Index) Proposals(ctx context.Context, q ProposalQuery) (proposals []Proposal, page Page, err error) {
	sql := proposalsUp
	switch open := q.Status == Waiting || q.Status == Expired; {
	case open && q.Newest:
		sql = openProposalsDown
	case open:
		sql = openProposalsUp
	case q.Newest:
		sql = proposalsDown
	}
	got := collect[Proposal]{limit: q.limit()}
	page, err = x.list(ctx, q.Paging, sql, func(r *reader, st *sqlite3.Stmt) (uint64, error) {
		p := r.scanProposal(st, q.Now)
		if !q.wants(&p) {
			return p.Position, nil
		}
		return p.Position, got.take(p.Position, p)
	})
	page.Next = max(page.Next, got.next)
	return got.rows, page, err
}

func (q *ProposalQuery) wants(p *Proposal) bool {
	is := func(asked, has uuid.UUID) bool { return asked == uuid.Nil || asked == has }
	return (q.Status == "" || q.Status == p.Status) && is(q.Person, p.Person) && is(q.Case, p.Case) && is(q.File, p.File) &&
		is(q.Proposer, p.Proposer) && is(q.Answerer, p.Answerer) && (q.NotBy == uuid.Nil || q.NotBy != p.Proposer) &&
		(len(q.Units) == 0 || slices.Contains(q.Units, p.Unit)) && (len(q.Commands) == 0 || slices.Contains(q.Commands, p.Command))
}

func (r *reader) scanProposal(st *sqlite3.Stmt, now time.Time) Proposal {
	n := r.x.names
	p := Proposal{
		Position: uint64(st.ColumnInt64(0)), ID: columnID(st, 1), Category: n.string(st.ColumnInt64(2)), File: columnID(st, 3),
		Person: columnID(st, 4), Case: columnID(st, 5), Command: n.string(st.ColumnInt64(6)), Proposer: n.id(st.ColumnInt64(7)),
		Post: n.id(st.ColumnInt64(8)), Role: record.Role(n.string(st.ColumnInt64(9))), Unit: n.id(st.ColumnInt64(10)),
		ProposedAt: instant(st.ColumnInt64(11)), Expires: instant(st.ColumnInt64(12)), Status: statuses[st.ColumnInt64(13)],
		Answer: uint64(st.ColumnInt64(14)), Answerer: n.id(st.ColumnInt64(15)), AnsweredAt: instant(st.ColumnInt64(16)),
	}
	if p.Status == Waiting && !p.Expires.IsZero() && !now.Before(p.Expires) {
		p.Status = Expired
	}
	return p
}

// Glass is an emergency reading: who may read whose file until when, outside what the posts allow. Why is in the event.
type Glass struct {
	Position   uint64      `json:"position"`
	ID         uuid.UUID   `json:"id"`
	Officer    uuid.UUID   `json:"officer"` // whose stream the event is in
	Post       uuid.UUID   `json:"post,omitzero"`
	Role       record.Role `json:"role,omitempty"`
	Unit       uuid.UUID   `json:"unit,omitzero"`
	Person     uuid.UUID   `json:"person"`
	Until      time.Time   `json:"until"`
	RecordedAt time.Time   `json:"recordedAt"`
}

// GlassQuery asks for emergency readings that meet all that is set.
type GlassQuery struct {
	Paging
	Units   []uuid.UUID // of the officer's post, any of them
	Officer uuid.UUID
	Person  uuid.UUID
	Since   time.Time // recorded then or later
	InForce time.Time // still in force then
}

const (
	glassColumns = `position, id, officer, post, role, unit, person, until, recorded`
	glassesUp    = `SELECT ` + glassColumns + ` FROM glasses WHERE position > ? AND position <= ? ORDER BY position`
	glassesDown  = `SELECT ` + glassColumns + ` FROM glasses WHERE position > ? AND position <= ? ORDER BY position DESC`
)

// Glasses answers a query.
func (x *Index) Glasses(ctx context.Context, q GlassQuery) (glasses []Glass, page Page, err error) {
	sql := glassesUp
	if q.Newest {
		sql = glassesDown
	}
	got := collect[Glass]{limit: q.limit()}
	page, err = x.list(ctx, q.Paging, sql, func(r *reader, st *sqlite3.Stmt) (uint64, error) {
		n := r.x.names
		g := Glass{
			Position: uint64(st.ColumnInt64(0)), ID: columnID(st, 1), Officer: n.id(st.ColumnInt64(2)), Post: n.id(st.ColumnInt64(3)),
			Role: record.Role(n.string(st.ColumnInt64(4))), Unit: n.id(st.ColumnInt64(5)), Person: columnID(st, 6),
			Until: instant(st.ColumnInt64(7)), RecordedAt: instant(st.ColumnInt64(8)),
		}
		if len(q.Units) > 0 && !slices.Contains(q.Units, g.Unit) || q.Officer != uuid.Nil && q.Officer != g.Officer ||
			q.Person != uuid.Nil && q.Person != g.Person || g.RecordedAt.Before(q.Since) || !q.InForce.IsZero() && !q.InForce.Before(g.Until) {
			return g.Position, nil
		}
		return g.Position, got.take(g.Position, g)
	})
	page.Next = max(page.Next, got.next)
	return got.rows, page, err
}

// list goes through a table that has no lists.
func (x *Index) list(ctx context.Context, p Paging, sql string, row func(r *reader, st *sqlite3.Stmt) (uint64, error)) (page Page, err error) {
	page.Position, err = x.read(ctx, func(r *reader) error {
		from, upto := p.bounds(r.position)
		w := &walk{Paging: p, up: sql, down: sql, left: r.x.o.Examine}
		w.row = func(st *sqlite3.Stmt) (uint64, error) { return row(r, st) }
		err := w.all(r, from, upto)
		if errors.Is(err, errExamined) {
			page.Next, err = w.seen, nil
		}
		if errors.Is(err, sealed.ErrEnough) {
			err = nil
		}
		return err
	})
	return page, err
}
