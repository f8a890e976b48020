package postgres_test

import (
	"context"
	stdsql "database/sql"
	"fmt"
	"log/slog"
	neturl "net/url"
	"testing"
	"time"

	_ "github.com/lib/pq"

	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/persistence/sql/postgres"
	"github.com/brine-go/brine/url"
)

var integers = driver.Schema{IntegerIDs: true}

// dsn returns what lib/pq opens for the URL of a store.
func dsn(t testing.TB, rawURL string) string {
	t.Helper()
	u, err := neturl.Parse(rawURL)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	if schema := q.Get("schema"); schema != "" {
		q.Set("search_path", `"`+schema+`"`)
	}
	for name := range q {
		if name != "host" && name != "port" && name != "sslmode" && name != "search_path" {
			q.Del(name)
		}
	}
	q.Set("binary_parameters", "yes")
	u.RawQuery = q.Encode()
	return u.String()
}

// raw returns plain connections to the database of a store.
func raw(t testing.TB, rawURL string) *stdsql.DB {
	t.Helper()
	db, err := stdsql.Open("postgres", dsn(t, rawURL))
	if err != nil {
		t.Fatal(err)
	}
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

func openBackend(rawURL string, o driver.OpenOptions) (driver.Backend, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, err
	}
	if o.Table == "" {
		o.Table = "store"
	}
	o.Logger = slog.New(slog.DiscardHandler)
	return postgres.Open(context.Background(), u, o)
}

// open returns a Backend after Init, closed at the end of the test.
func open(t testing.TB, rawURL string, s driver.Schema, o driver.OpenOptions) driver.Backend {
	t.Helper()
	b, err := openBackend(rawURL, o)
	if err != nil {
		t.Fatal(err)
	}
	return initialised(t, b, s)
}

func initialised(t testing.TB, b driver.Backend, s driver.Schema) driver.Backend {
	t.Helper()
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	if _, err := b.Init(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	return b
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

// get returns the records with the IDs.
func get(ctx context.Context, b driver.Backend, ids ...driver.ID) (map[driver.ID]driver.Record, error) {
	found := map[driver.ID]driver.Record{}
	err := b.View(ctx, func(r driver.Reader) error {
		recs, err := r.Get(ctx, ids, driver.Info|driver.Fields|driver.Data)
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
