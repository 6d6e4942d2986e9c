package record_test

import (
	"errors"
	"testing"

	"yidang/domain/record"
)

type part struct {
	Code string `json:"code" enum:"a,b"`
}

type input struct {
	part
	Name   string  `json:"name" minLength:"2" maxLength:"4"`
	Maybe  string  `json:"maybe,omitempty" minLength:"3" pattern:"^x"`
	Number int     `json:"number" minimum:"1" maximum:"9"`
	Hours  float64 `json:"hours,omitempty" minimum:"0.5"`
	Parts  []part  `json:"parts,omitempty" maxItems:"2"`
	One    *part   `json:"one,omitempty"`
}

// Ensure that an input that did not come through the API meets the same limits, and that the field is named.
func TestCheck(t *testing.T) {
	good := input{Name: "梁平", Number: 5}
	for _, c := range []struct {
		field  string
		change func(*input)
	}{
		{"", func(*input) {}},
		{"", func(i *input) { i.Name = "𠮷洋文博" }},
		{"name", func(i *input) { i.Name = "梁" }},
		{"name", func(i *input) { i.Name = "梁平梁平梁" }},
		{"maybe", func(i *input) { i.Maybe = "xy" }},
		{"maybe", func(i *input) { i.Maybe = "yyyy" }},
		{"", func(i *input) { i.Maybe = "xyz" }},
		{"number", func(i *input) { i.Number = 0 }},
		{"number", func(i *input) { i.Number = 10 }},
		{"hours", func(i *input) { i.Hours = 0.1 }},
		{"parts", func(i *input) { i.Parts = []part{{"a"}, {"b"}, {"a"}} }},
		{"parts[1].code", func(i *input) { i.Parts = []part{{"a"}, {"c"}} }},
		{"one.code", func(i *input) { i.One = &part{"z"} }},
	} {
		in := good
		c.change(&in)
		err := record.Check(in)
		var p *record.Problem
		switch {
		case c.field == "" && err != nil, c.field != "" && (!errors.As(err, &p) || p.Field != c.field || p.Kind != record.Invalid || p.Remedy == ""):
			t.Errorf("%+v: got %v, want a problem at %q", in, err, c.field)
		}
	}
	if err := record.Check(struct{}{}); err != nil {
		t.Error(err)
	}
}
