package vault

import (
	"hash/maphash"

	lru "github.com/hashicorp/golang-lru/v2"
)

const cacheShards = 16

// cache holds the opened keys used last. It is sharded because every seal and open of every request goes through it.
type cache struct {
	seed   maphash.Seed
	shards [cacheShards]*lru.Cache[string, *streamKey]
}

func newCache(keys int) *cache {
	c := &cache{seed: maphash.MakeSeed()}
	for i := range c.shards {
		shard, err := lru.New[string, *streamKey](max(1, keys/cacheShards))
		if err != nil {
			panic("vault: " + err.Error()) // only for a size below one
		}
		c.shards[i] = shard
	}
	return c
}

func (c *cache) shard(stream string) *lru.Cache[string, *streamKey] {
	return c.shards[maphash.String(c.seed, stream)%cacheShards]
}

func (c *cache) get(stream string) (*streamKey, bool) { return c.shard(stream).Get(stream) }
func (c *cache) put(stream string, key *streamKey)    { c.shard(stream).Add(stream, key) }
func (c *cache) remove(stream string)                 { c.shard(stream).Remove(stream) }
