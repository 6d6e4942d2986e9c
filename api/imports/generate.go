package imports

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"github.com/xuri/excelize/v2"

	"yidang/domain/person"
	"yidang/domain/record"
)

// GenerateOptions shape a demonstration roster. The zero value of a field takes the default named beside it.
type GenerateOptions struct {
	Seed     uint64
	Rows     int       // people's lines, mistakes included (60)
	Town     string    // 示范镇
	Unit     string    // reporting unit: the town's police station (派出所)
	Villages []string  // 前进村 双河村 灯塔社区 青龙村 石桥村
	Officers []string  // who fills it in, and responsible officers: 王海燕 周敏 李建国
	AsOf     time.Time // when it was filled in; no date in it is later (2026-09-28)
	// Responsible names who is responsible in a village for a tier (TierStrict, …); one of Officers by chance.
	Responsible func(village, tier string) string
	Clean       bool // leave out the rows with mistakes; untidy writing remains
}

func (o GenerateOptions) withDefaults() GenerateOptions {
	if o.Rows == 0 {
		o.Rows = 60
	}
	if o.Town == "" {
		o.Town = "示范镇"
	}
	if o.Unit == "" {
		o.Unit = o.Town + "派出所"
	}
	if len(o.Villages) == 0 {
		o.Villages = []string{"前进村", "双河村", "灯塔社区", "青龙村", "石桥村"}
	}
	if len(o.Officers) == 0 {
		o.Officers = []string{"王海燕", "周敏", "李建国"}
	}
	if o.AsOf.IsZero() {
		o.AsOf = time.Date(2026, 9, 28, 0, 0, 0, 0, record.Zone)
	}
	return o
}

// Generate writes a roster in XLSX with the untidiness of real ones, about people who do not exist (citizen ids in division
// 999999, mobiles from 120, landlines from 0000), and says what each of its rows must become. The same options give the
// same people. It knows the judgements because it made the mistakes; it asks
// nothing of the reading.
func Generate(w io.Writer, o GenerateOptions) (expected []Judgement, err error) {
	o = o.withDefaults()
	f := excelize.NewFile()
	defer func() { err = errors.Join(err, f.Close()) }()
	p := &page{f: f, sheet: "花名册", o: o, made: &maker{rand: rand.New(rand.NewPCG(o.Seed, o.Seed)), o: o, used: map[person.CitizenID]bool{}}}
	if err := f.SetSheetName("Sheet1", p.sheet); err != nil {
		return nil, fmt.Errorf("name the sheet: %w", err)
	}
	p.heading()
	p.people()
	p.set("A", "合计")
	p.set("C", o.Rows)
	p.row++
	p.set("A", "注：1.管理类别按《方案》填写；2.本表一式两份。")
	if _, err := f.NewSheet("填表说明"); err != nil {
		return nil, fmt.Errorf("add the instructions: %w", err)
	}
	p.keep(f.SetCellStr("填表说明", "A2", "公民身份号码按居民身份证填写，不得为空。"))
	if p.err != nil {
		return nil, fmt.Errorf("fill the roster: %w", p.err)
	}
	if _, err := f.WriteTo(w); err != nil {
		return nil, fmt.Errorf("write the roster: %w", err)
	}
	return p.expected, nil
}

// page is the sheet being written; the first error is kept.
type page struct {
	f        *excelize.File
	sheet    string
	o        GenerateOptions
	made     *maker
	row      int
	expected []Judgement
	err      error
}

func (p *page) keep(err error) {
	if p.err == nil {
		p.err = err
	}
}

func (p *page) set(column string, v any) {
	if v != "" {
		p.keep(p.f.SetCellValue(p.sheet, fmt.Sprintf("%s%d", column, p.row), v))
	}
}

func (p *page) heading() {
	p.row = 1
	p.set("A", fmt.Sprintf("%s吸毒人员花名册（%d年第%s季度）", p.o.Town, p.o.AsOf.Year(), []string{"一", "二", "三", "四"}[(p.o.AsOf.Month()-1)/3]))
	p.keep(p.f.MergeCell(p.sheet, "A1", "P1"))
	p.row = 2
	p.set("A", fmt.Sprintf("填报单位：%s　　填报人：%s　　填报日期：%s", p.o.Unit, p.o.Officers[0], p.o.AsOf.Format("2006.1.2")))
	p.row = 3
	p.words("序号", "村（社区）", "姓名", "性别", "公民身份号码", "民族", "户籍地址", "现住址", "联系方式", "", "管理类别", "包保责任人", "首次吸毒时间", "社区戒毒协议日期", "最近一次尿检", "", "备注")
	p.keep(p.f.MergeCell(p.sheet, "I3", "J3"))
	p.keep(p.f.MergeCell(p.sheet, "O3", "P3"))
	p.row = 4
	p.words("", "", "", "", "", "", "", "", "本人电话", "家属电话", "", "", "", "", "日期", "结果")
	p.row = 5
}

func (p *page) words(words ...string) {
	for i, w := range words {
		p.set(letters(i+1), w)
	}
}

// people writes the lines village by village, with a subtotal in the middle, as where a page ends.
func (p *page) people() {
	perVillage := (p.o.Rows + len(p.o.Villages) - 1) / len(p.o.Villages)
	block, began := "", 0
	merge := func() {
		if began > 0 && p.row-1 > began {
			p.keep(p.f.MergeCell(p.sheet, fmt.Sprintf("B%d", began), fmt.Sprintf("B%d", p.row-1)))
		}
	}
	for i := range p.o.Rows {
		place := p.o.Villages[i/perVillage]
		if i == p.o.Rows/2+1 && p.o.Rows > 10 {
			merge()
			block = ""
			p.set("A", "小计")
			p.set("C", i)
			p.row += 2
		}
		if place != block {
			if block != "" {
				merge()
			}
			block, began = place, p.row
			p.set("B", place)
		}
		l := p.made.line(i, place)
		p.set("A", i+1)
		for column, v := range map[string]any{"C": l.name, "D": l.sex, "E": l.id, "F": l.people, "G": l.household, "H": l.residence,
			"I": l.phone, "J": l.family, "K": l.tier, "L": l.officer, "M": l.first, "N": l.agreement, "O": l.tested, "P": l.result} {
			p.set(column, v)
		}
		l.want.Row = p.row
		p.expected = append(p.expected, l.want)
		p.row++
	}
	merge()
}
