package main

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"yidang/api/auth"
	"yidang/domain/commands"
	"yidang/domain/record"
	"yidang/domain/staff"
	"yidang/domain/units"
)

// officerCmd manages accounts from the machine itself, for whoever owns the data folder. The server must not be running;
// while it runs, an administrator does the same through the API.
type officerCmd struct {
	Create officerCreate `cmd:"" help:"Make an account."`
	Grant  officerGrant  `cmd:"" help:"Give an officer a post."`
	Reset  officerReset  `cmd:"" help:"Set a new random password."`
}

func (officerCmd) Help() string {
	return `Works on the data folder itself, so the server must not be running. What is done is recorded with the system as actor.

Example: the first administrator of a new installation
  yidang officer create --login admin --name 王管理 --sex 1 --role administrator --township 示范镇
  yidang officer grant --login li.jianguo --role village-cadre --unit 前进村
  yidang officer reset --login li.jianguo`
}

type officerCreate struct {
	Login      string `required:"" help:"Sign-in name, such as li.jianguo."`
	Name       string `required:"" help:"Name of the officer."`
	Sex        int    `required:"" help:"1 male, 2 female (GB/T 2261.1)." enum:"1,2"`
	WorkNumber string `help:"Police or staff number."`
	Role       string `help:"Grant this role at once."`
	Unit       string `help:"Unit of the post: its name or uuid."`
	Township   string `help:"In an empty installation: register this township and take it as the unit."`
}

func (officerCreate) Help() string {
	return `Makes the account, with its first post when --role is given, and prints a random password that must be changed at the first
sign-in. In an empty installation --township registers the township with it.

Examples:
  yidang officer create --login admin --name 王管理 --sex 1 --role administrator --township 示范镇
  yidang officer create --login li.jianguo --name 李建国 --sex 1 --role village-cadre --unit 前进村`
}

// Run makes the account.
func (cmd officerCreate) Run(p *program) error {
	return withRecord(p, func(r *records) error {
		register := commands.Request{Category: "officer", Command: "officer.register", Officer: commands.System, Input: staff.Register{
			Login: cmd.Login, Name: cmd.Name, Sex: cmd.Sex, WorkNumber: cmd.WorkNumber,
		}}
		if err := cmd.check(p.ctx, r, register); err != nil {
			return err
		}
		unit, err := r.unitFor(p.ctx, cmd.Unit, cmd.Township, cmd.Role != "")
		if err != nil {
			return err
		}
		id, err := r.do(p.ctx, register)
		if err != nil {
			return err
		}
		if cmd.Role != "" {
			if _, err := r.do(p.ctx, commands.Request{Category: "officer", Command: "officer.grant_post", ID: id, Input: staff.GrantPost{Role: record.Role(cmd.Role), Unit: unit}}); err != nil {
				return err
			}
		}
		return r.newPassword(p, id, cmd.Login)
	})
}

// check refuses before anything is recorded: a township without its administrator, or an account without its post and its
// password, would be in the way of the next attempt.
func (cmd officerCreate) check(ctx context.Context, r *records, register commands.Request) error {
	if cmd.Role != "" {
		if err := staff.CheckRole(record.Role(cmd.Role)); err != nil {
			return err
		}
	}
	register.DryRun = true
	_, err := r.exec.Do(ctx, register)
	return err
}

type officerGrant struct {
	Login string `required:"" help:"Sign-in name."`
	Role  string `required:"" help:"Role, such as village-cadre, community-police, township-office, inspector, analyst, administrator."`
	Unit  string `required:"" help:"Unit of the post: its name or uuid."`
}

func (officerGrant) Help() string {
	return `Gives an officer one more post; those held before stay. A unit whose name another township has too is given by its uuid.

Example:
  yidang officer grant --login li.jianguo --role community-police --unit 示范镇派出所`
}

