package mysql_test

import (
	"strings"
	"testing"

	"github.com/jmoiron/sqlx"

	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/persistence/sql/mysql"
)

func TestADBOfTheCallersServes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		params string
	}{
		{"with the settings that are wanted", ""},
		{"with settings of all sorts", "parseTime interpolateParams multiStatements columnsWithAlias"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := rawConfig(t, fresh(t))
			c.ClientFoundRows = true
			if tt.params != "" {
				c.ParseTime, c.InterpolateParams, c.MultiStatements, c.ColumnsWithAlias = true, true, true, true
				c.Params = map[string]string{"sql_mode": "''", "innodb_lock_wait_timeout": "77"}
				c.MaxAllowedPacket = 64 << 20
			}
			db := sqlx.NewDb(rawDB(t, c), "mysql")
			db.SetMaxOpenConns(4)
			b, err := mysql.New(db, driver.OpenOptions{Pool: driver.Pool{Size: 3}})
			if err != nil {
				t.Fatal(err)
			}
			s := driver.Schema{Fields: []driver.Column{{Name: "host", Kind: driver.Text, Indexed: true}}}
			if _, err := b.Init(t.Context(), s); err != nil {
				t.Fatal(err)
			}
			apply(t, b, create("a", "x", "h"), create("b", "y", nil))
			if revs := apply(t, b, driver.Mutation{Op: driver.Put, Rec: record("a", "new", "h")}); revs[0] != 2 {
				t.Errorf("revisions %v", revs)
			}
			if got := get(t, b, everything, "a", "b"); string(got["a"].Data) != "new" || got["a"].Fields[0] != "h" || got["b"].Fields[0] != nil {
				t.Errorf("records %+v", got)
			}
			long := record("c", "", strings.Repeat("h", 300))
			if _, err := b.Apply(t.Context(), []driver.Mutation{{Op: driver.Create, Rec: long}}); err == nil {
				t.Error("a text was cut: the session is not strict")
			}
			if err := b.(driver.Suspender).Suspend(); err != nil {
				t.Fatal(err)
			}
			if err := db.PingContext(t.Context()); err != nil {
				t.Errorf("suspended: %v", err)
			}
			if err := b.(driver.Suspender).Resume(); err != nil {
				t.Fatal(err)
			}
			if got := get(t, b, everything, "a"); len(got) != 1 {
				t.Errorf("records %+v", got)
			}
			if err := b.Close(); err != nil {
				t.Fatal(err)
			}
			// The caller's DB lives on, and no connection of it has our settings.
			for range 8 {
				conn, err := db.Connx(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { conn.Close() })
				var wait, sortLength int
				if err := conn.QueryRowxContext(t.Context(), "SELECT @@innodb_lock_wait_timeout, @@max_sort_length").Scan(&wait, &sortLength); err != nil {
					t.Fatal(err)
				}
				if wait != map[bool]int{true: 77, false: 50}[tt.params != ""] || sortLength != 1024 {
					t.Errorf("a connection of the caller's waits %d s for locks and sorts %d bytes", wait, sortLength)
				}
				if err := conn.Close(); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

func TestADBThatCountsChangedRowsIsRefused(t *testing.T) {
	t.Parallel()
	db := sqlx.NewDb(raw(t, fresh(t)), "mysql")
	b, err := mysql.New(db, driver.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Init(t.Context(), integers); err == nil || !strings.Contains(err.Error(), "clientFoundRows=true") {
		t.Errorf("error %v", err)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	if err := db.PingContext(t.Context()); err != nil {
		t.Errorf("the caller's DB: %v", err)
	}
}

func TestADBWithoutADatabaseIsRefused(t *testing.T) {
	t.Parallel()
	c := rawConfig(t, fresh(t))
	c.DBName, c.ClientFoundRows = "", true
	b, err := mysql.New(sqlx.NewDb(rawDB(t, c), "mysql"), driver.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if _, err := b.Init(t.Context(), integers); err == nil || !strings.Contains(err.Error(), "no database is selected") {
		t.Errorf("error %v", err)
	}
}
