package analytics

import "github.com/google/uuid"

// Pseudonym is what the tables call a person or a case.
func Pseudonym(mac MAC, sort string, id uuid.UUID) uuid.UUID {
	return (&pseudonyms{mac: mac}).make(sort, id[:])
}
