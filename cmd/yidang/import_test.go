package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"yidang/api/imports"
	"yidang/domain/commands"
	"yidang/domain/intake"
	"yidang/domain/journal"
	"yidang/domain/person"
	"yidang/domain/programs/drugs"
	"yidang/domain/record"
	"yidang/domain/staff"
	"yidang/domain/units"
)

// crashing is a journal that stops taking events after some appends: the last one before it stops is recorded or not, but
// never acknowledged.
type crashing struct {
	commands.Journal
	left     atomic.Int64
	recorded bool // the last one
}

func (c *crashing) Append(ctx context.Context, stream string, expected journal.Expected, events ...journal.Proposed) (journal.Appended, error) {
	left := c.left.Add(-1)
	if left > 0 {
		return c.Journal.Append(ctx, stream, expected, events...)
	}
	if left == 0 && c.recorded {
		if _, err := c.Journal.Append(ctx, stream, expected, events...); err != nil {
			return journal.Appended{}, err
		}
	}
	return journal.Appended{}, record.Errorf(record.Unavailable, "the machine stopped here")
}

// crossing is a township with two officers in its office, and a neighbour that has a village of the same name.
type crossing struct {
	*records
	blobDir       string
	t             *testing.T
	ctx           context.Context
	here, foreign uuid.UUID
	xu, hu        uuid.UUID // of the office
	neighbour     uuid.UUID // of the neighbour's police
	serial        int       // of citizen ids
}

func (c *crossing) do(officer uuid.UUID, category, command string, id uuid.UUID, in any) uuid.UUID {
	c.t.Helper()
	receipt, err := c.exec.Do(c.ctx, commands.Request{Category: category, Command: command, ID: id, Officer: officer, Input: in})
	if err != nil {
		c.t.Fatalf("%s: %v", command, err)
	}
	return receipt.ID
}

func (c *crossing) officer(login, name string, role record.Role, unit uuid.UUID) uuid.UUID {
	c.t.Helper()
	id := c.do(commands.System, "officer", "officer.register", uuid.Nil, staff.Register{Name: name, Login: login, Sex: 1})
	c.do(commands.System, "officer", "officer.grant_post", id, staff.GrantPost{Role: role, Unit: unit})
	return id
}

// withCrossing makes the two townships in a temp directory.
func withCrossing(t *testing.T, f func(*crossing)) {
	t.Helper()
	environ := []string{"YIDANG_DATA=" + filepath.Join(t.TempDir(), "data"), "YIDANG_ANALYTICS_OFF=true"}
	config, err := loadConfig("", environ)
	if err != nil {
		t.Fatal(err)
	}
	var log buffer
	p := &program{ctx: t.Context(), config: config, log: newLog(config.Log, &log), out: io.Discard, err: &log}
	err = withRecord(p, func(r *records) error {
		c := &crossing{records: r, t: t, ctx: p.ctx, blobDir: filepath.Join(config.domainDir(), "attachments")}
		unit := func(in units.Register) uuid.UUID {
			return c.do(commands.System, "unit", "unit.register", uuid.Nil, in)
		}
		// The neighbour comes first, so that whoever takes the first village of a name takes the wrong one.
		other := unit(units.Register{Name: "邻镇", Sort: units.Township})
		c.foreign = unit(units.Register{Name: "前进村", Sort: units.Village, Parent: other})
		far := unit(units.Register{Name: "远山村", Sort: units.Village, Parent: other})
		c.neighbour = c.officer("zheng.li", "郑力", record.CommunityPolice, unit(units.Register{Name: "邻镇派出所", Sort: units.Station, Parent: other, Covers: []uuid.UUID{c.foreign, far}}))
		township := unit(units.Register{Name: "示范镇", Sort: units.Township})
		var villages []uuid.UUID
		for _, v := range demoVillages {
			villages = append(villages, unit(units.Register{Name: v.name, Sort: v.sort, Parent: township}))
		}
		c.here = villages[0]
		station := unit(units.Register{Name: "示范镇派出所", Sort: units.Station, Parent: township, Covers: villages})
		c.officer("zhou.min", "周敏", record.CommunityPolice, station)
		office := unit(units.Register{Name: "示范镇综治办", Sort: units.Office, Parent: township})
		c.xu = c.officer("xu.zhen", "徐镇", record.TownshipOffice, office)
		c.hu = c.officer("hu.lin", "胡林", record.TownshipOffice, office)
		for i, v := range villages {
			c.officer(fmt.Sprintf("cadre%d", i+1), demoCadres[i], record.VillageCadre, v)
		}
		if err := r.settled(p.ctx); err != nil {
			return err
		}
		f(c)
		return nil
	})
	if err != nil {
		t.Fatalf("%v\n%s", err, &log)
	}
}

