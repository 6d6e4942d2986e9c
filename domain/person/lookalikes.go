package person

import (
	"github.com/google/uuid"

	"yidang/domain/record"
)

// ErrLooksKnown refuses to register somebody who looks registered, until it is said that he is somebody else: search first.
var ErrLooksKnown = &record.Problem{Kind: record.Refused, Field: "differentFrom", Rule: "D-12",
	Message: "people with the same name and birth day, or name and phone, have files", Zh: "已有姓名与出生日期（或电话）相同的档案",
	Remedy: "look at the files that lookalikes names, or ask whoever may; work in the existing file, or name those who are somebody else in differentFrom"}

// LooksKnown is ErrLooksKnown with the files that it is about.
type LooksKnown struct{ Files []Lookalike }

// Lookalike is a file of somebody of the same name. It says no more than is needed to tell whether it is the same person,
// because whoever registers somebody may not be one who may read the file.
type Lookalike struct {
	ID        uuid.UUID `json:"id" doc:"for differentFrom"`
	CitizenID string    `json:"citizenId,omitempty" doc:"masked; absent without one"`
	Birth     bool      `json:"sameBirth,omitempty" doc:"the birth day is the same"`
	Phone     bool      `json:"samePhone,omitempty" doc:"the phone number is the same"`
}

func (e *LooksKnown) Error() string { return ErrLooksKnown.Error() }

func (e *LooksKnown) Unwrap() error { return ErrLooksKnown }
