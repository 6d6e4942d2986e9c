package notary

import (
	"context"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/tlog"

	"yidang/domain/record"
)

// Resource is what a path of the log's C2SP tlog-tiles interface holds.
type Resource struct {
	Body         []byte
	ContentType  string
	CacheControl string
}

const (
	forever = "public, max-age=31536000, immutable" // a tile never changes, a partial one neither
	briefly = "no-cache"
)

// Resource answers a path below the log's prefix: "checkpoint", "tile/<L>/<N>[.p/<W>]" or "tile/entries/<N>[.p/<W>]". It
// is NotFound for anything else, and for tiles that reach beyond the published checkpoint. Partial tiles stay available
// when the full one is there.
func (n *Notary) Resource(ctx context.Context, path string) (Resource, error) {
	s := n.seen.Load()
	if path == "checkpoint" {
		if len(s.published) == 0 {
			return Resource{}, record.Errorf(record.NotFound, "no checkpoint has been published yet")
		}
		return Resource{s.published, "text/plain; charset=utf-8", briefly}, nil
	}
	t, err := torchwood.ParseTilePath(path)
	if err != nil {
		return Resource{}, record.Errorf(record.NotFound, "no such path: %w", err)
	}
	level := max(t.L, 0) // entries have the width of the tile of their hashes
	if torchwood.TilePath(t) != path || level >= 8 || t.N >= 1<<48 || t.N<<tileHeight+int64(t.W) > s.tree.N>>(tileHeight*level) {
		return Resource{}, record.Errorf(record.NotFound, "the published log of %d entries does not have %s", s.tree.N, path)
	}
	r := Resource{ContentType: "application/octet-stream", CacheControl: forever}
	err = n.store.read(ctx, func(v view) (err error) {
		if t.L >= 0 {
			r.Body, err = v.tile(t)
			return err
		}
		r.Body, err = v.entries(t)
		return err
	})
	return r, err
}

// entries is a bundle of leaves, each after its length.
func (v view) entries(t tlog.Tile) ([]byte, error) {
	var bundle []byte
	count := 0
	err := v.rows(t.N<<tileHeight, int64(t.W), func(_ int64, row leafRow) (err error) {
		count++
		bundle, err = torchwood.AppendTileEntry(bundle, row.leaf)
		return err
	})
	if err == nil && count != t.W {
		err = damaged("%d of the %d entries of bundle %d are there", count, t.W, t.N)
	}
	return bundle, err
}
