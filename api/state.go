package api

import (
	"encoding"
	"encoding/json"
	"reflect"
	"strings"
	"unicode"

	"yidang/domain/casework"
	"yidang/domain/record"
)

// programState shows what a program keeps beside the shared part of a case: every exported field, under its JSON name or
// its Go name in lower camel case. Programs are shown without this package knowing them.
func programState(state any) map[string]any {
	v := reflect.Indirect(reflect.ValueOf(state))
	if v.Kind() != reflect.Struct {
		return nil
	}
	out := map[string]any{}
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if !f.IsExported() || f.Type == reflect.TypeFor[casework.Case]() || f.Name == "Sealed" {
			continue
		}
		if x := shownValue(v.Field(i)); x != nil {
			out[shownName(f)] = x
		}
	}
	return out
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

// shownValue makes plain JSON values; zero values are left out.
func shownValue(v reflect.Value) any {
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
		return shownValue(v.Elem())
	case reflect.Slice, reflect.Array:
		list := make([]any, v.Len())
		for i := range list {
			list[i] = shownValue(v.Index(i))
		}
		return list
	case reflect.Struct:
		out := map[string]any{}
		shownStruct(v, out)
		return out
	}
	return v.Interface()
}

func shownStruct(v reflect.Value, out map[string]any) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if !f.IsExported() {
			continue
		}
		if f.Anonymous && f.Type.Kind() == reflect.Struct {
			shownStruct(v.Field(i), out)
			continue
		}
		if x := shownValue(v.Field(i)); x != nil {
			out[shownName(f)] = x
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
