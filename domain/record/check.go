package record

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Check holds an input against the limits in its field tags: minLength, maxLength, pattern, enum, minimum, maximum,
// minItems, maxItems. The API checks the same tags against the JSON before it is decoded; this check stands in the way of
// every other caller, such as an import. An optional field (omitempty, omitzero) that is empty is not checked.
func Check(input any) error { return check("", reflect.ValueOf(input)) }

func check(path string, v reflect.Value) error {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return nil
		}
		return check(path, v.Elem())
	case reflect.Slice:
		for i := range v.Len() {
			if err := check(fmt.Sprintf("%s[%d]", path, i), v.Index(i)); err != nil {
				return err
			}
		}
	case reflect.Struct:
		return checkFields(path, v)
	}
	return nil
}

func checkFields(path string, v reflect.Value) error {
	for i := range v.NumField() {
		f, value := v.Type().Field(i), v.Field(i)
		if !f.IsExported() {
			continue
		}
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		at := path
		if !f.Anonymous || name != "" {
			at = strings.TrimPrefix(path+"."+name, ".")
		}
		if strings.Contains(options, "omit") && value.IsZero() {
			continue
		}
		if err := checkValue(at, f.Tag, value); err != nil {
			return err
		}
		if err := check(at, value); err != nil {
			return err
		}
	}
	return nil
}

func checkValue(path string, tag reflect.StructTag, v reflect.Value) error {
	size, unit, low, high := 0.0, "", "", ""
	switch v.Kind() {
	case reflect.String:
		size, unit, low, high = float64(utf8.RuneCountInString(v.String())), " characters", tag.Get("minLength"), tag.Get("maxLength")
		if p := tag.Get("pattern"); p != "" && !regexp.MustCompile(p).MatchString(v.String()) {
			return unfit(path, "does not have the form "+p, "格式不对")
		}
	case reflect.Slice:
		size, unit, low, high = float64(v.Len()), " entries", tag.Get("minItems"), tag.Get("maxItems")
	case reflect.Int, reflect.Int64:
		size, low, high = float64(v.Int()), tag.Get("minimum"), tag.Get("maximum")
	case reflect.Float64:
		size, low, high = v.Float(), tag.Get("minimum"), tag.Get("maximum")
	default:
		return nil
	}
	if n, err := strconv.ParseFloat(low, 64); err == nil && size < n {
		return unfit(path, "must be at least "+low+unit, "不得少于 "+low)
	}
	if n, err := strconv.ParseFloat(high, 64); err == nil && size > n {
		return unfit(path, "must be at most "+high+unit, "不得超过 "+high)
	}
	if e := tag.Get("enum"); e != "" && v.Kind() != reflect.Slice && !slices.Contains(strings.Split(e, ","), fmt.Sprint(v.Interface())) {
		return unfit(path, "must be one of "+e, "不在可选值之列")
	}
	return nil
}

func unfit(field, en, zh string) *Problem {
	return &Problem{Kind: Invalid, Field: field, Rule: "limits of the field", Message: en, Zh: zh, Remedy: "see the API description of the command"}
}
