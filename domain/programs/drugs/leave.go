package drugs

import (
	"time"

	"github.com/google/uuid"
)

// Leave is a leave from the county of three days or more.
type Leave struct {
	ID       uuid.UUID
	From     time.Time // first day away
	Until    time.Time // last day away
	Answer   string    // empty while unanswered, then granted or refused
	Returned time.Time
}

// Absence is a time away without leave, known by its first day.
type Absence struct {
	From time.Time
	Days int
}
