package postgres

import (
	stdsql "database/sql"
	"testing"

	"github.com/jmoiron/sqlx"

	"github.com/brine-go/brine/internal/testserver"
	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/persistence/sql"
	"github.com/brine-go/brine/url"
)

// Should this package try to write where it must not, the server refuses.
func TestTheServerRefusesToWriteToo(t *testing.T) {
	t.Parallel()
	s := testserver.SharedPostgres(t)
	u, err := url.Parse(s.URL(s.NewDB(t)))
	if err != nil {
		t.Fatal(err)
	}
	for _, readOnly := range []bool{true, false} {
		set, err := parse(u, driver.Pool{})
		if err != nil {
			t.Fatal(err)
		}
		ss := &sessions{location: set.location(), readOnly: readOnly}
		c, err := newConnector(set, ss)
		if err != nil {
			t.Fatal(err)
		}
		db := sqlx.NewDb(stdsql.OpenDB(c), "postgres")
		defer db.Close()
		conn, err := db.Connx(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if shared, err := ss.ready(t.Context(), conn); shared || err != nil {
			t.Fatal(shared, err)
		}
		_, err = conn.ExecContext(t.Context(), "CREATE TABLE a (b INT)")
		if readOnly != (err != nil) || readOnly && (&dialect{}).Classify(err) != sql.ReadOnly {
			t.Errorf("read-only %v: %v", readOnly, err)
		}
	}
}
