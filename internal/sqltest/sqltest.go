// Package sqltest holds what the tests of the SQL dialects share: opening a backend, making
// records, and reading them.
//
// A function that takes a testing.TB fails it on an error.
package sqltest

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/url"
)

// Integers is the schema of a store with integer IDs and no extra columns.
var Integers = driver.Schema{IntegerIDs: true}

// Everything is all parts of a record.
const Everything = driver.Info | driver.Fields | driver.Data

// An Opener is the Open function of a dialect.
type Opener func(ctx context.Context, u url.URL, o driver.OpenOptions) (driver.Backend, error)

// Backend opens a backend. The default table is "store", the default logger discards all.
func (open Opener) Backend(rawURL string, o driver.OpenOptions) (driver.Backend, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, err
	}
	o.Table = cmp.Or(o.Table, "store")
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return open(context.Background(), u, o)
}

// Store opens a backend and calls its Init. The backend is closed when t ends.
func (open Opener) Store(t testing.TB, rawURL string, s driver.Schema, o driver.OpenOptions) (driver.Backend, driver.Meta) {
	t.Helper()
	b, err := open.Backend(rawURL, o)
	if err != nil {
		t.Fatal(err)
	}
	return b, Init(t, b, s)
}

// Init calls Init of a backend, which is closed when t ends.
func Init(t testing.TB, b driver.Backend, s driver.Schema) driver.Meta {
	t.Helper()
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	m, err := b.Init(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// Exec executes statements.
func Exec(t testing.TB, db *sql.DB, statements ...string) {
	t.Helper()
	for _, s := range statements {
		if _, err := db.ExecContext(t.Context(), s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

// Created is when each Record was created; it was modified a second later.
var Created = time.Date(2026, 3, 4, 5, 6, 7, 89_000, time.UTC)

// Record returns a record of an object in the state RUNNING, at its first revision.
func Record(id driver.ID, data string, fields ...any) driver.Record {
	return driver.Record{
		ID: id, Type: "engine.Task", State: "RUNNING", Revision: 1, Size: int64(len(data)),
		Created: Created, Modified: Created.Add(time.Second), Data: []byte(data), Fields: fields,
	}
}

// Create returns the mutation that creates Record(id, data, fields...).
func Create(id driver.ID, data string, fields ...any) driver.Mutation {
	return driver.Mutation{Op: driver.Create, Rec: Record(id, data, fields...)}
}

// Apply applies mutations and returns the new revisions.
func Apply(t testing.TB, b driver.Backend, ms ...driver.Mutation) []int64 {
	t.Helper()
	revs, err := b.Apply(t.Context(), ms)
	if err != nil {
		t.Fatal(err)
	}
	return revs
}

// Find reads records by their IDs. A record that comes twice is an error; one that is missing is
// not.
func Find(ctx context.Context, b driver.Backend, parts driver.Parts, ids ...driver.ID) (map[driver.ID]driver.Record, error) {
	found := map[driver.ID]driver.Record{}
	err := b.View(ctx, func(r driver.Reader) error {
		recs, err := r.Get(ctx, ids, parts)
		for _, rec := range recs {
			if _, twice := found[rec.ID]; twice {
				return fmt.Errorf("record %q came twice", rec.ID)
			}
			found[rec.ID] = rec
		}
		return err
	})
	return found, err
}

// Get is Find that must succeed.
func Get(t testing.TB, b driver.Backend, parts driver.Parts, ids ...driver.ID) map[driver.ID]driver.Record {
	t.Helper()
	found, err := Find(t.Context(), b, parts, ids...)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// Scan returns the IDs that a query selects, in its order.
func Scan(t testing.TB, b driver.Backend, q *driver.Query) []driver.ID {
	t.Helper()
	var ids []driver.ID
	err := b.View(t.Context(), func(r driver.Reader) error {
		for rec, err := range r.Scan(t.Context(), q) {
			if err != nil {
				return err
			}
			ids = append(ids, rec.ID)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return ids
}
