package sealed

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ncruces/go-sqlite3"
)

// Ensure that arguments arrive as what they are, nil as NULL and an empty blob as one, also where the statement had others
// before; that a query ends when there is enough of it; and that errors name the statement.
func TestArguments(t *testing.T) {
	d := openTest(t, filepath.Join(t.TempDir(), "view.db"), Options{})
	defer d.Close()
	err := d.Write(t.Context(), func(c *Conn) error {
		const look = `SELECT typeof(?), typeof(?), typeof(?), typeof(?), typeof(?)`
		types := func(args ...any) (all []string) {
			err := c.Each(look, args, func(st *sqlite3.Stmt) error {
				for i := range st.ColumnCount() {
					all = append(all, st.ColumnText(i))
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
			return all
		}
		for want, args := range map[string][]any{
			"integer integer integer text blob": {int64(1), 2, true, "x", []byte{3}},
			"blob null blob null blob":          {[]byte{}, []byte(nil), []byte{1}, []byte(nil), []byte("")},
		} {
			for range 2 {
				if got := strings.Join(types(args...), " "); got != want {
					t.Errorf("%v: got %s, want %s", args, got, want)
				}
			}
		}
		if err := c.Do(look, 1.5); err == nil || !strings.Contains(err.Error(), look) || !strings.Contains(err.Error(), "argument 1: cannot bind float64") {
			t.Error(err)
		}
		seen, broken := 0, errors.New("broken")
		if err := c.Do(`CREATE TABLE v (value INTEGER)`); err != nil {
			t.Error(err)
		}
		if err := c.Do(`INSERT INTO v VALUES (?), (?), (?)`, 1, 2, 3); err != nil {
			t.Error(err)
		}
		count := func(end error) error {
			seen = 0
			return c.Each(`SELECT value FROM v`, nil, func(*sqlite3.Stmt) error {
				if seen++; seen == 2 {
					return end
				}
				return nil
			})
		}
		if err := count(ErrEnough); err != nil || seen != 2 {
			t.Errorf("%d rows, %v", seen, err)
		}
		if err := count(broken); !errors.Is(err, broken) || seen != 2 {
			t.Errorf("%d rows, %v", seen, err)
		}
		if n, err := c.Number(`SELECT sum(value) FROM v WHERE value > ?`, 1); err != nil || n != 5 {
			t.Errorf("%d, %v", n, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
