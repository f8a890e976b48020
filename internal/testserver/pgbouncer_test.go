package testserver

import (
	"testing"
	"time"

	"database/sql"
	"github.com/lib/pq"
)

func TestClientsOfAPoolerShareASession(t *testing.T) {
	t.Parallel()
	s := Postgres(t)
	for mode, want := range map[string]int{"session": 2, "transaction": 1} {
		p := PgBouncer(t, s, mode, 3)
		pids := map[int]bool{}
		for range 2 {
			c, err := pq.NewConnector(p.URL("postgres"))
			if err != nil {
				t.Fatal(err)
			}
			db := sql.OpenDB(c)
			defer db.Close()
			var pid int
			if err := db.QueryRowContext(t.Context(), "SELECT pg_backend_pid()").Scan(&pid); err != nil {
				t.Fatal(err)
			}
			pids[pid] = true
			time.Sleep(10 * time.Millisecond) // the pooler has its session back
		}
		if len(pids) != want {
			t.Errorf("%s mode: %d sessions for two clients, want %d", mode, len(pids), want)
		}
	}
}
