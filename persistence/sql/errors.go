package sql

import (
	stdsql "database/sql"
	sqldriver "database/sql/driver"
	"errors"
	"fmt"
	"strings"

	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/persistence/internal/moved"
)

var errBadConn = sqldriver.ErrBadConn

// classify is Classify, and knows the errors of database/sql.
func (b *Backend) classify(err error) Class {
	var nc *notConnected
	if errors.As(err, &nc) && nc.late {
		return Gone
	}
	if errors.Is(err, stdsql.ErrConnDone) { // what a connection says that was found to be bad
		err = errBadConn
	}
	return b.dialect.Classify(err)
}

// translate adds the sentinels to what the database says, and the database's name to what does not
// hold it.
func (b *Backend) translate(err error) error {
	if err == nil {
		return nil
	}
	if away, ok := errors.AsType[*moved.Error](err); ok && !errors.Is(err, driver.ErrUncertain) {
		return b.named(away)
	}
	if errors.Is(err, driver.ErrUncertain) {
		return err // and names the database already
	}
	class := b.classify(err)
	if advise := b.traits.Advice; advise != nil {
		if advice := advise(err); advice != "" {
			err = fmt.Errorf("%w (%s)", err, advice)
		}
	}
	switch class {
	case ReadOnly:
		if !errors.Is(err, driver.ErrReadOnly) {
			return fmt.Errorf("%s: %w: %w", b.dialect.Location(), driver.ErrReadOnly, err)
		}
	case TooLarge:
		if !errors.Is(err, driver.ErrTooLarge) {
			return fmt.Errorf("%w: %w", driver.ErrTooLarge, err)
		}
	case NoTable:
		return b.named(fmt.Errorf("a table that the store needs is missing: it was dropped, or the database was replaced, while the store was open: %w", err))
	case Failing, Lost, Gone:
		return b.named(err)
	}
	return err
}

// named puts the database's name before an error that lacks it.
func (b *Backend) named(err error) error {
	if name := b.dialect.Location(); !strings.HasPrefix(err.Error(), name) {
		return fmt.Errorf("%s: %w", name, err)
	}
	return err
}

// notConnected: no connection could be made, so that nothing has been sent.
type notConnected struct {
	err  error
	late bool // for the time that it took
}

func (e *notConnected) Error() string { return "connecting: " + e.err.Error() }
func (e *notConnected) Unwrap() error { return e.err }