// citizen makes the citizen id of a man born in 1970.
func (c *crossing) citizen() string {
	c.serial++
	born := time.Date(1970, 1, 1, 0, 0, 0, 0, record.Zone).AddDate(0, 0, c.serial/400)
	return person.ComposeCitizenID("999999", born, 2*(c.serial%400)+1).String()
}

// roster makes one of new people, alike but for their citizen ids, with every step that a row takes.
func (c *crossing) roster(name string) []byte {
	c.t.Helper()
	var b strings.Builder
	fmt.Fprintln(&b, "示范镇花名册"+name)
	fmt.Fprintln(&b, "姓名,身份证号码,所在村,管理类别,本人电话,家属电话,包保责任人,社区戒毒协议日期,最近一次尿检日期,最近一次尿检结果")
	row := func(cells ...string) { fmt.Fprintln(&b, strings.Join(cells, ",")) }
	row("赵新人", c.citizen(), "前进村", "严格", "12000000001", "0000-8000001", "王海燕", "2025-08-02", "2025-09-01", "阴性")
	existing := c.citizen()
	c.do(c.xu, "person", "person.register", uuid.Nil, person.Register{Name: "钱旧人", CitizenID: existing, Village: c.here})
	row("钱旧人", existing, "前进村", "重点", "12000000002", "", "周敏", "2025-08-02", "2025-07-01", "阳性")
	row("孙无责", c.citizen(), "双河村", "一般", "", "0000-8000003", "查无此人", "", "2025-07", "阴性")
	open := c.citizen()
	who := c.do(c.xu, "person", "person.register", uuid.Nil, person.Register{Name: "李在办", CitizenID: open, Village: c.here})
	c.do(c.xu, "drugs", "drugs.open", uuid.Nil, drugs.Open{Person: who, Village: c.here, Kind: drugs.Voluntary})
	row("李在办", open, "前进村", "一般", "", "", "", "", "", "")
	row("周无村", c.citizen(), "不详", "一般", "", "", "", "", "", "")
	row("吴远山", c.citizen(), "远山村", "一般", "", "", "", "", "", "")
	row("郑明日", c.citizen(), "前进村", "一般", "", "", "", time.Now().AddDate(0, 0, 2).Format(record.Day), "", "")
	if err := c.settled(c.ctx); err != nil {
		c.t.Fatal(err)
	}
	return []byte(b.String())
}

func (c *crossing) read(raw []byte) *imports.Roster {
	c.t.Helper()
	r, err := imports.Read(bytes.NewReader(raw), int64(len(raw)), "花名册.csv", imports.DefaultLimits())
	if err != nil {
		c.t.Fatal(err)
	}
	return r
}

