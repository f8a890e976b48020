package postgres

import (
	"testing"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"github.com/brine-go/brine/internal/testserver"
	"github.com/brine-go/brine/persistence/sql"
)

// lib/pq keeps what the server tells at the beginning of a connection in a field of its own. Where
// it is not found every connection counts as one to a pooler, which costs two round trips a call.
func TestTheProcessIDIsFound(t *testing.T) {
	t.Parallel()
	s := testserver.SharedPostgres(t)
	c, err := sqlx.NewDb(s.Open(t, ""), "postgres").Connx(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var want int64
	if err := c.GetContext(t.Context(), &want, "SELECT pg_backend_pid()"); err != nil {
		t.Fatal(err)
	}
	if id, known := processID(c); !known || id != want {
		t.Errorf("process ID %d, known: %v, want %d", id, known, want)
	}
}

func TestErrorsAreKnownInEveryLanguage(t *testing.T) {
	t.Parallel()
	d := &dialect{}
	for name, c := range map[string]struct {
		err  pq.Error
		want sql.Class
	}{
		"a table that has changed": {pq.Error{Code: "0A000", Message: "gecachter Plan darf den Ergebnistyp nicht ändern", Routine: "RevalidateCachedQuery"}, sql.Busy},
		"something unsupported":    {pq.Error{Code: "0A000", Message: "cached plan must not change result type", Routine: "else"}, sql.Other},
		"a policy":                 {pq.Error{Code: "42501", Message: "Anfrage würde von Policy beeinflusst", Routine: "check_enable_rls"}, sql.Failing},
		"a missing permission":     {pq.Error{Code: "42501", Message: "keine Berechtigung für Tabelle store", Routine: "aclcheck_error"}, sql.ReadOnly},
	} {
		if got := d.Classify(&c.err); got != c.want {
			t.Errorf("%s: class %d, want %d", name, got, c.want)
		}
	}
}
