package persistence_test

import (
	"context"
	stdsql "database/sql"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/brine-go/brine/internal/testserver"
	"github.com/brine-go/brine/persistence"
)

func TestTheDatabaseOfAStoreIsDroppedOrReplaced(t *testing.T) {
	t.Parallel()
	for engine, newStorage := range map[string]func(*testing.T) *storage{"postgres": postgresStorage, "mariadb": mariaStorage} {
		for _, does := range []string{removed, emptied, restored, exchanged} {
			for _, first := range firstVerbs {
				t.Run(engine+" "+does+", then "+first, func(t *testing.T) {
					t.Parallel()
					testMoved(t, newStorage(t), does, first)
				})
			}
		}
	}
}

// execs runs statements.
func execs(t *testing.T, db *stdsql.DB, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if _, err := db.ExecContext(t.Context(), text); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
}

// column returns the values of the only column of a query.
func column(t *testing.T, db *stdsql.DB, text string, args ...any) (values []string) {
	t.Helper()
	found, err := db.QueryContext(t.Context(), text, args...)
	check(t, err)
	defer found.Close()
	for found.Next() {
		var v string
		check(t, found.Scan(&v))
		values = append(values, v)
	}
	if err := found.Err(); err != nil {
		t.Fatal(err)
	}
	return values
}

// otherStore makes a store with records in the database, as another program does.
func otherStore(t *testing.T, url string) {
	t.Helper()
	ctx := t.Context()
	s := must[*persistence.Store](t)(persistence.MakeStore(ctx, url, nil))
	for range 8 {
		must[persistence.ID](t)(s.Save(ctx, &Task{Name: "other", State: "READY"}))
	}
	check(t, s.KV().Set(ctx, "key", "theirs"))
	check(t, s.Close())
}

func postgresStorage(t *testing.T) *storage {
	server := testserver.SharedPostgres(t)
	name := server.NewDB(t)
	admin := server.Open(t, "")
	drop := func() { execs(t, admin, "DROP DATABASE "+name+" WITH (FORCE)") }
	return &storage{url: server.URL(name), server: true, do: map[string]func(*storage){
		removed: func(*storage) { drop() },
		emptied: func(*storage) { drop(); execs(t, admin, "CREATE DATABASE "+name) },
		restored: func(*storage) {
			execs(t, admin, "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '"+name+"'",
				"CREATE DATABASE "+name+"_copy TEMPLATE "+name)
			drop()
			execs(t, admin, "ALTER DATABASE "+name+"_copy RENAME TO "+name)
		},
		exchanged: func(st *storage) {
			st.do[emptied](st)
			otherStore(t, st.url)
		},
	}, contents: func(*storage) map[string]string {
		if len(column(t, admin, "SELECT datname FROM pg_database WHERE datname = $1", name)) == 0 {
			return nil
		}
		return rows(t, server.Open(t, name), "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
	}}
}

func mariaStorage(t *testing.T) *storage {
	server := testserver.SharedMariaDB(t)
	name := server.NewDB(t)
	admin := server.Open(t, "")
	drop := func() { execs(t, admin, "DROP DATABASE "+name) }
	tables := "SELECT table_name FROM information_schema.tables WHERE table_schema = '" + name + "'"
	return &storage{url: server.URL(name), server: true, do: map[string]func(*storage){
		removed: func(*storage) { drop() },
		emptied: func(*storage) { drop(); execs(t, admin, "CREATE DATABASE "+name) },
		restored: func(*storage) {
			names := column(t, admin, tables)
			execs(t, admin, "CREATE DATABASE "+name+"_copy")
			for _, table := range names {
				execs(t, admin, fmt.Sprintf("CREATE TABLE %s_copy.%s LIKE %[1]s.%[2]s", name, table),
					fmt.Sprintf("INSERT INTO %s_copy.%s SELECT * FROM %[1]s.%[2]s", name, table))
			}
			drop()
			execs(t, admin, "CREATE DATABASE "+name)
			for _, table := range names {
				execs(t, admin, fmt.Sprintf("RENAME TABLE %s_copy.%s TO %[1]s.%[2]s", name, table))
			}
			execs(t, admin, "DROP DATABASE "+name+"_copy")
		},
		exchanged: func(st *storage) {
			st.do[emptied](st)
			// The connections are not ended by this. Those that stay are compared after a while
			// alone: see TestConnectionsAreComparedWithTheStoreTheyWereMadeFor.
			for _, id := range column(t, admin, "SELECT id FROM information_schema.processlist WHERE db = '"+name+"'") {
				execs(t, admin, "KILL "+id)
			}
			otherStore(t, st.url)
		},
	}, contents: func(*storage) map[string]string {
		if len(column(t, admin, "SELECT schema_name FROM information_schema.schemata WHERE schema_name = ?", name)) == 0 {
			return nil
		}
		return rows(t, server.Open(t, name), tables)
	}}
}

// rows returns how many rows each table has, and the values of the pairs.
func rows(t *testing.T, db *stdsql.DB, tables string) map[string]string {
	counts := map[string]string{}
	for _, table := range column(t, db, tables) {
		counts[table] = column(t, db, "SELECT count(*) FROM "+table)[0]
	}
	return counts
}

func TestPingTellsWhetherAServerAnswers(t *testing.T) {
	t.Parallel()
	for engine, start := range map[string]func(testing.TB, ...testserver.Option) *testserver.Server{
		"postgres": testserver.Postgres, "mariadb": testserver.MariaDB,
	} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			server := start(t)
			s := open(t, server.URL(server.NewDB(t)), nil)
			id := must[persistence.ID](t)(s.Save(ctx, &Task{Name: "kept"}))
			check(t, s.Ping(ctx))
			server.Kill()
			within, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
			defer cancel()
			if err := s.Ping(within); err == nil {
				t.Error("Ping of a dead server returned nil")
			}
			server.Restart()
			check(t, s.Ping(ctx))
			must[any](t)(s.Load(ctx, id))
		})
	}
}

