package stress_test

import (
	_ "github.com/brine-go/brine/persistence/sql/mysql"
	_ "github.com/brine-go/brine/persistence/sql/postgres"
)
