package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"yidang/api/auth"
	"yidang/api/imports"
	"yidang/domain/commands"
	"yidang/domain/record"
	"yidang/domain/staff"
	"yidang/domain/units"
	"yidang/projections/views"
)

// demoCmd fills an empty data folder with a township that does not exist, through the same commands that users call. The
// clock of the commands runs through the past months, so the two clocks of each entry are as they would have been.
type demoCmd struct {
	Months int    `help:"Months of casework to make." default:"5"`
	People int    `help:"Rows of the roster." default:"60"`
	Seed   uint64 `help:"The same seed makes the same township." default:"1"`
}

func (demoCmd) Help() string {
	return `Only an empty data folder is filled. All people are synthetic: citizen ids begin with 999999, mobiles with 120.

Example:
  yidang demo && yidang serve`
}

// Run fills the data folder.
func (cmd demoCmd) Run(p *program) error { return fillDemo(p, cmd) }

// accountsFile is where the demo's passwords are kept.
func accountsFile(c Config) string { return filepath.Join(c.Data, "demo-accounts.txt") }

// unfinishedFile is there from the first event of the demo to its last one.
func unfinishedFile(c Config) string { return filepath.Join(c.Data, "demo-unfinished") }

// demoFinished refuses a demo whose filling was interrupted: half a township, whose clock stands months ago.
func demoFinished(c Config) error {
	if _, err := os.Stat(unfinishedFile(c)); err != nil {
		return nil // there is none, or no data folder
	}
	return &record.Problem{Kind: record.Refused, Message: "the demo in " + c.Data + " was interrupted while it was filled", Zh: "演示数据填充中断，尚不完整",
		Remedy: "remove " + c.Data + " and start again"}
}

func fillDemo(p *program, cmd demoCmd) error {
	if err := demoFinished(p.config); err != nil {
		return err
	}
	now := time.Now()
	start := record.DayOf(now).AddDate(0, -cmd.Months, 0).Add(9 * time.Hour)
	d := &demo{program: p, cmd: cmd, clock: start, rand: rand.New(rand.NewPCG(cmd.Seed, 7)), files: map[uuid.UUID]*record.File{}}
	return withRecordAt(p, d.now, func(r *records) error {
		d.r = r
		if _, some, err := r.journal.Head(p.ctx); err != nil || some {
			if err == nil {
				err = &record.Problem{Kind: record.Refused, Message: "the data folder is not empty", Remedy: "name another with data = \"…\", or remove " + p.config.Data}
			}
			return err
		}
		if err := os.WriteFile(unfinishedFile(p.config), []byte("the demo is being filled\n"), 0o600); err != nil {
			return err
		}
		d.step("a township, its villages, a police station, officers and posts")
		if err := d.settle(); err != nil {
			return err
		}
		d.step(fmt.Sprintf("a roster of %d rows", cmd.People))
		if err := d.takeRoster(); err != nil {
			return err
		}
		d.step(fmt.Sprintf("%d months of visits, talks and urine tests", cmd.Months))
		if err := d.live(now); err != nil {
			return err
		}
		return os.Remove(unfinishedFile(p.config))
	})
}

// demo is the township under construction.
type demo struct {
	program *program
	cmd     demoCmd
	r       *records
	rand    *rand.Rand
	clock   time.Time

	township, office, station uuid.UUID
	villages                  []uuid.UUID
	cadres, medics, helpers   map[uuid.UUID]uuid.UUID // by village
	police                    [2]uuid.UUID            // a man, a woman
	officer                   map[string]uuid.UUID    // by login
	accounts                  []account
	cases                     []uuid.UUID
	files                     map[uuid.UUID]*record.File
}

type account struct{ login, password, zh, en string }

func (d *demo) now() time.Time { return d.clock }

func (d *demo) step(what string) { fmt.Fprintln(d.program.err, "demo:", what, "…") }

type demoVillage struct {
	name string
	sort units.Sort
}