// Run grants the post.
func (cmd officerGrant) Run(p *program) error {
	if err := hasRecord(p.config); err != nil {
		return err
	}
	return withRecord(p, func(r *records) error {
		id, err := r.officer(p.ctx, cmd.Login)
		if err != nil {
			return err
		}
		unit, err := r.unitFor(p.ctx, cmd.Unit, "", true)
		if err != nil {
			return err
		}
		_, err = r.do(p.ctx, commands.Request{Category: "officer", Command: "officer.grant_post", ID: id, Input: staff.GrantPost{Role: record.Role(cmd.Role), Unit: unit}})
		if err == nil {
			fmt.Fprintf(p.out, "%s is now %s\n", cmd.Login, cmd.Role)
		}
		return err
	})
}

type officerReset struct {
	Login string `required:"" help:"Sign-in name."`
}

func (officerReset) Help() string {
	return `Sets a random password and prints it; it must be changed at the next sign-in. Every session and token of the officer ends.

Example:
  yidang officer reset --login li.jianguo`
}

// Run sets a random password that must be changed at the next sign-in.
func (cmd officerReset) Run(p *program) error {
	if err := hasRecord(p.config); err != nil {
		return err
	}
	return withRecord(p, func(r *records) error {
		id, err := r.officer(p.ctx, cmd.Login)
		if err != nil {
			return err
		}
		return r.newPassword(p, id, cmd.Login)
	})
}

// do runs a command as the system.
func (r *records) do(ctx context.Context, req commands.Request) (uuid.UUID, error) {
	req.Officer = commands.System
	receipt, err := r.exec.Do(ctx, req)
	return receipt.ID, err
}

func (r *records) officer(ctx context.Context, login string) (uuid.UUID, error) {
	id, ok, err := r.exec.Holder(ctx, "login", login)
	if err == nil && !ok {
		err = &record.Problem{Kind: record.NotFound, Field: "login", Message: "there is no such officer", Remedy: "yidang officer create makes one"}
	}
	return id, err
}

// unitFor finds a unit by name or uuid, or registers the township of an empty installation.
func (r *records) unitFor(ctx context.Context, unit, township string, needed bool) (uuid.UUID, error) {
	known, _, err := r.views.Units(ctx)
	if err != nil {
		return uuid.Nil, err
	}
	if township != "" {
		if len(known) > 0 {
			return uuid.Nil, fmt.Errorf("--township is for an empty installation; this one has %d units: use --unit", len(known))
		}
		return r.do(ctx, commands.Request{Category: "unit", Command: "unit.register", Input: units.Register{Name: township, Sort: units.Township}})
	}
	if unit == "" && !needed {
		return uuid.Nil, nil
	}
	var named []uuid.UUID
	for _, u := range known {
		if u.ID.String() == unit {
			return u.ID, nil
		}
		if u.Name == unit {
			named = append(named, u.ID)
		}
	}
	switch {
	case len(named) == 1:
		return named[0], nil
	case len(named) > 1:
		return uuid.Nil, &record.Problem{Kind: record.Invalid, Field: "unit", Message: "several units have this name", Zh: "有多个同名单位", Remedy: "give the uuid of the one that is meant"}
	}
	return uuid.Nil, &record.Problem{Kind: record.NotFound, Field: "unit", Message: "there is no such unit", Remedy: "give a unit's name or uuid; an empty installation takes --township NAME"}
}

// newPassword sets and prints a random password.
func (r *records) newPassword(p *program, id uuid.UUID, login string) error {
	password := auth.RandomPassword()
	hash, err := auth.NewHasher(1).Hash(p.ctx, password)
	if err != nil {
		return err
	}
	if _, err := r.do(p.ctx, commands.Request{Category: "officer", Command: "officer.set_password", ID: id, Input: staff.SetPassword{Hash: hash, ByOther: true}}); err != nil {
		return err
	}
	fmt.Fprintf(p.out, "%s  password: %s  (must be changed at the first sign-in)\n", login, password)
	return nil
}
