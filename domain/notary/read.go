package notary

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/ncruces/go-sqlite3"
	"golang.org/x/mod/sumdb/tlog"

	"yidang/domain/record"
)

// view reads the tree within one call. It implements tlog.TileReader and tlog.HashReader; of the two, tlog's
// TileHashReader over the first checks everything against a root, the second trusts the file.
type view struct{ c *conn }

// read lends a connection to f.
func (s *store) read(ctx context.Context, f func(view) error) error {
	select {
	case c := <-s.readers:
		defer func() { s.readers <- c }()
		return f(view{c})
	case <-ctx.Done():
		return record.Errorf(record.Unavailable, "no connection to the notary's file is free: %w", ctx.Err())
	}
}

// rows calls f for each of the leaves from i on, count of them at most.
func (v view) rows(i, count int64, f func(i int64, row leafRow) error) error {
	return v.c.query(func(s *sqlite3.Stmt) error {
		return f(s.ColumnInt64(0), leafRow{uint64(s.ColumnInt64(1)), s.ColumnRawBlob(2)})
	}, `SELECT i, position, leaf FROM leaves WHERE i >= ? AND i < ? ORDER BY i`, i, i+count)
}

// row returns one leaf.
func (v view) row(i int64) (row leafRow, err error) {
	found := false
	err = v.rows(i, 1, func(_ int64, r leafRow) error {
		row, found = leafRow{r.position, append([]byte(nil), r.leaf...)}, true
		return nil
	})
	if err == nil && !found {
		err = fmt.Errorf("leaf %d is missing in the notary's file", i)
	}
	return row, err
}

// find returns the index of an event's leaf, the first one if there are several; -1 when there is none.
func (v view) find(event uuid.UUID) (int64, error) {
	var candidates []int64
	err := v.c.query(func(s *sqlite3.Stmt) error {
		candidates = append(candidates, s.ColumnInt64(0))
		return nil
	}, `SELECT i FROM ids WHERE key = ? ORDER BY i`, idKey(event))
	if err != nil {
		return -1, err
	}
	for _, i := range candidates { // nearly always one: a key is half an id
		row, err := v.row(i)
		if err != nil {
			return -1, err
		}
		if leafEvent(row.leaf) == event {
			return i, nil
		}
	}
	return -1, nil
}

// tile returns the hashes of a tile, as tlog-tiles serves them.
func (v view) tile(t tlog.Tile) ([]byte, error) {
	data := make([]byte, 0, t.W*tlog.HashSize)
	first := t.N << tileHeight
	var err error
	if t.L == 0 {
		err = v.rows(first, int64(t.W), func(i int64, row leafRow) error {
			hash := leafHash(row.leaf)
			data = append(data, hash[:]...)
			return nil
		})
	} else {
		err = v.c.query(func(s *sqlite3.Stmt) error {
			data = append(data, s.ColumnRawBlob(0)...)
			return nil
		}, `SELECT hash FROM nodes WHERE level = ? AND n >= ? AND n < ? ORDER BY n`, int64(t.L), first, first+int64(t.W))
	}
	if err == nil && len(data) != t.W*tlog.HashSize {
		err = fmt.Errorf("tile %s is not whole in the notary's file: %d bytes", t.Path(), len(data))
	}
	return data, err
}

func (v view) Height() int                     { return tileHeight }
func (v view) SaveTiles([]tlog.Tile, [][]byte) {}
func (v view) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	data := make([][]byte, len(tiles))
	for i, t := range tiles {
		var err error
		if data[i], err = v.tile(t); err != nil {
			return nil, err
		}
	}
	return data, nil
}

func (v view) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		t := tlog.TileForIndex(tileHeight, x)
		data, err := v.tile(t)
		if err != nil {
			return nil, err
		}
		if hashes[i], err = tlog.HashFromTile(t, data, x); err != nil {
			return nil, err
		}
	}
	return hashes, nil
}
