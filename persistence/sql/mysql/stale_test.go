package mysql_test

import (
	"errors"
	"fmt"
	"testing"

	driver "github.com/go-sql-driver/mysql"

	"github.com/brine-go/brine/persistence/sql/mysql"
)

// A Galera node that refuses to execute a statement keeps the pieces of long values that it was
// sent, and adds the next ones to them: the record would be stored with its bytes twice. A
// violation is found when the statement is executed, which uses the pieces up.
func TestAStatementIsKeptAfterAViolationAlone(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err  error
		want bool
	}{
		{&driver.MySQLError{Number: 1213}, true},
		{fmt.Errorf("wrapped: %w", &driver.MySQLError{Number: 1213}), true},
		{&driver.MySQLError{Number: 1047}, true},
		{&driver.MySQLError{Number: 1205}, true},
		{&driver.MySQLError{Number: 1105}, true},
		{errors.New("anything"), true},
		{&driver.MySQLError{Number: 1062}, false},
		{&driver.MySQLError{Number: 1586}, false},
	} {
		if got := mysql.Stale(c.err); got != c.want {
			t.Errorf("%v: stale is %v", c.err, got)
		}
	}
}