var (
	demoVillages = []demoVillage{{"前进村", units.Village}, {"双河村", units.Village}, {"灯塔社区", units.Community}, {"青龙村", units.Village}, {"石桥村", units.Village}}
	demoCadres   = []string{"王海燕", "李建国", "陈国强", "刘桂芳", "赵文博"}
	demoMedics   = []string{"孙秀兰", "吴平", "何敏", "郭霞", "马洋"}
	demoHelpers  = []string{"林超", "胡艳", "朱勇", "梁海燕", "张杰"}
)

// settle registers units and officers as the first administrator would.
func (d *demo) settle() error {
	d.cadres, d.medics, d.helpers, d.officer = map[uuid.UUID]uuid.UUID{}, map[uuid.UUID]uuid.UUID{}, map[uuid.UUID]uuid.UUID{}, map[string]uuid.UUID{}
	var w work
	unit := func(in units.Register) (id uuid.UUID) {
		return w.id(func() (uuid.UUID, error) { return d.do(commands.System, "unit", "unit.register", uuid.Nil, in) })
	}
	d.township = unit(units.Register{Name: "示范镇", Sort: units.Township, Code: "999999001"})
	for i, v := range demoVillages {
		d.villages = append(d.villages, unit(units.Register{Name: v.name, Sort: v.sort, Parent: d.township, Code: fmt.Sprintf("999999001%03d", 200+i)}))
	}
	d.station = unit(units.Register{Name: "示范镇派出所", Sort: units.Station, Parent: d.township, Covers: d.villages})
	d.office = unit(units.Register{Name: "示范镇综治（禁毒）办", Sort: units.Office, Parent: d.township})
	if w.err != nil {
		return w.err
	}
	type person struct {
		login, name string
		sex         int
		role        record.Role
		unit        uuid.UUID
		keep        func(uuid.UUID)
	}
	people := []person{
		{"admin", "钱管理", 1, record.Administrator, d.township, nil},
		{"zhou.min", "周敏", 1, record.CommunityPolice, d.station, func(id uuid.UUID) { d.police[0] = id }},
		{"yang.xue", "杨雪", 2, record.CommunityPolice, d.station, func(id uuid.UUID) { d.police[1] = id }},
		{"xu.zhen", "徐镇", 1, record.TownshipOffice, d.office, nil},
		{"inspector", "纪明", 1, record.Inspector, d.township, nil},
		{"analyst", "沈数", 2, record.Analyst, d.township, nil},
	}
	for i, v := range d.villages {
		people = append(people,
			person{fmt.Sprintf("cadre%d", i+1), demoCadres[i], 1 + i%2, record.VillageCadre, v, func(id uuid.UUID) { d.cadres[v] = id }},
			person{fmt.Sprintf("medic%d", i+1), demoMedics[i], 2 - i%2, record.CommunityMedic, v, func(id uuid.UUID) { d.medics[v] = id }},
			person{fmt.Sprintf("volunteer%d", i+1), demoHelpers[i], 1 + i%2, record.Volunteer, v, func(id uuid.UUID) { d.helpers[v] = id }})
	}
	for _, o := range people {
		id := w.id(func() (uuid.UUID, error) {
			return d.do(commands.System, "officer", "officer.register", uuid.Nil, staff.Register{Name: o.name, Login: o.login, Sex: o.sex})
		})
		w.id(func() (uuid.UUID, error) {
			return d.do(commands.System, "officer", "officer.grant_post", id, staff.GrantPost{Role: o.role, Unit: o.unit})
		})
		if w.err != nil {
			return w.err
		}
		d.officer[o.login] = id
		if o.keep != nil {
			o.keep(id)
		}
	}
	return d.passwords()
}

