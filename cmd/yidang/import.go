package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"

	"yidang/api/imports"
	"yidang/domain/journal/embedded"
	"yidang/domain/record"
)

// importCmd takes a roster in.
type importCmd struct {
	File   string `arg:"" help:"Roster: XLSX, or CSV in UTF-8 or GB18030." type:"existingfile"`
	DryRun bool   `help:"Only say what would become of each row."`
	Format string `help:"How to print the rows: table or json." enum:"table,json" default:"table"`
	As     string `help:"Sign-in name of the officer who takes it in; required without --dry-run, which says with it what is not in the officer's reach."`
}

func (importCmd) Help() string {
	return `Judges each row of a roster as township offices keep them, then takes the accepted ones into the record. The same file
again changes nothing, and completes what an interrupted import left. Works on the data folder itself, so the server must
not be running; a running server takes rosters at POST /v1/imports. A dry run without a data folder judges the file alone.

Examples:
  yidang import --dry-run roster.xlsx
  yidang import --dry-run --format json roster.xlsx
  yidang import --as xu.zhen roster.xlsx`
}

// Run imports.
func (cmd importCmd) Run(p *program) error {
	raw, err := os.ReadFile(cmd.File)
	if err != nil {
		return err
	}
	limits := imports.DefaultLimits()
	roster, err := imports.Read(bytes.NewReader(raw), int64(len(raw)), cmd.File, limits)
	if err != nil {
		return err
	}
	if cmd.DryRun {
		if err := cmd.checkAgainstRecord(p, roster); err != nil {
			return err
		}
		return cmd.print(p, roster)
	}
	if cmd.As == "" {
		return &record.Problem{Kind: record.Invalid, Field: "as", Message: "who takes the roster in must be named", Remedy: "--as LOGIN of a police officer or township office"}
	}
	if err := hasRecord(p.config); err != nil {
		return err
	}
	return withRecord(p, func(r *records) error {
		as, err := cmd.as(p, r)
		if err != nil {
			return err
		}
		return cmd.commit(p, r, roster, as)
	})
}

// as finds the officer; without a name, nobody.
func (cmd importCmd) as(p *program, r *records) (imports.As, error) {
	if cmd.As == "" {
		return imports.As{}, nil
	}
	officer, ok, err := r.exec.Holder(p.ctx, "login", cmd.As)
	if err == nil && !ok {
		err = &record.Problem{Kind: record.NotFound, Field: "as", Message: "there is no such officer", Remedy: "yidang officer create makes one"}
	}
	return imports.As{Officer: officer}, err
}

func (cmd importCmd) commit(p *program, r *records, roster *imports.Roster, as imports.As) error {
	sum, err := r.importer().Commit(p.ctx, roster, as, func(done, total int) {
		if done%100 == 0 || done == total {
			fmt.Fprintf(p.err, "\r%d of %d rows", done, total)
		}
	})
	fmt.Fprintln(p.err)
	if err != nil {
		return err
	}
	if sum.Repeated {
		fmt.Fprintln(p.err, "this file was taken in before; nothing was changed")
	}
	return cmd.print(p, roster)
}

// checkAgainstRecord compares a dry run with the data folder, when there is one that no server holds.
func (cmd importCmd) checkAgainstRecord(p *program, roster *imports.Roster) error {
	if _, err := os.Stat(p.config.domainDir()); err != nil {
		fmt.Fprintln(p.err, "no data folder: the file is judged alone")
		return nil
	}
	err := withRecord(p, func(r *records) error {
		as, err := cmd.as(p, r)
		if err != nil {
			return err
		}
		importer := r.importer()
		if err := importer.Check(p.ctx, roster, as); err != nil {
			return err
		}
		unknown, err := importer.Unregistered(p.ctx, roster)
		if len(unknown) > 0 {
			fmt.Fprintln(p.err, "to be registered before the roster can be taken in:", strings.Join(unknown, ", "))
		}
		return err
	})
	if errors.Is(err, embedded.ErrInUse) || record.KindOf(err) == record.Unavailable { // a server is running
		fmt.Fprintf(p.err, "the file is judged alone: %v\n", err)
		return nil
	}
	return err
}

func (cmd importCmd) print(p *program, roster *imports.Roster) error {
	if cmd.Format == "json" {
		raw, err := roster.JSON()
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(p.out, string(bytes.TrimSpace(raw)))
		return err
	}
	w := tabwriter.NewWriter(p.out, 2, 8, 2, ' ', 0)
	fmt.Fprintln(w, "row\toutcome\tname\tcitizen id\ttier\tvillage\twhy")
	counts := map[imports.Outcome]int{}
	for _, j := range roster.Judgements() {
		counts[j.Outcome]++
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%s\t%s\n", j.Row, j.Outcome, j.Name, j.CitizenID.Masked(), j.Tier, j.Village, j.Why)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, line := range roster.Ignored {
		fmt.Fprintln(p.err, "left out:", line)
	}
	summary, err := json.Marshal(counts)
	if err == nil {
		fmt.Fprintln(p.err, string(summary))
	}
	return err
}
