package sql_test

import (
	stdsql "database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/persistence/sql"
)

// A server may replace a database without ending the connections to it.
func TestConnectionsAreComparedWithTheStoreTheyWereMadeFor(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, db database) {
		if db.name == "sqlite" {
			t.Skip("has no connections to a server")
		}
		ctx := t.Context()
		b := db.open(t, jobs, driver.OpenOptions{})
		must[[]int64](t)(b.Apply(ctx, []driver.Mutation{job(1, "NEW", 1, 1)}))
		raw := db.raw(t)
		for _, table := range []string{"store", driver.StoresTable} {
			must[stdsql.Result](t)(raw.ExecContext(ctx, "DROP TABLE "+table))
		}
		other := db.open(t, jobs, driver.OpenOptions{})
		must[[]int64](t)(other.Apply(ctx, []driver.Mutation{job(1, "NEW", 1, 1)}))

		update := func() error {
			m := job(1, "OLD", 1, 1)
			m.Op, m.IfRev = driver.Update, 1
			_, err := b.Apply(ctx, []driver.Mutation{m})
			return err
		}
		sql.Forget(b)
		for range 2 {
			if err := update(); err == nil || !strings.Contains(err.Error(), "another store is in table") {
				t.Errorf("an update of a record of another store: %v", err)
			}
		}
		if _, err := b.NextIDs(ctx, 1); err == nil {
			t.Error("a number of another store")
		}
	})
}

// The counter tells whose it is without a statement more.
func TestNumbersAreTakenFromTheStoreThatWasOpenedAlone(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, db database) {
		b := db.open(t, jobs, driver.OpenOptions{})
		must[int64](t)(b.NextIDs(t.Context(), 1))
		must[stdsql.Result](t)(db.raw(t).ExecContext(t.Context(), "UPDATE "+driver.StoresTable+" SET identity = 'another'"))
		if n, err := b.NextIDs(t.Context(), 1); err == nil || !strings.Contains(err.Error(), "another store") {
			t.Errorf("the number %d of another store: %v", n, err)
		}
	})
}

// SQLite takes the log beside a file for the log of that file. That of a file that was replaced
// would make another store look like the one that was opened, and damage it.
func TestTheLogOfAReplacedFileIsNotMixedWithAnother(t *testing.T) {
	t.Parallel()
	for name, same := range map[string]bool{"another store": false, "an older copy of the store": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, dir := t.Context(), t.TempDir()
			file := func(name string) database {
				return database{"sqlite", "sqlite://" + filepath.ToSlash(filepath.Join(dir, name)), nil}
			}
			read := func() string { return string(must[[]byte](t)(os.ReadFile(filepath.Join(dir, "test.db")))) }
			if same {
				b := file("test.db").make(t, driver.OpenOptions{})
				must[driver.Meta](t)(b.Init(ctx, jobs))
				must[[]int64](t)(b.Apply(ctx, []driver.Mutation{job(9, "KEPT", 1, 1)}))
				check(t, b.Close())
				check(t, os.WriteFile(filepath.Join(dir, "other.db"), []byte(read()), 0o600))
			} else {
				b := file("other.db").make(t, driver.OpenOptions{})
				must[driver.Meta](t)(b.Init(ctx, jobs))
				check(t, b.Close())
			}
			b := file("test.db").open(t, jobs, driver.OpenOptions{})
			must[[]int64](t)(b.Apply(ctx, []driver.Mutation{job(1, "NEW", 1, 1)}))
			check(t, os.Rename(filepath.Join(dir, "other.db"), filepath.Join(dir, "test.db")))
			before := read()
			s := b.(driver.Suspender)
			check(t, s.Suspend())
			err := s.Resume()
			if !same {
				if err == nil || !strings.Contains(err.Error(), "another store") {
					t.Errorf("got %v", err)
				}
				if read() != before {
					t.Error("the other store was changed")
				}
				return
			}
			check(t, err)
			check(t, b.View(ctx, func(r driver.Reader) error {
				recs, err := r.Get(ctx, []driver.ID{"1", "9"}, driver.Data)
				if len(recs) != 1 || recs[0].ID != "9" {
					t.Errorf("the copy has %v", recs)
				}
				return err
			}))
			if logs := must[[]string](t)(filepath.Glob(filepath.Join(dir, "test.db-wal.old*"))); len(logs) != 1 {
				t.Errorf("the log of the file that was replaced is not kept: %q", logs)
			}
		})
	}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
