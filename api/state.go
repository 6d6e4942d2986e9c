package api

import (
	"encoding"
	"encoding/json"
	"reflect"
	"strings"
	"sync"
	"unicode"

	"yidang/domain/casework"
	"yidang/domain/record"
)

// stateShapes shows what a program keeps beside the shared part of a case: every exported field, under its JSON name or
// its Go name in lower camel case. Programs are shown without this package knowing them. It remembers the fields of the
// types it has met.
type stateShapes struct{ fields sync.Map } // reflect.Type → []shownField

type shownField struct {
	index  int
	name   string
	inline bool // its fields are shown as if they were the struct's own
}

// of shows the state of a program.
func (s *stateShapes) of(state any) map[string]any {
	v := reflect.Indirect(reflect.ValueOf(state))
	if v.Kind() != reflect.Struct {
		return nil
	}
	out := map[string]any{}
	for _, f := range s.fieldsOf(v.Type()) {
		if t := v.Type().Field(f.index); t.Type == reflect.TypeFor[casework.Case]() || t.Name == "Sealed" {
			continue
		}
		if x := s.value(v.Field(f.index)); x != nil {
			out[f.name] = x
		}
	}
	return out
}

func (s *stateShapes) fieldsOf(t reflect.Type) []shownField {
	if had, ok := s.fields.Load(t); ok {
		return had.([]shownField)
	}
	var list []shownField
	for i := range t.NumField() {
		if f := t.Field(i); f.IsExported() {
			list = append(list, shownField{i, shownName(f), f.Anonymous && f.Type.Kind() == reflect.Struct})
		}
	}
	s.fields.Store(t, list)
	return list
}

func shownName(f reflect.StructField) string {
	if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" {
		return name
	}
	r := []rune(f.Name)
	for i := range r { // ID → id, SHA256 → sha256, LastMet → lastMet
		if i > 0 && i+1 < len(r) && unicode.IsLower(r[i+1]) {
			break
		}
		r[i] = unicode.ToLower(r[i])
	}
	return string(r)
}

// value makes plain JSON values; zero values are left out.
func (s *stateShapes) value(v reflect.Value) any {
	if v.IsZero() {
		return nil
	}
	if v.CanInterface() {
		switch x := v.Interface().(type) {
		case encoding.TextMarshaler, json.Marshaler:
			return x
		}
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		return s.value(v.Elem())
	case reflect.Slice, reflect.Array:
		list := make([]any, v.Len())
		for i := range list {
			list[i] = s.value(v.Index(i))
		}
		return list
	case reflect.Struct:
		out := map[string]any{}
		s.structure(v, out)
		return out
	}
	return v.Interface()
}

func (s *stateShapes) structure(v reflect.Value, out map[string]any) {
	for _, f := range s.fieldsOf(v.Type()) {
		if f.inline {
			s.structure(v.Field(f.index), out)
			continue
		}
		if x := s.value(v.Field(f.index)); x != nil {
			out[f.name] = x
		}
	}
}

// isSealed tells whether a case is sealed: its program says so by a field of its state.
func isSealed(f *record.File) bool {
	v := reflect.Indirect(reflect.ValueOf(f.State))
	if v.Kind() != reflect.Struct {
		return false
	}
	s := v.FieldByName("Sealed")
	return s.IsValid() && s.Kind() == reflect.Bool && s.Bool()
}
