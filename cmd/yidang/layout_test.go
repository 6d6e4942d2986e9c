package main

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const root = "../.."

// layers orders the packages: a package may import those before it, never those after it. Longest prefix wins.
var layers = []struct {
	prefix string
	layer  int
}{
	{"domain/record", 0},
	{"domain/journal", 1}, {"domain/vault", 1},
	{"domain/attachments", 2}, {"domain/units", 2}, {"domain/policy", 2}, {"domain/access", 2}, {"domain/notary", 2},
	{"domain/person", 3}, {"domain/staff", 3}, {"domain/intake", 3},
	{"domain/casework", 4},
	{"domain/programs", 5},
	{"domain/catalog", 6},
	{"domain/commands", 7},
	{"domain/audit", 8}, {"domain/dossier", 8},
	{"projections/follow", 7}, {"projections/analytics/embedded", 7},
	{"projections/views", 8}, {"projections/oversight", 8}, {"projections/analytics", 8}, {"projections/reports", 9},
	{"projections", 9},
	{"api", 10},
	{"cmd", 11}, {"ops", 11},
}

// owners are the only folders that may import a library.
var owners = []struct {
	library string
	folders []string
	reason  string
}{
	{"github.com/gin-gonic/gin", []string{"api"}, "gin is how people reach the record, nothing else"},
	{"github.com/danielgtaylor/huma", []string{"api"}, "the API description belongs to the API"},
	{"github.com/EventStore/EventStore-Client-Go", []string{"domain/journal"}, "all reads and writes of events go through domain/journal"},
	{"github.com/ClickHouse", []string{"projections/analytics", "projections/reports"}, "ClickHouse is for analytics and reports"},
	{"github.com/ncruces/go-sqlite3", []string{"domain/journal/embedded", "domain/vault", "domain/notary", "projections/oversight", "projections/views", "projections/analytics", "projections/follow"}, "SQLite only where a file is kept"},
	{"github.com/tink-crypto", []string{"domain/vault", "domain/attachments"}, "keys stay in the vault"},
}

// Ensure that imports run one way, that programs never import each other, and that each library stays in its folder. The
// files are parsed here: a test that shells out to go list would be cached.
func TestImports(t *testing.T) {
	for file, imports := range sources(t) {
		dir := filepath.ToSlash(filepath.Dir(file))
		for _, path := range imports {
			if inner, ok := strings.CutPrefix(path, "yidang/"); ok {
				checkLayer(t, file, dir, inner)
				continue
			}
			for _, o := range owners {
				if strings.HasPrefix(path, o.library) && !slices.ContainsFunc(o.folders, func(f string) bool { return within(dir, f) }) && !within(dir, "ops") {
					t.Errorf("%s imports %s: only %s may, because %s", file, path, strings.Join(o.folders, ", "), o.reason)
				}
			}
		}
	}
}

func checkLayer(t *testing.T, file, dir, target string) {
	t.Helper()
	test := strings.HasSuffix(file, "_test.go")
	from, to := layer(dir), layer(target)
	switch {
	case from < 0:
		t.Errorf("%s: the folder %s has no layer; add it to layers", file, dir)
	case to < 0:
		t.Errorf("%s: the folder %s has no layer; add it to layers", file, target)
	case to > from && !test:
		t.Errorf("%s imports %s, which is above it: imports run record ← units, policy ← person, staff ← casework ← programs ← catalog ← commands, projections ← api ← cmd", file, target)
	case within(dir, "domain") && within(target, "projections") && !test:
		t.Errorf("%s imports %s: domain is the truth and must stand without projections", file, target)
	case programOf(dir) != "" && programOf(target) != "" && programOf(dir) != programOf(target):
		t.Errorf("%s imports %s: programs never import each other", file, target)
	}
}

func programOf(dir string) string {
	rest, ok := strings.CutPrefix(dir, "domain/programs/")
	if !ok {
		return ""
	}
	name, _, _ := strings.Cut(rest, "/")
	return name
}

func within(dir, folder string) bool { return dir == folder || strings.HasPrefix(dir, folder+"/") }

func layer(dir string) int {
	best, at := -1, -1
	for _, l := range layers {
		if within(dir, l.prefix) && len(l.prefix) > best {
			best, at = len(l.prefix), l.layer
		}
	}
	return at
}

// sources maps each Go file of the project to what it imports.
func sources(t *testing.T) map[string][]string {
	t.Helper()
	out := map[string][]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "data" || d.Name() == "bin" || d.Name() == "testdata") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		out[rel] = nil
		for _, i := range f.Imports {
			p, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				return err
			}
			out[rel] = append(out[rel], p)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out) < 50 {
		t.Fatalf("only %d Go files were found below %s", len(out), root)
	}
	return out
}

// Ensure that the visible top level is the fixed one and nothing else.
func TestTopLevel(t *testing.T) {
	want := []string{"LICENSE", "Makefile", "README.md", "api", "cmd", "domain", "go.mod", "go.sum", "ops", "projections"}
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		if n := e.Name(); !strings.HasPrefix(n, ".") && n != "data" && n != "bin" {
			got = append(got, n)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("the top level holds %v, want %v", got, want)
	}
}
