package sqlitefile

import (
	"net/url"
	"os"
	"path/filepath"
	"testing"
)

func TestAtLeast(t *testing.T) {
	for version, want := range map[string]bool{
		"3.51.2": false, "3.51.3": true, "3.51.10": true, "3.9.9": false, "3.53.0": true, "4.0.0": true, "": false, "3.51": false,
	} {
		if atLeast(version, oldest) != want {
			t.Errorf("%q: want %v", version, want)
		}
	}
}

// Ensure that the file and its log can be read by their owner only, also under a path that a URI would read otherwise.
func TestMode(t *testing.T) {
	path := filepath.Join(t.TempDir(), "100% 档案?#.db")
	db, err := Open(path, url.Values{"_pragma": {"journal_mode(wal)"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.Exec(`CREATE TABLE t (x)`); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{path, path + "-wal"} {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
}
