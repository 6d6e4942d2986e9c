package drugs

import "time"

// Suspension is a time in which the term stands still (戒毒条例 24).
type Suspension struct {
	From  time.Time
	Until time.Time // zero while it lasts
}

// TermEnding is how the term ended.
type TermEnding struct {
	Kind string
	On   time.Time
}

// Move is a move out of the township (戒毒条例 22).
type Move struct {
	On        time.Time
	To        string
	Confirmed time.Time
}
