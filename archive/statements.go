package archive

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"reflect"

	"github.com/jmoiron/sqlx"
)

// statements runs SQL inside transactions of one connection, and prepares each text once. It goes past database/sql, which takes about as long for each of the small statements
// that a batch consists of as SQLite does. It is not safe for concurrent use.
type statements struct {
	conn     *sqlx.Conn // of the transaction under way
	owner    any        // the driver's connection that the prepared ones belong to
	prepared map[string]driver.Stmt
	args     []driver.NamedValue // used again
}

// keptStatements is how many prepared statements outlive their transaction: some texts name all that they are about, and are never met again.
const keptStatements = 100

// begin takes db's connection and begins a transaction, which does not end with ctx: what runs past database/sql would not notice. The caller ends both.
func (s *statements) begin(ctx context.Context, db *sqlx.DB) (*sqlx.Tx, error) {
	ctx = context.WithoutCancel(ctx)
	conn, err := db.Connx(ctx)
	if err != nil {
		return nil, err
	}
	tx, err := conn.BeginTxx(ctx, nil)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	s.conn = conn
	return tx, nil
}

// end gives the connection back; further calls do nothing.
func (s *statements) end() error {
	if s.conn == nil {
		return nil
	}
	var err error
	if len(s.prepared) > keptStatements {
		err = s.forget()
	}
	err = errors.Join(err, s.conn.Close())
	s.conn = nil
	return err
}

// forget closes what is prepared, which must happen before the connection is closed.
func (s *statements) forget() error {
	return s.conn.Raw(func(any) error {
		var errs []error
		for _, one := range s.prepared {
			errs = append(errs, one.Close())
		}
		clear(s.prepared)
		return errors.Join(errs...)
	})
}

// close is for when no transaction is under way and db is about to be closed.
func (s *statements) close(db *sqlx.DB) error {
	if len(s.prepared) == 0 {
		return nil
	}
	conn, err := db.Connx(context.Background())
	if err != nil {
		return err
	}
	s.conn = conn
	return errors.Join(s.forget(), s.end())
}

// use calls f with a prepared statement and its arguments, which hold until f returns.
func (s *statements) use(query string, args []any, f func(driver.Stmt, []driver.NamedValue) error) error {
	return s.conn.Raw(func(conn any) error {
		one, err := s.prepare(conn, query)
		if err != nil {
			return fmt.Errorf("prepare %q: %w", query, err)
		}
		s.args = s.args[:0]
		for i, arg := range args {
			value, err := driver.DefaultParameterConverter.ConvertValue(arg)
			if err != nil {
				return fmt.Errorf("argument %d of %q: %w", i+1, query, err)
			}
			s.args = append(s.args, driver.NamedValue{Ordinal: i + 1, Value: value})
		}
		return f(one, s.args)
	})
}

func (s *statements) prepare(conn any, query string) (driver.Stmt, error) {
	if s.owner != conn { // those of another one ended with it
		s.owner, s.prepared = conn, make(map[string]driver.Stmt)
	}
	if one, ok := s.prepared[query]; ok {
		return one, nil
	}
	one, err := conn.(driver.ConnPrepareContext).PrepareContext(context.Background(), query)
	if err == nil {
		s.prepared[query] = one
	}
	return one, err
}

func (s *statements) exec(query string, args ...any) (result sql.Result, err error) {
	err = s.use(query, args, func(one driver.Stmt, values []driver.NamedValue) (err error) {
		result, err = one.(driver.StmtExecContext).ExecContext(context.Background(), values)
		return err
	})
	return result, err
}

// each calls f with each row of a query until it says that this was enough. The next row takes the place of the values. f must run no statements.
func (s *statements) each(query string, args []any, f func(row) (more bool, err error)) error {
	return s.use(query, args, func(one driver.Stmt, values []driver.NamedValue) error {
		rows, err := one.(driver.StmtQueryContext).QueryContext(context.Background(), values)
		if err != nil {
			return err
		}
		return errors.Join(eachRow(rows, f), rows.Close())
	})
}

func eachRow(rows driver.Rows, f func(row) (more bool, err error)) error {
	values := make(row, len(rows.Columns()))
	for {
		err := rows.Next(values)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if more, err := f(values); err != nil || !more {
			return err
		}
	}
}

// first returns the first row of a query, or sql.ErrNoRows.
func (s *statements) first(query string, args []any) (first row, err error) {
	err = s.each(query, args, func(r row) (bool, error) { first = r; return false, nil })
	if err == nil && first == nil {
		err = sql.ErrNoRows
	}
	return first, err
}

// row is what SQLite found, a value for each column.
type row []driver.Value

// Scan stores the values where dest points to.
func (r row) Scan(dest ...any) error {
	if len(dest) != len(r) {
		return fmt.Errorf("there are %d columns and %d places for them", len(r), len(dest))
	}
	for i, to := range dest {
		if err := assign(to, r[i]); err != nil {
			return fmt.Errorf("column %d: %w", i+1, err)
		}
	}
	return nil
}

// assign stores a value unless that would change it.
func assign(dest any, value driver.Value) error {
	if to, ok := dest.(sql.Scanner); ok {
		return to.Scan(value)
	}
	to := reflect.ValueOf(dest).Elem()
	switch v := value.(type) {
	case string:
		if to.Kind() == reflect.String {
			to.SetString(v)
			return nil
		}
	case int64:
		switch {
		case to.CanInt() && !to.OverflowInt(v):
			to.SetInt(v)
			return nil
		case to.CanUint() && v >= 0 && !to.OverflowUint(uint64(v)):
			to.SetUint(uint64(v))
			return nil
		case to.Kind() == reflect.Bool && (v == 0 || v == 1):
			to.SetBool(v == 1)
			return nil
		}
	}
	return fmt.Errorf("%T %v does not fit %s", value, value, to.Type())
}