// passwords gives the accounts of the tour random passwords. They are written down before they are set: whatever comes in
// between, nobody is locked out.
func (d *demo) passwords() error {
	for _, a := range []account{
		{"cadre1", "", "村干部（前进村）：个案工作人员", "village cadre of 前进村: case officer"},
		{"zhou.min", "", "社区民警：派出所", "community police officer"},
		{"yang.xue", "", "社区民警：不包保，可作第二人审批", "community police officer without cases of her own, who may approve"},
		{"xu.zhen", "", "镇综治（禁毒）办", "township office"},
		{"volunteer1", "", "禁毒志愿者（前进村）", "volunteer of 前进村"},
		{"inspector", "", "纪检监察人员", "discipline inspector"},
		{"analyst", "", "统计分析人员", "analyst"},
		{"admin", "", "系统管理员", "administrator"},
	} {
		a.password = auth.RandomPassword()
		d.accounts = append(d.accounts, a)
	}
	if err := d.writeAccounts(); err != nil {
		return err
	}
	hasher := auth.NewHasher(2)
	for _, a := range d.accounts {
		hash, err := hasher.Hash(d.program.ctx, a.password)
		if err != nil {
			return err
		}
		if _, err := d.do(commands.System, "officer", "officer.set_password", d.officer[a.login], staff.SetPassword{Hash: hash}); err != nil {
			return err
		}
	}
	return nil
}

// takeRoster makes a roster in the untidy style of real ones and imports it as the township office, which alone makes officers responsible.
func (d *demo) takeRoster() error {
	var file bytes.Buffer
	_, err := imports.Generate(&file, imports.GenerateOptions{Seed: d.cmd.Seed, Rows: d.cmd.People, AsOf: d.clock, Responsible: responsible})
	if err != nil {
		return err
	}
	roster, err := imports.Read(bytes.NewReader(file.Bytes()), int64(file.Len()), "demo.xlsx", imports.DefaultLimits())
	if err != nil {
		return err
	}
	if err := d.r.settled(d.program.ctx); err != nil {
		return err
	}
	importer := d.r.importer()
	sum, err := importer.Commit(d.program.ctx, roster, imports.As{Officer: d.officer["xu.zhen"]}, nil)
	if err != nil {
		return err
	}
	fmt.Fprintf(d.program.err, "demo: %d accepted, %d with a warning, %d duplicates, %d rejected\n",
		sum.Counts[imports.Accepted], sum.Counts[imports.AcceptedWithWarning], sum.Counts[imports.Duplicate], sum.Counts[imports.Rejected])
	if err := d.r.settled(d.program.ctx); err != nil {
		return err
	}
	cases, _, _, err := d.r.views.Cases(d.program.ctx, views.CaseQuery{Reach: record.Reach{All: true}, Limit: 500})
	for _, c := range cases {
		d.cases = append(d.cases, c.ID)
	}
	return err
}

// responsible is who the plan makes responsible in a village: its head, the police officer, a volunteer (D-09…D-11).
func responsible(village, tier string) string {
	i := slices.IndexFunc(demoVillages, func(v demoVillage) bool { return v.name == village })
	switch tier {
	case imports.TierStrict:
		return demoCadres[i]
	case imports.TierPriority:
		return "周敏"
	}
	return demoHelpers[i]
}

// do runs a command now.
func (d *demo) do(officer uuid.UUID, category, command string, id uuid.UUID, in any) (uuid.UUID, error) {
	receipt, err := d.r.exec.Do(d.program.ctx, commands.Request{Category: category, Command: command, ID: id, Officer: officer, Input: in})
	if err != nil {
		return uuid.Nil, fmt.Errorf("demo: %s: %w", command, err)
	}
	return receipt.ID, nil
}

// work carries an error through a series of steps.
type work struct{ err error }

func (w *work) id(f func() (uuid.UUID, error)) uuid.UUID {
	if w.err != nil {
		return uuid.Nil
	}
	id, err := f()
	w.err = err
	return id
}

func (d *demo) writeAccounts() error {
	var b strings.Builder
	for _, a := range d.accounts {
		fmt.Fprintf(&b, "%-12s %-18s %s / %s\n", a.login, a.password, a.zh, a.en)
	}
	return os.WriteFile(accountsFile(d.program.config), []byte(b.String()), 0o600)
}

// printAccounts shows the demo's accounts, when there are any.
func printAccounts(p *program) {
	if raw, err := os.ReadFile(accountsFile(p.config)); err == nil {
		fmt.Fprintf(p.out, "\nDemo accounts (also in %s):\n%s\n", accountsFile(p.config), raw)
	}
}
