package persistence_test

import (
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/brine-go/brine/internal/testserver"
	"github.com/brine-go/brine/persistence"
)

func runAll(t *testing.T, db *sql.DB, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if _, err := db.Exec(text); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
}

// mayOnlyRead checks a store that a user of the server who may SELECT has opened: all of it reads
// as rw does, and nothing is written.
func mayOnlyRead(t *testing.T, rw *persistence.Store, url string) {
	t.Helper()
	o := &persistence.Options{ReadOnly: true, ExtraFields: readOnlyFields}
	p := &readOnlyPair{rw: rw, ro: open(t, url, o)}
	p.task = must[*Task](t)(persistence.Load[Task](t.Context(), p.ro, "1"))
	for name, read := range reads {
		if d := cmp.Diff(read(t, rw), read(t, p.ro)); d != "" {
			t.Errorf("%s reads something else: %s", name, d)
		}
	}
	claims := collect(t, p.ro.Claims(t.Context()))
	for _, w := range writes {
		wantIs(t, w.call(t.Context(), p, claims[0]), persistence.ErrReadOnly)
	}
}

// mayReadObjectsAlone checks a store whose side tables the user may not read.
func mayReadObjectsAlone(t *testing.T, url string) (warnings string) {
	t.Helper()
	ctx := t.Context()
	var log strings.Builder
	s := open(t, url, &persistence.Options{ReadOnly: true, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if n := must[int64](t)(s.Count(ctx, nil)); n != 7 {
		t.Errorf("%d records", n)
	}
	if got := must[*Task](t)(persistence.Load[Task](ctx, s, "1")); got.Deps[0].Name != "dep" {
		t.Errorf("record 1 is %v", got)
	}
	for range 2 {
		_, err := s.KV().Get(ctx, "a")
		wantIs(t, err, persistence.ErrNotFound)
		if all := collect(t, s.KV().Range(ctx, "")); len(all) != 0 {
			t.Errorf("pairs: %v", all)
		}
		if all := quarantined(t, s); len(all) != 0 {
			t.Errorf("in quarantine: %v", all)
		}
	}
	if found := short(checked(t, s, persistence.CheckOptions{})); len(found) == 0 || strings.Contains(fmt.Sprint(found), "Stray") {
		t.Errorf("Check finds %v", found)
	}
	must[persistence.MigrateReport](t)(s.Migrate(ctx, persistence.MigrateOptions{DryRun: true}))
	_, err := s.Save(ctx, &Task{})
	wantIs(t, err, persistence.ErrReadOnly)
	return log.String()
}

func TestAUserOfPostgreSQLWhoMayOnlyRead(t *testing.T) {
	t.Parallel()
	s := testserver.SharedPostgres(t)
	name := s.NewDB(t)
	p := &readOnlyPair{rw: open(t, s.URL(name), &persistence.Options{ExtraFields: readOnlyFields})}
	p.fill(t)
	runAll(t, s.Open(t, name), "CREATE ROLE ro_all LOGIN", "CREATE ROLE ro_objects LOGIN", "CREATE ROLE ro_none LOGIN",
		"GRANT SELECT ON ALL TABLES IN SCHEMA public TO ro_all", "GRANT SELECT ON store TO ro_objects")
	t.Cleanup(func() { // before the database is dropped
		runAll(t, s.Open(t, name), "DROP OWNED BY ro_all, ro_objects", "DROP ROLE ro_all, ro_objects, ro_none")
	})
	as := func(user string) string { return strings.Replace(s.URL(name), "//test@", "//"+user+"@", 1) }
	mayOnlyRead(t, p.rw, as("ro_all"))
	log := mayReadObjectsAlone(t, as("ro_objects"))
	for _, table := range []string{"brine_stores", "store_kv", "store_quarantine"} {
		if n := strings.Count(log, "table="+table+"\n"); n != 1 {
			t.Errorf("%d warnings of %s: %s", n, table, log)
		}
	}
	if s, err := persistence.MakeStore(t.Context(), as("ro_none")+"&mode=ro", &persistence.Options{Logger: slog.New(slog.DiscardHandler)}); err == nil {
		if n, err := s.Count(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "permission denied") {
			t.Errorf("who may read nothing counts %d, %v", n, err)
		}
		s.Close()
	}
}

func TestAUserOfMariaDBWhoMayOnlyRead(t *testing.T) {
	t.Parallel()
	s := testserver.SharedMariaDB(t)
	name := s.NewDB(t)
	p := &readOnlyPair{rw: open(t, s.URL(name), &persistence.Options{ExtraFields: readOnlyFields})}
	p.fill(t)
	runAll(t, s.Open(t, name), "CREATE USER ro_all@'%'", "CREATE USER ro_objects@'%'",
		"GRANT SELECT ON `"+name+"`.* TO ro_all@'%'", "GRANT SELECT ON `"+name+"`.store TO ro_objects@'%'")
	t.Cleanup(func() { runAll(t, s.Open(t, name), "DROP USER ro_all@'%', ro_objects@'%'") })
	as := func(user string) string { return strings.Replace(s.URL(name), "//root@", "//"+user+"@", 1) }
	mayOnlyRead(t, p.rw, as("ro_all"))
	mayReadObjectsAlone(t, as("ro_objects")) // to whom the others do not show
}

func TestAStandbyIsReadOnly(t *testing.T) {
	t.Parallel()
	primary, standby := testserver.Standby(t, true)
	name := primary.NewDB(t)
	p := &readOnlyPair{rw: open(t, primary.URL(name), &persistence.Options{ExtraFields: readOnlyFields})}
	p.fill(t)
	mayOnlyRead(t, p.rw, standby.URL(name))
	ro := open(t, standby.URL(name)+"&mode=ro", nil)
	for n := range 3 {
		task := &Task{Name: fmt.Sprint("later ", n)}
		must[persistence.ID](t)(p.rw.Save(t.Context(), task))
		deadline := time.Now().Add(10 * time.Second)
		for {
			_, err := ro.Load(t.Context(), task.PersistentID())
			if err == nil {
				break
			}
			if !errors.Is(err, persistence.ErrNotFound) || time.Now().After(deadline) {
				t.Fatal(err)
			}
		}
	}
}
