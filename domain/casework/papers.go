package casework

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/google/uuid"

	"yidang/domain/record"
)

// This file is the one definition of which attachments an event names: the case's state, the check before an event is
// recorded, the dossier and the audit all go by it.

// Named is an attachment that an event names, and where in its data.
type Named struct {
	Attachment
	Field string // such as media[0]; empty when the data is the attachment itself
}

// Naming lists the attachments that an event's data names, however deep.
func Naming(data any) []Named {
	if data == nil || !MayName(reflect.TypeOf(data)) {
		return nil
	}
	return naming("", reflect.ValueOf(data), nil)
}

// NamedBy lists the attachments that an event names. A correction names those of the data that it puts in the place of
// another event's, which of finds.
func NamedBy(k *record.Category, e record.Event, of func(uuid.UUID) (record.Event, bool)) []Named {
	c, ok := e.Data.(record.Corrected)
	if !ok {
		return Naming(e.Data)
	}
	about, ok := of(c.Event)
	if !ok {
		return nil
	}
	right, err := record.Amendment{Corrections: []record.Event{e}}.Effective(k, about)
	if err != nil {
		return nil
	}
	return Naming(right.Data)
}

func naming(field string, v reflect.Value, all []Named) []Named {
	if !MayName(v.Type()) {
		return all
	}
	if a, ok := v.Interface().(Attachment); ok {
		if a.SHA256 == "" {
			return all
		}
		return append(all, Named{a, field})
	}
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			all = naming(field, v.Elem(), all)
		}
	case reflect.Slice:
		for i := range v.Len() {
			all = naming(fmt.Sprintf("%s[%d]", field, i), v.Index(i), all)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			f := v.Type().Field(i)
			if !f.IsExported() {
				continue
			}
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",") // empty for what is embedded
			all = naming(strings.Trim(field+"."+name, "."), v.Field(i), all)
		}
	}
	return all
}

// MayName tells whether values of a type can name attachments.
func MayName(t reflect.Type) bool {
	if t == reflect.TypeFor[Attachment]() {
		return true
	}
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice:
		return MayName(t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			if f := t.Field(i); f.IsExported() && MayName(f.Type) {
				return true
			}
		}
	}
	return false
}

// attach takes in the attachments that an event names.
func (c *Case) attach(e record.Event) {
	for _, n := range Naming(e.Data) {
		if !slices.ContainsFunc(c.Attachments, func(a Attachment) bool { return a.SHA256 == n.SHA256 }) {
			c.Attachments = append(c.Attachments, n.Attachment)
		}
	}
}
