package drugs

import (
	"time"

	"github.com/google/uuid"
)

// Breach is a serious breach of the agreement that no decision has answered yet (戒毒条例 20).
type Breach struct {
	Event  uuid.UUID
	Ground string
	At     time.Time
}

// Referral is a report to the police, which is all that a township does (S-1).
type Referral struct {
	ID     uuid.UUID
	Ground string
	At     time.Time
}

// Decision is what another organ decided.
type Decision struct {
	Kind     string
	Document Document
	At       time.Time
}