// outcome tells, row by row, what became of it and what the files say, without what differs from person to person.
func (c *crossing) outcome(r *imports.Roster) (out []string) {
	c.t.Helper()
	if err := c.settled(c.ctx); err != nil {
		c.t.Fatal(err)
	}
	id := intake.IDFor(r.SHA256)
	history, err := c.exec.History(c.ctx, record.StreamOf("intake", id))
	if err != nil {
		c.t.Fatal(err)
	}
	f := record.NewFile(&intake.Category, record.StreamOf("intake", id))
	if err := f.Fold(history, record.At{}); err != nil {
		c.t.Fatal(err)
	}
	for i, res := range f.State.(*intake.Intake).Results {
		line := r.Rows[i].Name + " " + res.Outcome
		for _, stream := range []string{person.Stream(res.Person), record.StreamOf("drugs", res.Case)} {
			line += "\n  " + strings.Join(c.told(stream), "\n  ")
		}
		out = append(out, line)
	}
	return out
}

func (c *crossing) told(stream string) (lines []string) {
	c.t.Helper()
	events, err := c.exec.History(c.ctx, stream)
	if err != nil {
		c.t.Fatal(err)
	}
	for _, e := range events {
		k, _ := c.catalog.Of(stream)
		row, _ := k.Event(e.Type)
		text := row.Line(e).Zh
		if e.Type == "person.registered" {
			text = e.Data.(person.Registered).Phone
		}
		lines = append(lines, e.Type+" "+text+" "+e.Meta.OccurredAt.In(record.Zone).Format(record.Day))
	}
	return lines
}

// Ensure that an import that stopped anywhere, before or after the append at hand, becomes what an uninterrupted one
// becomes, whoever of the office goes on with it: outcomes, tiers, leads, agreements and last tests (D-12; D-13).
func TestImportStoppedAnywhere(t *testing.T) {
	withCrossing(t, func(c *crossing) {
		whole := c.read(c.roster("whole"))
		if _, err := c.importer().Commit(c.ctx, whole, imports.As{Officer: c.xu}, nil); err != nil {
			t.Fatal(err)
		}
		want := c.outcome(whole)
		for _, part := range []string{"严格", "重点", "一般", "签订", "转录", "包保责任人", "家庭成员"} {
			if !strings.Contains(strings.Join(want, "\n"), part) {
				t.Errorf("nothing of %s in\n%s", part, strings.Join(want, "\n"))
			}
		}
		real := c.exec.Journal
		for n := 1; ; n++ {
			stopped := false
			for _, recorded := range []bool{false, true} {
				raw := c.roster(fmt.Sprintf("%d %v", n, recorded))
				fault := &crashing{Journal: real, recorded: recorded}
				fault.left.Store(int64(n))
				c.exec.Journal = fault
				_, err := c.importer().Commit(c.ctx, c.read(raw), imports.As{Officer: c.xu}, nil)
				c.exec.Journal = real
				stopped = stopped || err != nil
				if err := c.settled(c.ctx); err != nil {
					t.Fatal(err)
				}
				again := c.read(raw)
				officer := c.xu
				if n%2 == 0 {
					officer = c.hu
				}
				if _, err := c.importer().Commit(c.ctx, again, imports.As{Officer: officer}, nil); err != nil {
					t.Fatalf("stopped at append %d, recorded %v: gone on with: %v", n, recorded, err)
				}
				if got := c.outcome(again); !slices.Equal(got, want) {
					t.Fatalf("stopped at append %d, recorded %v:\n%s\nwant\n%s", n, recorded, strings.Join(got, "\n"), strings.Join(want, "\n"))
				}
			}
			if !stopped {
				if n < 20 {
					t.Errorf("the import took only %d appends", n)
				}
				return
			}
		}
	})
}

