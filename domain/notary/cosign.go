package notary

import "context"

// WitnessStatus is how a witness is doing.
type WitnessStatus struct {
	Name string
	Size int64 // of the newest checkpoint it has cosigned
	Err  error // of the last request, nil when it succeeded
}

func (n *Notary) cosignLoop(ctx context.Context) error { return nil }
