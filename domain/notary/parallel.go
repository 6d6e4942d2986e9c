package notary

import (
	"context"
	"iter"
)

// inOrder runs work on each item, several at a time, and yields the items in their order. After an error comes nothing.
// A few items for each worker are in hand at once, however long the sequence is.
func inOrder[T any](ctx context.Context, workers int, items iter.Seq2[T, error], work func(T)) iter.Seq2[T, error] {
	type job struct {
		item T
		err  error
		done chan struct{}
	}
	return func(yield func(T, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		queue, todo := make(chan job, 4*workers), make(chan job)
		go func() {
			defer close(queue)
			defer close(todo)
			for item, err := range items {
				j := job{item, err, make(chan struct{})}
				if err != nil {
					close(j.done)
				}
				select {
				case queue <- j:
				case <-ctx.Done():
					return
				}
				if err != nil {
					return
				}
				select {
				case todo <- j:
				case <-ctx.Done():
					return
				}
			}
		}()
		for range workers {
			go func() {
				for j := range todo {
					work(j.item)
					close(j.done)
				}
			}()
		}
		for j := range queue {
			select {
			case <-j.done:
			case <-ctx.Done():
				j.err = context.Cause(ctx)
			}
			if !yield(j.item, j.err) || j.err != nil {
				return
			}
		}
		if err := ctx.Err(); err != nil {
			var none T
			yield(none, err)
		}
	}
}
