package notary

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"

	"github.com/ncruces/go-sqlite3"
	"golang.org/x/mod/sumdb/tlog"

	"yidang/domain/journal"
)

// stored reads the tree in a notary's directory beside a pass over the journal. The notary may be running.
type stored struct {
	view
	size int64 // when it was opened
	rows []leafRow
}

func openStored(dir string) (*stored, error) {
	path := filepath.Join(dir, "notary.db")
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("the notary's tree: %w", err)
	}
	c, err := connect(path, true)
	if err != nil {
		return nil, fmt.Errorf("the notary's tree in %s: %w", dir, err)
	}
	s := &stored{view: view{c}}
	if s.size, err = c.number(`SELECT size FROM state`); err != nil {
		c.Close()
		return nil, fmt.Errorf("the notary's tree in %s: %w", dir, err)
	}
	return s, nil
}

func (s *stored) close() error { return s.c.Close() }

// compare is what is wrong with a leaf, or nil. The leaves come in order.
func (s *stored) compare(i int64, e journal.Stored, hash tlog.Hash) *Finding {
	if i >= s.size {
		return nil // appended since
	}
	if len(s.rows) == 0 {
		err := s.view.rows(i, rowsAtOnce, func(_ int64, row leafRow) error {
			s.rows = append(s.rows, leafRow{row.position, bytes.Clone(row.leaf)})
			return nil
		})
		if err != nil || len(s.rows) == 0 {
			return &Finding{e.Position, e.ID, i, fmt.Sprintf("the notary's file lacks this leaf (%v)", err), "restore the notary's directory from its backup"}
		}
	}
	row := s.rows[0]
	s.rows = s.rows[1:]
	if leafHash(row.leaf) == hash {
		return nil
	}
	b := changed(i, row, e)
	return &Finding{b.Position, b.Event, i, b.What, b.Remedy}
}

// node is what is wrong with a stored subtree, or nil.
func (s *stored) node(level int, n int64, hash tlog.Hash) *Finding {
	if (n+1)<<(level*tileHeight) > s.size {
		return nil
	}
	var have []byte
	err := s.c.query(func(st *sqlite3.Stmt) error {
		have = st.ColumnBlob(0, nil)
		return nil
	}, `SELECT hash FROM nodes WHERE level = ? AND n = ?`, int64(level), n)
	if err == nil && bytes.Equal(have, hash[:]) {
		return nil
	}
	return &Finding{Leaf: n << (level * tileHeight), What: fmt.Sprintf("the notary's file has another hash for hash %d of tile level %d", n, level),
		Remedy: "the notary's directory is damaged: restore it from its backup"}
}

// end is what the journal lacks, or nil.
func (s *stored) end(leaves int64) *Finding {
	if leaves >= s.size {
		return nil
	}
	row, err := s.row(leaves)
	if err != nil {
		return &Finding{Leaf: leaves, What: err.Error(), Remedy: "restore the notary's directory from its backup"}
	}
	b := missing(leaves, row)
	return &Finding{b.Position, b.Event, leaves, fmt.Sprintf("the journal ends before it: %d events that the notary has recorded are gone", s.size-leaves), b.Remedy}
}
