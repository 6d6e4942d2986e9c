package oversight_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"yidang/projections/oversight"
)

// Ensure that the record of a question says all that was asked, and nothing that was not.
func TestQuestions(t *testing.T) {
	for _, q := range []interface{ String() string }{oversight.Query{}, oversight.ReadQuery{}} {
		if s := q.String(); strings.Contains(s, "=") {
			t.Errorf("what was not asked is said: %s", s)
		}
		v := reflect.New(reflect.TypeOf(q)).Elem()
		for i := range v.NumField() {
			f := v.Type().Field(i)
			if f.Name == "Paging" || f.Name == "Also" { // which page; other files of the person that is named
				continue
			}
			v.SetZero()
			switch x := v.Field(i); x.Interface().(type) {
			case uuid.UUID:
				x.Set(reflect.ValueOf(uuid.New()))
			case time.Time:
				x.Set(reflect.ValueOf(time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)))
			case []string:
				x.Set(reflect.ValueOf([]string{"casework.visit_recorded"}))
			case string:
				x.SetString("inspection")
			case bool:
				x.SetBool(true)
			default:
				x.SetInt(7)
			}
			if s := v.Interface().(interface{ String() string }).String(); strings.Count(s, "=") != 1 {
				t.Errorf("%s of %s is not said: %s", f.Name, v.Type(), s)
			}
		}
	}
}