// Ensure that a row says why the officer it names was not made responsible: nobody has that name, the post does not fit the
// tier, or whoever takes the roster in may not appoint (D-09…D-11).
func TestRosterResponsible(t *testing.T) {
	withCrossing(t, func(c *crossing) {
		for _, tc := range []struct {
			officer         uuid.UUID
			tier, name, why string
		}{
			{c.xu, "严格", demoCadres[0], ""},
			{c.xu, "严格", "无此人", "no officer in service has this name"},
			{c.xu, "重点", demoCadres[0], "(D-10)"},
			{c.xu, "严格", demoCadres[1], "does not hold this role for the village"},
			{c.neighbour, "严格", "郑力", "your posts do not allow this"},
		} {
			r := c.read([]byte("姓名,身份证号码,所在村,管理类别,包保责任人\n赵新人," + c.citizen() + ",前进村," + tc.tier + "," + tc.name + "\n"))
			if _, err := c.importer().Commit(c.ctx, r, imports.As{Officer: tc.officer}, nil); err != nil {
				t.Fatal(err)
			}
			why := r.Judgements()[0].Why
			if tc.why == "" && why != "" || !strings.Contains(why, tc.why) || tc.why != "" && !strings.HasPrefix(why, whyNoLead) {
				t.Errorf("%s for the tier %s: %q, want %q", tc.name, tc.tier, why, tc.why)
			}
			if err := c.settled(c.ctx); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// whyNoLead is the warning that the roster's officers earn in a township where not all of them lead the tiers they are named for.
const whyNoLead = "the responsible officer was not taken over"

// Ensure that a roster whose import stops again and again, under one officer after another, becomes what was expected of it.
func TestRosterStoppedAgainAndAgain(t *testing.T) {
	withCrossing(t, func(c *crossing) {
		raw, err := os.ReadFile(rosters + "drugs-2026q3.xlsx")
		if err != nil {
			t.Fatal(err)
		}
		expected, err := os.ReadFile(rosters + "drugs-2026q3.expected.json")
		if err != nil {
			t.Fatal(err)
		}
		var want []imports.Judgement
		if err := json.Unmarshal(expected, &want); err != nil {
			t.Fatal(err)
		}
		dry := c.read(raw)
		if err := c.importer().Check(c.ctx, dry, imports.As{Officer: c.xu}); err != nil {
			t.Fatal(err)
		}
		real, finished := c.exec.Journal, false
		var r *imports.Roster
		for n := 0; !finished; n++ {
			fault := &crashing{Journal: real, recorded: n%2 == 0}
			fault.left.Store(60)
			c.exec.Journal = fault
			r = c.read(raw)
			_, err := c.importer().Commit(c.ctx, r, imports.As{Officer: []uuid.UUID{c.xu, c.hu}[n%2]}, nil)
			c.exec.Journal = real
			if finished = err == nil; finished && n < 3 {
				t.Errorf("it was stopped only %d times", n)
			}
			if err := c.settled(c.ctx); err != nil {
				t.Fatal(err)
			}
		}
		for i, j := range r.Judgements() {
			same := j.Outcome == want[i].Outcome || want[i].Outcome == imports.Accepted && strings.HasPrefix(j.Why, whyNoLead)
			if !same || dry.Rows[i].Outcome != want[i].Outcome {
				t.Errorf("row %d: dry run %s, taken in %s (%s), want %s", j.Row, dry.Rows[i].Outcome, j.Outcome, j.Why, want[i].Outcome)
			}
		}
	})
}

// Ensure that a dry run says of every row what will become of it, whoever takes the roster in: without a village, in a
// village of the neighbour's, in one whose name both have, or with a file that is not the officer's to work in. One such
// row keeps no other from being taken in (D-06).
func TestRosterWithinReach(t *testing.T) {
	withCrossing(t, func(c *crossing) {
		theirs, erased, alike := c.citizen(), c.citizen(), c.citizen()
		c.do(c.neighbour, "person", "person.register", uuid.Nil, person.Register{Name: "冯邻人", CitizenID: theirs, Village: c.foreign})
		gone := c.do(c.xu, "person", "person.register", uuid.Nil, person.Register{Name: "陈销毁", CitizenID: erased, Village: c.here})
		c.do(c.xu, "person", "person.register", uuid.Nil, person.Register{Name: "褚无证", NoCardReason: "证件遗失", Phone: "12000000009", Village: c.here})
		if err := c.exec.FinishErasure(c.ctx, person.Stream(gone), "consent-withdrawn"); err != nil {
			t.Fatal(err)
		}
		if err := c.settled(c.ctx); err != nil {
			t.Fatal(err)
		}
		raw := []byte("姓名,身份证号码,所在村,管理类别,本人电话\n" +
			"赵新人," + c.citizen() + ",前进村,一般,\n" +
			"周无村," + c.citizen() + ",不详,一般,\n" +
			"吴远山," + c.citizen() + ",远山村,一般,\n" +
			"冯邻人," + theirs + ",前进村,一般,\n" +
			"褚无证," + alike + ",前进村,一般,12000000009\n" +
			"陈销毁," + erased + ",前进村,一般,\n")
		want := []imports.Outcome{imports.Accepted, imports.Rejected, imports.Rejected, imports.Rejected, imports.Rejected, imports.Rejected}
		dry, r := c.read(raw), c.read(raw)
		if err := c.importer().Check(c.ctx, dry, imports.As{Officer: c.xu}); err != nil {
			t.Fatal(err)
		}
		if _, err := c.importer().Commit(c.ctx, r, imports.As{Officer: c.xu}, nil); err != nil {
			t.Fatal(err)
		}
		for i := range r.Rows {
			if dry.Rows[i].Outcome != want[i] || r.Rows[i].Outcome != want[i] || want[i] == imports.Rejected && r.Rows[i].Why[len(r.Rows[i].Why)-1].Zh == "" {
				t.Errorf("%s: dry run %s %v, taken in %s %v, want %s", r.Rows[i].Name, dry.Rows[i].Outcome, dry.Rows[i].Why, r.Rows[i].Outcome, r.Rows[i].Why, want[i])
			}
		}
		results := c.outcome(r)
		if !strings.Contains(results[0], "drugs.opened") {
			t.Errorf("the first row became %s", results[0])
		}
		again := c.read(raw)
		if sum, err := c.importer().Commit(c.ctx, again, imports.As{Officer: c.hu}, nil); err != nil || !sum.Repeated {
			t.Errorf("the same file again: %+v %v", sum, err)
		}
	})
}

// Ensure that a namesake of the neighbour's is not taken for one's own village, and that two of one's own are not guessed
// between.
func TestVillageOfTheOfficer(t *testing.T) {
	withCrossing(t, func(c *crossing) {
		raw := func() []byte {
			return []byte("姓名,身份证号码,所在村,管理类别\n赵新人," + c.citizen() + ",前进村,一般\n")
		}
		for officer, village := range map[uuid.UUID]uuid.UUID{c.xu: c.here, c.neighbour: c.foreign} {
			r := c.read(raw())
			if _, err := c.importer().Commit(c.ctx, r, imports.As{Officer: officer}, nil); err != nil {
				t.Fatal(err)
			}
			id, ok, err := c.exec.Holder(c.ctx, "citizenid", r.Rows[0].CitizenID.String())
			if err != nil || !ok {
				t.Fatalf("%v %v: %v", ok, err, r.Judgements())
			}
			history, err := c.exec.History(c.ctx, person.Stream(id))
			if err != nil || history[0].Data.(person.Registered).Village != village {
				t.Errorf("registered in another village: %v", err)
			}
		}
		both := c.officer("liang.di", "两地", record.CommunityPolice, c.here)
		c.do(commands.System, "officer", "officer.grant_post", both, staff.GrantPost{Role: record.CommunityPolice, Unit: c.foreign})
		r := c.read(raw())
		if err := c.importer().Check(c.ctx, r, imports.As{Officer: both}); err != nil || r.Rows[0].Outcome != imports.Rejected {
			t.Errorf("of two villages of one name one was taken: %v %v", r.Judgements(), err)
		}
	})
}
