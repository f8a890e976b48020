package mysql_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	stdsql "database/sql"

	driverpkg "github.com/go-sql-driver/mysql"

	"github.com/brine-go/brine/internal/testserver"
	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/persistence/sql/mysql"
	"github.com/brine-go/brine/url"
)

var integers = driver.Schema{IntegerIDs: true}

// fresh returns the URL of an empty database on the server that the tests share.
func fresh(t testing.TB) string {
	t.Helper()
	s := testserver.SharedMariaDB(t)
	return s.URL(s.NewDB(t))
}

func openBackend(rawURL string, o driver.OpenOptions) (driver.Backend, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, err
	}
	if o.Table == "" {
		o.Table = "store"
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return mysql.Open(context.Background(), u, o)
}

// open returns a Backend after Init, closed at the end of the test.
func open(t testing.TB, rawURL string, s driver.Schema, o driver.OpenOptions) (driver.Backend, driver.Meta) {
	t.Helper()
	b, err := openBackend(rawURL, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	m, err := b.Init(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	return b, m
}

// rawConfig returns the driver's own configuration of a URL.
func rawConfig(t testing.TB, rawURL string) *driverpkg.Config {
	t.Helper()
	u, err := url.Parse(rawURL)
	if err != nil {
		t.Fatal(err)
	}
	c := driverpkg.NewConfig()
	c.Net, c.Addr, c.User, c.DBName = "unix", u.Query().Get("socket"), u.User(), u.Path()[1:]
	c.Logger = &driverpkg.NopLogger{}
	c.MaxAllowedPacket = 0
	return c
}

// raw returns a plain database of a URL, with the driver's own settings.
func raw(t testing.TB, rawURL string) *stdsql.DB {
	t.Helper()
	return rawDB(t, rawConfig(t, rawURL))
}

func rawDB(t testing.TB, c *driverpkg.Config) *stdsql.DB {
	t.Helper()
	connector, err := driverpkg.NewConnector(c)
	if err != nil {
		t.Fatal(err)
	}
	db := stdsql.OpenDB(connector)
	t.Cleanup(func() { db.Close() })
	return db
}

func run(t testing.TB, db *stdsql.DB, statements ...string) {
	t.Helper()
	for _, s := range statements {
		if _, err := db.ExecContext(t.Context(), s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

var when = time.Date(2026, 3, 4, 5, 6, 7, 89_000, time.UTC)

func record(id driver.ID, data string, fields ...any) driver.Record {
	return driver.Record{
		ID: id, Type: "engine.Task", State: "RUNNING", Revision: 1, Size: int64(len(data)),
		Created: when, Modified: when.Add(time.Second), Data: []byte(data), Fields: fields,
	}
}

func create(id driver.ID, data string, fields ...any) driver.Mutation {
	return driver.Mutation{Op: driver.Create, Rec: record(id, data, fields...)}
}

func apply(t testing.TB, b driver.Backend, ms ...driver.Mutation) []int64 {
	t.Helper()
	revs, err := b.Apply(t.Context(), ms)
	if err != nil {
		t.Fatal(err)
	}
	return revs
}

func get(t testing.TB, b driver.Backend, parts driver.Parts, ids ...driver.ID) map[driver.ID]driver.Record {
	t.Helper()
	found := map[driver.ID]driver.Record{}
	err := b.View(t.Context(), func(r driver.Reader) error {
		recs, err := r.Get(t.Context(), ids, parts)
		for _, rec := range recs {
			if _, twice := found[rec.ID]; twice {
				return fmt.Errorf("record %q came twice", rec.ID)
			}
			found[rec.ID] = rec
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// scan returns the IDs that a query gives.
func scan(t testing.TB, b driver.Backend, q *driver.Query) []driver.ID {
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

const everything = driver.Info | driver.Fields | driver.Data
