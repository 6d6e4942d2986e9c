package embedded

import (
	"os"
	"path/filepath"

	"yidang/domain/record"
)

// LibraryName is the file that Locate looks for, on every platform.
const LibraryName = "libchdb.so"

// Locate finds the engine's library: the file that the environment variable CHDB_LIB_PATH names, else LibraryName in the
// first of dirs that has it. A CHDB_LIB_PATH that names nothing is an error, not a reason to look elsewhere. The error is
// record.Unavailable and says what to do.
func Locate(dirs ...string) (string, error) {
	if p := os.Getenv("CHDB_LIB_PATH"); p != "" {
		if i, err := os.Stat(p); err == nil && i.IsDir() {
			p = filepath.Join(p, LibraryName)
		}
		if !isFile(p) {
			return "", missing("CHDB_LIB_PATH names " + p + ", which is not there")
		}
		return filepath.Abs(p)
	}
	for _, d := range dirs {
		if p := filepath.Join(d, LibraryName); isFile(p) {
			return filepath.Abs(p)
		}
	}
	return "", missing("the ClickHouse engine's library is not installed")
}

func isFile(p string) bool {
	i, err := os.Stat(p)
	return err == nil && i.Mode().IsRegular()
}

func missing(message string) error {
	p := record.Errorf(record.Unavailable, "%s; run make engine", message)
	p.Zh = "统计引擎的程序库尚未安装"
	p.Remedy = "run make engine"
	return p
}
