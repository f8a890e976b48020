package persistence

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/brine-go/brine/persistence/driver"
)

// Stores returns the names of the stores at a URL: the tables of a database that are stores, for
// [Options].Table, or the path of the directory if it is one, sorted. It makes nothing, and needs
// the right to read alone. A database, file or directory that does not exist is an error; "mem:"
// has none. If the backend cannot tell, the error is errors.ErrUnsupported.
func Stores(ctx context.Context, rawURL string) ([]string, error) {
	const op = "stores"
	u, err := parseStoreURL(rawURL)
	if err != nil {
		return nil, &Error{Op: op, Err: err}
	}
	fail := func(err error) ([]string, error) { return nil, &Error{Op: op, URL: u, Err: err} }
	open, ok := driver.Lookup(u.Scheme())
	if !ok {
		return fail(unknownScheme(u.Scheme()))
	}
	backendURL, _, err := driver.ReadMode(u)
	if err != nil {
		return fail(err)
	}
	b, err := open(ctx, backendURL, driver.OpenOptions{
		Table: defaultTable, NoCreate: true, ReadOnly: true, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return fail(err)
	}
	l, ok := b.(driver.Lister)
	if !ok {
		return fail(errors.Join(fmt.Errorf("a list of the stores in this backend: %w", errors.ErrUnsupported), b.Close()))
	}
	names, err := l.Stores(ctx)
	if err = errors.Join(err, b.Close()); err != nil {
		return fail(err)
	}
	return names, nil
}
