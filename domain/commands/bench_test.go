package commands_test

import (
	"sync/atomic"
	"testing"

	"github.com/google/uuid"

	"yidang/domain/commands/commandstest"
)

// BenchmarkVisit records home visits: decide, seal, append, fsync. cases is how many files the callers spread over.
func BenchmarkVisit(b *testing.B) {
	for _, callers := range []struct {
		name string
		n    int
	}{{"1 caller", 1}, {"64 callers", 32}} { // RunParallel multiplies by GOMAXPROCS
		b.Run(callers.name, func(b *testing.B) {
			town := commandstest.Start(b)
			var ids []uuid.UUID
			for i := range 200 {
				_, id := openCase(town, 2*i+1)
				ids = append(ids, id)
			}
			var next atomic.Int64
			one := func() {
				if _, err := town.Exec.Do(b.Context(), visit(town, ids[int(next.Add(1))%len(ids)])); err != nil {
					b.Error(err)
				}
			}
			b.ResetTimer()
			if callers.n == 1 {
				for b.Loop() {
					one()
				}
				return
			}
			b.SetParallelism(callers.n)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					one()
				}
			})
		})
	}
}
