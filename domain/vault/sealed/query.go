package sealed

import (
	"errors"
	"fmt"

	"github.com/ncruces/go-sqlite3"
)

// ErrEnough is answered by the row of Each to end the query early.
var ErrEnough = errors.New("enough")

// Do runs a statement. The SQL text is as Stmt wants it; arguments are int64, int, bool, string and []byte. A nil []byte is
// NULL, an empty one an empty blob.
func (c *Conn) Do(sql string, args ...any) error {
	st, err := c.bound(sql, args)
	if err != nil {
		return err
	}
	if err := st.Exec(); err != nil {
		return fmt.Errorf("%s: %w", sql, err)
	}
	return nil
}

// Each runs a statement and calls row for each row, until it answers ErrEnough.
func (c *Conn) Each(sql string, args []any, row func(*sqlite3.Stmt) error) error {
	st, err := c.bound(sql, args)
	if err != nil {
		return err
	}
	for st.Step() {
		if err := row(st); err == ErrEnough {
			return st.Reset()
		} else if err != nil {
			return errors.Join(err, st.Reset())
		}
	}
	if err := errors.Join(st.Err(), st.Reset()); err != nil {
		return fmt.Errorf("%s: %w", sql, err)
	}
	return nil
}

// Number is the first column of the last row, 0 when there is none.
func (c *Conn) Number(sql string, args ...any) (n int64, err error) {
	err = c.Each(sql, args, func(st *sqlite3.Stmt) error { n = st.ColumnInt64(0); return nil })
	return n, err
}

func (c *Conn) bound(sql string, args []any) (*sqlite3.Stmt, error) {
	st, err := c.Stmt(sql)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", sql, err)
	}
	for i, a := range args {
		switch a := a.(type) {
		case int64:
			err = st.BindInt64(i+1, a)
		case int:
			err = st.BindInt(i+1, a)
		case bool:
			err = st.BindBool(i+1, a)
		case string:
			err = st.BindText(i+1, a)
		case []byte:
			if a != nil { // else NULL, as a fresh statement has it
				err = st.BindBlob(i+1, a)
			}
		default:
			err = fmt.Errorf("cannot bind %T", a)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: argument %d: %w", sql, i+1, err)
		}
	}
	return st, nil
}
