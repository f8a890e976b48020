package mysql

import (
	stdsql "database/sql"
	"log/slog"
	"testing"

	"github.com/brine-go/brine/internal/testserver"
	"github.com/brine-go/brine/persistence/driver"
	"github.com/brine-go/brine/persistence/sql"
	"github.com/brine-go/brine/url"
)

// Should this package try to write where it must not, the server refuses.
func TestTheServerRefusesToWriteToo(t *testing.T) {
	t.Parallel()
	s := testserver.SharedMariaDB(t)
	u, err := url.Parse(s.URL(s.NewDB(t)))
	if err != nil {
		t.Fatal(err)
	}
	for _, readOnly := range []bool{false, true} {
		set, err := parse(u, driver.Pool{})
		if err != nil {
			t.Fatal(err)
		}
		c, err := newConnector(set, driver.OpenOptions{ReadOnly: readOnly, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		db := stdsql.OpenDB(c)
		defer db.Close()
		for _, text := range []string{"CREATE TABLE IF NOT EXISTS a (b INT)", "INSERT INTO a VALUES (1)"} {
			_, err = db.ExecContext(t.Context(), text)
			if readOnly != (err != nil) || readOnly && (&dialect{}).Classify(err) != sql.ReadOnly {
				t.Errorf("read-only %v, %s: %v", readOnly, text, err)
			}
		}
	}
}
