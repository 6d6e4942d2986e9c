package notary

import (
	"math/bits"

	"golang.org/x/mod/sumdb/tlog"
)

// edge is the right edge of a growing tree: the roots of its complete subtrees, largest first. It is all that is needed
// to add leaves and to know the root, whatever the size.
type edge struct {
	size  int64
	roots []tlog.Hash
}

// add appends a leaf. done, unless nil, is told of each subtree of a height divisible by tileHeight that the leaf
// completes, the leaf itself excepted: level counts such heights.
func (e *edge) add(leaf tlog.Hash, done func(level int, n int64, hash tlog.Hash)) {
	n := e.size
	e.size++
	for height := 1; n&1 == 1; height++ {
		last := len(e.roots) - 1
		leaf = tlog.NodeHash(e.roots[last], leaf)
		e.roots = e.roots[:last]
		n >>= 1
		if done != nil && height%tileHeight == 0 {
			done(height/tileHeight, n, leaf)
		}
	}
	e.roots = append(e.roots, leaf)
}

// root is the tree's hash; that of the empty tree is the hash of nothing.
func (e *edge) root() tlog.Hash {
	if e.size == 0 {
		empty, _ := tlog.TreeHash(0, nil)
		return empty
	}
	last := len(e.roots) - 1
	hash := e.roots[last]
	for i := last - 1; i >= 0; i-- {
		hash = tlog.NodeHash(e.roots[i], hash)
	}
	return hash
}

func (e *edge) tree() tlog.Tree { return tlog.Tree{N: e.size, Hash: e.root()} }

// clone is a copy that can grow apart.
func (e *edge) clone() edge {
	return edge{size: e.size, roots: append(make([]tlog.Hash, 0, 64), e.roots...)}
}

// edgeOf reads the edge of the tree of a size from stored hashes.
func edgeOf(size int64, r tlog.HashReader) (edge, error) {
	var indexes []int64
	for lo := int64(0); lo < size; {
		height := bits.Len64(uint64(size-lo)) - 1
		indexes = append(indexes, tlog.StoredHashIndex(height, lo>>height))
		lo += 1 << height
	}
	roots, err := r.ReadHashes(indexes)
	return edge{size: size, roots: roots}, err
}
