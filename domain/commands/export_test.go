package commands

// KeepInMemory makes an executor keep only so many files folded, and so many bytes of packed ones.
func (x *Executor) KeepInMemory(folded int, packed int64) {
	x.files.folded.Resize(folded)
	x.files.limit = packed
}

// Packed is how many bytes of packed files there are, as counted, and in fact.
func (x *Executor) Packed() (counted, there int64) {
	for _, e := range x.files.cache.Values() {
		there += int64(e.packed.Size())
	}
	return x.files.size.Load(), there
}
