// Command bench measures Yidang on a synthetic township and prints each figure beside a baseline of the same run. run.sh is
// how it is meant to be run; by hand:
//
//	bench -dir WORK -events 1000000 seed disk journal views analytics
//	bench -dir WORK -server bin/yidang serve
//	bench -dir WORK table
//
// Each step adds what it measured to WORK/figures.json. Memory is a figure, so a step that measures it runs in a process of
// its own. The rules of a fair figure:
//
//   - The journal is written in the order of time, one event an append, as commands do: files lie scattered through it.
//   - What a step builds is what the server finds in the next one: the same data folder, the same keys.
//   - A figure that could not be taken is not met, and the table says why.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"runtime/pprof"
	"strconv"
	"strings"
	"syscall"
	"time"

	"yidang/projections/analytics/embedded"
)

// engineWord leads this program to the ClickHouse engine's child process.
const engineWord = "analytics-engine"

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(50) // as the program does
	}
	if len(os.Args) > 1 && os.Args[1] == engineWord {
		os.Exit(embedded.Main(os.Args[2:]))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// bench is what the steps share.
type bench struct {
	dir     string // everything is below it
	events  int
	server  string        // the program that step serve measures
	library string        // of ClickHouse; empty when it is not there
	lasting time.Duration // of each measurement over HTTP
	only    string        // part of step serve, for profiling: reads, reports, visits or evidence
	profile string        // folder for the server's profiles, one of each measurement under load; empty: none
	*figures
}

func run(ctx context.Context, args []string) (err error) {
	b := &bench{}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.StringVar(&b.dir, "dir", "", "work folder")
	flags.IntVar(&b.events, "events", 1_000_000, "events to seed")
	flags.StringVar(&b.server, "server", filepath.Join("bin", "yidang"), "program to measure in step serve")
	flags.DurationVar(&b.lasting, "lasting", 10*time.Second, "how long each measurement over HTTP takes")
	flags.StringVar(&b.only, "only", "", "only this part of step serve: reads, reports, visits or evidence")
	flags.StringVar(&b.profile, "profile", "", "write CPU and heap profiles of the server under load to this folder, in step serve")
	profile := flags.String("cpuprofile", "", "write a CPU profile of this program, not of the server, to this file")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if b.dir == "" || flags.NArg() == 0 {
		return errors.New("usage: bench -dir WORK STEP…; see the comment at the top of ops/bench/main.go")
	}
	b.library, _ = embedded.Locate(filepath.Join(".cache", "chdb")) // what needs it says that it is missing
	if b.figures, err = readFigures(filepath.Join(b.dir, "figures.json")); err != nil {
		return err
	}
	if *profile != "" {
		f, err := os.Create(*profile)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	for _, step := range flags.Args() {
		began := time.Now()
		if err := b.step(ctx, step); err != nil {
			return fmt.Errorf("%s: %w", step, err)
		}
		if err := b.save(); err != nil {
			return err
		}
		fmt.Fprintf(os.Stderr, "bench: %s took %.1f s\n", step, time.Since(began).Seconds())
	}
	return nil
}

func (b *bench) step(ctx context.Context, step string) error {
	if name, value, ok := strings.Cut(step, "="); ok { // what run.sh measured, or why it could not
		n, err := strconv.ParseFloat(value, 64)
		if err != nil {
			b.lacks(name, value)
			return nil
		}
		b.set(name, n)
		return nil
	}
	switch step {
	case "seed":
		return b.seed(ctx)
	case "disk":
		return b.disk()
	case "journal":
		return b.readAll(ctx)
	case "views":
		return b.rebuildViews(ctx)
	case "analytics":
		return b.loadAnalytics(ctx)
	case "verify":
		return b.verify(ctx)
	case "postgres-script":
		return b.postgresScript()
	case "serve":
		return b.serve(ctx)
	case "table":
		return printTable(os.Stdout, b.figures)
	}
	return errors.New("there is no such step")
}

// figures is what was measured, and why what is missing is missing.
type figures struct {
	path    string
	Numbers map[string]float64 `json:"numbers"`
	Missing map[string]string  `json:"missing"`
}

func readFigures(path string) (*figures, error) {
	f := &figures{path: path, Numbers: map[string]float64{}, Missing: map[string]string{}}
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return f, nil
	}
	if err != nil {
		return nil, err
	}
	return f, json.Unmarshal(raw, f)
}

func (f *figures) set(name string, n float64) {
	f.Numbers[name] = n
	delete(f.Missing, name)
	fmt.Fprintf(os.Stderr, "bench: %-24s %.4g\n", name, n)
}

func (f *figures) lacks(name, why string) {
	f.Missing[name] = why
	delete(f.Numbers, name)
	fmt.Fprintf(os.Stderr, "bench: %-24s not measured: %s\n", name, why)
}

func (f *figures) save() error { return writeJSON(f.path, f) }

func writeJSON(path string, v any) error {
	raw, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, raw, 0o600)
}
