package sealed

import (
	"context"
	"errors"

	"github.com/ncruces/go-sqlite3"
)

// Conn is a connection with its prepared statements. It serves one goroutine at a time, within one call of f.
type Conn struct {
	*sqlite3.Conn
	stmts map[string]*sqlite3.Stmt
}

// Stmt returns the statement for the SQL text, compiled the first time, reset and without bindings. It stays the
// connection's: do not close it. The text must be one of a few written in the program, never built from input.
func (c *Conn) Stmt(sql string) (*sqlite3.Stmt, error) {
	s, ok := c.stmts[sql]
	if !ok {
		var err error
		if s, _, err = c.PrepareFlags(sql, sqlite3.PREPARE_PERSISTENT); err != nil {
			return nil, err
		}
		if s == nil {
			return nil, errors.New("no statement in the SQL text")
		}
		c.stmts[sql] = s
	} else if err := errors.Join(s.Reset(), s.ClearBindings()); err != nil {
		return nil, err
	}
	return s, nil
}

func (c *Conn) transact(ctx context.Context, begin string, f func(*Conn) error) (err error) {
	defer c.SetInterrupt(c.SetInterrupt(ctx))
	if err := c.run(begin); err != nil {
		return err
	}
	done := false
	defer func() {
		// A statement in the middle of its rows would keep the snapshot, and with it the log, from ever moving on.
		for _, s := range c.stmts {
			_ = s.Reset() // repeats the error of the statement's last step, which its user has had
		}
		if !done && !c.GetAutocommit() { // f failed or panicked, or the commit did
			c.SetInterrupt(context.Background())
			err = errors.Join(err, c.run(`ROLLBACK`))
		}
	}()
	if err = f(c); err == nil {
		err = c.run(`COMMIT`)
		done = err == nil
	}
	return err
}

func (c *Conn) run(sql string) error {
	s, err := c.Stmt(sql)
	if err != nil {
		return err
	}
	return s.Exec()
}

// Close closes the statements and the connection.
func (c *Conn) Close() error {
	var errs []error
	for _, s := range c.stmts {
		errs = append(errs, s.Close())
	}
	return errors.Join(append(errs, c.Conn.Close())...)
}
