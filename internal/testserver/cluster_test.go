package testserver

import (
	"errors"
	"os"
	"testing"

	"github.com/go-sql-driver/mysql"
)

func TestPromotedStandbyHasAllAndTakesWrites(t *testing.T) {
	t.Parallel()
	for name, sync := range map[string]bool{"synchronous": true, "asynchronous": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			primary, standby := Standby(t, sync)
			name := primary.NewDB(t)
			execute(t, primary.Open(t, name), "CREATE TABLE kept (id int)", "INSERT INTO kept VALUES (1), (2)")
			if !sync {
				execute(t, primary.Open(t, name), "CREATE TABLE last (id int)")
				err := until(t.Context(), func() error {
					_, err := standby.Open(t, name).Exec("SELECT 1 FROM last")
					return err
				})
				if err != nil {
					t.Fatal(err)
				}
			}
			if _, err := standby.Open(t, name).Exec("INSERT INTO kept VALUES (3)"); err == nil {
				t.Error("a standby takes writes")
			}
			if n := count(t, standby.Open(t, name)); n != 2 {
				t.Errorf("the standby has %d rows of 2", n)
			}
			primary.Kill()
			standby.Promote()
			execute(t, standby.Open(t, name), "INSERT INTO kept VALUES (3)")
			if n := count(t, standby.Open(t, name)); n != 3 {
				t.Errorf("%d rows instead of 3", n)
			}
			if primary.TCP() == "" || standby.TCP() == "" || primary.TCP() == standby.TCP() {
				t.Errorf("they listen on %q and %q", primary.TCP(), standby.TCP())
			}
		})
	}
}

// longOnly skips tests of clusters that take long. internal/stress has a killed node that rejoins
// in its short form too; the exact error of a lost certification is proved here alone.
func longOnly(t *testing.T) {
	t.Helper()
	if os.Getenv("BRINE_LONG") == "" {
		t.Skip("starts a cluster: with BRINE_LONG=1")
	}
}

func TestKilledNodeRejoinsTheCluster(t *testing.T) {
	longOnly(t)
	t.Parallel()
	nodes := Galera(t)
	name := nodes[0].NewDB(t)
	execute(t, nodes[0].Open(t, name), "CREATE TABLE kept (id int PRIMARY KEY)")
	mustHave := func(s *Server, want int) {
		t.Helper()
		db := s.Open(t, name)
		db.SetMaxOpenConns(1)
		execute(t, db, "SET SESSION wsrep_sync_wait = 1")
		if n := count(t, db); n != want {
			t.Errorf("%d rows instead of %d", n, want)
		}
	}
	for k, s := range nodes {
		execute(t, s.Open(t, name), "INSERT INTO kept VALUES ("+string(rune('0'+k))+")")
	}
	for _, s := range nodes {
		mustHave(s, 3)
	}

	nodes[1].Kill()
	err := until(t.Context(), func() error { // until the others have noticed
		_, err := nodes[2].Open(t, name).ExecContext(t.Context(), "INSERT IGNORE INTO kept VALUES (10)")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	nodes[1].Restart()
	mustHave(nodes[1], 4)

	t.Log("all are killed")
	for _, s := range nodes {
		s.Kill()
	}
	for _, k := range []int{2, 0, 1} {
		nodes[k].Restart()
		mustHave(nodes[k], 4)
	}
	execute(t, nodes[0].Open(t, name), "INSERT INTO kept VALUES (20)")
	mustHave(nodes[1], 5)
}

func TestConflictingCommitOfAnotherNodeLoses(t *testing.T) {
	longOnly(t)
	t.Parallel()
	nodes := Galera(t)
	name := nodes[0].NewDB(t)
	execute(t, nodes[0].Open(t, name), "CREATE TABLE kept (id int PRIMARY KEY, n int)", "INSERT INTO kept VALUES (1, 0)")
	one, two := nodes[0].Open(t, name), nodes[1].Open(t, name)
	two.SetMaxOpenConns(1)
	execute(t, two, "SET SESSION wsrep_sync_wait = 1", "SELECT * FROM kept")
	tx, err := two.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	if _, err := tx.Exec("UPDATE kept SET n = 2 WHERE id = 1"); err != nil {
		t.Fatal(err)
	}
	execute(t, one, "UPDATE kept SET n = 1 WHERE id = 1")
	err = tx.Commit()
	if e, ok := errors.AsType[*mysql.MySQLError](err); !ok || e.Number != 1213 {
		t.Errorf("the second commit gives %v instead of error 1213", err)
	}
}
