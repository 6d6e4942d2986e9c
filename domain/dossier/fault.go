package dossier

import (
	"fmt"
	"strings"

	"github.com/google/uuid"

	"yidang/domain/record"
)

// Fault is one thing that is wrong with a dossier.
type Fault struct {
	File  string    `json:"file,omitempty"` // in which file; empty for the zip itself
	Event uuid.UUID `json:"event,omitzero"` // of which event
	What  record.Text
}

func (f *Fault) Error() string {
	where := ""
	if f.File != "" {
		where = f.File + ": "
	}
	if f.Event != uuid.Nil {
		where += "event " + f.Event.String() + ": "
	}
	return where + f.What.En
}

// Forged is the error of Verify: the dossier is not what the log's key signed, or not what the log holds.
type Forged struct{ Faults []*Fault }

func (f *Forged) Error() string {
	lines := make([]string, len(f.Faults))
	for i, one := range f.Faults {
		lines[i] = one.Error()
	}
	return "this is not a true dossier: " + strings.Join(lines, "; ")
}

// maxFaults is how many are listed: one is enough to refuse a dossier.
const maxFaults = 20

func fault(file, zh, en string) *Fault { return &Fault{File: file, What: record.T(zh, en)} }

func unread(err error) *Fault {
	return fault("", "读取失败："+err.Error(), "it could not be read: "+err.Error())
}

func (f *Fault) of(event uuid.UUID) *Fault { f.Event = event; return f }

// because adds the technical cause, if there is one.
func (f *Fault) because(err error) *Fault {
	if err == nil {
		return f
	}
	f.What.Zh += fmt.Sprintf("（%v）", err)
	f.What.En += fmt.Sprintf(" (%v)", err)
	return f
}
