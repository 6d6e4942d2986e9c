// Command yidang is the whole product in one binary: the record, its projections, the API, and the tools around them.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"syscall"

	"github.com/alecthomas/kong"

	"yidang/domain/record"
	"yidang/projections/analytics/embedded"
)

// version is set by the linker.
var version = "dev"

func main() {
	// The analytics engine runs in a child process of this same binary: a crash there must not take the record down.
	if len(os.Args) > 1 && os.Args[1] == engineWord {
		os.Exit(embedded.Main(os.Args[2:]))
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	os.Exit(runCommand(ctx, os.Args[1:], os.Environ(), os.Stdout, os.Stderr))
}

// engineWord is the hidden subcommand of the child process.
const engineWord = "analytics-engine"

// cli is the command line: one field per subcommand, one file per subcommand.
type cli struct {
	Config string `help:"Configuration file (TOML); default yidang.toml when it is there." type:"path" env:"YIDANG_CONFIG"`

	Serve   serveCmd   `cmd:"" help:"Serve the API, keep the projections up to date."`
	Demo    demoCmd    `cmd:"" help:"Fill an empty data folder with a synthetic township."`
	Import  importCmd  `cmd:"" help:"Take a roster (XLSX or CSV) into the record."`
	Rebuild rebuildCmd `cmd:"" help:"Build the projections anew from the journal."`
	Officer officerCmd `cmd:"" help:"Make and manage officers' accounts."`
	Journal journalCmd `cmd:"" help:"Serve the journal of a data folder to EventStoreDB clients."`
	Verify  verifyCmd  `cmd:"" help:"Check the whole record, or a dossier that was taken from it."`
	Dossier dossierCmd `cmd:"" help:"Write a person's file as a zip that an outsider can check."`
	Inspect inspectCmd `cmd:"" help:"Answer an inspector's questions."`
	Key     keyCmd     `cmd:"" help:"Print the public key of the log of proofs."`
	Witness witnessCmd `cmd:"" help:"Witness the logs of other organisations."`
	Version versionCmd `cmd:"" help:"Print the version."`
}

// program is what a subcommand runs with.
type program struct {
	ctx    context.Context
	config Config
	log    *slog.Logger
	out    io.Writer // what the user asked for
	err    io.Writer // progress and log
}

// runCommand parses the command line and runs a subcommand; the result is the exit status: 0 done, 1 failed, 2 used wrongly.
func runCommand(ctx context.Context, args, environ []string, stdout, stderr io.Writer) int {
	var c cli
	status := -1
	parser, err := kong.New(&c, kong.Name("yidang"), kong.Writers(stdout, stderr), kong.UsageOnError(),
		kong.Description("Yidang (一档): one person, one file. The record system for casework that must be objective, fair and traceable."),
		kong.Exit(func(code int) { status = code }), kong.ConfigureHelp(kong.HelpOptions{Compact: true}))
	if err != nil {
		fmt.Fprintln(stderr, "yidang:", err)
		return 2
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	kctx, err := parser.Parse(args)
	if status >= 0 { // help was printed
		return status
	}
	if err != nil {
		fmt.Fprintln(stderr, "yidang:", err)
		return 2
	}
	config, err := loadConfig(c.Config, environ)
	if err != nil && c.Verify.File == "" { // who checks a dossier has no installation
		fmt.Fprintf(stderr, "yidang: configuration:\n%v\n", err)
		return 2
	}
	p := &program{ctx: ctx, config: config, log: newLog(config.Log, stderr), out: stdout, err: stderr}
	switch err := kctx.Run(p); {
	case err == nil:
		return 0
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		return 130
	default:
		fmt.Fprintln(stderr, "yidang:", err)
		var prob *record.Problem
		if errors.As(err, &prob) && prob.Remedy != "" {
			fmt.Fprintln(stderr, "  remedy:", prob.Remedy)
		}
		return 1
	}
}

func newLog(c LogConfig, w io.Writer) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(c.Level)) // Validate has checked it
	o := &slog.HandlerOptions{Level: level}
	if c.JSON {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}

type versionCmd struct{}

func (versionCmd) Run(p *program) error {
	_, err := fmt.Fprintln(p.out, "yidang", version, revision())
	return err
}

// revision is the commit the binary was built from, when the build knew.
func revision() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value[:min(12, len(s.Value))]
		}
	}
	return ""
}

// self is the path of this binary, for the child process.
func self() string {
	path, err := os.Executable()
	if err != nil {
		return os.Args[0]
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	return path
}