func TestATableThatIsDroppedIsNamed(t *testing.T) {
	t.Parallel()
	for backend, place := range map[string]func(t *testing.T) (url string, db *stdsql.DB){
		"sqlite": func(t *testing.T) (string, *stdsql.DB) {
			path := filepath.Join(t.TempDir(), "store.db")
			db := must[*stdsql.DB](t)(stdsql.Open("sqlite", path))
			t.Cleanup(func() { db.Close() })
			return "sqlite:" + path, db
		},
		"postgres": func(t *testing.T) (string, *stdsql.DB) {
			server := testserver.SharedPostgres(t)
			name := server.NewDB(t)
			return server.URL(name), server.Open(t, name)
		},
		"postgres, shared": func(t *testing.T) (string, *stdsql.DB) {
			server := testserver.SharedPostgres(t)
			name := server.NewDB(t)
			return withParam(server.URL(name), "pooler=transaction"), server.Open(t, name)
		},
		"mariadb": func(t *testing.T) (string, *stdsql.DB) {
			server := testserver.SharedMariaDB(t)
			name := server.NewDB(t)
			return server.URL(name), server.Open(t, name)
		},
	} {
		t.Run(backend, func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			url, db := place(t)
			s := open(t, url, nil)
			id := must[persistence.ID](t)(s.Save(ctx, &Task{}))
			execs(t, db, "DROP TABLE store")
			for name, call := range map[string]func() error{
				"ping":  func() error { return s.Ping(ctx) },
				"load":  func() error { _, err := s.Load(ctx, id); return err },
				"save":  func() error { _, err := s.Save(ctx, &Task{}); return err },
				"reset": func() error { check(t, s.Reset()); return s.Ping(ctx) },
			} {
				if err := call(); err == nil || !strings.Contains(err.Error(), "was dropped") || !strings.Contains(err.Error(), "store") {
					t.Errorf("%s: %v", name, err)
				}
			}
			execs(t, db, "DROP TABLE brine_stores")
			if err := s.Reset(); err == nil && backend == "sqlite" {
				t.Error("Reset found no identity and returned nil")
			}
			for range 2 {
				if _, err := s.Load(ctx, id); err == nil || !strings.Contains(err.Error(), "not here any more") {
					t.Errorf("%v", err)
				}
			}
		})
	}
}
